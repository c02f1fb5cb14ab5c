//! A body of any length, decompressed while it streams in, a bounded piece at a time.

use std::io::{self, Write as _};

use axum::body::Bytes;
use flate2::write::MultiGzDecoder;
use http::{HeaderMap, StatusCode};
use zstd::stream::raw::{DParameter, Decoder, Operation as _};

use crate::api::unpacked::{self, ZSTD_WINDOW_LOG_MAX, broken};
use crate::api::{Answer, Problem};

/// Of a body, as it is sent and unpacked.
const BODY_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Decompressed bytes of a piece.
const PIECE_BYTES: usize = 64 * 1024;
/// Compressed bytes that gzip takes in one go. They expand at most a thousandfold.
const GZIP_BYTES: usize = 512;

/// [`Unpacking::put`] what came, take the pieces, and [`Unpacking::finish`] at the end of the body.
pub struct Unpacking {
    /// Received bytes that are not unpacked yet.
    packed: Bytes,
    packing: Packing,
    bytes_in: u64,
    bytes_out: u64,
}

enum Packing {
    None,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd {
        decoder: Decoder<'static>,
        /// Zero at the end of a frame.
        remaining: usize,
        /// The last piece had no room for all that is unpacked.
        has_more: bool,
    },
}

impl Unpacking {
    /// By the `Content-Encoding`; 415 for one that is not taken.
    pub fn of(headers: &HeaderMap) -> Answer<Self> {
        let packing = match unpacked::Packing::of(headers)? {
            None => Packing::None,
            Some(unpacked::Packing::Gzip) => Packing::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Some(unpacked::Packing::Zstd) => {
                let mut decoder = Decoder::new().map_err(broken)?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)).map_err(broken)?;
                Packing::Zstd { decoder, remaining: 0, has_more: false }
            }
        };
        Ok(Unpacking { packed: Bytes::new(), packing, bytes_in: 0, bytes_out: 0 })
    }

    pub fn is_packed(&self) -> bool {
        !matches!(self.packing, Packing::None)
    }

    /// Bytes of memory that it uses in addition to the pieces.
    pub fn memory(&self) -> usize {
        match self.packing {
            Packing::None | Packing::Gzip(_) => PIECE_BYTES,
            Packing::Zstd { .. } => 1 << ZSTD_WINDOW_LOG_MAX,
        }
    }

    /// Only after [`Unpacking::next`] has given `None`.
    pub fn put(&mut self, packed: Bytes) -> Answer<()> {
        self.bytes_in += packed.len() as u64;
        self.packed = packed;
        within_bound(self.bytes_in)
    }

    /// The next piece of what was put in; `None` when more is needed.
    pub fn next(&mut self) -> Answer<Option<Bytes>> {
        let piece = match &mut self.packing {
            Packing::Zstd { decoder, remaining, has_more } if *has_more || !self.packed.is_empty() => {
                let mut piece = vec![0; PIECE_BYTES];
                let status = decoder.run_on_buffers(&self.packed, &mut piece).map_err(broken)?;
                drop(self.packed.split_to(status.bytes_read));
                piece.truncate(status.bytes_written);
                *remaining = status.remaining;
                *has_more = status.bytes_written == PIECE_BYTES && status.remaining > 0;
                piece.into()
            }
            _ if self.packed.is_empty() => return Ok(None),
            Packing::None => std::mem::take(&mut self.packed),
            Packing::Gzip(decoder) => {
                let packed = self.packed.split_to(GZIP_BYTES.min(self.packed.len()));
                decoder.write_all(&packed).and_then(|()| decoder.flush()).map_err(broken)?;
                std::mem::take(decoder.get_mut()).into()
            }
            Packing::Zstd { .. } => return Ok(None),
        };
        self.bytes_out += piece.len() as u64;
        within_bound(self.bytes_out)?;
        Ok(Some(piece))
    }

    /// Says that the body is at its end; an error if what was packed is not.
    pub fn finish(&mut self) -> Answer<()> {
        match &mut self.packing {
            Packing::Gzip(decoder) => decoder.try_finish().map_err(broken),
            Packing::Zstd { remaining, .. } if *remaining > 0 => Err(broken(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }
}

fn within_bound(bytes: u64) -> Answer<()> {
    if bytes <= BODY_BYTES_MAX {
        return Ok(());
    }
    let detail = format!("A body may have at most {BODY_BYTES_MAX} bytes, packed and unpacked.");
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::{HeaderValue, header};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 3).expect("memory")
    }

    /// The unpacked body, and the bytes of its largest piece.
    fn unpacked(encoding: &'static str, body: &[u8], length: usize) -> Answer<(Vec<u8>, usize)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        let mut unpacking = Unpacking::of(&headers)?;
        let (mut all, mut largest) = (Vec::new(), 0);
        for packed in body.chunks(length) {
            unpacking.put(Bytes::copy_from_slice(packed))?;
            while let Some(piece) = unpacking.next()? {
                largest = largest.max(piece.len());
                all.extend_from_slice(&piece);
            }
        }
        unpacking.finish()?;
        Ok((all, largest))
    }

    #[test]
    fn a_body_comes_out_as_it_was_wherever_it_is_cut() {
        let text: Vec<u8> = (0..300_000u32).flat_map(|number| number.to_string().into_bytes()).collect();
        let twice = [&text[..], &text[..]].concat();
        for (encoding, body, expected) in [
            ("identity", text.clone(), &text),
            ("GZIP", gzip(&text), &text),
            ("x-gzip", [gzip(&text), gzip(&text)].concat(), &twice),
            ("zstd", zstd(&text), &text),
            ("zstd", [zstd(&text), zstd(&text)].concat(), &twice),
            ("zstd", zstd(b""), &Vec::new()),
            ("gzip", gzip(b""), &Vec::new()),
        ] {
            for length in [7, 1_000, usize::MAX] {
                let (all, _) = unpacked(encoding, &body, length).expect("a body");
                assert!(all == *expected, "{encoding} in pieces of {length}: {} bytes", all.len());
            }
        }
    }

    #[test]
    fn a_body_that_is_cut_or_damaged_is_an_error() {
        let text = b"external_id,url\n".repeat(1_000);
        for (encoding, whole) in [("gzip", gzip(&text)), ("zstd", zstd(&text))] {
            for end in 1..whole.len() {
                assert!(unpacked(encoding, &whole[..end], 50).is_err(), "{encoding} cut at {end} of {}", whole.len());
            }
            assert!(unpacked(encoding, &text, 50).is_err(), "not {encoding} at all");
        }
        assert!(unpacked("br", b"", 1).is_err_and(|problem| problem.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }

    #[test]
    fn what_swells_is_unpacked_in_bounded_pieces() {
        let zeros = vec![0; 64 * 1024 * 1024];
        for (encoding, packed) in [("gzip", gzip(&zeros)), ("zstd", zstd(&zeros))] {
            let (all, largest) = unpacked(encoding, &packed, usize::MAX).expect("a body");
            assert_eq!(all.len(), zeros.len());
            assert!(largest <= 1024 * 1024, "{encoding}: a piece of {largest} bytes");
        }
    }
}
