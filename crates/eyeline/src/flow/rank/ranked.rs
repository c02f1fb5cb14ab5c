//! One gallery as ranking holds it in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use eyeline_core::ranking::{Columns, resequence, sequence};
use eyeline_core::{AccessClass, GalleryId, OrderId, Ranking, Strategy, Timestamp};
use eyeline_store::catalog::galleries::Gallery;
use eyeline_store::catalog::orders::{ChangeMark, GalleryChanges};
use eyeline_store::pubsub::Hint;
use eyeline_store::{Catalog, Error, Result};
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};

use super::order::Order;
use super::{COUNTS, ORDER_KEPT};
use crate::clock::Clock;

/// Images read by one query.
const CHANGES_MAX: u32 = 10_000;
/// Above this many images an order is made on a thread of its own, away from the tasks that answer requests.
const INLINE_MAX: usize = 20_000;
/// The part of a core that ranking a gallery may take is one in this many.
const COST_SHARE: u32 = 100;
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(30);
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// A new image is in the order within a second, whatever that costs.
const URGENT_INTERVAL_MAX: Duration = Duration::from_millis(700);

type Pair = (AccessClass, Strategy);

pub struct Ranked {
    gallery_id: GalleryId,
    hints: Mutex<BoxStream<'static, Hint>>,
    /// Something that a page shows may have changed since the state was read.
    stale: AtomicBool,
    /// Anything may have changed since the last publication.
    dirty: AtomicBool,
    /// Among it may be something else than counters.
    urgent: AtomicBool,
    /// Held while reading changes and publishing; nothing that serves pages waits for it unless the state is stale.
    work: tokio::sync::Mutex<Work>,
    state: RwLock<Option<State>>,
    /// The newest order of each class and strategy in use.
    current: RwLock<HashMap<Pair, Arc<Order>>>,
    times: Mutex<Times>,
}

struct State {
    gallery: Arc<Gallery>,
    revision: i64,
    item_revision: i64,
    columns: Columns,
}

struct Work {
    mark: ChangeMark,
    /// Images that changed since the last publication.
    changed: Vec<u32>,
    /// The settings changed: no order can be carried on.
    all_changed: bool,
}

struct Times {
    due: Instant,
    /// When the next publication is due if something else than counters changed.
    urgent_due: Instant,
    used: Instant,
}

/// What pages are made from besides an order.
#[derive(Clone)]
pub struct Head {
    pub gallery: Arc<Gallery>,
    pub item_revision: i64,
}

impl Ranked {
    /// Knows nothing until [`Ranked::catch_up`]. `hints` has to be listening already.
    pub(super) fn new(gallery_id: GalleryId, hints: BoxStream<'static, Hint>) -> Self {
        let now = Instant::now();
        Ranked {
            gallery_id,
            hints: Mutex::new(hints),
            stale: AtomicBool::new(true),
            dirty: AtomicBool::new(true),
            urgent: AtomicBool::new(true),
            work: tokio::sync::Mutex::new(Work { mark: ChangeMark::START, changed: Vec::new(), all_changed: false }),
            state: RwLock::new(None),
            current: RwLock::new(HashMap::new()),
            times: Mutex::new(Times { due: now, urgent_due: now, used: now }),
        }
    }

    pub fn gallery_id(&self) -> GalleryId {
        self.gallery_id
    }

    /// What was known at the last reading; `None` before the first one.
    pub fn head(&self) -> Option<Head> {
        let state = read(&self.state);
        state.as_ref().map(|state| Head { gallery: state.gallery.clone(), item_revision: state.item_revision })
    }

    /// Whether the class sees the image now, whatever an older order says.
    pub fn shows(&self, ordinals: &[u32], class: AccessClass) -> Vec<bool> {
        let state = read(&self.state);
        ordinals
            .iter()
            .map(|ordinal| state.as_ref().is_some_and(|state| state.columns.shows(*ordinal, class)))
            .collect()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Ranked>() + read(&self.state).as_ref().map_or(0, |state| state.columns.bytes())
    }

    pub(super) fn revision(&self) -> Option<i64> {
        read(&self.state).as_ref().map(|state| state.revision)
    }

    pub(super) fn mark_used(&self) {
        lock(&self.times).used = Instant::now();
    }

    pub(super) fn used(&self) -> Instant {
        lock(&self.times).used
    }

    /// Takes in the hints heard since the last call. A hint that was published before is always among them.
    pub(super) fn hear(&self) {
        let mut hints = lock(&self.hints);
        while let Some(Some(hint)) = hints.next().now_or_never() {
            match hint {
                Hint::Message(message) if message == COUNTS => self.dirty.store(true, Ordering::Release),
                Hint::Message(_) | Hint::Lagged => self.mark_changed(),
            }
        }
    }

    /// Anything may have changed, as far as is known.
    pub(super) fn mark_changed(&self) {
        self.stale.store(true, Ordering::Release);
        self.urgent.store(true, Ordering::Release);
        self.dirty.store(true, Ordering::Release);
    }

    /// Whether it is time to publish.
    pub(super) fn is_due(&self) -> bool {
        self.hear();
        if !self.dirty.load(Ordering::Acquire) {
            return false;
        }
        let times = lock(&self.times);
        Instant::now() >= if self.urgent.load(Ordering::Acquire) { times.urgent_due } else { times.due }
    }

    /// Reads what changed, if something that a page shows did. After a hint was published, no page is made from what
    /// was before it.
    pub(super) async fn freshen(&self, catalog: &Catalog) -> Result<()> {
        self.hear();
        if self.stale.load(Ordering::Acquire) {
            let mut work = self.work.lock().await;
            // Whoever held the lock before may have read it already.
            if self.stale.load(Ordering::Acquire) {
                self.read_changes(catalog, &mut work).await?;
            }
        }
        Ok(())
    }

    async fn read_changes(&self, catalog: &Catalog, work: &mut Work) -> Result<()> {
        let stale = Lowered::lower(&self.stale);
        loop {
            let changes = catalog.gallery_changes(self.gallery_id, work.mark, CHANGES_MAX).await?;
            let changes = changes.ok_or(Error::NotFound("gallery"))?;
            let complete = changes.complete;
            self.apply(changes, work);
            if complete {
                stale.keep();
                return Ok(());
            }
        }
    }

    fn apply(&self, changes: GalleryChanges, work: &mut Work) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let gallery = Arc::new(changes.gallery);
        let columns = match state.take() {
            None => Columns::default(),
            Some(before) => {
                work.all_changed |= before.gallery.ranking != gallery.ranking;
                before.columns
            }
        };
        let known =
            state.insert(State { gallery, revision: changes.revision, item_revision: changes.item_revision, columns });
        for (ordinal, image) in changes.images {
            known.columns.set(ordinal, image);
            work.changed.push(ordinal);
        }
        work.mark = changes.mark;
        if work.changed.len() > known.columns.len() {
            work.all_changed = true;
            work.changed.clear();
        }
    }

    /// The newest order of the class by the strategy (the gallery's own when `None`), made now if it was not in use.
    pub(super) async fn current(
        self: &Arc<Self>,
        class: AccessClass,
        strategy: Option<Strategy>,
        clock: &Clock,
    ) -> Result<Arc<Order>> {
        let find = || {
            let ranking = self.ranking(strategy)?;
            Ok(read(&self.current).get(&(class, ranking.strategy)).cloned())
        };
        if let Some(order) = find()? {
            return Ok(order);
        }
        let _one_at_a_time = self.work.lock().await;
        if let Some(order) = find()? {
            return Ok(order);
        }
        let ranking = self.ranking(strategy)?;
        let order = Arc::new(self.make(class, ranking, None, clock).await?);
        // Before anybody else sees it: a publication forgets what was never served.
        order.mark_served(clock.now());
        self.current.write().unwrap_or_else(PoisonError::into_inner).insert((class, ranking.strategy), order.clone());
        Ok(order)
    }

    /// One of the newest orders, by its id.
    pub(super) fn current_by_id(&self, order_id: OrderId) -> Option<Arc<Order>> {
        read(&self.current).values().find(|order| order.order_id == order_id).cloned()
    }

    /// Reads what changed and publishes the orders in use anew if anything did; gives those that were replaced and
    /// whether there are new ones.
    pub(super) async fn publish(self: &Arc<Self>, catalog: &Catalog, clock: &Clock) -> Result<Publication> {
        let mut work = self.work.lock().await;
        let started = Instant::now();
        let dirty = Lowered::lower(&self.dirty);
        let urgent = Lowered::lower(&self.urgent);
        // Set at once, so that a catalog that is away is not asked without a pause.
        self.set_due(AFTER_FAILURE);
        self.read_changes(catalog, &mut work).await?;
        let publication = self.replace(&mut work, clock).await?;
        dirty.keep();
        urgent.keep();
        self.set_due((started.elapsed() * COST_SHARE).clamp(INTERVAL_MIN, INTERVAL_MAX));
        Ok(publication)
    }

    async fn replace(self: &Arc<Self>, work: &mut Work, clock: &Clock) -> Result<Publication> {
        let mut publication = Publication { published: 0, replaced: Vec::new() };
        if work.changed.is_empty() && !work.all_changed {
            return Ok(publication);
        }
        let now = clock.now();
        let before: Vec<(Pair, Arc<Order>)> =
            read(&self.current).iter().map(|(pair, order)| (*pair, order.clone())).collect();
        let mut current = HashMap::with_capacity(before.len());
        for ((class, strategy), order) in before {
            if in_use(&order, now) {
                let ranking = self.ranking(Some(strategy))?;
                let carried_on = (!work.all_changed).then(|| (order.clone(), work.changed.clone()));
                let next = self.make(class, ranking, carried_on, clock).await?;
                current.insert((class, strategy), Arc::new(next));
                publication.published += 1;
            }
            publication.replaced.push(order);
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        work.changed.clear();
        work.all_changed = false;
        Ok(publication)
    }

    async fn make(
        self: &Arc<Self>,
        class: AccessClass,
        ranking: Ranking,
        carried_on: Option<(Arc<Order>, Vec<u32>)>,
        clock: &Clock,
    ) -> Result<Order> {
        let (order_id, now) = (clock.new_id(), clock.now());
        let ranked = self.clone();
        let make = move || {
            let state = read(&ranked.state);
            let columns = &state.as_ref().ok_or(Error::NotFound("gallery"))?.columns;
            let ordinals = match carried_on {
                None => sequence(columns, ranking, class),
                Some((previous, changed)) => resequence(columns, ranking, class, &previous.ordinals, &changed),
            };
            Ok(Order::new(order_id, ranked.gallery_id, class, ranking, now, ordinals, columns.snapshot()))
        };
        let images = read(&self.state).as_ref().map_or(0, |state| state.columns.len());
        if images <= INLINE_MAX {
            return make();
        }
        tokio::task::spawn_blocking(make).await.map_err(|error| Error::internal("making an order", error))?
    }

    /// The gallery's settings with another strategy in place of its own.
    fn ranking(&self, strategy: Option<Strategy>) -> Result<Ranking> {
        let head = self.head().ok_or(Error::NotFound("gallery"))?;
        let own = head.gallery.ranking;
        Ok(Ranking { strategy: strategy.unwrap_or(own.strategy), ..own })
    }

    /// The newest orders, when the gallery is let go.
    pub(super) fn let_go(&self) -> Vec<Arc<Order>> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *current).into_values().collect()
    }

    fn set_due(&self, interval: Duration) {
        let now = Instant::now();
        let mut times = lock(&self.times);
        times.due = now + interval;
        times.urgent_due = now + interval.min(URGENT_INTERVAL_MAX);
    }
}

pub(super) struct Publication {
    pub published: usize,
    pub replaced: Vec<Arc<Order>>,
}

/// Whether anybody has asked for the order lately, or may still follow a cursor into it.
pub(super) fn in_use(order: &Order, now: Timestamp) -> bool {
    order.served_at().is_some_and(|served_at| now.since(served_at) <= ORDER_KEPT)
}

/// A flag that was lowered, and is raised again unless the work that it stood for came to its end: that may fail, or
/// be dropped half-way.
struct Lowered<'a> {
    flag: &'a AtomicBool,
    kept: bool,
}

impl<'a> Lowered<'a> {
    fn lower(flag: &'a AtomicBool) -> Self {
        flag.store(false, Ordering::Release);
        Lowered { flag, kept: false }
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Lowered<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.flag.store(true, Ordering::Release);
        }
    }
}

fn read<T>(locked: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    locked.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn lock<T>(locked: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    locked.lock().unwrap_or_else(PoisonError::into_inner)
}
