//! How much, over time: out of the roll-ups where they know it, else from the events.

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

/// Rows of a roll-up that one answer is put together from.
const ROLLUP_ROWS_MAX: u32 = 50_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// In the order of buckets and groups.
    pub rows: Vec<CountedRow>,
    /// All events that were applied by then are in it.
    pub as_of: Timestamp,
    /// No event was looked at.
    pub from_rollups: bool,
    /// Set when numbers of before are asked for that take events which are not all kept.
    pub incomplete_before: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedRow {
    /// `None` when there are no buckets.
    pub bucket: Option<Timestamp>,
    pub group: Group,
    pub count: u64,
    /// `None` when nobody asked, or when the events that it takes are not all kept.
    pub sessions: Option<u64>,
}

/// One row of an answer, put together from rows of a roll-up.
struct Sum {
    bucket: Option<Timestamp>,
    /// The only row, or the first of several with the events of all; their sessions do not add up.
    row: CountsRow,
    is_only: bool,
}

/// What a row is about.
type Key = (Option<Timestamp>, Group);

impl Usage {
    /// Counts the wanted events, and the different sessions of each row when they are asked for: those do not add up, so
    /// the roll-ups have them only of a row of theirs, and only once somebody has asked for it.
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
        // Of what is gone there is nothing to look at.
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
            // The events between the first and the last row that lacks something are looked at.
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
                // Some of its events are gone.
                Entry::Occupied(known) if complete_from.is_some() && row.count < known.get().count => {}
                Entry::Occupied(mut known) => drop(known.insert(row)),
                Entry::Vacant(place) => drop(place.insert(row)),
            }
        }
        // Rows that were not looked at have all that was asked for, unless their events are gone.
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
        // A day of UTC is one of another zone's days, weeks and months only where there are none.
        let fine = question
            .buckets
            .as_ref()
            .is_some_and(|buckets| buckets.interval == Interval::Hour || !buckets.zone.is_utc());
        let level = [Level::Day, Level::Hour].into_iter().find(|level| fits(*level) && !(fine && *level == Level::Day));
        let Some(level) = level.filter(|_| filter.session_id.is_none()) else { return Ok(None) };
        // Until it is done, the roll-ups have what it hides.
        if self.catalog.is_erasing(filter.project_id).await? {
            return Ok(None);
        }
        // Sessions are known of the roll-up's own rows alone; events the database adds up.
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
        // A sum over everything is a row of its own, even over nothing.
        rows.retain(|row| row.events > 0);
        let is_usable = rows.len() <= ROLLUP_ROWS_MAX as usize
            && question
                .buckets
                .as_ref()
                .is_none_or(|buckets| rows.iter().all(|row| is_within(buckets, level, row.bucket)));
        Ok(is_usable.then_some((level, rows)))
    }

    /// Keeps what was found out, for those who ask next.
    async fn note_sessions(&self, project_id: ProjectId, level: Level, known: Vec<KnownSessions>, as_of: Timestamp) {
        if known.is_empty() {
            return;
        }
        if let Err(error) = self.catalog.note_sessions(project_id, level, known, as_of).await {
            tracing::debug!(%error, "sessions that were counted are not kept");
        }
    }
}

/// Whether the row of a roll-up is in one bucket as a whole. Hours of a zone with half an hour in its offset, such as
/// Asia/Kolkata, are none of UTC.
fn is_within(buckets: &Buckets, level: Level, bucket: Option<Timestamp>) -> bool {
    let Some(begin) = bucket.filter(|_| !buckets.zone.is_utc()) else { return true };
    let last = begin.plus(level.length()).minus(Duration::from_micros(1));
    buckets.begin_of(begin) == buckets.begin_of(last)
}

/// The sessions of rows of the roll-up that were looked at as a whole.
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

/// Adds up the rows that the question does not tell apart, in its order.
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
