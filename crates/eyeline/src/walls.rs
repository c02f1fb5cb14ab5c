//! What the kernel confines a kind of worker with, what is refused without it, and what an operator is told.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eyeline_sandbox::{Confinement, Enforcement};

/// A kind of worker, as sentences name it.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// In metrics and checks.
    pub name: &'static str,
    pub plural: &'static str,
    /// What is not done without seccomp.
    pub waits: &'static str,
    /// What is done with fewer walls.
    pub goes_on: &'static str,
    /// What a missing wall may lead to.
    pub danger: &'static str,
}

/// Cheap to clone; clones share what is known of the newest worker.
#[derive(Clone)]
pub struct Walls {
    kind: Kind,
    allow_unconfined: bool,
    newest: Arc<Mutex<Option<Confinement>>>,
}

impl Walls {
    /// Without seccomp a worker gets no work unless `allow_unconfined`.
    pub fn new(kind: Kind, allow_unconfined: bool) -> Self {
        Walls { kind, allow_unconfined, newest: Arc::default() }
    }

    /// Notes how far a new worker is confined, and logs what is missing if that has changed. An error if the worker must not
    /// be given any work.
    pub fn check(&self, confinement: Confinement) -> io::Result<()> {
        let before = self.lock().replace(confinement);
        if before != Some(confinement) {
            self.warnings().into_iter().for_each(|warning| tracing::warn!("{warning}"));
        }
        self.trouble().map_or(Ok(()), |trouble| Err(io::Error::other(trouble)))
    }

    /// Whether the kernel confines workers, by the newest one; `None` before the first.
    pub fn confinement(&self) -> Option<Confinement> {
        *self.lock()
    }

    /// Why there is no work done, if that is so.
    pub fn trouble(&self) -> Option<String> {
        let Kind { waits, danger, .. } = self.kind;
        (self.lacks_seccomp() && !self.allow_unconfined).then(|| {
            format!(
                "{waits}: the kernel, or the container, denies seccomp, so that {danger}. Allow seccomp, or set \
                 EYELINE_ALLOW_UNCONFINED=1."
            )
        })
    }

    /// Walls that are missing around work that is done all the same.
    pub fn warnings(&self) -> Vec<String> {
        let Kind { goes_on, danger, .. } = self.kind;
        let seccomp = (self.lacks_seccomp() && self.allow_unconfined)
            .then(|| format!("{goes_on} without seccomp, since EYELINE_ALLOW_UNCONFINED is set: {danger}."));
        let lacks_landlock = self.confinement().is_some_and(|newest| newest.landlock == Enforcement::None);
        let landlock =
            lacks_landlock.then(|| format!("{goes_on} without Landlock: the kernel lacks it or has it switched off."));
        seccomp.into_iter().chain(landlock).collect()
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether each wall stands, by its name; nothing before the first worker.
    pub fn standing(&self) -> Vec<(&'static str, bool)> {
        let walls = |Confinement { landlock, seccomp }| [("landlock", landlock), ("seccomp", seccomp)];
        let walls = self.confinement().into_iter().flat_map(walls);
        walls.map(|(wall, enforcement)| (wall, enforcement != Enforcement::None)).collect()
    }

    fn lacks_seccomp(&self) -> bool {
        self.confinement().is_some_and(|newest| newest.seccomp == Enforcement::None)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Confinement>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind {
        name: "test",
        plural: "tests",
        waits: "Tests wait",
        goes_on: "Tests are run",
        danger: "a test could break out of its worker",
    };

    #[test]
    fn without_seccomp_there_is_no_work_unless_that_is_allowed() {
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
            let walls = Walls::new(KIND, allowed);
            assert_eq!((walls.trouble(), walls.warnings().len(), walls.standing().len()), (None, 0, 0), "unknown");
            let refused = walls.check(Confinement { landlock, seccomp }).err().map(|error| error.to_string());
            assert_eq!((refused.is_some(), refused), (is_refused, walls.trouble()));
            assert_eq!(walls.warnings().len(), warnings, "{landlock:?} {seccomp:?} {allowed}");
            let expected = [("landlock", landlock != Nothing), ("seccomp", seccomp != Nothing)];
            assert_eq!(walls.standing(), expected);
        }
    }
}
