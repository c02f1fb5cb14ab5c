//! A base: the state of counting, stored in pieces. Counting continues from it after the earlier events are deleted.
//!
//! A gallery that is restored from its pieces counts every later event like the gallery that they were taken from.

use super::guard::Visit;
use super::{Counts, Evidence, Learnt, Reckoner, SourceState};
use crate::SessionId;
use crate::event::Source;

/// Images of one piece, by ordinal.
const IMAGES: u32 = 1_000;
/// The layout of a piece: this byte, then numbers of fixed width. A released layout stays readable: a change gets the
/// next number and a reader of its own.
const LAYOUT: u8 = 1;
const IMAGE_BYTES: usize = 4 + 4 * 8 + 20;

/// A part of a base, at most some ten kilobytes. Pieces of one kind have different keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    pub kind: PieceKind,
    pub key: Vec<u8>,
    pub state: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PieceKind {
    /// Learnt state and the guard's progress. The key is empty.
    Gallery,
    /// Counters and evidence of images. The key is the first ordinal.
    Images,
    /// Guard state of a source, which is the key.
    Source,
    /// Guard state of a session, whose id is the key.
    Session,
}

impl PieceKind {
    const ALL: [PieceKind; 4] = [PieceKind::Gallery, PieceKind::Images, PieceKind::Source, PieceKind::Session];

    /// As it is stored.
    pub const fn number(self) -> u32 {
        self as u32
    }

    pub fn from_number(number: u32) -> Option<PieceKind> {
        PieceKind::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The key of a session's guard state.
    pub fn key_of(session_id: SessionId) -> Vec<u8> {
        session_id.0.as_bytes().to_vec()
    }
}

impl Reckoner {
    /// All state that events have changed.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> + '_ {
        let images = (0..self.columns.len() as u32).step_by(IMAGES as usize).filter_map(|first| self.images(first));
        let sources = self.guard.sources.iter().map(|(source, state)| Piece {
            kind: PieceKind::Source,
            key: source.to_bits().to_be_bytes().to_vec(),
            state: state.to_bytes(),
        });
        let sessions = self.guard.visits.iter().filter(|(_, visits)| !visits.is_empty());
        let sessions = sessions.map(|(session_id, visits)| Piece {
            kind: PieceKind::Session,
            key: PieceKind::key_of(*session_id),
            state: visits_to_bytes(visits),
        });
        std::iter::once(self.gallery()).chain(images).chain(sources).chain(sessions)
    }

    /// Restores the state of a piece. `None` if the piece cannot be read.
    pub fn put_back(&mut self, piece: &Piece) -> Option<()> {
        match piece.kind {
            PieceKind::Gallery => {
                let ([LAYOUT], rest) = piece.state.split_first_chunk()? else { return None };
                let (minute, rest) = rest.split_first_chunk()?;
                let (forgotten, rest) = rest.split_first_chunk()?;
                self.guard.minute = u32::from_le_bytes(*minute);
                self.forgotten = u32::from_le_bytes(*forgotten);
                self.learnt = Learnt::from_bytes(rest)?;
            }
            PieceKind::Images => self.put_back_images(&piece.state)?,
            PieceKind::Source => {
                let source = Source::from_bits(u64::from_be_bytes(piece.key.as_slice().try_into().ok()?));
                self.guard.sources.insert(source, SourceState::from_bytes(&piece.state)?);
            }
            PieceKind::Session => {
                let session_id = SessionId(uuid::Uuid::from_slice(&piece.key).ok()?);
                self.guard.visits.insert(session_id, visits_from_bytes(&piece.state)?);
            }
        }
        Some(())
    }

    fn gallery(&self) -> Piece {
        let mut state = vec![LAYOUT];
        state.extend(self.guard.minute.to_le_bytes());
        state.extend(self.forgotten.to_le_bytes());
        state.extend(self.learnt.to_bytes());
        Piece { kind: PieceKind::Gallery, key: Vec::new(), state }
    }

    /// The images from `first` on that had an event. `None` if there are none.
    fn images(&self, first: u32) -> Option<Piece> {
        let mut state = vec![LAYOUT];
        let end = first.saturating_add(IMAGES).min(self.columns.len() as u32);
        for ordinal in first..end {
            let (counts, ignored) = (self.columns.counts(ordinal), self.columns.ignored(ordinal));
            let evidence = self.columns.evidence(ordinal);
            if (counts, evidence) == (Counts::default(), Evidence::default()) {
                continue;
            }
            state.extend(ordinal.to_le_bytes());
            for number in [counts.views, counts.clicks, ignored.views, ignored.clicks] {
                state.extend(number.to_le_bytes());
            }
            state.extend(evidence.to_bytes());
        }
        (state.len() > 1).then(|| Piece { kind: PieceKind::Images, key: first.to_be_bytes().to_vec(), state })
    }

    fn put_back_images(&mut self, state: &[u8]) -> Option<()> {
        let ([LAYOUT], rest) = state.split_first_chunk()? else { return None };
        let (images, []) = rest.as_chunks::<IMAGE_BYTES>() else { return None };
        for image in images {
            let (ordinal, rest) = image.split_first_chunk()?;
            let (numbers, evidence) = rest.split_first_chunk::<32>()?;
            let [views, clicks, ignored_views, ignored_clicks] = std::array::from_fn(|index| {
                numbers.as_chunks().0.get(index).map_or(0, |eight| u64::from_le_bytes(*eight))
            });
            let evidence = Evidence::from_bytes(evidence)?;
            self.change(u32::from_le_bytes(*ordinal), |known| {
                known.counts = Counts { views, clicks };
                known.ignored = Counts { views: ignored_views, clicks: ignored_clicks };
                known.evidence = evidence;
            });
        }
        Some(())
    }
}

fn visits_to_bytes(visits: &[Visit]) -> Vec<u8> {
    let mut bytes = vec![LAYOUT];
    for visit in visits {
        let seen = visit.to_bytes();
        bytes.extend(Source::optional_to_bits(visit.source).to_le_bytes());
        bytes.extend(visit.since.to_le_bytes());
        bytes.extend((seen.len() as u32).to_le_bytes());
        bytes.extend(seen);
    }
    bytes
}

fn visits_from_bytes(bytes: &[u8]) -> Option<Vec<Visit>> {
    let ([LAYOUT], mut rest) = bytes.split_first_chunk()? else { return None };
    let mut visits = Vec::new();
    while !rest.is_empty() {
        let (source, after) = rest.split_first_chunk()?;
        let (since, after) = after.split_first_chunk()?;
        let (length, after) = after.split_first_chunk()?;
        let (seen, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        let source = Source::optional_from_bits(u64::from_le_bytes(*source));
        visits.push(Visit::from_bytes(source, u32::from_le_bytes(*since), seen)?);
        rest = after;
    }
    Some(visits)
}
