//! Explains ranks, and compares orders, from the state of a gallery in memory.

use eyeline_core::ranking::estimate::{Estimate, estimate};
use eyeline_core::ranking::{Appeal, Counts, Evidence, Prior, Scorer};
use eyeline_store::{Error, Result};

use super::order::Order;
use super::ranked::{Ranked, read};

/// Explains the rank of an image.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The index in the order, from 0; `None` if the order lacks the image.
    pub place: Option<usize>,
    pub counts: Counts,
    pub counted: Counts,
    pub evidence: Evidence,
    pub appeal: Appeal,
    /// The gallery's mean click rate, which strategy `ctr` uses.
    pub click_rate: f64,
    pub prior: Prior,
    pub boost: f64,
    /// The place that a rule pins it to.
    pub pin: Option<u32>,
    pub score: f64,
    /// The neighbours before and after it: index, ordinal, score.
    pub before: Option<(usize, u32, f64)>,
    pub after: Option<(usize, u32, f64)>,
}

impl Ranked {
    /// The parts of an image's score in an order, from the present state, and the scores of its neighbours.
    pub(super) fn explain(&self, order: &Order, ordinal: u32) -> Result<Explanation> {
        let state = read(&self.state);
        let state = state.as_ref().ok_or(Error::NotFound("gallery"))?;
        let now = order.published_at;
        let learnt = state.learnt(now);
        let scorer = Scorer::new(state.basis(&learnt, order.ranking, order.snapshot, now));
        let place = order.place_of(ordinal);
        let neighbour = |place: Option<usize>| {
            let ordinal = order.ordinal_at(place?)?;
            Some((place?, ordinal, scorer.score(ordinal)))
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

    /// Estimates the lift of another order over the shown one. `None` if one of them is empty.
    pub fn estimate(&self, shown: &Order, other: &Order) -> Result<Option<Estimate>> {
        let state = read(&self.state);
        let state = state.as_ref().ok_or(Error::NotFound("gallery"))?;
        let now = shown.published_at.max(other.published_at);
        let learnt = state.learnt(now);
        let scorer = Scorer::new(state.basis(&learnt, shown.ranking, shown.snapshot, now));
        Ok(estimate(&scorer, shown.ordinals.iter().copied(), other.ordinals.iter().copied()))
    }
}
