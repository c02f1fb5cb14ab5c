//! The web application, and the scripts for pages of others, built into the binary.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{Answer, Problem, etag};
use crate::app::App;
use crate::compressors::Coding;

/// A file of the folder `web`. A short one has no compressed forms.
struct Asset {
    path: &'static str,
    /// A strong `ETag` of the plain form.
    tag: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// Written by `build.rs`.
const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The application's pages are not part of the API, so they are not described.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/", routing::get(async |headers: HeaderMap| serve("index.html", &headers)))
        .route("/docs", routing::get(async |headers: HeaderMap| serve("docs.html", &headers)))
        .route("/licenses.txt", routing::get(async |headers: HeaderMap| serve("bundle/LICENSES.txt", &headers)))
        .route("/eyeline.js", routing::get(async |headers: HeaderMap| serve_script("eyeline.js", &headers)))
        .route(
            "/eyeline-gallery.js",
            routing::get(async |headers: HeaderMap| serve_script("eyeline-gallery.js", &headers)),
        )
        .route("/assets/{*path}", routing::get(async |path, headers: HeaderMap| serve_hashed(path, &headers)))
        .route("/app/{*path}", routing::get(async |path, headers: HeaderMap| serve_below("app", path, &headers)))
        .route("/dist/{*path}", routing::get(async |path, headers: HeaderMap| serve_below("dist", path, &headers)))
}

fn serve_below(folder: &str, Path(path): Path<String>, headers: &HeaderMap) -> Answer<Response> {
    serve(&format!("{folder}/{path}"), headers)
}

/// A page of our own, or a part of it.
fn serve(path: &str, headers: &HeaderMap) -> Answer<Response> {
    // These names do not change with their content. A browser asks each time and usually gets a 304.
    let own = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // The pages state their own policy. `frame-ancestors` works in a header only.
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'none'")),
    ];
    answer(path, headers, own)
}

/// A part of the application, whose name has a hash of its content: it never changes.
fn serve_hashed(Path(path): Path<String>, headers: &HeaderMap) -> Answer<Response> {
    let own = [
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    ];
    answer(&format!("bundle/{path}"), headers, own)
}

/// A script that pages of any origin may load.
fn serve_script(name: &str, headers: &HeaderMap) -> Answer<Response> {
    let shared = [
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300, stale-while-revalidate=86400")),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
    ];
    answer(&format!("dist/{name}"), headers, shared)
}

fn answer(path: &str, headers: &HeaderMap, further: [(HeaderName, HeaderValue); 3]) -> Answer<Response> {
    let asset = ASSETS.iter().find(|asset| asset.path == path).ok_or_else(|| Problem::not_found("page"))?;
    let mut answer = HeaderMap::from_iter(further);
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    answer.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer.insert(header::ETAG, HeaderValue::from_static(asset.tag));
    if headers.get(header::IF_NONE_MATCH).is_some_and(|asked| etag::matches(asked, asset.tag)) {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    let coding = Coding::preferred(headers);
    let packed = match coding {
        Some(Coding::Brotli) => asset.brotli,
        Some(Coding::Gzip) => asset.gzip,
        None => None,
    };
    if let (Some(coding), Some(_)) = (coding, packed) {
        coding.mark(&mut answer);
    }
    Ok((answer, packed.unwrap_or(asset.plain)).into_response())
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}
