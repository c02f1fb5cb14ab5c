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
}

struct Open {
    doing: Arc<AtomicU8>,
    end: CancellationToken,
    address: Address,
    _place: Share<Address>,
}

/// A connection's place, free again when this is dropped.
pub struct Place {
    held: Held,
    number: u64,
    doing: Arc<AtomicU8>,
    end: CancellationToken,
}

impl Held {
    pub fn new(places_max: usize) -> Self {
        Held { connections: Arc::default(), places: Shares::new(places_max as u64) }
    }

    /// Takes a place for a connection from `address`; `None` stands for this machine or a trusted proxy. Another
    /// connection may be closed for it. Returns `None` if none can be.
    pub fn take(&self, address: Option<IpAddr>) -> Option<Place> {
        let mut connections = self.lock();
        let number = connections.next;
        let address = address.map_or(Address::Ours(number), |address| Address::Client(network(address)));
        let place = match self.places.take(address, 1) {
            Some(place) => place,
            None => {
                // The first of all if every place is taken, else one of the address's own, which exceeds its share.
                let is_full = !self.places.has(&Address::Ours(number), 1);
                let first = connections.first_to_go(|open| is_full || open.address == address)?;
                if let Some(gone) = connections.open.remove(&first) {
                    gone.end.cancel();
                }
                self.places.take(address, 1)?
            }
        };
        connections.next += 1;
        let doing = Arc::new(AtomicU8::new(Doing::Nothing as u8));
        let end = CancellationToken::new();
        let open = Open { doing: doing.clone(), end: end.clone(), address, _place: place };
        connections.open.insert(number, open);
        Some(Place { held: self.clone(), number, doing, end })
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    /// The oldest connection at the earliest step.
    fn first_to_go(&self, may_go: impl Fn(&Open) -> bool) -> Option<u64> {
        let mut first = None;
        for (number, open) in self.open.iter().filter(|(_, open)| may_go(open)) {
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

    /// Cancelled when the connection must close.
    pub fn end(&self) -> CancellationToken {
        self.end.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.held.lock().open.remove(&self.number);
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
        let held = Held::new(5);
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
        let held = Held::new(100);
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
    fn this_machine_and_proxies_may_hold_all() {
        let held = Held::new(100);
        let places: Vec<Place> = (0..100).map(|_| held.take(None).expect("a place")).collect();
        assert!(places.iter().all(|place| !place.end.is_cancelled()));
        let _one_more = held.take(None).expect("a place");
        assert!(places[0].end.is_cancelled() && !places[1].end.is_cancelled());
    }
}
