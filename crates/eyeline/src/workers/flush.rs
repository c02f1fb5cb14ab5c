//! Flushes, merges, erases and cuts lake files at a steady pace.

use std::time::Duration;

use eyeline_store::catalog::lake::Committed;
use tokio::time::Instant;

use crate::app::App;

/// The bounds of the pause between two looks at the number of waiting events.
const POLL_MAX: Duration = Duration::from_secs(1);
const POLL_MIN: Duration = Duration::from_millis(20);
/// With this many waiting events a flush does not wait for its time.
const WAITING_MAX: u64 = 200_000;
const ERASE_EVERY: Duration = Duration::from_secs(5);
const COMPACT_EVERY: Duration = Duration::from_secs(5);
/// A cut deletes whole days, so that this is much sooner than needed.
const CUT_EVERY: Duration = Duration::from_secs(60);
/// The pause after a cut that found the manifest changed, because the next try recounts everything.
const CUT_AGAIN: Duration = Duration::from_secs(15);

/// Runs until the process stops.
pub async fn run(app: App) -> Result<(), String> {
    let pace = Duration::from_secs(app.settings.flush_seconds.into());
    let poll = pace.clamp(POLL_MIN, POLL_MAX);
    let mut last = Instant::now();
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(poll) => {}
        }
        match app.flush.waiting().await {
            Ok(waiting) if waiting == 0 || (waiting < WAITING_MAX && last.elapsed() < pace) => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the number of waiting events could not be read"),
        }
        last = Instant::now();
        if let Err(error) = app.flush.run().await {
            tracing::warn!(%error, "events could not be flushed; they wait in the inbox for the next try");
        }
    }
}

/// Runs until the process stops.
pub async fn compact(app: App) -> Result<(), String> {
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(COMPACT_EVERY) => {}
        }
        while !app.stop.is_cancelled() {
            match app.compact.step().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "lake files could not be merged; the next round retries");
                    break;
                }
            }
        }
    }
}

/// Erases and cuts in turns, so that no cut stores guard state of a session while it is erased. Runs until the process
/// stops.
pub async fn erase_and_cut(app: App) -> Result<(), String> {
    let mut next_cut = Instant::now();
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(ERASE_EVERY) => {}
        }
        if let Err(error) = app.erase.step().await {
            tracing::warn!(%error, "an erasure was interrupted; its events stay hidden, and the next round retries");
        }
        if Instant::now() < next_cut {
            continue;
        }
        let outcome = tokio::select! {
            () = app.stop.cancelled() => return Ok(()),
            outcome = app.cut.step() => outcome,
        };
        match outcome {
            // There may be more, after erasures have had their turn.
            Ok(Some(Committed::Done)) => continue,
            Ok(Some(Committed::Moved)) => next_cut = Instant::now() + CUT_AGAIN,
            Ok(None) => next_cut = Instant::now() + CUT_EVERY,
            Err(error) => {
                tracing::warn!(%error, "old events could not be deleted; the next round retries");
                next_cut = Instant::now() + CUT_EVERY;
            }
        }
    }
}
