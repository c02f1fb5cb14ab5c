//! The guard: the counts by which a guarded gallery ranks, for honest and forged events.

use std::collections::BTreeSet;

use eyeline_core::event::{ActKind, Source};
use eyeline_core::ranking::experiment::Control;
use eyeline_core::ranking::{
    Act, Basis, Counts, Deed, Evidence, Guard, Learnt, NETWORK_VIEWS_MAX, RankedImage, Reckoned, Reckoner,
    RulesInForce, SOURCES_MAX, Scorer, SourceState, Verdict, Visit, sequence,
};
use eyeline_core::{AccessClass, GalleryId, Ranking, SessionId, Strategy, Timestamp};
use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;
use uuid::Uuid;

const NOW: i64 = 1_900_000_000_000_000;
const MINUTE: i64 = 60_000_000;
const GUARDED: Ranking = Ranking {
    strategy: Strategy::Weight,
    factors: eyeline_core::WeightFactors { view_weight: 1, click_weight: 7 },
    half_life_s: None,
    guard: true,
    holdout_percent: 0,
    holdout_control: Control::Newest,
};

/// A gallery of `images` images, none seen yet.
fn gallery(images: u32) -> Reckoner {
    let mut gallery = Reckoner::default();
    for ordinal in 0..images {
        let created_at = Timestamp::from_micros(NOW - i64::from(ordinal) * MINUTE);
        let (counts, evidence) = (Counts::default(), Evidence::default());
        let shown_to = Some(AccessClass::Public);
        gallery.columns.set(ordinal, RankedImage { created_at, counts, ignored: counts, evidence, shown_to });
    }
    gallery
}

fn act(image: u32, kind: ActKind, session: u128, source: u32, minute: i64) -> Reckoned {
    let (session_id, source) = (session_id(session), Some(Source::of(source, 1)));
    let received_at = Timestamp::from_micros(NOW + minute * MINUTE);
    Reckoned { image, kind, place: Some(image), session_id, source, received_at }
}

fn session_id(number: u128) -> SessionId {
    Uuid::from_u128(number).into()
}

fn view(image: u32, session: u128, source: u32) -> Reckoned {
    act(image, ActKind::View, session, source, 0)
}

fn click(image: u32, session: u128, source: u32) -> Reckoned {
    act(image, ActKind::Click, session, source, 0)
}

fn reckon(gallery: &mut Reckoner, acts: impl IntoIterator<Item = Reckoned>) {
    acts.into_iter().for_each(|act| gallery.take_in(act, GUARDED));
}

fn orders(gallery: &Reckoner) -> Vec<Vec<u32>> {
    let (columns, learnt, rules) = (&gallery.columns, &gallery.learnt, &RulesInForce::default());
    let (gallery_id, now) = (GalleryId(Uuid::from_u128(1)), Timestamp::from_micros(NOW + MINUTE));
    let order = |strategy| {
        let ranking = Ranking { strategy, ..GUARDED };
        sequence(
            &Scorer::new(Basis { columns, learnt, ranking, rules, gallery_id, snapshot: 0, now }),
            AccessClass::Public,
        )
    };
    Strategy::ALL.into_iter().map(order).collect()
}

/// Sources of two networks with three browsers each; 0 is a robot.
fn of_some_network(number: u32) -> Source {
    if number == 0 { Source::ROBOT } else { Source::of(number % 2, number) }
}

fn counts(views: u64, clicks: u64) -> Counts {
    Counts { views, clicks }
}

/// Three hundred visitors who see twenty images each and click some.
fn visitors(gallery: &mut Reckoner) {
    for visitor in 0..300u32 {
        let of = |image, kind| act(image, kind, u128::from(visitor), 1_000 + visitor, 0);
        reckon(gallery, (0..20).map(|image| of(image, ActKind::View)));
        if visitor % 3 == 0 {
            reckon(gallery, [of(visitor / 3 % 20, ActKind::Click)]);
        }
    }
}

#[test]
fn what_people_do_counts() {
    let mut gallery = gallery(30);
    visitors(&mut gallery);
    assert_eq!(gallery.columns.counted(0), counts(300, 5));
    assert!((0..30).all(|image| gallery.columns.ignored(image) == Counts::default()));
}

#[test]
fn ten_thousand_forged_clicks_move_nothing_from_one_source_or_fifty() {
    for sources in [1, 50] {
        for (what, with_views, sessions) in [
            ("clicks alone", false, 10_000),
            ("each with a view, in a session of its own", true, 10_000),
            ("with one view, in one session of each source", true, sources),
        ] {
            let mut gallery = gallery(30);
            visitors(&mut gallery);
            let before = orders(&gallery);
            for number in 0..10_000u64 {
                let (session, source) = (1_000_000 + u128::from(number % sessions), (number % sources) as u32 + 1);
                if with_views && number < sessions {
                    reckon(&mut gallery, [view(25, session, source)]);
                }
                reckon(&mut gallery, [click(25, session, source)]);
            }
            assert_eq!(gallery.columns.counted(25), Counts::default(), "{what} from {sources}");
            assert_eq!(gallery.columns.counts(25).clicks, 10_000, "the exact number is kept");
            assert_eq!(gallery.columns.evidence(25).clicks, 0.0);
            assert_eq!(gallery.columns.evidence(25).exposure, 0.0);
            let after = orders(&gallery);
            for (strategy, (before, after)) in Strategy::ALL.into_iter().zip(before.into_iter().zip(after)) {
                let place = |order: &[u32]| order.iter().position(|image| *image == 25);
                assert!(place(&after) >= place(&before), "{strategy:?}: {what} from {sources}");
            }
        }
    }
}

#[test]
fn who_takes_another_name_for_each_click_is_told_by_the_network() {
    let mut gallery = gallery(30);
    visitors(&mut gallery);
    for number in 0..10_000 {
        let named = |act: Reckoned| Reckoned { source: Some(Source::of(7, number)), ..act };
        let session = 1_000_000 + u128::from(number);
        reckon(&mut gallery, [named(view(25, session, 7)), named(click(25, session, 7))]);
    }
    assert_eq!((gallery.columns.counted(25), gallery.columns.counts(25)), (counts(0, 0), counts(10_000, 10_000)));
    assert_eq!(gallery.columns.counted(0), counts(300, 5), "people of other networks count");
}

#[test]
fn a_click_needs_a_view_and_counts_once_in_a_session() {
    let mut gallery = gallery(3);
    reckon(&mut gallery, [click(0, 1, 1), view(0, 1, 1), view(0, 1, 1), click(0, 1, 1), click(0, 1, 1), view(0, 2, 2)]);
    assert_eq!((gallery.columns.counted(0), gallery.columns.counts(0)), (counts(2, 1), counts(3, 3)));
    // The session goes on from another network.
    reckon(&mut gallery, [view(1, 1, 1), view(1, 1, 3), click(1, 1, 3)]);
    assert_eq!(gallery.columns.counted(1), counts(1, 1));
}

#[test]
fn a_source_counts_sixty_times_a_minute_and_clicks_an_image_once_a_day() {
    let mut gallery = gallery(300);
    reckon(&mut gallery, (0..100).map(|image| view(image, 1, 1)));
    let counted = |gallery: &Reckoner| (0..300).map(|image| gallery.columns.counted(image).views).sum::<u64>();
    assert_eq!(counted(&gallery), 60);
    reckon(&mut gallery, (100..200).map(|image| act(image, ActKind::View, 1, 1, 1)));
    assert_eq!(counted(&gallery), 120);
    let again =
        |session, minute| [act(299, ActKind::View, session, 1, minute), act(299, ActKind::Click, session, 1, minute)];
    reckon(&mut gallery, again(2, 2));
    reckon(&mut gallery, again(3, 3));
    assert_eq!(gallery.columns.counted(299), counts(2, 1));
    reckon(&mut gallery, again(4, 24 * 60));
    assert_eq!(gallery.columns.counted(299), counts(3, 2), "the next day it is a source like any other");
}

#[test]
fn a_network_counts_for_so_many_views_a_day_and_can_be_withdrawn_whole() {
    let mut gallery = gallery(2);
    // One browser name for each session, so that only the network's bound holds.
    let named = |number: u32, act: Reckoned| Reckoned { source: Some(Source::of(7, number)), ..act };
    let looks = |range: std::ops::Range<u32>| range.map(|number| named(number, view(0, number.into(), 7)));
    reckon(&mut gallery, looks(0..NETWORK_VIEWS_MAX + 1_000));
    assert_eq!(gallery.columns.counted(0).views, u64::from(NETWORK_VIEWS_MAX));
    assert_eq!(gallery.columns.counts(0).views, u64::from(NETWORK_VIEWS_MAX) + 1_000, "the exact number is kept");
    reckon(&mut gallery, [view(1, 1 << 40, 8)]);
    assert_eq!(gallery.columns.counted(1).views, 1, "people of other networks count");
    reckon(&mut gallery, (0..NETWORK_VIEWS_MAX).map(|number| named(number, click(0, number.into(), 7))));
    assert_eq!(gallery.columns.counted(0), Counts::default(), "found out as a robot");
}

#[test]
fn a_robot_that_says_so_counts_for_nothing_and_a_server_that_says_nothing_by_its_sessions() {
    let mut gallery = gallery(2);
    let robot = Reckoned { source: Some(Source::ROBOT), ..view(0, 1, 1) };
    reckon(&mut gallery, [robot, Reckoned { kind: ActKind::Click, ..robot }]);
    assert_eq!(gallery.columns.counted(0), Counts::default());
    for session in 0..100 {
        let unknown = Reckoned { source: None, ..view(1, session, 1) };
        let click = Reckoned { kind: ActKind::Click, ..unknown };
        reckon(&mut gallery, [unknown, click, click]);
    }
    assert_eq!(gallery.columns.counted(1), counts(100, 100));
}

#[test]
fn without_a_guard_every_act_ranks() {
    let mut gallery = gallery(2);
    let unguarded = Ranking { guard: false, ..GUARDED };
    (0..500).for_each(|_| gallery.take_in(click(1, 1, 1), unguarded));
    assert_eq!(gallery.columns.counted(1), counts(0, 500));
}

fn acts() -> impl Generator<Value = Vec<Reckoned>> {
    let kind = prop_oneof![3 => Just(ActKind::View), 2 => Just(ActKind::Click)];
    let source = prop_oneof![1 => Just(None), 1 => Just(Some(0)), 8 => (1..7u32).prop_map(Some)];
    let drawn = (0..6u32, kind, 0..12u128, source, prop_oneof![8 => 0..2i64, 1 => 0..1_000i64], any::<bool>());
    prop::collection::vec(drawn, 0..300).prop_map(|acts| {
        let mut minute = 0;
        let next = |(image, kind, session, source, pause, placed): (u32, _, u128, Option<u32>, i64, bool)| {
            minute += pause;
            let (place, source) = (placed.then_some(image), source.map(of_some_network));
            Reckoned { place, source, ..act(image, kind, session, 1, minute) }
        };
        acts.into_iter().map(next).collect()
    })
}

proptest! {
    #[test]
    fn the_exact_numbers_are_of_all_acts_and_what_counts_is_a_part_of_them(acts in acts()) {
        let mut gallery = gallery(6);
        reckon(&mut gallery, acts.clone());
        for image in 0..6 {
            let of = |kind| acts.iter().filter(|act| act.image == image && act.kind == kind).count() as u64;
            let exact = gallery.columns.counts(image);
            prop_assert_eq!(exact, counts(of(ActKind::View), of(ActKind::Click)));
            let ignored = gallery.columns.ignored(image);
            prop_assert!(ignored.views <= exact.views && ignored.clicks <= exact.clicks);
            let minutes = acts.iter().map(|act| act.received_at.micros() / MINUTE);
            if minutes.clone().max() >= minutes.min().map(|first| first + 1_440) {
                // On another day a session may count again.
                continue;
            }
            let sessions = |kind| {
                let acts = acts.iter().filter(|act| act.image == image && act.kind == kind);
                acts.map(|act| act.session_id).collect::<BTreeSet<_>>().len()
            };
            let counted = gallery.columns.counted(image);
            prop_assert!(counted.views <= sessions(ActKind::View) as u64);
            prop_assert!(counted.clicks <= sessions(ActKind::Click) as u64);
        }
    }

    #[test]
    fn ranking_learns_from_what_counts_and_from_nothing_else(acts in acts()) {
        let mut gallery = gallery(6);
        reckon(&mut gallery, acts);
        let mut views = 0;
        for image in 0..6 {
            let (evidence, counted) = (gallery.columns.evidence(image), gallery.columns.counted(image));
            views += counted.views;
            // No act is half as old as the half-life.
            prop_assert!(evidence.views <= counted.views as f32 + 1e-3, "{evidence:?} of {counted:?}");
            prop_assert!(evidence.views >= counted.views as f32 * 0.4 - 1e-3, "{evidence:?} of {counted:?}");
            prop_assert!(evidence.clicks <= counted.clicks as f32 + 1e-3, "{evidence:?} of {counted:?}");
            prop_assert!(evidence.clicks >= counted.clicks as f32 * 0.4 - 1e-3, "{evidence:?} of {counted:?}");
            prop_assert!(evidence.hits >= 0.0 && evidence.exposure >= 0.0);
        }
        prop_assert_eq!(gallery.learnt.views, views);
    }

    #[test]
    fn what_a_guard_remembers_can_be_stored(acts in acts(), cut in any::<prop::sample::Index>()) {
        let mut guard = Guard::default();
        let mut learnt = Learnt::default();
        for act in &acts {
            let Reckoned { image, kind, session_id, source, .. } = *act;
            let minute = act.received_at.minute();
            let deed = Deed { session_id, source, image, kind, minute };
            if guard.judge(&deed) == Verdict::Counts {
                let taught = Act { kind, place: act.place, age: 5, minute };
                let taught = learnt.take_in(&mut Evidence::default(), taught, 20_160.0);
                guard.note(&deed, taught);
            }
        }
        for state in guard.sources.values() {
            let bytes = state.to_bytes();
            prop_assert_eq!(SourceState::from_bytes(&bytes), Some(state.clone()));
            prop_assert_eq!(SourceState::from_bytes(&bytes[..cut.index(20)]), None);
        }
        for visit in guard.visits.values().flatten() {
            let bytes = visit.to_bytes();
            prop_assert_eq!(Visit::from_bytes(visit.source, visit.since, &bytes), Some(visit.clone()));
            prop_assert_eq!(Visit::from_bytes(None, 0, &bytes[..cut.index(1)]), None);
        }
    }
}

#[test]
fn over_its_bound_the_guard_forgets_the_oldest_sources() {
    let mut gallery = gallery(1);
    let of = |browser: u32, kind, session, minute| Reckoned {
        source: Some(Source::of(1 + browser / 999, browser + 1)),
        ..act(0, kind, session, 1, minute)
    };
    let views = |browsers: std::ops::Range<u32>, minute| {
        browsers.map(move |browser| of(browser, ActKind::View, u128::from(browser), minute))
    };
    // Each network of 999 browsers is a source too.
    let max = SOURCES_MAX as u32 / 1_000 * 999;
    reckon(&mut gallery, views(0..10, 0));
    reckon(&mut gallery, views(10..max, 1));
    // One of the first has used up its day. Once it is forgotten, it may click again.
    reckon(&mut gallery, (0..9).map(|_| of(0, ActKind::Click, 0, 1)));
    assert_eq!(gallery.columns.counted(0), counts(max.into(), 1));
    reckon(&mut gallery, views(max..max + 1, 2));
    assert_eq!(gallery.columns.counted(0), counts(u64::from(max) + 1, 1));
    reckon(&mut gallery, [of(0, ActKind::View, 7_000_000, 3), of(0, ActKind::Click, 7_000_000, 3)]);
    assert_eq!(gallery.columns.counted(0), counts(u64::from(max) + 2, 2));
}
