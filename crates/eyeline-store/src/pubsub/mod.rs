//! Hints between processes that something changed. The catalog is authoritative: a hint may be lost or arrive twice.

mod memory;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::error::{Error, Result};

/// A message to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    Message(Bytes),
    /// Messages were missed: read the catalog again.
    Lagged,
}

#[async_trait]
pub trait PubSub: Send + Sync + 'static {
    async fn publish(&self, topic: &str, message: Bytes) -> Result<()>;

    /// Yields the messages published from now on. Dropping the stream ends the subscription.
    async fn subscribe(&self, topic: &str) -> Result<BoxStream<'static, Hint>>;
}

/// Opens `memory:`.
pub async fn open(url: &str) -> Result<Arc<dyn PubSub>> {
    if url.starts_with("memory:") {
        return Ok(Arc::new(memory::MemoryPubSub::default()));
    }
    Err(Error::Conflict("the cache's URL has to start with memory:".to_owned()))
}
