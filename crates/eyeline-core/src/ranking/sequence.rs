//! From columns to an order: the ordinals of the images that a class sees, the first place first.

use std::cmp::Reverse;

use super::{Columns, Ranking, Strategy};
use crate::AccessClass;

/// What decides between two images, the greater first. The ordinal makes it total.
type Key = (u64, i64, u32);

fn key(columns: &Columns, ranking: Ranking, ordinal: u32) -> Key {
    let weight = match ranking.strategy {
        Strategy::Newest => 0,
        Strategy::Weight => {
            let counts = columns.counts(ordinal);
            ranking.factors.weight(counts.views, counts.clicks)
        }
    };
    (weight, columns.created_at(ordinal).micros(), ordinal)
}

/// The whole order, made from nothing.
pub fn sequence(columns: &Columns, ranking: Ranking, class: AccessClass) -> Vec<u32> {
    let ordinals = 0..u32::try_from(columns.len()).unwrap_or(u32::MAX);
    sorted(columns, ranking, ordinals.filter(|ordinal| columns.shows(*ordinal, class)))
}

/// The whole order, made from `previous`, which was right for the same settings and class before the images in
/// `changed` became what they are now. Equal to [`sequence`]; the images that did not change are only copied.
pub fn resequence(
    columns: &Columns,
    ranking: Ranking,
    class: AccessClass,
    previous: &[u32],
    changed: &[u32],
) -> Vec<u32> {
    // With many changes sorting all is quicker than finding a place for each.
    if changed.len() > columns.len() / 8 {
        return sequence(columns, ranking, class);
    }
    let mut moves = vec![false; columns.len()];
    let mut arriving = Vec::with_capacity(changed.len());
    for ordinal in changed {
        if let Some(seen @ false) = moves.get_mut(*ordinal as usize) {
            *seen = true;
            arriving.push(*ordinal);
        }
    }
    let staying: Vec<u32> = previous.iter().copied().filter(|ordinal| !moves[*ordinal as usize]).collect();
    let arriving = sorted(columns, ranking, arriving.into_iter().filter(|ordinal| columns.shows(*ordinal, class)));

    let mut merged = Vec::with_capacity(staying.len() + arriving.len());
    let mut rest = staying.as_slice();
    for ordinal in arriving {
        let place = key(columns, ranking, ordinal);
        let (before, after) = rest.split_at(rest.partition_point(|other| key(columns, ranking, *other) > place));
        merged.extend_from_slice(before);
        merged.push(ordinal);
        rest = after;
    }
    merged.extend_from_slice(rest);
    merged
}

fn sorted(columns: &Columns, ranking: Ranking, ordinals: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut keys: Vec<Reverse<Key>> = ordinals.map(|ordinal| Reverse(key(columns, ranking, ordinal))).collect();
    keys.sort_unstable();
    keys.into_iter().map(|Reverse((_, _, ordinal))| ordinal).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, prop, prop_assert_eq, prop_oneof, proptest};
    use proptest::strategy::Strategy as Generator;

    use super::super::{Counts, RankedImage};
    use super::*;
    use crate::{Timestamp, WeightFactors};

    /// Small ranges, so that ties of every kind happen.
    fn image() -> impl Generator<Value = RankedImage> {
        let class = prop_oneof![
            Just(None),
            Just(Some(AccessClass::Public)),
            Just(Some(AccessClass::Premium)),
            Just(Some(AccessClass::Project))
        ];
        (0..4i64, 0..20u64, 0..4u64, class).prop_map(|(created_at, views, clicks, shown_to)| RankedImage {
            created_at: Timestamp::from_micros(created_at),
            counts: Counts { views, clicks },
            shown_to,
        })
    }

    fn ranking() -> impl Generator<Value = Ranking> {
        (prop_oneof![Just(Strategy::Newest), Just(Strategy::Weight)], 0..3u32, 0..9u32).prop_map(
            |(strategy, view_weight, click_weight)| Ranking {
                strategy,
                factors: WeightFactors { view_weight, click_weight },
            },
        )
    }

    fn classes() -> [AccessClass; 4] {
        [AccessClass::Public, AccessClass::Premium, AccessClass::Business, AccessClass::Project]
    }

    /// The order as the contract words it, by picking the best of what is left again and again.
    fn naive(images: &[RankedImage], ranking: Ranking, class: AccessClass) -> Vec<u32> {
        let mut left: Vec<usize> =
            (0..images.len()).filter(|index| images[*index].shown_to.is_some_and(|least| least <= class)).collect();
        let weight = |image: &RankedImage| {
            u64::from(ranking.factors.view_weight) * image.counts.views
                + u64::from(ranking.factors.click_weight) * image.counts.clicks
        };
        let comes_first = |a: usize, b: usize| {
            let (one, other) = (&images[a], &images[b]);
            if ranking.strategy == Strategy::Weight && weight(one) != weight(other) {
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

    proptest! {
        #[test]
        fn the_order_is_the_one_that_the_contract_words(
            images in prop::collection::vec(image(), 0..60),
            ranking in ranking(),
        ) {
            let columns = columns(&images);
            for class in classes() {
                prop_assert_eq!(sequence(&columns, ranking, class), naive(&images, ranking, class));
            }
        }

        #[test]
        fn an_order_carried_on_equals_one_made_from_nothing(
            mut images in prop::collection::vec(image(), 1..200),
            changes in prop::collection::vec((0..220u32, image()), 0..40),
            ranking in ranking(),
        ) {
            let mut columns = columns(&images);
            let previous = classes().map(|class| sequence(&columns, ranking, class));
            let mut changed = Vec::new();
            for (ordinal, image) in changes {
                if ordinal as usize >= images.len() {
                    images.resize(ordinal as usize + 1, RankedImage {
                        created_at: Timestamp::from_micros(0),
                        counts: Counts::default(),
                        shown_to: None,
                    });
                }
                images[ordinal as usize] = image;
                columns.set(ordinal, image);
                changed.push(ordinal);
            }
            for (class, previous) in classes().into_iter().zip(previous) {
                let carried_on = resequence(&columns, ranking, class, &previous, &changed);
                prop_assert_eq!(&carried_on, &sequence(&columns, ranking, class));
                prop_assert_eq!(&carried_on, &naive(&images, ranking, class));
            }
        }
    }
}
