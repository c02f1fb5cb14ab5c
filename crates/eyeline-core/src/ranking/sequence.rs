//! Builds an order from columns: the ordinals of the images that a class sees, top first.

use std::cmp::Reverse;

use super::Strategy;
use super::score::{Basis, Key, Scorer};
use crate::AccessClass;

/// Builds the whole order: visible images without excluded ones, sorted, then arranged by the rules.
pub fn sequence(scorer: &Scorer<'_>, class: AccessClass) -> Vec<u32> {
    let Basis { columns, rules, .. } = scorer.basis();
    let ordinals = 0..u32::try_from(columns.len()).unwrap_or(u32::MAX);
    let shown = ordinals.filter(|ordinal| columns.shows(*ordinal, class) && !rules.excludes(*ordinal));
    rules.arrange(sorted(scorer, shown))
}

/// Builds the order from `previous`, which was right for the same settings and class before the images in `changed`
/// changed. Equal to [`sequence`]. Where a score depends on its image alone, unchanged images are copied.
pub fn resequence(scorer: &Scorer<'_>, class: AccessClass, previous: &[u32], changed: &[u32]) -> Vec<u32> {
    let basis = scorer.basis();
    let columns = basis.columns;
    let alone = matches!(basis.ranking.strategy, Strategy::Newest | Strategy::Weight) && basis.rules.is_empty();
    // With many changes a full sort is faster than a search for each.
    if !alone || changed.len() > columns.len() / 8 {
        return sequence(scorer, class);
    }
    // A bit for each image instead of a second list: for a large gallery a list is megabytes of fresh memory.
    let mut moves = vec![0_u64; columns.len().div_ceil(64)];
    let mut arriving = Vec::with_capacity(changed.len());
    for ordinal in changed {
        let (word, bit) = bit_of(*ordinal);
        if let Some(word) = moves.get_mut(word)
            && *word & bit == 0
        {
            *word |= bit;
            arriving.push(*ordinal);
        }
    }
    let is_leaving = |ordinal: &u32| {
        let (word, bit) = bit_of(*ordinal);
        moves[word] & bit != 0
    };
    let mut arriving =
        sorted(scorer, arriving.into_iter().filter(|ordinal| columns.shows(*ordinal, class))).into_iter().peekable();

    let mut merged = Vec::with_capacity(previous.len() + arriving.len());
    for mut staying in previous.split(is_leaving) {
        while let Some(ordinal) = arriving.peek() {
            let place = scorer.key(*ordinal);
            let (before, after) = staying.split_at(staying.partition_point(|other| scorer.key(*other) > place));
            if after.is_empty() {
                // It comes after these, and perhaps after others.
                break;
            }
            merged.extend_from_slice(before);
            merged.extend(arriving.next());
            staying = after;
        }
        merged.extend_from_slice(staying);
    }
    merged.extend(arriving);
    merged
}

/// The image's word in a list of bits, and its bit there.
fn bit_of(ordinal: u32) -> (usize, u64) {
    (ordinal as usize / 64, 1 << (ordinal % 64))
}

fn sorted(scorer: &Scorer<'_>, ordinals: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut keys: Vec<Reverse<Key>> = ordinals.map(|ordinal| Reverse(scorer.key(ordinal))).collect();
    keys.sort_unstable();
    keys.into_iter().map(|Reverse((_, _, ordinal))| ordinal).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use proptest::strategy::Strategy as Generator;
    use uuid::Uuid;

    use super::super::{Columns, Counts, Evidence, Learnt, RankedImage, Ranking, RulesInForce};
    use super::*;
    use crate::event::ActKind;
    use crate::ranking::Act;
    use crate::{GalleryId, Timestamp, WeightFactors};

    const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

    fn class() -> impl Generator<Value = Option<AccessClass>> {
        prop_oneof![
            Just(None),
            Just(Some(AccessClass::Public)),
            Just(Some(AccessClass::Premium)),
            Just(Some(AccessClass::Project))
        ]
    }

    /// Small ranges, so that ties of every kind happen.
    fn image() -> impl Generator<Value = RankedImage> {
        (0..4i64, 0..20u64, 0..4u64, class()).prop_map(|(created_at, views, clicks, shown_to)| RankedImage {
            created_at: Timestamp::from_micros(created_at),
            counts: Counts { views, clicks },
            ignored: Counts::default(),
            evidence: Evidence::default(),
            shown_to,
        })
    }

    fn ranking(strategies: &'static [Strategy]) -> impl Generator<Value = Ranking> {
        (prop::sample::select(strategies), 0..3u32, 0..9u32).prop_map(|(strategy, view_weight, click_weight)| Ranking {
            strategy,
            factors: WeightFactors { view_weight, click_weight },
            ..Ranking::default()
        })
    }

    const EXACT: [Strategy; 2] = [Strategy::Newest, Strategy::Weight];

    fn classes() -> [AccessClass; 4] {
        [AccessClass::Public, AccessClass::Premium, AccessClass::Business, AccessClass::Project]
    }

    /// The order as the contract words it, by picking the best of what is left again and again.
    fn naive(images: &[RankedImage], ranking: Ranking, class: AccessClass) -> Vec<u32> {
        let seen = |image: &RankedImage| image.shown_to.is_some_and(|least| least <= class);
        let mut left: Vec<usize> = (0..images.len()).filter(|index| seen(&images[*index])).collect();
        let WeightFactors { view_weight, click_weight } = ranking.factors;
        let weight = |image: &RankedImage| match ranking.strategy {
            Strategy::Weight => {
                u64::from(view_weight) * image.counts.views + u64::from(click_weight) * image.counts.clicks
            }
            _ => 0,
        };
        let comes_first = |a: usize, b: usize| {
            let (one, other) = (&images[a], &images[b]);
            if weight(one) != weight(other) {
                return weight(one) > weight(other);
            }
            if one.created_at != other.created_at {
                return one.created_at > other.created_at;
            }
            a > b
        };
        let mut order = Vec::new();
        while let Some(best) =
            left.iter().copied().reduce(|best, next| if comes_first(next, best) { next } else { best })
        {
            left.retain(|index| *index != best);
            order.push(u32::try_from(best).expect("small"));
        }
        order
    }

    fn columns(images: &[RankedImage]) -> Columns {
        let mut columns = Columns::default();
        for (ordinal, image) in (0..).zip(images) {
            columns.set(ordinal, *image);
        }
        columns
    }

    fn no_rules() -> &'static RulesInForce {
        static NONE: std::sync::LazyLock<RulesInForce> = std::sync::LazyLock::new(RulesInForce::default);
        &NONE
    }

    fn basis<'a>(columns: &'a Columns, learnt: &'a Learnt, ranking: Ranking) -> Basis<'a> {
        let gallery_id = GalleryId(Uuid::from_u128(7));
        Basis { columns, learnt, ranking, rules: no_rules(), gallery_id, snapshot: 0, now: NOW }
    }

    fn order(columns: &Columns, ranking: Ranking, class: AccessClass) -> Vec<u32> {
        sequence(&Scorer::new(basis(columns, &Learnt::default(), ranking)), class)
    }

    /// A gallery after some acts, each of an image, at a place or none, so many minutes after the one before it.
    fn visited(images: &[RankedImage], acts: &[(usize, bool, Option<u32>, u32)]) -> (Columns, Learnt) {
        let mut columns = columns(images);
        let mut learnt = Learnt::default();
        let mut minute = NOW.minute() - 100_000;
        for (index, click, place, pause) in acts {
            minute += pause;
            let ordinal = u32::try_from(index % images.len()).expect("small");
            let image = images[index % images.len()];
            let (mut counts, mut evidence) = (columns.counts(ordinal), columns.evidence(ordinal));
            let kind = if *click { ActKind::Click } else { ActKind::View };
            match kind {
                ActKind::View => counts.views += 1,
                ActKind::Click => counts.clicks += 1,
            }
            let age = i64::from(minute) * 60_000_000 - image.created_at.micros();
            let act = Act { kind, place: *place, age, minute };
            learnt.take_in(&mut evidence, act, Ranking::default().half_life_minutes());
            columns.set(ordinal, RankedImage { counts, evidence, ..image });
        }
        (columns, learnt)
    }

    fn acts() -> impl Generator<Value = Vec<(usize, bool, Option<u32>, u32)>> {
        let place = prop_oneof![Just(None), (0..300u32).prop_map(Some)];
        let act = (any::<usize>(), prop::bool::weighted(0.2), place, prop_oneof![Just(0u32), 1..200u32]);
        prop::collection::vec(act, 0..700)
    }

    proptest! {
        #[test]
        fn the_order_is_the_one_that_the_contract_words(
            images in prop::collection::vec(image(), 0..60),
            ranking in ranking(&EXACT),
        ) {
            let columns = columns(&images);
            for class in classes() {
                prop_assert_eq!(order(&columns, ranking, class), naive(&images, ranking, class));
            }
        }

        #[test]
        fn an_order_carried_on_equals_one_made_from_nothing(
            mut images in prop::collection::vec(image(), 1..200),
            changes in prop::collection::vec((0..220u32, image()), 0..40),
            ranking in ranking(&EXACT),
        ) {
            let mut columns = columns(&images);
            let previous = classes().map(|class| order(&columns, ranking, class));
            let mut changed = Vec::new();
            for (ordinal, image) in changes {
                if ordinal as usize >= images.len() {
                    images.resize(ordinal as usize + 1, RankedImage {
                        created_at: Timestamp::from_micros(0),
                        counts: Counts::default(),
                        ignored: Counts::default(),
                        evidence: Evidence::default(),
                        shown_to: None,
                    });
                }
                images[ordinal as usize] = image;
                columns.set(ordinal, image);
                changed.push(ordinal);
            }
            let learnt = Learnt::default();
            let scorer = Scorer::new(basis(&columns, &learnt, ranking));
            for (class, previous) in classes().into_iter().zip(previous) {
                let carried_on = resequence(&scorer, class, &previous, &changed);
                prop_assert_eq!(&carried_on, &order(&columns, ranking, class));
                prop_assert_eq!(&carried_on, &naive(&images, ranking, class));
            }
        }

        #[test]
        fn without_any_event_every_strategy_is_newest_first(
            images in prop::collection::vec((0..4i64, class()), 0..60),
            ranking in ranking(&Strategy::ALL),
            snapshot in 0..4u8,
        ) {
            let images: Vec<RankedImage> = images
                .into_iter()
                .map(|(created_at, shown_to)| RankedImage {
                    created_at: Timestamp::from_micros(created_at),
                    counts: Counts::default(),
                    ignored: Counts::default(),
                    evidence: Evidence::default(),
                    shown_to,
                })
                .collect();
            let (columns, learnt) = (columns(&images), Learnt::default());
            let scorer = Scorer::new(Basis { snapshot, ..basis(&columns, &learnt, ranking) });
            let newest = Ranking { strategy: Strategy::Newest, ..ranking };
            for class in classes() {
                prop_assert_eq!(sequence(&scorer, class), naive(&images, newest, class));
            }
        }

        #[test]
        fn every_order_holds_each_image_that_is_shown_once_and_is_the_same_every_time(
            images in prop::collection::vec(image(), 1..60),
            acts in acts(),
            ranking in ranking(&Strategy::ALL),
            snapshot in 0..4u8,
        ) {
            let (columns, learnt) = visited(&images, &acts);
            let scorer = Scorer::new(Basis { snapshot, ..basis(&columns, &learnt, ranking) });
            for ordinal in 0..u32::try_from(images.len()).expect("small") {
                let score = scorer.score(ordinal);
                prop_assert!(score.is_finite() && score >= 0.0, "{score}");
            }
            for class in classes() {
                let made = sequence(&scorer, class);
                prop_assert_eq!(&made, &sequence(&scorer, class));
                let mut held = made.clone();
                held.sort_unstable();
                let mut shown = naive(&images, Ranking { strategy: Strategy::Newest, ..ranking }, class);
                shown.sort_unstable();
                prop_assert_eq!(held, shown);
                for pair in made.windows(2) {
                    prop_assert!(scorer.score(pair[0]) >= scorer.score(pair[1]));
                }
            }
        }

        #[test]
        fn the_same_acts_teach_the_same_however_they_are_stored_in_between(
            images in prop::collection::vec(image(), 1..20),
            acts in acts(),
            cut in any::<prop::sample::Index>(),
        ) {
            let (_, learnt) = visited(&images, &acts);
            let stored = Learnt::from_bytes(&learnt.to_bytes());
            prop_assert_eq!(stored.as_ref(), Some(&learnt));
            let bytes = learnt.to_bytes();
            let cut = cut.index(bytes.len());
            prop_assert_eq!(Learnt::from_bytes(&bytes[..cut]), None, "what is cut short is no state");
        }

        #[test]
        fn the_parts_of_an_appeal_give_its_score(
            images in prop::collection::vec(image(), 1..20),
            acts in acts(),
            strategy in prop::sample::select(&[Strategy::Interest, Strategy::InterestFixed]),
        ) {
            let (columns, learnt) = visited(&images, &acts);
            let ranking = Ranking { strategy, ..Ranking::default() };
            let scorer = Scorer::new(basis(&columns, &learnt, ranking));
            for ordinal in 0..u32::try_from(images.len()).expect("small") {
                let appeal = scorer.appeal(ordinal);
                let again = match appeal.draw {
                    Some(draw) => appeal.age_factor * (appeal.mean + 0.5 * (draw - appeal.mean)),
                    None => appeal.age_factor * (appeal.mean + 3.0 * appeal.deviation),
                };
                prop_assert!((again.max(0.0) - scorer.score(ordinal)).abs() < 1e-9);
                prop_assert_eq!(appeal.draw.is_some(), scorer.draws());
            }
        }

        #[test]
        fn one_more_click_never_lowers_a_score_and_one_more_view_never_raises_a_rate(
            images in prop::collection::vec(image(), 2..20),
            acts in acts(),
            place in 0..50u32,
        ) {
            let (mut columns, learnt) = visited(&images, &acts);
            let scores = |columns: &Columns| {
                let of = |strategy| {
                    let ranking = Ranking { strategy, ..Ranking::default() };
                    Scorer::new(basis(columns, &learnt, ranking)).score(0)
                };
                [Strategy::Weight, Strategy::WeightDecay, Strategy::Trending, Strategy::InterestFixed].map(of)
            };
            let before = scores(&columns);
            let mut act = |kind| {
                let (mut counts, mut evidence) = (columns.counts(0), columns.evidence(0));
                match kind {
                    ActKind::View => counts.views += 1,
                    ActKind::Click => counts.clicks += 1,
                }
                let act = Act { kind, place: Some(place), age: 0, minute: learnt.minute };
                learnt.clone().take_in(&mut evidence, act, Ranking::default().half_life_minutes());
                columns.set(0, RankedImage { counts, evidence, ..images[0] });
                scores(&columns)
            };
            let clicked = act(ActKind::Click);
            for (before, clicked) in before.into_iter().zip(clicked) {
                prop_assert!(clicked >= before - 1e-9, "{before} became {clicked}");
            }
            let viewed = act(ActKind::View);
            prop_assert!(viewed[3] <= clicked[3] + 1e-9, "{} became {}", clicked[3], viewed[3]);
        }
    }
}
