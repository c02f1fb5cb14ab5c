//! A cache in Redis or Valkey, one server or a cluster.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::Value;

use super::{Cache, is_too_large};
use crate::error::{Error, Result};
use crate::redis_client::{ANSWER_BYTES_MAX, Address, Installation, Lane, Seal};

pub(super) struct RedisCache {
    lane: Lane,
    prefix: String,
    seal: Seal,
}

impl RedisCache {
    pub async fn open(url: &str, installation: &Installation) -> Result<Self> {
        let address = Address::parse(url).map_err(|wrong| Error::Conflict(format!("the cache's URL {wrong}")))?;
        Ok(RedisCache {
            lane: Lane::open(address, "redis-cache").await?,
            prefix: format!("eyeline:{}:", installation.id.simple()),
            seal: Seal::new(&installation.key),
        })
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        if is_too_large(key, &[]) {
            return Ok(None);
        }
        let name = self.name(key);
        let mut command = redis::cmd("GETRANGE");
        // One byte more than the largest value, so that one which is longer does not open. An empty answer is a miss.
        command.arg(&name).arg(0).arg(ANSWER_BYTES_MAX - 1);
        let Value::BulkString(sealed) = self.lane.ask(command).await? else { return Ok(None) };
        if !self.seal.is_whole(&name, &sealed) {
            if !sealed.is_empty() {
                tracing::debug!(key, "a cached value was not written by this installation, or not whole");
            }
            return Ok(None);
        }
        Ok(Some(Bytes::from(sealed).slice(Seal::BYTES..)))
    }

    async fn set(&self, key: &str, value: Bytes, time_to_live: Duration) -> Result<()> {
        if is_too_large(key, &value) {
            return self.remove(key).await;
        }
        let milliseconds = u64::try_from(time_to_live.as_millis()).unwrap_or(u64::MAX).clamp(1, TIME_MAX);
        let name = self.name(key);
        let mut command = redis::cmd("SET");
        command.arg(&name).arg(self.seal.seal(&name, &value)).arg("PX").arg(milliseconds);
        self.lane.ask(command).await.map(drop)
    }

    async fn remove(&self, key: &str) -> Result<()> {
        let mut command = redis::cmd("DEL");
        command.arg(self.name(key));
        self.lane.ask(command).await.map(drop)
    }

    async fn ping(&self) -> Result<()> {
        let mut command = redis::cmd("EXISTS");
        command.arg(self.name("ping"));
        self.lane.ask(command).await.map(drop)
    }
}

/// The longest time to live, in milliseconds: 30 days.
const TIME_MAX: u64 = 30 * 24 * 60 * 60 * 1000;
