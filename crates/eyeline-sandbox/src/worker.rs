//! A worker's consideration for its machine.

use std::fs;
use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::setpriority_process;

/// Gives the server and its other work precedence.
const NICE: i32 = 10;
/// If memory is short, the kernel kills this process before any other.
const OUT_OF_MEMORY_SCORE: &str = "1000";

/// Gives all other processes precedence for the processor and for memory. Ignores a system that refuses.
pub fn lower_priority() {
    yield_cores(NICE);
    let _ = fs::write("/proc/self/oom_score_adj", OUT_OF_MEMORY_SCORE);
}

/// Lowers the priority of the calling thread, and of the threads and processes that it starts, to `nice`. Ignores a
/// system that refuses, and keeps a priority that is lower already.
pub fn yield_cores(nice: i32) {
    // No process means the calling thread.
    let _ = setpriority_process(None, nice);
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
