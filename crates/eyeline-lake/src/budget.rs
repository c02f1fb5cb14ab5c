//! The budget of one query: time, memory, and cancellation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Cheap to clone; clones share the budget.
#[derive(Clone, Debug)]
pub struct Budget {
    /// The most bytes of the answer and its intermediate state.
    pub bytes_max: usize,
    deadline: Instant,
    cancelled: Arc<AtomicBool>,
}

impl Budget {
    pub fn new(bytes_max: usize, time_max: Duration) -> Self {
        Budget { bytes_max, deadline: Instant::now() + time_max, cancelled: Arc::default() }
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

    pub(crate) fn check_bytes(&self, bytes: usize) -> Result<()> {
        if bytes <= self.bytes_max {
            return Ok(());
        }
        Err(Error::TooMuch(
            "The answer needs more memory than a question may use: ask about a shorter time, or fewer events."
                .to_owned(),
        ))
    }
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
