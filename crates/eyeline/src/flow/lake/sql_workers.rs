//! The worker processes that answer SQL: one for each question, and one spare that is started ahead.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use eyeline_lake::{Budget, Error, ProjectEvents, Result, SqlAnswer, SqlQuestion, SqlWorker};

use tokio::sync::Notify;

use crate::walls::{Kind, Walls};

/// The hidden command that makes this program a worker.
pub const SQL_WORKER_COMMAND: &str = "sql-worker";

const KIND: Kind = Kind {
    name: "sql_worker",
    plural: "SQL workers",
    waits: "Questions in SQL are refused",
    goes_on: "Questions in SQL are answered",
    danger: "a query could break out of its worker",
};

/// The possible outcomes of a question.
const OUTCOMES: [&str; 5] = ["answered", "wrong", "too_much", "given_up", "failed"];

/// Cheap to clone; clones share the spare worker and the counts.
#[derive(Clone)]
pub struct SqlWorkers {
    program: PathBuf,
    walls: Walls,
    spare: Arc<Mutex<Option<SqlWorker>>>,
    /// Notified when the spare worker is taken.
    taken: Arc<Notify>,
    outcomes: Arc<[AtomicU64; OUTCOMES.len()]>,
}

impl SqlWorkers {
    /// `program` is this product's binary. Without seccomp no question is answered unless `allow_unconfined` is set.
    pub fn new(program: PathBuf, allow_unconfined: bool) -> Self {
        let walls = Walls::new(KIND, allow_unconfined);
        SqlWorkers { program, walls, spare: Arc::default(), taken: Arc::default(), outcomes: Arc::default() }
    }

    /// Blocks until the question is answered, or until the budget's time is over and the worker has ended.
    pub fn answer(&self, events: &ProjectEvents, question: &SqlQuestion, budget: &Budget) -> Result<SqlAnswer> {
        let worker = self.worker().and_then(|worker| self.confined(worker));
        let answer = worker.and_then(|worker| worker.answer(events, question, budget));
        let outcome = match &answer {
            Ok(_) => 0,
            Err(Error::Query(_)) => 1,
            Err(Error::TooMuch(_) | Error::Busy(_)) => 2,
            Err(Error::Cancelled) => 3,
            Err(error) => {
                tracing::warn!(%error, "a query was not answered");
                4
            }
        };
        self.outcomes[outcome].fetch_add(1, Ordering::Relaxed);
        answer
    }

    /// The spare worker, or a new one.
    fn worker(&self) -> Result<SqlWorker> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.taken.notify_one();
        let alive = spare.and_then(|mut worker| worker.is_alive().then_some(worker));
        alive.map_or_else(|| self.start(), Ok)
    }

    /// Returns once a question has taken the spare worker, or found none.
    pub async fn spare_taken(&self) {
        self.taken.notified().await;
    }

    /// Starts the next spare worker. It inherits the calling thread's priority, and can only lower it.
    pub fn start_spare(&self) -> Result<()> {
        let worker = self.start()?;
        *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = Some(worker);
        Ok(())
    }

    /// Starts a worker and ends it, so that the log says before the first question whether workers are confined.
    pub fn try_out(&self) -> Result<()> {
        self.start().and_then(|worker| self.confined(worker)).map(drop)
    }

    /// The confinement of the workers.
    pub fn walls(&self) -> &Walls {
        &self.walls
    }

    /// Returns the worker once its confinement is known to suffice.
    fn confined(&self, mut worker: SqlWorker) -> Result<SqlWorker> {
        let confinement = worker.ready().map_err(Error::WorkerGone)?;
        self.walls.check(confinement).map_err(Error::WorkerGone)?;
        Ok(worker)
    }

    fn start(&self) -> Result<SqlWorker> {
        SqlWorker::start(&self.program, &[SQL_WORKER_COMMAND]).map_err(Error::WorkerGone)
    }

    /// The number of questions by outcome.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        OUTCOMES.into_iter().zip(self.outcomes.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>())
    }
}
