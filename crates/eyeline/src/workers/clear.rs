//! Deletes the data of deleted galleries and projects, a piece at a time, so that no other write waits long.

use std::time::Duration;

use eyeline_store::Result;

use crate::app::App;
use crate::flow::gallery::clear;

const PAUSE: Duration = Duration::from_secs(5);
/// The pause between two pieces, in which other writes have their turn.
const BREATH: Duration = Duration::from_millis(10);
const ROWS_MAX: u32 = 500;

/// Runs until the process stops.
pub async fn run(app: App) -> std::result::Result<(), String> {
    loop {
        let more = clear_piece(&app).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "deleted galleries and projects could not be cleared; the next round retries");
            false
        });
        tokio::select! {
            () = app.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(if more { BREATH } else { PAUSE }) => {}
        }
    }
}

async fn clear_piece(app: &App) -> Result<bool> {
    let galleries = app.catalog.clear_deleted_galleries(ROWS_MAX).await?;
    let projects = clear::clear_deleted_projects(app).await?;
    Ok(galleries || projects)
}
