//! Replaces many small lake files by few large ones: the files of an hour become one, then those of a day.

use std::collections::BTreeMap;
use std::time::Duration;

use eyeline_core::Timestamp;
use eyeline_lake::{FileRef, Interval, compact, fit_together, merge_at_once};
use eyeline_store::catalog::lake::{Committed, LakeFile};
use eyeline_store::{Catalog, Error, Result};

use super::files::{LakeFiles, file_ref, lake_file};
use super::partitions::Partitions;
use super::usage::failure;
use crate::background::Yields;
use crate::clock::Clock;
use crate::engines::Engines;

/// The wait after the end of an hour or a day, because its last events may not be flushed yet.
const LATE: Duration = Duration::from_secs(2 * 60);
/// An hour with this many files is merged before its end.
const PARTS_MAX: usize = 32;
/// A large file is not rewritten for late events unless they are one part in `LATE_PART` of it, or `LATE_FILES_MAX`
/// files.
const LATE_PART: u64 = 8;
const LATE_FILES_MAX: usize = 16;

/// Cheap to clone.
#[derive(Clone)]
pub struct Compact {
    catalog: Catalog,
    files: LakeFiles,
    partitions: Partitions,
    clock: Clock,
}

/// The files of one merge.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    inputs: Vec<LakeFile>,
    level: u32,
}

impl Compact {
    pub fn new(engines: &Engines, files: LakeFiles, partitions: Partitions, clock: Clock) -> Self {
        Compact { catalog: engines.catalog.clone(), files, partitions, clock }
    }

    /// Merges some files of an owned partition. False if there is nothing to merge.
    pub async fn step(&self) -> Result<bool> {
        let mut files = self.catalog.manifest().await?.files;
        files.retain(|file| self.partitions.fence(file.partition).is_some());
        let Some(Plan { mut inputs, level }) = plan(&files, self.clock.now()) else { return Ok(false) };
        let Some(partition) = inputs.first().map(|file| file.partition) else { return Ok(false) };
        let Some(fence) = self.partitions.fence(partition) else { return Ok(false) };
        let first = inputs.iter().map(|file| file.first_received_at).min().unwrap_or_default();
        let mut refs: Vec<FileRef> = inputs.iter().map(file_ref).collect();
        let (reader, planned) = (self.files.reader().clone(), refs.clone());
        let fitting = self.files.background().run(Yields::Much, move || fit_together(&reader, &planned)).await?;
        inputs.truncate(fitting.map_err(failure)?);
        refs.truncate(inputs.len());
        let made = self.files.write(first, move |files, sink, budget| compact(files, &refs, sink, budget)).await?;
        let rows: u64 = inputs.iter().map(|file| file.rows).sum();
        let Some((key, facts)) = made.filter(|(_, facts)| facts.rows == rows) else {
            return Err(Error::Corrupt(format!("a merge of {rows} events lost some of them")));
        };
        let keys = inputs.iter().map(|file| file.key.clone()).collect();
        let output = lake_file(key, partition, level, &facts);
        let committed = self.catalog.commit_compaction(fence, keys, output, self.files.unwanted_from()).await?;
        tracing::debug!(files = inputs.len(), rows, level, ?committed, "files merged");
        Ok(committed == Committed::Done)
    }
}

/// The next files to merge. Hours come first, so that a day is merged from few files.
fn plan(files: &[LakeFile], now: Timestamp) -> Option<Plan> {
    let of = |interval: Interval, level_max: u32| {
        let mut groups: BTreeMap<(u32, i64), Vec<LakeFile>> = BTreeMap::new();
        for file in files.iter().filter(|file| file.level <= level_max) {
            let number = interval.number(file.first_received_at);
            groups.entry((file.partition, number)).or_default().push(file.clone());
        }
        groups.into_iter().map(move |((_, number), files)| (interval.begin(number + 1).plus(LATE) < now, files))
    };
    let hours = of(Interval::Hour, 1).filter(|(is_over, files)| files.len() > if *is_over { 1 } else { PARTS_MAX });
    let hours = hours.map(|(is_over, inputs)| Plan { inputs, level: u32::from(is_over) });
    let days = of(Interval::Day, 2).filter(|(is_over, files)| *is_over && files.len() > 1 && is_worth_it(files));
    let days = days.map(|(_, inputs)| Plan { inputs, level: 2 });
    hours.chain(days).next().map(|mut plan| {
        // Files that exceed the memory are merged in rounds, small ones first, so that a large result is not rewritten
        // in every round.
        plan.inputs.sort_by_key(|file| file.rows);
        plan.inputs.truncate(merge_at_once(&plan.inputs.iter().map(file_ref).collect::<Vec<_>>()));
        plan
    })
}

fn is_worth_it(files: &[LakeFile]) -> bool {
    let largest = files.iter().map(|file| file.rows).max().unwrap_or(0);
    let rest = files.iter().map(|file| file.rows).sum::<u64>() - largest;
    rest.saturating_mul(LATE_PART) >= largest || files.len() > LATE_FILES_MAX
}

#[cfg(test)]
mod tests {
    use eyeline_store::ObjectKey;
    use eyeline_store::inbox::Offset;

    use super::*;

    const HOUR: i64 = 3_600_000_000;
    const DAY: i64 = 24 * HOUR;

    fn file(level: u32, received_at: i64, rows: u64) -> LakeFile {
        let time = Timestamp::from_micros(received_at);
        LakeFile {
            key: ObjectKey::lake(time),
            partition: 0,
            level,
            rows,
            bytes: rows * 20,
            first_offset: Offset::START,
            last_offset: Offset::START,
            first_timestamp: time,
            last_timestamp: time,
            first_received_at: time,
            last_received_at: time,
        }
    }

    fn planned(files: &[LakeFile], now: i64) -> Option<(usize, u32)> {
        plan(files, Timestamp::from_micros(now)).map(|plan| (plan.inputs.len(), plan.level))
    }

    #[test]
    fn an_hour_is_merged_once_it_is_over_or_in_very_many_parts() {
        let parts = vec![file(0, HOUR, 10); 5];
        assert_eq!(planned(&parts, 2 * HOUR), None);
        assert_eq!(planned(&parts, 2 * HOUR + HOUR / 10), Some((5, 1)));
        assert_eq!(planned(&parts[..1], 3 * HOUR), None, "one file is as good as merged");
        assert_eq!(planned(&vec![file(0, HOUR, 10); 33], HOUR), Some((33, 0)));
    }

    #[test]
    fn a_day_is_merged_after_its_hours() {
        let mut files: Vec<LakeFile> = (0..24).map(|hour| file(1, hour * HOUR, 10)).collect();
        assert_eq!(planned(&files, DAY), None);
        files.push(file(0, 5 * HOUR, 1));
        assert_eq!(planned(&files, 2 * DAY), Some((2, 1)), "the hour with a late part");
        files.pop();
        assert_eq!(planned(&files, 2 * DAY), Some((24, 2)));
    }

    #[test]
    fn what_takes_many_rounds_is_written_a_few_times_only() {
        const ROWS: u64 = 360_000;
        let mut files: Vec<LakeFile> = (0..24).map(|hour| file(1, hour * HOUR, ROWS)).collect();
        let mut written = 0;
        while let Some(plan) = plan(&files, Timestamp::from_micros(2 * DAY)) {
            let rows = plan.inputs.iter().map(|file| file.rows).sum();
            written += rows;
            files.retain(|file| !plan.inputs.contains(file));
            files.push(file(plan.level, plan.inputs[0].first_received_at.micros(), rows));
        }
        assert_eq!((files.len(), files[0].rows), (1, 24 * ROWS));
        assert!(written <= 3 * 24 * ROWS, "each event was written {} times", written as f64 / (24 * ROWS) as f64);
    }

    #[test]
    fn a_large_day_is_not_written_again_for_a_few_late_events() {
        let mut files = vec![file(2, 0, 1_000), file(0, HOUR, 1)];
        assert_eq!(planned(&files, 2 * DAY), None);
        files.push(file(0, 2 * HOUR, 200));
        assert_eq!(planned(&files, 2 * DAY), Some((3, 2)));
    }
}
