//! The record of a published order: bytes from which any process serves pages.
//!
//! A head of [`OrderHead::BYTES`] is followed by blocks of up to 256 images in ranked order. An image is its ordinal,
//! and in a record for keys also its counters. The head and every block end with a checksum over the order's id and the
//! block's number, so that a part of a torn file or of another record is never taken for a part of this one. All numbers
//! are little-endian.

use std::ops::Range;

use uuid::Uuid;

use super::{Counts, CountsSnapshot, Strategy};
use crate::{AccessClass, GalleryId, OrderId, Timestamp, WeightFactors};

/// Everything about an order except its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderHead {
    pub order_id: OrderId,
    pub gallery_id: GalleryId,
    pub class: AccessClass,
    pub strategy: Strategy,
    pub factors: WeightFactors,
    /// True if images also have counters without the events that the gallery's guard ignored.
    pub guard: bool,
    /// The number of the order among the strategy's concurrent orders.
    pub snapshot: u8,
    pub published_at: Timestamp,
    pub images: u32,
}

/// One image of an order. The counters are zero in an order that is not for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OrderEntry {
    pub ordinal: u32,
    pub counts: Counts,
    /// The counters without the events that the guard ignored; zero in a gallery without a guard.
    pub counted: Counts,
}

/// The layout of an order's record: its head, and the places of its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRecord {
    pub head: OrderHead,
    /// Bytes of one counter: 0, 4 or 8.
    counter_bytes: u8,
}

const MAGIC: [u8; 4] = *b"EYO1";
const BLOCK_IMAGES: u32 = 256;
const CHECKSUM_BYTES: usize = 4;
/// Stands for the head where a block has its number.
const HEAD: u32 = u32::MAX;

impl OrderHead {
    pub const BYTES: usize = 64 + CHECKSUM_BYTES;

    /// An image with what the order tells about it.
    pub fn entry(&self, ordinal: u32, counts: &CountsSnapshot) -> OrderEntry {
        if self.class != AccessClass::Project {
            return OrderEntry { ordinal, ..OrderEntry::default() };
        }
        let counted = if self.guard { counts.counted(ordinal) } else { Counts::default() };
        OrderEntry { ordinal, counts: counts.get(ordinal), counted }
    }
}

impl OrderRecord {
    /// A record for an order with these counters.
    pub fn new(head: OrderHead, counts: &CountsSnapshot) -> Self {
        let counter_bytes = match head.class {
            AccessClass::Project if counts.largest() > u64::from(u32::MAX) => 8,
            AccessClass::Project => 4,
            AccessClass::Public | AccessClass::Premium | AccessClass::Business => 0,
        };
        OrderRecord { head, counter_bytes }
    }

    /// The bytes of the head.
    pub fn encode_head(&self) -> Vec<u8> {
        let OrderHead { order_id, gallery_id, class, strategy, factors, guard, snapshot, published_at, images } =
            self.head;
        let class = AccessClass::ALL.iter().position(|other| *other == class).unwrap_or_default();
        let strategy = Strategy::ALL.iter().position(|other| *other == strategy).unwrap_or_default();
        let mut bytes = Vec::with_capacity(OrderHead::BYTES);
        bytes.extend(MAGIC);
        bytes.extend([class as u8, strategy as u8, snapshot, guard.into(), self.counter_bytes, 0, 0, 0]);
        bytes.extend(images.to_le_bytes());
        bytes.extend(gallery_id.0.as_bytes());
        bytes.extend(order_id.0.as_bytes());
        bytes.extend(published_at.micros().to_le_bytes());
        bytes.extend(factors.view_weight.to_le_bytes());
        bytes.extend(factors.click_weight.to_le_bytes());
        bytes.extend(checksum(order_id, HEAD, &bytes));
        bytes
    }

    /// Reads a head; `None` if the bytes are not those of an undamaged one.
    pub fn decode_head(bytes: &[u8]) -> Option<Self> {
        let (head, sum) = bytes.get(..OrderHead::BYTES)?.split_last_chunk::<CHECKSUM_BYTES>()?;
        let mut rest = head;
        let magic = take(&mut rest)?;
        let [class, strategy, snapshot, guard, counter_bytes, 0, 0, 0] = take(&mut rest)? else { return None };
        let images = u32::from_le_bytes(take(&mut rest)?);
        let gallery_id = GalleryId(Uuid::from_bytes(take(&mut rest)?));
        let order_id = OrderId(Uuid::from_bytes(take(&mut rest)?));
        let published_at = Timestamp::from_micros(i64::from_le_bytes(take(&mut rest)?));
        let view_weight = u32::from_le_bytes(take(&mut rest)?);
        let click_weight = u32::from_le_bytes(take(&mut rest)?);
        let is_whole = magic == MAGIC && matches!(counter_bytes, 0 | 4 | 8) && guard <= 1;
        if !is_whole || checksum(order_id, HEAD, head) != *sum {
            return None;
        }
        let head = OrderHead {
            order_id,
            gallery_id,
            class: *AccessClass::ALL.get(usize::from(class))?,
            strategy: *Strategy::ALL.get(usize::from(strategy))?,
            factors: WeightFactors { view_weight, click_weight },
            guard: guard == 1,
            snapshot,
            published_at,
            images,
        };
        Some(OrderRecord { head, counter_bytes })
    }

    /// The number of blocks.
    pub fn blocks(&self) -> u32 {
        self.head.images.div_ceil(BLOCK_IMAGES)
    }

    /// The blocks that hold up to `limit` images from index `start`.
    pub fn blocks_of(&self, start: usize, limit: usize) -> Range<u32> {
        let images = self.slice(start, limit);
        if images.is_empty() { 0..0 } else { images.start / BLOCK_IMAGES..images.end.div_ceil(BLOCK_IMAGES) }
    }

    /// The place of blocks in the record, in bytes.
    pub fn bytes_of(&self, blocks: Range<u32>) -> Range<u64> {
        let place = |block: u32| {
            let images = u64::from(block.saturating_mul(BLOCK_IMAGES).min(self.head.images));
            let sums = u64::from(block.min(self.blocks())) * CHECKSUM_BYTES as u64;
            OrderHead::BYTES as u64 + images * self.entry_bytes() as u64 + sums
        };
        place(blocks.start)..place(blocks.end)
    }

    /// Appends block `block` of the order.
    pub fn encode_block(&self, block: u32, ordinals: &[u32], counts: &CountsSnapshot, bytes: &mut Vec<u8>) {
        let begin = bytes.len();
        let images = self.images_of(block);
        let ordinals = ordinals.get(images.start as usize..images.end as usize).unwrap_or_default();
        // Counters are far apart in memory. A loop that only reads them waits for several at a time.
        let entries: Vec<OrderEntry> = ordinals.iter().map(|ordinal| self.head.entry(*ordinal, counts)).collect();
        for entry in entries {
            bytes.extend_from_slice(&entry.ordinal.to_le_bytes());
            let counters = [entry.counts.views, entry.counts.clicks, entry.counted.views, entry.counted.clicks];
            for counter in &counters[..self.counters()] {
                bytes.extend_from_slice(&counter.to_le_bytes()[..usize::from(self.counter_bytes)]);
            }
        }
        let sum = checksum(self.head.order_id, block, &bytes[begin..]);
        bytes.extend(sum);
    }

    /// Up to `limit` images from index `start`. `bytes` are those of their blocks. `None` if these are not undamaged
    /// blocks of this order.
    pub fn decode(&self, start: usize, limit: usize, mut bytes: &[u8]) -> Option<Vec<OrderEntry>> {
        let wanted = self.slice(start, limit);
        let mut entries = Vec::with_capacity(wanted.len());
        for block in self.blocks_of(start, limit) {
            let images = self.images_of(block);
            let (block_bytes, rest) = bytes.split_at_checked(images.len() * self.entry_bytes())?;
            let (sum, rest) = rest.split_first_chunk::<CHECKSUM_BYTES>()?;
            if checksum(self.head.order_id, block, block_bytes) != *sum {
                return None;
            }
            let first = wanted.start.max(images.start) - images.start;
            let count = wanted.end.min(images.end) - images.start - first;
            let coded = block_bytes.chunks_exact(self.entry_bytes()).skip(first as usize).take(count as usize);
            for coded in coded {
                entries.push(self.decode_entry(coded)?);
            }
            bytes = rest;
        }
        bytes.is_empty().then_some(entries)
    }

    fn decode_entry(&self, mut bytes: &[u8]) -> Option<OrderEntry> {
        let ordinal = u32::from_le_bytes(take(&mut bytes)?);
        let mut counters = [0; 4];
        for counter in &mut counters[..self.counters()] {
            *counter = match self.counter_bytes {
                4 => u32::from_le_bytes(take(&mut bytes)?).into(),
                _ => u64::from_le_bytes(take(&mut bytes)?),
            };
        }
        let [views, clicks, counted_views, counted_clicks] = counters;
        let counted = Counts { views: counted_views, clicks: counted_clicks };
        Some(OrderEntry { ordinal, counts: Counts { views, clicks }, counted })
    }

    /// Counters of one image.
    fn counters(&self) -> usize {
        match (self.counter_bytes, self.head.guard) {
            (0, _) => 0,
            (_, false) => 2,
            (_, true) => 4,
        }
    }

    fn entry_bytes(&self) -> usize {
        size_of::<u32>() + self.counters() * usize::from(self.counter_bytes)
    }

    fn images_of(&self, block: u32) -> Range<u32> {
        let place = |block: u32| block.saturating_mul(BLOCK_IMAGES).min(self.head.images);
        place(block)..place(block.saturating_add(1))
    }

    fn slice(&self, start: usize, limit: usize) -> Range<u32> {
        let index = |place: usize| u32::try_from(place).unwrap_or(u32::MAX).min(self.head.images);
        index(start)..index(start.saturating_add(limit))
    }
}

fn checksum(order_id: OrderId, block: u32, bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(order_id.0.as_bytes());
    hasher.update(&block.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize().to_le_bytes()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}
