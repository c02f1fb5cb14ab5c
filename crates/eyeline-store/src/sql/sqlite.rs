//! SQLite: one writer thread with group commit, and a few reading connections.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Kind, Row, Tx, Value};
use crate::error::{Error, Result};

/// The most use cases of one commit.
const GROUP_MAX: usize = 256;
/// The most use cases that wait for the writer. Further ones wait for a place in the queue.
const QUEUE_MAX: usize = 1_024;
const READERS: usize = 4;
/// The size of the writer's page cache, in KiB.
const WRITER_CACHE_KIB: i64 = 48 * 1024;
/// Bytes of pages of a connection that reads: SQLite's default.
const READER_CACHE_BYTES: u64 = 2 * 1024 * 1024;
/// Bytes of pages of all connections, those of the inbox included: one more that writes, and its readers.
pub const CACHE_BYTES: u64 =
    WRITER_CACHE_KIB.unsigned_abs() * 1024 + (READERS + 1 + crate::inbox::READERS) as u64 * READER_CACHE_BYTES;

pub(super) struct Sqlite {
    writer: mpsc::Sender<Job>,
    readers: Arc<Readers>,
    /// The reason why nothing is written any more; set by a failed fsync.
    broken: Broken,
}

type Broken = Arc<OnceLock<Error>>;

/// Runs one use case inside the open transaction. Returns the function that answers its caller after the commit.
type Job = Box<dyn FnOnce(&mut Tx) -> Finish + Send>;
type Finish = Box<dyn FnOnce(Result<(), &Error>) + Send>;

struct Readers {
    free: Mutex<Vec<Tx>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    fn open(path: &Path, count: usize) -> Result<Arc<Self>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut free = Vec::with_capacity(count);
        for _ in 0..count {
            let reading = Connection::open_with_flags(path, flags).map_err(opened)?;
            reading.busy_timeout(Duration::from_secs(5)).map_err(opened)?;
            reading.set_prepared_statement_cache_capacity(256);
            plan_by_our_indexes(&reading).map_err(opened)?;
            free.push(Tx::Sqlite(reading));
        }
        Ok(Arc::new(Readers { free: Mutex::new(free), permits: Arc::new(Semaphore::new(count)) }))
    }
}

fn opened(error: rusqlite::Error) -> Error {
    Error::internal("opening the SQLite file", error)
}

impl Sqlite {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let writing = Connection::open(path).map_err(opened)?;
        prepare(&writing).map_err(opened)?;
        let readers = Readers::open(path, READERS)?;
        let broken = Broken::default();
        let (writer, jobs) = mpsc::channel(QUEUE_MAX);
        std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn({
                let broken = broken.clone();
                move || write_groups(Tx::Sqlite(writing), jobs, &broken)
            })
            .map_err(|error| Error::internal("starting the SQLite writer", error))?;
        Ok(Sqlite { writer, readers, broken })
    }

    /// Opens an existing file for reads alone, which another process may be using.
    pub(super) fn open_to_read(path: &Path) -> Result<Self> {
        // Writes find no writer.
        let (writer, _) = mpsc::channel(1);
        Ok(Sqlite { writer, readers: Readers::open(path, 1)?, broken: Broken::default() })
    }

    /// `Unavailable` after a failed fsync, which ends all writing.
    pub(super) fn check_unbroken(&self) -> Result<()> {
        self.broken.get().map_or(Ok(()), |error| Err(Error::unavailable(error.to_string())))
    }

    pub(super) async fn write<T, F>(&self, use_case: F) -> Result<T>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |tx| {
            let outcome = in_savepoint(tx, use_case);
            Box::new(move |committed| {
                let outcome = outcome.and_then(|value| match committed {
                    Ok(()) => Ok(value),
                    Err(error) => Err(Error::unavailable(format!("the catalog could not commit: {error}"))),
                });
                // The caller may be gone; the write stands anyway.
                let _ = answer.send(outcome);
            })
        });
        let gone = || Error::unavailable("the catalog's writer has stopped; the server has to be started again");
        self.writer.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    pub(super) async fn read<T, F>(&self, use_case: F) -> Result<T>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let readers = self.readers.clone();
        let permit =
            readers.permits.clone().acquire_owned().await.map_err(|error| Error::internal("readers", error))?;
        // The caller may be dropped while this runs. The connection is returned first, then the permit.
        let reading = tokio::task::spawn_blocking(move || {
            let tx = readers.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut tx) = tx else {
                return Err(Error::unavailable("no reading connection is left; the server has to be started again"));
            };
            let outcome = on_snapshot(&mut tx, use_case);
            readers.free.lock().unwrap_or_else(PoisonError::into_inner).push(tx);
            drop(permit);
            outcome
        });
        reading.await.map_err(|error| Error::internal("reading SQLite", error))?
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: a commit is on stable storage before it is answered. NORMAL could lose the last ones in a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // Events spread over all images of a gallery. SQLite's default of 2 MB would evict most pages before their next
    // use.
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(512);
    plan_by_our_indexes(connection)
}

/// Statements join few given rows (`VALUES`) with large tables. Without this the planner scans the whole table and
/// looks its rows up in a temporary index over the few.
fn plan_by_our_indexes(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "automatic_index", "OFF")
}

/// Commits in groups: the use cases that gathered during the last commit. None waits for others to arrive.
fn write_groups(mut tx: Tx, mut jobs: mpsc::Receiver<Job>, broken: &OnceLock<Error>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
        if let Some(error) = broken.get() {
            // After a failed fsync the kernel may have dropped the dirty pages, so no later write can be promised.
            group.into_iter().for_each(|job| refuse(&mut tx, job, error));
            continue;
        }
        if let Err(error) = write_group(&mut tx, group)
            && matches!(error, Error::Corrupt(_))
        {
            tracing::error!(%error, "the catalog takes no more writes until the server is started again");
            let _first = broken.set(error);
        }
    }
}

/// Answers a job after rolling its changes back.
fn refuse(tx: &mut Tx, job: Job, error: &Error) {
    if begin(tx, "BEGIN").is_ok() {
        let finish = job(tx);
        rollback(tx);
        finish(Err(error));
    }
}

fn write_group(tx: &mut Tx, group: Vec<Job>) -> Result<()> {
    if let Err(error) = begin(tx, "BEGIN IMMEDIATE") {
        group.into_iter().for_each(|job| refuse(tx, job, &error));
        return Err(error);
    }
    let mut finishes = Vec::with_capacity(group.len());
    let mut lost = None;
    for job in group {
        finishes.push(job(tx));
        if is_autocommit(tx) {
            // A full disk or an I/O error made SQLite roll back the whole transaction. The earlier use cases are lost
            // too, and later ones would each run in their own transaction.
            lost = Some(Error::unavailable("the disk is full or failing"));
            if let Err(error) = begin(tx, "BEGIN IMMEDIATE") {
                lost = Some(error);
                break;
            }
        }
    }
    let outcome = match lost {
        Some(error) => {
            rollback(tx);
            Err(error)
        }
        None => commit(tx),
    };
    for finish in finishes {
        finish(outcome.as_ref().copied());
    }
    outcome
}

fn connection(tx: &mut Tx) -> &mut Connection {
    match tx {
        Tx::Sqlite(connection) => connection,
        Tx::Postgres(_) => unreachable!("the SQLite engine only ever makes SQLite transactions"),
    }
}

fn is_autocommit(tx: &mut Tx) -> bool {
    connection(tx).is_autocommit()
}

fn begin(tx: &mut Tx, statement: &str) -> Result<()> {
    connection(tx).execute_batch(statement).map_err(|error| failure(&error, statement))
}

fn commit(tx: &mut Tx) -> Result<()> {
    let outcome = connection(tx).execute_batch("COMMIT");
    let Err(error) = outcome else { return Ok(()) };
    rollback(tx);
    if is_failed_fsync(&error) {
        return Err(Error::Corrupt(format!("writing to stable storage failed: {error}")));
    }
    Err(failure(&error, "COMMIT"))
}

/// After a failed fsync the kernel may have dropped the data that it could not write, so a later fsync proves nothing.
pub(crate) fn is_failed_fsync(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

fn rollback(tx: &mut Tx) {
    if !is_autocommit(tx)
        && let Err(error) = connection(tx).execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "could not roll back");
    }
}

fn in_savepoint<T, F>(tx: &mut Tx, use_case: F) -> Result<T>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>>,
{
    begin(tx, "SAVEPOINT use_case")?;
    let outcome = run(tx, use_case);
    if is_autocommit(tx) {
        return outcome.and_then(|_| Err(Error::unavailable("the disk is full or failing")));
    }
    match &outcome {
        Ok(_) => begin(tx, "RELEASE use_case")?,
        Err(_) => begin(tx, "ROLLBACK TO use_case; RELEASE use_case")?,
    }
    outcome
}

fn on_snapshot<T, F>(tx: &mut Tx, use_case: F) -> Result<T>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>>,
{
    begin(tx, "BEGIN")?;
    let outcome = run(tx, use_case);
    rollback(tx);
    outcome
}

/// A use case awaits only its transaction, which never waits on SQLite, so it ends at the first poll. A panic in it
/// fails only that use case.
fn run<T, F>(tx: &mut Tx, use_case: F) -> Result<T>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>>,
{
    match std::panic::catch_unwind(AssertUnwindSafe(|| use_case(tx).now_or_never())) {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Err(Error::internal("a use case waited inside a SQLite transaction", "it was dropped")),
        Err(_) => Err(Error::internal("a use case panicked", "its changes were rolled back")),
    }
}

pub(super) fn execute(connection: &mut Connection, sql: &str, params: &[Value]) -> Result<u64> {
    let failed = |error: rusqlite::Error| failure(&error, sql);
    let mut statement = connection.prepare_cached(&numbered(sql)).map_err(failed)?;
    let changed = statement.execute(rusqlite::params_from_iter(params)).map_err(failed)?;
    Ok(changed as u64)
}

pub(super) fn query(connection: &mut Connection, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
    let failed = |error: rusqlite::Error| failure(&error, sql);
    let mut statement = connection.prepare_cached(&numbered(sql)).map_err(failed)?;
    let columns: std::sync::Arc<[String]> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut found = statement.query(rusqlite::params_from_iter(params)).map_err(failed)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        let mut values = Vec::with_capacity(columns.len());
        for index in 0..columns.len() {
            values.push(match row.get_ref(index).map_err(failed)? {
                ValueRef::Null => Value::Null(Kind::Text),
                ValueRef::Integer(value) => Value::Int(value),
                ValueRef::Real(value) => Value::Real(value),
                ValueRef::Text(value) => Value::Text(
                    String::from_utf8(value.to_vec())
                        .map_err(|_| Error::Corrupt("a text column is not UTF-8".to_owned()))?,
                ),
                ValueRef::Blob(value) => Value::Bytes(value.to_vec()),
            });
        }
        rows.push(Row::new(columns.clone(), values));
    }
    Ok(rows)
}

pub(super) fn run_script(connection: &mut Connection, sql: &str) -> Result<()> {
    connection.execute_batch(sql).map_err(|error| failure(&error, sql))
}

/// SQLite reads `$1` as a name and numbers names by first appearance; `?1` is the first parameter.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null(_) => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
            Value::Id(value) => ValueRef::Blob(value.as_bytes()),
            Value::Bool(value) => ValueRef::Integer(i64::from(*value)),
        }))
    }
}

fn failure(error: &rusqlite::Error, sql: &str) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::unavailable("the disk is full"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::unavailable("the catalog is busy"),
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
            Error::unavailable(format!("the catalog's file cannot be used: {error}"))
        }
        _ => Error::internal("SQLite", format!("{error} in: {sql}")),
    }
}
