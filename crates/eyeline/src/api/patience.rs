//! Arriving bodies. A silent or slow one ends with 408 after a while. The rest that a handler leaves unread is read to
//! its end, within bounds, so that the connection can take the next request.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::{BoxError, Error};
use http::{Request, header};
use http_body::{Frame, SizeHint};
use tokio::time::timeout;

use crate::patience::Patience;

/// Limits for reading the rest of a body after the answer. A client that sends everything before it reads then finds
/// the answer.
const REST_BYTES_MAX: usize = 64 * 1024 * 1024;
const REST_TIME_MAX: Duration = Duration::from_secs(10);

/// Ends the body of a request after `silence_max` without bytes, or if it stays slow, and lets `Unread` read what a
/// handler left.
pub fn limit_silence<B>(request: Request<B>, silence_max: Duration) -> Request<Body>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    if request.body().is_end_stream() {
        return request.map(|_| Body::empty());
    }
    let waits_to_send = request.headers().contains_key(header::EXPECT);
    let (mut parts, body) = request.into_parts();
    let arriving = Arriving { body, patience: Patience::new(silence_max), waits_to_send, end: None };
    let arriving = Arc::new(Mutex::new(arriving));
    parts.extensions.insert(Unread(arriving.clone()));
    Request::from_parts(parts, Body::new(Handed(arriving)))
}

/// The rest of a request's body, which the handler has not read.
#[derive(Clone)]
pub(super) struct Unread(Arc<Mutex<dyn Arrival + Send>>);

impl Unread {
    /// True if the body ended because the client was silent. A handler only sees that the body broke.
    pub(super) fn was_silent(&self) -> bool {
        lock(&self.0).end() == Some(End::Silent)
    }

    /// Reads the rest of the body. True if nothing of it is left. A client that waits for `100 Continue` is not asked
    /// to send.
    pub(super) async fn finish(&self) -> bool {
        let rest = async {
            let mut left = REST_BYTES_MAX;
            loop {
                let end = lock(&self.0).end();
                match end {
                    Some(end) => return end == End::Whole,
                    None if left == 0 => return false,
                    None => left = left.saturating_sub(poll_fn(|context| lock(&self.0).poll_bytes(context)).await),
                }
            }
        };
        timeout(REST_TIME_MAX, rest).await.unwrap_or(false)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Broken,
    Silent,
    /// The client waits for `100 Continue`, which was not sent.
    NotAsked,
}

/// An [`Arriving`] with any kind of body.
trait Arrival {
    fn end(&self) -> Option<End>;

    /// Reads a piece and returns its length in bytes.
    fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<usize>;
}

struct Arriving<B> {
    body: B,
    patience: Patience,
    waits_to_send: bool,
    end: Option<End>,
}

impl<B> Arriving<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.waits_to_send = false;
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            match &frame {
                None => self.end = Some(End::Whole),
                Some(Err(_)) => self.end = Some(End::Broken),
                Some(Ok(frame)) => self.patience.moved(frame.data_ref().map_or(0, Bytes::len)),
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::new)));
        }
        ready!(self.patience.poll_over(context));
        self.end = Some(End::Silent);
        Poll::Ready(Some(Err(Error::new("the body stopped arriving"))))
    }
}

impl<B> Arrival for Arriving<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    fn end(&self) -> Option<End> {
        let not_asked = self.waits_to_send.then_some(End::NotAsked);
        self.end.or_else(|| self.body.is_end_stream().then_some(End::Whole)).or(not_asked)
    }

    fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        let frame = ready!(self.poll(context));
        Poll::Ready(frame.and_then(Result::ok).and_then(|frame| frame.into_data().ok()).map_or(0, |data| data.len()))
    }
}

/// The body that a handler reads.
struct Handed<B>(Arc<Mutex<Arriving<B>>>);

impl<B> HttpBody for Handed<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        lock(&self.0).poll(context)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).body.size_hint()
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
