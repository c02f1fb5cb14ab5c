//! Serving: the listener, the background tasks, and their shutdown.

use std::time::Duration;

use futures::Stream;
use tokio::net::TcpListener;

use crate::app::App;
use crate::supervisor::Supervisor;
use crate::{api, connections, workers};

/// The longest time that open requests and tasks may take to end after a stop signal.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves until the first of `signals`, then accepts no new connection and ends open work. A second signal aborts that.
pub async fn serve(app: App, listener: TcpListener, signals: impl Stream<Item = ()> + Unpin) -> Result<(), String> {
    let mut supervisor = Supervisor::new(app.stop.clone());
    workers::spawn(&app, &mut supervisor);
    let stop = app.stop.clone();
    let settings = app.settings.clone();
    let is_proxy = move |address| settings.is_trusted_proxy(address);
    supervisor.spawn("http", connections::serve(listener, api::service(app), is_proxy, stop));
    supervisor.run(signals, PATIENCE).await
}
