//! Migrations: forward only, inside the binary, one for each dialect.

use std::time::Duration;

use futures::FutureExt as _;

use super::{Db, Dialect, Tx};
use crate::error::{Error, Result};
use crate::params;

struct Migration {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../../../../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../../../../migrations/postgres/", $name, ".sql")),
        }
    };
}

/// In the order of application. A released one never changes; corrections get a new one.
const MIGRATIONS: [Migration; 28] = [
    migration!(1, "0001_projects"),
    migration!(2, "0002_images"),
    migration!(3, "0003_galleries"),
    migration!(4, "0004_events"),
    migration!(5, "0005_versions_by_type"),
    migration!(6, "0006_event_types"),
    migration!(7, "0007_ranking"),
    migration!(8, "0008_lake"),
    migration!(9, "0009_erasures"),
    migration!(10, "0010_rollup_sessions"),
    migration!(11, "0011_guard"),
    migration!(12, "0012_holdout_control"),
    migration!(13, "0013_ranking_changes"),
    migration!(14, "0014_partition_owners"),
    migration!(15, "0015_cuts"),
    migration!(16, "0016_left_feed"),
    migration!(17, "0017_erased_acts"),
    migration!(18, "0018_careful_partitions"),
    migration!(19, "0019_event_bounds"),
    migration!(20, "0020_turns"),
    migration!(21, "0021_project_erasures"),
    migration!(22, "0022_public_pages"),
    migration!(23, "0023_counted_waiting"),
    migration!(24, "0024_lost_leases"),
    migration!(25, "0025_shared_partitions"),
    migration!(26, "0026_part_uploads"),
    migration!(27, "0027_gallery_changes"),
    migration!(28, "0028_image_times"),
];

/// The version to which this binary migrates a catalog.
pub(crate) const NEWEST_VERSION: i64 = MIGRATIONS[MIGRATIONS.len() - 1].version;

/// Attempts at migrations that have to change tables which processes of an earlier version use.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);
/// The longest wait for a table. Meanwhile the processes that use the table wait behind the migration.
const PATIENCE: &str = "SET LOCAL lock_timeout = '2s'";

/// The outcome of [`Db::migrate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Names of the migrations applied by this call, in order.
    pub applied: Vec<&'static str>,
    /// The reached version.
    pub version: i64,
}

impl Db {
    /// Migrates the catalog to this binary's version in one transaction. Several processes may call it concurrently.
    /// Fails for a catalog of a newer version.
    pub async fn migrate(&self) -> Result<Migrated> {
        self.migrate_to(NEWEST_VERSION).await
    }

    /// Like [`Db::migrate`], but only to `version`, for tests of later migrations.
    pub async fn migrate_to(&self, version: i64) -> Result<Migrated> {
        let is_reached = self.version().await? >= version.min(NEWEST_VERSION);
        let mut tries = if is_reached { 1 } else { TRIES };
        loop {
            tries -= 1;
            match self.write(move |tx| migrate(tx, version).boxed()).await {
                Err(error) if error.is_retryable() && tries > 0 => {
                    tracing::info!(%error, "the catalog is not migrated yet: other processes use it");
                    tokio::time::sleep(PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// The catalog's version; 0 if it is empty.
    pub(crate) async fn version(&self) -> Result<i64> {
        let is_there = match self.dialect() {
            Dialect::Sqlite => "SELECT 1 AS one FROM sqlite_schema WHERE name = 'schema_migrations'",
            Dialect::Postgres => "SELECT 1 AS one WHERE to_regclass('schema_migrations') IS NOT NULL",
        };
        self.read(move |tx| {
            async move {
                match tx.query_one(is_there, &[]).await? {
                    Some(_) => reached(tx).await,
                    None => Ok(0),
                }
            }
            .boxed()
        })
        .await
    }
}

async fn reached(tx: &mut Tx) -> Result<i64> {
    let row = tx.query_one("SELECT coalesce(max(version), 0) AS version FROM schema_migrations", &[]).await?;
    row.ok_or_else(|| Error::Corrupt("no schema version".to_owned()))?.take("version")
}

async fn migrate(tx: &mut Tx, to: i64) -> Result<Migrated> {
    if tx.dialect() == Dialect::Postgres {
        // One process at a time. The number is arbitrary and used only here.
        tx.query("SELECT 1 AS locked FROM pg_advisory_xact_lock(7305118)", &[]).await?;
        tx.run_script(PATIENCE).await?;
    }
    tx.run_script("CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL)")
        .await?;
    let (reached, newest) = (reached(tx).await?, NEWEST_VERSION);
    if reached > newest {
        return Err(Error::Conflict(format!(
            "the catalog is at version {reached}, this binary knows up to {newest}: start a newer binary"
        )));
    }
    let mut applied = Vec::new();
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > reached && migration.version <= to) {
        let script = match tx.dialect() {
            Dialect::Sqlite => migration.sqlite,
            Dialect::Postgres => migration.postgres,
        };
        tx.run_script(script).await?;
        let sql = "INSERT INTO schema_migrations (version, name) VALUES ($1, $2)";
        tx.execute(sql, params![migration.version, migration.name]).await?;
        applied.push(migration.name);
    }
    Ok(Migrated { applied, version: reached.max(to) })
}
