//! `eyeline serve`.

use std::io::{ErrorKind, IsTerminal as _};
use std::net::SocketAddr;

use eyeline_store::Scheme;
use futures::{Stream, StreamExt as _};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::api::session::{SignInLink, new_link};
use crate::app::App;
use crate::connections;
use crate::memory;
use crate::server;
use crate::settings::{Flags, LogFormat, Role, Roles, Settings};

#[derive(clap::Args)]
#[command(after_help = "\
Stop it with Ctrl-C: open requests end first. A second Ctrl-C aborts them.
Settings: `eyeline config show` lists them all. The first are
  EYELINE_LISTEN      address and port [127.0.0.1:8009]
  EYELINE_PUBLIC_URL  where clients reach it [http://localhost:PORT]
  EYELINE_DATA        the folder of everything it keeps [./data]")]
pub(super) struct Arguments {
    /// What this process does: api, worker, ingest; all of them unless given
    #[arg(long, value_enum, value_delimiter = ',')]
    roles: Vec<Role>,
}

impl Arguments {
    /// The settings that stand on the command line.
    pub(super) fn flags(&self) -> Flags {
        Flags { roles: (!self.roles.is_empty()).then(|| Roles::of(&self.roles)) }
    }
}

pub(super) fn run(settings: Settings) -> Result<(), String> {
    start_log(&settings)?;
    memory::avoid_huge_pages();
    super::block_on(serve(settings))
}

async fn serve(settings: Settings) -> Result<(), String> {
    let signals = signals().map_err(|error| format!("signals cannot be received: {error}"))?;
    let listener = listen(settings.listen)?;
    // Names this running program even after its file was replaced by a newer one.
    let app = App::open(settings, "/proc/self/exe".into()).await?;
    app.take_partitions().await?;
    // A full disk does not prevent serving galleries; the log says why there is no link.
    let link = if app.settings.roles.has(Role::Api) { new_link(&app).await.ok() } else { None };
    super::say(&banner(&app, link.as_ref()));
    let signals =
        Box::pin(signals.inspect(|()| super::say("\nStopping: open requests end first. Ctrl-C again stops now.")));
    server::serve(app, listener, signals).await?;
    super::say("Stopped.");
    Ok(())
}

fn banner(app: &App, link: Option<&SignInLink>) -> String {
    let settings = &app.settings;
    let url = settings.public_url();
    let data = settings.data.canonicalize().unwrap_or_else(|_| settings.data.clone());
    let sign_in = link.map_or_else(
        || match settings.roles.has(Role::Api) {
            true => "with the admin key: no link can be stored now (see the log)".to_owned(),
            false => "at a process with the role api".to_owned(),
        },
        |link| format!("{}   (once, within 30 minutes; `eyeline link` prints a new one)", link.url),
    );
    let engines = engines(settings);
    let clock = if settings.test_clock {
        "\n\n  WARNING    EYELINE_TEST_CLOCK is on: anyone with the admin key can set the clock. Never in production."
    } else {
        ""
    };
    let roles = if settings.roles.are_all() { String::new() } else { format!("\n  Roles      {}", settings.roles) };
    let address = unreachable_links(settings.listen, &url).unwrap_or_default();
    format!(
        "
  Eyeline {version} is serving.

  Open       {url}
  Sign in    {sign_in}
  API        {url}/docs
  Data       {data}
  Engines    {engines}{roles}
  Stop       Ctrl-C{address}{clock}
",
        version = env!("CARGO_PKG_VERSION"),
        data = data.display(),
    )
}

/// The engines that processes share, by name, then those of this process.
fn engines(settings: &Settings) -> String {
    let (mut shared, mut embedded) = (Vec::new(), Vec::new());
    for (setting, url, schemes) in settings.engine_urls() {
        let name = setting.trim_end_matches("_url");
        match Scheme::of(&url, schemes) {
            Some(scheme) if scheme.is_shared => shared.push(format!("{name}: {}", scheme.name)),
            _ => embedded.push(name),
        }
    }
    if !embedded.is_empty() {
        shared.push(format!("embedded: {}", embedded.join(", ")));
    }
    shared.join("; ")
}

/// A warning for the banner if other machines reach the server but its links would lead them to themselves.
fn unreachable_links(listen: SocketAddr, public_url: &str) -> Option<String> {
    let host = url::Url::parse(public_url).ok()?.host()?.to_owned();
    let is_loopback = match host {
        url::Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    };
    (is_loopback && !listen.ip().is_loopback()).then(|| {
        format!(
            "\n\n  NOTE       Other machines reach {listen}, but links in answers begin with {public_url}, which is each\n             \
             machine itself. Set EYELINE_PUBLIC_URL to an address that they know, such as http://HOST:{}.",
            listen.port()
        )
    })
}

fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    connections::listen(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            format!(
                "port {} is taken by another program: choose another with EYELINE_LISTEN=127.0.0.1:PORT",
                address.port()
            )
        }
        _ => format!("cannot listen on {address} ({error}): choose another address with EYELINE_LISTEN"),
    })
}

/// Yields an item for each Ctrl-C and each SIGTERM.
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
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| format!("EYELINE_LOG is not a filter: {error}"))?;
    let to_person = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(to_person).with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    }
    .map_err(|error| format!("the log cannot be started: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_names_shared_engines_and_those_of_the_process() {
        let mut settings = Settings::default();
        assert_eq!(engines(&settings), "embedded: catalog, objects, inbox, orders, cache");
        settings.catalog_url = Some("postgres://user@host/name".to_owned());
        settings.cache_url = "redis://host:6379/0".to_owned();
        assert_eq!(engines(&settings), "catalog: PostgreSQL; cache: Redis; embedded: objects, inbox, orders");
    }

    #[test]
    fn the_banner_warns_of_links_that_lead_other_machines_to_themselves() {
        let warning = |listen: &str, url: &str| unreachable_links(listen.parse().expect("an address"), url);
        for (listen, url) in [
            ("0.0.0.0:8009", "http://localhost:8009"),
            ("[::]:80", "http://127.0.0.1"),
            ("192.0.2.1:8009", "http://[::1]:8009"),
            ("0.0.0.0:8009", "http://photos.localhost:8009"),
        ] {
            let told = warning(listen, url).unwrap_or_else(|| panic!("{listen} {url}"));
            assert!(told.contains("EYELINE_PUBLIC_URL") && told.contains(url), "{told}");
        }
        assert_eq!(warning("127.0.0.1:8009", "http://localhost:8009"), None);
        assert_eq!(warning("0.0.0.0:8009", "https://photos.example.com"), None);
    }
}
