//! Roll-ups equal a recount of the events, at every level.

use std::collections::{BTreeMap, BTreeSet};

use eyeline_core::{ApplicationId, ImageId, Timestamp};
use eyeline_store::catalog::events::BatchEvent;

use eyeline_store::ObjectKey;
use eyeline_store::catalog::erasures::{Erased, Erasure};
use eyeline_store::catalog::lake::{Committed, LakeFile};
use eyeline_store::catalog::rollups::{CountsQuery, CountsRow, ErasedEvents, Group, KnownSessions, Level};
use eyeline_store::sql::{Db, Row};
use proptest::prelude::*;
use uuid::Uuid;

use crate::engines::on_every_database;
use crate::events::{
    APPLICATION, FIRST_FENCE, IMAGES, OTHER_PROJECT, PROJECT, batch, catalog_with_a_gallery, image, named, offset,
    rows, view_of,
};
use crate::lake::flush;

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

#[tokio::test]
async fn sessions_are_known_of_a_row_until_it_changes_and_what_is_erased_is_taken_out() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let of_kind = |offset: i64, name: &str, hour: i64| {
            let mut event = view_of(offset, 0);
            event.act = None;
            (event.event.category, event.event.name) = ("shop".to_owned(), name.to_owned());
            event.event.timestamp = Timestamp::from_micros(hour * HOUR);
            event
        };
        let events = vec![of_kind(1, "look", 1), of_kind(2, "look", 1), of_kind(3, "look", 5), of_kind(4, "buy", 5)];
        catalog.apply_events(batch(0, 4, events)).await.expect("applied");
        let all = [Group::Application, Group::Category, Group::Name];
        let told = async |level| -> Vec<(String, u64, Option<u64>)> {
            let rows = catalog.event_counts(query(level, &all)).await.expect("counts");
            rows.into_iter().map(|row| (row.name.expect("a name"), row.events, row.sessions)).collect()
        };
        let row = |name: &str, events, sessions| (name.to_owned(), events, sessions);
        let known = |name: &str, hour: i64, events, sessions| KnownSessions {
            bucket: Timestamp::from_micros(hour * HOUR),
            application_id: APPLICATION,
            category: "shop".to_owned(),
            name: name.to_owned(),
            events,
            sessions,
        };
        let as_of = Timestamp::from_micros(100 * DAY);
        let days = vec![known("look", 0, 3, 2), known("buy", 0, 7, 7)];
        catalog.note_sessions(PROJECT, Level::Day, days, as_of).await.expect("noted");
        assert_eq!(told(Level::Day).await, [row("buy", 1, None), row("look", 3, Some(2))], "of 7 events nobody knows");
        catalog.note_sessions(PROJECT, Level::Hour, vec![known("look", 1, 2, 2)], as_of).await.expect("noted");
        assert_eq!(told(Level::Hour).await, [row("look", 2, Some(2)), row("buy", 1, None), row("look", 1, None)]);
        let both = catalog.event_counts(query(Level::Day, &[Group::Category])).await.expect("counts");
        assert_eq!((both[0].events, both[0].sessions), (4, None), "they do not add up");
        catalog.apply_events(batch(4, 5, vec![of_kind(5, "look", 6)])).await.expect("applied");
        assert_eq!(told(Level::Day).await, [row("buy", 1, None), row("look", 4, None)]);

        let days = vec![known("look", 0, 4, 2)];
        catalog.note_sessions(PROJECT, Level::Day, days.clone(), as_of).await.expect("noted");
        let erasure = Erasure {
            erasure_id: Uuid::from_u128(1).into(),
            project_id: PROJECT,
            session_id: Some(Uuid::from_u128(2).into()),
            requested_at: as_of,
            finished_at: None,
            events: 0,
        };
        assert!(!catalog.is_erasing(PROJECT).await.expect("an answer"));
        catalog.request_erasure(erasure.clone(), None).await.expect("requested");
        assert!(catalog.is_erasing(PROJECT).await.expect("an answer"));
        let key = ObjectKey::lake(as_of);
        catalog.note_unwanted(key.clone(), Timestamp::from_micros(i64::MAX)).await.expect("noted");
        let file = LakeFile {
            key,
            partition: 0,
            level: 0,
            rows: 5,
            bytes: 100,
            first_offset: offset(1),
            last_offset: offset(5),
            first_timestamp: as_of,
            last_timestamp: as_of,
            first_received_at: as_of,
            last_received_at: as_of,
        };
        assert_eq!(catalog.commit_flush(flush(0, 5, vec![file.clone()])).await.expect("an answer"), Committed::Done);
        let erased = |name: &str, hour: i64, events| ErasedEvents {
            hour: Timestamp::from_micros(hour * HOUR),
            application_id: APPLICATION,
            category: "shop".to_owned(),
            name: name.to_owned(),
            events,
        };
        let gone = vec![erased("look", 1, 1), erased("look", 5, 1), erased("buy", 5, 1)];
        let gone = Erased { events: gone, acts: BTreeMap::new() };
        let committed =
            catalog.commit_erasure(&erasure, FIRST_FENCE, &file, None, gone, Timestamp::from_micros(0)).await;
        assert_eq!(committed.expect("an answer"), Committed::Done);
        assert_eq!(told(Level::Day).await, [row("look", 2, None)]);
        assert_eq!(told(Level::Hour).await, [row("look", 1, None), row("look", 1, None)]);
        // A number counted before an erasure is invalid after it.
        let late = vec![known("look", 0, 2, 2)];
        catalog.note_sessions(PROJECT, Level::Day, late.clone(), as_of).await.expect("nothing done");
        catalog.finish_erasure(erasure.erasure_id, as_of).await.expect("finished");
        catalog.note_sessions(PROJECT, Level::Day, late.clone(), as_of).await.expect("nothing done");
        assert_eq!(told(Level::Day).await, [row("look", 2, None)]);
        let later = Timestamp::from_micros(101 * DAY);
        catalog.note_sessions(PROJECT, Level::Day, late, later).await.expect("noted");
        assert_eq!(told(Level::Day).await, [row("look", 2, Some(2))]);
        let receipt = catalog.erasure(PROJECT, erasure.erasure_id).await.expect("an answer").expect("an erasure");
        assert_eq!(receipt.events, 3);
    })
    .await;
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
        assert_eq!(
            total,
            [CountsRow { bucket: None, application_id: None, category: None, name: None, events: 12, sessions: None }]
        );
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
