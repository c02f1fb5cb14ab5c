//! Counts distinct sessions exactly, in bounded memory.
//!
//! The set of counted sessions grows with every session. When it exceeds its memory, the query runs again over one part
//! of the sessions at a time. Each part is exact, and so is their sum.

use hashbrown::{HashMap, HashSet};

use crate::error::{Error, Result};

/// The numbers of parts that are tried in turn.
const PARTS: [u32; 4] = [1, 4, 16, 64];
/// The first groups of a query have one bit each in a session's entry.
const BITS: u32 = u64::BITS;
const MASK_BYTES: usize = 2 * (size_of::<(u128, u64)>() + 1);
const PAIR_BYTES: usize = 2 * (size_of::<(u128, u32)>() + 1);

/// The sessions that a walk covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    index: u32,
    of: u32,
}

impl Part {
    pub(crate) fn has(self, session: u128) -> bool {
        // Clients choose ids, so the bits are mixed first.
        let mixed = ((session >> 64) as u64 ^ session as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        self.of == 1 || mixed % u64::from(self.of) == u64::from(self.index)
    }

    /// True for the first walk of a round, which also counts the events.
    pub(crate) fn is_first(self) -> bool {
        self.index == 0
    }
}

/// The outcome of a walk that may run out of memory.
pub(crate) enum Walked {
    Done,
    TooManySessions,
}

/// Walks once, or over one part of the sessions at a time. `start` makes the state to which the parts add.
pub(crate) fn in_parts<S>(
    mut start: impl FnMut() -> S,
    mut walk: impl FnMut(&mut S, Part) -> Result<Walked>,
) -> Result<S> {
    'tries: for of in PARTS {
        let mut state = start();
        for index in 0..of {
            if let Walked::TooManySessions = walk(&mut state, Part { index, of })? {
                continue 'tries;
            }
        }
        return Ok(state);
    }
    Err(Error::TooMuch("There are too many sessions to tell apart: ask about a shorter time.".to_owned()))
}

/// The pairs of session and group that occurred.
#[derive(Default)]
pub(crate) struct Seen {
    masks: HashMap<u128, u64>,
    /// Pairs of groups that have no bit.
    pairs: HashSet<(u128, u32)>,
}

impl Seen {
    /// True the first time.
    pub(crate) fn insert(&mut self, session: u128, group: u32) -> bool {
        if group >= BITS {
            return self.pairs.insert((session, group));
        }
        let mask = self.masks.entry(session).or_default();
        let bit = 1 << group;
        let first = *mask & bit == 0;
        *mask |= bit;
        first
    }

    pub(crate) fn clear(&mut self) {
        self.masks.clear();
        self.pairs.clear();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.masks.capacity() * MASK_BYTES / 2 + self.pairs.capacity() * PAIR_BYTES / 2
    }
}
