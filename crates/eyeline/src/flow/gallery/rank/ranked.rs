//! One gallery as ranking holds it in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use eyeline_core::ranking::experiment::Arm;
use eyeline_core::ranking::rules::Period;
use eyeline_core::ranking::{
    Basis, Columns, FoundRules, Learnt, OrderEntry, OrderHead, RulesInForce, Scorer, resequence, sequence,
};
use eyeline_core::{AccessClass, GalleryId, OrderId, Ranking, Strategy, Timestamp};
use eyeline_store::catalog::galleries::Gallery;
use eyeline_store::catalog::orders::{ChangeMark, GalleryChanges, Revisions};
use eyeline_store::pubsub::Hint;
use eyeline_store::{Catalog, Error, Result};
use futures::stream::BoxStream;

use super::order::Order;
use super::questions::name_of;
use super::schedule::Schedule;
use super::{Ids, ORDER_KEPT};
use crate::clock::Clock;

/// Images read by one query.
const CHANGES_MAX: u32 = 10_000;
/// An order of more images is made on a blocking thread, away from the tasks that answer requests.
const INLINE_MAX: usize = 20_000;

/// The most orders of a gallery by other strategies than its own and its hold-out's.
const EXTRA_MAX: usize = 8;

/// A wanted order of a gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    pub class: AccessClass,
    /// `None` stands for the gallery's own strategy.
    pub strategy: Option<Strategy>,
    /// Taken modulo the number of the strategy's concurrent orders.
    pub snapshot: u8,
}

/// Class, strategy and snapshot of an order.
type Variant = (AccessClass, Strategy, u8);

pub struct Ranked {
    gallery_id: GalleryId,
    schedule: Schedule,
    /// Held while changes are read and orders published. A request for a page waits for it only if the state is stale.
    work: tokio::sync::Mutex<Work>,
    pub(super) state: RwLock<Option<State>>,
    /// The number of the present rules and settings in this process.
    settings: AtomicU64,
    /// The newest order of each variant in use.
    current: RwLock<HashMap<Variant, Arc<Order>>>,
    /// The time of the last request.
    used: Mutex<Instant>,
}

pub(super) struct State {
    gallery: Arc<Gallery>,
    revision: i64,
    item_revision: i64,
    pub columns: Columns,
    learnt: Learnt,
    rules: Arc<FoundRules>,
    pub in_force: Arc<RulesInForce>,
    /// The period in which those rules are in force.
    in_force_for: Period,
}

impl State {
    fn put_in_force(&mut self, now: Timestamp) {
        self.in_force = Arc::new(self.rules.at(now));
        self.in_force_for = self.rules.rules.period_at(now);
    }

    /// What was learnt up to the minute before `now`, whether or not later acts arrived.
    pub fn learnt(&self, now: Timestamp) -> Learnt {
        self.learnt.folded(now.minute(), self.gallery.ranking.half_life_minutes())
    }

    pub fn basis<'a>(&'a self, learnt: &'a Learnt, ranking: Ranking, snapshot: u8, now: Timestamp) -> Basis<'a> {
        let (columns, rules, gallery_id) = (&self.columns, &*self.in_force, self.gallery.gallery_id);
        Basis { columns, learnt, ranking, rules, gallery_id, snapshot, now }
    }
}

struct Work {
    mark: ChangeMark,
    /// Images that changed since the last publication.
    changed: Vec<u32>,
    /// The settings changed, so no order can be reused.
    all_changed: bool,
    /// The item revision at which the rules were read; `None` before the first reading.
    rules_of: Option<i64>,
}

/// What a page needs from the gallery in addition to an order.
#[derive(Clone)]
pub struct Head {
    pub gallery: Arc<Gallery>,
    pub item_revision: i64,
    /// The start of the present rules, if another rule began or ended before.
    pub rules_since: Option<Timestamp>,
}

impl Ranked {
    /// Empty until [`Ranked::freshen`]. `hints` must already be subscribed.
    pub(super) fn new(gallery_id: GalleryId, hints: BoxStream<'static, Hint>) -> Self {
        Ranked {
            gallery_id,
            schedule: Schedule::new(hints),
            work: tokio::sync::Mutex::new(Work {
                mark: ChangeMark::START,
                changed: Vec::new(),
                all_changed: false,
                rules_of: None,
            }),
            state: RwLock::new(None),
            settings: AtomicU64::new(0),
            current: RwLock::new(HashMap::new()),
            used: Mutex::new(Instant::now()),
        }
    }

    pub fn gallery_id(&self) -> GalleryId {
        self.gallery_id
    }

    /// The state of the last reading; `None` before the first one.
    pub fn head(&self) -> Option<Head> {
        let state = read(&self.state);
        state.as_ref().map(|state| Head {
            gallery: state.gallery.clone(),
            item_revision: state.item_revision,
            rules_since: state.in_force_for.from,
        })
    }

    /// For each image, true if the class sees it now. An older order may disagree.
    pub fn shows(&self, ordinals: &[u32], class: AccessClass) -> Vec<bool> {
        let state = read(&self.state);
        ordinals
            .iter()
            .map(|ordinal| {
                let seen = |state: &State| state.columns.shows(*ordinal, class) && !state.in_force.excludes(*ordinal);
                state.as_ref().is_some_and(seen)
            })
            .collect()
    }

    /// An image with its present numbers.
    pub(super) fn entry(&self, head: &OrderHead, ordinal: u32) -> OrderEntry {
        let state = read(&self.state);
        let counts = state.as_ref().map(|state| state.columns.snapshot()).unwrap_or_default();
        head.entry(ordinal, &counts)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Ranked>() + read(&self.state).as_ref().map_or(0, |state| state.columns.bytes())
    }

    pub(super) fn mark_used(&self) {
        *lock(&self.used) = Instant::now();
    }

    pub(super) fn used(&self) -> Instant {
        *lock(&self.used)
    }

    /// Compares the known revisions with the catalog's. Only changed items are urgent; counters and learning are not.
    pub(super) fn compare(&self, revisions: Revisions, now: Timestamp) {
        let known = read(&self.state).as_ref().map(|state| (state.revision, state.item_revision));
        let Some((revision, item_revision)) = known else { return };
        if item_revision < revisions.items {
            self.schedule.mark_changed();
        } else if revision < revisions.all || self.has_learnt_since(now) {
            self.schedule.mark_counted();
        }
    }

    /// Takes in hints, and notes when the period of the present rules has ended.
    fn hear(&self, now: Timestamp) {
        self.schedule.hear();
        if read(&self.state).as_ref().is_some_and(|state| !state.in_force_for.holds(now)) {
            self.schedule.mark_changed();
        }
    }

    /// True if it is time to publish.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.hear(now);
        self.schedule.is_due()
    }

    /// Reads what changed if it affects pages. After a published hint, or the start or end of a rule, no page is made
    /// from the older state.
    pub(super) async fn freshen(&self, catalog: &Catalog, clock: &Clock) -> Result<()> {
        self.hear(clock.now());
        // The first reading lowers the flag before it stores a state, so concurrent requests must wait for it.
        let is_unread = || self.schedule.is_stale() || read(&self.state).is_none();
        if is_unread() {
            let mut work = self.work.lock().await;
            // Another request may have read it while this one waited for the lock.
            if is_unread() {
                self.read_changes(catalog, &mut work, clock.now()).await?;
            }
        }
        Ok(())
    }

    async fn read_changes(&self, catalog: &Catalog, work: &mut Work, now: Timestamp) -> Result<()> {
        let reading = self.schedule.read();
        loop {
            let changes = catalog.gallery_changes(self.gallery_id, work.mark, CHANGES_MAX).await?;
            let changes = changes.ok_or(Error::NotFound("gallery"))?;
            let complete = changes.complete;
            self.apply(changes, work);
            if complete {
                break;
            }
        }
        // Rules are read again whenever items changed, because their images may differ. An interrupted reading is
        // repeated, since `rules_of` stays behind.
        let item_revision = self.head().map(|head| head.item_revision);
        let items_changed = work.rules_of != item_revision;
        let rules = if items_changed { Some(catalog.found_rules(self.gallery_id).await?) } else { None };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = state.as_mut() {
            let before = state.in_force.clone();
            if let Some(rules) = rules {
                state.rules = Arc::new(rules);
                work.rules_of = item_revision;
            }
            if items_changed || !state.in_force_for.holds(now) {
                state.put_in_force(now);
                if before != state.in_force {
                    self.note_settings(work);
                }
            }
        }
        reading.keep();
        Ok(())
    }

    fn apply(&self, changes: GalleryChanges, work: &mut Work) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let gallery = Arc::new(changes.gallery);
        let GalleryChanges { revision, item_revision, learnt, .. } = changes;
        let known = match state.take() {
            None => State {
                gallery,
                revision,
                item_revision,
                columns: Columns::default(),
                learnt,
                rules: Arc::default(),
                in_force: Arc::default(),
                in_force_for: Period::default(),
            },
            Some(before) => {
                if before.gallery.ranking != gallery.ranking {
                    self.note_settings(work);
                }
                State { gallery, revision, item_revision, learnt, ..before }
            }
        };
        let known = state.insert(known);
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

    /// Notes that rules or settings changed.
    fn note_settings(&self, work: &mut Work) {
        work.all_changed = true;
        self.settings.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of the present rules and settings in this process. Another number means others.
    pub(super) fn settings(&self) -> u64 {
        self.settings.load(Ordering::Relaxed)
    }

    /// Notes that anything may have changed, before a hint says so.
    pub(super) fn mark_changed(&self) {
        self.schedule.mark_changed();
    }

    /// True if something else than counters may have changed since the last publication.
    pub(super) fn has_urgent_changes(&self) -> bool {
        self.schedule.is_urgent()
    }

    /// The newest order of the variant, made now if it was not in use.
    pub(super) async fn current(self: &Arc<Self>, wanted: Wanted, clock: &Clock, ids: &Ids) -> Result<Arc<Order>> {
        if let Some(order) = self.held(wanted) {
            return Ok(order);
        }
        let _one_at_a_time = self.work.lock().await;
        if let Some(order) = self.held(wanted) {
            return Ok(order);
        }
        let variant = self.variant(wanted)?;
        let order = Arc::new(self.make(variant, None, (clock, ids)).await?);
        // Marked before others see it, because a publication drops orders that were never served.
        order.mark_served(clock.now());
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.insert(variant, order.clone());
        self.drop_extra(&mut current);
        Ok(order)
    }

    /// Drops the least recently served orders by other strategies than the gallery's own and its hold-out's, beyond
    /// [`EXTRA_MAX`]. A page of such an order makes it anew; cursors go on in its record.
    fn drop_extra(&self, current: &mut HashMap<Variant, Arc<Order>>) {
        let Some(ranking) = self.head().map(|head| head.gallery.ranking) else { return };
        let control = ranking.holdout().map(|holdout| holdout.strategy(Arm::Control));
        let is_extra = |strategy: Strategy| strategy != ranking.strategy && Some(strategy) != control;
        let extra = current.iter().filter(|((_, strategy, _), _)| is_extra(*strategy));
        let mut extra: Vec<(Option<Timestamp>, Variant)> =
            extra.map(|(variant, order)| (order.served_at(), *variant)).collect();
        extra.sort_by_key(|(served_at, _)| *served_at);
        let surplus = extra.len().saturating_sub(EXTRA_MAX);
        for (_, variant) in &extra[..surplus] {
            current.remove(variant);
        }
    }

    /// The name of the variant among the gallery's published orders.
    pub(super) fn name_of(&self, wanted: Wanted) -> Result<String> {
        let (class, strategy, snapshot) = self.variant(wanted)?;
        Ok(name_of(Wanted { class, strategy: Some(strategy), snapshot }))
    }

    /// The newest order of the variant, if this process has made one.
    pub(super) fn held(&self, wanted: Wanted) -> Option<Arc<Order>> {
        let variant = self.variant(wanted).ok()?;
        read(&self.current).get(&variant).cloned()
    }

    /// The newest orders that other processes serve.
    pub(super) fn followed(&self, now: Timestamp) -> Vec<Arc<Order>> {
        read(&self.current).values().filter(|order| order.is_asked(now)).cloned().collect()
    }

    fn variant(&self, Wanted { class, strategy, snapshot }: Wanted) -> Result<Variant> {
        let own = self.head().ok_or(Error::NotFound("gallery"))?.gallery.ranking.strategy;
        let strategy = strategy.unwrap_or(own);
        Ok((class, strategy, snapshot % strategy.snapshots()))
    }

    /// One of the newest orders, by its id.
    pub(super) fn current_by_id(&self, order_id: OrderId) -> Option<Arc<Order>> {
        read(&self.current).values().find(|order| order.order_id == order_id).cloned()
    }

    /// Reads what changed and, if anything did, publishes new versions of the orders in use. Returns their number.
    pub(super) async fn publish(self: &Arc<Self>, catalog: &Catalog, clock: &Clock, ids: &Ids) -> Result<usize> {
        let mut work = self.work.lock().await;
        let publishing = self.schedule.publish();
        self.read_changes(catalog, &mut work, clock.now()).await?;
        let published = self.replace(&mut work, clock, ids).await?;
        publishing.done();
        Ok(published)
    }

    /// Reads what changed while another process publishes the orders.
    pub(super) async fn stand_by(&self, catalog: &Catalog, clock: &Clock) -> Result<()> {
        let mut work = self.work.lock().await;
        let publishing = self.schedule.publish();
        self.read_changes(catalog, &mut work, clock.now()).await?;
        // Should this process own the gallery later, it makes each order anew.
        work.changed.clear();
        work.all_changed = true;
        self.current.write().unwrap_or_else(PoisonError::into_inner).clear();
        publishing.done();
        Ok(())
    }

    async fn replace(self: &Arc<Self>, work: &mut Work, clock: &Clock, ids: &Ids) -> Result<usize> {
        let now = clock.now();
        if work.changed.is_empty() && !work.all_changed && !self.has_learnt_since(now) {
            return Ok(0);
        }
        let before: Vec<(Variant, Arc<Order>)> =
            read(&self.current).iter().map(|(variant, order)| (*variant, order.clone())).collect();
        let mut current = HashMap::with_capacity(before.len());
        for (variant, order) in before {
            if in_use(&order, now) {
                let carried_on = (!work.all_changed).then(|| (order.clone(), work.changed.clone()));
                let next = self.make(variant, carried_on, (clock, ids)).await?;
                next.follow(&order);
                current.insert(variant, Arc::new(next));
            }
        }
        self.drop_extra(&mut current);
        let published = current.len();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        work.changed.clear();
        work.all_changed = false;
        Ok(published)
    }

    /// True if the minute of the last acts has ended, so that they are learnt, and an order is older than that.
    fn has_learnt_since(&self, now: Timestamp) -> bool {
        let gathered = read(&self.state).as_ref().map_or(0, |state| state.learnt.minute);
        let is_behind = |order: &Arc<Order>| {
            matches!(order.ranking.strategy, Strategy::Interest | Strategy::InterestFixed)
                && order.published_at.minute() <= gathered
        };
        gathered < now.minute() && read(&self.current).values().any(is_behind)
    }

    async fn make(
        self: &Arc<Self>,
        (class, strategy, snapshot): Variant,
        carried_on: Option<(Arc<Order>, Vec<u32>)>,
        (clock, ids): (&Clock, &Ids),
    ) -> Result<Order> {
        let (order_id, now) = (ids.new_id(self.gallery_id)?, clock.now());
        let ranked = self.clone();
        let make = move || {
            let state = read(&ranked.state);
            let state = state.as_ref().ok_or(Error::NotFound("gallery"))?;
            let (learnt, ranking) = (state.learnt(now), Ranking { strategy, ..state.gallery.ranking });
            let scorer = Scorer::new(state.basis(&learnt, ranking, snapshot, now));
            let ordinals = match carried_on {
                None => sequence(&scorer, class),
                Some((previous, changed)) => resequence(&scorer, class, &previous.ordinals, &changed),
            };
            let counts = state.columns.snapshot();
            Ok(Order::new(order_id, ranked.gallery_id, class, (ranking, snapshot), now, ordinals, counts))
        };
        let images = read(&self.state).as_ref().map_or(0, |state| state.columns.len());
        if images <= INLINE_MAX {
            return make();
        }
        tokio::task::spawn_blocking(make).await.map_err(|error| Error::internal("making an order", error))?
    }
}

/// True if a page of the order was requested recently.
fn in_use(order: &Order, now: Timestamp) -> bool {
    order.served_at().is_some_and(|served_at| now.since(served_at) <= ORDER_KEPT)
}

pub(super) fn read<T>(locked: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    locked.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn lock<T>(locked: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    locked.lock().unwrap_or_else(PoisonError::into_inner)
}
