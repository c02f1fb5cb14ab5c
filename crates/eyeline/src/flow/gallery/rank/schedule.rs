//! Decides when a gallery's orders are published again: soon after a change, but no more often than its cost allows.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use eyeline_store::pubsub::Hint;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use tokio::task::unconstrained;

use super::ranked::lock;
use crate::flow::hints::COUNTS;

/// Ranking a gallery may take one part in this many of a core.
const COST_SHARE: u32 = 100;
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(30);
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// A new image is in the order within 1 second, whatever the cost.
const URGENT_INTERVAL_MAX: Duration = Duration::from_millis(700);

/// The changes of a gallery since it was read and since it was published, and the next time to publish.
pub(super) struct Schedule {
    hints: Mutex<BoxStream<'static, Hint>>,
    /// Something that a page shows may have changed since the state was read.
    stale: AtomicBool,
    /// Anything may have changed since the last publication.
    dirty: AtomicBool,
    /// Something else than counters may be among it.
    urgent: AtomicBool,
    due: Mutex<Due>,
}

struct Due {
    at: Instant,
    /// Replaces `at` if something else than counters changed.
    urgent_at: Instant,
}

impl Schedule {
    /// For a gallery that was never read. `hints` must already be subscribed.
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

    /// Takes in the hints since the last call, which include every hint published before it.
    pub fn hear(&self) {
        let mut hints = lock(&self.hints);
        // Without `unconstrained`, a request's task would hear about 128 hints and think that there were no more.
        while let Some(Some(hint)) = unconstrained(hints.next()).now_or_never() {
            match hint {
                Hint::Message(message) if message == COUNTS => self.mark_counted(),
                Hint::Message(_) | Hint::Lagged => self.mark_changed(),
            }
        }
    }

    /// Notes that anything may have changed.
    pub fn mark_changed(&self) {
        self.stale.store(true, Ordering::Release);
        self.urgent.store(true, Ordering::Release);
        self.mark_counted();
    }

    /// Notes that counters may have risen, which is not urgent.
    pub fn mark_counted(&self) {
        self.dirty.store(true, Ordering::Release);
    }

    /// True if the state must be read before a page is made from it.
    pub fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }

    /// True if something else than counters may have changed since the last publication.
    pub fn is_urgent(&self) -> bool {
        self.dirty.load(Ordering::Acquire) && self.urgent.load(Ordering::Acquire)
    }

    /// Begins a reading of the state.
    pub fn read(&self) -> Lowered<'_> {
        Lowered::lower(&self.stale)
    }

    /// True if it is time to publish.
    pub fn is_due(&self) -> bool {
        if !self.dirty.load(Ordering::Acquire) {
            return false;
        }
        let due = lock(&self.due);
        Instant::now() >= if self.urgent.load(Ordering::Acquire) { due.urgent_at } else { due.at }
    }

    /// Begins a publication. Sets the next time immediately, so that an unavailable catalog is not asked without a
    /// pause.
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
    /// Ends a successful publication. The longer it took, the later the next one.
    pub fn done(self) {
        self.dirty.keep();
        self.urgent.keep();
        self.schedule.set_due((self.started.elapsed() * COST_SHARE).clamp(INTERVAL_MIN, INTERVAL_MAX));
    }
}

/// A lowered flag. On drop it is raised again if it was raised before, unless the work succeeded.
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
    use bytes::Bytes;

    use super::*;

    #[tokio::test]
    async fn every_hint_before_a_call_is_heard_however_many_there_are() {
        let (sender, receiver) = tokio::sync::broadcast::channel(1_024);
        let hints = tokio_stream::wrappers::BroadcastStream::new(receiver);
        let schedule = Schedule::new(hints.map(|hint| hint.map_or(Hint::Lagged, Hint::Message)).boxed());
        schedule.read().keep();
        for _ in 0..1_000 {
            sender.send(COUNTS).expect("a listener");
        }
        sender.send(Bytes::from_static(b"anything else")).expect("a listener");
        schedule.hear();
        assert!(schedule.is_stale());
    }

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
