//! One gallery as ranking holds it in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use eyeline_core::ranking::estimate::{Estimate, estimate};
use eyeline_core::ranking::rules::Period;
use eyeline_core::ranking::{
    Appeal, Basis, Columns, Counts, Evidence, FoundRules, Learnt, Prior, RulesInForce, Scorer, resequence, sequence,
};
use eyeline_core::{AccessClass, GalleryId, OrderId, Ranking, Strategy, Timestamp};
use eyeline_store::catalog::galleries::Gallery;
use eyeline_store::catalog::orders::{ChangeMark, GalleryChanges, Revisions};
use eyeline_store::pubsub::Hint;
use eyeline_store::{Catalog, Error, Result};
use futures::stream::BoxStream;

use super::ORDER_KEPT;
use super::order::Order;
use super::schedule::Schedule;
use crate::clock::Clock;

/// Images read by one query.
const CHANGES_MAX: u32 = 10_000;
/// Above this many images an order is made on a thread of its own, away from the tasks that answer requests.
const INLINE_MAX: usize = 20_000;

/// Which order of a gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    pub class: AccessClass,
    /// `None`: the gallery's own.
    pub strategy: Option<Strategy>,
    /// Taken modulo the number of the strategy's orders side by side.
    pub snapshot: u8,
}

/// Which orders there are: by class, strategy and snapshot.
type Variant = (AccessClass, Strategy, u8);

pub struct Ranked {
    gallery_id: GalleryId,
    schedule: Schedule,
    /// Held while reading changes and publishing; nothing that serves pages waits for it unless the state is stale.
    work: tokio::sync::Mutex<Work>,
    state: RwLock<Option<State>>,
    /// The newest order of each variant in use.
    current: RwLock<HashMap<Variant, Arc<Order>>>,
    /// When it was asked for last.
    used: Mutex<Instant>,
}

struct State {
    gallery: Arc<Gallery>,
    revision: i64,
    item_revision: i64,
    columns: Columns,
    learnt: Learnt,
    rules: Arc<FoundRules>,
    in_force: Arc<RulesInForce>,
    /// While they are.
    in_force_for: Period,
}

impl State {
    fn put_in_force(&mut self, now: Timestamp) {
        self.in_force = Arc::new(self.rules.at(now));
        self.in_force_for = self.rules.rules.period_at(now);
    }

    /// What was counted up to the minute before `now` is learnt, whether or not more has come.
    fn learnt(&self, now: Timestamp) -> Learnt {
        self.learnt.folded(now.minute(), self.gallery.ranking.half_life_minutes())
    }

    fn basis<'a>(&'a self, learnt: &'a Learnt, ranking: Ranking, snapshot: u8, now: Timestamp) -> Basis<'a> {
        let (columns, rules, gallery_id) = (&self.columns, &*self.in_force, self.gallery.gallery_id);
        Basis { columns, learnt, ranking, rules, gallery_id, snapshot, now }
    }
}

struct Work {
    mark: ChangeMark,
    /// Images that changed since the last publication.
    changed: Vec<u32>,
    /// The settings changed: no order can be carried on.
    all_changed: bool,
    /// What the gallery's items were when its rules were read; `None` until they are.
    rules_of: Option<i64>,
}

/// Why an image stands where it does.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// 0 is the first place; `None` when the order does not have the image.
    pub place: Option<usize>,
    pub counts: Counts,
    pub counted: Counts,
    pub evidence: Evidence,
    pub appeal: Appeal,
    /// The gallery's mean click rate, of the strategy `ctr`.
    pub click_rate: f64,
    pub prior: Prior,
    pub boost: f64,
    /// The place that it is pinned to.
    pub pin: Option<u32>,
    pub score: f64,
    /// The images before and after it: place, ordinal, score.
    pub before: Option<(usize, u32, f64)>,
    pub after: Option<(usize, u32, f64)>,
}

/// What pages are made from besides an order.
#[derive(Clone)]
pub struct Head {
    pub gallery: Arc<Gallery>,
    pub item_revision: i64,
    /// Since when the rules hold that do, if one began or ended before.
    pub rules_since: Option<Timestamp>,
}

impl Ranked {
    /// Knows nothing until [`Ranked::freshen`]. `hints` has to be listening already.
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
            current: RwLock::new(HashMap::new()),
            used: Mutex::new(Instant::now()),
        }
    }

    pub fn gallery_id(&self) -> GalleryId {
        self.gallery_id
    }

    /// What was known at the last reading; `None` before the first one.
    pub fn head(&self) -> Option<Head> {
        let state = read(&self.state);
        state.as_ref().map(|state| Head {
            gallery: state.gallery.clone(),
            item_revision: state.item_revision,
            rules_since: state.in_force_for.from,
        })
    }

    /// Whether the class sees the image now, whatever an older order says.
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

    pub(super) fn bytes(&self) -> usize {
        size_of::<Ranked>() + read(&self.state).as_ref().map_or(0, |state| state.columns.bytes())
    }

    pub(super) fn mark_used(&self) {
        *lock(&self.used) = Instant::now();
    }

    pub(super) fn used(&self) -> Instant {
        *lock(&self.used)
    }

    /// Takes in what the catalog says. Counters rise all the time, and are in no hurry; nor is what a minute has taught.
    pub(super) fn compare(&self, revisions: Revisions, now: Timestamp) {
        let known = read(&self.state).as_ref().map(|state| (state.revision, state.item_revision));
        let Some((revision, item_revision)) = known else { return };
        if item_revision < revisions.items {
            self.schedule.mark_changed();
        } else if revision < revisions.all || self.has_learnt_since(now) {
            self.schedule.mark_counted();
        }
    }

    /// Takes in what was hinted at, and that the time has come for other rules.
    fn hear(&self, now: Timestamp) {
        self.schedule.hear();
        if read(&self.state).as_ref().is_some_and(|state| !state.in_force_for.holds(now)) {
            self.schedule.mark_changed();
        }
    }

    /// Whether it is time to publish.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.hear(now);
        self.schedule.is_due()
    }

    /// Reads what changed, if something that a page shows did. After a hint was published, or a rule began or ended, no
    /// page is made from what was before.
    pub(super) async fn freshen(&self, catalog: &Catalog, clock: &Clock) -> Result<()> {
        self.hear(clock.now());
        // A first reading under way has lowered the flag and stored nothing yet: requests beside it wait for it.
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
        // Rules are read again with what pages show: their images, too, may be others now. Cut off on the way, the next
        // reading finds that they were not.
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
                work.all_changed |= before != state.in_force;
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
                work.all_changed |= before.gallery.ranking != gallery.ranking;
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

    /// The newest order of the variant, made now if it was not in use.
    pub(super) async fn current(self: &Arc<Self>, wanted: Wanted, clock: &Clock) -> Result<Arc<Order>> {
        let find = || {
            let variant = self.variant(wanted)?;
            Ok(read(&self.current).get(&variant).cloned())
        };
        if let Some(order) = find()? {
            return Ok(order);
        }
        let _one_at_a_time = self.work.lock().await;
        if let Some(order) = find()? {
            return Ok(order);
        }
        let variant = self.variant(wanted)?;
        let order = Arc::new(self.make(variant, None, clock).await?);
        // Before anybody else sees it: a publication forgets what was never served.
        order.mark_served(clock.now());
        self.current.write().unwrap_or_else(PoisonError::into_inner).insert(variant, order.clone());
        Ok(order)
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

    /// Reads what changed and publishes the orders in use anew if anything did; gives those that were replaced and
    /// whether there are new ones.
    pub(super) async fn publish(self: &Arc<Self>, catalog: &Catalog, clock: &Clock) -> Result<Publication> {
        let mut work = self.work.lock().await;
        let publishing = self.schedule.publish();
        self.read_changes(catalog, &mut work, clock.now()).await?;
        let publication = self.replace(&mut work, clock).await?;
        publishing.done();
        Ok(publication)
    }

    async fn replace(self: &Arc<Self>, work: &mut Work, clock: &Clock) -> Result<Publication> {
        let mut publication = Publication { published: 0, replaced: Vec::new() };
        let now = clock.now();
        if work.changed.is_empty() && !work.all_changed && !self.has_learnt_since(now) {
            return Ok(publication);
        }
        let before: Vec<(Variant, Arc<Order>)> =
            read(&self.current).iter().map(|(variant, order)| (*variant, order.clone())).collect();
        let mut current = HashMap::with_capacity(before.len());
        for (variant, order) in before {
            if in_use(&order, now) {
                let carried_on = (!work.all_changed).then(|| (order.clone(), work.changed.clone()));
                let next = self.make(variant, carried_on, clock).await?;
                current.insert(variant, Arc::new(next));
                publication.published += 1;
            }
            publication.replaced.push(order);
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        work.changed.clear();
        work.all_changed = false;
        Ok(publication)
    }

    /// Whether the minute of the last acts is over, so that its lessons are known, and an order was made before that.
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
        clock: &Clock,
    ) -> Result<Order> {
        let (order_id, now) = (clock.new_id(), clock.now());
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

    /// What decides where the image stands in an order, by what is known now; with it the scores of the images before
    /// and after it.
    pub(super) fn explain(&self, order: &Order, ordinal: u32) -> Result<Explanation> {
        let state = read(&self.state);
        let state = state.as_ref().ok_or(Error::NotFound("gallery"))?;
        let now = order.published_at;
        let learnt = state.learnt(now);
        let scorer = Scorer::new(state.basis(&learnt, order.ranking, order.snapshot, now));
        let place = order.place_of(ordinal);
        let neighbour = |place: Option<usize>| {
            let (place, ordinal) = order.slice(place?, 1).next()?;
            Some((place, ordinal, scorer.score(ordinal)))
        };
        Ok(Explanation {
            place,
            counts: state.columns.counts(ordinal),
            counted: state.columns.counted(ordinal),
            evidence: scorer.evidence(ordinal),
            appeal: scorer.appeal(ordinal),
            click_rate: scorer.click_rate(),
            prior: learnt.prior,
            boost: state.in_force.boost(ordinal),
            pin: state.in_force.pin(ordinal),
            score: scorer.score(ordinal),
            before: neighbour(place.and_then(|place| place.checked_sub(1))),
            after: neighbour(place.map(|place| place + 1)),
        })
    }

    /// What another order would bring against the one that is shown. `None` when one of them is empty.
    pub fn estimate(&self, shown: &Order, other: &Order) -> Result<Option<Estimate>> {
        let state = read(&self.state);
        let state = state.as_ref().ok_or(Error::NotFound("gallery"))?;
        let now = shown.published_at.max(other.published_at);
        let learnt = state.learnt(now);
        let scorer = Scorer::new(state.basis(&learnt, shown.ranking, shown.snapshot, now));
        Ok(estimate(&scorer, shown.ordinals.iter().copied(), other.ordinals.iter().copied()))
    }

    /// The newest orders, when the gallery is let go.
    pub(super) fn let_go(&self) -> Vec<Arc<Order>> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *current).into_values().collect()
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

fn read<T>(locked: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    locked.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn lock<T>(locked: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    locked.lock().unwrap_or_else(PoisonError::into_inner)
}
