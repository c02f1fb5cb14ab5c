//! Queries in a process of their own, which is killed when it takes too long or too much.
//!
//! A [`SqlWorker`] answers one query and ends. It is confined as an image worker is: no network, no files, no credentials. It
//! asks its server for columns of the events that a part of the query wants. The server adds the project and what the
//! question is limited to, and answers with Arrow IPC through the memory that they share.

mod child;
mod message;
mod parent;
mod rows;

use eyeline_sandbox::Bounds;

pub use child::run;
pub use parent::SqlWorker;

/// The worker's name in the log.
const WORKER: &str = "SQL";
/// Addresses of a worker beside those of its program: what a query may take, whatever it does.
const MEMORY_BYTES_MAX: u64 = 768 << 20;
/// More than an answer takes.
const SHARED_BYTES_MAX: u64 = 64 << 20;

/// The bounds of a worker.
pub fn bounds() -> Bounds {
    Bounds { memory_bytes: MEMORY_BYTES_MAX, shared_bytes: SHARED_BYTES_MAX, threads: true }
}
