//! A worker's consideration for its machine.

use std::fs;
use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::nice;

/// Gives the server and its other work precedence.
const NICE: i32 = 10;
/// If memory is short, the kernel kills this process before any other.
const OUT_OF_MEMORY_SCORE: &str = "1000";

/// Gives all other processes precedence for the processor and for memory. Ignores a system that refuses.
pub fn lower_priority() {
    let _ = nice(NICE);
    let _ = fs::write("/proc/self/oom_score_adj", OUT_OF_MEMORY_SCORE);
}

/// Returns when the other side of the connection has hung up, even if data is unread.
pub fn wait_for_hang_up(line: impl AsFd) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(&line, PollFlags::empty())], None) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
