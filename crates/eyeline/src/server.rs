//! Serving: the listener, the background tasks, and their shutdown.

use std::time::Duration;

use futures::Stream;
use tokio::net::TcpListener;

use crate::app::App;
use crate::settings::Role;
use crate::supervisor::{Drain, Supervisor};
use crate::{api, connections, workers};

/// The longest time that open requests and tasks may take to end after a stop signal.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves until the first of `signals`. Then `/readyz` says 503 while requests are still taken for the time of the drain;
/// after that no new connection is accepted and open work ends. Each further signal ends the present wait.
pub async fn serve(app: App, listener: TcpListener, signals: impl Stream<Item = ()> + Unpin) -> Result<(), String> {
    // Without the role api no balancer sends requests that it would have to stop.
    let seconds = if app.settings.roles.has(Role::Api) { app.settings.drain_seconds() } else { 0 };
    let drain = Drain { begun: app.draining.clone(), time: Duration::from_secs(seconds.into()) };
    let mut supervisor = Supervisor::new(drain, app.stop.clone());
    workers::spawn(&app, &mut supervisor);
    let stop = app.stop.clone();
    let settings = app.settings.clone();
    let is_proxy = move |address| settings.is_trusted_proxy(address);
    supervisor.spawn("http", connections::serve(listener, api::service(app), is_proxy, stop));
    supervisor.run(signals, PATIENCE).await
}
