//! Runs queries in a separate process, which is killed if it takes too much time or memory.
//!
//! A [`SqlWorker`] answers one query and ends. It is confined like an image worker: no network, no files, no
//! credentials. It asks its server for the columns and events that a part of the query needs. The server adds the
//! project and the query's limits, and answers with Arrow IPC through the shared memory.

mod child;
mod message;
mod parent;
mod rows;

use eyeline_sandbox::Bounds;

pub use child::run;
pub use parent::SqlWorker;

/// The worker's name in the log.
const WORKER: &str = "SQL";
/// Bytes of a worker's address space in addition to its program: the most memory of any query.
const MEMORY_BYTES_MAX: u64 = 768 << 20;
/// More bytes than any answer takes.
const SHARED_BYTES_MAX: u64 = 64 << 20;

/// The bounds of a worker.
pub fn bounds() -> Bounds {
    Bounds { memory_bytes: MEMORY_BYTES_MAX, shared_bytes: SHARED_BYTES_MAX, threads: true }
}
