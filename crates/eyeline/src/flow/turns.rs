//! Turns at work that keeps a core busy: half of the cores work for requests, and each project has one request among those
//! that wait for them. A project with many requests keeps the others waiting no longer than one with two.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use eyeline_core::ProjectId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Projects remembered; beyond it those that wait for nothing are forgotten.
const PROJECTS_MAX: usize = 1_000;

pub struct Turns {
    all: Arc<Semaphore>,
    projects: Mutex<HashMap<ProjectId, Arc<Semaphore>>>,
}

/// Ends when it is dropped.
pub struct Turn {
    _of_all: OwnedSemaphorePermit,
    _of_project: OwnedSemaphorePermit,
}

impl Default for Turns {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Turns { all: Arc::new(Semaphore::new(cores.div_ceil(2))), projects: Mutex::default() }
    }
}

impl Turns {
    /// Returns once it is the project's turn. Requests of a project have theirs in the order they came.
    pub async fn take(&self, project_id: ProjectId) -> Turn {
        let of_project = self.project(project_id);
        Turn { _of_project: acquire(of_project).await, _of_all: acquire(self.all.clone()).await }
    }

    fn project(&self, project_id: ProjectId) -> Arc<Semaphore> {
        let mut projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
        if projects.len() >= PROJECTS_MAX {
            // Whoever waits, or works, holds it too.
            projects.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        }
        projects.entry(project_id).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
    }
}

async fn acquire(semaphore: Arc<Semaphore>) -> OwnedSemaphorePermit {
    match semaphore.acquire_owned().await {
        Ok(permit) => permit,
        // Nothing closes it.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_project_with_many_requests_is_one_among_those_that_wait() {
        let turns = Turns { all: Arc::new(Semaphore::new(1)), projects: Mutex::default() };
        let [flood, other] = [1, 2].map(|number| ProjectId(Uuid::from_u128(number)));
        let first = turns.take(flood).await;
        let more: Vec<_> = (0..100).map(|_| turns.take(flood)).collect();
        let mut flood = Box::pin(futures::future::select_all(more.into_iter().map(Box::pin)));
        let mut waiting = Box::pin(turns.take(other));
        for _ in 0..3 {
            assert!(futures::poll!(&mut flood).is_pending());
            assert!(futures::poll!(&mut waiting).is_pending());
        }
        drop(first);
        // The other project waits for all of them, the flood's next request for the first one alone.
        let turn = tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("a turn");
        assert!(futures::poll!(&mut flood).is_pending());
        drop(turn);
        let (_turn, _, rest) = tokio::time::timeout(Duration::from_secs(30), flood).await.expect("a turn");
        assert_eq!(rest.len(), 99);
    }

    #[tokio::test]
    async fn projects_that_wait_for_nothing_are_forgotten() {
        let turns = Turns::default();
        for number in 0..(PROJECTS_MAX as u128 * 2) {
            drop(turns.take(ProjectId(Uuid::from_u128(number))).await);
        }
        assert!(turns.projects.lock().expect("the projects").len() <= PROJECTS_MAX);
    }
}
