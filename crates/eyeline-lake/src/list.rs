//! Reads single events: the newest ones, and one by its id.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use eyeline_core::{ApplicationId, EventId, ProjectId, Timestamp};
use parquet::arrow::arrow_reader::RowSelection;
use serde::{Deserialize, Serialize};

use crate::batch::{Columns, Record, id_at};
use crate::budget::Budget;
use crate::error::Result;
use crate::file::{FileRef, Files, Footer};
use crate::scan::{Filter, Snapshot};
use crate::schema::Column;

/// Rows that are read for one page. Beyond that the page is returned as far as it got.
const LOOK_MAX: usize = 4_000_000;

/// Which time events are listed by, the newest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// When they happened, as their sender tells.
    #[default]
    Timestamp,
    /// When the server took them in.
    ReceivedAt,
}

impl Order {
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "timestamp" => Some(Order::Timestamp),
            "received_at" => Some(Order::ReceivedAt),
            _ => None,
        }
    }

    fn column(self) -> Column {
        match self {
            Order::Timestamp => Column::Timestamp,
            Order::ReceivedAt => Column::ReceivedAt,
        }
    }

    /// The time of the first event in the file, in microseconds.
    fn first_in(self, file: &FileRef) -> i64 {
        let first = match self {
            Order::Timestamp => file.facts.first_timestamp,
            Order::ReceivedAt => file.facts.first_received_at,
        };
        first.micros()
    }
}

/// The place of an event in a list of this order. Places are unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub order: Order,
    /// Microseconds since 1970.
    pub at: i64,
    pub partition: u32,
    pub offset: i64,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub records: Vec<Record>,
    /// The place after which the list continues with older events. It may continue although the page is not full.
    pub next: Option<Place>,
}

/// A set of rows that are read together.
enum Part {
    Group { file: usize, footer: Arc<Footer>, index: usize, only_project: bool },
    Tail(usize),
}

/// The newest wanted events before `before`, a place of the same order, at most `limit`.
pub fn list(
    files: &Files,
    snapshot: &Snapshot,
    filter: &Filter,
    order: Order,
    before: Option<Place>,
    limit: usize,
    budget: &Budget,
) -> Result<Found> {
    let wanted = filter.rows_in(snapshot);
    let mut parts = Vec::new();
    for (index, file) in snapshot.files.iter().enumerate() {
        let is_past = before.is_some_and(|before| order.first_in(file) > before.at);
        if is_past || !filter.may_be_in_file(file) {
            continue;
        }
        let footer = files.footer(file)?;
        for group in footer.row_groups().filter(|group| filter.may_be_in_group(group)) {
            let (first, last) = group.numbers(order.column()).unwrap_or((i64::MIN, i64::MAX));
            if before.is_none_or(|before| first <= before.at) {
                let only_project = group.projects() == Some((filter.project_id, filter.project_id));
                let part = Part::Group { file: index, footer: footer.clone(), index: group.index, only_project };
                parts.push((last, part));
            }
        }
    }
    for (index, batch) in snapshot.tail.iter().enumerate() {
        let times = Columns(batch).times(order.column())?;
        if let Some(last) = times.values().iter().max() {
            parts.push((*last, Part::Tail(index)));
        }
    }
    parts.sort_by_key(|(last, _)| Reverse(*last));

    // The newest events so far, with the oldest of them on top. One more than `limit` shows that the list continues.
    let mut newest: BinaryHeap<Reverse<(Place, usize, usize)>> = BinaryHeap::with_capacity(limit + 2);
    let mut looked_at = 0;
    let mut stopped_at = None;
    for (number, (last, part)) in parts.iter().enumerate() {
        if newest.len() > limit && newest.peek().is_some_and(|Reverse((place, ..))| place.at > *last) {
            break;
        }
        if looked_at >= LOOK_MAX {
            stopped_at = Some(Place { order, at: *last, partition: u32::MAX, offset: i64::MAX });
            break;
        }
        let mut look = |batch: &RecordBatch, only_project: bool, at: usize| -> Result<()> {
            budget.check()?;
            let columns = Columns(batch);
            let times = columns.times(order.column())?.values();
            let (partitions, offsets) = (columns.partitions()?.values(), columns.offsets()?.values());
            for row in wanted.of(batch, only_project)?.into_iter().map(|row| row as usize) {
                let place = Place { order, at: times[row], partition: partitions[row], offset: offsets[row] };
                if before.is_some_and(|before| place >= before) {
                    continue;
                }
                newest.push(Reverse((place, number, at + row)));
                if newest.len() > limit + 1 {
                    newest.pop();
                }
            }
            Ok(())
        };
        match part {
            Part::Tail(index) => {
                looked_at += snapshot.tail[*index].num_rows();
                look(&snapshot.tail[*index], false, 0)?;
            }
            Part::Group { file, footer, index, only_project } => {
                let mut columns = wanted.columns(*only_project);
                columns.extend([order.column(), Column::Partition, Column::Offset]);
                columns.sort();
                columns.dedup();
                let mut reading = files.read(&snapshot.files[*file], footer, vec![*index], &columns, None, budget)?;
                let mut at = 0;
                while let Some(batch) = reading.next()? {
                    look(&batch, *only_project, at)?;
                    at += batch.num_rows();
                }
                looked_at += at;
            }
        }
    }

    let mut newest: Vec<(Place, usize, usize)> = newest.into_iter().map(|Reverse(found)| found).collect();
    newest.sort_unstable_by_key(|(place, ..)| Reverse(*place));
    // Events beyond the place where the reading stopped may have newer neighbours that were not read.
    if let Some(stopped_at) = stopped_at {
        newest.retain(|(place, ..)| *place > stopped_at);
    }
    let goes_on = newest.len() > limit;
    newest.truncate(limit);
    let next = if goes_on { newest.last().map(|(place, ..)| *place) } else { stopped_at };
    let records = read_rows(files, snapshot, &parts, &newest, budget)?;
    Ok(Found { records, next })
}

/// The events at these rows of these parts, in the given order.
fn read_rows(
    files: &Files,
    snapshot: &Snapshot,
    parts: &[(i64, Part)],
    wanted: &[(Place, usize, usize)],
    budget: &Budget,
) -> Result<Vec<Record>> {
    let mut records: Vec<(usize, Record)> = Vec::with_capacity(wanted.len());
    for (number, (_, part)) in parts.iter().enumerate() {
        let mut rows: Vec<(usize, usize)> = wanted
            .iter()
            .enumerate()
            .filter(|(_, (_, of, _))| *of == number)
            .map(|(index, (_, _, row))| (*row, index))
            .collect();
        if rows.is_empty() {
            continue;
        }
        rows.sort_unstable();
        match part {
            Part::Tail(index) => {
                for (row, place) in rows {
                    records.push((place, Columns(&snapshot.tail[*index]).record(row)?));
                }
            }
            Part::Group { file, footer, index, .. } => {
                let only: Vec<usize> = rows.iter().map(|(row, _)| *row).collect();
                let found = rows_of_group(files, &snapshot.files[*file], footer, *index, &only, budget)?;
                records.extend(rows.into_iter().map(|(_, place)| place).zip(found));
            }
        }
    }
    records.sort_unstable_by_key(|(place, _)| *place);
    Ok(records.into_iter().map(|(_, record)| record).collect())
}

/// The events at these sorted rows of a row group.
pub(crate) fn rows_of_group(
    files: &Files,
    file: &FileRef,
    footer: &Footer,
    group: usize,
    rows: &[usize],
    budget: &Budget,
) -> Result<Vec<Record>> {
    let mut records = Vec::with_capacity(rows.len());
    visit_rows_of_group(files, file, footer, group, rows, budget, |record| records.push(record))?;
    Ok(records)
}

/// Like [`rows_of_group`], one at a time, so that at most a batch is in memory.
pub(crate) fn visit_rows_of_group(
    files: &Files,
    file: &FileRef,
    footer: &Footer,
    group: usize,
    rows: &[usize],
    budget: &Budget,
    mut visit: impl FnMut(Record),
) -> Result<()> {
    let ranges = rows.iter().map(|row| Range { start: *row, end: *row + 1 });
    let total = footer.rows_of(group);
    let selection = RowSelection::from_consecutive_ranges(ranges, total);
    let mut reading = files.read(file, footer, vec![group], &Column::ALL, Some(selection), budget)?;
    while let Some(batch) = reading.next()? {
        for row in 0..batch.num_rows() {
            visit(Columns(&batch).record(row)?);
        }
    }
    Ok(())
}

/// The event with this id of the application, unless it is hidden. `received` limits the search to a range of receipt
/// times, both ends included; `project_id` limits it to the project's rows.
pub fn find(
    files: &Files,
    snapshot: &Snapshot,
    project_id: Option<ProjectId>,
    application_id: ApplicationId,
    event_id: EventId,
    received: Option<(Timestamp, Timestamp)>,
    budget: &Budget,
) -> Result<Option<Record>> {
    let (application_id, event_id) = (application_id.0.as_u128(), event_id.0.as_u128());
    let shown = |record: Record| {
        Some(record).filter(|record| !snapshot.hidden.iter().any(|hidden| hidden.covers(&record.event)))
    };
    let row_in = |batch: &RecordBatch| -> Result<Option<usize>> {
        let columns = Columns(batch);
        let (events, applications) = (columns.ids(Column::EventId)?, columns.ids(Column::ApplicationId)?);
        let is_it = |row: &usize| id_at(events, *row) == event_id && id_at(applications, *row) == application_id;
        Ok((0..batch.num_rows()).find(is_it))
    };
    for batch in snapshot.tail.iter() {
        if let Some(row) = row_in(batch)? {
            return Ok(shown(Columns(batch).record(row)?));
        }
    }
    let may_be_in =
        |(first, last): (i64, i64)| received.is_none_or(|(from, to)| last >= from.micros() && first <= to.micros());
    let times = |file: &FileRef| (file.facts.first_received_at.micros(), file.facts.last_received_at.micros());
    let mut wanted: Vec<&FileRef> = snapshot.files.iter().filter(|file| may_be_in(times(file))).collect();
    wanted.sort_by_key(|file| Reverse(file.facts.last_received_at));
    for file in wanted {
        let footer = files.footer(file)?;
        for group in footer.row_groups().rev() {
            let may_be_its = |(first, last)| project_id.is_none_or(|project_id| (first..=last).contains(&project_id));
            if !group.projects().is_none_or(may_be_its) || !group.numbers(Column::ReceivedAt).is_none_or(may_be_in) {
                continue;
            }
            let columns = [Column::EventId, Column::ApplicationId];
            let mut reading = files.read(file, &footer, vec![group.index], &columns, None, budget)?;
            let mut at = 0;
            while let Some(batch) = reading.next()? {
                budget.check()?;
                if let Some(row) = row_in(&batch)? {
                    let found = rows_of_group(files, file, &footer, group.index, &[at + row], budget)?;
                    return Ok(found.into_iter().next().and_then(shown));
                }
                at += batch.num_rows();
            }
        }
    }
    Ok(None)
}
