//! Records in a local folder. The modification time of a file is the time of its last page.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use eyeline_core::{GalleryId, OrderId, Timestamp};
use uuid::Uuid;

use super::{
    ANSWER_KEPT, OrderKey, OrderRecords, Part, Pieces, QUESTION_KEPT, QUESTIONS_MAX, Question, Record, Usage, charged,
    check_answer, too_many_questions,
};
use crate::error::{Error, Result};

/// The names of files being written begin with this.
const TEMPORARY: &str = "new-";
/// The names of files with the newest id of a variant begin with this.
const NEWEST: &str = "newest-";
/// The folder of open questions.
const ASKED: &str = "asked";
/// The folder of answers.
const ANSWERED: &str = "answered";
/// The file that a process locks while it compares and sets a newest id.
const LOCK: &str = "lock";
/// Bytes of a record that are read at a time to be stored elsewhere.
const PIECE_BYTES: usize = 256 * 1024;

pub(super) struct Folder(Arc<Inner>);

struct Inner {
    root: PathBuf,
    bytes_max: u64,
    temporary_count: AtomicU64,
    known: Mutex<Known>,
}

/// The records that this process has written or found. Other processes may add and remove some.
#[derive(Default)]
struct Known {
    records: HashMap<OrderKey, Stored>,
    by_age: BTreeSet<(Timestamp, OrderKey)>,
    bytes: u64,
    /// Since the last sweep, and between that one and the one before.
    shortest_kept: [Option<Duration>; 2],
}

#[derive(Clone, Copy)]
struct Stored {
    served_at: Timestamp,
    bytes: u64,
}

impl Known {
    fn insert(&mut self, key: OrderKey, record: Stored) {
        self.remove(key);
        self.records.insert(key, record);
        self.by_age.insert((record.served_at, key));
        self.bytes += record.bytes;
    }

    fn remove(&mut self, key: OrderKey) {
        if let Some(record) = self.records.remove(&key) {
            self.by_age.remove(&(record.served_at, key));
            self.bytes -= record.bytes;
        }
    }
}

impl Folder {
    pub(super) async fn open(root: PathBuf, bytes_max: u64) -> Result<Self> {
        let inner = Inner { root, bytes_max, temporary_count: AtomicU64::new(0), known: Mutex::default() };
        let folder = Folder(Arc::new(inner));
        folder
            .blocking(|inner| {
                fs::create_dir_all(inner.root.join(ASKED))?;
                fs::create_dir_all(inner.root.join(ANSWERED))?;
                inner.find_all()?;
                inner.remove_beyond_bound()
            })
            .await?;
        Ok(folder)
    }

    /// The records that this process knows, the one with the newest page first.
    pub(super) fn keys(&self) -> Vec<(Timestamp, OrderKey)> {
        self.0.known().by_age.iter().rev().copied().collect()
    }

    /// The record, if it is there now.
    pub(super) fn record(&self, key: OrderKey) -> Record {
        let inner = self.0.clone();
        Arc::new(move || {
            let mut file = File::open(inner.path(key)).ok();
            Box::new(std::iter::from_fn(move || {
                let mut piece = Vec::with_capacity(PIECE_BYTES);
                // A record that cannot be read to its end is damaged, which its readers notice.
                let read = file.as_mut()?.take(PIECE_BYTES as u64).read_to_end(&mut piece);
                (matches!(read, Ok(1..))).then_some(piece)
            }))
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = self.0.clone();
        let outcome = tokio::task::spawn_blocking(move || work(&inner)).await;
        let outcome = outcome.map_err(|error| Error::internal("the orders", error))?;
        outcome.map_err(|error| Error::unavailable(format!("the folder of the orders cannot be used: {error}")))
    }
}

#[async_trait]
impl OrderRecords for Folder {
    async fn put(&self, key: OrderKey, served_at: Timestamp, record: Record) -> Result<()> {
        self.blocking(move |inner| {
            let bytes = inner.write(key, served_at, record())?;
            inner.known().insert(key, Stored { served_at, bytes });
            inner.remove_beyond_bound()
        })
        .await
    }

    async fn read(&self, key: OrderKey, range: Range<u64>) -> Result<Option<Part>> {
        self.blocking(move |inner| {
            let Some(file) = found(File::open(inner.path(key)))? else { return Ok(None) };
            let metadata = file.metadata()?;
            let end = range.end.min(metadata.len());
            let length = usize::try_from(end.saturating_sub(range.start)).map_err(io::Error::other)?;
            let mut bytes = vec![0; length];
            match file.read_exact_at(&mut bytes, range.start) {
                // Another process has cut the file since.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
                outcome => outcome?,
            }
            Ok(Some(Part { bytes: bytes.into(), served_at: timestamp(metadata.modified()?) }))
        })
        .await
    }

    async fn mark_served(&self, key: OrderKey, served_at: Timestamp) -> Result<bool> {
        self.blocking(move |inner| {
            let Some(file) = found(File::open(inner.path(key)))? else { return Ok(false) };
            file.set_modified(system_time(served_at))?;
            let bytes = charged(file.metadata()?.len());
            inner.known().insert(key, Stored { served_at, bytes });
            Ok(true)
        })
        .await
    }

    async fn set_newest(
        &self,
        gallery_id: GalleryId,
        variant: &str,
        order_id: OrderId,
        now: Timestamp,
    ) -> Result<bool> {
        let name = newest_name(gallery_id, variant);
        self.blocking(move |inner| {
            let lock = inner.open_for_writing(LOCK)?;
            lock.lock()?;
            if inner.read_newest(&name)?.is_some_and(|newest| newest > order_id) {
                return Ok(false);
            }
            // A reader takes a half-written id for a missing one.
            let file = inner.open_for_writing(&name)?;
            file.write_all_at(&encode_newest(order_id), 0)?;
            file.set_modified(system_time(now))?;
            Ok(true)
        })
        .await
    }

    async fn newest(&self, gallery_id: GalleryId, variant: &str) -> Result<Option<OrderId>> {
        let name = newest_name(gallery_id, variant);
        self.blocking(move |inner| inner.read_newest(&name)).await
    }

    async fn ask(&self, gallery_id: GalleryId, text: &str, now: Timestamp) -> Result<()> {
        let name = question_name(ASKED, gallery_id, text);
        let has_room = self
            .blocking(move |inner| {
                let asked = inner.root.join(ASKED);
                let is_full = || Ok::<_, io::Error>(fs::read_dir(&asked)?.count() >= QUESTIONS_MAX);
                if !fs::exists(inner.root.join(&name))? && is_full()? {
                    inner.remove_older(&asked, |_| true, now.minus(QUESTION_KEPT))?;
                    if is_full()? {
                        return Ok(false);
                    }
                }
                inner.open_for_writing(&name)?.set_modified(system_time(now))?;
                Ok(true)
            })
            .await?;
        if has_room { Ok(()) } else { Err(too_many_questions()) }
    }

    async fn asked(&self) -> Result<Vec<Question>> {
        self.blocking(|inner| {
            let mut asked = Vec::new();
            for entry in fs::read_dir(inner.root.join(ASKED))?.take(QUESTIONS_MAX) {
                let entry = entry?;
                if let Some((gallery_id, text)) = entry.file_name().to_str().and_then(parse_question)
                    && let Some(metadata) = found(entry.metadata())?
                {
                    asked.push(Question { gallery_id, text, asked_at: timestamp(metadata.modified()?) });
                }
            }
            Ok(asked)
        })
        .await
    }

    async fn is_asked(&self, gallery_id: GalleryId, text: &str) -> Result<bool> {
        let name = question_name(ASKED, gallery_id, text);
        self.blocking(move |inner| fs::exists(inner.root.join(name))).await
    }

    async fn answer(&self, gallery_id: GalleryId, text: &str, answer: Option<Bytes>) -> Result<()> {
        check_answer(answer.as_ref())?;
        let [asked, answered] = [ASKED, ANSWERED].map(|folder| question_name(folder, gallery_id, text));
        self.blocking(move |inner| {
            if let Some(answer) = answer {
                let temporary = inner.temporary();
                fs::write(&temporary, answer)?;
                let now = timestamp(fs::metadata(&temporary)?.modified()?);
                fs::rename(&temporary, inner.root.join(answered))?;
                inner.remove_older(&inner.root.join(ANSWERED), |_| true, now.minus(ANSWER_KEPT))?;
            }
            found(fs::remove_file(inner.root.join(asked))).map(drop)
        })
        .await
    }

    async fn answered(&self, gallery_id: GalleryId, text: &str) -> Result<Option<Bytes>> {
        let name = question_name(ANSWERED, gallery_id, text);
        self.blocking(move |inner| Ok(found(fs::read(inner.root.join(name)))?.map(Bytes::from))).await
    }

    async fn sweep(&self, unused_since: Timestamp) -> Result<()> {
        self.blocking(move |inner| {
            inner.find_all()?;
            inner.remove_leftovers(unused_since)?;
            {
                let mut known = inner.known();
                known.shortest_kept = [None, known.shortest_kept[0]];
            }
            loop {
                let oldest = inner.known().by_age.first().copied();
                match oldest {
                    Some((served_at, key)) if served_at < unused_since => drop(inner.remove(key, served_at)?),
                    _ => break,
                }
            }
            inner.remove_beyond_bound()
        })
        .await
    }

    fn usage(&self) -> Usage {
        let known = self.0.known();
        let shortest_kept = known.shortest_kept.into_iter().flatten().min();
        Usage { records: known.records.len() as u64, bytes: known.bytes, shortest_kept }
    }
}

impl Inner {
    /// Writes a record under its name. Returns what it counts towards the bound.
    fn write(&self, key: OrderKey, served_at: Timestamp, record: Pieces) -> io::Result<u64> {
        let temporary = self.temporary();
        let written = self.write_pieces(&temporary, served_at, record);
        let kept = written.and_then(|bytes| fs::rename(&temporary, self.path(key)).map(|()| bytes));
        if kept.is_err() {
            // A file that cannot be removed now is removed by a sweep.
            let _ = fs::remove_file(&temporary);
        }
        kept
    }

    fn temporary(&self) -> PathBuf {
        let number = self.temporary_count.fetch_add(1, Ordering::Relaxed);
        self.root.join(format!("{TEMPORARY}{}-{number}", std::process::id()))
    }

    fn write_pieces(&self, path: &Path, served_at: Timestamp, record: Pieces) -> io::Result<u64> {
        let mut file = File::create(path)?;
        let mut bytes = 0;
        for piece in record {
            bytes += piece.len() as u64;
            if charged(bytes) > self.bytes_max {
                return Err(io::Error::other(format!("one order takes more than all may: {} bytes", self.bytes_max)));
            }
            file.write_all(&piece)?;
        }
        file.set_modified(system_time(served_at))?;
        Ok(charged(bytes))
    }

    fn open_for_writing(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(self.root.join(name))
    }

    fn read_newest(&self, name: &str) -> io::Result<Option<OrderId>> {
        let bytes = found(fs::read(self.root.join(name)))?;
        Ok(bytes.and_then(|bytes| decode_newest(&bytes)))
    }

    /// Reads the folder: other processes may have added, served and removed records.
    fn find_all(&self) -> io::Result<()> {
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if let Some(key) = entry.file_name().to_str().and_then(parse_name)
                && let Some(metadata) = found(entry.metadata())?
            {
                let served_at = timestamp(metadata.modified()?);
                records.push((key, Stored { served_at, bytes: charged(metadata.len()) }));
            }
        }
        let mut known = self.known();
        let shortest_kept = known.shortest_kept;
        *known = Known { shortest_kept, ..Known::default() };
        records.into_iter().for_each(|(key, record)| known.insert(key, record));
        Ok(())
    }

    /// Removes what processes left that were killed while they wrote, newest ids that nobody sets any more, and
    /// questions that nobody answers.
    fn remove_leftovers(&self, unused_since: Timestamp) -> io::Result<()> {
        let long_ago = unused_since.minus(Duration::from_secs(24 * 60 * 60));
        let is_left = |name: &str| name.starts_with(TEMPORARY) || name.starts_with(NEWEST);
        self.remove_older(&self.root, is_left, long_ago)?;
        self.remove_older(&self.root.join(ASKED), |_| true, unused_since)
    }

    fn remove_older(&self, folder: &Path, is_meant: impl Fn(&str) -> bool, time: Timestamp) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(&is_meant)
                && let Some(metadata) = found(entry.metadata())?
                && timestamp(metadata.modified()?) < time
            {
                found(fs::remove_file(entry.path()))?;
            }
        }
        Ok(())
    }

    fn remove_beyond_bound(&self) -> io::Result<()> {
        loop {
            let oldest = {
                let known = self.known();
                let newest = known.by_age.last().map(|(served_at, _)| *served_at);
                let oldest = known.by_age.first().filter(|_| known.bytes > self.bytes_max).copied();
                oldest.zip(newest)
            };
            let Some(((served_at, key), newest)) = oldest else { return Ok(()) };
            if self.remove(key, served_at)? {
                let mut known = self.known();
                let (kept, shortest) = (newest.since(served_at), &mut known.shortest_kept[0]);
                *shortest = Some(shortest.map_or(kept, |shortest| shortest.min(kept)));
            }
        }
    }

    /// Removes a record whose last page was at `served_at`. False if another process served one since, or removed it.
    fn remove(&self, key: OrderKey, served_at: Timestamp) -> io::Result<bool> {
        let path = self.path(key);
        if let Some(metadata) = found(fs::metadata(&path))? {
            let now_served_at = timestamp(metadata.modified()?);
            if now_served_at > served_at {
                self.known().insert(key, Stored { served_at: now_served_at, bytes: charged(metadata.len()) });
                return Ok(false);
            }
        }
        let removed = found(fs::remove_file(&path))?.is_some();
        self.known().remove(key);
        Ok(removed)
    }

    fn path(&self, key: OrderKey) -> PathBuf {
        self.root.join(key.name())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse_name(name: &str) -> Option<OrderKey> {
    let (gallery_id, order_id) = name.split_once('.')?;
    let parse = |text: &str| (text.len() == 32).then(|| Uuid::from_str(text).ok()).flatten();
    Some(OrderKey { gallery_id: parse(gallery_id)?.into(), order_id: parse(order_id)?.into() })
}

fn newest_name(gallery_id: GalleryId, variant: &str) -> String {
    format!("{NEWEST}{}-{variant}", gallery_id.0.simple())
}

fn question_name(folder: &str, gallery_id: GalleryId, text: &str) -> String {
    format!("{folder}/{}-{text}", gallery_id.0.simple())
}

fn parse_question(name: &str) -> Option<(GalleryId, String)> {
    let (gallery_id, text) = name.split_once('-')?;
    Some((Uuid::from_str(gallery_id).ok()?.into(), text.to_owned()))
}

/// The id twice, so that a half-written one is noticed.
fn encode_newest(order_id: OrderId) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(order_id.0.as_bytes());
    bytes[16..].copy_from_slice(order_id.0.as_bytes());
    bytes
}

fn decode_newest(bytes: &[u8]) -> Option<OrderId> {
    let (first, second) = bytes.split_first_chunk::<16>()?;
    let is_whole = first == second && *first != [0; 16];
    is_whole.then(|| OrderId(Uuid::from_bytes(*first)))
}

fn system_time(time: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(time.micros().max(0).unsigned_abs())
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::from_micros(0).plus(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// `None` if it does not exist.
fn found<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
