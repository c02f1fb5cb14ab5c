//! Different sessions, counted exactly in bounded memory.
//!
//! Who has been counted where takes memory with every session. When that would be too much, the question is asked again
//! for a part of the sessions at a time: each part is exact, and so is their sum.

use hashbrown::{HashMap, HashSet};

use crate::error::{Error, Result};

/// Into how many parts the sessions are divided, one try after the other.
const PARTS: [u32; 4] = [1, 4, 16, 64];
/// The first groups of a question have a bit of their own in a session's entry.
const BITS: u32 = u64::BITS;
const MASK_BYTES: usize = 2 * (size_of::<(u128, u64)>() + 1);
const PAIR_BYTES: usize = 2 * (size_of::<(u128, u32)>() + 1);

/// The sessions that a walk is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    index: u32,
    of: u32,
}

impl Part {
    pub(crate) fn has(self, session: u128) -> bool {
        // Ids are made by clients: their bits are mixed before they decide anything.
        let mixed = ((session >> 64) as u64 ^ session as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        self.of == 1 || mixed % u64::from(self.of) == u64::from(self.index)
    }

    /// Events are counted in the first walk that is about all of them.
    pub(crate) fn is_first(self) -> bool {
        self.index == 0
    }
}

/// What a walk says when it needs more memory than it may use.
pub(crate) enum Walked {
    Done,
    TooManySessions,
}

/// Walks once, or over a part of the sessions at a time; `start` makes the state that the parts add to.
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

/// Which sessions were met in which groups.
#[derive(Default)]
pub(crate) struct Seen {
    masks: HashMap<u128, u64>,
    /// Of groups beyond those that have a bit.
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
