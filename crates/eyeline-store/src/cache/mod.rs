//! A cache of bytes that are costly to read. Losing an entry changes no answer.
//!
//! # Contract
//!
//! * **Loss.** Any entry may be missing at any time: it expired, was evicted or flushed, or the engine is away. The
//!   caller then reads from the source. An error of [`Cache::get`] therefore counts as a miss, and one of
//!   [`Cache::set`] is no failure.
//! * **Truth.** `get` returns a value exactly as it was set under that key by a process of this installation, or
//!   nothing. A value that was cut, changed or written by somebody else is a miss. Values are binary.
//! * **Age.** After `set` or `remove` has succeeded, no earlier value of the key is returned in this process. After an
//!   error an earlier one may be returned until its time to live ends. A value that changes therefore belongs under a
//!   key that changes with it.
//! * **Sharing.** Processes of an installation may share an engine; then each sees what the others set. Two
//!   installations never see each other's entries, even on one engine.
//! * **Time.** Each call ends within about [`DEADLINE`]. While the engine is away, calls fail without waiting, and the
//!   engine is found again within a few seconds of its return.
//! * **Bounds.** A key has at most [`KEY_BYTES_MAX`] bytes, a value at most [`VALUE_BYTES_MAX`]; a larger one is not
//!   kept, which is no error. Calls that would exceed the engine's bound on outstanding bytes fail without waiting.

mod counted;
mod memory;
mod redis;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use self::counted::Counted;
use crate::error::{Error, Result};
pub use crate::redis_client::DEADLINE;
use crate::redis_client::{Address, Installation};
use crate::scheme::Scheme;

/// The engines of cache and fan-out.
pub const SCHEMES: &[Scheme] = &[
    Scheme::embedded("memory:", "memory"),
    Scheme::shared("redis://", "Redis"),
    Scheme::shared("rediss://", "Redis"),
    Scheme::shared("redis-cluster://", "Redis Cluster"),
    Scheme::shared("rediss-cluster://", "Redis Cluster"),
];

/// The most bytes of a key.
pub const KEY_BYTES_MAX: usize = 512;
/// The most bytes of a value.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// See the [contract](self).
#[async_trait]
pub trait Cache: Send + Sync + 'static {
    async fn get(&self, key: &str) -> Result<Option<Bytes>>;

    /// Keeps `value` for at most `time_to_live`. It may be dropped earlier.
    async fn set(&self, key: &str, value: Bytes, time_to_live: Duration) -> Result<()>;

    async fn remove(&self, key: &str) -> Result<()>;

    /// Succeeds if the engine answers.
    async fn ping(&self) -> Result<()>;

    /// The calls of this process so far. Engines that [`open`] returns count theirs.
    fn usage(&self) -> Usage {
        Usage::default()
    }
}

/// Calls by their outcome; each took at most one round trip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls of [`Cache::get`] that found a value, and those that found none.
    pub hits: u64,
    pub misses: u64,
    /// Calls of [`Cache::set`] and [`Cache::remove`].
    pub writes: u64,
    /// Calls that the engine did not answer.
    pub failures: u64,
}

/// True if an entry is too large to be kept.
fn is_too_large(key: &str, value: &[u8]) -> bool {
    key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX
}

/// A cache in memory for what one process remembers for a short time, beside the cache of the installation.
pub const NEAR_URL: &str = "memory:?mb=8";

/// The bound of a cache in memory, in MiB.
const MEGABYTES: u64 = 48;

/// Opens `memory:`, with a bound of 48 MiB, or as in `memory:?mb=48`; or Redis: `redis://HOST:PORT/DATABASE`,
/// `rediss://…` with TLS, `redis-cluster://HOST:PORT,HOST:PORT` and `rediss-cluster://…`. A Redis that is away is no
/// error.
pub async fn open(url: &str, installation: &Installation) -> Result<Arc<dyn Cache>> {
    check_url(url).map_err(|wrong| Error::Conflict(format!("the cache's URL {wrong}")))?;
    match megabytes(url) {
        Some(megabytes) => {
            let engine = memory::MemoryCache::new(megabytes.saturating_mul(1024 * 1024));
            Ok(Arc::new(Counted::new(engine)))
        }
        None => Ok(Arc::new(Counted::new(redis::RedisCache::open(url, installation).await?))),
    }
}

/// Checks the URL of cache and fan-out. The error completes "the URL …" and holds no password.
pub fn check_url(url: &str) -> Result<(), String> {
    if megabytes(url).is_some() {
        return Ok(());
    }
    if url.starts_with("memory:") {
        return Err("has to be memory: or memory:?mb= with a whole number".to_owned());
    }
    if !Address::is_meant(url) {
        return Err(format!("has to start with {}", Scheme::starts(SCHEMES)));
    }
    Address::parse(url).map(drop)
}

/// The most bytes that a cache with this URL takes in this process; `None` for an unknown URL.
pub fn bytes_max(url: &str) -> Option<u64> {
    let of_redis = || Address::is_meant(url).then_some(crate::redis_client::LANE_BYTES_MAX as u64);
    megabytes(url).map(|megabytes| megabytes.saturating_mul(1024 * 1024)).or_else(of_redis)
}

fn megabytes(url: &str) -> Option<u64> {
    match url.strip_prefix("memory:")? {
        "" => Some(MEGABYTES),
        rest => rest.strip_prefix("?mb=")?.parse().ok(),
    }
}
