//! The messages between a server and its SQL worker. The server checks everything that a worker sends.

use eyeline_sandbox::Confinement;
use serde::{Deserialize, Serialize};

use crate::sql::ScanRequest;

/// A worker's first message, once it is confined and ready.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub confinement: Confinement,
}

/// The only request to the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Question {
    pub query: String,
    pub rows_max: usize,
    /// Microseconds since 1970.
    pub now: i64,
    pub bytes_max: usize,
    pub millis: u64,
}

/// The answer to [`Said::Next`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Batch {
    /// The rows of the next batch; `None` at the end of the scan.
    pub rows: Option<usize>,
    /// The bytes of the batch in the shared memory: the next piece of the scan's Arrow stream.
    pub bytes: usize,
}

/// A message of the worker while it computes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Said {
    /// Opens a scan. There is no answer.
    Open { scan: u32, request: ScanRequest },
    /// Requests the next batch of a scan.
    Next { scan: u32 },
    /// Closes a scan. There is no answer.
    Close { scan: u32 },
    /// The Arrow stream of the answer is in the shared memory.
    Answer { bytes: usize, truncated: bool },
    /// The query is wrong.
    Wrong { sentence: String },
    /// The query exceeds a bound.
    TooMuch { sentence: String },
}
