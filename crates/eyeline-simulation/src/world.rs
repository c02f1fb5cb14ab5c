//! The world of the simulation: images with a true appeal, and the habits of their visitors.
//!
//! A session scrolls to a depth, and renders every tile down to it, which is a view. The visitor looks at a rendered
//! tile with the attention of its place, and then clicks it with the image's true appeal (the position-based model).
//! With `stop` above 0 a click ends the session with that chance (the dependent click model). That is a deliberate
//! mismatch for a ranking that assumes the position-based model.

use rand::distr::Distribution as _;
use rand::seq::index;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::Beta;
use rand_pcg::Pcg64Mcg;

/// The deepest place that any visitor reaches.
pub const PLACES_MAX: usize = 200;
const PAGE: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// All visitors see the first page, and 40 % continue to each further one. Attention falls as a power of the place.
    Power,
    /// Four columns: rows are lost one by one, more at the end of a page.
    Grid,
    /// One column on a phone.
    Steep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appeals {
    /// Mean 5 %, widely spread.
    Beta,
    /// Mean 5 %, hard to tell apart.
    BetaTight,
    /// A few hits and a long tail of dull images.
    Zipf,
}

/// Times are counted in sessions.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// The number of images at the start.
    pub images: usize,
    pub sessions: usize,
    /// Sessions between two publications of the order.
    pub refresh: usize,
    pub appeals: Appeals,
    pub curve: Curve,
    /// The exponent of falling attention in [`Curve::Power`].
    pub eta: f64,
    /// The chance that a click ends the session.
    pub stop: f64,
    /// New images a session.
    pub arrive: f64,
    /// Sessions after which an image has half its appeal left; 0 keeps the appeal.
    pub age_half_life: f64,
    /// Sessions after which the appeal of a share of the images is drawn again; 0 is never.
    pub drift_every: usize,
    pub drift_share: f64,
    /// Bot sessions for each visitor's session, the images they push, and the sources they come from.
    pub bots: f64,
    pub bot_targets: usize,
    pub bot_sources: u32,
}

const PLAIN: Scenario = Scenario {
    name: "",
    images: 1_000,
    sessions: 40_000,
    refresh: 50,
    appeals: Appeals::Beta,
    curve: Curve::Power,
    eta: 0.7,
    stop: 0.0,
    arrive: 0.0,
    age_half_life: 0.0,
    drift_every: 0,
    drift_share: 0.0,
    bots: 0.0,
    bot_targets: 0,
    bot_sources: 0,
};

pub const SCENARIOS: [Scenario; 9] = [
    Scenario { name: "static_small", images: 200, sessions: 10_000, refresh: 20, ..PLAIN },
    Scenario { name: "catalog", images: 2_000, appeals: Appeals::Zipf, curve: Curve::Grid, ..PLAIN },
    Scenario { name: "fresh", arrive: 0.05, ..PLAIN },
    Scenario { name: "news", images: 500, curve: Curve::Grid, arrive: 0.05, age_half_life: 8_000.0, ..PLAIN },
    Scenario { name: "drift", drift_every: 4_000, drift_share: 0.15, ..PLAIN },
    Scenario { name: "fraud", bots: 0.10, bot_targets: 20, bot_sources: 20, ..PLAIN },
    Scenario {
        name: "large",
        images: 20_000,
        sessions: 60_000,
        refresh: 100,
        appeals: Appeals::Zipf,
        curve: Curve::Grid,
        ..PLAIN
    },
    Scenario { name: "lowtraffic", images: 2_000, sessions: 2_000, refresh: 10, curve: Curve::Grid, ..PLAIN },
    Scenario { name: "cascade", stop: 0.5, ..PLAIN },
];

impl Scenario {
    pub fn named(name: &str) -> Option<Scenario> {
        SCENARIOS.into_iter().find(|scenario| scenario.name == name)
    }

    /// Changes one of its figures. The error is a sentence.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let wrong = || format!("--set {key}={value}: this value cannot be read");
        let number = || value.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        let whole = || value.parse::<usize>().map_err(|_| wrong());
        match key {
            "n" => self.images = whole()?.max(1),
            "T" => self.sessions = whole()?,
            "K" => self.refresh = whole()?.max(1),
            "alpha" => {
                self.appeals = match value {
                    "beta" => Appeals::Beta,
                    "beta_tight" => Appeals::BetaTight,
                    "zipf" => Appeals::Zipf,
                    _ => return Err(wrong()),
                }
            }
            "curve" => {
                self.curve = match value {
                    "power" => Curve::Power,
                    "grid" => Curve::Grid,
                    "steep" => Curve::Steep,
                    _ => return Err(wrong()),
                }
            }
            "eta" => self.eta = number().ok_or_else(wrong)?,
            "stop" => self.stop = number().ok_or_else(wrong)?,
            "arrive" => self.arrive = number().ok_or_else(wrong)?,
            "age_hl" => self.age_half_life = number().ok_or_else(wrong)?,
            "drift_every" => self.drift_every = whole()?,
            "drift_share" => self.drift_share = number().ok_or_else(wrong)?,
            "bots" => self.bots = number().ok_or_else(wrong)?,
            "bot_targets" => self.bot_targets = whole()?,
            "bot_src" => self.bot_sources = value.parse().map_err(|_| wrong())?,
            _ => {
                return Err(format!(
                    "--set {key}: the keys are n, T, K, alpha, curve, eta, stop, arrive, age_hl, drift_every, \
                     drift_share, bots, bot_targets, bot_src, half_life, view_weight, click_weight and guard"
                ));
            }
        }
        Ok(())
    }
}

/// The scrolling and looking of visitors.
pub struct Habits {
    /// The chance that a session goes deeper than a place; it never rises.
    reach: Vec<f64>,
    attention: Vec<f64>,
    stop: f64,
}

impl Habits {
    pub fn new(scenario: &Scenario) -> Self {
        let places = 0..PLACES_MAX;
        let power = |base: f64, exponent: usize| base.powi(i32::try_from(exponent).unwrap_or(i32::MAX));
        let (reach, attention) = match scenario.curve {
            Curve::Power => (
                places.clone().map(|place| power(0.4, place / PAGE)).collect(),
                places.map(|place| (place as f64 + 1.0).powf(-scenario.eta)).collect(),
            ),
            Curve::Grid => (
                places.clone().map(|place| power(0.93, place / 4) * power(0.65, place / PAGE)).collect(),
                places.map(|place| [1.0, 0.93, 0.88, 0.80][place % 4] * power(0.96, place / 4).max(0.40)).collect(),
            ),
            Curve::Steep => (
                places.clone().map(|place| power(0.90, place)).collect(),
                places.map(|place| power(0.97, place).max(0.3)).collect(),
            ),
        };
        Habits { reach, attention, stop: scenario.stop }
    }

    /// The places to which a visitor scrolls with this patience, from 0 (most patient) to 1.
    pub fn depth(&self, patience: f64) -> usize {
        self.reach.partition_point(|reach| *reach >= patience)
    }

    /// The chance that a visitor looks at a tile after scrolling to it.
    pub fn attention(&self, place: usize) -> f64 {
        self.attention[place]
    }

    /// The expected clicks of sessions on images with these appeals, by the depth of the session.
    pub fn clicks_by_depth(&self, appeals: &[f64]) -> Vec<f64> {
        let (mut going_on, mut clicks) = (1.0, 0.0);
        let mut by_depth = vec![0.0];
        for (appeal, attention) in appeals.iter().zip(&self.attention) {
            let click = attention * appeal;
            clicks += going_on * click;
            going_on *= 1.0 - self.stop * click;
            by_depth.push(clicks);
        }
        by_depth
    }
}

/// The images and their state, numbered in the order of their creation.
pub struct World {
    pub scenario: Scenario,
    /// The session at which each image is created; negative if it existed from the start.
    pub born: Vec<f64>,
    /// The number of existing images.
    pub images: usize,
    /// The images that bots push, from the least appealing quarter.
    pub targets: Vec<usize>,
    random: Pcg64Mcg,
    appeals: Vec<f64>,
    session: usize,
    next_drift: usize,
}

impl World {
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        let mut random = stream(seed, 1);
        let at_first = scenario.images;
        let arriving = (scenario.arrive * scenario.sessions as f64) as usize;
        let appeals = draw_appeals(&mut random, scenario.appeals, at_first + arriving);
        let mut born = vec![0.0; at_first];
        if scenario.age_half_life > 0.0 {
            let oldest = 4.0 * scenario.age_half_life;
            born.fill_with(|| -oldest * random.random::<f64>());
            born.sort_by(f64::total_cmp);
        }
        born.extend((0..arriving).map(|number| (number as f64 / scenario.arrive).floor()));
        let mut by_appeal: Vec<usize> = (0..at_first).collect();
        by_appeal.sort_by(|a, b| appeals[*a].total_cmp(&appeals[*b]));
        by_appeal.truncate((at_first / 4).max(1));
        let pushed = if scenario.bots > 0.0 { scenario.bot_targets.min(by_appeal.len()) } else { 0 };
        let targets = index::sample(&mut random, by_appeal.len(), pushed).iter().map(|at| by_appeal[at]).collect();
        let next_drift = if scenario.drift_every == 0 { usize::MAX } else { scenario.drift_every };
        World { scenario, born, images: at_first, targets, random, appeals, session: 0, next_drift }
    }

    /// Advances to a session: images arrive, appeals drift.
    pub fn advance(&mut self, session: usize) {
        self.session = session;
        self.images = self.born.partition_point(|born| *born <= session as f64);
        while session >= self.next_drift {
            let fresh = draw_appeals(&mut self.random, self.scenario.appeals, self.appeals.len());
            let least = self.appeals.iter().copied().fold(f64::INFINITY, f64::min);
            for (appeal, fresh) in self.appeals.iter_mut().zip(fresh) {
                if self.random.random::<f64>() < self.scenario.drift_share {
                    *appeal = fresh;
                }
            }
            for target in &self.targets {
                self.appeals[*target] = least;
            }
            self.next_drift += self.scenario.drift_every;
        }
    }

    /// The true appeal of an image now.
    pub fn appeal(&self, image: usize) -> f64 {
        let left = if self.scenario.age_half_life > 0.0 {
            ((self.born[image] - self.session as f64) / self.scenario.age_half_life).exp2()
        } else {
            1.0
        };
        self.appeals[image] * left
    }

    /// The present true appeals in the best possible order.
    pub fn best_appeals(&self) -> Vec<f64> {
        let mut best: Vec<f64> = (0..self.images).map(|image| self.appeal(image)).collect();
        best.sort_by(|a, b| b.total_cmp(a));
        best.truncate(PLACES_MAX);
        best
    }
}

/// Random numbers that depend on the seed and on their purpose.
pub fn stream(seed: u64, purpose: u64) -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose)
}

fn draw_appeals(random: &mut Pcg64Mcg, appeals: Appeals, count: usize) -> Vec<f64> {
    let beta = |a, b| Beta::new(a, b).unwrap_or_else(|error| unreachable!("{a} and {b} are above zero: {error}"));
    match appeals {
        Appeals::Beta => beta(1.0, 19.0).sample_iter(random).take(count).collect(),
        Appeals::BetaTight => beta(8.0, 152.0).sample_iter(random).take(count).collect(),
        Appeals::Zipf => {
            let ranks = index::sample(random, count, count);
            ranks.iter().map(|rank| (0.35 * (rank as f64 + 1.0).powf(-0.5)).max(0.004)).collect()
        }
    }
}
