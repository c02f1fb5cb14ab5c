//! The worker processes that decode: kept warm, one file at a time each, replaced when they die.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use eyeline_core::Preset;
use eyeline_image::worker::{WorkerFailure, WorkerProcess};
use eyeline_image::{Limits, Made};

/// The hidden command that makes this program a worker.
pub const WORKER_COMMAND: &str = "image-worker";

/// Cheap to clone. Holds as many processes as files were worked on at once.
#[derive(Clone)]
pub struct Makers {
    program: PathBuf,
    presets: [Preset; 4],
    idle: Arc<Mutex<Vec<WorkerProcess>>>,
}

/// Why there are no versions.
#[derive(Debug)]
pub enum MakeError {
    Worker(WorkerFailure),
    /// No worker could be started: the file has not been tried.
    NotStarted(std::io::Error),
}

impl Makers {
    /// `program` is this product's binary; `presets` are the versions to make.
    pub fn new(program: PathBuf, presets: [Preset; 4]) -> Self {
        Makers { program, presets, idle: Arc::default() }
    }

    /// Blocks until the versions are made, at most for the seconds of the limits.
    pub fn make(&self, original: &[u8]) -> Result<Made, MakeError> {
        let warm = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut worker = match warm {
            Some(worker) => worker,
            None => WorkerProcess::spawn(&self.program, &[WORKER_COMMAND]).map_err(MakeError::NotStarted)?,
        };
        let outcome = worker.make_versions(original, &self.presets, &Limits::default());
        if !matches!(outcome, Err(WorkerFailure::Gone(_))) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        }
        outcome.map_err(MakeError::Worker)
    }
}
