//! Every query against a straightforward recount.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use eyeline_core::Timestamp;
use eyeline_core::event::ImageRef;
use eyeline_lake::{
    Acts, Anchor, Buckets, Budget, Cohort, CountQuestion, Error, EventType, Filter, Interval, PathQuestion, counts,
    features, funnel, gallery, paths, retention,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::support::{BEGIN, Lake, MINUTE, PROJECT, any_filter, any_records, budget, visits, wanted};

fn any_interval() -> impl Strategy<Value = Interval> {
    prop::sample::select(vec![Interval::Hour, Interval::Day, Interval::Week, Interval::Month])
}

fn any_type() -> impl Strategy<Value = EventType> {
    (0..2u8, 0..4u8).prop_map(|(category, name)| EventType {
        category: format!("category {category}"),
        name: format!("name {name}"),
    })
}

fn spelled(kind: &EventType) -> (String, String) {
    (kind.category.clone(), kind.name.clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn counts_are_those_of_a_recount(
        records in any_records(200), pieces in 1usize..6, filter in any_filter(),
        interval in prop::option::of(any_interval()), by in any::<(bool, bool, bool)>(),
    ) {
        let lake = Lake::new();
        let snapshot = lake.snapshot(&records, pieces);
        let question = CountQuestion { buckets: interval.map(Buckets::from), by_application: by.0, by_category: by.1, by_name: by.2 };
        let mut expected = BTreeMap::<_, (u64, BTreeSet<Uuid>)>::new();
        for record in wanted(&records, &filter) {
            let event = &record.event;
            let bucket = interval.map(|interval| interval.begin(interval.number(event.timestamp)));
            let group = (
                by.0.then_some(event.application_id), by.1.then(|| event.category.clone()), by.2.then(|| event.name.clone()),
            );
            let entry = expected.entry((bucket, group)).or_default();
            entry.0 += 1;
            entry.1.insert(event.session_id.0);
        }
        let expected: Vec<_> = expected.into_iter().map(|(key, (count, sessions))| (key, count, sessions.len() as u64)).collect();
        let rows = counts(&lake.files, &snapshot, &filter, &question, &budget()).expect("an answer");
        let rows: Vec<_> = rows
            .into_iter()
            .map(|row| ((row.bucket, (row.group.application, row.group.category, row.group.name)), row.count, row.sessions))
            .collect();
        prop_assert_eq!(rows, expected);
    }

    #[test]
    fn features_are_ordered_by_use(records in any_records(200), pieces in 1usize..6, filter in any_filter()) {
        let lake = Lake::new();
        let snapshot = lake.snapshot(&records, pieces);
        let mut expected = BTreeMap::<(String, String), (u64, BTreeSet<Uuid>)>::new();
        for record in wanted(&records, &filter) {
            let entry = expected.entry((record.event.category.clone(), record.event.name.clone())).or_default();
            entry.0 += 1;
            entry.1.insert(record.event.session_id.0);
        }
        let found = features(&lake.files, &snapshot, &filter, &budget()).expect("an answer");
        prop_assert!(found.is_sorted_by(|one, next| one.count >= next.count));
        let found: BTreeMap<_, _> =
            found.iter().map(|feature| (spelled(&feature.kind), (feature.count, feature.sessions))).collect();
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(kind, (count, sessions))| (kind, (count, sessions.len() as u64))).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn paths_and_transitions_are_those_of_every_visit(
        records in any_records(200), pieces in 1usize..6, filter in any_filter(), depth in 2usize..=5,
        anchor in prop::sample::select(vec![Anchor::Anywhere, Anchor::Start, Anchor::End]),
        first in prop::option::weighted(0.3, any_type()), last in prop::option::weighted(0.3, any_type()),
    ) {
        let lake = Lake::new();
        let snapshot = lake.snapshot(&records, pieces);
        let visits = visits(&wanted(&records, &filter));
        let (mut expected, mut transitions) = (BTreeMap::new(), BTreeMap::new());
        for visit in &visits {
            let mut steps: Vec<(String, String)> = visit.iter().map(|(_, kind)| kind.clone()).collect();
            steps.dedup();
            for pair in steps.windows(2) {
                *transitions.entry(pair.to_vec()).or_insert(0u64) += 1;
            }
            let runs: Vec<&[(String, String)]> = match anchor {
                Anchor::Anywhere => steps.windows(depth).collect(),
                Anchor::Start => steps.windows(depth).take(1).collect(),
                Anchor::End => steps.windows(depth).last().into_iter().collect(),
            };
            for run in runs {
                let begins = first.as_ref().is_none_or(|kind| spelled(kind) == run[0]);
                let ends = last.as_ref().is_none_or(|kind| spelled(kind) == run[depth - 1]);
                if begins && ends {
                    *expected.entry(run.to_vec()).or_insert(0u64) += 1;
                }
            }
        }
        let question = PathQuestion { depth, anchor, first, last, rows_max: 10_000 };
        let answer = paths(&lake.files, &snapshot, &filter, &question, &budget()).expect("an answer");
        prop_assert_eq!(answer.visits, visits.len() as u64);
        prop_assert!(answer.paths.is_sorted_by(|one, next| one.count >= next.count));
        let table = |paths: &[eyeline_lake::Path]| -> BTreeMap<Vec<(String, String)>, u64> {
            paths.iter().map(|path| (path.steps.iter().map(spelled).collect(), path.count)).collect()
        };
        prop_assert_eq!(table(&answer.paths), expected);
        prop_assert_eq!(table(&answer.transitions), transitions);

        let few = PathQuestion { rows_max: 3, ..question };
        let fewer = paths(&lake.files, &snapshot, &filter, &few, &budget()).expect("an answer");
        prop_assert_eq!(&fewer.paths[..], &answer.paths[..answer.paths.len().min(3)]);
    }

    #[test]
    fn a_funnel_counts_the_visits_that_go_through_its_steps_in_order_and_in_time(
        records in any_records(250), pieces in 1usize..6, filter in any_filter(),
        steps in prop::collection::vec(any_type(), 1..7), minutes in 0..60u64,
    ) {
        let lake = Lake::new();
        let snapshot = lake.snapshot(&records, pieces);
        let within = minutes as i64 * MINUTE;
        let mut expected = vec![0u64; steps.len()];
        for visit in visits(&wanted(&records, &filter)) {
            // From every possible start, with each next step as early as possible.
            let mut reached = 0;
            for begin in 0..visit.len() {
                let mut step = 0;
                for (at, kind) in &visit[begin..] {
                    if step < steps.len() && *kind == spelled(&steps[step]) && at - visit[begin].0 <= within {
                        step += 1;
                    } else if step == 0 {
                        break;
                    }
                }
                reached = reached.max(step);
            }
            expected[..reached].iter_mut().for_each(|visits| *visits += 1);
        }
        let answer = funnel(&lake.files, &snapshot, &filter, &steps, Duration::from_secs(60 * minutes), &budget());
        let found: Vec<u64> = answer.expect("an answer").iter().map(|step| step.visits).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn retention_follows_each_visitor(
        records in any_records(200), pieces in 1usize..6, filter in any_filter(),
        period in prop::sample::select(vec![Interval::Day, Interval::Week, Interval::Month]),
    ) {
        let lake = Lake::new();
        let snapshot = lake.snapshot(&records, pieces);
        let (from, to) = (BEGIN, BEGIN + 31 * 24 * 60 * MINUTE);
        let filter = Filter { from: Some(Timestamp::from_micros(from)), to: Some(Timestamp::from_micros(to)), ..filter };
        let mut seen = BTreeMap::<String, BTreeSet<i64>>::new();
        let mut without = 0;
        for record in wanted(&records, &filter) {
            match &record.event.visitor_id {
                Some(visitor) => drop(seen.entry(visitor.clone()).or_default().insert(period.number(record.event.timestamp))),
                None => without += 1,
            }
        }
        let last = period.number(Timestamp::from_micros(to - 1));
        let mut cohorts = BTreeMap::<i64, Vec<u64>>::new();
        for periods in seen.values() {
            let first = *periods.first().expect("a period");
            let cohort = cohorts.entry(first).or_insert_with(|| vec![0; (last - first + 1) as usize]);
            periods.iter().for_each(|period| cohort[(period - first) as usize] += 1);
        }
        let expected: Vec<Cohort> =
            cohorts.into_iter().map(|(first, visitors)| Cohort { begin: period.begin(first), visitors }).collect();
        let answer = retention(&lake.files, &snapshot, &filter, &period.into(), &budget()).expect("an answer");
        prop_assert_eq!(answer.cohorts, expected);
        prop_assert_eq!(answer.events_without_visitor, without);
    }

    #[test]
    fn a_gallerys_views_and_clicks_are_counted_by_image_position_and_time(
        records in any_records(120), acts in prop::collection::vec((0..3u8, 0..2u128, 0..4u128, 0..3u32), 120),
        pieces in 1usize..6,
    ) {
        let lake = Lake::new();
        let mut records = records;
        let mut expected = BTreeMap::<u128, Acts>::new();
        let (mut total, mut positions) = (Acts::default(), BTreeMap::<u32, Acts>::new());
        for (record, (kind, of, image, position)) in records.iter_mut().zip(acts) {
            record.event.category = "gallery".to_owned();
            record.event.name = ["view", "click", "other"][usize::from(kind)].to_owned();
            record.place = position.checked_sub(1);
            let (gallery_id, image_id) = (Uuid::from_u128(of), Uuid::from_u128(image));
            record.event.data = format!(r#"{{"gallery_id":"{gallery_id}","image_id":"{image_id}","position":7}}"#).into();
            if kind == 2 || of != 1 || record.event.project_id != PROJECT {
                continue;
            }
            let act = Acts { views: u64::from(kind == 0), clicks: u64::from(kind == 1) };
            expected.entry(image).or_default().add(act);
            total.add(act);
            if position > 0 {
                positions.entry(position).or_default().add(act);
            }
        }
        let snapshot = lake.snapshot(&records, pieces);
        let gallery_id = Uuid::from_u128(1).into();
        let filter = Filter::of(PROJECT);
        let report = gallery(&lake.files, &snapshot, &filter, gallery_id, &Interval::Day.into(), &budget()).expect("an answer");
        let images: BTreeMap<u128, Acts> = report
            .images
            .iter()
            .map(|(image, acts)| match image {
                ImageRef::Id(id) => (id.0.as_u128(), *acts),
                ImageRef::External(name) => panic!("nobody said {name}"),
            })
            .collect();
        prop_assert_eq!(images, expected);
        prop_assert_eq!(report.total, total);
        prop_assert_eq!(report.positions, positions);
        let mut over_time = Acts::default();
        report.buckets.values().for_each(|acts| over_time.add(*acts));
        prop_assert_eq!(over_time, total);
    }

    #[test]
    fn sessions_are_counted_exactly_in_little_memory_too(records in any_records(200), sessions in 3_000u128..6_000) {
        // Many sessions that do not fit together. Counted in parts, they still sum up.
        let mut records = records;
        prop_assume!(!records.is_empty());
        let first = records[0].clone();
        for number in 0..sessions {
            let mut record = first.clone();
            record.offset = 10_000 + number as i64;
            record.event.session_id = Uuid::from_u128(number.wrapping_mul(0x1234_5678_9abc_def1_2345_6789_abcd_ef13)).into();
            records.push(record);
        }
        let lake = Lake::new();
        let snapshot = lake.snapshot(&records, 3);
        let filter = Filter::of(first.event.project_id);
        let question = CountQuestion { buckets: None, by_application: false, by_category: true, by_name: false };
        let roomy = counts(&lake.files, &snapshot, &filter, &question, &budget()).expect("an answer");
        let tight = counts(&lake.files, &snapshot, &filter, &question, &Budget::new(100_000, Duration::from_secs(60)));
        prop_assert_eq!(tight.expect("an answer"), roomy.clone());
        let none = counts(&lake.files, &snapshot, &filter, &question, &Budget::new(100, Duration::from_secs(60)));
        prop_assert!(matches!(none, Err(Error::TooMuch(_))));
    }
}

#[test]
fn a_question_ends_when_its_time_is_over_or_nobody_waits() {
    let lake = Lake::new();
    let snapshot = lake.snapshot(&[], 1);
    let filter = Filter::of(PROJECT);
    let late = Budget::new(1 << 20, Duration::ZERO);
    std::thread::sleep(Duration::from_millis(2));
    assert!(matches!(features(&lake.files, &snapshot, &filter, &late), Err(Error::TooMuch(_))));
    let given_up = budget();
    given_up.cancel();
    assert!(matches!(features(&lake.files, &snapshot, &filter, &given_up), Err(Error::Cancelled)));
}

#[test]
fn retention_says_how_many_periods_it_takes() {
    let lake = Lake::new();
    let snapshot = lake.snapshot(&[], 1);
    let filter = Filter {
        from: Some(Timestamp::from_micros(0)),
        to: Some(Timestamp::from_micros(BEGIN)),
        ..Filter::of(PROJECT)
    };
    let answer = retention(&lake.files, &snapshot, &filter, &Interval::Day.into(), &budget());
    assert!(matches!(answer, Err(Error::Refused(_))), "{answer:?}");
}

#[test]
fn intervals_begin_where_a_calendar_says() {
    let time = Timestamp::parse("2026-11-25T17:30:00Z").expect("a time");
    let begins = |interval: Interval| interval.begin(interval.number(time)).to_string();
    assert_eq!(begins(Interval::Hour), "2026-11-25T17:00:00.000000Z");
    assert_eq!(begins(Interval::Day), "2026-11-25T00:00:00.000000Z");
    assert_eq!(begins(Interval::Week), "2026-11-23T00:00:00.000000Z");
    assert_eq!(begins(Interval::Month), "2026-11-01T00:00:00.000000Z");
    let before_1970 = Timestamp::parse("1969-12-31T23:59:59Z").expect("a time");
    assert_eq!(Interval::Month.begin(Interval::Month.number(before_1970)).to_string(), "1969-12-01T00:00:00.000000Z");
    assert_eq!(Interval::Week.begin(Interval::Week.number(before_1970)).to_string(), "1969-12-29T00:00:00.000000Z");
}
