//! Serving: the listener, the background loops, and the way they stop.

use std::net::SocketAddr;
use std::time::Duration;

use futures::Stream;
use tokio::net::TcpListener;

use crate::api;
use crate::app::App;
use crate::supervisor::Supervisor;
use crate::workers;

/// How long open requests and tasks may take to end once the process was asked to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves until the first of `signals`: then no new connection is taken, what is open is ended, and a second signal cuts
/// it off.
pub async fn serve(app: App, listener: TcpListener, signals: impl Stream<Item = ()> + Unpin) -> Result<(), String> {
    let mut supervisor = Supervisor::new(app.stop.clone());
    workers::spawn(&app, &mut supervisor);
    let stop = app.stop.clone();
    let service = api::router(app).into_make_service_with_connect_info::<SocketAddr>();
    supervisor.spawn("http", async move {
        let serving = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned());
        serving.await.map_err(|error| error.to_string())
    });
    supervisor.run(signals, PATIENCE).await
}
