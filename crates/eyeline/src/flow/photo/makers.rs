//! The worker processes that decode: kept warm, one file at a time each, replaced when they die and after so many files.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eyeline_core::Preset;
use eyeline_image::worker::{WorkerFailure, WorkerProcess};
use eyeline_image::{Limits, Made};
use eyeline_sandbox::{Confinement, Enforcement};

/// The hidden command that makes this program a worker.
pub const WORKER_COMMAND: &str = "image-worker";

/// Files that a worker reads before another takes its place: what one of them may have done to it ends there.
const FILES_MAX: u32 = 500;

const NO_SECCOMP: &str = "Photos wait: the kernel, or the container, denies seccomp, so that a photo could break out of its \
                          decoder. Allow seccomp, or set EYELINE_ALLOW_UNCONFINED=1.";
const NO_SECCOMP_ALLOWED: &str = "Photos are decoded without seccomp, since EYELINE_ALLOW_UNCONFINED is set: a photo could break out of its decoder.";
const NO_LANDLOCK: &str = "Photos are decoded without Landlock: the kernel lacks it or has it switched off.";

/// Cheap to clone. Holds as many processes as files were worked on at once.
#[derive(Clone)]
pub struct Makers {
    program: PathBuf,
    presets: [Preset; 4],
    allow_unconfined: bool,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    idle: Mutex<Vec<Warm>>,
    /// Of the newest worker.
    confinement: Mutex<Option<Confinement>>,
}

struct Warm {
    worker: WorkerProcess,
    files: u32,
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
        Makers { program, presets, allow_unconfined, shared: Arc::default() }
    }

    /// Blocks until the versions are made, at most for the seconds of the limits.
    pub fn make(&self, original: &[u8]) -> Result<Made, MakeError> {
        let warm = lock(&self.shared.idle).pop();
        let mut warm = match warm {
            Some(warm) => warm,
            None => self.start().map_err(MakeError::NotStarted)?,
        };
        let outcome = warm.worker.make_versions(original, &self.presets, &Limits::default());
        warm.files += 1;
        if !matches!(outcome, Err(WorkerFailure::Gone(_))) && warm.files < FILES_MAX {
            lock(&self.shared.idle).push(warm);
        }
        outcome.map_err(MakeError::Worker)
    }

    /// Starts the first worker, so that the log tells before any photo comes whether it is confined.
    pub fn warm_up(&self) -> io::Result<()> {
        let warm = self.start()?;
        lock(&self.shared.idle).push(warm);
        Ok(())
    }

    /// Whether the kernel confines workers, by the newest one; `None` before the first.
    pub fn confinement(&self) -> Option<Confinement> {
        *lock(&self.shared.confinement)
    }

    /// Why no photo is decoded, if that is so.
    pub fn trouble(&self) -> Option<&'static str> {
        let without_seccomp = self.confinement()?.seccomp == Enforcement::None;
        (without_seccomp && !self.allow_unconfined).then_some(NO_SECCOMP)
    }

    /// Walls that are missing around photos that are decoded all the same.
    pub fn warnings(&self) -> Vec<&'static str> {
        let Some(confinement) = self.confinement() else { return Vec::new() };
        let walls = [
            (confinement.seccomp == Enforcement::None && self.allow_unconfined, NO_SECCOMP_ALLOWED),
            (confinement.landlock == Enforcement::None, NO_LANDLOCK),
        ];
        walls.into_iter().filter(|(is_missing, _)| *is_missing).map(|(_, warning)| warning).collect()
    }

    fn start(&self) -> io::Result<Warm> {
        let worker = WorkerProcess::spawn(&self.program, &[WORKER_COMMAND])?;
        let before = lock(&self.shared.confinement).replace(worker.confinement());
        if before != Some(worker.confinement()) {
            self.warnings().into_iter().for_each(|warning| tracing::warn!("{warning}"));
        }
        match self.trouble() {
            None => Ok(Warm { worker, files: 0 }),
            Some(trouble) => Err(io::Error::other(trouble)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use eyeline_core::Webp;

    use super::*;

    fn makers(confinement: Confinement, allow_unconfined: bool) -> Makers {
        let makers = Makers::new("eyeline".into(), Webp::Off.presets(), allow_unconfined);
        *lock(&makers.shared.confinement) = Some(confinement);
        makers
    }

    #[test]
    fn without_seccomp_nothing_is_decoded_unless_that_is_allowed() {
        use Enforcement::{Full, None as Nothing, Partial};
        for (landlock, seccomp, allowed, is_refused, warnings) in [
            (Full, Full, false, false, 0),
            (Partial, Full, false, false, 0),
            (Nothing, Full, false, false, 1),
            (Full, Nothing, false, true, 0),
            (Full, Nothing, true, false, 1),
            (Nothing, Nothing, false, true, 1),
            (Nothing, Nothing, true, false, 2),
        ] {
            let makers = makers(Confinement { landlock, seccomp }, allowed);
            let told = (makers.trouble().is_some(), makers.warnings().len());
            assert_eq!(told, (is_refused, warnings), "{landlock:?} {seccomp:?} {allowed}");
        }
        let unknown = Makers::new("eyeline".into(), Webp::Off.presets(), false);
        assert_eq!((unknown.trouble(), unknown.warnings().len()), (None, 0));
    }
}
