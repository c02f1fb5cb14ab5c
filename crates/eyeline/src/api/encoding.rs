//! The encoding of bodies that are text: UTF-8, with or without a byte order mark.

use bytes::Bytes;
use eyeline_core::FieldErrors;

pub const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The first bytes of a text that [`wide`] and [`UTF8_MARK`] look at.
pub const HEAD_BYTES: usize = 4;

/// Removes the byte order mark from a UTF-8 text. The error names the encoding of a text in UTF-16 or UTF-32.
pub fn utf8(body: Bytes) -> Result<Bytes, FieldErrors> {
    if let Some(encoding) = wide(&body) {
        return Err(FieldErrors::one("", format!("The body is {encoding}. Send it as UTF-8.")));
    }
    Ok(if body.starts_with(UTF8_MARK) { body.slice(UTF8_MARK.len()..) } else { body })
}

/// The encoding of a text that uses more than one byte for an ASCII character. It shows in the byte order mark, or in
/// zero bytes beside the first characters, which neither JSON nor CSV has in UTF-8.
pub fn wide(head: &[u8]) -> Option<&'static str> {
    match *head {
        [0, 0, 0xFE, 0xFF, ..] => Some("UTF-32 (big-endian)"),
        [0xFF, 0xFE, 0, 0, ..] => Some("UTF-32 (little-endian)"),
        [0xFE, 0xFF, ..] => Some("UTF-16 (big-endian)"),
        [0xFF, 0xFE, ..] => Some("UTF-16 (little-endian)"),
        [0, 0, 0, last, ..] if last != 0 => Some("UTF-32 (big-endian)"),
        [first, 0, 0, 0, ..] if first != 0 => Some("UTF-32 (little-endian)"),
        [0, first, 0, second, ..] if first != 0 && second != 0 => Some("UTF-16 (big-endian)"),
        [first, 0, second, 0, ..] if first != 0 && second != 0 => Some("UTF-16 (little-endian)"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str, unit: usize, little: bool) -> Vec<u8> {
        let turned = |mut bytes: Vec<u8>| {
            if little {
                bytes.reverse();
            }
            bytes
        };
        match unit {
            2 => text.encode_utf16().flat_map(|unit| turned(unit.to_be_bytes().to_vec())).collect(),
            _ => text.chars().flat_map(|unit| turned(u32::from(unit).to_be_bytes().to_vec())).collect(),
        }
    }

    #[test]
    fn a_text_of_wide_characters_is_named_with_and_without_its_byte_order_mark() {
        for text in ["{\"a\": 1}", "[]", "external_id,url\n", "\u{feff}[]", "\u{feff}\u{fc}"] {
            for (unit, little, name) in [
                (2, false, "UTF-16 (big-endian)"),
                (2, true, "UTF-16 (little-endian)"),
                (4, false, "UTF-32 (big-endian)"),
                (4, true, "UTF-32 (little-endian)"),
            ] {
                assert_eq!(wide(&encoded(text, unit, little)), Some(name), "{text:?}");
            }
        }
    }

    #[test]
    fn utf8_is_taken_with_and_without_its_byte_order_mark() {
        for text in ["", "{}", "\u{fc}", "1", "\0", "\0\0\0\0\0"] {
            let bytes = Bytes::from(text.as_bytes());
            assert_eq!(utf8(bytes.clone()), Ok(bytes.clone()), "{text:?}");
            assert_eq!(utf8(Bytes::from([UTF8_MARK, &bytes].concat())), Ok(bytes), "{text:?}");
        }
    }
}
