//! Files with faults outside the first picture, as old cameras, editors and proxies write them: they are accepted and
//! give the versions of the intact file. If a part of the picture is lost, the file is refused.

use eyeline_core::ImageErrorCode;
use eyeline_image::Made;

use crate::{attempt, made};

mod gif;
mod jpeg;
mod png;
mod webp;

/// The file gives the same versions as the intact one.
#[track_caller]
fn assert_same(file: &[u8], sound: &Made, what: &str) {
    match attempt(file) {
        Ok(made) => assert!(made == *sound, "{what}: another picture"),
        Err(error) => panic!("{what}: {error}"),
    }
}

#[track_caller]
fn assert_refused(file: &[u8], code: ImageErrorCode, what: &str) {
    match attempt(file) {
        Ok(_) => panic!("{what}: taken"),
        Err(error) => assert_eq!(error.code, code, "{what}: {error}"),
    }
}

/// Cuts a file at each of these positions. A cut before `pixels_end` makes it truncated. A later cut makes it truncated
/// or gives the whole picture.
#[track_caller]
fn assert_cuts(file: &[u8], cuts: impl Iterator<Item = usize>, pixels_end: usize) {
    let sound = made(file);
    for cut in cuts {
        match attempt(&file[..cut]) {
            Ok(made) => assert!(cut >= pixels_end && made == sound, "cut at {cut} of {}", file.len()),
            Err(error) => assert_eq!(error.code, ImageErrorCode::Truncated, "cut at {cut} of {}", file.len()),
        }
    }
}
