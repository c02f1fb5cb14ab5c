//! `ETag` and `If-None-Match` for every JSON answer that sets no tag of its own, and `Cache-Control` for every answer that
//! sets none.

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eyeline_store::Error;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::Problem;
use crate::secrets::sha256;

/// Bytes of the largest answer that is hashed at once. A larger one is hashed away from the tasks that answer requests.
const AT_ONCE_BYTES: usize = 256 * 1024;

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
    // JSON whose length is known is in memory already.
    let is_whole = response.body().size_hint().exact().is_some();
    if response.status() != StatusCode::OK || !is_json || !is_whole || headers.contains_key(header::ETAG) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else { return Problem::from(unread()).into_response() };
    let hash = if body.len() <= AT_ONCE_BYTES {
        sha256(&body)
    } else {
        let body = body.clone();
        match tokio::task::spawn_blocking(move || sha256(&body)).await {
            Ok(hash) => hash,
            Err(_) => return Problem::from(unread()).into_response(),
        }
    };
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&hash[..16]));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    if asked.is_some_and(|asked| matches(&asked, &tag)) {
        return not_modified(&parts.headers);
    }
    Response::from_parts(parts, Body::from(body))
}

fn unread() -> Error {
    Error::internal("tagging an answer", "it could not be read")
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

#[cfg(test)]
mod tests {
    use axum::middleware::from_fn;
    use axum::{Json, Router, routing};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_of_any_size_has_a_tag() {
        for bytes in [10, AT_ONCE_BYTES, 3 << 20] {
            let answer = routing::get(move || async move { Json("x".repeat(bytes)) });
            let routes: Router = Router::new().route("/", answer).layer(from_fn(wrap));
            let ask = async |tag: &str| {
                let request = Request::get("/").header(header::IF_NONE_MATCH, tag).body(Body::empty());
                routes.clone().oneshot(request.expect("a request")).await.unwrap_or_else(|never| match never {})
            };
            let first = ask("\"other\"").await;
            let tag = first.headers().get(header::ETAG).expect("a tag").to_str().expect("text").to_owned();
            assert_eq!(to_bytes(first.into_body(), usize::MAX).await.expect("a body").len(), bytes + 2);
            assert_eq!(ask(&tag).await.status(), StatusCode::NOT_MODIFIED, "{bytes}");
        }
    }
}
