//! Text answers are sent gzip-compressed to clients that take it.

use std::io::{self, Write as _};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// Bytes below which the headers of a compressed answer outweigh the saving.
const BODY_MIN: u64 = 1024;
/// Bytes that are compressed before other tasks run: a few milliseconds.
const PIECE_BYTES: usize = 64 * 1024;

pub async fn wrap(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let takes_gzip = takes_gzip(request.headers());
    let mut response = next(request).await;
    let is_text = is_text(response.headers());
    // A 304 stands for an answer in either form.
    if is_text || response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    let is_plain = !response.headers().contains_key(header::CONTENT_ENCODING);
    let is_small = response.body().size_hint().upper().is_some_and(|bytes| bytes < BODY_MIN);
    // A range counts the bytes of the plain form.
    let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
    if takes_gzip && is_text && is_plain && !is_small && !is_part { compressed(response) } else { response }
}

/// True if `Accept-Encoding` names gzip or `*` without `q=0`.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let named = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let codings: Vec<(String, bool)> = named.flat_map(|names| names.split(',')).map(read_coding).collect();
    let verdict = |wanted: &str| codings.iter().find(|(name, _)| name == wanted).map(|(_, is_taken)| *is_taken);
    verdict("gzip").or_else(|| verdict("*")).unwrap_or(false)
}

/// The name of a coding, and true if the client accepts it.
fn read_coding(text: &str) -> (String, bool) {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    (name, weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0)))
}

/// Text that is whole. A stream of events is not: its events must not wait for a compressor.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_text = kind.starts_with("text/") && kind != "text/event-stream";
    is_text || kind.ends_with("json") || kind.ends_with("+xml") || kind == "application/xml"
}

fn compressed(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let headers = &mut parts.headers;
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    // The two forms differ in bytes, so only a weak tag is right for both.
    let weak = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).filter(|tag| !tag.starts_with("W/"));
    if let Some(weak) = weak.and_then(|tag| HeaderValue::from_str(&format!("W/{tag}")).ok()) {
        headers.insert(header::ETAG, weak);
    }
    Response::from_parts(parts, gzip(body))
}

fn gzip(body: Body) -> Body {
    // The client of a stream may wait for each of its parts, so each is flushed.
    let is_whole = body.size_hint().exact().is_some();
    let encoder = GzEncoder::new(Vec::new(), Compression::default());
    let begun = (body.into_data_stream(), Bytes::new(), Some(encoder));
    Body::from_stream(stream::try_unfold(begun, move |(mut chunks, mut rest, encoder)| async move {
        let Some(mut encoder) = encoder else { return Ok(None) };
        if rest.is_empty() {
            match chunks.next().await {
                Some(chunk) => rest = chunk.map_err(io::Error::other)?,
                None => return Ok(Some((Bytes::from(encoder.finish()?), (chunks, rest, None)))),
            }
        } else {
            tokio::task::yield_now().await;
        }
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        encoder.write_all(&piece)?;
        if !is_whole {
            encoder.flush()?;
        }
        let packed = Bytes::from(std::mem::take(encoder.get_mut()));
        io::Result::Ok(Some((packed, (chunks, rest, Some(encoder)))))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_is_taken_unless_it_is_ruled_out() {
        for (text, is_taken) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0, *", false),
            ("gzip; q=0.000", false),
            ("identity", false),
            ("br", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(text))]);
            assert_eq!(takes_gzip(&headers), is_taken, "{text}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn text_is_told_from_pictures_and_streams_of_events() {
        for (kind, expected) in [
            ("text/html; charset=utf-8", true),
            ("application/json", true),
            ("application/problem+json", true),
            ("application/x-ndjson", true),
            ("image/svg+xml", true),
            ("text/event-stream", false),
            ("image/jpeg", false),
            ("application/vnd.apache.arrow.stream", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(is_text(&headers), expected, "{kind}");
        }
    }
}
