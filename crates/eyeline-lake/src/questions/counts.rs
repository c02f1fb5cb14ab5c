//! Counts events over time.

use std::ops::ControlFlow;

use arrow_array::RecordBatch;
use eyeline_core::{ApplicationId, Timestamp};
use hashbrown::HashMap;

use super::buckets::Buckets;
use super::sessions::{Part, Seen, Walked, in_parts};
use super::types::Types;
use crate::batch::{Columns, id_at};
use crate::budget::Budget;
use crate::error::Result;
use crate::file::Files;
use crate::merge::{Page, in_order_of_time};
use crate::scan::{Filter, Snapshot, Source};
use crate::schema::Column;

/// Bytes of the answer for one group of a bucket.
const ROW_BYTES: usize = 2 * (size_of::<(i64, u32)>() + size_of::<Tally>());

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountQuestion {
    /// `None` stands for a single bucket.
    pub buckets: Option<Buckets>,
    /// The dimensions of the groups.
    pub by_application: bool,
    pub by_category: bool,
    pub by_name: bool,
}

/// The common values of a row's events; `None` for dimensions that were not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group {
    pub application: Option<ApplicationId>,
    pub category: Option<String>,
    pub name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// `None` without buckets.
    pub bucket: Option<Timestamp>,
    pub group: Group,
    pub count: u64,
    /// Distinct values of `session_id`.
    pub sessions: u64,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    count: u64,
    sessions: u64,
}

/// The rows of the answer, by bucket and group. Buckets without events are left out.
pub fn counts(
    files: &Files,
    snapshot: &Snapshot,
    filter: &Filter,
    question: &CountQuestion,
    budget: &Budget,
) -> Result<Vec<Count>> {
    let counting =
        in_parts(|| Counting::new(question), |counting, part| counting.walk(files, snapshot, filter, part, budget))?;
    let mut rows: Vec<Count> = counting
        .tallies
        .iter()
        .map(|((bucket, group), tally)| Count {
            bucket: question.buckets.is_some().then(|| Timestamp::from_micros(*bucket)),
            group: counting.groups[*group as usize].clone(),
            count: tally.count,
            sessions: tally.sessions,
        })
        .collect();
    rows.sort_unstable_by(|one, other| (one.bucket, &one.group).cmp(&(other.bucket, &other.group)));
    Ok(rows)
}

struct Counting<'a> {
    question: &'a CountQuestion,
    types: Types,
    /// Maps an application and a type to a group.
    numbers: HashMap<(u128, u32), u32>,
    by_group: HashMap<Group, u32>,
    groups: Vec<Group>,
    /// By the start of the bucket, and the group.
    tallies: HashMap<(i64, u32), Tally>,
}

struct Events {
    times: Vec<i64>,
    sessions: Vec<u128>,
    groups: Vec<u32>,
}

impl Page for Events {
    fn times(&self) -> &[i64] {
        &self.times
    }
}

impl<'a> Counting<'a> {
    fn new(question: &'a CountQuestion) -> Self {
        Counting {
            question,
            types: Types::default(),
            numbers: HashMap::new(),
            by_group: HashMap::new(),
            groups: Vec::new(),
            tallies: HashMap::new(),
        }
    }

    fn walk(
        &mut self,
        files: &Files,
        snapshot: &Snapshot,
        filter: &Filter,
        part: Part,
        budget: &Budget,
    ) -> Result<Walked> {
        let mut columns = vec![Column::Timestamp, Column::SessionId];
        if self.question.by_application {
            columns.push(Column::ApplicationId);
        }
        if self.question.by_category || self.question.by_name {
            columns.extend([Column::Category, Column::Name]);
        }
        let question = self.question;
        let mut seen = Seen::default();
        // The bucket of the last event, and its end.
        let (mut bucket, mut end) = (0, if question.buckets.is_some() { i64::MIN } else { i64::MAX });
        let mut too_many = false;
        let mut tallies = std::mem::take(&mut self.tallies);
        in_order_of_time(
            Source::of(files, snapshot, filter, &columns)?,
            budget,
            |batch, rows| self.read(batch, rows, budget),
            |events, next| {
                for row in next {
                    // Events come in the order of time, so the sessions of earlier buckets are no longer needed.
                    if let Some(buckets) = &question.buckets
                        && events.times[row] >= end
                    {
                        let begin = buckets.begin_of(Timestamp::from_micros(events.times[row]));
                        (bucket, end) = (begin.micros(), buckets.after(begin).micros());
                        seen.clear();
                    }
                    let (session, group) = (events.sessions[row], events.groups[row]);
                    let ours = part.has(session);
                    if !ours && !part.is_first() {
                        continue;
                    }
                    let tally = tallies.entry((bucket, group)).or_default();
                    tally.count += u64::from(part.is_first());
                    if ours && seen.insert(session, group) {
                        tally.sessions += 1;
                    }
                }
                let answer = tallies.capacity() * ROW_BYTES / 2;
                budget.check_bytes(answer)?;
                too_many = budget.check_bytes(answer + seen.bytes()).is_err();
                Ok(if too_many { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            },
        )?;
        self.tallies = tallies;
        Ok(if too_many { Walked::TooManySessions } else { Walked::Done })
    }

    fn read(&mut self, batch: &RecordBatch, rows: &[u32], budget: &Budget) -> Result<Events> {
        let columns = Columns(batch);
        let (times, sessions) = (columns.times(Column::Timestamp)?.values(), columns.ids(Column::SessionId)?);
        let &CountQuestion { by_application, by_category, by_name, .. } = self.question;
        let types = if by_category || by_name { Some(self.types.read(batch, rows, budget)?) } else { None };
        let applications = if by_application { Some(columns.ids(Column::ApplicationId)?) } else { None };
        let mut groups = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let application = applications.map_or(0, |ids| id_at(ids, *row as usize));
            let kind = types.as_ref().map_or(0, |types| types[index]);
            let number = match self.numbers.get(&(application, kind)) {
                Some(number) => *number,
                None => self.number(application, kind),
            };
            groups.push(number);
        }
        Ok(Events {
            times: rows.iter().map(|row| times[*row as usize]).collect(),
            sessions: rows.iter().map(|row| id_at(sessions, *row as usize)).collect(),
            groups,
        })
    }

    fn number(&mut self, application: u128, kind: u32) -> u32 {
        let &CountQuestion { by_application, by_category, by_name, .. } = self.question;
        let kind_of = (by_category || by_name).then(|| self.types.get(kind));
        let (category, name) = kind_of.map_or((None, None), |kind| (Some(kind.category), Some(kind.name)));
        let group = Group {
            application: by_application.then(|| uuid::Uuid::from_u128(application).into()),
            category: category.filter(|_| by_category),
            name: name.filter(|_| by_name),
        };
        let next = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let number = *self.by_group.entry(group.clone()).or_insert(next);
        if number == next {
            self.groups.push(group);
        }
        self.numbers.insert((application, kind), number);
        number
    }
}
