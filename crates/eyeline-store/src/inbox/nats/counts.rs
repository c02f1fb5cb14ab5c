//! The numbers of events in messages, without the events.

use std::collections::VecDeque;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::StreamExt as _;
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::super::Offset;
use super::connection::Failure;
use super::{Shared, message};
use crate::error::Result;

/// The most messages of a partition whose numbers of events are kept. Beyond it the oldest are dropped and read again
/// when they are asked for.
const KEPT_MAX: usize = 256 * 1024;
/// The memory of one partition's numbers.
pub(super) const BYTES_MAX: usize = KEPT_MAX * size_of::<u16>();
/// So few messages are read whole, which leaves them in the cache; of more only the headers.
const WHOLE_MAX: u64 = 64;
/// The most headers of one answer.
const HEADERS_MAX: usize = 2_000;
/// A consumer that was not deleted ends by itself after this time.
const CONSUMER_KEPT_NANOS: u64 = 10_000_000_000;

/// Numbers of events of successive messages. Zero for one that is gone.
#[derive(Default)]
pub(super) struct Counts {
    /// Messages from here on are known; those before `first` are gone.
    from: u64,
    first: u64,
    counts: VecDeque<u16>,
}

impl Counts {
    fn end(&self) -> u64 {
        self.first + self.counts.len() as u64
    }

    /// Drops what is before `first`, and everything if nothing is known of it.
    fn begin_at(&mut self, first: u64) {
        if first < self.from || first > self.end() {
            *self = Counts { from: first, first, counts: VecDeque::new() };
        }
        self.from = first;
        while self.first < first && self.counts.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// Adds the message with this sequence. Those between were deleted.
    fn add(&mut self, sequence: u64, count: u32) {
        if self.counts.is_empty() {
            self.first = sequence.max(self.first);
        }
        while self.end() < sequence {
            self.counts.push_back(0);
        }
        if self.end() == sequence {
            self.counts.push_back(u16::try_from(count).unwrap_or(u16::MAX));
        }
    }

    /// The events after `after`.
    fn after(&self, after: Offset) -> u64 {
        let counts = (self.first..).zip(&self.counts);
        counts.map(|(sequence, count)| message::count_after(sequence, (*count).into(), after)).sum()
    }

    fn keep_within_bound(&mut self) {
        let surplus = self.counts.len().saturating_sub(KEPT_MAX);
        self.counts.drain(..surplus);
        self.first += surplus as u64;
        if surplus > 0 {
            self.from = self.first;
        }
    }
}

impl Shared {
    /// The number of kept events after `after`.
    pub(super) async fn count(&self, partition: u32, after: Offset, until: Instant) -> Result<u64> {
        let newest = self.newest(partition, until).await?.max(self.known(partition));
        let first = message::first_sequence_after(after);
        let mut counts = self.counts(partition).lock().await;
        counts.begin_at(first);
        while counts.end() <= newest {
            let missing = newest + 1 - counts.end();
            let before = counts.end();
            let cached = self.cache.from(partition, before, usize::MAX);
            if !cached.is_empty() {
                cached.iter().for_each(|(sequence, whole)| counts.add(*sequence, message::count(whole)));
            } else if missing <= WHOLE_MAX {
                let messages = self.load(partition, before, until).await?;
                messages.iter().for_each(|(sequence, whole)| counts.add(*sequence, message::count(whole)));
            } else {
                self.count_headers(partition, &mut counts, until).await?;
            }
            if counts.end() == before {
                // Deleted by someone else, up to the newest.
                break;
            }
        }
        let events = counts.after(after);
        counts.keep_within_bound();
        Ok(events)
    }

    /// Reads the headers of all messages from the end of `counts` on, through a consumer that lives only for this.
    async fn count_headers(&self, partition: u32, counts: &mut Counts, until: Instant) -> Result<()> {
        let stream = self.streams.name(partition);
        let name = format!("eyeline-{}", Uuid::from_bytes(crate::inbox::random()?).simple());
        let consumer = json!({
            "stream_name": stream,
            "action": "create",
            "config": {
                "name": name,
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": counts.end(),
                "ack_policy": "none",
                "replay_policy": "instant",
                "headers_only": true,
                "mem_storage": true,
                "num_replicas": 1,
                "inactive_threshold": CONSUMER_KEPT_NANOS,
            },
        });
        let created = format!("CONSUMER.CREATE.{stream}.{name}");
        let created = self.connection.api::<IgnoredAny>(&created, &consumer, until);
        created.await.map_err(Failure::into_error)?;
        let outcome = self.count_pages(&stream, &name, counts, until).await;
        let deleted = format!("CONSUMER.DELETE.{stream}.{name}");
        if let Err(failure) = self.connection.api::<IgnoredAny>(&deleted, &serde_json::Value::Null, until).await {
            tracing::debug!(%failure, "a consumer ends by itself");
        }
        outcome.map_err(Failure::into_error)
    }

    async fn count_pages(
        &self,
        stream: &str,
        consumer: &str,
        counts: &mut Counts,
        until: Instant,
    ) -> Result<(), Failure> {
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
        let wanted = Bytes::from(json!({"batch": HEADERS_MAX, "no_wait": true}).to_string());
        let (reply, mut headers) = self.connection.subscribe(until).await?;
        loop {
            let none = HeaderMap::new();
            self.connection.publish(subject.clone(), reply.clone(), none, wanted.clone(), until).await?;
            for _ in 0..HEADERS_MAX {
                let slow = |_| Failure::Away("no answer in time".to_owned());
                let next = tokio::time::timeout_at(until, headers.next()).await.map_err(slow)?;
                let next = next.ok_or_else(|| Failure::Away("the connection was closed".to_owned()))?;
                if next.status.is_some() {
                    return Ok(());
                }
                let Some(sequence) = next.reply.as_deref().and_then(sequence) else {
                    return Err(Failure::Away("a message without a sequence".to_owned()));
                };
                let count = next.headers.as_ref().and_then(|headers| headers.get(message::COUNT));
                counts.add(sequence, count.and_then(|count| count.as_str().parse().ok()).unwrap_or(1));
            }
        }
    }
}

/// The sequence in the stream, from the subject on which a message would be acknowledged.
fn sequence(reply: &str) -> Option<u64> {
    let parts: Vec<&str> = reply.split('.').collect();
    // A domain and an account stand before the stream in the newer form.
    let place = if parts.len() >= 11 { 7 } else { 5 };
    parts.get(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_in_both_forms_of_a_reply() {
        assert_eq!(sequence("$JS.ACK.eyeline-0.c.1.42.7.1700000000.3"), Some(42));
        assert_eq!(sequence("$JS.ACK._.hash.eyeline-0.c.1.42.7.1700000000.3.random"), Some(42));
        assert_eq!(sequence("_INBOX.x"), None);
    }

    #[test]
    fn numbers_follow_what_is_read_and_forgotten() {
        let mut counts = Counts::default();
        counts.begin_at(5);
        counts.add(5, 10);
        counts.add(7, 3);
        assert_eq!((counts.first, counts.end()), (5, 8));
        assert_eq!(counts.after(message::last_offset(4)), 13);
        assert_eq!(counts.after(message::last_offset(5)), 3);
        counts.begin_at(7);
        assert_eq!((counts.first, counts.end()), (7, 8));
        counts.begin_at(3);
        assert_eq!((counts.first, counts.end()), (3, 3), "nothing is known from there on");
        counts.add(1_000_000_000, 9);
        assert_eq!(counts.counts.len(), 1, "what is gone takes no memory");
        counts.begin_at(3);
        assert_eq!(counts.after(message::last_offset(2)), 9, "and is known to be gone");
    }
}
