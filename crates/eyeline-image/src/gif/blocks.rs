//! The blocks of a GIF file up to its first picture, without decoding any pixel.

/// The position of the first picture.
pub(crate) struct FirstPicture {
    /// Pixels from the left of the screen to the right side of the picture.
    pub right: u32,
    /// Pixels from the top of the screen to the lower side of the picture.
    pub bottom: u32,
    /// The position of the first block of its data.
    data: usize,
}

/// Finds the first picture of a file that begins like a GIF. Skips empty frames. `None` if the file has no picture, or
/// ends before its size.
pub(crate) fn first_picture(file: &[u8]) -> Option<FirstPicture> {
    let word = |at: usize| Some(u32::from(u16::from_le_bytes(*file.get(at..)?.first_chunk()?)));
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + table(*file.get(10)?);
    loop {
        match *file.get(at)? {
            0x2c => {
                let (left, top, width, height) = (word(at + 1)?, word(at + 3)?, word(at + 5)?, word(at + 7)?);
                // The code size precedes the data.
                let data = at + 11 + table(*file.get(at + 9)?);
                if width > 0 && height > 0 {
                    return Some(FirstPicture { right: left + width, bottom: top + height, data });
                }
                at = data_end(file, data)? + 1;
            }
            0x21 => at = data_end(file, at + 2)? + 1,
            0x3b => return None,
            // Padding between blocks.
            _ => at += 1,
        }
    }
}

/// The position of the empty block that ends a sequence of data blocks.
fn data_end(file: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *file.get(at)? {
            0 => return Some(at),
            length => at += usize::from(length) + 1,
        }
    }
}

impl FirstPicture {
    /// The position after the last whole block of data, and whether an empty block follows.
    pub fn end(&self, file: &[u8]) -> (usize, bool) {
        let mut at = self.data.min(file.len());
        while let Some(length) = file.get(at).copied().filter(|length| *length > 0) {
            let next = at + 1 + usize::from(length);
            if next > file.len() {
                break;
            }
            at = next;
        }
        (at, file.get(at) == Some(&0))
    }
}
