//! The memory of bodies: one budget for the bodies of all requests and for large answers, so that many of them together
//! never take more.
//!
//! A body counts from its first byte until its request is answered, unless its handler keeps less of it. A large answer
//! counts until it is written. A project at one address has a share, so that nobody keeps the others from sending.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eyeline_core::ProjectId;

use crate::rate_limits::network;
use crate::shares::{Share, Shares};

/// Memory of each byte that arrives or is unpacked: the byte itself, and what is read from it.
const COPIES: u64 = 2;

/// Cheap to clone; clones share the budget.
#[derive(Clone)]
pub struct Bodies(Shares<Holder>);

/// Whose share a body counts in.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Holder {
    /// `None` before the credential is known, and for the operator.
    project_id: Option<ProjectId>,
    address: Option<IpAddr>,
}

/// Why a body has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// The budget is used up.
    ForAnybody,
    /// The sender has its share.
    ForTheSender,
}

/// The memory of one request's body. Clones belong to the same request. The default is the room of a body that is empty.
#[derive(Clone, Default)]
pub struct Room(Option<Arc<Mutex<State>>>);

struct State {
    bodies: Bodies,
    holder: Holder,
    share: Option<Share<Holder>>,
    no_room: Option<NoRoom>,
    is_passed_on: bool,
    bytes_seen: u64,
}

impl Bodies {
    /// `bytes_max` is the memory of all bodies.
    pub fn new(bytes_max: u64) -> Self {
        Bodies(Shares::new(bytes_max))
    }

    /// The room of a request from `address`.
    pub fn room(&self, address: Option<IpAddr>) -> Room {
        let holder = Holder { project_id: None, address: address.map(network) };
        let (bodies, share, no_room) = (self.clone(), None, None);
        Room(Some(Arc::new(Mutex::new(State { bodies, holder, share, no_room, is_passed_on: false, bytes_seen: 0 }))))
    }

    /// Bytes of memory that bodies take now.
    pub fn taken(&self) -> u64 {
        self.0.taken()
    }
}

impl Room {
    /// From here on the body counts in the share of the project that sends it.
    pub fn belongs_to(&self, project_id: Option<ProjectId>) {
        if let Some(mut state) = self.lock() {
            state.holder.project_id = project_id;
        }
    }

    /// Takes memory for `bytes` of the body, which arrived or were unpacked. Once there is no room, there is none for the rest.
    pub fn take(&self, bytes: usize) -> Result<(), NoRoom> {
        let Some(mut state) = self.lock() else { return Ok(()) };
        state.bytes_seen += bytes as u64;
        if state.is_passed_on { Ok(()) } else { state.take(COPIES * bytes as u64) }
    }

    /// Gives back all but `bytes` of memory.
    pub fn keep(&self, bytes: u64) {
        if let Some(share) = self.lock().as_mut().and_then(|state| state.share.as_mut()) {
            share.shrink(bytes);
        }
    }

    /// The handler passes on what arrives and keeps none of it: the body counts no longer.
    pub fn pass_on(&self) {
        self.keep(0);
        if let Some(mut state) = self.lock() {
            state.is_passed_on = true;
        }
    }

    /// Bytes that arrived, and those that were unpacked.
    pub fn bytes_seen(&self) -> usize {
        self.lock().map_or(0, |state| usize::try_from(state.bytes_seen).unwrap_or(usize::MAX))
    }

    /// Takes memory for an answer of so many bytes, until the room is dropped.
    pub fn answer(&self, bytes: u64) -> Result<(), NoRoom> {
        self.lock().map_or(Ok(()), |mut state| state.take(bytes))
    }

    /// Gives back all memory. Returns why there was no room, if that is so.
    pub fn end(&self) -> Option<NoRoom> {
        self.pass_on();
        self.lock()?.no_room
    }

    fn lock(&self) -> Option<MutexGuard<'_, State>> {
        self.0.as_ref().map(|state| state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn take(&mut self, memory: u64) -> Result<(), NoRoom> {
        let shares = &self.bodies.0;
        let fits = match &mut self.share {
            _ if self.no_room.is_some() => false,
            Some(share) => share.grow(memory),
            None => {
                self.share = shares.take(self.holder, memory);
                self.share.is_some()
            }
        };
        if fits {
            return Ok(());
        }
        let no_room = if shares.is_full(memory) { NoRoom::ForAnybody } else { NoRoom::ForTheSender };
        Err(*self.no_room.get_or_insert(no_room))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const PROJECT: ProjectId = ProjectId(Uuid::from_u128(1));

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn many_bodies_of_one_sender_leave_room_for_others() {
        let bodies = Bodies::new(1_000 * COPIES);
        let rooms: Vec<Room> = (0..100).map(|_| bodies.room(address("2001:db8::1"))).collect();
        let taken = rooms.iter().filter(|room| room.take(10).is_ok()).count();
        assert_eq!(taken, 80);
        assert_eq!(rooms[99].take(1), Err(NoRoom::ForTheSender), "it had none before");
        assert_eq!(bodies.room(address("2001:db8::ffff")).take(10), Err(NoRoom::ForTheSender), "the same network");
        let (other, project) = (bodies.room(address("192.0.2.1")), bodies.room(address("2001:db8::1")));
        project.belongs_to(Some(PROJECT));
        assert!(other.take(100).is_ok() && project.take(99).is_ok());
        assert_eq!(bodies.room(address("192.0.2.2")).take(2), Err(NoRoom::ForAnybody));
        drop((rooms, other, project));
        assert_eq!(bodies.taken(), 0);
    }

    #[test]
    fn what_a_handler_does_not_keep_is_free_again() {
        let bodies = Bodies::new(1_000);
        let room = bodies.room(None);
        room.take(100).expect("room");
        room.keep(50);
        assert_eq!(bodies.taken(), 50);
        room.pass_on();
        room.take(1_000_000).expect("it counts no longer");
        assert_eq!((bodies.taken(), room.bytes_seen(), room.end()), (0, 1_000_100, None));
        let refused = bodies.room(None);
        refused.take(100).expect("room");
        refused.take(1_000).expect_err("too much");
        refused.take(1).expect_err("there was no room before");
        assert_eq!((refused.end(), bodies.taken()), (Some(NoRoom::ForAnybody), 0));
        Room::default().take(1_000_000).expect("an empty body has room");
    }

    #[test]
    fn an_answer_counts_until_it_is_written() {
        let bodies = Bodies::new(1_000);
        let room = bodies.room(None);
        room.take(100).expect("room");
        room.end();
        room.answer(500).expect("room");
        assert_eq!(bodies.taken(), 500);
        let second = bodies.room(None);
        second.answer(400).expect("room");
        assert_eq!(bodies.room(None).answer(60), Err(NoRoom::ForTheSender));
        assert_eq!(bodies.room(address("192.0.2.1")).answer(60), Ok(()));
        drop((room, second));
        assert_eq!(bodies.taken(), 0);
    }
}
