//! Properties of every inbox.

use std::time::Duration;

use eyeline_store::inbox::{Delivery, Entry, Offset};
use proptest::prelude::*;

use crate::inboxes::{Row, entries, entries_of, every_inbox, new_in_nats, on_every_inbox, server};

fn texts(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| String::from_utf8_lossy(&delivery.event).into_owned()).collect()
}

#[tokio::test]
async fn an_empty_inbox_has_nothing_to_give() {
    on_every_inbox(async |engine: Row| {
        let inbox = engine.open().await;
        assert_eq!(inbox.head(0).await.expect("a head"), Offset::START);
        assert_eq!(inbox.pull(0, Offset::START, 10).await.expect("a pull"), []);
        inbox.append(&[]).await.expect("nothing is easily kept");
        assert_eq!(inbox.head(0).await.expect("a head"), Offset::START);
    })
    .await;
}

#[tokio::test]
async fn what_was_appended_is_pulled_in_order_and_again_after_a_restart() {
    on_every_inbox(async |engine: Row| {
        let inbox = engine.open().await;
        inbox.append(&entries(&["a", "b"])).await.expect("durable");
        inbox.append(&entries(&["", "d"])).await.expect("durable");
        let before = inbox.pull(0, Offset::START, 10).await.expect("a pull");
        assert_eq!(texts(&before), ["a", "b", "", "d"]);
        assert!(before.is_sorted_by(|one, next| one.offset < next.offset));
        assert_eq!(before[3].offset, inbox.head(0).await.expect("a head"));
        drop(inbox);

        let inbox = engine.open().await;
        assert_eq!(inbox.head(0).await.expect("a head"), before[3].offset);
        inbox.append(&entries(&["e"])).await.expect("durable");
        let after = inbox.pull(0, Offset::START, 10).await.expect("a pull");
        assert_eq!(after[..4], before[..]);
        assert_eq!(texts(&after[4..]), ["e"]);
        assert!(after[4].offset > before[3].offset);
    })
    .await;
}

#[tokio::test]
async fn a_reader_finds_each_event_once_by_the_offset_it_has_reached() {
    on_every_inbox(async |engine: Row| {
        let inbox = engine.open().await;
        let all: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        for part in all.chunks(7) {
            inbox.append(&entries(&part.iter().map(String::as_str).collect::<Vec<_>>())).await.expect("durable");
        }
        let (mut reached, mut read) = (Offset::START, Vec::new());
        loop {
            let deliveries = inbox.pull(0, reached, 9).await.expect("a pull");
            assert!(deliveries.len() <= 9);
            let Some(last) = deliveries.last() else { break };
            reached = last.offset;
            read.extend(texts(&deliveries));
        }
        assert_eq!(read, all);
    })
    .await;
}

#[tokio::test]
async fn events_are_counted_from_any_offset_and_offsets_do_not_count_them() {
    on_every_inbox(async |engine: Row| {
        let inbox = engine.open().await;
        assert_eq!(inbox.waiting(0, Offset::START).await.expect("a number"), 0);
        for texts in [&["a", "b", "c"][..], &["d"], &["e", "f"]] {
            inbox.append(&entries(texts)).await.expect("durable");
        }
        let all = inbox.pull(0, Offset::START, 10).await.expect("a pull");
        assert_eq!(inbox.waiting(0, Offset::START).await.expect("a number"), 6);
        for (Delivery { offset, .. }, left) in all.iter().zip((0..6u64).rev()) {
            assert_eq!(inbox.waiting(0, *offset).await.expect("a number"), left);
            assert_eq!(inbox.pull(0, offset.before(), 1).await.expect("a pull")[0].offset, *offset, "it comes next");
        }
        let head = inbox.head(0).await.expect("a head");
        assert!(head.number() > 6, "offsets have gaps, so that nobody counts by them: {head}");
    })
    .await;
}

#[tokio::test]
async fn a_file_numbered_without_gaps_goes_on_with_later_offsets() {
    let (_, engine) = every_inbox().into_iter().next().expect("SQLite");
    drop(engine.open().await);
    let path = engine.url.strip_prefix("sqlite:").expect("a path").to_owned();
    let file = rusqlite::Connection::open(&path).expect("the file");
    // Three events of the first numbering, in two chunks: `a` and `b`, then `c`.
    for (first, count, events) in [(1, 2, "\u{1}\0\0\0a\u{1}\0\0\0b"), (3, 1, "\u{1}\0\0\0c")] {
        let sql = "INSERT INTO chunks (first_offset, count, events) VALUES (?1, ?2, ?3)";
        file.execute(sql, (first, count, events.as_bytes())).expect("a chunk of then");
    }
    drop(file);
    let inbox = engine.open().await;
    assert_eq!(inbox.head(0).await.expect("a head"), Offset::from_number(3));
    inbox.append(&entries(&["d", "e"])).await.expect("durable");
    let all = inbox.pull(0, Offset::START, 10).await.expect("a pull");
    assert_eq!(texts(&all), ["a", "b", "c", "d", "e"]);
    assert!(all.is_sorted_by(|one, next| one.offset < next.offset));
    assert_eq!(inbox.waiting(0, all[0].offset).await.expect("a number"), 4);
    inbox.forget(0, all[2].offset).await.expect("room");
    assert_eq!(inbox.pull(0, Offset::START, 10).await.expect("a pull"), all[3..]);
}

#[tokio::test]
async fn appends_at_the_same_time_are_all_kept_and_each_call_keeps_its_order() {
    on_every_inbox(async |engine: Row| {
        let inbox = engine.open().await;
        let calls = (0..200).map(|call| {
            let inbox = inbox.clone();
            async move {
                let names: Vec<String> = (0..5).map(|number| format!("{call}-{number}")).collect();
                inbox.append(&entries(&names.iter().map(String::as_str).collect::<Vec<_>>())).await.expect("durable");
            }
        });
        futures::future::join_all(calls).await;
        let read = texts(&inbox.pull(0, Offset::START, 10_000).await.expect("a pull"));
        assert_eq!(read.len(), 1_000);
        for call in 0..200 {
            let of_call: Vec<&String> = read.iter().filter(|text| text.starts_with(&format!("{call}-"))).collect();
            assert_eq!(of_call.len(), 5);
            assert!(of_call.is_sorted());
        }
    })
    .await;
}

#[tokio::test]
async fn an_arrival_is_noticed() {
    on_every_inbox(async |engine: Row| {
        let inbox = engine.open().await;
        assert!(
            tokio::time::timeout(Duration::from_millis(20), inbox.arrived(0, Offset::START)).await.is_err(),
            "nothing is there"
        );
        let waiting = tokio::spawn({
            let inbox = inbox.clone();
            async move { inbox.arrived(0, Offset::START).await }
        });
        inbox.append(&entries(&["a"])).await.expect("durable");
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("noticed").expect("no panic");
        inbox.arrived(0, Offset::START).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_forgotten_makes_room_and_the_numbering_goes_on() {
    on_every_inbox(async |engine: Row| {
        let inbox = engine.open().await;
        for text in ["a", "b", "c"] {
            inbox.append(&entries(&[text])).await.expect("durable");
        }
        let all = inbox.pull(0, Offset::START, 10).await.expect("a pull");
        inbox.forget(0, all[1].offset).await.expect("room");
        assert_eq!(inbox.pull(0, all[1].offset, 10).await.expect("a pull"), all[2..]);
        inbox.forget(0, all[2].offset).await.expect("room");
        drop(inbox);
        let inbox = engine.open().await;
        assert_eq!(inbox.head(0).await.expect("a head"), all[2].offset);
        inbox.append(&entries(&["d"])).await.expect("durable");
        let next = inbox.pull(0, all[2].offset, 10).await.expect("a pull");
        assert_eq!(texts(&next), ["d"]);
        assert!(next[0].offset > all[2].offset);
    })
    .await;
}

#[tokio::test]
async fn a_pull_is_bounded_in_bytes_and_still_gets_on() {
    on_every_inbox(async |engine: Row| {
        let inbox = engine.open().await;
        for _ in 0..20 {
            inbox.append(&[Entry { partition: 0, event: vec![1; 500_000] }]).await.expect("durable");
        }
        let first = inbox.pull(0, Offset::START, 100).await.expect("a pull");
        assert_eq!(first.len(), 17, "8 MiB");
        assert_eq!(inbox.pull(0, first[16].offset, 100).await.expect("a pull").len(), 3);
    })
    .await;
}

#[tokio::test]
async fn events_after_deleted_ones_are_counted_and_found() {
    on_every_inbox(async |engine: Row| {
        let inbox = engine.open().await;
        for text in ["a", "b", "c", "d"] {
            inbox.append(&entries(&[text])).await.expect("durable");
        }
        let all = inbox.pull(0, Offset::START, 10).await.expect("a pull");
        inbox.forget(0, all[1].offset).await.expect("room");
        drop(inbox);
        let inbox = engine.open().await;
        assert_eq!(texts(&inbox.pull(0, Offset::START, 10).await.expect("a pull")), ["c", "d"]);
        assert_eq!(inbox.waiting(0, Offset::START).await.expect("a number"), 2);
        assert_eq!(inbox.waiting(0, all[2].offset).await.expect("a number"), 1);
        assert_eq!(inbox.waiting(0, all[3].offset).await.expect("a number"), 0);
    })
    .await;
}

#[tokio::test]
async fn processes_that_share_an_inbox_read_what_each_of_them_writes() {
    for (name, engine) in every_inbox().into_iter().filter(|(_, engine)| engine.is_shared) {
        eprintln!("{name}:");
        let (one, two) = (engine.open().await, engine.open().await);
        assert_eq!(one.id(), two.id());
        assert!(one.is_shared());
        for round in 0..50 {
            let (writer, reader) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
            let before = reader.head(0).await.expect("a head");
            writer.append(&entries(&[round.to_string()])).await.expect("durable");
            let found = reader.pull(0, before, 10).await.expect("a pull");
            assert_eq!(texts(&found), [round.to_string()], "what is acknowledged is there for everybody");
            assert_eq!(reader.head(0).await.expect("a head"), found[0].offset);
        }
        assert_eq!(one.waiting(0, Offset::START).await.expect("a number"), 50);
        assert_eq!(
            one.pull(0, Offset::START, 100).await.expect("a pull"),
            two.pull(0, Offset::START, 100).await.expect("a pull")
        );
        let waiting = tokio::spawn({
            let (two, head) = (two.clone(), two.head(0).await.expect("a head"));
            async move { two.arrived(0, head).await }
        });
        one.append(&entries(&["last"])).await.expect("durable");
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("noticed").expect("no panic");
    }
}

#[tokio::test]
async fn partitions_have_an_order_each() {
    for variable in ["EYELINE_TEST_NATS_URL", "EYELINE_TEST_NATS_CLUSTER_URL"] {
        let url = new_in_nats(&server(variable), 4);
        let inbox = eyeline_store::inbox::open(&url).await.expect("an open inbox");
        assert_eq!(inbox.partitions(), 4);
        let all: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        let mixed: Vec<Entry> =
            all.iter().flat_map(|text| (0..3).flat_map(move |partition| entries_of(partition, &[text]))).collect();
        for part in mixed.chunks(7) {
            inbox.append(part).await.expect("durable");
        }
        for partition in 0..3 {
            assert_eq!(texts(&inbox.pull(partition, Offset::START, 100).await.expect("a pull")), all);
            assert_eq!(inbox.waiting(partition, Offset::START).await.expect("a number"), 40);
        }
        assert_eq!(inbox.head(3).await.expect("a head"), Offset::START);
        let head = inbox.head(1).await.expect("a head");
        inbox.forget(1, head).await.expect("room");
        assert_eq!(inbox.head(1).await.expect("a head"), head);
        assert_eq!(inbox.pull(2, Offset::START, 100).await.expect("a pull").len(), 40, "others keep theirs");
        assert!(inbox.append(&entries_of(4, &["x"])).await.is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_sizes_in_any_grouping_come_back_as_they_were(
        calls in prop::collection::vec(prop::collection::vec(prop_oneof![0usize..300, 30_000usize..70_000], 0..6), 0..12),
        events_max in 1usize..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(on_every_inbox(async |engine: Row| {
            let inbox = engine.open().await;
            let mut sent = Vec::new();
            for sizes in &calls {
                let entries: Vec<Entry> = sizes
                    .iter()
                    .enumerate()
                    .map(|(index, size)| Entry { partition: 0, event: vec![(index + size) as u8; *size] })
                    .collect();
                sent.extend(entries.iter().map(|entry| entry.event.clone()));
                inbox.append(&entries).await.expect("durable");
            }
            let (mut reached, mut read) = (Offset::START, Vec::new());
            loop {
                let deliveries = inbox.pull(0, reached, events_max).await.expect("a pull");
                let Some(last) = deliveries.last() else { break };
                reached = last.offset;
                read.extend(deliveries.into_iter().map(|delivery| delivery.event.to_vec()));
            }
            assert_eq!(read, sent);
            assert_eq!(reached, inbox.head(0).await.expect("a head"));
        }));
    }
}
