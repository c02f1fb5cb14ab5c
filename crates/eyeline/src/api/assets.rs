//! The web application, built into the binary.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing};
use http::{HeaderMap, HeaderValue, header};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::{Answer, Problem, etag};
use crate::app::App;
use crate::secrets::to_hex;

#[derive(RustEmbed)]
#[folder = "../../web"]
#[include = "*.html"]
#[include = "app/*"]
#[include = "vendor/*"]
struct Assets;

/// Pages and their parts are no part of the API, so they are not described.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/", routing::get(async |headers: HeaderMap| serve("index.html", &headers)))
        .route("/docs", routing::get(async |headers: HeaderMap| serve("docs.html", &headers)))
        .route("/app/{*path}", routing::get(async |path, headers: HeaderMap| serve_below("app", path, &headers)))
        .route("/vendor/{*path}", routing::get(async |path, headers: HeaderMap| serve_below("vendor", path, &headers)))
}

fn serve_below(folder: &str, Path(path): Path<String>, headers: &HeaderMap) -> Answer<Response> {
    serve(&format!("{folder}/{path}"), headers)
}

fn serve(path: &str, headers: &HeaderMap) -> Answer<Response> {
    // A development build reads from the folder itself, where a path could climb.
    let known = if path.split('/').any(|part| part == "..") { None } else { Assets::get(path) };
    let file = known.ok_or_else(|| Problem::not_found("page"))?;
    let tag = format!("\"{}\"", &to_hex(&file.metadata.sha256_hash())[..32]);
    let answer = answer_headers(path, &tag);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|asked| etag::matches(asked, &tag)) {
        return Ok(etag::not_modified(&answer));
    }
    let EmbeddedFile { data, .. } = file;
    Ok((answer, data.into_owned()).into_response())
}

fn answer_headers(path: &str, tag: &str) -> HeaderMap {
    let kind = match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        _ => "text/plain; charset=utf-8",
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // Names do not change with content: a browser asks each time and gets a 304 as a rule.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // The pages state their own policy; what only a header can say is said here.
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'none'"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers
}
