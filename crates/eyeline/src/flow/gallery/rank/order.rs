//! A published order. It never changes, so that a visitor who scrolls sees every image exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use eyeline_core::ranking::{CountsSnapshot, OrderEntry, OrderHead, OrderRecord};
use eyeline_core::{AccessClass, GalleryId, OrderId, Ranking, Timestamp};
use eyeline_store::orders::{OrderKey, Pieces};

pub struct Order {
    pub order_id: OrderId,
    pub gallery_id: GalleryId,
    pub class: AccessClass,
    /// The strategy and weight factors of the order.
    pub ranking: Ranking,
    /// The number of the order among the strategy's concurrent orders.
    pub snapshot: u8,
    pub published_at: Timestamp,
    /// The image with rank 1 comes first.
    pub(super) ordinals: Vec<u32>,
    pub(super) counts: CountsSnapshot,
    served_at: AtomicI64,
    /// The last page of which the record knows.
    noted_at: AtomicI64,
    /// The last time that another process asked for it or its predecessor.
    asked_at: AtomicI64,
    /// Held while the record is written.
    pub(super) storing: tokio::sync::Mutex<()>,
}

/// A part of a published order, with what a page tells about its images.
pub struct Slice {
    pub head: OrderHead,
    /// The index of the first image, from 0.
    pub start: usize,
    pub entries: Vec<OrderEntry>,
}

/// Stands for a time while no page was served.
const NEVER: i64 = i64::MIN;
/// A record is told about pages of its order once in this time.
pub(super) const NOTED_EVERY: Duration = Duration::from_secs(10);
/// The time for which the owner stores each new order of a variant after another process asked for it.
pub(super) const FOLLOWED: Duration = Duration::from_secs(60);
/// Blocks of a record that are encoded for one write.
const PIECE_BLOCKS: u32 = 64;

impl Order {
    pub(super) fn new(
        order_id: OrderId,
        gallery_id: GalleryId,
        class: AccessClass,
        (ranking, snapshot): (Ranking, u8),
        published_at: Timestamp,
        ordinals: Vec<u32>,
        counts: CountsSnapshot,
    ) -> Self {
        Order {
            order_id,
            gallery_id,
            class,
            ranking,
            snapshot,
            published_at,
            ordinals,
            counts,
            served_at: AtomicI64::new(NEVER),
            noted_at: AtomicI64::new(NEVER),
            asked_at: AtomicI64::new(NEVER),
            storing: tokio::sync::Mutex::default(),
        }
    }

    /// The number of its images, those hidden since included.
    pub fn len(&self) -> usize {
        self.ordinals.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ordinals.is_empty()
    }

    pub(super) fn key(&self) -> OrderKey {
        OrderKey { gallery_id: self.gallery_id, order_id: self.order_id }
    }

    pub(super) fn head(&self) -> OrderHead {
        let Ranking { strategy, factors, guard, .. } = self.ranking;
        OrderHead {
            order_id: self.order_id,
            gallery_id: self.gallery_id,
            class: self.class,
            strategy,
            factors,
            guard,
            snapshot: self.snapshot,
            published_at: self.published_at,
            images: u32::try_from(self.len()).unwrap_or(u32::MAX),
        }
    }

    /// Up to `limit` images from index `start`.
    pub(super) fn slice(&self, start: usize, limit: usize) -> Slice {
        let head = self.head();
        let end = start.saturating_add(limit).min(self.len());
        let start = start.min(end);
        let entries = self.ordinals[start..end].iter().map(|ordinal| head.entry(*ordinal, &self.counts)).collect();
        Slice { head, start, entries }
    }

    /// The image at an index, from 0.
    pub(super) fn ordinal_at(&self, place: usize) -> Option<u32> {
        self.ordinals.get(place).copied()
    }

    /// An image with its index, from 0, and its numbers, also if the order lacks it.
    pub fn find(&self, ordinal: u32) -> (OrderHead, Option<usize>, OrderEntry) {
        let head = self.head();
        (head, self.place_of(ordinal), head.entry(ordinal, &self.counts))
    }

    /// The index of an image, from 0. Scans the whole order.
    pub fn place_of(&self, ordinal: u32) -> Option<usize> {
        self.ordinals.iter().position(|other| *other == ordinal)
    }

    pub fn mark_served(&self, now: Timestamp) {
        self.served_at.store(now.micros(), Ordering::Relaxed);
    }

    /// The time when the last page was served from it.
    pub fn served_at(&self) -> Option<Timestamp> {
        read_time(&self.served_at)
    }

    /// Notes that other processes serve it.
    pub(super) fn mark_asked(&self, now: Timestamp) {
        self.mark_served(now);
        self.asked_at.store(now.micros(), Ordering::Relaxed);
    }

    /// True if other processes serve it.
    pub(super) fn is_asked(&self, now: Timestamp) -> bool {
        read_time(&self.asked_at).is_some_and(|asked_at| now.since(asked_at) < FOLLOWED)
    }

    /// Other processes that served the previous order serve this one.
    pub(super) fn follow(&self, previous: &Order) {
        self.asked_at.store(previous.asked_at.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// True if the order's record knows about a page served at about `now`.
    pub(super) fn is_noted(&self, now: Timestamp) -> bool {
        read_time(&self.noted_at).is_some_and(|noted_at| is_about(noted_at, now))
    }

    /// True if a record was written, which may have been removed since.
    pub(super) fn has_been_stored(&self) -> bool {
        read_time(&self.noted_at).is_some()
    }

    pub(super) fn note(&self, now: Timestamp) {
        self.noted_at.store(now.micros(), Ordering::Relaxed);
    }

    /// The order's record.
    pub(super) fn encode(self: Arc<Self>) -> Pieces {
        let mut begun: Option<(OrderRecord, u32)> = None;
        Box::new(std::iter::from_fn(move || {
            let Some((record, next)) = &mut begun else {
                let record = OrderRecord::new(self.head(), &self.counts);
                begun = Some((record, 0));
                return Some(record.encode_head());
            };
            let blocks = *next..next.saturating_add(PIECE_BLOCKS).min(record.blocks());
            *next = blocks.end;
            let range = record.bytes_of(blocks.clone());
            let mut bytes = Vec::with_capacity(usize::try_from(range.end - range.start).unwrap_or_default());
            for block in blocks {
                record.encode_block(block, &self.ordinals, &self.counts, &mut bytes);
            }
            (!bytes.is_empty()).then_some(bytes)
        }))
    }
}

/// True if the times are less than [`NOTED_EVERY`] apart.
pub(super) fn is_about(one: Timestamp, other: Timestamp) -> bool {
    one.since(other) < NOTED_EVERY && other.since(one) < NOTED_EVERY
}

fn read_time(time: &AtomicI64) -> Option<Timestamp> {
    match time.load(Ordering::Relaxed) {
        NEVER => None,
        micros => Some(Timestamp::from_micros(micros)),
    }
}
