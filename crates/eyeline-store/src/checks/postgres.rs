//! PostgreSQL settings, as in force for a session of the catalog's user.

use futures::FutureExt as _;

use super::Check;
use crate::error::Result;
use crate::sql::Db;

/// The oldest version that its developers still maintain.
const OLDEST: u32 = 140_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings(Vec<(String, String)>);

impl Settings {
    pub(super) async fn read(db: &Db) -> Result<Self> {
        let sql = "SELECT name, setting FROM pg_settings
                   WHERE name IN ('server_version', 'server_version_num', 'fsync', 'synchronous_commit',
                                  'full_page_writes', 'server_encoding')";
        db.read(move |tx| {
            async move {
                let rows = tx.query(sql, &[]).await?.into_iter();
                rows.map(|mut row| Ok((row.take("name")?, row.take("setting")?))).collect::<Result<_>>().map(Settings)
            }
            .boxed()
        })
        .await
    }

    /// Empty if this PostgreSQL does not know the setting.
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, setting)| setting)
    }

    pub(super) fn judge(&self, engine: &str) -> Vec<Check> {
        let check = |name: &str, holds: bool, remedy: &str| {
            Check::of(holds, format!("{engine}.{name}"), format!("{name} is {}", self.get(name)), remedy)
        };
        let version = self.get("server_version_num").parse().unwrap_or(0);
        vec![
            Check::of(
                version >= OLDEST,
                format!("{engine}.version"),
                format!("PostgreSQL {}", self.get("server_version")),
                format!("Bring PostgreSQL to version {} or newer.", OLDEST / 10_000),
            ),
            check(
                "fsync",
                self.get("fsync") == "on",
                "A power cut can lose or ruin the whole database: set fsync = on in postgresql.conf and reload.",
            ),
            check(
                "synchronous_commit",
                !matches!(self.get("synchronous_commit"), "off" | ""),
                "A crash loses what was answered last: set synchronous_commit = on, for the server, the database and \
                 the user.",
            ),
            check(
                "full_page_writes",
                self.get("full_page_writes") == "on",
                "A power cut can tear pages: set full_page_writes = on in postgresql.conf and reload.",
            ),
            Check::of(
                self.get("server_encoding") == "UTF8",
                format!("{engine}.encoding"),
                format!("the database's encoding is {}", self.get("server_encoding")),
                "Names in other scripts are refused: make a database with ENCODING 'UTF8' and move the data into it.",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    const GOOD: [(&str, &str); 6] = [
        ("server_version", "17.6"),
        ("server_version_num", "170006"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("server_encoding", "UTF8"),
    ];

    fn broken_with(name: &str, setting: &str) -> Vec<String> {
        let changed = GOOD
            .map(|(known, good)| (known.to_owned(), if known == name { setting.to_owned() } else { good.to_owned() }));
        let checks = Settings(changed.to_vec()).judge("catalog").into_iter();
        checks.filter(|check| check.verdict == Verdict::Broken).map(|check| check.name).collect()
    }

    #[test]
    fn each_setting_that_would_lose_a_commit_breaks_the_promise() {
        assert!(broken_with("", "").is_empty());
        assert!(broken_with("synchronous_commit", "remote_apply").is_empty());
        for (name, setting, broken) in [
            ("server_version_num", "130011", "catalog.version"),
            ("fsync", "off", "catalog.fsync"),
            ("synchronous_commit", "off", "catalog.synchronous_commit"),
            ("full_page_writes", "off", "catalog.full_page_writes"),
            ("server_encoding", "SQL_ASCII", "catalog.encoding"),
        ] {
            assert_eq!(broken_with(name, setting), [broken]);
        }
    }
}
