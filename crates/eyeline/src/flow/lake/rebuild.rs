//! What the events say, reckoned again from the first of them, or from what those came to that are not kept any more.

use std::collections::HashMap;

use eyeline_core::ranking::{Basis, Columns, Learnt, RulesInForce, Scorer, sequence};
use eyeline_core::{AccessClass, Event, GalleryId, Ranking, Strategy, Timestamp};
use eyeline_store::catalog::lake::Marks;
use eyeline_store::{Error, Result};

use super::files::file_ref;
use super::recount::{Galleries, Gallery, count, count_files, counted};
use crate::app::App;
use crate::secrets::{sha256, to_hex};

/// Events read at once.
const READ_MAX: usize = 10_000;

/// The orders of a gallery as the catalog has them and as its events say, each as a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub gallery_id: GalleryId,
    pub events: u64,
    pub before: String,
    pub after: String,
    pub cause: Cause,
}

/// Why the catalog and the events agree or differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Equal,
    /// Exactly so many events are missing, and erasures have taken them out. They stay counted.
    Erased(u64),
    /// The catalog has counted so many more events than are found (fewer, if negative), of which erasures have taken out
    /// `erased`.
    Fault {
        missing: i64,
        erased: u64,
    },
}

/// What the catalog has of a gallery.
struct Kept {
    columns: Columns,
    learnt: Learnt,
}

/// Counts every event up to the marks again, those of the files first and then those of the inbox, and compares. Changes
/// nothing. All galleries are in memory at once.
pub async fn verify(app: &App) -> Result<Vec<Verified>> {
    let (mut galleries, mut kept) = (Galleries::new(), HashMap::new());
    for gallery_id in app.catalog.gallery_ids().await? {
        let mut columns = Columns::default();
        let read = Gallery::read(&app.catalog, gallery_id, |ordinal, image| columns.set(ordinal, image)).await?;
        let Some((gallery, learnt)) = read else { continue };
        galleries.insert(gallery_id, gallery);
        kept.insert(gallery_id, Kept { columns, learnt });
    }
    let manifest = app.catalog.manifest().await?;
    for marks in manifest.partitions {
        for (gallery_id, gallery) in &mut galleries {
            gallery.history = app.catalog.ranking_history(*gallery_id, marks.partition).await?;
        }
        let files = manifest.files.iter().filter(|file| file.partition == marks.partition).map(file_ref).collect();
        galleries = count_files(app.usage.files(), files, marks.cut + 1..=marks.flushed, galleries).await?;
        replay_inbox(app, marks, &mut galleries).await?;
    }
    let now = app.clock.now();
    let mut verified = Vec::with_capacity(galleries.len());
    for (gallery_id, Gallery { reckoner, history, of_base, counted, applied, .. }) in galleries {
        let Some(kept) = kept.remove(&gallery_id) else { continue };
        let events = of_base + counted;
        let before = hash(gallery_id, &kept.columns, &kept.learnt, history.present, now);
        let after = hash(gallery_id, &reckoner.columns, &reckoner.learnt, history.present, now);
        let cause = if before == after {
            Cause::Equal
        } else {
            let (erased, missing) =
                (app.catalog.erased_acts(gallery_id).await?, applied.cast_signed() - events.cast_signed());
            let is_erased = erased > 0 && missing == erased.cast_signed();
            if is_erased { Cause::Erased(erased) } else { Cause::Fault { missing, erased } }
        };
        verified.push(Verified { gallery_id, events, before, after, cause });
    }
    verified.sort_by_key(|gallery| gallery.gallery_id);
    Ok(verified)
}

/// Counts what is applied but in no file yet.
async fn replay_inbox(app: &App, marks: Marks, galleries: &mut Galleries) -> Result<()> {
    let Marks { partition, flushed, applied, .. } = marks;
    let mut reached = flushed;
    while reached < applied {
        let mut deliveries = app.inbox.pull(partition, reached, READ_MAX).await?;
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
