//! Replay: a quarantined event counts once, however often it comes back.

use std::collections::BTreeMap;

use eyeline_core::event::{ImageRef, Replay};
use eyeline_core::{EventId, FieldErrors, GalleryId};
use eyeline_store::Catalog;
use eyeline_store::catalog::erasures::Erasure;
use eyeline_store::catalog::events::{BatchEvent, EventBatch, Misfit};
use eyeline_store::catalog::quarantine::{Age, Filter, Order, QuarantineTotals};
use eyeline_store::inbox::{Offset, Span};
use eyeline_store::params;
use eyeline_store::sql::Db;
use futures::FutureExt as _;
use uuid::Uuid;

use crate::engines::on_every_database;
use crate::events::{
    APPLICATION, GALLERY, PROJECT, applied_events, at, batch, catalog_with_a_gallery, clicked, counts, done, image,
    named, number, offset, rows, view_of,
};

/// An image that is not in the gallery at first.
const LATE: u128 = 77;

fn misfit(mut event: BatchEvent, reason: &'static str) -> BatchEvent {
    event.act = None;
    event.misfit = Some(Misfit { reason, errors: FieldErrors::one("data.n", "This is wrong.") });
    event
}

/// The replayed event, with its place in quarantine.
fn back(mut event: BatchEvent, from: i64, to: i64) -> BatchEvent {
    event.event.replay = Some(Replay { partition: 0, offset: offset(from).number(), at: at(5_000) });
    event.offset = offset(to);
    event.misfit = None;
    event
}

async fn add_late_image(db: &Db) {
    db.write(|tx| {
        async move {
            let sql = "INSERT INTO gallery_images (gallery_id, ordinal, image_id, listed, revision)
                       VALUES ($1, 50, $2, $3, 0)";
            tx.execute(sql, params![GALLERY, image(LATE), true]).await.map(drop)
        }
        .boxed()
    })
    .await
    .expect("an image");
}

async fn kept_apart(catalog: &Catalog) -> Vec<(i64, String)> {
    let found = catalog.quarantined(PROJECT, Filter::default(), Order::FirstFirst, None, 100).await.expect("a list");
    found.into_iter().map(|quarantined| (number(quarantined.age.offset), quarantined.reason)).collect()
}

#[tokio::test]
async fn an_event_that_comes_back_many_times_counts_once() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let late = view_of(1, LATE);
        catalog.apply_events(batch(0, 1, vec![late.clone()])).await.expect("applied");
        add_late_image(&db).await;
        let twice = vec![back(late.clone(), 1, 2), back(late.clone(), 1, 3)];
        assert_eq!(catalog.apply_events(batch(1, 3, twice)).await.expect("applied"), done(&[GALLERY], 1, 0));
        let again = vec![back(late, 1, 4)];
        assert_eq!(catalog.apply_events(batch(3, 4, again)).await.expect("applied"), done(&[], 1, 0));
        assert_eq!(counts(&db).await, BTreeMap::from([(image(LATE), (1, 0))]));
        assert_eq!(applied_events(&db).await, 1);
        assert_eq!(kept_apart(&catalog).await, []);
        let dropped =
            catalog.dropped_events(0, Span { after: Offset::START, up_to: offset(10) }).await.expect("places");
        assert_eq!(dropped, [1, 3, 4].map(offset).into(), "one place of the event counts");
    })
    .await;
}

#[tokio::test]
async fn one_whose_session_was_erased_meanwhile_does_not_come_back() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let late = view_of(1, LATE);
        let mut newer = view_of(2, LATE);
        newer.event.received_at = at(9_000);
        catalog.apply_events(batch(0, 2, vec![late.clone(), newer.clone()])).await.expect("applied");
        add_late_image(&db).await;
        // Two copies are in the inbox when the session is erased. The newer one arrived after the request.
        let erasure = Erasure {
            erasure_id: Uuid::from_u128(1).into(),
            project_id: PROJECT,
            session_id: Some(late.event.session_id),
            requested_at: at(8_000),
            finished_at: None,
            events: 0,
        };
        catalog.request_erasure(erasure.clone(), None).await.expect("requested");
        catalog.finish_erasure(erasure.erasure_id, at(8_500)).await.expect("finished");
        let copies = vec![back(late, 1, 3), back(newer, 2, 4)];
        assert_eq!(catalog.apply_events(batch(2, 4, copies)).await.expect("applied"), done(&[GALLERY], 1, 0));
        assert_eq!(counts(&db).await, BTreeMap::from([(image(LATE), (1, 0))]));
        assert_eq!(kept_apart(&catalog).await, []);
        let span = Span { after: offset(2), up_to: offset(4) };
        assert!(catalog.dropped_events(0, span).await.expect("places").contains(&offset(3)), "no file gets it");
    })
    .await;
}

#[tokio::test]
async fn one_that_fails_again_is_kept_under_its_new_place() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let late = named(view_of(1, LATE), 9);
        catalog.apply_events(batch(0, 1, vec![late.clone()])).await.expect("applied");
        assert_eq!(
            catalog.apply_events(batch(1, 2, vec![back(late.clone(), 1, 2)])).await.expect("applied"),
            done(&[], 0, 1)
        );
        assert_eq!(kept_apart(&catalog).await, [(2, "unknown_image".to_owned())]);
        add_late_image(&db).await;
        let outcome = catalog.apply_events(batch(2, 3, vec![back(late, 2, 3)])).await.expect("applied");
        assert_eq!(outcome, done(&[GALLERY], 0, 0));
        assert_eq!(counts(&db).await, BTreeMap::from([(image(LATE), (1, 0))]));
    })
    .await;
}

#[tokio::test]
async fn an_event_in_quarantine_is_found_when_it_is_sent_again_and_its_id_goes_where_it_goes() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let wrong = misfit(named(view_of(1, 0), 9), "schema");
        let better = named(clicked(view_of(2, 1)), 9);
        let outcome = catalog.apply_events(batch(0, 2, vec![wrong.clone(), better])).await.expect("applied");
        assert_eq!(outcome, done(&[], 1, 1), "the first body wins, right or wrong");
        let key = (APPLICATION, EventId(Uuid::from_u128(9)));
        let found = catalog.quarantined_event(key.0, key.1).await.expect("an answer").expect("an event");
        assert_eq!((found.age.offset, found.reason.as_str(), &found.event), (offset(1), "schema", &wrong.event));
        assert_eq!(found.errors, r#"{"data.n":["This is wrong."]}"#);

        let act = view_of(1, 0).act;
        let comes_back = BatchEvent { act, ..back(wrong, 1, 3) };
        catalog.apply_events(batch(2, 3, vec![comes_back])).await.expect("applied");
        assert_eq!(counts(&db).await, BTreeMap::from([(image(0), (1, 0))]));
        assert_eq!(catalog.event_places(vec![key]).await.expect("places")[&key].offset, offset(3));
        assert!(catalog.quarantined_event(key.0, key.1).await.expect("an answer").is_none());
    })
    .await;
}

#[tokio::test]
async fn an_id_that_another_event_took_meanwhile_is_that_events() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let late = named(view_of(1, LATE), 9);
        catalog.apply_events(batch(0, 1, vec![late.clone()])).await.expect("applied");
        add_late_image(&db).await;
        catalog.forget_event_ids(at(1_000_000), 10).await.expect("forgotten");
        let taker = named(view_of(2, 0), 9);
        catalog.apply_events(batch(1, 2, vec![taker])).await.expect("applied");
        let outcome = catalog.apply_events(batch(2, 3, vec![back(late, 1, 3)])).await.expect("applied");
        assert_eq!(outcome, done(&[], 1, 0));
        assert_eq!(counts(&db).await, BTreeMap::from([(image(0), (1, 0))]));

        let other = named(view_of(4, 88), 10);
        catalog.apply_events(batch(3, 4, vec![other.clone()])).await.expect("applied");
        catalog.forget_event_ids(at(1_000_000), 10).await.expect("forgotten");
        let comes_back = BatchEvent { act: view_of(4, 1).act, ..back(other, 4, 5) };
        let outcome = catalog.apply_events(batch(4, 5, vec![comes_back])).await.expect("applied");
        assert_eq!(outcome, done(&[GALLERY], 0, 0), "an id that nobody took is noted anew");
    })
    .await;
}

#[tokio::test]
async fn the_quarantine_is_listed_filtered_and_counted_by_cause() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let mut sent = Vec::new();
        for offset in 1..=9 {
            let mut event = misfit(view_of(offset, 0), if offset % 3 == 0 { "invalid" } else { "schema" });
            event.event.name = if offset < 5 { "early" } else { "late" }.to_owned();
            sent.push(event);
        }
        catalog.apply_events(batch(0, 9, sent)).await.expect("applied");
        let offsets = async |filter: Filter, after: Option<Age>| {
            let found = catalog.quarantined(PROJECT, filter, Order::LastFirst, after, 4).await.expect("a list");
            found.into_iter().map(|quarantined| quarantined.age).collect::<Vec<Age>>()
        };
        let first = offsets(Filter::default(), None).await;
        assert_eq!(first.iter().map(|age| number(age.offset)).collect::<Vec<_>>(), [9, 8, 7, 6]);
        let next = offsets(Filter::default(), first.last().copied()).await;
        assert_eq!(next.iter().map(|age| number(age.offset)).collect::<Vec<_>>(), [5, 4, 3, 2]);
        let filter = Filter { name: Some("late".to_owned()), reason: Some("schema".to_owned()), ..Filter::default() };
        let late = offsets(filter.clone(), None).await;
        assert_eq!(late.iter().map(|age| number(age.offset)).collect::<Vec<_>>(), [8, 7, 5]);
        let causes = catalog.quarantine_causes(PROJECT, Filter::default(), 10).await.expect("causes");
        let told: Vec<_> = causes.iter().map(|cause| (&cause.name[..], &cause.reason[..], cause.events)).collect();
        assert_eq!(
            told,
            [("early", "schema", 3), ("late", "schema", 3), ("late", "invalid", 2), ("early", "invalid", 1)]
        );

        let renewed = Misfit { reason: "invalid", errors: FieldErrors::one("data", "Now this.") };
        catalog.renew_misfits(late.iter().map(|age| (*age, renewed.clone())).collect()).await.expect("renewed");
        assert_eq!(offsets(filter, None).await, []);
    })
    .await;
}

#[tokio::test]
async fn it_is_news_once_that_events_were_kept_apart() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        assert_eq!(catalog.tell_quarantined(at(1)).await.expect("told"), []);
        let sent = (1..=20).map(|offset| misfit(view_of(offset, 0), "schema")).collect();
        catalog.apply_events(batch(0, 20, sent)).await.expect("applied");
        assert_eq!(catalog.tell_quarantined(at(2)).await.expect("told"), [(PROJECT, 1)]);
        assert_eq!(catalog.tell_quarantined(at(3)).await.expect("told"), []);
        let page = catalog.news(PROJECT, 0, 10).await.expect("news");
        assert_eq!(page.news.iter().map(|news| news.kind.as_str()).collect::<Vec<_>>(), ["events.quarantined"]);
    })
    .await;
}

#[tokio::test]
async fn which_images_are_known_is_told_for_either_name() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let asked = vec![
            (GALLERY, ImageRef::Id(image(0))),
            (GALLERY, ImageRef::External("sku-1".to_owned())),
            (GALLERY, ImageRef::Id(image(LATE))),
            (GalleryId(Uuid::from_u128(44)), ImageRef::Id(image(0))),
        ];
        let known = catalog.known_images(PROJECT, asked.clone()).await.expect("known ones");
        assert_eq!(known, asked[..2].iter().cloned().collect());
        assert!(!rows(&db, "SELECT 1 AS one FROM gallery_images").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_quarantine_has_bounds_and_its_totals_are_right_whatever_changes_it() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let totals = async || catalog.project_usage(PROJECT, at(0)).await.expect("a usage").1.quarantined;
        let are_right = async |dropped: u64| {
            let sql = "SELECT count(*) AS events,
                              CAST(coalesce(sum(octet_length(event) + octet_length(errors)), 0) AS BIGINT) AS bytes
                       FROM quarantine";
            let mut row = rows(&db, sql).await.pop().expect("a row");
            let (events, bytes) = (row.take("events").expect("events"), row.take("bytes").expect("bytes"));
            assert_eq!(totals().await, QuarantineTotals { events, bytes, dropped });
        };
        are_right(0).await;
        let events = (1..=40).map(|offset| misfit(view_of(offset, 0), "schema")).collect();
        catalog.apply_events(batch(0, 40, events)).await.expect("applied");
        are_right(0).await;
        assert_eq!(catalog.trim_quarantine(PROJECT, 30, u64::MAX).await.expect("trimmed"), 10);
        are_right(10).await;
        let bytes = totals().await.bytes;
        assert_eq!(catalog.trim_quarantine(PROJECT, 30, bytes / 2).await.expect("trimmed"), 15);
        let left: Vec<i64> = kept_apart(&catalog).await.into_iter().map(|(offset, _)| offset).collect();
        assert_eq!(left, (26..=40).collect::<Vec<i64>>());
        let age = Age { quarantined_at: at(1_000), partition: 0, offset: offset(30) };
        let longer =
            Misfit { reason: "schema", errors: FieldErrors::one("data.n", "This is wrong for another reason.") };
        catalog.renew_misfits(vec![(age, longer)]).await.expect("renewed");
        are_right(25).await;
        let back = vec![back(view_of(30, 0), 30, 41), misfit(view_of(42, 0), "schema")];
        catalog.apply_events(batch(40, 42, back)).await.expect("applied");
        are_right(25).await;
        assert_eq!(catalog.trim_quarantine(PROJECT, 0, 0).await.expect("trimmed"), 15);
        are_right(40).await;
    })
    .await;
}

#[tokio::test]
async fn events_that_would_make_too_many_rows_in_a_day_do_not_count_until_another_day() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let event = |offset: i64, name: &str| {
            let mut event = view_of(offset, 0);
            event.act = None;
            (event.event.category, event.event.name) = ("other".to_owned(), name.to_owned());
            event
        };
        let limited =
            |after, reached, now, events| EventBatch { now, hour_rows_max: 2, ..batch(after, reached, events) };
        let first = vec![event(1, "a"), event(2, "b"), event(3, "c"), event(4, "a")];
        assert_eq!(catalog.apply_events(limited(0, 4, at(1), first)).await.expect("applied"), done(&[], 0, 1));
        assert_eq!(kept_apart(&catalog).await, [(3, "too_many_names".to_owned())]);
        let known = vec![event(5, "b"), event(6, "d")];
        assert_eq!(catalog.apply_events(limited(4, 6, at(2), known)).await.expect("applied"), done(&[], 0, 1));
        assert_eq!(catalog.project_usage(PROJECT, at(2)).await.expect("a usage").1.hour_rows, 2);
        let tomorrow = at(2 + 24 * 60 * 60);
        let again = vec![back(event(3, "c"), 3, 7), event(8, "e"), event(9, "f")];
        assert_eq!(catalog.apply_events(limited(6, 9, tomorrow, again)).await.expect("applied"), done(&[], 0, 1));
        assert_eq!(kept_apart(&catalog).await.len(), 2);
        assert_eq!(catalog.project_usage(PROJECT, tomorrow).await.expect("a usage").1.hour_rows, 2);
    })
    .await;
}
