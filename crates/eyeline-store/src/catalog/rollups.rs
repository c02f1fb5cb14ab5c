//! Roll-ups: counts of events by hour and by day, updated in the transaction that applies the events. They hold every
//! event that counts, once, by its own timestamp.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use eyeline_core::{ApplicationId, Event, GalleryId, ImageId, ProjectId, Timestamp};
use futures::FutureExt as _;

use super::Catalog;
use crate::error::Result;
use crate::params;
use crate::sql::{Row, Tx, Value};

const HOUR_MICROS: i64 = 60 * 60 * 1_000_000;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;

/// Views and clicks by gallery, day and image.
pub(super) type ImageCounts = BTreeMap<(GalleryId, Timestamp, ImageId), (u64, u64)>;
/// Project, start of the span, application, category and name.
type Key<'a> = (ProjectId, Timestamp, ApplicationId, &'a str, &'a str);
pub(super) type EventCounts<'a> = HashMap<Key<'a>, u64>;

/// The level of a roll-up, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Hour,
    Day,
}

impl Level {
    /// The start of the span that holds `time`.
    pub fn floor(self, time: Timestamp) -> Timestamp {
        floor(time, self.micros())
    }

    /// The length of a row's span.
    pub const fn length(self) -> Duration {
        Duration::from_micros(self.micros().unsigned_abs())
    }

    const fn micros(self) -> i64 {
        match self {
            Level::Hour => HOUR_MICROS,
            Level::Day => DAY_MICROS,
        }
    }
}

/// A dimension by which events are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Application,
    Category,
    Name,
}

/// A query over a roll-up.
#[derive(Clone, Debug)]
pub struct CountsQuery {
    pub project_id: ProjectId,
    /// The first timestamp included and the first excluded, both at a boundary of `level`.
    pub from: Timestamp,
    pub to: Timestamp,
    pub level: Level,
    /// True for a row for each hour or day, false for one over all of them.
    pub by_time: bool,
    pub group_by: Vec<Group>,
    pub application_id: Option<ApplicationId>,
    pub category: Option<String>,
    pub name: Option<String>,
    pub rows_max: u32,
}

/// Fields that were not asked for are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountsRow {
    pub bucket: Option<Timestamp>,
    pub application_id: Option<ApplicationId>,
    pub category: Option<String>,
    pub name: Option<String>,
    pub events: u64,
    /// Distinct sessions, if known for exactly these events: only for rows by time and every group.
    pub sessions: Option<u64>,
}

/// The distinct sessions of a single roll-up row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSessions {
    pub bucket: Timestamp,
    pub application_id: ApplicationId,
    pub category: String,
    pub name: String,
    pub events: u64,
    pub sessions: u64,
}

/// Erased events of one hour, application and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedEvents {
    pub hour: Timestamp,
    pub application_id: ApplicationId,
    pub category: String,
    pub name: String,
    pub events: u64,
}

impl Catalog {
    /// Counts events. The rows are sorted by time, then by the groups.
    pub async fn event_counts(&self, query: CountsQuery) -> Result<Vec<CountsRow>> {
        self.db.read(move |tx| async move { counts(tx, &query).await }.boxed()).await
    }

    /// Stores the distinct sessions of rows whose event count is unchanged. `as_of` is a time before the events were
    /// read; erasures since then make the numbers invalid.
    pub async fn note_sessions(
        &self,
        project_id: ProjectId,
        level: Level,
        known: Vec<KnownSessions>,
        as_of: Timestamp,
    ) -> Result<()> {
        let erased = "SELECT 1 AS found FROM erasures
                      WHERE project_id = $1 AND (finished_at IS NULL OR finished_at >= $2) LIMIT 1";
        let hours = "UPDATE event_hours SET sessions = v.column6, sessions_of = events FROM (VALUES {rows}) AS v
                     WHERE event_hours.project_id = v.column1 AND bucket = v.column2
                       AND event_hours.application_id = v.column3 AND category = v.column4 AND name = v.column5
                       AND events = v.column7";
        let days = "UPDATE event_days SET sessions = v.column6, sessions_of = events FROM (VALUES {rows}) AS v
                    WHERE event_days.project_id = v.column1 AND bucket = v.column2
                      AND event_days.application_id = v.column3 AND category = v.column4 AND name = v.column5
                      AND events = v.column7";
        self.db
            .write(move |tx| {
                async move {
                    if tx.query_one(erased, params![project_id, as_of]).await?.is_some() {
                        return Ok(());
                    }
                    let rows = known.into_iter().map(|known| {
                        let KnownSessions { bucket, application_id, category, name, events, sessions } = known;
                        params![project_id, bucket, application_id, category, name, sessions, events].to_vec()
                    });
                    let rows: Vec<Vec<Value>> = rows.collect();
                    let sql = match level {
                        Level::Hour => hours,
                        Level::Day => days,
                    };
                    tx.execute_rows(sql, &rows).await.map(drop)
                }
                .boxed()
            })
            .await
    }
}

async fn counts(tx: &mut Tx, query: &CountsQuery) -> Result<Vec<CountsRow>> {
    let by_application = query.group_by.contains(&Group::Application);
    let by_category = query.group_by.contains(&Group::Category);
    let by_name = query.group_by.contains(&Group::Name);
    // In the order of the tables' keys.
    let columns =
        [("bucket", query.by_time), ("application_id", by_application), ("category", by_category), ("name", by_name)];
    let listed: Vec<&str> = columns.into_iter().filter(|(_, wanted)| *wanted).map(|(column, _)| column).collect();
    let is_each_row = listed.len() == columns.len();
    let listed = listed.join(", ");
    let (events, order) = if is_each_row {
        let events = "events, CASE WHEN sessions_of = events THEN sessions END AS sessions";
        (format!("{listed}, {events}"), format!("ORDER BY {listed}"))
    } else {
        let events = "CAST(coalesce(sum(events), 0) AS BIGINT) AS events";
        if listed.is_empty() {
            (events.to_owned(), String::new())
        } else {
            (format!("{listed}, {events}"), format!("GROUP BY {listed} ORDER BY {listed}"))
        }
    };
    let table = match query.level {
        Level::Hour => "event_hours",
        Level::Day => "event_days",
    };
    let mut bound = params![query.project_id, query.from, query.to, query.rows_max].to_vec();
    let mut filters = String::new();
    let wanted = [
        ("application_id", query.application_id.map(Value::from)),
        ("category", query.category.clone().map(Value::from)),
        ("name", query.name.clone().map(Value::from)),
    ];
    for (column, value) in wanted {
        if let Some(value) = value {
            bound.push(value);
            let _infallible = write!(filters, " AND {column} = ${}", bound.len());
        }
    }
    let sql = format!(
        "SELECT {events}
         FROM {table}
         WHERE project_id = $1 AND bucket >= $2 AND bucket < $3{filters}
         {order}
         LIMIT $4"
    );
    let read = |mut row: Row| {
        Ok(CountsRow {
            bucket: if query.by_time { row.take("bucket")? } else { None },
            application_id: if by_application { row.take("application_id")? } else { None },
            category: if by_category { row.take("category")? } else { None },
            name: if by_name { row.take("name")? } else { None },
            events: row.take("events")?,
            sessions: if is_each_row { row.take("sessions")? } else { None },
        })
    };
    tx.query_text(&sql, &bound).await?.into_iter().map(read).collect()
}

pub(super) fn day(time: Timestamp) -> Timestamp {
    floor(time, DAY_MICROS)
}

/// The key of the hourly row in which an event counts.
pub(super) fn hour_key(event: &Event) -> Key<'_> {
    let hour = floor(event.timestamp, HOUR_MICROS);
    (event.project_id, hour, event.application_id, event.category.as_str(), event.name.as_str())
}

/// Adds an event to its hourly count.
pub(super) fn count<'a>(counts: &mut EventCounts<'a>, event: &'a Event) {
    *counts.entry(hour_key(event)).or_default() += 1;
}

/// Stores the hourly rows that the events create. Returns the rows beyond the project's limit for the day of `now`;
/// their events must not count.
pub(super) async fn admit<'a>(
    tx: &mut Tx,
    events: impl Iterator<Item = &'a Event>,
    now: Timestamp,
    rows_max: u64,
) -> Result<HashSet<Key<'a>>> {
    let keys: BTreeSet<Key<'a>> = events.map(hour_key).collect();
    let mut rows: Vec<Vec<Value>> = Vec::with_capacity(keys.len());
    for (number, (project_id, hour, application_id, category, name)) in keys.iter().enumerate() {
        rows.push(params![*project_id, *hour, *application_id, *category, *name, number as u64].to_vec());
    }
    let sql = "SELECT v.column6 AS number FROM (VALUES {rows}) AS v
               JOIN event_hours h ON h.project_id = v.column1 AND h.bucket = v.column2
                    AND h.application_id = v.column3 AND h.category = v.column4 AND h.name = v.column5";
    let known = tx.query_rows(sql, &rows).await?.into_iter().map(|mut row| row.take("number"));
    let known: HashSet<u64> = known.collect::<Result<_>>()?;
    let mut by_project = BTreeMap::<ProjectId, Vec<Key<'a>>>::new();
    for (number, key) in keys.into_iter().enumerate() {
        if !known.contains(&(number as u64)) {
            by_project.entry(key.0).or_default().push(key);
        }
    }
    let mut refused = HashSet::new();
    for (project_id, mut keys) in by_project {
        let made = hour_rows_made(tx, project_id, now).await?;
        let room = usize::try_from(rows_max.saturating_sub(made)).unwrap_or(usize::MAX);
        if keys.len() > room {
            refused.extend(keys.split_off(room));
        }
        let sql = "INSERT INTO rollup_growth (project_id, day, hour_rows) VALUES ($1, $2, $3)
                   ON CONFLICT (project_id) DO UPDATE SET day = excluded.day, hour_rows = excluded.hour_rows";
        tx.execute(sql, params![project_id, day(now), made + keys.len() as u64]).await?;
    }
    Ok(refused)
}

/// Hourly rows that the project's events have created on the day of `now`.
pub(super) async fn hour_rows_made(tx: &mut Tx, project_id: ProjectId, now: Timestamp) -> Result<u64> {
    let sql = "SELECT hour_rows FROM rollup_growth WHERE project_id = $1 AND day = $2";
    let row = tx.query_one(sql, params![project_id, day(now)]).await?;
    row.map_or(Ok(0), |mut row| row.take("hour_rows"))
}

/// Adds the counts of a batch to all levels.
pub(super) async fn add(tx: &mut Tx, hours: &EventCounts<'_>, images: &ImageCounts) -> Result<()> {
    let mut days = EventCounts::new();
    for ((project_id, hour, application_id, category, name), events) in hours {
        let key = (*project_id, day(*hour), *application_id, *category, *name);
        *days.entry(key).or_default() += events;
    }
    let hour_sql = "INSERT INTO event_hours (project_id, bucket, application_id, category, name, events) VALUES {rows}
                    ON CONFLICT (project_id, bucket, application_id, category, name)
                    DO UPDATE SET events = event_hours.events + excluded.events";
    let day_sql = "INSERT INTO event_days (project_id, bucket, application_id, category, name, events) VALUES {rows}
                   ON CONFLICT (project_id, bucket, application_id, category, name)
                   DO UPDATE SET events = event_days.events + excluded.events";
    tx.execute_rows(hour_sql, &event_rows(hours)).await?;
    tx.execute_rows(day_sql, &event_rows(&days)).await?;

    let image_sql = "INSERT INTO image_days (gallery_id, bucket, image_id, views, clicks) VALUES {rows}
                     ON CONFLICT (gallery_id, bucket, image_id)
                     DO UPDATE SET views = image_days.views + excluded.views,
                                   clicks = image_days.clicks + excluded.clicks";
    let rows: Vec<Vec<Value>> = images
        .iter()
        .map(|((gallery_id, day, image_id), (views, clicks))| {
            params![*gallery_id, *day, *image_id, *views, *clicks].to_vec()
        })
        .collect();
    tx.execute_rows(image_sql, &rows).await.map(drop)
}

/// Subtracts events from all levels that hold every event.
pub(super) async fn subtract(tx: &mut Tx, project_id: ProjectId, erased: &[ErasedEvents]) -> Result<()> {
    let (mut hours, mut days) = (EventCounts::new(), EventCounts::new());
    for ErasedEvents { hour, application_id, category, name, events } in erased {
        for (counts, bucket) in [(&mut hours, *hour), (&mut days, day(*hour))] {
            let key = (project_id, bucket, *application_id, category.as_str(), name.as_str());
            *counts.entry(key).or_default() += events;
        }
    }
    let hour_sql = "UPDATE event_hours SET events = events - v.column6, sessions = NULL, sessions_of = NULL
                    FROM (VALUES {rows}) AS v
                    WHERE event_hours.project_id = v.column1 AND bucket = v.column2
                      AND event_hours.application_id = v.column3 AND category = v.column4 AND name = v.column5";
    let day_sql = "UPDATE event_days SET events = events - v.column6, sessions = NULL, sessions_of = NULL
                   FROM (VALUES {rows}) AS v
                   WHERE event_days.project_id = v.column1 AND bucket = v.column2
                     AND event_days.application_id = v.column3 AND category = v.column4 AND name = v.column5";
    tx.execute_rows(hour_sql, &event_rows(&hours)).await?;
    tx.execute_rows(day_sql, &event_rows(&days)).await?;
    tx.execute("DELETE FROM event_hours WHERE project_id = $1 AND events <= 0", params![project_id]).await?;
    tx.execute("DELETE FROM event_days WHERE project_id = $1 AND events <= 0", params![project_id]).await.map(drop)
}

/// Sorted, so that concurrent transactions do not deadlock.
fn event_rows(counts: &EventCounts<'_>) -> Vec<Vec<Value>> {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_unstable();
    let mut rows = Vec::with_capacity(sorted.len());
    for ((project_id, bucket, application_id, category, name), events) in sorted {
        rows.push(params![*project_id, *bucket, *application_id, *category, *name, *events].to_vec());
    }
    rows
}

fn floor(time: Timestamp, span_micros: i64) -> Timestamp {
    let micros = time.micros();
    Timestamp::from_micros(micros.saturating_sub(micros.rem_euclid(span_micros)))
}
