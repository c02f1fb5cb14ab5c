//! Fan-out within the process: one bounded channel for each topic that has listeners.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use super::{BACKLOG_MAX, Hint, PubSub, check};
use crate::error::Result;

/// New channels after which those without a listener are removed, or as many as have one if that is more.
const FORGOTTEN_MAX: usize = 64;

#[derive(Default)]
pub(super) struct MemoryPubSub {
    topics: Mutex<Topics>,
}

#[derive(Default)]
struct Topics {
    channels: HashMap<String, broadcast::Sender<Hint>>,
    /// Channels created since the last removal.
    made: usize,
}

impl Topics {
    fn channel(&mut self, topic: &str) -> &broadcast::Sender<Hint> {
        if !self.channels.contains_key(topic) {
            self.made += 1;
            if self.made > self.channels.len() / 2 + FORGOTTEN_MAX / 2 {
                self.channels.retain(|_, channel| channel.receiver_count() > 0);
                self.made = 0;
            }
        }
        self.channels.entry(topic.to_owned()).or_insert_with(|| broadcast::channel(BACKLOG_MAX).0)
    }
}

impl MemoryPubSub {
    fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message to the listeners of a topic.
    pub fn deliver(&self, topic: &str, message: Bytes) {
        let channels = &mut self.topics().channels;
        // Sending fails only without a listener: then the topic is removed.
        if let Some(channel) = channels.get(topic)
            && channel.send(Hint::Message(message)).is_err()
        {
            channels.remove(topic);
        }
    }

    /// Tells every listener that messages were missed.
    pub fn deliver_lagged(&self) {
        self.topics().channels.retain(|_, channel| channel.send(Hint::Lagged).is_ok());
    }
}

#[async_trait]
impl PubSub for MemoryPubSub {
    async fn publish(&self, topic: &str, message: Bytes) -> Result<()> {
        check(topic, &message)?;
        self.deliver(topic, message);
        Ok(())
    }

    async fn subscribe(&self, topic: &str) -> Result<BoxStream<'static, Hint>> {
        check(topic, &[])?;
        let hints = BroadcastStream::new(self.topics().channel(topic).subscribe());
        Ok(hints.map(|heard| heard.unwrap_or_else(|BroadcastStreamRecvError::Lagged(_)| Hint::Lagged)).boxed())
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn topics_that_nobody_listens_to_are_forgotten() {
        let pubsub = MemoryPubSub::default();
        let mut listening = pubsub.subscribe("kept").await.expect("a topic");
        for number in 0..10_000 {
            drop(pubsub.subscribe(&number.to_string()).await.expect("a topic"));
        }
        assert!(pubsub.topics.lock().expect("the topics").channels.len() <= 2 * FORGOTTEN_MAX);
        pubsub.publish("kept", Bytes::from_static(b"news")).await.expect("published");
        assert_eq!(listening.next().await, Some(Hint::Message(Bytes::from_static(b"news"))));
    }
}
