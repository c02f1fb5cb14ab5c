//! Events that are applied but not flushed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eyeline_core::{ApplicationId, Event, EventId, Outline, ProjectId, Timestamp};
use eyeline_lake::{Budget, Filter, Held, Hidden, Record, Snapshot, tail};
use eyeline_store::catalog::lake::{self, Manifest};
use eyeline_store::inbox::{Delivery, Offset, PULL_BYTES_MAX, Span};
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

/// Tries, because a server of the inbox may lag behind, and the pause between them: one second in all.
const LAGS_MAX: u32 = 20;
const LAG_PAUSE: Duration = Duration::from_millis(50);

/// The events that a question is about.
#[derive(Clone)]
pub enum Wanted {
    /// Those that the filter accepts.
    Filter(Filter),
    /// The event of this id, received within these times.
    Id {
        project_id: Option<ProjectId>,
        application_id: ApplicationId,
        event_id: EventId,
        received: (Timestamp, Timestamp),
    },
    /// None of those that wait to be written to a file.
    InFiles,
}

impl Wanted {
    /// Decodes the event if it is wanted. Most are not, and are told apart by their outline.
    fn pick(&self, bytes: &Bytes) -> Option<Event> {
        let outline = Outline::read(bytes)?;
        match self {
            Wanted::Filter(filter) if filter.may_want(&outline) => {
                Event::decode(bytes).filter(|event| filter.wants(event))
            }
            Wanted::Id { project_id, application_id, event_id, received: (from, to) } => {
                let is_it = outline.event_id == *event_id
                    && outline.application_id == *application_id
                    && project_id.is_none_or(|project_id| project_id == outline.project_id)
                    && (*from..=*to).contains(&outline.received_at);
                is_it.then(|| Event::decode(bytes))?
            }
            _ => None,
        }
    }
}

impl Usage {
    /// Returns all files and those unflushed events that are wanted, and the time from which no event is deleted. The
    /// unflushed events take memory of the budget. Threads that yield as `yields` says look through them.
    pub(super) async fn snapshot(
        &self,
        wanted: &Wanted,
        yields: Yields,
        budget: &Budget,
    ) -> Result<(Snapshot, Held, Option<Timestamp>)> {
        for _ in 0..TRIES {
            let manifest = Arc::new(self.catalog.manifest().await?);
            let mut held = budget.hold(0).map_err(failure)?;
            let records = match wanted {
                Wanted::InFiles => Vec::new(),
                _ => self.waiting(&manifest, wanted, yields, &mut held).await?,
            };
            let trimmed = self.catalog.trimmed_marks().await?;
            let flushed = |partition: u32| manifest.partitions.iter().find(|marks| marks.partition == partition);
            let complete = trimmed.iter().all(|(partition, up_to)| {
                flushed(*partition).map_or(*up_to == Offset::START, |marks| *up_to <= marks.flushed)
            });
            if !complete {
                continue;
            }
            let files = manifest.files.iter().map(file_ref).collect();
            let tail = self.background().run(yields, move || tail(records)).await?.map_err(failure)?;
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
        manifest: &Arc<Manifest>,
        wanted: &Wanted,
        yields: Yields,
        held: &mut Held,
    ) -> Result<Vec<Record>> {
        let mut records: Vec<Record> = Vec::new();
        let (mut bytes, mut lags) = (0, 0);
        for marks in &manifest.partitions {
            let (partition, applied) = (marks.partition, marks.applied);
            let mut reached = marks.flushed;
            while reached < applied {
                let gathered = COPIES * (bytes + records.len() * size_of::<Record>());
                held.set(gathered + PULL_BYTES_MAX).map_err(failure)?;
                let deliveries = self.inbox.pull(partition, reached, PULL_MAX).await?;
                let Some(last) = deliveries.last() else {
                    // The newest event is never deleted, so a server of the inbox lags behind.
                    if lags >= LAGS_MAX {
                        return Err(Error::unavailable("the inbox lags behind what is counted"));
                    }
                    lags += 1;
                    tokio::time::sleep(LAG_PAUSE).await;
                    continue;
                };
                let span = Span { after: reached, up_to: last.offset };
                reached = last.offset;
                let (wanted, manifest) = (wanted.clone(), manifest.clone());
                let pick = move || {
                    let counts = |delivery: &Delivery| {
                        delivery.offset <= applied && !manifest.dropped.contains(&(partition, delivery.offset))
                    };
                    // An unreadable record is in quarantine, so it is skipped.
                    let picked = deliveries.iter().filter(|delivery| counts(delivery)).filter_map(|delivery| {
                        wanted.pick(&delivery.event).map(|event| (delivery.offset, delivery.event.len(), event))
                    });
                    picked.collect::<Vec<_>>()
                };
                let picked = self.background.run(yields, pick).await?;
                if picked.is_empty() {
                    continue;
                }
                let places = self.catalog.served_places(partition, span).await?;
                for (offset, length, event) in picked {
                    bytes += length;
                    let place = places.get(&offset).copied();
                    records.push(Record { partition, offset: offset.number(), event, place });
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
