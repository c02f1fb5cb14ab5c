//! The worker's side: it confines itself, then makes versions until the server hangs up.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use eyeline_core::Preset;
use eyeline_sandbox::{self as sandbox, SharedMemory};

use super::memory::{KEPT_BYTES, prefer_large_pages, view};
use super::protocol::{self, Hello, Request};
use super::{WORKER, bounds};
use crate::{Heif, make_versions};

/// Runs a worker process until its end. Its standard input is the connection to the server, its standard output the
/// shared memory. Call it first in `main`, because threads that already run would not be confined.
pub fn run() -> ExitCode {
    let stopped =
        sandbox::open_log(WORKER).and_then(|log| serve().inspect_err(|error| sandbox::say(&log, WORKER, error)));
    if stopped.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn serve() -> io::Result<()> {
    sandbox::lower_priority();
    // A plain file, because the standard stream would read ahead.
    let mut server = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let memory = SharedMemory::from(io::stdout().as_fd().try_clone_to_owned()?);
    // Mapped once, because mapping and unmapping for each file would take as long as copying it.
    let kept = view(&memory, KEPT_BYTES)?;
    prefer_large_pages();
    // Opens files and plugins, which is impossible after the confinement.
    let heif = Heif::load();
    let confinement = sandbox::confine(&bounds())?;
    sandbox::write(&mut server, &Hello { confinement, heif: heif.support() })?;
    while let Some(request) = sandbox::read::<Request>(&mut server)? {
        let large;
        let original = if let Some(original) = kept.get(..request.original_bytes) {
            original
        } else {
            large = view(&memory, request.original_bytes)?;
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
