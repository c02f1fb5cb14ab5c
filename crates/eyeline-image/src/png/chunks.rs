//! Reads the chunks of a PNG file: those that its still picture needs, and facts from the others.

use crate::orientation::Orientation;
use crate::parts::Parts;

/// The length of the signature of every file.
const SIGNATURE_BYTES: usize = 8;

/// Replaces the end chunk of every file, whose content says nothing about the picture.
const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// Length, name and checksum of a chunk.
const FRAME_BYTES: usize = 12;

/// The chunks of a file.
pub(super) struct Chunks<'a> {
    /// The file without the chunks that its still picture does not need.
    pub needed: Parts<'a>,
    /// True if the file has its end chunk.
    pub has_end: bool,
    /// Frames of an animation, counted.
    pub frames: u32,
    pub orientation: Orientation,
}

/// Reads the chunks of a file that begins like a PNG. The decoder checks checksums.
pub(super) fn of(file: &[u8]) -> Chunks<'_> {
    let mut needed = Needed::default();
    let (mut has_end, mut is_animated, mut frames, mut orientation) = (false, false, 0, None);
    let mut start = SIGNATURE_BYTES;
    let (mut kept, mut parts) = (0..start, Parts::default());
    while let Some((length, rest)) = file.get(start..).and_then(|rest| rest.split_first_chunk()) {
        let Some((name, rest)) = rest.split_first_chunk::<4>() else { break };
        let length = u32::from_be_bytes(*length) as usize;
        let data = &rest[..length.min(rest.len())];
        match name {
            b"IEND" => {
                has_end = true;
                break;
            }
            // Without this chunk before the pixels there is no animation.
            b"acTL" if !needed.has_pixels => is_animated = true,
            b"fcTL" if is_animated => frames += 1,
            b"eXIf" if orientation.is_none() => orientation = crate::exif::orientation(data),
            _ => {}
        }
        let end = start.saturating_add(length).saturating_add(FRAME_BYTES).min(file.len());
        if needed.has(name, data) {
            if kept.end == start {
                kept.end = end;
            } else {
                parts.push(&file[kept]);
                kept = start..end;
            }
        }
        start = end;
    }
    parts.push(&file[kept]);
    parts.push(END);
    let orientation = orientation.map_or(Orientation::default(), Orientation::from_exif);
    Chunks { needed: parts, has_end, frames, orientation }
}

/// The chunks seen so far that a picture needs.
#[derive(Default)]
struct Needed {
    /// From the header.
    color: u8,
    colors_bytes: usize,
    has_pixels: bool,
    /// True if another chunk has followed the pixels, whose chunks must be consecutive.
    pixels_have_ended: bool,
    has_transparency: bool,
}

impl Needed {
    /// True if a picture needs this chunk. Ignores ancillary chunks that are repeated, misplaced or of an impossible
    /// length, as libpng does.
    fn has(&mut self, name: &[u8; 4], data: &[u8]) -> bool {
        self.pixels_have_ended |= self.has_pixels && name != b"IDAT";
        match name {
            b"IHDR" => {
                self.color = data.get(9).copied().unwrap_or(0);
                true
            }
            // For pictures that are not indexed, a palette is optional. The decoder panics on a palette with an
            // incomplete colour.
            b"PLTE" => {
                self.colors_bytes = data.len();
                self.color == 3 && !self.has_pixels && data.len().is_multiple_of(3)
            }
            b"tRNS" => {
                let is_of_use = match self.color {
                    0 => data.len() == 2,
                    2 => data.len() == 6,
                    3 => (1..=self.colors_bytes / 3).contains(&data.len()),
                    _ => false,
                };
                let is_first = !self.has_pixels && !self.has_transparency;
                self.has_transparency |= is_of_use && is_first;
                is_of_use && is_first
            }
            b"IDAT" => {
                self.has_pixels = true;
                !self.pixels_have_ended
            }
            // Of several, the decoder uses the first.
            b"iCCP" => !self.has_pixels && data.len() < super::BESIDE_PIXELS_BYTES_MAX,
            // Primaries, transfer, no matrix, and a flag; before the palette.
            b"cICP" => matches!(data, [_, _, 0, 0 | 1]) && !self.has_pixels && self.colors_bytes == 0,
            // The decoder rejects unknown critical chunks. Names of ancillary chunks begin in lower case.
            _ => name[0].is_ascii_uppercase(),
        }
    }
}
