//! Estimates the memory for a file from its first bytes, before it is decoded.
//!
//! Reads only sizes, without any decoder, because it runs in the server's own process on untrusted files.

use eyeline_core::{ImageErrorCode, PRESETS};

use crate::Limits;
use crate::gif::blocks::first_picture;
use crate::heif::Outline;
use crate::jpeg::structure::{Frame, Segments, marker};
use crate::sniff::{self, Format};

/// The number of first bytes that [`memory_needed`] uses. They hold all that a camera writes before the size of the
/// picture: a preview, a colour profile.
pub const START_BYTES: u64 = 256 << 10;

/// Memory of a worker in addition to the picture, with its allocator's reserve and the finished versions.
const BASE_BYTES: u64 = 64 << 20;

/// The most bytes of memory for making the versions of a file, in the worker and the calling process, which both hold a
/// copy of the file. `start` is the beginning of the file, `file_bytes` its length. A file that its header will get
/// rejected takes little. A file with an unreadable header counts as the largest.
pub fn memory_needed(start: &[u8], file_bytes: u64, limits: &Limits) -> u64 {
    let picture = match sniff::format(start).map(|format| size(format, start, file_bytes)) {
        Ok(Size::Known { width, height, pixel_bytes }) if limits.check_size(width, height).is_ok() => {
            u64::from(width) * u64::from(height) * pixel_bytes
        }
        Ok(Size::Scaled { width, height, kept_bytes, pixel_bytes }) if limits.check_size(width, height).is_ok() => {
            let pixels = u64::from(width) * u64::from(height);
            pixels * kept_bytes + pixels.min(scaled_pixels_max()) * pixel_bytes
        }
        // Refused before it is decoded.
        Ok(Size::Known { .. } | Size::Scaled { .. } | Size::Broken) | Err(_) => 0,
        Ok(Size::Beyond) => limits.max_memory_bytes,
    };
    let worker = BASE_BYTES.saturating_add(picture).saturating_add(file_bytes).min(limits.max_memory_bytes);
    worker.saturating_add(file_bytes)
}

#[derive(Debug, PartialEq, Eq)]
enum Size {
    /// `pixel_bytes` counts every copy that may exist at the same time.
    Known { width: u32, height: u32, pixel_bytes: u64 },
    /// Like [`Size::Known`], decoded no larger than the versions need. `kept_bytes` are kept for every pixel anyway.
    Scaled { width: u32, height: u32, kept_bytes: u64, pixel_bytes: u64 },
    /// The file ends before its size, or contradicts itself.
    Broken,
    /// The size lies beyond the bytes that were read.
    Beyond,
}

fn size(format: Format, start: &[u8], file_bytes: u64) -> Size {
    let found = match format {
        Format::Jpeg => jpeg(start),
        Format::Png => png(start),
        Format::Gif => gif(start),
        Format::WebP => webp(start),
        Format::Avif | Format::Heic | Format::Heif => heif(start),
    };
    let is_whole = start.len() as u64 >= file_bytes;
    found.unwrap_or(if is_whole { Size::Broken } else { Size::Beyond })
}

/// Decoding halves a picture while it stays at least as large as the largest version. Its sides remain below twice that
/// size.
fn scaled_pixels_max() -> u64 {
    let side = PRESETS.iter().map(|preset| u64::from(preset.width.max(preset.height))).max().unwrap_or(0);
    (2 * side) * (2 * side)
}

fn bytes<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..)?.first_chunk().copied()
}

/// Decoded samples, and a copy in another form. A progressive picture keeps all its coefficients, of two bytes each, at
/// any scale. So does a picture whose scans hold only some of its components.
fn jpeg(file: &[u8]) -> Option<Size> {
    let mut segments = Segments::of(file);
    let mut frame: Option<Frame> = None;
    loop {
        let (marker, payload) = match segments.next() {
            Ok(segment) => segment,
            Err(error) if error.code == ImageErrorCode::Truncated => return None,
            Err(_) => return Some(Size::Broken),
        };
        match (marker, &frame) {
            (marker::END, _) | (marker::SCAN, None) => return Some(Size::Broken),
            (marker::SCAN, Some(Frame { coding, width, height, components, .. })) => {
                let is_sequential =
                    matches!(coding, 0 | 1 | 9) && payload.first().copied() == u8::try_from(components.len()).ok();
                let samples = components.len().min(4) as u64;
                let kept_bytes = if is_sequential { 0 } else { 2 * samples };
                return Some(Size::Scaled { width: *width, height: *height, kept_bytes, pixel_bytes: 2 * samples + 2 });
            }
            (_, None) if marker::is_frame(marker) => match Frame::read(marker, payload) {
                Ok(read) => frame = Some(read),
                Err(_) => return Some(Size::Broken),
            },
            _ => {}
        }
    }
}

/// The unpacked rows, and a copy without opacity, in other colours, or turned.
fn png(file: &[u8]) -> Option<Size> {
    let [width, height] = [u32::from_be_bytes(bytes(file, 16)?), u32::from_be_bytes(bytes(file, 20)?)];
    let color = *file.get(25)?;
    let mut has_alpha = color & 4 != 0;
    let mut at = 8;
    while !has_alpha {
        let length = u32::from_be_bytes(bytes(file, at)?) as usize;
        match &bytes::<4>(file, at + 4)? {
            b"tRNS" => has_alpha = true,
            b"IDAT" => break,
            _ => at = at.checked_add(length)?.checked_add(12)?,
        }
    }
    Some(Size::Known { width, height, pixel_bytes: if has_alpha { 10 } else { 8 } })
}

/// The canvas, its first picture, and a copy in another form. The picture may be larger than the stated canvas.
fn gif(file: &[u8]) -> Option<Size> {
    let side = |at| Some(u32::from(u16::from_le_bytes(bytes(file, at)?)));
    let (width, height) = (side(6)?, side(8)?);
    let picture = first_picture(file)?;
    Some(Size::Known { width: width.max(picture.right), height: height.max(picture.bottom), pixel_bytes: 14 })
}

/// The decoder's planes, the picture, and a copy in another form.
fn webp(file: &[u8]) -> Option<Size> {
    const PIXEL_BYTES: u64 = 16;
    let (width, height) = match &bytes::<4>(file, 12)? {
        b"VP8X" => {
            let side = |at| Some(1 + (u32::from_le_bytes(bytes(file, at)?) & 0x00ff_ffff));
            // In a complete file the last of these six bytes is never the last byte.
            (side(24)?, side(27)?)
        }
        b"VP8L" => {
            let bits = u32::from_le_bytes(bytes(file, 21)?);
            (1 + (bits & 0x3fff), 1 + ((bits >> 14) & 0x3fff))
        }
        b"VP8 " => {
            let side = |at| Some(u32::from(u16::from_le_bytes(bytes(file, at)?) & 0x3fff));
            (side(26)?, side(28)?)
        }
        _ => return Some(Size::Broken),
    };
    Some(Size::Known { width, height, pixel_bytes: PIXEL_BYTES })
}

/// The decoder's planes, those of libheif before and after each step, the picture, and a copy in another form.
fn heif(file: &[u8]) -> Option<Size> {
    let ((width, height), is_deep) = Outline::at_start(file)?;
    Some(Size::Known { width, height, pixel_bytes: if is_deep { 32 } else { 16 } })
}

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, ImageEncoder as _, ImageFormat, RgbImage, RgbaImage};

    use super::*;

    const MIB: u64 = 1 << 20;

    fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut file = std::io::Cursor::new(Vec::new());
        match format {
            ImageFormat::Gif | ImageFormat::WebP => RgbaImage::new(width, height).write_to(&mut file, format),
            _ => RgbImage::new(width, height).write_to(&mut file, format),
        }
        .expect("encodes");
        file.into_inner()
    }

    fn known(file: &[u8]) -> (u32, u32) {
        let format = sniff::format(file).expect("a format");
        match size(format, file, file.len() as u64) {
            Size::Known { width, height, .. } | Size::Scaled { width, height, .. } => (width, height),
            other => panic!("{format:?}: {other:?}"),
        }
    }

    #[test]
    fn the_size_of_every_format_is_found() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP] {
            assert_eq!(known(&encoded(300, 200, format)), (300, 200), "{format:?}");
        }
    }

    #[test]
    fn a_start_that_says_no_size_counts_as_the_largest_and_a_whole_file_as_refused() {
        let limits = Limits::default();
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP] {
            let file = encoded(30, 20, format);
            for cut in 12..file.len() {
                let whole = memory_needed(&file[..cut], cut as u64, &limits);
                assert!(whole < BASE_BYTES + MIB, "{format:?} cut at {cut}: {whole}");
                let start = memory_needed(&file[..cut], 1 << 20, &limits);
                assert!(start < BASE_BYTES + 3 * MIB || start == limits.max_memory_bytes + MIB, "{format:?} {cut}");
            }
            assert_eq!(memory_needed(&file[..12], MIB, &limits), limits.max_memory_bytes + MIB, "{format:?}");
        }
    }

    #[test]
    fn what_is_refused_at_its_header_takes_little_and_what_is_taken_as_much_as_its_pixels() {
        let limits = Limits::default();
        let mut png = encoded(1, 1, ImageFormat::Png);
        let mut with_side = |side: u32| {
            png[16..20].copy_from_slice(&side.to_be_bytes());
            png[20..24].copy_from_slice(&side.to_be_bytes());
            memory_needed(&png, png.len() as u64, &limits)
        };
        assert!(with_side(100_000) < 65 * MIB, "too many pixels");
        assert!(with_side(8_000) > 64 * MIB + 8_000 * 8_000 * 8);
        assert!(with_side(10_000) <= limits.max_memory_bytes + MIB);
        assert!(memory_needed(b"Dear customer,", 14, &limits) < 65 * MIB);
    }

    #[test]
    fn heif_takes_twice_as_much_with_more_than_8_bits() {
        let bytes = |file: &[u8]| match heif(file) {
            Some(Size::Known { pixel_bytes, .. }) => pixel_bytes,
            other => panic!("{other:?}"),
        };
        let seeds = [
            (include_bytes!("../../../fuzz/seeds/pipeline/420.heic").as_slice(), 16),
            (include_bytes!("../../../fuzz/seeds/pipeline/420.avif"), 16),
            (include_bytes!("../../../fuzz/seeds/pipeline/ten-bits.heic"), 32),
        ];
        for (file, expected) in seeds {
            assert_eq!(bytes(file), expected);
            assert!(memory_needed(&file[..100], file.len() as u64, &Limits::default()) > 1 << 30, "not known yet");
        }
    }

    #[test]
    fn a_progressive_jpeg_takes_its_coefficients_too() {
        let mut baseline = encoded(64, 64, ImageFormat::Jpeg);
        let small = memory_needed(&baseline, 1_000, &Limits::default());
        let frame = baseline.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame");
        baseline[frame + 1] = 0xc2;
        assert!(memory_needed(&baseline, 1_000, &Limits::default()) > small);
    }

    #[test]
    fn the_opacity_of_a_png_is_found_where_it_stands() {
        let mut plain = Vec::new();
        image::codecs::png::PngEncoder::new(&mut plain)
            .write_image(&[0; 64], 8, 8, ExtendedColorType::L8)
            .expect("encodes");
        let at = plain.windows(4).position(|name| name == b"IDAT").expect("pixels") - 4;
        let mut keyed = plain.clone();
        keyed.splice(at..at, *b"\0\0\0\x02tRNS\0\0\0\0\0\0");
        let bytes = |file: &[u8]| match png(file) {
            Some(Size::Known { pixel_bytes, .. }) => pixel_bytes,
            other => panic!("{other:?}"),
        };
        assert!(bytes(&keyed) > bytes(&plain));
    }
}
