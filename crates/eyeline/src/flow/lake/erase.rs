//! Erasure of one session's events: hidden by the request, and deleted once every file that held them is rewritten.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eyeline_core::event::GALLERY_CATEGORY;
use eyeline_core::{ProjectId, SessionId};
use eyeline_lake::{Budget, Hidden, HiddenEvents, count_hidden, count_hidden_acts, write_without};
use eyeline_store::catalog::erasures::{Erased, Erasure, ErasureProgress};
use eyeline_store::catalog::idempotency::{Once, Repeatable};
use eyeline_store::catalog::lake::{Committed, LakeFile};
use eyeline_store::catalog::rollups::ErasedEvents;
use eyeline_store::inbox::Offset;
use eyeline_store::{Catalog, Error, Inbox, Result};

use super::files::{LakeFiles, file_ref, lake_file};
use super::partitions::Partitions;
use super::usage::{Usage, failure};
use crate::background::Yields;
use crate::clock::Clock;
use crate::engines::Engines;

const ROWS_MAX: u32 = 500;
const LOOK_TIME_MAX: Duration = Duration::from_secs(10 * 60);

/// Cheap to clone.
#[derive(Clone)]
pub struct Erase {
    inbox: Arc<dyn Inbox>,
    catalog: Catalog,
    files: LakeFiles,
    usage: Usage,
    partitions: Partitions,
    clock: Clock,
}

impl Erase {
    pub fn new(engines: &Engines, files: LakeFiles, usage: Usage, partitions: Partitions, clock: Clock) -> Self {
        let Engines { inbox, catalog, .. } = engines.clone();
        Erase { inbox, catalog, files, usage, partitions, clock }
    }

    /// Requests an erasure. After the return, no answer shows the session's events received until now.
    pub async fn request(
        &self,
        project_id: ProjectId,
        session_id: SessionId,
        repeatable: Option<Repeatable<Erasure>>,
    ) -> Result<Once<Erasure>> {
        let (erasure_id, requested_at) = (self.clock.new_id(), self.clock.now());
        let session_id = Some(session_id);
        let erasure = Erasure { erasure_id, project_id, session_id, requested_at, finished_at: None, events: 0 };
        let requested = self.catalog.request_erasure(erasure, repeatable).await?;
        if matches!(requested, Once::Done(_)) {
            tracing::info!(erasure.id = %erasure_id, project.id = %project_id, "an erasure was requested");
        }
        Ok(requested)
    }

    /// Runs every erasure under way in each owned partition whose events before the request are flushed. Other
    /// partitions wait for a later call or for their owners. An owner that finds all partitions done finishes the
    /// erasure.
    pub async fn step(&self) -> Result<()> {
        for erasure in self.catalog.manifest().await?.hidden {
            for partition in 0..self.partitions.count() {
                self.run_in(&erasure, partition).await?;
            }
            if self.catalog.partitions_erased(erasure.erasure_id).await? < self.partitions.count() {
                continue;
            }
            self.quarantine(&erasure).await?;
            self.catalog.finish_erasure(erasure.erasure_id, self.clock.now()).await?;
            tracing::info!(erasure.id = %erasure.erasure_id, "an erasure is done");
        }
        Ok(())
    }

    /// Deletes the events from the partition, unless that is done or has to wait.
    async fn run_in(&self, erasure: &Erasure, partition: u32) -> Result<()> {
        let Some(fence) = self.partitions.fence(partition) else { return Ok(()) };
        let erasure_id = erasure.erasure_id;
        loop {
            let head = self.inbox.head(partition).await?;
            // `None` if another process has claimed the partition or finished the erasure meanwhile.
            let progress = self.catalog.erasure_in(erasure_id, partition, fence, head).await?;
            let Some(ErasureProgress { up_to, is_done: false }) = progress else { return Ok(()) };
            let marks = self.catalog.marks().await?;
            if !marks.iter().any(|marks| marks.partition == partition && marks.flushed >= up_to) {
                return Ok(());
            }
            if !self.pass(erasure, partition, fence).await? {
                break;
            }
        }
        let flushed = self.catalog.trim(partition, fence).await?;
        self.inbox.forget(partition, flushed).await?;
        self.catalog.finish_erasure_in(erasure_id, partition, fence).await.map(drop)
    }

    /// Rewrites every file of the partition that holds the events. True if it found any, since files may have come and
    /// gone meanwhile.
    async fn pass(&self, erasure: &Erasure, partition: u32, fence: i64) -> Result<bool> {
        let mut again = false;
        for file in self.catalog.manifest().await?.files.iter().filter(|file| file.partition == partition) {
            again |= self.rewrite(erasure, file, fence).await?;
        }
        Ok(again)
    }

    /// Rewrites a file without the events. True if it held any.
    async fn rewrite(&self, erasure: &Erasure, file: &LakeFile, fence: i64) -> Result<bool> {
        let hidden = Hidden {
            project_id: erasure.project_id,
            session_id: erasure.session_id,
            received_until: erasure.requested_at,
        };
        let (files, reference) = (self.usage.files().clone(), file_ref(file));
        let input = reference.clone();
        let counting = self.usage.background().run(Yields::Much, move || {
            let budget = Budget::new(usize::MAX, LOOK_TIME_MAX);
            let found = count_hidden(&files, &input, &hidden, &budget)?;
            let has_acts = found.iter().any(|found| found.category == GALLERY_CATEGORY);
            let acts = if has_acts { count_hidden_acts(&files, &input, &hidden, &budget)? } else { BTreeMap::new() };
            Ok::<_, eyeline_lake::Error>((found, acts))
        });
        let (found, acts) = counting.await?.map_err(failure)?;
        let events: u64 = found.iter().map(|found| found.events).sum();
        if events == 0 {
            return Ok(false);
        }
        let made = self.files.write(file.first_received_at, move |files, sink, budget| {
            write_without(files, &reference, &hidden, sink, budget)
        });
        let output = made.await?.map(|(key, facts)| lake_file(key, file.partition, file.level, &facts));
        if output.as_ref().map_or(0, |output| output.rows) + events != file.rows {
            return Err(Error::Corrupt("an erasure would have deleted other events too".to_owned()));
        }
        let unwanted_from = self.files.unwanted_from();
        let erased = found.into_iter().map(|HiddenEvents { hour, application_id, category, name, events }| {
            ErasedEvents { hour, application_id, category, name, events }
        });
        let erased = Erased { events: erased.collect(), acts };
        let committed = self.catalog.commit_erasure(erasure, fence, file, output, erased, unwanted_from).await?;
        tracing::debug!(erasure.id = %erasure.erasure_id, events, moved = committed == Committed::Moved, "a file was rewritten");
        Ok(true)
    }

    async fn quarantine(&self, erasure: &Erasure) -> Result<()> {
        let mut last = (0, Offset::START);
        while let Some(place) = self.catalog.erase_from_quarantine(erasure.clone(), last, ROWS_MAX).await? {
            last = place;
        }
        Ok(())
    }
}
