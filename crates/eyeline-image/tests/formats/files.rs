//! Builders of files that common encoders do not write.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

pub fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.into().write_to(&mut file, format).expect("encodes");
    file.into_inner()
}

/// JPEG with these settings. `samples` has as many bytes a pixel as `color` requires.
pub fn jpeg(
    samples: &[u8],
    size: (u32, u32),
    color: ColorType,
    sampling: SamplingFactor,
    progressive: bool,
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 95);
    encoder.set_sampling_factor(sampling);
    encoder.set_progressive(progressive);
    encoder.encode(samples, size.0 as u16, size.1 as u16, color).expect("encodes");
    file
}

/// A plain JPEG in 4:2:0.
pub fn photo(picture: &RgbImage) -> Vec<u8> {
    jpeg(picture, picture.dimensions(), ColorType::Rgb, SamplingFactor::R_4_2_0, false)
}

/// A JPEG file with one more segment after its first marker.
pub fn with_segment(file: &[u8], marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 2).expect("a short segment").to_be_bytes();
    [&file[..2], &[0xff, marker], &length, payload, &file[2..]].concat()
}

/// A chunk's kind and data.
pub type Chunk = (&'static [u8; 4], Vec<u8>);

/// How a PNG file stores its pixels.
#[derive(Clone, Copy, Debug)]
pub struct PngForm {
    pub color: u8,
    pub depth: u8,
    pub interlaced: bool,
}

impl PngForm {
    pub fn channels(self) -> usize {
        match self.color {
            2 => 3,
            4 => 2,
            6 => 4,
            _ => 1,
        }
    }

    pub fn largest(self) -> u16 {
        ((1_u32 << self.depth) - 1) as u16
    }
}

/// The seven passes of an interlaced PNG: first column and row, and the steps between columns and rows.
const PASSES: [(u32, u32, u32, u32); 7] =
    [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];

/// A PNG file of stored samples, with further chunks before its pixels.
pub fn png(
    (width, height): (u32, u32),
    form: PngForm,
    pixel: impl Fn(u32, u32) -> Vec<u16>,
    further: &[Chunk],
) -> Vec<u8> {
    let passes = if form.interlaced { PASSES.as_slice() } else { &[(0, 0, 1, 1)] };
    let mut pixels = Vec::new();
    for &(first_x, first_y, step_x, step_y) in passes {
        if first_x >= width {
            continue;
        }
        for y in (first_y..height).step_by(step_y as usize) {
            let samples = (first_x..width).step_by(step_x as usize).flat_map(|x| pixel(x, y));
            pixels.push(0);
            pixels.extend(packed(samples, form.depth));
        }
    }
    let [width, height] = [width, height].map(u32::to_be_bytes);
    let header = [&width[..], &height, &[form.depth, form.color, 0, 0, u8::from(form.interlaced)]].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(png_chunk(b"IHDR", &header));
    for (kind, data) in further {
        file.extend(png_chunk(kind, data));
    }
    file.extend(png_chunk(b"IDAT", &stored(&pixels)));
    file.extend(png_chunk(b"IEND", b""));
    file
}

pub fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [kind.as_slice(), data].concat();
    let length = u32::try_from(data.len()).expect("short").to_be_bytes();
    [&length[..], &named, &crc32(&named).to_be_bytes()].concat()
}

/// Samples of `depth` bits, the first in the highest bits, rows ending in a whole byte.
fn packed(samples: impl Iterator<Item = u16>, depth: u8) -> Vec<u8> {
    if depth == 16 {
        return samples.flat_map(u16::to_be_bytes).collect();
    }
    let (mut bytes, mut filled) = (Vec::new(), 8);
    for sample in samples {
        if filled == 8 {
            bytes.push(0);
            filled = 0;
        }
        filled += depth;
        if let Some(byte) = bytes.last_mut() {
            *byte |= (sample as u8) << (8 - filled);
        }
    }
    bytes
}

/// A zlib stream without compression.
pub fn stored(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = data.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    let (low, high) = data.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    stream.extend((high << 16 | low).to_be_bytes());
    stream
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// A WebP chunk, padded to an even length.
pub fn webp_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("short").to_le_bytes();
    let padding = vec![0; data.len() % 2];
    [kind.as_slice(), &length, data, &padding].concat()
}

/// A WebP container of these chunks.
pub fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = [b"WEBP".to_vec(), chunks.concat()].concat();
    [b"RIFF".as_slice(), &u32::try_from(body.len()).expect("short").to_le_bytes(), &body].concat()
}

/// The payload of a VP8X chunk: the other contents of the file, and the size of its canvas.
pub fn webp_features(flags: u8, (width, height): (u32, u32)) -> Vec<u8> {
    let side = |side: u32| (side - 1).to_le_bytes();
    [&[flags, 0, 0, 0], &side(width)[..3], &side(height)[..3]].concat()
}
