//! The worker's side: confine, then make versions until the server hangs up.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use eyeline_core::Preset;

use super::memory::{KEPT_BYTES, SharedMemory, prefer_large_pages};
use super::protocol::{self, Hello, Request};
use super::sandbox;
use crate::{Limits, make_versions};

/// The life of a worker process, from its start to its end; its standard input is the line to the server, its
/// standard output the memory that they share. Call it first thing in `main`, before any thread starts: threads that exist already would not be confined.
pub fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the image worker stops: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    // A plain file, since the standard stream would read ahead.
    let mut server = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let memory = SharedMemory::from(io::stdout().as_fd().try_clone_to_owned()?);
    // Mapped once: to map and unmap the pages of each file would take as long as to copy them.
    let kept = memory.view(KEPT_BYTES)?;
    prefer_large_pages();
    let confinement = sandbox::confine(Limits::default().max_memory_bytes)?;
    protocol::write(&mut server, &Hello { confinement })?;
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
        let outcome = make_versions(original, &presets, &request.limits);
        protocol::write_reply(&mut server, memory.begin(), &outcome)?;
    }
    Ok(())
}
