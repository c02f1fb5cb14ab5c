//! The inbox: events on stable storage, from acceptance until they are flushed.
//!
//! An inbox has a fixed number of partitions. Each event gets an offset in its partition, in the order in which events
//! became durable. A reader that has reached an offset never finds a new event at or before it. Offsets have gaps:
//! [`Inbox::waiting`] counts events.

mod nats;
mod offset;
mod sqlite;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

pub(crate) use nats::Address as NatsAddress;
pub(crate) use nats::{connection as nats_connection, streams as nats_streams};
pub(crate) use sqlite::{READERS, newest_offset, prepare as prepare_sqlite};

use crate::error::{Error, Result};
use crate::scheme::Scheme;
use crate::sql;

pub use offset::{Offset, Span};

/// The engines of the inbox.
pub const SCHEMES: &[Scheme] = &[
    Scheme::embedded("sqlite:", "SQLite"),
    Scheme::shared("nats://", "NATS JetStream"),
    Scheme::shared("tls://", "NATS JetStream"),
];

/// Bytes after which a pull stops early.
pub const PULL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most memory of an inbox with this URL: its queue, what is on its way, and the pull of one reader. In NATS also
/// its cache.
pub fn memory_bytes(url: &str) -> usize {
    match NatsAddress::parse(url) {
        Ok(address) => nats::memory_bytes(nats::partitions(&address)),
        Err(_) => sqlite::QUEUE_BYTES_MAX + sqlite::GROUP_BYTES_MAX + PULL_BYTES_MAX,
    }
}

/// An event to append. The inbox does not interpret its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub partition: u32,
    pub event: Vec<u8>,
}

/// An event from the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub offset: Offset,
    pub event: Bytes,
}

/// The partition for events with this key: the gallery of a view or click, else the session.
pub fn partition_of(key: Uuid, partitions: u32) -> u32 {
    u32::try_from(key.as_u128() % u128::from(partitions.max(1))).unwrap_or(0)
}

#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// Distinguishes this inbox from every other. It survives restarts.
    fn id(&self) -> Uuid;

    /// True if several processes read and write this inbox. Otherwise one process owns all its partitions.
    fn is_shared(&self) -> bool;

    /// Partitions are numbered from zero to one less than this.
    fn partitions(&self) -> u32;

    /// Returns once all entries are on stable storage. On an error none of them is promised, although after some
    /// failures they may exist. Entries of one call and one partition keep their order. Returns `Unavailable` without
    /// waiting if the queue or the disk is full, or storage failed.
    async fn append(&self, entries: &[Entry]) -> Result<()>;

    /// The next events after `after`, oldest first, at most `events_max` and about [`PULL_BYTES_MAX`] bytes. Returns at
    /// least one if there is one.
    async fn pull(&self, partition: u32, after: Offset, events_max: usize) -> Result<Vec<Delivery>>;

    /// The offset of the newest event; [`Offset::START`] if there never was one. It never falls.
    async fn head(&self, partition: u32) -> Result<Offset>;

    /// The number of kept events after `after`.
    async fn waiting(&self, partition: u32, after: Offset) -> Result<u64>;

    /// Succeeds if the inbox would accept an event. `Unavailable` if not, as after a failed fsync.
    async fn ping(&self) -> Result<()>;

    /// Returns when there may be an event after `after`. This is a hint, which may be wrong or late.
    async fn arrived(&self, partition: u32, after: Offset);

    /// Frees the space of events up to `up_to`. Some of them may stay readable. The head stays.
    async fn forget(&self, partition: u32, up_to: Offset) -> Result<()>;
}

/// Opens `sqlite:PATH`, and creates the file if it is missing; or `nats://HOST:PORT,HOST:PORT?stream=eyeline`, or
/// `tls://…`, and makes the streams if there are none.
pub async fn open(url: &str) -> Result<Arc<dyn Inbox>> {
    check_url(url).map_err(|wrong| Error::Conflict(format!("the inbox's URL {wrong}")))?;
    if NatsAddress::is_meant(url) {
        let address = NatsAddress::parse(url).map_err(Error::Conflict)?;
        return Ok(Arc::new(Box::pin(nats::NatsInbox::open(&address)).await?));
    }
    let path = sqlite_path(url)?;
    let opened = tokio::task::spawn_blocking(move || sqlite::SqliteInbox::open(&path))
        .await
        .map_err(|error| Error::internal("opening the inbox", error))??;
    Ok(Arc::new(opened))
}

/// Checks the URL. The error completes "the URL …" and holds no password.
pub fn check_url(url: &str) -> Result<(), String> {
    match Scheme::of(url, SCHEMES) {
        None => Err(format!("has to start with {}", Scheme::starts(SCHEMES))),
        Some(_) if NatsAddress::is_meant(url) => NatsAddress::parse(url).map(drop),
        Some(_) => Ok(()),
    }
}

/// Random bytes, for ids that nobody else draws.
fn random() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal("drawing random bytes", error))?;
    Ok(bytes)
}

pub(crate) fn sqlite_path(url: &str) -> Result<PathBuf> {
    sql::sqlite_path(url).ok_or_else(|| Error::Conflict("the inbox's URL has to start with sqlite:".to_owned()))
}
