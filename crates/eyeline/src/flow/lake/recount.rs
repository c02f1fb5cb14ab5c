//! Recounts events from lake files in the order of their application, from the first one or from a base that a
//! retention cut stored.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use eyeline_core::event::{GALLERY_CATEGORY, ImageRef};
use eyeline_core::ranking::{Counts, Evidence, Learnt, RankedImage, Reckoned, Reckoner};
use eyeline_core::{Event, GalleryId, ProjectId};
use eyeline_lake::{Arrivals, Budget, FileRef, Files, Record, in_order_of_arrival};
use eyeline_store::catalog::orders::ChangeMark;
use eyeline_store::catalog::ranking_history::RankingHistory;
use eyeline_store::inbox::{Offset, Span};
use eyeline_store::{Catalog, Error, Result};

use super::usage::{GiveUp, failure};

/// Images read at once.
const IMAGES_MAX: u32 = 10_000;
/// Pieces of a base read at once.
const PIECES_MAX: u32 = 500;
/// Views and clicks that are read and sorted together. Each file is opened once for them.
const ACTS_MAX: usize = 250_000;
/// Long, because no caller waits for the result.
const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A gallery during a recount.
pub(super) struct Gallery {
    project_id: ProjectId,
    pub reckoner: Reckoner,
    /// The settings of the partition whose events are counted.
    pub history: RankingHistory,
    ordinals: HashMap<ImageRef, u32>,
    /// Events that its base stands for, and that were counted since.
    pub of_base: u64,
    pub counted: u64,
    /// Events that the catalog has counted.
    pub applied: u64,
}

pub(super) type Galleries = HashMap<GalleryId, Gallery>;

/// A view or click as it was counted.
pub(super) struct Counted {
    gallery_id: GalleryId,
    offset: Offset,
    act: Reckoned,
}

impl Gallery {
    /// Reads a gallery as of its base, and its learnt state of now; `None` if it is gone. Calls `known` with every
    /// image as the catalog has it.
    pub async fn read(
        catalog: &Catalog,
        gallery_id: GalleryId,
        mut known: impl FnMut(u32, RankedImage) + Send,
    ) -> Result<Option<(Gallery, Learnt)>> {
        let mut reckoner = Reckoner::default();
        let mut mark = ChangeMark::START;
        let (gallery, learnt) = loop {
            let Some(changes) = catalog.gallery_changes(gallery_id, mark, IMAGES_MAX).await? else { return Ok(None) };
            for (ordinal, image) in changes.images {
                known(ordinal, image);
                let (counts, evidence) = (Counts::default(), Evidence::default());
                reckoner.columns.set(ordinal, RankedImage { counts, ignored: counts, evidence, ..image });
            }
            mark = changes.mark;
            if changes.complete {
                break (changes.gallery, changes.learnt);
            }
        };
        let of_base = put_back(catalog, gallery_id, &mut reckoner).await?;
        let ordinals = catalog.gallery_names(gallery_id).await?.into_iter().collect();
        let history = RankingHistory { present: gallery.ranking, changes: Vec::new() };
        let (project_id, applied) = (gallery.project_id, gallery.applied_events);
        Ok(Some((Gallery { project_id, reckoner, history, ordinals, of_base, counted: 0, applied }, learnt)))
    }
}

/// Restores the gallery's base. Returns the number of events it stands for.
async fn put_back(catalog: &Catalog, gallery_id: GalleryId, reckoner: &mut Reckoner) -> Result<u64> {
    let mut last = None;
    loop {
        let pieces = catalog.base_pieces(gallery_id, last.take(), PIECES_MAX).await?;
        for piece in &pieces {
            let unreadable = || Error::Corrupt(format!("the base of gallery {gallery_id} cannot be read"));
            reckoner.put_back(piece).ok_or_else(unreadable)?;
        }
        let is_end = pieces.len() < PIECES_MAX as usize;
        last = pieces.into_iter().next_back().map(|piece| (piece.kind, piece.key));
        if is_end {
            break;
        }
    }
    let counts = (0..reckoner.columns.len()).map(|ordinal| reckoner.columns.counts(ordinal as u32));
    Ok(counts.map(|counts| counts.views + counts.clicks).sum())
}

/// Counts the events in the files of a partition, some at a time.
pub(super) async fn count_files(
    lake: &Files,
    files: Vec<FileRef>,
    span: Span,
    mut galleries: Galleries,
) -> Result<Galleries> {
    let files = Arc::new(files);
    let budget = Budget::new(usize::MAX, TIME_MAX);
    let _give_up = GiveUp(budget.clone());
    let mut after = Some(span.after.number());
    while let Some(begin) = after {
        let (lake, files, budget) = (lake.clone(), files.clone(), budget.clone());
        let counting = tokio::task::spawn_blocking(move || {
            let up_to = span.up_to.number();
            let arrivals = Arrivals { after: begin, up_to, category: GALLERY_CATEGORY, rows_max: ACTS_MAX };
            let read =
                |record: Record| counted(&galleries, &record.event, Offset::from_number(record.offset), record.place);
            let (acts, rest_after) = in_order_of_arrival(&lake, &files, arrivals, &budget, read)?;
            acts.into_iter().for_each(|act| count(&mut galleries, act));
            Ok((galleries, rest_after))
        });
        let counted = counting.await.map_err(|error| Error::internal("counting events again", error))?;
        (galleries, after) = counted.map_err(failure)?;
    }
    Ok(galleries)
}

/// The act that the event counted for, if it is about an image of one of the galleries.
pub(super) fn counted(galleries: &Galleries, event: &Event, offset: Offset, place: Option<u32>) -> Option<Counted> {
    let act = event.gallery_act().ok()??;
    let gallery = galleries.get(&act.gallery_id).filter(|gallery| gallery.project_id == event.project_id)?;
    let image = *gallery.ordinals.get(&act.image)?;
    let Event { session_id, source, received_at, .. } = *event;
    let gallery_id = act.gallery_id;
    let act = Reckoned { image, kind: act.kind, place, session_id, source, received_at };
    Some(Counted { gallery_id, offset, act })
}

pub(super) fn count(galleries: &mut Galleries, Counted { gallery_id, offset, act }: Counted) {
    let Some(gallery) = galleries.get_mut(&gallery_id) else { return };
    gallery.reckoner.take_in(act, gallery.history.at(offset));
    gallery.counted += 1;
}
