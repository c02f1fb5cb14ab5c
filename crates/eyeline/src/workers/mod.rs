//! Background tasks of a process: they call the flow and own no rule. Each belongs to the supervisor.

pub mod clear;
pub mod ingest;
pub mod rank;
pub mod sweep;

use crate::app::App;
use crate::supervisor::Supervisor;

/// Starts every loop; each runs until `app.stop` is cancelled.
pub fn spawn(app: &App, supervisor: &mut Supervisor) {
    supervisor.spawn("clear", clear::run(app.catalog.clone(), app.stop.clone()));
    supervisor.spawn("sweep", sweep::run(app.clone()));
    supervisor.spawn("rank", rank::run(app.orders.clone(), app.stop.clone()));
    supervisor.spawn("ingest", ingest::run(app.ingest.clone(), app.stop.clone()));
    supervisor.spawn("event ids", ingest::forget_ids(app.ingest.clone(), app.stop.clone()));
}
