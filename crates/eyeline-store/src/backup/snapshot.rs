//! Copies of the catalog and the inbox as of one moment, while a server may be writing to both.
//!
//! The catalog's snapshot begins first, so that the inbox has every event that the catalog has counted. What the inbox
//! has beyond that is counted after a restore. Events are in the inbox until they are in files: if the snapshots missed
//! some because events were written into files between them, both begin again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result};
use crate::inbox::{self, Offset};
use crate::sql::{NEWEST_VERSION, sqlite_path};

/// Tries to begin both snapshots. Two flushes have to end within a few milliseconds to make one fail.
const TRIES_MAX: u32 = 10;
/// Pages of 4 KiB that are copied between two calls of `progress`.
const STEP_PAGES: i32 = 1_024;

/// The files of an embedded catalog and its inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineFiles {
    pub catalog: PathBuf,
    pub inbox: PathBuf,
}

impl EngineFiles {
    /// `Conflict` unless both URLs begin with `sqlite:`.
    pub fn of(catalog_url: &str, inbox_url: &str) -> Result<Self> {
        let path = |engine: &str, url: &str| {
            sqlite_path(url).ok_or_else(|| Error::Conflict(format!("the {engine} is not in a SQLite file")))
        };
        Ok(EngineFiles { catalog: path("catalog", catalog_url)?, inbox: path("inbox", inbox_url)? })
    }

    /// Copies both to new files, which are on stable storage afterwards. `progress` gets the bytes copied since its
    /// last call. `Conflict` if a file is missing or not of this binary's version.
    pub async fn copy(&self, to: EngineFiles, progress: impl Fn(u64) + Send + 'static) -> Result<()> {
        let from = self.clone();
        let copied = tokio::task::spawn_blocking(move || {
            let (catalog, inbox) = begin(&from)?;
            // The inbox first: its log grows while a snapshot of it is open.
            copy_pages(&inbox, &to.inbox, &progress)?;
            drop(inbox);
            copy_pages(&catalog, &to.catalog, &progress)
        });
        copied.await.map_err(|error| Error::internal("copying catalog and inbox", error))?
    }
}

/// The watermarks of a partition.
struct Marks {
    partition: u32,
    applied: Offset,
    flushed: Offset,
}

/// Begins a read transaction on each file.
fn begin(files: &EngineFiles) -> Result<(Connection, Connection)> {
    for _ in 0..TRIES_MAX {
        let catalog = open("catalog", &files.catalog)?;
        catalog.execute_batch("BEGIN").map_err(unreadable)?;
        // The first read begins the snapshot.
        check_version(&catalog)?;
        let marks = marks(&catalog)?;
        let inbox = open("inbox", &files.inbox)?;
        inbox.execute_batch("BEGIN").map_err(unreadable)?;
        let head = inbox::newest_offset(&inbox).map_err(unreadable)?;
        if let Some(behind) = marks.iter().find(|marks| marks.applied > head) {
            return Err(Error::Corrupt(format!(
                "the catalog has counted events up to {}, and the newest of the inbox is {head}: they do not belong \
                 together",
                behind.applied
            )));
        }
        // Read after the inbox's snapshot began, by a connection of its own. Records are trimmed after the watermark.
        let now = open("catalog", &files.catalog)?;
        if is_complete(&now, &marks)? {
            return Ok((catalog, inbox));
        }
    }
    Err(Error::unavailable("events are written to files faster than a copy can begin"))
}

fn check_version(catalog: &Connection) -> Result<()> {
    let sql = "SELECT coalesce(max(version), 0) FROM schema_migrations";
    let version: i64 = catalog.query_row(sql, [], |row| row.get(0)).map_err(unreadable)?;
    if version == NEWEST_VERSION {
        return Ok(());
    }
    Err(Error::Conflict(format!(
        "the catalog is at version {version}, this binary works with {NEWEST_VERSION}: use the binary that serves it"
    )))
}

fn marks(catalog: &Connection) -> Result<Vec<Marks>> {
    let read = || {
        let mut statement = catalog.prepare("SELECT partition, applied, flushed FROM partitions")?;
        let marks = statement.query_map([], |row| {
            let (applied, flushed) = (Offset::from_number(row.get(1)?), Offset::from_number(row.get(2)?));
            Ok(Marks { partition: row.get(0)?, applied, flushed })
        })?;
        marks.collect::<rusqlite::Result<Vec<Marks>>>()
    };
    read().map_err(unreadable)
}

/// True if the inbox has forgotten nothing after the flushed watermarks.
fn is_complete(now: &Connection, marks: &[Marks]) -> Result<bool> {
    let read = || {
        let mut statement = now.prepare("SELECT partition, trimmed FROM partitions")?;
        let trimmed = statement.query_map([], |row| Ok((row.get(0)?, Offset::from_number(row.get(1)?))))?;
        trimmed.collect::<rusqlite::Result<Vec<(u32, Offset)>>>()
    };
    let flushed = |partition: u32| {
        let marks = marks.iter().find(|marks| marks.partition == partition);
        marks.map_or(Offset::START, |marks| marks.flushed)
    };
    Ok(read().map_err(unreadable)?.into_iter().all(|(partition, trimmed)| trimmed <= flushed(partition)))
}

fn open(engine: &str, path: &Path) -> Result<Connection> {
    if !path.exists() {
        return Err(Error::Conflict(format!("there is no {engine} at {} yet", path.display())));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(unreadable)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(unreadable)?;
    Ok(connection)
}

/// Copies the database as its open transaction sees it.
fn copy_pages(from: &Connection, to: &Path, progress: &dyn Fn(u64)) -> Result<()> {
    let mut copy = Connection::open(to).map_err(unwritable)?;
    // A copy that was cut is thrown away, so it needs no journal.
    copy.pragma_update(None, "journal_mode", "OFF").map_err(unwritable)?;
    copy.pragma_update(None, "synchronous", "OFF").map_err(unwritable)?;
    let page_bytes: u32 = from.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(unreadable)?;
    {
        let backup = Backup::new(from, &mut copy).map_err(unwritable)?;
        let mut done: u64 = 0;
        loop {
            let step = backup.step(STEP_PAGES).map_err(unwritable)?;
            let pages = backup.progress();
            let now = u64::try_from(pages.pagecount - pages.remaining).unwrap_or(0);
            progress(now.saturating_sub(done) * u64::from(page_bytes));
            done = now;
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                _ => return Err(Error::unavailable(format!("{} is in use", to.display()))),
            }
        }
    }
    drop(copy);
    // The copy says that it has a log beside it. It becomes a single file.
    let single = Connection::open(to).map_err(unwritable)?;
    let mode: String =
        single.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0)).map_err(unwritable)?;
    if mode != "delete" {
        return Err(Error::internal("copying a database", format!("its journal is {mode}")));
    }
    drop(single);
    File::open(to).and_then(|file| file.sync_all()).map_err(|error| Error::internal("syncing a copy", error))
}

fn unreadable(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            Error::unavailable("catalog or inbox are busy")
        }
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            Error::Corrupt(error.to_string())
        }
        _ => Error::internal("reading catalog and inbox", error),
    }
}

fn unwritable(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => Error::unavailable("the disk of the backup is full"),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            Error::Corrupt(error.to_string())
        }
        _ => Error::internal("writing a copy of a database", error),
    }
}
