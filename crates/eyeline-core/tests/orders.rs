//! Records of orders: what was written is read, in parts as in whole, and damage is noticed.

use eyeline_core::ranking::{
    Columns, Counts, CountsSnapshot, Evidence, OrderEntry, OrderHead, OrderRecord, RankedImage,
};
use eyeline_core::{AccessClass, GalleryId, OrderId, Strategy, Timestamp, WeightFactors};
use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_assert_ne, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;
use uuid::Uuid;

#[derive(Clone, Debug)]
struct Order {
    head: OrderHead,
    ordinals: Vec<u32>,
    counts: CountsSnapshot,
}

impl Order {
    fn entries(&self) -> Vec<OrderEntry> {
        self.ordinals.iter().map(|ordinal| self.head.entry(*ordinal, &self.counts)).collect()
    }

    fn encode(&self) -> Vec<u8> {
        let record = OrderRecord::new(self.head, &self.counts);
        let mut bytes = record.encode_head();
        (0..record.blocks()).for_each(|block| record.encode_block(block, &self.ordinals, &self.counts, &mut bytes));
        bytes
    }
}

/// The slice of an encoded order, read as a process does that holds no copy.
fn read(bytes: &[u8], start: usize, limit: usize) -> Option<(OrderHead, Vec<OrderEntry>)> {
    let record = OrderRecord::decode_head(bytes)?;
    let range = record.bytes_of(record.blocks_of(start, limit));
    let blocks = bytes.get(range.start as usize..range.end as usize)?;
    Some((record.head, record.decode(start, limit, blocks)?))
}

fn counter() -> impl Generator<Value = u64> {
    prop_oneof![6 => 0..1_000u64, 1 => Just(u64::from(u32::MAX))]
}

fn order() -> impl Generator<Value = Order> {
    let head = (
        (any::<u128>(), any::<u128>(), any::<i64>(), any::<bool>(), 0..4u8),
        (prop::sample::select(&AccessClass::ALL), prop::sample::select(&Strategy::ALL), any::<u32>(), any::<u32>()),
    );
    // Most orders are of one block or two.
    let images = prop_oneof![3 => 0..10usize, 3 => 250..260usize, 1 => 0..1_100usize];
    let images =
        images.prop_flat_map(|images| prop::collection::vec((counter(), counter(), counter(), counter()), images));
    let largest = prop_oneof![4 => Just(None), 1 => Just(Some(u64::MAX))];
    (head, images, largest, any::<u64>()).prop_map(
        |(
            ((order, gallery, published_at, guard, snapshot), (class, strategy, view_weight, click_weight)),
            images,
            largest,
            seed,
        )| {
            let mut columns = Columns::default();
            let count = images.len() as u32;
            for (ordinal, (views, clicks, ignored_views, ignored_clicks)) in (0u32..).zip(images) {
                let counts = Counts { views: if ordinal == 0 { largest.unwrap_or(views) } else { views }, clicks };
                let ignored = Counts { views: ignored_views, clicks: ignored_clicks };
                let (created_at, shown_to) = (Timestamp::from_micros(1), Some(AccessClass::Public));
                columns
                    .set(ordinal, RankedImage { created_at, counts, ignored, evidence: Evidence::default(), shown_to });
            }
            let mut ordinals: Vec<u32> = (0..count).collect();
            ordinals.sort_by_key(|ordinal| (u64::from(*ordinal) + 1).wrapping_mul(seed | 1));
            let head = OrderHead {
                order_id: OrderId(Uuid::from_u128(order)),
                gallery_id: GalleryId(Uuid::from_u128(gallery)),
                class,
                strategy,
                factors: WeightFactors { view_weight, click_weight },
                guard,
                snapshot,
                published_at: Timestamp::from_micros(published_at),
                images: count,
            };
            Order { head, ordinals, counts: columns.snapshot() }
        },
    )
}

proptest! {
    #[test]
    fn a_slice_of_the_record_is_that_slice_of_the_order(order in order(), start in 0..1_200usize, limit in 0..300usize) {
        let (bytes, entries) = (order.encode(), order.entries());
        prop_assert_eq!(read(&bytes, 0, usize::MAX), Some((order.head, entries.clone())));
        let end = start.saturating_add(limit).min(entries.len());
        let slice = entries[start.min(end)..end].to_vec();
        prop_assert_eq!(read(&bytes, start, limit), Some((order.head, slice)));
        let record = OrderRecord::decode_head(&bytes).expect("a head");
        prop_assert_eq!(record.bytes_of(0..record.blocks()).end, bytes.len() as u64);
    }

    #[test]
    fn a_damaged_record_is_none_and_never_another_order(order in order(), at: prop::sample::Index, bit in 0..8u8) {
        let whole = order.encode();
        let mut damaged = whole.clone();
        let at = at.index(whole.len());
        damaged[at] ^= 1 << bit;
        prop_assert_eq!(read(&damaged, 0, usize::MAX), None);
        prop_assert_eq!(read(&whole[..at], 0, usize::MAX), None, "cut");
        damaged[at..].fill(0);
        prop_assert!(damaged == whole || read(&damaged, 0, usize::MAX).is_none(), "zeros from there on");
        // Damage elsewhere does not hide the undamaged part.
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << bit;
        for start in 0..order.ordinals.len() {
            if let Some(read_part) = read(&damaged, start, 1) {
                prop_assert_eq!(Some(read_part), read(&whole, start, 1));
            }
        }
    }

    #[test]
    fn parts_of_other_records_are_none(order in order(), other: u128, shift in 1..3usize) {
        let bytes = order.encode();
        let record = OrderRecord::decode_head(&bytes).expect("a head");
        let beside = Order { head: OrderHead { order_id: OrderId(Uuid::from_u128(other)), ..order.head }, ..order.clone() };
        let mixed = [&bytes[..OrderHead::BYTES], &beside.encode()[OrderHead::BYTES..]].concat();
        prop_assert!(order.ordinals.is_empty() || beside.head == order.head || read(&mixed, 0, usize::MAX).is_none());
        // A block in another's place.
        let blocks = record.blocks() as usize;
        if blocks > shift + 1 {
            let block = |block: usize| record.bytes_of(block as u32..block as u32 + 1);
            let range = block(shift);
            let moved = &bytes[range.start as usize..range.end as usize];
            prop_assert_eq!(record.decode(0, 1, moved), None);
            prop_assert!(record.decode(shift * 256, 1, moved).is_some());
        }
    }

    #[test]
    fn ids_sort_by_fence_then_number(partition in 0..4_096u32, ours: (u16, u32), theirs: (u16, u32)) {
        let id = |(fence, number): (u16, u32)| OrderId::new(partition, fence.into(), number.into());
        prop_assert_eq!(id(ours).cmp(&id(theirs)), ours.cmp(&theirs));
        prop_assert_eq!((id(ours).0.get_version_num(), id(ours).0.get_variant()), (8, uuid::Variant::RFC4122));
        prop_assert_ne!(id(ours), OrderId::new((partition + 1) % 4_096, ours.0.into(), ours.1.into()));
    }
}
