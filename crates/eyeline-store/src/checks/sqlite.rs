//! SQLite settings, as in force on the writing connection.

use std::path::Path;

use futures::FutureExt as _;
use rusqlite::{Connection, OpenFlags};

use super::Check;
use crate::error::{Error, Result};
use crate::inbox::prepare_sqlite;
use crate::sql::Db;

/// Older versions have a bug in the write-ahead log that can lose commits.
const OLDEST: (u32, u32, u32) = (3, 51, 3);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub version: String,
    pub journal_mode: String,
    /// 0 OFF, 1 NORMAL, 2 FULL, 3 EXTRA.
    pub synchronous: i64,
}

const READ: &str = "SELECT sqlite_version() AS version,
                           (SELECT journal_mode FROM pragma_journal_mode) AS journal_mode,
                           (SELECT synchronous FROM pragma_synchronous) AS synchronous";

impl Settings {
    pub(super) async fn of_catalog(db: &Db) -> Result<Self> {
        db.write(|tx| {
            async move {
                let row = tx.query_one(READ, &[]).await?;
                let mut row = row.ok_or_else(|| Error::Corrupt("SQLite returned no settings".to_owned()))?;
                Ok(Settings {
                    version: row.take("version")?,
                    journal_mode: row.take("journal_mode")?,
                    synchronous: row.take("synchronous")?,
                })
            }
            .boxed()
        })
        .await
    }

    /// Opens the file like a server.
    pub(super) fn of_inbox(path: &Path) -> Result<Self> {
        let opened = |error: rusqlite::Error| Error::unavailable(error.to_string());
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(opened)?;
        prepare_sqlite(&connection)?;
        let read = connection.query_row(READ, [], |row| {
            Ok(Settings { version: row.get(0)?, journal_mode: row.get(1)?, synchronous: row.get(2)? })
        });
        read.map_err(opened)
    }

    pub(super) fn judge(&self, engine: &str) -> Vec<Check> {
        let (major, minor, patch) = OLDEST;
        let numbers: Vec<u32> = self.version.split('.').filter_map(|part| part.parse().ok()).collect();
        let synchronous = match self.synchronous {
            0 => "OFF",
            1 => "NORMAL",
            2 => "FULL",
            _ => "EXTRA",
        };
        vec![
            Check::of(
                numbers >= vec![major, minor, patch],
                format!("{engine}.version"),
                format!("SQLite {}", self.version),
                format!("Build with SQLite {major}.{minor}.{patch} or newer: older ones can lose commits."),
            ),
            Check::of(
                self.journal_mode.eq_ignore_ascii_case("wal"),
                format!("{engine}.journal_mode"),
                format!("journal_mode is {}", self.journal_mode),
                "Put the file on a file system that SQLite's write-ahead log works on (a local one, not a network's).",
            ),
            Check::of(
                self.synchronous >= 2,
                format!("{engine}.synchronous"),
                format!("synchronous is {synchronous}"),
                "Only FULL keeps over a power cut what was answered; this binary was built to set less.",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn broken(settings: &Settings) -> Vec<String> {
        let checks = settings.judge("catalog").into_iter();
        checks.filter(|check| check.verdict == Verdict::Broken).map(|check| check.name).collect()
    }

    #[test]
    fn each_setting_that_would_lose_a_commit_breaks_the_promise() {
        let good = Settings { version: "3.51.3".to_owned(), journal_mode: "wal".to_owned(), synchronous: 2 };
        assert!(broken(&good).is_empty());
        assert!(broken(&Settings { version: "3.52.0".to_owned(), ..good.clone() }).is_empty());
        assert_eq!(broken(&Settings { version: "3.51.2".to_owned(), ..good.clone() }), ["catalog.version"]);
        assert_eq!(broken(&Settings { version: "3.9.9".to_owned(), ..good.clone() }), ["catalog.version"]);
        assert_eq!(broken(&Settings { journal_mode: "delete".to_owned(), ..good.clone() }), ["catalog.journal_mode"]);
        assert_eq!(broken(&Settings { synchronous: 1, ..good }), ["catalog.synchronous"]);
    }
}
