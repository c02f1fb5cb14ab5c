//! Known formats that are refused: refused by name, whatever follows their first bytes.

use eyeline_core::ImageErrorCode;
use eyeline_image::sniff;

use crate::refusal;

/// An ISO media file's first box with this brand.
fn brand(major: &[u8; 4], others: &[&[u8; 4]]) -> Vec<u8> {
    let length = (16 + 4 * others.len()) as u32;
    let others: Vec<u8> = others.iter().flat_map(|brand| brand.iter().copied()).collect();
    [&length.to_be_bytes(), b"ftyp".as_slice(), major, &[0; 4], &others].concat()
}

#[test]
fn a_known_format_that_is_not_taken_is_refused_by_its_name() {
    let cases: [(Vec<u8>, &str, &str); 14] = [
        (b"\xff\x0a\xfa\x1f".to_vec(), "image/jxl", "A JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n".to_vec(), "image/jxl", "A JPEG XL picture"),
        (b"\0\0\0\x0cjP  \r\n\x87\n".to_vec(), "image/jp2", "A JPEG 2000 picture"),
        (b"\xff\x4f\xff\x51\0\x2f".to_vec(), "image/jp2", "A JPEG 2000 picture"),
        (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec(), "image/svg+xml", "An SVG drawing"),
        (b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- -->\n<svg/>".to_vec(), "image/svg+xml", "An SVG drawing"),
        (b"BM\x36\0\0\0".to_vec(), "image/bmp", "A BMP picture"),
        (b"II*\0\x08\0\0\0".to_vec(), "image/tiff", "A TIFF picture"),
        (b"MM\0*\0\0\0\x08".to_vec(), "image/tiff", "A TIFF picture"),
        (b"II+\0\x08\0\0\0".to_vec(), "image/tiff", "A TIFF picture"),
        (b"MM\0+\0\x08\0\0".to_vec(), "image/tiff", "A TIFF picture"),
        (b"\0\0\x01\0\x01\0".to_vec(), "image/x-icon", "An icon file"),
        (b"8BPS\0\x01".to_vec(), "image/vnd.adobe.photoshop", "A Photoshop file"),
        (b"%PDF-1.7".to_vec(), "application/pdf", "A PDF file"),
    ];
    for (file, content_type, name) in cases {
        let refusal = refusal(&file);
        assert_eq!(refusal.code, ImageErrorCode::Unsupported, "{name}");
        assert_eq!(refusal.code.as_str(), "unsupported");
        let sentence = format!("{name} cannot be read here; please send it as JPEG, PNG, WebP, GIF, HEIC or AVIF.");
        assert_eq!(refusal.sentence, sentence, "{content_type}");
        assert_eq!(sniff(&file), Some(content_type));
    }
}

#[test]
fn heif_is_told_by_any_of_its_brands() {
    let cases: [(Vec<u8>, &str); 12] = [
        (brand(b"avif", &[b"mif1", b"miaf"]), "image/avif"),
        (brand(b"avis", &[b"avif"]), "image/avif"),
        (brand(b"mif1", &[b"miaf", b"avif"]), "image/avif"),
        (brand(b"heic", &[b"mif1"]), "image/heic"),
        (brand(b"heix", &[b"mif1"]), "image/heic"),
        (brand(b"heim", &[]), "image/heic"),
        (brand(b"heis", &[]), "image/heic"),
        (brand(b"hevc", &[b"heic"]), "image/heic"),
        (brand(b"mif1", &[b"heic"]), "image/heic"),
        (brand(b"msf1", &[b"hevc"]), "image/heic"),
        (brand(b"mif1", &[b"miaf"]), "image/heif"),
        (brand(b"miaf", &[]), "image/heif"),
    ];
    for (file, content_type) in cases {
        assert_eq!(sniff(&file), Some(content_type));
        // A file that ends after its brands was cut, whatever its name.
        assert_eq!(refusal(&file).code, ImageErrorCode::Truncated, "{content_type}");
        for cut in 5..file.len() {
            assert_eq!(refusal(&file[..cut]).code, ImageErrorCode::Truncated, "{content_type} cut at {cut}");
        }
    }
}

#[test]
fn a_film_is_no_picture() {
    for major in [b"isom", b"mp42", b"qt  "] {
        assert_eq!(refusal(&brand(major, &[b"avc1"])).code, ImageErrorCode::NotAnImage);
    }
}
