//! Reading WebP, by a decoder without unsafe code; the first frame of an animation stands for it.

use std::io::{Cursor, ErrorKind};

use image_webp::{DecodingError, WebPDecoder};

use crate::decode::{Decoded, Picture};
use crate::orientation::Orientation;
use crate::packed::{Packed, Space};
use crate::{ImageError, Limits};

/// For what stands beside the pixels.
const BESIDE_PIXELS_BYTES_MAX: usize = 16 << 20;

/// Decodes a file that begins as WebP does.
pub(crate) fn decode(file: &[u8], limits: &Limits) -> Result<Decoded, ImageError> {
    let file = whole_file(file)?;
    let mut decoder = WebPDecoder::new(Cursor::new(file)).map_err(judge)?;
    decoder.set_memory_limit(BESIDE_PIXELS_BYTES_MAX);
    let size = decoder.dimensions();
    limits.check_size(size.0, size.1)?;
    limits.check_frames(decoder.num_frames(), size.0, size.1)?;
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut picture = Packed::new(size.0, size.1, channels, Space::Rgb)?;
    let is_animated = decoder.is_animated();
    if states_two_sizes(file, is_animated, size) {
        return Err(ImageError::damaged("a frame of two sizes"));
    }
    if is_animated {
        decoder.read_frame(&mut picture.samples).map_err(judge)?;
    } else {
        decoder.read_image(&mut picture.samples).map_err(judge)?;
    }
    // What stands beside the pixels and cannot be read says nothing.
    let exif = decoder.exif_metadata().ok().flatten().unwrap_or_default();
    let orientation = Orientation::from_exif_block(exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif));
    let icc = decoder.icc_profile().ok().flatten().unwrap_or_default();
    Ok(Decoded { size, orientation, icc, picture: Picture::Packed(picture) })
}

/// The file up to the length that it states, which must all be there.
fn whole_file(file: &[u8]) -> Result<&[u8], ImageError> {
    let stated = file.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let end = stated.map(|length| length as usize + 8);
    end.and_then(|end| file.get(..end)).ok_or_else(ImageError::truncated)
}

/// Whether the colours of the picture, or of its first frame, state another size than the picture or frame around them.
/// The decoder makes room for what they state before it compares, and beside the opacity of a frame it never does.
fn states_two_sizes(file: &[u8], is_animated: bool, canvas: (u32, u32)) -> bool {
    let picture = || chunks(&file[12..]);
    if !is_animated {
        return picture().any(|(name, colours)| &name == b"VP8 " && colours_size(colours).is_some_and(|s| s != canvas));
    }
    let Some((_, frame)) = picture().find(|(name, _)| name == b"ANMF") else { return false };
    let [_, _, _, _, _, _, w0, w1, w2, h0, h1, h2, _, _, _, _, parts @ ..] = frame else { return true };
    let size = (1 + u32::from_le_bytes([*w0, *w1, *w2, 0]), 1 + u32::from_le_bytes([*h0, *h1, *h2, 0]));
    // What stands behind opacity is taken for colours, whatever its name.
    let mut is_behind_opacity = false;
    chunks(parts).any(|(name, part)| {
        let is_colours = std::mem::replace(&mut is_behind_opacity, &name == b"ALPH") || &name == b"VP8 ";
        is_colours && colours_size(part).is_some_and(|stated| stated != size)
    })
}

/// Behind the tag of a frame and the start code: 14 bits of each side.
fn colours_size(colours: &[u8]) -> Option<(u32, u32)> {
    let [_, _, _, _, _, _, w0, w1, h0, h1, ..] = colours else { return None };
    let side = |bytes| u32::from(u16::from_le_bytes(bytes) & 0x3fff);
    Some((side([*w0, *w1]), side([*h0, *h1])))
}

/// The chunks of a file, or of a frame, by name and as far as they go.
fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (name, rest) = bytes.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        bytes = rest.get(length.next_multiple_of(2)..).unwrap_or_default();
        Some((*name, rest.get(..length).unwrap_or(rest)))
    })
}

fn judge(error: DecodingError) -> ImageError {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            ImageError::damaged("its parts are longer than the whole")
        }
        DecodingError::MemoryLimitExceeded | DecodingError::ImageTooLarge => ImageError::too_much_memory(),
        _ => ImageError::damaged("it does not follow the WebP format"),
    }
}
