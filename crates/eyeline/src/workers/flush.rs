//! Writes events into files, few files out of many, files without what is erased, and lets go of what is old, at a steady
//! pace.

use std::time::Duration;

use eyeline_store::catalog::lake::Committed;
use tokio::time::Instant;

use crate::app::App;

/// How often it looks how much waits, at the least and at the most.
const POLL_MAX: Duration = Duration::from_secs(1);
const POLL_MIN: Duration = Duration::from_millis(20);
/// So many events are written before their time.
const WAITING_MAX: u64 = 200_000;
const ERASE_EVERY: Duration = Duration::from_secs(5);
const COMPACT_EVERY: Duration = Duration::from_secs(5);
/// Whole days are let go, so that it is much sooner than needed.
const CUT_EVERY: Duration = Duration::from_secs(60);
/// After one that was in vain: it counts everything again.
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
            Err(error) => tracing::warn!(%error, "how many events wait for a file is not known"),
        }
        last = Instant::now();
        if let Err(error) = app.flush.run().await {
            tracing::warn!(%error, "events were not written to files; they wait in the inbox, and it is tried again");
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
                    tracing::warn!(%error, "files of events were not merged; it is tried again");
                    break;
                }
            }
        }
    }
}

/// Erases and cuts, in turns: what a cut stores that guards remember of a session is not to be erased meanwhile. Runs until
/// the process stops.
pub async fn erase_and_cut(app: App) -> Result<(), String> {
    let mut next_cut = Instant::now();
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(ERASE_EVERY) => {}
        }
        if let Err(error) = app.erase.step().await {
            tracing::warn!(%error, "an erasure was cut off; what is left stays hidden, and it is tried again");
        }
        if Instant::now() < next_cut {
            continue;
        }
        let outcome = tokio::select! {
            () = app.stop.cancelled() => return Ok(()),
            outcome = app.cut.step() => outcome,
        };
        match outcome {
            // There may be more, after an erasure has had its turn.
            Ok(Some(Committed::Done)) => continue,
            Ok(Some(Committed::Moved)) => next_cut = Instant::now() + CUT_AGAIN,
            Ok(None) => next_cut = Instant::now() + CUT_EVERY,
            Err(error) => {
                tracing::warn!(%error, "old events were not let go; it is tried again");
                next_cut = Instant::now() + CUT_EVERY;
            }
        }
    }
}
