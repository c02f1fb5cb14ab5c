//! When a gallery's orders are made anew: as soon as it may matter, and no more often than its cost allows.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use eyeline_store::pubsub::Hint;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};

use super::ranked::lock;
use crate::flow::hints::COUNTS;

/// The part of a core that ranking a gallery may take is one in this many.
const COST_SHARE: u32 = 100;
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(30);
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// A new image is in the order within a second, whatever that costs.
const URGENT_INTERVAL_MAX: Duration = Duration::from_millis(700);

/// What was heard of a gallery since it was read and since it was published, and when it may be published again.
pub(super) struct Schedule {
    hints: Mutex<BoxStream<'static, Hint>>,
    /// Something that a page shows may have changed since the state was read.
    stale: AtomicBool,
    /// Anything may have changed since the last publication.
    dirty: AtomicBool,
    /// Among it may be something else than counters.
    urgent: AtomicBool,
    due: Mutex<Due>,
}

struct Due {
    at: Instant,
    /// In place of it, if something else than counters changed.
    urgent_at: Instant,
}

impl Schedule {
    /// Of a gallery of which nothing is known. `hints` has to be listening already.
    pub fn new(hints: BoxStream<'static, Hint>) -> Self {
        let now = Instant::now();
        Schedule {
            hints: Mutex::new(hints),
            stale: AtomicBool::new(true),
            dirty: AtomicBool::new(true),
            urgent: AtomicBool::new(true),
            due: Mutex::new(Due { at: now, urgent_at: now }),
        }
    }

    /// Takes in the hints heard since the last call. A hint that was published before is always among them.
    pub fn hear(&self) {
        let mut hints = lock(&self.hints);
        while let Some(Some(hint)) = hints.next().now_or_never() {
            match hint {
                Hint::Message(message) if message == COUNTS => self.mark_counted(),
                Hint::Message(_) | Hint::Lagged => self.mark_changed(),
            }
        }
    }

    /// Anything may have changed, as far as is known.
    pub fn mark_changed(&self) {
        self.stale.store(true, Ordering::Release);
        self.urgent.store(true, Ordering::Release);
        self.mark_counted();
    }

    /// Counters may have risen, which is in no hurry.
    pub fn mark_counted(&self) {
        self.dirty.store(true, Ordering::Release);
    }

    /// Whether the state has to be read before a page is made from it.
    pub fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }

    /// The state is about to be read.
    pub fn read(&self) -> Lowered<'_> {
        Lowered::lower(&self.stale)
    }

    /// Whether it is time to publish.
    pub fn is_due(&self) -> bool {
        if !self.dirty.load(Ordering::Acquire) {
            return false;
        }
        let due = lock(&self.due);
        Instant::now() >= if self.urgent.load(Ordering::Acquire) { due.urgent_at } else { due.at }
    }

    /// The orders are about to be published. The next time is set at once, so that a catalog that is away is not asked
    /// without a pause.
    pub fn publish(&self) -> Publishing<'_> {
        self.set_due(AFTER_FAILURE);
        let (dirty, urgent) = (Lowered::lower(&self.dirty), Lowered::lower(&self.urgent));
        Publishing { schedule: self, dirty, urgent, started: Instant::now() }
    }

    fn set_due(&self, interval: Duration) {
        let now = Instant::now();
        *lock(&self.due) = Due { at: now + interval, urgent_at: now + interval.min(URGENT_INTERVAL_MAX) };
    }
}

/// A publication under way.
pub(super) struct Publishing<'a> {
    schedule: &'a Schedule,
    dirty: Lowered<'a>,
    urgent: Lowered<'a>,
    started: Instant,
}

impl Publishing<'_> {
    /// It came to its end: the longer it took, the later the next one.
    pub fn done(self) {
        self.dirty.keep();
        self.urgent.keep();
        self.schedule.set_due((self.started.elapsed() * COST_SHARE).clamp(INTERVAL_MIN, INTERVAL_MAX));
    }
}

/// A lowered flag. It is raised again if it was raised before and the work that it stood for fails or is dropped
/// half-way.
pub(super) struct Lowered<'a> {
    flag: &'a AtomicBool,
    raise_again: bool,
}

impl<'a> Lowered<'a> {
    fn lower(flag: &'a AtomicBool) -> Self {
        Lowered { flag, raise_again: flag.swap(false, Ordering::AcqRel) }
    }

    pub fn keep(mut self) {
        self.raise_again = false;
    }
}

impl Drop for Lowered<'_> {
    fn drop(&mut self) {
        if self.raise_again {
            self.flag.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_fails_leaves_what_pages_are_made_from_as_it_was() {
        let schedule = Schedule::new(futures::stream::pending().boxed());
        drop(schedule.read());
        assert!(schedule.is_stale(), "nothing was read yet");
        schedule.read().keep();
        schedule.mark_counted();
        drop((schedule.publish(), schedule.read()));
        assert!(!schedule.is_stale(), "pages go on from what was read before");
        assert!(schedule.dirty.load(Ordering::Acquire), "the publication is still to be done");
        schedule.mark_changed();
        drop(schedule.read());
        assert!(schedule.is_stale());
    }
}
