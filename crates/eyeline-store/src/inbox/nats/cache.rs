//! Messages that were written or read last, for all readers of this process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// The most bytes of all partitions. Beyond it, the oldest messages of the partition with the most bytes are dropped.
pub(super) const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Memory of a message beside its bytes.
const ENTRY_BYTES: usize = 128;

pub(super) struct Cache(Mutex<Vec<Messages>>);

#[derive(Default)]
struct Messages {
    by_sequence: BTreeMap<u64, Bytes>,
    bytes: usize,
}

impl Cache {
    pub(super) fn new(partitions: u32) -> Self {
        Cache(Mutex::new((0..partitions).map(|_| Messages::default()).collect()))
    }

    pub(super) fn insert(&self, partition: u32, sequence: u64, message: Bytes) {
        let mut partitions = self.lock();
        if let Some(messages) = partitions.get_mut(partition as usize) {
            messages.bytes += message.len() + ENTRY_BYTES;
            let before = messages.by_sequence.insert(sequence, message);
            messages.bytes -= before.map_or(0, |before| before.len() + ENTRY_BYTES);
        }
        while partitions.iter().map(|messages| messages.bytes).sum::<usize>() > BYTES_MAX {
            let Some(largest) = partitions.iter_mut().max_by_key(|messages| messages.bytes) else { return };
            if !largest.drop_oldest() {
                return;
            }
        }
    }

    /// The messages from `first` on without a gap, at most `bytes_max` bytes of them or the first one.
    pub(super) fn from(&self, partition: u32, first: u64, bytes_max: usize) -> Vec<(u64, Bytes)> {
        let partitions = self.lock();
        let Some(messages) = partitions.get(partition as usize) else { return Vec::new() };
        let mut bytes = 0;
        let following = messages.by_sequence.range(first..).zip(first..);
        let whole = following.take_while(|((sequence, message), expected)| {
            let fits = bytes < bytes_max;
            bytes += message.len();
            *sequence == expected && fits
        });
        whole.map(|((sequence, message), _)| (*sequence, message.clone())).collect()
    }

    /// Drops the messages before `first`.
    pub(super) fn forget(&self, partition: u32, first: u64) {
        let mut partitions = self.lock();
        let Some(messages) = partitions.get_mut(partition as usize) else { return };
        while messages.by_sequence.first_key_value().is_some_and(|(sequence, _)| *sequence < first) {
            messages.drop_oldest();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Messages>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Messages {
    fn drop_oldest(&mut self) -> bool {
        let oldest = self.by_sequence.pop_first();
        self.bytes -= oldest.as_ref().map_or(0, |(_, message)| message.len() + ENTRY_BYTES);
        oldest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequences(messages: &[(u64, Bytes)]) -> Vec<u64> {
        messages.iter().map(|(sequence, _)| *sequence).collect()
    }

    #[test]
    fn messages_are_read_up_to_the_first_gap_or_bound() {
        let cache = Cache::new(2);
        for sequence in [3, 4, 5, 7] {
            cache.insert(1, sequence, vec![0; 100].into());
        }
        assert_eq!(sequences(&cache.from(1, 3, 1_000)), [3, 4, 5]);
        assert_eq!(sequences(&cache.from(1, 3, 101)), [3, 4]);
        assert_eq!(sequences(&cache.from(1, 3, 1)), [3]);
        assert!(cache.from(1, 2, 1_000).is_empty());
        assert!(cache.from(1, 6, 1_000).is_empty());
        assert!(cache.from(0, 3, 1_000).is_empty());
        cache.forget(1, 5);
        assert!(cache.from(1, 4, 1_000).is_empty());
        assert_eq!(sequences(&cache.from(1, 5, 1_000)), [5]);
    }

    #[test]
    fn beyond_the_bound_the_fullest_partition_loses_its_oldest() {
        let cache = Cache::new(2);
        cache.insert(0, 1, vec![0; 1024].into());
        for sequence in 1..=65 {
            cache.insert(1, sequence, vec![0; 1024 * 1024].into());
        }
        assert_eq!(cache.from(0, 1, 1).len(), 1);
        assert!(cache.from(1, 1, 1).is_empty());
        assert_eq!(cache.from(1, 65, 1).len(), 1);
        let bytes: usize = cache.lock().iter().map(|messages| messages.bytes).sum();
        assert!(bytes <= BYTES_MAX);
    }
}
