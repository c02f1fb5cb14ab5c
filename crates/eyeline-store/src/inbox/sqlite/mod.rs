//! The inbox in its own SQLite file, with one partition.
//!
//! One thread writes. The entries that gather in its queue during a commit are the next commit, so that one fsync
//! answers many calls. An append does not wait for others while a core is idle. A row holds a chunk of many events;
//! single events of a commit share one.

mod chunk;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OpenFlags};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use uuid::Uuid;

use super::{Delivery, Entry, Inbox, Offset, PULL_BYTES_MAX};
use crate::error::{Error, Result};
use chunk::Piece;
use writer::Command;
pub(super) use writer::GROUP_BYTES_MAX;
pub(crate) use writer::newest_offset;

/// The most bytes that wait for the writer. Further calls get `Unavailable`.
pub(super) const QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The most calls that wait for the writer.
const QUEUE_CALLS_MAX: usize = 8 * 1024;
/// The initial capacity of a pull, in events.
const PULL_EVENTS_USUAL: usize = 10_000;
pub(crate) const READERS: usize = 3;
/// The version of the file's layout, stored in `user_version`.
const LAYOUT: i64 = 1;

pub(super) struct SqliteInbox {
    /// Set to `None` on drop, so that the writer ends.
    commands: Option<mpsc::Sender<Command>>,
    writer: Option<std::thread::JoinHandle<()>>,
    space: Arc<Semaphore>,
    id: Uuid,
    head: watch::Receiver<Offset>,
    readers: Arc<Readers>,
    /// The reason why nothing is accepted any more; set by a failed fsync.
    broken: Arc<OnceLock<String>>,
}

struct Readers {
    free: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl SqliteInbox {
    /// Call it within a runtime.
    pub(super) fn open(path: &Path) -> Result<Self> {
        Self::open_limited(path, None)
    }

    /// With `pages_max` the file is full at that size, like a full disk.
    fn open_limited(path: &Path, pages_max: Option<u32>) -> Result<Self> {
        let opened = |error: rusqlite::Error| Error::internal("opening the inbox's file", error);
        let writing = Connection::open(path).map_err(opened)?;
        prepare(&writing)?;
        if let Some(pages_max) = pages_max {
            writing.pragma_update(None, "max_page_count", pages_max).map_err(opened)?;
        }
        let id: Vec<u8> = writing.query_row("SELECT id FROM identity", [], |row| row.get(0)).map_err(opened)?;
        let id = Uuid::from_slice(&id).map_err(|error| Error::internal("the inbox's identity", error))?;
        let newest = writer::newest_offset(&writing).map_err(opened)?;
        let mut free = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let reading = Connection::open_with_flags(path, flags).map_err(opened)?;
            reading.busy_timeout(Duration::from_secs(5)).map_err(opened)?;
            free.push(reading);
        }
        let broken = Arc::<OnceLock<String>>::default();
        let (commands, queue) = mpsc::channel(QUEUE_CALLS_MAX);
        let (head_sender, head) = watch::channel(newest);
        let writer = std::thread::Builder::new()
            .name("inbox-writer".to_owned())
            .spawn({
                let (broken, runtime) = (broken.clone(), Handle::current());
                move || writer::run(writing, queue, &head_sender, broken, runtime)
            })
            .map_err(|error| Error::internal("starting the inbox's writer", error))?;
        Ok(SqliteInbox {
            commands: Some(commands),
            writer: Some(writer),
            space: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)),
            id,
            head,
            readers: Arc::new(Readers { free: Mutex::new(free), permits: Arc::new(Semaphore::new(READERS)) }),
            broken,
        })
    }

    fn submit(&self, command: Command) -> Result<()> {
        let Some(commands) = &self.commands else { return Err(stopped()) };
        commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => full(),
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let readers = self.readers.clone();
        let permit =
            readers.permits.clone().acquire_owned().await.map_err(|error| Error::internal("readers", error))?;
        // The caller may be dropped while this runs. The connection is returned first, then the permit.
        let read = tokio::task::spawn_blocking(move || {
            let connection = readers.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(connection) = connection else {
                return Err(Error::unavailable("no reading connection of the inbox is left"));
            };
            let outcome = query(&connection).map_err(|error| failure(&error));
            readers.free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            outcome
        });
        read.await.map_err(|error| Error::internal("reading the inbox", error))?
    }
}

/// Waits for the writer, so that the file has no writer when it is opened again.
impl Drop for SqliteInbox {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the inbox's writer had panicked");
        }
    }
}

#[async_trait]
impl Inbox for SqliteInbox {
    fn id(&self) -> Uuid {
        self.id
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn partitions(&self) -> u32 {
        1
    }

    async fn append(&self, entries: &[Entry]) -> Result<()> {
        for entry in entries {
            check(entry.partition)?;
        }
        let pieces = Piece::cut(entries);
        let bytes = pieces.iter().map(Piece::len).sum::<usize>();
        if bytes == 0 {
            return Ok(());
        }
        let permits = u32::try_from(bytes).map_err(|_| full())?;
        let space = self.space.clone().try_acquire_many_owned(permits).map_err(|_| full())?;
        let (answer, answered) = oneshot::channel();
        self.submit(Command::Append { pieces, answer, _space: space })?;
        answered.await.map_err(|_| stopped())?
    }

    async fn pull(&self, partition: u32, after: Offset, events_max: usize) -> Result<Vec<Delivery>> {
        check(partition)?;
        self.read(move |connection| collect(connection, after, events_max)).await
    }

    async fn head(&self, partition: u32) -> Result<Offset> {
        check(partition)?;
        Ok(*self.head.borrow())
    }

    async fn waiting(&self, partition: u32, after: Offset) -> Result<u64> {
        check(partition)?;
        self.read(move |connection| count(connection, after)).await
    }

    async fn ping(&self) -> Result<()> {
        match self.broken.get() {
            Some(reason) => Err(Error::unavailable(reason.clone())),
            None => self.read(|connection| writer::newest_offset(connection).map(drop)).await,
        }
    }

    async fn arrived(&self, _partition: u32, after: Offset) {
        // The sender lives as long as the writer. Once it is gone, nothing arrives.
        if self.head.clone().wait_for(|head| *head > after).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn forget(&self, partition: u32, up_to: Offset) -> Result<()> {
        check(partition)?;
        loop {
            let (answer, answered) = oneshot::channel();
            self.submit(Command::Forget { up_to, answer })?;
            if answered.await.map_err(|_| stopped())?? == 0 {
                return Ok(());
            }
        }
    }
}

fn check(partition: u32) -> Result<()> {
    if partition == 0 { Ok(()) } else { Err(Error::internal("the inbox", format!("it has no partition {partition}"))) }
}

/// The chunks with events after `?1`.
macro_rules! since {
    () => {
        "first_offset >= coalesce(
             (SELECT first_offset FROM
                  (SELECT first_offset, count FROM chunks WHERE first_offset <= ?1 ORDER BY first_offset DESC LIMIT 1)
              WHERE first_offset + count - 1 > ?1),
             ?1 + 1)"
    };
}

/// Counts events without reading them.
fn count(connection: &Connection, after: Offset) -> rusqlite::Result<u64> {
    let sql = concat!("SELECT first_offset, count FROM chunks WHERE ", since!());
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([after.number()])?;
    let mut events = 0;
    while let Some(row) = rows.next()? {
        events += chunk::count_after(Offset::from_number(row.get(0)?), row.get(1)?, after);
    }
    Ok(events)
}

/// Reads chunks until the bounds of a pull are reached.
fn collect(connection: &Connection, after: Offset, events_max: usize) -> rusqlite::Result<Vec<Delivery>> {
    let sql = concat!("SELECT first_offset, events FROM chunks WHERE ", since!(), " ORDER BY first_offset");
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([after.number()])?;
    let mut deliveries = Vec::with_capacity(events_max.min(PULL_EVENTS_USUAL));
    let mut bytes = 0;
    while deliveries.len() < events_max
        && bytes < PULL_BYTES_MAX
        && let Some(row) = rows.next()?
    {
        let first = Offset::from_number(row.get(0)?);
        let events = Bytes::from(row.get::<_, Vec<u8>>(1)?);
        for event in chunk::split(&events, first).filter(|event| event.offset > after) {
            if deliveries.len() >= events_max || bytes >= PULL_BYTES_MAX {
                break;
            }
            bytes += event.event.len();
            deliveries.push(event);
        }
    }
    Ok(deliveries)
}

pub(crate) fn prepare(connection: &Connection) -> Result<()> {
    let prepared = |error: rusqlite::Error| Error::internal("preparing the inbox's file", error);
    connection.busy_timeout(Duration::from_secs(5)).map_err(prepared)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(prepared)?;
    // FULL: a commit is on stable storage before it is answered. NORMAL could lose the last ones in a power cut.
    connection.pragma_update(None, "synchronous", "FULL").map_err(prepared)?;
    // The writer makes its checkpoints after it has answered.
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(prepared)?;
    let layout: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(prepared)?;
    if layout > LAYOUT {
        let sentence = format!("the inbox's file is of layout {layout}, this binary knows up to {LAYOUT}");
        return Err(Error::Conflict(sentence));
    }
    if layout == 0 {
        let table = "BEGIN IMMEDIATE;
                     CREATE TABLE IF NOT EXISTS chunks (
                         first_offset INTEGER PRIMARY KEY,
                         -- How many offsets it takes, and the events one after the other, each after its length.
                         count INTEGER NOT NULL,
                         events BLOB NOT NULL
                     ) STRICT;
                     PRAGMA user_version = 1;
                     COMMIT;";
        connection.execute_batch(table).map_err(prepared)?;
    }
    // Older binaries ignore this table, so that the layout's number stays.
    let identity = "BEGIN IMMEDIATE;
                    CREATE TABLE IF NOT EXISTS identity (id BLOB NOT NULL) STRICT;
                    INSERT INTO identity (id) SELECT randomblob(16) WHERE NOT EXISTS (SELECT 1 FROM identity);
                    COMMIT;";
    connection.execute_batch(identity).map_err(prepared)
}

fn full() -> Error {
    Error::unavailable("the inbox's queue is full")
}

fn stopped() -> Error {
    Error::unavailable("the inbox's writer has stopped; the server has to be started again")
}

fn failure(error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => Error::unavailable("the inbox's disk is full"),
        Some(
            rusqlite::ErrorCode::DatabaseBusy
            | rusqlite::ErrorCode::DatabaseLocked
            | rusqlite::ErrorCode::SystemIoFailure
            | rusqlite::ErrorCode::CannotOpen
            | rusqlite::ErrorCode::ReadOnly,
        ) => Error::unavailable(format!("the inbox's file cannot be used now: {error}")),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            Error::Corrupt(format!("the inbox's file: {error}"))
        }
        _ => Error::internal("the inbox", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: usize, bytes: usize) -> Vec<Entry> {
        vec![Entry { partition: 0, event: vec![7; bytes] }; count]
    }

    #[tokio::test]
    async fn a_full_disk_refuses_whole_calls_and_takes_events_again_once_there_is_space() {
        let folder = tempfile::tempdir().expect("a folder");
        let inbox = SqliteInbox::open_limited(&folder.path().join("inbox.sqlite"), Some(64)).expect("an inbox");
        let mut promised = 0;
        let error = loop {
            match inbox.append(&entries(3, 8_000)).await {
                Ok(()) => promised += 3,
                Err(error) => break error,
            }
        };
        assert!(error.is_retryable(), "{error}");
        assert!(promised > 0);
        let all = inbox.pull(0, Offset::START, 1_000).await.expect("events");
        assert_eq!(all.len(), promised);

        inbox.forget(0, all[promised - 4].offset).await.expect("space");
        inbox.append(&entries(3, 8_000)).await.expect("space again");
        assert_eq!(inbox.waiting(0, all[promised - 1].offset).await.expect("a number"), 3);
    }

    #[tokio::test]
    async fn more_than_the_queue_holds_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let inbox = SqliteInbox::open(&folder.path().join("inbox.sqlite")).expect("an inbox");
        let error = inbox.append(&entries(1, QUEUE_BYTES_MAX)).await.expect_err("too much");
        assert!(error.is_retryable(), "{error}");
        let entries = entries(1, QUEUE_BYTES_MAX / 16);
        let crowd = (0..64).map(|_| inbox.append(&entries));
        let outcomes = futures::future::join_all(crowd).await;
        let taken = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!((15..64).contains(&taken), "{taken} were taken");
        assert_eq!(inbox.waiting(0, Offset::START).await.expect("a number"), taken as u64);
    }

    #[tokio::test]
    async fn a_file_of_a_newer_layout_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("inbox.sqlite");
        drop(SqliteInbox::open(&path).expect("an inbox"));
        Connection::open(&path).expect("the file").pragma_update(None, "user_version", LAYOUT + 1).expect("a version");
        assert!(matches!(SqliteInbox::open(&path), Err(Error::Conflict(_))));
    }
}
