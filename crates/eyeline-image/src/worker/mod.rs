//! Decoding in a process of its own, where a hostile file can do no more than spoil its own picture.
//!
//! A server spawns a few [`WorkerProcess`]es and keeps them; each makes the versions of one file at a time. A worker
//! has a line to its server and memory that both share, no network, no files, no environment and no way to start anything;
//! its memory is bounded, and it is killed when a file takes too long. What a file can break is that one worker, which the server replaces.

mod child;
mod memory;
mod parent;
pub(crate) mod protocol;
mod sandbox;

use serde::{Deserialize, Serialize};

pub use child::run;
pub use parent::{WorkerFailure, WorkerProcess};
pub use sandbox::{SHARED_BYTES_MAX, confine, mapped_bytes};

/// The confinement of a worker by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// No file can be opened and no connection made (Landlock).
    pub landlock: Enforcement,
    /// Every system call but the few that decoding needs is refused (seccomp).
    pub seccomp: Enforcement,
}

impl Confinement {
    /// Whether nothing is missing.
    pub fn is_full(&self) -> bool {
        self.landlock == Enforcement::Full && self.seccomp == Enforcement::Full
    }
}

/// The enforced part of a restriction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// All that was asked for.
    Full,
    /// As far as this kernel's version supports it.
    Partial,
    /// Nothing: the kernel lacks it or has it switched off.
    None,
}
