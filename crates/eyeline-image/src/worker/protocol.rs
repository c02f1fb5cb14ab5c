//! The messages between a server and its worker: short JSON after its length. Files pass unchanged through shared
//! memory. The server checks everything that a worker sends.

use std::io::{self, Read, Write};
use std::iter;

use eyeline_core::{ImageErrorCode, Preset, Webp};
use eyeline_sandbox::{Confinement, MESSAGE_BYTES_MAX, read, read_bytes, write};
use serde::{Deserialize, Serialize};

use crate::{HeifSupport, ImageError, Limits, Made, Version};

/// More than any ThumbHash has.
const THUMBHASH_BYTES_MAX: usize = 64;

/// A worker's first message, once it is confined and ready.
#[derive(Serialize, Deserialize)]
pub(super) struct Hello {
    pub confinement: Confinement,
    pub heif: HeifSupport,
}

/// A request for the versions of one file, whose bytes are in the shared memory.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub original_bytes: usize,
    /// For each preset the width and height of its box, and whether WebP is wanted too.
    pub boxes: Vec<(u32, u32, bool)>,
    pub limits: Limits,
}

/// The answer. The bytes of the versions are in the shared memory, in their order.
#[derive(Serialize, Deserialize)]
pub(super) enum Reply {
    Made { width: u32, height: u32, content_type: String, thumbhash: Vec<u8>, versions: Vec<VersionHead> },
    Refused { code: String, sentence: String },
}

#[derive(Serialize, Deserialize)]
pub(super) struct VersionHead {
    pub width: u32,
    pub height: u32,
    pub content_type: String,
    pub bytes: usize,
}

/// Receives the answer to a request for these presets. The outer error is the worker's failure, the inner one the
/// file's.
pub(crate) fn read_reply(
    line: impl Read,
    mut memory: impl Read,
    presets: &[Preset],
) -> io::Result<Result<Made, ImageError>> {
    match read(line)?.ok_or(io::ErrorKind::UnexpectedEof)? {
        Reply::Refused { code, sentence } => {
            let code = ImageErrorCode::parse(&code).ok_or_else(|| broken("an unknown error"))?;
            Ok(Err(ImageError { code, sentence }))
        }
        Reply::Made { width, height, content_type, thumbhash, versions } => {
            let asked = presets.iter().flat_map(|preset| {
                let beside = preset.webp.then_some((preset, WEBP));
                iter::once((preset, JPEG_OR_PNG)).chain(beside)
            });
            let asked: Vec<(&Preset, Types)> = asked.collect();
            if versions.len() != asked.len() {
                return Err(broken("another number of versions than was asked for"));
            }
            if width == 0 || height == 0 || thumbhash.len() > THUMBHASH_BYTES_MAX {
                return Err(broken("a picture that cannot be"));
            }
            let content_type = one_of(ORIGINALS, &content_type)?;
            let versions = versions
                .into_iter()
                .zip(asked)
                .map(|(head, (preset, types))| read_version(&mut memory, head, preset, types));
            let versions = versions.collect::<io::Result<_>>()?;
            Ok(Ok(Made { width, height, content_type, thumbhash, versions }))
        }
    }
}

fn read_version(from: impl Read, head: VersionHead, preset: &Preset, types: Types) -> io::Result<Version> {
    let VersionHead { width, height, content_type, bytes } = head;
    // No encoder writes more than this for pixels of four bytes.
    let most = preset.width as usize * preset.height as usize * 5 + MESSAGE_BYTES_MAX;
    let sides_fit = (1..=preset.width).contains(&width) && (1..=preset.height).contains(&height);
    if !sides_fit || !(1..=most).contains(&bytes) {
        return Err(broken("a version that is empty or too large"));
    }
    let content_type = one_of(types, &content_type)?;
    Ok(Version { name: preset.name.to_owned(), width, height, content_type, bytes: read_bytes(from, bytes)? })
}

type Types = &'static [&'static str];

const ORIGINALS: Types =
    &["image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/heic", "image/heif"];
const JPEG_OR_PNG: Types = &["image/jpeg", "image/png"];
const WEBP: Types = &[Webp::CONTENT_TYPE];

fn one_of(types: Types, content_type: &str) -> io::Result<&'static str> {
    types.iter().find(|known| **known == content_type).copied().ok_or_else(|| broken("an unknown content type"))
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the worker sent {what}"))
}

/// Sends the outcome of a request.
pub(crate) fn write_reply(
    line: impl Write,
    mut memory: impl Write,
    outcome: &Result<Made, ImageError>,
) -> io::Result<()> {
    let made = match outcome {
        Ok(made) => made,
        Err(error) => {
            let reply = Reply::Refused { code: error.code.as_str().to_owned(), sentence: error.sentence.clone() };
            return write(line, &reply);
        }
    };
    let head = |version: &Version| VersionHead {
        width: version.width,
        height: version.height,
        content_type: version.content_type.to_owned(),
        bytes: version.bytes.len(),
    };
    let reply = Reply::Made {
        width: made.width,
        height: made.height,
        content_type: made.content_type.to_owned(),
        thumbhash: made.thumbhash.clone(),
        versions: made.versions.iter().map(head).collect(),
    };
    made.versions.iter().try_for_each(|version| memory.write_all(&version.bytes))?;
    write(line, &reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use eyeline_core::PRESETS;

    fn answer(reply: &Reply) -> io::Error {
        let mut line = Vec::new();
        write(&mut line, reply).expect("writes");
        read_reply(line.as_slice(), io::empty(), &PRESETS[..1]).expect_err("a lie")
    }

    #[test]
    fn a_version_has_the_type_that_was_asked_for_in_its_place() {
        let head =
            |content_type: &str| VersionHead { width: 9, height: 9, content_type: content_type.into(), bytes: 1 };
        let read = |types: &[&str]| {
            let versions = types.iter().map(|content_type| head(content_type)).collect();
            let content_type = "image/gif".to_owned();
            let reply = Reply::Made { width: 9, height: 9, content_type, thumbhash: Vec::new(), versions };
            let mut line = Vec::new();
            write(&mut line, &reply).expect("writes");
            read_reply(line.as_slice(), [0; 2].as_slice(), &[Preset { webp: true, ..PRESETS[0] }])
        };
        for types in [["image/jpeg", "image/webp"], ["image/png", "image/webp"]] {
            let made = read(&types).expect("an answer").expect("versions");
            assert!(made.versions.iter().map(|version| version.content_type).eq(types));
        }
        for types in [["image/webp", "image/webp"], ["image/webp", "image/jpeg"], ["image/jpeg", "image/png"]] {
            assert_eq!(read(&types).expect_err("a lie").kind(), io::ErrorKind::InvalidData);
        }
        assert!(read(&["image/jpeg"]).is_err());
    }

    fn made(content_type: &str, width: u32, bytes: usize) -> Reply {
        let version = VersionHead { width, height: 100, content_type: "image/jpeg".to_owned(), bytes };
        let content_type = content_type.to_owned();
        Reply::Made { width: 100, height: 100, content_type, thumbhash: Vec::new(), versions: vec![version] }
    }

    #[test]
    fn a_worker_that_was_taken_over_cannot_make_the_server_believe_it() {
        assert_eq!(answer(&made("text/html", 100, 1)).kind(), io::ErrorKind::InvalidData);
        assert_eq!(answer(&made("image/jpeg", 151, 1)).kind(), io::ErrorKind::InvalidData);
        assert_eq!(answer(&made("image/jpeg", 0, 1)).kind(), io::ErrorKind::InvalidData);
        assert_eq!(answer(&made("image/jpeg", 100, 0)).kind(), io::ErrorKind::InvalidData);
        let mut empty = made("image/jpeg", 100, 1);
        if let Reply::Made { width, .. } = &mut empty {
            *width = 0;
        }
        assert_eq!(answer(&empty).kind(), io::ErrorKind::InvalidData);
        assert_eq!(answer(&made("image/jpeg", 100, 1 << 40)).kind(), io::ErrorKind::InvalidData);
        assert_eq!(answer(&made("image/jpeg", 100, 5)).kind(), io::ErrorKind::UnexpectedEof);
        let unknown = Reply::Refused { code: "unknown".to_owned(), sentence: String::new() };
        assert_eq!(answer(&unknown).kind(), io::ErrorKind::InvalidData);
    }
}
