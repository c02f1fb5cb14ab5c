//! How much, over time: out of the roll-ups where they know it, else from the events.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use eyeline_core::{ProjectId, Timestamp};
use eyeline_lake::{Count, CountQuestion, Filter, Group, Interval, counts};
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
#[derive(Default)]
struct Sum {
    count: u64,
    rows: Vec<CountsRow>,
}

/// What a row is about.
type Key = (Option<Timestamp>, Group);
type Sums = BTreeMap<Key, Sum>;

impl Usage {
    /// Counts the wanted events, and the different sessions of each row when they are asked for: those do not add up, so
    /// the roll-ups have them only of a row of theirs, and only once somebody has asked for it.
    pub async fn counts(&self, filter: Filter, question: CountQuestion, with_sessions: bool) -> Result<Counts> {
        let as_of = self.now();
        let Some((level, rows)) = self.rolled_up(&filter, question, with_sessions).await? else {
            let asked = self.look_at_all(filter.clone(), question).await?;
            let incomplete_before = asked.incomplete_before(&filter);
            let rows = asked.answer.into_iter().map(|count| looked_at(count).1).collect();
            return Ok(Counts { rows, as_of: asked.as_of, from_rollups: false, incomplete_before });
        };
        let sums = sum(rows, question);
        let mut rows: BTreeMap<Key, CountedRow> =
            sums.iter().map(|(key, sum)| (key.clone(), sum.row(key, with_sessions))).collect();
        let is_unknown = |row: &&CountedRow| with_sessions && row.sessions.is_none();
        let unknown: Vec<Option<Timestamp>> = rows.values().filter(is_unknown).map(|row| row.bucket).collect();
        if unknown.is_empty() {
            return Ok(Counts {
                rows: rows.into_values().collect(),
                as_of,
                from_rollups: true,
                incomplete_before: None,
            });
        }
        let complete_from = lake::complete_from(&self.catalog.marks().await?);
        // Of what is gone there is nothing to look at.
        let is_gone = |bucket: Option<Timestamp>| match question.interval.zip(bucket) {
            Some((interval, begin)) => complete_from >= Some(interval.begin(interval.number(begin) + 1)),
            None => false,
        };
        let Some((first, last)) = ends(unknown.into_iter().filter(|bucket| !is_gone(*bucket))) else {
            let incomplete_before = incomplete_before(complete_from, filter.from);
            return Ok(Counts { rows: rows.into_values().collect(), as_of, from_rollups: true, incomplete_before });
        };
        let (project_id, from) = (filter.project_id, filter.from);
        let wanted = match question.interval.zip(first.zip(last)) {
            // The events between the first and the last row that lacks something are looked at.
            Some((interval @ (Interval::Hour | Interval::Day), (first, last))) => {
                let end = interval.begin(interval.number(last) + 1);
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
        let Asked { answer: found, complete_from, .. } = self.look_at_all(wanted, question).await?;
        self.note_sessions(project_id, level, &sums, &found, as_of).await;
        for (key, row) in found.into_iter().map(looked_at) {
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

    async fn look_at_all(&self, filter: Filter, question: CountQuestion) -> Result<Asked<Vec<Count>>> {
        let project_id = Some(filter.project_id);
        let look = move |files: &_, snapshot: &_, budget: &_| counts(files, snapshot, &filter, question, budget);
        self.ask(project_id, Weight::Question, look).await
    }

    /// The rows of the coarsest roll-up that has just these events; `None` when there is none, or too much of it.
    async fn rolled_up(
        &self,
        filter: &Filter,
        question: CountQuestion,
        with_sessions: bool,
    ) -> Result<Option<(Level, Vec<CountsRow>)>> {
        let begins = |level: Level, time: Option<Timestamp>| time.is_none_or(|time| level.floor(time) == time);
        let fits = |level: Level| begins(level, filter.from) && begins(level, filter.to);
        let fine = question.interval == Some(Interval::Hour);
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
            by_time: with_sessions || question.interval.is_some(),
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
        Ok((rows.len() <= ROLLUP_ROWS_MAX as usize).then_some((level, rows)))
    }

    /// Keeps what was found out, for those who ask next.
    async fn note_sessions(&self, project_id: ProjectId, level: Level, sums: &Sums, found: &[Count], as_of: Timestamp) {
        let known = found.iter().filter_map(|count| {
            let sum = sums.get(&(count.bucket, count.group.clone()))?;
            let [CountsRow { bucket, application_id, category, name, events, .. }] = sum.rows.as_slice() else {
                return None;
            };
            (count.count == *events).then_some(KnownSessions {
                bucket: (*bucket)?,
                application_id: (*application_id)?,
                category: category.clone()?,
                name: name.clone()?,
                events: *events,
                sessions: count.sessions,
            })
        });
        let known: Vec<KnownSessions> = known.collect();
        if known.is_empty() {
            return;
        }
        if let Err(error) = self.catalog.note_sessions(project_id, level, known, as_of).await {
            tracing::debug!(%error, "sessions that were counted are not kept");
        }
    }
}

fn sum(rows: Vec<CountsRow>, question: CountQuestion) -> Sums {
    let mut sums = Sums::new();
    for row in rows {
        let bucket = question.interval.zip(row.bucket).map(|(interval, at)| interval.begin(interval.number(at)));
        let group = Group {
            application: row.application_id.filter(|_| question.by_application),
            category: row.category.clone().filter(|_| question.by_category),
            name: row.name.clone().filter(|_| question.by_name),
        };
        let sum = sums.entry((bucket, group)).or_default();
        sum.count += row.events;
        sum.rows.push(row);
    }
    sums
}

impl Sum {
    fn row(&self, (bucket, group): &Key, with_sessions: bool) -> CountedRow {
        let sessions = match self.rows.as_slice() {
            [row] if with_sessions => row.sessions,
            _ => None,
        };
        CountedRow { bucket: *bucket, group: group.clone(), count: self.count, sessions }
    }
}

fn looked_at(Count { bucket, group, count, sessions }: Count) -> (Key, CountedRow) {
    ((bucket, group.clone()), CountedRow { bucket, group, count, sessions: Some(sessions) })
}

fn ends<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<(T, T)> {
    values.fold(None, |ends, value| {
        let (first, last) = ends.unwrap_or((value, value));
        Some((first.min(value), last.max(value)))
    })
}
