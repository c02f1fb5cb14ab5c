//! From the bytes of a file to its pixels, whatever its format.

use crate::orientation::Orientation;
use crate::packed::Packed;
use crate::planar::Planar;
use crate::sniff::Format;
use crate::{Heif, ImageError, Limits, gif, jpeg, png, webp};

/// Pixels as the decoder of a format leaves them.
pub(crate) enum Picture {
    Planar(Planar),
    Packed(Packed),
}

/// A decoded file: pixels as stored, neither upright nor in sRGB yet.
pub(crate) struct Decoded {
    /// Pixels as the file states them; the picture may be smaller, if no version needs more.
    pub size: (u32, u32),
    pub orientation: Orientation,
    /// The ICC profile; empty means sRGB.
    pub icc: Vec<u8>,
    pub picture: Picture,
}

/// Decodes a file within the limits. `largest` tells the size of the largest version of an upright picture of a size.
pub(crate) fn decode(
    file: &[u8],
    format: Format,
    limits: &Limits,
    heif: &Heif,
    largest: impl Fn((u32, u32)) -> (u32, u32),
) -> Result<Decoded, ImageError> {
    match format {
        Format::Jpeg => jpeg::decode(file, limits, largest),
        Format::Png => png::decode(file, limits),
        Format::WebP => webp::decode(file, limits),
        Format::Gif => gif::decode(file, limits),
        Format::Avif | Format::Heic | Format::Heif => heif.decode(file, format, limits),
    }
}
