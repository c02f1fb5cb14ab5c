//! PNG of every colour type and depth, plain and interlaced; transparency, colours by each of its chunks, animations.

use eyeline_core::ImageErrorCode;
use image::{ImageFormat, Rgb, RgbImage};

use crate::files::{Chunk, PngForm, encoded, png, png_chunk};
use crate::{assert_near, four_corners, largest, made, refusal};

/// Every valid combination of colour type and depth.
const FORMS: [(u8, &[u8]); 5] =
    [(0, &[1, 2, 4, 8, 16]), (2, &[8, 16]), (3, &[1, 2, 4, 8]), (4, &[8, 16]), (6, &[8, 16])];

const PALETTE: [[u8; 3]; 2] = [[20, 40, 200], [240, 220, 60]];

fn palette() -> Chunk {
    (b"PLTE", PALETTE.concat())
}

/// A file with the lowest samples in its left half and the highest in its right half, fully opaque.
fn two_halves(form: PngForm, further: &[Chunk]) -> Vec<u8> {
    let size = (61, 37);
    let level = |x: u32| if form.color == 3 { u16::from(x >= 30) } else { u16::from(x >= 30) * form.largest() };
    let pixel = |x: u32, _: u32| {
        let mut samples = vec![level(x); form.channels()];
        if matches!(form.color, 4 | 6) {
            *samples.last_mut().expect("opacity") = form.largest();
        }
        samples
    };
    let mut chunks = if form.color == 3 { vec![palette()] } else { Vec::new() };
    chunks.extend(further.iter().cloned());
    png(size, form, pixel, &chunks)
}

#[test]
fn every_colour_type_and_depth_is_taken_and_interlacing_changes_nothing() {
    for (color, depths) in FORMS {
        for depth in depths {
            let form = |interlaced| PngForm { color, depth: *depth, interlaced };
            let plain = made(&two_halves(form(false), &[]));
            assert_eq!(plain, made(&two_halves(form(true), &[])), "{:?}", form(true));
            let picture = largest(&plain).to_rgb8();
            let [left, right] = if color == 3 { PALETTE } else { [[0; 3], [255; 3]] };
            assert_near(picture.get_pixel(5, 18).0, left, 6, &format!("left of {:?}", form(false)));
            assert_near(picture.get_pixel(55, 18).0, right, 6, &format!("right of {:?}", form(false)));
        }
    }
}

#[test]
fn one_colour_that_is_named_transparent_is_so_at_every_depth() {
    let at = |version: &image::RgbaImage, x: u32| version.get_pixel(x, 18).0[3];
    for (color, depths) in [(0, FORMS[0].1), (2, FORMS[1].1)] {
        for depth in depths {
            let form = PngForm { color, depth: *depth, interlaced: false };
            let key: Vec<u8> = form.largest().to_be_bytes().repeat(form.channels());
            let version = largest(&made(&two_halves(form, &[(b"tRNS", key)]))).to_rgba8();
            assert_eq!((at(&version, 5), at(&version, 55)), (255, 0), "{form:?}");
        }
    }
    for depth in FORMS[2].1 {
        let form = PngForm { color: 3, depth: *depth, interlaced: false };
        let version = largest(&made(&two_halves(form, &[(b"tRNS", vec![77])]))).to_rgba8();
        assert_eq!((at(&version, 5), at(&version, 55)), (77, 255), "{form:?}");
    }
}

#[test]
fn of_sixteen_bits_all_count_when_a_colour_is_named_transparent() {
    let form = PngForm { color: 0, depth: 16, interlaced: false };
    let pixel = |x: u32, _: u32| vec![if x < 20 { 0x1234 } else { 0x1235 }];
    let file = png((40, 10), form, pixel, &[(b"tRNS", 0x1234_u16.to_be_bytes().to_vec())]);
    let version = largest(&made(&file)).to_rgba8();
    assert_eq!((version.get_pixel(5, 5).0[3], version.get_pixel(35, 5).0[3]), (0, 255));
}

#[test]
fn opacity_of_grey_and_of_colours_is_kept() {
    for (color, depth) in [(4, 8), (4, 16), (6, 8), (6, 16)] {
        let form = PngForm { color, depth, interlaced: true };
        let half = form.largest() / 2;
        let pixel = |x: u32, _: u32| {
            let mut samples = vec![form.largest(); form.channels()];
            *samples.last_mut().expect("opacity") = if x < 20 { half } else { form.largest() };
            samples
        };
        let version = largest(&made(&png((40, 20), form, pixel, &[]))).to_rgba8();
        assert!(version.get_pixel(3, 3).0[3].abs_diff(127) <= 1, "{form:?}");
        assert_eq!(version.get_pixel(35, 3).0, [255; 4], "{form:?}");
    }
}

/// The result of `color` in a file with these chunks.
fn shown(color: [u8; 3], further: &[Chunk]) -> [u8; 3] {
    let form = PngForm { color: 2, depth: 8, interlaced: false };
    let file = png((64, 64), form, |_, _| color.map(u16::from).to_vec(), further);
    largest(&made(&file)).to_rgb8().get_pixel(30, 30).0
}

fn gamma(hundred_thousandths: u32) -> Chunk {
    (b"gAMA", hundred_thousandths.to_be_bytes().to_vec())
}

/// White, red, green and blue, in hundred thousandths.
fn chromaticities(points: [u32; 8]) -> Chunk {
    (b"cHRM", points.iter().flat_map(|point| point.to_be_bytes()).collect())
}

const P3_POINTS: [u32; 8] = [31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000];

fn icc() -> Chunk {
    let profile = moxcms::ColorProfile::new_display_p3().encode().expect("a profile");
    (b"iCCP", [b"P3\0\0".as_slice(), &crate::files::stored(&profile)].concat())
}

#[test]
fn colours_follow_the_chunk_that_counts() {
    const COLOR: [u8; 3] = [200, 100, 50];
    // Display P3 in sRGB, by the definitions of both.
    const P3: [u8; 3] = [214, 95, 30];
    let srgb: Chunk = (b"sRGB", vec![0]);
    let cases: [(&str, Vec<Chunk>, [u8; 3]); 9] = [
        ("nothing", vec![], COLOR),
        ("sRGB", vec![srgb.clone()], COLOR),
        ("bare numbers", vec![gamma(100_000), chromaticities(P3_POINTS)], COLOR),
        ("P3 as a profile", vec![icc()], P3),
        ("sRGB before numbers", vec![srgb.clone(), gamma(100_000), chromaticities(P3_POINTS)], COLOR),
        ("a profile before numbers", vec![gamma(100_000), icc()], P3),
        ("P3 by code points", vec![(b"cICP", vec![12, 13, 0, 1])], P3),
        ("code points before a profile", vec![(b"cICP", vec![1, 13, 0, 1]), icc()], COLOR),
        ("numbers that make no sense", vec![gamma(0), chromaticities([0; 8])], COLOR),
    ];
    for (what, chunks, expected) in cases {
        assert_near(shown(COLOR, &chunks), expected, 5, what);
    }
}

/// An animation of a red and a blue frame.
fn animation() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 80, 60);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(2, 0).expect("two frames");
    let mut writer = encoder.write_header().expect("a header");
    for color in [[200, 30, 30], [0, 0, 250]] {
        writer.write_image_data(&color.repeat(80 * 60)).expect("a frame");
    }
    writer.finish().expect("an end");
    file
}

#[test]
fn an_animated_png_is_shown_by_its_first_frame() {
    assert_near(largest(&made(&animation())).to_rgb8().get_pixel(40, 30).0, [200, 30, 30], 6, "first frame");
}

#[test]
fn a_checksum_that_does_not_match_is_damage() {
    let mut file = encoded(four_corners(60, 40), ImageFormat::Png);
    let pixels = file.windows(4).position(|kind| kind == b"IDAT").expect("pixels");
    file[pixels + 10] ^= 1;
    assert_eq!(refusal(&file).code, ImageErrorCode::Damaged);
}

#[test]
fn a_chunk_that_nobody_knows_is_passed_over() {
    let file = encoded(RgbImage::from_pixel(20, 20, Rgb([9, 90, 200])), ImageFormat::Png);
    let with_chunk = [&file[..33], &png_chunk(b"noBo", b"what is this?"), &file[33..]].concat();
    assert_eq!(made(&file), made(&with_chunk));
}
