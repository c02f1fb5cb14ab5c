//! The orientation in blocks of EXIF data: in any bytes, and in blocks that are damaged in every part but the orientation.
#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use eyeline_image::fuzzing;
use libfuzzer_sys::fuzz_target;

const ORIENTATION: u16 = 0x0112;

/// A block with a sound orientation among entries that may be anything else.
#[derive(Debug)]
struct Block {
    is_little: bool,
    marks: u8,
    before: Vec<[u8; 12]>,
    orientation: u8,
    behind: Vec<u8>,
}

impl<'a> Arbitrary<'a> for Block {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Block {
            is_little: bytes.arbitrary()?,
            marks: bytes.int_in_range(0..=2)?,
            before: bytes.arbitrary()?,
            orientation: bytes.int_in_range(1..=8)?,
            behind: bytes.arbitrary()?,
        })
    }
}

impl Block {
    fn write(&self) -> Vec<u8> {
        let short = |value: u16| if self.is_little { value.to_le_bytes() } else { value.to_be_bytes() };
        let mut block = b"Exif\0\0".repeat(self.marks.into());
        block.extend(if self.is_little { b"II*\0\x08\0\0\0" } else { b"MM\0*\0\0\0\x08" });
        let others: Vec<_> = self.before.iter().filter(|entry| entry[..2] != short(ORIENTATION)).collect();
        block.extend(short(u16::try_from(others.len()).map_or(u16::MAX, |count| count.saturating_add(1))));
        block.extend(others.into_iter().flatten());
        let one = if self.is_little { 1_u32.to_le_bytes() } else { 1_u32.to_be_bytes() };
        block.extend([short(ORIENTATION), short(3)].concat());
        block.extend(one);
        block.extend([short(self.orientation.into()), [0xee, 0xee]].concat());
        block.extend(&self.behind);
        block
    }
}

fuzz_target!(|bytes: &[u8]| {
    assert!(fuzzing::exif_orientation(bytes).is_none_or(|value| (1..=8).contains(&value)));
    let Ok(block) = Block::arbitrary(&mut Unstructured::new(bytes)) else { return };
    assert_eq!(fuzzing::exif_orientation(&block.write()), Some(block.orientation), "{block:?}");
});
