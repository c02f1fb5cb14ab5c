//! Telling what a file is, and reading the skeleton of a JPEG file, without any decoder behind it.
#![no_main]

use eyeline_core::ImageErrorCode;
use eyeline_fuzz::{end, number_of};
use eyeline_image::{fuzzing, sniff};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let kind = sniff(bytes);
    assert!(kind.is_none_or(|kind| kind.is_ascii()) && kind == sniff(&bytes[..bytes.len().min(512)]), "{kind:?}");

    let file = [b"\xff\xd8\xff", bytes].concat();
    let Ok((length, (width, height), profile)) = fuzzing::jpeg_skeleton(&file) else { return };
    match end::of_picture("image/jpeg", &file) {
        Some(end) => assert_eq!(length, end, "where the picture ends"),
        // The file is cut: in the data of a scan, or in a segment behind it, which is left out.
        None => assert!(length <= file.len()),
    }
    assert!(width.max(height) <= 0xffff && profile <= length);
    let cut = number_of(bytes) as usize % length;
    match fuzzing::jpeg_skeleton(&file[..cut]) {
        // The cut lies in the data of a scan or behind it.
        Ok((length, _, _)) => assert!(length <= cut),
        Err(error) => assert!(cut < 2 || error.code == ImageErrorCode::Truncated, "cut at {cut} of {length}: {error}"),
    }
});
