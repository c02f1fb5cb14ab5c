//! Owns every background task. A task that ends before the stop stops the process with an error.

use std::future::Future;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The name of a task, and how it ended.
type Ended = (&'static str, Result<(), String>);

/// The long-running tasks of a process.
pub struct Supervisor {
    tasks: JoinSet<Ended>,
    drain: Drain,
    stop: CancellationToken,
}

/// The time between a signal and the stop, in which the process still works but asks for no more work.
#[derive(Clone)]
pub struct Drain {
    pub begun: CancellationToken,
    pub time: Duration,
}

impl Supervisor {
    /// `stop` is the token that tells tasks to end. A signal cancels `drain.begun` first.
    pub fn new(drain: Drain, stop: CancellationToken) -> Self {
        Supervisor { tasks: JoinSet::new(), drain, stop }
    }

    /// Starts a task that must run until the stop token is cancelled.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Waits until the first signal or until a task ends, drains after a signal, then stops all tasks. Waits for them at
    /// most `patience`. Each further signal ends the present wait. The error names the task that ended.
    pub async fn run(mut self, mut signals: impl Stream<Item = ()> + Unpin, patience: Duration) -> Result<(), String> {
        let mut outcome = tokio::select! {
            _ = signals.next() => Ok(()),
            ended = self.tasks.join_next() => Err(early(ended)),
        };
        self.drain.begun.cancel();
        if outcome.is_ok() && !self.drain.time.is_zero() {
            outcome = tokio::select! {
                () = tokio::time::sleep(self.drain.time) => Ok(()),
                _ = signals.next() => Ok(()),
                ended = self.tasks.join_next() => Err(early(ended)),
            };
        }
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

/// The sentence about a task that ended before the stop.
fn early(ended: Option<Result<Ended, JoinError>>) -> String {
    match ended {
        Some(Ok((name, Ok(())))) => format!("the task {name} ended before the stop"),
        Some(Ok((name, Err(error)))) => format!("the task {name} failed: {error}"),
        Some(Err(error)) => format!("a task failed: {error}"),
        None => "there is nothing to run".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    /// A supervisor of one task that ends at the stop, with its tokens.
    fn supervisor(time: Duration) -> (Supervisor, CancellationToken, CancellationToken) {
        let (begun, stop) = (CancellationToken::new(), CancellationToken::new());
        let mut supervisor = Supervisor::new(Drain { begun: begun.clone(), time }, stop.clone());
        let stopped = stop.clone();
        supervisor.spawn("work", async move {
            stopped.cancelled().await;
            Ok(())
        });
        (supervisor, begun, stop)
    }

    #[tokio::test]
    async fn a_signal_drains_first_and_the_next_one_stops() {
        let (supervisor, begun, stop) = supervisor(LONG);
        let (signal, signals) = futures::channel::mpsc::unbounded();
        let operator = async {
            signal.unbounded_send(()).expect("it listens");
            begun.cancelled().await;
            assert!(!stop.is_cancelled(), "requests are still taken");
            signal.unbounded_send(()).expect("it listens");
        };
        let (outcome, ()) = tokio::join!(supervisor.run(signals, LONG), operator);
        assert_eq!(outcome, Ok(()));
        assert!(stop.is_cancelled());
    }

    #[tokio::test]
    async fn a_drain_ends_after_its_time() {
        let (supervisor, begun, stop) = supervisor(Duration::from_millis(1));
        assert_eq!(supervisor.run(stream::iter([()]).chain(stream::pending()), LONG).await, Ok(()));
        assert!(begun.is_cancelled() && stop.is_cancelled());
    }

    #[tokio::test]
    async fn a_task_that_ends_early_stops_the_process_without_a_drain() {
        let (mut supervisor, _, stop) = supervisor(LONG);
        supervisor.spawn("faulty", async { Err("no reason".to_owned()) });
        let outcome = supervisor.run(stream::pending(), LONG).await;
        assert_eq!(outcome, Err("the task faulty failed: no reason".to_owned()));
        assert!(stop.is_cancelled());
    }
}
