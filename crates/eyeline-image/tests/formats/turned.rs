//! The orientation in EXIF: found in JPEG, PNG and WebP, whatever else in the block or file is damaged.

use image::{ImageFormat, RgbImage};

use crate::files::{encoded, photo, png_chunk, webp, webp_chunk, webp_features, with_segment};
use crate::{assert_same_picture, attempt, four_corners, largest, made};

/// Tag, type, count, and the bytes of the value.
type Entry = (u16, u16, u32, [u8; 4]);

/// A block of EXIF data with these entries; `value` is a number in the byte order of the block.
fn block(is_little: bool, next: u32, entries: &[Entry]) -> Vec<u8> {
    let short = |value: u16| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
    let long = |value: u32| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
    let mut block = if is_little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
    block.extend(long(8));
    block.extend(short(entries.len() as u16));
    for (tag, kind, count, value) in entries {
        block.extend([short(*tag), short(*kind)].concat());
        block.extend([long(*count), *value].concat());
    }
    block.extend(long(next));
    block
}

/// The orientation 6 as a SHORT.
fn six(is_little: bool) -> Entry {
    (0x0112, 3, 1, if is_little { [6, 0, 0, 0] } else { [0, 6, 0, 0] })
}

/// Blocks that all state the orientation 6, each damaged or odd in one way.
fn blocks() -> Vec<(&'static str, Vec<u8>)> {
    let (little, big) = (six(true), six(false));
    let outside = (0x010f, 2, 40, [0xff, 0xff, 0xff, 0x7f]);
    let huge = (0x9c9b, 1, u32::MAX, [8, 0, 0, 0]);
    let exif = (0x8769, 4, 1, [0xf0, 0xff, 0xff, 0xff]);
    let gps_loop = (0x8825, 4, 1, [8, 0, 0, 0]);
    let stated_more = {
        let mut block = block(true, 0, &[outside, little]);
        block[8..10].copy_from_slice(&[0xff, 0x7f]);
        block
    };
    vec![
        ("sound, little endian", block(true, 0, &[little])),
        ("sound, big endian", block(false, 0, &[big])),
        ("a value outside before it", block(true, 0, &[outside, little])),
        ("a value outside behind it", block(false, 0, &[big, outside])),
        ("a huge count", block(true, 0, &[huge, little])),
        ("the EXIF directory outside", block(true, 0, &[little, exif])),
        ("the GPS directory points back", block(true, 0, &[little, gps_loop])),
        ("the next directory is this one", block(true, 8, &[little])),
        ("the next directory outside", block(false, u32::MAX, &[big])),
        ("no next directory", block(true, 0, &[little])[..22].to_vec()),
        ("more entries stated", stated_more),
        ("unsorted", block(true, 0, &[gps_loop, little, outside])),
        ("stated twice", block(true, 0, &[little, (0x0112, 3, 1, [3, 0, 0, 0])])),
        ("as BYTE", block(true, 0, &[(0x0112, 1, 1, [6, 0, 0, 0])])),
        ("as LONG", block(false, 0, &[(0x0112, 4, 1, [0, 0, 0, 6])])),
        ("of count 0", block(true, 0, &[(0x0112, 3, 0, [6, 0, 0, 0])])),
        ("the mark before it", [b"Exif\0\0".to_vec(), block(true, 0, &[little])].concat()),
        ("the mark twice before it", [b"Exif\0\0Exif\0\0".to_vec(), block(false, 0, &[big])].concat()),
    ]
}

const SIZE: (u32, u32) = (160, 100);

/// The upright picture of these tests.
fn upright() -> RgbImage {
    image::imageops::rotate90(&four_corners(SIZE.0, SIZE.1))
}

#[track_caller]
fn assert_upright(file: &[u8], what: &str) {
    let made = attempt(file).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!((made.width, made.height), (SIZE.1, SIZE.0), "{what}");
    assert_same_picture(&largest(&made).to_rgb8(), &upright(), 12, what);
}

fn jpeg() -> Vec<u8> {
    photo(&four_corners(SIZE.0, SIZE.1))
}

fn app1(file: &[u8], block: &[u8]) -> Vec<u8> {
    with_segment(file, 0xe1, &[b"Exif\0\0", block].concat())
}

#[test]
fn every_block_is_understood_in_every_format() {
    let png = encoded(four_corners(SIZE.0, SIZE.1), ImageFormat::Png);
    let pixels = png.windows(4).position(|kind| kind == b"IDAT").expect("pixels") - 4;
    let lossless = encoded(four_corners(SIZE.0, SIZE.1), ImageFormat::WebP)[12..].to_vec();
    for (what, block) in blocks() {
        assert_upright(&app1(&jpeg(), &block), &format!("JPEG: {what}"));
        let chunk = png_chunk(b"eXIf", &block);
        let before = [&png[..pixels], &chunk, &png[pixels..]].concat();
        assert_upright(&before, &format!("PNG: {what}"));
        let behind = [&png[..png.len() - 12], &chunk, &png[png.len() - 12..]].concat();
        assert_upright(&behind, &format!("PNG, behind the pixels: {what}"));
        for flags in [0x08, 0] {
            let header = webp_chunk(b"VP8X", &webp_features(flags, SIZE));
            let file = webp(&[header, lossless.clone(), webp_chunk(b"EXIF", &block)]);
            assert_upright(&file, &format!("WebP, flags {flags:#x}: {what}"));
        }
    }
}

#[test]
fn the_segment_that_states_it_counts_among_others() {
    let sound = block(true, 0, &[six(true)]);
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"/>";
    let extended = [b"http://ns.adobe.com/xmp/extension/\0".as_slice(), &[b'0'; 40], b"II*\0 in a text"].concat();
    let without = block(true, 0, &[(0x010f, 2, 40, [0xff; 4])]);
    let broken = b"II*\0\xff\xff\xff\xff";
    // Each is inserted before the existing entries.
    let file = app1(&jpeg(), &sound);
    assert_upright(&with_segment(&file, 0xe1, xmp), "XMP first");
    assert_upright(&with_segment(&file, 0xe1, &extended), "extended XMP first");
    assert_upright(&app1(&file, &without), "an EXIF block without it first");
    assert_upright(&app1(&file, broken), "a broken EXIF block first");
    assert_upright(&with_segment(&file, 0xe1, b""), "an empty segment first");
    assert_upright(
        &app1(&app1(&jpeg(), &block(true, 0, &[(0x0112, 3, 1, [3, 0, 0, 0])])), &sound),
        "two: the first counts",
    );
}

#[test]
fn what_is_no_orientation_leaves_the_picture_as_it_is() {
    let plain = made(&jpeg());
    for value in [0, 1, 9, 0xff] {
        assert_eq!(made(&app1(&jpeg(), &block(true, 0, &[(0x0112, 3, 1, [value, 0, 0, 0])]))), plain, "{value}");
    }
    // The orientation of the preview, in the second directory, does not apply to the picture.
    let preview = [b"\x01\0".to_vec(), block(true, 0, &[six(true)])[10..].to_vec()].concat();
    assert_eq!(made(&app1(&jpeg(), &[block(true, 26, &[(0x010f, 2, 1, [0; 4])]), preview].concat())), plain);
}
