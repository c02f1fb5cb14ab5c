//! Questions about events, over all of them: what is in the files of the lake and what is on its way there, of one
//! snapshot, so that nothing is missed and nothing is met twice.

mod counts;
mod tail;

use std::sync::Arc;
use std::time::Duration;

use eyeline_core::{Event, FieldErrors, ProjectId, Timestamp};
use eyeline_lake::{Budget, Files, Filter, Snapshot};
use eyeline_store::{Catalog, Error, Inbox, Objects, Result};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::clock::Clock;
use crate::flow::turns::{Places, Turns};

pub use counts::{CountedRow, Counts};

/// Memory of one question.
const QUESTION_BYTES_MAX: usize = 256 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);
const TAKEN: &str = "too many questions are asked at once";
/// For questions. Their memory together leaves room for everything else.
const QUESTIONS: Places = Places { all: 3, share: 2, waiting: 32, patience: PATIENCE, taken: TAKEN };
/// For looks at single events, which take little.
const LOOKS: Places = Places { all: 8, share: 4, waiting: 64, patience: PATIENCE, taken: TAKEN };

/// Cheap to clone.
#[derive(Clone)]
pub struct Usage {
    inbox: Arc<dyn Inbox>,
    catalog: Catalog,
    files: Files,
    clock: Clock,
    questions: Turns,
    looks: Turns,
    time_max: Duration,
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
    /// A question takes at most `time_max`.
    pub fn new(
        inbox: Arc<dyn Inbox>,
        catalog: Catalog,
        objects: &Objects,
        clock: Clock,
        time_max: Duration,
    ) -> Result<Self> {
        Ok(Usage {
            files: Files::new(objects.reader()?, Handle::current()),
            inbox,
            catalog,
            clock,
            questions: Turns::new(QUESTIONS),
            looks: Turns::new(LOOKS),
            time_max,
        })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// Puts a question about the events that the filter wants to everything that is applied by now and kept. A question that
    /// takes too much is `Refused`.
    pub async fn ask<T: Send + 'static>(
        &self,
        wanted: &Filter,
        weight: Weight,
        question: impl FnOnce(&Files, &Snapshot, &Budget) -> eyeline_lake::Result<T> + Send + 'static,
    ) -> Result<Asked<T>> {
        self.ask_about(Some(wanted.project_id), |event| wanted.wants(event), weight, question).await
    }

    /// The same about those events of a project, or of all, that `is_wanted` takes, where a filter has no words for them.
    pub async fn ask_about<T: Send + 'static>(
        &self,
        project_id: Option<ProjectId>,
        is_wanted: impl Fn(&Event) -> bool,
        weight: Weight,
        question: impl FnOnce(&Files, &Snapshot, &Budget) -> eyeline_lake::Result<T> + Send + 'static,
    ) -> Result<Asked<T>> {
        let turns = match weight {
            Weight::Question => &self.questions,
            Weight::Look => &self.looks,
        };
        // What the operator asks of all projects has a share like one.
        let turn = turns.take(project_id.unwrap_or(ProjectId(Uuid::nil()))).await?;
        let as_of = self.clock.now();
        let is_own = |event: &Event| project_id.is_none_or(|project_id| event.project_id == project_id);
        let (snapshot, complete_from) = self.snapshot(|event| is_own(event) && is_wanted(event)).await?;
        let budget = Budget::new(QUESTION_BYTES_MAX, self.time_max);
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
        eyeline_lake::Error::WorkerGone(_) => {
            Error::unavailable("the process that computed the answer stopped: ask again")
        }
        eyeline_lake::Error::Cancelled => Error::unavailable("the question was given up"),
        eyeline_lake::Error::Broken(what) => Error::Corrupt(what),
        eyeline_lake::Error::Write(error) => Error::unavailable(format!("a file of events was not written: {error}")),
    }
}
