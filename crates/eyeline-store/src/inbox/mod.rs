//! Where events wait, on stable storage, from the moment they are answered.
//!
//! An inbox has a fixed number of partitions. Each event gets an offset in its partition, in the order in which events
//! became durable: who has read up to an offset will never find a new event at or before it.

mod sqlite;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub(crate) use sqlite::prepare as prepare_sqlite;

use crate::error::{Error, Result};

/// The place of an event in its partition: above zero, rising in the order of durability, not always by one.
pub type Offset = i64;

/// Bytes that one pull gives before it stops early.
pub const PULL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An event on its way in. To the inbox its bytes mean nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub partition: u32,
    pub event: Vec<u8>,
}

/// An event on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub offset: Offset,
    pub event: Bytes,
}

#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// Partitions are numbered from zero to one less than this.
    fn partitions(&self) -> u32;

    /// Returns once all entries are on stable storage; on an error none of them has been promised (after some failures
    /// they may be there all the same). Entries of one call and one partition keep their order. `Unavailable` when the
    /// queue or the disk is full, or storage failed: nothing is kept waiting.
    async fn append(&self, entries: &[Entry]) -> Result<()>;

    /// The next events after `after`, oldest first, at most `events_max` and about [`PULL_BYTES_MAX`] bytes: at least
    /// one when there is one.
    async fn pull(&self, partition: u32, after: Offset, events_max: usize) -> Result<Vec<Delivery>>;

    /// The offset of the newest event, zero when there never was one. It never falls.
    async fn head(&self, partition: u32) -> Result<Offset>;

    /// Answers when the inbox would take an event; `Unavailable` when it would not, as after a failed fsync.
    async fn ping(&self) -> Result<()>;

    /// Returns when there may be an event after `after`: a hint, which may be wrong or late.
    async fn arrived(&self, partition: u32, after: Offset);

    /// Gives back the space of events up to `up_to`; some of them may stay readable. The head stays.
    async fn forget(&self, partition: u32, up_to: Offset) -> Result<()>;
}

/// Opens `sqlite:PATH`, made when absent.
pub async fn open(url: &str) -> Result<Arc<dyn Inbox>> {
    let path = sqlite_path(url)?;
    let opened = tokio::task::spawn_blocking(move || sqlite::SqliteInbox::open(&path))
        .await
        .map_err(|error| Error::internal("opening the inbox", error))??;
    Ok(Arc::new(opened))
}

pub(crate) fn sqlite_path(url: &str) -> Result<PathBuf> {
    let path = url.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//").into());
    path.ok_or_else(|| Error::Conflict("the inbox's URL has to start with sqlite:".to_owned()))
}
