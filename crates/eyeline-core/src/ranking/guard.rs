//! Which acts a guarded gallery ranks by: those that people make, as far as can be told.
//!
//! - One view and one click for each session and image; a click needs a view before it.
//! - A source, which is a network and a browser, counts [`PER_MINUTE_MAX`] times a minute and clicks an image once a day.
//! - A source, or a network, that clicks what it sees every other time is no visitor: it is dropped for the day, with all
//!   that it did. Of the network, since a robot may call itself another browser with each click.
//! - A robot that declares itself counts for nothing.
//!
//! Everything is remembered for a day, in minutes of receipt, so that the same acts in the same order count the same
//! however they were cut into batches.

use std::collections::HashMap;

use super::learnt::Taught;
use crate::SessionId;
use crate::event::{ActKind, Source};

/// Minutes that anything is remembered for.
const DAY: u32 = 24 * 60;
/// Acts of a source that count within a minute.
const PER_MINUTE_MAX: u32 = 60;
/// From so many views or clicks on a source is judged by how often it clicks.
const JUDGED_FROM: u32 = 10;
/// A source with at least so many clicks for each view is dropped, as a fraction.
const ROBOTIC_CLICKS: (u32, u32) = (1, 2);
/// Sources of a gallery that are remembered; over it the oldest are forgotten, and what they did stays.
pub const SOURCES_MAX: usize = 100_000;
/// Images that a source may have clicked in a day, and that a session may have seen: more do not count.
const CLICKED_MAX: usize = 4_096;
const SEEN_MAX: usize = 1_000;

/// An act as the guard sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deed {
    pub session_id: SessionId,
    /// `None` when the server that sent it did not say: then only the rules for sessions hold.
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
    /// It counts for nothing.
    Ignored,
    /// It counts for nothing, and neither does what this source, or network, did before: see [`Guard::undo`].
    SourceDropped(Source),
}

/// What the guard of a gallery remembers; of a stored one perhaps only what a batch of acts is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guard {
    /// The latest minute of an act: time does not go back.
    pub minute: u32,
    pub sources: HashMap<Source, SourceState>,
    /// What each session saw, by the sources that it came from.
    pub visits: HashMap<SessionId, Vec<Visit>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceState {
    /// The minute of its first act; a day later it begins anew.
    pub since: u32,
    views: u32,
    clicks: u32,
    dropped: bool,
    /// The last minute in which acts of it counted, and how many.
    minute: u32,
    in_minute: u32,
    /// The images that it clicked, sorted.
    clicked: Vec<u32>,
}

/// How a source looks after an act.
enum Standing {
    Visitor,
    /// This act has told that it is none.
    FoundOut,
    Dropped,
}

/// What was counted of one session from one source.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    pub source: Option<Source>,
    /// The minute of its first act; a day later it is forgotten.
    pub since: u32,
    seen: Vec<Seen>,
}

/// What a visit did to an image, and what that taught.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    image: u32,
    view: Option<Taught>,
    click: Option<Taught>,
}

/// An act that counted and does not any more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Undone {
    pub session_id: SessionId,
    pub image: u32,
    pub kind: ActKind,
    pub taught: Taught,
}

impl Guard {
    /// Sources that are forgotten at once when there are too many.
    pub const FORGOTTEN: usize = SOURCES_MAX / 16;

    /// Judges an act. One that counts is to be given to [`Guard::note`].
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
        if is_first && has_room && self.source(source).allows(deed, minute) {
            return Verdict::Counts;
        }
        Verdict::Ignored
    }

    /// What is known of a source now.
    fn source(&mut self, source: Source) -> &mut SourceState {
        let minute = self.minute;
        let state = self.sources.entry(source).or_default();
        if state.since == 0 || is_over(state.since, minute) {
            *state = SourceState::new(minute.max(1));
        }
        state
    }

    /// Remembers what an act taught that counts.
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

    /// Forgets the visits of a source, or of a network, that was dropped and gives what counted of them, in the order of sessions.
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

    /// Whether a source has to be forgotten before this act can be judged, `held` being held altogether.
    pub fn is_full(&self, deed: &Deed, held: usize) -> bool {
        let is_known = |source: Source| {
            source.is_robot() || [source, source.network()].iter().all(|source| self.sources.contains_key(source))
        };
        held >= SOURCES_MAX && !deed.source.is_none_or(is_known)
    }

    /// Forgets what is over, and if that is not enough, the oldest sources; of the same age those with the least hash,
    /// taken for a number with a sign.
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

    /// Forgets what is over. It is passed over as it is: this saves memory alone.
    pub fn forget(&mut self) {
        let minute = self.minute;
        self.sources.retain(|_, state| !is_over(state.since, minute));
        self.visits.retain(|_, visits| {
            visits.retain(|visit| !is_over(visit.since, minute));
            !visits.is_empty()
        });
    }

    /// The last minute of which everything is forgotten by now.
    pub fn over_since(minute: u32) -> u32 {
        minute.saturating_sub(DAY)
    }
}

fn is_over(since: u32, minute: u32) -> bool {
    since <= Guard::over_since(minute)
}

impl SourceState {
    /// One that has done nothing yet.
    pub fn new(since: u32) -> Self {
        SourceState { since, ..SourceState::default() }
    }

    /// Takes notice of an act, whether or not it will count.
    fn notice(&mut self, kind: ActKind, is_first: bool) -> Standing {
        if self.dropped {
            return Standing::Dropped;
        }
        match kind {
            ActKind::View if is_first => self.views += 1,
            ActKind::View => {}
            // Each of them: who clicks one thing again and again is told by that.
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

    /// Whether one more act may count now; if so, it is counted.
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

/// How both are kept: a byte that says which layout, then numbers of fixed width.
const LAYOUT: u8 = 1;
/// In place of the block of a place, when none is known; and of an act that there was not.
const NO_PLACE: u8 = 254;
const NO_ACT: u8 = 255;

impl SourceState {
    /// The bytes that [`SourceState::from_bytes`] reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![LAYOUT, self.dropped.into()];
        let numbers = [self.since, self.views, self.clicks, self.minute, self.in_minute];
        for number in numbers.iter().chain(&self.clicked) {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }

    /// `None` for bytes that are no state of a layout known here.
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

    /// What it saw, as bytes that [`Visit::from_bytes`] reads: 40 for each image.
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

    /// `None` for bytes that are no visit of a layout known here.
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
