//! Reading events back from the inbox, within bounds: a request looks at a limited number of events, and a list that
//! has not found enough of them goes on from there.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use eyeline_core::{ApplicationId, Event, EventId, ProjectId, SessionId, Timestamp};
use eyeline_store::inbox::{Delivery, Offset};
use eyeline_store::{Catalog, Inbox, Result};

/// Events that one request looks at.
const LOOK_MAX: usize = 20_000;
const PULL_MAX: usize = 1_000;
/// How far apart the time in an id that the server made and the event's place in the inbox may be: the longest wait in
/// the inbox's queue.
const QUEUE_WAIT_MAX: Duration = Duration::from_secs(1);

/// Cheap to clone.
#[derive(Clone)]
pub struct History {
    inbox: Arc<dyn Inbox>,
    catalog: Catalog,
}

/// Which events are wanted; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub application_id: Option<ApplicationId>,
    pub session_id: Option<SessionId>,
    pub category: Option<String>,
    pub name: Option<String>,
    /// Of the event's own timestamp: from the first, and before the second.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// For each partition, the offset that a list has come down to.
pub type Reached = Vec<Offset>;

impl History {
    pub fn new(inbox: Arc<dyn Inbox>, catalog: Catalog) -> Self {
        History { inbox, catalog }
    }

    /// Events of the project in the reverse order of their arrival, at most `limit`, after those that an earlier call came down to.
    /// With the second part the list goes on: it may do so although fewer than `limit` were found.
    pub async fn list(
        &self,
        project_id: ProjectId,
        wanted: &Wanted,
        after: Option<Reached>,
        limit: usize,
    ) -> Result<(Vec<Event>, Option<Reached>)> {
        let mut partitions = Vec::new();
        for partition in 0..self.inbox.partitions() {
            let reached = after.as_ref().and_then(|after| after.get(partition as usize).copied());
            let reached = reached.unwrap_or(Offset::MAX);
            partitions.push(Backwards { partition, reached, next: VecDeque::new(), at_end: false });
        }
        let mut found = Vec::new();
        for _ in 0..LOOK_MAX {
            for partition in &mut partitions {
                partition.refill(self).await?;
            }
            let newest = partitions.iter_mut().max_by_key(|partition| partition.next_arrived_at());
            let Some((offset, event)) = newest.as_ref().and_then(|newest| newest.next.front().cloned()) else {
                return Ok((found, None));
            };
            if found.len() == limit {
                break;
            }
            if let Some(newest) = newest {
                newest.next.pop_front();
                newest.reached = offset;
            }
            found.extend(event.filter(|event| event.project_id == project_id && wanted.fits(event)));
        }
        Ok((found, Some(partitions.into_iter().map(|partition| partition.reached).collect())))
    }

    /// The event that the application, or the server for it, gave this id, and whether it is applied. One with the
    /// server's id is found by the time in the id.
    pub async fn find(&self, application_id: ApplicationId, event_id: EventId) -> Result<Option<(Event, bool)>> {
        let id = (application_id, event_id);
        let is_it = |event: &Event| (event.application_id, event.event_id) == id;
        if let Some(place) = self.catalog.event_places(vec![id]).await?.get(&id) {
            let found = self.inbox.pull(place.partition, place.offset - 1, 1).await?;
            return Ok(found.first().and_then(read).filter(is_it).map(|event| (event, true)));
        }
        let made_at = server_time(event_id);
        for partition in 0..self.inbox.partitions() {
            // What is not applied yet has no place in the catalog.
            let mark = self.catalog.applied_mark(partition).await?;
            if let Some(event) = self.search(partition, mark, is_it, |_| true).await? {
                return Ok(Some((event, false)));
            }
            let Some(made_at) = made_at else { continue };
            let begin = self.before(partition, made_at.minus(QUEUE_WAIT_MAX)).await?;
            let end = made_at.plus(QUEUE_WAIT_MAX);
            let near = |event: &Event| event.arrived_at() <= end;
            if let Some(event) = self.search(partition, begin, is_it, near).await? {
                return Ok(Some((event, true)));
            }
        }
        Ok(None)
    }

    /// The first event after `after` that is it, looked for while events are near.
    async fn search(
        &self,
        partition: u32,
        mut after: Offset,
        is_it: impl Fn(&Event) -> bool,
        near: impl Fn(&Event) -> bool,
    ) -> Result<Option<Event>> {
        for _ in 0..LOOK_MAX / PULL_MAX {
            let deliveries = self.inbox.pull(partition, after, PULL_MAX).await?;
            let Some(last) = deliveries.last() else { return Ok(None) };
            after = last.offset;
            for event in deliveries.iter().filter_map(read) {
                if is_it(&event) {
                    return Ok(Some(event));
                }
                if !near(&event) {
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// An offset before every event that arrived from `time` on: events lie nearly in the order of their arrival.
    async fn before(&self, partition: u32, time: Timestamp) -> Result<Offset> {
        let (mut early, mut late) = (0, self.inbox.head(partition).await?);
        while early < late {
            let middle = early + (late - early) / 2;
            match self.inbox.pull(partition, middle, 1).await?.first() {
                Some(delivery) if read(delivery).is_none_or(|event| event.arrived_at() < time) => {
                    early = delivery.offset
                }
                _ => late = middle,
            }
        }
        Ok(early)
    }
}

impl Wanted {
    fn fits(&self, event: &Event) -> bool {
        self.application_id.is_none_or(|application_id| event.application_id == application_id)
            && self.session_id.is_none_or(|session_id| event.session_id == session_id)
            && self.category.as_ref().is_none_or(|category| event.category == *category)
            && self.name.as_ref().is_none_or(|name| event.name == *name)
            && self.from.is_none_or(|from| event.timestamp >= from)
            && self.to.is_none_or(|to| event.timestamp < to)
    }
}

/// A partition being read from its end.
struct Backwards {
    partition: u32,
    reached: Offset,
    /// The newest first; `None` for what is no event or counts for nothing.
    next: VecDeque<(Offset, Option<Event>)>,
    at_end: bool,
}

impl Backwards {
    async fn refill(&mut self, history: &History) -> Result<()> {
        if !self.next.is_empty() || self.at_end {
            return Ok(());
        }
        let deliveries = history.inbox.pull_back(self.partition, self.reached, PULL_MAX).await?;
        let (Some(newest), Some(oldest)) = (deliveries.first(), deliveries.last()) else {
            self.at_end = true;
            return Ok(());
        };
        let (from, to) = (oldest.offset, newest.offset);
        let dropped: BTreeSet<Offset> = history.catalog.dropped_events(self.partition, from, to).await?;
        let event = |delivery: Delivery| {
            let event = read(&delivery).filter(|_| !dropped.contains(&delivery.offset));
            (delivery.offset, event)
        };
        self.next = deliveries.into_iter().map(event).collect();
        Ok(())
    }

    /// What is no event goes first, out of the way of the others.
    fn next_arrived_at(&self) -> Option<Timestamp> {
        let (_, event) = self.next.front()?;
        Some(event.as_ref().map_or(Timestamp::from_micros(i64::MAX), Event::arrived_at))
    }
}

fn read(delivery: &Delivery) -> Option<Event> {
    Event::decode(&delivery.event)
}

/// When the server made this id, if it is one that the server may have made.
fn server_time(event_id: EventId) -> Option<Timestamp> {
    let (seconds, nanos) = event_id.0.get_timestamp()?.to_unix();
    let since = Duration::new(seconds, nanos);
    (event_id.0.get_version_num() == 7).then(|| Timestamp::from_micros(0).plus(since))
}
