//! Replaced orders, kept for visitors who still scroll through them.

use std::collections::BTreeMap;
use std::sync::Arc;

use eyeline_core::{OrderId, Timestamp};

use super::ORDER_KEPT;
use super::order::Order;
use super::ranked::in_use;

pub(super) struct Replaced {
    /// Ids rise with their creation time, so the oldest order comes first.
    orders: BTreeMap<OrderId, Arc<Order>>,
    bytes: usize,
    bytes_max: usize,
}

impl Replaced {
    pub fn new(bytes_max: usize) -> Self {
        Replaced { orders: BTreeMap::new(), bytes: 0, bytes_max }
    }

    pub fn get(&self, order_id: OrderId) -> Option<Arc<Order>> {
        self.orders.get(&order_id).cloned()
    }

    /// Keeps the orders that cursors may point into. Beyond the bound the oldest are dropped, even if cursors point
    /// into them.
    pub fn keep(&mut self, orders: Vec<Arc<Order>>) {
        for order in orders.into_iter().filter(|order| order.served_at().is_some()) {
            self.bytes += order.bytes_at_most();
            self.orders.insert(order.order_id, order);
        }
        while self.bytes > self.bytes_max
            && let Some((_, oldest)) = self.orders.pop_first()
        {
            self.bytes -= oldest.bytes_at_most();
        }
    }

    /// Drops orders from which no page was served within `ORDER_KEPT`, by the product's clock and in real time. Events
    /// about orders arrive in real time.
    pub fn forget_unused(&mut self, now: Timestamp) {
        self.orders.retain(|_, order| in_use(order, now) || order.idle() <= ORDER_KEPT);
        self.bytes = self.orders.values().map(|order| order.bytes_at_most()).sum();
    }
}

#[cfg(test)]
mod tests {
    use eyeline_core::ranking::CountsSnapshot;
    use eyeline_core::{AccessClass, GalleryId, Ranking};
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
    use uuid::Uuid;

    use super::*;

    fn order(number: u128, images: u32, served: bool) -> Arc<Order> {
        let (gallery_id, now) = (GalleryId(Uuid::from_u128(1)), Timestamp::from_micros(5));
        let (ordinals, counts) = ((0..images).collect(), CountsSnapshot::default());
        let made_by = (Ranking::default(), 0);
        let order_id = OrderId(Uuid::from_u128(number));
        let order = Order::new(order_id, gallery_id, AccessClass::Public, made_by, now, ordinals, counts);
        if served {
            order.mark_served(now);
        }
        Arc::new(order)
    }

    proptest! {
        #[test]
        fn within_the_bound_the_youngest_that_were_served_are_kept(
            // Several galleries may have their orders replaced concurrently, in any order.
            batches in prop::collection::vec(prop::collection::vec((0..40u128, 0..500u32, any::<bool>()), 0..5), 0..20),
            bytes_max in 0..400_000usize,
        ) {
            let mut replaced = Replaced::new(bytes_max);
            let mut expected: Vec<(u128, usize)> = Vec::new();
            for (batch, orders) in (0u128..).zip(batches) {
                let orders = orders.into_iter().enumerate();
                let orders: Vec<Arc<Order>> = orders
                    .map(|(index, (age, images, served))| order((batch + age) * 10 + index as u128, images, served))
                    .filter(|order| replaced.get(order.order_id).is_none())
                    .collect();
                let served = orders.iter().filter(|order| order.served_at().is_some());
                expected.extend(served.map(|order| (order.order_id.0.as_u128(), order.bytes_at_most())));
                expected.sort_unstable();
                while expected.iter().map(|(_, bytes)| bytes).sum::<usize>() > bytes_max {
                    expected.remove(0);
                }
                replaced.keep(orders);
                let held: Vec<u128> = replaced.orders.keys().map(|order_id| order_id.0.as_u128()).collect();
                prop_assert_eq!(&held, &expected.iter().map(|(number, _)| *number).collect::<Vec<_>>());
                prop_assert_eq!(replaced.bytes, expected.iter().map(|(_, bytes)| bytes).sum::<usize>());
                replaced.forget_unused(Timestamp::from_micros(6));
                prop_assert!(replaced.orders.len() == held.len(), "all of them were served lately");
            }
        }
    }
}
