//! The payload of an event: any JSON object within limits, and the shape of a gallery's events.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{ActKind, GALLERY_CATEGORY, GalleryAct, ImageRef};
use crate::text::check_text;
use crate::{FieldErrors, GalleryId, ImageId};

/// Bytes of one event's `data`.
pub const DATA_BYTES_MAX: usize = 64 * 1024;
/// Nesting depth of objects and arrays.
pub const DATA_DEPTH_MAX: usize = 32;
/// Characters of an `external_id`.
const EXTERNAL_ID_CHARS_MAX: usize = 200;
const POSITION_MAX: u64 = u32::MAX as u64;

/// A text, without a copy when it holds no escapes. `None` for another type or half a surrogate pair.
pub(super) fn text<'a>(raw: &'a RawValue) -> Option<Cow<'a, str>> {
    let json = raw.get();
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(json).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

pub(super) fn uuid(raw: &RawValue) -> Option<Uuid> {
    Uuid::try_parse(&text(raw)?).ok()
}

/// Checks in one pass what JSON syntax alone allows, on text that is known to be JSON. Text that passes can be read by
/// any JSON parser and stored by every engine.
pub fn check_data(json: &str) -> Result<(), String> {
    if !json.starts_with('{') {
        return Err("This has to be an object.".to_owned());
    }
    if json.len() > DATA_BYTES_MAX {
        return Err(format!("At most {DATA_BYTES_MAX} bytes are taken."));
    }
    let bytes = json.as_bytes();
    let mut depth = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => {
                depth += 1;
                if depth > DATA_DEPTH_MAX {
                    return Err(format!("At most {DATA_DEPTH_MAX} levels of objects and arrays are taken."));
                }
                at += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            b'"' => at = check_string(bytes, at)?,
            b'-' | b'0'..=b'9' => at = check_number(json, at)?,
            _ => at += 1,
        }
    }
    Ok(())
}

/// Skips the string that begins at `start`; returns the index after its closing quote.
fn check_string(bytes: &[u8], start: usize) -> Result<usize, String> {
    let broken = || "A text in it holds half a surrogate pair.".to_owned();
    let mut at = start + 1;
    loop {
        match bytes[at] {
            b'"' => return Ok(at + 1),
            b'\\' if bytes[at + 1] == b'u' => {
                let unit = code_unit(bytes, at).ok_or_else(broken)?;
                match unit {
                    0 => return Err("The character U+0000 cannot be stored.".to_owned()),
                    0xD800..=0xDBFF => {
                        let low = code_unit(bytes, at + 6).ok_or_else(broken)?;
                        if !(0xDC00..=0xDFFF).contains(&low) {
                            return Err(broken());
                        }
                        at += 12;
                    }
                    0xDC00..=0xDFFF => return Err(broken()),
                    _ => at += 6,
                }
            }
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The value of an escape `\uXXXX` at `at`, if there is one.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Skips a number. One beyond the range of a double is refused, because readers disagree about it.
fn check_number(json: &str, start: usize) -> Result<usize, String> {
    let rest = &json[start..];
    let length = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
    let number = &rest[..length];
    let may_be_huge = number.len() > 300 || number.contains(['e', 'E']);
    if may_be_huge && !number.parse::<f64>().is_ok_and(f64::is_finite) {
        return Err("A number in it is out of range.".to_owned());
    }
    Ok(start + length)
}

#[derive(Deserialize)]
struct SentAct<'a> {
    #[serde(borrow)]
    gallery_id: Option<&'a RawValue>,
    #[serde(borrow)]
    image_id: Option<&'a RawValue>,
    #[serde(borrow)]
    external_id: Option<&'a RawValue>,
    #[serde(borrow)]
    position: Option<&'a RawValue>,
    #[serde(borrow)]
    order_id: Option<&'a RawValue>,
}

/// Reads `data` of `gallery/view` and `gallery/click`; `None` for every other event. `image_id` has priority over
/// `external_id`. `position` and `order_id` are only checked for shape.
pub fn gallery_act(category: &str, name: &str, data: &str) -> Result<Option<GalleryAct>, FieldErrors> {
    let kind = match (category, name) {
        (GALLERY_CATEGORY, "view") => ActKind::View,
        (GALLERY_CATEGORY, "click") => ActKind::Click,
        _ => return Ok(None),
    };
    let sent: SentAct<'_> = serde_json::from_str(data)
        .map_err(|error| FieldErrors::one("data", format!("This cannot be read: {error}.")))?;
    let mut errors = FieldErrors::new();
    let mut read_uuid = |field: &str, raw: Option<&RawValue>| {
        let raw = raw?;
        let read = uuid(raw);
        if read.is_none() {
            errors.add(field, "This has to be a UUID.");
        }
        read
    };
    let gallery_id = read_uuid("data.gallery_id", sent.gallery_id);
    let image_id = read_uuid("data.image_id", sent.image_id);
    read_uuid("data.order_id", sent.order_id);
    if sent.gallery_id.is_none() {
        errors.required("data.gallery_id");
    }
    let external_id = match sent.external_id.map(text) {
        Some(Some(external_id)) => {
            if let Err(sentence) = check_text(&external_id, EXTERNAL_ID_CHARS_MAX) {
                errors.add("data.external_id", sentence);
            }
            Some(external_id.into_owned())
        }
        Some(None) => {
            errors.add("data.external_id", "This has to be a text.");
            None
        }
        None => None,
    };
    if sent.image_id.is_none() && sent.external_id.is_none() {
        errors.add("data.image_id", "Either this or external_id is required.");
    }
    if let Some(raw) = sent.position
        && !raw.get().parse::<u64>().is_ok_and(|position| (1..=POSITION_MAX).contains(&position))
    {
        errors.add("data.position", format!("This has to be a whole number from 1 to {POSITION_MAX}."));
    }
    let image = image_id.map(|id| ImageRef::Id(ImageId(id))).or(external_id.map(ImageRef::External));
    let act = gallery_id.zip(image).map(|(gallery_id, image)| {
        let gallery_id = GalleryId(gallery_id);
        GalleryAct { kind, gallery_id, image }
    });
    errors.or(act)
}
