//! Counts the visits that reach each step of a funnel, in order and within a time.

use std::time::Duration;

use super::EventType;
use super::types::Types;
use super::visits::{Visitor, walk};
use crate::budget::Budget;
use crate::error::Result;
use crate::file::Files;
use crate::scan::{Filter, Snapshot};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunnelStep {
    pub kind: EventType,
    /// Visits in which this step followed all earlier ones, at most `within` after the first step.
    pub visits: u64,
}

/// One entry for each of `steps`. Other events may lie between the steps. One event counts as one step.
pub fn funnel(
    files: &Files,
    snapshot: &Snapshot,
    filter: &Filter,
    steps: &[EventType],
    within: Duration,
    budget: &Budget,
) -> Result<Vec<FunnelStep>> {
    let mut types = Types::default();
    let mut places = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let number = types.number(&step.category, &step.name) as usize;
        places.resize_with(types.len(), Vec::new);
        // Later places first, so that one event never counts as two steps of a visit.
        places[number].insert(0, place);
    }
    let mut walking = Walking {
        within: i64::try_from(within.as_micros()).unwrap_or(i64::MAX),
        places,
        reached: vec![0; steps.len()],
    };
    walk(files, snapshot, filter, budget, &mut types, &mut walking)?;
    let visits = |place: usize| walking.reached[place..].iter().sum();
    let answer = steps.iter().enumerate().map(|(place, kind)| FunnelStep { kind: kind.clone(), visits: visits(place) });
    Ok(answer.collect())
}

struct Walking {
    within: i64,
    /// The places of each type among the steps.
    places: Vec<Vec<usize>>,
    /// Visits by the last place that they reached.
    reached: Vec<u64>,
}

/// For each reached place, the start of the chain of steps that leads to it. The latest start is kept, because it
/// leaves the most time for later steps.
type Chains = Vec<Option<i64>>;

impl Visitor for Walking {
    /// Empty until the first step occurs.
    type Visit = Chains;

    fn event(&mut self, chains: &mut Chains, at: i64, kind: u32) {
        let Some(places) = self.places.get(kind as usize) else { return };
        for place in places.iter().copied() {
            if place == 0 {
                if chains.is_empty() {
                    chains.push(None);
                }
                chains[0] = Some(at);
                continue;
            }
            let Some(Some(began)) = chains.get(place - 1).copied() else { continue };
            if at - began > self.within {
                continue;
            }
            if chains.len() == place {
                chains.push(None);
            }
            chains[place] = chains[place].max(Some(began));
        }
    }

    fn end(&mut self, chains: Chains) {
        if let Some(last) = chains.len().checked_sub(1) {
            self.reached[last] += 1;
        }
    }

    fn bytes(&self, visits: usize) -> usize {
        visits * self.reached.len() * size_of::<Option<i64>>()
    }
}
