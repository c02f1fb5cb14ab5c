//! The manifest of a backup: every file with its size and SHA-256, one JSON object a line.
//!
//! The first line tells about the backup. The last one has the SHA-256 of all lines before it, so that a manifest that
//! was cut or changed is found. It gets its name when everything that it lists is on stable storage: a folder without
//! this name holds no finished backup.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, ErrorKind, Read as _, Write};
use std::path::{Path, PathBuf};

use eyeline_store::ObjectKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::secrets::to_hex;

pub(in crate::cli) const NAME: &str = "manifest.ndjson";
/// Where the objects of a backup are, as in a data folder.
pub(in crate::cli) const OBJECTS: &str = "objects";
/// The version of the format.
const FORMAT: u32 = 1;
/// The most bytes of a line.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Head {
    /// The version of the format.
    pub eyeline_backup: u32,
    /// The version of the program.
    pub version: String,
    /// Everything that was acknowledged before is in the backup.
    pub begun_at: String,
    /// The folder of the files that belong directly into a data folder.
    pub folder: String,
    /// Objects that the catalog names and the server has lost.
    pub lost_objects: u64,
}

impl Head {
    pub fn new(begun_at: String, folder: String, lost_objects: u64) -> Self {
        Head { eyeline_backup: FORMAT, version: env!("CARGO_PKG_VERSION").to_owned(), begun_at, folder, lost_objects }
    }
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Entry {
    /// Below the folder of the backup.
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

/// The last line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct End {
    pub files: u64,
    pub bytes: u64,
    /// Of all lines before.
    pub sha256_of_lines: String,
}

/// The place of a file in a data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Place {
    Object(ObjectKey),
    /// The name of a file directly in the data folder.
    File(String),
}

/// A manifest being written.
pub(in crate::cli) struct Writer {
    lines: BufWriter<File>,
    hash: Sha256,
    end: End,
}

impl Writer {
    pub fn create(path: &Path, head: &Head) -> io::Result<Self> {
        let mut writer =
            Writer { lines: BufWriter::new(File::create(path)?), hash: Sha256::new(), end: End::default() };
        writer.line(head)?;
        Ok(writer)
    }

    pub fn add(&mut self, entry: &Entry) -> io::Result<()> {
        self.end.files += 1;
        self.end.bytes += entry.bytes;
        self.line(entry)
    }

    /// Writes the last line. Returns once the manifest is on stable storage.
    pub fn finish(mut self) -> io::Result<End> {
        self.end.sha256_of_lines = to_hex(&self.hash.clone().finalize());
        let end = self.end.clone();
        self.line(&end)?;
        self.lines.flush()?;
        self.lines.get_ref().sync_all()?;
        Ok(end)
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.hash.update(&text);
        self.lines.write_all(&text)
    }
}

/// A manifest that was read to its end and is whole.
pub(in crate::cli) struct Manifest {
    pub head: Head,
    pub end: End,
    path: PathBuf,
}

impl Manifest {
    /// Reads the manifest of a folder. The error is one sentence for the operator.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let path = folder.join(NAME);
        let damaged = |what: String| format!("{} is damaged ({what}): restore another backup", path.display());
        if !fs::exists(folder).unwrap_or(false) {
            return Err(format!("there is no folder {}: name the folder of a backup", folder.display()));
        }
        let mut lines = Lines::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!(
                "{} holds no finished backup: it has no {NAME}, which is written last; run `eyeline backup` again",
                folder.display()
            ),
            _ => format!("{} cannot be read: {error}", path.display()),
        })?;
        let mut next = |what: &str| -> Result<Option<Vec<u8>>, String> {
            lines.next().transpose().map_err(|error| damaged(format!("{what}: {error}")))
        };
        let first = next("line 1")?.ok_or_else(|| damaged("it is empty".to_owned()))?;
        let head: Head = serde_json::from_slice(&first).map_err(|error| damaged(format!("line 1: {error}")))?;
        if head.eyeline_backup > FORMAT {
            return Err(format!(
                "{} is of format {}, this binary reads up to {FORMAT}: restore it with eyeline {} or newer",
                path.display(),
                head.eyeline_backup,
                head.version
            ));
        }
        let mut hash = Sha256::new_with_prefix(&first);
        let mut counted = End::default();
        for number in 2_u64.. {
            let place = format!("line {number}");
            let line = next(&place)?.ok_or_else(|| damaged("it ends too early".to_owned()))?;
            if let Ok(entry) = serde_json::from_slice::<Entry>(&line) {
                hash.update(&line);
                counted.files += 1;
                counted.bytes = counted.bytes.saturating_add(entry.bytes);
                continue;
            }
            let end: End = serde_json::from_slice(&line).map_err(|error| damaged(format!("{place}: {error}")))?;
            counted.sha256_of_lines = to_hex(&hash.finalize());
            if end != counted || next("its end")?.is_some() {
                return Err(damaged("its last line does not fit".to_owned()));
            }
            return Ok(Manifest { head, end, path });
        }
        unreachable!("a manifest has an end")
    }

    /// Every file, with its place in a data folder.
    pub fn entries(&self) -> Result<impl Iterator<Item = Result<(Entry, Place), String>> + use<'_>, String> {
        let unreadable = |error: io::Error| format!("{} cannot be read: {error}", self.path.display());
        let files = usize::try_from(self.end.files).unwrap_or(usize::MAX);
        let lines = Lines::open(&self.path).map_err(unreadable)?.skip(1).take(files);
        Ok(lines.map(move |line| {
            let line = line.map_err(unreadable)?;
            let entry: Entry = serde_json::from_slice(&line).map_err(|error| unreadable(error.into()))?;
            let place = self
                .place(&entry.path)
                .ok_or_else(|| format!("{} lists {}, which is no file of a backup", self.path.display(), entry.path))?;
            Ok((entry, place))
        }))
    }

    /// `None` unless the path is one that a backup has.
    fn place(&self, path: &str) -> Option<Place> {
        match path.split_once('/')? {
            (OBJECTS, key) => ObjectKey::parse(key).map(Place::Object),
            (folder, name) if folder == self.head.folder => {
                let is_plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
                is_plain.then(|| Place::File(name.to_owned()))
            }
            _ => None,
        }
    }
}

/// Lines with their ends, each of at most `LINE_BYTES_MAX` bytes.
struct Lines(BufReader<File>);

impl Lines {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Lines(BufReader::new(File::open(path)?)))
    }
}

impl Iterator for Lines {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        match (&mut self.0).take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) if line.ends_with(b"\n") => Some(Ok(line)),
            Ok(_) => Some(Err(io::Error::new(ErrorKind::UnexpectedEof, "it does not end"))),
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path, paths: &[&str]) -> End {
        let head = Head::new("2026-11-30T12:00:00Z".to_owned(), "data-1".to_owned(), 0);
        let mut writer = Writer::create(&folder.join(NAME), &head).expect("a file");
        for path in paths {
            let entry = Entry { path: (*path).to_owned(), bytes: 7, sha256: "00".repeat(32) };
            writer.add(&entry).expect("a line");
        }
        writer.finish().expect("a manifest")
    }

    fn places(folder: &Path) -> Result<Vec<Place>, String> {
        let manifest = Manifest::open(folder)?;
        manifest.entries()?.map(|entry| Ok(entry?.1)).collect()
    }

    #[test]
    fn what_was_written_is_read_with_its_place_in_a_data_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let end = written(folder.path(), &["data-1/secret", "objects/public/ab/thumb.jpg"]);
        assert_eq!((end.files, end.bytes), (2, 14));
        assert_eq!(Manifest::open(folder.path()).expect("a manifest").end, end);
        let key = ObjectKey::parse("public/ab/thumb.jpg").expect("a key");
        assert_eq!(places(folder.path()), Ok(vec![Place::File("secret".to_owned()), Place::Object(key)]));
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in ["data-1/../secret", "data-1/a/b", "data-1/..", "data-2/secret", "objects/../x", "/etc/x", "secret"]
        {
            written(folder.path(), &[path]);
            let sentence = places(folder.path()).expect_err(path);
            assert!(sentence.contains("no file of a backup"), "{sentence}");
        }
    }

    #[test]
    fn a_manifest_that_was_cut_or_changed_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        written(folder.path(), &["data-1/secret", "data-1/node"]);
        let path = folder.path().join(NAME);
        let whole = fs::read_to_string(&path).expect("a manifest");
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        let without_the_second = [lines[0], lines[2], lines[3]].concat();
        let twice_the_end = [whole.as_str(), lines[3]].concat();
        for text in ["", "{}\n", &whole[..whole.len() - 1], lines[0], lines[..3].concat().as_str()] {
            fs::write(&path, text).expect("a file");
            assert!(Manifest::open(folder.path()).err().expect(text).contains("damaged"), "{text}");
        }
        for text in [without_the_second, twice_the_end, whole.replace("node", "nods"), whole.replace(":7", ":8")] {
            fs::write(&path, &text).expect("a file");
            assert!(Manifest::open(folder.path()).err().expect(&text).contains("damaged"), "{text}");
        }
    }

    #[test]
    fn a_folder_without_a_manifest_or_with_a_newer_one_is_told_from_a_damaged_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = |folder: &Path| Manifest::open(folder).err().expect("no backup");
        assert!(refused(&folder.path().join("missing")).contains("no folder"));
        assert!(refused(folder.path()).contains("no finished backup"));
        written(folder.path(), &[]);
        let path = folder.path().join(NAME);
        let newer = fs::read_to_string(&path).expect("a manifest").replace("_backup\":1", "_backup\":2");
        fs::write(&path, newer).expect("a file");
        assert!(refused(folder.path()).contains("or newer"));
    }
}
