//! The prior: the distribution of an image's appeal before anybody has seen it, fitted to the images that were seen.
//!
//! Clicks of an image are Poisson with mean `exposure * appeal`, appeals of a gallery's images are Gamma. The marginal
//! is negative binomial. Its likelihood stays right however unevenly the order distributes exposure, because the order
//! depends only on what was seen.

use std::collections::BTreeMap;

use super::Evidence;

/// A Gamma distribution of appeals, in clicks for each fully attended view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    pub mean: f64,
    /// The similarity of the images: their appeals have the standard deviation `mean / sqrt(shape)`.
    pub shape: f64,
}

impl Prior {
    /// The initial prior: an exponential distribution.
    pub const FIRST: Prior = Prior { mean: 0.03, shape: 1.0 };

    /// The rate of the Gamma distribution, which is the exposure that the prior is worth.
    pub fn rate(self) -> f64 {
        self.shape / self.mean
    }
}

/// A coarse histogram of a gallery's images by exposure and clicks. An event moves one image, so fitting the prior
/// costs the same however many images there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    cells: BTreeMap<(u8, u8), Cell>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cell {
    pub images: u32,
    pub hits: f64,
    pub exposure: f64,
}

const MEAN_MIN: f64 = 1e-4;
const MEAN_MAX: f64 = 0.5;
const SHAPE_MIN: f64 = 0.25;
const SHAPE_MAX: f64 = 32.0;
/// The factor between two shapes that are tried.
const SHAPE_STEP: f64 = std::f64::consts::SQRT_2;
/// Shrinks the fitted shape towards 1, as if its logarithm had been measured with this deviation.
const SHAPE_DOUBT: f64 = 1.0;
/// Shrinks the fitted mean towards [`Prior::FIRST`] by this many pseudo-clicks.
const PSEUDO_CLICKS: f64 = 1.0;
const ROUNDS: u32 = 3;

impl Histogram {
    /// Moves an image from one cell to another. An image without exposure is in no cell.
    pub fn shift(&mut self, before: Evidence, after: Evidence) {
        if let Some(place) = place(before)
            && let Some(cell) = self.cells.get_mut(&place)
        {
            cell.images = cell.images.saturating_sub(1);
            cell.hits -= f64::from(before.hits);
            cell.exposure -= f64::from(before.exposure);
            if cell.images == 0 {
                // Removes rounding errors with the last image.
                self.cells.remove(&place);
            }
        }
        if let Some(place) = place(after) {
            let cell = self.cells.entry(place).or_default();
            cell.images = cell.images.saturating_add(1);
            cell.hits += f64::from(after.hits);
            cell.exposure += f64::from(after.exposure);
        }
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = ((u8, u8), Cell)> + '_ {
        self.cells.iter().map(|(place, cell)| (*place, *cell))
    }

    pub(super) fn put(&mut self, place: (u8, u8), cell: Cell) {
        self.cells.insert(place, cell);
    }

    /// The likeliest mean for the shape, then the likeliest of the shape and its neighbours.
    pub fn fit(&self, from: Prior) -> Prior {
        let mut fitted = from;
        for _ in 0..ROUNDS {
            fitted.mean = self.fit_mean(fitted);
        }
        let neighbours = [fitted.shape, fitted.shape / SHAPE_STEP, fitted.shape * SHAPE_STEP];
        let mut best = f64::NEG_INFINITY;
        let mean = fitted.mean;
        for shape in neighbours.into_iter().filter(|shape| (SHAPE_MIN..=SHAPE_MAX).contains(shape)) {
            let likelihood = self.log_likelihood(Prior { mean, shape });
            if likelihood > best {
                best = likelihood;
                fitted.shape = shape;
            }
        }
        fitted
    }

    /// One step towards the root of the likelihood's derivative by the mean. Every image contributes clicks per
    /// exposure, weighted by its information.
    fn fit_mean(&self, prior: Prior) -> f64 {
        let (mut hits, mut exposure) = (PSEUDO_CLICKS, PSEUDO_CLICKS / Prior::FIRST.mean);
        for cell in self.cells.values() {
            let of_one = cell.exposure / f64::from(cell.images.max(1));
            let weight = 1.0 / (1.0 + of_one / prior.rate());
            hits += weight * cell.hits;
            exposure += weight * cell.exposure;
        }
        (hits / exposure).clamp(MEAN_MIN, MEAN_MAX)
    }

    fn log_likelihood(&self, prior: Prior) -> f64 {
        let (shape, rate) = (prior.shape, prior.rate());
        let of_shape = libm::lgamma(shape);
        let doubt = shape.ln() / SHAPE_DOUBT;
        let mut sum = -0.5 * doubt * doubt;
        for cell in self.cells.values() {
            let images = f64::from(cell.images.max(1));
            let (hits, exposure) = ((cell.hits / images).max(0.0), (cell.exposure / images).max(0.0));
            let one =
                libm::lgamma(shape + hits) - of_shape + shape * rate.ln() - (shape + hits) * (rate + exposure).ln();
            sum += images * one;
        }
        sum
    }
}

/// The cell of an image, by powers of two of its exposure and of its clicks.
fn place(evidence: Evidence) -> Option<(u8, u8)> {
    let doublings = |value: f32, unit: f32| (value / unit).log2().floor().clamp(-1.0, 62.0) as i8 + 1;
    (evidence.exposure > 0.0)
        .then(|| (doublings(evidence.exposure, 1.0 / 16.0) as u8, doublings(evidence.hits, 0.375) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(hits: f32, exposure: f32) -> Evidence {
        Evidence { hits, exposure, ..Evidence::default() }
    }

    #[test]
    fn a_prior_is_found_again_in_what_it_made() {
        // Appeals of a Gamma distribution with mean 0.05 and shape 4, by its quantiles, each seen 400 times.
        let appeals = [0.0171, 0.0257, 0.0327, 0.0394, 0.0459, 0.0529, 0.0609, 0.0708, 0.0853, 0.1093];
        let mut histogram = Histogram::default();
        for appeal in appeals {
            for spread in [-4.0f32, 0.0, 4.0] {
                for _ in 0..20 {
                    histogram.shift(Evidence::default(), evidence((appeal * 400.0 + spread).max(0.0), 400.0));
                }
            }
        }
        let prior = (0..20).fold(Prior::FIRST, |prior, _| histogram.fit(prior));
        assert!((0.045..0.06).contains(&prior.mean), "{prior:?}");
        assert!((2.0..=8.0).contains(&prior.shape), "{prior:?}");
    }

    #[test]
    fn an_image_that_left_a_cell_leaves_nothing_behind() {
        let mut histogram = Histogram::default();
        histogram.shift(Evidence::default(), evidence(0.1, 0.3));
        histogram.shift(evidence(0.1, 0.3), evidence(2.0, 17.0));
        histogram.shift(evidence(2.0, 17.0), Evidence::default());
        assert_eq!(histogram, Histogram::default());
    }
}
