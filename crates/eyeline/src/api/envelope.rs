//! The wrapper of every request: an id, a line in the log, and errors that are always problem documents.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use http::{HeaderName, HeaderValue, StatusCode, header};
use tracing::Instrument as _;
use uuid::Uuid;

use super::Problem;
use super::patience::Unread;
use crate::app::App;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Characters of a request id that a client may choose.
const REQUEST_ID_MAX: usize = 128;

/// Bytes of a refusal's plain text that are read to become the detail of a problem.
const REFUSAL_MAX: usize = 4 * 1024;

pub async fn wrap(app: &App, mut request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let id = request_id(app, request.headers());
    let id_text = id.to_str().unwrap_or_default();
    let method = request.method().clone();
    // Without the query, which may hold a credential.
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!("request", id = id_text, %method, path);
    let began = Instant::now();

    let unread = request.extensions_mut().remove::<Unread>();
    let answered = AssertUnwindSafe(next(request)).catch_unwind().instrument(span.clone()).await;
    let response = answered.unwrap_or_else(|panic| {
        let reason = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let reason = reason.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        tracing::error!(parent: &span, reason, "a handler panicked");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong in the server; it was logged.")
            .into_response()
    });
    let was_silent = unread.as_ref().is_some_and(Unread::was_silent);
    let response = if was_silent && response.status().is_client_error() { too_slow() } else { response };
    let mut response = as_problem(response, id_text).await;
    response.headers_mut().insert(REQUEST_ID, id);
    if let Some(unread) = unread
        && !unread.finish().await
    {
        // The rest of the body precedes the next request. A client that keeps the connection would lose that request.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }

    let status = response.status().as_u16();
    app.metrics.count_request(status, began.elapsed());
    let elapsed_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    // At debug level: a log line for each of a thousand events a second costs more than the event and hides other
    // lines.
    tracing::debug!(parent: &span, status, elapsed_us, "answered");
    response
}

fn too_slow() -> Response {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "The body stopped arriving; send the request again.").into_response()
}

/// The client's own id if it is well-formed, else a new one.
fn request_id(app: &App, headers: &http::HeaderMap) -> HeaderValue {
    let sane = |id: &&HeaderValue| {
        !id.is_empty() && id.len() <= REQUEST_ID_MAX && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    if let Some(id) = headers.get(REQUEST_ID).filter(sane) {
        return id.clone();
    }
    let id: Uuid = app.clock.new_id();
    HeaderValue::from_str(&id.to_string()).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// Adds the request's id to a problem. Turns a refusal by the framework (bad path, wrong method, body too large) into a
/// problem and keeps its headers.
async fn as_problem(response: Response, request_id: &str) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let problem = match parts.extensions.remove::<Problem>() {
        Some(problem) => problem,
        None => {
            let is_text =
                parts.headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
            if !is_text {
                return Response::from_parts(parts, body);
            }
            let text = to_bytes(body, REFUSAL_MAX).await.unwrap_or_default();
            refusal(status, &String::from_utf8_lossy(&text))
        }
    };
    let body = problem.body(Some(request_id));
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, super::problem::PROBLEM_JSON);
    Response::from_parts(parts, Body::from(body))
}

fn refusal(status: StatusCode, text: &str) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::new(status, "There is nothing at this address."),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(status, "This address does not take this method; see Allow."),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(status, "The body is larger than this address takes."),
        _ if text.is_empty() => Problem::new(status, status.canonical_reason().unwrap_or("Refused.")),
        _ => Problem::new(status, text),
    }
}
