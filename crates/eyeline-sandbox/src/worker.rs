//! What a worker does for the machine that it shares.

use std::fs;
use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::nice;

/// The server and its other work come first.
const NICE: i32 = 10;
/// A machine without memory ends this process before any other.
const OUT_OF_MEMORY_SCORE: &str = "1000";

/// Has everything else come first, for the processor and when memory is short. A system that refuses is used as it is.
pub fn lower_priority() {
    let _ = nice(NICE);
    let _ = fs::write("/proc/self/oom_score_adj", OUT_OF_MEMORY_SCORE);
}

/// Returns when the other side of the line has hung up, whatever lies in it.
pub fn wait_for_hang_up(line: impl AsFd) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(&line, PollFlags::empty())], None) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
