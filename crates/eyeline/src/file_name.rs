//! File names as clients and disks state them, in several encodings, and the media types of their extensions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::{Encoding, WINDOWS_1252};
use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;

/// The media type of a file name's extension. Also knows types that people confuse with photos.
pub fn type_of_ending(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" | "jpe" | "jfif" | "jfi" | "jif" => "image/jpeg",
        "png" | "apng" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "avif" => "image/avif",
        "heic" => "image/heic",
        "heif" | "hif" => "image/heif",
        "svg" => "image/svg+xml",
        "pdf" => "application/pdf",
        "htm" | "html" => "text/html",
        _ => return None,
    })
}

/// The bytes as UTF-8, else as windows-1252, which holds Latin-1: no byte is lost and every name can be shown.
pub fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// The file name in the `Content-Disposition` of a form field, without folders. Prefers `filename*` (RFC 8187, also in
/// parts as in RFC 2231). Decodes encoded words (RFC 2047) and percent encoding in `filename`, which several clients
/// send.
pub fn of_form_field(headers: &HeaderMap) -> Option<String> {
    let parameters = parameters(headers.get(header::CONTENT_DISPOSITION)?.as_bytes());
    let value = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice());
    let extended = value("filename*").map(<[u8]>::to_vec).or_else(|| joined(&parameters));
    let name = extended.and_then(|value| read_extended(&value)).or_else(|| value("filename").map(read_plain))?;
    // Some clients send the whole path.
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|letter| !letter.is_control()).collect();
    (!name.is_empty()).then_some(name)
}

/// The parameters of a header as (lower-case name, value), without quotes. A backslash escapes only a quote or another
/// backslash, because Windows paths contain single ones.
fn parameters(header: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut parameters = Vec::new();
    let mut rest = header;
    while let Some(start) = rest.iter().position(|byte| *byte == b';') {
        rest = rest[start + 1..].trim_ascii_start();
        let Some(equals) = rest.iter().position(|byte| matches!(byte, b'=' | b';')) else { break };
        if rest[equals] == b';' {
            rest = &rest[equals..];
            continue;
        }
        let name = decode(rest[..equals].trim_ascii()).to_ascii_lowercase();
        rest = rest[equals + 1..].trim_ascii_start();
        let (value, length) = if rest.first() == Some(&b'"') { quoted(rest) } else { token(rest) };
        rest = &rest[length..];
        parameters.push((name, value));
    }
    parameters
}

/// The quoted value at the start of `text`, and its length in bytes with the quotes.
fn quoted(text: &[u8]) -> (Vec<u8>, usize) {
    let mut value = Vec::new();
    let mut at = 1;
    while at < text.len() && text[at] != b'"' {
        let escapes = text[at] == b'\\' && matches!(text.get(at + 1), Some(b'"' | b'\\'));
        at += usize::from(escapes);
        value.push(text[at]);
        at += 1;
    }
    (value, (at + 1).min(text.len()))
}

fn token(text: &[u8]) -> (Vec<u8>, usize) {
    let length = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
    (text[..length].trim_ascii_end().to_vec(), length)
}

/// Joins the parts `filename*0*`, `filename*1*`, … (RFC 2231), percent-encoded as a whole.
fn joined(parameters: &[(String, Vec<u8>)]) -> Option<Vec<u8>> {
    let part = |index: usize| {
        let name = format!("filename*{index}");
        parameters.iter().find_map(|(known, value)| {
            let marker = known.strip_prefix(&name)?;
            matches!(marker, "" | "*").then(|| match marker {
                "*" => value.clone(),
                _ => decode(value).replace('%', "%25").into_bytes(),
            })
        })
    };
    let parts: Vec<Vec<u8>> = (0..).map_while(part).collect();
    (!parts.is_empty()).then(|| parts.concat())
}

/// Reads `charset'language'percent-encoded`, or UTF-8 without the first two.
fn read_extended(value: &[u8]) -> Option<String> {
    let value = decode(value);
    let mut parts = value.splitn(3, '\'');
    let (charset, text) = match (parts.next(), parts.next(), parts.next()) {
        (Some(charset), Some(_), Some(text)) => (charset, text),
        _ => ("", value.as_str()),
    };
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    let text = in_charset(charset, &bytes)?;
    (!text.is_empty()).then_some(text)
}

/// `None` for an unknown charset.
fn in_charset(charset: &str, bytes: &[u8]) -> Option<String> {
    if charset.is_empty() || charset.eq_ignore_ascii_case("utf-8") {
        return Some(decode(bytes));
    }
    Some(Encoding::for_label(charset.as_bytes())?.decode_without_bom_handling(bytes).0.into_owned())
}

fn read_plain(value: &[u8]) -> String {
    let text = decode(value);
    if text.contains("=?") {
        return read_encoded_words(&text);
    }
    // Browsers percent-encode only quotes and line breaks. If the result is not UTF-8, the name contained a percent
    // sign.
    match percent_decode_str(&text).decode_utf8() {
        Ok(decoded) => decoded.into_owned(),
        Err(_) => text,
    }
}

/// Decodes every `=?charset?B|Q?…?=`. Drops spaces between two encoded words. Joins adjacent words of one charset
/// before decoding, because a letter may be split between them.
fn read_encoded_words(text: &str) -> String {
    let mut read = String::new();
    let mut word: Option<(&str, Vec<u8>)> = None;
    let end = |word: &mut Option<(&str, Vec<u8>)>, read: &mut String| {
        if let Some((charset, bytes)) = word.take() {
            read.push_str(&in_charset(charset, &bytes).unwrap_or_else(|| decode(&bytes)));
        }
    };
    let mut rest = text;
    while let Some(start) = rest.find("=?") {
        let Some((charset, bytes, length)) = encoded_word(&rest[start..]) else {
            end(&mut word, &mut read);
            read.push_str(&rest[..start + 2]);
            rest = &rest[start + 2..];
            continue;
        };
        let between = &rest[..start];
        let goes_on = word.is_some() && between.trim().is_empty();
        match &mut word {
            Some((known, joined)) if goes_on && known.eq_ignore_ascii_case(charset) => joined.extend(bytes),
            _ => {
                end(&mut word, &mut read);
                read.push_str(if goes_on { "" } else { between });
                word = Some((charset, bytes));
            }
        }
        rest = &rest[start + length..];
    }
    end(&mut word, &mut read);
    read + rest
}

/// The encoded word at the start of `text`: its charset, bytes and length.
fn encoded_word(text: &str) -> Option<(&str, Vec<u8>, usize)> {
    let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (encoded, after) = rest.split_once("?=")?;
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(encoded).ok()?,
        "Q" | "q" => percent_decode_str(&encoded.replace('%', "%25").replace('=', "%").replace('_', " ")).collect(),
        _ => return None,
    };
    // A language may follow the charset (RFC 2231).
    let charset = charset.split('*').next().unwrap_or_default();
    Some((charset, bytes, text.len() - after.len()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn name(disposition: &[u8]) -> Option<String> {
        let mut headers = HeaderMap::new();
        let value = [b"form-data; name=\"data\"; ", disposition].concat();
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_bytes(&value).expect("a header"));
        of_form_field(&headers)
    }

    #[test]
    fn every_way_to_write_a_name_gives_the_name() {
        let cases: [(&[u8], &str); 24] = [
            (b"filename=\"a.jpg\"", "a.jpg"),
            (b"filename=a.jpg", "a.jpg"),
            (b"FileName = \"a b.jpg\" ; x=y", "a b.jpg"),
            ("filename=\"日本.jpg\"".as_bytes(), "日本.jpg"),
            (b"filename=\"r\xe9sum\xe9.jpg\"", "résumé.jpg"),
            (b"filename*=UTF-8''%E6%97%A5%E6%9C%AC.jpg", "日本.jpg"),
            (b"filename=\"x.jpg\"; filename*=utf-8'ja'%E6%97%A5.jpg", "日.jpg"),
            (b"filename*=utf-8''%E6%97%A5.jpg; filename=\"x.jpg\"", "日.jpg"),
            (b"filename*=ISO-8859-1''%A3%20rates.png", "£ rates.png"),
            (b"filename*=Shift_JIS''%93%FA%96%7B.png", "日本.png"),
            (b"filename*=no-such-charset''%A3.png; filename=\"x.png\"", "x.png"),
            (b"filename*=\"UTF-8''%C3%BC.png\"", "ü.png"),
            (b"filename*0*=UTF-8''%E6%97; filename*1*=%A5; filename*2=\" 5%.png\"", "日 5%.png"),
            (b"filename=\"=?UTF-8?B?5pel5pysLmpwZw==?=\"", "日本.jpg"),
            (b"filename=\"=?utf-8?q?=C3=BCber_mich=2Ejpg?=\"", "über mich.jpg"),
            (b"filename=\"=?UTF-8?B?5pc=?= =?UTF-8?B?pS5qcGc=?=\"", "日.jpg"),
            (b"filename=\"a =?iso-8859-1?Q?=FC?= b.jpg\"", "a ü b.jpg"),
            (b"filename=\"what=?.jpg\"", "what=?.jpg"),
            (b"filename=\"%E6%97%A5%20a.jpg\"", "日 a.jpg"),
            (b"filename=\"say %22hi%22.jpg\"", "say \"hi\".jpg"),
            (b"filename=\"100%.jpg\"", "100%.jpg"),
            (b"filename=\"100%DEAL.jpg\"", "100%DEAL.jpg"),
            (b"filename=\"C:\\fakepath\\a.jpg\"", "a.jpg"),
            (b"filename=\"a\\\"b;c.jpg\"", "a\"b;c.jpg"),
        ];
        for (disposition, expected) in cases {
            assert_eq!(name(disposition).as_deref(), Some(expected), "{:?}", decode(disposition));
        }
        for none in [&b"filename=\"\""[..], b"filename*=UTF-8''", b"x=y", b"filename", b"filename=\"%0A/\""] {
            assert_eq!(name(none), None, "{:?}", decode(none));
        }
    }

    #[test]
    fn an_ending_names_its_type_in_any_case() {
        for (name, kind) in [("a.JFIF", "image/jpeg"), ("a.b.jpe", "image/jpeg"), ("IMG.HEIC", "image/heic")] {
            assert_eq!(type_of_ending(name), Some(kind));
        }
        assert_eq!((type_of_ending("jpg"), type_of_ending("a.txt")), (None, None));
    }
}
