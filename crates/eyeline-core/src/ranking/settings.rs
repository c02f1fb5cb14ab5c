//! What a gallery's owner chooses.

use serde::{Deserialize, Serialize};

use crate::WeightFactors;

/// A way to order a gallery. Without any event every one of them is exactly newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By creation time, the newest first.
    Newest,
    /// By views and clicks, exactly; ties newest first.
    #[default]
    Weight,
}

impl Strategy {
    pub const ALL: [Strategy; 2] = [Strategy::Newest, Strategy::Weight];

    pub const fn as_str(self) -> &'static str {
        match self {
            Strategy::Newest => "newest",
            Strategy::Weight => "weight",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Strategy::ALL.into_iter().find(|strategy| strategy.as_str() == text)
    }
}

/// The ranking settings of a gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ranking {
    #[serde(default)]
    pub strategy: Strategy,
    /// The weight is shown and kept exactly whatever the strategy.
    #[serde(flatten)]
    pub factors: WeightFactors,
}
