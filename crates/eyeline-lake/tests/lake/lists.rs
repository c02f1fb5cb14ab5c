//! Single events: page after page, and by id.

use std::cmp::Reverse;

use eyeline_core::{EventId, Timestamp};
use eyeline_lake::{CountQuestion, FileRef, Hidden, Order, Place, Record, Snapshot, counts, find, list, write_records};
use proptest::prelude::*;
use uuid::Uuid;

use crate::support::{BEGIN, Lake, MINUTE, PROJECT, any_filter, any_records, budget, record, wanted};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pages_give_every_wanted_event_once_the_newest_first(
        records in any_records(120), pieces in 1usize..6, filter in any_filter(), limit in 1usize..30,
        hidden in prop::option::of((0..4u128, 0..200i64)),
        order in prop::sample::select(vec![Order::Timestamp, Order::ReceivedAt]),
    ) {
        let lake = Lake::new();
        let hidden = hidden.map(|(session, minutes)| Hidden {
            project_id: PROJECT,
            session_id: Some(Uuid::from_u128(100 + session).into()),
            received_until: Timestamp::from_micros(BEGIN + minutes * MINUTE),
        });
        let snapshot = Snapshot { hidden: hidden.into_iter().collect(), ..lake.snapshot(&records, pieces) };
        let events = counts(&lake.files, &snapshot, &filter, &CountQuestion::default(), &budget()).expect("a count");
        let is_shown = |record: &&Record| {
            let event = &record.event;
            hidden.is_none_or(|hidden| Some(event.session_id) != hidden.session_id || event.received_at > hidden.received_until)
        };
        let mut expected: Vec<Record> = wanted(&records, &filter).into_iter().filter(is_shown).cloned().collect();
        expected.sort_by_key(|record| match order {
            Order::Timestamp => Reverse((record.event.timestamp, record.offset)),
            Order::ReceivedAt => Reverse((record.event.received_at, record.offset)),
        });
        let (mut before, mut read): (Option<Place>, Vec<Record>) = (None, Vec::new());
        loop {
            let page = list(&lake.files, &snapshot, &filter, order, before, limit, &budget()).expect("a page");
            prop_assert!(page.records.len() <= limit);
            read.extend(page.records);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        prop_assert_eq!(events.first().map_or(0, |row| row.count), expected.len() as u64);
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn every_event_is_found_by_its_id_and_its_application(records in any_records(60), pieces in 1usize..6) {
        let lake = Lake::new();
        let snapshot = lake.snapshot(&records, pieces);
        for record in &records {
            let event = &record.event;
            let near = Some((event.received_at, event.received_at));
            for received in [None, near] {
                let found = find(&lake.files, &snapshot, Some(event.project_id), event.application_id, event.event_id, received, &budget());
                prop_assert_eq!(found.expect("an answer"), Some(record.clone()));
            }
            let other = Uuid::from_u128(99).into();
            let found = find(&lake.files, &snapshot, None, other, event.event_id, None, &budget());
            prop_assert_eq!(found.expect("an answer"), None);
        }
        let unknown = EventId(Uuid::from_u128(5));
        let found = find(&lake.files, &snapshot, Some(PROJECT), Uuid::from_u128(10).into(), unknown, None, &budget());
        prop_assert_eq!(found.expect("an answer"), None);
    }
}

#[test]
fn an_event_is_looked_for_in_the_files_of_its_project_alone() {
    let lake = Lake::new();
    let other: Vec<Record> = (0..5_000)
        .map(|offset| {
            let mut record = record(offset);
            record.event.project_id = Uuid::from_u128(2).into();
            record
        })
        .collect();
    let (mut bytes, facts) = write_records(other).expect("a file").expect("events");
    // The file's event data is unreadable, and its footer intact.
    let footer = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().expect("a length")) as usize;
    let end = bytes.len() - 8 - footer;
    bytes[4..end].fill(0);
    lake.put("lake/other", bytes);
    let files = vec![FileRef { key: "lake/other".to_owned(), partition: 0, facts }];
    let snapshot = Snapshot { files, ..Snapshot::default() };
    let (application, event) = (Uuid::from_u128(10).into(), Uuid::from_u128(7).into());
    let look = |project_id| find(&lake.files, &snapshot, project_id, application, event, None, &budget());
    assert!(matches!(look(Some(PROJECT)), Ok(None)));
    assert!(look(Some(Uuid::from_u128(2).into())).is_err() && look(None).is_err(), "the events were read");
}
