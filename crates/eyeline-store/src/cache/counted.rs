//! Counts the calls of a cache. Each is at most one round trip.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Cache, Usage};
use crate::error::Result;

pub(super) struct Counted<E> {
    engine: E,
    hits: AtomicU64,
    misses: AtomicU64,
    writes: AtomicU64,
    failures: AtomicU64,
}

impl<E> Counted<E> {
    pub fn new(engine: E) -> Self {
        let [hits, misses, writes, failures] = [const { AtomicU64::new(0) }; 4];
        Counted { engine, hits, misses, writes, failures }
    }

    fn count<'a, T>(&'a self, outcome: Result<T>, succeeded: impl FnOnce(&T) -> &'a AtomicU64) -> Result<T> {
        outcome.as_ref().map_or(&self.failures, succeeded).fetch_add(1, Ordering::Relaxed);
        outcome
    }
}

#[async_trait]
impl<E: Cache> Cache for Counted<E> {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let found = self.engine.get(key).await;
        self.count(found, |found| if found.is_some() { &self.hits } else { &self.misses })
    }

    async fn set(&self, key: &str, value: Bytes, time_to_live: Duration) -> Result<()> {
        let set = self.engine.set(key, value, time_to_live).await;
        self.count(set, |()| &self.writes)
    }

    async fn remove(&self, key: &str) -> Result<()> {
        let removed = self.engine.remove(key).await;
        self.count(removed, |()| &self.writes)
    }

    async fn ping(&self) -> Result<()> {
        self.engine.ping().await
    }

    fn usage(&self) -> Usage {
        let [hits, misses, writes, failures] =
            [&self.hits, &self.misses, &self.writes, &self.failures].map(|count| count.load(Ordering::Relaxed));
        Usage { hits, misses, writes, failures }
    }
}
