//! Background tasks of a process. They call the flow, hold no rule of their own, and belong to the supervisor.

pub mod clear;
pub mod flush;
pub mod forget;
pub mod ingest;
pub mod process;
pub mod rank;
pub mod sql;
pub mod sweep;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::flow::notify::Newsroom;
use crate::supervisor::Supervisor;

/// Starts every loop; each runs until `app.stop` is cancelled.
pub fn spawn(app: &App, supervisor: &mut Supervisor) {
    supervisor.spawn("clear", clear::run(app.clone()));
    supervisor.spawn("process", process::run(app.clone()));
    supervisor.spawn("sql", sql::run(app.clone()));
    supervisor.spawn("sweep", sweep::run(app.clone()));
    supervisor.spawn("forget", forget::run(app.catalog.clone(), app.clock.clone(), app.stop.clone()));
    supervisor.spawn("streams", wait_for_streams(app.newsroom.clone(), app.stop.clone()));
    supervisor.spawn("rank", rank::run(app.orders.clone(), app.stop.clone()));
    supervisor.spawn("ingest", ingest::run(app.ingest.clone(), app.stop.clone()));
    supervisor.spawn("quarantine news", ingest::tell_quarantined(app.ingest.clone(), app.stop.clone()));
    supervisor.spawn("flush", flush::run(app.clone()));
    supervisor.spawn("compact", flush::compact(app.clone()));
    supervisor.spawn("erase and cut", flush::erase_and_cut(app.clone()));
    supervisor.spawn("old events", ingest::forget(app.ingest.clone(), app.stop.clone()));
}

/// Open streams end when the process stops. The process waits until all of them have ended.
async fn wait_for_streams(newsroom: Newsroom, stop: CancellationToken) -> Result<(), String> {
    stop.cancelled().await;
    newsroom.emptied().await;
    Ok(())
}
