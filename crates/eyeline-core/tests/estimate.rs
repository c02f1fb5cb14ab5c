//! The estimate of an order that nobody has seen, compared with the acts of visitors with known tastes.

use std::ops::Range;

use eyeline_core::event::ActKind;
use eyeline_core::ranking::estimate::{Estimate, PLACES, estimate};
use eyeline_core::ranking::{
    Basis, Counts, Evidence, RankedImage, Reckoned, Reckoner, RulesInForce, Scorer, hash_of, sequence,
};
use eyeline_core::{AccessClass, GalleryId, Ranking, SessionId, Strategy, Timestamp};
use uuid::Uuid;

const WORLDS: u64 = 60;
const IMAGES: u32 = 40;
const NOW: i64 = 1_900_000_000_000_000;
const MINUTE: i64 = 60_000_000;

/// A gallery whose visitors like each image by a fixed appeal, and look at ranks by a fixed attention.
struct World {
    seed: u64,
    gallery: Reckoner,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut gallery = Reckoner::default();
        for ordinal in 0..IMAGES {
            let (counts, evidence) = (Counts::default(), Evidence::default());
            let created_at = Timestamp::from_micros(NOW + i64::from(ordinal));
            let shown_to = Some(AccessClass::Public);
            gallery.columns.set(ordinal, RankedImage { created_at, counts, ignored: counts, evidence, shown_to });
        }
        World { seed, gallery }
    }

    fn chance(&self, of: u64, and: u64) -> f64 {
        let bytes = [self.seed, of, and].map(u64::to_le_bytes);
        hash_of(bytes.as_flattened()) as f64 / u64::MAX as f64
    }

    /// Exponential about 5 %, as the appeals of photos are thought to be.
    fn appeal(&self, ordinal: u32) -> f64 {
        (-0.05 * (1.0 - self.chance(1, ordinal.into())).ln()).min(0.8)
    }

    fn attention(place: usize) -> f64 {
        1.0 / ((place + 1) as f64).sqrt()
    }

    fn clicks(&self, order: &[u32]) -> f64 {
        order.iter().enumerate().map(|(place, ordinal)| World::attention(place) * self.appeal(*ordinal)).sum()
    }

    /// Visitors scroll to the end of this order.
    fn visit(&mut self, visitors: Range<u64>, order: &[u32]) {
        for visitor in visitors {
            for (place, image) in order.iter().enumerate() {
                let clicked = self.chance(visitor + 2, (*image).into()) < World::attention(place) * self.appeal(*image);
                let act = |kind| Reckoned {
                    image: *image,
                    kind,
                    place: Some(place as u32),
                    session_id: SessionId(Uuid::from_u128(visitor.into())),
                    source: None,
                    received_at: Timestamp::from_micros(NOW + visitor as i64 * MINUTE / 10),
                };
                self.gallery.take_in(act(ActKind::View), Ranking::default());
                if clicked {
                    self.gallery.take_in(act(ActKind::Click), Ranking::default());
                }
            }
        }
    }

    fn order(&self, strategy: Strategy) -> Vec<u32> {
        self.with_scorer(strategy, |scorer| sequence(scorer, AccessClass::Public))
    }

    /// A random order, another one for each number.
    fn shuffled(&self, number: u64) -> Vec<u32> {
        let mut order: Vec<u32> = (0..IMAGES).collect();
        order.sort_by(|a, b| self.chance(number, (*a).into()).total_cmp(&self.chance(number, (*b).into())));
        order
    }

    fn estimate(&self, strategy: Strategy, shown: &[u32], other: &[u32]) -> Option<Estimate> {
        self.with_scorer(strategy, |scorer| estimate(scorer, shown.iter().copied(), other.iter().copied()))
    }

    fn with_scorer<T>(&self, strategy: Strategy, ask: impl Fn(&Scorer<'_>) -> T) -> T {
        let Reckoner { columns, learnt, .. } = &self.gallery;
        let (ranking, rules) = (Ranking { strategy, ..Ranking::default() }, RulesInForce::default());
        let (gallery_id, now) = (GalleryId(Uuid::from_u128(7)), Timestamp::from_micros(NOW + 1_000 * MINUTE));
        ask(&Scorer::new(Basis { columns, learnt, ranking, rules: &rules, gallery_id, snapshot: 0, now }))
    }
}

/// The share of worlds in which the interval holds the other order's true lift, and the mean excess of the lift. The
/// gallery is ordered by `shown`, and its images move if `moved`.
fn judge(shown: Strategy, moved: bool, other: Strategy) -> (u64, f64) {
    let (mut held, mut off) = (0, 0.0);
    for seed in 0..WORLDS {
        let mut world = World::new(seed);
        let order = world.order(Strategy::Newest);
        for part in 0..15 {
            let seen = if moved { world.shuffled(1_000_000 + part) } else { order.clone() };
            world.visit(part * 100..(part + 1) * 100, &seen);
        }
        let other = world.order(other);
        let found = world.estimate(shown, &order, &other).expect("an estimate");
        assert!(found.enough && found.interval.0 <= found.lift && found.lift <= found.interval.1, "{found:?}");
        let truth = world.clicks(&other) / world.clicks(&order) - 1.0;
        held += u64::from(found.interval.0 <= truth && truth <= found.interval.1);
        off += (found.lift - truth) / WORLDS as f64;
    }
    (held, off)
}

#[test]
fn the_interval_holds_what_the_other_order_would_really_bring() {
    for strategy in [Strategy::Ctr, Strategy::InterestFixed, Strategy::Weight] {
        let (held, off) = judge(Strategy::Weight, true, strategy);
        assert!(held >= WORLDS * 90 / 100, "{strategy:?}: {held} of {WORLDS}");
        assert!(off.abs() < 0.05, "{strategy:?}: {off} on the average");
    }
}

#[test]
fn where_images_never_moved_the_interval_is_wide_and_the_estimate_not_too_high() {
    for strategy in [Strategy::Ctr, Strategy::InterestFixed, Strategy::Weight] {
        let (held, off) = judge(Strategy::Newest, false, strategy);
        assert!(held >= WORLDS * 80 / 100, "{strategy:?}: {held} of {WORLDS}");
        assert!((-0.2..0.05).contains(&off), "{strategy:?}: {off} on the average");
    }
}

#[test]
fn the_order_that_is_shown_brings_what_it_brings() {
    let mut world = World::new(1);
    let shown = world.order(Strategy::Newest);
    world.visit(0..50, &shown);
    let found = world.estimate(Strategy::Newest, &shown, &shown).expect("an estimate");
    assert_eq!((found.lift, found.interval), (0.0, (0.0, 0.0)));
}

#[test]
fn little_is_not_enough_and_nothing_is_no_estimate() {
    let mut world = World::new(2);
    let shown = world.order(Strategy::Newest);
    let found = world.estimate(Strategy::Weight, &shown, &[3, 2, 1]).expect("an estimate, of the first belief alone");
    assert!(!found.enough, "{found:?}");
    assert_eq!(world.estimate(Strategy::Weight, &shown, &[]), None);
    world.visit(0..5, &shown);
    assert!(!world.estimate(Strategy::Weight, &shown, &[3, 2, 1]).expect("an estimate").enough);
    assert!(shown.len() < PLACES);
}
