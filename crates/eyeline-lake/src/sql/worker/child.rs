//! The worker's side: it confines itself, answers one query, and ends.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eyeline_core::Timestamp;
use eyeline_sandbox::{self as sandbox, SharedMemory};

use super::message::{Batch, Hello, Question, Said};
use super::rows::{Incoming, Piece};
use super::{WORKER, bounds};
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::sql::{EventSource, Rows, ScanRequest, SqlQuestion, answer, on_deep_stack};

/// CPU time in addition to that of the query. The server's deadline normally ends a worker earlier.
const SPARE_TIME: Duration = Duration::from_secs(5);
/// The most bytes of an error sentence.
const SENTENCE_BYTES_MAX: usize = 4 * 1024;
/// A query that uses most of what planning and computing need.
const WARM_UP: &str = "SELECT name, count(*) AS n, max(data->>'a') AS a FROM events \
                       WHERE timestamp >= now() - INTERVAL '1 day' GROUP BY name ORDER BY n DESC LIMIT 5";

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
    let line = Arc::new(File::from(io::stdin().as_fd().try_clone_to_owned()?));
    let memory = SharedMemory::from(io::stdout().as_fd().try_clone_to_owned()?);
    warm_up();
    let confinement = sandbox::confine(&bounds())?;
    sandbox::write(&*line, &Hello { confinement })?;
    let Some(question) = sandbox::read::<Question>(&*line)? else { return Ok(()) };
    let time = Duration::from_millis(question.millis);
    sandbox::allow_cpu_time(time + SPARE_TIME)?;
    let link = Link(Arc::new(Mutex::new(Line { line: line.clone(), memory, scans: 0 })));
    let answering = on_deep_stack(move || answer_to(&question, time, &link))?;
    // Planning does not read the connection, so this ends the process if the server is gone or cancels.
    sandbox::wait_for_hang_up(&*line)?;
    if answering.is_finished() { answering.join().unwrap_or_else(|_| Err(io::Error::other("a panic"))) } else { Ok(()) }
}

/// Runs the engine once before a query waits for it.
fn warm_up() {
    let question = SqlQuestion { query: WARM_UP.to_owned(), rows_max: 1, now: Timestamp::from_micros(0) };
    let budget = Budget::new(64 << 20, Duration::from_secs(5));
    // A failure would recur with the real query.
    let _ = answer(Arc::new(Nothing), &question, &budget);
}

#[derive(Debug)]
struct Nothing;

impl EventSource for Nothing {
    fn open(&self, _: &ScanRequest) -> Result<Rows> {
        Ok(Box::new(|| Ok(None)))
    }
}

fn answer_to(question: &Question, time: Duration, link: &Link) -> io::Result<()> {
    let budget = Budget::new(question.bytes_max, time);
    let asked = SqlQuestion {
        query: question.query.clone(),
        rows_max: question.rows_max,
        now: Timestamp::from_micros(question.now),
    };
    let said = match answer(Arc::new(link.clone()), &asked, &budget) {
        Ok(answer) => {
            link.with(|line| line.memory.begin().write_all(&answer.stream))?;
            Said::Answer { bytes: answer.stream.len(), truncated: answer.truncated }
        }
        Err(Error::TooMuch(sentence)) => Said::TooMuch { sentence },
        Err(error) => Said::Wrong { sentence: shortened(error.to_string()) },
    };
    link.with(|line| sandbox::write(&*line.line, &said))
}

fn shortened(mut sentence: String) -> String {
    if sentence.len() > SENTENCE_BYTES_MAX {
        sentence.truncate(sentence.floor_char_boundary(SENTENCE_BYTES_MAX));
        sentence.push('…');
    }
    sentence
}

/// The connection to the server, shared by all scans.
#[derive(Clone)]
struct Link(Arc<Mutex<Line>>);

struct Line {
    line: Arc<File>,
    memory: SharedMemory,
    /// The number of scans so far.
    scans: u32,
}

impl fmt::Debug for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("events of the server")
    }
}

impl Link {
    fn with<T>(&self, talk: impl FnOnce(&mut Line) -> io::Result<T>) -> io::Result<T> {
        talk(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl EventSource for Link {
    fn open(&self, request: &ScanRequest) -> Result<Rows> {
        let opened = self.with(|line| {
            let scan = line.scans;
            line.scans += 1;
            sandbox::write(&*line.line, &Said::Open { scan, request: request.clone() })?;
            Ok(Walk { link: self.clone(), scan })
        });
        let walk = opened.map_err(Error::WorkerGone)?;
        let mut rows = Incoming::default();
        Ok(Box::new(move || walk.next().map_err(Error::WorkerGone)?.map(|piece| rows.read(piece)).transpose()))
    }
}

/// An open scan.
struct Walk {
    link: Link,
    scan: u32,
}

impl Walk {
    fn next(&self) -> io::Result<Option<Piece>> {
        self.link.with(|line| {
            sandbox::write(&*line.line, &Said::Next { scan: self.scan })?;
            let Batch { rows, bytes } = sandbox::read(&*line.line)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let Some(rows) = rows else { return Ok(None) };
            Ok(Some(Piece { rows, stream: sandbox::read_bytes(line.memory.begin(), bytes)? }))
        })
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        // Needs no message if the server is gone.
        let _ = self.link.with(|line| sandbox::write(&*line.line, &Said::Close { scan: self.scan }));
    }
}
