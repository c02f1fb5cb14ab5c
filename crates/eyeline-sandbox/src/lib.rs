//! Worker processes. Hostile input can at most break the process that reads it.
//!
//! A server starts a [`Process`] of its own program. The process [confines](confine) itself before it reads any input, and
//! then answers messages over its line. It has no network, no files, no environment and no way to start a program. Its memory
//! and CPU time are bounded. The server kills it when it takes too long.

mod confine;
mod log;
mod memory;
mod message;
mod process;
mod worker;

use serde::{Deserialize, Serialize};

pub use confine::{Bounds, allow_cpu_time, confine, mapped_bytes};
pub use log::{open_log, say};
pub use memory::{Pass, SharedMemory};
pub use message::{MESSAGE_BYTES_MAX, read, read_bytes, write};
pub use process::{Process, Timed, until};
pub use worker::{lower_priority, wait_for_hang_up};

/// How far the kernel holds a worker to its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// No file can be opened and no connection made (Landlock).
    pub landlock: Enforcement,
    /// Every system call but the few that the worker needs is refused (seccomp).
    pub seccomp: Enforcement,
}

impl Confinement {
    /// What holds before a worker has confined itself.
    pub const NONE: Confinement = Confinement { landlock: Enforcement::None, seccomp: Enforcement::None };

    /// Whether nothing is missing.
    pub fn is_full(&self) -> bool {
        self.landlock == Enforcement::Full && self.seccomp == Enforcement::Full
    }
}

/// How much of a restriction the kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// All that was asked for.
    Full,
    /// What this kernel's version knows.
    Partial,
    /// Nothing: the kernel lacks it or has it switched off.
    None,
}
