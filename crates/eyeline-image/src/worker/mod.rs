//! Decodes in a separate process, so that a hostile file can spoil only its own picture.
//!
//! A server spawns a few [`WorkerProcess`]es and keeps them. Each makes the versions of one file at a time. A worker
//! has a connection to its server and memory that both share. It has no network, files or environment, and cannot start
//! a process. Its memory is bounded, and it is killed if a file takes too long. A file can break only that one worker,
//! which the server replaces.

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

/// More than all versions of any file take together.
const SHARED_BYTES_MAX: u64 = 128 << 20;

/// The bounds of a worker.
pub fn bounds() -> Bounds {
    Bounds { memory_bytes: Limits::default().max_memory_bytes, shared_bytes: SHARED_BYTES_MAX, threads: false }
}
