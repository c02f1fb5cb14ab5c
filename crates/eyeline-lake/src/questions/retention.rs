//! Counts returning visitors.

use arrow_array::Array as _;
use eyeline_core::Timestamp;
use hashbrown::HashMap;

use super::buckets::Buckets;
use crate::batch::Columns;
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::file::Files;
use crate::scan::{Filter, Snapshot, scan};
use crate::schema::Column;

/// The most periods of one query: each visitor has one bit for each.
pub(crate) const PERIODS_MAX: i64 = u64::BITS as i64;
/// Bytes of a visitor in addition to its name.
const VISITOR_BYTES: usize = 2 * (size_of::<(Box<str>, u64)>() + 1) + 16;

/// Visitors first seen in the same period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cohort {
    pub begin: Timestamp,
    /// Visitors seen in the first period (the whole cohort), in the one after it, and so on to the last period.
    pub visitors: Vec<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    pub cohorts: Vec<Cohort>,
    /// Events without a visitor id.
    pub events_without_visitor: u64,
}

/// Cohorts by period. Visitors are distinguished only by `visitor_id`. A visitor is new in the first period with an
/// event that the filter accepts. `filter` must have both ends, at most 64 periods apart.
pub fn retention(
    files: &Files,
    snapshot: &Snapshot,
    filter: &Filter,
    period: &Buckets,
    budget: &Budget,
) -> Result<Retention> {
    let (Some(from), Some(to)) = (filter.from, filter.to) else {
        return Err(Error::Refused("from and to are needed.".to_owned()));
    };
    let first = period.number(from);
    // `to` itself is excluded.
    let last = period.number(Timestamp::from_micros(to.micros().saturating_sub(1)));
    if last - first >= PERIODS_MAX {
        return Err(Error::Refused(format!("At most {PERIODS_MAX} periods are compared: ask about a shorter time.")));
    }
    let mut seen: HashMap<Box<str>, u64> = HashMap::new();
    let mut names_bytes = 0;
    let mut answer = Retention::default();
    let columns = [Column::Timestamp, Column::VisitorId];
    scan(files, snapshot, filter, &columns, budget, |batch, rows| {
        let columns = Columns(batch);
        let (times, visitors) = (columns.times(Column::Timestamp)?, columns.texts(Column::VisitorId)?);
        for row in rows.iter().map(|row| *row as usize) {
            if visitors.is_null(row) {
                answer.events_without_visitor += 1;
                continue;
            }
            let number = period.number(Timestamp::from_micros(times.value(row))) - first;
            let bit = 1u64 << number.clamp(0, PERIODS_MAX - 1);
            let visitor = visitors.value(row);
            match seen.get_mut(visitor) {
                Some(periods) => *periods |= bit,
                None => {
                    names_bytes += visitor.len() + VISITOR_BYTES;
                    seen.insert(visitor.into(), bit);
                }
            }
        }
        budget.check_bytes(names_bytes)
    })?;
    let periods = usize::try_from(last - first + 1).unwrap_or(0);
    let mut table: Vec<Vec<u64>> = (0..periods).map(|cohort| vec![0; periods - cohort]).collect();
    for periods in seen.into_values() {
        let cohort = periods.trailing_zeros() as usize;
        let mut left = periods;
        while left != 0 {
            table[cohort][left.trailing_zeros() as usize - cohort] += 1;
            left &= left - 1;
        }
    }
    let cohorts = (first..).zip(table).filter(|(_, visitors)| visitors.first().is_some_and(|all| *all > 0));
    answer.cohorts = cohorts.map(|(number, visitors)| Cohort { begin: period.begin(number), visitors }).collect();
    Ok(answer)
}
