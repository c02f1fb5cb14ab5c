//! The server's side of a worker: start it, exchange messages, wait within the limits, kill it.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, getpriority_process, setpriority_process};
use serde::de::DeserializeOwned;

use crate::{SharedMemory, message};

/// The longest time from a worker's start to its first message, in seconds.
const START_SECONDS_MAX: u64 = 10;

/// A worker process. Killed on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    line: UnixStream,
    memory: SharedMemory,
}

impl Process {
    /// Starts `program` with `args` and only the given `environment`. Does not wait until it is ready. Its standard
    /// input is the connection, its standard output the shared memory, its standard error this process's. `kept_bytes`
    /// of the memory stay between two uses.
    pub fn start<S: AsRef<OsStr>>(
        program: &Path,
        args: &[S],
        environment: &[(&str, &str)],
        kept_bytes: u64,
    ) -> io::Result<Self> {
        let memory = SharedMemory::create(kept_bytes)?;
        let (line, line_of_worker) = UnixStream::pair()?;
        line.set_nonblocking(true)?;
        let child = Command::new(program)
            .args(args)
            .env_clear()
            .envs(environment.iter().copied())
            .current_dir("/")
            .stdin(OwnedFd::from(line_of_worker))
            .stdout(memory.share()?)
            .spawn()?;
        Ok(Self { child, line, memory })
    }

    /// The connection. `patience` returns the longest time of the next wait, or fails if none is left.
    pub fn line<P: FnMut() -> io::Result<Duration>>(&self, patience: P) -> Timed<'_, P> {
        Timed { line: &self.line, patience }
    }

    /// Waits for the first message, which a worker sends once it is confined and ready.
    pub fn hello<T: DeserializeOwned>(&self) -> io::Result<T> {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        let hello = message::read(self.line(until(deadline)))?;
        hello.ok_or_else(|| io::Error::other("the worker ended at its start"))
    }

    pub fn memory(&self) -> &SharedMemory {
        &self.memory
    }

    /// Lowers the worker's priority to that of the calling thread, if that is lower. Call it before the worker starts a
    /// thread.
    pub fn yield_as_caller(&self) {
        let Some(worker) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) else { return };
        if let (Ok(own), Ok(of_worker)) = (getpriority_process(None), getpriority_process(Some(worker)))
            && own > of_worker
        {
            // A system that refuses gives the worker more, and nobody less than it does now.
            let _ = setpriority_process(Some(worker), own);
        }
    }

    /// The worker's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// True if it has not ended yet.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the process. Returns its exit status, by this kill or an earlier end.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        // Fails only if the process was already waited for.
        let _ = self.child.kill();
        self.child.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A patience that ends at a deadline.
pub fn until(deadline: Instant) -> impl FnMut() -> io::Result<Duration> {
    move || {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

/// A non-blocking connection that is read and written while there is patience.
#[derive(Debug)]
pub struct Timed<'a, P> {
    line: &'a UnixStream,
    patience: P,
}

impl<P: FnMut() -> io::Result<Duration>> Timed<'_, P> {
    /// Returns when the connection is ready or the time is over, to be called again.
    fn wait(&mut self, events: PollFlags) -> io::Result<()> {
        let timeout = Timespec::try_from((self.patience)()?).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(self.line, events)], Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl<P: FnMut() -> io::Result<Duration>> Read for Timed<'_, P> {
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

impl<P: FnMut() -> io::Result<Duration>> Write for Timed<'_, P> {
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
