//! The partitions of the inbox that this process owns. Only the owner applies their events and flushes them.
//!
//! Every inbox belongs to one data folder. Another installation's watermark says nothing about the events of this
//! inbox.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eyeline_store::catalog::partitions::{Claim, Claimant};
use eyeline_store::inbox::Offset;
use eyeline_store::{Catalog, Result};
use uuid::Uuid;

/// Events of one transaction, and so the most events that a batch had over which a process died.
pub const BATCH_EVENTS_MAX: usize = 4_096;

/// Cheap to clone; clones share the claims.
#[derive(Clone)]
pub struct Partitions {
    catalog: Catalog,
    node: Arc<str>,
    holdings: Arc<Mutex<Vec<Holding>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Holding {
    /// Not claimed since the process began.
    New,
    Held {
        fence: i64,
        /// Events to apply one at a time, because one of them may have killed earlier owners.
        suspects: usize,
        /// The event on trial, and the number of owners that have tried it.
        trial: Option<(Offset, u32)>,
    },
    /// Another process has claimed it since. Holds its name once that is known.
    Lost(Option<String>),
}

impl Partitions {
    /// `node` names this process among those that share the catalog; it survives restarts.
    pub fn new(catalog: Catalog, node: Arc<str>, count: u32) -> Self {
        Partitions { catalog, node, holdings: Arc::new(Mutex::new(vec![Holding::New; count as usize])) }
    }

    /// Claims every partition before the first event is accepted. Fails with a sentence for the operator if the catalog
    /// is another installation's.
    pub async fn take(&self) -> Result<(), String> {
        for partition in 0..self.count() {
            let failed = |error| format!("the catalog: {error}");
            if let Some((owner, applied)) = self.catalog.partition_owner(partition).await.map_err(failed)?
                && *owner != *self.node
                && applied > Offset::START
            {
                return Err(format!(
                    "the catalog counts the events of another data folder ({owner}; this one is {}), and those that come in \
                     here would never be counted: choose that folder with EYELINE_DATA, or a catalog of its own for this \
                     one with EYELINE_CATALOG_URL",
                    self.node
                ));
            }
            if let Some((owner, left)) = self.claim(partition).await.map_err(failed)? {
                return Err(format!(
                    "the catalog is in use by another installation ({owner}; its claim ends in {} s unless it is running), \
                     and events that come in here would not be counted: choose a catalog of its own for this one with \
                     EYELINE_CATALOG_URL, or stop the other one",
                    left.as_secs() + 1
                ));
            }
        }
        Ok(())
    }

    /// The fencing token for changes to the partition; `None` if it is not held.
    pub fn fence(&self, partition: u32) -> Option<i64> {
        match self.lock().get(partition as usize) {
            Some(Holding::Held { fence, .. }) => Some(*fence),
            _ => None,
        }
    }

    /// The partition of a key, such as a gallery's id, with its fencing token; `None` if this process does not hold it.
    pub fn owned(&self, key: Uuid) -> Option<(u32, i64)> {
        let partition = u32::try_from(key.as_u128() % u128::from(self.count().max(1))).unwrap_or(0);
        Some((partition, self.fence(partition)?))
    }

    /// True if the partition's next unjudged event must be applied alone.
    pub fn is_suspect(&self, partition: u32) -> bool {
        matches!(self.lock().get(partition as usize), Some(Holding::Held { suspects: 1.., .. }))
    }

    /// Notes a trial of the event at `offset` before it starts. Returns the number of owners that have tried it, this
    /// one included; `None` if the partition is no longer held.
    pub async fn note_trial(&self, partition: u32, offset: Offset) -> Result<Option<u32>> {
        let Some(Holding::Held { fence, trial, .. }) = self.lock().get(partition as usize).cloned() else {
            return Ok(None);
        };
        // A retry by the same owner counts once.
        if let Some((tried, tries)) = trial
            && tried == offset
        {
            return Ok(Some(tries));
        }
        let tries = self.catalog.note_trial(partition, fence, offset).await?;
        if let Some(Holding::Held { trial, .. }) = self.lock().get_mut(partition as usize) {
            *trial = tries.map(|tries| (offset, tries));
        }
        Ok(tries)
    }

    /// Notes that the event on trial is applied.
    pub async fn end_trial(&self, partition: u32) -> Result<()> {
        let is_last = match self.lock().get_mut(partition as usize) {
            Some(Holding::Held { suspects, .. }) => {
                *suspects = suspects.saturating_sub(1);
                *suspects == 0
            }
            _ => false,
        };
        if is_last { self.end_trials(partition).await } else { Ok(()) }
    }

    /// Clears the suspicion against the partition's events.
    pub async fn end_trials(&self, partition: u32) -> Result<()> {
        let Some(fence) = self.fence(partition) else { return Ok(()) };
        self.catalog.end_trials(partition, fence).await?;
        if let Some(Holding::Held { suspects, .. }) = self.lock().get_mut(partition as usize) {
            *suspects = 0;
        }
        Ok(())
    }

    /// True if every partition is held.
    pub fn are_all_held(&self) -> bool {
        self.lock().iter().all(|holding| matches!(holding, Holding::Held { .. }))
    }

    /// Claims the partition. If another process owns it, returns the owner and the time until its claim ends.
    pub async fn claim(&self, partition: u32) -> Result<Option<(String, Duration)>> {
        // Only at its start can a process be sure that no other process of its name runs.
        let is_new = self.lock()[partition as usize] == Holding::New;
        let claimant = Claimant { node: self.node.to_string(), is_new };
        match self.catalog.claim_partition(partition, claimant).await? {
            Claim::Held { fence, is_suspect } => {
                let suspects = if is_suspect { BATCH_EVENTS_MAX } else { 0 };
                self.set(partition, Holding::Held { fence, suspects, trial: None });
                if is_suspect {
                    let sentence =
                        "earlier processes died over this partition's events, which are now tried one at a time";
                    tracing::warn!(partition, "{sentence}");
                }
                tracing::debug!(partition, fence, "claimed a partition");
                Ok(None)
            }
            Claim::Taken { owner, left } => {
                let lost = Holding::Lost(Some(owner.clone()));
                if self.lock()[partition as usize] != lost {
                    tracing::warn!(partition, owner, "events wait: another process has claimed their partition");
                    self.set(partition, lost);
                }
                Ok(Some((owner, left)))
            }
        }
    }

    /// Notes that another process has claimed the partition.
    pub fn lose(&self, partition: u32) {
        self.set(partition, Holding::Lost(None));
        tracing::warn!(partition, "another process has claimed the partition");
    }

    /// Renews the claims.
    pub async fn renew(&self) -> Result<()> {
        for (partition, fence) in self.held() {
            if !self.catalog.renew_partition(partition, fence).await? && self.fence(partition) == Some(fence) {
                self.lose(partition);
            }
        }
        Ok(())
    }

    /// Releases the claims for the next owner.
    pub async fn release(&self) -> Result<()> {
        for (partition, fence) in self.held() {
            self.catalog.release_partition(partition, fence).await?;
            self.set(partition, Holding::New);
        }
        Ok(())
    }

    /// One sentence for the operator for each partition that another process owns.
    pub fn troubles(&self) -> Vec<String> {
        let lost = self
            .lock()
            .iter()
            .enumerate()
            .filter_map(|(partition, holding)| match holding {
                Holding::Lost(owner) => Some((partition, owner.clone())),
                Holding::New | Holding::Held { .. } => None,
            })
            .collect::<Vec<_>>();
        lost.into_iter().map(|(partition, owner)| {
            let owner = owner.map(|owner| format!(" ({owner})")).unwrap_or_default();
            format!(
                "events of partition {partition} wait, since another process{owner} has claimed it in the catalog: stop that \
                 one, or give it a catalog of its own"
            )
        }).collect()
    }

    fn count(&self) -> u32 {
        u32::try_from(self.lock().len()).unwrap_or(u32::MAX)
    }

    fn held(&self) -> Vec<(u32, i64)> {
        (0..self.count()).filter_map(|partition| Some((partition, self.fence(partition)?))).collect()
    }

    fn set(&self, partition: u32, holding: Holding) {
        self.lock()[partition as usize] = holding;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Holding>> {
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
