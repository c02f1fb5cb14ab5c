//! Ranking state of a gallery's images as flat columns. An image's permanent ordinal is its index.

use std::sync::Arc;

use super::Evidence;
use crate::event::ActKind;
use crate::{AccessClass, Timestamp};

/// The exact counters of one image in one gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    pub views: u64,
    pub clicks: u64,
}

impl Counts {
    /// Counts one more event.
    pub fn add(&mut self, kind: ActKind) {
        match kind {
            ActKind::View => self.views += 1,
            ActKind::Click => self.clicks += 1,
        }
    }

    /// These counters minus `others`, at least zero.
    pub fn without(self, others: Counts) -> Counts {
        Counts { views: self.views.saturating_sub(others.views), clicks: self.clicks.saturating_sub(others.clicks) }
    }
}

/// One image as ranking sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankedImage {
    pub created_at: Timestamp,
    pub counts: Counts,
    /// The part of these counters that the gallery's guard ignored.
    pub ignored: Counts,
    pub evidence: Evidence,
    /// The lowest class that sees the image. `None` if nobody does: not done, removed from the gallery or deleted.
    pub shown_to: Option<AccessClass>,
}

/// Takes about 45 bytes an image.
#[derive(Debug, Default)]
pub struct Columns {
    created_at: Vec<i64>,
    shown_to: Vec<Option<AccessClass>>,
    counts: Blocks,
    ignored: Blocks,
    evidence: Vec<Evidence>,
}

/// An immutable snapshot of the counters, for a published order. It shares every unchanged block with the columns and
/// with other snapshots.
#[derive(Clone, Debug, Default)]
pub struct CountsSnapshot {
    counts: Blocks,
    ignored: Blocks,
}

const BLOCK: usize = 256;
type Block = [Counts; BLOCK];

/// Counters in blocks that are copied on write. Trailing blocks of zeros are omitted.
#[derive(Clone, Debug, Default)]
struct Blocks(Vec<Arc<Block>>);

impl Blocks {
    fn get(&self, ordinal: u32) -> Counts {
        let index = ordinal as usize;
        self.0.get(index / BLOCK).map_or_else(Counts::default, |block| block[index % BLOCK])
    }

    fn set(&mut self, ordinal: u32, counts: Counts) {
        if self.get(ordinal) == counts {
            return;
        }
        let index = ordinal as usize;
        if index / BLOCK >= self.0.len() {
            let nothing = Arc::new([Counts::default(); BLOCK]);
            self.0.resize(index / BLOCK + 1, nothing);
        }
        Arc::make_mut(&mut self.0[index / BLOCK])[index % BLOCK] = counts;
    }

    /// Size in bytes if no block is shared.
    fn bytes_at_most(&self) -> usize {
        self.0.len() * (size_of::<Block>() + size_of::<Arc<Block>>())
    }
}

impl Columns {
    /// Number of known ordinals, gaps included.
    pub fn len(&self) -> usize {
        self.created_at.len()
    }

    pub fn is_empty(&self) -> bool {
        self.created_at.is_empty()
    }

    /// Sets the state of one image. Ordinals in between that were never set are visible to nobody.
    pub fn set(&mut self, ordinal: u32, image: RankedImage) {
        let index = ordinal as usize;
        if index >= self.len() {
            self.created_at.resize(index + 1, 0);
            self.shown_to.resize(index + 1, None);
            self.evidence.resize(index + 1, Evidence::default());
        }
        self.created_at[index] = image.created_at.micros();
        self.shown_to[index] = image.shown_to;
        self.evidence[index] = image.evidence;
        self.counts.set(ordinal, image.counts);
        self.ignored.set(ordinal, image.ignored);
    }

    /// True if the class sees the image now.
    pub fn shows(&self, ordinal: u32, class: AccessClass) -> bool {
        self.shown_to.get(ordinal as usize).is_some_and(|least| least.is_some_and(|least| least <= class))
    }

    /// The lowest class that sees the image now.
    pub fn shown_to(&self, ordinal: u32) -> Option<AccessClass> {
        self.shown_to.get(ordinal as usize).copied().flatten()
    }

    pub fn created_at(&self, ordinal: u32) -> Timestamp {
        Timestamp::from_micros(self.created_at.get(ordinal as usize).copied().unwrap_or_default())
    }

    pub fn counts(&self, ordinal: u32) -> Counts {
        self.counts.get(ordinal)
    }

    /// The part of the counters that the gallery's guard ignored.
    pub fn ignored(&self, ordinal: u32) -> Counts {
        self.ignored.get(ordinal)
    }

    /// The counters without what the guard ignored.
    pub fn counted(&self, ordinal: u32) -> Counts {
        self.counts(ordinal).without(self.ignored(ordinal))
    }

    pub fn evidence(&self, ordinal: u32) -> Evidence {
        self.evidence.get(ordinal as usize).copied().unwrap_or_default()
    }

    pub fn snapshot(&self) -> CountsSnapshot {
        CountsSnapshot { counts: self.counts.clone(), ignored: self.ignored.clone() }
    }

    /// Approximate size of the columns in bytes.
    pub fn bytes(&self) -> usize {
        self.created_at.capacity() * size_of::<i64>()
            + self.shown_to.capacity() * size_of::<Option<AccessClass>>()
            + self.counts.bytes_at_most()
            + self.ignored.bytes_at_most()
            + self.evidence.capacity() * size_of::<Evidence>()
    }
}

impl CountsSnapshot {
    pub fn get(&self, ordinal: u32) -> Counts {
        self.counts.get(ordinal)
    }

    /// The counters without what the guard ignored.
    pub fn counted(&self, ordinal: u32) -> Counts {
        self.get(ordinal).without(self.ignored.get(ordinal))
    }

    /// The largest counter. Reads all of them.
    pub fn largest(&self) -> u64 {
        let counts = self.counts.0.iter().flat_map(|block| block.iter());
        counts.map(|counts| counts.views.max(counts.clicks)).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(views: u64) -> RankedImage {
        RankedImage {
            created_at: Timestamp::from_micros(1),
            counts: Counts { views, clicks: 0 },
            ignored: Counts::default(),
            evidence: Evidence::default(),
            shown_to: Some(AccessClass::Public),
        }
    }

    #[test]
    fn a_snapshot_keeps_its_numbers_while_the_columns_go_on() {
        let mut columns = Columns::default();
        columns.set(0, image(1));
        columns.set(700, image(2));
        let snapshot = columns.snapshot();
        columns.set(700, image(3));
        assert_eq!((snapshot.get(700).views, columns.counts(700).views), (2, 3));
        assert!(Arc::ptr_eq(&snapshot.counts.0[0], &columns.counts.0[0]), "an untouched block is shared");
    }

    #[test]
    fn an_ordinal_never_set_is_shown_to_nobody() {
        let mut columns = Columns::default();
        columns.set(2, image(0));
        assert!(!columns.shows(1, AccessClass::Project));
        assert!(!columns.shows(3, AccessClass::Project));
        assert!(columns.shows(2, AccessClass::Public));
    }
}
