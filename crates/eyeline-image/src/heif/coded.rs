//! Reads the sizes that pictures state themselves: coded ones in HEVC and AV1, and composed ones. A decoder allocates
//! memory for these sizes, whatever the file around them states.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::boxes::{find, parts};

/// HEVC's sequence parameter set, as a type of unit.
const HEVC_SEQUENCE: u8 = 33;
/// AV1's sequence header, as a type of unit.
const AV1_SEQUENCE: u8 = 1;

/// The largest width and the largest height of all pictures. Unreadable ones count as 0.
pub(super) fn sides(file: &[u8], items: &[u8]) -> (u32, u32) {
    let properties = find(items, b"iprp").and_then(|properties| find(properties, b"ipco")).unwrap_or_default();
    let configured = parts(properties).filter(|part| &part.name == b"hvcC").flat_map(|part| configured(part.content));
    let kinds = kinds(items).unwrap_or_default();
    let stored = places(items).unwrap_or_default().into_iter().flat_map(|place| {
        let data = place.data(file, items);
        match kinds.get(&place.item) {
            Some(b"hvc1") => hevc_sizes(&data),
            Some(b"av01") => av1_sizes(&data),
            Some(b"grid") => canvas(&data, 4).into_iter().collect(),
            Some(b"iovl") => canvas(&data, 10).into_iter().collect(),
            _ => Vec::new(),
        }
    });
    configured.chain(stored).fold((0, 0), |widest, size| (widest.0.max(size.0), widest.1.max(size.1)))
}

/// The type of each item.
fn kinds(items: &[u8]) -> Option<BTreeMap<u32, [u8; 4]>> {
    let list = find(items, b"iinf")?;
    let entries = list.get(if *list.first()? == 0 { 6 } else { 8 }..)?;
    let kinds = parts(entries).filter(|part| &part.name == b"infe").filter_map(|part| {
        let mut fields = Fields(part.content);
        let version = fields.number(1)?;
        fields.number(3)?;
        let item = fields.number(if version >= 3 { 4 } else { 2 })?;
        fields.number(2)?;
        Some((item as u32, *fields.0.first_chunk()?))
    });
    Some(kinds.collect())
}

/// The position of an item's data.
struct Place {
    item: u32,
    /// True if it counts from the start of the file.
    is_in_file: bool,
    /// True if it counts from the start of the data in the list of items.
    is_in_list: bool,
    /// Start and length. A length of 0 means up to the end.
    extents: Vec<(u64, u64)>,
}

impl Place {
    fn data<'a>(&self, file: &'a [u8], items: &'a [u8]) -> Cow<'a, [u8]> {
        let source = if self.is_in_list { find(items, b"idat").unwrap_or_default() } else { file };
        let extent = |&(start, length): &(u64, u64)| {
            let start = usize::try_from(start).ok()?;
            let length = usize::try_from(length).ok().filter(|length| *length > 0);
            let rest = source.get(start..)?;
            Some(length.map_or(rest, |length| &rest[..length.min(rest.len())]))
        };
        match self.extents.as_slice() {
            [one] => Cow::Borrowed(extent(one).unwrap_or_default()),
            // Sequences start at the beginning, so at most the file's own length is copied.
            many => {
                let mut data = Vec::new();
                for part in many.iter().filter_map(extent) {
                    data.extend_from_slice(&part[..part.len().min(file.len() - data.len())]);
                }
                Cow::Owned(data)
            }
        }
    }
}

/// True if data of an item lie after the end of a file of `length` bytes.
pub(super) fn is_cut(length: usize, items: &[u8]) -> bool {
    let ends = |place: Place| place.extents.into_iter().map(|(start, length)| start.saturating_add(length)).max();
    let places = places(items).unwrap_or_default().into_iter().filter(|place| place.is_in_file);
    places.filter_map(ends).any(|end| end > length as u64)
}

fn places(items: &[u8]) -> Option<Vec<Place>> {
    let mut fields = Fields(find(items, b"iloc")?);
    let version = fields.number(1)?;
    fields.number(3)?;
    let sizes = fields.number(2)? as usize;
    let (offset, length, base) = (sizes >> 12 & 15, sizes >> 8 & 15, sizes >> 4 & 15);
    let index = if version == 0 { 0 } else { sizes & 15 };
    let numbers = if version < 2 { 2 } else { 4 };
    let count = fields.number(numbers)?;
    let mut places = Vec::new();
    for _ in 0..count {
        let item = fields.number(numbers)? as u32;
        let method = if version == 0 { 0 } else { fields.number(2)? & 15 };
        let source = fields.number(2)?;
        let base = fields.number(base)?;
        let mut extents = Vec::new();
        for _ in 0..fields.number(2)? {
            fields.number(index)?;
            extents.push((base.saturating_add(fields.number(offset)?), fields.number(length)?));
        }
        places.push(Place { item, is_in_file: method == 0 && source == 0, is_in_list: method == 1, extents });
    }
    Some(places)
}

/// Numbers of whole bytes, big-endian.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn number(&mut self, bytes: usize) -> Option<u64> {
        let number = self.0.split_off(..bytes)?;
        Some(number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

/// The sizes in the units of a decoder's configuration.
fn configured(configuration: &[u8]) -> Vec<(u32, u32)> {
    let mut sizes = Vec::new();
    let mut fields = Fields(configuration.get(22..).unwrap_or_default());
    let mut read = || {
        for _ in 0..fields.number(1)? {
            fields.number(1)?;
            for _ in 0..fields.number(2)? {
                let length = fields.number(2)? as usize;
                sizes.extend(hevc_size(fields.0.split_off(..length)?));
            }
        }
        Some(())
    };
    read();
    sizes
}

/// The sizes in a coded picture. Each unit follows its length in four bytes.
fn hevc_sizes(data: &[u8]) -> Vec<(u32, u32)> {
    let mut fields = Fields(data);
    let unit = || fields.number(4).and_then(|length| fields.0.split_off(..length as usize));
    std::iter::from_fn(unit).filter_map(hevc_size).collect()
}

/// The size in a unit, if it is a sequence parameter set (H.265, 7.3.2.2).
fn hevc_size(unit: &[u8]) -> Option<(u32, u32)> {
    if unit.first()? >> 1 & 63 != HEVC_SEQUENCE {
        return None;
    }
    // Many more bytes than precede the size, without the bytes that prevent start codes.
    let mut plain: Vec<u8> = Vec::new();
    for byte in unit.iter().skip(2).take(256) {
        if *byte != 3 || !plain.ends_with(&[0, 0]) {
            plain.push(*byte);
        }
    }
    let mut bits = Bits { bytes: &plain, at: 0 };
    bits.read(4)?;
    let layers = bits.read(3)?;
    // Nesting, and the general profile, tier and level.
    bits.skip(1 + 96)?;
    let mut layer_bits = 0;
    for _ in 0..layers {
        layer_bits += bits.read(1)? * 88 + bits.read(1)? * 8;
    }
    bits.skip(if layers > 0 { 2 * (8 - layers) + layer_bits } else { 0 })?;
    bits.exponential()?;
    if bits.exponential()? == 3 {
        bits.read(1)?;
    }
    Some((bits.exponential()?, bits.exponential()?))
}

/// The sizes in the units of a coded picture that are sequence headers (AV1, 5.5).
fn av1_sizes(mut data: &[u8]) -> Vec<(u32, u32)> {
    let unit = || {
        let (header, mut rest) = data.split_first()?;
        if header & 4 != 0 {
            rest = rest.get(1..)?;
        }
        let mut length = rest.len() as u64;
        if header & 2 != 0 {
            length = 0;
            for place in 0..8 {
                let byte;
                (byte, rest) = rest.split_first().map(|(byte, rest)| (*byte, rest))?;
                length |= u64::from(byte & 127) << (7 * place);
                if byte < 128 {
                    break;
                }
            }
        }
        let (unit, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        data = behind;
        Some((header >> 3 & 15, unit))
    };
    std::iter::from_fn(unit).filter(|(kind, _)| *kind == AV1_SEQUENCE).filter_map(|(_, unit)| av1_size(unit)).collect()
}

fn av1_size(header: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits { bytes: header, at: 0 };
    bits.read(4)?;
    if bits.read(1)? == 1 {
        bits.read(5)?;
    } else {
        let (mut has_model, mut delay_bits) = (false, 0);
        if bits.read(1)? == 1 {
            bits.skip(64)?;
            if bits.read(1)? == 1 {
                bits.exponential()?;
            }
            has_model = bits.read(1)? == 1;
            if has_model {
                delay_bits = bits.read(5)? + 1;
                bits.skip(32 + 5 + 5)?;
            }
        }
        let has_delay = bits.read(1)? == 1;
        for _ in 0..=bits.read(5)? {
            bits.read(12)?;
            if bits.read(5)? > 7 {
                bits.read(1)?;
            }
            if has_model && bits.read(1)? == 1 {
                bits.skip(2 * delay_bits + 1)?;
            }
            if has_delay && bits.read(1)? == 1 {
                bits.read(4)?;
            }
        }
    }
    let (width_bits, height_bits) = (bits.read(4)? + 1, bits.read(4)? + 1);
    Some((bits.read(width_bits)? + 1, bits.read(height_bits)? + 1))
}

/// The size of a composed picture, at a position in its data. A flag states the length of the numbers.
fn canvas(data: &[u8], at: usize) -> Option<(u32, u32)> {
    let bytes = if data.get(1)? & 1 == 0 { 2 } else { 4 };
    let mut fields = Fields(data.get(at..)?);
    Some((fields.number(bytes)? as u32, fields.number(bytes)? as u32))
}

/// Bits, the highest of each byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// A number of up to 32 bits.
    fn read(&mut self, count: u32) -> Option<u32> {
        let mut number = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            number = number << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(number)
    }

    fn skip(&mut self, count: u32) -> Option<()> {
        self.at = self.at.checked_add(count as usize)?;
        (self.at <= 8 * self.bytes.len()).then_some(())
    }

    /// A number in the exponential Golomb code.
    fn exponential(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.read(1)? == 0 {
            zeros += 1;
        }
        if zeros >= 32 {
            return None;
        }
        Some((1_u32 << zeros) - 1 + self.read(zeros)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The samples of the format tests: a configuration box and a coded picture behind it.
    fn split(sample: &[u8]) -> (&[u8], &[u8]) {
        sample.split_at(u32::from_be_bytes(*sample.first_chunk().expect("a box")) as usize)
    }

    #[test]
    fn the_size_of_hevc_is_in_its_configuration() {
        for (sample, size) in [
            (include_bytes!("../../tests/formats/samples/corners.hvc1").as_slice(), (192, 128)),
            (include_bytes!("../../tests/formats/samples/corners-10.hvc1"), (192, 128)),
            (include_bytes!("../../tests/formats/samples/quarter-0.hvc1"), (96, 64)),
            (include_bytes!("../../tests/formats/samples/flat-12-megapixels.hvc1"), (4000, 3000)),
        ] {
            assert_eq!(configured(&split(sample).0[8..]), [size]);
        }
    }

    #[test]
    fn the_size_of_av1_is_in_its_data() {
        for (sample, size) in [
            (include_bytes!("../../tests/formats/samples/corners.av01").as_slice(), (192, 128)),
            (include_bytes!("../../tests/formats/samples/corners-12.av01"), (192, 128)),
            (include_bytes!("../../tests/formats/samples/quarter-3.av01"), (96, 64)),
            (include_bytes!("../../tests/formats/samples/flat-12-megapixels.av01"), (4000, 3000)),
        ] {
            assert_eq!(av1_sizes(split(sample).1), [size]);
        }
    }

    #[test]
    fn what_is_cut_says_nothing() {
        let sample = include_bytes!("../../tests/formats/samples/corners.hvc1");
        for cut in 0..sample.len().min(140) {
            let _ = (configured(&sample[..cut]), hevc_sizes(&sample[..cut]), av1_sizes(&sample[..cut]));
        }
        assert!(av1_sizes(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_empty());
    }
}
