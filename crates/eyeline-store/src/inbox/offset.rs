//! Offsets: opaque positions of events.

use std::fmt;

/// The position of an event in its partition. Offsets rise in the order of durability and have gaps: they are compared
/// and stored, never added, subtracted or counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(i64);

impl Offset {
    /// Before every event.
    pub const START: Offset = Offset(0);

    /// Reads a number that [`Offset::number`] wrote.
    pub const fn from_number(number: i64) -> Self {
        Offset(number)
    }

    /// The number to store. Only its order means anything.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The position directly before: a reader that has reached it finds the event at `self` next.
    #[must_use]
    pub const fn before(self) -> Self {
        Offset(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The offsets after `after`, up to `up_to` and including it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub after: Offset,
    pub up_to: Offset,
}

impl Span {
    pub fn contains(self, offset: Offset) -> bool {
        self.after < offset && offset <= self.up_to
    }

    pub fn is_empty(self) -> bool {
        self.up_to <= self.after
    }
}
