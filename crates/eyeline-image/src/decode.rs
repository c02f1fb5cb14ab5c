//! Decodes a file of any accepted format to pixels.

use crate::orientation::Orientation;
use crate::packed::Packed;
use crate::planar::Planar;
use crate::sniff::Format;
use crate::{Heif, ImageError, Limits, gif, jpeg, png, webp};

/// Pixels in the form that the decoder of a format returns.
pub(crate) enum Picture {
    Planar(Planar),
    Packed(Packed),
}

/// A decoded file: pixels as stored, neither upright nor in sRGB yet.
pub(crate) struct Decoded {
    /// The size in the file, in pixels. The picture may be smaller if no version needs more.
    pub size: (u32, u32),
    pub orientation: Orientation,
    /// The ICC profile; empty means sRGB.
    pub icc: Vec<u8>,
    pub picture: Picture,
}

/// Decodes a file within the limits. `largest` returns the size of the largest version for the size of an upright
/// picture.
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
