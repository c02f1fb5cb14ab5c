//! Bodies that may be compressed (`Content-Encoding: gzip` or `zstd`).

use std::io::{self, Read};

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use bytes::Buf as _;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use zstd::Decoder;

use super::encoding::utf8;
use super::{Answer, Problem, room};
use crate::app::App;
use crate::bodies::Room;

/// The largest window of a zstd frame, as a power of two: memory of the decompression besides the body.
pub(super) const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// A request's headers and its text, unpacked and without a byte order mark, of at most `MAX` bytes. Unpacking stops at
/// the limit, however far a small body would expand, and the request gets 413.
pub struct Unpacked<const MAX: usize> {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl<const MAX: usize> FromRequest<App> for Unpacked<MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _app: &App) -> Answer<Self> {
        let (parts, body) = request.into_parts();
        let body = collect(body, MAX).await?;
        let body = match Packing::of(&parts.headers)? {
            None => body,
            Some(packing) => unpack(body, packing, MAX, room::of(&parts.extensions)).await?,
        };
        let body = utf8(body)?;
        Ok(Unpacked { headers: parts.headers, body })
    }
}

async fn collect(body: Body, bytes_max: usize) -> Answer<Bytes> {
    let collected = Limited::new(body, bytes_max).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let sentence = format!("At most {bytes_max} bytes are taken.");
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, sentence);
        }
        Problem::new(StatusCode::BAD_REQUEST, format!("The body could not be read: {error}."))
    })?;
    Ok(collected.to_bytes())
}

/// For addresses that take a file as it is: 415 for a compressed one.
pub fn refuse_packed(headers: &HeaderMap) -> Answer<()> {
    let encoding = encoding_of(headers);
    if encoding.is_empty() {
        return Ok(());
    }
    let sentence = format!("A file is taken as it is, without Content-Encoding; this came as {encoding}.");
    let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence);
    Err(problem.header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")))
}

/// The encodings of a body in lower case, separated by commas; empty for a body that is not compressed.
fn encoding_of(headers: &HeaderMap) -> String {
    let lines = headers.get_all(header::CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or("?"));
    let encodings = lines.flat_map(|line| line.split(',')).map(|encoding| encoding.trim().to_ascii_lowercase());
    encodings.filter(|encoding| !matches!(encoding.as_str(), "" | "identity")).collect::<Vec<_>>().join(", ")
}

/// The compression of a body.
#[derive(Clone, Copy)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    /// By the `Content-Encoding`; `None` for a body that is not packed, 415 for an encoding that is not taken.
    pub(super) fn of(headers: &HeaderMap) -> Answer<Option<Packing>> {
        match encoding_of(headers).as_str() {
            "" => Ok(None),
            "gzip" | "x-gzip" => Ok(Some(Packing::Gzip)),
            "zstd" => Ok(Some(Packing::Zstd)),
            other => {
                let sentence = format!("A body may be packed as gzip or zstd; this came as {other}.");
                Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence)
                    .header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd")))
            }
        }
    }
}

async fn unpack(packed: Bytes, packing: Packing, bytes_max: usize, room: Room) -> Answer<Bytes> {
    let unpacking = tokio::task::spawn_blocking(move || {
        let packed = packed.reader();
        match packing {
            Packing::Gzip => read_at_most(MultiGzDecoder::new(packed), bytes_max, room),
            // The window of the decompression holds a part of what is unpacked: no more than its second copy.
            Packing::Zstd => {
                let mut decoder = Decoder::with_buffer(packed)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                read_at_most(decoder, bytes_max, room)
            }
        }
    });
    let read = unpacking.await.map_err(|error| eyeline_store::Error::internal("unpacking a body", error))?;
    let body = read.map_err(broken)?;
    if body.len() > bytes_max {
        let sentence = format!("At most {bytes_max} bytes are taken, unpacked.");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, sentence));
    }
    Ok(body.into())
}

pub(super) fn broken(error: io::Error) -> Problem {
    let sentence = format!("The body is not packed as its Content-Encoding says: {error}.");
    Problem::new(StatusCode::BAD_REQUEST, sentence)
}

/// Reads one byte over the limit, which detects that there was more.
fn read_at_most(unpacking: impl Read, bytes_max: usize, room: Room) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    Counted { unpacking, room }.take(bytes_max as u64 + 1).read_to_end(&mut body)?;
    Ok(body)
}

/// A decompression whose bytes take room.
struct Counted<R> {
    unpacking: R,
    room: Room,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.unpacking.read(buffer)?;
        self.room.take(bytes).map_err(|no_room| io::Error::other(Problem::from(no_room).to_string()))?;
        Ok(bytes)
    }
}
