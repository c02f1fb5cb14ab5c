//! The worker processes that decode: kept warm, one file at a time each, replaced when they die, after
//! so many files, and between projects where that costs nothing.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eyeline_core::{Preset, ProjectId};
use eyeline_image::worker::{WorkerFailure, WorkerProcess};
use eyeline_image::{Limits, Made};

use crate::walls::{Kind, Walls};

/// The hidden command that makes this program a worker.
pub const WORKER_COMMAND: &str = "image-worker";

/// Files that a worker reads before another takes its place: what one of them may have done to it ends there.
const FILES_MAX: u32 = 500;

const KIND: Kind = Kind {
    name: "worker",
    plural: "decoders",
    waits: "Photos wait",
    goes_on: "Photos are decoded",
    danger: "a photo could break out of its decoder",
};

/// Cheap to clone. Holds as many processes as files were worked on at once.
#[derive(Clone)]
pub struct Makers {
    program: PathBuf,
    presets: [Preset; 4],
    walls: Walls,
    idle: Arc<Mutex<Vec<Warm>>>,
}

struct Warm {
    worker: WorkerProcess,
    files: u32,
    /// Whose photo it has read last.
    project_id: Option<ProjectId>,
}

/// Why there are no versions.
#[derive(Debug)]
pub enum MakeError {
    Worker(WorkerFailure),
    /// No worker could be started: the file has not been tried.
    NotStarted(io::Error),
}

impl Makers {
    /// `program` is this product's binary; `presets` are the versions to make. Without seccomp no photo is decoded unless
    /// `allow_unconfined`.
    pub fn new(program: PathBuf, presets: [Preset; 4], allow_unconfined: bool) -> Self {
        Makers { program, presets, walls: Walls::new(KIND, allow_unconfined), idle: Arc::default() }
    }

    /// Whether all idle workers have read photos of other projects.
    pub fn has_read_others(&self, project_id: ProjectId) -> bool {
        let idle = self.lock();
        !idle.is_empty() && !idle.iter().any(|warm| warm.is_for(project_id))
    }

    /// Blocks until the versions are made, at most for the seconds of the limits. A worker that has read photos of another
    /// project is replaced if `renews`, or if a further worker is idle.
    pub fn make(&self, project_id: ProjectId, renews: bool, original: &[u8]) -> Result<Made, MakeError> {
        let mut warm = match self.idle_worker(project_id, renews) {
            Some(warm) => warm,
            None => self.start().map_err(MakeError::NotStarted)?,
        };
        let outcome = warm.worker.make_versions(original, &self.presets, &Limits::default());
        warm.files += 1;
        warm.project_id = Some(project_id);
        if !matches!(outcome, Err(WorkerFailure::Gone(_))) && warm.files < FILES_MAX {
            self.lock().push(warm);
        }
        outcome.map_err(MakeError::Worker)
    }

    /// Starts the first worker, so that the log tells before any photo comes whether it is confined.
    pub fn warm_up(&self) -> io::Result<()> {
        let warm = self.start()?;
        self.lock().push(warm);
        Ok(())
    }

    /// How far workers are confined.
    pub fn walls(&self) -> &Walls {
        &self.walls
    }

    fn idle_worker(&self, project_id: ProjectId, renews: bool) -> Option<Warm> {
        let mut idle = self.lock();
        if let Some(at) = idle.iter().rposition(|warm| warm.is_for(project_id)) {
            return Some(idle.swap_remove(at));
        }
        let other = idle.pop();
        let renews = renews || !idle.is_empty();
        // It is ended without the lock.
        drop(idle);
        other.filter(|_| !renews)
    }

    fn start(&self) -> io::Result<Warm> {
        let worker = WorkerProcess::spawn(&self.program, &[WORKER_COMMAND])?;
        self.walls.check(worker.confinement())?;
        Ok(Warm { worker, files: 0, project_id: None })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Warm>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Warm {
    /// Whether it has read no other project's photo.
    fn is_for(&self, project_id: ProjectId) -> bool {
        self.project_id.is_none_or(|own| own == project_id)
    }
}
