//! Turns at bounded work that projects share. A project with many requests leaves places for the others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use eyeline_core::ProjectId;
use eyeline_store::{Error, Result};
use tokio::sync::oneshot;

/// Work counts less with its age: after this time, half.
const HALF_LIFE: Duration = Duration::from_secs(10);
/// Work of less than this is forgotten.
const WORK_LEAST: Duration = Duration::from_millis(10);
/// A project that worked more than this many times as long as the projects' average yields to the others.
const LONG: f64 = 1.5;

/// The bounds on the requests that work and wait.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// Requests of all projects that work at once.
    pub all: usize,
    /// Of these, requests of one project.
    pub share: usize,
    /// The most requests of one project that may wait.
    pub waiting: usize,
    /// The longest time a request waits.
    pub patience: Duration,
    /// The reason in the error of a request that got no place.
    pub taken: &'static str,
}

/// Cheap to clone; clones share the places.
#[derive(Clone)]
pub struct Turns {
    places: Places,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    taken: usize,
    /// Running requests by project. A project without any is absent.
    working: HashMap<ProjectId, Working>,
    work: Work,
    /// Projects with waiting requests. A project moves to the end when one of its turns ends.
    waiting: Vec<(ProjectId, VecDeque<oneshot::Sender<Turn>>)>,
}

/// The running requests of a project.
#[derive(Clone, Copy, Default)]
struct Working {
    places: usize,
    has_first: bool,
}

/// The time that each project worked lately. Those that did not work at all are absent.
#[derive(Default)]
struct Work(HashMap<ProjectId, Worked>);

/// Seconds of work as of a moment.
#[derive(Clone, Copy)]
struct Worked {
    seconds: f64,
    at: Instant,
}

impl Worked {
    fn seconds_at(self, now: Instant) -> f64 {
        let half_lives = now.duration_since(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.seconds * (-half_lives).exp2()
    }
}

impl Work {
    /// Adds work that ended now.
    fn add(&mut self, project_id: ProjectId, took: Duration, now: Instant) {
        self.0.retain(|_, worked| worked.seconds_at(now) >= WORK_LEAST.as_secs_f64());
        let before = self.0.get(&project_id).map_or(0.0, |worked| worked.seconds_at(now));
        self.0.insert(project_id, Worked { seconds: before + took.as_secs_f64(), at: now });
    }

    /// True if the project worked much longer than others did lately.
    fn was_long(&self, project_id: ProjectId, now: Instant) -> bool {
        let seconds = |worked: &Worked| worked.seconds_at(now);
        let own = self.0.get(&project_id).map_or(0.0, seconds);
        let average = self.0.values().map(seconds).sum::<f64>() / self.0.len().max(1) as f64;
        own > LONG * average
    }
}

/// A place. It becomes free when this is dropped.
pub struct Turn {
    project_id: ProjectId,
    /// It occupies its project's precedence.
    is_first: bool,
    /// It has that precedence.
    goes_first: bool,
    since: Instant,
    turns: Turns,
}

impl Turns {
    pub fn new(places: Places) -> Self {
        Turns { places, state: Arc::default() }
    }

    /// Waits for a place. Returns `Unavailable` if the project's queue is full, or after `patience`.
    pub async fn take(&self, project_id: ProjectId) -> Result<Turn> {
        let unavailable = || Error::unavailable(self.places.taken);
        let granted = self.lock().queue(project_id, self.places.waiting).ok_or_else(unavailable)?;
        self.grant();
        match tokio::time::timeout(self.places.patience, granted).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(unavailable()),
        }
    }

    /// Gives free places to requests that wait.
    fn grant(&self) {
        loop {
            let next = {
                let mut state = self.lock();
                if state.taken >= self.places.all { None } else { state.next(self.places.share) }
            };
            let Some((project_id, is_first, goes_first, waiter)) = next else { return };
            let (since, turns) = (Instant::now(), self.clone());
            // Outside the lock: if the waiter is gone, the turn is dropped here, and its drop takes the lock.
            drop(waiter.send(Turn { project_id, is_first, goes_first, since, turns }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds a request at the end of its project's queue; `None` if that is full.
    fn queue(&mut self, project_id: ProjectId, waiting_max: usize) -> Option<oneshot::Receiver<Turn>> {
        self.forget_gone();
        let at = self.waiting.iter().position(|(waiting, _)| *waiting == project_id).unwrap_or_else(|| {
            self.waiting.push((project_id, VecDeque::new()));
            self.waiting.len() - 1
        });
        let (_, waiters) = &mut self.waiting[at];
        if waiters.len() >= waiting_max {
            return None;
        }
        let (grant, granted) = oneshot::channel();
        waiters.push_back(grant);
        Some(granted)
    }

    /// Takes a place for the waiting project with the fewest places. Tells whether it is the project's first, and whether
    /// it goes before the further ones of all. Of equals, the first in the list wins.
    fn next(&mut self, share: usize) -> Option<(ProjectId, bool, bool, oneshot::Sender<Turn>)> {
        self.forget_gone();
        let working = |project_id: &ProjectId| self.working.get(project_id).map_or(0, |working| working.places);
        let fewest = self.waiting.iter().enumerate().map(|(at, (project_id, _))| (working(project_id), at)).min();
        let (_, at) = fewest.filter(|(working, _)| *working < share)?;
        let (project_id, waiters) = &mut self.waiting[at];
        let waiter = waiters.pop_front()?;
        self.taken += 1;
        let working = self.working.entry(*project_id).or_default();
        working.places += 1;
        let is_first = !std::mem::replace(&mut working.has_first, true);
        let project_id = *project_id;
        Some((project_id, is_first, is_first && !self.work.was_long(project_id, Instant::now()), waiter))
    }

    /// Frees a place of the project and moves the project behind all others that wait.
    fn end(&mut self, project_id: ProjectId, is_first: bool, took: Duration) {
        self.taken -= 1;
        self.work.add(project_id, took, Instant::now());
        if let Some(working) = self.working.get_mut(&project_id) {
            working.places -= 1;
            working.has_first &= !is_first;
            if working.places == 0 {
                self.working.remove(&project_id);
            }
        }
        self.waiting.sort_by_key(|(waiting, _)| *waiting == project_id);
    }

    fn forget_gone(&mut self) {
        self.waiting.retain_mut(|(_, waiters)| {
            waiters.retain(|waiter| !waiter.is_closed());
            !waiters.is_empty()
        });
    }
}

impl Turn {
    /// One request of each project goes before the further ones of all, unless the project worked much longer than the
    /// others lately.
    pub fn goes_first(&self) -> bool {
        self.goes_first
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().end(self.project_id, self.is_first, self.since.elapsed());
        self.turns.grant();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const PLACES: Places =
        Places { all: 3, share: 2, waiting: 4, patience: Duration::from_secs(60), taken: "others are asking" };

    fn project(number: u128) -> ProjectId {
        ProjectId(Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn one_project_never_has_all_places() {
        let turns = Turns::new(PLACES);
        let (first, _second) = (turns.take(project(1)).await.expect("a place"), turns.take(project(1)).await);
        let third = turns.take(project(1));
        tokio::pin!(third);
        assert!(futures::poll!(&mut third).is_pending(), "its share is used up");
        let _other = turns.take(project(2)).await.expect("the place that is left");
        drop(first);
        third.await.expect("a place of its own share");
    }

    #[tokio::test]
    async fn one_request_of_each_project_is_its_first() {
        let turns = Turns::new(PLACES);
        let (first, second) = (turns.take(project(1)).await.expect("a place"), turns.take(project(1)).await);
        let other = turns.take(project(2)).await.expect("a place");
        let second = second.expect("a place");
        assert!(first.goes_first() && !second.goes_first() && other.goes_first());
        drop(first);
        assert!(turns.take(project(1)).await.expect("a place").goes_first(), "the other one does not");
        drop(second);
    }

    #[test]
    fn a_project_that_worked_much_longer_than_others_goes_before_nobody_for_a_while() {
        let (mut work, begin) = (Work::default(), Instant::now());
        let after = |seconds| begin + Duration::from_secs(seconds);
        work.add(project(1), Duration::from_secs(12), begin);
        assert!(!work.was_long(project(1), begin), "nobody else works");
        work.add(project(2), Duration::from_millis(200), begin);
        assert!(work.was_long(project(1), begin), "it worked 60 times as long");
        assert!(!work.was_long(project(2), begin));
        work.add(project(2), Duration::from_secs(5), after(10));
        assert!(!work.was_long(project(1), after(10)), "half of its work is forgotten");
        work.add(project(3), Duration::from_secs(1), after(600));
        assert_eq!(work.0.len(), 1, "and in the end all");
    }

    #[tokio::test]
    async fn a_free_place_goes_to_the_project_with_the_fewest() {
        let turns = Turns::new(PLACES);
        let mut held = vec![turns.take(project(1)).await, turns.take(project(1)).await, turns.take(project(2)).await];
        let (of_one, of_three) = (turns.take(project(1)), turns.take(project(3)));
        tokio::pin!(of_one, of_three);
        assert!(futures::poll!(&mut of_one).is_pending() && futures::poll!(&mut of_three).is_pending());
        drop(held.swap_remove(0));
        let _three = of_three.await.expect("it came later and has none");
        assert!(futures::poll!(&mut of_one).is_pending());
        held.clear();
        of_one.await.expect("a place");
    }

    #[tokio::test]
    async fn a_project_with_many_requests_is_one_among_those_that_wait() {
        let turns = Turns::new(Places { all: 1, share: 1, waiting: 100, ..PLACES });
        let first = turns.take(project(1)).await;
        let more: Vec<_> = (0..100).map(|_| turns.take(project(1))).collect();
        let mut flood = Box::pin(futures::future::select_all(more.into_iter().map(Box::pin)));
        let mut others = [2, 3].map(|number| Box::pin(turns.take(project(number))));
        assert!(futures::poll!(&mut flood).is_pending());
        for other in &mut others {
            assert!(futures::poll!(other).is_pending());
        }
        // Each other project waits for one turn of each project before it, not for a hundred.
        drop(first);
        for other in others {
            let turn = other.await.expect("a turn");
            assert!(futures::poll!(&mut flood).is_pending());
            drop(turn);
        }
        let (_turn, _, rest) = flood.await;
        assert_eq!(rest.len(), 99);
    }

    #[tokio::test]
    async fn a_request_that_gets_no_place_gets_an_error_and_leaves_nothing_behind() {
        let turns = Turns::new(Places { all: 1, share: 1, patience: Duration::from_millis(50), ..PLACES });
        let held = turns.take(project(1)).await.expect("a place");
        let waiting: Vec<_> = (0..4).map(|_| Box::pin(turns.take(project(1)))).collect();
        let mut waiting = futures::future::join_all(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        assert!(matches!(turns.take(project(1)).await, Err(Error::Unavailable { .. })), "too many wait");
        assert!(waiting.await.iter().all(Result::is_err), "none came in time");
        drop(held);
        let gone = Box::pin(turns.take(project(1)));
        drop(gone);
        drop(turns.take(project(2)).await.expect("a place"));
        let state = turns.lock();
        assert_eq!((state.taken, state.working.len(), state.waiting.len()), (0, 0, 0));
    }
}
