//! Learnt state of a gallery: the attention of each rank, the decline of interest with age, the distribution of
//! appeals.
//!
//! Learning folds at the boundaries of minutes, so the same events in the same order teach the same, however they were
//! batched. Sources: Agarwal et al. 2019 and Komiyama et al. 2017 for learning the curve of attention while ranking;
//! Lagrée, Vernade and Cappé 2016 for exposure as views times attention.

use super::prior::{Cell, Histogram, Prior};
use super::{Evidence, evidence};
use crate::event::ActKind;

/// The first rank of each block of the curve of attention, from 0.
pub const BLOCKS: [u32; 15] = [0, 1, 2, 3, 4, 6, 8, 12, 16, 20, 30, 40, 60, 80, 120];
/// The end of the last block, for its mean alone: deeper ranks belong to it too.
const BLOCKS_END: u32 = 200;
/// Buckets of ages. The age doubles from one bucket to the next.
pub const AGES: usize = 12;
/// The width of the first bucket of ages, in microseconds: 4.2 hours.
const AGE_UNIT: f64 = 4.2 * 3_600.0 * 1e6;
/// Pseudo-clicks that the initial curves are worth.
const PSEUDO_CLICKS: f64 = 50.0;
const ATTENTION: std::ops::RangeInclusive<f64> = 0.02..=1.5;
const AGE_FACTOR: std::ops::RangeInclusive<f64> = 0.02..=5.0;

/// One event, as learning sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Act {
    pub kind: ActKind,
    /// The rank at which the server had served the image, from 0; `None` if it is unknown.
    pub place: Option<u32>,
    /// Microseconds from the image's creation to the event.
    pub age: i64,
    /// Minutes since 1970.
    pub minute: u32,
}

/// The additions of one event, so that they can be withdrawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Taught {
    pub minute: u32,
    /// The block of ranks and the bucket of ages, if the rank is known.
    pub(super) at: Option<(u8, u8)>,
    /// Added to the image, and to the expectations of the block and the bucket; zero for a click.
    pub(super) exposure: f32,
    pub(super) by_place: f32,
    pub(super) by_age: f32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Learnt {
    /// The minute whose events are gathered. Learning covers the minutes before it. Zero before the first event.
    pub minute: u32,
    /// Views counted so far.
    pub views: u64,
    pub prior: Prior,
    /// Attention by block of ranks; the top rank has 1.
    pub attention: [f64; BLOCKS.len()],
    /// Factor by bucket of ages; the youngest has 1.
    pub age_factor: [f64; AGES],
    /// Actual and expected clicks, by block and by bucket.
    pub(super) by_place: [Ratio; BLOCKS.len()],
    pub(super) by_age: [Ratio; AGES],
    pub(super) images: Histogram,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ratio {
    pub clicks: f64,
    pub expected: f64,
}

impl Default for Learnt {
    fn default() -> Self {
        Learnt {
            minute: 0,
            views: 0,
            prior: Prior::FIRST,
            attention: std::array::from_fn(first_attention),
            age_factor: [1.0; AGES],
            by_place: [Ratio::default(); BLOCKS.len()],
            by_age: [Ratio::default(); AGES],
            images: Histogram::default(),
        }
    }
}

impl Learnt {
    /// Adds one event on the image of `evidence`. Events come in order of receipt; one with an earlier minute counts as
    /// of the latest.
    pub fn take_in(&mut self, evidence: &mut Evidence, act: Act, half_life_minutes: f64) -> Taught {
        self.fold(act.minute, half_life_minutes);
        let before = *evidence;
        let mut after = before.at(self.minute, half_life_minutes);
        // A clock went back: the evidence was last touched later than now.
        after.touched = after.touched.max(self.minute);
        let mean = mean(self.prior, after);
        let mut taught = Taught { minute: self.minute, at: None, exposure: 0.0, by_place: 0.0, by_age: 0.0 };
        match act.kind {
            ActKind::View => {
                self.views += 1;
                after.views += 1.0;
            }
            ActKind::Click => after.clicks += 1.0,
        }
        if let Some(place) = act.place {
            let (block, bucket) = (block(place), bucket(act.age));
            let (attention, age_factor) = (self.attention[block], self.age_factor_at(act.age));
            taught.at = Some((block as u8, bucket as u8));
            match act.kind {
                ActKind::View => {
                    taught.exposure = narrow(attention * age_factor);
                    taught.by_place = narrow(mean * age_factor);
                    taught.by_age = narrow(mean * attention);
                    self.by_place[block].expected += mean * age_factor;
                    self.by_age[bucket].expected += mean * attention;
                    after.exposure += taught.exposure;
                }
                ActKind::Click => {
                    self.by_place[block].clicks += 1.0;
                    self.by_age[bucket].clicks += 1.0;
                    after.hits += 1.0;
                }
            }
        }
        self.images.shift(before, after);
        *evidence = after;
        taught
    }

    /// Withdraws an event that [`Learnt::take_in`] added, as far as decay has left of it. What whole minutes have
    /// learnt from it meanwhile fades with time.
    pub fn take_back(&mut self, evidence: &mut Evidence, kind: ActKind, taught: Taught, half_life_minutes: f64) {
        let before = *evidence;
        let mut after = before.at(self.minute, half_life_minutes);
        after.touched = after.touched.max(self.minute);
        let share = evidence::decay(self.minute.saturating_sub(taught.minute), half_life_minutes);
        let left = f64::from(share);
        match kind {
            ActKind::View => {
                self.views = self.views.saturating_sub(1);
                after.views = less(after.views, share);
                after.exposure = less(after.exposure, taught.exposure * share);
            }
            ActKind::Click => after.clicks = less(after.clicks, share),
        }
        if let Some((block, bucket)) = taught.at {
            let (by_place, by_age) = (&mut self.by_place[usize::from(block)], &mut self.by_age[usize::from(bucket)]);
            match kind {
                ActKind::View => {
                    by_place.expected = (by_place.expected - f64::from(taught.by_place) * left).max(0.0);
                    by_age.expected = (by_age.expected - f64::from(taught.by_age) * left).max(0.0);
                }
                ActKind::Click => {
                    by_place.clicks = (by_place.clicks - left).max(0.0);
                    by_age.clicks = (by_age.clicks - left).max(0.0);
                    after.hits = less(after.hits, share);
                }
            }
        }
        let is_nothing = [after.views, after.clicks, after.hits, after.exposure].iter().all(|number| *number == 0.0);
        if is_nothing {
            // As if it had never been touched, so that it is not drawn anew either.
            after = Evidence::default();
        }
        self.images.shift(before, after);
        *evidence = after;
    }

    /// The state at `minute` if nothing more happens before it.
    pub fn folded(&self, minute: u32, half_life_minutes: f64) -> Learnt {
        let mut learnt = self.clone();
        if learnt.minute > 0 {
            learnt.fold(minute, half_life_minutes);
            // Passing time alone causes no new draw.
            learnt.minute = self.minute;
        }
        learnt
    }

    /// Learns from the events of the minutes before `minute`, if there were any.
    pub fn fold(&mut self, minute: u32, half_life_minutes: f64) {
        if minute <= self.minute {
            return;
        }
        let left = f64::from(evidence::decay(minute - self.minute, half_life_minutes));
        let first = self.minute == 0;
        self.minute = minute;
        if first {
            return;
        }
        self.prior = self.images.fit(self.prior);
        let (by_place, by_age) = (self.by_place, self.by_age);
        self.attention = curve(&by_place, first_attention, ATTENTION);
        self.age_factor = curve(&by_age, |_| 1.0, AGE_FACTOR);
        for ratio in self.by_place.iter_mut().chain(&mut self.by_age) {
            ratio.clicks *= left;
            ratio.expected *= left;
        }
    }

    /// The share of its appeal that an image of this age keeps; 1 for the youngest.
    pub fn age_factor_at(&self, age: i64) -> f64 {
        self.age_factor[bucket(age)]
    }

    /// The attention of a rank, as a share of the top rank's.
    pub fn attention_at(&self, place: u32) -> f64 {
        self.attention[block(place)]
    }

    /// The relative standard deviation of that attention. Where each image has always had the same rank, clicks cannot
    /// tell the rank from the image, and only the initial guess remains.
    pub fn attention_doubt(&self, place: u32, images_moved: bool) -> f64 {
        let block = block(place);
        let clicks = if images_moved { self.by_place[block].clicks } else { 0.0 };
        1.0 / (clicks + PSEUDO_CLICKS * first_attention(block)).sqrt()
    }

    /// Clicks at known ranks, weighted down with age.
    pub fn placed_clicks(&self) -> f64 {
        self.by_place.iter().map(|ratio| ratio.clicks).sum()
    }
}

/// The layout of stored state: this byte, then fixed fields, then the cells of the histogram. A released layout stays
/// readable: a change gets the next number and a reader of its own.
const LAYOUT: u8 = 1;

impl Learnt {
    /// Bytes that [`Learnt::from_bytes`] reads without loss: about 600, and 18 for each cell.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![LAYOUT];
        bytes.extend(self.minute.to_le_bytes());
        bytes.extend(self.views.to_le_bytes());
        let ratios = self.by_place.iter().chain(&self.by_age).flat_map(|ratio| [ratio.clicks, ratio.expected]);
        let curves = self.attention.iter().chain(&self.age_factor).copied();
        for number in [self.prior.mean, self.prior.shape].into_iter().chain(curves).chain(ratios) {
            bytes.extend(number.to_le_bytes());
        }
        for ((exposure, hits), cell) in self.images.cells() {
            bytes.extend([exposure, hits]);
            bytes.extend(cell.images.to_le_bytes());
            bytes.extend(cell.hits.to_le_bytes());
            bytes.extend(cell.exposure.to_le_bytes());
        }
        // The length reveals bytes that were cut off.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes.extend(length.to_le_bytes());
        bytes
    }

    /// `None` for bytes of an unknown layout.
    pub fn from_bytes(bytes: &[u8]) -> Option<Learnt> {
        let (rest, length) = bytes.split_last_chunk::<4>()?;
        if usize::try_from(u32::from_le_bytes(*length)) != Ok(rest.len()) {
            return None;
        }
        let mut reader = Reader(rest);
        if reader.take::<1>()? != [LAYOUT] {
            return None;
        }
        let mut learnt = Learnt { minute: u32::from_le_bytes(reader.take()?), ..Learnt::default() };
        learnt.views = u64::from_le_bytes(reader.take()?);
        learnt.prior = Prior { mean: reader.number()?, shape: reader.number()? };
        for number in learnt.attention.iter_mut().chain(&mut learnt.age_factor) {
            *number = reader.number()?;
        }
        for ratio in learnt.by_place.iter_mut().chain(&mut learnt.by_age) {
            *ratio = Ratio { clicks: reader.number()?, expected: reader.number()? };
        }
        while !reader.0.is_empty() {
            let [exposure, hits] = reader.take()?;
            let images = u32::from_le_bytes(reader.take()?);
            let cell = Cell { images, hits: reader.number()?, exposure: reader.number()? };
            learnt.images.put((exposure, hits), cell);
        }
        Some(learnt)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<f64> {
        self.take().map(f64::from_le_bytes)
    }
}

/// The posterior mean of an image's appeal.
pub fn mean(prior: Prior, evidence: Evidence) -> f64 {
    (prior.shape + f64::from(evidence.hits)) / (prior.rate() + f64::from(evidence.exposure))
}

/// Clicks per expected click, shrunk towards an initial guess, relative to the first of them.
fn curve<const N: usize>(
    ratios: &[Ratio; N],
    first_guess: impl Fn(usize) -> f64,
    range: std::ops::RangeInclusive<f64>,
) -> [f64; N] {
    let ratio = |index: usize| {
        let Ratio { clicks, expected } = ratios[index];
        (clicks + PSEUDO_CLICKS * first_guess(index)) / (expected + PSEUDO_CLICKS)
    };
    std::array::from_fn(|index| (ratio(index) / ratio(0)).clamp(*range.start(), *range.end()))
}

/// The first rank of a rank's block. The ranks of a block are learnt as one.
pub(super) fn first_of_block(place: u32) -> u32 {
    BLOCKS[block(place)]
}

fn block(place: u32) -> usize {
    BLOCKS.partition_point(|begin| *begin <= place) - 1
}

/// The mean of `rank^-0.5` over the ranks of a block.
fn first_attention(block: usize) -> f64 {
    let end = BLOCKS.get(block + 1).copied().unwrap_or(BLOCKS_END);
    let ranks = BLOCKS[block] + 1..=end;
    let count = f64::from(end - BLOCKS[block]);
    ranks.map(|rank| f64::from(rank).powf(-0.5)).sum::<f64>() / count
}

fn bucket(age: i64) -> usize {
    let doublings = (1.0 + age.max(0) as f64 / AGE_UNIT).log2().floor();
    doublings.clamp(0.0, (AGES - 1) as f64) as usize
}

/// Subtracts a part from a decayed sum. Clamps at zero, because rounding can leave a tiny rest.
fn less(value: f32, part: f32) -> f32 {
    const ROUNDING: f32 = 1e-4;
    let left = value - part;
    if left < ROUNDING * part { 0.0 } else { left }
}

fn narrow(value: f64) -> f32 {
    value as f32
}
