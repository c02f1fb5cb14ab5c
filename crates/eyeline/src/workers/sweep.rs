//! Runs the sweep at a steady pace.

use std::time::Duration;

use crate::app::App;
use crate::flow::photo::sweep::sweep;

/// Runs until the process stops.
pub async fn run(app: App) -> Result<(), String> {
    let pace = Duration::from_secs(app.settings.sweep_seconds.into());
    loop {
        if let Err(error) = sweep(&app).await {
            tracing::warn!(%error, "the sweep was interrupted; the next round continues");
        }
        tokio::select! {
            () = app.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pace) => {}
        }
    }
}
