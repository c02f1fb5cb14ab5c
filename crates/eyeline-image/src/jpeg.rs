//! Reads JPEG. Every sample must exist. Decodes the picture no larger than the largest version needs.

pub(crate) mod structure;

use eyeline_core::ImageErrorCode;

use crate::decode::{Decoded, Picture};
use crate::orientation::Orientation;
use crate::turbo::{Bounds, Colorspace, Decoder, Eighths, Failure};
use crate::{ImageError, Limits};
use structure::Structure;

/// More than any encoder writes (about ten), and few enough to bound the decoding time.
const SCANS_MAX: u32 = 100;

/// The end of every file.
const END: [u8; 2] = [0xff, structure::marker::END];

/// Decodes a file that begins like a JPEG. `largest` returns the size of the largest version for the size of an upright
/// picture; the decoded picture is at least that large.
pub(crate) fn decode(
    file: &[u8],
    limits: &Limits,
    largest: impl Fn((u32, u32)) -> (u32, u32),
) -> Result<Decoded, ImageError> {
    let structure = structure::read(file)?;
    limits.check_size(structure.frame.width, structure.frame.height)?;
    refuse_rare_codings(&structure)?;
    let file = &file[..structure.length];
    if structure.has_end {
        return decode_whole(file, structure, limits, largest);
    }
    // The file may be cut after its last sample. With an end marker, the decoder warns of every missing sample. It does
    // not warn of a missing scan, nor in arithmetic coding.
    if !structure.scans.are_complete() || structure.frame.is_arithmetic() {
        return Err(ImageError::truncated());
    }
    let ended = [file, &END].concat();
    decode_whole(&ended, structure, limits, largest).map_err(|error| match error.code {
        ImageErrorCode::Damaged => ImageError::truncated(),
        _ => error,
    })
}

fn decode_whole(
    file: &[u8],
    structure: Structure,
    limits: &Limits,
    largest: impl Fn((u32, u32)) -> (u32, u32),
) -> Result<Decoded, ImageError> {
    let orientation = structure.orientation.map_or(Orientation::default(), Orientation::from_exif);
    let size = (structure.frame.width, structure.frame.height);
    let target = orientation.turned(largest(orientation.turned(size)));
    let scale = scale(size, target);
    let bounds = Bounds { memory_bytes: limits.max_memory_bytes / 2, scans: SCANS_MAX };
    let mut decoder = Decoder::open(file, bounds).map_err(|failure| judge(&failure))?;
    let header = decoder.header();
    if (header.width, header.height) != size {
        return Err(ImageError::damaged("two headers that differ"));
    }
    let is_planar = has_plain_planes(&structure, header.colorspace);
    let picture =
        if is_planar { decoder.planes(scale).map(Picture::Planar) } else { decoder.packed(scale).map(Picture::Packed) };
    let picture = picture.map_err(|failure| judge(&failure))?;
    Ok(Decoded { size, orientation, icc: structure.icc, picture })
}

fn refuse_rare_codings(structure: &Structure) -> Result<(), ImageError> {
    match (structure.frame.coding, structure.frame.precision, structure.frame.components.len()) {
        (3 | 7 | 11 | 15, _, _) => Err(ImageError::unsupported("A lossless JPEG picture")),
        (5 | 6 | 13 | 14, _, _) => Err(ImageError::unsupported("A hierarchical JPEG picture")),
        (_, 8, 1 | 3 | 4) => Ok(()),
        (_, 8, count) => Err(ImageError::unsupported(&format!("A JPEG picture of {count} components"))),
        (_, bits, _) => Err(ImageError::unsupported(&format!("A JPEG picture of {bits} bits a sample"))),
    }
}

/// True if the planes can be used as they are: grey or YCbCr, with all chroma samples at a usual factor.
fn has_plain_planes(structure: &Structure, colorspace: Colorspace) -> bool {
    let samplings: Vec<(u8, u8)> =
        structure.frame.components.iter().map(|component| (component.across, component.down)).collect();
    matches!(
        (colorspace, samplings.as_slice()),
        (Colorspace::Grey, [(1, 1)])
            | (Colorspace::YCbCr, [(1, 1) | (2, 1) | (1, 2) | (2, 2) | (4, 1), (1, 1), (1, 1)])
    )
}

/// The smallest scale at which the picture still reaches `target`, both in the orientation of the file. Considers only
/// scales with a fast inverse DCT. 5/8 has none, and pays only if no resizing follows.
fn scale(size: (u32, u32), target: (u32, u32)) -> Eighths {
    if size == target {
        return Eighths::ALL;
    }
    let reaches = |scale: &Eighths| scale.of(size.0) >= target.0 && scale.of(size.1) >= target.1;
    let fast = [Eighths(1), Eighths(2), Eighths(4)].into_iter().find(reaches);
    let is_five_eighths = size.0 * 5 == target.0 * 8 && size.1 * 5 == target.1 * 8;
    fast.unwrap_or(if is_five_eighths { Eighths(5) } else { Eighths::ALL })
}

fn judge(failure: &Failure) -> ImageError {
    let message = failure.message.as_str();
    let has = |part: &str| message.contains(part);
    if has("Premature end of JPEG file") {
        ImageError::truncated()
    } else if has("memory") {
        ImageError::too_much_memory()
    } else if has("nsupported") || has("not supported") {
        ImageError::unsupported(&format!("This kind of JPEG picture ({message})"))
    } else {
        ImageError::damaged(message.trim_start_matches("Corrupt JPEG data: "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_decoded_at_the_smallest_fast_scale_that_reaches_the_target() {
        let cases = [
            ((4032, 3024), (2500, 1875), 8),
            ((4000, 3000), (2500, 1875), 5),
            ((6000, 4000), (2500, 1667), 4),
            ((5000, 3750), (2500, 1875), 4),
            ((4999, 3749), (2500, 1875), 4),
            ((4998, 3749), (2500, 1875), 8),
            ((16_000, 12_000), (2500, 1875), 2),
            ((2000, 1000), (2000, 1000), 8),
            ((2, 2), (2, 2), 8),
            ((4000, 3000), (150, 113), 1),
        ];
        for (size, target, eighths) in cases {
            assert_eq!(scale(size, target), Eighths(eighths), "{size:?} to {target:?}");
        }
    }
}
