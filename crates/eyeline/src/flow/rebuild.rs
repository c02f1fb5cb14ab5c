//! What the events say, reckoned again from the first of them.

use std::collections::{BTreeSet, HashMap};

use eyeline_core::event::{ActKind, ImageRef};
use eyeline_core::ranking::{
    Act, Basis, Columns, Counts, Evidence, Learnt, RankedImage, RulesInForce, Scorer, sequence,
};
use eyeline_core::{AccessClass, Event, GalleryId, ProjectId, Ranking, Strategy, Timestamp};
use eyeline_store::Result;
use eyeline_store::catalog::orders::ChangeMark;
use eyeline_store::inbox::Offset;

use crate::app::App;
use crate::secrets::{sha256, to_hex};

/// Images or events read at once.
const READ_MAX: u32 = 10_000;

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
    ranking: Ranking,
    kept: Columns,
    kept_learnt: Learnt,
    rebuilt: Columns,
    learnt: Learnt,
    ordinals: HashMap<ImageRef, u32>,
    events: u64,
}

/// Counts every event up to the marks again and compares. Changes nothing.
pub async fn verify(app: &App) -> Result<Vec<Verified>> {
    let mut galleries = HashMap::new();
    for gallery_id in app.catalog.gallery_ids().await? {
        galleries.extend(read_gallery(app, gallery_id).await?.map(|gallery| (gallery_id, gallery)));
    }
    for partition in 0..app.inbox.partitions() {
        replay(app, partition, &mut galleries).await?;
    }
    let now = app.clock.now();
    let mut verified: Vec<Verified> = galleries
        .into_iter()
        .map(|(gallery_id, gallery)| Verified {
            gallery_id,
            events: gallery.events,
            before: hash(gallery_id, &gallery.kept, &gallery.kept_learnt, gallery.ranking, now),
            after: hash(gallery_id, &gallery.rebuilt, &gallery.learnt, gallery.ranking, now),
        })
        .collect();
    verified.sort_by_key(|gallery| gallery.gallery_id);
    Ok(verified)
}

async fn read_gallery(app: &App, gallery_id: GalleryId) -> Result<Option<Gallery>> {
    let (mut kept, mut rebuilt) = (Columns::default(), Columns::default());
    let mut mark = ChangeMark::START;
    loop {
        let Some(changes) = app.catalog.gallery_changes(gallery_id, mark, READ_MAX).await? else { return Ok(None) };
        for (ordinal, image) in changes.images {
            kept.set(ordinal, image);
            let (counts, evidence) = (Counts::default(), Evidence::default());
            rebuilt.set(ordinal, RankedImage { counts, evidence, ..image });
        }
        mark = changes.mark;
        if changes.complete {
            let ordinals = app.catalog.gallery_names(gallery_id).await?.into_iter().collect();
            return Ok(Some(Gallery {
                project_id: changes.gallery.project_id,
                ranking: changes.gallery.ranking,
                kept,
                kept_learnt: changes.learnt,
                rebuilt,
                learnt: Learnt::default(),
                ordinals,
                events: 0,
            }));
        }
    }
}

async fn replay(app: &App, partition: u32, galleries: &mut HashMap<GalleryId, Gallery>) -> Result<()> {
    let applied = app.catalog.applied_mark(partition).await?;
    let places: HashMap<Offset, u32> = app.catalog.served_places(partition).await?.into_iter().collect();
    let mut after = 0;
    while after < applied {
        let deliveries = app.inbox.pull(partition, after, READ_MAX as usize).await?;
        let Some(last) = deliveries.last() else { break };
        let reached = last.offset.min(applied);
        let apart: BTreeSet<Offset> = app.catalog.uncounted_events(partition, after + 1, reached).await?;
        for delivery in deliveries.into_iter().take_while(|delivery| delivery.offset <= applied) {
            if let Some(event) = Event::decode(&delivery.event)
                && !apart.contains(&delivery.offset)
            {
                count(galleries, &event, places.get(&delivery.offset).copied());
            }
        }
        after = reached;
    }
    Ok(())
}

fn count(galleries: &mut HashMap<GalleryId, Gallery>, event: &Event, place: Option<u32>) {
    let Ok(Some(act)) = event.gallery_act() else { return };
    let Some(gallery) = galleries.get_mut(&act.gallery_id) else { return };
    let Some(ordinal) = gallery.ordinals.get(&act.image).copied() else { return };
    if gallery.project_id != event.project_id {
        return;
    }
    let created_at = gallery.rebuilt.created_at(ordinal);
    let (mut counts, mut evidence) = (gallery.rebuilt.counts(ordinal), gallery.rebuilt.evidence(ordinal));
    match act.kind {
        ActKind::View => counts.views += 1,
        ActKind::Click => counts.clicks += 1,
    }
    let age = event.received_at.micros().saturating_sub(created_at.micros());
    let act = Act { kind: act.kind, place, age, minute: event.received_at.minute() };
    gallery.learnt.take_in(&mut evidence, act, gallery.ranking.half_life_minutes());
    let shown_to = gallery.kept.shown_to(ordinal);
    gallery.rebuilt.set(ordinal, RankedImage { created_at, counts, evidence, shown_to });
    gallery.events += 1;
}

/// Of the orders of every strategy, as the project's keys see them, and of the exact numbers.
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
    }
    to_hex(&sha256(&bytes)[..8])
}
