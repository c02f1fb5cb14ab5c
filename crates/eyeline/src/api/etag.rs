//! `ETag` and `If-None-Match` for every JSON answer that sets no tag of its own, and `Cache-Control` for every answer that
//! sets none.

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::secrets::sha256;

/// Bytes of the largest answer that is hashed.
const BODY_MAX: u64 = 1024 * 1024;

pub async fn wrap(request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    let asked = request.headers().get(header::IF_NONE_MATCH).cloned();
    let mut response = next.run(request).await;
    // No cache may serve one client's answer to another, unless the answer allows it.
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    let headers = response.headers();
    let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == b"application/json");
    let is_whole = response.body().size_hint().exact().is_some_and(|bytes| bytes <= BODY_MAX);
    if response.status() != StatusCode::OK || !is_json || !is_whole || headers.contains_key(header::ETAG) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // The body is in memory and within the bound, so reading it cannot fail.
    let body = to_bytes(body, BODY_MAX as usize).await.unwrap_or_default();
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&sha256(&body)[..16]));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    if asked.is_some_and(|asked| matches(&asked, &tag)) {
        return not_modified(&parts.headers);
    }
    Response::from_parts(parts, Body::from(body))
}

/// True if `If-None-Match` names this tag; weak tags match too (RFC 9110, 13.1.2).
pub fn matches(asked: &HeaderValue, tag: &str) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let asked = asked.to_str().unwrap_or_default();
    asked.trim() == "*" || asked.split(',').any(|candidate| strong(candidate) == strong(tag))
}

/// 304 with the headers that a cache needs.
pub fn not_modified(headers: &HeaderMap) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    for name in [header::ETAG, header::CACHE_CONTROL, header::VARY] {
        for value in headers.get_all(&name) {
            response.headers_mut().append(&name, value.clone());
        }
    }
    response
}
