//! Detects a file's format only by its first bytes. Names and declared types are ignored.

use eyeline_core::ImageErrorCode;

use crate::ImageError;

/// A format that versions can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg,
    Png,
    WebP,
    Gif,
    Avif,
    Heic,
    /// HEIF that does not state its codec.
    Heif,
}

impl Format {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Avif => "image/avif",
            Self::Heic => "image/heic",
            Self::Heif => "image/heif",
        }
    }
}

/// Tests the first bytes of a file.
type Test = fn(&[u8]) -> bool;

/// Known formats that are refused, so that the refusal can name them.
const REFUSED: [(Test, &str, &str); 8] = [
    (|bytes| bytes.starts_with(b"BM"), "image/bmp", "A BMP picture"),
    (|bytes| TIFF.iter().any(|magic| bytes.starts_with(magic)), "image/tiff", "A TIFF picture"),
    (|bytes| bytes.starts_with(b"\0\0\x01\0"), "image/x-icon", "An icon file"),
    (|bytes| bytes.starts_with(b"\xff\x0a") || bytes.starts_with(b"\0\0\0\x0cJXL "), "image/jxl", "A JPEG XL picture"),
    (
        |bytes| bytes.starts_with(b"\xff\x4f\xff\x51") || bytes.starts_with(b"\0\0\0\x0cjP  "),
        "image/jp2",
        "A JPEG 2000 picture",
    ),
    (|bytes| bytes.starts_with(b"8BPS"), "image/vnd.adobe.photoshop", "A Photoshop file"),
    (|bytes| bytes.starts_with(b"%PDF-"), "application/pdf", "A PDF file"),
    (is_svg, "image/svg+xml", "An SVG drawing"),
];

/// The first bytes of TIFF, in either byte order, with short and with long offsets.
const TIFF: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];

/// Matches any byte in a magic number.
const ANY: u8 = b'?';

/// The first bytes of each format.
const MAGICS: [(&[u8], Format); 5] = [
    (b"\xff\xd8\xff", Format::Jpeg),
    (b"\x89PNG\r\n\x1a\n", Format::Png),
    (b"RIFF????WEBP", Format::WebP),
    (b"GIF87a", Format::Gif),
    (b"GIF89a", Format::Gif),
];

/// The formats of the brands of an ISO media file, its own brand or a compatible one. The first row with a brand of the
/// file counts.
const BRANDS: [(&[&[u8; 4]], Format); 3] = [
    (&[b"avif", b"avis"], Format::Avif),
    (&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"], Format::Heic),
    (&[b"mif1", b"mif2", b"msf1", b"miaf"], Format::Heif),
];

/// The content type of a file by its first bytes; 512 are enough. `None` for unknown picture formats.
pub fn sniff(first_bytes: &[u8]) -> Option<&'static str> {
    match format(first_bytes) {
        Ok(format) => Some(format.content_type()),
        Err(_) => REFUSED.iter().find(|(test, _, _)| test(first_bytes)).map(|(_, content_type, _)| *content_type),
    }
}

/// The format of a whole file, or why it is refused.
pub(crate) fn format(bytes: &[u8]) -> Result<Format, ImageError> {
    for (magic, format) in MAGICS {
        if !bytes.iter().zip(magic).all(|(byte, magic)| byte == magic || *magic == ANY) {
            continue;
        }
        // A file cut within its first bytes counts as truncated, not as unknown.
        return if bytes.len() < magic.len() { Err(ImageError::truncated()) } else { Ok(format) };
    }
    if let Some((brands, is_cut)) = media_brands(bytes) {
        let is_named = |names: &[&[u8; 4]]| names.iter().any(|name| brands.contains(name));
        if let Some((_, format)) = BRANDS.iter().find(|(names, _)| is_named(names)) {
            return Ok(*format);
        }
        if is_cut {
            return Err(ImageError::truncated());
        }
    }
    Err(match REFUSED.iter().find(|(test, _, _)| test(bytes)) {
        Some((_, _, name)) => ImageError::new(
            ImageErrorCode::Unsupported,
            format!("{name} cannot be read here; please send it as JPEG, PNG, WebP, GIF, HEIC or AVIF."),
        ),
        None => ImageError::not_an_image(),
    })
}

/// Bytes that suffice to detect the format.
const HEAD_BYTES: usize = 512;

/// The brands at the start of an ISO media file, and whether the file is cut within them. `None` for another file.
fn media_brands(bytes: &[u8]) -> Option<(Vec<&[u8; 4]>, bool)> {
    const NAME: &[u8; 4] = b"ftyp";
    let name = bytes.get(4..).filter(|rest| !rest.is_empty())?;
    if !name.starts_with(&NAME[..name.len().min(4)]) {
        return None;
    }
    let length = bytes.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let stated = length.clamp(16, HEAD_BYTES);
    let (named, _) = bytes.get(8..stated.min(bytes.len())).unwrap_or_default().as_chunks::<4>();
    // The second group of four bytes is a version.
    let brands = named.iter().enumerate().filter(|(place, _)| *place != 1).map(|(_, brand)| brand);
    Some((brands.collect(), bytes.len() < stated))
}

/// True if this is an SVG drawing, perhaps after a byte-order mark, a declaration or comments.
fn is_svg(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    text.starts_with(b"<") && text.windows(4).any(|window| window == b"<svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_follows_from_the_first_bytes() {
        assert_eq!(sniff(b"\xff\xd8\xff\xe0\0\x10JFIF"), Some("image/jpeg"));
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), Some("image/png"));
        assert_eq!(sniff(b"\0\0\0\x20ftypavif\0\0\0\0mif1"), Some("image/avif"));
        assert_eq!(sniff(b"<?xml version=\"1.0\"?>\n<svg xmlns=\"\">"), Some("image/svg+xml"));
        assert_eq!(sniff(b"<html><body>"), None);
        assert_eq!(sniff(b""), None);
    }

    #[test]
    fn what_stands_behind_the_first_bytes_says_nothing() {
        let brands = [b"\0\0\x10\0ftypisom".as_slice(), &[0; 600], b"avif", &[0; 4000]].concat();
        assert_eq!(sniff(&brands), sniff(&brands[..HEAD_BYTES]));
        assert_eq!(sniff(&brands), None);
    }

    #[test]
    fn a_refused_format_is_named_in_the_sentence() {
        let refusal = format(b"BM\x36\0\0\0").expect_err("BMP is refused");
        assert_eq!(refusal.code, ImageErrorCode::Unsupported);
        let sentence = "A BMP picture cannot be read here; please send it as JPEG, PNG, WebP, GIF, HEIC or AVIF.";
        assert_eq!(refusal.sentence, sentence);
    }

    #[test]
    fn a_file_cut_in_its_first_bytes_is_truncated_and_not_unknown() {
        for (magic, expected) in MAGICS {
            assert_eq!(format(magic), Ok(expected));
            for cut in 0..magic.len() {
                assert_eq!(format(&magic[..cut]).expect_err("cut").code, ImageErrorCode::Truncated);
            }
        }
        assert_eq!(format(b"\xff\xd7").expect_err("not JPEG").code, ImageErrorCode::NotAnImage);
    }
}
