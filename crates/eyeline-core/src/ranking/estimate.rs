//! Estimates what another order would bring, before anybody sees it, from the ranks at which images were served.
//!
//! The model is the position-based one of learning. An image's expected clicks are its appeal times the attention of
//! its rank times the factor of its age; those of an order are the sum over its ranks. The posterior of an appeal comes
//! from clicks and exposure at served ranks. Its mean is right on average even for images that an order picks for their
//! success; a plain click rate is not. The interval covers the appeals and the curve of attention. The factors of age
//! count as exact.

use std::collections::BTreeMap;

use super::experiment::{CLICKS_MIN, TWO_SIDED_95};
use super::score::{Appeal, COLD_VIEWS, Scorer};
use super::{Strategy, learnt};

/// Ranks that are compared, from the top: hardly anybody looks further down.
pub const PLACES: usize = 200;

/// One order compared with the one that is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Expected clicks of a visitor who scrolls through all compared ranks.
    pub shown_clicks: f64,
    pub other_clicks: f64,
    /// The relative difference in clicks: `(other - shown) / shown`.
    pub lift: f64,
    /// The 95 % interval of the lift (delta method on its logarithm).
    pub interval: (f64, f64),
    /// True if enough was seen for the curve of attention to be more than its initial guess.
    pub enough: bool,
}

/// Compares the first [`PLACES`] ranks of two orders of the scorer's gallery, given as ordinals. `None` if one is empty.
pub fn estimate(
    scorer: &Scorer<'_>,
    shown: impl IntoIterator<Item = u32>,
    other: impl IntoIterator<Item = u32>,
) -> Option<Estimate> {
    let learnt = scorer.basis().learnt;
    // For each image: its clicks per unit of appeal at its rank in either order, and its appeal.
    let mut images = BTreeMap::<u32, ([f64; 2], Appeal)>::new();
    let (mut places, mut clicks) = (Vec::new(), [0.0; 2]);
    let shown = shown.into_iter().take(PLACES).enumerate().map(|(place, ordinal)| (0, place as u32, ordinal));
    let other = other.into_iter().take(PLACES).enumerate().map(|(place, ordinal)| (1, place as u32, ordinal));
    for (order, place, ordinal) in shown.chain(other) {
        let (exposure, appeal) = images.entry(ordinal).or_insert_with(|| ([0.0; 2], scorer.appeal(ordinal)));
        exposure[order] = learnt.attention_at(place) * appeal.age_factor;
        let brought = exposure[order] * appeal.mean;
        clicks[order] += brought;
        places.push((order, place, brought));
    }
    let [shown_clicks, other_clicks] = clicks;
    if shown_clicks <= 0.0 || other_clicks <= 0.0 {
        return None;
    }
    // The derivative of the log ratio by each appeal and by each block of the curve.
    let of_appeals = images.into_values().map(|(exposure, appeal)| {
        let leverage = exposure[1] / other_clicks - exposure[0] / shown_clicks;
        (leverage * appeal.deviation).powi(2)
    });
    let images_moved = !matches!(scorer.basis().ranking.strategy, Strategy::Newest | Strategy::Manual);
    let mut blocks = BTreeMap::<u32, f64>::new();
    for (order, place, brought) in places {
        let share = brought / clicks[order];
        *blocks.entry(learnt::first_of_block(place)).or_default() += if order == 1 { share } else { -share };
    }
    let of_curve =
        blocks.into_iter().map(|(place, share)| (share * learnt.attention_doubt(place, images_moved)).powi(2));
    let variance = of_appeals.sum::<f64>() + of_curve.sum::<f64>();
    let (ratio, deviation) = (other_clicks / shown_clicks, variance.sqrt());
    let bound = |sign: f64| (ratio.ln() + sign * TWO_SIDED_95 * deviation).exp() - 1.0;
    Some(Estimate {
        shown_clicks,
        other_clicks,
        lift: ratio - 1.0,
        interval: (bound(-1.0), bound(1.0)),
        enough: learnt.views >= COLD_VIEWS && learnt.placed_clicks() >= CLICKS_MIN as f64,
    })
}
