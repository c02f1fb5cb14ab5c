//! Copies of catalog, inbox and objects that belong together, while the server goes on.
//!
//! A round copies catalog and inbox, then every object that the copied catalog names. The server may have deleted such
//! an object since. Then another round begins, with a newer catalog: it copies only what is new, and soon no object
//! vanishes meanwhile. An object that is missing twice in a row is lost on the server.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use eyeline_store::backup::{Copied, EngineFiles};
use eyeline_store::catalog::objects::{Named, ReadUpTo};
use eyeline_store::objects::PartUpload;
use eyeline_store::{Catalog, Error, ObjectKey};
use futures::{StreamExt as _, TryStreamExt as _};
use indicatif::ProgressBar;
use sha2::{Digest as _, Sha256};

use super::source::Source;
use super::target::Target;
use crate::cli::progress::bytes_bar;

const ROUNDS_MAX: i64 = 10;
/// Each takes 256 KiB of memory, and waits for the disk most of the time.
const COPIES_AT_ONCE: usize = 8;
/// Copied objects that are noted in one transaction. A backup that is cut copies these again.
const ADDED_TOGETHER: usize = 32;
/// The most missing objects of a round.
const GONE_MAX: usize = 10_000;

/// A round that found everything, or everything that the server has.
pub(super) struct Round {
    pub number: i64,
    /// The folder of its catalog and inbox, and its name in the backup.
    pub path: PathBuf,
    pub folder: String,
    /// Named by the catalog, and not in the store.
    pub lost: BTreeSet<ObjectKey>,
    pub counts: Counts,
}

/// Objects, those of earlier rounds included.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub new_objects: u64,
    pub new_bytes: u64,
}

pub(super) async fn run(source: &Source, target: &Target) -> Result<Round, String> {
    let first = target.next_round().await?;
    let mut counts = Counts::default();
    let mut gone_before: Option<BTreeSet<ObjectKey>> = None;
    for number in first..first + ROUNDS_MAX {
        let (path, folder) = target.make_data_folder(number)?;
        let (catalog, bar) = copy_engines(source, &path).await?;
        let mut copying = Copying { source, target, bar, number, counts, gone: BTreeSet::new(), is_behind: false };
        copying.all_objects(&catalog).await?;
        copying.bar.finish_and_clear();
        counts = copying.counts;
        let gone = copying.gone;
        let was_gone_before = gone_before.is_some_and(|before| gone.is_subset(&before));
        if !copying.is_behind && (gone.is_empty() || was_gone_before) {
            return Ok(Round { number, path, folder, lost: gone, counts });
        }
        gone_before = Some(gone);
        fs::remove_dir_all(&path).map_err(|error| target.failed(error))?;
    }
    Err(format!(
        "in each of {ROUNDS_MAX} rounds the server deleted objects that were still to be copied: run the command again \
         when less is deleted, it goes on where it ended"
    ))
}

/// Copies catalog and inbox. Returns the copied catalog, and the progress of the round.
async fn copy_engines(source: &Source, folder: &Path) -> Result<(Catalog, ProgressBar), String> {
    let to = EngineFiles { catalog: folder.join("catalog.sqlite"), inbox: folder.join("inbox.sqlite") };
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let bar = bytes_bar(size(&source.files.catalog) + size(&source.files.inbox)).with_message("backup");
    let progress = bar.clone();
    source.files.copy(to.clone(), move |bytes| progress.inc(bytes)).await.map_err(|error| match error {
        Error::Conflict(sentence) => sentence,
        error => format!("catalog and inbox could not be copied: {error}"),
    })?;
    let unreadable = |error| format!("the copy of the catalog cannot be read: {error}");
    let catalog = Catalog::open_to_read(&format!("sqlite:{}", to.catalog.display())).await.map_err(unreadable)?;
    bar.inc_length(catalog.object_bytes().await.map_err(unreadable)?);
    Ok((catalog, bar))
}

/// The copying of one round's objects.
struct Copying<'a> {
    source: &'a Source,
    target: &'a Target,
    bar: ProgressBar,
    number: i64,
    counts: Counts,
    /// Named, and not in the store any more.
    gone: BTreeSet<ObjectKey>,
    /// True if a file that clients sent was taken in since the catalog was copied.
    is_behind: bool,
}

/// What became of an object.
enum Outcome {
    /// The backup had it.
    Known(u64),
    New(Copied),
    Missing(ObjectKey, Expected),
}

/// What the catalog says of an object.
enum Expected {
    There,
    /// It is there if a client has sent it to this key under `incoming/`, until it is taken in.
    OfUpload(ObjectKey),
}

impl Copying<'_> {
    async fn all_objects(&mut self, catalog: &Catalog) -> Result<(), String> {
        let mut next = Some(ReadUpTo::START);
        while let Some(after) = next {
            let page = catalog.named_objects(after).await;
            let (names, up_to) = page.map_err(|error| format!("the copy of the catalog cannot be read: {error}"))?;
            self.objects(names).await?;
            next = up_to;
        }
        Ok(())
    }

    async fn objects(&mut self, names: Vec<Named>) -> Result<(), String> {
        let mut named = Vec::new();
        for name in names {
            match name {
                Named::Kept(key) => named.push((key, Expected::There)),
                Named::Awaited(key) => named.push((key.clone(), Expected::OfUpload(key))),
                Named::Parts(upload) => named.extend(self.parts(upload).await?),
                Named::Unwanted(_) => {}
            }
        }
        let keys = named.iter().map(|(key, _)| key.clone()).collect();
        let known = self.target.index.name(keys, self.number).await.map_err(|error| self.target.failed(error))?;
        let (source, target) = (self.source, self.target);
        let copies = named.into_iter().map(|(key, expected)| {
            let known = known.get(&key).cloned();
            async move {
                if let Some(known) = known
                    && is_there(target, &known).await?
                {
                    return Ok(Outcome::Known(known.bytes));
                }
                let copied = copy(source, target, &key).await?;
                Ok::<_, String>(copied.map_or_else(|| Outcome::Missing(key, expected), Outcome::New))
            }
        });
        let mut copies = std::pin::pin!(futures::stream::iter(copies).buffer_unordered(COPIES_AT_ONCE));
        let mut added = Vec::new();
        while let Some(outcome) = copies.try_next().await? {
            match outcome {
                Outcome::Known(bytes) => self.bar.inc(bytes),
                Outcome::New(copied) => {
                    self.bar.inc(copied.bytes);
                    self.counts.new_objects += 1;
                    self.counts.new_bytes += copied.bytes;
                    added.push(copied);
                }
                Outcome::Missing(key, expected) => self.missing(key, expected).await?,
            }
            if added.len() == ADDED_TOGETHER {
                self.add(std::mem::take(&mut added)).await?;
            }
        }
        self.add(added).await
    }

    async fn add(&self, copied: Vec<Copied>) -> Result<(), String> {
        self.target.index.add(copied).await.map_err(|error| self.target.failed(error))
    }

    /// The parts that were sent by now.
    async fn parts(&mut self, upload: PartUpload) -> Result<Vec<(ObjectKey, Expected)>, String> {
        let parts = self.source.objects.parts(&upload).await.map_err(|error| format!("the objects: {error}"))?;
        // Looked at after the parts, which are deleted when the file is taken in.
        self.note_if_taken_in(upload.incoming.clone()).await?;
        let of_part = |number| (upload.incoming.part(number), Expected::OfUpload(upload.incoming.clone()));
        Ok(parts.into_iter().flatten().map(|part| of_part(part.number)).collect())
    }

    async fn note_if_taken_in(&mut self, incoming: ObjectKey) -> Result<(), String> {
        let target = self.source.catalog.upload_target(incoming).await;
        let target = target.map_err(|error| format!("the catalog: {error}"))?;
        self.is_behind |= target.is_some_and(|target| !target.open);
        Ok(())
    }

    async fn missing(&mut self, key: ObjectKey, expected: Expected) -> Result<(), String> {
        match expected {
            Expected::There => drop(self.gone.insert(key)),
            // Nothing was sent yet, unless the file was taken in since.
            Expected::OfUpload(incoming) => return self.note_if_taken_in(incoming).await,
        }
        if self.gone.len() <= GONE_MAX {
            return Ok(());
        }
        let first = self.gone.first().map(ToString::to_string).unwrap_or_default();
        Err(format!(
            "over {GONE_MAX} objects that the catalog names are not in the store, such as {first}: does \
             EYELINE_OBJECTS_URL name the store of this catalog?"
        ))
    }
}

/// True if the backup still has the object, by its size. A restore reads it.
async fn is_there(target: &Target, known: &Copied) -> Result<bool, String> {
    let head = target.objects.head(&known.key).await.map_err(|error| target.failed(error))?;
    Ok(head.is_some_and(|head| head.bytes == known.bytes))
}

/// Copies an object. `None` if the server does not have it.
async fn copy(source: &Source, target: &Target, key: &ObjectKey) -> Result<Option<Copied>, String> {
    let unreadable = |error: Error| format!("{key} cannot be read: {error}");
    for _ in 0..2 {
        let Some(reading) = source.objects.read(key, None).await.map_err(unreadable)? else { return Ok(None) };
        let received = target.objects.receive(key, reading.stream, u64::MAX).await;
        let received = received.map_err(|error| target.failed(format!("{key}: {error}")))?;
        let copied = Copied { key: key.clone(), bytes: received.bytes, sha256: received.sha256 };
        if copied.bytes != reading.bytes_total {
            return Err(format!("{key} cannot be read: it ends after {} bytes", copied.bytes));
        }
        // A backup that was cut may have left the object, and a damaged one is replaced.
        if received.keep().await.map_err(|error| target.failed(error))? || is_same(target, &copied).await? {
            return Ok(Some(copied));
        }
        target.objects.delete(key).await.map_err(|error| target.failed(error))?;
    }
    Err(target.failed(format!("{key} is being written by another program")))
}

/// True if the backup has the object with these bytes.
async fn is_same(target: &Target, copied: &Copied) -> Result<bool, String> {
    let read = target.objects.read(&copied.key, None).await.map_err(|error| target.failed(error))?;
    let Some(mut reading) = read else { return Ok(false) };
    let mut hash = Sha256::new();
    while let Some(piece) = reading.stream.next().await {
        hash.update(&piece.map_err(|error| target.failed(error))?);
    }
    Ok(hash.finalize().as_slice() == copied.sha256)
}
