//! The partitions of the inbox that this process owns. Only the owner applies their events and flushes them.
//!
//! Processes that share an inbox own a fair share of its partitions each (`shares`). An inbox that is not shared belongs
//! to one data folder, whose process owns all of them. The catalog knows the inbox that each partition's watermarks are
//! of, since they say nothing about the events of another one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eyeline_store::catalog::jobs::LEASE;
use eyeline_store::catalog::partitions::{Claim, Claimant, Owners};
use eyeline_store::inbox::{self, Offset};
use eyeline_store::{Catalog, PubSub, Result};
use futures::stream::BoxStream;
use tokio::sync::watch;
use uuid::Uuid;

use super::shares::{Share, fair_share};
use crate::engines::Engines;
use crate::flow::hints;

/// Events of one transaction, and so the most events that a batch had over which a process died.
pub const BATCH_EVENTS_MAX: usize = 4_096;
/// The pause between two looks at the other owners of a shared inbox.
const BALANCE_EVERY: Duration = Duration::from_secs(5);
/// The pause between two tries to claim the partitions of an inbox of its own.
const CLAIM_EVERY: Duration = Duration::from_secs(1);

/// Cheap to clone; clones share the claims.
#[derive(Clone)]
pub struct Partitions {
    catalog: Catalog,
    pubsub: Arc<dyn PubSub>,
    node: Arc<str>,
    inbox_id: Uuid,
    is_shared: bool,
    holdings: Arc<Mutex<Vec<Holding>>>,
    changed: watch::Sender<()>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Holding {
    /// Not claimed since the process began, or released.
    New,
    Held {
        fence: i64,
        /// Events to apply one at a time, because one of them may have killed earlier owners.
        suspects: usize,
        /// The event on trial, and the number of owners that have tried it.
        trial: Option<(Offset, u32)>,
        /// More than its share: the process releases it at the end of a batch.
        is_surplus: bool,
    },
    /// Another process has claimed it since. Holds its name once that is known.
    Lost(Option<String>),
}

/// Why a partition could not be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another process owns it until its lease ends.
    Taken { owner: String, left: Duration },
    /// Its watermarks are those of another inbox.
    OfOtherInbox { owner: String },
}

impl Partitions {
    /// `node` names this process among those that share the catalog.
    pub fn new(engines: &Engines, node: Arc<str>) -> Self {
        let Engines { catalog, inbox, pubsub, .. } = engines.clone();
        let holdings = vec![Holding::New; inbox.partitions() as usize];
        let (inbox_id, is_shared) = (inbox.id(), inbox.is_shared());
        let changed = watch::Sender::new(());
        Partitions { catalog, pubsub, node, inbox_id, is_shared, holdings: Arc::new(Mutex::new(holdings)), changed }
    }

    /// Checks that the catalog counts the events of as many partitions as the inbox has, and fixes their number at the
    /// first start. The error is a sentence for the operator.
    pub async fn check_count(&self) -> Result<(), String> {
        let fixed = self.catalog.fix_partitions(self.count()).await.map_err(|error| format!("the catalog: {error}"))?;
        if fixed == self.count() {
            return Ok(());
        }
        Err(format!(
            "the catalog counts the events of {fixed} partitions, and the inbox has {}: their number is fixed at the first \
             start, so choose the inbox of that time with EYELINE_INBOX_URL, or a catalog of its own for this one with \
             EYELINE_CATALOG_URL",
            self.count()
        ))
    }

    /// Claims this process's share before the first event is accepted: every partition unless the inbox is shared.
    /// Fails with a sentence for the operator if the catalog is another installation's. While the catalog stores
    /// nothing, as on a full disk, [`Partitions::balance`] claims later.
    pub async fn take(&self) -> Result<(), String> {
        self.check_count().await?;
        match self.take_share().await {
            Ok(outcome) => outcome,
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, "no partition could be claimed yet, so events wait in the inbox");
                Ok(())
            }
            Err(error) => Err(format!("the catalog: {error}")),
        }
    }

    /// The inner error is a refusal, in a sentence for the operator.
    async fn take_share(&self) -> Result<Result<(), String>> {
        for partition in self.share().await?.claim {
            match self.claim(partition).await? {
                Ok(()) => {}
                Err(Refused::OfOtherInbox { owner }) => {
                    return Ok(Err(format!(
                        "the catalog counts the events of another data folder ({owner}; this one is {}) or of an inbox \
                         that was lost or exchanged, and those that come in here would never be counted: choose that \
                         folder with EYELINE_DATA, restore catalog and inbox together, or choose a catalog of its own for \
                         this one with EYELINE_CATALOG_URL",
                        self.node
                    )));
                }
                // Another process was faster; the next look divides again.
                Err(Refused::Taken { .. }) if self.is_shared => {}
                Err(Refused::Taken { owner, left }) => {
                    return Ok(Err(format!(
                        "the catalog is in use by another installation ({owner}; its claim ends in {} s unless it is \
                         running), and events that come in here would not be counted: choose a catalog of its own for this \
                         one with EYELINE_CATALOG_URL, or stop the other one",
                        left.as_secs() + 1
                    )));
                }
            }
        }
        Ok(Ok(()))
    }

    /// Renews the claims, claims the partitions that are missing to its share, and marks surplus ones.
    pub async fn balance(&self) -> Result<()> {
        self.renew().await?;
        let Share { claim, surplus } = self.share().await?;
        for partition in 0..self.count() {
            self.change(partition, |holding| {
                if let Holding::Held { is_surplus, .. } = holding {
                    *is_surplus = surplus.contains(&partition);
                }
            });
        }
        for partition in claim {
            // A refusal is noted. The next look may find it free.
            let _refused = self.claim(partition).await?;
        }
        Ok(())
    }

    /// The pause before the next [`Partitions::balance`].
    pub fn pause(&self) -> Duration {
        match (self.is_shared, self.are_all_held()) {
            (true, _) => BALANCE_EVERY,
            (false, true) => LEASE / 3,
            (false, false) => CLAIM_EVERY,
        }
    }

    /// The partitions to claim, and those to hand over.
    async fn share(&self) -> Result<Share> {
        if self.is_shared {
            let Owners { alive, held } = self.catalog.join_owners(self.node.to_string()).await?;
            return Ok(fair_share(&self.node, &alive, &held, self.count()));
        }
        let missing = (0..self.count()).filter(|partition| self.fence(*partition).is_none());
        Ok(Share { claim: missing.collect(), surplus: Vec::new() })
    }

    /// Releases the partition if it is more than this process's share. Called between two batches.
    pub async fn hand_over(&self, partition: u32) -> Result<()> {
        let Some(Holding::Held { fence, is_surplus: true, .. }) = self.lock().get(partition as usize).cloned() else {
            return Ok(());
        };
        // From now on nothing new begins under this claim. What is under way may end, until the next owner claims.
        self.change(partition, |holding| *holding = Holding::New);
        self.catalog.release_partition(partition, fence).await?;
        hints::partition_released(&*self.pubsub).await;
        tracing::info!(partition, "a partition was handed over to another process");
        Ok(())
    }

    /// True if the inbox belongs to several processes.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Signals that a partition was claimed, released or lost.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Yields when any process has released partitions, which may now be claimed.
    pub async fn released(&self) -> BoxStream<'static, ()> {
        hints::released_partitions(&*self.pubsub).await
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
        let partition = inbox::partition_of(key, self.count());
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

    /// Claims the partition, or tells why not.
    pub async fn claim(&self, partition: u32) -> Result<Result<(), Refused>> {
        // Only at its start can a process be sure that no other process of its name runs.
        let is_new = self.lock()[partition as usize] == Holding::New;
        let claimant = Claimant { node: self.node.to_string(), inbox_id: self.inbox_id, is_new };
        let refused = match self.catalog.claim_partition(partition, claimant).await? {
            Claim::Held { fence, is_suspect } => {
                let suspects = if is_suspect { BATCH_EVENTS_MAX } else { 0 };
                self.set(partition, Holding::Held { fence, suspects, trial: None, is_surplus: false });
                if is_suspect {
                    let sentence =
                        "earlier processes died over this partition's events, which are now tried one at a time";
                    tracing::warn!(partition, "{sentence}");
                }
                tracing::debug!(partition, fence, "claimed a partition");
                return Ok(Ok(()));
            }
            Claim::Taken { owner, left } => Refused::Taken { owner, left },
            Claim::OfOtherInbox { owner } => Refused::OfOtherInbox { owner },
        };
        let (Refused::Taken { owner, .. } | Refused::OfOtherInbox { owner }) = &refused;
        let lost = Holding::Lost(Some(owner.clone()));
        if !self.is_shared && self.lock()[partition as usize] != lost {
            tracing::warn!(partition, owner, "events wait: another process has claimed their partition");
        }
        self.set(partition, lost);
        Ok(Err(refused))
    }

    /// Notes that another process has claimed the partition.
    pub fn lose(&self, partition: u32) {
        self.set(partition, Holding::Lost(None));
        tracing::warn!(partition, "another process has claimed the partition");
    }

    /// Renews the claims.
    async fn renew(&self) -> Result<()> {
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
        if self.is_shared {
            self.catalog.leave_owners(self.node.to_string()).await?;
            hints::partition_released(&*self.pubsub).await;
        }
        Ok(())
    }

    /// One sentence for the operator for each partition that another process owns, unless the inbox is shared.
    pub fn troubles(&self) -> Vec<String> {
        if self.is_shared {
            return Vec::new();
        }
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

    /// The number of partitions of the inbox.
    pub fn count(&self) -> u32 {
        u32::try_from(self.lock().len()).unwrap_or(u32::MAX)
    }

    fn held(&self) -> Vec<(u32, i64)> {
        (0..self.count()).filter_map(|partition| Some((partition, self.fence(partition)?))).collect()
    }

    fn set(&self, partition: u32, holding: Holding) {
        self.change(partition, |present| *present = holding);
    }

    fn change(&self, partition: u32, change: impl FnOnce(&mut Holding)) {
        let mut holdings = self.lock();
        let before = holdings[partition as usize].clone();
        change(&mut holdings[partition as usize]);
        let is_changed = holdings[partition as usize] != before;
        drop(holdings);
        if is_changed {
            self.changed.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Holding>> {
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
