//! Roll-ups hold what a recount of the events gives, at every level.

use std::collections::{BTreeMap, BTreeSet};

use eyeline_core::{ApplicationId, ImageId, Timestamp};
use eyeline_store::catalog::events::BatchEvent;
use eyeline_store::catalog::rollups::{CountsQuery, CountsRow, Group, Level};
use eyeline_store::sql::{Db, Row};
use proptest::prelude::*;
use uuid::Uuid;

use crate::engines::on_every_database;
use crate::events::{IMAGES, OTHER_PROJECT, PROJECT, batch, catalog_with_a_gallery, image, named, rows, view_of};

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

fn query(level: Level, group_by: &[Group]) -> CountsQuery {
    CountsQuery {
        project_id: PROJECT,
        from: Timestamp::from_micros(-1_000 * DAY),
        to: Timestamp::from_micros(1_000 * DAY),
        level,
        by_time: true,
        group_by: group_by.to_vec(),
        application_id: None,
        category: None,
        name: None,
        rows_max: 10_000,
    }
}

#[test]
fn a_span_begins_where_it_does_before_1970_too() {
    let floor = |level: Level, micros: i64| level.floor(Timestamp::from_micros(micros)).micros();
    assert_eq!(floor(Level::Hour, HOUR - 1), 0);
    assert_eq!(floor(Level::Hour, -1), -HOUR);
    assert_eq!(floor(Level::Day, DAY + HOUR), DAY);
    assert_eq!(floor(Level::Day, -DAY - 1), -2 * DAY);
}

#[tokio::test]
async fn counts_are_filtered_grouped_and_cut_to_a_span() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let mut sent = Vec::new();
        for offset in 1..=12 {
            let mut event = view_of(offset, 0);
            event.event.timestamp = Timestamp::from_micros(offset * 10 * HOUR);
            if offset % 4 == 0 {
                event.act = None;
                event.event.category = "page".to_owned();
                event.event.application_id = ApplicationId(Uuid::from_u128(33));
            }
            sent.push(event);
        }
        catalog.apply_events(batch(0, 12, sent)).await.expect("applied");
        let all = |by_time| CountsQuery { by_time, ..query(Level::Day, &[]) };
        let total = catalog.event_counts(all(false)).await.expect("counts");
        assert_eq!(total, [CountsRow { bucket: None, application_id: None, category: None, name: None, events: 12 }]);
        let by_day: Vec<u64> =
            catalog.event_counts(all(true)).await.expect("counts").iter().map(|row| row.events).collect();
        assert_eq!(by_day, [2, 2, 3, 2, 2, 1]);
        let first_days =
            CountsQuery { from: Timestamp::from_micros(DAY), to: Timestamp::from_micros(3 * DAY), ..all(false) };
        assert_eq!(catalog.event_counts(first_days).await.expect("counts")[0].events, 5);
        let by_category = CountsQuery { by_time: false, ..query(Level::Hour, &[Group::Category, Group::Name]) };
        let told = catalog.event_counts(by_category.clone()).await.expect("counts");
        let told: Vec<_> = told.iter().map(|row| (row.category.as_deref(), row.name.as_deref(), row.events)).collect();
        assert_eq!(told, [(Some("gallery"), Some("view"), 9), (Some("page"), Some("view"), 3)]);
        let filtered = CountsQuery {
            category: Some("page".to_owned()),
            name: Some("view".to_owned()),
            application_id: Some(ApplicationId(Uuid::from_u128(33))),
            ..all(false)
        };
        assert_eq!(catalog.event_counts(filtered).await.expect("counts")[0].events, 3);
        let foreign = CountsQuery { project_id: OTHER_PROJECT, ..all(false) };
        assert_eq!(catalog.event_counts(foreign).await.expect("counts")[0].events, 0);
    })
    .await;
}

/// Image (the last one unknown), microseconds of the timestamp, type, perhaps an id from a few.
type Sent = (u128, i64, u8, Option<u128>);

fn histories() -> impl Strategy<Value = Vec<Vec<Sent>>> {
    let event = (0..=IMAGES, -3 * DAY..3 * DAY, 0u8..3, prop::option::of(0u128..8));
    prop::collection::vec(prop::collection::vec(event, 1..20), 0..6)
}

async fn image_days(db: &Db) -> BTreeMap<(Timestamp, ImageId), (u64, u64)> {
    let read = |mut row: Row| {
        let key = (row.take("bucket").expect("a day"), row.take("image_id").expect("an image"));
        (key, (row.take("views").expect("views"), row.take("clicks").expect("clicks")))
    };
    rows(db, "SELECT bucket, image_id, views, clicks FROM image_days").await.into_iter().map(read).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_history_adds_up_to_what_a_recount_gives(history in histories()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(on_every_database(async |db| {
            let catalog = catalog_with_a_gallery(&db).await;
            let (mut seen, mut offset) = (BTreeSet::new(), 0);
            let mut by_level = [BTreeMap::<(Timestamp, String), u64>::new(), BTreeMap::new()];
            let mut by_image = BTreeMap::<(Timestamp, ImageId), (u64, u64)>::new();
            for events in &history {
                let after = offset;
                let mut sent: Vec<BatchEvent> = Vec::new();
                for (number, micros, kind, id) in events {
                    offset += 1;
                    let mut event = view_of(offset, *number);
                    event.event.timestamp = Timestamp::from_micros(*micros);
                    if *kind > 0 {
                        event.act = None;
                        event.event.name = format!("kind {kind}");
                    }
                    let event = match id {
                        Some(id) => named(event, *id),
                        None => event,
                    };
                    let is_act = event.act.is_some();
                    let name = event.event.name.clone();
                    sent.push(event);
                    if id.is_some_and(|id| !seen.insert(id)) || (is_act && *number == IMAGES) {
                        continue;
                    }
                    let time = Timestamp::from_micros(*micros);
                    for (counts, level) in by_level.iter_mut().zip([Level::Hour, Level::Day]) {
                        *counts.entry((level.floor(time), name.clone())).or_default() += 1;
                    }
                    if is_act {
                        by_image.entry((Level::Day.floor(time), image(*number))).or_default().0 += 1;
                    }
                }
                catalog.apply_events(batch(after, offset, sent)).await.expect("applied");
            }
            for (expected, level) in by_level.iter().zip([Level::Hour, Level::Day]) {
                let told = catalog.event_counts(query(level, &[Group::Name])).await.expect("counts");
                let told: BTreeMap<(Timestamp, String), u64> = told
                    .into_iter()
                    .map(|row| ((row.bucket.expect("a time"), row.name.expect("a name")), row.events))
                    .collect();
                assert_eq!(&told, expected, "{level:?}");
            }
            assert_eq!(image_days(&db).await, by_image);
        }));
    }
}
