//! The product's clock and its ids. No other code asks the system for the time of the product's rules.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eyeline_core::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use uuid::{Builder, ClockSequence as _, ContextV7, Uuid};

use crate::secrets::random;

/// If real time is this far ahead of the time elapsed since the start, the clock was set forward.
const JUMP_MIN: Duration = Duration::from_secs(24 * 60 * 60);

/// Cheap to clone; clones share the offset.
#[derive(Clone)]
pub struct Clock {
    /// Microseconds added to real time; other than zero only with the test clock.
    offset: Arc<AtomicI64>,
    ids: Arc<Mutex<Ids>>,
    began: Began,
}

/// The moment when the clock was made: real time, and the time since boot, which nobody can set.
#[derive(Clone, Copy)]
struct Began {
    real: Timestamp,
    running: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        Clock::begun_at(real_now())
    }
}

#[derive(Default)]
struct Ids {
    /// A 42-bit counter that rises within a millisecond.
    counter: ContextV7,
    /// Random bits, drawn by the hundred: one system call for each id would cost more than the rest of it.
    random: Vec<u32>,
}

impl Clock {
    /// A clock that is made when real time is `real`: from then on, more than what passes is a jump.
    pub fn begun_at(real: Timestamp) -> Self {
        let began = Began { real, running: running() };
        Clock { offset: Arc::default(), ids: Arc::default(), began }
    }

    /// The time of the product's rules, for stamps, ages, windows and cursors.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.real_now().micros().saturating_add(self.offset.load(Ordering::Relaxed)))
    }

    /// Real time, which the test clock cannot move: for link signatures, time-outs and rate limits.
    pub fn real_now(&self) -> Timestamp {
        real_now()
    }

    /// The time since the clock was made, including sleep of the machine.
    pub fn age(&self) -> Duration {
        running().saturating_sub(self.began.running)
    }

    /// The time by which real time was set forward since the clock was made, if by more than a day. Nothing may expire
    /// by such a clock.
    pub fn jump(&self) -> Option<Duration> {
        jump(self.began.real.plus(self.age()), self.real_now())
    }

    /// The time before which everything is older than `age` and may be deleted. `None` while the clock may be wrong.
    pub fn older_than(&self, age: Duration) -> Option<Timestamp> {
        self.jump().is_none().then(|| self.now().minus(age))
    }

    /// Sets [`Clock::now`] to `now`; time runs on from there.
    pub fn set(&self, now: Timestamp) {
        self.set_offset(now.micros() - self.real_now().micros());
    }

    /// Microseconds by which the product's time is ahead of real time.
    pub fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    pub fn set_offset(&self, micros: i64) {
        self.offset.store(micros, Ordering::Relaxed);
    }

    /// A new UUIDv7 of [`Clock::now`]. The ids of one process rise. After the milliseconds come a 42-bit counter with a
    /// random start and 32 random bits (RFC 9562, 6.2, methods 1 and 2).
    pub fn new_id<I: From<Uuid>>(&self) -> I {
        let micros = self.now().micros().max(0).unsigned_abs();
        let nanos = u32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0);
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let (counter, seconds, nanos) = ids.counter.generate_timestamp_sequence(micros / 1_000_000, nanos);
        let bits = u128::from(counter) << 32 | u128::from(ids.next_random());
        // The version follows the first 12 of the 74 bits; the variant precedes the last 62.
        let mut tail = [0; 10];
        tail[..2].copy_from_slice(&((bits >> 62) as u16).to_be_bytes());
        tail[2..].copy_from_slice(&(bits as u64).to_be_bytes());
        let millis = seconds * 1_000 + u64::from(nanos) / 1_000_000;
        Builder::from_unix_timestamp_millis(millis, &tail).into_uuid().into()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the place that the others are told to ask")]
fn real_now() -> Timestamp {
    let since: Duration = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(0).plus(since)
}

fn running() -> Duration {
    let running = clock_gettime(ClockId::Boottime);
    Duration::new(running.tv_sec.unsigned_abs(), u32::try_from(running.tv_nsec).unwrap_or(0))
}

fn jump(expected: Timestamp, real: Timestamp) -> Option<Duration> {
    (real > expected.plus(JUMP_MIN)).then(|| real.since(expected))
}

impl Ids {
    fn next_random(&mut self) -> u32 {
        if self.random.is_empty() {
            let bytes = random::<1024>();
            self.random.extend(bytes.as_chunks().0.iter().map(|chunk| u32::from_ne_bytes(*chunk)));
        }
        self.random.pop().unwrap_or_default()
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
        assert!(ids.iter().all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122));
        let now = clock.now().micros().unsigned_abs() / 1_000;
        let millis = (ids[0].as_u128() >> 80) as u64;
        assert!(millis <= now && now - millis < 60_000, "{millis} at {now}");
    }

    #[test]
    fn a_clock_that_was_set_forward_by_more_than_a_day_is_noticed() {
        let clock = Clock::default();
        assert_eq!(clock.jump(), None);
        let (expected, hour) = (clock.real_now(), Duration::from_secs(60 * 60));
        assert_eq!(jump(expected, expected.plus(hour)), None);
        assert_eq!(jump(expected, expected.plus(30 * hour)), Some(30 * hour));
        assert_eq!(jump(expected, expected.minus(1_000 * hour)), None, "what went back takes nothing away");
        // The test clock does not change real time.
        clock.set(expected.plus(1_000 * hour));
        assert_eq!(clock.jump(), None);
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
