//! The server's side of a worker: spawn, ask, wait no longer than allowed, kill.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use eyeline_core::{ImageErrorCode, Preset};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Confinement;
use super::memory::SharedMemory;
use super::protocol::{self, Hello, Request};
use crate::{HeifSupport, ImageError, Limits, Made};

/// Longest time from a worker's start to its first message.
const START_SECONDS_MAX: u64 = 10;

/// Settings of a worker's allocator. By default glibc returns the planes of each photo to the kernel, which clears them
/// again page by page for the next one: a seventh of a photo's time. With these, up to 64 MiB stay with a worker.
const ALLOCATOR: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "33554432"), ("MALLOC_TRIM_THRESHOLD_", "67108864")];

/// Why a worker made no versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerFailure {
    /// The file is at fault, for good; the worker goes on.
    Refused(ImageError),
    /// The worker died over the file or was killed, and has to be replaced. Another try may do better: it can have been
    /// the machine's fault.
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

/// A worker process, ready for one file at a time. Killed when dropped. All methods block; none longer than the
/// limits say.
#[derive(Debug)]
pub struct WorkerProcess {
    child: Child,
    line: UnixStream,
    memory: SharedMemory,
    confinement: Confinement,
    heif: HeifSupport,
    is_gone: bool,
}

impl WorkerProcess {
    /// Starts `program` with `args`, which must end in [`run`](super::run), and waits until it is confined and ready.
    /// It gets no environment but for its allocator; its standard error is this process's.
    pub fn spawn<S: AsRef<OsStr>>(program: &Path, args: &[S]) -> io::Result<Self> {
        let memory = SharedMemory::create()?;
        let (line, line_of_worker) = UnixStream::pair()?;
        line.set_nonblocking(true)?;
        let child = Command::new(program)
            .args(args)
            .env_clear()
            .envs(ALLOCATOR)
            .current_dir("/")
            .stdin(OwnedFd::from(line_of_worker))
            .stdout(memory.share()?)
            .spawn()?;
        let unknown = super::Enforcement::None;
        let confinement = Confinement { landlock: unknown, seccomp: unknown };
        let mut worker = Self { child, line, memory, confinement, heif: HeifSupport::default(), is_gone: false };
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        let hello: Option<Hello> = protocol::read(Timed { line: &worker.line, deadline })?;
        let hello = hello.ok_or_else(|| io::Error::other("the worker ended at its start"))?;
        (worker.confinement, worker.heif) = (hello.confinement, hello.heif);
        Ok(worker)
    }

    /// The kernel's confinement of this worker, as the worker reported at its start.
    pub fn confinement(&self) -> Confinement {
        self.confinement
    }

    /// The formats that this worker can read with libheif.
    pub fn heif(&self) -> &HeifSupport {
        &self.heif
    }

    /// The worker's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
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
                self.kill();
                WorkerFailure::Gone(judge(&error, limits))
            })?
            .map_err(WorkerFailure::Refused)
    }

    fn ask(&mut self, original: &[u8], presets: &[Preset], limits: &Limits) -> io::Result<Result<Made, ImageError>> {
        let deadline = Instant::now() + Duration::from_secs(u64::from(limits.max_seconds));
        let boxes = presets.iter().map(|preset| (preset.width, preset.height, preset.webp)).collect();
        let request = Request { original_bytes: original.len(), boxes, limits: *limits };
        let mut line = Timed { line: &self.line, deadline };
        self.memory.begin().write_all(original)?;
        protocol::write(&mut line, &request)?;
        let reply = protocol::read_reply(line, self.memory.begin(), presets)?;
        self.memory.shrink()?;
        Ok(reply)
    }

    fn kill(&mut self) {
        self.is_gone = true;
        // Either fails only if the process has been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn judge(error: &io::Error, limits: &Limits) -> ImageError {
    if error.kind() == io::ErrorKind::TimedOut {
        let sentence = format!("The picture could not be processed within {} seconds.", limits.max_seconds);
        return ImageError::new(ImageErrorCode::TimedOut, sentence);
    }
    ImageError::new(ImageErrorCode::DecoderCrashed, "The picture could not be processed: its decoder stopped working.")
}

/// A line that does not block, read from and written to up to a deadline.
struct Timed<'a, T> {
    line: &'a T,
    deadline: Instant,
}

impl<T: AsFd> Timed<'_, T> {
    fn wait(&self, events: PollFlags) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(self.line, events)], Some(&timeout)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl<T: AsFd> Read for Timed<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::read(self.line, &mut *buffer) {
                Err(rustix::io::Errno::AGAIN) => self.wait(PollFlags::IN)?,
                Err(rustix::io::Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }
}

impl<T: AsFd> Write for Timed<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(self.line, bytes) {
                Err(rustix::io::Errno::AGAIN) => self.wait(PollFlags::OUT)?,
                Err(rustix::io::Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
