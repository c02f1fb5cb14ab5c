//! Rate limits of events with a public id, by application and by address. They are kept in this process and bounded,
//! because they guard against floods and are no meter.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use eyeline_core::ApplicationId;

/// The most senders that are kept. Beyond it senders without debt are dropped, which does not affect them.
const SENDERS_MAX: usize = 100_000;
/// Bytes of a sender in a map that has grown.
const SENDER_BYTES: usize = 80;
pub const MEMORY_BYTES: usize = SENDERS_MAX * SENDER_BYTES;

/// A sender in debt for at least this time must wait. A larger batch is accepted once and paid off before the next one,
/// so that no batch is too large to send.
const WINDOW: Duration = Duration::from_secs(1);

/// Cheap to clone; clones share the state.
#[derive(Clone)]
pub struct RateLimits {
    per_application: u32,
    per_address: u32,
    /// The time at which each sender's debt is paid off.
    senders: Arc<Mutex<HashMap<Sender, Instant>>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Sender {
    Application(ApplicationId),
    Address(IpAddr),
}

/// The remaining allowance of a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Events a second.
    pub limit: u32,
    /// Events that may be sent now.
    pub remaining: u32,
    /// The time until all of `limit` is available again.
    pub reset: Duration,
}

/// The limit is reached. Says how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    pub retry_after: Duration,
    /// The allowance of the reached limit, of which nothing remains.
    pub allowance: Allowance,
}

impl RateLimits {
    /// Both limits in events a second, at least 1.
    pub fn new(per_application: u32, per_address: u32) -> Self {
        RateLimits { per_application, per_address, senders: Arc::default() }
    }

    /// Counts `events` of an application from `address`, or counts nothing if a limit is reached. `None` is not limited by
    /// address.
    pub fn take(
        &self,
        application_id: ApplicationId,
        address: Option<IpAddr>,
        events: u32,
    ) -> Result<Allowance, TooMany> {
        self.take_at(Instant::now(), application_id, address, events)
    }

    fn take_at(
        &self,
        now: Instant,
        application_id: ApplicationId,
        address: Option<IpAddr>,
        events: u32,
    ) -> Result<Allowance, TooMany> {
        let mut wanted = vec![(Sender::Application(application_id), self.per_application)];
        if let Some(address) = address {
            wanted.push((Sender::Address(network(address)), self.per_address));
        }
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let debt = |senders: &HashMap<Sender, Instant>, sender: &Sender| {
            senders.get(sender).map_or(Duration::ZERO, |paid| paid.saturating_duration_since(now))
        };
        let debts = wanted.iter().map(|(sender, limit)| (debt(&senders, sender), *limit));
        let (deepest, limit) = debts.max().unwrap_or_default();
        if deepest >= WINDOW {
            let allowance = Allowance { limit, remaining: 0, reset: deepest };
            return Err(TooMany { retry_after: deepest - WINDOW + Duration::from_millis(1), allowance });
        }
        if senders.len() + wanted.len() > SENDERS_MAX {
            senders.retain(|_, paid| *paid > now);
        }
        if senders.len() + wanted.len() > SENDERS_MAX {
            // More senders are in debt than are kept: starting again is better than refusing all.
            senders.clear();
        }
        let mut least = None;
        for (sender, limit) in wanted {
            let owed = debt(&senders, &sender) + Duration::from_secs(1) * events / limit;
            senders.insert(sender, now + owed);
            let left = WINDOW.saturating_sub(owed).as_secs_f64() * f64::from(limit);
            // Whole events, between 0 and `limit`.
            let allowance = Allowance { limit, remaining: left as u32, reset: owed };
            if least.is_none_or(|least: Allowance| allowance.remaining < least.remaining) {
                least = Some(allowance);
            }
        }
        Ok(least.unwrap_or(Allowance { limit: self.per_application, remaining: 0, reset: WINDOW }))
    }
}

/// The network of one customer, who has 2^64 IPv6 addresses.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        address @ IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use eyeline_core::ApplicationId;
    use uuid::Uuid;

    use super::*;

    const SHOP: ApplicationId = ApplicationId(Uuid::from_u128(1));
    const OTHER: ApplicationId = ApplicationId(Uuid::from_u128(2));

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn a_steady_stream_at_the_limit_is_taken_and_a_faster_one_is_not() {
        let limits = RateLimits::new(100, 10);
        let start = Instant::now();
        for tick in 0..1_000 {
            let now = start + Duration::from_millis(10) * tick;
            assert!(limits.take_at(now, SHOP, None, 1).is_ok(), "{tick}");
        }
        let taken = (0..1_000).filter(|_| limits.take_at(start, OTHER, None, 1).is_ok()).count();
        assert_eq!(taken, 100);
    }

    #[test]
    fn one_applications_flood_is_not_anothers() {
        let limits = RateLimits::new(10, 10);
        let now = Instant::now();
        assert!(limits.take_at(now, SHOP, None, 10).is_ok());
        assert!(limits.take_at(now, SHOP, None, 1).is_err());
        assert!(limits.take_at(now, OTHER, None, 1).is_ok());
    }

    #[test]
    fn a_large_batch_is_taken_once_and_paid_off() {
        let limits = RateLimits::new(1_000, 100);
        let now = Instant::now();
        assert!(limits.take_at(now, SHOP, None, 10_000).is_ok());
        let refused = limits.take_at(now, SHOP, None, 1).expect_err("in debt");
        assert_eq!(refused.retry_after, Duration::from_millis(9_001));
        assert_eq!((refused.allowance.limit, refused.allowance.remaining), (1_000, 0));
        assert!(limits.take_at(now + refused.retry_after, SHOP, None, 1).is_ok());
    }

    #[test]
    fn an_address_has_a_limit_of_its_own() {
        let limits = RateLimits::new(1_000, 10);
        let now = Instant::now();
        assert!(limits.take_at(now, SHOP, address("192.0.2.1"), 10).is_ok());
        assert!(limits.take_at(now, OTHER, address("192.0.2.1"), 1).is_err());
        assert!(limits.take_at(now, OTHER, address("::ffff:192.0.2.1"), 1).is_err(), "the same address, mapped");
        assert!(limits.take_at(now, OTHER, address("192.0.2.2"), 1).is_ok());
        assert!(limits.take_at(now, OTHER, None, 500).is_ok());
        assert!(limits.take_at(now, OTHER, None, 400).is_ok());
        assert!(limits.take_at(now, SHOP, address("2001:db8::1"), 10).is_ok());
        assert!(limits.take_at(now, SHOP, address("2001:db8::2"), 1).is_err(), "the same network");
    }

    #[test]
    fn what_is_left_is_told() {
        let limits = RateLimits::new(100, 10);
        let allowance = limits.take_at(Instant::now(), SHOP, None, 25).expect("taken");
        assert_eq!(allowance, Allowance { limit: 100, remaining: 75, reset: Duration::from_millis(250) });
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let limits = RateLimits::new(1, 1);
        let now = Instant::now();
        for number in 0..(SENDERS_MAX as u128 + 10) {
            let _in_debt = limits.take_at(now, ApplicationId(Uuid::from_u128(number)), None, 1);
        }
        assert!(limits.senders.lock().expect("the senders").len() <= SENDERS_MAX);
    }
}
