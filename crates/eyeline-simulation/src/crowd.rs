//! The visitors of a gallery, session after session, and their acts.

use std::net::Ipv4Addr;

use eyeline_core::SessionId;
use eyeline_core::ranking::snapshot_of;
use rand::RngExt as _;
use rand::distr::{Distribution as _, StandardUniform};
use rand_distr::Binomial;
use rand_pcg::Pcg64Mcg;
use uuid::Uuid;

use crate::Report;
use crate::world::{Habits, Scenario, World, stream};

/// The number of parts in which a run is reported.
const PARTS: usize = 10;
/// Networks of visitors are numbered from here, those of bots from zero.
const VISITORS: u32 = 1 << 20;
/// Clicks of a bot on each image that it views.
pub const CLICKS_OF_BOT: usize = 10;
/// Images that a bot views.
const IMAGES_OF_BOT: usize = 5;

/// All visitors and bots of a world.
pub struct Crowd {
    seed: u64,
    world: World,
    habits: Habits,
    bots_random: Pcg64Mcg,
    /// The number of bot sessions so far.
    bots: u64,
    seen: Vec<bool>,
    /// The clicks of the best possible order, by the depth of a session.
    best: Vec<f64>,
    tallies: Vec<Tally>,
    events: u64,
}

/// The expected clicks of the sessions between two publications, and those of an oracle for the same sessions.
#[derive(Clone, Copy, Default)]
struct Tally {
    expected: f64,
    oracle: f64,
}

/// The session and the network of one visitor or bot.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    pub session_id: SessionId,
    /// Unique for each visitor.
    pub network: u32,
}

/// One visitor's session. Its images come in the shown order.
#[derive(Debug)]
pub struct Visit {
    pub actor: Actor,
    /// The places to which it scrolls unless a click ends it.
    pub depth: usize,
    /// Its acts so far, by place.
    pub looks: Vec<Look>,
    expected: f64,
    left: bool,
    random: Pcg64Mcg,
}

/// A seen image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub image: usize,
    pub clicked: bool,
}

/// The session of a bot: it views each of its images, and clicks it [`CLICKS_OF_BOT`] times.
#[derive(Debug)]
pub struct Bot {
    pub actor: Actor,
    pub images: [usize; IMAGES_OF_BOT],
}

impl Actor {
    /// An address of the network.
    pub fn address(&self) -> Ipv4Addr {
        let [high, middle, low] = [16, 8, 0].map(|bits| (self.network >> bits & 0xff) as u8);
        Ipv4Addr::new(20 + high, middle, low, 7)
    }
}

impl Crowd {
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        let world = World::new(scenario, seed);
        Crowd {
            seed,
            habits: Habits::new(&scenario),
            bots_random: stream(seed, 4),
            bots: 0,
            seen: vec![false; world.born.len()],
            best: Vec::new(),
            tallies: Vec::with_capacity(scenario.sessions / scenario.refresh + 1),
            events: 0,
            world,
        }
    }

    pub fn scenario(&self) -> &Scenario {
        &self.world.scenario
    }

    /// The number of existing images, whose numbers are smaller.
    pub fn images(&self) -> usize {
        self.world.images
    }

    /// The session at which an image is created; negative if it existed from the start.
    pub fn born(&self, image: usize) -> f64 {
        self.world.born[image]
    }

    /// The true appeal of an image now: the chance that a visitor who looks at it clicks it.
    pub fn appeal(&self, image: usize) -> f64 {
        self.world.appeal(image)
    }

    /// Advances to a session: images arrive, appeals drift. Starts a new tally.
    pub fn advance(&mut self, session: usize) {
        self.world.advance(session);
        self.best = self.habits.clicks_by_depth(&self.world.best_appeals());
        self.tallies.push(Tally::default());
    }

    /// The visitor of a session, the same on every order.
    pub fn visit(&self, session: usize) -> Visit {
        let mut random = stream(self.seed, u64::MAX - session as u64);
        let session_id = uuid::Builder::from_random_bytes(random.random()).into_uuid().into();
        let patience: f64 = StandardUniform.sample(&mut random);
        Visit {
            actor: Actor { session_id, network: VISITORS + session as u32 },
            depth: self.habits.depth(patience),
            looks: Vec::new(),
            expected: 0.0,
            left: false,
            random,
        }
    }

    /// The visitor sees the next image. False once it sees no more, at its depth or after a click that ended its
    /// session.
    pub fn look(&self, visit: &mut Visit, image: usize) -> bool {
        let place = visit.looks.len();
        if visit.left || place >= visit.depth {
            return false;
        }
        let chance = self.habits.attention(place) * self.world.appeal(image);
        let clicked = visit.random.random::<f64>() < chance;
        visit.looks.push(Look { image, clicked });
        visit.expected += chance;
        let stop = self.world.scenario.stop;
        visit.left = clicked && stop > 0.0 && visit.random.random::<f64>() < stop;
        !visit.left && visit.looks.len() < visit.depth
    }

    /// Tallies an ended visit.
    pub fn take_in(&mut self, visit: &Visit) {
        for look in &visit.looks {
            self.seen[look.image] = true;
            self.events += 1 + u64::from(look.clicked);
        }
        if let Some(tally) = self.tallies.last_mut() {
            tally.expected += visit.expected;
            tally.oracle += self.best[visit.depth.min(self.best.len() - 1)];
        }
    }

    /// The bots that come during `sessions` visitor sessions, from one network after another.
    pub fn bots(&mut self, sessions: usize) -> Vec<Bot> {
        let (scenario, targets) = (&self.world.scenario, &self.world.targets);
        if targets.is_empty() {
            return Vec::new();
        }
        let bots =
            Binomial::new(sessions as u64, scenario.bots.min(1.0)).map_or(0, |bots| bots.sample(&mut self.bots_random));
        let first = self.bots;
        self.bots += bots;
        self.events += bots * (IMAGES_OF_BOT * (1 + CLICKS_OF_BOT)) as u64;
        let bot = |number: u64| {
            let session_id = Uuid::from_u128(u128::MAX - u128::from(number)).into();
            let network = (number % u64::from(scenario.bot_sources.max(1))) as u32;
            let images = std::array::from_fn(|_| targets[self.bots_random.random_range(0..targets.len())]);
            Bot { actor: Actor { session_id, network }, images }
        };
        (first..first + bots).map(bot).collect()
    }

    /// The result of all visits.
    pub fn report(&self) -> Report {
        let sum = |tallies: &[Tally]| {
            tallies.iter().fold((0.0, 0.0), |sum, tally| (sum.0 + tally.expected, sum.1 + tally.oracle))
        };
        let (expected, oracle) = sum(&self.tallies);
        let part = self.tallies.len().div_ceil(PARTS).max(1);
        let sessions = self.world.scenario.sessions;
        Report {
            scenario: self.world.scenario.name,
            seed: self.seed,
            sessions,
            images: self.world.images,
            clicks_per_session: expected / sessions as f64,
            oracle_clicks_per_session: oracle / sessions as f64,
            fraction: expected / oracle,
            fractions: self.tallies.chunks(part).map(sum).map(|(expected, oracle)| expected / oracle).collect(),
            seen: self.seen.iter().filter(|seen| **seen).count() as f64 / self.world.images as f64,
            events: self.events,
        }
    }
}

impl Visit {
    /// The number of the concurrent order that the visitor sees, as a server would choose it.
    pub fn snapshot(&self, orders: usize) -> usize {
        usize::from(snapshot_of(self.actor.session_id.to_string().as_bytes())) % orders
    }

    pub fn has_left(&self) -> bool {
        self.left
    }
}
