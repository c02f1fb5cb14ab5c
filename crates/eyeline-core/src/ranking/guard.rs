//! The guard decides which events of a gallery count for ranking.
//!
//! - One view and one click count for each session and image; a click needs a view before it.
//! - A source is a network and a browser. It counts [`PER_MINUTE_MAX`] times a minute and clicks an image once a day.
//! - A network counts for [`NETWORK_VIEWS_MAX`] first views a day, so that withdrawing its counts has a bound.
//! - A source or a network that clicks every other image it sees is dropped for the day, and its counts are withdrawn.
//!   The network is judged too, because a robot may send another browser's name with each click.
//! - A declared robot counts for nothing.
//!
//! State is kept for a day, in minutes of receipt. The same events in the same order count the same, however they were
//! batched.

use std::collections::HashMap;

use super::learnt::Taught;
use crate::SessionId;
use crate::event::{ActKind, Source};

/// Minutes for which state is kept.
const DAY: u32 = 24 * 60;
/// Events of a source that count within a minute.
const PER_MINUTE_MAX: u32 = 60;
/// Views or clicks from which on a source is judged by its clicks per view.
const JUDGED_FROM: u32 = 10;
/// Clicks per view, as a fraction, from which on a source is dropped.
const ROBOTIC_CLICKS: (u32, u32) = (1, 2);
/// Sources of a gallery that are remembered. Beyond it the oldest are forgotten, and their counts stay.
pub const SOURCES_MAX: usize = 100_000;
/// First views of a network in a day, counted or not, after which its events do not count. A visit has a view, so that the
/// visits of a network that has to be withdrawn are no more.
pub const NETWORK_VIEWS_MAX: u32 = 20_000;
/// Images that a source may click in a day, and that a session may see. Further ones do not count.
const CLICKED_MAX: usize = 4_096;
const SEEN_MAX: usize = 1_000;

/// A view or click as the guard sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deed {
    pub session_id: SessionId,
    /// `None` if the sending server did not name it: then only the rules for sessions apply.
    pub source: Option<Source>,
    /// The image's ordinal.
    pub image: u32,
    pub kind: ActKind,
    /// Minutes since 1970.
    pub minute: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Counts,
    /// Counts for nothing.
    Ignored,
    /// Counts for nothing, and neither does what this source or network did before: see [`Guard::undo`].
    SourceDropped(Source),
}

/// The guard state of a gallery. A stored one may hold only what a batch of events needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guard {
    /// The latest minute of an event. Time does not go back.
    pub minute: u32,
    pub sources: HashMap<Source, SourceState>,
    /// The visits of each session, one for each source.
    pub visits: HashMap<SessionId, Vec<Visit>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceState {
    /// The minute of its first event. A day later it starts anew.
    pub since: u32,
    views: u32,
    clicks: u32,
    dropped: bool,
    /// The last minute in which its events counted, and their number.
    minute: u32,
    in_minute: u32,
    /// The images that it clicked, sorted.
    clicked: Vec<u32>,
}

/// The standing of a source after an event.
enum Standing {
    Visitor,
    /// This event revealed it as a robot.
    FoundOut,
    Dropped,
}

/// The counted events of one session from one source.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    pub source: Option<Source>,
    /// The minute of its first event. A day later it is forgotten.
    pub since: u32,
    seen: Vec<Seen>,
}

/// The counted events of a visit on one image, and what they taught.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    image: u32,
    view: Option<Taught>,
    click: Option<Taught>,
}

/// A counted event that is withdrawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Undone {
    pub session_id: SessionId,
    pub image: u32,
    pub kind: ActKind,
    pub taught: Taught,
}

impl Guard {
    /// Sources that are forgotten together when there are too many.
    pub const FORGOTTEN: usize = SOURCES_MAX / 16;

    /// Judges an event. One that counts is to be passed to [`Guard::note`].
    pub fn judge(&mut self, deed: &Deed) -> Verdict {
        self.minute = self.minute.max(deed.minute);
        let minute = self.minute;
        if deed.source.is_some_and(Source::is_robot) {
            return Verdict::Ignored;
        }
        let visits = self.visits.entry(deed.session_id).or_default();
        visits.retain(|visit| !is_over(visit.since, minute));
        let seen = visits.iter().flat_map(|visit| &visit.seen).filter(|seen| seen.image == deed.image);
        let (viewed, clicked) = seen.fold((false, false), |(viewed, clicked), seen| {
            (viewed || seen.view.is_some(), clicked || seen.click.is_some())
        });
        let is_first = match deed.kind {
            ActKind::View => !viewed,
            ActKind::Click => viewed && !clicked,
        };
        let images = visits.iter().map(|visit| visit.seen.len()).sum::<usize>();
        let has_room = images < SEEN_MAX || viewed;
        let Some(source) = deed.source else {
            return if is_first && has_room { Verdict::Counts } else { Verdict::Ignored };
        };
        for source in [source.network(), source] {
            match self.source(source).notice(deed.kind, is_first) {
                Standing::Visitor => {}
                Standing::FoundOut => return Verdict::SourceDropped(source),
                Standing::Dropped => return Verdict::Ignored,
            }
        }
        let has_room = has_room && self.source(source.network()).views <= NETWORK_VIEWS_MAX;
        if is_first && has_room && self.source(source).allows(deed, minute) {
            return Verdict::Counts;
        }
        Verdict::Ignored
    }

    /// The present state of a source.
    fn source(&mut self, source: Source) -> &mut SourceState {
        let minute = self.minute;
        let state = self.sources.entry(source).or_default();
        if state.since == 0 || is_over(state.since, minute) {
            *state = SourceState::new(minute.max(1));
        }
        state
    }

    /// Remembers what a counted event taught.
    pub fn note(&mut self, deed: &Deed, taught: Taught) {
        let since = self.minute;
        let visits = self.visits.entry(deed.session_id).or_default();
        let index = visits.iter().position(|visit| visit.source == deed.source).unwrap_or_else(|| {
            visits.push(Visit { source: deed.source, since, seen: Vec::new() });
            visits.len() - 1
        });
        let seen = &mut visits[index].seen;
        let index = seen.iter().position(|seen| seen.image == deed.image).unwrap_or_else(|| {
            seen.push(Seen { image: deed.image, view: None, click: None });
            seen.len() - 1
        });
        match deed.kind {
            ActKind::View => seen[index].view = Some(taught),
            ActKind::Click => seen[index].click = Some(taught),
        }
    }

    /// Forgets the visits of a dropped source or network. Returns what they had counted, in the order of sessions.
    pub fn undo(&mut self, source: Source) -> Vec<Undone> {
        let minute = self.minute;
        let mut undone = Vec::new();
        for (session_id, visits) in &mut self.visits {
            for visit in visits.iter_mut().filter(|visit| visit.is_of(source)) {
                let seen = std::mem::take(&mut visit.seen);
                if is_over(visit.since, minute) {
                    continue;
                }
                for Seen { image, view, click } in seen {
                    let act = |kind| move |taught| Undone { session_id: *session_id, image, kind, taught };
                    undone.extend(view.map(act(ActKind::View)));
                    undone.extend(click.map(act(ActKind::Click)));
                }
            }
        }
        undone.sort_by_key(|act| (act.session_id, act.image, act.kind == ActKind::Click));
        undone
    }

    /// True if a source has to be forgotten before this event can be judged; `held` is the number of remembered
    /// sources.
    pub fn is_full(&self, deed: &Deed, held: usize) -> bool {
        let is_known = |source: Source| {
            source.is_robot() || [source, source.network()].iter().all(|source| self.sources.contains_key(source))
        };
        held >= SOURCES_MAX && !deed.source.is_none_or(is_known)
    }

    /// Forgets expired state, and if that is not enough, the oldest sources. Ties go by the least hash, read as a
    /// signed number.
    pub fn make_room(&mut self) {
        self.forget();
        if self.sources.len() >= SOURCES_MAX {
            let age = |(source, state): (&Source, &SourceState)| (state.since, source.to_bits().cast_signed(), *source);
            let mut ages: Vec<(u32, i64, Source)> = self.sources.iter().map(age).collect();
            ages.sort_unstable();
            for (.., source) in &ages[..Self::FORGOTTEN] {
                self.sources.remove(source);
            }
        }
    }

    /// Forgets expired state. It is ignored anyway; this only saves memory.
    pub fn forget(&mut self) {
        let minute = self.minute;
        self.sources.retain(|_, state| !is_over(state.since, minute));
        self.visits.retain(|_, visits| {
            visits.retain(|visit| !is_over(visit.since, minute));
            !visits.is_empty()
        });
    }

    /// The last minute whose state has all expired at `minute`.
    pub fn over_since(minute: u32) -> u32 {
        minute.saturating_sub(DAY)
    }
}

fn is_over(since: u32, minute: u32) -> bool {
    since <= Guard::over_since(minute)
}

impl SourceState {
    /// A source without events.
    pub fn new(since: u32) -> Self {
        SourceState { since, ..SourceState::default() }
    }

    /// Records an event, whether or not it will count.
    fn notice(&mut self, kind: ActKind, is_first: bool) -> Standing {
        if self.dropped {
            return Standing::Dropped;
        }
        match kind {
            ActKind::View if is_first => self.views += 1,
            ActKind::View => {}
            // Repetitions are counted, because repeated clicks on one image reveal a robot.
            ActKind::Click => self.clicks += 1,
        }
        let (clicks, views) = ROBOTIC_CLICKS;
        if self.views.max(self.clicks) >= JUDGED_FROM && self.clicks * views >= self.views * clicks {
            self.dropped = true;
            self.clicked = Vec::new();
            return Standing::FoundOut;
        }
        Standing::Visitor
    }

    /// True if one more event may count now, which is then counted.
    fn allows(&mut self, deed: &Deed, minute: u32) -> bool {
        let in_minute = if self.minute == minute { self.in_minute } else { 0 };
        if in_minute >= PER_MINUTE_MAX {
            return false;
        }
        if deed.kind == ActKind::Click {
            match self.clicked.binary_search(&deed.image) {
                Err(place) if self.clicked.len() < CLICKED_MAX => self.clicked.insert(place, deed.image),
                _ => return false,
            }
        }
        (self.minute, self.in_minute) = (minute, in_minute + 1);
        true
    }
}

/// The layout of both: this byte, then numbers of fixed width.
const LAYOUT: u8 = 1;
/// They stand for an unknown block of ranks, and for an absent event.
const NO_PLACE: u8 = 254;
const NO_ACT: u8 = 255;

impl SourceState {
    /// Bytes that [`SourceState::from_bytes`] reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![LAYOUT, self.dropped.into()];
        let numbers = [self.since, self.views, self.clicks, self.minute, self.in_minute];
        for number in numbers.iter().chain(&self.clicked) {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }

    /// `None` for bytes of an unknown layout.
    pub fn from_bytes(bytes: &[u8]) -> Option<SourceState> {
        let ([LAYOUT, dropped], rest) = bytes.split_first_chunk()? else { return None };
        let (numbers, []) = rest.as_chunks::<4>() else { return None };
        let mut numbers = numbers.iter().map(|number| u32::from_le_bytes(*number));
        Some(SourceState {
            dropped: *dropped != 0,
            since: numbers.next()?,
            views: numbers.next()?,
            clicks: numbers.next()?,
            minute: numbers.next()?,
            in_minute: numbers.next()?,
            clicked: numbers.collect(),
        })
    }
}

const ACT_BYTES: usize = 18;
const SEEN_BYTES: usize = 4 + 2 * ACT_BYTES;

impl Visit {
    fn is_of(&self, source: Source) -> bool {
        self.source.is_some_and(|own| own == source || own.network() == source)
    }

    /// The images it saw, as bytes that [`Visit::from_bytes`] reads: 40 for each image.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.seen.len() * SEEN_BYTES);
        bytes.push(LAYOUT);
        for Seen { image, view, click } in &self.seen {
            bytes.extend(image.to_le_bytes());
            for taught in [view, click] {
                bytes.extend(taught_to_bytes(*taught));
            }
        }
        bytes
    }

    /// `None` for bytes of an unknown layout.
    pub fn from_bytes(source: Option<Source>, since: u32, bytes: &[u8]) -> Option<Visit> {
        let ([LAYOUT], rest) = bytes.split_first_chunk()? else { return None };
        let (chunks, []) = rest.as_chunks::<SEEN_BYTES>() else { return None };
        let seen = |chunk: &[u8; SEEN_BYTES]| {
            let (image, acts) = chunk.split_first_chunk::<4>()?;
            let ([view, click], []) = acts.as_chunks::<ACT_BYTES>() else { return None };
            let (view, click) = (taught_from_bytes(view), taught_from_bytes(click));
            Some(Seen { image: u32::from_le_bytes(*image), view, click })
        };
        Some(Visit { source, since, seen: chunks.iter().map(seen).collect::<Option<_>>()? })
    }
}

fn taught_to_bytes(taught: Option<Taught>) -> [u8; ACT_BYTES] {
    let mut bytes = [NO_ACT; ACT_BYTES];
    if let Some(taught) = taught {
        let (block, bucket) = taught.at.unwrap_or((NO_PLACE, 0));
        [bytes[0], bytes[1]] = [block, bucket];
        let numbers = [
            taught.minute.to_le_bytes(),
            taught.exposure.to_le_bytes(),
            taught.by_place.to_le_bytes(),
            taught.by_age.to_le_bytes(),
        ];
        bytes[2..].copy_from_slice(numbers.as_flattened());
    }
    bytes
}

fn taught_from_bytes(bytes: &[u8; ACT_BYTES]) -> Option<Taught> {
    let ([block, bucket], rest) = bytes.split_first_chunk()?;
    let ([minute, exposure, by_place, by_age], []) = rest.as_chunks::<4>() else { return None };
    (*block != NO_ACT).then(|| Taught {
        minute: u32::from_le_bytes(*minute),
        at: (*block != NO_PLACE).then_some((*block, *bucket)),
        exposure: f32::from_le_bytes(*exposure),
        by_place: f32::from_le_bytes(*by_place),
        by_age: f32::from_le_bytes(*by_age),
    })
}
