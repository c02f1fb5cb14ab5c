//! `eyeline serve`.

use std::io::ErrorKind;
use std::net::SocketAddr;

use futures::Stream;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::app::App;
use crate::server;
use crate::settings::{LogFormat, Settings};

#[derive(clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(settings: Settings, _arguments: Arguments) -> Result<(), String> {
    start_log(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime cannot be started: {error}"))?;
    runtime.block_on(serve(settings))
}

async fn serve(settings: Settings) -> Result<(), String> {
    let signals = signals().map_err(|error| format!("signals cannot be heard: {error}"))?;
    let listener = listen(settings.listen).await?;
    let app = App::open(settings).await?;
    server::serve(app, listener, Box::pin(signals)).await
}

async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            format!(
                "port {} is taken by another program: choose another with EYELINE_LISTEN=127.0.0.1:PORT",
                address.port()
            )
        }
        _ => format!("cannot listen on {address} ({error}): choose another address with EYELINE_LISTEN"),
    })
}

/// One item for each Ctrl-C and each SIGTERM.
fn signals() -> std::io::Result<impl Stream<Item = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(futures::stream::poll_fn(move |context| {
        if interrupt.poll_recv(context).is_ready() {
            std::task::Poll::Ready(Some(()))
        } else {
            terminate.poll_recv(context)
        }
    }))
}

fn start_log(settings: &Settings) -> Result<(), String> {
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| format!("EYELINE_LOG is no filter: {error}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    }
    .map_err(|error| format!("the log cannot be started: {error}"))
}
