//! Where the picture in an accepted file ends, found without the pipeline's own readers.

/// The place behind the last byte of the picture; what follows is no part of it. `None` for a format, or a layout, that
/// is not known here.
pub fn of_picture(content_type: &str, file: &[u8]) -> Option<usize> {
    let end = match content_type {
        "image/jpeg" => of_jpeg(file),
        "image/png" => of_png(file),
        "image/webp" => Some(8 + u32::from_le_bytes(*file.get(4..)?.first_chunk()?) as usize),
        "image/gif" => of_gif(file),
        _ => None,
    };
    // A length that is stated may be too long.
    end.filter(|end| *end <= file.len())
}

fn of_jpeg(file: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        at += file.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        at += file[at..].iter().position(|byte| *byte != 0xff)?;
        let marker = file[at];
        at += 1;
        match marker {
            0xd9 => return Some(at),
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => at += usize::from(u16::from_be_bytes(*file.get(at..)?.first_chunk()?)),
        }
    }
}

fn of_png(file: &[u8]) -> Option<usize> {
    let mut at = 8;
    loop {
        let length = u32::from_be_bytes(*file.get(at..)?.first_chunk()?) as usize;
        let name = file.get(at + 4..at + 8)?;
        at += 12 + length;
        if name == b"IEND" {
            return Some(at);
        }
    }
}

fn of_gif(file: &[u8]) -> Option<usize> {
    let colors = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    let mut at = 13 + colors(*file.get(10)?);
    loop {
        match *file.get(at)? {
            0x3b => return Some(at + 1),
            0x21 => at += 2,
            0x2c => at += 11 + colors(*file.get(at + 9)?),
            _ => return None,
        }
        // Blocks behind their lengths, up to an empty one.
        loop {
            let length = usize::from(*file.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
    }
}
