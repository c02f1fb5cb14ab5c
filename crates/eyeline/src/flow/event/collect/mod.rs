//! Accepts events: each is on stable storage in the inbox before it is answered.
//!
//! A repeated event is answered as a duplicate if this process knows it: from recently accepted events, or from applied
//! ids. That is a courtesy to the sender. `ingest` makes every event count once, by a check in the transaction that
//! counts it.

mod lookups;
mod recent;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use eyeline_core::{ApplicationId, Envelope, Event, EventId, FieldErrors, ProjectId};
use eyeline_store::catalog::events::EventPlace;
use eyeline_store::inbox::{self, Entry};
use eyeline_store::{Catalog, Inbox, Result};
use uuid::Uuid;

use self::lookups::Lookups;
pub use self::recent::MEMORY_BYTES;
use self::recent::{Claim, Recent};
use super::event_types::EventTypes;
use crate::clock::Clock;
use crate::engines::Engines;

/// The longest time that acceptance waits for the catalog to look up event ids.
const LOOKUP_PATIENCE: Duration = Duration::from_millis(250);

/// The id that an application gives to an event.
type Id = (ApplicationId, EventId);

/// The sending application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    pub application_id: ApplicationId,
    pub project_id: ProjectId,
}

/// The outcome of one event.
#[derive(Clone, Debug)]
pub enum Receipt {
    /// On stable storage; it will be counted exactly once. Holds the record as stored in the inbox.
    Accepted(Vec<u8>),
    /// It was accepted before; nothing changed.
    Duplicate(First),
    /// It does not fit the schema of its type; nothing was stored. Holds the errors by field.
    Rejected(FieldErrors),
}

/// Where the first event with the same id is.
#[derive(Clone, Debug)]
pub enum First {
    /// Accepted recently by this process. Holds the record as stored in the inbox.
    Recent(Arc<[u8]>),
    Applied(EventPlace),
    /// Earlier in the same call.
    SameCall,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Collector {
    inbox: Arc<dyn Inbox>,
    catalog: Catalog,
    event_types: EventTypes,
    clock: Clock,
    recent: Arc<Recent>,
    lookups: Arc<Lookups>,
}

impl Collector {
    pub fn new(engines: &Engines, event_types: EventTypes, clock: Clock) -> Self {
        let Engines { inbox, catalog, .. } = engines.clone();
        let lookups = Arc::new(Lookups::new(catalog.clone()));
        Collector { inbox, catalog, event_types, clock, recent: Arc::default(), lookups }
    }

    /// Accepts events. Returns their receipts in order, once all of them are on stable storage. An error promises
    /// nothing about any of them.
    pub async fn collect(&self, sender: Sender, mut envelopes: Vec<Envelope>) -> Result<Vec<Receipt>> {
        let received_at = self.clock.now();
        let in_force = self.event_types.in_force(sender.project_id).await?;
        let mut rejected = self.event_types.mark(&in_force, sender.project_id, &mut envelopes).await?;
        let mut named = HashSet::new();
        let mut receipts: Vec<Option<Receipt>> = Vec::with_capacity(envelopes.len());
        let mut open = Vec::with_capacity(envelopes.len());
        let mut unfit = Vec::new();
        for (index, envelope) in envelopes.into_iter().enumerate() {
            if let Some(errors) = rejected.remove(&index) {
                receipts.push(Some(Receipt::Rejected(errors)));
                unfit.extend(envelope.event_id.map(|event_id| (index, (sender.application_id, event_id))));
                continue;
            }
            if let Some(event_id) = envelope.event_id
                && !named.insert(event_id)
            {
                receipts.push(Some(Receipt::Duplicate(First::SameCall)));
                continue;
            }
            let partition = inbox::partition_of(envelope.partition_key(), self.inbox.partitions());
            let given = envelope.event_id;
            let event_id = given.unwrap_or_else(|| self.clock.new_id());
            let Sender { application_id, project_id } = sender;
            let event = envelope.into_event(event_id, given.is_some(), project_id, application_id, received_at);
            receipts.push(None);
            let id = given.map(|event_id| (application_id, event_id));
            open.push(Open { index, id, entry: Entry { partition, event: event.encode() } });
        }
        self.excuse(unfit, &mut receipts).await;
        while !open.is_empty() {
            open = self.take_in(open, &mut receipts).await?;
        }
        Ok(receipts.into_iter().flatten().collect())
    }

    /// Returns the first event that a duplicate repeats; `None` if the inbox no longer holds it.
    pub async fn first(&self, first: &First) -> Result<Option<Event>> {
        match first {
            First::Recent(record) => Ok(Event::decode(record)),
            First::Applied(place) => {
                let found = self.inbox.pull(place.partition, place.offset.before(), 1).await?;
                match found.first().filter(|delivery| delivery.offset == place.offset) {
                    Some(delivery) => Ok(Event::decode(&delivery.event)),
                    None => self.catalog.quarantined_at(place.partition, place.offset).await,
                }
            }
            First::SameCall => Ok(None),
        }
    }

    /// An event accepted under an older schema remains a duplicate when it is sent again.
    async fn excuse(&self, unfit: Vec<(usize, Id)>, receipts: &mut [Option<Receipt>]) {
        if unfit.is_empty() {
            return;
        }
        let applied = self.applied(unfit.iter().map(|(_, id)| *id).collect()).await;
        for (index, id) in unfit {
            let first =
                self.recent.get(&id).map(First::Recent).or_else(|| applied.get(&id).copied().map(First::Applied));
            if let Some(first) = first {
                receipts[index] = Some(Receipt::Duplicate(first));
            }
        }
    }

    /// Settles the events that it can, and returns those that another call is accepting now, once that call has ended.
    /// A call that others wait for never waits for another one.
    async fn take_in(&self, open: Vec<Open>, receipts: &mut [Option<Receipt>]) -> Result<Vec<Open>> {
        let ids: Vec<Option<Id>> = open.iter().map(|open| open.id).collect();
        let (claims, verdicts) = self.recent.claim(&ids);
        let mut ours = Vec::with_capacity(open.len());
        let mut busy = Vec::new();
        let mut other_call = None;
        for (open, verdict) in open.into_iter().zip(verdicts) {
            match verdict {
                Claim::Ours => ours.push(open),
                Claim::Known(record) => receipts[open.index] = Some(Receipt::Duplicate(First::Recent(record))),
                Claim::Busy(call) => {
                    busy.push(open);
                    other_call = Some(call);
                }
            }
        }
        let applied = self.applied(ours.iter().filter_map(|open| open.id).collect()).await;
        let mut accepted = Vec::with_capacity(ours.len());
        let mut entries = Vec::with_capacity(ours.len());
        for Open { index, id, entry } in ours {
            if let Some(place) = id.and_then(|id| applied.get(&id)) {
                receipts[index] = Some(Receipt::Duplicate(First::Applied(*place)));
                continue;
            }
            accepted.push((index, id));
            entries.push(entry);
        }
        self.inbox.append(&entries).await?;
        let named = accepted.iter().zip(&entries);
        claims.keep(named.filter_map(|((_, id), entry)| Some(((*id)?, entry.event.as_slice().into()))).collect());
        for ((index, _), entry) in accepted.into_iter().zip(entries) {
            receipts[index] = Some(Receipt::Accepted(entry.event));
        }
        if let Some(other_call) = other_call {
            other_call.ended().await;
        }
        Ok(busy)
    }

    /// The places of applied ids. Empty if the catalog is unavailable or slow: acceptance goes on without it.
    async fn applied(&self, ids: Vec<Id>) -> Arc<HashMap<Id, EventPlace>> {
        if ids.is_empty() {
            return Arc::default();
        }
        tokio::time::timeout(LOOKUP_PATIENCE, self.lookups.places(ids)).await.unwrap_or_default()
    }
}

/// An event that has no receipt yet.
struct Open {
    index: usize,
    /// The event id that the sender gave, if any.
    id: Option<Id>,
    entry: Entry,
}

/// The event id for an `Idempotency-Key`. `index` distinguishes the events of a batch.
pub fn event_id_of_key(application_id: ApplicationId, key: &str, index: Option<usize>) -> EventId {
    // A header value cannot hold U+0000, so a key with an index never equals another key without one.
    let name = match index {
        Some(index) => format!("{key}\0{index}"),
        None => key.to_owned(),
    };
    EventId(Uuid::new_v5(&application_id.0, name.as_bytes()))
}
