//! Counts a gallery event by event in memory, as the catalog does batch by batch.

use super::guard::{Deed, Guard, Verdict};
use super::{Act, Columns, Learnt, RankedImage, Ranking, Taught};
use crate::event::{ActKind, Source};
use crate::{SessionId, Timestamp};

/// Minutes between two clean-ups of guard state.
const FORGET_EVERY: u32 = 60;

/// All state that events change.
#[derive(Debug, Default)]
pub struct Reckoner {
    pub columns: Columns,
    pub learnt: Learnt,
    pub(super) guard: Guard,
    /// The minute up to which expired guard state was removed.
    pub(super) forgotten: u32,
}

/// A view or a click.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reckoned {
    /// The image's ordinal.
    pub image: u32,
    pub kind: ActKind,
    /// The rank at which the server had served the image, from 0; `None` if it is unknown.
    pub place: Option<u32>,
    pub session_id: SessionId,
    pub source: Option<Source>,
    pub received_at: Timestamp,
}

impl Reckoner {
    /// Sources and sessions in the guard's state.
    pub fn remembered(&self) -> usize {
        self.guard.sources.len() + self.guard.visits.len()
    }

    /// Clears the guard if no event came after `minute`. Returns false if one did, or if there was nothing to clear.
    /// For callers who know that every later event is more than a day younger.
    pub fn forget_until(&mut self, minute: u32) -> bool {
        let is_idle = self.guard.minute <= minute && self.remembered() > 0;
        if is_idle {
            self.guard.sources.clear();
            self.guard.visits.clear();
        }
        is_idle
    }

    /// Applies an event under the settings of its time.
    pub fn take_in(&mut self, act: Reckoned, ranking: Ranking) {
        let Reckoned { image, kind, session_id, source, .. } = act;
        let mut counts = self.columns.counts(image);
        counts.add(kind);
        self.change(image, |known| known.counts = counts);
        if !ranking.guard {
            self.teach(act, ranking);
            return;
        }
        let deed = Deed { session_id, source, image, kind, minute: act.received_at.minute() };
        if self.guard.minute >= self.forgotten.saturating_add(FORGET_EVERY) {
            self.guard.forget();
            self.forgotten = self.guard.minute;
        }
        if self.guard.is_full(&deed, self.guard.sources.len()) {
            self.guard.make_room();
        }
        match self.guard.judge(&deed) {
            Verdict::Counts => {
                let taught = self.teach(act, ranking);
                self.guard.note(&deed, taught);
            }
            Verdict::Ignored => self.change(image, |known| known.ignored.add(kind)),
            Verdict::SourceDropped(source) => {
                self.change(image, |known| known.ignored.add(kind));
                for undone in self.guard.undo(source) {
                    let mut evidence = self.columns.evidence(undone.image);
                    let half_life = ranking.half_life_minutes();
                    self.learnt.take_back(&mut evidence, undone.kind, undone.taught, half_life);
                    self.change(undone.image, |known| {
                        known.evidence = evidence;
                        known.ignored.add(undone.kind);
                    });
                }
            }
        }
    }

    fn teach(&mut self, act: Reckoned, ranking: Ranking) -> Taught {
        let Reckoned { image, kind, place, received_at, .. } = act;
        let age = received_at.micros().saturating_sub(self.columns.created_at(image).micros());
        let mut evidence = self.columns.evidence(image);
        let act = Act { kind, place, age, minute: received_at.minute() };
        let taught = self.learnt.take_in(&mut evidence, act, ranking.half_life_minutes());
        self.change(image, |known| known.evidence = evidence);
        taught
    }

    pub(super) fn change(&mut self, image: u32, change: impl FnOnce(&mut RankedImage)) {
        let mut known = RankedImage {
            created_at: self.columns.created_at(image),
            counts: self.columns.counts(image),
            ignored: self.columns.ignored(image),
            evidence: self.columns.evidence(image),
            shown_to: self.columns.shown_to(image),
        };
        change(&mut known);
        self.columns.set(image, known);
    }
}
