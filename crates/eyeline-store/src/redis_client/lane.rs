//! A connection on a thread of its own, which sends waiting commands as one pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use redis::{Cmd, RedisResult, Value};
use tokio::sync::oneshot;

use super::{ANSWER_BYTES_MAX, Address, Backoff, CONNECT_DEADLINE, DEADLINE, Link, away};
use crate::error::{Error, Result};

/// The most commands that wait.
const WAITING_MAX: usize = 4_096;
/// The most bytes of waiting commands.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most commands of one pipeline.
const TOGETHER_MAX: usize = 16;
/// The most memory of a lane: commands that wait, those that are packed to be sent, and their answers.
pub(crate) const BYTES_MAX: usize = 2 * WAITING_BYTES_MAX + TOGETHER_MAX * ANSWER_BYTES_MAX;
/// The thread asks whether a slow server is fast again when nothing was asked for so long.
const PROBE_AFTER: Duration = Duration::from_millis(100);

/// Ends its thread on drop.
pub(crate) struct Lane {
    jobs: SyncSender<Job>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// False while the server is away: then callers do not wait.
    is_up: AtomicBool,
    /// A command failed that nobody waits for.
    has_lost: AtomicBool,
    bytes: AtomicUsize,
}

struct Job {
    command: Cmd,
    /// Given back on drop.
    _bytes: Bytes,
    /// `None` if nobody waits for the answer.
    answer: Option<oneshot::Sender<Result<Value>>>,
}

impl Job {
    /// False if the caller has given up.
    fn is_wanted(&self) -> bool {
        self.answer.as_ref().is_none_or(|answer| !answer.is_closed())
    }

    fn answer(self, state: &State, answer: RedisResult<Value>) {
        match self.answer {
            // The caller may give up at this moment.
            Some(caller) => drop(caller.send(answer.map_err(|error| away(&error)))),
            None => {
                if let Err(error) = answer {
                    tracing::debug!(%error, "a command without an answer failed");
                    state.has_lost.store(true, Ordering::Release);
                }
            }
        }
    }
}

/// A part of [`WAITING_BYTES_MAX`].
struct Bytes(Arc<State>, usize);

impl Bytes {
    fn take(state: &Arc<State>, bytes: usize) -> Option<Self> {
        let before = state.bytes.fetch_add(bytes, Ordering::AcqRel);
        let taken = Bytes(state.clone(), bytes);
        (before + bytes <= WAITING_BYTES_MAX).then_some(taken)
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.0.bytes.fetch_sub(self.1, Ordering::AcqRel);
    }
}

impl Lane {
    /// Starts the thread, and waits for its first attempt to connect at most one second. A server that is away is
    /// no error.
    pub async fn open(address: Address, name: &'static str) -> Result<Self> {
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        let (tried, first) = oneshot::channel();
        let state = Arc::new(State::default());
        let shared = state.clone();
        let run = move || Thread { address, name, waiting, state: shared }.run(tried);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        thread.map_err(|error| Error::internal("starting a thread for Redis", error))?;
        let _ = tokio::time::timeout(CONNECT_DEADLINE, first).await;
        Ok(Lane { jobs, state })
    }

    /// The answer, within [`DEADLINE`]. `Unavailable` immediately if the server is away or too much waits.
    /// The command must bound its answer to [`ANSWER_BYTES_MAX`].
    pub async fn ask(&self, command: Cmd) -> Result<Value> {
        let (caller, answer) = oneshot::channel();
        self.hand_over(command, Some(caller))?;
        match tokio::time::timeout(DEADLINE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Error::unavailable("Redis: the connection was lost")),
            Err(_) => {
                // Others need not wait as long, until the thread has an answer again.
                self.state.is_up.store(false, Ordering::Release);
                Err(Error::unavailable(format!("Redis: no answer within {} ms", DEADLINE.as_millis())))
            }
        }
    }

    /// Sends a command whose answer nobody needs, without waiting. [`Lane::take_lost`] tells of those that failed.
    pub fn send(&self, command: Cmd) {
        if self.hand_over(command, None).is_err() {
            self.state.has_lost.store(true, Ordering::Release);
        }
    }

    fn hand_over(&self, command: Cmd, answer: Option<oneshot::Sender<Result<Value>>>) -> Result<()> {
        if !self.is_up() {
            return Err(Error::unavailable("Redis is away"));
        }
        let too_much = || Error::unavailable("Redis: too many commands wait");
        let bytes = command.args_iter().map(length).sum();
        let bytes = Bytes::take(&self.state, bytes).ok_or_else(too_much)?;
        self.jobs.try_send(Job { command, _bytes: bytes, answer }).map_err(|error| match error {
            TrySendError::Full(_) => too_much(),
            TrySendError::Disconnected(_) => Error::unavailable("Redis: the thread ended"),
        })
    }

    /// True if a command of [`Lane::send`] failed since the last call.
    pub fn take_lost(&self) -> bool {
        self.state.has_lost.swap(false, Ordering::AcqRel)
    }

    pub fn is_up(&self) -> bool {
        self.state.is_up.load(Ordering::Acquire)
    }
}

fn length(argument: redis::Arg<&[u8]>) -> usize {
    match argument {
        redis::Arg::Simple(bytes) => bytes.len(),
        _ => 0,
    }
}

struct Thread {
    address: Address,
    name: &'static str,
    waiting: Receiver<Job>,
    state: Arc<State>,
}

impl Thread {
    fn run(self, tried: oneshot::Sender<()>) {
        let (mut tried, mut backoff) = (Some(tried), Backoff::new());
        let mut is_told = false;
        loop {
            let opened = Link::open(&self.address);
            self.state.is_up.store(opened.is_ok(), Ordering::Release);
            tried.take();
            let lost = match opened {
                Ok(link) => {
                    if is_told {
                        tracing::info!(engine = self.name, "Redis answers again");
                        is_told = false;
                    }
                    match self.serve(link, &mut backoff) {
                        Some(lost) => lost,
                        None => return,
                    }
                }
                Err(error) => error,
            };
            self.state.is_up.store(false, Ordering::Release);
            if !is_told {
                tracing::warn!(error = %lost, engine = self.name, "Redis is away: what it speeds up takes longer");
                is_told = true;
            }
            if !self.refuse(&lost, backoff.next()) {
                return;
            }
        }
    }

    /// Answers until the connection is unusable; then returns why. `None` if nobody can ask any more.
    fn serve(&self, mut link: Link, backoff: &mut Backoff) -> Option<redis::RedisError> {
        loop {
            let mut jobs = match self.waiting.recv_timeout(PROBE_AFTER) {
                Ok(job) => vec![job],
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    // A caller gave up, and since then nobody asks.
                    if !self.state.is_up.load(Ordering::Acquire) {
                        if let Err(error) = link.ask(&[redis::cmd("EXISTS").arg("eyeline")]) {
                            return Some(error);
                        }
                        self.state.is_up.store(true, Ordering::Release);
                    }
                    continue;
                }
            };
            jobs.extend(self.waiting.try_iter().take(TOGETHER_MAX - 1));
            jobs.retain(Job::is_wanted);
            let commands: Vec<&Cmd> = jobs.iter().map(|job| &job.command).collect();
            match if commands.is_empty() { Ok(Vec::new()) } else { link.ask(&commands) } {
                Ok(answers) => {
                    backoff.reset();
                    self.state.is_up.store(true, Ordering::Release);
                    jobs.into_iter().zip(answers).for_each(|(job, answer)| job.answer(&self.state, answer));
                }
                Err(error) => {
                    jobs.into_iter().for_each(|job| job.answer(&self.state, Err(error.clone())));
                    return Some(error);
                }
            }
        }
    }

    /// Refuses commands for the time of a pause. False if nobody can ask any more.
    fn refuse(&self, error: &redis::RedisError, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            match self.waiting.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(job) => job.answer(&self.state, Err(error.clone())),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }
}
