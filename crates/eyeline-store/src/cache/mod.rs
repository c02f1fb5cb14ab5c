//! A cache of bytes that are costly to read. Losing an entry changes no answer.

mod memory;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Error, Result};

#[async_trait]
pub trait Cache: Send + Sync + 'static {
    async fn get(&self, key: &str) -> Result<Option<Bytes>>;

    /// Keeps `value` for at most `time_to_live`. It may be dropped earlier.
    async fn set(&self, key: &str, value: Bytes, time_to_live: Duration) -> Result<()>;

    async fn remove(&self, key: &str) -> Result<()>;
}

/// The bound of a cache in memory, in MiB.
const MEGABYTES: u64 = 48;

/// Opens `memory:`, with a bound of 48 MiB, or as in `memory:?mb=48`.
pub async fn open(url: &str) -> Result<Arc<dyn Cache>> {
    let unknown = || Error::Conflict("the cache's URL has to start with memory:".to_owned());
    Ok(Arc::new(memory::MemoryCache::new(bytes_max(url).ok_or_else(unknown)?)))
}

/// The most bytes that a cache with this URL takes in this process; `None` for an unknown URL.
pub fn bytes_max(url: &str) -> Option<u64> {
    let rest = url.strip_prefix("memory:")?;
    let megabytes = rest.strip_prefix("?mb=").and_then(|text| text.parse().ok()).unwrap_or(MEGABYTES);
    Some(megabytes.saturating_mul(1024 * 1024))
}
