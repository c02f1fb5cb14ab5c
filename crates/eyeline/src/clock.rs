//! The product's clock and the ids it makes. The only place that asks the system for the time of the product's rules.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eyeline_core::Timestamp;
use uuid::{ContextV7, Uuid};

/// Cheap to clone; clones share the offset.
#[derive(Clone, Default)]
pub struct Clock {
    /// Microseconds added to real time; other than zero only with the test clock.
    offset: Arc<AtomicI64>,
    ids: Arc<std::sync::Mutex<ContextV7>>,
}

impl Clock {
    /// The time of the product's rules: stamps, ages, windows, cursors.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.real_now().micros().saturating_add(self.offset.load(Ordering::Relaxed)))
    }

    /// Real time, for what no test may move: link signatures, time-outs, rate limits.
    #[expect(clippy::disallowed_methods, reason = "this is the place that the others are told to ask")]
    pub fn real_now(&self) -> Timestamp {
        let since: Duration = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(0).plus(since)
    }

    /// Makes [`Clock::now`] tell `now` from here on; time runs on from there.
    pub fn set(&self, now: Timestamp) {
        self.set_offset(now.micros() - self.real_now().micros());
    }

    /// Microseconds that the product's time is ahead of real time.
    pub fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    pub fn set_offset(&self, micros: i64) {
        self.offset.store(micros, Ordering::Relaxed);
    }

    /// A new UUIDv7 of the time [`Clock::now`]; ids of one process rise.
    pub fn new_id<I: From<Uuid>>(&self) -> I {
        let micros = self.now().micros().max(0).unsigned_abs();
        let nanos = u32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0);
        let ids = self.ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Uuid::new_v7(uuid::Timestamp::from_unix(&*ids, micros / 1_000_000, nanos)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_within_a_process() {
        let clock = Clock::default();
        let ids: Vec<Uuid> = (0..10_000).map(|_| clock.new_id()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_set_clock_runs_on_from_there_and_may_go_back() {
        let clock = Clock::default();
        let then = Timestamp::parse("2030-01-01T00:00:00Z").expect("a time");
        clock.set(then);
        assert!(clock.now() >= then && clock.now().since(then) < Duration::from_secs(5));
        let before = Timestamp::parse("2020-01-01T00:00:00Z").expect("a time");
        clock.set(before);
        assert!(clock.now() < then);
    }
}
