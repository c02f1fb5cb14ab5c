//! The open connections, and the choice of the one that is closed when a new one finds no place.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::rate_limits::network;
use crate::shares::{Share, Shares};

/// The step of a connection. Connections at earlier steps are closed first; one that gets its answer is never closed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Doing {
    /// It has not sent the head of a request yet.
    Nothing,
    /// It got an answer and has not sent another request.
    Resting,
    /// The body of its request arrives.
    Sending,
    /// Its request is worked on, or its answer sent.
    Answered,
}

/// Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Held {
    connections: Arc<Mutex<Connections>>,
    places: Shares<Address>,
    bytes_max: u64,
}

/// The address in whose share a connection counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Address {
    /// A client. Of IPv6, the network of 64 bits that one customer has.
    Client(IpAddr),
    /// This machine, or a trusted proxy, which forwards for many clients. Each connection has its own share.
    Ours(u64),
}

#[derive(Default)]
struct Connections {
    /// In the order of their arrival.
    open: BTreeMap<u64, Open>,
    next: u64,
    /// Bytes of memory of all.
    bytes: u64,
}

struct Open {
    doing: Arc<AtomicU8>,
    end: CancellationToken,
    address: Address,
    /// Bytes of memory.
    bytes: u64,
    _place: Share<Address>,
}

/// A connection's place, free again when this is dropped.
pub struct Place {
    held: Held,
    number: u64,
    doing: Arc<AtomicU8>,
    end: CancellationToken,
}

/// The memory of a connection.
pub struct Memory {
    held: Held,
    number: u64,
}

impl Held {
    /// At most `places_max` connections, with `bytes_max` bytes of memory together.
    pub fn new(places_max: usize, bytes_max: u64) -> Self {
        Held { connections: Arc::default(), places: Shares::new(places_max as u64), bytes_max }
    }

    /// Takes a place, and the memory of a small connection, for `address`; `None` stands for this machine or a trusted
    /// proxy. Others may be closed for it. Returns `None` if there is no room and none can be closed.
    pub fn take(&self, address: Option<IpAddr>) -> Option<Place> {
        let mut connections = self.lock();
        let number = connections.next;
        let address = address.map_or(Address::Ours(number), |address| Address::Client(network(address)));
        let place = match self.places.take(address, 1) {
            Some(place) => place,
            None => {
                // The first of all if every place is taken, else one of the address's own, which exceeds its share.
                let is_full = !self.places.has(&Address::Ours(number), 1);
                let first = connections.first_to_go(|_, open| is_full || open.address == address)?;
                connections.close(first);
                self.places.take(address, 1)?
            }
        };
        if !connections.make_room(number, Memory::SMALL, self.bytes_max) {
            return None;
        }
        connections.next += 1;
        let doing = Arc::new(AtomicU8::new(Doing::Nothing as u8));
        let end = CancellationToken::new();
        let bytes = Memory::SMALL;
        let open = Open { doing: doing.clone(), end: end.clone(), address, bytes, _place: place };
        connections.open.insert(number, open);
        connections.bytes += bytes;
        Some(Place { held: self.clone(), number, doing, end })
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn close(&mut self, number: u64) {
        if let Some(gone) = self.remove(number) {
            gone.end.cancel();
        }
    }

    fn remove(&mut self, number: u64) -> Option<Open> {
        let gone = self.open.remove(&number)?;
        self.bytes -= gone.bytes;
        Some(gone)
    }

    /// Closes others than `number` until `more` bytes have room. Returns false if too few can be closed.
    fn make_room(&mut self, number: u64, more: u64, bytes_max: u64) -> bool {
        while self.bytes + more > bytes_max {
            let Some(first) = self.first_to_go(|other, _| other != number) else { return false };
            self.close(first);
        }
        true
    }

    /// The oldest connection at the earliest step.
    fn first_to_go(&self, may_go: impl Fn(u64, &Open) -> bool) -> Option<u64> {
        let mut first = None;
        for (number, open) in self.open.iter().filter(|(number, open)| may_go(**number, open)) {
            let doing = open.doing.load(Ordering::Relaxed);
            if doing == Doing::Nothing as u8 {
                return Some(*number);
            }
            if doing < first.map_or(Doing::Answered as u8, |(least, _)| least) {
                first = Some((doing, *number));
            }
        }
        first.map(|(_, number)| number)
    }
}

impl Place {
    /// The step of the connection, for the caller to update.
    pub fn doing(&self) -> Arc<AtomicU8> {
        self.doing.clone()
    }

    /// The memory of the connection, for the caller to count.
    pub fn memory(&self) -> Memory {
        Memory { held: self.held.clone(), number: self.number }
    }

    /// Cancelled when the connection must close.
    pub fn end(&self) -> CancellationToken {
        self.end.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.held.lock().remove(self.number);
    }
}

impl Memory {
    /// Bytes of a connection: its task, its answer, and the first buffer for requests.
    pub const SMALL: u64 = 24 * 1024;
    /// The same with a buffer for the largest head.
    pub const LARGE: u64 = 56 * 1024;

    /// Counts [`Memory::LARGE`] for the connection. Others that wait for nothing are closed for it. Returns false if too
    /// few can be closed. Always true once the connection has no place: it ends, or its stream became a WebSocket, which
    /// counts elsewhere.
    pub fn enlarge(&self) -> bool {
        let mut connections = self.held.lock();
        let Some(before) = connections.open.get(&self.number).map(|open| open.bytes) else { return true };
        let more = Self::LARGE - before;
        if !connections.make_room(self.number, more, self.held.bytes_max) {
            return false;
        }
        connections.bytes += more;
        if let Some(own) = connections.open.get_mut(&self.number) {
            own.bytes = Self::LARGE;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, number]))
    }

    fn set(place: &Place, doing: Doing) {
        place.doing.store(doing as u8, Ordering::Relaxed);
    }

    #[test]
    fn who_does_the_least_goes_first_and_the_oldest_of_those() {
        let held = Held::new(5, u64::MAX);
        let places: Vec<Place> = (1..=5).map(|number| held.take(address(number)).expect("a place")).collect();
        let states = [Doing::Answered, Doing::Sending, Doing::Resting, Doing::Nothing, Doing::Nothing];
        places.iter().zip(states).for_each(|(place, doing)| set(place, doing));
        let mut newer = Vec::new();
        for gone in [3, 4, 2, 1] {
            let place = held.take(address(100)).expect("a place");
            set(&place, Doing::Answered);
            newer.push(place);
            assert!(places[gone].end.is_cancelled(), "{gone}");
            let remaining = places.iter().filter(|place| !place.end.is_cancelled()).count();
            assert_eq!(remaining + newer.len(), 5);
        }
        assert!(held.take(address(101)).is_none(), "everybody gets an answer");
        assert!(!places[0].end.is_cancelled());
        drop(newer);
        assert!(held.take(address(101)).is_some());
    }

    #[test]
    fn an_address_with_more_than_its_share_makes_room_among_its_own() {
        let held = Held::new(100, u64::MAX);
        let other = held.take(address(2)).expect("a place");
        let flood: Vec<Place> = (0..200).map(|_| held.take(address(1)).expect("a place")).collect();
        let open = flood.iter().filter(|place| !place.end.is_cancelled()).count();
        assert!((60..=85).contains(&open), "{open}");
        assert!(!other.end.is_cancelled());
        // All addresses of an IPv6 network count as one.
        let networks =
            ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|text| network(text.parse().expect("one")));
        assert!(networks[0] == networks[1] && networks[1] != networks[2]);
    }

    #[test]
    fn connections_have_a_bound_in_bytes_from_their_first_moment() {
        let held = Held::new(100, 10 * Memory::SMALL);
        let take = || held.take(None).expect("a place");
        let mut places: Vec<Place> = (0..10).map(|_| take()).collect();
        set(&places[0], Doing::Answered);
        set(&places[1], Doing::Resting);
        places.push(take());
        let closed = |places: &[Place]| {
            (0..places.len()).filter(|number| places[*number].end.is_cancelled()).collect::<Vec<_>>()
        };
        assert_eq!(closed(&places), [2], "the oldest that has not sent a whole head");
        assert!(places[10].memory().enlarge());
        assert_eq!(closed(&places), [2, 3, 4], "as many as it needs");
        places[5..11].iter().for_each(|place| set(place, Doing::Answered));
        places.push(take());
        assert_eq!(closed(&places), [1, 2, 3, 4], "then those that rest");
        set(&places[11], Doing::Answered);
        assert!(!places[5].memory().enlarge(), "all get an answer");
        assert!(places[4].memory().enlarge(), "it is ending, and has no place");
        assert!(held.take(None).is_none(), "a further one waits");
        drop(places);
        assert_eq!(held.lock().bytes, 0);
    }

    #[test]
    fn this_machine_and_proxies_may_hold_all() {
        let held = Held::new(100, u64::MAX);
        let places: Vec<Place> = (0..100).map(|_| held.take(None).expect("a place")).collect();
        assert!(places.iter().all(|place| !place.end.is_cancelled()));
        let _one_more = held.take(None).expect("a place");
        assert!(places[0].end.is_cancelled() && !places[1].end.is_cancelled());
    }
}
