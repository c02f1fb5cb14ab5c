//! What another order would bring, told from what was seen at which place, before anybody is shown it.
//!
//! An image's clicks are taken for its appeal times the attention of its place and the factor of its age (the position-based
//! model that a gallery learns by), those of an order for the sum over its places. What is known of an appeal is the
//! posterior that clicks and exposure at the places that the server had served leave: its mean is right, on the average, for the
//! images that an order picks out for their success too, which a plain click rate is not. The interval is of
//! the appeals and of the curve of attention; the factors of age are taken as learnt.

use std::collections::BTreeMap;

use super::experiment::{CLICKS_MIN, TWO_SIDED_95};
use super::score::{Appeal, COLD_VIEWS, Scorer};
use super::{Strategy, learnt};

/// Places that are compared, from the first one on: further down hardly anybody looks.
pub const PLACES: usize = 200;

/// One order against the one that is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Clicks of a visitor who scrolls through all the places, by the order that is shown and by the other one.
    pub shown_clicks: f64,
    pub other_clicks: f64,
    /// Clicks by the other order above those by the one that is shown, as a part of these.
    pub lift: f64,
    /// The 95 % interval of the lift (delta method on its logarithm).
    pub interval: (f64, f64),
    /// Whether enough was seen for the curve of attention to be more than a first guess.
    pub enough: bool,
}

/// Compares the first [`PLACES`] of two orders of the scorer's gallery, given as ordinals. `None` when one of them is empty.
pub fn estimate(
    scorer: &Scorer<'_>,
    shown: impl IntoIterator<Item = u32>,
    other: impl IntoIterator<Item = u32>,
) -> Option<Estimate> {
    let learnt = scorer.basis().learnt;
    // What each image brings where it stands in the one order and in the other, for an appeal of 1; and its appeal.
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
    // How the logarithm of the ratio moves with each appeal, and with each block of the curve.
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
