//! Hints between processes that something changed. The catalog is authoritative.
//!
//! # Contract
//!
//! * **A hint is no promise.** It may be lost or arrive twice. A listener must also look by itself from time to time; a
//!   hint only makes it look sooner.
//! * **Own process.** A message that is published after [`PubSub::subscribe`] returned reaches the listeners of the same
//!   process before [`PubSub::publish`] returns, whatever the state of the engine.
//! * **Other processes** of the installation hear it soon after, if they share the engine. Other installations never
//!   hear it, even on one engine.
//! * **Order.** Messages of one process on one topic arrive in the order in which it published them. Those of several
//!   processes may arrive in different orders.
//! * **Loss.** A listener that lost messages receives [`Hint::Lagged`] in their place: when it is more than
//!   [`BACKLOG_MAX`] messages behind, and on every topic once the engine is back after it was away, also if the
//!   publisher alone could not reach it. The last hints of a process that dies may be lost without a sign.
//! * **Time.** No call waits for the network. `publish` hands over a message; while the engine is away, or too much
//!   waits, only this process hears it.
//! * **Bounds.** A topic has at most [`TOPIC_BYTES_MAX`] bytes, a message at most [`MESSAGE_BYTES_MAX`]; a larger one is
//!   refused and reaches nobody. Messages are binary.
//! * **End.** A stream does not end while its engine exists.

mod memory;
mod redis;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::cache::check_url;
use crate::error::{Error, Result};
use crate::redis_client::{Address, Installation};

/// The most bytes of a topic.
pub const TOPIC_BYTES_MAX: usize = 256;
/// The most bytes of a message.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Messages that a slow listener may be behind before it receives [`Hint::Lagged`].
pub const BACKLOG_MAX: usize = 256;

/// A message to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    Message(Bytes),
    /// Messages were missed: read the catalog again.
    Lagged,
}

/// See the [contract](self).
#[async_trait]
pub trait PubSub: Send + Sync + 'static {
    async fn publish(&self, topic: &str, message: Bytes) -> Result<()>;

    /// Yields the messages published from now on. Dropping the stream ends the subscription.
    async fn subscribe(&self, topic: &str) -> Result<BoxStream<'static, Hint>>;

    /// Succeeds if messages reach other processes.
    async fn ping(&self) -> Result<()>;
}

fn check(topic: &str, message: &[u8]) -> Result<()> {
    if topic.len() > TOPIC_BYTES_MAX || message.len() > MESSAGE_BYTES_MAX {
        return Err(Error::Refused(format!(
            "a hint has a topic of at most {TOPIC_BYTES_MAX} bytes and at most {MESSAGE_BYTES_MAX} bytes"
        )));
    }
    Ok(())
}

/// Opens `memory:`, or Redis with the URL of the cache: see [`crate::cache::open`]. A Redis that is away is no error.
pub async fn open(url: &str, installation: &Installation) -> Result<Arc<dyn PubSub>> {
    check_url(url).map_err(|wrong| Error::Conflict(format!("the cache's URL {wrong}")))?;
    if Address::is_meant(url) {
        return Ok(Arc::new(redis::RedisPubSub::open(url, installation).await?));
    }
    Ok(Arc::new(memory::MemoryPubSub::default()))
}
