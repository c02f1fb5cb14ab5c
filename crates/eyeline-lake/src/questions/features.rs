//! Ranks the features of an application by use.

use super::EventType;
use super::counts::{CountQuestion, counts};
use crate::budget::Budget;
use crate::error::Result;
use crate::file::Files;
use crate::scan::{Filter, Snapshot};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    pub kind: EventType,
    pub count: u64,
    /// Distinct values of `session_id`.
    pub sessions: u64,
}

/// Every type that has events, most used first; equal ones by name.
pub fn features(files: &Files, snapshot: &Snapshot, filter: &Filter, budget: &Budget) -> Result<Vec<Feature>> {
    let question = CountQuestion { buckets: None, by_application: false, by_category: true, by_name: true };
    let mut features: Vec<Feature> = counts(files, snapshot, filter, &question, budget)?
        .into_iter()
        .filter_map(|row| {
            let kind = EventType { category: row.group.category?, name: row.group.name? };
            Some(Feature { kind, count: row.count, sessions: row.sessions })
        })
        .collect();
    features.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.kind.cmp(&other.kind)));
    Ok(features)
}
