//! Finds out at the start whether the kernel confines the workers that answer SQL.

use crate::app::App;

/// Tries a worker out, then waits for the stop.
pub async fn run(app: App) -> Result<(), String> {
    let workers = app.sql_workers.clone();
    match tokio::task::spawn_blocking(move || workers.try_out()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "no SQL worker could be started; each question tries again"),
        Err(error) => tracing::error!(%error, "starting an SQL worker panicked"),
    }
    app.stop.cancelled().await;
    Ok(())
}
