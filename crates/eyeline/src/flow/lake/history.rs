//! Reads single events: the newest ones of a project, and one by its id.

use std::sync::Arc;
use std::time::Duration;

use eyeline_core::{ApplicationId, Event, EventId, Outline, ProjectId, Timestamp};
use eyeline_lake::{Filter, Found, Order, Place, find, list};
use eyeline_store::inbox::{Delivery, Offset};
use eyeline_store::{Catalog, Inbox, Result};

use super::usage::{Usage, Wanted, Weight};
use crate::engines::Engines;

/// The most waiting events of a partition that are scanned for an id.
const LOOK_MAX: usize = 20_000;
const PULL_MAX: usize = 1_000;
/// The longest time between the time in a server-made id and the event's receipt.
const APART_MAX: Duration = Duration::from_secs(1);

/// Cheap to clone.
#[derive(Clone)]
pub struct History {
    inbox: Arc<dyn Inbox>,
    catalog: Catalog,
    usage: Usage,
}

/// A page of a list.
pub struct Page {
    pub events: Vec<Event>,
    /// The place where the list continues, which may exist although the page is not full.
    pub next: Option<Place>,
    /// Set if the question reaches back before the retention cut, where events are incomplete.
    pub incomplete_before: Option<Timestamp>,
}

impl History {
    pub fn new(engines: &Engines, usage: Usage) -> Self {
        let Engines { inbox, catalog, .. } = engines.clone();
        History { inbox, catalog, usage }
    }

    /// Returns the wanted events of a project, the newest first, at most `limit` of those before `before`.
    pub async fn list(&self, wanted: Filter, order: Order, before: Option<Place>, limit: usize) -> Result<Page> {
        let filter = wanted.clone();
        let look =
            move |files: &_, snapshot: &_, budget: &_| list(files, snapshot, &filter, order, before, limit, budget);
        let asked = self.usage.ask(&wanted, Weight::Look, look).await?;
        let incomplete_before = asked.incomplete_before(&wanted);
        let Found { records, next } = asked.answer;
        Ok(Page { events: records.into_iter().map(|record| record.event).collect(), next, incomplete_before })
    }

    /// Returns the applied event to which the application, or the server for it, gave this id. Looks only at events of
    /// the caller's project, or else of the application's project. Only the operator finds events of a deleted
    /// application.
    #[expect(
        clippy::disallowed_methods,
        reason = "only tells which project's files hold the events of the application"
    )]
    pub async fn find(
        &self,
        of_caller: Option<ProjectId>,
        application_id: ApplicationId,
        event_id: EventId,
    ) -> Result<Option<Event>> {
        let id = (application_id, event_id);
        let project_id = match of_caller {
            Some(project_id) => Some(project_id),
            None => self.catalog.application(application_id).await?.map(|application| application.project_id),
        };
        // Without a known place or a time in the id, all files of the project must be searched.
        let places = self.catalog.event_places(vec![id]).await?;
        let received = match places.get(&id) {
            Some(place) => Some((place.received_at, place.received_at)),
            None => server_time(event_id).map(|time| (time.minus(APART_MAX), time.plus(APART_MAX))),
        };
        let mut tries = vec![received];
        if received.is_some() && places.is_empty() {
            // A client may have made an id of that form itself.
            tries.push(None);
        }
        for received in tries {
            // The id of an event that waits to be written to a file is known, or made by the server.
            let wanted = received.map_or(Wanted::InFiles, |received| Wanted::Id {
                project_id,
                application_id,
                event_id,
                received,
            });
            let look = move |files: &_, snapshot: &_, budget: &_| {
                find(files, snapshot, project_id, application_id, event_id, received, budget)
            };
            let asked = self.usage.ask_about(project_id, wanted, Weight::Look, look).await?;
            if let Some(record) = asked.answer {
                return Ok(Some(record.event));
            }
        }
        Ok(None)
    }

    /// Returns the event of this id if it waits in the inbox. An event that is applied meanwhile may be returned too.
    pub async fn find_waiting(&self, application_id: ApplicationId, event_id: EventId) -> Result<Option<Event>> {
        let hidden = self.catalog.manifest().await?.hidden;
        for partition in 0..self.inbox.partitions() {
            let mut after: Offset = self.catalog.applied_mark(partition).await?;
            for _ in 0..LOOK_MAX / PULL_MAX {
                let deliveries = self.inbox.pull(partition, after, PULL_MAX).await?;
                let Some(last) = deliveries.last() else { break };
                after = last.offset;
                let is_it = |delivery: &&Delivery| {
                    let outline = Outline::read(&delivery.event);
                    outline.is_some_and(|found| found.event_id == event_id && found.application_id == application_id)
                };
                let found = deliveries.iter().find(is_it);
                if let Some(event) = found.and_then(|delivery| Event::decode(&delivery.event)) {
                    let is_hidden = hidden.iter().any(|erasure| erasure.covers(&event));
                    return Ok(Some(event).filter(|_| !is_hidden));
                }
            }
        }
        Ok(None)
    }
}

/// The time in an id that the server may have made; `None` for other ids.
fn server_time(event_id: EventId) -> Option<Timestamp> {
    let (seconds, nanos) = event_id.0.get_timestamp()?.to_unix();
    let since = Duration::new(seconds, nanos);
    (event_id.0.get_version_num() == 7).then(|| Timestamp::from_micros(0).plus(since))
}
