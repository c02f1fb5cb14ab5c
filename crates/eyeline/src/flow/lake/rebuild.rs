//! Recounts all events, or a base and the events after it, and compares the result with the catalog.

use std::collections::HashMap;

use eyeline_core::ranking::{Basis, Columns, Learnt, RulesInForce, Scorer, sequence};
use eyeline_core::{AccessClass, Event, GalleryId, Ranking, Strategy, Timestamp};
use eyeline_store::catalog::lake::Marks;
use eyeline_store::inbox::Span;
use eyeline_store::{Catalog, Error, Inbox, Result};

use super::files::file_ref;
use super::recount::{Galleries, Gallery, count, count_files, counted};
use super::usage::Usage;
use crate::clock::Clock;
use crate::secrets::{sha256, to_hex};

/// Events read at once.
const READ_MAX: usize = 10_000;

/// The orders of a gallery by the catalog and by its events, each as a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub gallery_id: GalleryId,
    pub events: u64,
    pub before: String,
    pub after: String,
    pub cause: Cause,
}

/// The reason why catalog and events agree or differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Equal,
    /// Exactly this many events are missing because of erasures. They stay counted.
    Erased(u64),
    /// The catalog has counted `missing` more events than exist (fewer, if negative). Erasures deleted `erased` of
    /// them.
    Fault {
        missing: i64,
        erased: u64,
    },
}

/// The catalog's state of a gallery.
struct Kept {
    columns: Columns,
    learnt: Learnt,
}

/// Recounts every event up to the watermarks, from the files and then the inbox, and compares. Changes nothing. Holds
/// all galleries in memory.
pub async fn verify(catalog: &Catalog, inbox: &dyn Inbox, usage: &Usage, clock: &Clock) -> Result<Vec<Verified>> {
    let (mut galleries, mut kept) = (Galleries::new(), HashMap::new());
    for gallery_id in catalog.gallery_ids().await? {
        let mut columns = Columns::default();
        let read = Gallery::read(catalog, gallery_id, |ordinal, image| columns.set(ordinal, image)).await?;
        let Some((gallery, learnt)) = read else { continue };
        galleries.insert(gallery_id, gallery);
        kept.insert(gallery_id, Kept { columns, learnt });
    }
    let manifest = catalog.manifest().await?;
    for marks in manifest.partitions {
        for (gallery_id, gallery) in &mut galleries {
            gallery.history = catalog.ranking_history(*gallery_id, marks.partition).await?;
        }
        let files = manifest.files.iter().filter(|file| file.partition == marks.partition).map(file_ref).collect();
        let span = Span { after: marks.cut, up_to: marks.flushed };
        galleries = count_files(usage.files(), files, span, galleries).await?;
        replay_inbox(catalog, inbox, marks, &mut galleries).await?;
    }
    let now = clock.now();
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
                (catalog.erased_acts(gallery_id).await?, applied.cast_signed() - events.cast_signed());
            let is_erased = erased > 0 && missing == erased.cast_signed();
            if is_erased { Cause::Erased(erased) } else { Cause::Fault { missing, erased } }
        };
        verified.push(Verified { gallery_id, events, before, after, cause });
    }
    verified.sort_by_key(|gallery| gallery.gallery_id);
    Ok(verified)
}

/// Counts events that are applied but not flushed.
async fn replay_inbox(catalog: &Catalog, inbox: &dyn Inbox, marks: Marks, galleries: &mut Galleries) -> Result<()> {
    let Marks { partition, flushed, applied, .. } = marks;
    let mut reached = flushed;
    while reached < applied {
        let mut deliveries = inbox.pull(partition, reached, READ_MAX).await?;
        deliveries.retain(|delivery| delivery.offset <= applied);
        let Some(last) = deliveries.last().map(|delivery| delivery.offset) else {
            return Err(Error::Corrupt(format!("the inbox has no events from {reached} to {applied}")));
        };
        let span = Span { after: reached, up_to: last };
        let dropped = catalog.dropped_events(partition, span).await?;
        let places = catalog.served_places(partition, span).await?;
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

/// The hash of the orders of every strategy as the project's keys see them, the exact numbers and the learnt state.
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
