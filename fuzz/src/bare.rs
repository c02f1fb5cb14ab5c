//! Whether a version holds nothing but its pixels.

/// Fails on every part of a file that its picture does not need: where a photo was taken, and by whom, would stand there.
pub fn check(content_type: &str, file: &[u8]) {
    match content_type {
        "image/jpeg" => check_jpeg(file),
        "image/png" => check_png(file),
        "image/webp" => check_webp(file),
        other => panic!("what a version of type {other} may hold is to be told here"),
    }
}

/// Start, JFIF, tables, a frame, its data, end.
fn check_jpeg(file: &[u8]) {
    assert!(file.starts_with(b"\xff\xd8") && file.ends_with(b"\xff\xd9"), "no JPEG from start to end");
    let mut at = 2;
    loop {
        let [0xff, marker, high, low, ..] = file[at..] else { panic!("no segment at {at}") };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let payload = &file[at + 4..at + 2 + length];
        match marker {
            0xe0 => assert!(payload.starts_with(b"JFIF\0") && length == 16, "a JFIF segment with more than its fields"),
            0xc0 | 0xc2 | 0xc4 | 0xdb | 0xda | 0xdd => {}
            _ => panic!("a segment {marker:x} in a version"),
        }
        at += 2 + length;
        if marker == 0xda {
            break;
        }
    }
    // Only entropy-coded data up to the end: a marker in it would begin another segment, or be an end before the end.
    let data = &file[at..file.len() - 2];
    let is_plain = |pair: &[u8]| pair[0] != 0xff || matches!(pair[1], 0 | 0xd0..=0xd7);
    assert!(data.windows(2).all(is_plain), "a segment behind the data");
}

fn check_png(file: &[u8]) {
    let mut at = 8;
    while at < file.len() {
        let length = u32::from_be_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]) as usize;
        let name = &file[at + 4..at + 8];
        assert!(matches!(name, b"IHDR" | b"IDAT" | b"IEND"), "a chunk {} in a version", name.escape_ascii());
        at += 12 + length;
    }
    assert_eq!(at, file.len(), "the last chunk is cut");
}

fn check_webp(file: &[u8]) {
    assert_eq!(u32::from_le_bytes([file[4], file[5], file[6], file[7]]) as usize + 8, file.len(), "stated length");
    let mut at = 12;
    while at < file.len() {
        let name = &file[at..at + 4];
        let is_known = matches!(name, b"VP8 " | b"VP8L" | b"VP8X" | b"ALPH");
        assert!(is_known, "a chunk {} in a version", name.escape_ascii());
        let length = u32::from_le_bytes([file[at + 4], file[at + 5], file[at + 6], file[at + 7]]) as usize;
        at += 8 + length.next_multiple_of(2);
    }
}
