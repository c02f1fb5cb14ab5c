//! Every accepted kind of file, each with a known picture: checks the versions, and that only the pixels reach a
//! version.

mod faults;
mod files;
mod heif;
mod jpeg;
mod media;
mod metadata;
mod parts;
mod png;
mod profiles;
mod refused;
mod turned;
mod webp;

use std::sync::LazyLock;

use eyeline_core::Webp;
use eyeline_image::{Heif, ImageError, Limits, Made, make_versions};
use image::{DynamicImage, Rgb, RgbImage};

/// Makes every version in every type.
fn made(file: &[u8]) -> Made {
    attempt(file).unwrap_or_else(|error| panic!("{}: {error}", error.code.as_str()))
}

fn attempt(file: &[u8]) -> Result<Made, ImageError> {
    make_versions(file, &Webp::All.presets(), &Limits::default(), heif_reader())
}

/// The system's libheif, loaded once.
fn heif_reader() -> &'static Heif {
    static READER: LazyLock<Heif> = LazyLock::new(Heif::load);
    &READER
}

fn refusal(file: &[u8]) -> ImageError {
    attempt(file).expect_err("no versions")
}

/// The largest version as JPEG or PNG.
fn largest(made: &Made) -> DynamicImage {
    let version = made.versions.iter().find(|version| version.name == "d2500" && version.content_type != "image/webp");
    image::load_from_memory(&version.expect("a d2500").bytes).expect("a version is a picture")
}

/// A smooth picture whose four corners differ: red, green, white and blue, clockwise from the top left.
fn four_corners(width: u32, height: u32) -> RgbImage {
    let corners = [[220.0, 40.0, 40.0], [40.0, 200.0, 60.0], [230.0, 230.0, 230.0], [50.0, 60.0, 210.0]];
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = ((f64::from(x) + 0.5) / f64::from(width), (f64::from(y) + 0.5) / f64::from(height));
        let shares = [(1.0 - x) * (1.0 - y), x * (1.0 - y), x * y, (1.0 - x) * y];
        let mix = |channel: usize| (0..4).map(|corner| corners[corner][channel] * shares[corner]).sum::<f64>();
        Rgb([mix(0) as u8, mix(1) as u8, mix(2) as u8])
    })
}

#[track_caller]
fn assert_near(actual: [u8; 3], expected: [u8; 3], tolerance: u8, what: &str) {
    let is_near = actual.iter().zip(expected).all(|(actual, expected)| actual.abs_diff(expected) <= tolerance);
    assert!(is_near, "{what}: {actual:?} instead of {expected:?}");
}

/// Compares two pictures of one size at many places.
#[track_caller]
fn assert_same_picture(actual: &RgbImage, expected: &RgbImage, tolerance: u8, what: &str) {
    assert_eq!(actual.dimensions(), expected.dimensions(), "{what}");
    let (width, height) = expected.dimensions();
    for (x, y) in (0..16).flat_map(|row| (0..16).map(move |column| (column, row))) {
        let (x, y) = (x * (width - 1) / 15, y * (height - 1) / 15);
        assert_near(actual.get_pixel(x, y).0, expected.get_pixel(x, y).0, tolerance, &format!("{what} at {x}, {y}"));
    }
}
