//! Bytes kept for a while to spare a costlier read. Losing any of them changes no answer.

mod memory;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Error, Result};

#[async_trait]
pub trait Cache: Send + Sync + 'static {
    async fn get(&self, key: &str) -> Result<Option<Bytes>>;

    /// Keeps `value` for `time_to_live` at the most; it may go earlier.
    async fn set(&self, key: &str, value: Bytes, time_to_live: Duration) -> Result<()>;

    async fn remove(&self, key: &str) -> Result<()>;
}

/// Opens `memory:`; `memory:?mb=64` bounds it (default 64 MiB).
pub async fn open(url: &str) -> Result<Arc<dyn Cache>> {
    if let Some(rest) = url.strip_prefix("memory:") {
        let megabytes = rest.strip_prefix("?mb=").and_then(|text| text.parse().ok()).unwrap_or(64);
        return Ok(Arc::new(memory::MemoryCache::new(megabytes * 1024 * 1024)));
    }
    Err(Error::Conflict("the cache's URL has to start with memory:".to_owned()))
}
