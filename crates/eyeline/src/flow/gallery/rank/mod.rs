//! From counters to published orders.
//!
//! A requested gallery is held in memory as flat columns, read once and then updated with what changed. Each access
//! class and strategy in use has one current order. All of this is a cache of the catalog: a restart reads it again.
//!
//! An order from which a page is served is stored as a record. Cursors go on in the record after the order was
//! replaced, after a restart, and in every process that shares the records. The process that owns a gallery publishes
//! its orders and answers questions about them; the others ask it by records.

mod explained;
mod order;
mod questions;
mod ranked;
mod schedule;
mod stored;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use eyeline_core::ranking::{OrderEntry, OrderHead};
use eyeline_core::{AccessClass, GalleryId, OrderId};
use eyeline_store::catalog::orders::Revisions;
use eyeline_store::orders::{OrderKey, Usage};
use eyeline_store::{Catalog, Error, PubSub, Result};
use tokio::sync::Semaphore;

pub use explained::Explanation;
pub use order::{Order, Slice};
pub use questions::{ANSWER_PATIENCE, Question};
pub use ranked::{Head, Ranked, Wanted};

use crate::clock::Clock;
use crate::engines::Engines;
use crate::flow::hints;
use crate::flow::lake::partitions::Partitions;
use questions::QUESTIONS_AT_ONCE;
use ranked::lock;
use stored::{Followed, Stored};

/// The time for which an order is kept after the last page served from it.
pub const ORDER_KEPT: Duration = Duration::from_secs(15 * 60);

/// The longest time that a change of rules or settings waits for the resulting orders.
const PUBLISHING_PATIENCE: Duration = Duration::from_secs(2);

/// The longest time that a page waits for the record of its order. The record is written on then.
const STORING_PATIENCE: Duration = Duration::from_millis(100);

/// Bytes of galleries in memory. Beyond it the least recently requested are dropped.
pub const GALLERIES_BYTES_MAX: usize = 160 * 1024 * 1024;
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
    stored: Stored,
    ids: Ids,
    /// Permits for questions to other processes.
    asking: Semaphore,
}

/// Makes the ids of orders.
struct Ids {
    partitions: Partitions,
    /// The number of the next order of this process.
    next: AtomicU64,
}

impl Ids {
    /// An id that is greater than those of the gallery's earlier orders, whichever process published them. Fails if
    /// another process owns the gallery's partition: then that one publishes its orders.
    fn new_id(&self, gallery_id: GalleryId) -> Result<OrderId> {
        let (partition, fence) = self.partitions.owned(gallery_id.0).ok_or_else(pending)?;
        Ok(OrderId::new(partition, fence, self.next.fetch_add(1, Ordering::Relaxed)))
    }

    fn owns(&self, gallery_id: GalleryId) -> bool {
        self.partitions.owned(gallery_id.0).is_some()
    }
}

/// The gallery's orders are published by another process, which has not done so.
fn pending() -> Error {
    Error::Pending(
        "The process that ranks this gallery has not published this order yet; send the request again after Retry-After.",
    )
}

impl Orders {
    pub fn new(engines: &Engines, partitions: Partitions, clock: Clock) -> Self {
        let Engines { catalog, pubsub, order_records, near, .. } = engines.clone();
        let stored = Stored::new(order_records, near, clock.clone());
        let ids = Ids { partitions, next: AtomicU64::new(0) };
        let asking = Semaphore::new(QUESTIONS_AT_ONCE);
        Orders(Arc::new(Inner { catalog, pubsub, clock, galleries: Mutex::default(), stored, ids, asking }))
    }

    pub(super) fn catalog(&self) -> &Catalog {
        &self.0.catalog
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
        ranked.current(wanted, &self.0.clock, &self.0.ids).await
    }

    /// Serves up to `limit` images of the newest of the wanted orders, from index `start`.
    pub async fn newest_slice(
        &self,
        ranked: &Arc<Ranked>,
        wanted: Wanted,
        start: usize,
        limit: usize,
    ) -> Result<Slice> {
        if self.0.ids.owns(ranked.gallery_id()) {
            let order = self.current(ranked, wanted).await?;
            return Ok(self.serve(&order, start, limit).await);
        }
        let name = ranked.name_of(wanted)?;
        if let Some(slice) = self.0.stored.newest_slice(&followed(ranked, wanted, &name), start, limit).await? {
            return Ok(slice);
        }
        // An order of the time when this process was the owner.
        match ranked.held(wanted) {
            Some(order) => Ok(self.serve(&order, start, limit).await),
            None => Err(pending()),
        }
    }

    /// An image in the newest of the wanted orders: the order's head, the image's index, and its numbers, also if the
    /// order lacks it.
    pub async fn find(
        &self,
        ranked: &Arc<Ranked>,
        wanted: Wanted,
        ordinal: u32,
    ) -> Result<(OrderHead, Option<usize>, OrderEntry)> {
        if self.0.ids.owns(ranked.gallery_id()) {
            return Ok(self.current(ranked, wanted).await?.find(ordinal));
        }
        let name = ranked.name_of(wanted)?;
        let found = self.0.stored.find_in_newest(&followed(ranked, wanted, &name), ordinal).await?;
        let (head, found) = found.ok_or_else(pending)?;
        let (place, entry) = found.unzip();
        Ok((head, place, entry.unwrap_or_else(|| ranked.entry(&head, ordinal))))
    }

    /// Serves up to `limit` images of an order of the gallery, from index `start`. `None` if the order is not kept any
    /// more or is of another class.
    pub async fn kept_slice(
        &self,
        ranked: &Ranked,
        (class, order_id): (AccessClass, OrderId),
        start: usize,
        limit: usize,
    ) -> Result<Option<Slice>> {
        if let Some(order) = ranked.current_by_id(order_id) {
            return Ok(if order.class == class { Some(self.serve(&order, start, limit).await) } else { None });
        }
        let key = OrderKey { gallery_id: ranked.gallery_id(), order_id };
        self.0.stored.slice(key, class, start, limit).await
    }

    /// A page's cursor must outlive this process, so its order is stored before the page is sent.
    async fn serve(&self, order: &Arc<Order>, start: usize, limit: usize) -> Slice {
        let now = self.0.clock.now();
        order.mark_served(now);
        if !order.is_noted(now) {
            let (orders, kept) = (self.clone(), order.clone());
            let keeping = tokio::spawn(async move { orders.0.stored.keep(&kept).await });
            if tokio::time::timeout(STORING_PATIENCE, keeping).await.is_err() {
                tracing::debug!(order.id = %order.order_id, "a page does not wait for the record of its order");
            }
        }
        order.slice(start, limit)
    }

    /// Explains the rank of an image in an order of the gallery.
    pub fn explain(&self, ranked: &Ranked, order: &Order, ordinal: u32) -> Result<Explanation> {
        ranked.explain(order, ordinal)
    }

    /// Reads what changed. If anything did, publishes new versions of the orders in use.
    pub async fn publish(&self, ranked: &Arc<Ranked>) -> Result<()> {
        if !self.0.ids.owns(ranked.gallery_id()) {
            return self.unless_gone(ranked, ranked.stand_by(&self.0.catalog, &self.0.clock).await);
        }
        let published = ranked.publish(&self.0.catalog, &self.0.clock, &self.0.ids).await;
        let published = self.unless_gone(ranked, published)?;
        self.publish_followed(ranked, false).await?;
        if published > 0
            && let Some(head) = ranked.head()
        {
            hints::order_published(&*self.0.pubsub, head.gallery.project_id, ranked.gallery_id()).await;
        }
        Ok(())
    }

    /// Publishes the newest orders that other processes serve. With `is_sure` it looks at the records themselves.
    async fn publish_followed(&self, ranked: &Ranked, is_sure: bool) -> Result<()> {
        for order in ranked.followed(self.0.clock.now()) {
            let wanted =
                Wanted { class: order.class, strategy: Some(order.ranking.strategy), snapshot: order.snapshot };
            self.0.stored.publish(&order, &ranked.name_of(wanted)?, is_sure).await?;
        }
        Ok(())
    }

    /// Publishes the orders in use after a change of the gallery's rules or settings, whichever process owns it. Returns
    /// false if that fails or takes longer than `PUBLISHING_PATIENCE`; the background publishes them then.
    pub async fn publish_soon(&self, gallery_id: GalleryId) -> bool {
        let orders = self.clone();
        let publishing = tokio::spawn(async move { orders.publish_everywhere(gallery_id, PUBLISHING_PATIENCE).await });
        match tokio::time::timeout(PUBLISHING_PATIENCE, publishing).await {
            Ok(Ok(Ok(()))) => true,
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, gallery.id = %gallery_id, "an order could not be published now; the background retries");
                false
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Publishes what changed up to now, whichever process owns the gallery. `Pending` if its owner does not answer.
    pub async fn refresh(&self, ranked: &Arc<Ranked>) -> Result<()> {
        if self.0.ids.owns(ranked.gallery_id()) {
            return self.publish_and_wait(ranked).await;
        }
        self.publish(ranked).await?;
        self.publish_everywhere(ranked.gallery_id(), ANSWER_PATIENCE).await
    }

    /// Stores the records again that their engine has lost, and publishes the orders that other processes serve.
    pub async fn restore(&self) -> Result<()> {
        if !self.0.stored.restore().await? {
            return Ok(());
        }
        for ranked in self.held().into_iter().filter(|ranked| self.0.ids.owns(ranked.gallery_id())) {
            self.publish_followed(&ranked, true).await?;
        }
        Ok(())
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

    /// Removes the records of orders that no cursor may point into any more.
    pub async fn sweep_records(&self) -> Result<()> {
        self.0.stored.sweep().await
    }

    /// The state of the records.
    pub fn usage(&self) -> Usage {
        self.0.stored.usage()
    }

    /// Drops galleries that are unused, and the least recently requested beyond the bounds.
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
    }
}

/// A wanted order of a gallery that another process owns.
fn followed<'a>(ranked: &Ranked, wanted: Wanted, name: &'a str) -> Followed<'a> {
    Followed { gallery_id: ranked.gallery_id(), name, class: wanted.class, settings: ranked.settings() }
}
