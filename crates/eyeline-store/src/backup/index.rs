//! The objects of a folder of backups, with their hashes, so that a later backup need not copy them again.
//!
//! A key is noted before its object is copied, and its hash once the object is on stable storage. A backup that was cut
//! therefore goes on where it ended, and leaves no object that the index does not know.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use crate::error::{Error, Result};
use crate::objects::ObjectKey;

/// The version of the file's layout, stored in `user_version`.
const LAYOUT: i64 = 1;

/// Cheap to clone.
#[derive(Clone)]
pub struct Index(Arc<Mutex<Connection>>);

/// An object that was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    pub key: ObjectKey,
    pub bytes: u64,
    pub sha256: [u8; 32],
}

impl Index {
    /// Creates the file if it is missing.
    pub async fn open(path: PathBuf) -> Result<Self> {
        let opened = tokio::task::spawn_blocking(move || {
            let connection = Connection::open(path)?;
            let layout: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if layout == 0 {
                connection.execute_batch(
                    "BEGIN;
                     CREATE TABLE objects (
                         object_key TEXT PRIMARY KEY,
                         bytes INTEGER NOT NULL DEFAULT 0,
                         -- Null until the object is on stable storage.
                         sha256 BLOB,
                         round INTEGER NOT NULL
                     ) STRICT, WITHOUT ROWID;
                     CREATE INDEX objects_by_round ON objects (round);
                     PRAGMA user_version = 1;
                     COMMIT;",
                )?;
            }
            Ok::<_, rusqlite::Error>((connection, layout))
        });
        let (connection, layout) = opened.await.map_err(gone)?.map_err(failure)?;
        if layout > LAYOUT {
            let sentence = format!("the index of the backup is of layout {layout}, this binary knows up to {LAYOUT}");
            return Err(Error::Conflict(sentence));
        }
        Ok(Index(Arc::new(Mutex::new(connection))))
    }

    /// The number of the next round, larger than all before.
    pub async fn next_round(&self) -> Result<i64> {
        let sql = "SELECT coalesce(max(round), 0) + 1 FROM objects";
        self.run(move |transaction| transaction.query_row(sql, [], |row| row.get(0))).await
    }

    /// Notes that the round names these objects. Returns those that were copied before.
    pub async fn name(&self, keys: Vec<ObjectKey>, round: i64) -> Result<HashMap<ObjectKey, Copied>> {
        let find = "SELECT object_key, bytes, sha256 FROM objects WHERE object_key = ?1";
        let note = "INSERT INTO objects (object_key, round) VALUES (?1, ?2)
                    ON CONFLICT (object_key) DO UPDATE SET round = excluded.round";
        self.run(move |transaction| {
            let mut found = HashMap::new();
            for key in keys {
                let copied = transaction.prepare_cached(find)?.query_row([key.as_str()], copied).optional()?;
                transaction.prepare_cached(note)?.execute((key.as_str(), round))?;
                if let Some(copied) = copied.flatten() {
                    found.insert(key, copied);
                }
            }
            Ok(found)
        })
        .await
    }

    /// Notes objects that are on stable storage now.
    pub async fn add(&self, objects: Vec<Copied>) -> Result<()> {
        let sql = "UPDATE objects SET bytes = ?2, sha256 = ?3 WHERE object_key = ?1";
        self.run(move |transaction| {
            for Copied { key, bytes, sha256 } in &objects {
                let bytes = i64::try_from(*bytes).unwrap_or(i64::MAX);
                transaction.prepare_cached(sql)?.execute((key.as_str(), bytes, sha256.as_slice()))?;
            }
            Ok(())
        })
        .await
    }

    /// Up to `limit` copied objects of the round after a key, by key.
    pub async fn of_round(&self, round: i64, after: Option<ObjectKey>, limit: u32) -> Result<Vec<Copied>> {
        let sql = "SELECT object_key, bytes, sha256 FROM objects
                   WHERE object_key > ?1 AND round = ?2 AND sha256 IS NOT NULL ORDER BY object_key LIMIT ?3";
        self.run(move |transaction| {
            let after = after.as_ref().map_or("", ObjectKey::as_str);
            let mut statement = transaction.prepare_cached(sql)?;
            let rows = statement.query_map((after, round, limit), copied)?;
            rows.filter_map(|row| row.transpose()).collect()
        })
        .await
    }

    /// Up to `limit` keys that are not copied objects of the round. Some of them may have an object.
    pub async fn outdated(&self, round: i64, limit: u32) -> Result<Vec<ObjectKey>> {
        let sql = "SELECT object_key FROM objects WHERE round < ?1
                   UNION ALL SELECT object_key FROM objects WHERE round = ?1 AND sha256 IS NULL LIMIT ?2";
        self.run(move |transaction| {
            let mut statement = transaction.prepare_cached(sql)?;
            let rows = statement.query_map((round, limit), |row| row.get::<_, String>(0))?;
            rows.map(|key| key.and_then(|key| parse(&key))).collect()
        })
        .await
    }

    pub async fn forget(&self, keys: Vec<ObjectKey>) -> Result<()> {
        let sql = "DELETE FROM objects WHERE object_key = ?1";
        self.run(move |transaction| {
            for key in &keys {
                transaction.prepare_cached(sql)?.execute([key.as_str()])?;
            }
            Ok(())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let connection = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction()?;
            let outcome = work(&transaction)?;
            transaction.commit()?;
            Ok::<_, rusqlite::Error>(outcome)
        });
        done.await.map_err(gone)?.map_err(failure)
    }
}

/// `None` if the object was not copied to its end.
fn copied(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Copied>> {
    let Some(sha256) = row.get::<_, Option<[u8; 32]>>(2)? else { return Ok(None) };
    let bytes = row.get::<_, i64>(1)?.max(0).unsigned_abs();
    Ok(Some(Copied { key: parse(&row.get::<_, String>(0)?)?, bytes, sha256 }))
}

fn parse(key: &str) -> rusqlite::Result<ObjectKey> {
    ObjectKey::parse(key).ok_or(rusqlite::Error::InvalidQuery)
}

fn gone(error: tokio::task::JoinError) -> Error {
    Error::internal("the index of the backup", error)
}

fn failure(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => Error::unavailable("the disk of the backup is full"),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            Error::Corrupt(format!("the index of the backup: {error}"))
        }
        _ => Error::internal("the index of the backup", error),
    }
}
