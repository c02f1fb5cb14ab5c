//! A published order. It never changes, so that a visitor who scrolls sees every image exactly once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use eyeline_core::ranking::{Counts, CountsSnapshot};
use eyeline_core::{AccessClass, GalleryId, OrderId, Ranking, Timestamp};

use super::ranked::lock;

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
    /// In real time, which tests cannot shift: visitors scroll in real time too.
    last_served: Mutex<Instant>,
}

/// Stands for a time while no page was served.
const NEVER: i64 = i64::MIN;

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
        let served_at = AtomicI64::new(NEVER);
        let last_served = Mutex::new(Instant::now());
        Order { order_id, gallery_id, class, ranking, snapshot, published_at, ordinals, counts, served_at, last_served }
    }

    /// The number of its images, those hidden since included.
    pub fn len(&self) -> usize {
        self.ordinals.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ordinals.is_empty()
    }

    /// Up to `limit` images from index `start`, each with its index.
    pub fn slice(&self, start: usize, limit: usize) -> impl Iterator<Item = (usize, u32)> + '_ {
        let end = start.saturating_add(limit).min(self.len());
        let start = start.min(end);
        (start..end).zip(self.ordinals[start..end].iter().copied())
    }

    pub fn counts(&self, ordinal: u32) -> Counts {
        self.counts.get(ordinal)
    }

    /// The numbers without the events that the guard ignored.
    pub fn counted(&self, ordinal: u32) -> Counts {
        self.counts.counted(ordinal)
    }

    /// The index of an image, from 0. Scans the whole order.
    pub fn place_of(&self, ordinal: u32) -> Option<usize> {
        self.ordinals.iter().position(|other| *other == ordinal)
    }

    pub fn mark_served(&self, now: Timestamp) {
        self.served_at.store(now.micros(), Ordering::Relaxed);
        *lock(&self.last_served) = Instant::now();
    }

    /// Real time since the last page was served from it, or since its creation.
    pub(super) fn idle(&self) -> Duration {
        lock(&self.last_served).elapsed()
    }

    /// The time when the last page was served from it.
    pub fn served_at(&self) -> Option<Timestamp> {
        match self.served_at.load(Ordering::Relaxed) {
            NEVER => None,
            micros => Some(Timestamp::from_micros(micros)),
        }
    }

    /// The bytes it holds if it shares no numbers with another order.
    pub fn bytes_at_most(&self) -> usize {
        size_of::<Order>() + self.ordinals.capacity() * size_of::<u32>() + self.counts.bytes_at_most()
    }
}
