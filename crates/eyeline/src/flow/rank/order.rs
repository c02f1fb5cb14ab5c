//! A published order: never changed, so that a visitor who scrolls through it meets every image once.

use std::sync::atomic::{AtomicI64, Ordering};

use eyeline_core::ranking::{Counts, CountsSnapshot};
use eyeline_core::{AccessClass, GalleryId, OrderId, Ranking, Timestamp};

pub struct Order {
    pub order_id: OrderId,
    pub gallery_id: GalleryId,
    pub class: AccessClass,
    /// The strategy it was made by, and the factors that its weights are of.
    pub ranking: Ranking,
    pub published_at: Timestamp,
    /// The first place first.
    pub(super) ordinals: Vec<u32>,
    pub(super) counts: CountsSnapshot,
    served_at: AtomicI64,
}

/// In place of a time, while no page was served.
const NEVER: i64 = i64::MIN;

impl Order {
    pub(super) fn new(
        order_id: OrderId,
        gallery_id: GalleryId,
        class: AccessClass,
        ranking: Ranking,
        published_at: Timestamp,
        ordinals: Vec<u32>,
        counts: CountsSnapshot,
    ) -> Self {
        let served_at = AtomicI64::new(NEVER);
        Order { order_id, gallery_id, class, ranking, published_at, ordinals, counts, served_at }
    }

    /// Images in it, those hidden since included.
    pub fn len(&self) -> usize {
        self.ordinals.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ordinals.is_empty()
    }

    /// Up to `limit` images from `start` (0 is the first place), each with its place.
    pub fn slice(&self, start: usize, limit: usize) -> impl Iterator<Item = (usize, u32)> + '_ {
        let end = start.saturating_add(limit).min(self.len());
        let start = start.min(end);
        (start..end).zip(self.ordinals[start..end].iter().copied())
    }

    pub fn counts(&self, ordinal: u32) -> Counts {
        self.counts.get(ordinal)
    }

    /// The place of an image, 0 being the first; looks through the whole order.
    pub fn place_of(&self, ordinal: u32) -> Option<usize> {
        self.ordinals.iter().position(|other| *other == ordinal)
    }

    pub fn mark_served(&self, now: Timestamp) {
        self.served_at.store(now.micros(), Ordering::Relaxed);
    }

    /// When the last page was served from it.
    pub fn served_at(&self) -> Option<Timestamp> {
        match self.served_at.load(Ordering::Relaxed) {
            NEVER => None,
            micros => Some(Timestamp::from_micros(micros)),
        }
    }

    /// Bytes that it holds if it shares none of its numbers with another order.
    pub fn bytes_at_most(&self) -> usize {
        size_of::<Order>() + self.ordinals.capacity() * size_of::<u32>() + self.counts.bytes_at_most()
    }
}
