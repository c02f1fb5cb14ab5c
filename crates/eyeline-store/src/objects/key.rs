//! Object keys. No other code spells one.
//!
//! ```text
//! incoming/<random>                what a client sends through its link
//! incoming/<random>/<number>       a part of it, if it is sent in parts
//! originals/<image>/<random>       the immutable copy that counts
//! public/<random>/<name>.<ext>     versions that everybody may see
//! private/<random>/<name>.<ext>    versions behind signed links
//! lake/<day>/<random>.parquet      events received on a day
//! ```
//! A random part has 128 bits, so that no link can be guessed from another.

use std::fmt;

use eyeline_core::preset::EXTENSIONS;
use eyeline_core::{ImageId, PRESETS, Timestamp};

use crate::error::{Error, Result};
use crate::sql::{Column, Kind, Value};

/// The area of a kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    Incoming,
    Originals,
    Public,
    Private,
    Lake,
}

impl Area {
    pub const ALL: [Area; 5] = [Area::Incoming, Area::Originals, Area::Public, Area::Private, Area::Lake];

    pub const fn as_str(self) -> &'static str {
        match self {
            Area::Incoming => "incoming",
            Area::Originals => "originals",
            Area::Public => "public",
            Area::Private => "private",
            Area::Lake => "lake",
        }
    }
}

/// The key of one object, or of a folder of objects, in one of the forms above.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// A new key for a client to write to.
    pub fn incoming() -> Self {
        ObjectKey(format!("incoming/{}", random()))
    }

    /// The key of a part of what is sent to this key under `incoming/`.
    pub fn part(&self, number: u32) -> Self {
        self.join(&number.to_string())
    }

    /// The number of the part that this is the key of; `None` for the key of anything else.
    pub fn part_number(&self) -> Option<u32> {
        let is_part = self.area() == Area::Incoming && self.0.matches('/').count() == 2;
        if is_part { self.name().parse().ok() } else { None }
    }

    /// A new key for the copy of an image's original.
    pub fn original(image_id: ImageId) -> Self {
        ObjectKey(format!("originals/{image_id}/{}", random()))
    }

    /// A new folder for the versions of one image.
    pub fn versions(public: bool) -> Self {
        let area = if public { Area::Public } else { Area::Private };
        ObjectKey(format!("{}/{}", area.as_str(), random()))
    }

    /// A new key for a file of events received at about this time.
    pub fn lake(received_at: Timestamp) -> Self {
        let time = received_at.to_string();
        let day = time.split_once('T').map_or("unknown", |(day, _)| day);
        ObjectKey(format!("lake/{day}/{}.parquet", random()))
    }

    /// The object `name` in this folder.
    pub fn join(&self, name: &str) -> Self {
        ObjectKey(format!("{}/{name}", self.0))
    }

    /// The folder that the object is in.
    pub fn folder(&self) -> Self {
        ObjectKey(self.0.rsplit_once('/').map_or_else(|| self.0.clone(), |(folder, _)| folder.to_owned()))
    }

    /// The key by which the object is deleted: that of its folder for a version or a part, deleted with its siblings.
    pub fn unit(&self) -> Self {
        let is_version = matches!(self.area(), Area::Public | Area::Private) && self.0.matches('/').count() == 2;
        if is_version || self.part_number().is_some() { self.folder() } else { self.clone() }
    }

    /// The keys of all objects that this folder of versions may hold. Empty for the key of an object.
    pub(super) fn of_folder(&self) -> Vec<Self> {
        let is_folder = matches!(self.area(), Area::Public | Area::Private) && self.0.matches('/').count() == 1;
        let names = PRESETS
            .iter()
            .filter(|_| is_folder)
            .flat_map(|preset| EXTENSIONS.iter().map(|extension| self.join(&format!("{}.{extension}", preset.name))));
        names.collect()
    }

    /// The media type of the object, by its name. Bytes that a client sent have no type that a browser opens.
    pub fn content_type(&self) -> &'static str {
        match self.area() {
            Area::Public | Area::Private => match self.0.rsplit_once('.').map(|(_, extension)| extension) {
                Some("jpg") => "image/jpeg",
                Some("png") => "image/png",
                Some("webp") => "image/webp",
                _ => "application/octet-stream",
            },
            Area::Incoming | Area::Originals | Area::Lake => "application/octet-stream",
        }
    }

    /// The part after the last slash.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// Parses a key from outside; `None` unless it has one of the forms above.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let area = Area::ALL.into_iter().find(|area| area.as_str() == parts[0])?;
        if area == Area::Incoming && parts.len() == 3 && !is_part_number(parts[2]) {
            return None;
        }
        let plain = |part: &&str| {
            !part.is_empty()
                && part.len() <= 64
                && !part.starts_with('.')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        };
        ((2..=3).contains(&parts.len()) && parts.iter().all(plain)).then(|| ObjectKey(text.to_owned()))
    }

    pub fn area(&self) -> Area {
        let first = self.0.split('/').next().unwrap_or_default();
        Area::ALL.into_iter().find(|area| area.as_str() == first).unwrap_or(Area::Private)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Column for ObjectKey {
    const KIND: Kind = Kind::Text;

    fn into_value(self) -> Value {
        Value::Text(self.0)
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(text) => ObjectKey::parse(&text),
            _ => None,
        }
    }
}

/// True for the one way in which a key writes the number of a part.
fn is_part_number(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|number| number > 0 && number.to_string() == text)
}

/// 128 bits as 32 hexadecimal digits.
fn random() -> String {
    let mut bytes = [0; 16];
    // The system's generator fails only where the process could not continue anyway.
    getrandom::fill(&mut bytes).unwrap_or_else(|error| panic!("the system gives no random bytes: {error}"));
    hex(&bytes)
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl TryFrom<&str> for ObjectKey {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        ObjectKey::parse(text).ok_or(Error::NotFound("object"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_versions_names_what_it_may_hold() {
        let folder = ObjectKey::versions(false);
        let objects = folder.of_folder();
        assert_eq!(objects.len(), PRESETS.len() * EXTENSIONS.len());
        assert!(objects.contains(&folder.join("thumb.jpg")) && objects.contains(&folder.join("d2500.webp")));
        for object in [objects[0].clone(), ObjectKey::incoming(), ObjectKey::lake(Timestamp::from_micros(0))] {
            assert_eq!(object.of_folder(), vec![]);
        }
        assert_eq!(objects.iter().map(ObjectKey::content_type).filter(|kind| *kind == "image/jpeg").count(), 4);
    }

    #[test]
    fn a_version_is_deleted_with_its_folder_and_everything_else_alone() {
        let folder = ObjectKey::versions(true);
        assert_eq!(folder.join("thumb.jpg").unit(), folder);
        assert_eq!(folder.unit(), folder);
        for key in [ObjectKey::incoming(), ObjectKey::lake(Timestamp::from_micros(0))] {
            assert_eq!(key.unit(), key);
        }
    }

    #[test]
    fn a_part_is_in_the_folder_of_its_upload_and_has_its_number() {
        let incoming = ObjectKey::incoming();
        let part = incoming.part(7);
        assert_eq!((part.part_number(), part.folder()), (Some(7), incoming.clone()));
        assert_eq!(part.unit(), incoming);
        for other in [incoming, ObjectKey::versions(true).join("7"), ObjectKey::lake(Timestamp::from_micros(0))] {
            assert_eq!(other.part_number(), None, "{other}");
        }
    }

    #[test]
    fn only_keys_of_the_known_forms_are_taken_from_outside() {
        let image_id: ImageId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("an id");
        let version = ObjectKey::versions(true).join("thumb.jpg");
        let file = ObjectKey::lake(Timestamp::from_micros(0));
        let part = ObjectKey::incoming().part(10_000);
        for key in [ObjectKey::incoming(), part, ObjectKey::original(image_id), version, file] {
            assert_eq!(ObjectKey::parse(key.as_str()), Some(key));
        }
        for text in [
            "",
            "public",
            "public/",
            "/etc/passwd",
            "public/../originals/x",
            "public/a/.hidden",
            "incoming/a/b",
            "incoming/a/0",
            "incoming/a/01",
            "incoming/a/+1",
            "incoming/a/4294967296",
            "incoming/a/1/2",
            "public/a/b/c",
            "tmp/a",
            "public/a\0/b",
            "public/a%2e/b",
        ] {
            assert_eq!(ObjectKey::parse(text), None, "{text:?}");
        }
    }
}
