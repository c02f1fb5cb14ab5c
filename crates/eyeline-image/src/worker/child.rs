//! The worker's side: confine, then make versions until the server closes the pipe.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use eyeline_core::Preset;

use super::protocol::{self, Hello, Request};
use super::sandbox;
use crate::{Limits, make_versions};

/// The life of a worker process, from its start to its end; reads requests from standard input and answers on standard
/// output. Call it first thing in `main`, before any thread starts: threads that exist already would not be confined.
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
    // Plain files, since the buffers of the standard streams would only copy what is large already.
    let mut requests = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut replies = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let confinement = sandbox::confine(Limits::default().max_memory_bytes)?;
    protocol::write(&mut replies, &Hello { confinement })?;
    while let Some(request) = protocol::read::<Request>(&mut requests)? {
        let original = protocol::read_bytes(&mut requests, request.original_bytes)?;
        let preset = |&(width, height, webp)| Preset { name: "", width, height, webp };
        let presets: Vec<Preset> = request.boxes.iter().map(preset).collect();
        sandbox::allow_cpu_time(Duration::from_secs(u64::from(request.limits.max_seconds)))?;
        let outcome = make_versions(&original, &presets, &request.limits);
        protocol::write_reply(&mut replies, &outcome)?;
    }
    Ok(())
}
