//! Questions about events, over all of them: what is in the files of the lake and what is on its way there, of one
//! snapshot, so that nothing is missed and nothing is met twice.

mod counts;
mod tail;

use std::sync::Arc;
use std::time::Duration;

use eyeline_core::{FieldErrors, ProjectId, Timestamp};
use eyeline_lake::{Budget, Files, Filter, Snapshot};
use eyeline_store::{Catalog, Error, Inbox, Objects, Result};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::clock::Clock;

pub use counts::{CountedRow, Counts};

/// Memory and time of one question.
const QUESTION_BYTES_MAX: usize = 256 * 1024 * 1024;
const QUESTION_TIME_MAX: Duration = Duration::from_secs(30);
/// Questions that are worked on at once, so that together they leave room for everything else.
const QUESTIONS_MAX: usize = 2;
/// The same for looks at single events, which take little.
const LOOKS_MAX: usize = 8;
/// How long a question waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Cheap to clone.
#[derive(Clone)]
pub struct Usage {
    inbox: Arc<dyn Inbox>,
    catalog: Catalog,
    files: Files,
    clock: Clock,
    questions: Arc<Semaphore>,
    looks: Arc<Semaphore>,
}

/// How much a question is going to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It may walk over everything.
    Question,
    /// A few events are looked up.
    Look,
}

/// An answer, and which events it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<T> {
    pub answer: T,
    /// All events that were applied by then.
    pub as_of: Timestamp,
    /// Of the events with a timestamp from then on none is gone; `None` when none is at all.
    pub complete_from: Option<Timestamp>,
}

impl<T> Asked<T> {
    /// From when on the answer is complete, if the filter asks about events of before as well.
    pub fn incomplete_before(&self, filter: &Filter) -> Option<Timestamp> {
        incomplete_before(self.complete_from, filter.from)
    }
}

fn incomplete_before(complete_from: Option<Timestamp>, from: Option<Timestamp>) -> Option<Timestamp> {
    complete_from.filter(|time| from.is_none_or(|from| from < *time))
}

/// Gives up the question when whoever asked has gone.
pub(super) struct GiveUp(pub(super) Budget);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Usage {
    pub fn new(inbox: Arc<dyn Inbox>, catalog: Catalog, objects: &Objects, clock: Clock) -> Result<Self> {
        Ok(Usage {
            files: Files::new(objects.reader()?, Handle::current()),
            inbox,
            catalog,
            clock,
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
        })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// Puts a question about the events of `project_id`, or of all projects, to everything that is applied by now and kept. A
    /// question that takes too much is `Refused`.
    pub async fn ask<T: Send + 'static>(
        &self,
        project_id: Option<ProjectId>,
        weight: Weight,
        question: impl FnOnce(&Files, &Snapshot, &Budget) -> eyeline_lake::Result<T> + Send + 'static,
    ) -> Result<Asked<T>> {
        let turns = match weight {
            Weight::Question => &self.questions,
            Weight::Look => &self.looks,
        };
        let turn = tokio::time::timeout(PATIENCE, turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| Error::unavailable("too many questions are asked at once"))?;
        let turn = turn.map_err(|error| Error::internal("questions", error))?;
        let as_of = self.clock.now();
        let (snapshot, complete_from) = self.snapshot(project_id).await?;
        let budget = Budget::new(QUESTION_BYTES_MAX, QUESTION_TIME_MAX);
        let _give_up = GiveUp(budget.clone());
        let files = self.files.clone();
        let answer = tokio::task::spawn_blocking(move || {
            // Held until the work has ended, also when nobody waits for it any more.
            let _turn = turn;
            question(&files, &snapshot, &budget)
        });
        let answer = answer.await.map_err(|error| Error::internal("answering a question", error))?;
        Ok(Asked { answer: answer.map_err(failure)?, as_of, complete_from })
    }
}

/// What went wrong in the lake, in the words of the stores.
pub(super) fn failure(error: eyeline_lake::Error) -> Error {
    match error {
        eyeline_lake::Error::Away(error) => {
            Error::unavailable(format!("the files of events are out of reach: {error}"))
        }
        eyeline_lake::Error::TooMuch(sentence) | eyeline_lake::Error::Refused(sentence) => Error::Refused(sentence),
        eyeline_lake::Error::Query(sentence) => Error::Invalid(FieldErrors::one("query", sentence)),
        eyeline_lake::Error::Cancelled => Error::unavailable("the question was given up"),
        eyeline_lake::Error::Broken(what) => Error::Corrupt(what),
        eyeline_lake::Error::Write(error) => Error::unavailable(format!("a file of events was not written: {error}")),
    }
}
