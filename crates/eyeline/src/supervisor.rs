//! Owns every background task. A task that ends before the stop stops the process with an error.

use std::future::Future;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The long-running tasks of a process.
pub struct Supervisor {
    tasks: JoinSet<(&'static str, Result<(), String>)>,
    stop: CancellationToken,
}

impl Supervisor {
    /// `stop` is the token that tells tasks to drain and end.
    pub fn new(stop: CancellationToken) -> Self {
        Supervisor { tasks: JoinSet::new(), stop }
    }

    /// Starts a task that must run until the stop token is cancelled.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Waits until the first signal or until a task ends, then stops all tasks. Waits for them until the next signal,
    /// at most `patience`. The error names the task that ended.
    pub async fn run(mut self, mut signals: impl Stream<Item = ()> + Unpin, patience: Duration) -> Result<(), String> {
        let outcome = tokio::select! {
            _ = signals.next() => Ok(()),
            ended = self.tasks.join_next() => Err(match ended {
                Some(Ok((name, Ok(())))) => format!("the task {name} ended before the stop"),
                Some(Ok((name, Err(error)))) => format!("the task {name} failed: {error}"),
                Some(Err(error)) => format!("a task failed: {error}"),
                None => "there is nothing to run".to_owned(),
            }),
        };
        self.stop.cancel();
        let drained = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Ok((name, Err(error))) = ended {
                    tracing::warn!(task = name, error, "a task ended with an error while stopping");
                }
            }
        };
        tokio::select! {
            () = drained => {}
            _ = signals.next() => tracing::warn!("stopped again: some tasks were aborted"),
            () = tokio::time::sleep(patience) => tracing::warn!("some tasks did not stop in time and were aborted"),
        }
        outcome
    }
}
