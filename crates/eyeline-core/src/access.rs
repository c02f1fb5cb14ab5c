//! Who may see what: visibility, tiers and the access classes that follow from both.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A tier of users, projects or images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    #[default]
    Free,
    Premium,
    Business,
}

impl Tier {
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Free => "free",
            Tier::Premium => "premium",
            Tier::Business => "business",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "free" => Tier::Free,
            "premium" => Tier::Premium,
            "business" => Tier::Business,
            _ => return None,
        })
    }
}

/// Whether everybody may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    #[default]
    Public,
    Private,
}

impl Visibility {
    pub const fn as_str(self) -> &'static str {
        match self {
            Visibility::Public => "public",
            Visibility::Private => "private",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "public" => Visibility::Public,
            "private" => Visibility::Private,
            _ => return None,
        })
    }
}

/// One published order exists per class in use: what everybody sees (public and free), what premium and business
/// users see besides, and everything, private images included, for the project's own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccessClass {
    Public,
    Premium,
    Business,
    Project,
}

impl AccessClass {
    /// The least class whose order holds an image of this visibility and tier; every class above it sees it too.
    pub fn least(visibility: Visibility, access_tier: Tier) -> Self {
        match visibility {
            Visibility::Public => access_tier.into(),
            Visibility::Private => AccessClass::Project,
        }
    }

    /// Whether an image of this visibility and tier belongs to the class's order.
    pub fn sees(self, visibility: Visibility, access_tier: Tier) -> bool {
        AccessClass::least(visibility, access_tier) <= self
    }
}

impl From<Tier> for AccessClass {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Free => AccessClass::Public,
            Tier::Premium => AccessClass::Premium,
            Tier::Business => AccessClass::Business,
        }
    }
}
