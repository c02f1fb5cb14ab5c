//! HEIC and AVIF: every coding, what turns, colours or hides a picture, and files that are cut or hostile. The samples
//! were written by `samples/make-heif`.

use eyeline_core::{ImageErrorCode, PRESETS, Webp};
use eyeline_image::{Heif, Limits, Made, make_versions};
use image::{DynamicImage, ImageFormat, RgbImage, imageops};

use crate::files::{encoded, png_chunk, stored};
use crate::media::{
    DEPTH, Item, Media, OPACITY, auxiliary, boxed, code_points, extent, full, mirror, profile, rotation,
};
use crate::{assert_near, assert_same_picture, attempt, four_corners, heif_reader, largest, made, refusal};

const SIZE: (u32, u32) = (192, 128);
const TILE: (u32, u32) = (96, 64);

/// The difference that compression causes at the samples' quality.
const TOLERANCE: u8 = 8;

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!("samples/", $name)).as_slice()
    };
}

fn heic() -> Item {
    Item::coded(b"hvc1", sample!("corners.hvc1"), SIZE)
}

fn avif() -> Item {
    Item::coded(b"av01", sample!("corners.av01"), SIZE)
}

/// The four corners in both codings, with the brand of each.
fn both() -> [(&'static [u8; 4], Item); 2] {
    [(b"heic", heic()), (b"avif", avif())]
}

fn tiles(kind: &'static [u8; 4]) -> [Item; 4] {
    let samples = match kind {
        b"hvc1" => {
            [sample!("quarter-0.hvc1"), sample!("quarter-1.hvc1"), sample!("quarter-2.hvc1"), sample!("quarter-3.hvc1")]
        }
        _ => {
            [sample!("quarter-0.av01"), sample!("quarter-1.av01"), sample!("quarter-2.av01"), sample!("quarter-3.av01")]
        }
    };
    samples.map(|sample| Item::coded(kind, sample, TILE))
}

/// A picture of four tiles.
fn grid(brand: &[u8; 4], kind: &'static [u8; 4], whole: Item) -> Media {
    let items = [vec![whole], tiles(kind).to_vec()].concat();
    Media::of(brand, &items).with_reference(b"dimg", 1, &[2, 3, 4, 5])
}

/// With opacity that rises from left to right.
fn transparent(brand: &[u8; 4]) -> Media {
    let (picture, slope) = match brand {
        b"heic" => (heic(), Item::coded(b"hvc1", sample!("slope.hvc1"), SIZE)),
        _ => (avif(), Item::coded(b"av01", sample!("slope.av01"), SIZE)),
    };
    Media::of(brand, &[picture, slope.with(auxiliary(OPACITY))]).with_reference(b"auxl", 2, &[1])
}

#[track_caller]
fn assert_shows(file: &[u8], expected: &RgbImage, what: &str) {
    assert_shows_nearly(file, expected, TOLERANCE, what);
}

#[track_caller]
fn assert_shows_nearly(file: &[u8], expected: &RgbImage, tolerance: u8, what: &str) {
    let made = attempt(file).unwrap_or_else(|error| panic!("{what}: {}: {error}", error.code.as_str()));
    assert_eq!((made.width, made.height), expected.dimensions(), "{what}");
    assert_same_picture(&largest(&made).to_rgb8(), expected, tolerance, what);
}

#[test]
fn every_coding_and_depth_is_read_and_named_by_its_brand() {
    type Coding = (&'static [u8; 4], &'static [u8; 4], &'static [u8], &'static str);
    let codings: [Coding; 9] = [
        (b"heic", b"hvc1", sample!("corners.hvc1"), "image/heic"),
        (b"heix", b"hvc1", sample!("corners-444.hvc1"), "image/heic"),
        (b"heix", b"hvc1", sample!("corners-10.hvc1"), "image/heic"),
        (b"heix", b"hvc1", sample!("corners-12.hvc1"), "image/heic"),
        (b"mif1", b"hvc1", sample!("corners.hvc1"), "image/heif"),
        (b"avif", b"av01", sample!("corners.av01"), "image/avif"),
        (b"avif", b"av01", sample!("corners-10.av01"), "image/avif"),
        (b"avif", b"av01", sample!("corners-12.av01"), "image/avif"),
        (b"avif", b"av01", sample!("corners-bt709.av01"), "image/avif"),
    ];
    for (number, (brand, kind, sample, content_type)) in codings.into_iter().enumerate() {
        let file = Media::of(brand, &[Item::coded(kind, sample, SIZE)]).file();
        assert_shows(&file, &four_corners(SIZE.0, SIZE.1), &format!("coding {number}"));
        let made = made(&file);
        assert_eq!(made.content_type, content_type);
        assert!(made.versions.iter().all(|version| ["image/jpeg", "image/webp"].contains(&version.content_type)));
    }
}

#[test]
fn files_as_encoders_write_them_are_read() {
    assert_shows(sample!("ten-bits.heic"), &four_corners(SIZE.0, SIZE.1), "ten bits");
    for (file, what) in [(sample!("transparent-thumbnail.heic"), "HEIC"), (sample!("transparent.avif"), "AVIF")] {
        assert_is_slope(&made(file), what);
    }
}

/// The four corners, with opacity that rises from left to right.
#[track_caller]
fn assert_is_slope(made: &Made, what: &str) {
    let transparent = made.versions.iter().filter(|version| version.content_type != "image/webp");
    assert!(transparent.clone().count() == 4 && transparent.clone().all(|version| version.content_type == "image/png"));
    let (picture, corners) = (largest(made).to_rgba8(), four_corners(SIZE.0, SIZE.1));
    assert_eq!(picture.dimensions(), SIZE, "{what}");
    for (x, y) in [(0, 0), (20, 120), (96, 64), (150, 10), (191, 127)] {
        let [red, green, blue, opacity] = picture.get_pixel(x, y).0;
        assert_near([opacity; 3], [(255 * x / (SIZE.0 - 1)) as u8; 3], TOLERANCE, &format!("{what}: opacity at {x}"));
        assert_near([red, green, blue], corners.get_pixel(x, y).0, TOLERANCE, &format!("{what}: colour at {x}, {y}"));
    }
}

#[test]
fn rotation_and_mirroring_are_applied_once_and_in_the_order_of_the_file() {
    let corners = four_corners(SIZE.0, SIZE.1);
    // `image` turns clockwise.
    let turned =
        [corners.clone(), imageops::rotate270(&corners), imageops::rotate180(&corners), imageops::rotate90(&corners)];
    for (brand, item) in both() {
        for (quarters, expected) in (0..).zip(&turned) {
            let file = Media::of(brand, &[item.clone().with(rotation(quarters))]).file();
            assert_shows(&file, expected, &format!("{quarters} quarters"));
            for (axis, mirrored) in [(0, imageops::flip_vertical(expected)), (1, imageops::flip_horizontal(expected))] {
                let file = Media::of(brand, &[item.clone().with(rotation(quarters)).with(mirror(axis))]).file();
                assert_shows(&file, &mirrored, &format!("{quarters} quarters, mirrored by {axis}"));
            }
        }
    }
}

#[test]
fn exif_does_not_turn_a_picture() {
    let tiff = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let exif = Item::new(b"Exif", &[&[0, 0, 0, 0], tiff.as_slice()].concat());
    for (brand, item) in both() {
        let media = Media::of(brand, &[item, exif.clone()]).with_reference(b"cdsc", 2, &[1]);
        assert_shows(&media.file(), &four_corners(SIZE.0, SIZE.1), "EXIF that says it lies on its side");
    }
}

/// The four corners as PNG with a colour profile. Its reader shares only the conversion with the reader of HEIF.
fn in_display_p3() -> RgbImage {
    let icc = moxcms::ColorProfile::new_display_p3().encode().expect("a profile");
    let plain = encoded(four_corners(SIZE.0, SIZE.1), ImageFormat::Png);
    let chunk = png_chunk(b"iCCP", &[b"p3\0\0".as_slice(), &stored(&icc)].concat());
    largest(&made(&[&plain[..33], &chunk, &plain[33..]].concat())).to_rgb8()
}

#[test]
fn colours_become_srgb_by_profile_or_by_numbers() {
    let icc = moxcms::ColorProfile::new_display_p3().encode().expect("a profile");
    let (p3, plain) = (in_display_p3(), four_corners(SIZE.0, SIZE.1));
    let differences = p3.iter().zip(plain.iter()).map(|(one, other)| one.abs_diff(*other));
    assert!(differences.max().unwrap_or(0) > 4 * TOLERANCE, "the profile changes colours");
    for (brand, item) in both() {
        let with = |property| Media::of(brand, &[item.clone().with(property)]).file();
        // Near black, the conversion amplifies compression noise.
        let assert_p3 = |file: &[u8], what| assert_shows_nearly(file, &p3, 3 * TOLERANCE, what);
        assert_p3(&with(profile(&icc)), "a profile");
        assert_p3(&with(code_points(12, 13, 6, true)), "Display P3 by its numbers");
        assert_shows(&with(code_points(1, 13, 6, true)), &plain, "sRGB");
        assert_shows(&with(code_points(2, 2, 6, true)), &plain, "unspecified");
        assert_shows(&with(code_points(1, 1, 6, true)), &plain, "the curve of films");
        assert_shows(&with(profile(b"no profile")), &plain, "a profile that cannot be read");
        // A profile precedes code points, whose matrix counts anyway.
        let both = item.clone().with(code_points(1, 13, 6, true)).with(profile(&icc));
        assert_p3(&Media::of(brand, &[both]).file(), "a profile beside numbers");
    }
    let film = Item::coded(b"av01", sample!("corners-bt709.av01"), SIZE).with(code_points(1, 13, 1, false));
    assert_shows(&Media::of(b"avif", &[film]).file(), &plain, "another matrix, in studio range");
}

#[test]
fn tiles_become_one_picture() {
    let corners = four_corners(SIZE.0, SIZE.1);
    for (brand, kind) in [(b"heic", b"hvc1"), (b"avif", b"av01")] {
        assert_shows(&grid(brand, kind, Item::grid((2, 2), SIZE)).file(), &corners, "four tiles");
        let turned = Item::grid((2, 2), SIZE).with(rotation(1));
        assert_shows(&grid(brand, kind, turned).file(), &imageops::rotate270(&corners), "four tiles on their side");
        let cropped = imageops::crop_imm(&corners, 0, 0, 180, 120).to_image();
        assert_shows(&grid(brand, kind, Item::grid((2, 2), (180, 120))).file(), &cropped, "tiles beyond the edge");
    }
}

#[test]
fn opacity_is_kept_and_taken_out_of_the_colours_where_it_was_multiplied_in() {
    for brand in [b"heic", b"avif"] {
        assert_is_slope(&made(&transparent(brand).file()), "opacity");
        let multiplied = transparent(brand).with_reference(b"prem", 1, &[2]).file();
        let (picture, plain) = (largest(&made(&multiplied)).to_rgba8(), four_corners(SIZE.0, SIZE.1));
        let at = |x| (picture.get_pixel(x, 64).0, plain.get_pixel(x, 64).0);
        let ([red, green, blue, _], opaque) = at(SIZE.0 - 1);
        assert_near([red, green, blue], opaque, TOLERANCE, "where nothing shines through");
        let ([red, ..], multiplied) = at(135);
        let expected = (u32::from(multiplied[0]) * 255 / (255 * 135 / (SIZE.0 - 1))).min(255) as u8;
        assert!(red.abs_diff(expected) <= 2 * TOLERANCE, "{red} instead of {expected}");
    }
}

#[test]
fn thumbnails_depth_and_what_is_unknown_beside_a_picture_do_not_count() {
    for (brand, item) in both() {
        let kind = if brand == b"heic" { b"hvc1" } else { b"av01" };
        let [thumbnail, other, ..] = tiles(kind);
        let items = [
            item,
            thumbnail,
            other.clone().with(auxiliary(DEPTH)),
            other.with(auxiliary("urn:com:apple:photo:2020:aux:hdrgainmap")),
            Item::new(b"mime", b"<x:xmpmeta/>"),
        ];
        let media = Media::of(brand, &items)
            .with_reference(b"thmb", 2, &[1])
            .with_reference(b"auxl", 3, &[1])
            .with_reference(b"auxl", 4, &[1]);
        assert_shows(&media.file(), &four_corners(SIZE.0, SIZE.1), "a picture with company");
        let second = Media { primary: 2, ..Media::of(brand, &[tiles(kind)[0].clone(), items[0].clone()]) };
        assert_shows(&second.file(), &four_corners(SIZE.0, SIZE.1), "the second of two");
    }
}

/// A film with this number of pictures.
fn film(pictures: u32) -> Vec<u8> {
    let sizes = full(b"stsz", 0, &[[0; 4], pictures.to_be_bytes()].concat());
    boxed(b"moov", &boxed(b"trak", &boxed(b"mdia", &boxed(b"minf", &boxed(b"stbl", &sizes)))))
}

#[test]
fn a_sequence_is_its_still_picture() {
    assert_shows(sample!("moving.avif"), &four_corners(SIZE.0, SIZE.1), "a sequence");
    let long = Media { more: film(101), ..Media::of(b"avis", &[avif()]) }.file();
    let error = refusal(&long);
    assert_eq!(error.code, ImageErrorCode::TooManyPixels);
    assert!(error.sentence.contains("101 frames"), "{error}");
    let types = boxed(b"ftyp", b"msf1\0\0\0\0hevc");
    let error = refusal(&[types, film(3), boxed(b"mdat", &[0; 40])].concat());
    assert_eq!(error.code, ImageErrorCode::Unsupported);
    assert_eq!(error.sentence, "A sequence of pictures without a still one cannot be read here.");
}

#[test]
fn a_file_that_is_cut_is_truncated_wherever_that_happens() {
    let files = [
        Media::of(b"heic", &[heic()]).file(),
        grid(b"avif", b"av01", Item::grid((2, 2), SIZE)).file(),
        sample!("transparent-thumbnail.heic").to_vec(),
        sample!("moving.avif").to_vec(),
    ];
    for (number, file) in files.iter().enumerate() {
        assert!(attempt(file).is_ok(), "file {number}");
        for cut in (5..file.len()).step_by(7).chain(file.len() - 8..file.len()) {
            let error = refusal(&file[..cut]);
            assert_eq!(error.code, ImageErrorCode::Truncated, "file {number} cut at {cut}: {error}");
        }
        let appended = [file.as_slice(), b"\0\0\0\x10SEFTsamsung!!!!!!!!!!"].concat();
        assert!(attempt(&appended).is_ok(), "what a camera appends is passed over");
    }
}

#[test]
fn hostile_files_are_refused_by_what_is_wrong_with_them() {
    let huge = |kind, sample| Item::coded(kind, sample, (40_000, 40_000));
    let outside = |start, length| {
        let mut item = heic();
        item.stated_place = Some((start, length));
        Media::of(b"heic", &[item])
    };
    let tiles = vec![2; 10_000];
    let many = |size| {
        let items = [Item::grid((100, 100), size), self::tiles(b"av01")[0].clone()];
        Media::of(b"avif", &items).with_reference(b"dimg", 1, &tiles)
    };
    let without_size = Item::new(b"hvc1", &sample!("corners.hvc1")[200..]);
    let cases = [
        ("huge HEIC", Media::of(b"heic", &[huge(b"hvc1", sample!("corners.hvc1"))]), ImageErrorCode::TooManyPixels),
        ("huge AVIF", Media::of(b"avif", &[huge(b"av01", sample!("corners.av01"))]), ImageErrorCode::TooManyPixels),
        ("a huge grid", many((65_000, 65_000)), ImageErrorCode::TooManyPixels),
        (
            "a canvas that is larger inside",
            Media::of(b"heic", &[Item::grid((2, 2), (16_000, 16_000)).stating(SIZE)]),
            ImageErrorCode::Damaged,
        ),
        (
            "a picture that is larger inside",
            Media::of(b"heic", &[Item::coded(b"hvc1", sample!("flat-12-megapixels.hvc1"), SIZE)]),
            ImageErrorCode::Damaged,
        ),
        (
            "AV1 that is larger inside",
            Media::of(b"avif", &[Item::coded(b"av01", sample!("flat-12-megapixels.av01"), SIZE)]),
            ImageErrorCode::Damaged,
        ),
        ("a grid without tiles", Media::of(b"heic", &[Item::grid((2, 2), SIZE)]), ImageErrorCode::Damaged),
        (
            "a grid of itself",
            Media::of(b"heic", &[Item::grid((1, 1), SIZE)]).with_reference(b"dimg", 1, &[1]),
            ImageErrorCode::Damaged,
        ),
        (
            "two grids of each other",
            Media::of(b"heic", &[Item::grid((1, 1), SIZE), Item::grid((1, 1), SIZE)])
                .with_reference(b"dimg", 1, &[2])
                .with_reference(b"dimg", 2, &[1]),
            ImageErrorCode::Damaged,
        ),
        ("opacity of its own opacity", transparent(b"avif").with_reference(b"auxl", 1, &[2]), ImageErrorCode::Damaged),
        ("data behind the end", outside(1 << 30, 100), ImageErrorCode::Truncated),
        ("data beyond every address", outside(u32::MAX, u32::MAX), ImageErrorCode::Truncated),
        ("no such picture", Media { primary: 9, ..Media::of(b"heic", &[heic()]) }, ImageErrorCode::Damaged),
        ("a picture without a size", Media::of(b"heic", &[without_size]), ImageErrorCode::Damaged),
        (
            "no coded picture",
            Media::of(b"avif", &[Item::coded(b"av01", &sample!("corners.av01")[..20], SIZE)]),
            ImageErrorCode::Damaged,
        ),
        (
            "a coding that nobody has",
            Media::of(b"mif1", &[Item::new(b"zzzz", &[7; 50]).with(extent(SIZE))]),
            ImageErrorCode::Damaged,
        ),
    ];
    for (what, media, code) in cases {
        let error = refusal(&media.file());
        assert_eq!(error.code, code, "{what}: {error}");
        assert!(error.sentence.ends_with('.') && !error.sentence.contains('\n'), "{what}: {error}");
    }
    // Newer versions of libheif have a bound of their own.
    let error = refusal(&many(SIZE).file());
    let codes = [ImageErrorCode::Damaged, ImageErrorCode::TooManyPixels];
    assert!(codes.contains(&error.code), "ten thousand tiles on a small canvas: {error}");
}

#[test]
fn a_picture_whose_data_are_changed_is_refused_or_read_and_never_a_crash() {
    for (brand, item) in both() {
        let file = Media::of(brand, &[item]).file();
        for place in (8..file.len()).step_by(11) {
            let mut changed = file.clone();
            changed[place] ^= 0x55;
            if let Err(error) = attempt(&changed) {
                assert_ne!(error.code, ImageErrorCode::DecoderCrashed, "changed at {place}: {error}");
            }
        }
    }
}

#[test]
fn hevc_that_lacks_a_part_is_damaged() {
    let sample = sample!("corners.hvc1");
    let configuration = u32::from_be_bytes(*sample.first_chunk().expect("a box")) as usize;
    let mut data = sample[configuration..].to_vec();
    // The length of the last unit stays correct: half of its bytes are missing in the middle of the picture.
    let unit = data.len() - 4;
    data.truncate(4 + unit / 2);
    data[..4].copy_from_slice(&(unit as u32 / 2).to_be_bytes());
    let item = Item::coded(b"hvc1", &[&sample[..configuration], &data].concat(), SIZE);
    assert_eq!(refusal(&Media::of(b"heic", &[item]).file()).code, ImageErrorCode::Damaged);
}

#[test]
fn without_libheif_the_error_says_what_to_install_and_other_formats_are_read() {
    let absent = Heif::load_named("libheif-that-is-not-there.so.1", "libde265.so.0");
    for (brand, item) in both() {
        let file = Media::of(brand, &[item]).file();
        let error = make_versions(&file, &PRESETS, &Limits::default(), &absent).expect_err("no library");
        assert_eq!(error.code, ImageErrorCode::Unsupported);
        assert!(error.sentence.contains("libheif1") && error.sentence.contains("JPEG"), "{error}");
        let cut = make_versions(&file[..90], &PRESETS, &Limits::default(), &absent).expect_err("cut");
        assert_eq!(cut.code, ImageErrorCode::Truncated);
    }
    let png = encoded(DynamicImage::from(four_corners(20, 10)), ImageFormat::Png);
    assert!(make_versions(&png, &Webp::Off.presets(), &Limits::default(), &absent).is_ok());
}

#[test]
fn this_system_has_what_these_tests_need() {
    let support = heif_reader().support();
    assert!(support.heic && support.avif, "install libheif1 and its decoders (scripts/install-deps): {support:?}");
}
