//! Shares of what many use together and what has a bound: places, or memory. Whoever holds much finds it full before the
//! others do, so that one alone never keeps everybody else out.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A holder may have so many times what is free. One alone comes to four fifths of all; the rest stays for the others
/// (dynamic thresholds, Choudhury and Hahne 1998).
const TIMES_FREE: u64 = 4;

/// Cheap to clone; clones share the bound.
pub struct Shares<K>(Arc<Inner<K>>);

struct Inner<K> {
    all: u64,
    taken: Mutex<Taken<K>>,
}

struct Taken<K> {
    sum: u64,
    /// Only of those who hold something, so that there are never more than what there is to hold.
    by_holder: HashMap<K, u64>,
}

/// What one holder has; free again when this is dropped.
pub struct Share<K: Eq + Hash + Clone> {
    shares: Shares<K>,
    holder: K,
    amount: u64,
}

impl<K> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Shares(self.0.clone())
    }
}

impl<K: Eq + Hash + Clone> Shares<K> {
    pub fn new(all: u64) -> Self {
        Shares(Arc::new(Inner { all, taken: Mutex::new(Taken { sum: 0, by_holder: HashMap::new() }) }))
    }

    /// `None` while so much is not free, or the holder has its share.
    pub fn take(&self, holder: K, amount: u64) -> Option<Share<K>> {
        let mut taken = self.lock();
        if !fits(&taken, self.0.all, &holder, amount) {
            return None;
        }
        taken.sum += amount;
        *taken.by_holder.entry(holder.clone()).or_default() += amount;
        drop(taken);
        Some(Share { shares: self.clone(), holder, amount })
    }

    /// Whether [`Shares::take`] would give so much now.
    pub fn has(&self, holder: &K, amount: u64) -> bool {
        fits(&self.lock(), self.0.all, holder, amount)
    }

    /// Whether so much is not free at all, whoever asks.
    pub fn is_full(&self, amount: u64) -> bool {
        amount > self.0.all.saturating_sub(self.lock().sum)
    }

    pub fn taken(&self) -> u64 {
        self.lock().sum
    }

    fn lock(&self) -> MutexGuard<'_, Taken<K>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fits<K: Eq + Hash>(taken: &Taken<K>, all: u64, holder: &K, amount: u64) -> bool {
    let free = all.saturating_sub(taken.sum);
    let own = taken.by_holder.get(holder).copied().unwrap_or_default();
    amount <= free && own.saturating_add(amount) <= free.saturating_mul(TIMES_FREE)
}

impl<K: Eq + Hash + Clone> Share<K> {
    /// Takes more for the same holder; false, and nothing is taken, under the conditions of [`Shares::take`].
    pub fn grow(&mut self, amount: u64) -> bool {
        let mut taken = self.shares.lock();
        let fits = fits(&taken, self.shares.0.all, &self.holder, amount);
        if fits {
            taken.sum += amount;
            *taken.by_holder.entry(self.holder.clone()).or_default() += amount;
            self.amount += amount;
        }
        fits
    }

    /// Takes or gives back until it is `amount`; false, and nothing changes, if so much cannot be had.
    pub fn set(&mut self, amount: u64) -> bool {
        match amount.checked_sub(self.amount) {
            Some(more) if more > 0 => self.grow(more),
            _ => {
                self.shrink(amount);
                true
            }
        }
    }

    /// Gives back all but `amount`.
    pub fn shrink(&mut self, amount: u64) {
        let back = self.amount.saturating_sub(amount);
        let mut taken = self.shares.lock();
        taken.sum -= back;
        let left = taken.by_holder.get_mut(&self.holder).map(|own| {
            *own -= back;
            *own
        });
        if left == Some(0) {
            taken.by_holder.remove(&self.holder);
        }
        self.amount -= back;
    }
}

impl<K: Eq + Hash + Clone> Drop for Share<K> {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_never_has_all_and_others_find_room() {
        let shares = Shares::new(256);
        let greedy: Vec<_> = std::iter::from_fn(|| shares.take("greedy", 1)).collect();
        assert_eq!(greedy.len(), 205);
        let second: Vec<_> = std::iter::from_fn(|| shares.take("second", 1)).collect();
        assert!(second.len() >= 40, "{}", second.len());
        let modest = shares.take("modest", 1).expect("room for a third");
        assert!(!shares.has(&"greedy", 1));
        drop((greedy, second, modest));
        assert_eq!(shares.taken(), 0);
        assert!(shares.lock().by_holder.is_empty());
    }

    #[test]
    fn no_more_is_given_than_there_is() {
        let shares = Shares::new(100);
        assert!(shares.take(1, 101).is_none());
        let most = shares.take(1, 100).expect("all of it");
        assert!(shares.take(2, 1).is_none());
        drop(most);
        assert!(shares.take(2, 1).is_some());
    }

    #[test]
    fn a_share_grows_within_the_bound_and_shrinks() {
        let shares = Shares::new(100);
        let mut share = shares.take("anna", 10).expect("a share");
        assert!(share.grow(70) && !share.grow(1), "four times what is free");
        let other = shares.take("bert", 15).expect("a share");
        assert!(shares.is_full(6) && !shares.is_full(5));
        assert!(share.set(30) && !share.set(90));
        assert_eq!(shares.taken(), 45);
        drop((share, other));
        assert_eq!(shares.taken(), 0);
        assert!(shares.lock().by_holder.is_empty());
    }

    #[test]
    fn as_many_are_held_at_once_as_there_are_places() {
        let shares = Shares::new(2);
        let both = (shares.take("anna", 1), shares.take("anna", 1));
        assert!(both.0.is_some() && both.1.is_some());
        assert!(shares.take("anna", 1).is_none());
    }
}
