//! Which pages of other origins may read answers: those whose origin an application lists.

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use eyeline_core::ApplicationId;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::{Problem, auth};
use crate::app::App;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, application, content-type, idempotency-key, if-none-match, last-event-id, x-request-id, \
     x-amz-checksum-sha256",
);
const ANSWER_HEADERS: HeaderValue =
    HeaderValue::from_static("etag, link, location, ratelimit, ratelimit-policy, retry-after, x-request-id");
/// Seconds that a browser may remember a preflight: a revoked origin is out by then.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

pub async fn wrap(app: &App, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        let mut response = next(request).await;
        vary(response.headers_mut());
        return response;
    };
    let application = auth::application_text(request.headers(), request.uri().query());
    // An upload link is its own credential, wherever the page that holds it came from.
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
        (true, true) => preflight(),
        (true, false) => Problem::forbidden("No application lists this origin in its allowed_origins.").into_response(),
        (false, _) => next(request).await,
    };
    vary(response.headers_mut());
    if allowed {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
    }
    response
}

/// A preflight shows no value of our header, so any application's list counts; with `?application=`, and for the
/// request itself, exactly that application's.
async fn is_allowed(app: &App, origin: &HeaderValue, application: Option<&str>) -> eyeline_store::Result<bool> {
    let Ok(origin) = origin.to_str() else { return Ok(false) };
    match application.map(str::parse::<ApplicationId>) {
        None => app.credentials.allows_origin(origin, None).await,
        Some(Ok(application_id)) => app.credentials.allows_origin(origin, Some(application_id)).await,
        Some(Err(_)) => Ok(false),
    }
}

fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
    response
}

/// A cache must not give one origin's answer to another.
fn vary(headers: &mut HeaderMap) {
    const ORIGIN: HeaderName = header::ORIGIN;
    headers.append(header::VARY, HeaderValue::from(ORIGIN));
}
