//! The skeleton of a JPEG file: its segments from the first byte to the end marker, without decoding any pixel.
//!
//! It finds the size, the camera's orientation and the colour profile, and tells which coefficients the scans hold.

use eyeline_core::ImageErrorCode;

use crate::{ImageError, exif};

/// One component of the frame: its samples, across and down, in a unit of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Component {
    pub id: u8,
    pub across: u8,
    pub down: u8,
}

/// The content of the frame header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The number of the frame marker's kind: 0 baseline, 1 extended, 2 progressive, 9 and 10 arithmetic, others rare.
    pub coding: u8,
    /// Bits of a sample.
    pub precision: u8,
    pub width: u32,
    pub height: u32,
    pub components: Vec<Component>,
}

/// The structure of a file by its markers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Structure {
    pub frame: Frame,
    pub scans: Scans,
    /// From 1 to 8, from the first segment that states it.
    pub orientation: Option<u8>,
    /// The ICC profile; empty if there is none, or only a part of one.
    pub icc: Vec<u8>,
    /// Bytes from the start to the end marker, included, or to the incomplete segment. Later bytes do not belong to the
    /// picture.
    pub length: usize,
    /// True if there is an end marker. Without one the file is truncated, perhaps after its last pixel.
    pub has_end: bool,
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
pub(crate) fn read(file: &[u8]) -> Result<Structure, ImageError> {
    let mut structure = Structure::default();
    let mut profile = ProfileParts::default();
    let mut frame = None;
    let mut segments = Segments::of(file);
    structure.has_end = loop {
        match (segments.next(), &frame) {
            (Ok((marker::END, _)), _) => break true,
            // A later scan may be missing. The decoder checks whether this one is complete.
            (Err(error), _) if error.code == ImageErrorCode::Truncated && structure.scans.count > 0 => break false,
            (Err(error), _) => return Err(error),
            (Ok((marker::SCAN, _)), None) => return Err(ImageError::damaged("picture data before its header")),
            (Ok((marker::SCAN, payload)), Some(frame)) => structure.scans.add(payload, frame),
            (Ok((marker::APP1, payload)), _) if structure.orientation.is_none() => {
                structure.orientation = exif::orientation(payload);
            }
            (Ok((marker::APP2, payload)), _) => profile.add(payload),
            (Ok((marker, payload)), None) if marker::is_frame(marker) => frame = Some(Frame::read(marker, payload)?),
            _ => {}
        }
    };
    structure.frame = frame
        .filter(|_| structure.scans.count > 0)
        .ok_or_else(|| ImageError::damaged("there is no picture between start and end"))?;
    structure.icc = profile.joined();
    structure.length = segments.position;
    Ok(structure)
}

/// The coefficients of each component that the scans hold, and their precision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scans {
    pub count: u32,
    /// For each component in frame order, and each of the 64 coefficients: the lowest known bit.
    lowest_bits: Vec<[u8; 64]>,
}

impl Scans {
    /// Stands for a coefficient without a known bit.
    const NOTHING: u8 = u8::MAX;

    /// Adds a scan by its header. The decoder rejects nonsense.
    fn add(&mut self, header: &[u8], frame: &Frame) {
        self.count += 1;
        self.lowest_bits.resize(frame.components.len(), [Self::NOTHING; 64]);
        let [count, rest @ ..] = header else { return };
        let Some((members, [first, last, bits, ..])) = rest.split_at_checked(2 * usize::from(*count)) else { return };
        let (band, bit) = if frame.is_progressive() { (*first..=(*last).min(63), bits & 0x0f) } else { (0..=63, 0) };
        for (component, known) in frame.components.iter().zip(&mut self.lowest_bits) {
            if members.as_chunks::<2>().0.iter().any(|[id, _]| *id == component.id) {
                band.clone().for_each(|coefficient| known[usize::from(coefficient)] = bit);
            }
        }
    }

    /// True if every bit of every coefficient is known.
    pub fn are_complete(&self) -> bool {
        self.lowest_bits.as_flattened().iter().all(|bit| *bit == 0)
    }
}

/// The segments of a file that begins with the start marker, in order.
pub(crate) struct Segments<'a> {
    file: &'a [u8],
    position: usize,
}

impl<'a> Segments<'a> {
    pub fn of(file: &'a [u8]) -> Self {
        Self { file, position: 2 }
    }

    /// The marker and payload of the next segment. The end marker has no payload and is the last. After an error the
    /// position is that of the incomplete segment.
    pub fn next(&mut self) -> Result<(u8, &'a [u8]), ImageError> {
        loop {
            let Some((marker, position)) = next_marker(self.file, self.position) else {
                self.position = self.file.len();
                return Err(ImageError::truncated());
            };
            self.position = position;
            if marker == marker::END {
                return Ok((marker, &[]));
            }
            if marker::is_alone(marker) {
                continue;
            }
            self.position = position - 2;
            let length = self.file.get(position..position + 2).ok_or_else(ImageError::truncated)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            if length < 2 {
                return Err(ImageError::damaged("a JPEG segment of impossible length"));
            }
            let payload = self.file.get(position + 2..position + length).ok_or_else(ImageError::truncated)?;
            self.position = position + length;
            return Ok((marker, payload));
        }
    }
}

/// The next marker from `position` on, and the position after it. Skips bytes between segments and the data of a scan.
/// A marker there is 0xff and a byte other than 0 and 0xff, because the coder writes 0xff as 0xff 0x00.
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
    pub fn is_progressive(&self) -> bool {
        matches!(self.coding, 2 | 10)
    }

    /// True for arithmetic coding, in which a decoder does not notice missing data.
    pub fn is_arithmetic(&self) -> bool {
        self.coding > 8
    }

    pub fn read(marker: u8, payload: &[u8]) -> Result<Self, ImageError> {
        let too_short = || ImageError::damaged("a JPEG header that is too short");
        let [precision, height_high, height_low, width_high, width_low, count, components @ ..] = payload else {
            return Err(too_short());
        };
        let (components, _) = components.as_chunks::<3>();
        let components = components.get(..usize::from(*count)).filter(|some| !some.is_empty()).ok_or_else(too_short)?;
        let component =
            |[id, sampling, _]: &[u8; 3]| Component { id: *id, across: sampling >> 4, down: sampling & 0x0f };
        Ok(Self {
            coding: marker & 0x0f,
            precision: *precision,
            width: u32::from(u16::from_be_bytes([*width_high, *width_low])),
            height: u32::from(u16::from_be_bytes([*height_high, *height_low])),
            components: components.iter().map(component).collect(),
        })
    }
}

/// The parts of an ICC profile, which may span several numbered segments.
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

    /// The profile if each of its parts occurs once. An incomplete profile is ignored.
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
        segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>");
        segment(0xe1, b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06");
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
        assert_eq!(frame.components[0], Component { id: 1, across: 2, down: 2 });
        assert_eq!(structure.orientation, Some(6));
        assert_eq!(structure.icc, b"profile");
        assert_eq!((structure.length, structure.has_end), (length, true));
        assert_eq!(structure.scans.count, 1);
    }

    #[test]
    fn a_file_cut_before_its_pixels_is_truncated_and_behind_them_has_no_end() {
        let file = skeleton();
        let pixels = file.windows(4).position(|bytes| bytes == b"data").expect("pixels");
        for cut in 3..file.len() {
            match read(&file[..cut]) {
                Ok(structure) => assert!(cut >= pixels && !structure.has_end, "cut at {cut}"),
                Err(error) => assert!(cut < pixels && error.code == ImageErrorCode::Truncated, "cut at {cut}"),
            }
        }
    }

    #[test]
    fn scans_tell_which_bits_they_hold() {
        let components = [1, 2].map(|id| Component { id, across: 1, down: 1 }).to_vec();
        let frame = Frame { coding: 2, components, ..Frame::default() };
        let mut scans = Scans::default();
        // The first band of both, but for a bit; the others of the first.
        scans.add(&[2, 1, 0, 2, 0, 0, 0, 0x01], &frame);
        scans.add(&[1, 1, 0, 1, 63, 0x00], &frame);
        scans.add(&[2, 1, 0, 2, 0, 0, 0, 0x10], &frame);
        assert!(!scans.are_complete());
        // In two bands, the second beyond what there is.
        scans.add(&[1, 2, 0, 1, 30, 0x00], &frame);
        scans.add(&[1, 2, 0, 31, 99, 0x00], &frame);
        assert!(scans.are_complete());

        let sequential = Frame { coding: 0, ..frame };
        let mut scans = Scans::default();
        scans.add(&[1, 1, 0, 0, 63, 0], &sequential);
        assert!(!scans.are_complete());
        // Zeros for the band, as some programs write.
        scans.add(&[1, 2, 0, 0, 0, 0], &sequential);
        assert!(scans.are_complete());
        for nonsense in [b"".as_slice(), &[4], &[4, 1, 0], &[0, 0]] {
            scans.add(nonsense, &sequential);
        }
    }

    #[test]
    fn a_profile_with_a_part_missing_is_none() {
        let mut parts = ProfileParts::default();
        parts.add(b"ICC_PROFILE\0\x02\x02file");
        assert!(parts.joined().is_empty());
    }
}
