//! Events that are applied but not flushed.

use eyeline_core::{Event, Timestamp};
use eyeline_lake::{Hidden, Record, Snapshot, tail};
use eyeline_store::catalog::lake::{self, Manifest};
use eyeline_store::{Error, Result};

use super::super::files::file_ref;
use super::{Usage, failure};

/// Events of one pull.
const PULL_MAX: usize = 8 * 1024;
/// The most bytes of such events that a query reads. They are flushed long before that.
const TAIL_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Tries, because a flush between reading the manifest and the inbox may delete inbox records.
const TRIES: u32 = 5;

impl Usage {
    /// Returns all files and those unflushed events that `is_wanted` accepts, and the time from which no event is
    /// deleted.
    pub(super) async fn snapshot(&self, is_wanted: impl Fn(&Event) -> bool) -> Result<(Snapshot, Option<Timestamp>)> {
        for _ in 0..TRIES {
            let manifest = self.catalog.manifest().await?;
            let records = self.waiting(&manifest, &is_wanted).await?;
            let trimmed = self.catalog.trimmed_marks().await?;
            let flushed = |partition: u32| manifest.partitions.iter().find(|marks| marks.partition == partition);
            let complete = trimmed
                .iter()
                .all(|(partition, up_to)| flushed(*partition).map_or(*up_to == 0, |marks| *up_to <= marks.flushed));
            if !complete {
                continue;
            }
            let files = manifest.files.iter().map(file_ref).collect();
            let tail = tokio::task::spawn_blocking(move || tail(records));
            let tail = tail.await.map_err(|error| Error::internal("sorting events", error))?.map_err(failure)?;
            let hidden = manifest.hidden.iter().map(|erasure| Hidden {
                project_id: erasure.project_id,
                session_id: erasure.session_id,
                received_until: erasure.requested_at,
            });
            let snapshot = Snapshot { files, tail: tail.into(), hidden: hidden.collect() };
            return Ok((snapshot, lake::complete_from(&manifest.partitions)));
        }
        Err(Error::unavailable("events are written to files faster than they can be read"))
    }

    async fn waiting(&self, manifest: &Manifest, is_wanted: impl Fn(&Event) -> bool) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        let mut bytes = 0;
        for marks in &manifest.partitions {
            let partition = marks.partition;
            let mut reached = marks.flushed;
            while reached < marks.applied {
                let deliveries = self.inbox.pull(partition, reached, PULL_MAX).await?;
                let Some(last) = deliveries.last() else { break };
                let places = self.catalog.served_places(partition, reached.saturating_add(1), last.offset).await?;
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
                        records.push(Record { partition, offset, event, place: places.get(&offset).copied() });
                    }
                }
                if bytes > TAIL_BYTES_MAX {
                    return Err(Error::unavailable("too many events wait to be written to files"));
                }
            }
        }
        Ok(records)
    }
}
