//! Fan-out through Redis or Valkey: one channel for an installation, which every process reads as a whole.
//!
//! In a cluster each node passes messages on to all others, so any node will do. A process delivers its own messages
//! itself, and recognises them when they come back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use redis::{ErrorKind, RedisError, RedisResult};
use tokio::sync::oneshot;

use super::memory::MemoryPubSub;
use super::{Hint, PubSub, check};
use crate::error::{Error, Result};
use crate::redis_client::{Address, Backoff, CONNECT_DEADLINE, Installation, Lane, Seal, connect};

/// The interval at which the thread looks whether it has to end.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Each process publishes a beat at this interval, or word that its messages were lost.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// A process that does not even hear its own beats for so long connects again.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Its thread ends when it is dropped.
pub(super) struct RedisPubSub(Arc<Shared>);

struct Shared {
    local: MemoryPubSub,
    lane: Lane,
    channel: String,
    seal: Seal,
    /// Drawn at random, so that a process recognises its own messages.
    sender: [u8; 16],
    hears: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hint = 0,
    /// Messages of the sender were lost.
    Lost = 1,
    Beat = 2,
}

impl RedisPubSub {
    /// Starts the thread, and waits at most one second until it listens.
    pub async fn open(url: &str, installation: &Installation) -> Result<Self> {
        let address = Address::parse(url).map_err(|wrong| Error::Conflict(format!("the cache's URL {wrong}")))?;
        let mut sender = [0; 16];
        getrandom::fill(&mut sender).map_err(|error| Error::internal("drawing a name", error))?;
        let shared = Arc::new(Shared {
            local: MemoryPubSub::default(),
            lane: Lane::open(address.clone(), "redis-publish").await?,
            channel: format!("eyeline:{}:hints", installation.id.simple()),
            seal: Seal::new(&installation.key),
            sender,
            hears: AtomicBool::new(false),
        });
        let (tried, first) = oneshot::channel();
        let ear = Ear { address, shared: Arc::downgrade(&shared) };
        let thread = std::thread::Builder::new().name("redis-hear".to_owned()).spawn(move || ear.run(tried));
        thread.map_err(|error| Error::internal("starting a thread for Redis", error))?;
        let _ = tokio::time::timeout(CONNECT_DEADLINE, first).await;
        Ok(RedisPubSub(shared))
    }
}

#[async_trait]
impl PubSub for RedisPubSub {
    async fn publish(&self, topic: &str, message: Bytes) -> Result<()> {
        check(topic, &message)?;
        self.0.send(Kind::Hint, topic, &message);
        self.0.local.deliver(topic, message);
        Ok(())
    }

    async fn subscribe(&self, topic: &str) -> Result<BoxStream<'static, Hint>> {
        self.0.local.subscribe(topic).await
    }

    async fn ping(&self) -> Result<()> {
        if self.0.lane.is_up() && self.0.hears.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(Error::unavailable("Redis is away: hints stay in this process"))
    }
}

impl Shared {
    fn send(&self, kind: Kind, topic: &str, message: &[u8]) {
        let length = u16::try_from(topic.len()).unwrap_or(u16::MAX).to_le_bytes();
        let parts = [&self.sender[..], &[kind as u8], &length, topic.as_bytes(), message].concat();
        let mut command = redis::cmd("PUBLISH");
        command.arg(&self.channel).arg(self.seal.seal(&self.channel, &parts));
        self.lane.send(command);
    }

    /// Delivers a message of another process.
    fn take_in(&self, sealed: &[u8]) {
        if !self.seal.is_whole(&self.channel, sealed) {
            tracing::debug!("a hint was not sent by this installation");
            return;
        }
        let Some((sender, parts)) = sealed[Seal::BYTES..].split_first_chunk::<16>() else { return };
        let Some(([kind, low, high], parts)) = parts.split_first_chunk() else { return };
        if *sender == self.sender {
            return;
        }
        if *kind == Kind::Lost as u8 {
            self.local.deliver_lagged();
        } else if *kind == Kind::Hint as u8
            && let Some((topic, message)) = parts.split_at_checked(u16::from_le_bytes([*low, *high]).into())
            && let Ok(topic) = std::str::from_utf8(topic)
        {
            self.local.deliver(topic, Bytes::copy_from_slice(message));
        }
    }
}

/// The thread that listens.
struct Ear {
    address: Address,
    shared: Weak<Shared>,
}

impl Ear {
    fn run(self, tried: oneshot::Sender<()>) {
        let (mut tried, mut backoff) = (Some(tried), Backoff::new());
        // Another node of a cluster after each failure.
        for number in 0.. {
            let heard = self.hear(number, &mut tried, &mut backoff);
            tried.take();
            let Some(shared) = self.shared.upgrade() else { return };
            shared.hears.store(false, Ordering::Release);
            drop(shared);
            if let Err(error) = heard {
                tracing::debug!(%error, "hints of other processes are not heard");
            }
            std::thread::sleep(backoff.next());
        }
    }

    /// Delivers messages until the connection fails, or nobody is left to deliver to.
    fn hear(&self, number: usize, tried: &mut Option<oneshot::Sender<()>>, backoff: &mut Backoff) -> RedisResult<()> {
        let mut connection = connect(&self.address, number, LOOK_EVERY)?;
        let mut messages = connection.as_pubsub();
        {
            let Some(shared) = self.shared.upgrade() else { return Ok(()) };
            messages.subscribe(&shared.channel)?;
            // Messages published before this moment are lost.
            shared.local.deliver_lagged();
            shared.hears.store(true, Ordering::Release);
        }
        tried.take();
        let (mut heard_at, mut beat_at) = (Instant::now(), Instant::now());
        loop {
            let message = match messages.get_message() {
                Ok(message) => Some(message),
                Err(error) if error.is_timeout() => None,
                Err(error) => return Err(error),
            };
            let Some(shared) = self.shared.upgrade() else { return Ok(()) };
            let now = Instant::now();
            if let Some(message) = message {
                shared.take_in(message.get_payload_bytes());
                heard_at = now;
                backoff.reset();
            }
            if now >= beat_at {
                beat_at = now + BEAT_EVERY;
                let kind = if shared.lane.take_lost() { Kind::Lost } else { Kind::Beat };
                shared.send(kind, "", &[]);
            }
            if !shared.lane.is_up() {
                heard_at = now;
            } else if now - heard_at > SILENCE_MAX {
                return Err(RedisError::from((ErrorKind::Io, "not even the own beats arrive")));
            }
        }
    }
}
