//! Owns every background task: a task that ends by itself brings the process down with an error.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The long-running tasks of a process.
#[derive(Default)]
pub struct Supervisor {
    tasks: JoinSet<(&'static str, Result<(), String>)>,
    stop: CancellationToken,
}

impl Supervisor {
    /// Cancelled when the process should drain and stop.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a task that has to run until the stop token is cancelled.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Waits until `signal` or until a task ends by itself, then stops all and waits up to `patience` for them. The
    /// error names the task that ended.
    pub async fn run(mut self, signal: impl Future<Output = ()>, patience: Duration) -> Result<(), String> {
        let outcome = tokio::select! {
            () = signal => Ok(()),
            ended = self.tasks.join_next() => Err(match ended {
                Some(Ok((name, Ok(())))) => format!("the task {name} ended by itself"),
                Some(Ok((name, Err(error)))) => format!("the task {name} failed: {error}"),
                Some(Err(error)) => format!("a task failed: {error}"),
                None => "there is nothing to run".to_owned(),
            }),
        };
        self.stop.cancel();
        let drained = tokio::time::timeout(patience, async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Ok((name, Err(error))) = ended {
                    tracing::warn!(task = name, error, "a task ended with an error while stopping");
                }
            }
        });
        if drained.await.is_err() {
            tracing::warn!("some tasks did not stop in time and were cut off");
        }
        outcome
    }
}
