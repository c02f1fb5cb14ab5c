//! What holds for every file that goes through the pipeline.

use std::ffi::c_char;
use std::sync::LazyLock;

use eyeline_core::{ImageErrorCode, PRESETS, Preset};
use eyeline_image::{Heif, ImageError, Limits, Made, make_versions};

use crate::{bare, end};

/// Longer than the largest box, so that a picture may have to shrink to fit it.
const SIDE_MAX: u32 = 5_100;
/// Few enough for one execution to take about a millisecond, and still more than fit the smallest box.
const PIXELS_MAX: u64 = 16_384;

/// Loading is slow, and cannot be undone.
static HEIF: LazyLock<Heif> = LazyLock::new(Heif::load);

/// Leaks that the sanitizer does not report. libheif 1.15 loses the 52 bytes of a colour profile whose numbers it does not
/// know, and 40 bytes of dav1d's when an AVIF picture has no data. Neither library keeps frame pointers, so the sanitizer
/// knows only the library.
#[unsafe(no_mangle)]
extern "C" fn __lsan_default_suppressions() -> *const c_char {
    c"leak:libheif.so\nleak:libdav1d.so".as_ptr()
}

fn outcome(file: &[u8], presets: &[Preset]) -> Result<Made, ImageError> {
    let limits = Limits {
        max_pixels: PIXELS_MAX,
        max_side: SIDE_MAX,
        max_memory_bytes: 64 << 20,
        max_frames: 8,
        max_total_pixels: 4 * PIXELS_MAX,
        ..Limits::default()
    };
    make_versions(file, presets, &limits, &HEIF)
}

/// Sends a file through the pipeline, checks what comes out and hands it back. `choice` decides on WebP
/// beside the other versions, and on a place to cut the file at.
pub fn check(file: &[u8], choice: u32) -> Result<Made, ImageError> {
    let presets = PRESETS.map(|preset| Preset { webp: choice % 4 == 0, ..preset });
    let outcome = outcome(file, &presets);
    match &outcome {
        Ok(made) => {
            check_versions(made, &presets);
            check_prefix(file, choice / 4, made, &presets);
        }
        Err(error) => check_refusal(error),
    }
    outcome
}

fn check_refusal(error: &ImageError) {
    // Only a step behind the decoders says this by itself, and no file should be able to make one fail.
    assert_ne!(error.code, ImageErrorCode::DecoderCrashed, "{error}");
    let sentence = &error.sentence;
    assert!(sentence.ends_with('.') && !sentence.contains('\n') && sentence.len() < 500, "no sentence: {sentence:?}");
}

fn check_versions(made: &Made, presets: &[Preset]) {
    assert!(made.width >= 1 && made.height >= 1 && made.width.max(made.height) <= SIDE_MAX);
    assert!(u64::from(made.width) * u64::from(made.height) <= PIXELS_MAX);
    assert!((5..=40).contains(&made.thumbhash.len()), "a thumbhash of {} bytes", made.thumbhash.len());
    let types = presets.iter().flat_map(|preset| [(preset, false), (preset, true)]);
    let asked: Vec<(&Preset, bool)> = types.filter(|(preset, is_webp)| preset.webp || !is_webp).collect();
    assert_eq!(made.versions.len(), asked.len());
    for (place, (version, (preset, is_webp))) in made.versions.iter().zip(asked).enumerate() {
        assert_eq!(version.content_type == "image/webp", is_webp);
        assert_eq!(version.name, preset.name);
        assert!(version.width >= 1 && version.height >= 1, "an empty version");
        assert!(version.width <= preset.width && version.height <= preset.height, "larger than its box");
        assert!(version.width <= made.width && version.height <= made.height, "enlarged");
        assert_eq!((version.width, version.height), preset.fit(made.width, made.height));
        if made.versions[..place].iter().any(|before| before.bytes == version.bytes) {
            continue;
        }
        bare::check(version.content_type, &version.bytes);
        // By readers that the pipeline has no part in, where there are any.
        let format = image::ImageFormat::from_mime_type(version.content_type).expect("a type of pictures");
        let again = image::load_from_memory_with_format(&version.bytes, format);
        let again = again.unwrap_or_else(|error| panic!("{} cannot be read: {error}", version.name));
        assert_eq!((again.width(), again.height()), (version.width, version.height), "size of {}", version.name);
    }
}

/// A file that lacks a part of its picture is never accepted: what is accepted shows all of it. What turns or colours the
/// picture may stand behind the cut.
fn check_prefix(file: &[u8], cut: u32, made: &Made, presets: &[Preset]) {
    let end = end::of_picture(made.content_type, file).unwrap_or(file.len());
    let Some(length) = (cut as usize).checked_rem(end) else { return };
    let is_changed_by = |bytes: &[u8]| matches!(bytes, b"II*\0" | b"MM\0*" | b"ICC_");
    match outcome(&file[..length], presets) {
        Ok(cut) if file.windows(4).any(is_changed_by) => {
            assert_eq!((cut.width + cut.height, cut.versions.len()), (made.width + made.height, made.versions.len()));
        }
        Ok(cut) => assert!(cut == *made, "another picture with {length} of {end} bytes"),
        Err(error) => check_refusal(&error),
    }
}
