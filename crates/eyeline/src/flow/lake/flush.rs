//! From the inbox to the lake: writes applied events into files, each event once.
//!
//! One transaction of the catalog adds the files and moves the flushed watermark. A crash before it leaves unreferenced
//! files, which the sweep deletes. A crash after it leaves records in the inbox that are never read, which the next
//! flush forgets.

use std::collections::BTreeMap;
use std::sync::Arc;

use eyeline_core::Event;
use eyeline_lake::{Interval, Record, write_records};
use eyeline_store::catalog::lake::{Committed, FlushBatch, LakeFile, Marks};
use eyeline_store::inbox::{Offset, PULL_BYTES_MAX, Span};
use eyeline_store::{Catalog, Error, Inbox, Objects, Result};

use super::files::{LakeFiles, lake_file};
use super::partitions::Partitions;
use super::usage::failure;
use crate::background::Yields;
use crate::engines::Engines;

/// The events of one batch, which is held in memory.
const EVENTS_MAX: usize = 200_000;
/// Bytes of one batch: those of the events as they were stored, and `EVENT_BYTES` for each.
const BYTES_MAX: usize = 24 * 1024 * 1024;
/// Bytes of an event in memory beyond its stored bytes.
const EVENT_BYTES: usize = size_of::<Record>();
/// Memory of a batch with its last pull: its events, and as many bytes while they become rows of a file.
pub const MEMORY_BYTES: usize = 2 * (BYTES_MAX + PULL_BYTES_MAX);
/// Events of one pull.
const PULL_MAX: usize = 8 * 1024;

/// Cheap to clone.
#[derive(Clone)]
pub struct Flush {
    inbox: Arc<dyn Inbox>,
    catalog: Catalog,
    objects: Objects,
    files: LakeFiles,
    partitions: Partitions,
}

/// The outcome of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Everything applied is in files, or another process owns the partition.
    Idle,
    Flushed {
        more: bool,
    },
    /// Another process moved the watermark.
    MarkMoved,
}

/// Records by the hour of their receipt.
type ByHour = BTreeMap<i64, Vec<Record>>;

/// The next events of a partition.
struct Read {
    /// Those that count.
    by_hour: ByHour,
    reached: Offset,
    /// The records of the inbox up to there, including those that do not count.
    records: u64,
}

impl Flush {
    pub fn new(engines: &Engines, files: LakeFiles, partitions: Partitions) -> Self {
        let Engines { inbox, catalog, objects, .. } = engines.clone();
        Flush { inbox, catalog, objects, files, partitions }
    }

    /// The events that wait in the owned partition that has the most.
    pub async fn waiting(&self) -> Result<u64> {
        let marks = self.catalog.marks().await?;
        let owned = marks.iter().filter(|marks| self.partitions.fence(marks.partition).is_some());
        Ok(owned.map(|marks| marks.waiting).max().unwrap_or(0))
    }

    /// Writes all events applied by now into files.
    pub async fn run(&self) -> Result<()> {
        for marks in self.catalog.marks().await? {
            while let Step::Flushed { more: true } = self.step(marks.partition).await? {}
        }
        Ok(())
    }

    /// Writes the next events of a partition into files.
    pub async fn step(&self, partition: u32) -> Result<Step> {
        let Some(fence) = self.partitions.fence(partition) else { return Ok(Step::Idle) };
        let marks = self.catalog.marks().await?.into_iter().find(|marks| marks.partition == partition);
        let Some(marks) = marks.filter(|marks| marks.flushed < marks.applied) else { return Ok(Step::Idle) };
        let Read { by_hour, reached, records } = self.read(marks).await?;
        let events: usize = by_hour.values().map(Vec::len).sum();
        let files = self.write(partition, by_hour).await?;
        let batch = FlushBatch { partition, fence, after: marks.flushed, reached, records, files };
        if self.catalog.commit_flush(batch).await? == Committed::Moved {
            return Ok(Step::MarkMoved);
        }
        // Readers that began before this commit may still look for the events of this batch, but not for earlier ones.
        self.inbox.forget(partition, marks.flushed).await?;
        tracing::debug!(partition, %reached, events, "events written to files");
        Ok(Step::Flushed { more: reached < marks.applied })
    }

    async fn read(&self, marks: Marks) -> Result<Read> {
        let Marks { partition, applied, flushed, .. } = marks;
        let events_at_most = usize::try_from(marks.waiting).unwrap_or(usize::MAX).min(EVENTS_MAX + PULL_MAX);
        let (mut by_hour, mut records, mut events, mut bytes, mut reached) = (ByHour::new(), 0, 0, 0, flushed);
        while reached < applied && events < EVENTS_MAX && bytes < BYTES_MAX {
            let mut deliveries = self.inbox.pull(partition, reached, PULL_MAX).await?;
            deliveries.retain(|delivery| delivery.offset <= applied);
            let Some(last) = deliveries.last() else {
                return Err(Error::Corrupt(format!("the inbox has no events from {reached} to {applied}")));
            };
            let span = Span { after: reached, up_to: last.offset };
            let dropped = self.catalog.dropped_events(partition, span).await?;
            let served = self.catalog.served_places(partition, span).await?;
            reached = span.up_to;
            records += deliveries.len() as u64;
            for delivery in deliveries.into_iter().filter(|delivery| !dropped.contains(&delivery.offset)) {
                bytes += delivery.event.len() + EVENT_BYTES;
                // An unreadable record is in quarantine, so it is skipped.
                let Some(event) = Event::decode(&delivery.event) else { continue };
                let place = served.get(&delivery.offset).copied();
                // Usually all events are of one hour, so its vector is allocated for all: growing it would copy large
                // records.
                let room = if by_hour.is_empty() { events_at_most } else { 0 };
                let hour = Interval::Hour.number(event.received_at);
                let of_hour = by_hour.entry(hour).or_insert_with(|| Vec::with_capacity(room));
                of_hour.push(Record { partition, offset: delivery.offset.number(), event, place });
                events += 1;
            }
        }
        Ok(Read { by_hour, reached, records })
    }

    /// Writes one file for each hour.
    async fn write(&self, partition: u32, by_hour: ByHour) -> Result<Vec<LakeFile>> {
        let mut files = Vec::with_capacity(by_hour.len());
        for (hour, records) in by_hour {
            let written = self.files.background().run(Yields::Little, move || write_records(records)).await?;
            let Some((bytes, facts)) = written.map_err(failure)? else { continue };
            let key = self.files.new_key(Interval::Hour.begin(hour)).await?;
            self.objects.put(&key, bytes.into()).await?;
            files.push(lake_file(key, partition, 0, &facts));
        }
        Ok(files)
    }
}
