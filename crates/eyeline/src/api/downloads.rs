//! Serves the bytes behind links straight from the objects, without a query. The address is the only credential.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use eyeline_store::ObjectKey;
use eyeline_store::objects::{self, Area};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::ops::Range;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::openapi::FileBytes;
use super::{Answer, Problem, Query};
use crate::app::App;

/// A public version never changes under its address. Copies in caches live for at most a day, because the image may
/// become private.
const PUBLIC: HeaderValue = HeaderValue::from_static("public, max-age=86400, immutable");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, max-age=300");

pub fn root_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(public)).routes(routes!(private)).routes(routes!(original))
}

/// Get a public version
///
/// The address is immutable, and needs no credential.
#[utoipa::path(
    get, path = "/public/{folder}/{name}", operation_id = "get_public_version", tag = "images", security(()),
    params(("folder" = String, Path), ("name" = String, Path)),
    responses(
        (status = 200, description = "The picture.", body = FileBytes, content_type = "image/*"),
        (status = 206, body = FileBytes, content_type = "image/*"),
        (status = 304), (status = 416),
    )
)]
async fn public(
    State(app): State<App>,
    Path((folder, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer<Response> {
    let key = key(Area::Public, &folder, &name)?;
    let mut response = serve(&app, &key, &headers).await?;
    let answered = response.headers_mut();
    answered.insert(header::CONTENT_TYPE, HeaderValue::from_static(key.content_type()));
    answered.insert(header::CACHE_CONTROL, PUBLIC);
    // The image is public, so a page of any origin may draw it.
    answered.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answered.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    Ok(response)
}

/// Get a private version
///
/// The address is signed and expires.
#[utoipa::path(
    get, path = "/private/{folder}/{name}", operation_id = "get_private_version", tag = "images", security(()),
    params(
        ("folder" = String, Path), ("name" = String, Path), ("expires" = i64, Query), ("signature" = String, Query),
    ),
    responses(
        (status = 200, description = "The picture.", body = FileBytes, content_type = "image/*"),
        (status = 206, body = FileBytes, content_type = "image/*"),
        (status = 304), (status = 416),
        (status = 403, description = "The link was changed or has expired."),
    )
)]
async fn private(
    State(app): State<App>,
    Path((folder, name)): Path<(String, String)>,
    query: Query,
    headers: HeaderMap,
) -> Answer<Response> {
    let key = key(Area::Private, &folder, &name)?;
    check_signature(&app, &key, query)?;
    let mut response = serve(&app, &key, &headers).await?;
    let answered = response.headers_mut();
    answered.insert(header::CONTENT_TYPE, HeaderValue::from_static(key.content_type()));
    answered.insert(header::CACHE_CONTROL, PRIVATE);
    Ok(response)
}

/// Get an original
///
/// The file byte for byte as it was sent, as a download. The address is signed and expires.
#[utoipa::path(
    get, path = "/originals/{image_id}/{name}", operation_id = "get_original", tag = "images", security(()),
    params(
        ("image_id" = String, Path), ("name" = String, Path), ("filename" = Option<String>, Query),
        ("expires" = i64, Query), ("signature" = String, Query),
    ),
    responses(
        (status = 200, description = "The file.", body = FileBytes, content_type = "application/octet-stream"),
        (status = 206, body = FileBytes, content_type = "application/octet-stream"),
        (status = 304), (status = 416),
        (status = 403, description = "The link was changed or has expired."),
    )
)]
async fn original(
    State(app): State<App>,
    Path((image_id, name)): Path<(String, String)>,
    query: Query,
    headers: HeaderMap,
) -> Answer<Response> {
    let key = key(Area::Originals, &image_id, &name)?;
    let filename = check_signature(&app, &key, query)?;
    let mut response = serve(&app, &key, &headers).await?;
    let answered = response.headers_mut();
    // An original may hold anything: a browser must not open it as a page of this site.
    answered.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    answered.insert(header::CONTENT_DISPOSITION, attachment(&filename));
    answered.insert(header::CACHE_CONTROL, PRIVATE);
    Ok(response)
}

fn key(area: Area, folder: &str, name: &str) -> Answer<ObjectKey> {
    let key = ObjectKey::parse(&format!("{}/{folder}/{name}", area.as_str()));
    key.ok_or_else(|| Problem::not_found("file"))
}

/// The name to save the file as. The signature covers it.
fn check_signature(app: &App, key: &ObjectKey, mut query: Query) -> Answer<String> {
    let filename = query.text("filename", 1_000).unwrap_or_default();
    let expires = query.parsed("expires", "a number", |text| text.parse::<i64>().ok());
    let signature = query.text("signature", 256);
    match (expires, signature) {
        (Some(expires), Some(signature))
            if app.object_links.is_valid(key, expires, &filename, &signature, app.clock.real_now()) =>
        {
            Ok(filename)
        }
        _ => Err(Problem::forbidden("This link is not signed by this server, was changed, or has expired.")),
    }
}

async fn serve(app: &App, key: &ObjectKey, headers: &HeaderMap) -> Answer<Response> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // The key is random and its bytes never change, so it is its own validator.
    let etag = format!("\"{}\"", key.as_str().replace('/', "-"));
    let fresh = text(header::IF_NONE_MATCH)
        .is_some_and(|given| given == "*" || given.split(',').any(|one| one.trim().trim_start_matches("W/") == etag));
    let unchanged = text(header::IF_RANGE).is_none_or(|given| given == etag);
    let asked = text(header::RANGE).filter(|_| unchanged);

    let missing = || Problem::not_found("file");
    let mut range = None;
    if fresh || asked.is_some() {
        let bytes_total = app.objects.head(key).await?.ok_or_else(missing)?.bytes;
        if fresh {
            return Ok(finished(StatusCode::NOT_MODIFIED, &etag, Body::empty()));
        }
        range = match asked.map_or(Asked::All, |asked| read_range(asked, bytes_total)) {
            Asked::All => None,
            Asked::Part(range) => Some(range),
            Asked::Nothing => {
                let detail = format!("The file has {bytes_total} bytes; the range lies beyond them.");
                let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, detail);
                return Err(match HeaderValue::from_str(&format!("bytes */{bytes_total}")) {
                    Ok(range) => problem.header(header::CONTENT_RANGE, range),
                    Err(_) => problem,
                });
            }
        };
    }
    let reading = app.objects.read(key, range.clone()).await?.ok_or_else(missing)?;
    let bytes_total = reading.bytes_total;
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = finished(status, &etag, Body::from_stream(reading.stream));
    let length = range.as_ref().map_or(bytes_total, |range| range.end - range.start);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(range) = range
        && let Ok(value) = HeaderValue::from_str(&format!("bytes {}-{}/{bytes_total}", range.start, range.end - 1))
    {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

/// The headers of every answer about an object.
fn finished(status: StatusCode, etag: &str, body: Body) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

#[derive(Debug, PartialEq)]
enum Asked {
    All,
    Part(Range<u64>),
    /// Beyond the end.
    Nothing,
}

/// Reads `Range`. Several ranges and malformed ones are answered with the whole file, as RFC 9110 allows.
fn read_range(text: &str, bytes_total: u64) -> Asked {
    let Some((from, to)) = text.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Asked::All;
    };
    match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to && from < bytes_total => {
            Asked::Part(from..to.saturating_add(1).min(bytes_total))
        }
        (Ok(from), Ok(to)) if from > to => Asked::All,
        (Ok(from), Err(_)) if to.is_empty() && from < bytes_total => Asked::Part(from..bytes_total),
        (Ok(_), Ok(_)) => Asked::Nothing,
        (Ok(_), Err(_)) if to.is_empty() => Asked::Nothing,
        (Err(_), Ok(last)) if from.is_empty() && last > 0 && bytes_total > 0 => {
            Asked::Part(bytes_total.saturating_sub(last)..bytes_total)
        }
        (Err(_), Ok(_)) if from.is_empty() => Asked::Nothing,
        _ => Asked::All,
    }
}

fn attachment(filename: &str) -> HeaderValue {
    let value = HeaderValue::from_str(&objects::attachment(filename));
    value.unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_size_and_refused_beyond_it() {
        assert_eq!(read_range("bytes=0-0", 10), Asked::Part(0..1));
        assert_eq!(read_range("bytes=2-", 10), Asked::Part(2..10));
        assert_eq!(read_range("bytes=-3", 10), Asked::Part(7..10));
        assert_eq!(read_range("bytes=-30", 10), Asked::Part(0..10));
        assert_eq!(read_range("bytes=5-99", 10), Asked::Part(5..10));
        assert_eq!(read_range("bytes=10-", 10), Asked::Nothing);
        assert_eq!(read_range("bytes=-0", 10), Asked::Nothing);
        for all in ["bytes=5-2", "bytes=a-b", "items=0-1", "bytes=0-1,4-5", "bytes=-", "bytes=0-18446744073709551616"] {
            assert_eq!(read_range(all, 10), Asked::All, "{all}");
        }
        assert_eq!(read_range("bytes=0-18446744073709551615", 10), Asked::Part(0..10));
    }
}
