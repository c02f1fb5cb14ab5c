//! The server's side of a worker: send the query, supply rows, wait within the limits, kill it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use eyeline_sandbox::{self as sandbox, Confinement, Process, until};

use super::SHARED_BYTES_MAX;
use super::message::{Batch, Hello, Question, Said};
use super::rows::Outgoing;
use crate::budget::{Budget, too_large, too_long};
use crate::error::{Error, Result};
use crate::sql::{ProjectEvents, SqlAnswer, SqlQuestion};

/// Settings of a worker's allocator: one arena for both of its threads, which also holds large blocks, so that they are
/// not cleared again each time.
const ALLOCATOR: [(&str, &str); 3] =
    [("MALLOC_MMAP_THRESHOLD_", "33554432"), ("MALLOC_TRIM_THRESHOLD_", "268435456"), ("MALLOC_ARENA_MAX", "1")];
/// The time after the budget's end in which a worker may still report it itself.
const GRACE: Duration = Duration::from_millis(250);
/// The interval at which a cancelled query is noticed.
const LOOK: Duration = Duration::from_millis(50);
/// The most open scans of a query.
const SCANS_MAX: usize = 1_000;

/// A worker process that answers one query. Killed on drop. All methods block.
#[derive(Debug)]
pub struct SqlWorker {
    process: Process,
    confinement: Option<Confinement>,
}

/// The reason why there is no answer.
enum Failure {
    /// The connection to the worker broke, or the query was cancelled.
    Line(io::Error),
    Told(Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Line(error)
    }
}

impl From<io::ErrorKind> for Failure {
    fn from(kind: io::ErrorKind) -> Self {
        Failure::Line(kind.into())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Told(error)
    }
}

impl SqlWorker {
    /// Starts `program` with `args`, which must call [`run`](super::run). Does not wait until it is ready. It gets no
    /// environment except for its allocator, and shares this process's standard error.
    pub fn start<S: AsRef<OsStr>>(program: &Path, args: &[S]) -> io::Result<Self> {
        Ok(SqlWorker { process: Process::start(program, args, &ALLOCATOR, 0)?, confinement: None })
    }

    /// The worker's process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// True if it has not ended yet.
    pub fn is_alive(&mut self) -> bool {
        self.process.is_alive()
    }

    /// Waits until it is confined. Returns the kernel's confinement of it.
    pub fn ready(&mut self) -> io::Result<Confinement> {
        if let Some(confinement) = self.confinement {
            return Ok(confinement);
        }
        let Hello { confinement } = self.process.hello()?;
        self.confinement = Some(confinement);
        Ok(confinement)
    }

    /// Answers a query over these events, and ends. Returns [`Error::TooMuch`] if the query exceeds the budget or the
    /// worker's bounds, and [`Error::WorkerGone`] if something else killed the worker.
    pub fn answer(mut self, events: &ProjectEvents, question: &SqlQuestion, budget: &Budget) -> Result<SqlAnswer> {
        self.ready().map_err(Error::WorkerGone)?;
        self.process.yield_as_caller();
        match self.serve(events, question, budget) {
            Ok(answer) => Ok(answer),
            Err(Failure::Told(error)) => Err(error),
            Err(Failure::Line(error)) => {
                let ended = self.process.kill();
                budget.check()?;
                Err(ended.ok().and_then(reason).unwrap_or(Error::WorkerGone(error)))
            }
        }
    }

    fn serve(&self, events: &ProjectEvents, question: &SqlQuestion, budget: &Budget) -> Result<SqlAnswer, Failure> {
        let deadline = Instant::now() + budget.left() + GRACE;
        let mut left = until(deadline);
        let patience = || {
            if budget.is_cancelled() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            left().map(|left| left.min(LOOK))
        };
        let (mut line, memory) = (self.process.line(patience), self.process.memory());
        let asked = Question {
            query: question.query.clone(),
            rows_max: question.rows_max,
            now: question.now.micros(),
            bytes_max: budget.bytes_max,
            millis: u64::try_from(budget.left().as_millis()).unwrap_or(u64::MAX),
        };
        sandbox::write(&mut line, &asked)?;
        let mut scans: HashMap<u32, Outgoing> = HashMap::new();
        loop {
            match sandbox::read(&mut line)?.ok_or(io::ErrorKind::UnexpectedEof)? {
                Said::Open { scan, request } => {
                    if scans.len() == SCANS_MAX {
                        return Err(too_large().into());
                    }
                    scans.entry(scan).insert_entry(Outgoing::open(events, &request)?).get_mut().prepare();
                }
                Said::Next { scan } => {
                    let scan = scans.get_mut(&scan).ok_or(io::ErrorKind::InvalidData)?;
                    let piece = scan.next()?;
                    let stream = piece.as_ref().map_or(&[][..], |piece| &piece.stream);
                    memory.begin().write_all(stream)?;
                    let rows = piece.as_ref().map(|piece| piece.rows);
                    sandbox::write(&mut line, &Batch { rows, bytes: stream.len() })?;
                    scan.prepare();
                }
                Said::Close { scan } => drop(scans.remove(&scan)),
                Said::Answer { bytes, truncated } => {
                    if bytes as u64 > SHARED_BYTES_MAX {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    let _held = budget.hold(bytes)?;
                    let stream = sandbox::read_bytes(memory.begin(), bytes)?;
                    return Ok(SqlAnswer { stream, truncated });
                }
                Said::Wrong { sentence } => return Err(Error::Query(sentence).into()),
                Said::TooMuch { sentence } => return Err(Error::TooMuch(sentence).into()),
            }
        }
    }
}

/// The error that the end of a worker implies. Refused memory and an exhausted stack both abort it.
fn reason(ended: ExitStatus) -> Option<Error> {
    const ABORTED: i32 = 6;
    const NO_PAGE: i32 = 7;
    const NO_ADDRESS: i32 = 11;
    const CPU_TIME: i32 = 24;
    match ended.signal()? {
        ABORTED | NO_PAGE | NO_ADDRESS => Some(too_large()),
        CPU_TIME => Some(too_long()),
        _ => None,
    }
}
