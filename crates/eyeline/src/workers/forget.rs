//! Deletes records with a limited lifetime, a piece at a time, so that no other write waits long.

use std::time::Duration;

use eyeline_store::{Catalog, Result};

use crate::app::App;
use crate::clock::Clock;

const PAUSE: Duration = Duration::from_secs(60);
/// The pause between two pieces, in which other writes have their turn.
const BREATH: Duration = Duration::from_millis(10);
const ROWS_MAX: u32 = 500;
/// The longest absence of a listener after which it still misses nothing.
const NEWS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs until the process stops.
pub async fn run(app: App) -> Result<(), String> {
    let (catalog, clock) = (&app.catalog, &app.clock);
    let mut had_jumped = false;
    loop {
        let jump = clock.jump();
        if let Some(jump) = jump.filter(|_| !had_jumped) {
            tracing::error!(
                ?jump,
                "the clock was set forward by more than a day: nothing is taken away for its age until \
                the clock is right or the server is started again"
            );
        }
        had_jumped = jump.is_some();
        let more = match jump {
            Some(_) => false,
            None => forget(catalog, clock).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "expired records could not be deleted; the next round retries");
                false
            }),
        };
        tokio::select! {
            () = app.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(if more { BREATH } else { PAUSE }) => {}
        }
    }
}

/// Deletes a piece of each kind. True if there may be more.
async fn forget(catalog: &Catalog, clock: &Clock) -> Result<bool> {
    let now = clock.now();
    let pieces = [
        catalog.forget_news(now.minus(NEWS_KEPT), ROWS_MAX).await?,
        catalog.forget_stream_tickets(now, ROWS_MAX).await?,
        catalog.forget_idempotency_keys(now, ROWS_MAX).await?,
    ];
    Ok(pieces.contains(&u64::from(ROWS_MAX)))
}
