//! Chunks of events: each event follows its length.
//!
//! The offset of an event is the number of its chunk, shifted by [`INDEX_BITS`], plus its index in the chunk. The last
//! event of a chunk and the first one of the next are therefore far apart.

use bytes::{Buf as _, Bytes};

use super::super::{Delivery, Entry, Offset};

/// The most bytes of a chunk, unless it is a single larger event.
pub(super) const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// Bits of an offset for the index in the chunk. A chunk has fewer events than that: each takes at least the 4 bytes of
/// its length.
const INDEX_BITS: u32 = 16;
const _: () = assert!(CHUNK_BYTES_MAX / 4 < 1 << INDEX_BITS);

/// The offset of the first event of the chunk after the event at `newest`.
pub(super) fn next_first(newest: Offset) -> Offset {
    Offset::from_number(((newest.number() >> INDEX_BITS) + 1) << INDEX_BITS)
}

/// The offset of the last event of a chunk with `count` events, at least one.
pub(super) fn last(first: Offset, count: i64) -> Offset {
    Offset::from_number(first.number() + count - 1)
}

/// The number of a chunk's events after `after`.
pub(super) fn count_after(first: Offset, count: i64, after: Offset) -> u64 {
    let passed = after.number().saturating_sub(first.number()).saturating_add(1).clamp(0, count);
    (count - passed).unsigned_abs()
}

/// Events of one call that go into one chunk.
#[derive(Default)]
pub(super) struct Piece {
    pub(super) count: i64,
    bytes: Vec<u8>,
}

impl Piece {
    /// Serializes the entries into as few pieces as the bound allows. The caller does this, so that the writer only
    /// copies.
    pub(super) fn cut(entries: &[Entry]) -> Vec<Piece> {
        let mut rest = entries.iter().map(|entry| entry.event.len() + 4).sum::<usize>();
        let mut pieces = Vec::new();
        let mut piece = Piece::with_room_for(rest);
        for entry in entries {
            if !piece.bytes.is_empty() && piece.bytes.len() + entry.event.len() + 4 > CHUNK_BYTES_MAX {
                rest -= piece.bytes.len();
                pieces.push(std::mem::replace(&mut piece, Piece::with_room_for(rest)));
            }
            // The queue's bound keeps every event far below 4 GiB.
            piece.bytes.extend(u32::try_from(entry.event.len()).unwrap_or(u32::MAX).to_le_bytes());
            piece.bytes.extend(&entry.event);
            piece.count += 1;
        }
        if piece.count > 0 {
            pieces.push(piece);
        }
        pieces
    }

    fn with_room_for(bytes: usize) -> Piece {
        Piece { count: 0, bytes: Vec::with_capacity(bytes.min(CHUNK_BYTES_MAX)) }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// True if `next` fits into this chunk.
    pub(super) fn has_room_for(&self, next: &Piece) -> bool {
        self.bytes.is_empty() || self.bytes.len() + next.bytes.len() <= CHUNK_BYTES_MAX
    }

    pub(super) fn push(&mut self, next: &Piece) {
        self.bytes.extend(&next.bytes);
        self.count += next.count;
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }
}

/// The events of a chunk whose first offset is `first`, without copying them.
pub(super) fn split(chunk: &Bytes, first: Offset) -> impl Iterator<Item = Delivery> {
    let mut rest = chunk.clone();
    (first.number()..).map_while(move |offset| {
        if rest.len() < 4 {
            return None;
        }
        let length = rest.get_u32_le() as usize;
        (length <= rest.len()).then(|| Delivery { offset: Offset::from_number(offset), event: rest.split_to(length) })
    })
}
