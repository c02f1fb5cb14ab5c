//! From the inbox to the counters: batch by batch in the order of offsets, each event once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eyeline_core::{Event, FieldErrors};
use eyeline_store::catalog::events::{Applied, Aside, BatchEvent, EventBatch, Misfit};
use eyeline_store::inbox::{Delivery, Offset};
use eyeline_store::{Catalog, Error, Inbox, PubSub, Result};
use tokio::sync::watch;

use super::event_types::EventTypes;
use super::judge::{FAILED, Verdict};
use crate::clock::Clock;
use crate::engines::Engines;
use crate::flow::hints;
use crate::flow::lake::partitions::Partitions;
use crate::settings::EventBounds;

/// The time after the first receipt in which an event id is known, so that a repeated event is a duplicate.
pub const IDS_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The time for which guard state is stored: the day that guards look back on, plus one hour for delayed events.
const GUARDED_KEPT: Duration = Duration::from_secs(25 * 60 * 60);

/// Owners of a partition that may die while they apply one event alone, after two that died over its batch. The next one
/// quarantines it unread: an event causes at most three deaths.
const DEATHS_ALONE_MAX: u32 = 1;

/// Ids that one transaction deletes.
const FORGET_MAX: u32 = 2_000;
/// The longest time a caller waits until earlier events are applied.
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(15);
/// The interval of polling when another process applies them.
const CATCH_UP_POLL: Duration = Duration::from_millis(50);

/// Cheap to clone; clones share their signals.
#[derive(Clone)]
pub struct Ingest {
    inbox: Arc<dyn Inbox>,
    catalog: Catalog,
    event_types: EventTypes,
    pubsub: Arc<dyn PubSub>,
    clock: Clock,
    partitions: Partitions,
    bounds: EventBounds,
    /// A caller waits for events to be applied.
    hurry: watch::Sender<()>,
    /// The applied watermark of a partition has moved.
    moved: watch::Sender<()>,
}

/// Records that were read and judged.
struct Read {
    events: Vec<BatchEvent>,
    aside: Vec<Aside>,
    /// The offset of the last judged record, if time ran out before the end.
    reached: Option<Offset>,
}

/// The outcome of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to apply.
    Idle,
    /// Everything up to `reached` is applied. `more` if further events wait.
    Applied { reached: Offset, more: bool },
    /// Another process moved the watermark: read it again.
    MarkMoved,
    /// Another process owns the partition, or nobody has claimed it yet.
    NotOwner,
}

impl Ingest {
    pub fn new(
        engines: &Engines,
        event_types: EventTypes,
        partitions: Partitions,
        clock: Clock,
        bounds: EventBounds,
    ) -> Self {
        let Engines { inbox, catalog, pubsub, .. } = engines.clone();
        let (hurry, moved) = (watch::Sender::new(()), watch::Sender::new(()));
        Ingest { inbox, catalog, event_types, pubsub, clock, partitions, bounds, hurry, moved }
    }

    pub fn partitions(&self) -> u32 {
        self.inbox.partitions()
    }

    /// The partitions that this process owns.
    pub fn owned(&self) -> &Partitions {
        &self.partitions
    }

    /// Signals that a caller waits for events to be applied.
    pub fn hurried(&self) -> watch::Receiver<()> {
        self.hurry.subscribe()
    }

    /// Returns when there may be an event after `after`.
    pub async fn arrived(&self, partition: u32, after: Offset) {
        self.inbox.arrived(partition, after).await;
    }

    /// The applied watermark of the partition. Returns `Conflict` if it lies beyond the inbox's head: then catalog and
    /// inbox are not of one installation, and new events would pass for applied ones.
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

    /// Applies the next events after `mark`, at most `events_max`. If earlier owners died over them, applies one at a
    /// time.
    pub async fn step(&self, partition: u32, mark: Offset, events_max: usize) -> Result<Step> {
        let deliveries = self.inbox.pull(partition, mark, events_max).await?;
        if self.partitions.is_suspect(partition) {
            return self.step_with_care(partition, mark, deliveries).await;
        }
        let more = deliveries.len() == events_max;
        self.take(partition, mark, deliveries, more).await
    }

    /// Applies the events before the first one that must be judged, else that one alone. An attempt is noted before it
    /// starts. If its owner dies, the next one quarantines the event unread.
    async fn step_with_care(&self, partition: u32, mark: Offset, mut deliveries: Vec<Delivery>) -> Result<Step> {
        let is_judged = |delivery: &Delivery| {
            let event = Event::decode(&delivery.event);
            event.is_some_and(|event| event.schema.is_some_and(|schema| !schema.checked))
        };
        let harmless = deliveries.iter().take_while(|delivery| !is_judged(delivery)).count();
        if harmless > 0 {
            deliveries.truncate(harmless);
            return self.take(partition, mark, deliveries, true).await;
        }
        deliveries.truncate(1);
        let Some(next) = deliveries.first() else {
            self.partitions.end_trials(partition).await?;
            return Ok(Step::Idle);
        };
        let Some(tries) = self.partitions.note_trial(partition, next.offset).await? else { return Ok(Step::NotOwner) };
        let step = if tries > DEATHS_ALONE_MAX {
            let sentence = "The server was ended several times while it judged this event; it was not read again.";
            self.quarantine_unread(partition, mark, deliveries, sentence).await?
        } else {
            self.take(partition, mark, deliveries, true).await?
        };
        if let Step::Applied { .. } = step {
            self.partitions.end_trial(partition).await?;
        }
        Ok(step)
    }

    /// Judges and applies events after `mark` until the time for judging ends.
    async fn take(&self, partition: u32, mark: Offset, deliveries: Vec<Delivery>, more: bool) -> Result<Step> {
        let Some(fence) = self.partitions.fence(partition) else { return Ok(Step::NotOwner) };
        let Some(Delivery { offset: last, .. }) = deliveries.last() else { return Ok(Step::Idle) };
        let last = *last;
        let Read { events, aside, reached } = self.read(deliveries).await?;
        let reached = reached.unwrap_or(last);
        let (now, hour_rows_max) = (self.clock.now(), self.bounds.hour_rows_a_day);
        let batch = EventBatch { partition, fence, after: mark, reached, events, aside, now, hour_rows_max };
        self.apply(batch, more || reached < last).await
    }

    /// Quarantines the next event after `mark` unread. Called for an event whose application keeps failing.
    pub async fn step_over(&self, partition: u32, mark: Offset, reason: &Error) -> Result<Step> {
        let deliveries = self.inbox.pull(partition, mark, 1).await?;
        tracing::error!(partition, %mark, error = %reason, "the event after this offset could not be applied");
        let sentence = "The server could not apply this event; it was logged.";
        self.quarantine_unread(partition, mark, deliveries, sentence).await
    }

    async fn quarantine_unread(
        &self,
        partition: u32,
        mark: Offset,
        deliveries: Vec<Delivery>,
        sentence: &str,
    ) -> Result<Step> {
        let Some(fence) = self.partitions.fence(partition) else { return Ok(Step::NotOwner) };
        let Some(Delivery { offset, event }) = deliveries.into_iter().next() else { return Ok(Step::Idle) };
        tracing::error!(partition, %offset, "an event was quarantined unread");
        let aside = vec![aside(offset, Event::decode(&event), event, FAILED, FieldErrors::one("", sentence))];
        let batch = EventBatch {
            partition,
            fence,
            after: mark,
            reached: offset,
            events: Vec::new(),
            aside,
            now: self.clock.now(),
            hour_rows_max: self.bounds.hour_rows_a_day,
        };
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
                    // Polls, because another process may apply them.
                    let _ = tokio::time::timeout(CATCH_UP_POLL, moved.changed()).await;
                }
            }
            Ok(())
        };
        let late = |_| Error::unavailable("events still wait to be applied");
        tokio::time::timeout(CATCH_UP_PATIENCE, waiting).await.map_err(late)?
    }

    /// Deletes event ids older than [`IDS_KEPT`]. True if there may be more of them.
    pub async fn forget_ids(&self) -> Result<bool> {
        let Some(before) = self.clock.older_than(IDS_KEPT) else { return Ok(false) };
        Ok(self.catalog.forget_event_ids(before, FORGET_MAX).await? == u64::from(FORGET_MAX))
    }

    /// Deletes guard state older than `GUARDED_KEPT`. True if there may be more. While events wait it deletes
    /// nothing, because they may be as old as that state.
    pub async fn forget_guarded(&self) -> Result<bool> {
        for partition in 0..self.inbox.partitions() {
            if self.catalog.applied_mark(partition).await? < self.inbox.head(partition).await? {
                return Ok(false);
            }
        }
        let Some(before) = self.clock.older_than(GUARDED_KEPT) else { return Ok(false) };
        Ok(self.catalog.forget_guarded(before, FORGET_MAX).await? == u64::from(FORGET_MAX))
    }

    /// Reads and judges the records, or only the first ones if judging takes long. A bad record never stops the line.
    async fn read(&self, deliveries: Vec<Delivery>) -> Result<Read> {
        let delivered: Vec<Offset> = deliveries.iter().map(|delivery| delivery.offset).collect();
        let mut offsets = Vec::with_capacity(deliveries.len());
        let mut events = Vec::with_capacity(deliveries.len());
        let mut aside = Vec::new();
        for Delivery { offset, event: record } in deliveries {
            match Event::decode(&record) {
                Some(event) => {
                    offsets.push(offset);
                    events.push(event);
                }
                None => {
                    let errors = FieldErrors::one("", "This version of the server cannot read this event.");
                    aside.push(self::aside(offset, None, record, "unreadable", errors));
                }
            }
        }
        let judged = self.event_types.judge(events).await?;
        let next = offsets.get(judged.events.len());
        let reached = next.and_then(|next| delivered.into_iter().take_while(|offset| offset < next).last());
        if let Some(reached) = reached {
            aside.retain(|aside| aside.offset <= reached);
        }
        let event = |(offset, (event, verdict)): (Offset, (Event, Verdict))| match verdict {
            Ok(act) => BatchEvent { offset, event, act, misfit: None },
            Err(misfit) => BatchEvent { offset, event, act: None, misfit: Some(misfit) },
        };
        let events = offsets.into_iter().zip(judged.events).map(event).collect();
        Ok(Read { events, aside, reached })
    }

    /// Publishes news of newly quarantined events, and deletes the oldest events beyond the bounds of a project's
    /// quarantine.
    pub async fn tell_quarantined(&self) -> Result<()> {
        let EventBounds { quarantined_events, quarantined_bytes, .. } = self.bounds;
        for (project_id, seq) in self.catalog.tell_quarantined(self.clock.now()).await? {
            hints::news(&*self.pubsub, project_id, seq).await;
            let dropped = self.catalog.trim_quarantine(project_id, quarantined_events, quarantined_bytes).await?;
            if dropped > 0 {
                tracing::warn!(project.id = %project_id, dropped, "a project's quarantine was full: its oldest events were dropped");
            }
        }
        Ok(())
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
                    hints::gallery_counted(&*self.pubsub, gallery_id).await;
                }
                tracing::debug!(partition, %reached, duplicates, quarantined, "events applied");
                Ok(Step::Applied { reached, more })
            }
        }
    }
}

fn aside(offset: Offset, event: Option<Event>, record: Bytes, reason: &'static str, errors: FieldErrors) -> Aside {
    Aside { offset, event, record: record.into(), misfit: Misfit { reason, errors } }
}
