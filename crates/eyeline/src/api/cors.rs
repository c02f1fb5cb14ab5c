//! CORS: pages of another origin may read answers if an application lists that origin.

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use eyeline_core::ApplicationId;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::applications::ORIGIN_CHARS_MAX;
use super::{Problem, auth};
use crate::app::App;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// The answer to a preflight that asks for no header, or for more than allowed.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, application, content-type, content-encoding, idempotency-key, if-none-match, last-event-id, \
     x-request-id, x-amz-checksum-sha256",
);
const ANSWER_HEADERS: HeaderValue =
    HeaderValue::from_static("etag, link, location, ratelimit, ratelimit-policy, retry-after, x-request-id");
/// Limits of the headers that a preflight may ask for, by number and bytes. Pages add headers of tracing and other
/// tools.
const ASKED_MAX: usize = 100;
const ASKED_BYTES_MAX: usize = 4 * 1024;
/// Seconds for which a browser may remember a preflight; after it a revoked origin is refused.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

pub async fn wrap(app: &App, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        let mut response = next(request).await;
        vary(response.headers_mut());
        return response;
    };
    let application = auth::application_text(request.headers(), request.uri().query());
    // An upload link is its own credential, whatever page holds it.
    let is_upload_link = request.uri().path().starts_with("/api/v1/incoming");
    let allowed = match is_upload_link {
        true => Ok(true),
        false => is_allowed(app, &origin, application.as_deref()).await,
    };
    let allowed = match allowed {
        Ok(allowed) => allowed,
        Err(error) => return Problem::from(error).into_response(),
    };
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (is_preflight, allowed) {
        (true, true) => preflight(request.headers()),
        (true, false) => Problem::forbidden("No application lists this origin in its allowed_origins.").into_response(),
        (false, _) => next(request).await,
    };
    vary(response.headers_mut());
    if allowed {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
    }
    // Beacons are always sent with credentials. The cookie of a signed-in browser counts for this server's own pages
    // alone, so this gives other pages nothing.
    if allowed && !is_upload_link {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    response
}

/// A preflight carries no value of our header, so the lists of all applications count. With `?application=`, and for
/// the request itself, only that application's list counts.
async fn is_allowed(app: &App, origin: &HeaderValue, application: Option<&str>) -> eyeline_store::Result<bool> {
    let Ok(origin) = origin.to_str() else { return Ok(false) };
    if origin.len() > ORIGIN_CHARS_MAX {
        return Ok(false);
    }
    match application.map(str::parse::<ApplicationId>) {
        None => app.credentials.allows_origin(origin, None).await,
        Some(Ok(application_id)) => app.credentials.allows_origin(origin, Some(application_id)).await,
        Some(Err(_)) => Ok(false),
    }
}

fn preflight(request: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked_headers(request).unwrap_or(REQUEST_HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
    const ASKED: HeaderName = header::ACCESS_CONTROL_REQUEST_HEADERS;
    headers.append(header::VARY, HeaderValue::from(ASKED));
    response
}

/// The headers that a preflight asks for, unless there are none, too many, or some that are no names of headers.
fn asked_headers(request: &HeaderMap) -> Option<HeaderValue> {
    let mut names: Vec<HeaderName> = Vec::new();
    let mut bytes = 0;
    for line in request.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        bytes += line.len();
        for name in line.to_str().ok()?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if names.len() == ASKED_MAX || bytes > ASKED_BYTES_MAX {
                return None;
            }
            names.push(name.parse().ok()?);
        }
    }
    let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
    if names.is_empty() { None } else { HeaderValue::from_str(&names.join(", ")).ok() }
}

/// Keeps a cache from giving one origin's answer to another.
fn vary(headers: &mut HeaderMap) {
    const ORIGIN: HeaderName = header::ORIGIN;
    headers.append(header::VARY, HeaderValue::from(ORIGIN));
}
