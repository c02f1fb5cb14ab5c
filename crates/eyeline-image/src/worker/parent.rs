//! The server's side of a worker: start it, send requests, wait within the limits, kill it.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use eyeline_core::{ImageErrorCode, Preset};
use eyeline_sandbox::{self as sandbox, Confinement, Process, until};

use super::memory::KEPT_BYTES;
use super::protocol::{self, Hello, Request};
use crate::{HeifSupport, ImageError, Limits, Made};

/// Settings of a worker's allocator. By default glibc returns the planes of each photo to the kernel, which clears them
/// again page by page for the next photo, in a seventh of a photo's time. With these settings a worker keeps up to 64
/// MiB.
const ALLOCATOR: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "33554432"), ("MALLOC_TRIM_THRESHOLD_", "67108864")];

/// The reason why a worker made no versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerFailure {
    /// The file can never be made into versions. The worker continues.
    Refused(ImageError),
    /// The worker died over the file or was killed, and must be replaced. A retry may succeed, because the machine may
    /// be at fault.
    Gone(ImageError),
}

impl WorkerFailure {
    /// The error to report.
    pub fn error(&self) -> &ImageError {
        match self {
            Self::Refused(error) | Self::Gone(error) => error,
        }
    }
}

/// A worker process, ready for one file at a time. Killed on drop. All methods block, at most as long as the limits
/// allow.
#[derive(Debug)]
pub struct WorkerProcess {
    process: Process,
    confinement: Confinement,
    heif: HeifSupport,
    is_gone: bool,
}

impl WorkerProcess {
    /// Starts `program` with `args`, which must call [`run`](super::run), and waits until it is confined and ready. It
    /// gets no environment except for its allocator, and shares this process's standard error.
    pub fn spawn<S: AsRef<OsStr>>(program: &Path, args: &[S]) -> io::Result<Self> {
        let process = Process::start(program, args, &ALLOCATOR, KEPT_BYTES as u64)?;
        let Hello { confinement, heif } = process.hello()?;
        Ok(Self { process, confinement, heif, is_gone: false })
    }

    /// The kernel's confinement of this worker, as the worker reported it at its start.
    pub fn confinement(&self) -> Confinement {
        self.confinement
    }

    /// The formats that this worker can read with libheif.
    pub fn heif(&self) -> &HeifSupport {
        &self.heif
    }

    /// The worker's process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Makes the versions of a file as [`make_versions`](crate::make_versions) does, within `limits.max_seconds`.
    pub fn make_versions(
        &mut self,
        original: &[u8],
        presets: &[Preset],
        limits: &Limits,
    ) -> Result<Made, WorkerFailure> {
        let outcome =
            if self.is_gone { Err(io::ErrorKind::BrokenPipe.into()) } else { self.ask(original, presets, limits) };
        outcome
            .map_err(|error| {
                self.is_gone = true;
                // Fails only if the process was already waited for.
                let _ = self.process.kill();
                WorkerFailure::Gone(judge(&error, limits))
            })?
            .map_err(WorkerFailure::Refused)
    }

    fn ask(&mut self, original: &[u8], presets: &[Preset], limits: &Limits) -> io::Result<Result<Made, ImageError>> {
        let deadline = Instant::now() + Duration::from_secs(u64::from(limits.max_seconds));
        let boxes = presets.iter().map(|preset| (preset.width, preset.height, preset.webp)).collect();
        let request = Request { original_bytes: original.len(), boxes, limits: *limits };
        let (mut line, memory) = (self.process.line(until(deadline)), self.process.memory());
        memory.begin().write_all(original)?;
        sandbox::write(&mut line, &request)?;
        let reply = protocol::read_reply(line, memory.begin(), presets)?;
        memory.shrink()?;
        Ok(reply)
    }
}

fn judge(error: &io::Error, limits: &Limits) -> ImageError {
    if error.kind() == io::ErrorKind::TimedOut {
        let sentence = format!("The picture could not be processed within {} seconds.", limits.max_seconds);
        return ImageError::new(ImageErrorCode::TimedOut, sentence);
    }
    ImageError::new(ImageErrorCode::DecoderCrashed, "The picture could not be processed: its decoder stopped working.")
}
