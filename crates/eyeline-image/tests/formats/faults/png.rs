use eyeline_core::ImageErrorCode;
use image::{GrayImage, ImageFormat, Luma, Rgb, RgbImage, RgbaImage};

use super::{assert_cuts, assert_refused, assert_same};
use crate::files::{PngForm, encoded, png_chunk};
use crate::{four_corners, made, refusal};

/// A chunk's name and data, or raw bytes.
#[derive(Clone)]
enum Chunk {
    Sound([u8; 4], Vec<u8>),
    Bytes(Vec<u8>),
}

use Chunk::{Bytes, Sound};

/// The chunks of an intact file.
fn chunks(file: &[u8]) -> Vec<Chunk> {
    let mut rest = &file[8..];
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().expect("a length")) as usize;
        chunks.push(Sound(rest[4..8].try_into().expect("a name"), rest[8..8 + length].to_vec()));
        rest = &rest[12 + length..];
    }
    chunks
}

fn file(chunks: &[Chunk]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for chunk in chunks {
        match chunk {
            Sound(name, data) => file.extend(png_chunk(name, data)),
            Bytes(bytes) => file.extend(bytes),
        }
    }
    file
}

fn is(chunk: &Chunk, wanted: &[u8; 4]) -> bool {
    matches!(chunk, Sound(name, _) if name == wanted)
}

fn place(chunks: &[Chunk], name: &[u8; 4]) -> usize {
    chunks.iter().position(|chunk| is(chunk, name)).expect("a chunk of that name")
}

/// The same file with a chunk before the first one of this name.
fn before(sound: &[u8], name: &[u8; 4], chunk: Chunk) -> Vec<u8> {
    let mut chunks = chunks(sound);
    chunks.insert(place(&chunks, name), chunk);
    file(&chunks)
}

/// A chunk whose checksum does not match.
fn unchecked(name: &[u8; 4], data: &[u8]) -> Chunk {
    let mut bytes = png_chunk(name, data);
    *bytes.last_mut().expect("a checksum") ^= 0x55;
    Bytes(bytes)
}

fn plain() -> Vec<u8> {
    encoded(four_corners(60, 40), ImageFormat::Png)
}

#[test]
fn the_end_may_be_anything_or_missing() {
    let plain = plain();
    let sound = made(&plain);
    let open = &plain[..plain.len() - 12];
    let end = png_chunk(b"IEND", b"");
    for (what, end) in [
        ("none", vec![]),
        ("with data", png_chunk(b"IEND", b"some data")),
        ("with a wrong checksum", [&end[..8], &[0; 4]].concat()),
        ("without a checksum", end[..8].to_vec()),
        ("with half a checksum", end[..10].to_vec()),
        ("cut in its length", end[..3].to_vec()),
        ("longer than the file", [&[0, 0, 1, 0], b"IEND".as_slice()].concat()),
        ("twice", end.repeat(2)),
        ("followed by anything", [&end, [7; 900].as_slice()].concat()),
        ("zeros", vec![0; 300]),
        ("a text that is cut", png_chunk(b"tEXt", &[b'a'; 90])[..50].to_vec()),
    ] {
        assert_same(&[open, &end].concat(), &sound, &format!("end: {what}"));
    }
}

#[test]
fn a_cut_file_is_truncated_unless_its_pixels_are_whole() {
    let plain = plain();
    assert_cuts(&plain, 0..plain.len(), plain.len() - 12);
    // The same with pixels in several chunks, cut between them too.
    let mut split = chunks(&plain);
    let at = place(&split, b"IDAT");
    let Sound(_, pixels) = split.remove(at) else { unreachable!("all are sound") };
    let parts: Vec<Chunk> = pixels.chunks(300).map(|part| Sound(*b"IDAT", part.to_vec())).collect();
    assert!(parts.len() > 3);
    split.splice(at..at, parts);
    let split = file(&split);
    assert_same(&split, &made(&plain), "several chunks of pixels");
    assert_cuts(&split, 0..split.len(), split.len() - 12);
}

#[test]
fn a_wrong_checksum_matters_only_where_pixels_need_the_chunk() {
    let plain = plain();
    let sound = made(&plain);
    for name in [b"tEXt", b"gAMA", b"pHYs", b"eXIf", b"iCCP", b"cICP", b"sRGB", b"tIME", b"bKGD", b"prVt"] {
        for data in [b"".as_slice(), b"\0\0\xb1\x8f", &[0xff; 32]] {
            assert_same(&before(&plain, b"IDAT", unchecked(name, data)), &sound, &format!("{name:?} {data:?}"));
            assert_same(
                &before(&plain, b"IEND", unchecked(name, data)),
                &sound,
                &format!("{name:?} {data:?} at the end"),
            );
        }
    }
    let mut damaged = chunks(&plain);
    let at = place(&damaged, b"IDAT");
    let Sound(name, data) = damaged[at].clone() else { unreachable!("all are sound") };
    damaged[at] = unchecked(&name, &data);
    assert_refused(&file(&damaged), ImageErrorCode::Damaged, "pixels");
}

#[test]
fn chunks_that_are_repeated_out_of_place_or_of_no_sense_are_passed_over() {
    let colours = plain();
    let grey = encoded(GrayImage::from_fn(60, 40, |x, _| Luma([(x * 4) as u8])), ImageFormat::Png);
    let opacity = encoded(RgbaImage::from_pixel(60, 40, image::Rgba([1, 2, 3, 90])), ImageFormat::Png);
    let of_colours: [(&[u8; 4], &[u8]); 12] = [
        (b"tRNS", b""),
        (b"tRNS", b"\0\x09"),
        (b"tRNS", &[0; 300]),
        (b"cICP", b"\x0c\x0d\x01\x01"),
        (b"cICP", b"\x0c\x0d\0\x07"),
        (b"cICP", b"\x0c"),
        (b"bKGD", b"\0"),
        (b"gAMA", b"\0\0\0\0\0"),
        (b"sBIT", b"\x09\x09\x09"),
        (b"PLTE", &[7; 30]),
        (b"hIST", b"\0\x01"),
        (b"eXIf", b"II*\0\xff\xff\xff\xff"),
    ];
    for (name, data) in of_colours {
        let chunk = Sound(*name, data.to_vec());
        assert_same(&before(&colours, b"IDAT", chunk.clone()), &made(&colours), &format!("{name:?} {data:?}"));
        let twice = before(&before(&colours, b"IDAT", chunk.clone()), b"IDAT", chunk.clone());
        assert_same(&twice, &made(&colours), &format!("{name:?} twice"));
        assert_same(&before(&colours, b"IEND", chunk), &made(&colours), &format!("{name:?} behind the pixels"));
    }
    // A transparent colour is meaningless in a file with opacity, and a palette in grey.
    assert_same(&before(&opacity, b"IDAT", Sound(*b"tRNS", vec![0; 6])), &made(&opacity), "a key beside opacity");
    assert_same(&before(&grey, b"IDAT", Sound(*b"PLTE", vec![9; 768])), &made(&grey), "a palette beside grey");
    // The first of two counts; one after the pixels is too late.
    let keyed = before(&grey, b"IDAT", Sound(*b"tRNS", vec![0, 80]));
    assert_same(&before(&keyed, b"IDAT", Sound(*b"tRNS", vec![0, 40])), &made(&keyed), "two keys");
    assert_same(&before(&grey, b"IEND", Sound(*b"tRNS", vec![0, 80])), &made(&grey), "a late key");
    // Private chunks of programs, and text in any condition.
    for name in [b"npTc", b"caBX", b"iDOT", b"zTXt", b"iTXt", b"tEXt", b"meTa"] {
        assert_same(&before(&colours, b"IDAT", Sound(*name, vec![0xfe; 70])), &made(&colours), &format!("{name:?}"));
    }
}

#[test]
fn a_critical_chunk_that_nobody_knows_is_refused() {
    let chunk = Sound(*b"WhAT", b"changes all".to_vec());
    assert_refused(&before(&plain(), b"IDAT", chunk), ImageErrorCode::Damaged, "a critical chunk");
}

#[test]
fn more_opacities_than_colours_are_passed_over() {
    let form = PngForm { color: 3, depth: 8, interlaced: false };
    let palette = (b"PLTE", vec![200, 10, 10, 10, 200, 10]);
    let plain = crate::files::png((8, 8), form, |_, _| vec![1], &[palette]);
    assert_same(&before(&plain, b"IDAT", Sound(*b"tRNS", vec![0; 256])), &made(&plain), "256 opacities");
    assert_same(&before(&plain, b"PLTE", Sound(*b"tRNS", vec![0; 2])), &made(&plain), "before the palette");
}

#[test]
fn a_palette_that_ends_within_a_colour_is_damage_and_nothing_worse() {
    let form = PngForm { color: 3, depth: 8, interlaced: false };
    for length in [1, 2, 4, 16, 767] {
        let file = crate::files::png((8, 8), form, |_, _| vec![0], &[(b"PLTE", vec![90; length])]);
        assert_refused(&file, ImageErrorCode::Damaged, &format!("{length} bytes"));
    }
}

#[test]
fn pixels_need_neither_the_checksum_of_their_compression_nor_an_end_of_it() {
    let plain = plain();
    let sound = made(&plain);
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut chunks = chunks(&plain);
        let at = place(&chunks, b"IDAT");
        if let Sound(_, data) = &mut chunks[at] {
            change(data);
        }
        file(&chunks)
    };
    assert_same(&changed(&|data| data.truncate(data.len() - 4)), &sound, "no checksum");
    assert_same(&changed(&|data| data.truncate(data.len() - 1)), &sound, "a part of the checksum");
    assert_same(&changed(&|data| *data.last_mut().expect("data") ^= 1), &sound, "another checksum");
    assert_same(&changed(&|data| data.extend(b"more")), &sound, "more data");
    let lacking = changed(&|data| data.truncate(data.len() / 2));
    assert_refused(&lacking, ImageErrorCode::Damaged, "half of the data");
    assert_same(&before(&plain, b"IDAT", Sound(*b"IDAT", vec![])), &sound, "an empty chunk of pixels");
}

/// An animation of frames, the first of which is the still picture.
fn animation(frames: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 60, 40);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(frames, 0).expect("frames");
    let mut writer = encoder.write_header().expect("a header");
    for frame in 0..frames {
        let color = if frame == 0 { [200, 30, 30] } else { [0, 0, 250] };
        writer.write_image_data(&color.repeat(60 * 40)).expect("a frame");
    }
    writer.finish().expect("an end");
    file
}

/// A change of a chunk's data, and its description.
type Change<'a> = (&'a str, &'a dyn Fn(&mut Vec<u8>));

#[test]
fn an_animation_may_be_broken_in_any_way_behind_a_sound_picture() {
    let sound = made(&encoded(RgbImage::from_pixel(60, 40, Rgb([200, 30, 30])), ImageFormat::Png));
    let whole = chunks(&animation(3));
    assert_same(&file(&whole), &sound, "the whole animation");
    // Changes one chunk of an animation.
    let with = |name: &[u8; 4], number: usize, change: &dyn Fn(&mut Vec<u8>)| {
        let mut chunks = whole.clone();
        let chunk = chunks.iter_mut().filter(|chunk| is(chunk, name)).nth(number).expect("a chunk");
        if let Sound(_, data) = chunk {
            change(data);
        }
        file(&chunks)
    };
    let number = |data: &mut Vec<u8>, at: usize, value: u32| data[at..at + 4].copy_from_slice(&value.to_be_bytes());
    for frame in 0..3 {
        let changes: [Change<'_>; 10] = [
            ("a wrong number", &|data| number(data, 0, 77)),
            ("no width", &|data| number(data, 4, 0)),
            ("no height", &|data| number(data, 8, 0)),
            ("too wide", &|data| number(data, 4, 61)),
            ("huge", &|data| number(data, 8, u32::MAX)),
            ("too far right", &|data| number(data, 12, 1)),
            ("too far down", &|data| number(data, 16, u32::MAX)),
            ("an unknown disposal", &|data| data[24] = 9),
            ("an unknown blending", &|data| data[25] = 9),
            ("too short", &|data| data.truncate(20)),
        ];
        for (what, change) in changes {
            assert_same(&with(b"fcTL", frame, change), &sound, &format!("frame {frame}: {what}"));
        }
    }
    for frame in 0..2 {
        assert_same(&with(b"fdAT", frame, &|data| number(data, 0, 0)), &sound, "data with a wrong number");
        assert_same(&with(b"fdAT", frame, &|data| data.truncate(2)), &sound, "data that is too short");
        assert_same(&with(b"fdAT", frame, &|data| data[6..].fill(0x55)), &sound, "data that cannot be unpacked");
    }
    for (what, frames) in [("no frames", 0), ("more frames", 9), ("many frames", u32::MAX)] {
        assert_same(&with(b"acTL", 0, &|data| number(data, 0, frames)), &sound, what);
    }
    assert_same(&with(b"acTL", 0, &|data| data.truncate(3)), &sound, "a short control");
    // Removes, doubles and moves each chunk of the animation.
    for (at, chunk) in whole.iter().enumerate() {
        if matches!(chunk, Sound(name, _) if matches!(name, b"acTL" | b"fcTL" | b"fdAT")) {
            let mut without = whole.clone();
            without.remove(at);
            assert_same(&file(&without), &sound, &format!("without chunk {at}"));
            let mut doubled = whole.clone();
            doubled.insert(at, chunk.clone());
            assert_same(&file(&doubled), &sound, &format!("chunk {at} twice"));
            for target in [1, without.len() - 1] {
                let mut moved = without.clone();
                moved.insert(target, chunk.clone());
                assert_same(&file(&moved), &sound, &format!("chunk {at} moved to {target}"));
            }
        }
    }
    let bytes = file(&whole);
    let pixels_end = bytes.windows(4).position(|name| name == b"fdAT").expect("a second frame") - 42;
    for cut in (pixels_end..bytes.len()).step_by(3) {
        assert_same(&bytes[..cut], &sound, "cut in a later frame");
    }
}

#[test]
fn an_animation_that_is_too_long_is_told_how_long_it_is() {
    let mut chunks = chunks(&animation(150));
    let sentence = "The animation has 150 frames; at most 100 frames and 250 megapixels in all are accepted.";
    assert_eq!(refusal(&file(&chunks)).sentence, sentence);
    // The existing frames count, not the stated number.
    let at = place(&chunks, b"acTL");
    chunks[at] = Sound(*b"acTL", vec![0, 0, 0, 2, 0, 0, 0, 0]);
    assert_eq!(refusal(&file(&chunks)).sentence, sentence);
    // Without the chunk that makes an animation, they are ignored.
    chunks.remove(at);
    assert_eq!(made(&file(&chunks)).width, 60);
}
