//! Applies events from the inbox, with one loop for each partition. A loop waits while another process owns its
//! partition.

use std::time::Duration;

use eyeline_store::Error;
use eyeline_store::inbox::Offset;
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::flow::event::ingest::{Ingest, Step};
use crate::flow::lake::partitions::BATCH_EVENTS_MAX;
use crate::flow::lake::partitions::Partitions;

/// The pause between batches, unless they are full or a caller waits, so that few events cost few commits.
const PACE: Duration = Duration::from_millis(50);
/// An arrival whose hint was lost is found after this time.
const POLL: Duration = Duration::from_secs(1);
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// Tries of a single event, with growing pauses, before it is quarantined as the faulty one.
const TRIES_OF_ONE_MAX: u32 = 5;
const FORGET_EVERY: Duration = Duration::from_secs(60);
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Applies events until `stop`. The error is a sentence; it ends the process, because going on would lose events.
pub async fn run(ingest: Ingest, stop: CancellationToken) -> Result<(), String> {
    let loops = (0..ingest.partitions()).map(|partition| {
        let follower = Follower {
            ingest: ingest.clone(),
            partition,
            counted: None,
            fence: None,
            events_max: BATCH_EVENTS_MAX,
            tries_of_one: 0,
            back_off: BACK_OFF_MIN,
        };
        follower.run(stop.clone())
    });
    let outcome = tokio::try_join!(futures::future::try_join_all(loops), balance(ingest.owned(), &stop)).map(drop);
    if let Err(error) = ingest.owned().release().await {
        tracing::warn!(%error, "the partitions could not be released; they are free when their leases end");
    }
    outcome
}

/// Keeps this process's share of the partitions: at a steady pace, when it lost one, and when another process released
/// some. Runs until `stop`; no claim is broken off, so that each is known when all are released.
async fn balance(owned: &Partitions, stop: &CancellationToken) -> Result<(), String> {
    let (mut changes, mut released) = (owned.changes(), owned.released().await);
    while !stop.is_cancelled() {
        if let Err(error) = owned.balance().await {
            tracing::warn!(%error, "the claims of the partitions could not be renewed; the next round retries");
            tokio::time::sleep(BACK_OFF_MIN).await;
        }
        // Its own changes need no second look.
        changes.mark_unchanged();
        tokio::select! {
            () = stop.cancelled() => {}
            _ = tokio::time::timeout(owned.pause(), changes.changed()) => {}
            Some(()) = released.next() => {}
        }
    }
    Ok(())
}

/// Deletes event ids and guard state older than promised. Runs until the process stops.
pub async fn forget(app: App) -> Result<(), String> {
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
        loop {
            let more = async { Ok::<_, Error>(app.ingest.forget_ids().await? | app.ingest.forget_guarded().await?) };
            match more.await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "expired event ids or guard state could not be deleted; retrying");
                    break;
                }
            }
        }
    }
}

/// Publishes news of quarantined events, at most once a second for each project. Runs until the process stops.
pub async fn tell_quarantined(app: App) -> Result<(), String> {
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(TELL_EVERY) => {}
        }
        if let Err(error) = app.ingest.tell_quarantined().await {
            tracing::warn!(%error, "news of quarantined events could not be published; the next round retries");
        }
    }
}

struct Follower {
    ingest: Ingest,
    partition: u32,
    /// The watermark as far as this process has moved it.
    counted: Option<Offset>,
    /// The claim under which the watermark was read. After another claim it is read again, since the owner before may
    /// have moved it.
    fence: Option<i64>,
    /// Halved while a batch fails, down to the one event that is at fault.
    events_max: usize,
    tries_of_one: u32,
    back_off: Duration,
}

impl Follower {
    async fn run(mut self, stop: CancellationToken) -> Result<(), String> {
        let mut hurried = self.ingest.hurried();
        let mut mark: Option<Offset> = None;
        loop {
            let pause = self.step(&mut mark).await?;
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.wait(pause, mark, &mut hurried) => {}
            }
        }
    }

    /// One step from `mark`, which is read first if it is `None`.
    async fn step(&mut self, mark: &mut Option<Offset>) -> Result<Pause, String> {
        let owned = self.ingest.owned();
        if let Err(error) = owned.hand_over(self.partition).await {
            tracing::warn!(%error, partition = self.partition, "the next owner waits until the lease ends");
        }
        let Some(fence) = owned.fence(self.partition) else { return Ok(Pause::Claim) };
        let is_new_claim = self.fence != Some(fence);
        if is_new_claim {
            *mark = None;
        }
        let from = match *mark {
            Some(from) => from,
            None => match self.ingest.mark(self.partition).await {
                Ok(from) => from,
                Err(Error::Conflict(sentence)) => return Err(sentence),
                Err(error) => return Ok(self.failed(&error)),
            },
        };
        self.fence = Some(fence);
        // An inbox that is shared has one sequence of events, whoever applies them.
        if is_new_claim
            && !owned.is_shared()
            && let Some(counted) = self.counted
            && counted != from
        {
            return Err(format!(
                "another installation has counted events into the same catalog meanwhile, out of an inbox of its own: its \
                 marks lead from {counted} to {from}, and the events of this inbox between them would be left out. Give \
                 each its own catalog, and restore this one from before"
            ));
        }
        *mark = Some(from);
        self.counted = Some(from);
        let mut outcome = self.ingest.step(self.partition, from, self.events_max).await;
        if let Err(error) = &outcome
            && !error.is_retryable()
        {
            if self.events_max > 1 {
                tracing::error!(%error, events_max = self.events_max, "a batch of events could not be applied");
                self.events_max /= 2;
                return Ok(Pause::None);
            }
            self.tries_of_one += 1;
            if self.tries_of_one >= TRIES_OF_ONE_MAX {
                // If that fails as well, the event is not at fault.
                self.tries_of_one = 0;
                outcome = self.ingest.step_over(self.partition, from, error).await;
            }
        }
        match outcome {
            Ok(Step::Idle) => Ok(Pause::Arrival),
            Ok(Step::Applied { reached, more }) => {
                *mark = Some(reached);
                self.counted = Some(reached);
                self.back_off = BACK_OFF_MIN;
                self.tries_of_one = 0;
                self.events_max = (self.events_max * 2).min(BATCH_EVENTS_MAX);
                Ok(if more { Pause::None } else { Pause::Pace })
            }
            Ok(Step::MarkMoved | Step::NotOwner) => {
                *mark = None;
                Ok(Pause::Pace)
            }
            Err(error) => {
                // The last commit may have succeeded although it failed here, so the watermark is read again.
                *mark = None;
                Ok(self.failed(&error))
            }
        }
    }

    fn failed(&mut self, error: &Error) -> Pause {
        tracing::warn!(%error, partition = self.partition, "events wait to be applied");
        let pause = Pause::BackOff(self.back_off);
        self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
        pause
    }

    async fn wait(&self, pause: Pause, mark: Option<Offset>, hurried: &mut watch::Receiver<()>) {
        match pause {
            Pause::None => {}
            Pause::Pace => {
                // Ends early if a caller waits.
                let _ = tokio::time::timeout(PACE, hurried.changed()).await;
            }
            Pause::Claim => {
                let mut changes = self.ingest.owned().changes();
                if self.ingest.owned().fence(self.partition).is_none() {
                    let _ = tokio::time::timeout(POLL, changes.changed()).await;
                }
            }
            Pause::Arrival => {
                let arrived = self.ingest.arrived(self.partition, mark.unwrap_or_default());
                let _ = tokio::time::timeout(POLL, arrived).await;
            }
            Pause::BackOff(pause) => tokio::time::sleep(pause).await,
        }
    }
}

/// The condition for the next step.
enum Pause {
    None,
    Pace,
    /// This process owns the partition.
    Claim,
    Arrival,
    BackOff(Duration),
}
