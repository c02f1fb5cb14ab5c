//! A published order. It never changes, so that a visitor who scrolls sees every image exactly once.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use eyeline_core::event::ImageRef;
use eyeline_core::ranking::{Counts, CountsSnapshot};
use eyeline_core::{AccessClass, GalleryId, OrderId, Ranking, Timestamp};

use super::ranked::lock;

/// Deeper places are not recorded: too few visitors reach them to learn from.
const PLACES_NOTED_MAX: usize = 1_000;
/// The approximate bytes of a recorded place with its name.
const PLACE_BYTES: usize = 64;

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
    served: Mutex<Served>,
}

/// The images of an order that pages held.
struct Served {
    /// In real time, which tests cannot shift: events about an order arrive in real time too.
    last: Instant,
    /// The places of the served images, by each of their names.
    places: HashMap<ImageRef, u32>,
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
        let served = Mutex::new(Served { last: Instant::now(), places: HashMap::new() });
        Order { order_id, gallery_id, class, ranking, snapshot, published_at, ordinals, counts, served_at, served }
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
        lock(&self.served).last = Instant::now();
    }

    /// Records the images that a page held, each with its index.
    pub fn note_served(&self, images: impl Iterator<Item = (ImageRef, usize)>) {
        let mut served = lock(&self.served);
        let noted = images.filter(|(_, place)| *place < PLACES_NOTED_MAX);
        served.places.extend(noted.map(|(image, place)| (image, place as u32)));
    }

    /// The index at which a page held the image, from 0; `None` if no page did.
    pub fn served_place(&self, image: &ImageRef) -> Option<u32> {
        lock(&self.served).places.get(image).copied()
    }

    /// Real time since the last page was served from it, or since its creation.
    pub(super) fn idle(&self) -> Duration {
        lock(&self.served).last.elapsed()
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
        let places = self.len().min(PLACES_NOTED_MAX) * 2 * PLACE_BYTES;
        size_of::<Order>() + self.ordinals.capacity() * size_of::<u32>() + self.counts.bytes_at_most() + places
    }
}
