//! Connections: how many are held, and how long a silent one is waited for. A client that opens many and says nothing
//! must not keep the others out.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};

use crate::api::limit_silence;

/// Connections held at once; the next ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 10_000;
/// Open files that the rest of the process needs beside its connections.
const FILES_BESIDE: u64 = 256;
/// How long the head of a request may take, and a connection may be idle between two requests.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);
/// How long a body may be silent before the request ends.
const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of the head of a request; a longer one is 431. Also how much of a body is read at once.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How long to wait after the kernel refused a connection, for lack of files or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then ends what is idle and waits for what is open.
pub async fn serve<S>(listener: TcpListener, answers: S, stop: CancellationToken) -> Result<(), String>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let places = Arc::new(Semaphore::new(connections_max()));
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(HEAD_BYTES_MAX);
    let open = TaskTracker::new();
    while let Some((place, stream, peer)) = next(&listener, &places, &stop).await {
        let service = answers.clone().map_request(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            limit_silence(request, BODY_PATIENCE)
        });
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let stop = stop.clone();
        open.spawn(async move {
            let mut connection = pin!(connection.with_upgrades());
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, %peer, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    open.close();
    open.wait().await;
    Ok(())
}

/// The next connection with its place among those that are held; `None` once the server stops.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(OwnedSemaphorePermit, tokio::net::TcpStream, SocketAddr)> {
    let accepted = async {
        let place = places.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    // Answers are written whole: waiting for more of them would only make them late.
                    let _works_without = stream.set_nodelay(true);
                    return Some((place, stream, peer));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => None,
        connection = accepted => connection,
    }
}

/// As many as the process may have open files for, after asking the system for all that it gives.
fn connections_max() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    places(if raised.is_ok() { limit.maximum } else { limit.current })
}

/// Connections that can be held at once on this machine, and those that would be with open files enough.
pub fn possible_and_wanted() -> (usize, usize) {
    (places(getrlimit(Resource::Nofile).maximum), CONNECTIONS_MAX)
}

fn places(files: Option<u64>) -> usize {
    // No limit given: none in force.
    let places = files.map_or(u64::MAX, |files| files.saturating_sub(FILES_BESIDE).max(FILES_BESIDE));
    usize::try_from(places).unwrap_or(usize::MAX).min(CONNECTIONS_MAX)
}
