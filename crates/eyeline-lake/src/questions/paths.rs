//! Counts the paths of visits through features.

use hashbrown::HashMap;

use super::EventType;
use super::types::Types;
use super::visits::{Visitor, walk};
use crate::budget::Budget;
use crate::error::Result;
use crate::file::Files;
use crate::scan::{Filter, Snapshot};

/// The most steps of a path.
pub(crate) const DEPTH_MAX: usize = 5;
/// Bits of a step in a path's key. A query has no memory for more types than that.
const STEP_BITS: u32 = 25;

/// The part of a visit whose paths count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    /// Every run of steps.
    #[default]
    Anywhere,
    /// The visit's first steps.
    Start,
    /// The visit's last steps.
    End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathQuestion {
    /// Steps of a path: 2 to 5.
    pub depth: usize,
    pub anchor: Anchor,
    /// Only paths with this first step.
    pub first: Option<EventType>,
    /// Only paths with this last step.
    pub last: Option<EventType>,
    /// The most paths, and the most transitions, in the answer.
    pub rows_max: usize,
}

/// Consecutive steps of visits. A repeated step counts as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub steps: Vec<EventType>,
    pub count: u64,
}

/// Most common first; equal ones by their steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// Paths of exactly the requested depth.
    pub paths: Vec<Path>,
    /// Transitions from one step to the next, anywhere in a visit.
    pub transitions: Vec<Path>,
    pub visits: u64,
}

pub fn paths(
    files: &Files,
    snapshot: &Snapshot,
    filter: &Filter,
    question: &PathQuestion,
    budget: &Budget,
) -> Result<Paths> {
    let mut types = Types::default();
    let number = |types: &mut Types, kind: &Option<EventType>| {
        kind.as_ref().map(|kind| types.number(&kind.category, &kind.name))
    };
    let (first, last) = (number(&mut types, &question.first), number(&mut types, &question.last));
    let mut walking = Walking {
        depth: question.depth.clamp(2, DEPTH_MAX),
        anchor: question.anchor,
        first,
        last,
        paths: HashMap::new(),
        transitions: HashMap::new(),
        visits: 0,
    };
    walk(files, snapshot, filter, budget, &mut types, &mut walking)?;
    Ok(Paths {
        paths: most(&walking.paths, walking.depth, question.rows_max, &types),
        transitions: most(&walking.transitions, 2, question.rows_max, &types),
        visits: walking.visits,
    })
}

struct Walking {
    depth: usize,
    anchor: Anchor,
    first: Option<u32>,
    last: Option<u32>,
    paths: HashMap<u128, u64>,
    transitions: HashMap<u128, u64>,
    visits: u64,
}

/// The last steps of a visit, newest last.
#[derive(Clone, Copy, Default)]
struct Trail {
    steps: [u32; DEPTH_MAX],
    /// The number of steps so far, capped just above the size of the trail.
    count: u8,
}

impl Trail {
    fn last(&self, depth: usize) -> &[u32] {
        &self.steps[DEPTH_MAX - depth..]
    }
}

impl Visitor for Walking {
    type Visit = Trail;

    fn event(&mut self, trail: &mut Trail, _at: i64, kind: u32) {
        if trail.count > 0 && trail.steps[DEPTH_MAX - 1] == kind {
            return;
        }
        trail.steps.rotate_left(1);
        trail.steps[DEPTH_MAX - 1] = kind;
        trail.count = trail.count.saturating_add(1);
        if trail.count >= 2 {
            *self.transitions.entry(key(trail.last(2))).or_default() += 1;
        }
        let count = usize::from(trail.count);
        let counts = match self.anchor {
            Anchor::Anywhere => count >= self.depth,
            Anchor::Start => count == self.depth,
            Anchor::End => false,
        };
        if counts {
            self.add(trail);
        }
    }

    fn end(&mut self, trail: Trail) {
        self.visits += 1;
        if self.anchor == Anchor::End && usize::from(trail.count) >= self.depth {
            self.add(&trail);
        }
    }

    fn bytes(&self, _visits: usize) -> usize {
        (self.paths.capacity() + self.transitions.capacity()) * (size_of::<(u128, u64)>() + 1)
    }
}

impl Walking {
    fn add(&mut self, trail: &Trail) {
        let steps = trail.last(self.depth);
        let fits = |wanted: Option<u32>, step: u32| wanted.is_none_or(|wanted| wanted == step);
        if fits(self.first, steps[0]) && fits(self.last, steps[self.depth - 1]) {
            *self.paths.entry(key(steps)).or_default() += 1;
        }
    }
}

fn key(steps: &[u32]) -> u128 {
    steps.iter().fold(0, |key, step| key << STEP_BITS | u128::from(*step))
}

fn most(counted: &HashMap<u128, u64>, depth: usize, rows_max: usize, types: &Types) -> Vec<Path> {
    // The count of the answer's last row. Only paths that reach it are spelled out.
    let mut counts: Vec<u64> = counted.values().copied().collect();
    counts.sort_unstable_by(|one, other| other.cmp(one));
    let least = counts.get(rows_max.saturating_sub(1)).copied().unwrap_or(0);
    let reaching = counted.iter().filter(|(_, count)| **count >= least);
    let mut paths: Vec<Path> =
        reaching.map(|(key, count)| Path { steps: spell(*key, depth, types), count: *count }).collect();
    paths.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.steps.cmp(&other.steps)));
    paths.truncate(rows_max);
    paths
}

fn spell(key: u128, depth: usize, types: &Types) -> Vec<EventType> {
    let step = |place: usize| (key >> (STEP_BITS as usize * (depth - 1 - place))) as u32 & ((1 << STEP_BITS) - 1);
    (0..depth).map(|place| types.get(step(place))).collect()
}
