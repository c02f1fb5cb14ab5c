//! From quarantine back to the counters: judged by the schema of its time, and counted once, whatever is interrupted or
//! repeated.

use eyeline::flow::event::collect::Receipt;
use eyeline::flow::event::ingest::Step;
use eyeline::flow::event::replay::Replayed;
use eyeline_core::event::OnInvalid;
use eyeline_core::{Envelope, Event, ImageId, Timestamp};
use eyeline_store::Catalog;
use eyeline_store::catalog::event_types::EventTypeInput;
use eyeline_store::catalog::quarantine::Filter;
use eyeline_store::catalog::rollups::{CountsQuery, Level};
use eyeline_store::params;
use serde_json::json;
use uuid::Uuid;

use crate::events::{GALLERY, IMAGE, Installation, Process, SENDER, accepted, act, envelope, named};

const LATE: ImageId = ImageId(Uuid::from_u128(77));

/// Declares the schema of events of category `page` and name `view`.
pub async fn declare(installation: &Installation, process: &Process, on_invalid: OnInvalid, schema: serde_json::Value) {
    let input = EventTypeInput {
        project_id: SENDER.project_id,
        category: "page".to_owned(),
        name: "view".to_owned(),
        schema: Some(schema.to_string()),
        on_invalid,
        description: None,
    };
    let catalog = Catalog::from(installation.db.clone());
    catalog.put_event_type(input, Timestamp::from_micros(1)).await.expect("a type");
    process.event_types.forget();
}

pub fn at_most(maximum: u64) -> serde_json::Value {
    json!({"properties": {"n": {"maximum": maximum}}})
}

pub fn numbered(number: u64) -> Envelope {
    envelope(|event| event["data"] = json!({ "n": number }))
}

async fn replay(process: &Process, dry_run: bool) -> (u64, u64) {
    let replaying = process.replays.replay(SENDER.project_id, Filter::default(), None, dry_run);
    let Replayed { replayed, still_failing, next } = replaying.await.expect("a replay");
    assert_eq!(next, None);
    (replayed, still_failing)
}

/// Events in the roll-ups.
pub async fn counted(installation: &Installation) -> u64 {
    let query = CountsQuery {
        project_id: SENDER.project_id,
        from: Timestamp::from_micros(0),
        to: Timestamp::from_micros(i64::MAX),
        level: Level::Day,
        by_time: false,
        group_by: Vec::new(),
        application_id: None,
        category: None,
        name: None,
        rows_max: 10,
    };
    Catalog::from(installation.db.clone()).event_counts(query).await.expect("counts")[0].events
}

async fn add_late_image(installation: &Installation) {
    let sql = "INSERT INTO gallery_images (gallery_id, ordinal, image_id, listed, revision) VALUES ($1, 9, $2, $3, 0)";
    installation.run(sql, params![GALLERY, LATE, true]).await;
}

#[tokio::test]
async fn what_fits_no_schema_is_refused_or_kept_apart_as_its_type_says() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let worker = process.work();
    declare(&installation, &process, OnInvalid::Reject, at_most(5)).await;
    let receipts = process.collect(vec![numbered(1), numbered(9)]).await;
    let [Receipt::Accepted(record), Receipt::Rejected(errors)] = &receipts[..] else { panic!("{receipts:?}") };
    let event = Event::decode(record).expect("an event");
    assert_eq!(event.schema.map(|schema| (schema.version, schema.checked)), Some((1, true)));
    assert_eq!(errors.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["data.n"]);

    declare(&installation, &process, OnInvalid::Quarantine, at_most(5)).await;
    assert_eq!(accepted(&process.collect(vec![numbered(1), numbered(9)]).await), 2);
    process.ingest.caught_up().await.expect("applied");
    assert_eq!(installation.quarantined().await, ["schema"]);
    assert_eq!(counted(&installation).await, 2);
    process.end(worker).await;
}

#[tokio::test]
async fn an_event_is_judged_by_the_schema_of_its_time() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    declare(&installation, &process, OnInvalid::Quarantine, at_most(5)).await;
    process.collect(vec![numbered(4), numbered(9)]).await;
    declare(&installation, &process, OnInvalid::Quarantine, at_most(3)).await;
    process.collect(vec![numbered(4)]).await;
    let worker = process.work();
    process.ingest.caught_up().await.expect("applied");
    assert_eq!((installation.quarantined().await.len(), counted(&installation).await), (2, 1));
    process.end(worker).await;
}

#[tokio::test]
async fn what_was_accepted_under_an_older_schema_is_no_less_a_duplicate() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    process.collect(vec![named(1, 9), named(2, 9)]).await;
    declare(&installation, &process, OnInvalid::Reject, at_most(5)).await;
    let receipts = process.collect(vec![named(1, 9), named(3, 9)]).await;
    assert!(matches!(receipts[..], [Receipt::Duplicate(_), Receipt::Rejected(_)]), "{receipts:?}");
    let worker = process.work();
    process.ingest.caught_up().await.expect("applied");
    process.end(worker).await;
    drop(process);
    let process = installation.start().await;
    let receipts = process.collect(vec![named(2, 9), named(3, 9)]).await;
    assert!(matches!(receipts[..], [Receipt::Duplicate(_), Receipt::Rejected(_)]), "{receipts:?}");
}

#[tokio::test]
async fn a_replay_counts_what_fits_now_and_tells_the_rest() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let worker = process.work();
    declare(&installation, &process, OnInvalid::Quarantine, at_most(5)).await;
    process.collect((0..20).map(numbered).collect()).await;
    process.collect(vec![act("view", LATE), act("click", LATE), act("view", IMAGE)]).await;
    process.ingest.caught_up().await.expect("applied");
    assert_eq!((installation.quarantined().await.len(), counted(&installation).await), (16, 7));

    assert_eq!(replay(&process, false).await, (0, 16), "nothing has changed");
    declare(&installation, &process, OnInvalid::Reject, at_most(15)).await;
    add_late_image(&installation).await;
    assert_eq!(replay(&process, true).await, (12, 4));
    assert_eq!((installation.quarantined().await.len(), counted(&installation).await), (16, 7), "a dry run");
    assert_eq!(replay(&process, false).await, (12, 4));
    assert_eq!((installation.quarantined().await.len(), counted(&installation).await), (4, 19));
    assert_eq!(installation.counts(LATE).await, (1, 1));
    assert_eq!(replay(&process, false).await, (0, 4));
    process.end(worker).await;
}

#[tokio::test]
async fn of_replays_at_once_each_event_is_told_and_counted_once() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let worker = process.work();
    process.collect((0..40).map(|_| act("view", LATE)).collect()).await;
    process.ingest.caught_up().await.expect("applied");
    add_late_image(&installation).await;
    let outcomes = futures::future::join_all((0..5).map(|_| replay(&process, false))).await;
    assert_eq!(outcomes.iter().map(|(replayed, _)| replayed).sum::<u64>(), 40);
    assert_eq!((installation.counts(LATE).await, counted(&installation).await), ((40, 0), 40));
    process.end(worker).await;
}

#[tokio::test]
async fn a_replay_that_is_cut_off_anywhere_and_repeated_counts_everything_once() {
    let installation = Installation::new().await;
    {
        let process = installation.start().await;
        let worker = process.work();
        let late = (0..60u128).map(|id| {
            let mut late = act("view", LATE);
            late.event_id = (id % 2 == 0).then(|| Uuid::from_u128(id).into());
            late
        });
        process.collect(late.collect()).await;
        process.ingest.caught_up().await.expect("applied");
        worker.abort();
        let _cut_off = worker.await;
    }
    add_late_image(&installation).await;
    for round in 0..12u64 {
        let process = installation.start().await;
        let worker = process.work();
        let pause = std::time::Duration::from_micros(round * 700);
        let replaying = process.replays.replay(SENDER.project_id, Filter::default(), None, false);
        let _cut_off = tokio::time::timeout(pause, replaying).await;
        worker.abort();
        let _cut_off = worker.await;
    }
    let process = installation.start().await;
    let worker = process.work();
    let (_, still_failing) = replay(&process, false).await;
    assert_eq!(still_failing, 0);
    process.ingest.caught_up().await.expect("applied");
    assert_eq!((installation.counts(LATE).await, counted(&installation).await), ((60, 0), 60));
    assert_eq!(installation.quarantined().await.len(), 0);
    process.end(worker).await;
}

#[tokio::test]
async fn a_stored_schema_that_is_not_taken_any_more_stops_no_other_event() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let worker = process.work();
    // As an earlier version stored it.
    let beyond = json!({"properties": {"text": {"pattern": "[ab]*a[ab]{3600}c"}}});
    for on_invalid in [OnInvalid::Quarantine, OnInvalid::Reject] {
        declare(&installation, &process, on_invalid, beyond.clone()).await;
        process.collect(vec![numbered(1), act("view", IMAGE), numbered(2)]).await;
    }
    process.ingest.caught_up().await.expect("applied");
    assert_eq!(installation.quarantined().await, ["schema", "schema"]);
    assert_eq!(installation.counts(IMAGE).await, (2, 0));
    process.end(worker).await;
}

#[tokio::test]
async fn a_piece_of_costly_events_is_applied_as_far_as_it_is_judged() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let costly = json!({"properties": {"items": {"items": {"allOf": vec![json!({"type": "integer"}); 60]}}}});
    declare(&installation, &process, OnInvalid::Quarantine, costly).await;
    let large = || envelope(|event| event["data"] = json!({"items": vec![1; 15_000]}));
    process.collect((0..60).map(|_| large()).collect()).await;
    process.collect(vec![act("view", IMAGE)]).await;
    let mut mark = process.ingest.mark(0).await.expect("a mark");
    let mut steps = 0;
    assert_eq!(process.ingest.owned().claim(0).await.expect("an answer"), Ok(()));
    while let Step::Applied { reached, .. } = process.ingest.step(0, mark, 1_000).await.expect("a step") {
        assert!(reached > mark);
        (mark, steps) = (reached, steps + 1);
    }
    assert_eq!(process.inbox.waiting(0, mark).await.expect("a number"), 0);
    assert_eq!(counted(&installation).await, 61, "after {steps} steps");
    assert_eq!(installation.counts(IMAGE).await, (1, 0));
}
