//! The memory of a request's body and of its answer: counted for every route, whatever its handler does.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Error;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::response::{IntoResponse as _, Response};
use http::{Extensions, StatusCode};
use http_body::{Frame, SizeHint};

use super::client_address::ClientAddress;
use super::{Answer, Problem};
use crate::app::App;
use crate::bodies::{NoRoom, Room};

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Smaller answers do not count: they are part of their connection's memory.
const ANSWER_MIN: u64 = 8 * 1024;

/// Counts the bytes of the body until the request is answered, and those of a large answer until it is written or given
/// up. A body without room breaks off, and the answer says why.
pub async fn wrap(app: &App, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let (mut parts, body) = request.into_parts();
    let changes_nothing = parts.method.is_safe() || parts.uri.path().ends_with("/analytics/sql");
    let client = ClientAddress::from_request_parts(&mut parts, app).await.unwrap_or_else(|never| match never {});
    let room = app.bodies.room(client.address);
    parts.extensions.insert(room.clone());
    let body = if body.is_end_stream() { body } else { Body::new(Counted { body, room: room.clone() }) };
    let response = next(Request::from_parts(parts, body)).await;
    match room.end() {
        Some(no_room) if !response.status().is_success() => Problem::from(no_room).into_response(),
        _ => held(room, response, changes_nothing),
    }
}

/// Only an answer that is whole in memory tells its length. One without room is refused, unless it tells of a change.
fn held(room: Room, response: Response, changes_nothing: bool) -> Response {
    let bytes = response.body().size_hint().exact().unwrap_or_default();
    if bytes < ANSWER_MIN {
        return response;
    }
    match room.answer(bytes) {
        Err(no_room) if changes_nothing => Problem::from(no_room).into_response(),
        _ => response.map(|body| Body::new(Held { body, _room: room })),
    }
}

/// The room of the request that these extensions belong to.
pub fn of(extensions: &Extensions) -> Room {
    extensions.get::<Room>().cloned().unwrap_or_default()
}

impl From<NoRoom> for Problem {
    fn from(no_room: NoRoom) -> Self {
        let (status, detail) = match no_room {
            NoRoom::ForAnybody => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Other requests take all memory for bodies and answers; send the request again after Retry-After.",
            ),
            NoRoom::ForTheSender => (
                StatusCode::TOO_MANY_REQUESTS,
                "The bodies and answers of your requests take as much memory as one sender may; send fewer at a time, read \
                 what was answered, and send this one again after Retry-After.",
            ),
        };
        Problem::new(status, detail).retry_after(RETRY_AFTER)
    }
}

/// A body that its handler passes on as it arrives and keeps none of.
pub struct PassedOn(pub Body);

impl FromRequest<App> for PassedOn {
    type Rejection = Problem;

    async fn from_request(request: Request, _app: &App) -> Answer<Self> {
        of(request.extensions()).pass_on();
        Ok(PassedOn(request.into_body()))
    }
}

/// A body that its handler reads as it arrives. The handler reports to the room how much of it is kept.
pub struct Streamed {
    pub body: Body,
    pub room: Room,
}

impl FromRequest<App> for Streamed {
    type Rejection = Problem;

    async fn from_request(request: Request, _app: &App) -> Answer<Self> {
        Ok(Streamed { room: of(request.extensions()), body: request.into_body() })
    }
}

struct Counted {
    body: Body,
    room: Room,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Err(no_room) = self.room.take(frame.data_ref().map_or(0, Bytes::len))
        {
            return Poll::Ready(Some(Err(Error::new(Problem::from(no_room).to_string()))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer that counts in the room of its request.
struct Held {
    body: Body,
    _room: Room,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
