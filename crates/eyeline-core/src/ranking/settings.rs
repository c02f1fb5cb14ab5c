//! The ranking settings of a gallery.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::experiment::{Control, Holdout};
use crate::WeightFactors;

/// A rule that ranks images. Without events every strategy shows the newest image first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By creation time, the newest first.
    Newest,
    /// By views and clicks, exactly; ties newest first.
    #[default]
    Weight,
    /// As `weight`, but an event counts less the older it is.
    WeightDecay,
    /// By clicks, which count less the older they are.
    Trending,
    /// By clicks per view, shrunk towards the gallery's mean while there are few views.
    Ctr,
    /// By clicks corrected for the attention that a rank gets, with exploration of little-known images.
    Interest,
    /// As `interest`, but by an upper bound of the appeal instead of a random draw.
    InterestFixed,
    /// As the owner's rules arrange it, the rest newest first.
    Manual,
    /// By chance, anew each minute in which something happened.
    Random,
}

impl Strategy {
    /// In the order of their numbers in cursors. A new one goes to the end.
    pub const ALL: [Strategy; 9] = [
        Strategy::Newest,
        Strategy::Weight,
        Strategy::WeightDecay,
        Strategy::Trending,
        Strategy::Ctr,
        Strategy::Interest,
        Strategy::InterestFixed,
        Strategy::Manual,
        Strategy::Random,
    ];

    /// The names, as an error message lists them.
    pub const NAMES: &'static str =
        "newest, weight, weight_decay, trending, ctr, interest, interest_fixed, manual or random";

    pub const fn as_str(self) -> &'static str {
        match self {
            Strategy::Newest => "newest",
            Strategy::Weight => "weight",
            Strategy::WeightDecay => "weight_decay",
            Strategy::Trending => "trending",
            Strategy::Ctr => "ctr",
            Strategy::Interest => "interest",
            Strategy::InterestFixed => "interest_fixed",
            Strategy::Manual => "manual",
            Strategy::Random => "random",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Strategy::ALL.into_iter().find(|strategy| strategy.as_str() == text)
    }

    /// The number of concurrent orders, so that visitors try different images between two publications.
    pub const fn snapshots(self) -> u8 {
        match self {
            Strategy::Interest | Strategy::Random => 4,
            _ => 1,
        }
    }
}

/// The ranking settings of a gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ranking {
    #[serde(default)]
    pub strategy: Strategy,
    /// The weight is kept exactly and shown under every strategy.
    #[serde(flatten)]
    pub factors: WeightFactors,
    /// Half-life of events in seconds, for strategies that decay; [`Ranking::HALF_LIFE_S`] when `None`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub half_life_s: Option<u32>,
    /// True if the gallery ranks by what its guard counts; see [`super::Guard`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub guard: bool,
    /// The percentage of visitors who see the control order, which measures the strategy.
    #[serde(default, skip_serializing_if = "is_default")]
    pub holdout_percent: u8,
    /// The control order.
    #[serde(default, skip_serializing_if = "is_default")]
    pub holdout_control: Control,
}

/// A change of the settings; `None` leaves a field as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RankingPatch {
    pub strategy: Option<Strategy>,
    pub view_weight: Option<u32>,
    pub click_weight: Option<u32>,
    /// `Some(None)` is [`Ranking::HALF_LIFE_S`].
    pub half_life_s: Option<Option<u32>>,
    pub guard: Option<bool>,
    pub holdout_percent: Option<u8>,
    pub holdout_control: Option<Control>,
}

impl RankingPatch {
    /// The settings after the change.
    pub fn applied_to(self, before: Ranking) -> Ranking {
        Ranking {
            strategy: self.strategy.unwrap_or(before.strategy),
            factors: WeightFactors {
                view_weight: self.view_weight.unwrap_or(before.factors.view_weight),
                click_weight: self.click_weight.unwrap_or(before.factors.click_weight),
            },
            half_life_s: self.half_life_s.unwrap_or(before.half_life_s),
            guard: self.guard.unwrap_or(before.guard),
            holdout_percent: self.holdout_percent.unwrap_or(before.holdout_percent),
            holdout_control: self.holdout_control.unwrap_or(before.holdout_control),
        }
    }
}

impl From<Ranking> for RankingPatch {
    /// Sets every field.
    fn from(to: Ranking) -> Self {
        RankingPatch {
            strategy: Some(to.strategy),
            view_weight: Some(to.factors.view_weight),
            click_weight: Some(to.factors.click_weight),
            half_life_s: Some(to.half_life_s),
            guard: Some(to.guard),
            holdout_percent: Some(to.holdout_percent),
            holdout_control: Some(to.holdout_control),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Ranking {
    /// Fourteen days.
    pub const HALF_LIFE_S: u32 = 14 * 24 * 60 * 60;

    /// The half-life for a number of days; `None` outside one hour to ten years.
    pub fn half_life_of_days(days: f64) -> Option<u32> {
        (1.0 / 24.0..=3_650.0).contains(&days).then(|| (days * 86_400.0).round() as u32)
    }

    /// True if events are counted and learnt alike under both. The other settings affect orders only.
    pub fn counts_like(self, other: Ranking) -> bool {
        self.guard == other.guard && self.half_life_s() == other.half_life_s()
    }

    /// The comparison of the hold-out, if there is one.
    pub fn holdout(self) -> Option<Holdout> {
        let Ranking { strategy: treatment, holdout_percent: percent, .. } = self;
        (percent > 0).then_some(Holdout { percent, treatment, control: self.holdout_control.strategy() })
    }

    /// Minutes after which an event counts half.
    pub fn half_life_minutes(self) -> f64 {
        f64::from(self.half_life_s()) / 60.0
    }

    fn half_life_s(self) -> u32 {
        self.half_life_s.unwrap_or(Self::HALF_LIFE_S)
    }
}
