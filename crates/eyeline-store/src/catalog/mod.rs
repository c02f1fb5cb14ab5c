//! The catalog: everything known about projects, images, galleries, jobs and events, in one database.
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
pub mod guard;
pub mod idempotency;
pub mod images;
pub mod jobs;
pub mod lake;
mod learning;
pub mod news;
pub mod objects;
pub mod orders;
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

use crate::error::Result;
use crate::sql::{Db, Dialect, Migrated, Transactions};

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

    /// How many transactions this process began.
    pub fn transactions(&self) -> Transactions {
        self.db.transactions()
    }

    pub async fn migrate(&self) -> Result<Migrated> {
        self.db.migrate().await
    }

    pub fn dialect(&self) -> Dialect {
        self.db.dialect()
    }

    /// Answers once the database does, and would keep what it is given: after a failed fsync it would not.
    pub async fn ping(&self) -> Result<()> {
        self.db.ping().await
    }
}

impl From<Db> for Catalog {
    fn from(db: Db) -> Self {
        Catalog { db }
    }
}

/// Each of many items once; where most are alike this takes the memory of the few, and collecting them that of all.
fn distinct<T: Ord>(items: impl Iterator<Item = T>) -> BTreeSet<T> {
    let mut distinct = BTreeSet::new();
    for item in items {
        distinct.insert(item);
    }
    distinct
}
