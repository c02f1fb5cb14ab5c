//! Simulated visitors of a gallery: a world of images with a true appeal, and a crowd that scrolls, looks and clicks.
//!
//! The same crowd visits the ranking in memory ([`play`]), and a server over HTTP (`bench_ranking` of `eyeline-e2e`).
//! The result of an order is its part of the clicks of an oracle that knows every image's true appeal. Visitors are
//! simulated, not real.

mod crowd;
mod in_memory;
mod world;

use std::time::Duration;

pub use eyeline_core::{GalleryId, Ranking, Strategy, Timestamp};

pub use crowd::{Actor, Bot, CLICKS_OF_BOT, Crowd, Look, Visit};
pub use in_memory::play;
pub use world::{Appeals, Curve, SCENARIOS, Scenario};

/// Time that passes from one session to the next: 20,000 sessions are 14 days.
const SESSION: Duration = Duration::from_millis(60_480);
/// The time of the first session.
const BEGIN: Timestamp = Timestamp::from_micros(1_893_456_000_000_000);

/// The time of a session; before the first one for a negative number.
pub fn at(session: f64) -> Timestamp {
    Timestamp::from_micros(BEGIN.micros() + (session * SESSION.as_micros() as f64) as i64)
}

/// The result of a gallery with its visitors.
#[derive(Debug, serde::Serialize)]
pub struct Report {
    pub scenario: &'static str,
    pub seed: u64,
    pub sessions: usize,
    pub images: usize,
    pub clicks_per_session: f64,
    pub oracle_clicks_per_session: f64,
    /// Expected clicks as a part of the clicks of an oracle that knows every image's true appeal.
    pub fraction: f64,
    /// The same of each tenth of the sessions.
    pub fractions: Vec<f64>,
    /// The share of images that any visitor saw.
    pub seen: f64,
    pub events: u64,
}
