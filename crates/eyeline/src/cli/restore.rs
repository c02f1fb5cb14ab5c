//! `eyeline restore`: makes a data folder of a backup, all of it or nothing.
//!
//! Files are written to a folder inside of the data folder, and every hash is checked. Then they are moved to their
//! places. A server refuses the data folder while the folder inside exists.

use std::fs;
use std::future::ready;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use eyeline_store::{ObjectKey, Objects};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::{HumanBytes, ProgressBar};
use tokio_util::io::ReaderStream;

use super::backup::files::{self, Hashed, sync_folder};
use super::backup::manifest::{Entry, Manifest, OBJECTS, Place};
use super::progress::{bytes_bar, plural};
use super::say;
use crate::data_folder::{DataFolder, RESTORING, SECRETS};
use crate::secrets::to_hex;
use crate::settings::Settings;

/// Each takes 256 KiB of memory, and waits for the disk most of the time.
const COPIES_AT_ONCE: usize = 8;
/// Bytes of one read of an object.
const PIECE_BYTES: usize = 64 * 1024;

#[derive(clap::Args)]
#[command(after_help = "\
Checks every file against the backup's manifest. If one does not fit, or the backup was not finished, nothing is
restored. Events that the backup has and its counters do not know yet are counted at the first start.

Examples:
  eyeline restore /mnt/backup
  eyeline restore /mnt/backup --data /var/lib/eyeline")]
pub(super) struct Arguments {
    /// The folder of the backup
    source: PathBuf,
    /// The data folder to fill, which has to be empty or missing [default: that of EYELINE_DATA]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

pub(super) async fn run(settings: &Settings, arguments: Arguments) -> Result<(), String> {
    check_settings(settings)?;
    let Arguments { source, data } = arguments;
    let manifest = Manifest::open(&source)?;
    let data = data.unwrap_or_else(|| settings.data.clone());
    let folder = DataFolder::open(&data)?;
    let _held_until_the_end = folder.lock_to_restore()?;
    let inside = data.join(RESTORING);
    let failed = |error: io::Error| format!("the data folder {} cannot be filled: {error}", data.display());
    fs::create_dir(&inside).map_err(failed)?;
    if let Err(sentence) = fill(&source, &manifest, &inside).await {
        fs::remove_dir_all(&inside).map_err(failed)?;
        return Err(format!("{sentence}; nothing was restored"));
    }
    move_out(&inside, &data).map_err(failed)?;
    say(&format!(
        "Restored {} ({}) into {}: everything that was acknowledged before {}.",
        plural(manifest.end.files, "file"),
        HumanBytes(manifest.end.bytes),
        data.display(),
        manifest.head.begun_at
    ));
    let settings = [("EYELINE_SECRET", settings.secret.is_some()), ("EYELINE_ADMIN_KEY", settings.admin_key.is_some())];
    for (name, (setting, is_set)) in SECRETS.into_iter().zip(settings) {
        if !is_set && !data.join(name).exists() {
            say(&format!(
                "It has no file {name}: before the first start, put that of the old server there, or set {setting}. A \
                 new one would be made otherwise."
            ));
        }
    }
    if manifest.head.lost_objects > 0 {
        let lost = plural(manifest.head.lost_objects, "object");
        say(&format!("The old server had already lost {lost}, which the catalog still names."));
    }
    Ok(())
}

/// A restored server finds its engines in the data folder alone.
fn check_settings(settings: &Settings) -> Result<(), String> {
    let engines = [
        ("EYELINE_CATALOG_URL", &settings.catalog_url),
        ("EYELINE_INBOX_URL", &settings.inbox_url),
        ("EYELINE_OBJECTS_URL", &settings.objects_url),
    ];
    let set: Vec<&str> = engines.into_iter().filter_map(|(name, url)| url.as_ref().map(|_| name)).collect();
    if set.is_empty() {
        return Ok(());
    }
    Err(format!(
        "a backup is restored into a data folder with its own catalog, inbox and objects, and settings name others: \
         {}. Leave them out for this command; docs/backup.md says how other engines are restored",
        set.join(", ")
    ))
}

/// Writes every file of the backup into `folder`.
async fn fill(source: &Path, manifest: &Manifest, folder: &Path) -> Result<(), String> {
    let objects = Objects::open(&format!("file:{}", folder.join(OBJECTS).display())).await;
    let objects = objects.map_err(|error| format!("{}: {error}", folder.display()))?;
    let bar = bytes_bar(manifest.end.bytes).with_message("restore");
    let restoring = Restoring { source, folder, objects, bar };
    let has_failed = AtomicBool::new(false);
    let entries = stream::iter(manifest.entries()?).take_while(|_| ready(!has_failed.load(Ordering::Relaxed)));
    let restored = entries.map(|entry| async {
        let (entry, place) = entry?;
        restoring.restore(&entry, place).await
    });
    let restored = restored.buffer_unordered(COPIES_AT_ONCE);
    let restored = restored.inspect_err(|_| has_failed.store(true, Ordering::Relaxed));
    // Copies under way end first, so that nothing is written once the first error is told.
    restored.fold(Ok(()), |first: Result<(), String>, outcome| ready(first.and(outcome))).await?;
    restoring.bar.finish_and_clear();
    sync_folder(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

struct Restoring<'a> {
    source: &'a Path,
    folder: &'a Path,
    objects: Objects,
    bar: ProgressBar,
}

impl Restoring<'_> {
    async fn restore(&self, entry: &Entry, place: Place) -> Result<(), String> {
        let hashed = match place {
            Place::Object(key) => self.object(&key, &entry.path).await?,
            Place::File(name) => {
                let (from, to) = (self.source.join(&entry.path), self.folder.join(&name));
                let is_secret = SECRETS.contains(&name.as_str());
                let copied = tokio::task::spawn_blocking(move || files::copy(&from, &to, is_secret)).await;
                let copied = copied.map_err(|error| format!("{}: {error}", entry.path))?;
                copied.map_err(|error| self.unreadable(&entry.path, &error))?
            }
        };
        if (hashed.bytes, &hashed.sha256) != (entry.bytes, &entry.sha256) {
            return Err(format!(
                "{} is damaged: it has {} and not the content that was backed up; restore another backup",
                self.source.join(&entry.path).display(),
                plural(hashed.bytes, "byte")
            ));
        }
        self.bar.inc(entry.bytes);
        Ok(())
    }

    async fn object(&self, key: &ObjectKey, path: &str) -> Result<Hashed, String> {
        let file =
            tokio::fs::File::open(self.source.join(path)).await.map_err(|error| self.unreadable(path, &error))?;
        let unwritable = |error: &dyn std::fmt::Display| format!("{path} cannot be restored: {error}");
        let received = self.objects.receive(key, ReaderStream::with_capacity(file, PIECE_BYTES), u64::MAX).await;
        let received = received.map_err(|error| unwritable(&error))?;
        let hashed = Hashed { bytes: received.bytes, sha256: to_hex(&received.sha256) };
        match received.keep().await {
            Ok(true) => Ok(hashed),
            Ok(false) => Err(format!("{path} is listed twice")),
            Err(error) => Err(unwritable(&error)),
        }
    }

    fn unreadable(&self, path: &str, error: &dyn std::fmt::Display) -> String {
        format!("{} cannot be read: {error}", self.source.join(path).display())
    }
}

/// Moves everything from `inside` to the folder around it. The removal of `inside` ends the restore.
fn move_out(inside: &Path, data: &Path) -> io::Result<()> {
    for entry in fs::read_dir(inside)? {
        let entry = entry?;
        fs::rename(entry.path(), data.join(entry.file_name()))?;
    }
    sync_folder(data)?;
    fs::remove_dir(inside)?;
    sync_folder(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_leave_the_restored_files_unused_are_named() {
        let mut settings = Settings::default();
        assert_eq!(check_settings(&settings), Ok(()));
        settings.catalog_url = Some("postgres://user:hush@host/name".to_owned());
        settings.objects_url = Some("file:/elsewhere".to_owned());
        let sentence = check_settings(&settings).expect_err("other engines");
        assert!(
            sentence.contains("EYELINE_CATALOG_URL, EYELINE_OBJECTS_URL") && !sentence.contains("hush"),
            "{sentence}"
        );
    }
}
