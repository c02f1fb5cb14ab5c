//! What the public credential may send: checked before an event is taken in, told with every answer.

use std::convert::Infallible;

use axum::response::{IntoResponseParts, ResponseParts};
use http::{HeaderName, HeaderValue, StatusCode};

use super::client_address::ClientAddress;
use super::{Answer, Credential, Problem};
use crate::app::App;
use crate::rate_limits::Allowance;

/// The `RateLimit` headers of an answer; none for a credential without a limit.
pub struct RateLimit(Option<Allowance>);

/// Counts `events` of the public credential, or refuses them with 429; every other credential has no limit.
pub fn take_events(app: &App, credential: &Credential, client: ClientAddress, events: usize) -> Answer<RateLimit> {
    let Credential::Application { application_id, .. } = credential else { return Ok(RateLimit(None)) };
    let events = u32::try_from(events).unwrap_or(u32::MAX);
    let taken = app.rate_limits.take(*application_id, client.address, events);
    taken.map(|allowance| RateLimit(Some(allowance))).map_err(|too_many| {
        let sentence = "The public credential has sent too many events a second; try again after Retry-After.";
        // Whole seconds, never too few.
        let wait = std::time::Duration::from_secs_f64(too_many.retry_after.as_secs_f64().ceil());
        Problem::new(StatusCode::TOO_MANY_REQUESTS, sentence).retry_after(wait)
    })
}

impl IntoResponseParts for RateLimit {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let Some(Allowance { limit, remaining, reset }) = self.0 else { return Ok(parts) };
        let seconds = reset.as_secs_f64().ceil();
        let headers = [
            (HeaderName::from_static("ratelimit-policy"), format!("\"events\";q={limit};w=1")),
            (HeaderName::from_static("ratelimit"), format!("\"events\";r={remaining};t={seconds}")),
        ];
        for (name, text) in headers {
            if let Ok(value) = HeaderValue::from_str(&text) {
                parts.headers_mut().insert(name, value);
            }
        }
        Ok(parts)
    }
}
