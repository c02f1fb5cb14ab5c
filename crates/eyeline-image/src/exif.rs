//! Reads the orientation from a block of EXIF data, and nothing else.
//!
//! Only IFD0 is read, so that damage in any other part of the block (values, the GPS directory, the next directory, the
//! maker's notes) leaves the orientation readable.

/// Bytes at the start of a block in which its TIFF header is searched. JPEG has the mark `Exif\0\0` before the header, some
/// programs write the mark twice, or write it in PNG and WebP too.
const HEADER_WITHIN: usize = 64;

/// The tag of the orientation.
const ORIENTATION: u16 = 0x0112;

/// Bytes of a directory's entry: tag, type, count, and a value or the place of it.
const ENTRY_BYTES: usize = 12;

/// The orientation that a block states, from 1 to 8; `None` without a valid one.
pub(crate) fn orientation(block: &[u8]) -> Option<u8> {
    let start = block.windows(4).take(HEADER_WITHIN).position(|bytes| matches!(bytes, b"II*\0" | b"MM\0*"))?;
    let tiff = Tiff { is_little: block[start] == b'I', bytes: &block[start..] };
    let directory = tiff.long(4)? as usize;
    let count = usize::from(tiff.short(directory)?);
    let entries = directory + 2..tiff.bytes.len();
    entries.step_by(ENTRY_BYTES).take(count).find_map(|entry| tiff.orientation_of(entry))
}

/// Numbers in one of the two byte orders, at places that count from the header.
struct Tiff<'a> {
    bytes: &'a [u8],
    is_little: bool,
}

impl Tiff<'_> {
    fn short(&self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    /// The value of an entry, if it is an orientation. The standard requires one SHORT; some programs write another
    /// type or count. A value of more than four bytes is stored elsewhere.
    fn orientation_of(&self, entry: usize) -> Option<u8> {
        if self.short(entry)? != ORIENTATION {
            return None;
        }
        let kind = self.short(entry + 2)?;
        let value = |at| match kind {
            // BYTE, SBYTE and UNDEFINED.
            1 | 6 | 7 => self.bytes.get(at).copied().map(u32::from),
            // ASCII: a digit.
            2 => self.bytes.get(at).map(|digit: &u8| u32::from(digit.wrapping_sub(b'0'))),
            // LONG and SLONG.
            4 | 9 => self.long(at),
            // SHORT, SSHORT, and types that are not numbers.
            _ => self.short(at).map(u32::from),
        };
        let valid = |value: u32| u8::try_from(value).ok().filter(|value| matches!(value, 1..=8));
        // No value is stored below position 8, where the header is.
        let inline = value(entry + 8).and_then(valid);
        inline.or_else(|| value(self.long(entry + 8)? as usize).and_then(valid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tag, type, count, and the four bytes of the value.
    type Entry = (u16, u16, u32, [u8; 4]);

    /// A block with these entries in IFD0, which ends in the place of the next directory.
    fn block(is_little: bool, entries: &[Entry], next: u32) -> Vec<u8> {
        let short = |value: u16| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
        let long = |value: u32| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
        let mut block = if is_little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        block.extend(long(8));
        block.extend(short(entries.len() as u16));
        for (tag, kind, count, value) in entries {
            block.extend([short(*tag), short(*kind)].concat());
            block.extend(long(*count));
            block.extend(value);
        }
        block.extend(long(next));
        block
    }

    const LITTLE: Entry = (ORIENTATION, 3, 1, [6, 0, 0, 0]);
    const BIG: Entry = (ORIENTATION, 3, 1, [0, 6, 0, 0]);
    /// A camera's name whose place lies far outside.
    const OUTSIDE: Entry = (0x010f, 2, 20, [0xff, 0xff, 0xff, 0x7f]);
    /// Entries with a huge count, with an unknown type, and with a broken place of the EXIF and the GPS directory.
    const HUGE: Entry = (0x0110, 5, u32::MAX, [8, 0, 0, 0]);
    const UNKNOWN: Entry = (0x9999, 77, 3, [1, 2, 3, 4]);
    const EXIF: Entry = (0x8769, 4, 1, [0xfe, 0xff, 0xff, 0xff]);
    const GPS: Entry = (0x8825, 4, 1, [8, 0, 0, 0]);

    #[test]
    fn damage_beside_the_orientation_leaves_it_readable() {
        for (is_little, own) in [(true, LITTLE), (false, BIG)] {
            let cases: [&[Entry]; 6] = [
                &[own],
                &[OUTSIDE, own],
                &[own, OUTSIDE],
                &[HUGE, UNKNOWN, OUTSIDE, own],
                // Unsorted, and a directory that points to itself.
                &[GPS, EXIF, own, HUGE],
                &[own, own, GPS],
            ];
            for entries in cases {
                // No next directory, this one again, one outside, one within the header.
                for next in [0, 8, u32::MAX, 3] {
                    let block = block(is_little, entries, next);
                    assert_eq!(orientation(&block), Some(6), "{entries:?}, next at {next}");
                    // The block is cut behind the entries, or before the place of the next directory.
                    assert_eq!(orientation(&block[..block.len() - 4]), Some(6), "{entries:?}, cut");
                }
            }
        }
    }

    #[test]
    fn more_entries_stated_than_there_are_leave_it_readable() {
        let mut block = block(true, &[OUTSIDE, LITTLE], 0);
        block[8..10].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(orientation(&block), Some(6));
    }

    #[test]
    fn the_mark_may_stand_before_the_header_more_than_once() {
        let block = block(false, &[BIG], 0);
        for before in
            [b"".as_slice(), b"Exif\0\0", b"Exif\0\0Exif\0\0", b"Exif\0\xff", b"EXIF\0\0", b"\0\0\0\x06Exif\0\0"]
        {
            assert_eq!(orientation(&[before, &block].concat()), Some(6), "{before:?}");
        }
    }

    #[test]
    fn another_type_or_count_is_understood() {
        let values: [Entry; 9] = [
            (ORIENTATION, 1, 1, [8, 0, 0, 0]),
            (ORIENTATION, 7, 1, [8, 0xff, 0xff, 0xff]),
            (ORIENTATION, 4, 1, [8, 0, 0, 0]),
            (ORIENTATION, 9, 1, [8, 0, 0, 0]),
            (ORIENTATION, 8, 1, [8, 0, 0, 0]),
            (ORIENTATION, 2, 2, [b'8', 0, 0, 0]),
            (ORIENTATION, 3, 0, [8, 0, 0, 0]),
            (ORIENTATION, 3, u32::MAX, [8, 0, 0, 0]),
            (ORIENTATION, 0, 1, [8, 0, 0x77, 0x77]),
        ];
        for entry in values {
            assert_eq!(orientation(&block(true, &[entry], 0)), Some(8), "{entry:?}");
        }
        let long = (ORIENTATION, 4, 1, [0, 0, 0, 8]);
        assert_eq!(orientation(&block(false, &[long], 0)), Some(8));
        // Three values are stored after the directory.
        let elsewhere = (ORIENTATION, 3, 3, [26, 0, 0, 0]);
        let block = [block(true, &[elsewhere], 0), vec![8, 0, 1, 0, 1, 0]].concat();
        assert_eq!(orientation(&block), Some(8));
    }

    #[test]
    fn without_a_valid_value_there_is_none() {
        for value in [0, 9, 255] {
            assert_eq!(orientation(&block(true, &[(ORIENTATION, 3, 1, [value, 0, 0, 0])], 0)), None, "{value}");
        }
        // A second entry may have one.
        assert_eq!(orientation(&block(true, &[(ORIENTATION, 3, 1, [0; 4]), LITTLE], 0)), Some(6));
        for damaged in
            [b"".as_slice(), b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x01", b"Exif\0\0", b"JFIF\0"]
        {
            assert_eq!(orientation(damaged), None, "{damaged:?}");
        }
    }

    #[test]
    fn only_the_first_directory_counts() {
        // IFD0 has no orientation; IFD1, of the preview, has one.
        let preview = [1_u16.to_le_bytes().to_vec(), block(true, &[LITTLE], 0)[10..].to_vec()].concat();
        let block = [block(true, &[OUTSIDE], 26), preview].concat();
        assert_eq!(orientation(&block), None);
    }
}
