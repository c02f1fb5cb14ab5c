//! Checks the outcome of every file in the shared corpus of odd and hostile pictures, and of every shared case.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use eyeline_core::{ImageErrorCode, PRESETS};
use eyeline_image::{Heif, Limits, Made, make_versions};
use serde::Deserialize;

#[derive(Deserialize)]
struct Index {
    files: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "f")]
    path: String,
    expect: String,
    upright_w: Option<u32>,
    upright_h: Option<u32>,
    /// Mean colours of a 4 x 4 grid of the upright picture, in hex, for opaque pictures.
    rgb4x4: Option<String>,
}

/// The folders of pictures; the others hold JSON and text.
const FOLDERS: [&str; 5] = ["gif", "image", "jpeg-decoder", "orientation", "png"];

/// Files that lenient readers accept and this crate refuses, because samples are missing and were guessed: the decoder
/// met a marker before the data of a scan was complete, or an undefined code.
const REFUSED_FOR_LOST_DATA: [&str; 6] = [
    "jpeg-decoder/tests__crashtest__images__dc-predictor-overflow.jpg",
    "jpeg-decoder/tests__crashtest__images__imagetestsuite__1cbb1bb37d62c44f67374cd451643dc4.jpg",
    "jpeg-decoder/tests__crashtest__images__imagetestsuite__5482a54657765056f1a94116a8dbffe7.jpg",
    "jpeg-decoder/tests__crashtest__images__imagetestsuite__7997b6b229f25315d33f5c7085e37500.jpg",
    "jpeg-decoder/tests__crashtest__images__subtract-with-overflow.jpg",
    "jpeg-decoder/tests__reftest__images__partial_progressive.jpg",
];

/// A file whose colour profile is not sRGB. The index has its unconverted colours.
const CONVERTED: &str = "image/tests__images__jpg__portrait_2.jpg";

/// On shorter sides, colour at half the size says little about the original's colour.
const COMPARED_SIDE_MIN: u32 = 64;

/// The largest difference of a grid cell's mean from the reference: one version's compression, and another converter's
/// reading of the same profile.
const GRID_TOLERANCE: i16 = 10;

fn shared(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(folder)
}

/// The expected outcome of a case.
enum Expected {
    /// A picture of this size, with these colours at some positions.
    Done((u32, u32), &'static [((u32, u32), [u8; 3])]),
    Damaged,
}

/// The cases that are pictures.
const CASES: [(&str, Expected); 16] = {
    use Expected::{Damaged, Done};
    const UPRIGHT: Expected = Done((400, 600), &[]);
    // By Little CMS 2.19.
    const GREYS: Expected = Done((600, 400), &[((150, 200), [60; 3]), ((450, 200), [149; 3])]);
    const GREYS_WITH_OPACITY: Expected = Done(
        (600, 400),
        &[((50, 200), [81; 3]), ((150, 200), [137; 3]), ((300, 200), [188; 3]), ((450, 200), [225; 3])],
    );
    [
        ("01_control.jpg", UPRIGHT),
        ("01_a_value_outside.jpg", UPRIGHT),
        ("02_exif_twice.jpg", UPRIGHT),
        ("02_png_exif_with_mark.png", UPRIGHT),
        ("04_alpha_flag_no_alph.webp", Done((320, 200), &[])),
        ("05_exif_lossy.webp", Done((320, 200), &[])),
        ("06_control.gif", Done((120, 80), &[])),
        ("06_no_trailer.gif", Done((120, 80), &[])),
        ("07_apng_control.png", Done((200, 120), &[])),
        ("07_apng_frame_outside.png", Done((200, 120), &[])),
        ("08_control.jpg", Done((800, 600), &[])),
        ("08_damage_zeros.jpg", Damaged),
        ("08_quirk_se0_damage_zeros.jpg", Damaged),
        ("10_grey_lab.png", GREYS),
        ("greyalpha_gray.png", GREYS_WITH_OPACITY),
        ("12_webp_inside.jpg", Done((320, 200), &[])),
    ]
};

/// The largest difference of a colour from that of Little CMS, after compression.
const CASE_TOLERANCE: u8 = 4;

#[test]
fn every_case_gets_its_expected_outcome() {
    let folder = shared("cases");
    let heif = Heif::load();
    let (mut tried, mut wrong) = (0, Vec::new());
    for (name, expected) in &CASES {
        let Ok(bytes) = std::fs::read(folder.join(name)) else { continue };
        tried += 1;
        match (expected, make_versions(&bytes, &PRESETS, &Limits::default(), &heif)) {
            (Expected::Done(size, colours), Ok(made)) => {
                if (made.width, made.height) != *size {
                    wrong.push(format!("{name}: {} x {}", made.width, made.height));
                }
                let version = made.versions.last().expect("four versions");
                let picture = image::load_from_memory(&version.bytes).expect("a version is a picture").to_rgb8();
                for ((x, y), expected) in *colours {
                    let actual = picture.get_pixel(*x, *y).0;
                    if actual.iter().zip(expected).any(|(actual, expected)| actual.abs_diff(*expected) > CASE_TOLERANCE)
                    {
                        wrong.push(format!("{name} at {x}, {y}: {actual:?} for {expected:?}"));
                    }
                }
            }
            (Expected::Damaged, Err(error)) if error.code == ImageErrorCode::Damaged => {}
            (_, Ok(_)) => wrong.push(format!("{name}: accepted")),
            (_, Err(error)) => wrong.push(format!("{name}: {error}")),
        }
    }
    eprintln!("{tried} of {} cases tried", CASES.len());
    assert!(tried == 0 || tried == CASES.len(), "some cases are missing");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_file_of_the_corpus_gets_its_expected_outcome() {
    let folder = shared("corpus");
    let Ok(index) = std::fs::read_to_string(folder.join("INDEX.json")) else {
        eprintln!("the corpus is absent: 0 files tried");
        return;
    };
    let index: Index = serde_json::from_str(&index).expect("a readable index");
    let pictures = index.files.iter().filter(|entry| FOLDERS.iter().any(|folder| entry.path.starts_with(folder)));
    let (mut tried, mut accepted, mut grids, mut wrong) = (0, 0, 0, Vec::new());
    let heif = Heif::load();
    for entry in pictures {
        let bytes = std::fs::read(folder.join(&entry.path)).expect("a file of the corpus");
        let start = Instant::now();
        let outcome = make_versions(&bytes, &PRESETS, &Limits::default(), &heif);
        tried += 1;
        accepted += usize::from(outcome.is_ok());
        if start.elapsed() > Duration::from_secs(10) {
            wrong.push(format!("{}: took {:?}", entry.path, start.elapsed()));
        }
        let is_refused_here = REFUSED_FOR_LOST_DATA.contains(&entry.path.as_str());
        match (entry.expect.as_str(), outcome) {
            ("accept", Err(_)) if is_refused_here => {}
            ("accept", Ok(_)) if is_refused_here => wrong.push(format!("{}: accepted", entry.path)),
            ("accept", Err(error)) => wrong.push(format!("{}: {} ({error})", entry.path, error.code.as_str())),
            ("reject", Ok(_)) => wrong.push(format!("{}: accepted", entry.path)),
            ("accept", Ok(made)) => {
                if (Some(made.width), Some(made.height)) != (entry.upright_w, entry.upright_h) {
                    wrong.push(format!("{}: {} x {}", entry.path, made.width, made.height));
                } else if made.width.min(made.height) >= COMPARED_SIDE_MIN
                    && entry.path != CONVERTED
                    && made.versions.iter().all(|version| version.content_type == "image/jpeg")
                    && let Some(expected) = &entry.rgb4x4
                {
                    grids += 1;
                    let difference = grid_difference(&made, expected);
                    if difference > GRID_TOLERANCE {
                        wrong.push(format!("{}: colours differ by {difference}", entry.path));
                    }
                }
            }
            _ => {}
        }
    }
    eprintln!("{tried} files tried, {accepted} accepted, {grids} compared by colour");
    assert!(tried > 500, "only {tried} files in the corpus");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The largest difference of a channel's mean in a 4 x 4 grid between the largest version and the reference.
fn grid_difference(made: &Made, expected: &str) -> i16 {
    let version = made.versions.last().expect("four versions");
    let picture = image::load_from_memory(&version.bytes).expect("a version is a picture").to_rgb8();
    let (width, height) = picture.dimensions();
    let expected: Vec<i16> =
        (0..48).map(|n| i16::from_str_radix(&expected[2 * n..2 * n + 2], 16).expect("hex")).collect();
    let mut worst = 0;
    for cell in 0..16 {
        let columns = shares(cell % 4, width);
        let rows = shares(cell / 4, height);
        let mut sums = [0.0; 3];
        for (y, down) in &rows {
            for (x, across) in &columns {
                for (sum, sample) in sums.iter_mut().zip(picture.get_pixel(*x, *y).0) {
                    *sum += f64::from(sample) * across * down;
                }
            }
        }
        let area = f64::from(width) * f64::from(height) / 16.0;
        for (channel, sum) in sums.into_iter().enumerate() {
            worst = worst.max(((sum / area).round() as i16 - expected[cell as usize * 3 + channel]).abs());
        }
    }
    worst
}

/// The pixels of a side in its quarter number `quarter`, each with the share that lies in it.
fn shares(quarter: u32, side: u32) -> Vec<(u32, f64)> {
    let (start, end) = (f64::from(quarter * side) / 4.0, f64::from((quarter + 1) * side) / 4.0);
    let share = |pixel: u32| (f64::from(pixel + 1).min(end) - f64::from(pixel).max(start)).max(0.0);
    (0..side).map(|pixel| (pixel, share(pixel))).filter(|(_, share)| *share > 0.0).collect()
}
