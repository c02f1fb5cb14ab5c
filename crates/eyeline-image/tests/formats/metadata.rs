//! Only the pixels of an original reach a version: one test for each kind of metadata and each format.
//!
//! Every file here is compared with the same file without metadata, whose versions must be identical bytes. Every
//! version is parsed, and none of its parts has room for anything but a picture.

use image::codecs::gif::GifEncoder;
use image::{ImageFormat, Rgba, RgbaImage};

use crate::files::{encoded, photo, png_chunk, stored, webp, webp_chunk, webp_features, with_segment};
use crate::parts::assert_bare;
use crate::{four_corners, made};

/// The text that must not occur in any version.
const SECRET: &str = "52.3702 N 4.8952 E";

/// Checks that the versions of `file` are bare, and equal those of `plain`.
#[track_caller]
fn assert_dropped(plain: &[u8], file: &[u8], what: &str) {
    assert!(file.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes()), "{what} is in the file");
    let made_of_file = made(file);
    assert_eq!(made_of_file, made(plain), "{what}: only the pixels count");
    assert_eq!(made_of_file.versions.len(), 8);
    for version in &made_of_file.versions {
        assert_bare(version.content_type, &version.bytes);
        assert!(!version.bytes.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes()), "{what}");
    }
}

/// EXIF that holds a place as text in its GPS directory and a thumbnail in its second directory; upright.
fn exif() -> Vec<u8> {
    let thumbnail = photo(&four_corners(32, 24));
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value.to_be_bytes()].concat()
    };
    let text = [SECRET.as_bytes(), b"\0"].concat();
    // Header; first directory of one entry; GPS directory of one entry; second directory of two; the text; the thumbnail.
    let (first, gps) = (8, 8 + 2 + 12 + 4);
    let second = gps + 2 + 12 + 4;
    let at_text = second + 2 + 24 + 4;
    let at_thumbnail = at_text + text.len() as u32;
    [
        b"MM\0\x2a".to_vec(),
        u32::to_be_bytes(first).to_vec(),
        [&1_u16.to_be_bytes()[..], &entry(0x8825, 4, 1, gps), &second.to_be_bytes()].concat(),
        [&1_u16.to_be_bytes()[..], &entry(0x001b, 2, text.len() as u32, at_text), &[0; 4]].concat(),
        [
            &2_u16.to_be_bytes()[..],
            &entry(0x0201, 4, 1, at_thumbnail),
            &entry(0x0202, 4, 1, thumbnail.len() as u32),
            &[0; 4],
        ]
        .concat(),
        text,
        thumbnail,
    ]
    .concat()
}

fn xmp() -> Vec<u8> {
    format!("<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><GPS>{SECRET}</GPS></x:xmpmeta>").into_bytes()
}

/// A profile of sRGB that holds the secret.
fn icc() -> Vec<u8> {
    let mut profile = moxcms::ColorProfile::new_srgb().encode().expect("a profile");
    profile.extend(SECRET.bytes());
    let length = u32::try_from(profile.len()).expect("short").to_be_bytes();
    profile[..4].copy_from_slice(&length);
    profile
}

mod in_jpeg {
    use super::*;

    fn assert_segment_dropped(marker: u8, payload: &[u8], what: &str) {
        let plain = photo(&four_corners(320, 200));
        assert_dropped(&plain, &with_segment(&plain, marker, payload), what);
    }

    #[test]
    fn exif_with_a_place_and_a_thumbnail() {
        assert_segment_dropped(0xe1, &[b"Exif\0\0".as_slice(), &exif()].concat(), "EXIF");
    }

    #[test]
    fn xmp_and_what_it_goes_on_in() {
        assert_segment_dropped(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0".as_slice(), &xmp()].concat(), "XMP");
        let extension = [b"http://ns.adobe.com/xmp/extension/\0".as_slice(), &[b'0'; 40], &xmp()].concat();
        assert_segment_dropped(0xe1, &extension, "extended XMP");
    }

    #[test]
    fn iptc_in_photoshops_segment() {
        let record = [&[0x1c, 2, 90, 0, SECRET.len() as u8], SECRET.as_bytes()].concat();
        let length = u32::try_from(record.len()).expect("short").to_be_bytes();
        let payload = [b"Photoshop 3.0\x008BIM\x04\x04\0\0".as_slice(), &length, &record, b"\0"].concat();
        assert_segment_dropped(0xed, &payload, "IPTC");
    }

    #[test]
    fn a_colour_profile() {
        assert_segment_dropped(0xe2, &[b"ICC_PROFILE\0\x01\x01".as_slice(), &icc()].concat(), "a profile");
    }

    #[test]
    fn a_comment_and_segments_of_every_application() {
        assert_segment_dropped(0xfe, SECRET.as_bytes(), "a comment");
        for marker in (0xe0..=0xef).filter(|marker| *marker != 0xee) {
            assert_segment_dropped(marker, &[b"MAKER\0".as_slice(), SECRET.as_bytes()].concat(), "a segment");
        }
    }

    #[test]
    fn a_thumbnail_in_the_jfif_extension() {
        let payload = [b"JFXX\0\x10".as_slice(), SECRET.as_bytes()].concat();
        assert_segment_dropped(0xe0, &payload, "a thumbnail");
    }

    #[test]
    fn what_follows_the_end() {
        let plain = photo(&four_corners(320, 200));
        let file = [plain.as_slice(), &photo(&four_corners(40, 30)), SECRET.as_bytes()].concat();
        assert_dropped(&plain, &file, "trailing bytes");
    }
}

mod in_png {
    use super::*;

    fn assert_chunk_dropped(kind: &[u8; 4], data: &[u8], what: &str) {
        for picture in [four_corners(320, 200).into(), image::DynamicImage::from(see_through())] {
            let plain = encoded(picture, ImageFormat::Png);
            let behind_header = [&plain[..33], &png_chunk(kind, data), &plain[33..]].concat();
            assert_dropped(&plain, &behind_header, what);
        }
    }

    #[test]
    fn exif_with_a_place_and_a_thumbnail() {
        assert_chunk_dropped(b"eXIf", &exif(), "EXIF");
    }

    #[test]
    fn texts_in_all_their_forms() {
        assert_chunk_dropped(b"tEXt", format!("Comment\0{SECRET}").as_bytes(), "tEXt");
        assert_chunk_dropped(b"zTXt", &[b"Comment\0\0".as_slice(), &stored(SECRET.as_bytes())].concat(), "zTXt");
        assert_chunk_dropped(b"iTXt", format!("Comment\0\0\0en\0\0{SECRET}").as_bytes(), "iTXt");
        // IPTC as ImageMagick and similar programs store it.
        assert_chunk_dropped(b"tEXt", format!("Raw profile type iptc\0{SECRET}").as_bytes(), "IPTC");
    }

    #[test]
    fn xmp() {
        assert_chunk_dropped(b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0".as_slice(), &super::xmp()].concat(), "XMP");
    }

    #[test]
    fn a_colour_profile() {
        assert_chunk_dropped(b"iCCP", &[b"sRGB\0\0".as_slice(), &stored(&icc())].concat(), "a profile");
    }

    #[test]
    fn chunks_of_others_and_what_follows_the_end() {
        assert_chunk_dropped(b"maKe", SECRET.as_bytes(), "a private chunk");
        let plain = encoded(four_corners(320, 200), ImageFormat::Png);
        assert_dropped(&plain, &[plain.as_slice(), SECRET.as_bytes()].concat(), "trailing bytes");
    }
}

mod in_webp {
    use super::*;

    /// A file with one more chunk, and the same file without it.
    fn with_chunk(flag: u8, kind: &[u8; 4], data: &[u8], before_pixels: bool) -> (Vec<u8>, Vec<u8>) {
        let plain = encoded(four_corners(320, 200), ImageFormat::WebP);
        let pixels = plain[12..].to_vec();
        let features = webp_chunk(b"VP8X", &webp_features(flag, (320, 200)));
        let more = webp_chunk(kind, data);
        let chunks = if before_pixels { [features, more, pixels] } else { [features, pixels, more] };
        (plain, webp(&chunks))
    }

    #[test]
    fn exif_with_a_place_and_a_thumbnail() {
        for block in [exif(), [b"Exif\0\0".as_slice(), &exif()].concat()] {
            let (plain, file) = with_chunk(0x08, b"EXIF", &block, false);
            assert_dropped(&plain, &file, "EXIF");
        }
    }

    #[test]
    fn xmp() {
        let (plain, file) = with_chunk(0x04, b"XMP ", &super::xmp(), false);
        assert_dropped(&plain, &file, "XMP");
    }

    #[test]
    fn a_colour_profile() {
        let (plain, file) = with_chunk(0x20, b"ICCP", &icc(), true);
        assert_dropped(&plain, &file, "a profile");
    }

    #[test]
    fn chunks_of_others_and_what_follows_the_end() {
        let (plain, file) = with_chunk(0, b"MAKE", SECRET.as_bytes(), false);
        assert_dropped(&plain, &file, "a private chunk");
        assert_dropped(&plain, &[plain.as_slice(), SECRET.as_bytes()].concat(), "trailing bytes");
    }
}

mod in_gif {
    use super::*;

    /// A file with only a picture, and the start of its first block.
    fn plain() -> (Vec<u8>, usize) {
        let mut file = Vec::new();
        GifEncoder::new(&mut file)
            .encode(&four_corners(320, 200), 320, 200, image::ExtendedColorType::Rgb8)
            .expect("encodes");
        let table = if file[10] & 0x80 == 0 { 0 } else { 3 << ((file[10] & 7) + 1) };
        (file, 13 + table)
    }

    fn assert_block_dropped(block: &[u8], what: &str) {
        let (plain, first) = plain();
        assert_dropped(&plain, &[&plain[..first], block, &plain[first..]].concat(), what);
        let before_end = plain.len() - 1;
        assert_dropped(&plain, &[&plain[..before_end], block, b";"].concat(), what);
    }

    /// Data in sub-blocks of at most 255 bytes.
    fn sub_blocks(data: &[u8]) -> Vec<u8> {
        let blocks = data.chunks(255).flat_map(|block| [&[block.len() as u8], block].concat());
        blocks.chain([0]).collect()
    }

    #[test]
    fn a_comment() {
        assert_block_dropped(&[b"!\xfe".as_slice(), &sub_blocks(SECRET.as_bytes())].concat(), "a comment");
    }

    #[test]
    fn xmp_and_what_other_applications_add() {
        assert_block_dropped(&[b"!\xff\x0bXMP DataXMP".as_slice(), &sub_blocks(&super::xmp())].concat(), "XMP");
        let of_maker = [b"!\xff\x0bMAKER   1.0".as_slice(), &sub_blocks(SECRET.as_bytes())].concat();
        assert_block_dropped(&of_maker, "an application's block");
    }

    #[test]
    fn what_follows_the_end() {
        let (plain, _) = plain();
        assert_dropped(&plain, &[plain.as_slice(), SECRET.as_bytes()].concat(), "trailing bytes");
    }
}

mod in_heif {
    use super::*;
    use crate::media::{Item, Media, boxed, full, profile};

    fn pictures() -> [(&'static [u8; 4], Item); 2] {
        let size = (192, 128);
        [
            (b"heic", Item::coded(b"hvc1", include_bytes!("samples/corners.hvc1"), size)),
            (b"avif", Item::coded(b"av01", include_bytes!("samples/corners.av01"), size)),
        ]
    }

    #[test]
    fn items_beside_the_picture() {
        for (brand, picture) in pictures() {
            let plain = Media::of(brand, std::slice::from_ref(&picture)).file();
            let exif = Item::new(b"Exif", &[&[0; 4], super::exif().as_slice()].concat());
            let xmp = Item::new(b"mime", &super::xmp());
            for beside in [exif, xmp] {
                let media = Media::of(brand, &[picture.clone(), beside]).with_reference(b"cdsc", 2, &[1]);
                assert_dropped(&plain, &media.file(), "an item");
            }
        }
    }

    #[test]
    fn properties_boxes_of_others_and_what_follows_the_end() {
        for (brand, picture) in pictures() {
            let plain = Media::of(brand, std::slice::from_ref(&picture)).file();
            let with = |property| Media::of(brand, &[picture.clone().with(property)]).file();
            assert_dropped(&plain, &with(profile(&icc())), "a profile");
            assert_dropped(
                &plain,
                &with(full(b"udes", 0, format!("en\0name\0{SECRET}\0\0").as_bytes())),
                "a description",
            );
            let more = boxed(b"uuid", &[[7; 16].as_slice(), SECRET.as_bytes()].concat());
            assert_dropped(&plain, &Media { more, ..Media::of(brand, &[picture]) }.file(), "a private box");
            assert_dropped(&plain, &[plain.as_slice(), SECRET.as_bytes()].concat(), "trailing bytes");
        }
    }
}

fn see_through() -> RgbaImage {
    RgbaImage::from_fn(300, 200, |x, y| Rgba([200, 40, (y % 256) as u8, (x % 256) as u8]))
}
