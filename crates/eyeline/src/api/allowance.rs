//! The rate limit of the public credential: checked before an event is accepted, and part of every answer.

use std::convert::Infallible;

use axum::extract::{FromRequest as _, Request};
use axum::response::{IntoResponseParts, ResponseParts};
use http::{HeaderName, HeaderValue, StatusCode};

use super::client_address::ClientAddress;
use super::unpacked::Unpacked;
use super::{Answer, Credential, Problem, room};
use crate::app::App;
use crate::rate_limits::Allowance;

/// The `RateLimit` headers of an answer; none for a credential without a limit.
pub struct RateLimit(Option<Allowance>);

/// Bytes of a body that count as one event.
const EVENT_BYTES: usize = 1024;

/// Counts `events` of the public credential, or one for each `EVENT_BYTES` of its body if that is more. Returns 429
/// beyond the limit. Other credentials have no limit.
pub fn take_events(
    app: &App,
    credential: &Credential,
    client: ClientAddress,
    events: usize,
    bytes: usize,
) -> Answer<RateLimit> {
    let Credential::Application { application_id, .. } = credential else { return Ok(RateLimit(None)) };
    let events = u32::try_from(events.max(bytes.div_ceil(EVENT_BYTES))).unwrap_or(u32::MAX);
    let taken = app.rate_limits.take(*application_id, client.limited(), events);
    taken.map(|allowance| RateLimit(Some(allowance))).map_err(|too_many| {
        let sentence =
            "The public credential has sent too many events, or too many bytes, a second; try again after Retry-After.";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, sentence).retry_after(too_many.retry_after);
        headers(too_many.allowance).fold(problem, |problem, (name, value)| problem.header(name, value))
    })
}

/// Reads the body of a request that sends events. Counts a body that cannot be read by its bytes; the caller counts
/// every other one.
pub async fn read_events<const MAX: usize>(
    app: &App,
    credential: &Credential,
    client: ClientAddress,
    request: Request,
) -> Answer<Unpacked<MAX>> {
    // A sender at the limit is refused before anything is read.
    take_events(app, credential, client, 0, 0)?;
    let room = room::of(request.extensions());
    let read = Unpacked::from_request(request, app).await;
    if read.is_err() {
        take_events(app, credential, client, 1, room.bytes_seen())?;
    }
    read
}

fn headers(Allowance { limit, remaining, reset }: Allowance) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let seconds = reset.as_secs_f64().ceil();
    let texts = [
        (HeaderName::from_static("ratelimit-policy"), format!("\"events\";q={limit};w=1")),
        (HeaderName::from_static("ratelimit"), format!("\"events\";r={remaining};t={seconds}")),
    ];
    texts.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::from_str(&text).ok()?)))
}

impl IntoResponseParts for RateLimit {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.headers_mut().extend(self.0.into_iter().flat_map(headers));
        Ok(parts)
    }
}
