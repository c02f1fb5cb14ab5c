//! How much, over time: out of the roll-ups where they know it, else from the events.

use std::collections::BTreeMap;

use eyeline_core::{ProjectId, Timestamp};
use eyeline_lake::{Count, CountQuestion, Filter, Group, Interval, counts};
use eyeline_store::Result;
use eyeline_store::catalog::rollups::{self, CountsQuery, CountsRow, KnownSessions, Level};

use super::{Usage, Weight};

/// Rows of a roll-up that one answer is put together from.
const ROLLUP_ROWS_MAX: u32 = 50_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// In the order of buckets and groups. Where sessions were not asked for, theirs mean nothing.
    pub rows: Vec<Count>,
    /// All events that were applied by then are in it.
    pub as_of: Timestamp,
    /// No event was looked at.
    pub from_rollups: bool,
}

/// One row of an answer, put together from rows of a roll-up.
#[derive(Default)]
struct Sum {
    count: u64,
    rows: Vec<CountsRow>,
}

type Sums = BTreeMap<(Option<Timestamp>, Group), Sum>;

impl Usage {
    /// Counts the wanted events, and the different sessions of each row when they are asked for: those do not add up, so
    /// the roll-ups have them only of a row of theirs, and only once somebody has asked for it.
    pub async fn counts(&self, filter: Filter, question: CountQuestion, with_sessions: bool) -> Result<Counts> {
        let as_of = self.now();
        let Some((level, rows)) = self.rolled_up(&filter, question).await? else {
            let (rows, as_of) = self.look_at_all(filter, question).await?;
            return Ok(Counts { rows, as_of, from_rollups: false });
        };
        let sums = sum(rows, question);
        let is_unknown = |sum: &Sum| with_sessions && sum.sessions().is_none();
        let unknown = sums.iter().filter(|(_, sum)| is_unknown(sum)).map(|((bucket, _), _)| *bucket);
        let Some((first, last)) = ends(unknown) else {
            return Ok(Counts { rows: sums.iter().map(count).collect(), as_of, from_rollups: true });
        };
        let project_id = filter.project_id;
        let mut answer = Vec::new();
        let wanted = match question.interval.zip(first.zip(last)) {
            // The events between the first and the last row that lacks something are looked at.
            Some((interval @ (Interval::Hour | Interval::Day), (first, last))) => {
                let is_known = |bucket: &Option<Timestamp>| *bucket < Some(first) || *bucket > Some(last);
                answer.extend(sums.iter().filter(|((bucket, _), _)| is_known(bucket)).map(count));
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
        let (looked_at, _) = self.look_at_all(wanted, question).await?;
        self.note_sessions(project_id, level, &sums, &looked_at, as_of).await;
        answer.extend(looked_at);
        answer.sort_unstable_by(|one, other| (one.bucket, &one.group).cmp(&(other.bucket, &other.group)));
        Ok(Counts { rows: answer, as_of, from_rollups: false })
    }

    async fn look_at_all(&self, filter: Filter, question: CountQuestion) -> Result<(Vec<Count>, Timestamp)> {
        let project_id = Some(filter.project_id);
        let look = move |files: &_, snapshot: &_, budget: &_| counts(files, snapshot, &filter, question, budget);
        self.ask(project_id, Weight::Question, look).await
    }

    /// The rows of the coarsest roll-up that has just these events; `None` when there is none, or too much of it.
    async fn rolled_up(&self, filter: &Filter, question: CountQuestion) -> Result<Option<(Level, Vec<CountsRow>)>> {
        let begins = |level: Level, time: Option<Timestamp>| time.is_none_or(|time| level.floor(time) == time);
        let fits = |level: Level| begins(level, filter.from) && begins(level, filter.to);
        let fine = question.interval == Some(Interval::Hour);
        let level = [Level::Day, Level::Hour].into_iter().find(|level| fits(*level) && !(fine && *level == Level::Day));
        let Some(level) = level.filter(|_| filter.session_id.is_none()) else { return Ok(None) };
        // Until it is done, the roll-ups have what it hides.
        if self.catalog.is_erasing(filter.project_id).await? {
            return Ok(None);
        }
        let query = CountsQuery {
            project_id: filter.project_id,
            from: filter.from.unwrap_or(Timestamp::from_micros(i64::MIN)),
            to: filter.to.unwrap_or(Timestamp::from_micros(i64::MAX)),
            level,
            by_time: true,
            group_by: vec![rollups::Group::Application, rollups::Group::Category, rollups::Group::Name],
            application_id: filter.application_id,
            category: filter.category.clone(),
            name: filter.name.clone(),
            rows_max: ROLLUP_ROWS_MAX + 1,
        };
        let rows = self.catalog.event_counts(query).await?;
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
    fn sessions(&self) -> Option<u64> {
        match self.rows.as_slice() {
            [row] => row.sessions,
            _ => None,
        }
    }
}

fn count(((bucket, group), sum): (&(Option<Timestamp>, Group), &Sum)) -> Count {
    Count { bucket: *bucket, group: group.clone(), count: sum.count, sessions: sum.sessions().unwrap_or(0) }
}

fn ends<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<(T, T)> {
    values.fold(None, |ends, value| {
        let (first, last) = ends.unwrap_or((value, value));
        Some((first.min(value), last.max(value)))
    })
}
