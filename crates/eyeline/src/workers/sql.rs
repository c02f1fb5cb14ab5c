//! Starts the workers that answer SQL before a question needs them.

use crate::app::App;

/// Tries a worker out, so that the log tells whether it is confined. Then replaces the spare worker whenever a question
/// took it, until the stop.
pub async fn run(app: App) -> Result<(), String> {
    let workers = app.sql_workers.clone();
    match tokio::task::spawn_blocking(move || workers.try_out()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "no SQL worker could be started; each question tries again"),
        Err(error) => tracing::error!(%error, "starting an SQL worker panicked"),
    }
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return Ok(()),
            () = app.sql_workers.spare_taken() => {}
        }
        let workers = app.sql_workers.clone();
        match tokio::task::spawn_blocking(move || workers.start_spare()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "no spare SQL worker could be started"),
            Err(error) => tracing::error!(%error, "starting an SQL worker panicked"),
        }
    }
}
