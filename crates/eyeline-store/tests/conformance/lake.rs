//! The manifest of lake files: whatever is repeated or raced, each event is in one place.

use std::collections::BTreeSet;

use eyeline_core::event::{ActKind, GalleryAct, ImageRef};
use eyeline_core::{Event, FieldErrors, Timestamp};
use eyeline_store::catalog::events::{Aside, BatchEvent, EventBatch, Misfit};
use eyeline_store::catalog::lake::{Committed, FlushBatch, LakeFile, Manifest, Marks};
use eyeline_store::inbox::Offset;
use eyeline_store::{Catalog, Error, ObjectKey, Result};
use uuid::Uuid;

use crate::engines::on_every_engine;
use crate::events::{FIRST_FENCE, batch, claim_first, offset};

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

/// A file of the events from number `first` to `last`.
pub fn file(level: u32, first: i64, last: i64) -> LakeFile {
    LakeFile {
        key: ObjectKey::lake(at(1_000)),
        partition: 0,
        level,
        rows: (last - first + 1) as u64,
        bytes: 1_000,
        first_offset: offset(first),
        last_offset: offset(last),
        first_timestamp: at(first),
        last_timestamp: at(last),
        first_received_at: at(1_000 + first),
        last_received_at: at(1_000 + last),
    }
}

/// Applies everything up to `reached`. The events at `unknown` name a missing gallery.
async fn apply(catalog: &Catalog, after: i64, reached: i64, unknown: &[i64]) {
    let event = |number: i64| Event {
        event_id: Uuid::from_u128(number as u128).into(),
        id_given: false,
        project_id: Uuid::from_u128(1).into(),
        application_id: Uuid::from_u128(2).into(),
        received_at: at(number),
        session_id: Uuid::from_u128(3).into(),
        visitor_id: None,
        category: "gallery".to_owned(),
        name: "view".to_owned(),
        data: "{}".into(),
        timestamp: at(number),
        source: None,
        schema: None,
        served: None,
        replay: None,
    };
    let act = GalleryAct {
        kind: ActKind::View,
        gallery_id: Uuid::from_u128(4).into(),
        image: ImageRef::Id(Uuid::from_u128(5).into()),
    };
    let events = unknown.iter().map(|number| BatchEvent {
        offset: offset(*number),
        event: event(*number),
        act: Some(act.clone()),
        misfit: None,
    });
    if after == 0 {
        claim_first(catalog, 0).await;
    }
    let batch = EventBatch { now: at(0), ..batch(after, reached, events.collect()) };
    catalog.apply_events(batch).await.expect("applied");
}

pub fn flush(after: i64, reached: i64, files: Vec<LakeFile>) -> FlushBatch {
    let (after, reached, records) = (offset(after), offset(reached), (reached - after).unsigned_abs());
    FlushBatch { partition: 0, fence: FIRST_FENCE, after, reached, records, files }
}

/// Files are written under keys that are deleted unless the manifest takes them in.
pub async fn note(catalog: &Catalog, files: &[LakeFile]) {
    for file in files {
        catalog.note_unwanted(file.key.clone(), Timestamp::from_micros(i64::MAX)).await.expect("noted");
    }
}

pub async fn commit(catalog: &Catalog, batch: FlushBatch) -> Result<Committed> {
    note(catalog, &batch.files).await;
    catalog.commit_flush(batch).await
}

#[tokio::test]
async fn nothing_is_in_the_lake_at_first() {
    on_every_engine(async |catalog| {
        assert_eq!(catalog.manifest().await.expect("a manifest"), Manifest::default());
        assert_eq!(catalog.trimmed_marks().await.expect("marks"), []);
        // A watermark that was never set cannot be moved.
        let moved = commit(&catalog, flush(0, 5, vec![file(0, 1, 5)])).await.expect("an answer");
        assert_eq!(moved, Committed::Moved);
        assert_eq!(catalog.manifest().await.expect("a manifest"), Manifest::default());
    })
    .await;
}

#[tokio::test]
async fn files_and_the_mark_move_together_and_once() {
    on_every_engine(async |catalog| {
        apply(&catalog, 0, 20, &[]).await;
        let first = file(0, 1, 10);
        let batch = flush(0, 10, vec![first.clone()]);
        assert_eq!(commit(&catalog, batch.clone()).await.expect("an answer"), Committed::Done);
        // The same batch again, and a rival's batch with other files, change nothing.
        assert_eq!(commit(&catalog, batch).await.expect("an answer"), Committed::Moved);
        let rival = flush(0, 12, vec![file(0, 1, 12)]);
        assert_eq!(commit(&catalog, rival).await.expect("an answer"), Committed::Moved);
        // Events that are not applied cannot be flushed.
        let early = flush(10, 21, vec![file(0, 11, 21)]);
        assert_eq!(commit(&catalog, early).await.expect("an answer"), Committed::Moved);
        let manifest = catalog.manifest().await.expect("a manifest");
        assert_eq!(manifest.files, std::slice::from_ref(&first));
        assert_eq!(
            manifest.partitions,
            [Marks {
                partition: 0,
                applied: offset(20),
                flushed: offset(10),
                cut: Offset::START,
                complete_from: None,
                // The test's batch named no events, and unflushed ones never count none.
                waiting: 1,
            }]
        );
        assert_eq!(catalog.trimmed_marks().await.expect("marks"), [(0, Offset::START)]);

        // A batch may add no file, and lets the inbox forget records up to its start.
        assert_eq!(commit(&catalog, flush(10, 15, Vec::new())).await.expect("an answer"), Committed::Done);
        assert_eq!(catalog.manifest().await.expect("a manifest").files, [first]);
        assert_eq!(catalog.trimmed_marks().await.expect("marks"), [(0, offset(10))]);
    })
    .await;
}

#[tokio::test]
async fn of_rivals_with_the_same_batch_one_wins() {
    on_every_engine(async |catalog| {
        apply(&catalog, 0, 10, &[]).await;
        let rivals = (0..8).map(|_| commit(&catalog, flush(0, 10, vec![file(0, 1, 10)])));
        let outcomes = futures::future::join_all(rivals).await;
        let won = outcomes.into_iter().filter(|outcome| matches!(outcome, Ok(Committed::Done))).count();
        assert_eq!(won, 1);
        assert_eq!(catalog.manifest().await.expect("a manifest").files.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_apart_is_dropped_from_between_the_marks() {
    on_every_engine(async |catalog| {
        apply(&catalog, 0, 10, &[3, 7]).await;
        let aside = Aside {
            offset: offset(12),
            event: None,
            record: vec![1],
            misfit: Misfit { reason: "unreadable", errors: FieldErrors::one("", "This is no event.") },
        };
        let batch = EventBatch { aside: vec![aside], ..batch(10, 12, Vec::new()) };
        catalog.apply_events(batch).await.expect("applied");
        let dropped = catalog.manifest().await.expect("a manifest").dropped;
        assert_eq!(dropped, [3, 7, 12].map(|number| (0, offset(number))).into());
        commit(&catalog, flush(0, 7, vec![file(0, 1, 6)])).await.expect("an answer");
        assert_eq!(catalog.manifest().await.expect("a manifest").dropped, BTreeSet::from([(0, offset(12))]));
    })
    .await;
}

#[tokio::test]
async fn merged_files_take_the_place_of_theirs_all_or_nothing() {
    on_every_engine(async |catalog| {
        apply(&catalog, 0, 30, &[]).await;
        let (one, two, three) = (file(0, 1, 10), file(0, 11, 20), file(0, 21, 30));
        for (after, file) in [(0, &one), (10, &two), (20, &three)] {
            let batch = flush(after, after + 10, vec![file.clone()]);
            assert_eq!(commit(&catalog, batch).await.expect("an answer"), Committed::Done);
        }
        let merged = file(1, 1, 20);
        let merge = async |inputs: &[&LakeFile], output: &LakeFile| {
            note(&catalog, std::slice::from_ref(output)).await;
            let inputs = inputs.iter().map(|file| file.key.clone()).collect();
            catalog.commit_compaction(FIRST_FENCE, inputs, output.clone(), at(0)).await
        };
        assert_eq!(merge(&[&one, &two], &merged).await.expect("an answer"), Committed::Done);
        // One of these is already replaced, so the other one stays.
        assert_eq!(merge(&[&two, &three], &file(1, 11, 30)).await.expect("an answer"), Committed::Moved);
        assert_eq!(catalog.manifest().await.expect("a manifest").files, [merged, three]);
        let unwanted: BTreeSet<ObjectKey> = catalog.unwanted_objects(10).await.expect("keys").into_iter().collect();
        assert_eq!(unwanted, BTreeSet::from([one.key, two.key]));
    })
    .await;
}

#[tokio::test]
async fn a_file_that_was_taken_in_in_time_stays_and_every_other_one_goes() {
    on_every_engine(async |catalog| {
        apply(&catalog, 0, 10, &[]).await;
        let (kept, lost, late) = (file(0, 1, 10), file(0, 1, 10), file(0, 1, 10));
        for file in [&lost, &late] {
            catalog.note_unwanted(file.key.clone(), at(0)).await.expect("noted");
        }
        let outcome = catalog.commit_flush(flush(0, 10, vec![late.clone()])).await;
        assert!(matches!(outcome, Err(Error::Conflict(_))), "the sweep may have removed it: {outcome:?}");
        assert_eq!(catalog.marks().await.expect("marks")[0].flushed, Offset::START);
        assert_eq!(commit(&catalog, flush(0, 10, vec![kept])).await.expect("an answer"), Committed::Done);
        let unwanted: BTreeSet<ObjectKey> = catalog.unwanted_objects(10).await.expect("keys").into_iter().collect();
        assert_eq!(unwanted, BTreeSet::from([lost.key, late.key]));
    })
    .await;
}
