//! The catalog: projects, images, galleries, jobs and the state of events, in one database.
//!
//! One method is one use case and one transaction, written once for SQLite and PostgreSQL. Functions that take a `Tx`
//! are parts of use cases, shared between topics.

pub mod applications;
pub mod cuts;
pub mod dataset;
pub mod erasures;
pub mod event_types;
pub mod events;
pub mod experiments;
pub mod facts;
pub mod galleries;
pub mod gallery_changes;
pub mod guard;
pub mod idempotency;
pub mod images;
pub mod jobs;
pub mod lake;
mod learning;
mod leases;
pub mod news;
pub mod objects;
pub mod orders;
pub mod part_uploads;
pub mod partitions;
pub mod processing;
pub mod projects;
pub mod public_pages;
pub mod quarantine;
pub mod ranking_history;
pub mod rollups;
pub mod rules;
pub mod uploads;

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::scheme::Scheme;
use crate::sql::{Db, Dialect, Migrated, NEWEST_VERSION, Transactions};

/// The engines of the catalog.
pub const SCHEMES: &[Scheme] = &[
    Scheme::embedded("sqlite:", "SQLite"),
    Scheme::shared("postgres://", "PostgreSQL"),
    Scheme::shared("postgresql://", "PostgreSQL"),
];

/// Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    db: Db,
}

impl Catalog {
    /// Opens `sqlite:PATH` or `postgres://…`; does not migrate.
    pub async fn open(url: &str) -> Result<Self> {
        Ok(Db::open(url).await?.into())
    }

    /// Opens an existing catalog that another process may be using, for reads alone. `NotFound` if there is none yet,
    /// `Conflict` if it is not of this binary's version.
    pub async fn open_to_read(url: &str) -> Result<Self> {
        let db = Db::open_to_read(url).await?;
        let (reached, newest) = (db.version().await?, NEWEST_VERSION);
        if reached != newest {
            return Err(Error::Conflict(format!(
                "it is at version {reached}, this binary works with {newest}: use the binary that serves it"
            )));
        }
        Ok(db.into())
    }

    /// The number of transactions that this process has begun.
    pub fn transactions(&self) -> Transactions {
        self.db.transactions()
    }

    pub async fn migrate(&self) -> Result<Migrated> {
        self.db.migrate().await
    }

    pub fn dialect(&self) -> Dialect {
        self.db.dialect()
    }

    /// Returns once the database answers. Fails if it would not store data, as after a failed fsync.
    pub async fn ping(&self) -> Result<()> {
        self.db.ping().await
    }
}

impl From<Db> for Catalog {
    fn from(db: Db) -> Self {
        Catalog { db }
    }
}

/// The distinct items. If most are equal, this takes memory only for the distinct ones.
fn distinct<T: Ord>(items: impl Iterator<Item = T>) -> BTreeSet<T> {
    let mut distinct = BTreeSet::new();
    for item in items {
        distinct.insert(item);
    }
    distinct
}
