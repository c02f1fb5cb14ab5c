//! The budget of one query: time, memory, and cancellation.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Memory is taken from the server in multiples of this many bytes.
const STEP_BYTES: usize = 1024 * 1024;

/// The memory that a query takes from a server, which has one bound for all queries.
pub trait Memory: Send {
    /// Takes or gives back memory until the query has `bytes`. Returns false, and changes nothing, if they are not free.
    fn set(&mut self, bytes: usize) -> bool;
}

/// Cheap to clone; clones share the budget.
#[derive(Clone, Debug)]
pub struct Budget {
    /// The most bytes of the answer and its intermediate state.
    pub bytes_max: usize,
    deadline: Instant,
    cancelled: Arc<AtomicBool>,
    used: Arc<Mutex<Used>>,
}

#[derive(Default)]
struct Used {
    /// Bytes of the answer and its intermediate state.
    state: usize,
    /// Bytes of what is being read.
    held: usize,
    /// Bytes taken from `memory`.
    taken: usize,
    memory: Option<Box<dyn Memory>>,
}

impl fmt::Debug for Used {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} + {} bytes", self.state, self.held)
    }
}

/// Memory of a query, given back when this is dropped.
#[derive(Debug)]
pub struct Held {
    bytes: usize,
    used: Arc<Mutex<Used>>,
}

impl Budget {
    pub fn new(bytes_max: usize, time_max: Duration) -> Self {
        let (cancelled, used) = (Arc::default(), Arc::default());
        Budget { bytes_max, deadline: Instant::now() + time_max, cancelled, used }
    }

    /// A budget whose state, and what is being read, is taken from `memory` as well.
    pub fn within(memory: Box<dyn Memory>, bytes_max: usize, time_max: Duration) -> Self {
        let budget = Budget::new(bytes_max, time_max);
        lock(&budget.used).memory = Some(memory);
        budget
    }

    /// Ends the query at its next batch.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// True if the query was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The time left until the deadline.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Call it once for each batch. Fails if the query was cancelled or its time is over.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if Instant::now() > self.deadline {
            return Err(too_long());
        }
        Ok(())
    }

    /// States the bytes of the answer and its intermediate state. Fails if they exceed the bound, or are not free.
    pub(crate) fn check_bytes(&self, bytes: usize) -> Result<()> {
        if bytes > self.bytes_max {
            return Err(Error::TooMuch(
                "The answer needs more memory than a question may use: ask about a shorter time, or fewer events."
                    .to_owned(),
            ));
        }
        let mut used = lock(&self.used);
        let before = std::mem::replace(&mut used.state, bytes);
        used.take().inspect_err(|_| used.state = before)
    }

    /// Takes memory for what is being read. Fails if it is not free.
    pub fn hold(&self, bytes: usize) -> Result<Held> {
        let mut used = lock(&self.used);
        used.held += bytes;
        used.take().inspect_err(|_| used.held -= bytes)?;
        Ok(Held { bytes, used: self.used.clone() })
    }
}

impl Used {
    fn take(&mut self) -> Result<()> {
        let Some(memory) = &mut self.memory else { return Ok(()) };
        let wanted = (self.state + self.held).next_multiple_of(STEP_BYTES);
        if wanted != self.taken {
            if !memory.set(wanted) {
                return Err(Error::Busy(
                    "Other questions use the memory for questions: ask again, or about a shorter time or fewer events."
                        .to_owned(),
                ));
            }
            self.taken = wanted;
        }
        Ok(())
    }
}

impl Held {
    /// Takes more memory, or gives some back, until it is `bytes`. Fails if they are not free.
    pub fn set(&mut self, bytes: usize) -> Result<()> {
        let mut used = lock(&self.used);
        let others = used.held - self.bytes;
        used.held = others + bytes;
        used.take().inspect_err(|_| used.held = others + self.bytes)?;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut used = lock(&self.used);
        used.held -= self.bytes;
        // Less memory is always free.
        let _ = used.take();
    }
}

fn lock(used: &Mutex<Used>) -> MutexGuard<'_, Used> {
    used.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn too_long() -> Error {
    Error::TooMuch("The question takes too long: ask about a shorter time, or fewer events.".to_owned())
}

pub(crate) fn too_large() -> Error {
    Error::TooMuch(
        "The query needs more memory than a question may use: ask about a shorter time or fewer events, or join fewer rows."
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pool(Arc<Mutex<usize>>, usize);

    impl Memory for Pool {
        fn set(&mut self, bytes: usize) -> bool {
            let fits = bytes <= self.1;
            if fits {
                *self.0.lock().expect("the pool") = bytes;
            }
            fits
        }
    }

    #[test]
    fn all_memory_of_a_query_is_taken_from_the_server_and_given_back() {
        let taken = Arc::new(Mutex::new(0));
        let mib = || *taken.lock().expect("the pool") >> 20;
        let pool = Pool(taken.clone(), 10 << 20);
        let budget = Budget::within(Box::new(pool), 8 << 20, Duration::from_secs(60));
        budget.check_bytes(1).expect("room");
        assert_eq!(mib(), 1);
        let mut reading = budget.hold(4 << 20).expect("room");
        assert_eq!(mib(), 5);
        budget.check_bytes(5 << 20).expect("room");
        assert!(matches!(budget.hold(2 << 20), Err(Error::Busy(_))));
        assert!(matches!(reading.set(6 << 20), Err(Error::Busy(_))));
        assert!(matches!(budget.check_bytes(7 << 20), Err(Error::Busy(_))));
        assert!(matches!(budget.check_bytes(9 << 20), Err(Error::TooMuch(_))));
        assert_eq!(mib(), 9, "a refusal takes nothing");
        reading.set(5 << 20).expect("room");
        drop(reading);
        assert_eq!(mib(), 5);
        budget.check_bytes(0).expect("less");
        assert_eq!(mib(), 0);
    }
}
