//! Queries over all events, in lake files and not flushed yet. Both come from one snapshot, so that no event is missed
//! or counted twice.

mod counts;
mod tail;

use std::sync::Arc;
use std::time::Duration;

use eyeline_core::{FieldErrors, ProjectId, Timestamp};
use eyeline_lake::{Budget, Files, Filter, Memory, Snapshot};
use eyeline_store::{Catalog, Error, Inbox, Result};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::background::{Background, Yields};
use crate::clock::Clock;
use crate::engines::Engines;
use crate::flow::turns::{Places, Turns};
use crate::shares::{Share, Shares};

pub use counts::{CountedRow, Counts};
pub use tail::Wanted;

/// Memory of all queries and lookups. A project has at most four times what is free: alone, `QUESTION_BYTES_MAX`.
pub const MEMORY_BYTES: usize = 320 * 1024 * 1024;
/// The most memory of one query.
const QUESTION_BYTES_MAX: usize = 256 * 1024 * 1024;
/// As long as a query may take.
const PATIENCE: Duration = Duration::from_secs(30);
const TAKEN: &str = "too many questions are asked at once";
/// Places for queries: an SQL query has a worker process.
const QUESTIONS: Places = Places { all: 4, share: 2, waiting: 32, patience: PATIENCE, taken: TAKEN };
/// Places for lookups of single events.
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
    memory: Shares<ProjectId>,
    background: Background,
    time_max: Duration,
}

/// A query's memory is a part of its project's share.
struct OfProject(Share<ProjectId>);

impl Memory for OfProject {
    fn set(&mut self, bytes: usize) -> bool {
        self.0.set(bytes as u64)
    }
}

/// The expected cost of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It may read all events.
    Question,
    /// It looks up a few events.
    Look,
}

/// An answer, and the events that it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<T> {
    pub answer: T,
    /// All events applied by then are covered.
    pub as_of: Timestamp,
    /// No event with a timestamp from then on is deleted; `None` if none is deleted at all.
    pub complete_from: Option<Timestamp>,
}

impl<T> Asked<T> {
    /// The time from which the answer is complete, if the filter reaches back before it.
    pub fn incomplete_before(&self, filter: &Filter) -> Option<Timestamp> {
        incomplete_before(self.complete_from, filter.from)
    }
}

fn incomplete_before(complete_from: Option<Timestamp>, from: Option<Timestamp>) -> Option<Timestamp> {
    complete_from.filter(|time| from.is_none_or(|from| from < *time))
}

/// Cancels the query when its caller is gone.
pub(super) struct GiveUp(pub(super) Budget);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Usage {
    /// `time_max` is the longest time of a query.
    pub fn new(engines: &Engines, clock: Clock, background: Background, time_max: Duration) -> Result<Self> {
        Ok(Usage {
            files: Files::new(engines.objects.reader()?, Handle::current()),
            inbox: engines.inbox.clone(),
            catalog: engines.catalog.clone(),
            clock,
            questions: Turns::new(QUESTIONS),
            looks: Turns::new(LOOKS),
            memory: Shares::new(MEMORY_BYTES as u64),
            background,
            time_max,
        })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    pub(super) fn background(&self) -> &Background {
        &self.background
    }

    /// Bytes of memory that queries take now.
    pub fn memory_taken(&self) -> u64 {
        self.memory.taken()
    }

    /// Runs a query over the applied events that the filter wants. Returns `Refused` if it exceeds its time or memory.
    pub async fn ask<T: Send + 'static>(
        &self,
        wanted: &Filter,
        weight: Weight,
        question: impl FnOnce(&Files, &Snapshot, &Budget) -> eyeline_lake::Result<T> + Send + 'static,
    ) -> Result<Asked<T>> {
        self.ask_about(Some(wanted.project_id), Wanted::Filter(wanted.clone()), weight, question).await
    }

    /// Like [`Usage::ask`], on behalf of a project, or of the operator.
    pub async fn ask_about<T: Send + 'static>(
        &self,
        project_id: Option<ProjectId>,
        wanted: Wanted,
        weight: Weight,
        question: impl FnOnce(&Files, &Snapshot, &Budget) -> eyeline_lake::Result<T> + Send + 'static,
    ) -> Result<Asked<T>> {
        let turns = match weight {
            Weight::Question => &self.questions,
            Weight::Look => &self.looks,
        };
        // The operator's queries over all projects have the share of one project.
        let holder = project_id.unwrap_or(ProjectId(Uuid::nil()));
        let turn = turns.take(holder).await?;
        let memory = self.memory.take(holder, 0).ok_or_else(|| Error::unavailable(TAKEN))?;
        let budget = Budget::within(Box::new(OfProject(memory)), QUESTION_BYTES_MAX, self.time_max);
        let as_of = self.clock.now();
        let yields = if turn.goes_first() { Yields::Little } else { Yields::Most };
        let (snapshot, held, complete_from) = self.snapshot(&wanted, yields, &budget).await?;
        let _give_up = GiveUp(budget.clone());
        let files = self.files.clone();
        let answer = self.background.run(yields, move || {
            // Both last until the work ends, even if the caller is gone.
            let _held = (turn, held);
            question(&files, &snapshot, &budget)
        });
        let answer = answer.await?;
        Ok(Asked { answer: answer.map_err(failure)?, as_of, complete_from })
    }
}

/// Converts an error of the lake into one of the stores.
pub(super) fn failure(error: eyeline_lake::Error) -> Error {
    match error {
        eyeline_lake::Error::Away(error) => Error::unavailable(format!("the lake files cannot be read: {error}")),
        eyeline_lake::Error::TooMuch(sentence) | eyeline_lake::Error::Refused(sentence) => Error::Refused(sentence),
        eyeline_lake::Error::Busy(sentence) => Error::unavailable(sentence),
        eyeline_lake::Error::Query(sentence) => Error::Invalid(FieldErrors::one("query", sentence)),
        eyeline_lake::Error::WorkerGone(_) => {
            Error::unavailable("the process that computed the answer stopped: ask again")
        }
        eyeline_lake::Error::Cancelled => Error::unavailable("the question was cancelled"),
        eyeline_lake::Error::Broken(what) => Error::Corrupt(what),
        eyeline_lake::Error::Write(error) => Error::unavailable(format!("a lake file was not written: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_question_has_room_and_leaves_some_for_the_next_project() {
        let memory = Shares::new(MEMORY_BYTES as u64);
        let of = |number: u128| OfProject(memory.take(ProjectId(Uuid::from_u128(number)), 0).expect("a share"));
        let (mut first, mut second, mut other) = (of(1), of(1), of(2));
        assert!(first.set(QUESTION_BYTES_MAX), "alone");
        assert!(!second.set(1 << 20), "its project has its share");
        assert!(other.set(48 << 20));
        assert!(!other.set(65 << 20) && first.set(0) && other.set(65 << 20), "once there is room");
        drop((first, second, other));
        assert_eq!(memory.taken(), 0);
    }
}
