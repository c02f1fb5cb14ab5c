//! Published orders as records: pages of an order go on after it was replaced, after a restart, and in another process.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eyeline_core::ranking::{OrderEntry, OrderHead, OrderRecord};
use eyeline_core::{AccessClass, GalleryId, Timestamp};
use eyeline_store::orders::{OrderKey, Usage};
use eyeline_store::{Cache, OrderRecords, Result};
use uuid::Uuid;

use super::ORDER_KEPT;
use super::order::{FOLLOWED, NOTED_EVERY, Order, Slice, is_about};
use crate::clock::Clock;

/// The time for which blocks of a record are cached. They never change.
const BLOCKS_CACHED: Duration = Duration::from_secs(5 * 60);
/// Images that are read at a time in search of one.
const SCAN_IMAGES: usize = 16 * 1024;
/// The interval at which a process looks for orders that another one publishes.
const POLL: Duration = Duration::from_millis(100);

pub(super) struct Stored {
    records: Arc<dyn OrderRecords>,
    cache: Arc<dyn Cache>,
    clock: Clock,
}

impl Stored {
    pub fn new(records: Arc<dyn OrderRecords>, cache: Arc<dyn Cache>, clock: Clock) -> Self {
        Stored { records, cache, clock }
    }

    /// Stores the order if its record is missing, and notes that a page is served. A record that cannot be written is
    /// tried again after [`NOTED_EVERY`]; until then only this process serves the order.
    pub async fn keep(&self, order: &Arc<Order>) {
        let now = self.clock.now();
        let _one_at_a_time = order.storing.lock().await;
        if order.is_noted(now) {
            return;
        }
        if let Err(error) = self.note(order, now).await {
            tracing::warn!(%error, order.id = %order.order_id, "an order could not be stored: its cursors end with this process");
        }
        order.note(now);
    }

    async fn note(&self, order: &Arc<Order>, now: Timestamp) -> Result<()> {
        if order.has_been_stored() && self.records.mark_served(order.key(), now).await? {
            return Ok(());
        }
        self.records.put(order.key(), now, order.clone().encode()).await
    }

    /// Stores the order, and makes it the one that other processes serve.
    pub async fn publish(&self, order: &Arc<Order>, variant: &str) -> Result<()> {
        self.keep(order).await;
        self.records.set_newest(order.gallery_id, variant, order.order_id, self.clock.now()).await.map(drop)
    }

    /// Open questions for orders.
    pub async fn asked(&self) -> Result<Vec<(GalleryId, String)>> {
        self.records.asked().await
    }

    pub async fn answer(&self, gallery_id: GalleryId, variant: &str) -> Result<()> {
        self.records.answer(gallery_id, variant).await
    }

    /// The newest order of a variant that the gallery's owner has published. Asks for it if this process has not done
    /// so lately, and waits for the answer at most `patience`.
    pub async fn newest(&self, gallery_id: GalleryId, variant: &str, patience: Duration) -> Result<Option<OrderKey>> {
        let names = ["asked", "followed", "newest"].map(|name| format!("{name}:{gallery_id} {variant}"));
        let [asked, followed, newest] = &names;
        let is_cached = async |name: &String| matches!(self.cache.get(name).await, Ok(Some(_)));
        if !is_cached(asked).await {
            self.records.ask(gallery_id, variant, self.clock.now()).await?;
            self.remember(asked, Bytes::new(), NOTED_EVERY).await;
            if !is_cached(followed).await {
                let answered = async {
                    while self.records.is_asked(gallery_id, variant).await? {
                        tokio::time::sleep(POLL).await;
                    }
                    Ok(())
                };
                // Without an answer the last record is served.
                tokio::time::timeout(patience, answered).await.unwrap_or(Ok(()))?;
            }
            self.remember(followed, Bytes::new(), FOLLOWED - NOTED_EVERY).await;
        }
        if let Ok(Some(bytes)) = self.cache.get(newest).await
            && let Ok(order_id) = Uuid::from_slice(&bytes)
        {
            return Ok(Some(OrderKey { gallery_id, order_id: order_id.into() }));
        }
        let Some(order_id) = self.records.newest(gallery_id, variant).await? else {
            // The next page asks and waits again.
            let _ = self.cache.remove(asked).await;
            let _ = self.cache.remove(followed).await;
            return Ok(None);
        };
        self.remember(newest, Bytes::copy_from_slice(order_id.0.as_bytes()), POLL).await;
        Ok(Some(OrderKey { gallery_id, order_id }))
    }

    /// Without the cache the next page only takes longer.
    async fn remember(&self, name: &str, value: Bytes, time: Duration) {
        let _ = self.cache.set(name, value, time).await;
    }

    /// Up to `limit` images of an order from index `start`. `None` if its record is missing, damaged or expired, or is
    /// of another class.
    pub async fn slice(&self, key: OrderKey, class: AccessClass, start: usize, limit: usize) -> Option<Slice> {
        let found = async {
            let Some(record) = self.find(key, class).await? else { return Ok(None) };
            let blocks = record.blocks_of(start, limit);
            let bytes = if blocks.is_empty() { Some(Bytes::new()) } else { self.blocks(key, &record, blocks).await? };
            let entries = bytes.and_then(|bytes| record.decode(start, limit, &bytes));
            let start = start.min(record.head.images as usize);
            Ok::<_, eyeline_store::Error>(entries.map(|entries| Slice { head: record.head, start, entries }))
        };
        found.await.unwrap_or_else(|error| {
            tracing::warn!(%error, order.id = %key.order_id, "an order could not be read, so its cursors start again");
            None
        })
    }

    /// The order's head, and the image with its index if the order has it. `None` if the record cannot be served. Reads
    /// the record in parts up to the image.
    pub async fn find_image(
        &self,
        key: OrderKey,
        class: AccessClass,
        ordinal: u32,
    ) -> Result<Option<(OrderHead, Option<(usize, OrderEntry)>)>> {
        let Some(record) = self.find(key, class).await? else { return Ok(None) };
        for start in (0..record.head.images as usize).step_by(SCAN_IMAGES) {
            let range = record.bytes_of(record.blocks_of(start, SCAN_IMAGES));
            let part = self.records.read(key, range).await?;
            let Some(entries) = part.and_then(|part| record.decode(start, SCAN_IMAGES, &part.bytes)) else {
                return Ok(None);
            };
            if let Some(index) = entries.iter().position(|entry| entry.ordinal == ordinal) {
                return Ok(Some((record.head, Some((start + index, entries[index])))));
            }
        }
        Ok(Some((record.head, None)))
    }

    /// The record's head, from the cache for as long as the record need not be told about its pages.
    async fn find(&self, key: OrderKey, class: AccessClass) -> Result<Option<OrderRecord>> {
        let now = self.clock.now();
        let cache_key = format!("order:{} {}", key.gallery_id, key.order_id);
        if let Ok(Some(bytes)) = self.cache.get(&cache_key).await
            && let Some((noted_at, head)) = bytes.split_first_chunk()
            && is_about(Timestamp::from_micros(i64::from_le_bytes(*noted_at)), now)
            && let Some(record) = OrderRecord::decode_head(head)
        {
            return Ok((record.head.class == class).then_some(record));
        }
        let Some(part) = self.records.read(key, 0..OrderHead::BYTES as u64).await? else { return Ok(None) };
        let is_of_key = |record: &OrderRecord| {
            let OrderHead { gallery_id, order_id, .. } = record.head;
            (OrderKey { gallery_id, order_id }) == key
        };
        let record = OrderRecord::decode_head(&part.bytes).filter(is_of_key);
        let record = record.filter(|record| record.head.class == class && is_kept(part.served_at, now));
        if record.is_some() && self.records.mark_served(key, now).await? {
            let value = [&now.micros().to_le_bytes(), &part.bytes[..]].concat();
            self.remember(&cache_key, value.into(), NOTED_EVERY).await;
        }
        Ok(record)
    }

    async fn blocks(&self, key: OrderKey, record: &OrderRecord, blocks: Range<u32>) -> Result<Option<Bytes>> {
        let cache_key = format!("order:{} {} {}-{}", key.gallery_id, key.order_id, blocks.start, blocks.end);
        if let Ok(Some(bytes)) = self.cache.get(&cache_key).await {
            return Ok(Some(bytes));
        }
        let part = self.records.read(key, record.bytes_of(blocks)).await?;
        if let Some(part) = &part {
            self.remember(&cache_key, part.bytes.clone(), BLOCKS_CACHED).await;
        }
        Ok(part.map(|part| part.bytes))
    }

    /// Removes the records of orders from which no page was served for [`ORDER_KEPT`].
    pub async fn sweep(&self) -> Result<()> {
        match self.clock.older_than(ORDER_KEPT + NOTED_EVERY) {
            Some(unused_since) => self.records.sweep(unused_since).await,
            None => Ok(()),
        }
    }

    pub fn usage(&self) -> Usage {
        self.records.usage()
    }
}

/// True if cursors may still point into an order whose record was last told about a page at `noted_at`.
fn is_kept(noted_at: Timestamp, now: Timestamp) -> bool {
    now.since(noted_at) <= ORDER_KEPT + NOTED_EVERY
}
