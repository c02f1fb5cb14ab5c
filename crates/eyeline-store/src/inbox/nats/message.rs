//! Messages: many events under one number.
//!
//! The offset of an event is the sequence of its message in the stream, shifted by [`INDEX_BITS`], plus an index that
//! counts up to [`LAST_INDEX`]: the last event of every message has that one. The offset of a stream's newest event
//! therefore follows from the newest sequence alone.

use bytes::{Buf as _, Bytes};

use super::super::{Delivery, Entry, Offset};

/// The most bytes of a message. A server takes 1 MiB unless it is set otherwise.
pub(super) const BYTES_MAX: usize = 512 * 1024;
/// The most events of a message.
pub(super) const EVENTS_MAX: u32 = 65_535;
/// The header that holds the number of a message's events, which is read where the events are not.
pub(super) const COUNT: &str = "Eyeline-Count";
/// The format, and the number of events.
const HEAD_BYTES: usize = 5;
/// The length of an event.
const LENGTH_BYTES: usize = 4;
/// The most bytes of an event.
pub(super) const EVENT_BYTES_MAX: usize = BYTES_MAX - HEAD_BYTES - LENGTH_BYTES;
const FORMAT: u8 = 1;

const INDEX_BITS: u32 = 16;
const LAST_INDEX: i64 = (1 << INDEX_BITS) - 1;
const _: () = assert!((EVENTS_MAX as i64) <= LAST_INDEX);

/// The offset of the last event of the message with this sequence. [`Offset::START`] for zero, before every message.
pub(super) fn last_offset(sequence: u64) -> Offset {
    match sequence {
        0 => Offset::START,
        _ => Offset::from_number((sequence.cast_signed() << INDEX_BITS) | LAST_INDEX),
    }
}

/// The sequence of the first message that may have events after `after`.
pub(super) fn first_sequence_after(after: Offset) -> u64 {
    let number = after.number().max(0);
    let is_last = number & LAST_INDEX == LAST_INDEX;
    (number >> INDEX_BITS).cast_unsigned() + u64::from(is_last || number == 0)
}

/// The number of events after `after` of a message with `count` events.
pub(super) fn count_after(sequence: u64, count: u32, after: Offset) -> u64 {
    let left = last_offset(sequence).number().saturating_sub(after.number());
    left.clamp(0, count.into()).unsigned_abs()
}

/// Events of one call for one partition.
pub(super) struct Piece {
    count: u32,
    bytes: Vec<u8>,
}

impl Piece {
    /// Serializes the entries of one partition into as few pieces as the bounds allow. Each fits into a message.
    pub(super) fn cut<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for entry in entries {
            let length = u32::try_from(entry.event.len()).unwrap_or(u32::MAX).to_le_bytes();
            if !pieces.last().is_some_and(|piece| piece.has_room_for(entry.event.len() + LENGTH_BYTES)) {
                pieces.push(Piece { count: 0, bytes: Vec::new() });
            }
            if let Some(piece) = pieces.last_mut() {
                piece.bytes.extend(length);
                piece.bytes.extend(&entry.event);
                piece.count += 1;
            }
        }
        pieces
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        self.count < EVENTS_MAX && HEAD_BYTES + self.bytes.len() + bytes <= BYTES_MAX
    }
}

/// Packs pieces into a message while they fit.
pub(super) struct Packed {
    count: u32,
    bytes: Vec<u8>,
}

impl Packed {
    pub(super) fn new(first: &Piece) -> Self {
        let mut packed = Packed { count: 0, bytes: Vec::with_capacity(HEAD_BYTES + first.bytes.len()) };
        packed.bytes.extend([FORMAT, 0, 0, 0, 0]);
        packed.push(first);
        packed
    }

    pub(super) fn has_room_for(&self, piece: &Piece) -> bool {
        self.count + piece.count <= EVENTS_MAX && self.bytes.len() + piece.bytes.len() <= BYTES_MAX
    }

    pub(super) fn push(&mut self, piece: &Piece) {
        self.bytes.extend(&piece.bytes);
        self.count += piece.count;
        self.bytes[1..HEAD_BYTES].copy_from_slice(&self.count.to_le_bytes());
    }

    /// The message, and the number of its events.
    pub(super) fn finish(self) -> (Bytes, u32) {
        (self.bytes.into(), self.count)
    }
}

/// The number of a message's events, as [`read`] returns them unless the message is damaged.
pub(super) fn count(message: &[u8]) -> u32 {
    stated_count(message).unwrap_or(1)
}

fn stated_count(message: &[u8]) -> Option<u32> {
    let (head, _) = message.split_first_chunk::<HEAD_BYTES>()?;
    let [format, count @ ..] = head;
    let count = u32::from_le_bytes(*count);
    (*format == FORMAT && (1..=EVENTS_MAX).contains(&count)).then_some(count)
}

/// The events of a message, without copying them. A message that this version cannot read is one event, so that it does
/// not stop what follows.
pub(super) fn read(message: &Bytes, sequence: u64) -> Vec<Delivery> {
    let whole = || vec![Delivery { offset: last_offset(sequence), event: message.clone() }];
    split(message, sequence).unwrap_or_else(whole)
}

fn split(message: &Bytes, sequence: u64) -> Option<Vec<Delivery>> {
    let count = stated_count(message)?;
    let mut rest = message.slice(HEAD_BYTES..);
    let before = last_offset(sequence).number() - i64::from(count);
    let mut deliveries = Vec::with_capacity(count as usize);
    for index in 1..=i64::from(count) {
        let length = rest.try_get_u32_le().ok()? as usize;
        if length > rest.len() {
            return None;
        }
        deliveries.push(Delivery { offset: Offset::from_number(before + index), event: rest.split_to(length) });
    }
    rest.is_empty().then_some(deliveries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(bytes: usize) -> Entry {
        Entry { partition: 0, event: vec![bytes as u8; bytes] }
    }

    #[test]
    fn a_message_keeps_to_its_bounds() {
        let small = vec![entry(0); 200_000];
        let counts: Vec<u32> = Piece::cut(small.iter()).iter().map(|piece| piece.count).collect();
        assert_eq!(counts, [65_535, 65_535, 65_535, 3_395]);
        let large = Piece::cut([entry(EVENT_BYTES_MAX), entry(1)].iter());
        assert_eq!(large.iter().map(|piece| piece.count).collect::<Vec<_>>(), [1, 1]);
        let packed = Packed::new(&large[0]);
        assert!(!packed.has_room_for(&large[1]));
        assert_eq!(packed.finish().0.len(), BYTES_MAX);
    }

    #[test]
    fn what_is_cut_or_of_another_format_is_one_event_that_nobody_can_read() {
        let (message, _) = Packed::new(&Piece::cut([entry(3), entry(5)].iter())[0]).finish();
        for cut in 0..message.len() {
            let message = message.slice(..cut);
            assert_eq!(read(&message, 1), [Delivery { offset: last_offset(1), event: message.clone() }], "{cut}");
        }
        for damaged in [
            [&message[..], b"x"].concat(),
            [&[9], &message[1..]].concat(),
            [&[1, 255, 255, 255, 255], &message[HEAD_BYTES..]].concat(),
        ] {
            assert_eq!(read(&damaged.into(), 1).len(), 1);
        }
    }

    proptest! {
        #[test]
        fn offsets_lead_from_each_event_to_the_next(
            sizes in prop::collection::vec(0usize..50, 1..30), sequence in 1u64..1_000_000_000,
        ) {
            let entries: Vec<Entry> = sizes.iter().copied().map(entry).collect();
            let (message, number) = Packed::new(&Piece::cut(entries.iter())[0]).finish();
            prop_assert_eq!(count(&message), number);
            let events = read(&message, sequence);
            prop_assert_eq!(events.len(), entries.len());
            prop_assert_eq!(events.last().map(|last| last.offset), Some(last_offset(sequence)));
            prop_assert!(events[0].offset > last_offset(sequence - 1));
            for (index, (event, entry)) in events.iter().zip(&entries).enumerate() {
                prop_assert_eq!(&event.event[..], &entry.event[..]);
                let left = (entries.len() - index - 1) as u64;
                prop_assert_eq!(count_after(sequence, number, event.offset), left);
                prop_assert_eq!(first_sequence_after(event.offset), sequence + u64::from(left == 0));
                prop_assert_eq!(count_after(sequence, number, event.offset.before()), left + 1);
            }
            prop_assert_eq!(count_after(sequence, number, Offset::START), entries.len() as u64);
            prop_assert_eq!(count_after(sequence, number, last_offset(sequence + 1)), 0);
        }
    }
}
