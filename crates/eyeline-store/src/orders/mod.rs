//! Records of published orders, so that every process serves the same order, also after a restart.
//!
//! A record is written once and never changed. It is a copy of what can be made again, so it is not on stable storage:
//! after a power cut it may be missing or damaged. Readers check what they read and treat a damaged record as missing.
//! A record is kept until a while after its last page, or until all records take more bytes than the engine's bound;
//! then the one whose last page is the oldest goes first.

mod file;
mod redis;
mod spooled;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use eyeline_core::{GalleryId, OrderId, Timestamp};

use crate::error::{Error, Result};
use crate::redis_client::{Address, Installation};
use crate::scheme::Scheme;

/// The engines of order records.
pub const SCHEMES: &[Scheme] = &[
    Scheme::embedded("file:", "folder"),
    Scheme::shared("redis://", "Redis"),
    Scheme::shared("rediss://", "Redis"),
    Scheme::shared("redis-cluster://", "Redis Cluster"),
    Scheme::shared("rediss-cluster://", "Redis Cluster"),
];

/// The name of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey {
    pub gallery_id: GalleryId,
    pub order_id: OrderId,
}

impl OrderKey {
    /// Its name in an engine.
    fn name(&self) -> String {
        format!("{}.{}", self.gallery_id.0.simple(), self.order_id.0.simple())
    }
}

/// The bytes of a record in pieces, made while they are written. The iterator may compute for a while.
pub type Pieces = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// Makes the pieces of a record, the same at every call.
pub type Record = Arc<dyn Fn() -> Pieces + Send + Sync>;

/// A part of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The requested range, cut to the record's length.
    pub bytes: Bytes,
    /// The time of the last page, as [`OrderRecords::put`] or [`OrderRecords::mark_served`] was told. The end of time if
    /// other processes may have served one meanwhile.
    pub served_at: Timestamp,
}

/// An open question to the owner of a gallery.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    pub gallery_id: GalleryId,
    /// Has letters, digits, `_` and `-`.
    pub text: String,
    pub asked_at: Timestamp,
}

/// The most open questions. A question beyond it is refused, unless others have been open for [`QUESTION_KEPT`].
pub const QUESTIONS_MAX: usize = 1_000;
/// The time after which an open question makes room for another one.
pub const QUESTION_KEPT: Duration = Duration::from_secs(60);
/// The time for which the answer to a question is kept.
pub const ANSWER_KEPT: Duration = Duration::from_secs(10);
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The state of the records that this process knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub records: u64,
    /// Their bytes as the bound counts them: whole blocks of 4 KiB.
    pub bytes: u64,
    /// The shortest time from its last page for which a record was kept, among those that the bound removed since the
    /// last sweep but one; `None` if it removed none.
    pub shortest_kept: Option<Duration>,
}

#[async_trait]
pub trait OrderRecords: Send + Sync + 'static {
    /// Stores a record whose last page is served at `served_at`, then removes others beyond the bound. A record that
    /// exceeds the bound alone is refused. A reader sees the whole record or none.
    async fn put(&self, key: OrderKey, served_at: Timestamp, record: Record) -> Result<()>;

    /// Reads `range` of a record. `None` if it is missing.
    async fn read(&self, key: OrderKey, range: Range<u64>) -> Result<Option<Part>>;

    /// Notes that a page was served. False if the record is missing.
    async fn mark_served(&self, key: OrderKey, served_at: Timestamp) -> Result<bool>;

    /// Makes `order_id` the newest order of a variant of the gallery, at `now`. False if a greater id is the newest; then
    /// that one stays. `variant` has letters, digits, `_` and `-`.
    async fn set_newest(&self, gallery_id: GalleryId, variant: &str, order_id: OrderId, now: Timestamp)
    -> Result<bool>;

    /// The greatest id that was set. Its record may be missing.
    async fn newest(&self, gallery_id: GalleryId, variant: &str) -> Result<Option<OrderId>>;

    /// Asks the owner of the gallery. An open question is not asked twice. `text` has letters, digits, `_` and `-`.
    /// `Unavailable` if [`QUESTIONS_MAX`] others are open.
    async fn ask(&self, gallery_id: GalleryId, text: &str, now: Timestamp) -> Result<()>;

    /// The open questions.
    async fn asked(&self) -> Result<Vec<Question>>;

    /// True if the question is open.
    async fn is_asked(&self, gallery_id: GalleryId, text: &str) -> Result<bool>;

    /// Closes a question. An answer is kept for [`ANSWER_KEPT`]; it has at most [`ANSWER_BYTES_MAX`].
    async fn answer(&self, gallery_id: GalleryId, text: &str, answer: Option<Bytes>) -> Result<()>;

    /// The answer to a question.
    async fn answered(&self, gallery_id: GalleryId, text: &str) -> Result<Option<Bytes>>;

    /// Stores the records again that the engine has lost as a whole, from this process's own copies. True if it was
    /// lost since the last call, or this is the first one.
    async fn restore(&self, _now: Timestamp) -> Result<bool> {
        Ok(false)
    }

    /// False while a missing record may still be restored, because the engine has lost all records lately.
    async fn is_settled(&self) -> Result<bool> {
        Ok(true)
    }

    /// Removes the records whose last page is older than `unused_since`, questions older than that, and records beyond
    /// the bound. A newest id is forgotten a day later.
    async fn sweep(&self, unused_since: Timestamp) -> Result<()>;

    fn usage(&self) -> Usage;
}

/// The bound of the records in a folder, and in Redis, in MiB.
const FOLDER_MEGABYTES: u32 = 256;
const REDIS_MEGABYTES: u32 = 1024;

/// Opens `file:PATH`, with a bound of 256 MiB, or Redis with the URL of a cache (see [`crate::cache::open`]), with a bound
/// of 1 GiB. `?mb=64` at the end sets another bound. Creates a missing folder; processes of one machine may share it. A
/// Redis that is away is no error. Beside Redis, the folder `copies` keeps the records of this process, within the same
/// bound, until a flushed Redis needs them again.
pub async fn open(url: &str, copies: &Path, installation: &Installation) -> Result<Arc<dyn OrderRecords>> {
    let (place, megabytes) = parse(url).map_err(|wrong| Error::Conflict(format!("the URL of the orders {wrong}")))?;
    match place.strip_prefix("file:") {
        Some(path) => {
            let path = path.strip_prefix("//").unwrap_or(path);
            let bytes_max = bytes(megabytes.unwrap_or(FOLDER_MEGABYTES));
            Ok(Arc::new(file::Folder::open(path.into(), bytes_max).await?))
        }
        None => {
            let bytes_max = bytes(megabytes.unwrap_or(REDIS_MEGABYTES));
            let shared = redis::RedisOrders::open(place, bytes_max, installation).await?;
            let copies = file::Folder::open(copies.to_owned(), bytes_max).await?;
            Ok(Arc::new(spooled::Spooled::new(shared, copies)))
        }
    }
}

/// Checks the URL of the orders. The error completes "the URL …" and holds no password.
pub fn check_url(url: &str) -> Result<(), String> {
    parse(url).map(drop)
}

/// The URL without its bound, and the bound in MiB.
fn parse(url: &str) -> Result<(&str, Option<u32>), String> {
    let (place, megabytes) = match url.rsplit_once("?mb=") {
        None => (url, None),
        Some((place, text)) => {
            let wrong = |_| "has to end with a whole number after ?mb=".to_owned();
            (place, Some(text.parse().map_err(wrong)?))
        }
    };
    match Scheme::of(place, SCHEMES) {
        None => Err(format!("has to start with {}", Scheme::starts(SCHEMES))),
        Some(scheme) if scheme.is_shared => Address::parse(place).map(|_| (place, megabytes)),
        Some(_) => Ok((place, megabytes)),
    }
}

fn too_many_questions() -> Error {
    Error::unavailable(format!("{QUESTIONS_MAX} questions to the owners of galleries are open"))
}

fn check_answer(answer: Option<&Bytes>) -> Result<()> {
    match answer {
        Some(answer) if answer.len() > ANSWER_BYTES_MAX => {
            Err(Error::internal("answering a question", format!("the answer has {} bytes", answer.len())))
        }
        _ => Ok(()),
    }
}

fn bytes(megabytes: u32) -> u64 {
    u64::from(megabytes) * 1024 * 1024
}

/// The bytes that a record of this size counts towards the bound: whole blocks, so that the number of small ones is
/// bounded too.
fn charged(bytes: u64) -> u64 {
    const BLOCK_BYTES: u64 = 4096;
    bytes.max(1).next_multiple_of(BLOCK_BYTES)
}
