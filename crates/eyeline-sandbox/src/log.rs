//! The worker's access to the server's log, where it reports why it stops.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;

/// Opens the server's log, and sends panics there. The log gets another descriptor than the standard error, to which
/// the sandbox refuses to write.
pub fn open_log(worker: &'static str) -> io::Result<File> {
    let log = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let of_panics = log.try_clone()?;
    std::panic::set_hook(Box::new(move |panic| say(&of_panics, worker, panic)));
    Ok(log)
}

/// Writes a line to the log. Ignores errors, because the worker stops anyway.
pub fn say(mut log: &File, worker: &str, why: impl Display) {
    let _ = writeln!(log, "the {worker} worker stops: {why}");
}
