//! Guarded galleries: the counts for their ranking are kept beside the exact ones, and do not depend on how events are
//! divided into batches.

use eyeline_core::event::{ImageRef, Served, Source};
use eyeline_core::ranking::{Guard, RankedImage, RankingPatch, Reckoned, Reckoner, SOURCES_MAX, SourceState};
use eyeline_core::{Ranking, SessionId};
use eyeline_store::Catalog;
use eyeline_store::catalog::events::BatchEvent;
use eyeline_store::catalog::galleries::GalleryPatch;
use eyeline_store::catalog::orders::ChangeMark;
use eyeline_store::inbox::Offset;
use eyeline_store::params;
use eyeline_store::sql::{Db, Value};
use futures::FutureExt as _;
use uuid::Uuid;

use crate::engines::on_every_database;
use crate::events::{
    GALLERY, IMAGES, applied_events, at, batch, catalog_with_a_gallery, clicked, image, number, rows, view_of,
};

/// The source of a person; the robots of the tests have others.
const PERSON: u32 = u32::MAX - 7;

/// A source in a network of its own; 0 is a declared robot.
fn source_of(number: u32) -> Source {
    if number == 0 { Source::ROBOT } else { Source::of(number, 1) }
}

async fn set_guard(catalog: &Catalog, guard: bool) {
    let ranking = RankingPatch { guard: Some(guard), ..RankingPatch::default() };
    let patch = GalleryPatch { ranking, ..GalleryPatch::default() };
    catalog.update_gallery(GALLERY, patch, at(0)).await.expect("a changed gallery");
}

fn sent(mut event: BatchEvent, minute: i64, session: u128, source: Option<u32>) -> BatchEvent {
    event.event.received_at = at(minute * 60);
    event.event.session_id = SessionId(Uuid::from_u128(session));
    event.event.source = source.map(source_of);
    let rank = u16::try_from(number(event.offset) % 5).expect("small");
    event.event.served = Some(Served { ordinal: number_of(&event), rank });
    event
}

/// The ordinal of the image that the event names.
fn number_of(event: &BatchEvent) -> u32 {
    let said = &event.act.as_ref().expect("an act").image;
    let number = (0..IMAGES).position(|number| *said == ImageRef::Id(image(number))).expect("an image");
    u32::try_from(number).expect("small")
}

/// Counts these acts in memory, each under the settings at its offset.
pub fn reckoned(acts: &[BatchEvent], ranking: impl Fn(Offset) -> Ranking) -> Reckoner {
    let mut expected = Reckoner::default();
    reckon(&mut expected, acts, ranking);
    expected
}

/// Adds these acts to what `expected` has counted before.
pub fn reckon(expected: &mut Reckoner, acts: &[BatchEvent], ranking: impl Fn(Offset) -> Ranking) {
    for act in acts {
        let said = act.act.as_ref().expect("an act");
        let reckoned = Reckoned {
            image: number_of(act),
            kind: said.kind,
            place: act.event.served.map(|served| served.rank.into()),
            session_id: act.event.session_id,
            source: act.event.source,
            received_at: act.event.received_at,
        };
        expected.take_in(reckoned, ranking(act.offset));
    }
}

/// Asserts that the catalog's counts and learning of the gallery equal those in memory.
pub async fn assert_ranks_as(catalog: &Catalog, expected: &Reckoner) {
    let (images, learnt, ignored_events) = ranked(catalog).await;
    assert_eq!(learnt, expected.learnt);
    let mut sum = 0;
    for (ordinal, image) in images {
        assert_eq!(image.counts, expected.columns.counts(ordinal));
        assert_eq!(image.ignored, expected.columns.ignored(ordinal));
        assert_eq!(image.evidence, expected.columns.evidence(ordinal));
        sum += image.ignored.views + image.ignored.clicks;
    }
    assert_eq!(ignored_events, sum);
}

/// 600 acts of eight sources, or of none, in 40 sessions. Half of an even source's acts are clicks, and an eighth of
/// an odd one's.
pub fn acts() -> Vec<BatchEvent> {
    let mut random = 7u64;
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut acts = Vec::new();
    for offset in 1..=600 {
        let source = draw(9);
        let event = view_of(offset, u128::from(draw(IMAGES as u64)));
        let clicks = if source % 2 == 0 { draw(2) == 0 } else { draw(8) == 0 };
        let event = if clicks { clicked(event) } else { event };
        let named = if source == 8 { None } else { Some(source as u32) };
        acts.push(sent(event, 100 + offset / 4 * i64::from(offset > 300), u128::from(draw(40)), named));
    }
    acts
}

async fn ranked(catalog: &Catalog) -> (Vec<(u32, RankedImage)>, eyeline_core::ranking::Learnt, u64) {
    let changes = catalog.gallery_changes(GALLERY, ChangeMark::START, 10).await.expect("changes").expect("a gallery");
    let mut images = changes.images;
    images.sort_by_key(|(ordinal, _)| *ordinal);
    (images, changes.learnt, changes.gallery.ignored_events)
}

#[tokio::test]
async fn a_guarded_gallery_counts_the_same_however_its_acts_are_cut_into_batches() {
    let acts = acts();
    let expected = reckoned(&acts, |_| Ranking { guard: true, ..Ranking::default() });
    let ignored = |number: usize| expected.columns.ignored(u32::try_from(number).expect("small"));
    assert!((0..IMAGES as usize).all(|number| ignored(number).views > 0 && ignored(number).clicks > 0));
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        set_guard(&catalog, true).await;
        for (after, reached) in [(0, 1), (1, 40), (40, 300), (300, 301), (301, 600)] {
            let some = acts
                .iter()
                .filter(|act| number(act.offset) > after && number(act.offset) <= reached)
                .cloned()
                .collect();
            catalog.apply_events(batch(after, reached, some)).await.expect("applied");
        }
        assert_ranks_as(&catalog, &expected).await;
        assert_eq!(applied_events(&db).await, 600, "every event is counted exactly");
    })
    .await;
}

#[tokio::test]
async fn robots_that_are_found_out_in_one_batch_lose_each_what_they_did_in_a_session_before() {
    let view_and_click = |offset: i64, number, session, source| {
        let view = sent(view_of(offset, number), 5, session, Some(source));
        [view, sent(clicked(view_of(offset + 1, number)), 5, session, Some(source))]
    };
    // Three robots share session 1, each with an image of its own. They are detected by their acts in other sessions.
    let shared = (0..3u32).flat_map(|robot| view_and_click(1 + 2 * i64::from(robot), robot.into(), 1, 3 + robot));
    let found_out =
        (0..30u32).flat_map(|turn| view_and_click(7 + 2 * i64::from(turn), 1, 10 + u128::from(turn), 3 + turn % 3));
    let acts: Vec<BatchEvent> = shared.chain(found_out).collect();
    let expected = reckoned(&acts, |_| Ranking { guard: true, ..Ranking::default() });
    assert_eq!(expected.learnt.views, 0, "nobody is a visitor here");
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        set_guard(&catalog, true).await;
        catalog.apply_events(batch(0, 6, acts[..6].to_vec())).await.expect("applied");
        catalog.apply_events(batch(6, 66, acts[6..].to_vec())).await.expect("applied");
        assert_ranks_as(&catalog, &expected).await;
    })
    .await;
}

#[tokio::test]
async fn what_a_robot_did_before_it_was_found_out_is_taken_back_and_ranking_hears_of_it() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        set_guard(&catalog, true).await;
        let both = |offset, number, session, source| {
            let view = sent(view_of(offset, number), 5, session, Some(source));
            [view, sent(clicked(view_of(offset + 1, number)), 5, session, Some(source))]
        };
        let first = [both(1, 0, 1, 3), both(3, 0, 2, PERSON)].concat();
        catalog.apply_events(batch(0, 4, first)).await.expect("applied");
        let known = catalog.gallery_changes(GALLERY, ChangeMark::START, 10).await.expect("changes").expect("a gallery");
        let second: Vec<BatchEvent> =
            (0..10).flat_map(|number| both(5 + 2 * number, 1, 10 + number.unsigned_abs() as u128, 3)).collect();
        catalog.apply_events(batch(4, 24, second)).await.expect("applied");
        let changes = catalog.gallery_changes(GALLERY, known.mark, 10).await.expect("changes").expect("a gallery");
        let of =
            |number: usize| changes.images.iter().find(|(ordinal, _)| *ordinal as usize == number).expect("changed").1;
        assert_eq!((of(0).ignored.views, of(0).ignored.clicks), (1, 1), "the person's view and click stay");
        assert_eq!((of(1).ignored.views, of(1).ignored.clicks), (10, 10));
        assert_eq!(of(1).evidence.views, 0.0);
    })
    .await;
}

async fn count(db: &Db, sql: &'static str) -> i64 {
    rows(db, sql).await[0].take("n").expect("a number")
}

#[tokio::test]
async fn what_a_guard_remembers_is_forgotten_after_its_day_and_with_its_gallery() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        set_guard(&catalog, true).await;
        let events =
            (1..=6).map(|offset| sent(view_of(offset, 0), offset, offset as u128, Some(offset as u32))).collect();
        catalog.apply_events(batch(0, 6, events)).await.expect("applied");
        assert_eq!(catalog.forget_guarded(at(3 * 60), 10).await.expect("forgotten"), 4);
        assert_eq!(count(&db, "SELECT count(*) AS n FROM guard_sources").await, 8);
        assert_eq!(count(&db, "SELECT count(*) AS n FROM guard_visits").await, 4);
        catalog.delete_gallery(GALLERY, at(9)).await.expect("deleted");
        while catalog.clear_deleted_galleries(2).await.expect("cleared") {}
        for sql in ["SELECT count(*) AS n FROM guard_sources", "SELECT count(*) AS n FROM guard_visits"] {
            assert_eq!(count(&db, sql).await, 0);
        }
    })
    .await;
}

#[tokio::test]
async fn over_its_bound_a_guard_forgets_its_oldest_sources() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        set_guard(&catalog, true).await;
        // As many sources as the guard keeps. The smallest number is the oldest.
        db.write(|tx| {
            async move {
                for first in (1..=SOURCES_MAX as i64).step_by(10_000) {
                    let row = |source: i64| {
                        let since = 5_000 + u32::try_from(source / 1_000).unwrap_or(0);
                        let state = SourceState::new(since).to_bytes();
                        let source = Source::of(u32::try_from(source).unwrap_or(0), 1).to_bits().cast_signed();
                        params![GALLERY, source, since, state].to_vec()
                    };
                    let sources: Vec<Vec<Value>> = (first..first + 10_000).map(row).collect();
                    let sql = "INSERT INTO guard_sources (gallery_id, source, since, state) VALUES {rows}";
                    tx.execute_rows(sql, &sources).await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
        .expect("many sources");
        let known = sent(view_of(1, 0), 5_200, 1, Some(SOURCES_MAX as u32));
        let new = sent(view_of(2, 0), 5_200, 2, Some(PERSON));
        catalog.apply_events(batch(0, 2, vec![known, new])).await.expect("applied");
        let held = count(&db, "SELECT count(*) AS n FROM guard_sources").await;
        assert_eq!(held as usize, SOURCES_MAX - Guard::FORGOTTEN + 3, "two new networks and a source");
        let least = count(&db, "SELECT min(source) / 4294967296 AS n FROM guard_sources WHERE source > 0").await;
        assert_eq!(least as usize, Guard::FORGOTTEN + 1);
        let (images, ..) = ranked(&catalog).await;
        assert_eq!(images[0].1.ignored.views, 0);
    })
    .await;
}
