//! Strict readers of output files: every byte belongs to a part, and a picture needs every part.

/// Panics unless a file is a picture and nothing else.
#[track_caller]
pub fn assert_bare(content_type: &str, file: &[u8]) {
    match content_type {
        "image/jpeg" => assert_bare_jpeg(file),
        "image/png" => assert_bare_png(file),
        "image/webp" => assert_bare_webp(file),
        other => panic!("a version as {other}"),
    }
}

/// The markers of the segments between start and end, each with its payload.
pub fn jpeg_segments(file: &[u8]) -> Vec<(u8, &[u8])> {
    assert_eq!(&file[..2], [0xff, 0xd8], "starts as JPEG");
    let mut segments = Vec::new();
    let mut at = 2;
    loop {
        assert_eq!(file[at], 0xff, "a marker at {at}");
        let marker = file[at + 1];
        if marker == 0xd9 {
            assert_eq!(at + 2, file.len(), "nothing behind the end");
            return segments;
        }
        let length = usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
        segments.push((marker, &file[at + 4..at + 2 + length]));
        at += 2 + length;
        if marker == 0xda {
            // The coder's data ends at a marker that is neither a stuffed zero nor a restart.
            while file[at] != 0xff || matches!(file[at + 1], 0x00 | 0xd0..=0xd7) {
                at += 1;
            }
        }
    }
}

#[track_caller]
fn assert_bare_jpeg(file: &[u8]) {
    for (marker, payload) in jpeg_segments(file) {
        match marker {
            // JFIF: name, version, unit, density, and a thumbnail of 0 x 0 pixels.
            0xe0 => assert!(payload.len() == 14 && payload.starts_with(b"JFIF\0") && payload[12..] == [0, 0]),
            // Tables, frame, restart interval, scan.
            0xdb | 0xc4 | 0xc0 | 0xdd | 0xda => {}
            other => panic!("a segment {other:#x} of {} bytes", payload.len()),
        }
    }
}

#[track_caller]
fn assert_bare_png(file: &[u8]) {
    let mut rest = file.strip_prefix(b"\x89PNG\r\n\x1a\n").expect("starts as PNG");
    let mut kinds = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().expect("a length")) as usize;
        kinds.push(String::from_utf8_lossy(&rest[4..8]).into_owned());
        rest = &rest[12 + length..];
    }
    kinds.dedup();
    assert_eq!(kinds, ["IHDR", "IDAT", "IEND"]);
}

#[track_caller]
fn assert_bare_webp(file: &[u8]) {
    assert!(file.starts_with(b"RIFF") && &file[8..12] == b"WEBP", "starts as WebP");
    let stated = u32::from_le_bytes(file[4..8].try_into().expect("a length")) as usize;
    assert_eq!(stated + 8, file.len(), "the container is the whole file");
    let mut rest = &file[12..];
    let mut kinds = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[4..8].try_into().expect("a length")) as usize;
        let kind = String::from_utf8_lossy(&rest[..4]).into_owned();
        if kind == "VP8X" {
            assert_eq!((length, rest[8] & !0x10), (10, 0), "it says that it has opacity, and nothing else");
        }
        kinds.push(kind);
        rest = &rest[8 + length.next_multiple_of(2)..];
    }
    assert!(kinds == ["VP8 "] || kinds == ["VP8X", "ALPH", "VP8 "], "{kinds:?}");
}
