//! Published orders as records: pages of an order go on after it was replaced, after a restart, and in another process.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eyeline_core::ranking::{OrderEntry, OrderHead, OrderRecord};
use eyeline_core::{AccessClass, GalleryId, OrderId, Timestamp};
use eyeline_store::orders::{OrderKey, Question, Usage};
use eyeline_store::{Cache, Error, OrderRecords, Result};
use uuid::Uuid;

use super::ORDER_KEPT;
use super::order::{FOLLOWED, NOTED_EVERY, Order, Slice, is_about};
use crate::clock::Clock;

/// The time for which blocks of a record are cached. They never change.
const BLOCKS_CACHED: Duration = Duration::from_secs(5 * 60);
/// Images that are read at a time in search of one.
const SCAN_IMAGES: usize = 16 * 1024;
/// The interval at which a process looks for what another one publishes or answers.
const POLL: Duration = Duration::from_millis(50);
/// The time for which a process serves an order without asking whether there is a newer one.
pub(super) const NEWEST_CACHED: Duration = Duration::from_millis(100);
/// The longest time that a page waits for its order's record or for the newest order.
const PATIENCE: Duration = Duration::from_secs(2);
/// A question is asked again after this many polls, because the engine may have lost it.
const POLLS_PER_QUESTION: u32 = 20;

pub(super) struct Stored {
    records: Arc<dyn OrderRecords>,
    cache: Arc<dyn Cache>,
    clock: Clock,
}

/// A variant of a gallery's orders, as the process that serves it sees it.
pub(super) struct Followed<'a> {
    pub gallery_id: GalleryId,
    pub name: &'a str,
    pub class: AccessClass,
    /// The number of the gallery's rules and settings in this process. After a change it asks the owner again.
    pub settings: u64,
}

impl Followed<'_> {
    /// Names of what the process remembers about the variant.
    fn names(&self) -> [String; 3] {
        let Followed { gallery_id, name, settings, .. } = self;
        ["asked", "followed", "newest"].map(|what| format!("{what}:{gallery_id} {name} {settings}"))
    }

    fn greatest(&self) -> String {
        format!("greatest:{} {}", self.gallery_id, self.name)
    }
}

/// What was found of a record.
enum Found<T> {
    There(T),
    Missing,
    /// Damaged, expired or of another class.
    Unusable,
}

impl Stored {
    pub fn new(records: Arc<dyn OrderRecords>, cache: Arc<dyn Cache>, clock: Clock) -> Self {
        Stored { records, cache, clock }
    }

    /// Stores the order if its record is missing, and notes that a page is served. A record that cannot be written is
    /// tried again after [`NOTED_EVERY`]; until then only this process serves the order.
    pub async fn keep(&self, order: &Arc<Order>) {
        if let Err(error) = self.store(order, false).await {
            tracing::warn!(%error, order.id = %order.order_id, "an order could not be stored: its cursors end with this process");
        }
    }

    /// Looks at the record itself if `is_sure`, else at most once in [`NOTED_EVERY`].
    async fn store(&self, order: &Arc<Order>, is_sure: bool) -> Result<()> {
        let now = self.clock.now();
        let _one_at_a_time = order.storing.lock().await;
        if !is_sure && order.is_noted(now) {
            return Ok(());
        }
        let stored = self.note(order, now).await;
        order.note(now);
        stored
    }

    async fn note(&self, order: &Arc<Order>, now: Timestamp) -> Result<()> {
        if order.has_been_stored() && self.records.mark_served(order.key(), now).await? {
            return Ok(());
        }
        let order = order.clone();
        self.records.put(order.key(), now, Arc::new(move || order.clone().encode())).await
    }

    /// Stores the order, and makes it the one that other processes serve. With `is_sure` it makes sure that the record
    /// is still there.
    pub async fn publish(&self, order: &Arc<Order>, variant: &str, is_sure: bool) -> Result<()> {
        self.store(order, is_sure).await?;
        self.records.set_newest(order.gallery_id, variant, order.order_id, self.clock.now()).await.map(drop)
    }

    /// Stores this process's records again if the engine has lost all of them. True if it had.
    pub async fn restore(&self) -> Result<bool> {
        self.records.restore(self.clock.now()).await
    }

    /// Open questions.
    pub async fn asked(&self) -> Result<Vec<Question>> {
        self.records.asked().await
    }

    pub async fn answer(&self, gallery_id: GalleryId, question: &str, answer: Option<Bytes>) -> Result<()> {
        self.records.answer(gallery_id, question, answer).await
    }

    /// Asks the gallery's owner until there is an answer. The caller bounds the time, and then closes the question.
    pub async fn ask(&self, gallery_id: GalleryId, question: &str) -> Result<Bytes> {
        loop {
            self.records.ask(gallery_id, question, self.clock.now()).await?;
            for _ in 0..POLLS_PER_QUESTION {
                tokio::time::sleep(POLL).await;
                if let Some(answer) = self.records.answered(gallery_id, question).await? {
                    return Ok(answer);
                }
            }
        }
    }

    /// Up to `limit` images of the variant's newest order from index `start`. `None` if there is none within
    /// [`PATIENCE`].
    pub async fn newest_slice(&self, variant: &Followed<'_>, start: usize, limit: usize) -> Result<Option<Slice>> {
        let give_up = Instant::now() + PATIENCE;
        for is_last in [false, true] {
            let Some(key) = self.newest(variant, give_up).await? else { break };
            if let Some(slice) = self.slice_until(give_up, key, variant.class, start, limit).await? {
                return Ok(Some(slice));
            }
            if !is_last {
                self.forget(variant).await;
            }
        }
        Ok(None)
    }

    /// As [`Stored::find_image`], in the variant's newest order.
    pub async fn find_in_newest(
        &self,
        variant: &Followed<'_>,
        ordinal: u32,
    ) -> Result<Option<(OrderHead, Option<(usize, OrderEntry)>)>> {
        let give_up = Instant::now() + PATIENCE;
        for is_last in [false, true] {
            let Some(key) = self.newest(variant, give_up).await? else { break };
            if let Some(found) = self.find_image(key, variant.class, ordinal).await? {
                return Ok(Some(found));
            }
            if !is_last {
                self.forget(variant).await;
            }
        }
        Ok(None)
    }

    /// The newest order of a variant that the gallery's owner has published. Asks for it if this process has not done
    /// so lately, and then waits for the answer until `give_up`. Afterwards the last order is as good as any.
    async fn newest(&self, variant: &Followed<'_>, give_up: Instant) -> Result<Option<OrderKey>> {
        let Followed { gallery_id, name, .. } = *variant;
        let [asked, followed, newest] = &variant.names();
        if !self.remembers(asked).await {
            self.records.ask(gallery_id, name, self.clock.now()).await?;
            self.remember(asked, Bytes::new(), NOTED_EVERY).await;
        }
        let mut is_followed = self.remembers(followed).await;
        if is_followed && let Some(order_id) = self.remembered_id(newest).await {
            return Ok(Some(OrderKey { gallery_id, order_id }));
        }
        loop {
            let is_late = Instant::now() >= give_up;
            if is_followed || is_late || !self.records.is_asked(gallery_id, name).await? {
                if let Some(order_id) = self.records.newest(gallery_id, name).await? {
                    let order_id = self.greatest(variant, order_id).await;
                    self.remember(followed, Bytes::new(), FOLLOWED - NOTED_EVERY).await;
                    self.remember(newest, Bytes::copy_from_slice(order_id.0.as_bytes()), NEWEST_CACHED).await;
                    return Ok(Some(OrderKey { gallery_id, order_id }));
                }
                // The engine has lost it, and the question too.
                is_followed = false;
                if !is_late {
                    self.records.ask(gallery_id, name, self.clock.now()).await?;
                }
            }
            if is_late {
                self.forget(variant).await;
                return Ok(None);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// `order_id`, or a greater one that this process has seen: a flushed engine may accept an earlier owner's.
    async fn greatest(&self, variant: &Followed<'_>, order_id: OrderId) -> OrderId {
        let name = variant.greatest();
        let order_id = self.remembered_id(&name).await.map_or(order_id, |seen| seen.max(order_id));
        self.remember(&name, Bytes::copy_from_slice(order_id.0.as_bytes()), FOLLOWED).await;
        order_id
    }

    /// The next page asks and waits again.
    async fn forget(&self, variant: &Followed<'_>) {
        for name in variant.names() {
            let _ = self.cache.remove(&name).await;
        }
    }

    async fn remembers(&self, name: &str) -> bool {
        matches!(self.cache.get(name).await, Ok(Some(_)))
    }

    async fn remembered_id(&self, name: &str) -> Option<OrderId> {
        let bytes = self.cache.get(name).await.ok()??;
        Uuid::from_slice(&bytes).ok().map(OrderId)
    }

    /// Without the cache the next page only takes longer.
    async fn remember(&self, name: &str, value: Bytes, time: Duration) {
        let _ = self.cache.set(name, value, time).await;
    }

    /// Up to `limit` images of an order from index `start`. `None` if its record has expired, is damaged or is of
    /// another class. An engine that has lost its records lately gets [`PATIENCE`] to have this one again; then it is
    /// `Pending`.
    pub async fn slice(&self, key: OrderKey, class: AccessClass, start: usize, limit: usize) -> Result<Option<Slice>> {
        self.slice_until(Instant::now() + PATIENCE, key, class, start, limit).await
    }

    async fn slice_until(
        &self,
        give_up: Instant,
        key: OrderKey,
        class: AccessClass,
        start: usize,
        limit: usize,
    ) -> Result<Option<Slice>> {
        let mut has_failed = false;
        loop {
            match self.read_slice(key, class, start, limit).await {
                Ok(Found::There(slice)) => return Ok(Some(slice)),
                Ok(Found::Unusable) => return Ok(None),
                Ok(Found::Missing) if self.records.is_settled().await? => return Ok(None),
                Ok(Found::Missing) => {}
                Err(error) if has_failed && self.records.is_settled().await? => {
                    tracing::warn!(%error, order.id = %key.order_id, "an order could not be read, so its cursors start again");
                    return Ok(None);
                }
                Err(_) => has_failed = true,
            }
            if Instant::now() >= give_up {
                return Err(Error::Pending("This order was lost and is being restored; send the request again."));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn read_slice(&self, key: OrderKey, class: AccessClass, start: usize, limit: usize) -> Result<Found<Slice>> {
        let record = match self.find(key, class).await? {
            Found::There(record) => record,
            Found::Missing => return Ok(Found::Missing),
            Found::Unusable => return Ok(Found::Unusable),
        };
        let blocks = record.blocks_of(start, limit);
        let bytes = if blocks.is_empty() { Some(Bytes::new()) } else { self.blocks(key, &record, blocks).await? };
        let Some(bytes) = bytes else { return Ok(Found::Missing) };
        let Some(entries) = record.decode(start, limit, &bytes) else { return Ok(Found::Unusable) };
        let start = start.min(record.head.images as usize);
        Ok(Found::There(Slice { head: record.head, start, entries }))
    }

    /// The order's head, and the image with its index if the order has it. `None` if the record cannot be served. Reads
    /// the record in parts up to the image.
    async fn find_image(
        &self,
        key: OrderKey,
        class: AccessClass,
        ordinal: u32,
    ) -> Result<Option<(OrderHead, Option<(usize, OrderEntry)>)>> {
        let Found::There(record) = self.find(key, class).await? else { return Ok(None) };
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
    async fn find(&self, key: OrderKey, class: AccessClass) -> Result<Found<OrderRecord>> {
        let now = self.clock.now();
        let cache_key = format!("order:{} {}", key.gallery_id, key.order_id);
        let of_class = |record: OrderRecord| {
            if record.head.class == class { Found::There(record) } else { Found::Unusable }
        };
        if let Ok(Some(bytes)) = self.cache.get(&cache_key).await
            && let Some((noted_at, head)) = bytes.split_first_chunk()
            && is_about(Timestamp::from_micros(i64::from_le_bytes(*noted_at)), now)
            && let Some(record) = OrderRecord::decode_head(head)
        {
            return Ok(of_class(record));
        }
        let Some(part) = self.records.read(key, 0..OrderHead::BYTES as u64).await? else { return Ok(Found::Missing) };
        let is_of_key = |record: &OrderRecord| {
            let OrderHead { gallery_id, order_id, .. } = record.head;
            (OrderKey { gallery_id, order_id }) == key
        };
        let record = OrderRecord::decode_head(&part.bytes).filter(is_of_key);
        let record = record.filter(|_| is_kept(part.served_at, now)).map_or(Found::Unusable, of_class);
        if matches!(record, Found::There(_)) && self.records.mark_served(key, now).await? {
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
