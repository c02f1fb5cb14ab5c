//! The messages of a server and its SQL worker. The server believes nothing that a worker says without checking it.

use eyeline_sandbox::Confinement;
use serde::{Deserialize, Serialize};

use crate::sql::ScanRequest;

/// A worker's first message, once it is confined and ready.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub confinement: Confinement,
}

/// What the worker is asked, once.
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
    /// Of the next batch; `None` at the end of the walk.
    pub rows: Option<usize>,
    /// The batch as the next piece of the walk's Arrow stream, which is in the shared memory.
    pub bytes: usize,
}

/// What a worker says while it answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Said {
    /// Begins a walk. There is no answer.
    Open { scan: u32, request: ScanRequest },
    /// Asks for the next batch of a walk.
    Next { scan: u32 },
    /// Ends a walk. There is no answer.
    Close { scan: u32 },
    /// The Arrow stream of the answer is in the shared memory.
    Answer { bytes: usize, truncated: bool },
    /// What is wrong with the query.
    Wrong { sentence: String },
    /// What the query takes too much of.
    TooMuch { sentence: String },
}
