//! Applying events: each counts once, also after a repetition, and an event that cannot count is quarantined.

use std::collections::{BTreeMap, BTreeSet};

use eyeline_core::event::{ActKind, GalleryAct, ImageRef, Served};
use eyeline_core::ranking::{Act, Evidence, Learnt};
use eyeline_core::{ApplicationId, Event, EventId, FieldErrors, GalleryId, ImageId, ProjectId, Ranking, Timestamp};
use eyeline_store::Catalog;
use eyeline_store::catalog::events::{Applied, Aside, BatchEvent, EventBatch, Misfit};
use eyeline_store::catalog::lake::{Committed, FlushBatch};
use eyeline_store::catalog::orders::ChangeMark;
use eyeline_store::catalog::partitions::{Claim, Claimant};
use eyeline_store::inbox::{Offset, Span};
use eyeline_store::params;
use eyeline_store::sql::{Db, Row};
use futures::FutureExt as _;
use proptest::prelude::*;
use uuid::Uuid;

use crate::engines::on_every_database;

pub const PROJECT: ProjectId = ProjectId(Uuid::from_u128(1));
pub const OTHER_PROJECT: ProjectId = ProjectId(Uuid::from_u128(2));
pub const APPLICATION: ApplicationId = ApplicationId(Uuid::from_u128(3));
pub const GALLERY: GalleryId = GalleryId(Uuid::from_u128(4));
pub const IMAGES: u128 = 3;

pub fn image(number: u128) -> ImageId {
    ImageId(Uuid::from_u128(100 + number))
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

/// The fencing token of the first claim of a partition.
pub const FIRST_FENCE: i64 = 1;

/// Claims a partition for the first time.
pub async fn claim_first(catalog: &Catalog, partition: u32) {
    let claimant = Claimant { node: "first".to_owned(), inbox_id: INBOX, is_new: true };
    let claimed = catalog.claim_partition(partition, claimant).await.expect("an answer");
    assert_eq!(claimed, Claim::Held { fence: FIRST_FENCE, is_suspect: false });
}

/// A catalog with one gallery of [`IMAGES`] images, named `sku-0` and so on; the first partition is claimed.
pub async fn catalog_with_a_gallery(db: &Db) -> Catalog {
    let catalog = Catalog::from(db.clone());
    catalog.migrate().await.expect("a migrated catalog");
    claim_first(&catalog, 0).await;
    make_gallery(db).await;
    catalog
}

/// The same gallery in a catalog of any version.
pub async fn make_gallery(db: &Db) {
    db.write(|tx| {
        async move {
            let project = "INSERT INTO projects (project_id, name, tier, created_at) VALUES ($1, 'p', 'business', 0)";
            tx.execute(project, params![PROJECT]).await?;
            let gallery = "INSERT INTO galleries (gallery_id, project_id, name, page_size, visibility, access_tier,
                                                  ranking, created_at, updated_at)
                           VALUES ($1, $2, 'g', 20, 'public', 'free', '{}', 0, 0)";
            tx.execute(gallery, params![GALLERY, PROJECT]).await?;
            let images: Vec<_> = (0..IMAGES)
                .map(|number| {
                    let external_id = format!("sku-{number}");
                    params![GALLERY, number as i64, image(number), external_id, true, 0i64].to_vec()
                })
                .collect();
            let sql = "INSERT INTO gallery_images (gallery_id, ordinal, image_id, external_id, listed, revision)
                       VALUES {rows}";
            tx.execute_rows(sql, &images).await.map(drop)
        }
        .boxed()
    })
    .await
    .expect("a gallery");
}

pub async fn rows(db: &Db, sql: &'static str) -> Vec<Row> {
    db.read(move |tx| async move { tx.query(sql, &[]).await }.boxed()).await.expect("rows")
}

/// Views and clicks by image, without images that have neither.
pub async fn counts(db: &Db) -> BTreeMap<ImageId, (u64, u64)> {
    let sql = "SELECT image_id, views, clicks FROM gallery_images WHERE views + clicks > 0";
    let read = |mut row: Row| {
        let counts = (row.take("views").expect("views"), row.take("clicks").expect("clicks"));
        (row.take("image_id").expect("an id"), counts)
    };
    rows(db, sql).await.into_iter().map(read).collect()
}

pub async fn applied_events(db: &Db) -> i64 {
    rows(db, "SELECT applied_events FROM galleries").await[0].take("applied_events").expect("a number")
}

async fn quarantined(db: &Db) -> Vec<(i64, String)> {
    let sql = "SELECT event_offset, reason FROM quarantine ORDER BY event_offset";
    let read =
        |mut row: Row| (number(row.take("event_offset").expect("an offset")), row.take("reason").expect("a reason"));
    rows(db, sql).await.into_iter().map(read).collect()
}

/// The inbox of the tests.
pub const INBOX: Uuid = Uuid::from_u128(70);

/// The offset of an event by its number: offsets have gaps.
pub fn offset(number: i64) -> Offset {
    Offset::from_number(number << 16)
}

/// The number of the event at the offset.
pub fn number(offset: Offset) -> i64 {
    offset.number() >> 16
}

fn view(number: i64, image: ImageRef) -> BatchEvent {
    let event = Event {
        event_id: EventId(Uuid::from_u128(1_000 + number.unsigned_abs() as u128)),
        id_given: false,
        project_id: PROJECT,
        application_id: APPLICATION,
        received_at: at(number),
        session_id: Uuid::from_u128(5).into(),
        visitor_id: None,
        category: "gallery".to_owned(),
        name: "view".to_owned(),
        data: "{}".into(),
        timestamp: at(0),
        source: None,
        schema: None,
        served: None,
        replay: None,
    };
    let act = GalleryAct { kind: ActKind::View, gallery_id: GALLERY, image };
    BatchEvent { offset: offset(number), event, act: Some(act), misfit: None }
}

pub fn view_of(number: i64, of_image: u128) -> BatchEvent {
    view(number, ImageRef::Id(image(of_image)))
}

pub fn named(mut event: BatchEvent, id: u128) -> BatchEvent {
    event.event.event_id = EventId(Uuid::from_u128(id));
    event.event.id_given = true;
    event
}

pub fn clicked(mut event: BatchEvent) -> BatchEvent {
    if let Some(act) = &mut event.act {
        act.kind = ActKind::Click;
    }
    event
}

pub fn batch(after: i64, reached: i64, events: Vec<BatchEvent>) -> EventBatch {
    EventBatch {
        partition: 0,
        fence: FIRST_FENCE,
        after: offset(after),
        reached: offset(reached),
        events,
        aside: Vec::new(),
        now: at(1_000),
        hour_rows_max: u64::MAX,
    }
}

pub fn done(galleries: &[GalleryId], duplicates: usize, quarantined: usize) -> Applied {
    Applied::Done { galleries: galleries.to_vec(), duplicates, quarantined }
}

#[tokio::test]
async fn views_and_clicks_are_counted_by_image_under_either_name() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        assert_eq!(catalog.applied_mark(0).await.expect("a mark"), Offset::START);
        let sku = |number: u128| ImageRef::External(format!("sku-{number}"));
        let events = vec![view_of(1, 0), view(2, sku(0)), clicked(view(3, sku(1))), clicked(view_of(4, 0))];
        assert_eq!(catalog.apply_events(batch(0, 4, events)).await.expect("applied"), done(&[GALLERY], 0, 0));
        assert_eq!(counts(&db).await, BTreeMap::from([(image(0), (2, 1)), (image(1), (0, 1))]));
        assert_eq!(applied_events(&db).await, 4);
        assert_eq!(catalog.applied_mark(0).await.expect("a mark"), offset(4));
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_was_applied_is_refused_by_the_mark() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let first = batch(0, 2, vec![view_of(1, 0), view_of(2, 1)]);
        catalog.apply_events(first.clone()).await.expect("applied");
        assert_eq!(catalog.apply_events(first).await.expect("no error"), Applied::MarkMoved);
        let ahead = batch(7, 8, vec![view_of(8, 0)]);
        assert_eq!(catalog.apply_events(ahead).await.expect("no error"), Applied::MarkMoved);
        assert_eq!(counts(&db).await, BTreeMap::from([(image(0), (1, 0)), (image(1), (1, 0))]));
        assert_eq!(catalog.applied_mark(0).await.expect("a mark"), offset(2));
    })
    .await;
}

#[tokio::test]
async fn of_rivals_with_the_same_batch_one_counts() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        for round in 0..5 {
            let rivals = (0..4).map(|_| catalog.apply_events(batch(round, round + 1, vec![view_of(round + 1, 0)])));
            let outcomes = futures::future::join_all(rivals).await;
            let won = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Applied::Done { .. }))).count();
            assert_eq!(won, 1, "{outcomes:?}");
        }
        assert_eq!(counts(&db).await, BTreeMap::from([(image(0), (5, 0))]));
    })
    .await;
}

#[tokio::test]
async fn an_event_sent_again_counts_once_within_a_batch_and_across_batches() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let again = vec![named(view_of(1, 0), 9), named(clicked(view_of(2, 1)), 9)];
        assert_eq!(catalog.apply_events(batch(0, 2, again)).await.expect("applied"), done(&[GALLERY], 1, 0));
        let later = vec![named(view_of(3, 2), 9)];
        assert_eq!(catalog.apply_events(batch(2, 3, later)).await.expect("applied"), done(&[], 1, 0));
        assert_eq!(counts(&db).await, BTreeMap::from([(image(0), (1, 0))]), "the first body wins");

        let mut elsewhere = named(view_of(4, 2), 9);
        elsewhere.event.application_id = ApplicationId(Uuid::from_u128(33));
        assert_eq!(catalog.apply_events(batch(3, 4, vec![elsewhere])).await.expect("applied"), done(&[GALLERY], 0, 0));

        let dropped: Vec<Offset> = rows(&db, "SELECT event_offset FROM dropped_events ORDER BY event_offset")
            .await
            .into_iter()
            .map(|mut row| row.take("event_offset").expect("an offset"))
            .collect();
        assert_eq!(dropped, [offset(2), offset(3)]);
        let key = (APPLICATION, EventId(Uuid::from_u128(9)));
        let places = catalog.event_places(vec![key, (APPLICATION, EventId(Uuid::nil()))]).await.expect("places");
        assert_eq!(places.len(), 1);
        assert_eq!((places[&key].partition, places[&key].offset), (0, offset(1)));
    })
    .await;
}

#[tokio::test]
async fn ids_are_forgotten_by_age_and_a_few_at_a_time() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let events: Vec<BatchEvent> = (1..=10).map(|offset| named(view_of(offset, 0), offset as u128)).collect();
        catalog.apply_events(batch(0, 10, events)).await.expect("applied");
        assert_eq!(catalog.forget_event_ids(at(9), 5).await.expect("forgotten"), 5);
        assert_eq!(catalog.forget_event_ids(at(9), 5).await.expect("forgotten"), 3);
        assert_eq!(catalog.forget_event_ids(at(9), 5).await.expect("forgotten"), 0);
        let ids = (1..=10).map(|id| (APPLICATION, EventId(Uuid::from_u128(id)))).collect();
        let left = catalog.event_places(ids).await.expect("places");
        assert_eq!(
            left.values().map(|place| place.offset).collect::<BTreeSet<_>>(),
            BTreeSet::from([offset(9), offset(10)])
        );
    })
    .await;
}

#[tokio::test]
async fn what_names_no_image_of_the_senders_project_is_kept_apart() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let mut foreign = view_of(2, 0);
        foreign.event.project_id = OTHER_PROJECT;
        let mut no_gallery = view_of(3, 0);
        if let Some(act) = &mut no_gallery.act {
            act.gallery_id = GalleryId(Uuid::from_u128(44));
        }
        let events = vec![
            view_of(1, 77),
            foreign,
            no_gallery,
            view(4, ImageRef::External("sku-77".to_owned())),
            named(view_of(5, 88), 9),
            named(view_of(6, 88), 9),
            view_of(7, 2),
        ];
        assert_eq!(catalog.apply_events(batch(0, 7, events)).await.expect("applied"), done(&[GALLERY], 1, 5));
        let reasons: Vec<(i64, String)> = (1..=5).map(|offset| (offset, "unknown_image".to_owned())).collect();
        assert_eq!(quarantined(&db).await, reasons);
        assert_eq!(counts(&db).await, BTreeMap::from([(image(2), (1, 0))]));
        let record: Vec<u8> =
            rows(&db, "SELECT event FROM quarantine ORDER BY event_offset").await[0].take("event").expect("bytes");
        assert_eq!(Event::decode(&record), Some(view_of(1, 77).event), "it can be tried again as it was");
        let dropped = catalog.dropped_events(0, Span { after: Offset::START, up_to: offset(7) }).await.expect("places");
        assert_eq!(dropped, (1..=6).map(offset).collect(), "none of them counts");
    })
    .await;
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_kept_apart_and_the_line_goes_on() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let unreadable = Aside {
            offset: offset(1),
            event: None,
            record: vec![0, 255, 7],
            misfit: Misfit { reason: "unreadable", errors: FieldErrors::one("", "No layout.") },
        };
        let batch = EventBatch { aside: vec![unreadable], ..batch(0, 2, vec![view_of(2, 0)]) };
        assert_eq!(catalog.apply_events(batch).await.expect("applied"), done(&[GALLERY], 0, 1));
        assert_eq!(quarantined(&db).await, [(1, "unreadable".to_owned())]);
        assert_eq!(catalog.applied_mark(0).await.expect("a mark"), offset(2));
    })
    .await;
}

#[tokio::test]
async fn a_gallery_that_was_deleted_is_unknown() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        catalog.delete_gallery(GALLERY, at(1)).await.expect("deleted");
        assert_eq!(catalog.apply_events(batch(0, 1, vec![view_of(1, 0)])).await.expect("applied"), done(&[], 0, 1));
    })
    .await;
}

#[tokio::test]
async fn partitions_are_marked_apart() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        claim_first(&catalog, 1).await;
        let in_partition = |partition, batch| EventBatch { partition, ..batch };
        catalog.apply_events(in_partition(1, batch(0, 5, vec![named(view_of(5, 0), 9)]))).await.expect("applied");
        catalog.apply_events(in_partition(0, batch(0, 3, vec![named(view_of(3, 0), 9)]))).await.expect("applied");
        assert_eq!(catalog.applied_mark(0).await.expect("a mark"), offset(3));
        assert_eq!(catalog.applied_mark(1).await.expect("a mark"), offset(5));
        assert_eq!(counts(&db).await, BTreeMap::from([(image(0), (1, 0))]), "an id counts once in all partitions");
    })
    .await;
}

#[tokio::test]
async fn a_large_batch_is_applied_in_one_piece() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let events =
            (1..=5_000).map(|offset| named(view_of(offset, offset as u128 % IMAGES), offset as u128)).collect();
        assert_eq!(catalog.apply_events(batch(0, 5_000, events)).await.expect("applied"), done(&[GALLERY], 0, 0));
        assert_eq!(applied_events(&db).await, 5_000);
    })
    .await;
}

/// The number of an image ([`IMAGES`] is unknown), true for a click, and perhaps one of a few event ids.
type Sent = (u128, bool, Option<u128>);

/// Batches, each with the number of attempts to apply it.
fn histories() -> impl Strategy<Value = Vec<(Vec<Sent>, usize)>> {
    let event = (0..=IMAGES, any::<bool>(), prop::option::of(0u128..8));
    prop::collection::vec((prop::collection::vec(event, 0..12), 1usize..4), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_history_of_batches_duplicates_and_repeats_counts_as_a_model_does(history in histories()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(on_every_database(async |db| {
            let catalog = catalog_with_a_gallery(&db).await;
            let (mut seen, mut expected, mut expected_aside) = (BTreeSet::new(), BTreeMap::new(), 0);
            let mut last = 0;
            for (events, tries) in &history {
                let after = last;
                let mut sent = Vec::new();
                for (number, click, id) in events {
                    last += 1;
                    let event = view_of(last, *number);
                    let event = if *click { clicked(event) } else { event };
                    sent.push(match id {
                        Some(id) => named(event, *id),
                        None => event,
                    });
                    if id.is_some_and(|id| !seen.insert(id)) {
                        continue;
                    }
                    if *number == IMAGES {
                        expected_aside += 1;
                        continue;
                    }
                    let (views, clicks) = expected.entry(image(*number)).or_insert((0, 0));
                    *(if *click { clicks } else { views }) += 1;
                }
                // A worker never applies an empty batch.
                for attempt in 0..if events.is_empty() { 0 } else { *tries } {
                    let outcome = catalog.apply_events(batch(after, last, sent.clone())).await.expect("applied");
                    assert_eq!(outcome == Applied::MarkMoved, attempt > 0);
                }
            }
            assert_eq!(counts(&db).await, expected);
            assert_eq!(quarantined(&db).await.len(), expected_aside);
            let counted: u64 = expected.values().map(|(views, clicks)| views + clicks).sum();
            assert_eq!(applied_events(&db).await as u64, counted);
            assert_eq!(catalog.applied_mark(0).await.expect("a mark"), offset(last));
        }));
    }
}

/// A view or click of one of the gallery's images, received `minutes` after the first.
fn placed(number: i64, of_image: u32, minutes: i64, click: bool, served: Option<Served>) -> BatchEvent {
    let mut event = view_of(number, of_image.into());
    event.event.received_at = at(minutes * 60 + 600);
    event.event.served = served;
    if click { clicked(event) } else { event }
}

#[tokio::test]
async fn acts_teach_ranking_the_same_however_they_are_cut_into_batches() {
    let acts: Vec<BatchEvent> = (1..=60)
        .map(|offset| {
            let (number, rank) = (u32::try_from(offset % 2).expect("small"), u16::try_from(offset % 5).expect("small"));
            let served = match offset % 7 {
                0 => None,
                // A receipt of another image teaches nothing, nor does a rank below those that are learnt.
                1 => Some(Served { ordinal: 1 - number, rank }),
                2 => Some(Served { ordinal: number, rank: Served::RANKS_TAUGHT }),
                _ => Some(Served { ordinal: number, rank }),
            };
            placed(offset, number, offset / 9, offset % 4 == 0, served)
        })
        .collect();
    let place_of = |act: &BatchEvent| {
        let rank = act.event.served?.rank;
        (number(act.offset) % 7 > 2).then_some(u32::from(rank))
    };
    let mut learnt = Learnt::default();
    let mut evidence = [Evidence::default(); 2];
    for act in &acts {
        let said = act.act.as_ref().expect("an act");
        let number = usize::from(said.image == ImageRef::Id(image(1)));
        let (minute, age) = (act.event.received_at.minute(), act.event.received_at.micros() - at(0).micros());
        let act = Act { kind: said.kind, place: place_of(act), age, minute };
        learnt.take_in(&mut evidence[number], act, Ranking::default().half_life_minutes());
    }
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        for (after, reached) in [(0, 1), (1, 25), (25, 60)] {
            let some = acts
                .iter()
                .filter(|act| number(act.offset) > after && number(act.offset) <= reached)
                .cloned()
                .collect();
            catalog.apply_events(batch(after, reached, some)).await.expect("applied");
        }
        let changes =
            catalog.gallery_changes(GALLERY, ChangeMark::START, 10).await.expect("changes").expect("a gallery");
        assert_eq!(changes.learnt, learnt);
        let found: Vec<Evidence> = changes.images.iter().map(|(_, image)| image.evidence).collect();
        assert!(evidence.iter().all(|expected| found.contains(expected)), "{found:?} is not {evidence:?}");
        // Served ranks are kept until their events are in files, also if a flush ends within a batch.
        for flushed in [0, 20, 25] {
            if flushed > 0 {
                let after = catalog.marks().await.expect("marks")[0].flushed;
                let reached = offset(flushed);
                let flush =
                    FlushBatch { partition: 0, fence: FIRST_FENCE, after, reached, records: 1, files: Vec::new() };
                assert_eq!(catalog.commit_flush(flush).await.expect("an answer"), Committed::Done);
            }
            let served =
                catalog.served_places(0, Span { after: offset(flushed), up_to: offset(60) }).await.expect("places");
            for act in acts.iter().filter(|act| act.offset > offset(flushed)) {
                assert_eq!(served.get(&act.offset).copied(), place_of(act), "{}", act.offset);
            }
        }
        let rest = rows(&db, "SELECT first_offset FROM served_places").await;
        assert_eq!(rest.len(), 1, "the batch that is not flushed completely");
    })
    .await;
}
