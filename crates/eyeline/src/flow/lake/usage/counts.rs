//! Counts events over time, from roll-ups if they suffice, else from the events.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use eyeline_core::{ApplicationId, ProjectId, Timestamp};
use eyeline_lake::{Buckets, Count, CountQuestion, Filter, Group, Interval, counts};
use eyeline_store::Result;
use eyeline_store::catalog::lake;
use eyeline_store::catalog::rollups::{self, CountsQuery, CountsRow, KnownSessions, Level};

use super::{Asked, Usage, Weight, incomplete_before};

/// The most roll-up rows that one answer is computed from.
const ROLLUP_ROWS_MAX: u32 = 50_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Ordered by bucket and group.
    pub rows: Vec<CountedRow>,
    /// All events applied by then are counted.
    pub as_of: Timestamp,
    /// True if no event was read.
    pub from_rollups: bool,
    /// Set if the question reaches back before the retention cut and needs events, which are incomplete there.
    pub incomplete_before: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedRow {
    /// `None` without buckets.
    pub bucket: Option<Timestamp>,
    pub group: Group,
    pub count: u64,
    /// Distinct sessions. `None` if they were not asked for, or need events that are deleted.
    pub sessions: Option<u64>,
}

/// One row of an answer, summed from roll-up rows.
struct Sum {
    bucket: Option<Timestamp>,
    /// The only row, or the first of several with their summed events. Distinct sessions cannot be summed.
    row: CountsRow,
    is_only: bool,
}

/// The bucket and group of a row.
type Key = (Option<Timestamp>, Group);

impl Usage {
    /// Counts the wanted events, and the distinct sessions of each row if asked for. Distinct sessions cannot be
    /// summed, so roll-ups hold them for single rows only, and only after a first query.
    pub async fn counts(&self, filter: Filter, question: CountQuestion, with_sessions: bool) -> Result<Counts> {
        let as_of = self.now();
        let question = Arc::new(question);
        let Some((level, rows)) = self.rolled_up(&filter, &question, with_sessions).await? else {
            let asked = self.look_at_all(filter.clone(), question).await?;
            let incomplete_before = asked.incomplete_before(&filter);
            let rows = asked.answer.into_iter().map(CountedRow::from).collect();
            return Ok(Counts { rows, as_of: asked.as_of, from_rollups: false, incomplete_before });
        };
        let sums = sum(rows, &question);
        let is_unknown = |sum: &&Sum| with_sessions && sum.row.sessions.is_none();
        let unknown: Vec<Option<Timestamp>> = sums.iter().filter(is_unknown).map(|sum| sum.bucket).collect();
        let rows = |sums: Vec<Sum>| sums.into_iter().map(|sum| sum.into_row(&question, with_sessions)).collect();
        if unknown.is_empty() {
            return Ok(Counts { rows: rows(sums), as_of, from_rollups: true, incomplete_before: None });
        }
        let complete_from = lake::complete_from(&self.catalog.marks().await?);
        // Deleted events cannot be read.
        let is_gone = |bucket: Option<Timestamp>| match question.buckets.as_ref().zip(bucket) {
            Some((buckets, begin)) => complete_from >= Some(buckets.after(begin)),
            None => false,
        };
        let Some((first, last)) = ends(unknown.into_iter().filter(|bucket| !is_gone(*bucket))) else {
            let incomplete_before = incomplete_before(complete_from, filter.from);
            return Ok(Counts { rows: rows(sums), as_of, from_rollups: true, incomplete_before });
        };
        let (project_id, from) = (filter.project_id, filter.from);
        let wanted = match question.buckets.as_ref().zip(first.zip(last)) {
            // Reads the events between the first and the last incomplete row.
            Some((buckets @ Buckets { interval: Interval::Hour | Interval::Day, .. }, (first, last))) => {
                let end = buckets.after(last);
                Filter {
                    from: filter.from.max(Some(first)),
                    to: Some(filter.to.map_or(end, |to| to.min(end))),
                    ..filter
                }
            }
            // A week or a month may begin before the first wanted event.
            _ => filter,
        };
        let looked_from = wanted.from;
        let Asked { answer: found, complete_from, .. } = self.look_at_all(wanted, question.clone()).await?;
        self.note_sessions(project_id, level, known_sessions(&sums, &found, &question), as_of).await;
        let mut rows: BTreeMap<Key, CountedRow> = rows(sums).into_iter().map(CountedRow::with_key).collect();
        for (key, row) in found.into_iter().map(|count| CountedRow::from(count).with_key()) {
            match rows.entry(key) {
                // Some of its events are deleted.
                Entry::Occupied(known) if complete_from.is_some() && row.count < known.get().count => {}
                Entry::Occupied(mut known) => drop(known.insert(row)),
                Entry::Vacant(place) => drop(place.insert(row)),
            }
        }
        // Rows that were not read are complete, unless their events are deleted.
        let is_lacking = rows.values().any(|row| row.sessions.is_none());
        let incomplete_before = incomplete_before(complete_from, if is_lacking { from } else { looked_from });
        Ok(Counts { rows: rows.into_values().collect(), as_of, from_rollups: false, incomplete_before })
    }

    async fn look_at_all(&self, filter: Filter, question: Arc<CountQuestion>) -> Result<Asked<Vec<Count>>> {
        let wanted = filter.clone();
        let look = move |files: &_, snapshot: &_, budget: &_| counts(files, snapshot, &filter, &question, budget);
        self.ask(&wanted, Weight::Question, look).await
    }

    /// Returns the rows of the coarsest roll-up whose rows each lie in one bucket and are wanted as a whole; `None` if there is
    /// none, or if it has too many rows.
    async fn rolled_up(
        &self,
        filter: &Filter,
        question: &CountQuestion,
        with_sessions: bool,
    ) -> Result<Option<(Level, Vec<CountsRow>)>> {
        let begins = |level: Level, time: Option<Timestamp>| time.is_none_or(|time| level.floor(time) == time);
        let fits = |level: Level| begins(level, filter.from) && begins(level, filter.to);
        // A UTC day lies within one day of another zone only without buckets.
        let fine = question
            .buckets
            .as_ref()
            .is_some_and(|buckets| buckets.interval == Interval::Hour || !buckets.zone.is_utc());
        let level = [Level::Day, Level::Hour].into_iter().find(|level| fits(*level) && !(fine && *level == Level::Day));
        let Some(level) = level.filter(|_| filter.session_id.is_none()) else { return Ok(None) };
        // Until an erasure ends, the roll-ups include its events.
        if self.catalog.is_erasing(filter.project_id).await? {
            return Ok(None);
        }
        // Distinct sessions need single roll-up rows. Events are summed by the database.
        let groups = [
            (question.by_application, rollups::Group::Application),
            (question.by_category, rollups::Group::Category),
            (question.by_name, rollups::Group::Name),
        ];
        let query = CountsQuery {
            project_id: filter.project_id,
            from: filter.from.unwrap_or(Timestamp::from_micros(i64::MIN)),
            to: filter.to.unwrap_or(Timestamp::from_micros(i64::MAX)),
            level,
            by_time: with_sessions || question.buckets.is_some(),
            group_by: groups
                .into_iter()
                .filter(|(wanted, _)| with_sessions || *wanted)
                .map(|(_, group)| group)
                .collect(),
            application_id: filter.application_id,
            category: filter.category.clone(),
            name: filter.name.clone(),
            rows_max: ROLLUP_ROWS_MAX + 1,
        };
        let mut rows = self.catalog.event_counts(query).await?;
        // A sum over everything has a row even for no events.
        rows.retain(|row| row.events > 0);
        let is_usable = rows.len() <= ROLLUP_ROWS_MAX as usize
            && question
                .buckets
                .as_ref()
                .is_none_or(|buckets| rows.iter().all(|row| is_within(buckets, level, row.bucket)));
        Ok(is_usable.then_some((level, rows)))
    }

    /// Stores distinct sessions for the next query.
    async fn note_sessions(&self, project_id: ProjectId, level: Level, known: Vec<KnownSessions>, as_of: Timestamp) {
        if known.is_empty() {
            return;
        }
        if let Err(error) = self.catalog.note_sessions(project_id, level, known, as_of).await {
            tracing::debug!(%error, "distinct sessions could not be stored");
        }
    }
}

/// True if a roll-up row lies within one bucket. In a zone with a half-hour offset, such as Asia/Kolkata, hours are not
/// UTC hours.
fn is_within(buckets: &Buckets, level: Level, bucket: Option<Timestamp>) -> bool {
    let Some(begin) = bucket.filter(|_| !buckets.zone.is_utc()) else { return true };
    let last = begin.plus(level.length()).minus(Duration::from_micros(1));
    buckets.begin_of(begin) == buckets.begin_of(last)
}

/// The distinct sessions of roll-up rows whose events were all read.
fn known_sessions(sums: &[Sum], found: &[Count], question: &CountQuestion) -> Vec<KnownSessions> {
    let known = found.iter().filter_map(|count| {
        let Group { application, category, name } = &count.group;
        let key = (count.bucket, *application, category.as_deref(), name.as_deref());
        let index = sums.binary_search_by(|sum| sum.key(question).cmp(&key)).ok()?;
        let Sum { row: CountsRow { bucket, application_id, category, name, events, .. }, is_only, .. } = &sums[index];
        (*is_only && count.count == *events).then_some(KnownSessions {
            bucket: (*bucket)?,
            application_id: (*application_id)?,
            category: category.clone()?,
            name: name.clone()?,
            events: *events,
            sessions: count.sessions,
        })
    });
    known.collect()
}

/// Sums rows that the question does not distinguish, in its order.
fn sum(rows: Vec<CountsRow>, question: &CountQuestion) -> Vec<Sum> {
    let bucket = |row: &CountsRow| {
        let (buckets, at) = question.buckets.as_ref().zip(row.bucket)?;
        Some(buckets.begin_of(at))
    };
    let mut sums: Vec<Sum> = rows.into_iter().map(|row| Sum { bucket: bucket(&row), row, is_only: true }).collect();
    sums.sort_by(|one, other| one.key(question).cmp(&other.key(question)));
    sums.dedup_by(|next, sum| {
        let is_same = next.key(question) == sum.key(question);
        if is_same {
            sum.row.events += next.row.events;
            sum.row.sessions = None;
            sum.is_only = false;
        }
        is_same
    });
    sums
}

impl Sum {
    /// Sorts as a [`Key`] does.
    fn key(&self, question: &CountQuestion) -> (Option<Timestamp>, Option<ApplicationId>, Option<&str>, Option<&str>) {
        let CountsRow { application_id, category, name, .. } = &self.row;
        (
            self.bucket,
            application_id.filter(|_| question.by_application),
            category.as_deref().filter(|_| question.by_category),
            name.as_deref().filter(|_| question.by_name),
        )
    }

    fn into_row(self, question: &CountQuestion, with_sessions: bool) -> CountedRow {
        let CountsRow { application_id, category, name, events, sessions, .. } = self.row;
        let group = Group {
            application: application_id.filter(|_| question.by_application),
            category: category.filter(|_| question.by_category),
            name: name.filter(|_| question.by_name),
        };
        CountedRow { bucket: self.bucket, group, count: events, sessions: sessions.filter(|_| with_sessions) }
    }
}

impl CountedRow {
    fn with_key(self) -> (Key, Self) {
        ((self.bucket, self.group.clone()), self)
    }
}

impl From<Count> for CountedRow {
    fn from(Count { bucket, group, count, sessions }: Count) -> Self {
        CountedRow { bucket, group, count, sessions: Some(sessions) }
    }
}

fn ends<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<(T, T)> {
    values.fold(None, |ends, value| {
        let (first, last) = ends.unwrap_or((value, value));
        Some((first.min(value), last.max(value)))
    })
}
