//! WebP in addition to JPEG and PNG: its versions, its fidelity, and that it is compressed once.

use eyeline_core::{PRESETS, Webp};
use eyeline_image::{Limits, Made, Version, make_versions};

use crate::heif_reader;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

use crate::files::encoded;
use crate::made;

fn jpeg(picture: impl Into<DynamicImage>) -> Vec<u8> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, 95).encode_image(&picture.into()).expect("encodes");
    file
}

fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
    encoded(picture, ImageFormat::Png)
}

fn made_with(file: &[u8], webp: Webp) -> Made {
    make_versions(file, &webp.presets(), &Limits::default(), heif_reader()).expect("a picture")
}

fn version<'a>(made: &'a Made, name: &str, content_type: &str) -> &'a Version {
    let found = made.versions.iter().find(|version| version.name == name && version.content_type == content_type);
    found.unwrap_or_else(|| panic!("no {name} as {content_type}"))
}

fn decoded(version: &Version) -> DynamicImage {
    let picture = image::load_from_memory(&version.bytes).expect("a version is a picture");
    assert_eq!((picture.width(), picture.height()), (version.width, version.height), "stated and real size");
    picture
}

/// Squares of flat colours with sides of 100 pixels, including the ends of every range.
fn squares() -> (RgbImage, Vec<[u8; 3]>) {
    let mut colors = vec![[0, 0, 0], [255, 255, 255], [128, 128, 128], [16, 16, 16], [235, 235, 235]];
    colors.extend([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255], [255, 0, 255]]);
    colors.extend([[200, 100, 50], [30, 120, 200], [120, 180, 90], [240, 200, 180], [60, 20, 90]]);
    let picture = RgbImage::from_fn(400, 400, |x, y| Rgb(colors[(y / 100 * 4 + x / 100) as usize]));
    (picture, colors)
}

/// The largest difference of a channel between the middles of the squares and their expected colours.
fn worst_of_squares(picture: &RgbImage, colors: &[[u8; 3]]) -> u8 {
    let middle = |at: u32| picture.get_pixel(at % 4 * 100 + 50, at / 4 * 100 + 50).0;
    let differences = (0..16).flat_map(|at| {
        let (actual, expected) = (middle(at), colors[at as usize]);
        (0..3).map(move |channel| actual[channel].abs_diff(expected[channel]))
    });
    differences.max().unwrap_or_default()
}

#[test]
fn the_setting_decides_which_versions_are_there_as_webp_too() {
    let file = jpeg(squares().0);
    let listed = |webp: Webp| -> Vec<(String, &'static str)> {
        made_with(&file, webp).versions.into_iter().map(|version| (version.name, version.content_type)).collect()
    };
    let expected = |with_webp: &[&str]| -> Vec<(String, &'static str)> {
        let types = |name: &str| {
            let beside = with_webp.contains(&name).then_some("image/webp");
            std::iter::once("image/jpeg").chain(beside)
        };
        PRESETS.iter().flat_map(|preset| types(preset.name).map(|found| (preset.name.to_owned(), found))).collect()
    };
    assert_eq!(listed(Webp::Off), expected(&[]));
    assert_eq!(listed(Webp::Small), expected(&["thumb", "big_thumb"]));
    assert_eq!(listed(Webp::All), expected(&["thumb", "big_thumb", "big_1920", "d2500"]));
}

#[test]
fn the_jpeg_beside_a_webp_is_the_one_that_is_made_without_it() {
    let file = jpeg(squares().0);
    let without = made_with(&file, Webp::Off).versions;
    let with = made(&file).versions;
    assert!(with.into_iter().filter(|version| version.content_type == "image/jpeg").eq(without));
}

#[test]
fn webp_shows_the_colours_of_the_jpeg_from_black_to_white() {
    let (picture, colors) = squares();
    for file in [jpeg(picture.clone()), png(picture)] {
        let made = made(&file);
        let of_jpeg = worst_of_squares(&decoded(version(&made, "d2500", "image/jpeg")).to_rgb8(), &colors);
        let of_webp = worst_of_squares(&decoded(version(&made, "d2500", "image/webp")).to_rgb8(), &colors);
        // WebP counts brightness in 220 steps, hence a difference of 2. A wrong range would differ by 16.
        assert!(of_jpeg <= 3, "JPEG is off by {of_jpeg}");
        assert!(of_webp <= of_jpeg + 4, "WebP is off by {of_webp}, JPEG by {of_jpeg}");
    }
}

#[test]
fn grey_has_no_tint_and_reaches_both_ends() {
    let picture = GrayImage::from_fn(512, 64, |x, _| image::Luma([(x / 2) as u8]));
    for file in [jpeg(picture.clone()), png(picture)] {
        let webp = decoded(version(&made(&file), "d2500", "image/webp")).to_rgb8();
        for x in 0..512 {
            let [red, green, blue] = webp.get_pixel(x, 32).0;
            assert!(red.abs_diff(green) <= 2 && blue.abs_diff(green) <= 2, "a tint at {x}: {red} {green} {blue}");
            assert!(green.abs_diff((x / 2) as u8) <= 6, "{green} at {x}");
        }
    }
}

#[test]
fn opacity_is_the_same_in_webp_and_png_and_colours_are_near() {
    let picture = RgbaImage::from_fn(900, 700, |x, y| {
        let alpha = if x < 450 { 255 } else { (y * 255 / 699) as u8 };
        Rgba([200, (x * 255 / 899) as u8, 60, alpha])
    });
    let made = made(&png(picture));
    for preset in PRESETS {
        let of_png = decoded(version(&made, preset.name, "image/png")).to_rgba8();
        let of_webp = decoded(version(&made, preset.name, "image/webp")).to_rgba8();
        for (x, y, pixel) in of_png.enumerate_pixels() {
            let other = of_webp.get_pixel(x, y).0;
            assert_eq!(other[3], pixel.0[3], "opacity at {x}, {y} of {}", preset.name);
            if pixel.0[3] > 128 {
                let difference = (0..3).map(|channel| other[channel].abs_diff(pixel.0[channel])).max();
                assert!(difference <= Some(24), "{other:?} for {pixel:?} at {x}, {y} of {}", preset.name);
            }
        }
    }
}

#[test]
fn a_small_picture_is_compressed_once_for_all_its_versions() {
    for file in [jpeg(squares().0), png(RgbaImage::from_pixel(90, 70, Rgba([9, 9, 9, 99])))] {
        let made = made(&file);
        let of_type = |is_webp: bool| {
            let versions =
                made.versions.iter().filter(move |version| (version.content_type == "image/webp") == is_webp);
            versions.filter(|version| version.name != "thumb").map(|version| &version.bytes).collect::<Vec<_>>()
        };
        for same in [of_type(true), of_type(false)] {
            assert!(same.len() == 3 && same.iter().all(|bytes| *bytes == same[0]));
        }
    }
}

#[test]
fn sides_of_any_parity_and_the_smallest_pictures_have_webp() {
    for (width, height) in [(1, 1), (2, 1), (1, 2), (3, 3), (15, 17), (16, 16), (201, 99)] {
        for file in [
            jpeg(RgbImage::from_pixel(width, height, Rgb([200, 100, 50]))),
            jpeg(GrayImage::from_pixel(width, height, image::Luma([90]))),
            png(RgbaImage::from_pixel(width, height, Rgba([200, 100, 50, 128]))),
        ] {
            let made = made(&file);
            assert_eq!(made.versions.len(), 8);
            made.versions.iter().for_each(|version| drop(decoded(version)));
        }
    }
}

#[test]
fn a_picture_that_nothing_can_compress_has_webp_too() {
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let picture = RgbImage::from_fn(2500, 2500, |_, _| Rgb([noise(), noise(), noise()]));
    let made = made(&jpeg(picture));
    assert_eq!(decoded(version(&made, "d2500", "image/webp")).to_rgb8().dimensions(), (2500, 2500));
}
