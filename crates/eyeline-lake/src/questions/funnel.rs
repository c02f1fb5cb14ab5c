//! How many visits get from step to step, in the order of the steps and within a time.

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
    /// Visits in which this step followed on all before it, the first and this one at most `within` apart.
    pub visits: u64,
}

/// One entry for each of `steps`, however many there are. Other events may lie between the steps; one event is one step.
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
        // The later place first, so that one event never is two steps of one visit.
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
    /// For each type that is a step: at which places.
    places: Vec<Vec<usize>>,
    /// Visits by the last place that they reached.
    reached: Vec<u64>,
}

/// For each place that was reached: when the chain of steps up to it began, the latest beginning there is. A later
/// beginning leaves more time for all that follows.
type Chains = Vec<Option<i64>>;

impl Visitor for Walking {
    /// Empty until the first step is met.
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
