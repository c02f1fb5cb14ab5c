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

/// Opens `memory:`, with a bound of 64 MiB, or as in `memory:?mb=64`.
pub async fn open(url: &str) -> Result<Arc<dyn Cache>> {
    if let Some(rest) = url.strip_prefix("memory:") {
        let megabytes = rest.strip_prefix("?mb=").and_then(|text| text.parse().ok()).unwrap_or(64);
        return Ok(Arc::new(memory::MemoryCache::new(megabytes * 1024 * 1024)));
    }
    Err(Error::Conflict("the cache's URL has to start with memory:".to_owned()))
}
