//! The quarantine: events with the reasons why they do not count, and their replay.
//!
//! A row of `quarantine` is the right of an event to be counted later, once. A replayed event comes through the inbox,
//! marked with the row's place, and the transaction that applies it deletes the row. Of any number of copies one finds
//! the row, so the event counts once, whatever is repeated or crashes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;

use eyeline_core::event::ImageRef;
use eyeline_core::{ApplicationId, Event, EventId, GalleryId, ProjectId, Timestamp};
use futures::FutureExt as _;

use super::events::{self, Aside, BatchEvent, EventBatch, Misfit};
use super::{Catalog, news};
use crate::error::{Error, Result};
use crate::inbox::Offset;
use crate::params;
use crate::sql::{Row, Tx, Value};

/// The place of a row in the order of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age {
    pub quarantined_at: Timestamp,
    pub partition: u32,
    pub offset: Offset,
}

/// An event in quarantine.
#[derive(Clone, Debug)]
pub struct Quarantined {
    pub age: Age,
    pub event: Event,
    /// The cause in one word.
    pub reason: String,
    /// Field errors as JSON text.
    pub errors: String,
}

/// A filter of events; `None` matches all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub category: Option<String>,
    pub name: Option<String>,
    pub reason: Option<String>,
}

/// The order of a list of the quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    LastFirst,
    FirstFirst,
}

/// The number of events quarantined for the same cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub category: String,
    pub name: String,
    pub reason: String,
    pub events: u64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

impl Catalog {
    /// The project's quarantined events in this order, after the one at `after`.
    pub async fn quarantined(
        &self,
        project_id: ProjectId,
        filter: Filter,
        order: Order,
        after: Option<Age>,
        limit: u32,
    ) -> Result<Vec<Quarantined>> {
        self.db.read(move |tx| async move { list(tx, project_id, &filter, order, after, limit).await }.boxed()).await
    }

    /// The number of quarantined events of the project for each cause, largest first.
    pub async fn quarantine_causes(&self, project_id: ProjectId, filter: Filter, limit: u32) -> Result<Vec<Cause>> {
        self.db.read(move |tx| async move { causes(tx, project_id, &filter, limit).await }.boxed()).await
    }

    /// The application's quarantined event with this id.
    pub async fn quarantined_event(
        &self,
        application_id: ApplicationId,
        event_id: EventId,
    ) -> Result<Option<Quarantined>> {
        let sql = "SELECT * FROM quarantine WHERE application_id = $1 AND event_id = $2
                   ORDER BY quarantined_at LIMIT 1";
        self.db
            .read(move |tx| {
                async move { tx.query_one(sql, params![application_id, event_id]).await?.map(read).transpose() }.boxed()
            })
            .await
    }

    /// The quarantined event at this place.
    pub async fn quarantined_at(&self, partition: u32, offset: Offset) -> Result<Option<Event>> {
        let sql = "SELECT * FROM quarantine WHERE partition = $1 AND event_offset = $2";
        self.db
            .read(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![partition, offset]).await?;
                    Ok(row.map(read).transpose()?.map(|quarantined| quarantined.event))
                }
                .boxed()
            })
            .await
    }

    /// Those of the given galleries and images that the project has.
    pub async fn known_images(
        &self,
        project_id: ProjectId,
        named: Vec<(GalleryId, ImageRef)>,
    ) -> Result<HashSet<(GalleryId, ImageRef)>> {
        self.db
            .read(move |tx| {
                async move {
                    let all: BTreeSet<_> = named.iter().map(|(gallery, image)| (project_id, *gallery, image)).collect();
                    let found = events::find_named(tx, all).await?;
                    let mut known = HashSet::new();
                    for ((_, gallery_id), images) in found {
                        known.extend(images.into_keys().map(|image| (gallery_id, image)));
                    }
                    Ok(known)
                }
                .boxed()
            })
            .await
    }

    /// Stores the present reasons of quarantined events. Skips events that have left the quarantine.
    pub async fn renew_misfits(&self, misfits: Vec<(Age, Misfit)>) -> Result<()> {
        let sql = "UPDATE quarantine SET reason = v.column3, errors = v.column4 FROM (VALUES {rows}) AS v
                   WHERE quarantine.partition = v.column1 AND quarantine.event_offset = v.column2";
        self.db
            .write(move |tx| {
                async move {
                    let mut rows = Vec::with_capacity(misfits.len());
                    for (age, misfit) in &misfits {
                        let errors = errors_text(misfit)?;
                        rows.push(params![age.partition, age.offset, misfit.reason, errors].to_vec());
                    }
                    tx.execute_rows(sql, &rows).await.map(drop)
                }
                .boxed()
            })
            .await
    }

    /// Deletes the project's oldest quarantined events while it has more than `events_max`, or more than `bytes_max`
    /// bytes of them, a piece in each transaction. Returns their number.
    pub async fn trim_quarantine(&self, project_id: ProjectId, events_max: u64, bytes_max: u64) -> Result<u64> {
        let mut dropped = 0;
        loop {
            let trimming = self.db.write(move |tx| trim(tx, project_id, events_max, bytes_max).boxed());
            match trimming.await? {
                0 => return Ok(dropped),
                piece => dropped += piece,
            }
        }
    }

    /// Adds news of events quarantined since the last call, one for each project. Returns their numbers.
    pub async fn tell_quarantined(&self, now: Timestamp) -> Result<Vec<(ProjectId, u64)>> {
        let waiting = "SELECT project_id FROM untold_quarantine ORDER BY project_id LIMIT 100";
        let rows = self.db.read(move |tx| tx.query(waiting, &[]).boxed()).await?;
        let mut told = Vec::new();
        for mut row in rows {
            let project_id: ProjectId = row.take("project_id")?;
            told.extend(self.db.write(move |tx| tell(tx, project_id, now).boxed()).await?);
        }
        Ok(told)
    }
}

/// The size of a project's quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuarantineTotals {
    pub events: u64,
    pub bytes: u64,
    /// Events deleted because the quarantine was full.
    pub dropped: u64,
}

pub(super) async fn totals(tx: &mut Tx, project_id: ProjectId) -> Result<QuarantineTotals> {
    let sql = "SELECT events, bytes, dropped FROM quarantine_totals WHERE project_id = $1";
    let Some(mut row) = tx.query_one(sql, params![project_id]).await? else { return Ok(QuarantineTotals::default()) };
    Ok(QuarantineTotals { events: row.take("events")?, bytes: row.take("bytes")?, dropped: row.take("dropped")? })
}

/// Events deleted in one transaction.
const DROPPED_MAX: u64 = 500;

async fn trim(tx: &mut Tx, project_id: ProjectId, events_max: u64, bytes_max: u64) -> Result<u64> {
    let totals = totals(tx, project_id).await?;
    let (mut events, mut bytes) = (totals.events.saturating_sub(events_max), totals.bytes.saturating_sub(bytes_max));
    if events == 0 && bytes == 0 {
        return Ok(0);
    }
    let sql = "SELECT partition, event_offset, CAST(octet_length(event) + octet_length(errors) AS BIGINT) AS bytes
               FROM quarantine
               WHERE project_id = $1 ORDER BY quarantined_at, partition, event_offset LIMIT $2";
    let mut places = Vec::new();
    for mut row in tx.query(sql, params![project_id, DROPPED_MAX]).await? {
        if events == 0 && bytes == 0 {
            break;
        }
        places.push(params![row.take::<u32>("partition")?, row.take::<Offset>("event_offset")?].to_vec());
        (events, bytes) = (events.saturating_sub(1), bytes.saturating_sub(row.take("bytes")?));
    }
    tx.execute_rows("DELETE FROM quarantine WHERE (partition, event_offset) IN (VALUES {rows})", &places).await?;
    let dropped = places.len() as u64;
    let sql = "UPDATE quarantine_totals SET dropped = dropped + $2 WHERE project_id = $1";
    tx.execute(sql, params![project_id, dropped]).await?;
    Ok(dropped)
}

async fn tell(tx: &mut Tx, project_id: ProjectId, now: Timestamp) -> Result<Vec<(ProjectId, u64)>> {
    let taken = "DELETE FROM untold_quarantine WHERE project_id = $1";
    if tx.execute(taken, params![project_id]).await? == 0 {
        return Ok(Vec::new());
    }
    let item = news::Item { project_id, kind: news::EVENTS_QUARANTINED, image_id: None, state: None };
    news::append(tx, now, &[item]).await
}

/// The SQL conditions of a filter. Adds its values to `bound`.
fn conditions(filter: &Filter, bound: &mut Vec<Value>) -> String {
    let mut text = String::new();
    for (column, value) in [("category", &filter.category), ("name", &filter.name), ("reason", &filter.reason)] {
        if let Some(value) = value {
            bound.push(value.clone().into());
            let _infallible = write!(text, " AND {column} = ${}", bound.len());
        }
    }
    text
}

async fn list(
    tx: &mut Tx,
    project_id: ProjectId,
    filter: &Filter,
    order: Order,
    after: Option<Age>,
    limit: u32,
) -> Result<Vec<Quarantined>> {
    let (comparison, direction) = match order {
        Order::LastFirst => ("<", "DESC"),
        Order::FirstFirst => (">", "ASC"),
    };
    let mut bound = params![project_id, limit].to_vec();
    let mut conditions = conditions(filter, &mut bound);
    if let Some(age) = after {
        bound.extend(params![age.quarantined_at, age.partition, age.offset].to_vec());
        let first = bound.len() - 2;
        let _infallible = write!(
            conditions,
            " AND (quarantined_at, partition, event_offset) {comparison} (${first}, ${}, ${})",
            first + 1,
            first + 2
        );
    }
    let sql = format!(
        "SELECT * FROM quarantine WHERE project_id = $1{conditions}
         ORDER BY quarantined_at {direction}, partition {direction}, event_offset {direction}
         LIMIT $2"
    );
    tx.query_text(&sql, &bound).await?.into_iter().map(read).collect()
}

async fn causes(tx: &mut Tx, project_id: ProjectId, filter: &Filter, limit: u32) -> Result<Vec<Cause>> {
    let mut bound = params![project_id, limit].to_vec();
    let conditions = conditions(filter, &mut bound);
    let sql = format!(
        "SELECT category, name, reason, count(*) AS events, min(quarantined_at) AS first_at,
                max(quarantined_at) AS last_at
         FROM quarantine WHERE project_id = $1{conditions}
         GROUP BY category, name, reason
         ORDER BY count(*) DESC, category, name, reason
         LIMIT $2"
    );
    let read = |mut row: Row| {
        Ok(Cause {
            category: row.take("category")?,
            name: row.take("name")?,
            reason: row.take("reason")?,
            events: row.take("events")?,
            first_at: row.take("first_at")?,
            last_at: row.take("last_at")?,
        })
    };
    tx.query_text(&sql, &bound).await?.into_iter().map(read).collect()
}

fn read(mut row: Row) -> Result<Quarantined> {
    let record: Vec<u8> = row.take("event")?;
    let event = Event::decode(&record);
    Ok(Quarantined {
        age: Age {
            quarantined_at: row.take("quarantined_at")?,
            partition: row.take("partition")?,
            offset: row.take("event_offset")?,
        },
        event: event.ok_or_else(|| Error::Corrupt("an event in quarantine cannot be read".to_owned()))?,
        reason: row.take("reason")?,
        errors: row.take("errors")?,
    })
}

/// Deletes the rows of replayed events. Returns the offsets of events without a row, of erased sessions, or whose id
/// was counted for another event meanwhile.
pub(super) async fn claim(tx: &mut Tx, batch: &EventBatch) -> Result<BTreeSet<Offset>> {
    let mut firsts = BTreeMap::<(u32, Offset), &BatchEvent>::new();
    let mut lost = BTreeSet::new();
    for event in &batch.events {
        let Some(replay) = event.event.replay else { continue };
        match firsts.entry((replay.partition, Offset::from_number(replay.offset))) {
            std::collections::btree_map::Entry::Vacant(first) => drop(first.insert(event)),
            std::collections::btree_map::Entry::Occupied(_) => drop(lost.insert(event.offset)),
        }
    }
    if firsts.is_empty() {
        return Ok(lost);
    }
    let places: Vec<Vec<Value>> =
        firsts.keys().map(|(partition, offset)| params![*partition, *offset].to_vec()).collect();
    let sql = "DELETE FROM quarantine WHERE (partition, event_offset) IN (VALUES {rows})
               RETURNING partition, event_offset";
    let mut taken = HashSet::new();
    for mut row in tx.query_rows(sql, &places).await? {
        taken.insert((row.take::<u32>("partition")?, row.take::<Offset>("event_offset")?));
    }
    let erased = erased(tx, &firsts).await?;
    let comes_back =
        |place: &(u32, Offset), event: &BatchEvent| taken.contains(place) && !erased.contains(&event.offset);
    let (claimed, gone): (Vec<_>, Vec<_>) = firsts.into_iter().partition(|(place, event)| comes_back(place, event));
    lost.extend(gone.into_iter().map(|(_, event)| event.offset));
    lost.append(&mut take_over_ids(tx, batch.partition, &claimed).await?);
    Ok(lost)
}

/// The offsets of replayed events whose session was erased meanwhile. The erasure does not look for later copies.
async fn erased(tx: &mut Tx, firsts: &BTreeMap<(u32, Offset), &BatchEvent>) -> Result<BTreeSet<Offset>> {
    let row = |BatchEvent { offset, event, .. }: &BatchEvent| {
        params![*offset, event.project_id, event.session_id, event.received_at].to_vec()
    };
    let rows: Vec<Vec<Value>> = firsts.values().map(|event| row(event)).collect();
    let sql = "SELECT v.column1 AS event_offset FROM (VALUES {rows}) AS v
               JOIN erasures e ON e.project_id = v.column2 AND e.session_id = v.column3 AND e.requested_at >= v.column4";
    tx.query_rows(sql, &rows).await?.into_iter().map(|mut row| row.take("event_offset")).collect()
}

/// Moves the ids of events to their new places. Returns the offsets of events whose id belongs to another event.
async fn take_over_ids(
    tx: &mut Tx,
    partition: u32,
    claimed: &[((u32, Offset), &BatchEvent)],
) -> Result<BTreeSet<Offset>> {
    let mut named: BTreeMap<(ApplicationId, EventId), (Offset, Timestamp)> = BTreeMap::new();
    let mut moves = Vec::new();
    for ((from_partition, from_offset), BatchEvent { offset, event, .. }) in claimed {
        if event.id_given {
            let id = (event.application_id, event.event_id);
            named.insert(id, (*offset, event.received_at));
            moves.push(params![id.0, id.1, *from_partition, *from_offset, partition, *offset].to_vec());
        }
    }
    let sql = "UPDATE event_ids SET partition = v.column5, event_offset = v.column6 FROM (VALUES {rows}) AS v
               WHERE event_ids.application_id = v.column1 AND event_ids.event_id = v.column2
                 AND event_ids.partition = v.column3 AND event_ids.event_offset = v.column4
               RETURNING event_ids.application_id AS application_id, event_ids.event_id AS event_id";
    for mut row in tx.query_rows(sql, &moves).await? {
        named.remove(&(row.take("application_id")?, row.take("event_id")?));
    }
    // The id was deleted, never stored, or belongs to another event.
    let rows: Vec<Vec<Value>> = named
        .iter()
        .map(|((application_id, event_id), (offset, received_at))| {
            params![*application_id, *event_id, partition, *offset, *received_at].to_vec()
        })
        .collect();
    for mut row in tx.query_rows(events::NOTE_IDS, &rows).await? {
        named.remove(&(row.take("application_id")?, row.take("event_id")?));
    }
    Ok(named.into_values().map(|(offset, _)| offset).collect())
}

/// Quarantines records, and notes that this is news.
pub(super) async fn keep_apart(tx: &mut Tx, partition: u32, aside: &[Aside], now: Timestamp) -> Result<()> {
    let mut rows = Vec::with_capacity(aside.len());
    let mut projects = BTreeSet::new();
    for Aside { offset, event, record, misfit } in aside {
        let errors = errors_text(misfit)?;
        let event = event.as_ref();
        projects.extend(event.map(|event| event.project_id));
        rows.push(
            params![
                partition,
                *offset,
                event.map(|event| event.project_id),
                event.map(|event| event.application_id),
                event.map(|event| event.event_id),
                event.map(|event| event.category.clone()),
                event.map(|event| event.name.clone()),
                misfit.reason,
                errors,
                record.clone(),
                now
            ]
            .to_vec(),
        );
    }
    let sql = "INSERT INTO quarantine (partition, event_offset, project_id, application_id, event_id, category, name,
                                       reason, errors, event, quarantined_at)
               VALUES {rows}";
    tx.execute_rows(sql, &rows).await?;
    let untold = "INSERT INTO untold_quarantine (project_id) VALUES {rows} ON CONFLICT (project_id) DO NOTHING";
    let projects: Vec<Vec<Value>> = projects.into_iter().map(|project_id| vec![project_id.into()]).collect();
    tx.execute_rows(untold, &projects).await.map(drop)
}

fn errors_text(misfit: &Misfit) -> Result<String> {
    serde_json::to_string(&misfit.errors).map_err(|error| Error::internal("writing field errors", error))
}
