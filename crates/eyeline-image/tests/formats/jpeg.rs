//! JPEG of every coding, colour model and subsampling.

use eyeline_core::ImageErrorCode;
use jpeg_encoder::{ColorType, SamplingFactor};

use crate::files::{jpeg, photo, with_segment};
use crate::{assert_near, assert_same_picture, four_corners, largest, made, refusal};

/// A picture of 64 x 48 pixels with the colours of `four_corners`, written by cjpeg of libjpeg-turbo 2.1.5 at quality 90
/// with `-arithmetic`, with `-arithmetic -progressive`, and with `-rgb`.
const ARITHMETIC: [&[u8]; 2] =
    [include_bytes!("samples/arithmetic.jpg"), include_bytes!("samples/arithmetic-progressive.jpg")];
const RGB: &[u8] = include_bytes!("samples/rgb.jpg");

#[test]
fn every_subsampling_baseline_and_progressive_gives_the_same_picture() {
    use SamplingFactor as S;
    // Odd sides, so that every form of padding occurs, and sides that are reduced.
    for size in [(61, 47), (1501, 1001)] {
        let picture = four_corners(size.0, size.1);
        for sampling in [S::R_4_4_4, S::R_4_2_2, S::R_4_4_0, S::R_4_2_0, S::R_4_1_1, S::R_4_4_1, S::R_4_1_0, S::R_4_2_1]
        {
            for progressive in [false, true] {
                let file = jpeg(&picture, size, ColorType::Rgb, sampling, progressive);
                let what = format!("{sampling:?} {size:?}, progressive: {progressive}");
                assert_same_picture(&largest(&made(&file)).to_rgb8(), &picture, 14, &what);
            }
        }
    }
}

#[test]
fn grey_is_taken_baseline_and_progressive() {
    let size = (61, 47);
    let grey = image::DynamicImage::from(four_corners(size.0, size.1)).to_luma8();
    for progressive in [false, true] {
        let file = jpeg(&grey, size, ColorType::Luma, SamplingFactor::R_4_4_4, progressive);
        let version = largest(&made(&file));
        assert!(matches!(version, image::DynamicImage::ImageLuma8(_)), "grey stays grey");
        let expected = image::DynamicImage::from(grey.clone()).to_rgb8();
        assert_same_picture(&version.to_rgb8(), &expected, 6, "grey");
    }
}

#[test]
fn four_inks_become_the_colours_that_they_print() {
    let inks = [
        ([0, 0, 0, 0], [255, 255, 255]),
        ([0, 0, 0, 255], [0, 0, 0]),
        ([255, 0, 0, 0], [0, 255, 255]),
        ([0, 255, 0, 0], [255, 0, 255]),
        ([0, 0, 255, 0], [255, 255, 0]),
        ([50, 100, 150, 40], [173, 131, 89]),
    ];
    for (ink, expected) in inks {
        let samples: Vec<u8> = ink.into_iter().cycle().take(64 * 64 * 4).collect();
        for color in [ColorType::Cmyk, ColorType::CmykAsYcck] {
            let file = jpeg(&samples, (64, 64), color, SamplingFactor::R_4_4_4, false);
            let version = largest(&made(&file)).to_rgb8();
            assert_near(version.get_pixel(30, 30).0, expected, 6, &format!("{ink:?} as {color:?}"));
        }
    }
}

#[test]
fn arithmetic_coding_and_rgb_without_conversion_are_taken() {
    for file in [ARITHMETIC[0], ARITHMETIC[1], RGB] {
        assert_same_picture(&largest(&made(file)).to_rgb8(), &four_corners(64, 48), 12, "a sample");
    }
}

#[test]
fn an_arithmetic_file_that_is_cut_is_truncated() {
    for file in ARITHMETIC {
        for cut in (2..file.len()).step_by(11) {
            assert_eq!(refusal(&file[..cut]).code, ImageErrorCode::Truncated, "cut at {cut}");
        }
    }
}

/// The same file with another frame marker and precision.
fn with_frame(file: &[u8], marker: u8, bits: u8) -> Vec<u8> {
    let mut file = file.to_vec();
    let frame = file.windows(2).position(|bytes| bytes == [0xff, 0xc0]).expect("a frame");
    (file[frame + 1], file[frame + 4]) = (marker, bits);
    file
}

#[test]
fn rare_codings_are_refused_by_their_name() {
    let file = photo(&four_corners(60, 40));
    for (marker, bits, sentence) in [
        (0xc1, 12, "A JPEG picture of 12 bits a sample cannot be read here."),
        (0xc2, 12, "A JPEG picture of 12 bits a sample cannot be read here."),
        (0xc3, 8, "A lossless JPEG picture cannot be read here."),
        (0xc3, 16, "A lossless JPEG picture cannot be read here."),
        (0xcb, 8, "A lossless JPEG picture cannot be read here."),
        (0xc5, 8, "A hierarchical JPEG picture cannot be read here."),
        (0xce, 8, "A hierarchical JPEG picture cannot be read here."),
    ] {
        let refusal = refusal(&with_frame(&file, marker, bits));
        assert_eq!((refusal.code, refusal.sentence.as_str()), (ImageErrorCode::Unsupported, sentence));
    }
}

#[test]
fn an_extended_frame_of_eight_bits_is_a_plain_one() {
    let picture = four_corners(60, 40);
    let file = with_frame(&photo(&picture), 0xc1, 8);
    assert_same_picture(&largest(&made(&file)).to_rgb8(), &picture, 10, "extended");
}

#[test]
fn a_preview_inside_of_a_photo_is_not_taken_for_the_photo() {
    let picture = four_corners(300, 200);
    let preview = photo(&image::RgbImage::from_pixel(40, 30, image::Rgb([0, 0, 0])));
    let file = with_segment(&photo(&picture), 0xe1, &[b"Exif\0\0".as_slice(), &preview].concat());
    assert_same_picture(&largest(&made(&file)).to_rgb8(), &picture, 10, "the photo");
}
