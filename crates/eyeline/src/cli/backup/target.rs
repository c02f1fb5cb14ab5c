//! The folder of a backup.
//!
//! ```text
//! manifest.ndjson   the newest finished backup
//! data-<round>/     its catalog, inbox, secrets and settings
//! objects/          its objects, each copied once
//! index.sqlite      what is in objects/, for the next backup
//! lock              held while a backup runs
//! ```
//! No file of a finished backup is changed or deleted before the next one is finished.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use eyeline_store::Objects;
use eyeline_store::backup::Index;

use super::files::sync_folder;
use super::manifest::{End, Entry, Head, NAME, OBJECTS, Writer};

const INDEX: &str = "index.sqlite";
const LOCK: &str = "lock";
const DATA: &str = "data-";
/// Objects of one piece of the manifest, and of one piece of a clean-up.
const PIECE: u32 = 1_000;

pub(super) struct Target {
    path: PathBuf,
    pub objects: Objects,
    pub index: Index,
    _lock: File,
}

impl Target {
    /// Opens the folder, and creates it for its owner alone if it is missing. The error is one sentence for the
    /// operator.
    pub async fn open(path: &Path) -> Result<Self, String> {
        let unusable = |error: io::Error| format!("the folder {} cannot be used: {error}", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let mut names = fs::read_dir(path).map_err(unusable)?.map(|entry| entry.map(|entry| entry.file_name()));
        let is_new = names.all(|name| name.is_ok_and(|name| name == LOCK));
        if !is_new && !path.join(INDEX).exists() && !path.join(NAME).exists() {
            return Err(format!(
                "{} is not empty and holds no backup: name a new or empty folder, or one of an earlier backup",
                path.display()
            ));
        }
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path.join(LOCK));
        let lock = lock.map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!("another backup into {} is running: wait for its end", path.display()));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let index = Index::open(path.join(INDEX)).await.map_err(|error| {
            format!("{error}; delete {} to have everything copied again", path.join(INDEX).display())
        })?;
        let objects = Objects::open(&format!("file:{}", path.join(OBJECTS).display())).await;
        let objects = objects.map_err(|error| format!("the folder {} cannot be used: {error}", path.display()))?;
        Ok(Target { path: path.to_owned(), objects, index, _lock: lock })
    }

    /// A sentence about a failure in this folder.
    pub fn failed(&self, error: impl std::fmt::Display) -> String {
        format!("the backup could not be written to {}: {error}", self.path.display())
    }

    /// The number of the next round, larger than all before.
    pub async fn next_round(&self) -> Result<i64, String> {
        let of_objects = self.index.next_round().await.map_err(|error| self.failed(error))?;
        let of_data = self.data_folders()?.into_iter().map(|(round, _)| round + 1).max().unwrap_or(1);
        Ok(of_objects.max(of_data))
    }

    /// Makes the empty folder of a round. Returns its path and its name.
    pub fn make_data_folder(&self, round: i64) -> Result<(PathBuf, String), String> {
        let name = format!("{DATA}{round}");
        let path = self.path.join(&name);
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| self.failed(error))?;
        Ok((path, name))
    }

    /// Writes the manifest of a round: from then on this folder holds its backup.
    pub async fn finish(&self, round: i64, head: &Head, files: &[Entry]) -> Result<End, String> {
        let failed = |error: io::Error| self.failed(error);
        let new = self.path.join(format!("{NAME}.new"));
        let mut manifest = Writer::create(&new, head).map_err(failed)?;
        for file in files {
            manifest.add(file).map_err(failed)?;
        }
        let mut after = None;
        loop {
            let objects = self.index.of_round(round, after.take(), PIECE).await;
            let objects = objects.map_err(|error| self.failed(error))?;
            for object in &objects {
                let path = format!("{OBJECTS}/{}", object.key);
                let sha256 = crate::secrets::to_hex(&object.sha256);
                manifest.add(&Entry { path, bytes: object.bytes, sha256 }).map_err(failed)?;
            }
            match objects.last() {
                Some(last) if objects.len() == PIECE as usize => after = Some(last.key.clone()),
                _ => break,
            }
        }
        let end = manifest.finish().map_err(failed)?;
        sync_folder(&self.path.join(&head.folder)).and_then(|()| sync_folder(&self.path)).map_err(failed)?;
        fs::rename(&new, self.path.join(NAME)).and_then(|()| sync_folder(&self.path)).map_err(failed)?;
        Ok(end)
    }

    /// Deletes what only earlier rounds have.
    pub async fn remove_outdated(&self, round: i64) -> Result<(), String> {
        loop {
            let keys = self.index.outdated(round, PIECE).await.map_err(|error| self.failed(error))?;
            if keys.is_empty() {
                break;
            }
            for key in &keys {
                self.objects.delete(key).await.map_err(|error| self.failed(error))?;
            }
            self.index.forget(keys).await.map_err(|error| self.failed(error))?;
        }
        for (_, path) in self.data_folders()?.into_iter().filter(|(of, _)| *of < round) {
            fs::remove_dir_all(&path).map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    fn data_folders(&self) -> Result<Vec<(i64, PathBuf)>, String> {
        let entries = fs::read_dir(&self.path).map_err(|error| self.failed(error))?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| self.failed(error))?;
            let round = entry.file_name().to_str().and_then(|name| name.strip_prefix(DATA)?.parse().ok());
            found.extend(round.map(|round| (round, entry.path())));
        }
        Ok(found)
    }
}
