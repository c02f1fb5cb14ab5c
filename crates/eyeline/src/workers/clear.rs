//! Takes away what belongs to deleted galleries, a piece at a time, so that no other write waits long.

use std::time::Duration;

use eyeline_store::Catalog;
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_secs(5);
const ROWS_MAX: u32 = 500;

/// Runs until `stop`.
pub async fn run(catalog: Catalog, stop: CancellationToken) -> Result<(), String> {
    loop {
        let more = catalog.clear_deleted_galleries(ROWS_MAX).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "deleted galleries could not be cleared; tried again shortly");
            false
        });
        // Between two pieces the writer belongs to the others too.
        let pause = if more { Duration::from_millis(10) } else { PAUSE };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}
