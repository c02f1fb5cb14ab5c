//! The skeleton of a JPEG file: its segments from the first byte to the end marker, without decoding any pixel.
//!
//! It tells a cut file from a whole one, whatever a decoder would make of it, and finds the size, the camera's
//! orientation and the colour profile.

use crate::ImageError;

/// One component of the frame: how many samples, across and down, it has in a unit of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Component {
    pub across: u8,
    pub down: u8,
}

/// What the frame header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The number of the frame marker's kind: 0 baseline, 1 extended, 2 progressive, 9 and 10 arithmetic, others rare.
    pub coding: u8,
    /// Bits a sample.
    pub precision: u8,
    pub width: u32,
    pub height: u32,
    pub components: Vec<Component>,
}

/// What the file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Structure<'a> {
    pub frame: Frame,
    pub scans: u32,
    /// The EXIF block, from its TIFF header on.
    pub exif: Option<&'a [u8]>,
    /// The ICC profile; empty when there is none, or only part of one.
    pub icc: Vec<u8>,
    /// Bytes from the start to behind the end marker; what follows is not part of the picture.
    pub length: usize,
}

pub(crate) mod marker {
    pub const START: u8 = 0xd8;
    pub const END: u8 = 0xd9;
    pub const SCAN: u8 = 0xda;
    pub const APP1: u8 = 0xe1;
    pub const APP2: u8 = 0xe2;

    /// Markers that stand alone, without a length: restarts, the start and TEM.
    pub fn is_alone(marker: u8) -> bool {
        matches!(marker, 0xd0..=0xd7 | START | 0x01)
    }

    /// A frame header. The other three of this range define tables or are reserved.
    pub fn is_frame(marker: u8) -> bool {
        matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
    }
}

/// Reads the skeleton of a file that begins with the start marker.
pub(crate) fn read(file: &[u8]) -> Result<Structure<'_>, ImageError> {
    let mut structure = Structure::default();
    let mut profile = ProfileParts::default();
    let mut frame = None;
    let mut segments = Segments::of(file);
    loop {
        match segments.next()? {
            (marker::END, _) => break,
            (marker::SCAN, _) if frame.is_none() => {
                return Err(ImageError::damaged("picture data before its header"));
            }
            (marker::SCAN, _) => structure.scans += 1,
            (marker::APP1, payload) if structure.exif.is_none() => {
                structure.exif = payload.strip_prefix(b"Exif\0\0");
            }
            (marker::APP2, payload) => profile.add(payload),
            (marker, payload) if marker::is_frame(marker) && frame.is_none() => {
                frame = Some(Frame::read(marker, payload)?);
            }
            _ => {}
        }
    }
    structure.frame = frame
        .filter(|_| structure.scans > 0)
        .ok_or_else(|| ImageError::damaged("there is no picture between start and end"))?;
    structure.icc = profile.joined();
    structure.length = segments.position;
    Ok(structure)
}

/// The segments of a file that begins with the start marker, one after the other.
pub(crate) struct Segments<'a> {
    file: &'a [u8],
    position: usize,
}

impl<'a> Segments<'a> {
    pub fn of(file: &'a [u8]) -> Self {
        Self { file, position: 2 }
    }

    /// The marker and the payload of the next one. The end marker has none, and is the last.
    pub fn next(&mut self) -> Result<(u8, &'a [u8]), ImageError> {
        loop {
            let (marker, position) = next_marker(self.file, self.position).ok_or_else(ImageError::truncated)?;
            self.position = position;
            if marker == marker::END {
                return Ok((marker, &[]));
            }
            if marker::is_alone(marker) {
                continue;
            }
            let length = self.file.get(position..position + 2).ok_or_else(ImageError::truncated)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            if length < 2 {
                return Err(ImageError::damaged("a JPEG segment of impossible length"));
            }
            self.position = position + length;
            let payload = self.file.get(position + 2..self.position).ok_or_else(ImageError::truncated)?;
            return Ok((marker, payload));
        }
    }
}

/// The next marker from `position` on and the place behind it. Bytes between segments, and a scan's data, are passed
/// over: there, a marker is 0xff and a byte other than 0 and 0xff, since the coder writes 0xff as 0xff 0x00.
fn next_marker(file: &[u8], mut position: usize) -> Option<(u8, usize)> {
    loop {
        position += memchr::memchr(0xff, file.get(position..)?)? + 1;
        while *file.get(position)? == 0xff {
            position += 1;
        }
        if file[position] != 0 {
            return Some((file[position], position + 1));
        }
    }
}

impl Frame {
    pub fn read(marker: u8, payload: &[u8]) -> Result<Self, ImageError> {
        let too_short = || ImageError::damaged("a JPEG header that is too short");
        let [precision, height_high, height_low, width_high, width_low, count, components @ ..] = payload else {
            return Err(too_short());
        };
        let (components, _) = components.as_chunks::<3>();
        let components = components.get(..usize::from(*count)).filter(|some| !some.is_empty()).ok_or_else(too_short)?;
        let component = |[_, sampling, _]: &[u8; 3]| Component { across: sampling >> 4, down: sampling & 0x0f };
        Ok(Self {
            coding: marker & 0x0f,
            precision: *precision,
            width: u32::from(u16::from_be_bytes([*width_high, *width_low])),
            height: u32::from(u16::from_be_bytes([*height_high, *height_low])),
            components: components.iter().map(component).collect(),
        })
    }
}

/// The parts of an ICC profile, which may be spread over segments that count themselves.
#[derive(Default)]
struct ProfileParts<'a> {
    count: u8,
    parts: Vec<(u8, &'a [u8])>,
}

impl<'a> ProfileParts<'a> {
    fn add(&mut self, payload: &'a [u8]) {
        if let Some([number, count, part @ ..]) = payload.strip_prefix(b"ICC_PROFILE\0") {
            self.count = *count;
            self.parts.push((*number, part));
        }
    }

    /// The profile if all its parts are there once; a broken profile is no profile.
    fn joined(mut self) -> Vec<u8> {
        self.parts.sort_by_key(|(number, _)| *number);
        let is_whole = self.parts.len() == usize::from(self.count)
            && self.parts.iter().enumerate().all(|(place, (number, _))| usize::from(*number) == place + 1);
        if !is_whole {
            return Vec::new();
        }
        self.parts.iter().flat_map(|(_, part)| part.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eyeline_core::ImageErrorCode;

    /// A skeleton without tables: a profile in two parts out of order, EXIF, a frame of 3 x 2 in 4:2:0, one scan.
    fn skeleton() -> Vec<u8> {
        let mut file = b"\xff\xd8".to_vec();
        let mut segment = |marker: u8, payload: &[u8]| {
            file.extend([0xff, marker]);
            file.extend(u16::try_from(payload.len() + 2).expect("short").to_be_bytes());
            file.extend(payload);
        };
        segment(0xe2, b"ICC_PROFILE\0\x02\x02file");
        segment(0xe2, b"ICC_PROFILE\0\x01\x02pro");
        segment(0xe1, b"Exif\0\0II*\0");
        segment(0xc0, &[8, 0, 2, 0, 3, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
        segment(0xda, &[3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]);
        file.extend(b"data\xff\x00data\xff\xd0data\xff\xd9");
        file
    }

    #[test]
    fn a_whole_file_tells_its_size_its_orientation_its_profile_and_its_end() {
        let mut file = skeleton();
        let length = file.len();
        file.extend(b"what follows is not part of the picture");
        let structure = read(&file).expect("a whole file");
        let frame = &structure.frame;
        assert_eq!((frame.width, frame.height, frame.precision, frame.coding), (3, 2, 8, 0));
        assert_eq!(frame.components[0], Component { across: 2, down: 2 });
        assert_eq!(structure.exif, Some(b"II*\0".as_slice()));
        assert_eq!(structure.icc, b"profile");
        assert_eq!(structure.length, length);
        assert_eq!(structure.scans, 1);
    }

    #[test]
    fn a_file_cut_anywhere_is_truncated() {
        let file = skeleton();
        for cut in 3..file.len() {
            assert_eq!(read(&file[..cut]).expect_err("cut").code, ImageErrorCode::Truncated, "cut at {cut}");
        }
    }

    #[test]
    fn a_profile_with_a_part_missing_is_none() {
        let mut parts = ProfileParts::default();
        parts.add(b"ICC_PROFILE\0\x02\x02file");
        assert!(parts.joined().is_empty());
    }
}
