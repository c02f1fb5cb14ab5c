//! Threads for computations. They yield the cores to the threads that answer requests and write to the databases.

use std::io;
use std::sync::Arc;

use eyeline_store::{Error, Result};
use tokio::runtime::{Builder, Runtime};

/// The precedence that a computation gives others. Its number is the `nice` value of the threads, which only rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yields {
    /// To requests: the first question of a project.
    Little = 5,
    /// To the first question of each project as well: merging, judging, ranking, and worker processes.
    Much = 10,
    /// To all others: the further questions of a project that has one already.
    Most = 15,
}

/// Threads of each priority, started when they are needed. Cheap to clone.
#[derive(Clone)]
pub struct Background(Arc<[Threads; 3]>);

struct Threads(Option<Runtime>);

impl Background {
    pub fn new() -> io::Result<Self> {
        Ok(Background(Arc::new([
            Threads::start(Yields::Little)?,
            Threads::start(Yields::Much)?,
            Threads::start(Yields::Most)?,
        ])))
    }

    /// Runs blocking work. It ends even if the caller is gone.
    pub async fn run<T: Send + 'static>(&self, yields: Yields, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let [little, much, most] = &*self.0;
        let threads = match yields {
            Yields::Little => little,
            Yields::Much => much,
            Yields::Most => most,
        };
        let stopped = || Error::unavailable("the server stops");
        let working = threads.0.as_ref().ok_or_else(stopped)?.handle().spawn_blocking(work);
        working.await.map_err(|error| Error::internal("a computation", error))
    }
}

impl Threads {
    /// The runtime runs no task: only its threads for blocking work are used.
    fn start(yields: Yields) -> io::Result<Self> {
        let mut builder = Builder::new_current_thread();
        builder.thread_name("background").on_thread_start(move || eyeline_sandbox::yield_cores(yields as i32));
        builder.build().map(|runtime| Threads(Some(runtime)))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waiting for running work would block a thread that may not block.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[tokio::test]
    async fn computations_yield_the_cores_and_requests_do_not() {
        let background = Background::new().expect("threads");
        let own = getpriority_process(None).expect("a priority");
        let of = async |yields| background.run(yields, || getpriority_process(None).expect("a priority")).await;
        for yields in [Yields::Little, Yields::Much, Yields::Most] {
            assert_eq!(of(yields).await.expect("a priority"), (yields as i32).max(own), "{yields:?}");
        }
        assert_eq!(getpriority_process(None).expect("a priority"), own);
        let spawned = tokio::task::spawn_blocking(|| getpriority_process(None).expect("a priority"));
        assert_eq!(spawned.await.expect("a priority"), own, "reads of the catalog are for requests");
    }
}
