//! The settings on which counting depends: `rebuild` recounts events under the settings of their time, and only changes
//! of these settings are stored.

use eyeline_core::event::{ActKind, Source};
use eyeline_core::ranking::experiment::Control;
use eyeline_core::ranking::{Counts, Evidence, Learnt, Piece, PieceKind, RankedImage, Reckoned, Reckoner};
use eyeline_core::{AccessClass, Ranking, SessionId, Strategy, Timestamp, WeightFactors};
use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;
use uuid::Uuid;

const IMAGES: u32 = 5;
const NOW: i64 = 1_900_000_000_000_000;
const MINUTE: i64 = 60_000_000;

fn gallery() -> Reckoner {
    let mut gallery = Reckoner::default();
    for ordinal in 0..IMAGES {
        let created_at = Timestamp::from_micros(NOW - i64::from(ordinal) * 700 * MINUTE);
        let (counts, evidence) = (Counts::default(), Evidence::default());
        let shown_to = Some(AccessClass::Public);
        gallery.columns.set(ordinal, RankedImage { created_at, counts, ignored: counts, evidence, shown_to });
    }
    gallery
}

fn ranking() -> impl Generator<Value = Ranking> {
    let half_life_s = prop_oneof![
        Just(None),
        Just(Some(Ranking::HALF_LIFE_S)),
        prop::sample::select(&[3_600, 86_400, 315_360_000]).prop_map(Some)
    ];
    let control = prop::sample::select(&[Control::Newest, Control::Weight]);
    let strategy = prop::sample::select(&Strategy::ALL);
    (strategy, 0..3u32, 0..9u32, half_life_s, any::<bool>(), 0..50u8, control).prop_map(
        |(strategy, view_weight, click_weight, half_life_s, guard, holdout_percent, holdout_control)| Ranking {
            strategy,
            factors: WeightFactors { view_weight, click_weight },
            half_life_s,
            guard,
            holdout_percent,
            holdout_control,
        },
    )
}

/// Acts over minutes, hours and days, each with the settings of its time.
fn acts() -> impl Generator<Value = Vec<(Reckoned, Ranking)>> {
    let kind = prop_oneof![3 => Just(ActKind::View), 1 => Just(ActKind::Click)];
    let pause = prop_oneof![6 => Just(0i64), 3 => 1..90i64, 1 => 1_000..9_000i64];
    let place = prop::option::weighted(0.8, 0..40u32);
    let settings = prop::option::weighted(0.1, ranking());
    let act = (0..IMAGES, kind, place, 0..9u128, prop::option::of(1..5u32), pause, settings);
    (ranking(), prop::collection::vec(act, 1..200)).prop_map(|(mut ranking, acts)| {
        let mut minute = 0;
        let next = |(image, kind, place, session, source, pause, settings): (_, _, _, u128, Option<u32>, _, _)| {
            minute += pause;
            ranking = Option::unwrap_or(settings, ranking);
            let (session_id, source) = (SessionId(Uuid::from_u128(session)), source.map(|of| Source::of(of, 1)));
            let received_at = Timestamp::from_micros(NOW + minute * MINUTE);
            (Reckoned { image, kind, place, session_id, source, received_at }, ranking)
        };
        acts.into_iter().map(next).collect()
    })
}

/// The whole result of counting.
fn left(gallery: &Reckoner) -> (&Learnt, Vec<RankedImage>) {
    let columns = &gallery.columns;
    let image = |ordinal| RankedImage {
        created_at: columns.created_at(ordinal),
        counts: columns.counts(ordinal),
        ignored: columns.ignored(ordinal),
        evidence: columns.evidence(ordinal),
        shown_to: columns.shown_to(ordinal),
    };
    (&gallery.learnt, (0..IMAGES).map(image).collect())
}

/// The same gallery, counted further from its stored state.
fn stored_and_put_back(gallery: Reckoner) -> Reckoner {
    let mut again = self::gallery();
    for piece in gallery.pieces() {
        again.put_back(&piece).expect("a piece of today");
    }
    again
}

fn pieces(gallery: &Reckoner) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = gallery.pieces().collect();
    pieces.sort();
    pieces
}

/// A stored base replaces all earlier events.
#[test]
fn pieces_of_the_first_layout_stay_readable() {
    let evidence = Evidence { views: 2.5, clicks: 1.0, hits: 0.5, exposure: 2.0, touched: 77 };
    let numbers: [u64; 4] = [3, 2, 1, 0];
    let numbers = numbers.map(u64::to_le_bytes);
    let image = [&[1], &4u32.to_le_bytes()[..], numbers.as_flattened(), &evidence.to_bytes()].concat();
    let mut learnt = Learnt::default();
    (learnt.minute, learnt.views) = (9, 3);
    let of_gallery = [&[1], &9u32.to_le_bytes()[..], &6u32.to_le_bytes(), &learnt.to_bytes()].concat();
    // Not dropped, since minute 5, two views, a click, one act in minute 9, image 4 clicked.
    let numbers = [5u32, 2, 1, 9, 1, 4].map(u32::to_le_bytes);
    let source = [&[1, 0], numbers.as_flattened()].concat();
    // From source 7, since minute 5, 41 bytes: image 4, seen at an unknown place in minute 9, not clicked.
    let view = [&[254, 0], &9u32.to_le_bytes()[..], &[0; 12]].concat();
    let seen = [&[1], &4u32.to_le_bytes()[..], &view, &[255; 18]].concat();
    let session = [&[1], &7u64.to_le_bytes()[..], &5u32.to_le_bytes(), &41u32.to_le_bytes(), &seen].concat();
    let session_id = SessionId(Uuid::from_u128(8));
    let stored = [
        (PieceKind::Gallery, Vec::new(), of_gallery),
        (PieceKind::Images, vec![0; 4], image),
        (PieceKind::Source, vec![0, 0, 0, 0, 0, 0, 0, 7], source),
        (PieceKind::Session, PieceKind::key_of(session_id), session),
    ];
    let stored = stored.map(|(kind, key, state)| Piece { kind, key, state });
    assert_eq!(stored.clone().map(|piece| piece.kind.number()), [0, 1, 2, 3]);
    let mut gallery = gallery();
    for piece in &stored {
        gallery.put_back(piece).unwrap_or_else(|| panic!("{piece:?}"));
    }
    assert_eq!(gallery.learnt, learnt);
    let counts = (gallery.columns.counts(4), gallery.columns.ignored(4), gallery.columns.evidence(4));
    assert_eq!(counts, (Counts { views: 3, clicks: 2 }, Counts { views: 1, clicks: 0 }, evidence));
    assert_eq!(pieces(&gallery), stored);
}

#[test]
fn a_piece_that_was_cut_short_or_is_of_an_unknown_layout_is_refused() {
    let mut counted = gallery();
    for (session, minute) in [(1, 0), (2, 3)] {
        let source = Some(Source::of(7, 1));
        let received_at = Timestamp::from_micros(NOW + minute * MINUTE);
        let session_id = SessionId(Uuid::from_u128(session));
        let act = Reckoned { image: 1, kind: ActKind::View, place: Some(2), session_id, source, received_at };
        counted.take_in(act, Ranking { guard: true, ..Ranking::default() });
    }
    let pieces = pieces(&counted);
    let kinds: Vec<u32> = pieces.iter().map(|piece| piece.kind.number()).collect();
    assert_eq!(kinds, [0, 1, 2, 2, 3, 3], "the gallery, its images, a source and its network, two sessions");
    for piece in pieces {
        let mut other = gallery();
        let cut_short = Piece { state: piece.state[..piece.state.len() - 1].to_vec(), ..piece.clone() };
        assert_eq!(other.put_back(&cut_short), None, "{cut_short:?}");
        let mut newer = piece;
        newer.state[0] = 200;
        assert_eq!(other.put_back(&newer), None, "{newer:?}");
    }
}

proptest! {
    #[test]
    fn wherever_counting_is_cut_it_goes_on_from_what_was_stored_as_if_it_had_not_been(
        acts in acts(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let (mut whole, mut cut) = (gallery(), gallery());
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(acts.len())).collect();
        for (number, (act, ranking)) in acts.into_iter().enumerate() {
            if cuts.contains(&number) {
                cut = stored_and_put_back(cut);
            }
            whole.take_in(act, ranking);
            cut.take_in(act, ranking);
        }
        prop_assert_eq!(left(&cut), left(&whole));
        prop_assert_eq!(pieces(&cut), pieces(&whole));
    }

    #[test]
    fn settings_that_count_alike_leave_the_same(acts in acts(), other in ranking()) {
        let (mut one, mut another) = (gallery(), gallery());
        for (act, ranking) in acts {
            // Everything else differs.
            let alike = Ranking { guard: ranking.guard, half_life_s: ranking.half_life_s, ..other };
            prop_assert!(ranking.counts_like(alike));
            one.take_in(act, ranking);
            another.take_in(act, alike);
        }
        prop_assert_eq!(left(&one), left(&another));
    }

    #[test]
    fn a_half_life_decays_what_is_touched_later_by_the_half_life_of_that_time(
        days in 1..30i64,
        hours_before in 1..100u32,
        hours_after in 1..100u32,
    ) {
        let of = |hours: u32| Ranking { half_life_s: Some(hours * 3_600), ..Ranking::default() };
        let act = |minute: i64| Reckoned {
            image: 0,
            kind: ActKind::View,
            place: None,
            session_id: SessionId(Uuid::from_u128(1)),
            source: None,
            received_at: Timestamp::from_micros(NOW + minute * MINUTE),
        };
        let mut gallery = gallery();
        gallery.take_in(act(0), of(hours_before));
        gallery.take_in(act(days * 1_440), of(hours_after));
        let expected = 1.0 + (-(days as f64) * 24.0 / f64::from(hours_after)).exp2();
        prop_assert!((f64::from(gallery.columns.evidence(0).views) - expected).abs() < 1e-6);
    }
}
