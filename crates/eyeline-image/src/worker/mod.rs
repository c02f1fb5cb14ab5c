//! Decoding in a process of its own, where a hostile file can do no more than spoil its own picture.
//!
//! A server spawns a few [`WorkerProcess`]es and keeps them; each makes the versions of one file at a time. A worker
//! has a line to its server and memory that both share, no network, no files, no environment and no way to start anything;
//! its memory is bounded, and it is killed when a file takes too long. What a file can break is that one worker, which the server replaces.

mod child;
mod memory;
mod parent;
pub(crate) mod protocol;

use eyeline_sandbox::Bounds;

use crate::Limits;

pub use child::run;
pub use parent::{WorkerFailure, WorkerProcess};

/// The worker's name in the log.
const WORKER: &str = "image";

/// More than all versions of one file take together, whatever is in it.
const SHARED_BYTES_MAX: u64 = 128 << 20;

/// The bounds of a worker.
pub fn bounds() -> Bounds {
    Bounds { memory_bytes: Limits::default().max_memory_bytes, shared_bytes: SHARED_BYTES_MAX, threads: false }
}
