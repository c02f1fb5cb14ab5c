//! The server's side of a worker: spawn, ask, wait no longer than allowed, kill.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use eyeline_core::Preset;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::fcntl_setpipe_size;

use super::Confinement;
use super::protocol::{self, Hello, Request};
use crate::{ErrorKind, ImageError, Limits, Made};

/// How long a worker may take from its start to its first words.
const START_SECONDS_MAX: u64 = 10;

/// The size asked for of both pipes: a photo of a few megabytes passes in a few turns.
const PIPE_BYTES: usize = 1 << 20;

/// How a worker's allocator keeps what it has: by default glibc gives the planes of each photo back to the kernel and
/// has them cleared again for the next one, page by page, which is a seventh of a photo's time. Up to 64 MiB stay with
/// a worker now, and buffers come in large pages where the kernel gives them.
const ALLOCATOR: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "33554432"),
    ("MALLOC_TRIM_THRESHOLD_", "67108864"),
    ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
];

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
    /// What to tell of it.
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
    requests: ChildStdin,
    replies: ChildStdout,
    confinement: Confinement,
    is_gone: bool,
}

impl WorkerProcess {
    /// Starts `program` with `args`, which must end in [`run`](super::run), and waits until it is confined and ready.
    /// It gets no environment but for its allocator; its standard error is this process's.
    pub fn spawn<S: AsRef<OsStr>>(program: &Path, args: &[S]) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(args)
            .env_clear()
            .envs(ALLOCATOR)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (requests, replies) = pipes.ok_or_else(|| io::Error::other("the worker has no pipes"))?;
        let unknown = super::Enforcement::None;
        let confinement = Confinement { landlock: unknown, seccomp: unknown };
        let mut worker = Self { child, requests, replies, confinement, is_gone: false };
        fcntl_setfl(&worker.requests, OFlags::NONBLOCK)?;
        fcntl_setfl(&worker.replies, OFlags::NONBLOCK)?;
        // A smaller pipe works as well, if the system allows no larger one.
        for pipe in [worker.requests.as_fd(), worker.replies.as_fd()] {
            let _ = fcntl_setpipe_size(pipe, PIPE_BYTES);
        }
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        let hello: Option<Hello> = protocol::read(Timed { pipe: &worker.replies, deadline })?;
        worker.confinement = hello.ok_or_else(|| io::Error::other("the worker ended at its start"))?.confinement;
        Ok(worker)
    }

    /// How far the kernel confines this worker, in its own words when it started.
    pub fn confinement(&self) -> Confinement {
        self.confinement
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
        let mut requests = Timed { pipe: &self.requests, deadline };
        protocol::write(&mut requests, &request)?;
        requests.write_all(original)?;
        protocol::read_reply(Timed { pipe: &self.replies, deadline }, presets)
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
        return ImageError::new(ErrorKind::TimedOut, sentence);
    }
    ImageError::new(ErrorKind::DecoderCrashed, "The picture could not be processed: its decoder stopped working.")
}

/// A pipe that does not block, read from and written to up to a deadline.
struct Timed<'a, T> {
    pipe: &'a T,
    deadline: Instant,
}

impl<T: AsFd> Timed<'_, T> {
    fn wait(&self, events: PollFlags) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(self.pipe, events)], Some(&timeout)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl<T: AsFd> Read for Timed<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::read(self.pipe, &mut *buffer) {
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
            match rustix::io::write(self.pipe, bytes) {
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
