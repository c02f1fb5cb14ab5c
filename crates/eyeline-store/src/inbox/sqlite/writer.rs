//! The single thread that writes to the inbox's file.

use std::sync::{Arc, OnceLock};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::super::Offset;
use super::chunk::{self, Piece};
use super::failure;
use crate::error::{Error, Result};
use crate::sql::is_failed_fsync;

/// The most bytes of one commit, so that a commit stays short.
pub(in crate::inbox) const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A call of fewer bytes yields once before committing if it has fewer than `COMPANY` others, so that concurrent
/// appends can join the same fsync. An idle core does not wait. A larger batch is worth its own commit, and waiting for
/// more calls would leave cores idle.
const SMALL_BYTES: usize = 4 * 1024;
const COMPANY: usize = 16;
/// Bytes written between two checkpoints of the write-ahead log.
const CHECKPOINT_BYTES: usize = 8 * 1024 * 1024;
/// Chunks deleted in one commit.
const FORGET_CHUNKS_MAX: usize = 64;

pub(super) enum Command {
    Append {
        pieces: Vec<Piece>,
        answer: oneshot::Sender<Result<()>>,
        /// Its permits of the queue's bytes, released when it is answered.
        _space: OwnedSemaphorePermit,
    },
    /// The answer is the number of deleted chunks; 0 if there are no more to delete.
    Forget { up_to: Offset, answer: oneshot::Sender<Result<usize>> },
}

/// Ends when the last sender of commands is dropped.
pub(super) fn run(
    mut connection: Connection,
    mut queue: mpsc::Receiver<Command>,
    head: &watch::Sender<Offset>,
    broken: Arc<OnceLock<String>>,
    runtime: Handle,
) {
    let mut state = Writer { runtime, broken, unchecked_bytes: 0 };
    while let Some(first) = queue.blocking_recv() {
        if size(&first) < SMALL_BYTES && queue.len() < COMPANY {
            std::thread::yield_now();
        }
        let mut group = vec![first];
        let mut bytes = size(&group[0]);
        while bytes < GROUP_BYTES_MAX
            && let Ok(next) = queue.try_recv()
        {
            bytes += size(&next);
            group.push(next);
        }
        let newest = *head.borrow();
        state.write(&mut connection, group, head);
        if state.unchecked_bytes >= CHECKPOINT_BYTES && *head.borrow() > newest {
            state.checkpoint(&connection);
        }
    }
}

/// The offset of the newest event in the file.
pub(crate) fn newest_offset(connection: &Connection) -> rusqlite::Result<Offset> {
    let sql = "SELECT first_offset, count FROM chunks ORDER BY first_offset DESC LIMIT 1";
    let last = |row: &rusqlite::Row<'_>| Ok(chunk::last(Offset::from_number(row.get(0)?), row.get(1)?));
    Ok(connection.prepare_cached(sql)?.query_row([], last).optional()?.unwrap_or(Offset::START))
}

fn size(command: &Command) -> usize {
    match command {
        Command::Append { pieces, .. } => pieces.iter().map(Piece::len).sum(),
        Command::Forget { .. } => 0,
    }
}

struct Writer {
    /// Answers are sent from the runtime: waking a task costs this thread far more than one of the runtime's threads.
    runtime: Handle,
    /// Set by a failed fsync. The kernel may have dropped the data that it could not write, so a later fsync proves
    /// nothing. Nothing is promised until the server restarts.
    broken: Arc<OnceLock<String>>,
    unchecked_bytes: usize,
}

impl Writer {
    fn write(&mut self, connection: &mut Connection, group: Vec<Command>, head: &watch::Sender<Offset>) {
        let mut appends = Vec::with_capacity(group.len());
        for command in group {
            match command {
                Command::Append { pieces, answer, _space } => appends.push((pieces, answer, _space)),
                Command::Forget { up_to, answer } => {
                    let outcome = match self.broken.get() {
                        Some(reason) => Err(Error::unavailable(reason.clone())),
                        None => forget(connection, up_to).map_err(|error| self.failed(&error)),
                    };
                    // The caller may be gone; the space is free anyway.
                    let _ = answer.send(outcome);
                }
            }
        }
        if appends.is_empty() {
            return;
        }
        let pieces = appends.iter().flat_map(|(pieces, ..)| pieces);
        let outcome = match self.broken.get() {
            Some(reason) => Err(Error::unavailable(reason.clone())),
            None => append(connection, pieces).map_err(|error| self.failed(&error)),
        };
        if let Ok((newest, bytes)) = outcome {
            self.unchecked_bytes += bytes;
            head.send_replace(newest);
        }
        let failed = outcome.err().map(|error| error.to_string());
        self.runtime.spawn(async move {
            for (_, answer, _) in appends {
                // The caller may be gone; the events count anyway.
                let _ = answer.send(failed.clone().map_or(Ok(()), |reason| Err(Error::unavailable(reason))));
            }
        });
    }

    fn checkpoint(&mut self, connection: &Connection) {
        match connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            Ok(()) => self.unchecked_bytes = 0,
            // The log keeps everything. The next commit retries.
            Err(error) => tracing::warn!(error = %self.failed(&error), "the inbox's log could not be checkpointed"),
        }
    }

    fn failed(&mut self, error: &rusqlite::Error) -> Error {
        if is_failed_fsync(error) {
            let reason = format!("writing to stable storage failed ({error}); the server has to be started again");
            tracing::error!(%error, "the inbox takes no more events until the server is started again");
            let _first = self.broken.set(reason.clone());
            return Error::unavailable(reason);
        }
        failure(error)
    }
}

/// Commits all pieces. Returns the newest offset and the bytes written.
fn append<'a>(
    connection: &mut Connection,
    pieces: impl Iterator<Item = &'a Piece>,
) -> rusqlite::Result<(Offset, usize)> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut newest = newest_offset(&transaction)?;
    let mut written = 0;
    let mut insert = |chunk: &Piece| -> rusqlite::Result<()> {
        let sql = "INSERT INTO chunks (first_offset, count, events) VALUES (?1, ?2, ?3)";
        let first = chunk::next_first(newest);
        transaction.prepare_cached(sql)?.execute((first.number(), chunk.count, chunk.bytes()))?;
        newest = chunk::last(first, chunk.count);
        written += chunk.len();
        Ok(())
    };
    let mut chunk = Piece::default();
    for piece in pieces {
        if !chunk.has_room_for(piece) {
            insert(&chunk)?;
            chunk.clear();
        }
        chunk.push(piece);
    }
    insert(&chunk)?;
    transaction.commit()?;
    Ok((newest, written))
}

/// Deletes some of the oldest chunks that end at or before `up_to`. The newest chunk stays and keeps the numbering.
fn forget(connection: &Connection, up_to: Offset) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM chunks WHERE first_offset IN (
                   SELECT first_offset FROM chunks
                   WHERE first_offset <= ?1 AND first_offset + count - 1 <= ?1
                     AND first_offset < (SELECT max(first_offset) FROM chunks)
                   ORDER BY first_offset LIMIT ?2)";
    connection.prepare_cached(sql)?.execute((up_to.number(), FORGET_CHUNKS_MAX as i64))
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn io_error(extended_code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(extended_code), None)
    }

    #[tokio::test]
    async fn a_failed_fsync_ends_all_promises() {
        let mut writer = Writer { runtime: Handle::current(), broken: Arc::default(), unchecked_bytes: 0 };
        assert!(writer.failed(&io_error(ffi::SQLITE_IOERR_FSYNC)).is_retryable());
        assert!(writer.broken.get().is_some());

        let folder = tempfile::tempdir().expect("a folder");
        let mut connection = Connection::open(folder.path().join("inbox.sqlite")).expect("a file");
        super::super::prepare(&connection).expect("a table");
        let (head, seen) = watch::channel(Offset::START);
        let (answer, answered) = oneshot::channel();
        let pieces = Piece::cut(&[super::super::Entry { partition: 0, event: vec![1] }]);
        let _space = std::sync::Arc::new(tokio::sync::Semaphore::new(1)).try_acquire_owned().expect("space");
        writer.write(&mut connection, vec![Command::Append { pieces, answer, _space }], &head);
        assert!(answered.await.expect("an answer").is_err());
        assert_eq!(*seen.borrow(), Offset::START);
    }

    #[tokio::test]
    async fn other_failures_pass() {
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_BUSY] {
            let mut writer = Writer { runtime: Handle::current(), broken: Arc::default(), unchecked_bytes: 0 };
            assert!(writer.failed(&io_error(code)).is_retryable(), "{code}");
            assert!(writer.broken.get().is_none(), "{code}");
        }
    }
}
