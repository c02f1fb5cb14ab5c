//! HEAD: the headers of GET, whatever layers and handlers make them.

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderValue, Method, header};

/// Answers a HEAD request as a GET without its body.
pub async fn wrap(mut request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    if request.method() != Method::HEAD {
        return next(request).await;
    }
    *request.method_mut() = Method::GET;
    // Both headers mean nothing with HEAD.
    request.headers_mut().remove(header::RANGE);
    request.headers_mut().remove(header::UPGRADE);
    let mut response = next(request).await;
    let body = std::mem::take(response.body_mut());
    if let Some(bytes) = body.size_hint().exact()
        && !response.status().is_redirection()
    {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(bytes));
    }
    response.map(|_| Body::empty())
}
