use eyeline_core::ImageErrorCode;
use image::{ImageFormat, Rgba, RgbaImage};

use super::{assert_cuts, assert_refused, assert_same};
use crate::files::{encoded, photo, webp, webp_chunk, webp_features};
use crate::{attempt, four_corners, largest, made, refusal};

const SIZE: (u32, u32) = (60, 40);

/// The largest version as WebP, which is lossy: without opacity one chunk, with opacity three.
fn lossy(original: &[u8]) -> Vec<u8> {
    let made = made(original);
    let version = made.versions.iter().find(|version| version.name == "d2500" && version.content_type == "image/webp");
    version.expect("a version as WebP").bytes.clone()
}

fn opaque() -> Vec<u8> {
    lossy(&photo(&four_corners(SIZE.0, SIZE.1)))
}

fn see_through() -> Vec<u8> {
    let picture = RgbaImage::from_fn(SIZE.0, SIZE.1, |x, y| Rgba([200, y as u8, 40, (4 * x) as u8]));
    lossy(&encoded(picture, ImageFormat::Png))
}

fn lossless() -> Vec<u8> {
    encoded(four_corners(SIZE.0, SIZE.1), ImageFormat::WebP)
}

/// The chunks of an intact file, each with its name, length and padding.
fn chunks(file: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &file[12..];
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[4..8].try_into().expect("a length")) as usize;
        let (chunk, behind) = rest.split_at(8 + length.next_multiple_of(2));
        chunks.push(chunk.to_vec());
        rest = behind;
    }
    chunks
}

/// The chunks of only the picture, and the same as a file with a header of these flags.
fn with_flags(file: &[u8], flags: u8) -> Vec<u8> {
    let mut chunks = chunks(file);
    chunks.retain(|chunk| !chunk.starts_with(b"VP8X"));
    chunks.insert(0, webp_chunk(b"VP8X", &webp_features(flags, SIZE)));
    webp(&chunks)
}

#[test]
fn flags_do_not_matter_only_what_is_there() {
    for (what, file) in [("opaque", opaque()), ("see-through", see_through()), ("lossless", lossless())] {
        let sound = made(&file);
        // Opacity, EXIF, XMP, a profile, an animation, unused bits, and all together.
        for flags in [0, 0x10, 0x08, 0x04, 0x20, 0x02, 0xc1, 0x3e, 0xff] {
            assert_same(&with_flags(&file, flags), &sound, &format!("{what}, flags {flags:#x}"));
        }
    }
}

#[test]
fn the_length_in_the_header_does_not_matter() {
    for (what, file) in [("opaque", opaque()), ("see-through", see_through()), ("lossless", lossless())] {
        let sound = made(&file);
        let length = file.len() as u32 - 8;
        for stated in [0, 4, 11, length / 2, length - 2, length - 1, length + 1, length + 2, 2 * length, u32::MAX] {
            let file = [&file[..4], &stated.to_le_bytes(), &file[8..]].concat();
            assert_same(&file, &sound, &format!("{what}, {stated} for {length}"));
        }
        for junk in [b"\0".as_slice(), &[0; 90], b"EXIF\xff\xff\xff\x7f", b"<html></html>", b"RIFF"] {
            assert_same(&[file.as_slice(), junk].concat(), &sound, &format!("{what}, {junk:?} behind the end"));
        }
    }
}

#[test]
fn a_cut_file_is_truncated_unless_its_pixels_are_whole() {
    for file in [opaque(), see_through(), lossless()] {
        // The last byte may be padding.
        assert_cuts(&file, 0..file.len(), file.len() - 1);
        let more = webp(&[with_flags(&file, 0)[12..].to_vec(), webp_chunk(b"XMP ", &[b'x'; 80])]);
        assert_cuts(&more, 0..more.len(), more.len() - 89);
        assert_same(&more[..more.len() - 40], &made(&file), "cut in XMP");
    }
}

#[test]
fn a_file_that_is_cut_before_the_exif_that_it_promises_is_truncated() {
    let exif = webp_chunk(b"EXIF", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0");
    let file = webp(&[with_flags(&lossless(), 0x08)[12..].to_vec(), exif.clone()]);
    assert_eq!((made(&file).width, made(&file).height), (SIZE.1, SIZE.0));
    let cut = &file[..file.len() - exif.len()];
    assert_refused(cut, ImageErrorCode::Truncated, "cut before EXIF");
    // A cut chunk may hold the orientation, as it does here.
    assert_same(&file[..file.len() - 2], &made(&file), "cut at the end of EXIF");
}

/// A frame at a position, made of the chunks of a picture.
fn frame(file: &[u8], (left, top): (u32, u32), (width, height): (u32, u32)) -> Vec<u8> {
    let number = |value: u32| value.to_le_bytes()[..3].to_vec();
    let mut chunks = chunks(file);
    chunks.retain(|chunk| !chunk.starts_with(b"VP8X"));
    let head = [number(left / 2), number(top / 2), number(width - 1), number(height - 1), vec![50, 0, 0, 0]].concat();
    webp_chunk(b"ANMF", &[head, chunks.concat()].concat())
}

fn animation(flags: u8, canvas: (u32, u32), frames: &[Vec<u8>]) -> Vec<u8> {
    let mut chunks = vec![webp_chunk(b"VP8X", &webp_features(flags, canvas)), webp_chunk(b"ANIM", &[0; 6])];
    chunks.extend_from_slice(frames);
    webp(&chunks)
}

#[test]
fn of_an_animation_the_first_frame_counts_whatever_the_others_are() {
    for (what, file) in [("opaque", opaque()), ("see-through", see_through()), ("lossless", lossless())] {
        let sound = made(&file);
        let first = frame(&file, (0, 0), SIZE);
        let others = [
            ("none", vec![]),
            ("sound", first.clone()),
            ("cut", first[..first.len() / 2].to_vec()),
            ("empty", webp_chunk(b"ANMF", &[])),
            ("outside", frame(&file, (900, 900), SIZE)),
            ("of two sizes", frame(&file, (0, 0), (7, 7))),
            ("of no picture", webp_chunk(b"ANMF", &[0; 40])),
        ];
        for (other, second) in others {
            for flags in [0x02, 0x12, 0, 0x3e] {
                let file = animation(flags, SIZE, &[first.clone(), second.clone()]);
                assert_same(&file, &sound, &format!("{what}, second {other}, flags {flags:#x}"));
            }
        }
        let without_control = webp(&[webp_chunk(b"VP8X", &webp_features(2, SIZE)), first.clone()]);
        assert_same(&without_control, &sound, "no chunk for the whole animation");
    }
}

#[test]
fn a_first_frame_smaller_than_its_canvas_lies_on_nothing() {
    for file in [opaque(), see_through(), lossless()] {
        let made = made(&animation(0x02, (100, 90), &[frame(&file, (20, 30), SIZE)]));
        assert_eq!((made.width, made.height), (100, 90));
        let picture = largest(&made).to_rgba8();
        assert_eq!(picture.get_pixel(5, 5).0[3], 0);
        assert!(picture.get_pixel(75, 50).0[3] > 200);
    }
    let outside = animation(0x02, (100, 90), &[frame(&opaque(), (50, 30), SIZE)]);
    assert_refused(&outside, ImageErrorCode::Damaged, "a first frame outside");
}

#[test]
fn a_cut_animation_is_truncated_unless_its_first_frame_is_whole() {
    let first = frame(&lossless(), (0, 0), SIZE);
    let file = animation(0x02, SIZE, &[first.clone(), first.clone()]);
    assert_cuts(&file, 0..file.len(), file.len() - first.len() - 1);
    assert_same(&file[..file.len() - first.len()], &made(&file), "cut behind the first frame");
}

#[test]
fn an_animation_that_is_too_long_is_told_how_long_it_is() {
    let frames = |count| animation(0x02, SIZE, &vec![frame(&opaque(), (0, 0), SIZE); count]);
    let sentence = "The animation has 150 frames; at most 100 frames and 250 megapixels in all are accepted.";
    assert_eq!(refusal(&frames(150)).sentence, sentence);
    assert!(attempt(&frames(100)).is_ok());
}
