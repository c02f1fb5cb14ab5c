//! Selects the rows of a snapshot that a query covers.

use std::sync::Arc;

use arrow_array::RecordBatch;
use eyeline_core::{ApplicationId, Event, Outline, ProjectId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::batch::{Columns, Words, id_at};
use crate::budget::Budget;
use crate::error::Result;
use crate::file::{FileRef, Files, Footer, Reading, RowGroup};
use crate::schema::Column;

/// All events of one moment, each once: in files, or not flushed yet.
#[derive(Clone, Default)]
pub struct Snapshot {
    pub files: Vec<FileRef>,
    /// As made by [`tail`](crate::tail).
    pub tail: Arc<[RecordBatch]>,
    /// Events that no answer may show.
    pub hidden: Arc<[Hidden]>,
}

/// All events of a session, or of all sessions of a project, received up to a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hidden {
    pub project_id: ProjectId,
    pub session_id: Option<SessionId>,
    pub received_until: Timestamp,
}

impl Hidden {
    pub(crate) fn covers(&self, event: &Event) -> bool {
        event.project_id == self.project_id
            && self.session_id.is_none_or(|session_id| event.session_id == session_id)
            && event.received_at <= self.received_until
    }
}

/// Selects rows that the filter wants and that are not hidden.
#[derive(Clone)]
pub(crate) struct Rows {
    filter: Filter,
    /// Hidden sessions of the project (`None`: all of them), each up to a time of receipt.
    hidden: Arc<[(Option<u128>, i64)]>,
}

/// A filter of events; `None` matches all.
#[derive(Clone, Debug)]
pub struct Filter {
    pub project_id: ProjectId,
    pub application_id: Option<ApplicationId>,
    pub session_id: Option<SessionId>,
    pub category: Option<String>,
    pub name: Option<String>,
    /// Of the event's timestamp: from `from`, and before `to`.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// Conditions of a part of a query in addition to its filter. They name no project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Narrow {
    pub(crate) application_id: Option<ApplicationId>,
    pub(crate) session_id: Option<SessionId>,
    pub(crate) category: Option<String>,
    pub(crate) name: Option<String>,
    /// Microseconds since 1970: from `from`, and before `to`.
    pub(crate) from: Option<i64>,
    pub(crate) to: Option<i64>,
}

impl Filter {
    /// Matches all events of the project.
    pub fn of(project_id: ProjectId) -> Self {
        Filter { project_id, application_id: None, session_id: None, category: None, name: None, from: None, to: None }
    }

    /// The filter that accepts what both accept.
    pub(crate) fn narrowed(&self, narrow: &Narrow) -> Filter {
        fn both<T: Clone + PartialEq>(one: &Option<T>, other: &Option<T>, is_possible: &mut bool) -> Option<T> {
            *is_possible &= one.is_none() || other.is_none() || one == other;
            one.clone().or_else(|| other.clone())
        }
        let mut is_possible = true;
        let to = [self.to, narrow.to.map(Timestamp::from_micros)].into_iter().flatten().min();
        let narrowed = Filter {
            project_id: self.project_id,
            application_id: both(&self.application_id, &narrow.application_id, &mut is_possible),
            session_id: both(&self.session_id, &narrow.session_id, &mut is_possible),
            category: both(&self.category, &narrow.category, &mut is_possible),
            name: both(&self.name, &narrow.name, &mut is_possible),
            from: self.from.max(narrow.from.map(Timestamp::from_micros)),
            to,
        };
        // No event equals two values.
        if is_possible { narrowed } else { Filter { to: Some(Timestamp::from_micros(i64::MIN)), ..narrowed } }
    }

    /// True if the filter accepts the event.
    pub fn wants(&self, event: &Event) -> bool {
        self.may_want(&event.outline())
            && self.category.as_ref().is_none_or(|category| *category == event.category)
            && self.name.as_ref().is_none_or(|name| *name == event.name)
    }

    /// False if the filter accepts no event with this outline.
    pub fn may_want(&self, outline: &Outline) -> bool {
        outline.project_id == self.project_id
            && self.application_id.is_none_or(|id| id == outline.application_id)
            && self.session_id.is_none_or(|id| id == outline.session_id)
            && (self.begin()..self.end()).contains(&outline.timestamp.micros())
    }

    /// Selects from the events of this snapshot.
    pub(crate) fn rows_in(&self, snapshot: &Snapshot) -> Rows {
        let hidden = snapshot.hidden.iter().filter(|hidden| hidden.project_id == self.project_id);
        let hidden = hidden
            .map(|hidden| (hidden.session_id.map(|session_id| session_id.0.as_u128()), hidden.received_until.micros()));
        Rows { filter: self.clone(), hidden: hidden.collect() }
    }

    /// The first accepted microsecond.
    fn begin(&self) -> i64 {
        self.from.map_or(i64::MIN, Timestamp::micros)
    }

    /// The first microsecond after the accepted ones.
    fn end(&self) -> i64 {
        self.to.map_or(i64::MAX, Timestamp::micros)
    }

    pub(crate) fn may_be_in_file(&self, file: &FileRef) -> bool {
        file.facts.last_timestamp.micros() >= self.begin() && file.facts.first_timestamp.micros() < self.end()
    }

    pub(crate) fn may_be_in_group(&self, group: &RowGroup<'_>) -> bool {
        let project = group.projects().is_none_or(|(first, last)| (first..=last).contains(&self.project_id));
        let time = group.numbers(Column::Timestamp);
        project && time.is_none_or(|(first, last)| last >= self.begin() && first < self.end())
    }
}

impl Rows {
    /// The columns needed to select rows. If a row group has a single project, its column is not needed.
    pub(crate) fn columns(&self, only_project: bool) -> Vec<Column> {
        let mut columns = vec![Column::Timestamp];
        let Filter { application_id, session_id, category, name, .. } = &self.filter;
        let hides = !self.hidden.is_empty();
        let needed = [
            (!only_project, Column::ProjectId),
            (application_id.is_some(), Column::ApplicationId),
            (session_id.is_some() || hides, Column::SessionId),
            (category.is_some(), Column::Category),
            (name.is_some(), Column::Name),
            (hides, Column::ReceivedAt),
        ];
        columns.extend(needed.into_iter().filter(|(needed, _)| *needed).map(|(_, column)| column));
        columns
    }

    /// The wanted rows of the batch, in order.
    pub(crate) fn of(&self, batch: &RecordBatch, only_project: bool) -> Result<Vec<u32>> {
        let columns = Columns(batch);
        let Filter { project_id, application_id, session_id, category, name, .. } = &self.filter;
        let (from, to) = (self.filter.begin(), self.filter.end());
        let times = columns.times(Column::Timestamp)?.values();
        let rows = 0..u32::try_from(times.len()).unwrap_or(u32::MAX);
        let mut rows: Vec<u32> = rows.filter(|row| (from..to).contains(&times[*row as usize])).collect();
        let ids = [
            (Column::ProjectId, Some(project_id.0).filter(|_| !only_project)),
            (Column::ApplicationId, application_id.map(|id| id.0)),
            (Column::SessionId, session_id.map(|id| id.0)),
        ];
        for (column, wanted) in ids {
            let Some(wanted) = wanted else { continue };
            let (ids, wanted) = (columns.ids(column)?, wanted.as_u128());
            rows.retain(|row| id_at(ids, *row as usize) == wanted);
        }
        for (column, wanted) in [(Column::Category, category), (Column::Name, name)] {
            let Some(wanted) = wanted else { continue };
            let words = columns.words(column)?;
            let fits = fitting(&words, wanted);
            rows.retain(|row| fits[words.key(*row as usize)]);
        }
        if !self.hidden.is_empty() {
            let (sessions, received) = (columns.ids(Column::SessionId)?, columns.times(Column::ReceivedAt)?);
            let is_hidden = |row: usize| {
                let session = id_at(sessions, row);
                self.hidden.iter().any(|(hidden, until)| {
                    hidden.is_none_or(|hidden| hidden == session) && received.value(row) <= *until
                })
            };
            rows.retain(|row| !is_hidden(*row as usize));
        }
        Ok(rows)
    }
}

/// For each word of a dictionary, true if it equals `wanted`.
pub(crate) fn fitting(words: &Words<'_>, wanted: &str) -> Vec<bool> {
    words.values.iter().map(|value| value == Some(wanted)).collect()
}

/// One file, or the tail, restricted to the filter.
pub(crate) struct Source {
    rows_of: RowsOf,
    wanted: Rows,
    only_project: bool,
    /// A lower bound of its times.
    pub(crate) not_before: i64,
}

enum RowsOf {
    File {
        files: Files,
        file: FileRef,
        footer: Arc<Footer>,
        groups: Vec<usize>,
        columns: Vec<Column>,
    },
    Reading(Reading),
    Tail {
        batches: Arc<[RecordBatch]>,
        next: usize,
    },
    /// All were read, and their memory is given back.
    End,
}

impl Source {
    /// The sources of a snapshot that may have wanted rows. Each yields its rows sorted by time, with at least
    /// `columns`.
    pub(crate) fn of(files: &Files, snapshot: &Snapshot, filter: &Filter, columns: &[Column]) -> Result<Vec<Source>> {
        let mut sources = Vec::new();
        let wanted = filter.rows_in(snapshot);
        for file in snapshot.files.iter().filter(|file| filter.may_be_in_file(file)) {
            sources.extend(Source::of_file(files, file, &wanted, columns)?);
        }
        sources.push(Source {
            not_before: filter.begin(),
            wanted,
            only_project: false,
            rows_of: RowsOf::Tail { batches: snapshot.tail.clone(), next: 0 },
        });
        Ok(sources)
    }

    /// `None` if no row group of the file has wanted rows.
    fn of_file(files: &Files, file: &FileRef, wanted: &Rows, columns: &[Column]) -> Result<Option<Source>> {
        let (footer, filter) = (files.footer(file)?, &wanted.filter);
        let groups: Vec<RowGroup<'_>> = footer.row_groups().filter(|group| filter.may_be_in_group(group)).collect();
        if groups.is_empty() {
            return Ok(None);
        }
        let only_project = groups.iter().all(|group| group.projects() == Some((filter.project_id, filter.project_id)));
        let first = groups.iter().map(|group| group.numbers(Column::Timestamp).map_or(i64::MIN, |times| times.0)).min();
        let mut columns = [columns, &wanted.columns(only_project)].concat();
        columns.sort();
        columns.dedup();
        let groups = groups.iter().map(|group| group.index).collect();
        Ok(Some(Source {
            not_before: first.unwrap_or(i64::MIN).max(filter.begin()),
            wanted: wanted.clone(),
            only_project,
            rows_of: RowsOf::File { files: files.clone(), file: file.clone(), footer, groups, columns },
        }))
    }

    /// The bytes in memory while it is read, without the batch.
    pub(crate) fn bytes(&self) -> usize {
        match &self.rows_of {
            RowsOf::File { footer, groups, columns, .. } => {
                groups.iter().map(|group| footer.bytes_of(*group, columns)).max().unwrap_or(0)
            }
            RowsOf::Reading(_) | RowsOf::Tail { .. } | RowsOf::End => 0,
        }
    }

    /// The next batch, and its wanted rows: at least one.
    pub(crate) fn next(&mut self, budget: &Budget) -> Result<Option<(RecordBatch, Vec<u32>)>> {
        loop {
            budget.check()?;
            let Some(batch) = self.rows_of.next(budget)? else {
                self.rows_of = RowsOf::End;
                return Ok(None);
            };
            let rows = self.wanted.of(&batch, self.only_project)?;
            if !rows.is_empty() {
                return Ok(Some((batch, rows)));
            }
        }
    }
}

impl RowsOf {
    fn next(&mut self, budget: &Budget) -> Result<Option<RecordBatch>> {
        if let RowsOf::File { files, file, footer, groups, columns } = self {
            // Opened only when its time has come, so that few files are open together.
            let reading = files.read(file, footer, std::mem::take(groups), columns, None, budget)?;
            *self = RowsOf::Reading(reading);
        }
        match self {
            RowsOf::Reading(reading) => reading.next(),
            RowsOf::Tail { batches, next } => {
                *next += 1;
                Ok(batches.get(*next - 1).cloned())
            }
            RowsOf::File { .. } | RowsOf::End => Ok(None),
        }
    }
}

/// Walks over all wanted rows, in no order.
pub(crate) fn scan(
    files: &Files,
    snapshot: &Snapshot,
    filter: &Filter,
    columns: &[Column],
    budget: &Budget,
    mut visit: impl FnMut(&RecordBatch, &[u32]) -> Result<()>,
) -> Result<()> {
    for mut source in Source::of(files, snapshot, filter, columns)? {
        while let Some((batch, rows)) = source.next(budget)? {
            visit(&batch, &rows)?;
        }
    }
    Ok(())
}
