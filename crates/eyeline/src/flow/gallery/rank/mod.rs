//! From counters to published orders.
//!
//! A requested gallery is held in memory as flat columns, read once and then updated with what changed. Each access
//! class and strategy in use has one current order. Replaced orders are kept for visitors who still scroll through
//! them. All of this is a cache of the catalog: a restart reads it again.

mod order;
mod ranked;
mod replaced;
mod schedule;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use eyeline_core::{GalleryId, OrderId};
use eyeline_store::catalog::orders::Revisions;
use eyeline_store::{Catalog, Error, PubSub, Result};

pub use order::Order;
pub use ranked::{Explanation, Head, Ranked, Wanted};

use crate::clock::Clock;
use crate::flow::hints;
use ranked::lock;
use replaced::Replaced;

/// The time for which an order is kept after the last page served from it.
pub const ORDER_KEPT: Duration = Duration::from_secs(15 * 60);

/// The longest time that a change of rules or settings waits for the resulting orders.
const PUBLISHING_PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of replaced orders. Beyond it the oldest are dropped, even if cursors still point into them.
const REPLACED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bytes of galleries in memory. Beyond it the least recently requested are dropped.
const GALLERIES_BYTES_MAX: usize = 512 * 1024 * 1024;
const GALLERIES_MAX: usize = 10_000;
/// A gallery that is not requested is dropped after this time.
const GALLERY_KEPT: Duration = Duration::from_secs(20 * 60);

/// Every gallery and order that this process holds. Cheap to clone.
#[derive(Clone)]
pub struct Orders(Arc<Inner>);

struct Inner {
    catalog: Catalog,
    pubsub: Arc<dyn PubSub>,
    clock: Clock,
    galleries: Mutex<HashMap<GalleryId, Arc<Ranked>>>,
    replaced: Mutex<Replaced>,
}

impl Orders {
    pub fn new(catalog: Catalog, pubsub: Arc<dyn PubSub>, clock: Clock) -> Self {
        let (galleries, replaced) = (Mutex::default(), Mutex::new(Replaced::new(REPLACED_BYTES_MAX)));
        Orders(Arc::new(Inner { catalog, pubsub, clock, galleries, replaced }))
    }

    /// The gallery, read again if a hint of a change was published before this call. `NotFound` if it does not exist.
    pub async fn gallery(&self, gallery_id: GalleryId) -> Result<Arc<Ranked>> {
        let found = lock(&self.0.galleries).get(&gallery_id).cloned();
        let ranked = match found {
            Some(ranked) => ranked,
            None => {
                let heard = self.0.pubsub.subscribe(&hints::gallery_topic(gallery_id)).await?;
                let ranked = Arc::new(Ranked::new(gallery_id, heard));
                lock(&self.0.galleries).entry(gallery_id).or_insert(ranked).clone()
            }
        };
        ranked.mark_used();
        self.unless_gone(&ranked, ranked.freshen(&self.0.catalog, &self.0.clock).await)?;
        Ok(ranked)
    }

    /// The newest of the wanted orders.
    pub async fn current(&self, ranked: &Arc<Ranked>, wanted: Wanted) -> Result<Arc<Order>> {
        ranked.current(wanted, &self.0.clock).await
    }

    /// Explains the rank of an image in an order of the gallery.
    pub fn explain(&self, ranked: &Ranked, order: &Order, ordinal: u32) -> Result<Explanation> {
        ranked.explain(order, ordinal)
    }

    /// An order of the gallery from which pages may still be served.
    pub fn kept(&self, ranked: &Ranked, order_id: OrderId) -> Option<Arc<Order>> {
        if let Some(order) = ranked.current_by_id(order_id) {
            return Some(order);
        }
        let order = lock(&self.0.replaced).get(order_id)?;
        (order.gallery_id == ranked.gallery_id() && ranked::in_use(&order, self.0.clock.now())).then_some(order)
    }

    /// Reads what changed. If anything did, publishes new versions of the orders in use.
    pub async fn publish(&self, ranked: &Arc<Ranked>) -> Result<()> {
        let publication = ranked.publish(&self.0.catalog, &self.0.clock).await;
        let publication = self.unless_gone(ranked, publication)?;
        lock(&self.0.replaced).keep(publication.replaced);
        if publication.published > 0
            && let Some(head) = ranked.head()
        {
            hints::order_published(&*self.0.pubsub, head.gallery.project_id, ranked.gallery_id()).await;
        }
        Ok(())
    }

    /// Publishes the orders in use that this process holds, after a change of the gallery's rules or settings. Returns
    /// false if that fails or takes longer than `PUBLISHING_PATIENCE`; the background publishes them then.
    pub async fn publish_soon(&self, gallery_id: GalleryId) -> bool {
        let Some(ranked) = lock(&self.0.galleries).get(&gallery_id).cloned() else { return true };
        let orders = self.clone();
        let publishing = tokio::spawn(async move { orders.publish(&ranked).await });
        match tokio::time::timeout(PUBLISHING_PATIENCE, publishing).await {
            Ok(Ok(Ok(()))) => true,
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, gallery.id = %gallery_id, "an order could not be published now; the background retries");
                false
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// The galleries due for publication.
    pub fn due(&self) -> Vec<Arc<Ranked>> {
        let now = self.0.clock.now();
        self.held().into_iter().filter(|ranked| ranked.is_due(now)).collect()
    }

    /// Compares held galleries with the catalog, because a hint may be lost.
    pub async fn poll(&self) -> Result<()> {
        let held = self.held();
        let ids: Vec<GalleryId> = held.iter().map(|ranked| ranked.gallery_id()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let revisions: HashMap<GalleryId, Revisions> =
            self.0.catalog.gallery_revisions(&ids).await?.into_iter().collect();
        for ranked in held {
            match revisions.get(&ranked.gallery_id()) {
                None => self.let_go(&ranked),
                Some(revisions) => ranked.compare(*revisions, self.0.clock.now()),
            }
        }
        Ok(())
    }

    /// Drops galleries and orders that are unused, and the oldest beyond the bounds.
    pub fn sweep(&self) {
        let mut held = self.held();
        held.sort_by_key(|ranked| ranked.used());
        let mut bytes: usize = held.iter().map(|ranked| ranked.bytes()).sum();
        let mut count = held.len();
        let now = Instant::now();
        for ranked in held {
            let idle = now.duration_since(ranked.used()) > GALLERY_KEPT;
            if !idle && bytes <= GALLERIES_BYTES_MAX && count <= GALLERIES_MAX {
                break;
            }
            bytes -= ranked.bytes().min(bytes);
            count -= 1;
            self.let_go(&ranked);
        }
        lock(&self.0.replaced).forget_unused(self.0.clock.now());
    }

    fn held(&self) -> Vec<Arc<Ranked>> {
        lock(&self.0.galleries).values().cloned().collect()
    }

    fn unless_gone<T>(&self, ranked: &Arc<Ranked>, outcome: Result<T>) -> Result<T> {
        if matches!(outcome, Err(Error::NotFound(_))) {
            self.let_go(ranked);
        }
        outcome
    }

    fn let_go(&self, ranked: &Arc<Ranked>) {
        let mut galleries = lock(&self.0.galleries);
        if galleries.get(&ranked.gallery_id()).is_some_and(|held| Arc::ptr_eq(held, ranked)) {
            galleries.remove(&ranked.gallery_id());
        }
        drop(galleries);
        lock(&self.0.replaced).keep(ranked.let_go());
    }
}
