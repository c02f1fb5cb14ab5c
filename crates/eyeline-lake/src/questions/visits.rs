//! Visits: the events of one session without a long silence, walked in the order of time.
//!
//! Only visits that may still continue are kept. The memory of a walk therefore depends on the number of concurrent
//! visits, not on the length of the time span.

use std::ops::ControlFlow;

use arrow_array::RecordBatch;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::SILENCE;
use super::types::Types;
use crate::batch::{Columns, id_at};
use crate::budget::Budget;
use crate::error::Result;
use crate::file::Files;
use crate::merge::{Page, in_order_of_time};
use crate::scan::{Filter, Snapshot, Source};
use crate::schema::Column;

/// The number of kept visits from which ended ones are removed.
const KEPT_MIN: usize = 16 * 1024;

/// Receives the events of many concurrent visits.
pub(crate) trait Visitor {
    /// The state of a visit.
    type Visit: Default;

    /// Handles the next event of a visit: its time in microseconds, and the number of its type.
    fn event(&mut self, visit: &mut Self::Visit, at: i64, kind: u32);

    fn end(&mut self, visit: Self::Visit);

    /// The bytes of this state and of `visits` visits.
    fn bytes(&self, visits: usize) -> usize;
}

struct Steps {
    times: Vec<i64>,
    sessions: Vec<u128>,
    kinds: Vec<u32>,
}

impl Page for Steps {
    fn times(&self) -> &[i64] {
        &self.times
    }
}

struct Open<V> {
    last: i64,
    visit: V,
}

/// Walks over all visits. `types` assigns the numbers of types.
pub(crate) fn walk<V: Visitor>(
    files: &Files,
    snapshot: &Snapshot,
    filter: &Filter,
    budget: &Budget,
    types: &mut Types,
    visitor: &mut V,
) -> Result<()> {
    let silence = i64::try_from(SILENCE.as_micros()).unwrap_or(i64::MAX);
    let is_over = |last: i64, now: i64| now.saturating_sub(last) > silence;
    let mut open: HashMap<u128, Open<V::Visit>> = HashMap::new();
    let mut look_at = KEPT_MIN;
    let columns = [Column::Timestamp, Column::SessionId, Column::Category, Column::Name];
    in_order_of_time(
        Source::of(files, snapshot, filter, &columns)?,
        budget,
        |batch, rows| read(batch, rows, types, budget),
        |steps, next| {
            for row in next {
                let (at, kind) = (steps.times[row], steps.kinds[row]);
                match open.entry(steps.sessions[row]) {
                    Entry::Occupied(mut entry) => {
                        let entry = entry.get_mut();
                        if is_over(entry.last, at) {
                            visitor.end(std::mem::take(&mut entry.visit));
                        }
                        entry.last = at;
                        visitor.event(&mut entry.visit, at, kind);
                    }
                    Entry::Vacant(entry) => {
                        let entry = entry.insert(Open { last: at, visit: V::Visit::default() });
                        visitor.event(&mut entry.visit, at, kind);
                    }
                }
                if open.len() >= look_at {
                    for (_, over) in open.extract_if(|_, open| is_over(open.last, at)) {
                        visitor.end(over.visit);
                    }
                    look_at = (2 * open.len()).max(KEPT_MIN);
                }
            }
            let kept = open.capacity() * (size_of::<(u128, Open<V::Visit>)>() + 1);
            budget.check_bytes(kept + visitor.bytes(open.len()))?;
            Ok(ControlFlow::Continue(()))
        },
    )?;
    open.into_values().for_each(|open| visitor.end(open.visit));
    Ok(())
}

fn read(batch: &RecordBatch, rows: &[u32], types: &mut Types, budget: &Budget) -> Result<Steps> {
    let columns = Columns(batch);
    let (times, sessions) = (columns.times(Column::Timestamp)?.values(), columns.ids(Column::SessionId)?);
    Ok(Steps {
        times: rows.iter().map(|row| times[*row as usize]).collect(),
        sessions: rows.iter().map(|row| id_at(sessions, *row as usize)).collect(),
        kinds: types.read(batch, rows, budget)?,
    })
}
