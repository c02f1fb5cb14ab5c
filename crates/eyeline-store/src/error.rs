//! What can go wrong in any engine, in words that name no engine.

use std::time::Duration;

use eyeline_core::FieldErrors;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The thing is not there, or not within the caller's project: callers cannot tell which.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The state of things forbids it now.
    #[error("{0}")]
    Conflict(String),
    /// A rule about amounts forbids it.
    #[error("{0}")]
    QuotaExceeded(String),
    /// Any other rule forbids it.
    #[error("{0}")]
    Refused(String),
    /// The input is well-formed but wrong, by field.
    #[error("invalid input")]
    Invalid(FieldErrors),
    /// The engine is away, full or too busy; the same call may succeed later.
    #[error("{reason}")]
    Unavailable { reason: String, retry_after: Duration },
    /// The lease is no longer held: somebody else may be doing the job. The holder has to drop what it did.
    #[error("the lease on job {0} is lost")]
    LeaseLost(eyeline_core::JobId),
    /// What is stored does not read back as what was written.
    #[error("corrupt: {0}")]
    Corrupt(String),
    #[error("{context}: {source}")]
    Internal { context: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
}

impl Error {
    pub fn internal(context: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Error::Internal { context, source: source.into() }
    }

    pub fn unavailable(reason: impl Into<String>) -> Self {
        Error::Unavailable { reason: reason.into(), retry_after: Duration::from_secs(1) }
    }

    /// True when the same call may succeed later without any change to it.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable { .. })
    }
}
