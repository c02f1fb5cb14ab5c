//! The weight of an image: how much interest its views and clicks show.

use serde::{Deserialize, Serialize};

/// The points that one view and one click add to a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WeightFactors {
    pub view_weight: u32,
    pub click_weight: u32,
}

impl Default for WeightFactors {
    /// A click counts seven times a view.
    fn default() -> Self {
        WeightFactors { view_weight: 1, click_weight: 7 }
    }
}

impl WeightFactors {
    /// `view_weight * views + click_weight * clicks`, exactly; saturates at the largest u64, which counts cannot reach
    /// in practice.
    pub fn weight(self, views: u64, clicks: u64) -> u64 {
        let views = u64::from(self.view_weight).saturating_mul(views);
        let clicks = u64::from(self.click_weight).saturating_mul(clicks);
        views.saturating_add(clicks)
    }

    /// True if both factors are zero, so that every weight is zero.
    pub fn weigh_nothing(self) -> bool {
        self.view_weight == 0 && self.click_weight == 0
    }
}
