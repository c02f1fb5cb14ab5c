//! Fan-out within the process: one bounded channel a topic, kept while somebody listens.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use super::{Hint, PubSub};
use crate::error::Result;

/// Messages a slow listener may be behind before it is told that it missed some.
const BACKLOG_MAX: usize = 256;

#[derive(Default)]
pub(super) struct MemoryPubSub {
    topics: Mutex<HashMap<String, broadcast::Sender<Bytes>>>,
}

#[async_trait]
impl PubSub for MemoryPubSub {
    async fn publish(&self, topic: &str, message: Bytes) -> Result<()> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        // Sending fails only when the last listener has gone: then the topic goes too.
        if let Some(sender) = topics.get(topic)
            && sender.send(message).is_err()
        {
            topics.remove(topic);
        }
        Ok(())
    }

    async fn subscribe(&self, topic: &str) -> Result<BoxStream<'static, Hint>> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = topics.entry(topic.to_owned()).or_insert_with(|| broadcast::channel(BACKLOG_MAX).0);
        let hints = BroadcastStream::new(sender.subscribe()).map(|heard| match heard {
            Ok(message) => Hint::Message(message),
            Err(BroadcastStreamRecvError::Lagged(_)) => Hint::Lagged,
        });
        Ok(hints.boxed())
    }
}
