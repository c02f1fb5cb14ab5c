//! Plays a scenario's visitors on the ranking itself: the very columns, folds and orders of the server, no HTTP.

use std::time::{Duration, Instant};

use eyeline_core::event::{ActKind, Source};
use eyeline_core::ranking::{Basis, Counts, Evidence, RankedImage, Reckoned, Reckoner, RulesInForce, Scorer, sequence};
use eyeline_core::{AccessClass, GalleryId, Ranking, Timestamp};
use rand::RngExt as _;
use rand_distr::{Binomial, Distribution as _};
use rand_pcg::Pcg64Mcg;
use serde::Serialize;
use uuid::Uuid;

use super::world::{PLACES_MAX, Scenario, Visitors, World, stream};

/// Time that passes from one session to the next: 20,000 sessions are 14 days.
const SESSION: Duration = Duration::from_millis(60_480);
/// When the first session begins.
const BEGIN: Timestamp = Timestamp::from_micros(1_893_456_000_000_000);
/// Parts that the course of a run is shown in.
const PARTS: usize = 10;

#[derive(Debug, Serialize)]
pub struct Report {
    pub strategy: &'static str,
    pub scenario: &'static str,
    pub seed: u64,
    pub sessions: usize,
    pub images: usize,
    pub clicks_per_session: f64,
    pub oracle_clicks_per_session: f64,
    /// Expected clicks as a part of those of an oracle that knows every image's true appeal.
    pub fraction: f64,
    /// The same of each tenth of the sessions.
    pub fractions: Vec<f64>,
    /// The part of the images that anybody ever saw.
    pub seen: f64,
    pub events: u64,
    pub seconds: f64,
    pub sessions_per_second: f64,
}

pub fn run(scenario: Scenario, ranking: Ranking, seed: u64) -> Report {
    let started = Instant::now();
    let mut play = Play::new(scenario, ranking, seed);
    let mut tallies = Vec::with_capacity(scenario.sessions / scenario.refresh + 1);
    let mut session = 0;
    while session < scenario.sessions {
        let sessions = scenario.refresh.min(scenario.sessions - session);
        tallies.push(play.round(session, sessions));
        session += sessions;
    }
    let sum = |tallies: &[Tally]| {
        tallies.iter().fold((0.0, 0.0), |sum, tally| (sum.0 + tally.expected, sum.1 + tally.oracle))
    };
    let (expected, oracle) = sum(&tallies);
    let part = tallies.len().div_ceil(PARTS).max(1);
    let seconds = started.elapsed().as_secs_f64();
    let sessions = scenario.sessions as f64;
    Report {
        strategy: ranking.strategy.as_str(),
        scenario: scenario.name,
        seed,
        sessions: scenario.sessions,
        images: play.world.images,
        clicks_per_session: expected / sessions,
        oracle_clicks_per_session: oracle / sessions,
        fraction: expected / oracle,
        fractions: tallies.chunks(part).map(sum).map(|(expected, oracle)| expected / oracle).collect(),
        seen: play.seen.iter().filter(|seen| **seen).count() as f64 / play.world.images as f64,
        events: play.events,
        seconds,
        sessions_per_second: sessions / seconds,
    }
}

/// Clicks that the sessions between two publications were expected to make, and that an oracle would have got.
struct Tally {
    expected: f64,
    oracle: f64,
}

struct Play {
    world: World,
    visitors: Visitors,
    ranking: Ranking,
    gallery_id: GalleryId,
    reckoner: Reckoner,
    visitors_random: Pcg64Mcg,
    bots_random: Pcg64Mcg,
    seen: Vec<bool>,
    events: u64,
    /// Bots' sessions so far.
    bots: u64,
}

/// Who acts.
#[derive(Clone, Copy)]
struct Actor {
    session: u128,
    source: u32,
}

/// Sources of visitors are counted from here, those of bots from zero.
const VISITORS: u32 = 1 << 20;

impl Play {
    fn new(scenario: Scenario, ranking: Ranking, seed: u64) -> Self {
        let world = World::new(scenario, seed);
        Play {
            visitors: Visitors::new(&scenario),
            ranking,
            gallery_id: GalleryId(Uuid::from_u64_pair(seed, 0)),
            reckoner: Reckoner::default(),
            visitors_random: stream(seed, 3),
            bots_random: stream(seed, 4),
            seen: vec![false; world.born.len()],
            events: 0,
            bots: 0,
            world,
        }
    }

    /// Publishes the orders and plays the sessions up to the next publication.
    fn round(&mut self, session: usize, sessions: usize) -> Tally {
        self.world.advance(session);
        let now = at(session as f64);
        for image in self.reckoner.columns.len()..self.world.images {
            let (counts, evidence) = (Counts::default(), Evidence::default());
            let (created_at, shown_to) = (at(self.world.born[image]), Some(AccessClass::Public));
            let new = RankedImage { created_at, counts, ignored: counts, evidence, shown_to };
            self.reckoner.columns.set(ordinal(image), new);
        }
        self.reckoner.learnt.fold(now.minute(), self.ranking.half_life_minutes());
        let orders: Vec<Vec<u32>> =
            (0..self.ranking.strategy.snapshots()).map(|snapshot| self.order(snapshot, now)).collect();
        let appeals: Vec<Vec<f64>> =
            orders.iter().map(|order| order.iter().map(|image| self.world.appeal(*image as usize)).collect()).collect();
        let expected: Vec<f64> =
            appeals.iter().map(|appeals| self.visitors.expected_clicks(appeals.iter().copied())).collect();
        let oracle = self.visitors.expected_clicks(self.world.best_appeals().into_iter()) * sessions as f64;

        let mut tally = Tally { expected: 0.0, oracle };
        let mut acts = Vec::new();
        for number in session..session + sessions {
            let snapshot = self.visitors_random.random_range(0..orders.len());
            tally.expected += expected[snapshot];
            acts.clear();
            self.visitors
                .visit(&mut self.visitors_random, &appeals[snapshot], |place, clicked| acts.push((place, clicked)));
            let minute = at(number as f64).minute();
            // Every session is another visitor's, from a network of its own.
            let visitor = Actor { session: number as u128, source: VISITORS + number as u32 };
            for (place, clicked) in acts.iter().copied() {
                let image = orders[snapshot][place];
                self.seen[image as usize] = true;
                let place = u32::try_from(place).ok();
                self.act(visitor, image, ActKind::View, place, minute);
                if clicked {
                    self.act(visitor, image, ActKind::Click, place, minute);
                }
            }
        }
        self.bots(sessions, now.minute());
        tally
    }

    fn order(&self, snapshot: u8, now: Timestamp) -> Vec<u32> {
        let Play { reckoner: Reckoner { columns, learnt, .. }, ranking, gallery_id, .. } = self;
        let (ranking, gallery_id, rules) = (*ranking, *gallery_id, &RulesInForce::default());
        let scorer = Scorer::new(Basis { columns, learnt, ranking, rules, gallery_id, snapshot, now });
        let mut order = sequence(&scorer, AccessClass::Public);
        order.truncate(PLACES_MAX);
        order
    }

    fn act(&mut self, actor: Actor, image: u32, kind: ActKind, place: Option<u32>, minute: u32) {
        let received_at = Timestamp::from_micros(i64::from(minute) * 60_000_000);
        let (session_id, source) = (Uuid::from_u128(actor.session).into(), Some(Source::of(actor.source + 1, 1)));
        self.reckoner.take_in(Reckoned { image, kind, place, session_id, source, received_at }, self.ranking);
        self.events += 1;
    }

    /// Bots view five of their targets each and click each ten times, from one of their sources after the other.
    fn bots(&mut self, sessions: usize, minute: u32) {
        if self.world.targets.is_empty() {
            return;
        }
        let bots = Binomial::new(sessions as u64, self.world.scenario.bots.min(1.0))
            .map_or(0, |bots| bots.sample(&mut self.bots_random));
        for _ in 0..bots {
            let source = (self.bots % u64::from(self.world.scenario.bot_sources.max(1))) as u32;
            let bot = Actor { session: u128::MAX - u128::from(self.bots), source };
            self.bots += 1;
            for _ in 0..5 {
                let image = ordinal(self.world.targets[self.bots_random.random_range(0..self.world.targets.len())]);
                self.act(bot, image, ActKind::View, None, minute);
                for _ in 0..10 {
                    self.act(bot, image, ActKind::Click, None, minute);
                }
            }
        }
    }
}

fn ordinal(image: usize) -> u32 {
    u32::try_from(image).unwrap_or(u32::MAX)
}

fn at(session: f64) -> Timestamp {
    Timestamp::from_micros(BEGIN.micros() + (session * SESSION.as_micros() as f64) as i64)
}
