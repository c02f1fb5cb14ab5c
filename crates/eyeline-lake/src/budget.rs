//! What one question may use: time, memory, and the patience of whoever asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Cheap to clone; clones speak of the same question.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Bytes that the answer and what is kept on the way to it may take.
    pub bytes_max: usize,
    deadline: Instant,
    cancelled: Arc<AtomicBool>,
}

impl Budget {
    pub fn new(bytes_max: usize, time_max: Duration) -> Self {
        Budget { bytes_max, deadline: Instant::now() + time_max, cancelled: Arc::default() }
    }

    /// Ends the question at its next batch.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// True once nobody waits for the answer.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The time that is left.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Called once a batch.
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
