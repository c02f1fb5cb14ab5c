//! Worker processes. Hostile input can at most break the process that reads it.
//!
//! A server starts a [`Process`] of its own program. The process [confines](confine) itself before it reads any input,
//! and then answers messages over its connection. It has no network, files or environment, and cannot start a program.
//! Its memory and CPU time are bounded. The server kills it if it takes too long.

mod confine;
mod log;
mod memory;
mod message;
mod process;
mod worker;

use serde::{Deserialize, Serialize};

pub use confine::{Bounds, allow_cpu_time, confine, landlock_of_this_machine, mapped_bytes};
pub use log::{open_log, say};
pub use memory::{Pass, SharedMemory};
pub use message::{MESSAGE_BYTES_MAX, read, read_bytes, write};
pub use process::{Process, Timed, until};
pub use worker::{lower_priority, wait_for_hang_up, yield_cores};

/// The kernel's enforcement of a worker's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// No file can be opened and no connection made (Landlock).
    pub landlock: Enforcement,
    /// Every system call is refused except the few that the worker needs (seccomp).
    pub seccomp: Enforcement,
}

impl Confinement {
    /// The confinement of a worker before it has confined itself.
    pub const NONE: Confinement = Confinement { landlock: Enforcement::None, seccomp: Enforcement::None };

    /// True if nothing is missing.
    pub fn is_full(&self) -> bool {
        self.landlock == Enforcement::Full && self.seccomp == Enforcement::Full
    }
}

/// The degree to which the kernel enforces a restriction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// The whole restriction.
    Full,
    /// The part that this kernel's version supports.
    Partial,
    /// Nothing: the kernel lacks the feature or has disabled it.
    None,
}
