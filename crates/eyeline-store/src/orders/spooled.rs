//! Records in Redis, with copies of this process's own in a local folder.
//!
//! Redis may lose everything: it keeps nothing on disk, and an operator may flush it. Each process that made records
//! stores them again, by id, so that cursors into them go on. Until the processes had time to do so, a missing record is
//! not taken for an expired one.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::file::Folder;
use super::redis::RedisOrders;
use super::{OrderKey, OrderRecords, Part, Question, Record, Usage};
use crate::error::Result;
use async_trait::async_trait;
use bytes::Bytes;
use eyeline_core::{GalleryId, OrderId, Timestamp};

/// The real time after a loss in which every process has stored its records again.
const SETTLES: Duration = Duration::from_secs(30);

pub(super) struct Spooled {
    shared: RedisOrders,
    copies: Folder,
    /// The name of what Redis stores, once it has all copies.
    restored: Mutex<Option<String>>,
}

impl Spooled {
    pub fn new(shared: RedisOrders, copies: Folder) -> Self {
        Spooled { shared, copies, restored: Mutex::default() }
    }

    /// True if Redis has every copy that is to be kept.
    async fn is_restored(&self) -> Result<bool> {
        let (name, _) = self.shared.life().await?;
        Ok(self.has_restored(&name))
    }

    fn has_restored(&self, name: &str) -> bool {
        self.restored.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(name)
    }

    async fn read_copy(&self, key: OrderKey, range: Range<u64>) -> Result<Option<Part>> {
        let part = self.copies.read(key, range).await?;
        Ok(part.map(|part| Part { served_at: Timestamp::from_micros(i64::MAX), ..part }))
    }

    /// Notes pages that other processes served from records about to expire here. False if Redis lost its records
    /// meanwhile, and with them those times.
    async fn follow(&self, unused_since: Timestamp) -> Result<bool> {
        let (before, _) = self.shared.life().await?;
        if !self.has_restored(&before) {
            return Ok(false);
        }
        for (served_at, key) in self.copies.keys() {
            if served_at < unused_since
                && let Some(part) = self.shared.read(key, 0..0).await?
            {
                self.copies.mark_served(key, part.served_at).await?;
            }
        }
        Ok(self.shared.life().await?.0 == before)
    }
}

#[async_trait]
impl OrderRecords for Spooled {
    async fn put(&self, key: OrderKey, served_at: Timestamp, record: Record) -> Result<()> {
        if let Err(error) = self.copies.put(key, served_at, record.clone()).await {
            tracing::warn!(%error, order.id = %key.order_id, "an order has no local copy, so a flush of Redis would lose it");
        }
        self.shared.put(key, served_at, record).await
    }

    async fn read(&self, key: OrderKey, range: Range<u64>) -> Result<Option<Part>> {
        match self.shared.read(key, range.clone()).await {
            Ok(None) if !self.is_restored().await? => self.read_copy(key, range).await,
            Err(error) => self.read_copy(key, range).await?.map_or(Err(error), |part| Ok(Some(part))),
            found => found,
        }
    }

    async fn mark_served(&self, key: OrderKey, served_at: Timestamp) -> Result<bool> {
        let is_copied = self.copies.mark_served(key, served_at).await.unwrap_or_default();
        match self.shared.mark_served(key, served_at).await {
            // It goes on from the copy.
            Err(_) if is_copied => Ok(true),
            outcome => outcome,
        }
    }

    async fn set_newest(
        &self,
        gallery_id: GalleryId,
        variant: &str,
        order_id: OrderId,
        now: Timestamp,
    ) -> Result<bool> {
        self.shared.set_newest(gallery_id, variant, order_id, now).await
    }

    async fn newest(&self, gallery_id: GalleryId, variant: &str) -> Result<Option<OrderId>> {
        self.shared.newest(gallery_id, variant).await
    }

    async fn ask(&self, gallery_id: GalleryId, text: &str, now: Timestamp) -> Result<()> {
        self.shared.ask(gallery_id, text, now).await
    }

    async fn asked(&self) -> Result<Vec<Question>> {
        self.shared.asked().await
    }

    async fn is_asked(&self, gallery_id: GalleryId, text: &str) -> Result<bool> {
        self.shared.is_asked(gallery_id, text).await
    }

    async fn answer(&self, gallery_id: GalleryId, text: &str, answer: Option<Bytes>) -> Result<()> {
        self.shared.answer(gallery_id, text, answer).await
    }

    async fn answered(&self, gallery_id: GalleryId, text: &str) -> Result<Option<Bytes>> {
        self.shared.answered(gallery_id, text).await
    }

    /// Repeats from the start after a failure; what is there by then is not stored again.
    async fn restore(&self, now: Timestamp) -> Result<bool> {
        let (name, _) = self.shared.life().await?;
        if self.has_restored(&name) {
            return Ok(false);
        }
        let mut stored = 0_u64;
        for (_, key) in self.copies.keys() {
            if self.shared.read(key, 0..0).await?.is_none() {
                // Other processes may have served a page at any time up to now.
                self.shared.put(key, now, self.copies.record(key)).await?;
                stored += 1;
            }
        }
        if stored > 0 {
            tracing::info!(orders = stored, "Redis had lost published orders, which are stored again");
        }
        *self.restored.lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
        Ok(true)
    }

    async fn is_settled(&self) -> Result<bool> {
        Ok(self.shared.life().await?.1 >= SETTLES)
    }

    async fn sweep(&self, unused_since: Timestamp) -> Result<()> {
        self.shared.sweep(unused_since).await?;
        if self.follow(unused_since).await? {
            self.copies.sweep(unused_since).await?;
        }
        Ok(())
    }

    fn usage(&self) -> Usage {
        self.shared.usage()
    }
}
