//! Queries of analysts. Each is one walk over its events.

pub(crate) mod buckets;
pub(crate) mod counts;
pub(crate) mod features;
pub(crate) mod funnel;
pub(crate) mod galleries;
pub(crate) mod interval;
pub(crate) mod paths;
pub(crate) mod retention;
mod sessions;
mod types;
mod visits;

use std::time::Duration;

use serde::Serialize;

/// A visit ends after a longer silence.
pub const SILENCE: Duration = Duration::from_secs(30 * 60);

/// The type of an event. Analysts see it as a feature of the application.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct EventType {
    pub category: String,
    pub name: String,
}
