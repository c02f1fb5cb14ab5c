//! Text answers are compressed for clients that accept it: with brotli or gzip.

mod coding;

use std::io;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::response::Response;
use futures::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Full};

use crate::app::App;
use crate::compressors::{Coding, Compressors};

/// Bytes below which the headers of a compressed answer outweigh the saving.
const BODY_MIN: u64 = 1024;

pub async fn wrap(app: &App, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let coding = Coding::preferred(request.headers());
    let mut response = next(request).await;
    let is_text = is_text(response.headers());
    // A 304 stands for an answer in any form.
    if is_text || response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    let is_plain = !response.headers().contains_key(header::CONTENT_ENCODING);
    // A range counts the bytes of the plain form.
    let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
    // A body of unknown length is a stream, whose parts must not wait for a compressor.
    let bytes = response.body().size_hint().exact().unwrap_or_default();
    match coding {
        Some(coding) if is_text && is_plain && !is_part && bytes >= BODY_MIN => {
            compressed(&app.compressors, coding, bytes, response).await
        }
        _ => response,
    }
}

/// Text whose parts belong together. A stream of events is none: each of its events is complete.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_text = kind.starts_with("text/") && kind != "text/event-stream";
    is_text || kind.ends_with("json") || kind.ends_with("+xml") || kind == "application/xml"
}

/// The answer itself if no compressor is free.
async fn compressed(compressors: &Compressors, coding: Coding, bytes: u64, mut response: Response) -> Response {
    let Some(packed) = compressors.compress(coding, bytes, response.body_mut()).await else { return response };
    coding.mark(response.headers_mut());
    if let Ok(packed) = &packed {
        // The body itself does not tell, and an answer to HEAD loses it.
        response.headers_mut().insert(header::CONTENT_LENGTH, packed.len().into());
    }
    response.map(|read| match packed {
        // The plain body is empty now. It still counts its memory, until the compressed one is written.
        Ok(packed) => Body::new(Full::new(Bytes::from(packed)).map_frame(move |frame| {
            let _dropped_with_the_body = &read;
            frame
        })),
        Err(error) => Body::from_stream(stream::once(async { Err::<Bytes, io::Error>(error) })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
