//! Replay: quarantined events that fit now go through the inbox once more.
//!
//! A replayed record is the event as it was received, marked with its place in quarantine. Applying it deletes that
//! place in the same transaction. A surplus copy, from a second call or a crash, finds no place and counts for nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eyeline_core::event::Replay;
use eyeline_core::{Event, ProjectId};
use eyeline_store::catalog::events::Misfit;
use eyeline_store::catalog::quarantine::{Age, Filter, Order, Quarantined};
use eyeline_store::inbox::Entry;
use eyeline_store::{Catalog, Error, Inbox, Result};

use super::event_types::EventTypes;
use super::ingest::Ingest;
use crate::clock::Clock;
use crate::engines::Engines;

/// Events of one piece, and of one call.
const PIECE: u32 = 500;
const CALL_EVENTS_MAX: usize = 20_000;
/// The longest time that one call judges events.
const CALL_TIME: Duration = Duration::from_secs(10);
/// The lease of the call under way. It outlasts every call that ends. A process that dies within a call holds others up
/// for no longer.
const TURN: &str = "replay";
const TURN_LENGTH: Duration = Duration::from_secs(40);
/// The longest time that a call waits for the one before it.
const TURN_PATIENCE: Duration = Duration::from_secs(15);
const TURN_POLL: Duration = Duration::from_millis(100);

/// Cheap to clone.
#[derive(Clone)]
pub struct Replays {
    inbox: Arc<dyn Inbox>,
    catalog: Catalog,
    event_types: EventTypes,
    ingest: Ingest,
    clock: Clock,
}

/// The outcome of a call, or of a dry run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    pub replayed: u64,
    pub still_failing: u64,
    /// Where the next call continues, if events are left.
    pub next: Option<Age>,
}

/// The outcome of the first events of a piece.
struct Tried {
    replayed: usize,
    still_failing: usize,
    /// The place of the last of them.
    end: Option<Age>,
}

/// The lease of the call under way, released when this is dropped.
struct Turn {
    catalog: Catalog,
    fence: i64,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (catalog, fence) = (self.catalog.clone(), self.fence);
        tokio::spawn(async move {
            if let Err(error) = catalog.release_lease(TURN, fence).await {
                tracing::warn!(%error, "the next replay waits until the lease of the last one ends");
            }
        });
    }
}

impl Replays {
    pub fn new(engines: &Engines, event_types: EventTypes, ingest: Ingest, clock: Clock) -> Self {
        let Engines { inbox, catalog, .. } = engines.clone();
        Replays { inbox, catalog, event_types, ingest, clock }
    }

    /// Judges the project's quarantined events again, oldest first, after the one at `after`. The events that fit are
    /// counted when this returns. With `dry_run` nothing changes.
    pub async fn replay(
        &self,
        project_id: ProjectId,
        filter: Filter,
        after: Option<Age>,
        dry_run: bool,
    ) -> Result<Replayed> {
        let _turn = self.take_turn().await?;
        self.replay_in_turn(project_id, filter, after, dry_run).await
    }

    /// Waits for the call under way, of any process. The next call then finds and reports what that one has left. Two at
    /// a time would count nothing twice, but report the same events.
    async fn take_turn(&self) -> Result<Turn> {
        let taking = async {
            loop {
                let catalog = self.catalog.clone();
                // A spawned task holds what it has claimed even if the caller is dropped, and so releases it.
                let claim = tokio::spawn(async move {
                    let fence = catalog.claim_lease(TURN, TURN_LENGTH).await?;
                    Ok::<_, Error>(fence.map(|fence| Turn { catalog, fence }))
                });
                if let Some(turn) = claim.await.map_err(|error| Error::internal("the turn of a replay", error))?? {
                    return Ok(turn);
                }
                tokio::time::sleep(TURN_POLL).await;
            }
        };
        let late = |_| Error::unavailable("another replay is under way");
        tokio::time::timeout(TURN_PATIENCE, taking).await.map_err(late)?
    }

    async fn replay_in_turn(
        &self,
        project_id: ProjectId,
        filter: Filter,
        mut after: Option<Age>,
        dry_run: bool,
    ) -> Result<Replayed> {
        let mut outcome = Replayed::default();
        // An event that fails again gets a newer age. The call ends at the event that is newest now, so it judges none
        // twice.
        let newest = self.catalog.quarantined(project_id, filter.clone(), Order::LastFirst, None, 1).await?;
        let Some(last) = newest.first().map(|newest| newest.age) else { return Ok(outcome) };
        let (mut looked_at, start) = (0, Instant::now());
        loop {
            let mut piece =
                self.catalog.quarantined(project_id, filter.clone(), Order::FirstFirst, after, PIECE).await?;
            piece.retain(|quarantined| quarantined.age <= last);
            if piece.is_empty() {
                break;
            }
            let Tried { replayed, still_failing, end } = self.try_again(project_id, piece, dry_run).await?;
            looked_at += replayed + still_failing;
            outcome.replayed += replayed as u64;
            outcome.still_failing += still_failing as u64;
            after = end.or(after);
            if end == Some(last) {
                break;
            }
            if looked_at >= CALL_EVENTS_MAX || start.elapsed() >= CALL_TIME {
                outcome.next = after;
                break;
            }
        }
        if outcome.replayed > 0 && !dry_run {
            self.ingest.caught_up().await?;
        }
        Ok(outcome)
    }

    /// Judges the first events of the piece, as many as the time allows.
    async fn try_again(&self, project_id: ProjectId, piece: Vec<Quarantined>, dry_run: bool) -> Result<Tried> {
        let in_force = self.event_types.in_force(project_id).await?;
        let (ages, events): (Vec<Age>, Vec<Event>) =
            piece.into_iter().map(|quarantined| (quarantined.age, quarantined.event)).unzip();
        let judged = self.event_types.judge_again(&in_force, events).await?;
        let (mut fit, mut misfits) = (Vec::new(), Vec::new());
        let mut end = None;
        for (age, (event, verdict)) in ages.into_iter().zip(judged.events) {
            end = Some(age);
            match verdict {
                Ok(_) => fit.push((age, event)),
                Err(misfit) => misfits.push((age, misfit)),
            }
        }
        let fit = self.with_known_images(project_id, fit, &mut misfits).await?;
        let (replayed, still_failing) = (fit.len(), misfits.len());
        if !dry_run {
            let at = self.clock.now();
            let entry = |(age, event): (Age, Event)| {
                let replay = Some(Replay { partition: age.partition, offset: age.offset.number(), at });
                Entry { partition: age.partition, event: Event { replay, ..event }.encode() }
            };
            self.inbox.append(&fit.into_iter().map(entry).collect::<Vec<_>>()).await?;
            self.catalog.renew_misfits(misfits).await?;
        }
        Ok(Tried { replayed, still_failing, end })
    }

    /// Returns the events whose images exist. The others become misfits.
    async fn with_known_images(
        &self,
        project_id: ProjectId,
        events: Vec<(Age, Event)>,
        misfits: &mut Vec<(Age, Misfit)>,
    ) -> Result<Vec<(Age, Event)>> {
        let image = |event: &Event| event.gallery_act().ok().flatten().map(|act| (act.gallery_id, act.image));
        let named: Vec<_> = events.iter().filter_map(|(_, event)| image(event)).collect();
        if named.is_empty() {
            return Ok(events);
        }
        let known = self.catalog.known_images(project_id, named).await?;
        let (fit, unknown): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|(_, event)| image(event).is_none_or(|named| known.contains(&named)));
        misfits.extend(unknown.into_iter().map(|(age, _)| (age, Misfit::unknown_image())));
        Ok(fit)
    }
}
