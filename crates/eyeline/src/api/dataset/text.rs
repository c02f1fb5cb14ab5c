//! The text of a stream: UTF-8, or CSV in another encoding that the request names.

use std::borrow::Cow;

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};
use eyeline_core::FieldErrors;

use crate::api::encoding::{HEAD_BYTES, UTF8_MARK, wide};

/// Bytes of text that are decoded in one go.
const PIECE_BYTES: usize = 8 * 1024;

/// A byte that UTF-8 never has. It replaces what cannot be decoded, so that its row is rejected.
const UNREADABLE: u8 = 0xFF;

pub enum TextReader {
    /// The first bytes are gathered until they tell the encoding.
    Utf8 {
        head: Vec<u8>,
        has_begun: bool,
    },
    Named(Decoder),
}

impl TextReader {
    /// The error names an unknown encoding.
    pub fn new(charset: Option<&str>) -> Result<Self, String> {
        let Some(charset) = charset else { return Ok(TextReader::utf8()) };
        match Encoding::for_label(charset.as_bytes()) {
            Some(encoding) if encoding == UTF_8 => Ok(TextReader::utf8()),
            Some(encoding) => Ok(TextReader::Named(encoding.new_decoder())),
            None => Err(format!("The charset {charset} is not known; send the CSV as UTF-8.")),
        }
    }

    pub fn utf8() -> Self {
        TextReader::Utf8 { head: Vec::new(), has_begun: false }
    }

    /// The text of the next bytes, without a byte order mark.
    pub fn read<'a>(&mut self, bytes: &'a [u8], is_last: bool) -> Result<Cow<'a, [u8]>, FieldErrors> {
        match self {
            TextReader::Utf8 { has_begun: true, .. } => Ok(Cow::Borrowed(bytes)),
            TextReader::Utf8 { head, has_begun } => {
                head.extend_from_slice(bytes);
                if head.len() < HEAD_BYTES && !is_last {
                    return Ok(Cow::Borrowed(&[]));
                }
                *has_begun = true;
                if let Some(encoding) = wide(head) {
                    let sentence = format!(
                        "The body is {encoding}. Send it as UTF-8; of CSV, the request may name the encoding instead: \
                         Content-Type: text/csv; charset=utf-16."
                    );
                    return Err(FieldErrors::one("", sentence));
                }
                let text = head.strip_prefix(UTF8_MARK).unwrap_or(head).to_vec();
                head.clear();
                Ok(Cow::Owned(text))
            }
            TextReader::Named(decoder) => Ok(Cow::Owned(decoded(decoder, bytes, is_last))),
        }
    }
}

fn decoded(decoder: &mut Decoder, mut bytes: &[u8], is_last: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut piece = [0; PIECE_BYTES];
    loop {
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(bytes, &mut piece, is_last);
        text.extend_from_slice(&piece[..written]);
        bytes = &bytes[read..];
        match result {
            DecoderResult::InputEmpty => return text,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => text.push(UNREADABLE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in_pieces(charset: Option<&str>, bytes: &[u8], length: usize) -> Result<Vec<u8>, FieldErrors> {
        let mut reader = TextReader::new(charset).expect("a known charset");
        let mut text = Vec::new();
        for piece in bytes.chunks(length) {
            text.extend_from_slice(&reader.read(piece, false)?);
        }
        text.extend_from_slice(&reader.read(&[], true)?);
        Ok(text)
    }

    #[test]
    fn a_named_charset_is_decoded_wherever_the_stream_is_cut() {
        let wide = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        for (charset, bytes, text) in [
            ("windows-1252", b"a;\xfc\x80\n".to_vec(), "a;\u{fc}\u{20ac}\n"),
            ("Latin1", b"\xe9".to_vec(), "\u{e9}"),
            ("iso-8859-15", b"\xa4".to_vec(), "\u{20ac}"),
            ("shift_jis", b"\x83\x76".to_vec(), "\u{30d7}"),
            ("utf-8", "\u{feff}\u{fc}".into(), "\u{fc}"),
            ("utf-16le", wide("\u{feff}a\u{1f600}", u16::to_le_bytes), "a\u{1f600}"),
            ("utf-16", wide("a,\u{fc}\n", u16::to_le_bytes), "a,\u{fc}\n"),
            ("utf-16", wide("\u{feff}a", u16::to_be_bytes), "a"),
            ("utf-16be", wide("ab", u16::to_be_bytes), "ab"),
        ] {
            for length in 1..4 {
                let read = read_in_pieces(Some(charset), &bytes, length).expect("a text");
                assert_eq!(String::from_utf8(read).as_deref(), Ok(text), "{charset} in pieces of {length}");
            }
        }
    }

    #[test]
    fn utf8_is_told_by_its_first_bytes() {
        for length in 1..6 {
            for text in ["", "a", "abc", "abcdef\u{fc}"] {
                for mark in ["", "\u{feff}"] {
                    let read = read_in_pieces(None, format!("{mark}{text}").as_bytes(), length);
                    assert_eq!(read, Ok(text.as_bytes().to_vec()));
                }
            }
            let wide = read_in_pieces(None, b"\xff\xfea\0b\0", length).expect_err("UTF-16");
            assert!(format!("{wide:?}").contains("UTF-16 (little-endian)"), "{wide:?}");
        }
        assert!(TextReader::new(Some("utf-32")).is_err());
    }

    #[test]
    fn what_cannot_be_decoded_is_no_utf8_either() {
        let read = read_in_pieces(Some("shift_jis"), b"ab\x83", 1).expect("bytes");
        assert_eq!(read, b"ab\xff");
    }
}
