//! Event records of the catalog: the applied watermark of each partition, the ids that clients gave, and the counts.
//! The events themselves are in the inbox and the lake.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use eyeline_core::event::{ActKind, GalleryAct, ImageRef};
use eyeline_core::{ApplicationId, Event, EventId, FieldErrors, GalleryId, ImageId, ProjectId, Timestamp};
use futures::FutureExt as _;

use super::galleries::{self, CountDelta};
use super::learning::{self, CountedAct};
use super::{Catalog, distinct, partitions, quarantine, rollups};
use crate::error::Result;
use crate::inbox::{Offset, Span};
use crate::params;
use crate::sql::{Tx, Value};

/// Consecutive events of a partition, ready to be applied.
#[derive(Clone, Debug)]
pub struct EventBatch {
    pub partition: u32,
    /// The fencing token of the partition's owner.
    pub fence: i64,
    /// The watermark before the batch, and the one after it.
    pub after: Offset,
    pub reached: Offset,
    /// Every accepted event, in the order of offsets.
    pub events: Vec<BatchEvent>,
    /// Records that cannot be read or applied.
    pub aside: Vec<Aside>,
    pub now: Timestamp,
    /// The most new hourly roll-up rows that a project's events may create on one day of arrival.
    pub hour_rows_max: u64,
}

#[derive(Clone, Debug)]
pub struct BatchEvent {
    pub offset: Offset,
    pub event: Event,
    pub act: Option<GalleryAct>,
    /// The reason why it does not count, independently of the catalog.
    pub misfit: Option<Misfit>,
}

/// The reason why an event does not count.
#[derive(Clone, Debug)]
pub struct Misfit {
    /// The cause in one word.
    pub reason: &'static str,
    pub errors: FieldErrors,
}

impl Misfit {
    /// The misfit of a gallery event whose image does not exist yet.
    pub fn unknown_image() -> Self {
        let sentence = "The project has no such gallery, or the gallery no such image.";
        Misfit { reason: "unknown_image", errors: FieldErrors::one("data", sentence) }
    }

    /// The misfit of an event that needs a new hourly roll-up row after the project has created its limit of rows
    /// today.
    fn too_many_rows() -> Self {
        let sentence = "The project's events have too many different names, hours and applications today. Replay this on \
                        another day.";
        Misfit { reason: "too_many_names", errors: FieldErrors::one("name", sentence) }
    }
}

/// A record to quarantine.
#[derive(Clone, Debug)]
pub struct Aside {
    pub offset: Offset,
    /// `None` if the record cannot be read.
    pub event: Option<Event>,
    pub record: Vec<u8>,
    pub misfit: Misfit,
}

/// The outcome of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    Done {
        /// Galleries whose counters changed.
        galleries: Vec<GalleryId>,
        duplicates: usize,
        quarantined: usize,
    },
    /// The partition's watermark is not where the batch begins, because it was applied before. Nothing changed.
    MarkMoved,
    /// Another process has claimed the partition. Nothing changed.
    LeaseLost,
}

/// The place of the first event with a client's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPlace {
    pub partition: u32,
    pub offset: Offset,
    pub received_at: Timestamp,
}

impl Catalog {
    /// The applied watermark: every event of the partition up to this offset is applied.
    pub async fn applied_mark(&self, partition: u32) -> Result<Offset> {
        let sql = "SELECT applied FROM partitions WHERE partition = $1";
        self.db
            .read(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![partition]).await?;
                    row.map_or(Ok(Offset::START), |mut row| row.take("applied"))
                }
                .boxed()
            })
            .await
    }

    /// Applies a batch and moves the partition's watermark in one transaction, so that a batch counts once however
    /// often it is tried.
    pub async fn apply_events(&self, batch: EventBatch) -> Result<Applied> {
        self.db.write(move |tx| apply(tx, batch).boxed()).await
    }

    /// The places of the first events with these ids, among applied events whose ids are still kept.
    pub async fn event_places(
        &self,
        ids: Vec<(ApplicationId, EventId)>,
    ) -> Result<HashMap<(ApplicationId, EventId), EventPlace>> {
        let sql = "SELECT e.application_id AS application_id, e.event_id AS event_id, e.partition AS partition,
                          e.event_offset AS event_offset, e.received_at AS received_at
                   FROM (VALUES {rows}) AS v
                   JOIN event_ids e ON e.application_id = v.column1 AND e.event_id = v.column2";
        let rows: Vec<Vec<Value>> = ids.into_iter().map(|(app, id)| vec![app.into(), id.into()]).collect();
        self.db
            .read(move |tx| {
                async move {
                    let mut places = HashMap::new();
                    for mut row in tx.query_rows(sql, &rows).await? {
                        let place = EventPlace {
                            partition: row.take("partition")?,
                            offset: row.take("event_offset")?,
                            received_at: row.take("received_at")?,
                        };
                        places.insert((row.take("application_id")?, row.take("event_id")?), place);
                    }
                    Ok(places)
                }
                .boxed()
            })
            .await
    }

    /// The offsets of the span whose events do not count: duplicates and quarantined events. A replayed event has a
    /// later offset.
    pub async fn dropped_events(&self, partition: u32, span: Span) -> Result<BTreeSet<Offset>> {
        let sql = "SELECT event_offset FROM dropped_events
                   WHERE partition = $1 AND event_offset > $2 AND event_offset <= $3";
        self.db
            .read(move |tx| {
                async move {
                    let rows = tx.query(sql, params![partition, span.after, span.up_to]).await?;
                    rows.into_iter().map(|mut row| row.take("event_offset")).collect()
                }
                .boxed()
            })
            .await
    }

    /// Deletes up to `limit` event ids first received before `before`. Returns their number.
    pub async fn forget_event_ids(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let sql = "DELETE FROM event_ids WHERE (application_id, event_id) IN (
                       SELECT application_id, event_id FROM event_ids
                       WHERE received_at < $1 ORDER BY received_at LIMIT $2)";
        self.db.write(move |tx| async move { tx.execute(sql, params![before, limit]).await }.boxed()).await
    }
}

async fn apply(tx: &mut Tx, batch: EventBatch) -> Result<Applied> {
    if let Some(refused) = move_mark(tx, &batch).await? {
        return Ok(refused);
    }
    let mut dropped = find_duplicates(tx, &batch).await?;
    dropped.append(&mut quarantine::claim(tx, &batch).await?);
    let duplicates = dropped.len();

    let fresh: Vec<&BatchEvent> = batch.events.iter().filter(|event| !dropped.contains(&event.offset)).collect();
    let images = find_images(tx, &fresh).await?;
    let counting = fresh.iter().copied().filter(|event| event.misfit.is_none()).map(|event| &event.event);
    let refused = rollups::admit(tx, counting, batch.now, batch.hour_rows_max).await?;
    let mut aside = batch.aside;
    let mut counted = Counted { acts: Vec::with_capacity(fresh.len()), ..Counted::default() };
    for BatchEvent { offset, event, act, misfit } in fresh {
        let is_refused = !refused.is_empty() && refused.contains(&rollups::hour_key(event));
        let misfit = misfit.clone().or_else(|| is_refused.then(Misfit::too_many_rows));
        let misfit = misfit.or_else(|| counted.add(*offset, event, act.as_ref(), &images).err());
        if let Some(misfit) = misfit {
            aside.push(Aside { offset: *offset, event: Some(event.clone()), record: event.encode(), misfit });
        }
    }
    let quarantined = aside.len();
    dropped.extend(aside.iter().map(|aside| aside.offset));

    galleries::add_counts(tx, &counted.deltas()).await?;
    learning::learn(tx, batch.partition, &counted.acts).await?;
    rollups::add(tx, &counted.events, &counted.images).await?;
    drop_events(tx, batch.partition, &dropped).await?;
    quarantine::keep_apart(tx, batch.partition, &aside, batch.now).await?;
    let galleries: BTreeSet<GalleryId> = counted.images.keys().map(|(gallery_id, ..)| *gallery_id).collect();
    Ok(Applied::Done { galleries: galleries.into_iter().collect(), duplicates, quarantined })
}

/// The sums of a batch.
#[derive(Default)]
struct Counted<'a> {
    events: rollups::EventCounts<'a>,
    images: rollups::ImageCounts,
    acts: Vec<CountedAct>,
}

impl<'a> Counted<'a> {
    /// Adds an event, or returns the reason why it does not count yet.
    fn add(
        &mut self,
        offset: Offset,
        event: &'a Event,
        act: Option<&GalleryAct>,
        images: &Images,
    ) -> Result<(), Misfit> {
        if let Some(act) = act {
            let gallery = images.get(&(event.project_id, act.gallery_id));
            let image_id = gallery.and_then(|images| images.get(&act.image)).copied();
            let image_id = image_id.ok_or_else(Misfit::unknown_image)?;
            let key = (act.gallery_id, rollups::day(event.timestamp), image_id);
            let (views, clicks) = self.images.entry(key).or_default();
            match act.kind {
                ActKind::View => *views += 1,
                ActKind::Click => *clicks += 1,
            }
            self.acts.push(CountedAct::new(offset, event, act, image_id));
        }
        rollups::count(&mut self.events, event);
        Ok(())
    }

    /// The sums over all days.
    fn deltas(&self) -> Vec<CountDelta> {
        let mut sums = BTreeMap::<(GalleryId, ImageId), (u64, u64)>::new();
        for ((gallery_id, _, image_id), (more_views, more_clicks)) in &self.images {
            let (views, clicks) = sums.entry((*gallery_id, *image_id)).or_default();
            *views += more_views;
            *clicks += more_clicks;
        }
        let delta = |((gallery_id, image_id), (views, clicks))| CountDelta { gallery_id, image_id, views, clicks };
        sums.into_iter().map(delta).collect()
    }
}

/// Moves the watermark, or returns why it cannot. On PostgreSQL the row stays locked, so that a concurrent owner waits
/// and then finds it moved.
async fn move_mark(tx: &mut Tx, batch: &EventBatch) -> Result<Option<Applied>> {
    let EventBatch { partition, fence, after, reached, .. } = *batch;
    let sql = "UPDATE partitions SET applied = $3, waiting = waiting + $5
               WHERE partition = $1 AND applied = $2 AND fence = $4";
    let records = batch.events.len() + batch.aside.len();
    if tx.execute(sql, params![partition, after, reached, fence, records as u64]).await? == 1 {
        return Ok(None);
    }
    Ok(Some(if partitions::holds(tx, partition, fence).await? { Applied::MarkMoved } else { Applied::LeaseLost }))
}

/// Returns the ids that were new.
pub(super) const NOTE_IDS: &str =
    "INSERT INTO event_ids (application_id, event_id, partition, event_offset, received_at) VALUES {rows}
     ON CONFLICT (application_id, event_id) DO NOTHING
     RETURNING application_id, event_id";

/// Stores the event ids of the batch. Returns the offsets of duplicates, of earlier batches or within this one. Sorts
/// the ids, so that two partitions with the same ids do not deadlock.
async fn find_duplicates(tx: &mut Tx, batch: &EventBatch) -> Result<BTreeSet<Offset>> {
    let mut firsts = BTreeMap::new();
    let mut duplicates = BTreeSet::new();
    // A replayed event's id was stored when it first arrived.
    let named = batch.events.iter().filter(|event| event.event.id_given && event.event.replay.is_none());
    for BatchEvent { offset, event, .. } in named {
        let id = (event.application_id, event.event_id);
        match firsts.entry(id) {
            Entry::Vacant(first) => drop(first.insert((*offset, event.received_at))),
            Entry::Occupied(_) => drop(duplicates.insert(*offset)),
        }
    }
    let rows: Vec<Vec<Value>> = firsts
        .iter()
        .map(|((application_id, event_id), (offset, received_at))| {
            params![*application_id, *event_id, batch.partition, *offset, *received_at].to_vec()
        })
        .collect();
    let mut fresh = HashSet::with_capacity(rows.len());
    for mut row in tx.query_rows(NOTE_IDS, &rows).await? {
        fresh.insert((row.take::<ApplicationId>("application_id")?, row.take::<EventId>("event_id")?));
    }
    duplicates.extend(firsts.into_iter().filter(|(id, _)| !fresh.contains(id)).map(|(_, (offset, _))| offset));
    Ok(duplicates)
}

/// Images by gallery with its project, and by each of the requested names.
pub(super) type Images = HashMap<(ProjectId, GalleryId), HashMap<ImageRef, ImageId>>;

/// The images that the events name, in galleries of the sender's project.
async fn find_images(tx: &mut Tx, events: &[&BatchEvent]) -> Result<Images> {
    let acts = events.iter().filter_map(|event| Some((event.event.project_id, event.act.as_ref()?)));
    find_named(tx, distinct(acts.map(|(project_id, act)| (project_id, act.gallery_id, &act.image)))).await
}

pub(super) async fn find_named(tx: &mut Tx, named: BTreeSet<(ProjectId, GalleryId, &ImageRef)>) -> Result<Images> {
    let (mut by_id, mut by_external_id) = (Vec::new(), Vec::new());
    for (project_id, gallery_id, image) in named {
        match image {
            ImageRef::Id(id) => by_id.push(params![project_id, gallery_id, *id].to_vec()),
            ImageRef::External(id) => by_external_id.push(params![project_id, gallery_id, id.clone()].to_vec()),
        }
    }
    let mut images = Images::new();
    let sql = "SELECT g.project_id AS project_id, i.gallery_id AS gallery_id, i.image_id AS image_id
               FROM (VALUES {rows}) AS v
               JOIN galleries g ON g.gallery_id = v.column2 AND g.project_id = v.column1 AND g.deleted_at IS NULL
               JOIN gallery_images i ON i.gallery_id = g.gallery_id AND i.image_id = v.column3";
    for mut row in tx.query_rows(sql, &by_id).await? {
        let image_id: ImageId = row.take("image_id")?;
        let gallery = images.entry((row.take("project_id")?, row.take("gallery_id")?)).or_default();
        gallery.insert(ImageRef::Id(image_id), image_id);
    }
    let sql = "SELECT g.project_id AS project_id, i.gallery_id AS gallery_id, i.image_id AS image_id,
                      i.external_id AS external_id
               FROM (VALUES {rows}) AS v
               JOIN galleries g ON g.gallery_id = v.column2 AND g.project_id = v.column1 AND g.deleted_at IS NULL
               JOIN gallery_images i ON i.gallery_id = g.gallery_id AND i.external_id = v.column3";
    for mut row in tx.query_rows(sql, &by_external_id).await? {
        let gallery = images.entry((row.take("project_id")?, row.take("gallery_id")?)).or_default();
        gallery.insert(ImageRef::External(row.take("external_id")?), row.take("image_id")?);
    }
    Ok(images)
}

async fn drop_events(tx: &mut Tx, partition: u32, offsets: &BTreeSet<Offset>) -> Result<()> {
    let rows: Vec<Vec<Value>> = offsets.iter().map(|offset| params![partition, *offset].to_vec()).collect();
    let sql = "INSERT INTO dropped_events (partition, event_offset) VALUES {rows}";
    tx.execute_rows(sql, &rows).await.map(drop)
}
