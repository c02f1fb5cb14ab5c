//! What the events say, reckoned again from the first of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use eyeline_core::event::{GALLERY_CATEGORY, ImageRef};
use eyeline_core::ranking::{
    Basis, Columns, Counts, Evidence, Learnt, RankedImage, Reckoned, Reckoner, RulesInForce, Scorer, sequence,
};
use eyeline_core::{AccessClass, Event, GalleryId, ProjectId, Ranking, Strategy, Timestamp};
use eyeline_lake::{Budget, FileRef, Record, in_order_of_arrival};
use eyeline_store::catalog::lake::Marks;
use eyeline_store::catalog::orders::ChangeMark;
use eyeline_store::catalog::ranking_history::RankingHistory;
use eyeline_store::inbox::Offset;
use eyeline_store::{Error, Result};

use super::files::file_ref;
use super::usage::failure;
use crate::app::App;
use crate::secrets::{sha256, to_hex};

/// Images or events read at once.
const READ_MAX: u32 = 10_000;
/// Offsets whose events are read from files at once and sorted: each file is looked into once for so many.
const OFFSETS_MAX: i64 = 1_000_000;
/// Nobody waits for an answer.
const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The orders of a gallery as the catalog has them and as its events say, each as a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub gallery_id: GalleryId,
    pub events: u64,
    pub before: String,
    pub after: String,
}

struct Gallery {
    project_id: ProjectId,
    kept: Columns,
    kept_learnt: Learnt,
    rebuilt: Reckoner,
    /// Of the partition whose events are counted.
    history: RankingHistory,
    ordinals: HashMap<ImageRef, u32>,
    events: u64,
}

type Galleries = HashMap<GalleryId, Gallery>;

/// A view or a click as it was counted.
struct Counted {
    gallery_id: GalleryId,
    offset: Offset,
    act: Reckoned,
}

/// Counts every event up to the marks again, those of the files first and then those of the inbox, and compares. Changes
/// nothing.
pub async fn verify(app: &App) -> Result<Vec<Verified>> {
    let mut galleries = HashMap::new();
    for gallery_id in app.catalog.gallery_ids().await? {
        galleries.extend(read_gallery(app, gallery_id).await?.map(|gallery| (gallery_id, gallery)));
    }
    let manifest = app.catalog.manifest().await?;
    for marks in manifest.partitions {
        for (gallery_id, gallery) in &mut galleries {
            gallery.history = app.catalog.ranking_history(*gallery_id, marks.partition).await?;
        }
        let files = manifest.files.iter().filter(|file| file.partition == marks.partition).map(file_ref).collect();
        galleries = replay_files(app, files, marks, galleries).await?;
        replay_inbox(app, marks, &mut galleries).await?;
    }
    let now = app.clock.now();
    let mut verified: Vec<Verified> = galleries
        .into_iter()
        .map(|(gallery_id, Gallery { kept, kept_learnt, rebuilt, history, events, .. })| Verified {
            gallery_id,
            events,
            before: hash(gallery_id, &kept, &kept_learnt, history.present, now),
            after: hash(gallery_id, &rebuilt.columns, &rebuilt.learnt, history.present, now),
        })
        .collect();
    verified.sort_by_key(|gallery| gallery.gallery_id);
    Ok(verified)
}

async fn read_gallery(app: &App, gallery_id: GalleryId) -> Result<Option<Gallery>> {
    let (mut kept, mut rebuilt) = (Columns::default(), Reckoner::default());
    let mut mark = ChangeMark::START;
    loop {
        let Some(changes) = app.catalog.gallery_changes(gallery_id, mark, READ_MAX).await? else { return Ok(None) };
        for (ordinal, image) in changes.images {
            kept.set(ordinal, image);
            let (counts, evidence) = (Counts::default(), Evidence::default());
            rebuilt.columns.set(ordinal, RankedImage { counts, ignored: counts, evidence, ..image });
        }
        mark = changes.mark;
        if changes.complete {
            let ordinals = app.catalog.gallery_names(gallery_id).await?.into_iter().collect();
            return Ok(Some(Gallery {
                project_id: changes.gallery.project_id,
                kept,
                kept_learnt: changes.learnt,
                rebuilt,
                history: RankingHistory { present: changes.gallery.ranking, changes: Vec::new() },
                ordinals,
                events: 0,
            }));
        }
    }
}

/// Counts what is in files, stretch by stretch, in the order in which it was applied.
async fn replay_files(app: &App, files: Vec<FileRef>, marks: Marks, mut galleries: Galleries) -> Result<Galleries> {
    let files = Arc::new(files);
    let mut begin = 1;
    // Between files there may be long stretches of nothing.
    while let Some(first) = files.iter().filter(|file| file.facts.last_offset >= begin).map(first_offset).min() {
        let offsets = first.max(begin)..=first.max(begin).saturating_add(OFFSETS_MAX - 1).min(marks.flushed);
        begin = offsets.end() + 1;
        let (lake, files) = (app.usage.files().clone(), files.clone());
        let counting = tokio::task::spawn_blocking(move || {
            let budget = Budget::new(usize::MAX, TIME_MAX);
            let read = |record: Record| counted(&galleries, &record.event, record.offset, record.place);
            let acts = in_order_of_arrival(&lake, &files, &offsets, GALLERY_CATEGORY, &budget, read)?;
            acts.into_iter().for_each(|act| count(&mut galleries, act));
            Ok(galleries)
        });
        let counted = counting.await.map_err(|error| Error::internal("counting events again", error))?;
        galleries = counted.map_err(failure)?;
    }
    Ok(galleries)
}

fn first_offset(file: &FileRef) -> i64 {
    file.facts.first_offset
}

/// Counts what is applied but in no file yet.
async fn replay_inbox(app: &App, marks: Marks, galleries: &mut Galleries) -> Result<()> {
    let Marks { partition, flushed, applied } = marks;
    let mut reached = flushed;
    while reached < applied {
        let mut deliveries = app.inbox.pull(partition, reached, READ_MAX as usize).await?;
        deliveries.retain(|delivery| delivery.offset <= applied);
        let Some(last) = deliveries.last().map(|delivery| delivery.offset) else {
            return Err(Error::Corrupt(format!("the inbox has no events from {reached} to {applied}")));
        };
        let dropped = app.catalog.dropped_events(partition, reached + 1, last).await?;
        let places = app.catalog.served_places(partition, reached + 1, last).await?;
        for delivery in deliveries.into_iter().filter(|delivery| !dropped.contains(&delivery.offset)) {
            let Some(event) = Event::decode(&delivery.event) else { continue };
            let place = places.get(&delivery.offset).copied();
            let act = counted(galleries, &event, delivery.offset, place);
            act.into_iter().for_each(|act| count(galleries, act));
        }
        reached = last;
    }
    Ok(())
}

/// What the event counted for, if it is about an image of one of the galleries.
fn counted(galleries: &Galleries, event: &Event, offset: Offset, place: Option<u32>) -> Option<Counted> {
    let act = event.gallery_act().ok()??;
    let gallery = galleries.get(&act.gallery_id).filter(|gallery| gallery.project_id == event.project_id)?;
    let image = *gallery.ordinals.get(&act.image)?;
    let Event { session_id, source, received_at, .. } = *event;
    let gallery_id = act.gallery_id;
    let act = Reckoned { image, kind: act.kind, place, session_id, source, received_at };
    Some(Counted { gallery_id, offset, act })
}

fn count(galleries: &mut Galleries, Counted { gallery_id, offset, act }: Counted) {
    let Some(gallery) = galleries.get_mut(&gallery_id) else { return };
    gallery.rebuilt.take_in(act, gallery.history.at(offset));
    gallery.events += 1;
}

/// Of the orders of every strategy, as the project's keys see them, of the exact numbers, and of all that was learnt.
fn hash(gallery_id: GalleryId, columns: &Columns, learnt: &Learnt, own: Ranking, now: Timestamp) -> String {
    let mut bytes = Vec::new();
    let rules = &RulesInForce::default();
    for strategy in Strategy::ALL {
        let ranking = Ranking { strategy, ..own };
        let scorer = Scorer::new(Basis { columns, learnt, ranking, rules, gallery_id, snapshot: 0, now });
        let order = sequence(&scorer, AccessClass::Project);
        bytes.extend(order.iter().flat_map(|ordinal| ordinal.to_le_bytes()));
    }
    for ordinal in 0..columns.len() {
        let counts = columns.counts(ordinal as u32);
        bytes.extend(counts.views.to_le_bytes());
        bytes.extend(counts.clicks.to_le_bytes());
        let counted = columns.counted(ordinal as u32);
        bytes.extend(counted.views.to_le_bytes());
        bytes.extend(counted.clicks.to_le_bytes());
        bytes.extend(columns.evidence(ordinal as u32).to_bytes());
    }
    bytes.extend(learnt.to_bytes());
    to_hex(&sha256(&bytes)[..8])
}
