//! Errors of all engines, in terms that do not depend on the engine.

use std::time::Duration;

use eyeline_core::FieldErrors;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The thing does not exist, or not within the caller's project. Callers cannot distinguish the two.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The present state forbids it.
    #[error("{0}")]
    Conflict(String),
    /// A limit on amounts forbids it.
    #[error("{0}")]
    QuotaExceeded(String),
    /// Another rule forbids it.
    #[error("{0}")]
    Refused(String),
    /// The input is well-formed but invalid. Holds the errors by field.
    #[error("invalid input")]
    Invalid(FieldErrors),
    /// The engine is unreachable, full or too busy. The same call may succeed after `retry_after`.
    #[error("{reason}")]
    Unavailable { reason: String, retry_after: Duration },
    /// The process that has to act first has not done so in time. The same call may succeed after a second.
    #[error("{0}")]
    Pending(&'static str),
    /// The lease is lost, and another process may do the job. The holder must discard its result.
    #[error("the lease on job {0} is lost")]
    LeaseLost(eyeline_core::JobId),
    /// Another process was faster. Rolls the transaction back; its use case answers with an outcome of its own.
    #[error("another process has changed it meanwhile")]
    Moved,
    /// Stored data does not read back as it was written.
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

    /// True if the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable { .. } | Error::Pending(_))
    }
}
