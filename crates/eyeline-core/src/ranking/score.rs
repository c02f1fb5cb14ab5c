//! Scores: the number by which a strategy orders images.

use super::evidence::Evidence;
use super::learnt::Learnt;
use super::prior::Prior;
use super::{Columns, Counts, Ranking, RulesInForce, Strategy};
use crate::{GalleryId, Timestamp};

/// Pseudo-views that the gallery's mean click rate is worth in `ctr`.
pub const CTR_VIEWS: f64 = 20.0;
/// Scales a draw's distance from the mean.
pub const TEMPER: f64 = 0.5;
/// The future exposure of an image at the top: knowledge pays over this much of it.
const HORIZON: f64 = 3_000.0;
/// The random share of a draw. Without it the concurrent orders would be equal.
const CHANCE: f64 = 0.2;
/// The upper bound of `interest_fixed`, in standard deviations above the mean.
pub const BOUND: f64 = 3.0;
/// Counted views of a gallery below which nothing is drawn.
pub const COLD_VIEWS: u64 = 500;
/// One in this many images of the first snapshot is drawn anew each minute.
const PIECES: u32 = 8;

/// The input of an order.
#[derive(Clone, Copy)]
pub struct Basis<'a> {
    pub columns: &'a Columns,
    pub learnt: &'a Learnt,
    pub ranking: Ranking,
    pub rules: &'a RulesInForce,
    pub gallery_id: GalleryId,
    /// The number of one of the concurrent orders.
    pub snapshot: u8,
    /// The time to which ages and decay are computed.
    pub now: Timestamp,
}

impl Basis<'_> {
    /// The counters for ranking: all of them, or those that the guard counts.
    fn counts(&self, ordinal: u32) -> Counts {
        if self.ranking.guard { self.columns.counted(ordinal) } else { self.columns.counts(ordinal) }
    }
}

/// Scores the images of one order.
#[derive(Clone, Copy)]
pub struct Scorer<'a> {
    basis: Basis<'a>,
    gallery: u64,
    /// The gallery's mean click rate, if the strategy needs it.
    click_rate: f64,
}

/// The sort key of an image, the greater first. The ordinal makes it total.
pub(super) type Key = (u64, i64, u32);

/// The parts of a score of `interest` or `interest_fixed`: `age_factor * (mean + TEMPER * (draw - mean))`, and without
/// a draw `age_factor * (mean + BOUND * deviation)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Appeal {
    /// Clicks and exposure, decayed to now.
    pub hits: f64,
    pub exposure: f64,
    /// Mean and standard deviation of the posterior.
    pub mean: f64,
    pub deviation: f64,
    pub draw: Option<f64>,
    pub age_factor: f64,
    pub score: f64,
}

impl<'a> Scorer<'a> {
    pub fn new(basis: Basis<'a>) -> Self {
        let (high, low) = basis.gallery_id.0.as_u64_pair();
        let click_rate = if basis.ranking.strategy == Strategy::Ctr { click_rate(&basis) } else { 0.0 };
        Scorer { basis, gallery: mix(high ^ mix(low)), click_rate }
    }

    pub fn basis(&self) -> Basis<'a> {
        self.basis
    }

    /// True if the strategy draws by chance; `interest` does once enough is known.
    pub fn draws(&self) -> bool {
        self.basis.ranking.strategy == Strategy::Interest && self.basis.learnt.views >= COLD_VIEWS
    }

    /// The present belief about an image, and its draw.
    pub fn appeal(&self, ordinal: u32) -> Appeal {
        let Basis { columns, learnt, now, .. } = self.basis;
        let evidence = self.evidence(ordinal);
        let (hits, exposure) = (f64::from(evidence.hits), f64::from(evidence.exposure));
        let (shape, rate) = (learnt.prior.shape + hits, learnt.prior.rate() + exposure);
        let (mean, deviation) = (shape / rate, shape.sqrt() / rate);
        let draw = self.draws().then(|| {
            let deviate = normal(self.seed(ordinal, self.drawn_at(ordinal)));
            let by_chance = CHANCE * (gamma(shape, deviate) / rate - mean);
            mean + (by_chance + worth_knowing(HORIZON / rate) * deviation) / TEMPER
        });
        let age = now.micros().saturating_sub(columns.created_at(ordinal).micros());
        let age_factor = learnt.age_factor_at(age);
        let score = age_factor * draw.map_or(mean + BOUND * deviation, |draw| mean + TEMPER * (draw - mean));
        Appeal { hits, exposure, mean, deviation, draw, age_factor, score }
    }

    /// The score in the strategy's unit, times the image's boost: finite and never negative.
    pub fn score(&self, ordinal: u32) -> f64 {
        let Basis { learnt, ranking, rules, .. } = self.basis;
        let score = match ranking.strategy {
            Strategy::Newest => 0.0,
            Strategy::Manual => f64::from(rules.manual(ordinal)),
            Strategy::Weight => self.weight(ordinal) as f64,
            Strategy::WeightDecay => {
                let Evidence { views, clicks, .. } = self.evidence(ordinal);
                f64::from(ranking.factors.view_weight) * f64::from(views)
                    + f64::from(ranking.factors.click_weight) * f64::from(clicks)
            }
            Strategy::Trending => f64::from(self.evidence(ordinal).clicks),
            Strategy::Ctr => {
                let counts = self.counts(ordinal);
                (counts.clicks as f64 + CTR_VIEWS * self.click_rate) / (counts.views as f64 + CTR_VIEWS)
            }
            Strategy::Interest | Strategy::InterestFixed => self.appeal(ordinal).score,
            Strategy::Random if learnt.views == 0 => 0.0,
            Strategy::Random => uniform(self.seed(ordinal, learnt.minute)),
        };
        let score = score * rules.boost(ordinal);
        if score.is_finite() { score.max(0.0) } else { 0.0 }
    }

    pub(super) fn key(&self, ordinal: u32) -> Key {
        let first = match self.basis.ranking.strategy {
            Strategy::Weight if !self.basis.rules.boosts() => self.weight(ordinal),
            // The bits of floats that are not negative sort like the floats.
            _ => self.score(ordinal).to_bits(),
        };
        (first, self.basis.columns.created_at(ordinal).micros(), ordinal)
    }

    fn weight(&self, ordinal: u32) -> u64 {
        let counts = self.counts(ordinal);
        self.basis.ranking.factors.weight(counts.views, counts.clicks)
    }

    /// The counters that rank the image.
    fn counts(&self, ordinal: u32) -> Counts {
        self.basis.counts(ordinal)
    }

    /// Clicks per view of the gallery's images if the strategy shrinks towards it, else zero.
    pub fn click_rate(&self) -> f64 {
        self.click_rate
    }

    /// The image's evidence, decayed to now.
    pub fn evidence(&self, ordinal: u32) -> Evidence {
        let minute = self.basis.now.minute().max(self.basis.learnt.minute);
        self.basis.columns.evidence(ordinal).at(minute, self.basis.ranking.half_life_minutes())
    }

    /// The minute of an image's draw. In the first snapshot only touched images and one piece each minute are drawn
    /// anew, so that an order without `session_id` moves less.
    fn drawn_at(&self, ordinal: u32) -> u32 {
        let minute = self.basis.learnt.minute;
        if self.basis.snapshot > 0 {
            return minute;
        }
        let own_turn = minute.saturating_sub(minute.wrapping_sub(ordinal) % PIECES);
        own_turn.max(self.basis.columns.evidence(ordinal).touched.min(minute))
    }

    fn seed(&self, ordinal: u32, minute: u32) -> u64 {
        mix(mix(self.gallery ^ u64::from(ordinal)) ^ (u64::from(minute) << 8 | u64::from(self.basis.snapshot)))
    }
}

/// The concurrent order that a visitor sees, to be taken modulo their number: always the same for the same id.
pub fn snapshot_of(visitor: &[u8]) -> u8 {
    hash_of(visitor).to_le_bytes()[0]
}

/// Hashes bytes to a word, the same in every process and version. Not for secrets.
pub fn hash_of<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> u64 {
    bytes.into_iter().fold(0, |hash, byte| mix(hash ^ u64::from(*byte)))
}

/// Clicks per view of the gallery's images. An image's vote grows with its views up to about [`CTR_VIEWS`], so that the
/// images on top do not dominate.
fn click_rate(basis: &Basis<'_>) -> f64 {
    let (mut clicks, mut views) = (1.0, 1.0 / Prior::FIRST.mean);
    for ordinal in 0..basis.columns.len() {
        let counts = basis.counts(ordinal as u32);
        let weight = 1.0 / (1.0 + counts.views as f64 / CTR_VIEWS);
        clicks += weight * counts.clicks as f64;
        views += weight * counts.views as f64;
    }
    clicks / views
}

/// The index of an arm, in standard deviations above its mean, if knowledge pays `horizon` times as long as the present
/// knowledge took (Brezzi and Lai 2002, their closed approximation of the Gittins index).
fn worth_knowing(horizon: f64) -> f64 {
    let root = horizon.sqrt();
    match horizon {
        ..=0.2 => root / std::f64::consts::SQRT_2,
        ..=1.0 => 0.49 - 0.11 / root,
        ..=5.0 => 0.63 - 0.26 / root,
        ..=15.0 => 0.77 - 0.58 / root,
        _ => (2.0 * horizon.ln() - horizon.ln().ln() - (16.0 * std::f64::consts::PI).ln()).sqrt(),
    }
}

/// A draw from Gamma(`shape`, 1) by its normal deviate (Wilson and Hilferty 1931).
fn gamma(shape: f64, deviate: f64) -> f64 {
    let root = 1.0 - 1.0 / (9.0 * shape) + deviate / (3.0 * shape.sqrt());
    shape * root.max(0.0).powi(3)
}

/// Spreads a seed's bits over the whole word (the finaliser of SplitMix64; Steele, Lea and Flood 2014).
const fn mix(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

/// From 0, included, to 1, excluded.
fn uniform(seed: u64) -> f64 {
    (seed >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// A standard normal deviate (Box and Muller 1958).
fn normal(seed: u64) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(seed)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(mix(seed))).cos()
}
