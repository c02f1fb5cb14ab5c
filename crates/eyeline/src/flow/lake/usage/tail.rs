//! Events that are applied but not flushed.

use eyeline_core::{Event, Timestamp};
use eyeline_lake::{Budget, Held, Hidden, Record, Snapshot, tail};
use eyeline_store::catalog::lake::{self, Manifest};
use eyeline_store::inbox::{Offset, PULL_BYTES_MAX, Span};
use eyeline_store::{Error, Result};

use super::super::files::file_ref;
use super::{Usage, failure};
use crate::background::Yields;

/// Events of one pull.
const PULL_MAX: usize = 8 * 1024;
/// The most bytes of such events that a query reads. They are flushed long before that.
const TAIL_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Memory of each byte of such an event: as it is read, and twice in a batch, whose columns grow by doubling.
const COPIES: usize = 3;
/// Tries, because a flush between reading the manifest and the inbox may delete inbox records.
const TRIES: u32 = 5;

impl Usage {
    /// Returns all files and those unflushed events that `is_wanted` accepts, and the time from which no event is
    /// deleted. The unflushed events take memory of the budget.
    pub(super) async fn snapshot(
        &self,
        is_wanted: impl Fn(&Event) -> bool,
        budget: &Budget,
    ) -> Result<(Snapshot, Held, Option<Timestamp>)> {
        for _ in 0..TRIES {
            let manifest = self.catalog.manifest().await?;
            let mut held = budget.hold(0).map_err(failure)?;
            let records = self.waiting(&manifest, &is_wanted, &mut held).await?;
            let trimmed = self.catalog.trimmed_marks().await?;
            let flushed = |partition: u32| manifest.partitions.iter().find(|marks| marks.partition == partition);
            let complete = trimmed.iter().all(|(partition, up_to)| {
                flushed(*partition).map_or(*up_to == Offset::START, |marks| *up_to <= marks.flushed)
            });
            if !complete {
                continue;
            }
            let files = manifest.files.iter().map(file_ref).collect();
            let tail = self.background().run(Yields::Little, move || tail(records)).await?.map_err(failure)?;
            let hidden = manifest.hidden.iter().map(|erasure| Hidden {
                project_id: erasure.project_id,
                session_id: erasure.session_id,
                received_until: erasure.requested_at,
            });
            let snapshot = Snapshot { files, tail: tail.into(), hidden: hidden.collect() };
            return Ok((snapshot, held, lake::complete_from(&manifest.partitions)));
        }
        Err(Error::unavailable("events are written to files faster than they can be read"))
    }

    async fn waiting(
        &self,
        manifest: &Manifest,
        is_wanted: impl Fn(&Event) -> bool,
        held: &mut Held,
    ) -> Result<Vec<Record>> {
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0;
        for marks in &manifest.partitions {
            let partition = marks.partition;
            let mut reached = marks.flushed;
            while reached < marks.applied {
                let gathered = COPIES * (bytes + records.len() * size_of::<Record>());
                held.set(gathered + PULL_BYTES_MAX).map_err(failure)?;
                let deliveries = self.inbox.pull(partition, reached, PULL_MAX).await?;
                let Some(last) = deliveries.last() else { break };
                let places = self.catalog.served_places(partition, Span { after: reached, up_to: last.offset }).await?;
                reached = last.offset;
                for delivery in deliveries {
                    let offset = delivery.offset;
                    if offset > marks.applied || manifest.dropped.contains(&(partition, offset)) {
                        continue;
                    }
                    // An unreadable record is in quarantine, so it is skipped.
                    let Some(event) = Event::decode(&delivery.event) else { continue };
                    if is_wanted(&event) {
                        bytes += delivery.event.len();
                        let place = places.get(&offset).copied();
                        records.push(Record { partition, offset: offset.number(), event, place });
                    }
                }
                if bytes > TAIL_BYTES_MAX {
                    return Err(Error::unavailable("too many events wait to be written to files"));
                }
            }
        }
        held.set(COPIES * (bytes + records.len() * size_of::<Record>())).map_err(failure)?;
        Ok(records)
    }
}
