//! From the inbox to the counters: batch by batch in the order of offsets, each counted once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eyeline_core::event::GalleryAct;
use eyeline_core::{Event, FieldErrors};
use eyeline_store::catalog::events::{Applied, Aside, BatchEvent, EventBatch, Misfit};
use eyeline_store::inbox::{Delivery, Offset};
use eyeline_store::{Catalog, Error, Inbox, PubSub, Result};
use tokio::sync::watch;

use super::event_types::EventTypes;
use super::notify::news_topic;
use super::partitions::Partitions;
use super::rank::{COUNTS, Orders, gallery_topic};
use crate::clock::Clock;

/// How long the ids that clients gave are found again, from the first receipt.
pub const IDS_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long what guards remember is kept: the day that they look back on, and time for events on their way.
const GUARDED_KEPT: Duration = Duration::from_secs(25 * 60 * 60);

/// Why an event is kept apart that does not fit the schema of its type.
pub const SCHEMA: &str = "schema";
/// Why an event of a gallery is kept apart that lacks what such an event has to have.
pub const INVALID: &str = "invalid";

/// Ids forgotten in one transaction.
const FORGET_MAX: u32 = 2_000;
/// How long a caller waits for the events before it to be applied.
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(15);
/// How often it looks where another process applies them.
const CATCH_UP_POLL: Duration = Duration::from_millis(50);

/// Cheap to clone; clones share their signals.
#[derive(Clone)]
pub struct Ingest {
    inbox: Arc<dyn Inbox>,
    catalog: Catalog,
    event_types: EventTypes,
    pubsub: Arc<dyn PubSub>,
    clock: Clock,
    /// What was served: it tells the places that events speak of.
    orders: Orders,
    partitions: Partitions,
    /// Somebody waits for events to be applied.
    hurry: watch::Sender<()>,
    /// A mark has moved.
    moved: watch::Sender<()>,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to apply.
    Idle,
    /// Everything up to `reached` is applied; `more` when there is more at hand.
    Applied { reached: Offset, more: bool },
    /// Somebody else moved the mark: read it again.
    MarkMoved,
    /// Another process owns the partition, or nobody has claimed it yet.
    NotOwner,
}

impl Ingest {
    pub fn new(
        inbox: Arc<dyn Inbox>,
        catalog: Catalog,
        event_types: EventTypes,
        pubsub: Arc<dyn PubSub>,
        clock: Clock,
        orders: Orders,
        partitions: Partitions,
    ) -> Self {
        let (hurry, moved) = (watch::Sender::new(()), watch::Sender::new(()));
        Ingest { inbox, catalog, event_types, pubsub, clock, orders, partitions, hurry, moved }
    }

    pub fn partitions(&self) -> u32 {
        self.inbox.partitions()
    }

    /// Those that this process owns.
    pub fn owned(&self) -> &Partitions {
        &self.partitions
    }

    /// Hears when somebody waits.
    pub fn hurried(&self) -> watch::Receiver<()> {
        self.hurry.subscribe()
    }

    /// Returns when there may be an event after `after`.
    pub async fn arrived(&self, partition: u32, after: Offset) {
        self.inbox.arrived(partition, after).await;
    }

    /// Where the partition stands. `Conflict` when the inbox has never reached the catalog's mark: then they are not of
    /// one installation, and new events would be taken for old ones.
    pub async fn mark(&self, partition: u32) -> Result<Offset> {
        let mark = self.catalog.applied_mark(partition).await?;
        let head = self.inbox.head(partition).await?;
        if mark > head {
            return Err(Error::Conflict(format!(
                "the catalog has counted events up to {mark}, but the inbox ends at {head}: it was lost or exchanged"
            )));
        }
        Ok(mark)
    }

    /// Applies the next events after `mark`, at most `events_max`.
    pub async fn step(&self, partition: u32, mark: Offset, events_max: usize) -> Result<Step> {
        let Some(fence) = self.partitions.fence(partition) else { return Ok(Step::NotOwner) };
        let deliveries = self.inbox.pull(partition, mark, events_max).await?;
        let Some(last) = deliveries.last() else { return Ok(Step::Idle) };
        let (reached, more) = (last.offset, deliveries.len() == events_max);
        let (events, aside) = self.read(deliveries).await?;
        let mut batch = EventBatch { partition, fence, after: mark, reached, events, aside, now: self.clock.now() };
        for act in batch.events.iter_mut().filter_map(|event| event.act.as_mut()) {
            act.place = act.order_id.and_then(|id| self.orders.served_place(act.gallery_id, id, &act.image));
        }
        self.apply(batch, more).await
    }

    /// Keeps the next event after `mark` apart unread: for one whose application fails again and again.
    pub async fn step_over(&self, partition: u32, mark: Offset, reason: &Error) -> Result<Step> {
        let Some(fence) = self.partitions.fence(partition) else { return Ok(Step::NotOwner) };
        let deliveries = self.inbox.pull(partition, mark, 1).await?;
        let Some(Delivery { offset, event }) = deliveries.into_iter().next() else { return Ok(Step::Idle) };
        tracing::error!(partition, offset, error = %reason, "an event could not be applied and was kept apart");
        let errors = FieldErrors::one("", "The server could not apply this event; it was logged.");
        let aside = vec![aside(offset, Event::decode(&event), event, "failed", errors)];
        let now = self.clock.now();
        let batch = EventBatch { partition, fence, after: mark, reached: offset, events: Vec::new(), aside, now };
        self.apply(batch, true).await
    }

    /// Returns once every event that was accepted before the call is applied.
    pub async fn caught_up(&self) -> Result<()> {
        let waiting = async {
            for partition in 0..self.inbox.partitions() {
                let head = self.inbox.head(partition).await?;
                let mut moved = self.moved.subscribe();
                while self.catalog.applied_mark(partition).await? < head {
                    self.hurry.send_replace(());
                    // Applied by another process, it is found by looking again.
                    let _ = tokio::time::timeout(CATCH_UP_POLL, moved.changed()).await;
                }
            }
            Ok(())
        };
        let late = |_| Error::unavailable("events are still waiting to be applied");
        tokio::time::timeout(CATCH_UP_PATIENCE, waiting).await.map_err(late)?
    }

    /// Forgets ids that are old enough; true when there may be more of them.
    pub async fn forget_ids(&self) -> Result<bool> {
        let before = self.clock.now().minus(IDS_KEPT);
        Ok(self.catalog.forget_event_ids(before, FORGET_MAX).await? == u64::from(FORGET_MAX))
    }

    /// Forgets what guards remember of more than a day; true when there may be more. While events wait, some may be as old
    /// as what would be forgotten.
    pub async fn forget_guarded(&self) -> Result<bool> {
        for partition in 0..self.inbox.partitions() {
            if self.catalog.applied_mark(partition).await? < self.inbox.head(partition).await? {
                return Ok(false);
            }
        }
        let before = self.clock.now().minus(GUARDED_KEPT);
        Ok(self.catalog.forget_guarded(before, FORGET_MAX).await? == u64::from(FORGET_MAX))
    }

    /// Reads and judges the records; what is wrong with one never stops the line.
    async fn read(&self, deliveries: Vec<Delivery>) -> Result<(Vec<BatchEvent>, Vec<Aside>)> {
        let mut events = Vec::with_capacity(deliveries.len());
        let mut asides = Vec::new();
        for Delivery { offset, event: record } in deliveries {
            let Some(event) = Event::decode(&record) else {
                let errors = FieldErrors::one("", "This is no event that this version can read.");
                asides.push(aside(offset, None, record, "unreadable", errors));
                continue;
            };
            let (act, misfit) = self.judge(&event).await?;
            events.push(BatchEvent { offset, event, act, misfit });
        }
        Ok((events, asides))
    }

    /// What an event does to a gallery, or why it does not count.
    async fn judge(&self, event: &Event) -> Result<(Option<GalleryAct>, Option<Misfit>)> {
        let errors = self.event_types.judge(event).await?;
        if !errors.is_empty() {
            return Ok((None, Some(Misfit { reason: SCHEMA, errors })));
        }
        Ok(match event.gallery_act() {
            Ok(act) => (act, None),
            Err(errors) => (None, Some(Misfit { reason: INVALID, errors })),
        })
    }

    /// Tells the listeners of projects that events of theirs were kept apart since the last call.
    pub async fn tell_quarantined(&self) -> Result<()> {
        for (project_id, seq) in self.catalog.tell_quarantined(self.clock.now()).await? {
            self.hint(&news_topic(project_id), seq.to_string().into()).await;
        }
        Ok(())
    }

    /// A lost hint only makes whoever waits for it later.
    async fn hint(&self, topic: &str, message: Bytes) {
        if let Err(error) = self.pubsub.publish(topic, message).await {
            tracing::debug!(%error, "a hint was lost");
        }
    }

    async fn apply(&self, batch: EventBatch, more: bool) -> Result<Step> {
        let (partition, reached) = (batch.partition, batch.reached);
        match self.catalog.apply_events(batch).await? {
            Applied::MarkMoved => Ok(Step::MarkMoved),
            Applied::LeaseLost => {
                self.partitions.lose(partition);
                Ok(Step::NotOwner)
            }
            Applied::Done { galleries, duplicates, quarantined } => {
                self.moved.send_replace(());
                for gallery_id in galleries {
                    self.hint(&gallery_topic(gallery_id), COUNTS).await;
                }
                tracing::debug!(partition, reached, duplicates, quarantined, "events applied");
                Ok(Step::Applied { reached, more })
            }
        }
    }
}

fn aside(offset: Offset, event: Option<Event>, record: Bytes, reason: &'static str, errors: FieldErrors) -> Aside {
    Aside { offset, event, record: record.into(), misfit: Misfit { reason, errors } }
}
