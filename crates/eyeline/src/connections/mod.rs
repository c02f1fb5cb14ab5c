//! Connections: their number, and the longest wait for a silent one. A client that opens many and stays silent must not
//! keep others out.

mod heard;
mod held;
mod written;

use std::convert::Infallible;
use std::io;
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
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{unconstrained, yield_now};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};

use self::heard::Heard;
use self::held::{Doing, Held, Memory, Place};
use self::written::Written;
use crate::api::limit_silence;
use crate::patience::Patience;

/// The most memory of connections, silent ones included. For a further one another that waits for nothing is closed.
pub const MEMORY_BYTES: u64 = 80 * 1024 * 1024;
/// The most open connections: as many small ones as have memory.
const CONNECTIONS_MAX: usize = (MEMORY_BYTES / Memory::SMALL) as usize;
/// Open files that the rest of the process needs.
const FILES_BESIDE: u64 = 256;
/// The longest time for the head of a request, and between two requests.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);
/// The longest silence of a body.
const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// The longest time in which nothing of an answer is read.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);
/// An answer of at most this many bytes is written without waiting. A longer one is under way until its last byte.
const AT_ONCE_BYTES: u64 = 64 * 1024;
/// The most bytes of a request's head; a longer one gets 431. Also the size of one read of a body.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The connections that wait in the kernel's queue, at most. A client whose connection finds the queue full tries again
/// after a second. The system has a bound of its own, 4,096 by default.
const QUEUE_MAX: u32 = 16 * 1024;
/// The connections that are taken from the queue before other tasks of the thread have their turn.
const TAKEN_IN_A_ROW: u32 = 256;
/// The pause after the kernel refused a connection for lack of files or memory, and while no place is free.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens on the address.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE_MAX)
}

/// Serves until `stop`, then closes idle connections and waits for the others. Connections of this machine, and of
/// addresses accepted by `is_proxy`, are bounded only by the total.
pub async fn serve<S>(
    listener: TcpListener,
    answers: S,
    is_proxy: impl Fn(IpAddr) -> bool,
    stop: CancellationToken,
) -> Result<(), String>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let held = Held::new(connections_max(), MEMORY_BYTES);
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(HEAD_BYTES_MAX);
    let open = TaskTracker::new();
    let mut in_a_row = 0;
    // A burst of connections fills the queue within milliseconds. A turn of a few of them each would leave it full.
    while let Some((place, stream, peer)) = unconstrained(next(&listener, &held, &is_proxy, &stop)).await {
        in_a_row += 1;
        if in_a_row == TAKEN_IN_A_ROW {
            in_a_row = 0;
            yield_now().await;
        }
        let (answers, builder, stop) = (answers.clone(), builder.clone(), stop.clone());
        open.spawn(async move {
            let end = place.end();
            // A silent connection has no buffers yet.
            let said = tokio::select! {
                said = timeout(HEAD_PATIENCE, stream.readable()) => matches!(said, Ok(Ok(()))),
                () = end.cancelled() => false,
                () = stop.cancelled() => false,
            };
            if said {
                let stream = Heard::new(stream, place.memory());
                Box::pin(answer(stream, peer, answers, &builder, &place, &stop)).await;
            }
        });
    }
    drop(listener);
    open.close();
    open.wait().await;
    Ok(())
}

/// Answers the requests of a connection.
async fn answer<S>(
    stream: Heard<TcpStream>,
    peer: SocketAddr,
    answers: S,
    builder: &Builder,
    place: &Place,
    stop: &CancellationToken,
) where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let (asked, answered) = (place.doing(), place.doing());
    let service = answers.map_response(move |answer| until_written(answer, answered)).map_request(
        move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let is_whole = request.body().is_end_stream();
            asked.store(if is_whole { Doing::Answered } else { Doing::Sending } as u8, Ordering::Relaxed);
            limit_silence(request, BODY_PATIENCE)
        },
    );
    let stream = Written::new(stream, Patience::new(ANSWER_PATIENCE));
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(connection.with_upgrades());
    let end = place.end();
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
}

/// Sets the step to resting once the answer is written.
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

/// The next connection with its place; `None` once the server stops.
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
                    // Answers are written as a whole, so waiting for more data would only delay them.
                    let _works_without = stream.set_nodelay(true);
                    let address = peer.ip().to_canonical();
                    let address = (!address.is_loopback() && !is_proxy(address)).then_some(address);
                    loop {
                        if let Some(place) = held.take(address) {
                            return (place, stream, peer);
                        }
                        // All connections get an answer now; further ones wait in the kernel's queue.
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

/// The number of connections for which the process may have open files, after raising its soft limit.
fn connections_max() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    places(if raised.is_ok() { limit.maximum } else { limit.current })
}

/// The connections that this machine allows, and the number wanted.
pub fn possible_and_wanted() -> (usize, usize) {
    (places(getrlimit(Resource::Nofile).maximum), CONNECTIONS_MAX)
}

fn places(files: Option<u64>) -> usize {
    // No limit means that none is in force.
    let places = files.map_or(u64::MAX, |files| files.saturating_sub(FILES_BESIDE).max(FILES_BESIDE));
    usize::try_from(places).unwrap_or(usize::MAX).min(CONNECTIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_md_states_the_most_connections() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../SECURITY.md"));
        let text = text.expect("SECURITY.md").replace(',', "");
        assert!(text.contains(&format!("\n| connections | {CONNECTIONS_MAX} small ones")), "{CONNECTIONS_MAX}");
    }
}
