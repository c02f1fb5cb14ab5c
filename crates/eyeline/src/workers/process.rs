//! Processes photos: claims as many as there are free places, renews their leases, and releases them at the end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eyeline_core::JobId;
use eyeline_store::Error;
use eyeline_store::catalog::jobs::{LEASE, Lease, PROCESS_IMAGE};
use futures::StreamExt as _;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::app::App;
use crate::flow::hints;
use crate::flow::photo::process::process;
use crate::secrets;

/// Leases last three times as long.
const RENEW_EVERY: Duration = Duration::from_secs(20);
/// A job whose hint was lost is found after this time, give or take a tenth.
const POLL: Duration = Duration::from_secs(1);
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// Leases of the photos being processed.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<HashMap<JobId, Lease>>>);

impl Held {
    fn change<T>(&self, change: impl FnOnce(&mut HashMap<JobId, Lease>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Drops the lease when its task ends in any way.
struct Place {
    held: Held,
    job_id: JobId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.held.change(|held| held.remove(&self.job_id));
    }
}

/// Processes photos until the process stops, then finishes those under way.
pub async fn run(app: App) -> Result<(), String> {
    // Leases that this node held when it was killed.
    while let Err(error) = app.catalog.release_leases(app.node.to_string()).await {
        tracing::warn!(%error, "the leases of an earlier run could not be released yet");
        tokio::select! {
            () = app.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
        }
    }
    let makers = app.makers.clone();
    match tokio::task::spawn_blocking(move || makers.warm_up()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "no image worker could be started; each photo tries again"),
        Err(error) => tracing::error!(%error, "starting an image worker panicked"),
    }
    let held = Held::default();
    tokio::select! {
        () = process_photos(&app, &held) => {}
        () = keep_leases(&app, &held) => {}
    }
    if let Err(error) = app.catalog.release_leases(app.node.to_string()).await {
        tracing::warn!(%error, "leases could not be released; the next start releases them");
    }
    Ok(())
}

async fn process_photos(app: &App, held: &Held) {
    let places = app.settings.workers();
    let mut photos = JoinSet::new();
    let mut hinted = true;
    let mut waiting = hints::jobs(&*app.pubsub).await;
    while !app.stop.is_cancelled() {
        let free = places.saturating_sub(photos.len());
        let pause = match claim(app, held, free, hinted, &mut photos).await {
            Ok(()) => POLL + POLL.mul_f32(f32::from(secrets::random::<1>()[0]) / 2_560.0),
            Err(error) => {
                tracing::warn!(%error, "no photos could be claimed");
                PAUSE_AFTER_ERROR
            }
        };
        hinted = tokio::select! {
            () = app.stop.cancelled() => break,
            // One claim answers all hints that came since the last one.
            Some(()) = waiting.next() => true,
            // With a free place, waiting jobs are claimed without a pause.
            Some(_) = photos.join_next() => true,
            () = tokio::time::sleep(pause) => false,
        };
    }
    while photos.join_next().await.is_some() {}
}

/// Renews held leases, and releases those that other processes stopped renewing. Never returns.
async fn keep_leases(app: &App, held: &Held) {
    let mut answering_since = Instant::now();
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        let leases: Vec<Lease> = held.change(|held| held.values().copied().collect());
        // Shortly after an outage of the catalog, an expired lease does not mean that its owner died.
        let may_recover = answering_since.elapsed() >= LEASE;
        if let Err(error) = renew_and_recover(app, leases, may_recover).await {
            tracing::warn!(%error, "leases could not be renewed");
            answering_since = Instant::now();
        }
    }
}

async fn renew_and_recover(app: &App, leases: Vec<Lease>, may_recover: bool) -> Result<(), Error> {
    if !leases.is_empty() {
        app.catalog.renew_leases(leases).await?;
    }
    if may_recover {
        let changed = app.catalog.recover_leases(app.clock.now()).await?;
        hints::publish(&*app.pubsub, changed).await;
    }
    Ok(())
}

async fn claim(app: &App, held: &Held, free: usize, hinted: bool, photos: &mut JoinSet<()>) -> Result<(), Error> {
    // An idle poll only reads.
    if free == 0 || !(hinted || app.catalog.has_jobs(PROCESS_IMAGE).await?) {
        return Ok(());
    }
    let max = u32::try_from(free).unwrap_or(u32::MAX);
    let (claimed, changed) = app.catalog.claim_images(app.node.to_string(), max, app.clock.now()).await?;
    for work in claimed {
        let lease = work.job.lease;
        held.change(|held| held.insert(lease.job_id, lease));
        let place = Place { held: held.clone(), job_id: lease.job_id };
        let app = app.clone();
        photos.spawn(async move {
            let _place = place;
            process(&app, work).await;
        });
    }
    hints::publish(&*app.pubsub, changed).await;
    Ok(())
}
