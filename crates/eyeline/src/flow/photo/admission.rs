//! Admission: photos are admitted to decoding by the bytes that they will take, not by their number. The sum of
//! admitted bytes never exceeds the bound, so that decoding cannot run the process out of memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eyeline_core::ProjectId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::shares::{Share, Shares};

/// The unit in which the semaphore counts bytes.
const PIECE_BYTES: u64 = 1 << 10;

/// Cheap to clone; clones share the bound.
#[derive(Clone)]
pub struct Admission {
    pieces: Arc<Semaphore>,
    pieces_max: u32,
    waiting: Arc<Waiting>,
    room: Shares<ProjectId>,
    refused: Arc<AtomicU64>,
}

#[derive(Default)]
struct Waiting {
    photos: AtomicU64,
    bytes: AtomicU64,
}

/// An admitted photo. Its bytes are free again when this is dropped.
pub struct Admitted {
    _pieces: OwnedSemaphorePermit,
}

/// A place in the waiting room, free again when this is dropped.
pub struct WaitingPlace {
    _place: Share<ProjectId>,
}

/// Figures for the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub bytes_max: u64,
    pub admitted_bytes: u64,
    pub waiting_photos: u64,
    pub waiting_bytes: u64,
    /// Requests that wait for their photo, and those that were refused since the start.
    pub room_taken: u64,
    pub refused: u64,
}

impl Admission {
    /// `bytes_max` bounds the bytes of concurrent decoding; `room_places` bounds the requests that wait for their
    /// photo.
    pub fn new(bytes_max: u64, room_places: usize) -> Self {
        let pieces_max = u32::try_from(bytes_max / PIECE_BYTES).unwrap_or(u32::MAX).max(1);
        Admission {
            pieces: Arc::new(Semaphore::new(pieces_max as usize)),
            pieces_max,
            waiting: Arc::default(),
            room: Shares::new(room_places as u64),
            refused: Arc::default(),
        }
    }

    /// Waits until `bytes` are free, in the order of the calls, so that neither large nor small photos starve. A photo
    /// that takes more than the bound is admitted alone.
    pub async fn admit(&self, bytes: u64) -> Admitted {
        let pieces = u32::try_from(bytes.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX).min(self.pieces_max);
        let _queued = Queued::new(&self.waiting, bytes);
        match self.pieces.clone().acquire_many_owned(pieces).await {
            Ok(pieces) => Admitted { _pieces: pieces },
            Err(_) => unreachable!("the semaphore is never closed"),
        }
    }

    /// True if a request of the project could wait for its photo now. False, which adds to `refused`, if the room is
    /// full or the project has used up its share.
    pub fn has_room(&self, project_id: ProjectId) -> bool {
        let has_room = self.room.has(&project_id, 1);
        if !has_room {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    /// Takes a place for a request that waits for its photo; `None` if there is none for this project.
    pub fn enter(&self, project_id: ProjectId) -> Option<WaitingPlace> {
        self.room.take(project_id, 1).map(|place| WaitingPlace { _place: place })
    }

    pub fn state(&self) -> State {
        let free = self.pieces.available_permits() as u64;
        State {
            bytes_max: u64::from(self.pieces_max) * PIECE_BYTES,
            admitted_bytes: u64::from(self.pieces_max).saturating_sub(free) * PIECE_BYTES,
            waiting_photos: self.waiting.photos.load(Ordering::Relaxed),
            waiting_bytes: self.waiting.bytes.load(Ordering::Relaxed),
            room_taken: self.room.taken(),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

/// Counts a photo as waiting until it is admitted or the wait is cancelled.
struct Queued<'a> {
    waiting: &'a Waiting,
    bytes: u64,
}

impl<'a> Queued<'a> {
    fn new(waiting: &'a Waiting, bytes: u64) -> Self {
        waiting.photos.fetch_add(1, Ordering::Relaxed);
        waiting.bytes.fetch_add(bytes, Ordering::Relaxed);
        Queued { waiting, bytes }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.waiting.photos.fetch_sub(1, Ordering::Relaxed);
        self.waiting.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[tokio::test]
    async fn the_sum_of_what_is_let_in_never_exceeds_the_bound() {
        let admission = Admission::new(100 * MIB, 1);
        let tasks = (1..=200u64).map(|number| {
            let admission = admission.clone();
            tokio::spawn(async move {
                let _admitted = admission.admit(number * MIB / 2).await;
                assert!(admission.state().admitted_bytes <= 100 * MIB);
                tokio::task::yield_now().await;
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("let in");
        }
        assert_eq!(admission.state(), State { bytes_max: 100 * MIB, ..State::default() });
    }

    #[tokio::test]
    async fn nobody_is_overtaken() {
        let admission = Admission::new(100 * MIB, 1);
        let first = admission.admit(60 * MIB).await;
        let mut large = Box::pin(admission.admit(90 * MIB));
        assert!((&mut large).now_or_never().is_none(), "there is no room for it yet");
        let mut small = Box::pin(admission.admit(MIB));
        assert!((&mut small).now_or_never().is_none(), "it came after the large one");
        assert_eq!((admission.state().waiting_photos, admission.state().waiting_bytes), (2, 91 * MIB));
        drop(first);
        let _large = large.now_or_never().expect("the large one is first");
        let _small = small.now_or_never().expect("there is room for both");
    }

    #[tokio::test]
    async fn what_takes_more_than_all_is_let_in_alone() {
        let admission = Admission::new(10 * MIB, 1);
        let alone = admission.admit(1 << 40).await;
        assert_eq!(admission.state().admitted_bytes, 10 * MIB);
        assert!(admission.admit(1).now_or_never().is_none());
        drop(alone);
        assert!(admission.admit(1).now_or_never().is_some());
    }

    #[test]
    fn a_full_waiting_room_refuses_and_counts() {
        let admission = Admission::new(MIB, 2);
        let project_id = ProjectId(uuid::Uuid::from_u128(1));
        assert!(admission.has_room(project_id));
        let places = [(); 2].map(|()| admission.enter(project_id).expect("a place"));
        assert!(!admission.has_room(project_id) && admission.enter(project_id).is_none());
        assert_eq!((admission.state().room_taken, admission.state().refused), (2, 1));
        drop(places);
        assert!(admission.has_room(project_id));
    }
}
