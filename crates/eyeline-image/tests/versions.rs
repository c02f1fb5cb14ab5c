//! The versions of a picture from outside: sizes, orientation, colours, transparency, and refusals.

use std::io::Cursor;

use eyeline_core::{ImageErrorCode, PRESETS};
use eyeline_image::{Heif, Limits, Made, make_versions};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage};

/// A smooth picture whose four corners differ: red, green, blue and white, clockwise from the top left.
fn four_corners(width: u32, height: u32) -> RgbImage {
    let corners = [[220.0, 40.0, 40.0], [40.0, 200.0, 60.0], [230.0, 230.0, 230.0], [50.0, 60.0, 210.0]];
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = ((f64::from(x) + 0.5) / f64::from(width), (f64::from(y) + 0.5) / f64::from(height));
        let shares = [(1.0 - x) * (1.0 - y), x * (1.0 - y), x * y, (1.0 - x) * y];
        let mix = |channel: usize| (0..4).map(|corner| corners[corner][channel] * shares[corner]).sum::<f64>();
        Rgb([mix(0) as u8, mix(1) as u8, mix(2) as u8])
    })
}

fn jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    let (width, height) = picture.dimensions();
    JpegEncoder::new_with_quality(&mut file, 92)
        .write_image(picture, width, height, ExtendedColorType::Rgb8)
        .expect("encodes");
    file
}

fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.into().write_to(&mut file, image::ImageFormat::Png).expect("encodes");
    file.into_inner()
}

/// A JPEG file with one more segment after its first marker.
fn with_segment(file: &[u8], marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 2).expect("a short segment").to_be_bytes();
    [&file[..2], &[0xff, marker], &length, payload, &file[2..]].concat()
}

/// An EXIF segment's payload with only an orientation.
fn exif_with_orientation(value: u8) -> Vec<u8> {
    [b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(), &[value, 0, 0, 0, 0, 0, 0]].concat()
}

fn made(file: &[u8]) -> Made {
    make_versions(file, &PRESETS, &Limits::default(), &Heif::load()).expect("a picture")
}

fn refusal(file: &[u8]) -> ImageErrorCode {
    make_versions(file, &PRESETS, &Limits::default(), &Heif::load()).expect_err("no picture").code
}

fn sizes(made: &Made) -> Vec<(u32, u32)> {
    made.versions.iter().map(|version| (version.width, version.height)).collect()
}

fn decoded(made: &Made, name: &str) -> DynamicImage {
    let version = made.versions.iter().find(|version| version.name == name).expect("a version of that name");
    let picture = image::load_from_memory(&version.bytes).expect("a version is a picture");
    assert_eq!((picture.width(), picture.height()), (version.width, version.height), "stated and real size of {name}");
    picture
}

fn assert_near(actual: [u8; 3], expected: [u8; 3], tolerance: u8, what: &str) {
    let is_near = actual.iter().zip(expected).all(|(actual, expected)| actual.abs_diff(expected) <= tolerance);
    assert!(is_near, "{what}: {actual:?} instead of {expected:?}");
}

/// Compares the corners of a version with those of `expected`, a picture of any size.
fn assert_same_corners(version: &RgbImage, expected: &RgbImage, what: &str) {
    for (across, down) in [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)] {
        let at = |picture: &RgbImage| {
            let x = (f64::from(picture.width()) * across) as u32;
            let y = (f64::from(picture.height()) * down) as u32;
            picture.get_pixel(x, y).0
        };
        assert_near(at(version), at(expected), 12, &format!("{what} at {across}, {down}"));
    }
}

#[test]
fn the_versions_have_the_sizes_of_the_contract_in_the_order_of_the_presets() {
    let cases = [
        ((4000, 3000), [(150, 113), (700, 525), (1440, 1080), (2500, 1875)]),
        ((3000, 4000), [(90, 120), (525, 700), (810, 1080), (1875, 2500)]),
        ((1000, 700), [(150, 105), (700, 490), (1000, 700), (1000, 700)]),
        ((100, 80), [(100, 80); 4]),
    ];
    for ((width, height), expected) in cases {
        let made = made(&jpeg(&four_corners(width, height)));
        assert_eq!((made.width, made.height, made.content_type), (width, height, "image/jpeg"));
        assert_eq!(sizes(&made), expected);
        for (version, preset) in made.versions.iter().zip(PRESETS) {
            assert_eq!((version.name.as_str(), version.content_type), (preset.name, "image/jpeg"));
            let picture = decoded(&made, preset.name).to_rgb8();
            assert_same_corners(&picture, &four_corners(80, 60), preset.name);
        }
    }
}

#[test]
fn every_orientation_comes_out_upright() {
    // In a mirrored picture of odd size, colour of half the resolution begins in the middle of a sample.
    for (width, height) in [(90, 60), (91, 61), (801, 601)] {
        let upright = four_corners(width, height);
        for value in 1..=8 {
            // The camera's sensor saw the scene turned; the orientation undoes that.
            let scene = DynamicImage::from(upright.clone());
            let stored = match value {
                2 => scene.fliph(),
                3 => scene.rotate180(),
                4 => scene.flipv(),
                5 => scene.rotate90().fliph(),
                6 => scene.rotate270(),
                7 => scene.rotate270().fliph(),
                8 => scene.rotate90(),
                _ => scene,
            };
            let file = with_segment(&jpeg(&stored.to_rgb8()), 0xe1, &exif_with_orientation(value));
            let made = made(&file);
            assert_eq!((made.width, made.height), (width, height), "orientation {value}");
            for version in ["thumb", "d2500"] {
                let what = format!("orientation {value} of {width} x {height}, {version}");
                assert_same_corners(&decoded(&made, version).to_rgb8(), &upright, &what);
            }
        }
    }
}

#[test]
fn a_large_photo_is_turned_after_it_was_shrunk() {
    let file = with_segment(&jpeg(&four_corners(4032, 3024)), 0xe1, &exif_with_orientation(6));
    let made = made(&file);
    assert_eq!((made.width, made.height), (3024, 4032));
    assert_eq!(sizes(&made), [(90, 120), (525, 700), (810, 1080), (1875, 2500)]);
    let expected = DynamicImage::from(four_corners(80, 60)).rotate90().to_rgb8();
    assert_same_corners(&decoded(&made, "d2500").to_rgb8(), &expected, "d2500");
}

#[test]
fn colours_of_another_profile_become_srgb() {
    let profile = moxcms::ColorProfile::new_display_p3().encode().expect("a profile");
    let payload = [b"ICC_PROFILE\0\x01\x01".as_slice(), &profile].concat();
    let picture = RgbImage::from_pixel(3000, 2000, Rgb([200, 100, 50]));
    let file = with_segment(&jpeg(&picture), 0xe2, &payload);
    let converted = decoded(&made(&file), "big_1920").to_rgb8().get_pixel(500, 500).0;
    // By the definitions of Display P3 and sRGB, computed by hand.
    assert_near(converted, [214, 95, 30], 4, "P3 in sRGB");
    let untouched = decoded(&made(&jpeg(&picture)), "big_1920").to_rgb8().get_pixel(500, 500).0;
    assert_near(untouched, [200, 100, 50], 4, "sRGB stays");
}

#[test]
fn a_transparent_picture_becomes_png_and_keeps_its_colours_at_the_edge() {
    let picture =
        RgbaImage::from_fn(1000, 800, |x, _| if x < 500 { Rgba([250, 10, 10, 255]) } else { Rgba([0, 255, 0, 0]) });
    let made = made(&png(picture));
    assert_eq!(made.content_type, "image/png");
    for version in &made.versions {
        assert_eq!(version.content_type, "image/png");
        let picture = decoded(&made, &version.name).to_rgba8();
        assert_eq!(picture.get_pixel(0, 0).0, [250, 10, 10, 255]);
        assert_eq!(picture.get_pixel(version.width - 1, 0).0[3], 0);
        // Hidden colours must not show through at the edge of visible ones.
        assert!(
            picture.pixels().all(|pixel| pixel.0[3] < 8 || pixel.0[1] < 40),
            "green at the edge of {}",
            version.name
        );
    }
}

#[test]
fn an_opaque_png_becomes_jpeg_whether_or_not_it_could_be_transparent() {
    let picture = four_corners(900, 600);
    for file in [png(picture.clone()), png(DynamicImage::from(picture.clone()).to_rgba8())] {
        let made = made(&file);
        assert_eq!((made.content_type, made.versions[0].content_type), ("image/png", "image/jpeg"));
        assert_same_corners(&decoded(&made, "big_thumb").to_rgb8(), &picture, "big_thumb");
    }
}

#[test]
fn grey_stays_grey() {
    let picture = DynamicImage::from(four_corners(900, 600)).to_luma8();
    let made = made(&png(picture));
    assert!(matches!(decoded(&made, "thumb"), DynamicImage::ImageLuma8(_)));
}

#[test]
fn the_thumbhash_shows_the_mean_colour() {
    let made = made(&jpeg(&RgbImage::from_pixel(640, 480, Rgb([30, 120, 200]))));
    let (red, green, blue, alpha) = thumbhash::thumb_hash_to_average_rgba(&made.thumbhash).expect("a thumbhash");
    let byte = |share: f32| (share * 255.0).round() as u8;
    assert_near([byte(red), byte(green), byte(blue)], [30, 120, 200], 10, "mean colour");
    assert!(alpha > 0.99);
}

#[test]
fn a_file_cut_within_its_picture_is_truncated() {
    let picture = DynamicImage::from(four_corners(60, 40));
    let in_format = |format| {
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, format).expect("encodes");
        file.into_inner()
    };
    let webp = in_format(image::ImageFormat::WebP);
    let gif = in_format(image::ImageFormat::Gif);
    for file in [jpeg(&four_corners(300, 200)), png(four_corners(60, 40)), webp, gif] {
        // A PNG file ends with twelve bytes, the others with fewer.
        let end = file.len() - 12;
        for cut in (0..end).step_by(7).chain(end - 12..end) {
            assert_eq!(refusal(&file[..cut]), ImageErrorCode::Truncated, "cut at {cut} of {}", file.len());
        }
    }
}

#[test]
fn a_photo_with_data_missing_inside_is_refused() {
    let file = jpeg(&four_corners(300, 200));
    let half = [&file[..file.len() / 2], b"\xff\xd9".as_slice()].concat();
    assert_eq!(refusal(&half), ImageErrorCode::Damaged);
}

#[test]
fn the_size_is_judged_by_the_header_alone() {
    let mut file = jpeg(&four_corners(16, 16));
    let frame = file.windows(2).position(|bytes| bytes == [0xff, 0xc0]).expect("a frame");
    file[frame + 5..frame + 9].copy_from_slice(&[0x3f, 0xff, 0x3f, 0xff]);
    assert_eq!(refusal(&file), ImageErrorCode::TooManyPixels);
    file[frame + 5..frame + 9].copy_from_slice(&[0x00, 0x10, 0x40, 0x01]);
    assert_eq!(refusal(&file), ImageErrorCode::TooManyPixels);
}

#[test]
fn what_is_no_picture_says_so_in_a_sentence() {
    let error = make_versions(b"Dear customer,", &PRESETS, &Limits::default(), &Heif::load()).expect_err("a letter");
    assert_eq!(error.code.as_str(), "not_an_image");
    assert_eq!(error.sentence, "The file is not a picture in a format that can be read here.");
    assert_eq!(refusal(b"GIF99a and more"), ImageErrorCode::NotAnImage);
    assert_eq!(refusal(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), ImageErrorCode::Unsupported);
}

#[test]
fn webp_and_gif_come_in_and_jpeg_or_png_goes_out() {
    let picture = four_corners(900, 600);
    for (format, content_type) in [(image::ImageFormat::WebP, "image/webp"), (image::ImageFormat::Gif, "image/gif")] {
        let mut file = Cursor::new(Vec::new());
        DynamicImage::from(picture.clone()).write_to(&mut file, format).expect("encodes");
        let made = made(&file.into_inner());
        assert_eq!((made.content_type, made.width, made.height), (content_type, 900, 600));
        assert_same_corners(&decoded(&made, "big_thumb").to_rgb8(), &picture, content_type);
    }
}

#[test]
fn an_animation_is_shown_by_its_first_frame_and_held_to_a_number_of_frames() {
    let animation = |frames: u32| {
        let mut file = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut file);
        for number in 0..frames {
            let color = if number == 0 { [200, 30, 30, 255] } else { [0, 0, 250, 255] };
            encoder.encode_frame(image::Frame::new(RgbaImage::from_pixel(80, 60, Rgba(color)))).expect("encodes");
        }
        drop(encoder);
        file
    };
    let first = decoded(&made(&animation(3)), "thumb").to_rgb8().get_pixel(40, 30).0;
    assert_near(first, [200, 30, 30], 8, "first frame");
    assert_eq!(refusal(&animation(101)), ImageErrorCode::TooManyPixels);
}

/// A chunk of a WebP file.
fn chunk(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_le_bytes();
    [name, length.as_slice(), payload, &[0][..payload.len() % 2]].concat()
}

/// The colours of a lossy WebP picture, grey, of 2 x 2 pixels: tag, start code, sides, data.
const COLOURS: [u8; 24] = [
    0x30, 0x01, 0x00, 0x9d, 0x01, 0x2a, 0x02, 0x00, 0x02, 0x00, 0x07, 0x40, 0x96, 0x25, 0xa4, 0x00, 0x03, 0x70, 0x00,
    0xfe, 0x68, 0x00, 0x00, 0x00,
];

#[test]
fn a_transparent_frame_that_states_another_size_than_its_colours_is_damaged() {
    let animation = |frame_side: u8| {
        let frame = [[0; 6].as_slice(), &[frame_side - 1, 0, 0, frame_side - 1, 0, 0, 50, 0, 0, 0]].concat();
        let opacity = chunk(b"ALPH", &vec![0; 1 + usize::from(frame_side).pow(2)]);
        let chunks = [
            chunk(b"VP8X", &[0x12, 0, 0, 0, 3, 0, 0, 3, 0, 0]),
            chunk(b"ANIM", &[0; 6]),
            chunk(b"ANMF", &[frame, opacity, chunk(b"VP8 ", &COLOURS)].concat()),
        ];
        chunk(b"RIFF", &[b"WEBP".as_slice(), &chunks.concat()].concat())
    };
    assert_eq!(made(&animation(2)).width, 4);
    for side in [1, 3, 4] {
        assert_eq!(refusal(&animation(side)), ImageErrorCode::Damaged, "a frame of {side} x {side}");
    }
}

#[test]
fn a_picture_that_states_another_size_than_its_colours_is_damaged() {
    let picture = |canvas_side: u8| {
        let chunks =
            [chunk(b"VP8X", &[0, 0, 0, 0, canvas_side - 1, 0, 0, canvas_side - 1, 0, 0]), chunk(b"VP8 ", &COLOURS)];
        chunk(b"RIFF", &[b"WEBP".as_slice(), &chunks.concat()].concat())
    };
    assert_eq!(made(&picture(2)).width, 2);
    for side in [1, 3] {
        let error = make_versions(&picture(side), &PRESETS, &Limits::default(), &Heif::load()).expect_err("two sizes");
        assert_eq!(error.sentence, "The file is damaged (a frame of two sizes).", "{side} x {side}");
    }
}
