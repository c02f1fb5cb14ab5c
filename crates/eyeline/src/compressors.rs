//! The compressors of a process: a few, so that their memory and their part of the processors have a bound.

use std::io::{self, Write as _};

use axum::body::{Body, Bytes};
use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes that are compressed before other tasks run.
const PIECE_BYTES: usize = 64 * 1024;

/// Short answers that are compressed in parallel.
const SHORT_PLACES: usize = 2;
/// Longer answers that are compressed in parallel.
const LONG_PLACES: usize = 1;

/// The most memory of a compressor, by the sizes of brotli's tables: 512 KiB for hashes, and about 20 bytes for each byte
/// of a short answer. Gzip needs less.
const SHORT_BYTES: u64 = 1856 * 1024;
/// The window, the commands and the histograms of two blocks, and the old commands while the table grows.
const LONG_BYTES: u64 = 3200 * 1024;
/// The memory of all of them.
pub const MEMORY_BYTES: u64 = SHORT_PLACES as u64 * SHORT_BYTES + LONG_PLACES as u64 * LONG_BYTES;

/// Brotli: the lowest level that splits a block by its statistics.
const QUALITY: i32 = 4;
/// Brotli: the logarithm of the bytes that it looks back over. Its memory doubles with each.
const WINDOW: i32 = 16;

/// A compressed form of answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    Brotli,
    Gzip,
}

/// A compressed answer is finished before its first byte is sent: a client that reads slowly holds no compressor.
pub struct Compressors {
    short: Semaphore,
    long: Semaphore,
}

impl Default for Compressors {
    fn default() -> Self {
        Compressors { short: Semaphore::new(SHORT_PLACES), long: Semaphore::new(LONG_PLACES) }
    }
}

impl Compressors {
    /// Reads `body`, whose length is `bytes`, and returns its compressed form. `None` if every compressor for such a
    /// length is busy; then nothing was read.
    pub async fn compress(&self, coding: Coding, bytes: u64, body: &mut Body) -> Option<io::Result<Vec<u8>>> {
        let _place = self.place(bytes).await?;
        Some(compress(coding, body).await)
    }

    /// A short answer waits for others of its kind, which take milliseconds. A long one does not wait.
    async fn place(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        if bytes <= PIECE_BYTES as u64 { self.short.acquire().await.ok() } else { self.long.try_acquire().ok() }
    }
}

async fn compress(coding: Coding, body: &mut Body) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::new(coding);
    let mut is_first = true;
    while let Some(frame) = body.frame().await {
        let mut rest: Bytes = frame.map_err(io::Error::other)?.into_data().unwrap_or_default();
        while !rest.is_empty() {
            if !std::mem::take(&mut is_first) {
                tokio::task::yield_now().await;
            }
            let piece = rest.split_to(rest.len().min(PIECE_BYTES));
            encoder.write(&piece)?;
        }
    }
    encoder.finish()
}

enum Encoder {
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> Self {
        match coding {
            Coding::Brotli => {
                let parameters = BrotliEncoderParams { quality: QUALITY, lgwin: WINDOW, ..Default::default() };
                Encoder::Brotli(Box::new(CompressorWriter::with_params(Vec::new(), 4096, &parameters)))
            }
            Coding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::default())),
        }
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Encoder::Brotli(encoder) => encoder.write_all(piece),
            Encoder::Gzip(encoder) => encoder.write_all(piece),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Brotli(encoder) => Ok(encoder.into_inner()),
            Encoder::Gzip(encoder) => encoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn unpacked(coding: Coding, packed: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let read = match coding {
            Coding::Brotli => brotli::Decompressor::new(packed, 4096).read_to_end(&mut plain),
            Coding::Gzip => flate2::read::GzDecoder::new(packed).read_to_end(&mut plain),
        };
        read.expect("a whole compressed text");
        plain
    }

    #[tokio::test]
    async fn every_byte_is_there_again_whatever_the_length() {
        let compressors = Compressors::default();
        for coding in [Coding::Brotli, Coding::Gzip] {
            for bytes in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3_000_000] {
                let text: Vec<u8> = (0..bytes).map(|at| b"abcdefgh"[(at * at / 7 + at) % 8]).collect();
                let packed = compressors.compress(coding, bytes as u64, &mut Body::from(text.clone())).await;
                let packed = packed.expect("a free compressor").expect("a text in memory");
                assert!(unpacked(coding, &packed) == text, "{coding:?}, {bytes} bytes");
            }
        }
    }

    #[tokio::test]
    async fn long_answers_that_are_compressed_keep_no_short_one_waiting() {
        let compressors = Compressors::default();
        let long = PIECE_BYTES as u64 + 1;
        let held: Vec<_> = (0..LONG_PLACES).map(|_| compressors.long.try_acquire().expect("a place")).collect();
        assert!(compressors.place(long).await.is_none(), "a long one is sent plain");
        assert!(compressors.place(PIECE_BYTES as u64).await.is_some());
        drop(held);
        assert!(compressors.place(long).await.is_some());
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        let pieces = [Ok(Bytes::from_static(b"begun")), Err(io::Error::other("lost"))];
        let mut body = Body::from_stream(futures::stream::iter(pieces));
        let ended = Compressors::default().compress(Coding::Brotli, 10, &mut body).await;
        assert!(ended.expect("a free compressor").is_err());
    }
}
