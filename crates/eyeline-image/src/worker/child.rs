//! The worker's side: confine, then make versions until the server hangs up.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use eyeline_core::Preset;

use super::memory::{KEPT_BYTES, SharedMemory, prefer_large_pages};
use super::protocol::{self, Hello, Request};
use super::sandbox;
use crate::{Heif, Limits, make_versions};

/// The life of a worker process, from its start to its end; its standard input is the line to the server, its
/// standard output the memory that they share. Call it first thing in `main`, before any thread starts: threads that exist already would not be confined.
pub fn run() -> ExitCode {
    let stopped = open_log().and_then(|log| serve().inspect_err(|error| say(&log, error)));
    if stopped.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The server's log under another number: the sandbox refuses to write to the standard error, for the C libraries' sake.
fn open_log() -> io::Result<File> {
    let log = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let of_panics = log.try_clone()?;
    std::panic::set_hook(Box::new(move |panic| say(&of_panics, panic)));
    Ok(log)
}

/// A worker that cannot tell why it stops stops all the same.
fn say(mut log: &File, why: impl Display) {
    let _ = writeln!(log, "the image worker stops: {why}");
}

fn serve() -> io::Result<()> {
    // A plain file, since the standard stream would read ahead.
    let mut server = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let memory = SharedMemory::from(io::stdout().as_fd().try_clone_to_owned()?);
    // Mapped once: to map and unmap the pages of each file would take as long as to copy them.
    let kept = memory.view(KEPT_BYTES)?;
    prefer_large_pages();
    // Opens files and plugins, which nobody can from here on.
    let heif = Heif::load();
    let confinement = sandbox::confine(Limits::default().max_memory_bytes)?;
    protocol::write(&mut server, &Hello { confinement, heif: heif.support() })?;
    while let Some(request) = protocol::read::<Request>(&mut server)? {
        let large;
        let original = if let Some(original) = kept.get(..request.original_bytes) {
            original
        } else {
            large = memory.view(request.original_bytes)?;
            &large
        };
        let preset = |&(width, height, webp)| Preset { name: "", width, height, webp };
        let presets: Vec<Preset> = request.boxes.iter().map(preset).collect();
        sandbox::allow_cpu_time(Duration::from_secs(u64::from(request.limits.max_seconds)))?;
        let outcome = make_versions(original, &presets, &request.limits, &heif);
        protocol::write_reply(&mut server, memory.begin(), &outcome)?;
    }
    Ok(())
}
