//! A small layer that runs SQL on SQLite and PostgreSQL, so that every use case of the catalog is written once.
//!
//! A use case is an async function over a [`Tx`]. On PostgreSQL it runs in its own transaction. On SQLite it runs on
//! the single writer thread inside a savepoint, with several use cases in a commit: one fsync answers them all. There
//! it may await only its `Tx`.
//!
//! PostgreSQL's client keeps many kilobytes across an await. They are boxed here once; otherwise every future above
//! would be as large and be copied at every call, on SQLite too.
//!
//! Statements use `$1`, `$2`, … for both. Where the dialects differ, [`Dialect`] tells them apart, which should be
//! rare.

mod migrate;
mod postgres;
mod sqlite;
mod value;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eyeline_core::Timestamp;
use futures::FutureExt as _;
use futures::future::BoxFuture;

pub use migrate::Migrated;
pub(crate) use migrate::NEWEST_VERSION;
pub use sqlite::CACHE_BYTES;
pub(crate) use sqlite::is_failed_fsync;
pub use value::{Column, Kind, Row, Value};

use crate::error::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// An open database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    engine: Engine,
    counts: Arc<Counts>,
}

/// Transactions begun since the database was opened.
#[derive(Default)]
struct Counts {
    reads: AtomicU64,
    writes: AtomicU64,
}

/// The number of transactions begun since the database was opened, failed ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transactions {
    pub reads: u64,
    pub writes: u64,
}

#[derive(Clone)]
enum Engine {
    Sqlite(Arc<sqlite::Sqlite>),
    Postgres(postgres::Postgres),
}

impl From<Engine> for Db {
    fn from(engine: Engine) -> Self {
        Db { engine, counts: Arc::default() }
    }
}

impl Db {
    /// Opens `sqlite:PATH`, which is created if missing, or `postgres://…`. Does not migrate.
    pub async fn open(url: &str) -> Result<Self> {
        if let Some(path) = sqlite_path(url) {
            let opened = tokio::task::spawn_blocking(move || sqlite::Sqlite::open(&path))
                .await
                .map_err(|error| Error::internal("opening SQLite", error))??;
            return Ok(Engine::Sqlite(Arc::new(opened)).into());
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Ok(Engine::Postgres(postgres::Postgres::open(url).await?).into());
        }
        Err(Error::Conflict("the catalog's URL has to start with sqlite: or postgres:".to_owned()))
    }

    /// Opens a database that another process may be using. Changes nothing, and refuses writes to SQLite. `NotFound` if
    /// there is no such file.
    pub(crate) async fn open_to_read(url: &str) -> Result<Self> {
        let Some(path) = sqlite_path(url) else { return Self::open(url).await };
        let opened = tokio::task::spawn_blocking(move || match path.exists() {
            true => sqlite::Sqlite::open_to_read(&path),
            false => Err(Error::NotFound("catalog")),
        });
        let opened = opened.await.map_err(|error| Error::internal("opening SQLite", error))??;
        Ok(Engine::Sqlite(Arc::new(opened)).into())
    }

    pub fn transactions(&self) -> Transactions {
        let Counts { reads, writes } = &*self.counts;
        Transactions { reads: reads.load(Ordering::Relaxed), writes: writes.load(Ordering::Relaxed) }
    }

    pub fn dialect(&self) -> Dialect {
        match self.engine {
            Engine::Sqlite(_) => Dialect::Sqlite,
            Engine::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Returns once the database answers. `Unavailable` if it accepts no writes until the server restarts.
    pub async fn ping(&self) -> Result<()> {
        if let Engine::Sqlite(engine) = &self.engine {
            engine.check_unbroken()?;
        }
        self.read(|tx| async move { tx.query("SELECT 1 AS one", &[]).await.map(drop) }.boxed()).await
    }

    /// Runs a writing use case in one transaction. An error of the use case rolls everything back. After `Ok` all of it
    /// is on stable storage.
    pub async fn write<T, F>(&self, use_case: F) -> Result<T>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        self.counts.writes.fetch_add(1, Ordering::Relaxed);
        match &self.engine {
            Engine::Sqlite(engine) => engine.write(use_case).await,
            Engine::Postgres(engine) => engine.write(use_case).await,
        }
    }

    /// Runs a reading use case on one snapshot.
    pub async fn read<T, F>(&self, use_case: F) -> Result<T>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        match &self.engine {
            Engine::Sqlite(engine) => engine.read(use_case).await,
            Engine::Postgres(engine) => engine.read(use_case).await,
        }
    }
}

/// The path of `sqlite:PATH`; `None` for another URL.
pub(crate) fn sqlite_path(url: &str) -> Option<PathBuf> {
    url.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//").into())
}

/// A transaction under way.
pub enum Tx {
    #[doc(hidden)]
    Sqlite(rusqlite::Connection),
    #[doc(hidden)]
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Tx {
    pub fn dialect(&self) -> Dialect {
        match self {
            Tx::Sqlite(_) => Dialect::Sqlite,
            Tx::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement. Returns the number of changed rows.
    pub async fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64> {
        match self {
            Tx::Sqlite(connection) => sqlite::execute(connection, sql, params),
            Tx::Postgres(transaction) => postgres::execute(transaction, sql, params).boxed().await,
        }
    }

    pub async fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        self.query_text(sql, params).await
    }

    /// The first row, or `None`.
    pub async fn query_one(&mut self, sql: &'static str, params: &[Value]) -> Result<Option<Row>> {
        Ok(self.query_text(sql, params).await?.into_iter().next())
    }

    /// Like [`Tx::query`], for a statement built from a bounded set of constant pieces, such as optional filters. Never
    /// put a value into the text.
    pub async fn query_text(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        match self {
            Tx::Sqlite(connection) => sqlite::query(connection, sql, params),
            Tx::Postgres(transaction) => postgres::query(transaction, sql, params).boxed().await,
        }
    }

    /// Runs `sql` over all of `rows` in few statements. Its `{rows}` stands for a list of value tuples such as `($1,
    /// $2), ($3, $4)`: `INSERT INTO t (a, b) VALUES {rows} ON CONFLICT …`, or `UPDATE t SET a = v.column2 FROM (VALUES
    /// {rows}) AS v WHERE t.b = v.column1`. All rows have the same length and kinds. Returns the number of changed
    /// rows.
    pub async fn execute_rows(&mut self, sql: &'static str, rows: &[Vec<Value>]) -> Result<u64> {
        let mut changed = 0;
        for chunk in chunks(rows) {
            let (text, params) = spread(sql, chunk);
            changed += match self {
                Tx::Sqlite(connection) => sqlite::execute(connection, &text, &params)?,
                Tx::Postgres(transaction) => postgres::execute(transaction, &text, &params).boxed().await?,
            };
        }
        Ok(changed)
    }

    /// Like [`Tx::execute_rows`], for a statement that returns rows (a `SELECT`, or `RETURNING`).
    pub async fn query_rows(&mut self, sql: &'static str, rows: &[Vec<Value>]) -> Result<Vec<Row>> {
        let mut answers = Vec::new();
        for chunk in chunks(rows) {
            let (text, params) = spread(sql, chunk);
            answers.extend(self.query_text(&text, &params).await?);
        }
        Ok(answers)
    }

    /// Real time for leases and back-off. On PostgreSQL it is the database's clock, because several machines compare
    /// it.
    pub async fn real_now(&mut self) -> Result<Timestamp> {
        match self {
            Tx::Sqlite(_) => Ok(real_time()),
            Tx::Postgres(_) => {
                let sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS now";
                let row = self.query_one(sql, &[]).await?;
                row.ok_or_else(|| Error::Corrupt("the database returned no time".to_owned()))?.take("now")
            }
        }
    }

    async fn run_script(&mut self, sql: &'static str) -> Result<()> {
        match self {
            Tx::Sqlite(connection) => sqlite::run_script(connection, sql),
            Tx::Postgres(transaction) => postgres::run_script(transaction, sql).boxed().await,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "leases on SQLite compare real time, whatever the product's clock says")]
fn real_time() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(0).plus(since)
}

/// The most rows of one statement: 512 rows of a dozen columns stay below both engines' limits on parameters.
const ROWS_MAX: usize = 512;

/// Pieces whose lengths are powers of two. The set of statement texts is then bounded, and the engines' caches of
/// prepared statements hold all of them.
fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        if rows.is_empty() {
            return None;
        }
        let largest = rows.len().min(ROWS_MAX);
        let length = 1 << largest.ilog2();
        let (chunk, rest) = rows.split_at(length);
        rows = rest;
        Some(chunk)
    })
}

fn spread(sql: &str, rows: &[Vec<Value>]) -> (String, Vec<Value>) {
    use std::fmt::Write as _;

    let width = rows.first().map_or(0, Vec::len);
    let mut tuples = String::with_capacity(rows.len() * width * 6);
    for row in 0..rows.len() {
        tuples.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..width {
            let separator = if column == 0 { "" } else { ", " };
            let _infallible = write!(tuples, "{separator}${}", row * width + column + 1);
        }
        tuples.push(')');
    }
    (sql.replacen("{rows}", &tuples, 1), rows.iter().flatten().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_spread_into_numbered_tuples() {
        let rows = vec![vec![Value::Int(1), Value::Int(2)], vec![Value::Int(3), Value::Int(4)]];
        let (text, params) = spread("INSERT INTO t VALUES {rows}", &rows);
        assert_eq!(text, "INSERT INTO t VALUES ($1, $2), ($3, $4)");
        assert_eq!(params, vec![Value::Int(1), Value::Int(2), Value::Int(3), Value::Int(4)]);
    }

    #[test]
    fn chunks_are_powers_of_two_and_cover_everything_once() {
        let rows: Vec<usize> = (0..1_337).collect();
        let lengths: Vec<usize> = chunks(&rows).map(<[usize]>::len).collect();
        assert!(lengths.iter().all(|length| length.is_power_of_two() && *length <= ROWS_MAX));
        assert_eq!(chunks(&rows).flatten().copied().collect::<Vec<_>>(), rows);
    }
}
