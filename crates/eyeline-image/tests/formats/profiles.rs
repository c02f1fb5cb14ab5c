//! Colour profiles of grey, of four inks and with Lab give the colours of Little CMS 2.19 (perceptual intent, to its
//! sRGB). The profiles are built here. A broken profile leaves the picture unchanged.

use image::{DynamicImage, GrayImage, ImageFormat, Luma, LumaA, Rgb, RgbImage};
use jpeg_encoder::{ColorType, SamplingFactor};

use crate::files::{
    PngForm, encoded, jpeg, photo, png, png_chunk, stored, webp, webp_chunk, webp_features, with_segment,
};
use crate::{assert_near, attempt, four_corners, largest, made};

/// A tag's name and data.
type Tag = (&'static [u8; 4], Vec<u8>);

/// A profile of version 2.4 from these device colours to `pcs`.
fn profile(class: &[u8; 4], space: &[u8; 4], pcs: &[u8; 4], tag: Tag) -> Vec<u8> {
    const D50: [u32; 3] = [0xf6d6, 0x1_0000, 0xd32d];
    let d50: Vec<u8> = D50.into_iter().flat_map(u32::to_be_bytes).collect();
    let tags = [(b"wtpt", [b"XYZ \0\0\0\0".to_vec(), d50.clone()].concat()), tag];
    let mut table = u32::to_be_bytes(tags.len() as u32).to_vec();
    let mut data = Vec::new();
    for (name, tag) in &tags {
        let place = (128 + 4 + 12 * tags.len() + data.len()) as u32;
        table.extend(*name);
        table.extend([place.to_be_bytes(), (tag.len() as u32).to_be_bytes()].concat());
        data.extend(tag);
        data.resize(data.len().next_multiple_of(4), 0);
    }
    let mut header = vec![0; 128];
    header[..4].copy_from_slice(&((128 + table.len() + data.len()) as u32).to_be_bytes());
    header[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
    header[12..24].copy_from_slice(&[*class, *space, *pcs].concat());
    header[24..36].copy_from_slice(&[0x07, 0xea, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    header[36..40].copy_from_slice(b"acsp");
    header[68..80].copy_from_slice(&d50);
    [header, table, data].concat()
}

/// A curve by its samples, or by one number for an exponent in 256ths.
fn curve(values: &[u16]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
    [b"curv\0\0\0\0".as_slice(), &((values.len() / 2) as u32).to_be_bytes(), &values].concat()
}

/// The curve in the definition of sRGB, as a formula.
fn srgb_formula() -> Vec<u8> {
    let numbers = [2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045];
    let numbers = numbers.into_iter().flat_map(|number: f64| ((number * 65_536.0).round() as u32).to_be_bytes());
    b"para\0\0\0\0\0\x03\0\0".iter().copied().chain(numbers).collect()
}

fn identity() -> Vec<u8> {
    (0..9).flat_map(|place| u32::to_be_bytes(if place % 4 == 0 { 0x1_0000 } else { 0 })).collect()
}

/// A table of 16 bits for Lab, with `grid` nodes a side.
fn table16(inputs: u8, grid: u8, nodes: &[u16]) -> Vec<u8> {
    let straight = b"\0\0\xff\xff";
    let nodes: Vec<u8> = nodes.iter().flat_map(|value| value.to_be_bytes()).collect();
    let head = [b"mft2\0\0\0\0".as_slice(), &[inputs, 3, grid, 0], &identity(), &[0, 2, 0, 2]].concat();
    [head, straight.repeat(inputs.into()), nodes, straight.repeat(3)].concat()
}

/// A table of 8 bits for Lab.
fn table8(inputs: u8, grid: u8, nodes: &[u8]) -> Vec<u8> {
    let straight: Vec<u8> = (0..=255).collect();
    let head = [b"mft1\0\0\0\0".as_slice(), &[inputs, 3, grid, 0], &identity()].concat();
    [head, straight.repeat(inputs.into()), nodes.to_vec(), straight.repeat(3)].concat()
}

const GREYS: [u8; 6] = [0, 16, 64, 128, 192, 255];

/// Profiles of grey, with Little CMS's results for `GREYS`.
fn grey_profiles() -> Vec<(&'static str, Vec<u8>, [u8; 6])> {
    let by_curve = |pcs: &[u8; 4], curve: Vec<u8>| profile(b"mntr", b"GRAY", pcs, (b"kTRC", curve));
    let by_table = |table: Vec<u8>| profile(b"scnr", b"GRAY", b"Lab ", (b"A2B0", table));
    let sampled = [0, 0x1000, 0x4000, 0x9000, 0xffff];
    let (dark, light) = (b"Lab ", b"XYZ ");
    vec![
        ("linear", by_curve(light, curve(&[])), [0, 71, 137, 188, 225, 255]),
        ("exponent 1", by_curve(light, curve(&[0x100])), [0, 71, 137, 188, 225, 255]),
        ("exponent 1.8", by_curve(light, curve(&[0x1cd])), [0, 20, 81, 146, 203, 255]),
        ("exponent 2.8", by_curve(light, curve(&[0x2cd])), [0, 1, 40, 106, 179, 255]),
        ("sampled", by_curve(light, curve(&sampled)), [0, 34, 71, 138, 198, 255]),
        ("a formula", by_curve(light, srgb_formula()), [0, 16, 64, 128, 192, 255]),
        ("Lab, linear", by_curve(dark, curve(&[])), [0, 20, 60, 119, 185, 255]),
        ("Lab, exponent 1.8", by_curve(dark, curve(&[0x1cd])), [0, 2, 24, 68, 145, 255]),
        ("Lab, exponent 2.8", by_curve(dark, curve(&[0x2cd])), [0, 0, 8, 37, 107, 255]),
        ("Lab, sampled", by_curve(dark, curve(&sampled)), [0, 6, 20, 60, 136, 255]),
        ("Lab, a formula", by_curve(dark, srgb_formula()), [0, 2, 17, 52, 126, 255]),
        (
            "Lab, a table of 16 bits",
            by_table(table16(1, 3, &[0, 0x8000, 0x8000, 0x6000, 0x8000, 0x8000, 0xff00, 0x8000, 0x8000])),
            [0, 16, 46, 89, 169, 255],
        ),
        (
            "Lab, a table of 8 bits",
            by_table(table8(1, 3, &[0, 128, 128, 0x60, 128, 128, 255, 128, 128])),
            [0, 16, 46, 89, 169, 255],
        ),
    ]
}

/// Pixels of a band's side. Each colour of a test has one band.
const BAND: u32 = 32;

/// The colour in the middle of each band.
fn bands(picture: &DynamicImage) -> Vec<[u8; 3]> {
    let picture = picture.to_rgb8();
    (0..picture.width() / BAND).map(|band| picture.get_pixel(band * BAND + BAND / 2, BAND / 2).0).collect()
}

fn iccp(profile: &[u8]) -> Vec<u8> {
    [b"profile\0\0".as_slice(), &stored(profile)].concat()
}

#[test]
fn a_profile_of_grey_is_applied_in_png_and_jpeg_and_beside_opacity() {
    let width = BAND * GREYS.len() as u32;
    let level = |x: u32| GREYS[(x / BAND) as usize];
    for (what, profile, expected) in grey_profiles() {
        let expected = expected.map(|grey| [grey; 3]);
        let check = |file: &[u8], form: &str, tolerance: u8| {
            for (actual, expected) in bands(&largest(&made(file))).into_iter().zip(expected) {
                assert_near(actual, expected, tolerance, &format!("{what}, {form}"));
            }
        };
        for depth in [8, 16] {
            let scale = if depth == 16 { 257 } else { 1 };
            let form = |color| PngForm { color, depth, interlaced: false };
            let grey = |x: u32| u16::from(level(x)) * scale;
            let chunks = [(b"iCCP", iccp(&profile))];
            check(&png((width, BAND), form(0), |x, _| vec![grey(x)], &chunks), "grey PNG", 2);
            for opacity in [0xc0, 0xff] {
                let pixel = |x, _| vec![grey(x), opacity * scale];
                let tolerance = if opacity == 0xff { 2 } else { 1 };
                check(&png((width, BAND), form(4), pixel, &chunks), "PNG with opacity", tolerance);
            }
        }
        let picture = GrayImage::from_fn(width, BAND, |x, _| Luma([level(x)]));
        let plain = jpeg(&picture, (width, BAND), ColorType::Luma, SamplingFactor::R_4_4_4, false);
        let file = with_segment(&plain, 0xe2, &[b"ICC_PROFILE\0\x01\x01", profile.as_slice()].concat());
        check(&file, "JPEG", 4);
    }
}

#[test]
fn a_profile_of_grey_says_nothing_about_colours_nor_one_of_colours_about_grey() {
    let of_grey = profile(b"mntr", b"GRAY", b"XYZ ", (b"kTRC", curve(&[0x100])));
    let of_colours = moxcms::ColorProfile::new_display_p3().encode().expect("a profile");
    let colours = encoded(four_corners(60, 40), ImageFormat::Png);
    let grey = encoded(GrayImage::from_pixel(60, 40, Luma([90])), ImageFormat::Png);
    let both = encoded(image::GrayAlphaImage::from_pixel(60, 40, LumaA([90, 80])), ImageFormat::Png);
    for (plain, profile) in [(colours, &of_grey), (grey, &of_colours), (both, &of_colours)] {
        let file = [&plain[..33], &png_chunk(b"iCCP", &iccp(profile)), &plain[33..]].concat();
        assert_eq!(made(&file), made(&plain));
    }
}

#[test]
fn tables_for_lab_are_applied_to_colours_and_to_inks() {
    let colours: [([u8; 3], [u8; 3]); 8] = [
        ([0, 0, 0], [0, 0, 0]),
        ([255, 255, 255], [255, 255, 255]),
        ([255, 0, 0], [105, 0, 14]),
        ([0, 255, 0], [1, 156, 91]),
        ([0, 0, 255], [0, 62, 132]),
        ([128, 128, 128], [119, 119, 119]),
        ([200, 100, 50], [134, 86, 69]),
        ([30, 120, 200], [46, 124, 154]),
    ];
    let nodes: Vec<u16> = (0..8)
        .flat_map(|node: i32| {
            let (red, green, blue) = (node >> 2 & 1, node >> 1 & 1, node & 1);
            [
                0x3000 * red + 0x9000 * green + 0x3f00 * blue,
                0x8000 + 0x3000 * red - 0x3000 * green,
                0x8000 + 0x1800 * red + 0x1800 * green - 0x3000 * blue,
            ]
        })
        .map(|value| value as u16)
        .collect();
    let profile_of_colours = profile(b"scnr", b"RGB ", b"Lab ", (b"A2B0", table16(3, 2, &nodes)));
    let picture = RgbImage::from_fn(BAND * 8, BAND, |x, _| Rgb(colours[(x / BAND) as usize].0));
    let plain = encoded(picture, ImageFormat::Png);
    let file = [&plain[..33], &png_chunk(b"iCCP", &iccp(&profile_of_colours)), &plain[33..]].concat();
    for (actual, (from, expected)) in bands(&largest(&made(&file))).into_iter().zip(colours) {
        assert_near(actual, expected, 5, &format!("{from:?} by a table"));
    }

    let inks: [([u8; 4], [u8; 3]); 11] = [
        ([0, 0, 0, 0], [255, 255, 255]),
        ([0, 0, 0, 255], [0, 0, 0]),
        ([255, 0, 0, 0], [0, 189, 255]),
        ([0, 255, 0, 0], [255, 92, 178]),
        ([0, 0, 255, 0], [251, 228, 0]),
        ([50, 100, 150, 40], [187, 142, 93]),
        ([200, 20, 60, 100], [50, 109, 120]),
        ([100, 100, 100, 0], [193, 164, 150]),
        ([30, 30, 30, 30], [204, 197, 194]),
        ([0, 0, 0, 128], [118, 118, 118]),
        ([120, 80, 80, 200], [38, 38, 39]),
    ];
    let nodes: Vec<u8> = (0..9_i32.pow(4))
        .flat_map(|node| {
            let (cyan, magenta, yellow, black) = (node / 729, node / 81 % 9, node / 9 % 9, node % 9);
            [
                ((255 * 8 - 80 * cyan - 90 * magenta - 25 * yellow) * (8 - black)).div_euclid(64),
                128 + ((-40 * cyan + 70 * magenta - 5 * yellow) * (8 - black)).div_euclid(64),
                128 + ((-50 * cyan - 10 * magenta + 90 * yellow) * (8 - black)).div_euclid(64),
            ]
        })
        .map(|value| value as u8)
        .collect();
    let profile_of_inks = profile(b"prtr", b"CMYK", b"Lab ", (b"A2B0", table8(4, 9, &nodes)));
    for (ink, expected) in inks {
        let samples: Vec<u8> = ink.into_iter().cycle().take((BAND * BAND * 4) as usize).collect();
        for color in [ColorType::Cmyk, ColorType::CmykAsYcck] {
            let plain = jpeg(&samples, (BAND, BAND), color, SamplingFactor::R_4_4_4, false);
            let file = with_segment(&plain, 0xe2, &[b"ICC_PROFILE\0\x01\x01", profile_of_inks.as_slice()].concat());
            assert_near(bands(&largest(&made(&file)))[0], expected, 6, &format!("{ink:?} as {color:?}"));
        }
    }
}

#[test]
fn a_broken_profile_leaves_the_picture_as_it_is() {
    let sound = moxcms::ColorProfile::new_display_p3().encode().expect("a profile");
    let changed = |place: usize, value: u8| {
        let mut profile = sound.clone();
        profile[place..place + 4].fill(value);
        profile
    };
    let broken = [
        Vec::new(),
        b"no profile".to_vec(),
        vec![0xff; 4_000],
        sound[..100].to_vec(),
        sound[..sound.len() / 2].to_vec(),
        changed(36, 0),
        changed(128, 0xff),
        changed(16, b'x'),
    ];
    let [photo, png] = [photo(&four_corners(60, 40)), encoded(four_corners(60, 40), ImageFormat::Png)];
    let lossless = encoded(four_corners(60, 40), ImageFormat::WebP)[12..].to_vec();
    for (number, profile) in broken.iter().enumerate() {
        let segment = with_segment(&photo, 0xe2, &[b"ICC_PROFILE\0\x01\x01", profile.as_slice()].concat());
        assert_eq!(attempt(&segment), attempt(&photo), "JPEG, {number}");
        let chunk = [&png[..33], &png_chunk(b"iCCP", &iccp(profile)), &png[33..]].concat();
        assert_eq!(attempt(&chunk), attempt(&png), "PNG, {number}");
        let header = webp_chunk(b"VP8X", &webp_features(0x20, (60, 40)));
        let in_webp = webp(&[header, webp_chunk(b"ICCP", profile), lossless.clone()]);
        assert_eq!(attempt(&in_webp), attempt(&webp(std::slice::from_ref(&lossless))), "WebP, {number}");
    }
    // With unreadable compression.
    for data in [b"p\0\0not compressed".as_slice(), b"p\0\x09", b"", b"a name without an end"] {
        let chunk = [&png[..33], &png_chunk(b"iCCP", data), &png[33..]].concat();
        assert_eq!(attempt(&chunk), attempt(&png), "{data:?}");
    }
    // In segments of which one is missing, repeated, or numbered otherwise.
    let part = |number: u8, count: u8, data: &[u8]| [b"ICC_PROFILE\0".as_slice(), &[number, count], data].concat();
    let (first, second) = sound.split_at(300);
    let parts: [&[Vec<u8>]; 4] = [
        &[part(1, 2, first)],
        &[part(1, 2, first), part(1, 2, first), part(2, 2, second)],
        &[part(0, 0, first), part(7, 3, second)],
        &[b"ICC_PROFILE\0".to_vec()],
    ];
    for parts in parts {
        let file = parts.iter().fold(photo.clone(), |file, part| with_segment(&file, 0xe2, part));
        assert_eq!(attempt(&file), attempt(&photo));
    }
}
