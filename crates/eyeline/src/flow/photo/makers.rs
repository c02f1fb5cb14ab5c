//! The worker processes that decode photos. Each reads one file at a time and is kept for the next one. It is replaced
//! when it dies, after `FILES_MAX` files, and between projects where that costs no time.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eyeline_core::{Preset, ProjectId};
use eyeline_image::worker::{WorkerFailure, WorkerProcess};
use eyeline_image::{Limits, Made};

use crate::walls::{Kind, Walls};

/// The hidden command that makes this program a worker.
pub const WORKER_COMMAND: &str = "image-worker";

/// Files that a worker reads before it is replaced. This bounds how long a hostile file can affect later ones.
const FILES_MAX: u32 = 500;

const KIND: Kind = Kind {
    name: "worker",
    plural: "decoders",
    waits: "Photos wait",
    goes_on: "Photos are decoded",
    danger: "a photo could break out of its decoder",
};

/// Cheap to clone. Keeps at most as many processes as files were ever read concurrently.
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
    /// The project of the last photo that it read.
    project_id: Option<ProjectId>,
}

/// The reason why no versions were made.
#[derive(Debug)]
pub enum MakeError {
    Worker(WorkerFailure),
    /// No worker could be started. The file was not read.
    NotStarted(io::Error),
}

impl Makers {
    /// `program` is this product's binary; `presets` are the versions to make. Without seccomp no photo is decoded unless
    /// `allow_unconfined` is set.
    pub fn new(program: PathBuf, presets: [Preset; 4], allow_unconfined: bool) -> Self {
        Makers { program, presets, walls: Walls::new(KIND, allow_unconfined), idle: Arc::default() }
    }

    /// True if there are idle workers, and each has read a photo of another project.
    pub fn has_read_others(&self, project_id: ProjectId) -> bool {
        let idle = self.lock();
        !idle.is_empty() && !idle.iter().any(|warm| warm.is_for(project_id))
    }

    /// Blocks until the versions are made, at most for the time in [`Limits`]. An idle worker that has read a photo of
    /// another project is replaced if `renews` is set or another worker is idle.
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

    /// Starts the first worker, so that the log says before the first photo whether workers are confined.
    pub fn warm_up(&self) -> io::Result<()> {
        let warm = self.start()?;
        self.lock().push(warm);
        Ok(())
    }

    /// The confinement of the workers.
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
        // Ending a worker takes time, so it happens without the lock.
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
    /// True if it has read no photo of another project.
    fn is_for(&self, project_id: ProjectId) -> bool {
        self.project_id.is_none_or(|own| own == project_id)
    }
}
