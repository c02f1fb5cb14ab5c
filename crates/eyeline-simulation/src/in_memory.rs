//! Lets a crowd visit the ranking in memory, with the server's columns, folds and orders and without HTTP.

use eyeline_core::event::{ActKind, Source};
use eyeline_core::ranking::{Basis, Counts, Evidence, RankedImage, Reckoned, Reckoner, RulesInForce, Scorer, sequence};
use eyeline_core::{AccessClass, GalleryId, Ranking, Timestamp};

use crate::crowd::{Actor, CLICKS_OF_BOT, Crowd, Look};
use crate::world::{PLACES_MAX, Scenario};
use crate::{Report, at};

/// Plays all sessions of a scenario. The draws depend on the gallery's id.
pub fn play(scenario: Scenario, ranking: Ranking, seed: u64, gallery_id: GalleryId) -> Report {
    let mut crowd = Crowd::new(scenario, seed);
    let mut gallery = Gallery { ranking, gallery_id, reckoner: Reckoner::default() };
    for session in (0..scenario.sessions).step_by(scenario.refresh) {
        gallery.round(&mut crowd, session, scenario.refresh.min(scenario.sessions - session));
    }
    crowd.report()
}

struct Gallery {
    ranking: Ranking,
    gallery_id: GalleryId,
    reckoner: Reckoner,
}

impl Gallery {
    /// Publishes the orders and lets the visitors come up to the next publication. Their acts are received immediately.
    fn round(&mut self, crowd: &mut Crowd, session: usize, sessions: usize) {
        crowd.advance(session);
        let now = at(session as f64);
        for image in self.reckoner.columns.len()..crowd.images() {
            let (counts, evidence) = (Counts::default(), Evidence::default());
            let (created_at, shown_to) = (at(crowd.born(image)), Some(AccessClass::Public));
            let new = RankedImage { created_at, counts, ignored: counts, evidence, shown_to };
            self.reckoner.columns.set(ordinal(image), new);
        }
        let orders: Vec<Vec<u32>> =
            (0..self.ranking.strategy.snapshots()).map(|snapshot| self.order(snapshot, now)).collect();
        for session in session..session + sessions {
            let mut visit = crowd.visit(session);
            let mut order = orders[visit.snapshot(orders.len())].iter();
            while order.next().is_some_and(|image| crowd.look(&mut visit, *image as usize)) {}
            for (place, Look { image, clicked }) in (0..).zip(visit.looks.iter().copied()) {
                self.act(visit.actor, image, ActKind::View, Some(place), now);
                if clicked {
                    self.act(visit.actor, image, ActKind::Click, Some(place), now);
                }
            }
            crowd.take_in(&visit);
        }
        for bot in crowd.bots(sessions) {
            for image in bot.images {
                self.act(bot.actor, image, ActKind::View, None, now);
                for _ in 0..CLICKS_OF_BOT {
                    self.act(bot.actor, image, ActKind::Click, None, now);
                }
            }
        }
    }

    fn order(&self, snapshot: u8, now: Timestamp) -> Vec<u32> {
        let Gallery { reckoner, ranking, gallery_id } = self;
        let learnt = &reckoner.learnt.folded(now.minute(), ranking.half_life_minutes());
        let (columns, rules) = (&reckoner.columns, &RulesInForce::default());
        let (ranking, gallery_id) = (*ranking, *gallery_id);
        let scorer = Scorer::new(Basis { columns, learnt, ranking, rules, gallery_id, snapshot, now });
        let mut order = sequence(&scorer, AccessClass::Public);
        order.truncate(PLACES_MAX);
        order
    }

    fn act(&mut self, actor: Actor, image: usize, kind: ActKind, place: Option<u32>, received_at: Timestamp) {
        let Actor { session_id, network } = actor;
        let (image, source) = (ordinal(image), Some(Source::of(network + 1, 1)));
        self.reckoner.take_in(Reckoned { image, kind, place, session_id, source, received_at }, self.ranking);
    }
}

fn ordinal(image: usize) -> u32 {
    u32::try_from(image).unwrap_or(u32::MAX)
}
