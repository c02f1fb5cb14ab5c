//! The retention cut: deletes events older than the retention period, after their contribution is stored as bases.
//!
//! A cut takes the first events of a partition, in the order of their application, up to the first one to keep. Base
//! pieces and files are written first; one transaction of the catalog then makes the cut. After a crash before it, the
//! next try deletes the pieces and the sweep the files. After a crash behind it, the replaced files are already noted
//! as unwanted.

use std::time::Duration;

use eyeline_core::{GalleryId, Timestamp};
use eyeline_lake::{FileRef, Interval, write_after};
use eyeline_store::catalog::cuts;
use eyeline_store::catalog::lake::{Committed, LakeFile, Marks};
use eyeline_store::inbox::{self, Offset, Span};
use eyeline_store::{Catalog, Result};
use tokio::time::Instant;

use super::files::{LakeFiles, file_ref, lake_file};
use super::partitions::Partitions;
use super::recount::{Galleries, Gallery, count_files};
use super::usage::Usage;
use crate::clock::Clock;
use crate::engines::Engines;

/// Images, guard sources and guard sessions that are in memory at once. A single gallery may exceed it.
const HELD_MAX: usize = 250_000;
/// Guards look back one day; another day covers events received around midnight.
const REMEMBERED: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// If the newest events are older than `SILENCE`, a server waits for `SETTLED` after its start before it cuts.
const SILENCE: Duration = Duration::from_secs(24 * 60 * 60);
const SETTLED: Duration = Duration::from_secs(60 * 60);
/// Pieces of a base, and their approximate bytes, that one transaction writes.
const PIECES_MAX: usize = 500;
const BYTES_MAX: usize = 512 * 1024;
/// Pieces of a replaced base that one transaction deletes.
const CLEARED_MAX: u32 = 500;

/// Cheap to clone.
#[derive(Clone)]
pub struct Cut {
    catalog: Catalog,
    files: LakeFiles,
    usage: Usage,
    partitions: Partitions,
    clock: Clock,
    /// The retention period; `None` keeps events for ever.
    keep: Option<Duration>,
}

/// The next cut of a partition.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    cut: Offset,
    /// Every event after the cut was received at about this time or later.
    before: Timestamp,
    complete_from: Timestamp,
    /// Files that end before the cut.
    gone: Vec<LakeFile>,
    /// Files with events on both sides of the cut.
    split: Vec<LakeFile>,
}

impl Cut {
    pub fn new(
        engines: &Engines,
        files: LakeFiles,
        usage: Usage,
        partitions: Partitions,
        clock: Clock,
        keep: Option<Duration>,
    ) -> Self {
        Cut { catalog: engines.catalog.clone(), files, usage, partitions, clock, keep }
    }

    /// Deletes the first day of events in an owned partition that has events older than the retention period. `None` if
    /// none has, an erasure is under way, or the clock may be wrong. `Moved` if files were merged or an erasure was
    /// requested meanwhile.
    pub async fn step(&self) -> Result<Option<Committed>> {
        let Some(keep) = self.keep else { return Ok(None) };
        let Some(before) = self.clock.older_than(keep) else { return Ok(None) };
        let before = Interval::Day.begin(Interval::Day.number(before));
        let manifest = self.catalog.manifest().await?;
        // An erasure looks for its events in files only. Events deleted by a cut would be missing from its count and
        // remain in the roll-ups.
        if !manifest.hidden.is_empty() {
            return Ok(None);
        }
        if self.started_late(&manifest.files) {
            return Ok(None);
        }
        for marks in manifest.partitions {
            let Some(fence) = self.partitions.fence(marks.partition) else { continue };
            let files = manifest.files.iter().filter(|file| file.partition == marks.partition);
            let Some(plan) = plan_first_day(files, marks, before) else { continue };
            return Ok(Some(self.make(fence, marks, plan).await?));
        }
        Ok(None)
    }

    /// True if the server has just started and the newest file is over a day old by its clock. Either no events arrived
    /// for a while, or the system will still correct the clock.
    fn started_late(&self, files: &[LakeFile]) -> bool {
        let newest = files.iter().map(|file| file.last_received_at).max();
        let is_new = self.clock.age() < SETTLED && self.clock.offset() == 0;
        is_new && newest.is_some_and(|newest| self.clock.now() > newest.plus(SILENCE))
    }

    async fn make(&self, fence: i64, marks: Marks, plan: Plan) -> Result<Committed> {
        let begin = Instant::now();
        let Marks { partition, cut: after, .. } = marks;
        let Plan { cut, before, complete_from, gone, split } = plan;
        let inputs: Vec<LakeFile> = gone.into_iter().chain(split.iter().cloned()).collect();
        let forgotten = before.minus(REMEMBERED).minute();
        let Some(galleries) = self.store_bases(fence, marks, cut, &inputs, forgotten).await? else {
            return Ok(Committed::Moved);
        };
        let mut outputs = Vec::with_capacity(split.len());
        for file in split {
            let input = file_ref(&file);
            let made = self.files.write(file.first_received_at, move |files, sink, budget| {
                write_after(files, &input, cut.number(), sink, budget)
            });
            outputs.extend(made.await?.map(|(key, facts)| lake_file(key, partition, file.level, &facts)));
        }
        let rows = |files: &[LakeFile]| files.iter().map(|file| file.rows).sum::<u64>();
        let (files, events) = (inputs.len(), rows(&inputs) - rows(&outputs));
        let committed = self.catalog.commit_cut(cuts::Cut {
            partition,
            fence,
            after,
            cut,
            complete_from,
            galleries: galleries.clone(),
            inputs: inputs.into_iter().map(|file| file.key).collect(),
            outputs,
            unwanted_from: self.files.unwanted_from(),
        });
        let committed = committed.await?;
        if committed == Committed::Done {
            let took = begin.elapsed();
            tracing::info!(partition, %cut, events, files, %complete_from, ?took, "old events were deleted");
            for gallery_id in galleries {
                if let Err(error) = self.clear_replaced(fence, partition, gallery_id).await {
                    tracing::warn!(%error, gallery.id = %gallery_id, "a replaced base could not be deleted; the next cut retries");
                }
            }
        }
        Ok(committed)
    }

    /// Counts the partition's events up to the cut and stores the resulting bases. Also stores those of its galleries
    /// without activity since minute `forgotten`. Returns all these galleries, or `None` if another process has claimed
    /// the partition.
    async fn store_bases(
        &self,
        fence: i64,
        marks: Marks,
        cut: Offset,
        inputs: &[LakeFile],
        forgotten: u32,
    ) -> Result<Option<Vec<GalleryId>>> {
        let files: Vec<FileRef> = inputs.iter().map(file_ref).collect();
        let mut changed = Vec::new();
        let galleries = self.catalog.gallery_ids().await?.into_iter();
        let count = self.partitions.count();
        let mut left = galleries.filter(|id| inbox::partition_of(id.0, count) == marks.partition);
        loop {
            let galleries = self.read_some(&mut left, fence, marks.partition).await?;
            if galleries.is_empty() {
                return Ok(Some(changed));
            }
            let span = Span { after: marks.cut, up_to: cut };
            let galleries = count_files(self.usage.files(), files.clone(), span, galleries).await?;
            for (gallery_id, mut gallery) in galleries {
                if !gallery.reckoner.forget_until(forgotten) && gallery.counted == 0 {
                    continue;
                }
                if self.store_base(marks.partition, fence, cut, gallery_id, &gallery).await? == Committed::Moved {
                    return Ok(None);
                }
                changed.push(gallery_id);
            }
        }
    }

    /// The next galleries, as many as fit in memory; none at the end.
    async fn read_some(
        &self,
        left: &mut (impl Iterator<Item = GalleryId> + Send),
        fence: i64,
        partition: u32,
    ) -> Result<Galleries> {
        let (mut galleries, mut held) = (Galleries::new(), 0);
        while held < HELD_MAX
            && let Some(gallery_id) = left.next()
        {
            // Left over by an interrupted try.
            self.clear_replaced(fence, partition, gallery_id).await?;
            let Some((mut gallery, _)) = Gallery::read(&self.catalog, gallery_id, |_, _| {}).await? else { continue };
            gallery.history = self.catalog.ranking_history(gallery_id, partition).await?;
            held += gallery.reckoner.columns.len() + gallery.reckoner.remembered();
            galleries.insert(gallery_id, gallery);
        }
        Ok(galleries)
    }

    async fn store_base(
        &self,
        partition: u32,
        fence: i64,
        cut: Offset,
        gallery_id: GalleryId,
        gallery: &Gallery,
    ) -> Result<Committed> {
        let mut pieces = gallery.reckoner.pieces().peekable();
        while pieces.peek().is_some() {
            let (mut some, mut bytes) = (Vec::new(), 0);
            while some.len() < PIECES_MAX
                && bytes < BYTES_MAX
                && let Some(piece) = pieces.next()
            {
                bytes += piece.state.len();
                some.push(piece);
            }
            if self.catalog.store_base(partition, fence, cut, gallery_id, some).await? == Committed::Moved {
                return Ok(Committed::Moved);
            }
        }
        Ok(Committed::Done)
    }

    async fn clear_replaced(&self, fence: i64, partition: u32, gallery_id: GalleryId) -> Result<()> {
        while self.catalog.clear_replaced_base(partition, fence, gallery_id, CLEARED_MAX).await? {}
        Ok(())
    }
}

/// The cut that deletes only the first day of events. An interrupted step loses at most a day's work, and other steps
/// run in between.
fn plan_first_day<'a>(
    files: impl Iterator<Item = &'a LakeFile> + Clone,
    marks: Marks,
    before: Timestamp,
) -> Option<Plan> {
    // The first event applied. No earlier event prevents the deletion of its day.
    let first = files.clone().min_by_key(|file| file.first_offset)?;
    let end = Interval::Day.begin(Interval::Day.number(first.last_received_at) + 1);
    plan(files, marks, before.min(end))
}

/// The cut that deletes the files of a partition whose events were all received before `before`, the start of a day.
/// `None` if there are none.
fn plan<'a>(files: impl Iterator<Item = &'a LakeFile>, marks: Marks, before: Timestamp) -> Option<Plan> {
    let (old, kept): (Vec<&LakeFile>, Vec<&LakeFile>) = files.partition(|file| file.last_received_at < before);
    // An event received earlier may be applied later: around midnight, or out of quarantine.
    let first_kept = kept.iter().map(|file| file.first_offset).min();
    let cut = first_kept.map_or(marks.flushed, |first| marks.flushed.min(first.before()));
    let of_cut = old.into_iter().filter(|file| file.first_offset <= cut).cloned();
    let (gone, split): (Vec<LakeFile>, Vec<LakeFile>) = of_cut.partition(|file| file.last_offset <= cut);
    // A client's clock may be ahead of the server's.
    let last = gone.iter().chain(&split).map(|file| file.last_timestamp).max()?;
    let complete_from = before.max(last.plus(Duration::from_micros(1)));
    let complete_from = marks.complete_from.map_or(complete_from, |known| known.max(complete_from));
    Some(Plan { cut, before, complete_from, gone, split })
}

#[cfg(test)]
mod tests {
    use eyeline_store::ObjectKey;
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 24 * 3_600_000_000;

    fn marks(flushed: i64) -> Marks {
        let flushed = Offset::from_number(flushed);
        Marks { partition: 0, applied: flushed, flushed, cut: Offset::START, complete_from: None, waiting: 0 }
    }

    fn file(day: i64, first_offset: i64, last_offset: i64) -> LakeFile {
        let (first, last) = (Timestamp::from_micros(day * DAY), Timestamp::from_micros(day * DAY + DAY / 2));
        LakeFile {
            key: ObjectKey::lake(first),
            partition: 0,
            level: 2,
            rows: 1,
            bytes: 1_000,
            first_offset: Offset::from_number(first_offset),
            last_offset: Offset::from_number(last_offset),
            first_timestamp: first,
            last_timestamp: last,
            first_received_at: first,
            last_received_at: last,
        }
    }

    fn planned(files: &[LakeFile], flushed: i64, before_day: i64) -> Option<(i64, usize, usize)> {
        let plan = plan(files.iter(), marks(flushed), Timestamp::from_micros(before_day * DAY))?;
        Some((plan.cut.number(), plan.gone.len(), plan.split.len()))
    }

    #[test]
    fn days_that_are_old_enough_are_let_go() {
        let files = [file(1, 1, 10), file(2, 11, 20), file(3, 21, 30)];
        assert_eq!(planned(&files, 30, 1), None);
        assert_eq!(planned(&files, 30, 2), Some((10, 1, 0)));
        assert_eq!(planned(&files, 30, 3), Some((20, 2, 0)));
        assert_eq!(planned(&files, 35, 9), Some((35, 3, 0)), "all that is in files");
    }

    #[test]
    fn what_was_applied_behind_an_event_that_is_kept_stays_for_as_long() {
        let at_midnight = [file(1, 1, 12), file(2, 11, 20)];
        assert_eq!(planned(&at_midnight, 20, 2), Some((10, 0, 1)));
        let out_of_quarantine = [file(1, 1, 10), file(2, 11, 30), file(1, 25, 25)];
        assert_eq!(planned(&out_of_quarantine, 30, 2), Some((10, 1, 0)));
        let behind_everything = [file(1, 11, 12), file(2, 5, 20)];
        assert_eq!(planned(&behind_everything, 20, 2), None);
    }

    #[test]
    fn an_answer_is_complete_from_behind_the_last_event_that_is_let_go() {
        let mut ahead = file(1, 1, 10);
        let marks = marks(20);
        let from = |file: &LakeFile, marks| {
            plan([file].into_iter(), marks, Timestamp::from_micros(2 * DAY)).expect("a plan").complete_from.micros()
        };
        assert_eq!(from(&ahead, marks), 2 * DAY);
        ahead.last_timestamp = Timestamp::from_micros(2 * DAY + 7);
        assert_eq!(from(&ahead, marks), 2 * DAY + 8);
        let later = Some(Timestamp::from_micros(3 * DAY));
        assert_eq!(from(&ahead, Marks { complete_from: later, ..marks }), 3 * DAY, "it never goes back");
    }

    proptest! {
        #[test]
        fn a_cut_takes_only_what_is_old_and_everything_before_it(
            spans in prop::collection::vec((0..6i64, 1..60i64, 0..20i64), 0..12), before in 0..7i64, flushed in 60..90i64,
        ) {
            let files: Vec<LakeFile> =
                spans.into_iter().map(|(day, first, more)| file(day, first, (first + more).min(flushed))).collect();
            let marks = marks(flushed);
            let begin = Timestamp::from_micros(before * DAY);
            let Some(plan) = plan(files.iter(), marks, begin) else { return Ok(()) };
            prop_assert!(plan.cut <= marks.flushed);
            for file in &files {
                let (is_gone, is_split) = (plan.gone.contains(file), plan.split.contains(file));
                prop_assert_eq!(is_gone, file.last_offset <= plan.cut);
                prop_assert_eq!(is_split, file.first_offset <= plan.cut && file.last_offset > plan.cut);
                prop_assert!(!(is_gone || is_split) || file.last_received_at < begin);
            }
        }
    }
}
