//! Connections: how many are held, and how long a silent one is waited for. A client that opens many and says nothing
//! must not keep the others out.

mod held;
mod written;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};

use self::held::{Doing, Held, Place};
use self::written::Written;
use crate::api::limit_silence;
use crate::patience::Patience;

/// Connections held at once. For one more, one that waits for nothing goes.
const CONNECTIONS_MAX: usize = 10_000;
/// Open files that the rest of the process needs beside its connections.
const FILES_BESIDE: u64 = 256;
/// How long the head of a request may take, and a connection may be idle between two requests.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);
/// How long a body may be silent before the request ends.
const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing of an answer may be taken before the connection ends.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);
/// An answer of so many bytes is written at once; a longer one is under way until its last byte is.
const AT_ONCE_BYTES: u64 = 64 * 1024;
/// Bytes of the head of a request; a longer one is 431. Also how much of a body is read at once.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How long to wait after the kernel refused a connection, for lack of files or memory, or while no place is free.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then ends what is idle and waits for what is open. Connections of this machine and of those that
/// `is_proxy` knows have no bound but that of all.
pub async fn serve<S>(
    listener: TcpListener,
    answers: S,
    is_proxy: impl Fn(IpAddr) -> bool,
    stop: CancellationToken,
) -> Result<(), String>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let held = Held::new(connections_max());
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(HEAD_BYTES_MAX);
    let open = TaskTracker::new();
    while let Some((place, stream, peer)) = next(&listener, &held, &is_proxy, &stop).await {
        let (asked, answered) = (place.doing(), place.doing());
        let service = answers.clone().map_response(move |answer| until_written(answer, answered)).map_request(
            move |mut request: http::Request<Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                let is_whole = request.body().is_end_stream();
                asked.store(if is_whole { Doing::Answered } else { Doing::Sending } as u8, Ordering::Relaxed);
                limit_silence(request, BODY_PATIENCE)
            },
        );
        let stream = Written::new(stream, Patience::new(ANSWER_PATIENCE));
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let (stop, end) = (stop.clone(), place.end());
        open.spawn(async move {
            let mut connection = pin!(connection.with_upgrades());
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = end.cancelled() => {
                    tracing::debug!(%peer, "a connection had to make room for another");
                    Ok(())
                }
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

/// Has the connection rest once the answer is written.
fn until_written(answer: Response, doing: Arc<AtomicU8>) -> Response {
    if answer.body().size_hint().exact().is_some_and(|bytes| bytes <= AT_ONCE_BYTES) {
        doing.store(Doing::Resting as u8, Ordering::Relaxed);
        return answer;
    }
    doing.store(Doing::Answered as u8, Ordering::Relaxed);
    let under_way = UnderWay(doing);
    answer.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _dropped_with_the_body = &under_way;
            frame
        }))
    })
}

/// An answer that is being written.
struct UnderWay(Arc<AtomicU8>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.store(Doing::Resting as u8, Ordering::Relaxed);
    }
}

/// The next connection with its place among those that are held; `None` once the server stops.
async fn next(
    listener: &TcpListener,
    held: &Held,
    is_proxy: impl Fn(IpAddr) -> bool,
    stop: &CancellationToken,
) -> Option<(Place, TcpStream, SocketAddr)> {
    let accepted = async {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    // Answers are written whole: waiting for more of them would only make them late.
                    let _works_without = stream.set_nodelay(true);
                    let address = peer.ip().to_canonical();
                    let address = (!address.is_loopback() && !is_proxy(address)).then_some(address);
                    loop {
                        if let Some(place) = held.take(address) {
                            return (place, stream, peer);
                        }
                        // All are answered; the next ones wait in the kernel's queue.
                        tokio::time::sleep(PAUSE).await;
                    }
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
        connection = accepted => Some(connection),
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
