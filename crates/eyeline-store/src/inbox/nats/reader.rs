//! Reads messages: from the cache, else many at a time from any server that has them.
//!
//! A server that lags behind lacks the newest messages. Where it has no more, the leader is asked for the newest
//! sequence, and for the message itself if there is one.

use async_nats::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::connection::Failure;
use super::{Shared, streams};
use crate::error::{Error, Result};

/// The most messages and bytes of one answer.
const MESSAGES_MAX: usize = 1_024;
pub(super) const BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most answers that are read at the same time.
pub(super) const READS_MAX: usize = 4;
/// The code of JetStream for a message that is not there.
const MESSAGE_NOT_FOUND: u64 = 10037;

impl Shared {
    /// The messages from `first` on, oldest first, or later ones if the first were deleted. Empty if there are none.
    pub(super) async fn load(&self, partition: u32, first: u64, until: Instant) -> Result<Vec<(u64, Bytes)>> {
        // One reader at a time loads; the others then find the same messages in the cache.
        let _turn = tokio::time::timeout_at(until, self.turn(partition).lock()).await.map_err(|_| slow())?;
        let cached = self.cache.from(partition, first, BYTES_MAX);
        if !cached.is_empty() {
            return Ok(cached);
        }
        let _read = tokio::time::timeout_at(until, self.reads.acquire()).await.map_err(|_| slow())?;
        let mut messages = self.fetch(partition, first, until).await.unwrap_or_else(|failure| {
            // The leader may answer where another server does not.
            tracing::debug!(%failure, partition, "messages could not be read directly");
            Vec::new()
        });
        if messages.is_empty() {
            let known = self.known(partition);
            let newest = self.newest(partition, until).await?;
            if newest.max(known) < first {
                return Ok(Vec::new());
            }
            messages.extend(self.fetch_from_leader(partition, first, until).await?);
            if messages.is_empty() && newest < known {
                return Err(Error::unavailable("NATS: the leader of a stream lags behind what it acknowledged"));
            }
        }
        for (sequence, message) in &messages {
            self.cache.insert(partition, *sequence, message.clone());
        }
        if let Some((last, _)) = messages.last() {
            self.note_known(partition, *last);
        }
        Ok(messages)
    }

    /// The newest sequence, as the leader knows it.
    pub(super) async fn newest(&self, partition: u32, until: Instant) -> Result<u64> {
        let hinted = self.hinted(partition);
        let name = self.streams.name(partition);
        match streams::info(&self.connection, &name, until).await {
            Ok(info) => {
                self.note_known(partition, info.state.last_seq);
                self.take_back_hint(partition, hinted, info.state.last_seq);
                Ok(info.state.last_seq)
            }
            Err(failure) if failure.is_not_found() => Err(streams::deleted(&name)),
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// Messages from any server. It may have fewer than there are.
    async fn fetch(&self, partition: u32, first: u64, until: Instant) -> Result<Vec<(u64, Bytes)>, Failure> {
        let subject = format!("$JS.API.DIRECT.GET.{}", self.streams.name(partition));
        let wanted = json!({"seq": first, "batch": MESSAGES_MAX, "max_bytes": BYTES_MAX}).to_string();
        // One more for the end.
        let mut answers =
            self.connection.ask(subject, HeaderMap::new(), wanted.into(), MESSAGES_MAX + 1, until).await?;
        let mut messages: Vec<(u64, Bytes)> = Vec::new();
        loop {
            let answer = match answers.next(until).await {
                Ok(answer) if answer.status.is_none() => answer,
                Ok(_) => return Ok(messages),
                // What has come is whole.
                Err(_) if !messages.is_empty() => return Ok(messages),
                Err(failure) => return Err(failure),
            };
            let header = |name| answer.headers.as_ref().and_then(|headers| headers.get(name));
            let sequence = header("Nats-Sequence").and_then(|sequence| sequence.as_str().parse().ok());
            let follows = |sequence: u64| match messages.last() {
                Some((last, _)) => sequence == last + 1,
                None => sequence >= first,
            };
            let Some(sequence) = sequence.filter(|sequence| follows(*sequence)) else { return Ok(messages) };
            messages.push((sequence, answer.payload));
        }
    }

    /// The first message from `first` on, if the leader has one.
    async fn fetch_from_leader(&self, partition: u32, first: u64, until: Instant) -> Result<Option<(u64, Bytes)>> {
        #[derive(Deserialize)]
        struct Answer {
            message: Message,
        }
        #[derive(Deserialize)]
        struct Message {
            seq: u64,
            #[serde(default)]
            data: String,
        }
        let name = format!("STREAM.MSG.GET.{}", self.streams.name(partition));
        let wanted = json!({"seq": first, "next_by_subj": self.streams.subject(partition)});
        match self.connection.api::<Answer>(&name, &wanted, until).await {
            Ok(Answer { message: Message { seq, data } }) => {
                let damaged = |error| Error::Corrupt(format!("message {seq} of {name}: {error}"));
                Ok(Some((seq, STANDARD.decode(data).map_err(damaged)?.into())))
            }
            Err(failure) if failure.code() == MESSAGE_NOT_FOUND => Ok(None),
            Err(failure) => Err(failure.into_error()),
        }
    }
}

fn slow() -> Error {
    Error::unavailable("NATS: reading takes too long")
}
