//! Access: visibility, tiers and the access classes that follow from both.

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

/// `public`: everybody whose tier suffices sees it. `private`: only keys see it, and the user who uploaded it.
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

/// The audience of a published order; one order exists per class in use. Everybody sees public and free images, premium
/// and business users see more, and the project's own keys see everything, private images included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccessClass {
    Public,
    Premium,
    Business,
    Project,
}

impl AccessClass {
    /// In the order of their numbers in order records. A new one goes to the end.
    pub const ALL: [AccessClass; 4] =
        [AccessClass::Public, AccessClass::Premium, AccessClass::Business, AccessClass::Project];

    pub const fn as_str(self) -> &'static str {
        match self {
            AccessClass::Public => "public",
            AccessClass::Premium => "premium",
            AccessClass::Business => "business",
            AccessClass::Project => "project",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        AccessClass::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// The lowest class whose order contains an image of this visibility and tier. Every higher class sees it too.
    pub fn least(visibility: Visibility, access_tier: Tier) -> Self {
        match visibility {
            Visibility::Public => access_tier.into(),
            Visibility::Private => AccessClass::Project,
        }
    }

    /// True if the order of this class contains an image of this visibility and tier.
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
