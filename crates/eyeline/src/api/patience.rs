//! Bodies that stop arriving: each is waited for so long, and then its request is answered with 408.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::{BoxError, Error};
use http::Request;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// Ends the body of a request once it has been silent for `patience`.
pub fn limit_silence<B>(mut request: Request<B>, patience: Duration) -> Request<Body>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    if request.body().is_end_stream() {
        return request.map(|_| Body::empty());
    }
    let silence = Silence::default();
    request.extensions_mut().insert(silence.clone());
    request.map(|body| Body::new(PatientBody { body, patience, timer: None, is_waiting: false, silence }))
}

/// Whether the body of a request stopped arriving. A handler finds a body that broke; only here is it known that it was
/// the client who was silent.
#[derive(Clone, Default)]
pub(super) struct Silence(Arc<AtomicBool>);

impl Silence {
    pub(super) fn was_heard(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

struct PatientBody<B> {
    body: B,
    patience: Duration,
    /// Made when something has to be waited for: most bodies are there with the head of their request.
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    silence: Silence,
}

impl<B> HttpBody for PatientBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.is_waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::new)));
        }
        let patience = this.patience;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(patience)));
        if !this.is_waiting {
            timer.as_mut().reset(Instant::now() + patience);
            this.is_waiting = true;
        }
        ready!(timer.as_mut().poll(context));
        this.silence.0.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(Error::new("the body stopped arriving"))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
