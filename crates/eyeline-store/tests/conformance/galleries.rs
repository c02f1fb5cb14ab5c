//! Galleries, datasets loaded into them, and the reads of ranking.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use eyeline_core::event::{ActKind, GalleryAct, ImageRef};
use eyeline_core::ranking::{Columns, Counts, RankedImage, RankingPatch};
use eyeline_core::{
    AccessClass, ApplicationId, Event, EventId, GalleryId, ImageId, ProjectId, Ranking, Strategy, Tier, Timestamp,
    Visibility, WeightFactors,
};
use eyeline_store::catalog::dataset::{DatasetLoaded, DatasetRow};
use eyeline_store::catalog::events::{Applied, BatchEvent, EventBatch};
use eyeline_store::catalog::galleries::{Gallery, GalleryPatch};
use eyeline_store::catalog::orders::{ChangeMark, GalleryItem};
use eyeline_store::catalog::public_pages::PublicPage;
use eyeline_store::sql::{Db, Dialect};
use eyeline_store::{Catalog, Error, params};
use futures::FutureExt as _;
use uuid::Uuid;

use crate::engines::on_every_database;
use crate::events::{batch, claim_first, number, offset};

pub const PROJECT: ProjectId = ProjectId(Uuid::from_u128(1));
const OTHER_PROJECT: ProjectId = ProjectId(Uuid::from_u128(2));
pub const GALLERY: GalleryId = GalleryId(Uuid::from_u128(3));

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

pub fn image(number: u128) -> ImageId {
    ImageId(Uuid::from_u128(1_000 + number))
}

fn gallery(gallery_id: GalleryId, second: i64) -> Gallery {
    Gallery {
        gallery_id,
        project_id: PROJECT,
        name: "shoes".to_owned(),
        page_size: 20,
        visibility: Visibility::Public,
        access_tier: Tier::Free,
        ranking: Ranking::default(),
        page: PublicPage::default(),
        applied_events: 0,
        ignored_events: 0,
        created_at: at(second),
        updated_at: at(second),
    }
}

/// A catalog with two projects, one of them with an empty gallery.
pub async fn catalog_with_a_gallery(db: &Db) -> Catalog {
    let catalog = Catalog::from(db.clone());
    catalog.migrate().await.expect("a migrated catalog");
    db.write(|tx| {
        async move {
            let sql = "INSERT INTO projects (project_id, name, tier, created_at) VALUES ($1, 'p', 'business', 0)";
            tx.execute(sql, params![PROJECT]).await?;
            tx.execute(sql, params![OTHER_PROJECT]).await.map(drop)
        }
        .boxed()
    })
    .await
    .expect("two projects");
    catalog.create_gallery(gallery(GALLERY, 0), None, None).await.expect("a gallery");
    catalog
}

pub fn row(number: u128, external_id: &str) -> DatasetRow {
    DatasetRow {
        new_image_id: image(number),
        external_id: external_id.to_owned(),
        name: Some(format!("picture {number}")),
        url: format!("https://cdn.example/{number}.jpg"),
        link: None,
        tags: vec!["shoes".to_owned()],
        width: None,
        height: None,
        created_at: None,
        visibility: None,
        access_tier: None,
    }
}

/// An upload of the project in state `done`.
pub async fn insert_upload(db: &Db, project_id: ProjectId, image_id: ImageId) {
    db.write(move |tx| {
        async move {
            let sql = "INSERT INTO images (image_id, project_id, filename, state, visibility, access_tier, tags,
                                           metadata, created_at, updated_at)
                       VALUES ($1, $2, 'hello.jpg', 'done', 'public', 'free', '[]', '{}', 5, 5)";
            tx.execute(sql, params![image_id, project_id]).await.map(drop)
        }
        .boxed()
    })
    .await
    .expect("an upload");
}

/// Counts one view of each of the images.
pub async fn view(catalog: &Catalog, images: &[ImageId]) {
    let after = number(catalog.applied_mark(0).await.expect("a mark"));
    let events = (after + 1..).zip(images).map(|(number, image_id)| BatchEvent {
        offset: offset(number),
        event: Event {
            event_id: EventId(Uuid::from_u128(number.unsigned_abs().into())),
            id_given: false,
            project_id: PROJECT,
            application_id: ApplicationId(Uuid::from_u128(9)),
            received_at: at(0),
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
        },
        act: Some(GalleryAct { kind: ActKind::View, gallery_id: GALLERY, image: ImageRef::Id(*image_id) }),
        misfit: None,
    });
    let events: Vec<BatchEvent> = events.collect();
    let reached = after + i64::try_from(events.len()).expect("a small batch");
    if after == 0 {
        claim_first(catalog, 0).await;
    }
    let batch = EventBatch { now: at(0), ..batch(after, reached, events) };
    let applied = catalog.apply_events(batch).await.expect("counted events");
    assert!(matches!(applied, Applied::Done { quarantined: 0, .. }), "{applied:?}");
}

/// The state of ranking after reading everything, a few images at a time.
pub async fn read_all(
    catalog: &Catalog,
    from: ChangeMark,
    limit: u32,
    known: &mut BTreeMap<u32, RankedImage>,
) -> ChangeMark {
    let mut mark = from;
    loop {
        let changes = catalog.gallery_changes(GALLERY, mark, limit).await.expect("changes").expect("a gallery");
        known.extend(changes.images);
        mark = changes.mark;
        if changes.complete {
            return mark;
        }
    }
}

async fn items(catalog: &Catalog, ordinals: &[u32]) -> Vec<GalleryItem> {
    catalog.gallery_items(GALLERY, ordinals).await.expect("items")
}

#[tokio::test]
async fn a_gallery_is_made_changed_listed_and_gone_once_deleted() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        assert_eq!(catalog.gallery(GALLERY).await.expect("a reading"), Some(gallery(GALLERY, 0)));

        let patch = GalleryPatch {
            name: Some("boots".to_owned()),
            ranking: RankingPatch { strategy: Some(Strategy::Newest), view_weight: Some(2), ..RankingPatch::default() },
            ..GalleryPatch::default()
        };
        let of_another_client = GalleryPatch {
            ranking: RankingPatch { half_life_s: Some(Some(60)), click_weight: Some(5), ..RankingPatch::default() },
            ..GalleryPatch::default()
        };
        let (changed, also_changed) = tokio::join!(
            catalog.update_gallery(GALLERY, patch, at(7)),
            catalog.update_gallery(GALLERY, of_another_client, at(7))
        );
        changed.expect("a change");
        also_changed.expect("a change of something else");
        let changed = catalog.gallery(GALLERY).await.expect("a reading").expect("the gallery");
        assert_eq!(changed.name, "boots");
        assert_eq!(changed.page_size, 20);
        let ranking = Ranking {
            strategy: Strategy::Newest,
            factors: WeightFactors { view_weight: 2, click_weight: 5 },
            half_life_s: Some(60),
            ..Ranking::default()
        };
        assert_eq!(changed.ranking, ranking, "both changes hold");
        for (view_weight, click_weight, is_taken) in [(Some(0), None, true), (None, Some(0), false)] {
            let ranking = RankingPatch { view_weight, click_weight, ..RankingPatch::default() };
            let patch = GalleryPatch { ranking, ..GalleryPatch::default() };
            assert_eq!(catalog.update_gallery(GALLERY, patch, at(7)).await.is_ok(), is_taken);
        }
        let changed = catalog.gallery(GALLERY).await.expect("a reading").expect("the gallery");
        assert_eq!(changed.ranking.factors, WeightFactors { view_weight: 0, click_weight: 5 });

        let second = GalleryId(Uuid::from_u128(4));
        catalog.create_gallery(gallery(second, 9), None, None).await.expect("a second gallery");
        let listed = catalog.galleries(PROJECT, None, 10).await.expect("a list");
        assert_eq!(listed.iter().map(|gallery| gallery.gallery_id).collect::<Vec<_>>(), [second, GALLERY]);
        let after = Some((listed[0].created_at, listed[0].gallery_id));
        let rest = catalog.galleries(PROJECT, after, 10).await.expect("a list");
        assert_eq!(rest.iter().map(|gallery| gallery.gallery_id).collect::<Vec<_>>(), [GALLERY]);
        assert!(catalog.galleries(OTHER_PROJECT, None, 10).await.expect("a list").is_empty());

        catalog.delete_gallery(GALLERY, at(8)).await.expect("a deletion");
        assert_eq!(catalog.gallery(GALLERY).await.expect("a reading"), None);
        let again = catalog.delete_gallery(GALLERY, at(8)).await.expect_err("gone");
        assert!(matches!(again, Error::NotFound("gallery")), "{again}");
        let load = catalog.load_dataset(GALLERY, vec![row(1, "a")], None, at(8)).await.expect_err("gone");
        assert!(matches!(load, Error::NotFound("gallery")), "{load}");
    })
    .await;
}

#[tokio::test]
async fn a_gallery_of_a_deleted_project_is_not_there() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        db.write(|tx| async move { tx.execute("UPDATE projects SET deleted_at = 1", &[]).await.map(drop) }.boxed())
            .await
            .expect("a deletion");
        assert_eq!(catalog.gallery(GALLERY).await.expect("a reading"), None);
        assert!(catalog.gallery_revisions(&[GALLERY]).await.expect("a reading").is_empty());
        assert!(catalog.gallery_changes(GALLERY, ChangeMark::START, 10).await.expect("a reading").is_none());
        let made =
            catalog.create_gallery(gallery(GalleryId(Uuid::from_u128(8)), 0), None, None).await.expect_err("gone");
        assert!(matches!(made, Error::NotFound("project")), "{made}");
    })
    .await;
}

#[tokio::test]
async fn a_row_loaded_again_updates_its_image_and_an_equal_one_changes_nothing() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let rows = || vec![row(1, "a"), row(2, "b"), row(3, "c")];
        let first = catalog.load_dataset(GALLERY, rows(), None, at(10)).await.expect("a load");
        assert_eq!(first.loaded, DatasetLoaded { created: 3, updated: 0, unchanged: 0 });
        let revisions = catalog.gallery_revisions(&[GALLERY]).await.expect("revisions");

        let again = catalog.load_dataset(GALLERY, rows(), None, at(20)).await.expect("a load");
        assert_eq!(again.loaded, DatasetLoaded { created: 0, updated: 0, unchanged: 3 });
        assert_eq!(catalog.gallery_revisions(&[GALLERY]).await.expect("revisions"), revisions);

        let private = DatasetRow { visibility: Some(Visibility::Private), created_at: Some(at(11)), ..row(2, "b") };
        catalog.load_dataset(GALLERY, vec![private], None, at(20)).await.expect("a load");
        // Values missing in a row are cleared, except its time, visibility and access tier.
        let plain = DatasetRow { name: None, link: Some("https://shop.example".to_owned()), ..row(7, "b") };
        let loaded =
            catalog.load_dataset(GALLERY, vec![plain, row(4, "d"), row(5, "d")], None, at(30)).await.expect("a load");
        assert_eq!(loaded.loaded, DatasetLoaded { created: 1, updated: 2, unchanged: 0 });

        let read = items(&catalog, &[0, 1, 2, 3]).await;
        let ids: Vec<ImageId> = read.iter().map(|item| item.image_id).collect();
        assert_eq!(ids, [image(1), image(2), image(3), image(4)], "known images keep their ids");
        assert_eq!((read[1].name.as_deref(), read[1].link.as_deref()), (None, Some("https://shop.example")));
        assert_eq!(read[1].url.as_deref(), Some("https://cdn.example/7.jpg"));
        assert_eq!(read[1].visibility, Visibility::Private);
        assert_eq!(read[3].name.as_deref(), Some("picture 5"), "of two rows with one id the last one stands");

        let mut known = BTreeMap::new();
        read_all(&catalog, ChangeMark::START, 10, &mut known).await;
        assert_eq!(known[&1].created_at, at(11));
        assert_eq!(known[&1].shown_to, Some(AccessClass::Project));
        assert_eq!(known[&3].created_at, at(30));
    })
    .await;
}

#[tokio::test]
async fn a_load_of_many_rows_keeps_their_order_and_other_galleries_out() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let other = GalleryId(Uuid::from_u128(4));
        catalog.create_gallery(gallery(other, 0), None, None).await.expect("a second gallery");
        catalog.load_dataset(other, vec![row(5_000, "sku-7")], None, at(1)).await.expect("a load");

        let rows: Vec<DatasetRow> = (0..1_000).map(|number| row(number, &format!("sku-{number}"))).collect();
        let loaded = catalog.load_dataset(GALLERY, rows, None, at(1)).await.expect("a load");
        assert_eq!(loaded.loaded.created, 1_000);
        let ordinals: Vec<u32> = (0..1_000).collect();
        let mut read = items(&catalog, &ordinals).await;
        read.sort_by_key(|item| item.ordinal);
        let expected: Vec<ImageId> = (0..1_000).map(image).collect();
        assert_eq!(read.iter().map(|item| item.image_id).collect::<Vec<_>>(), expected);
    })
    .await;
}

#[tokio::test]
async fn an_image_taken_out_comes_back_with_its_ordinal_and_its_counters() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        insert_upload(&db, PROJECT, image(1)).await;
        insert_upload(&db, PROJECT, image(2)).await;
        insert_upload(&db, OTHER_PROJECT, image(3)).await;
        for number in [1, 2] {
            catalog.list_image(GALLERY, image(number)).await.expect("an image in the gallery");
        }
        for absent in [image(3), image(4)] {
            let refused = catalog.list_image(GALLERY, absent).await.expect_err("not the project's");
            assert!(matches!(refused, Error::NotFound("image")), "{refused}");
        }
        view(&catalog, &[image(1), image(1)]).await;

        let mut known = BTreeMap::new();
        let mark = read_all(&catalog, ChangeMark::START, 10, &mut known).await;
        assert_eq!(known[&0].counts, Counts { views: 2, clicks: 0 });
        assert_eq!(known[&0].shown_to, Some(AccessClass::Public));

        catalog.unlist_image(GALLERY, image(1)).await.expect("taken out");
        let mark = read_all(&catalog, mark, 10, &mut known).await;
        assert_eq!(known[&0].shown_to, None);

        catalog.list_image(GALLERY, image(1)).await.expect("put back");
        read_all(&catalog, mark, 10, &mut known).await;
        assert_eq!(known[&0].shown_to, Some(AccessClass::Public));
        assert_eq!(known[&0].counts, Counts { views: 2, clicks: 0 });
        assert_eq!(known.len(), 2, "no ordinal was spent on it");
        assert_eq!(catalog.gallery_ordinal(GALLERY, image(1)).await.expect("a reading"), Some(0));
        let never = catalog.unlist_image(GALLERY, image(3)).await.expect_err("never in it");
        assert!(matches!(never, Error::NotFound("image")), "{never}");
    })
    .await;
}

/// Reads in pieces of every size, with writes in between, and compares with one reading at the end.
#[tokio::test]
async fn changes_read_in_pieces_while_others_write_end_at_the_truth() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let mut seed = 12_345u64;
        let mut draw = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let mut known = BTreeMap::new();
        let mut mark = ChangeMark::START;
        for round in 0..40u128 {
            match draw(4) {
                0 => {
                    let rows =
                        (0..1 + draw(5)).map(|index| row(round * 10 + u128::from(index), &format!("sku-{}", draw(20))));
                    let rows: Vec<DatasetRow> = rows.collect();
                    catalog.load_dataset(GALLERY, rows, None, at(i64::from(draw(9) as u32))).await.expect("a load");
                }
                1 if !known.is_empty() => {
                    let ordinal = u32::try_from(draw(known.len() as u64)).expect("small");
                    let item = items(&catalog, &[ordinal]).await.remove(0);
                    catalog.unlist_image(GALLERY, item.image_id).await.expect("taken out");
                }
                2 if !known.is_empty() => {
                    let ordinal = u32::try_from(draw(known.len() as u64)).expect("small");
                    let item = items(&catalog, &[ordinal]).await.remove(0);
                    view(&catalog, &[item.image_id; 3]).await;
                }
                _ => {}
            }
            // One piece only. A later round reads the rest, after other writes.
            let limit = u32::try_from(1 + draw(4)).expect("small");
            let changes = catalog.gallery_changes(GALLERY, mark, limit).await.expect("changes").expect("a gallery");
            known.extend(changes.images);
            mark = changes.mark;
        }
        read_all(&catalog, mark, 2, &mut known).await;
        let mut at_once = BTreeMap::new();
        read_all(&catalog, ChangeMark::START, 10_000, &mut at_once).await;
        assert_eq!(known, at_once);
        let mut columns = Columns::default();
        known.iter().for_each(|(ordinal, image)| columns.set(*ordinal, *image));
        let views: u64 = (0..columns.len()).map(|ordinal| columns.counts(ordinal as u32).views).sum();
        let applied = catalog.gallery(GALLERY).await.expect("a reading").expect("a gallery").applied_events;
        assert_eq!(views, applied);
        assert!(applied > 0);
    })
    .await;
}

#[tokio::test]
async fn what_belongs_to_a_deleted_gallery_is_cleared_in_pieces_and_uploads_stay() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let rows = (0..5).map(|number| row(number, &format!("sku-{number}"))).collect();
        catalog.load_dataset(GALLERY, rows, None, at(1)).await.expect("a load");
        insert_upload(&db, PROJECT, image(9)).await;
        catalog.list_image(GALLERY, image(9)).await.expect("an image in the gallery");
        let other = GalleryId(Uuid::from_u128(4));
        catalog.create_gallery(gallery(other, 0), None, None).await.expect("a second gallery");
        catalog.list_image(other, image(0)).await.expect("an image in two galleries");

        assert!(!catalog.clear_deleted_galleries(2).await.expect("nothing to do"));
        catalog.delete_gallery(GALLERY, at(2)).await.expect("a deletion");
        let mut pieces = 0;
        while catalog.clear_deleted_galleries(2).await.expect("a piece") {
            pieces += 1;
        }
        assert_eq!(pieces, 4, "three pairs and the gallery itself");
        let left = db
            .read(|tx| async move { tx.query("SELECT image_id FROM images ORDER BY image_id", &[]).await }.boxed())
            .await
            .expect("images");
        let left: Vec<ImageId> = left.into_iter().map(|mut row| row.take("image_id").expect("an id")).collect();
        assert_eq!(left, [image(0), image(9)]);
    })
    .await;
}

/// Otherwise its change would be stored only in its earlier galleries, and missed by this one. SQLite has a single
/// writer.
#[tokio::test]
async fn an_image_is_put_into_a_gallery_after_the_change_of_it_that_is_under_way() {
    on_every_database(async |db| {
        if db.dialect() == Dialect::Sqlite {
            return;
        }
        let catalog = catalog_with_a_gallery(&db).await;
        insert_upload(&db, PROJECT, image(1)).await;
        let (under_way, seen) = tokio::sync::oneshot::channel();
        let change = db.write(|tx| {
            async move {
                let sql = "UPDATE images SET visibility = 'private' WHERE image_id = $1";
                tx.execute(sql, params![image(1)]).await?;
                under_way.send(()).expect("somebody who waits");
                tokio::time::sleep(Duration::from_millis(300)).await;
                Ok(Instant::now())
            }
            .boxed()
        });
        let put_in = async {
            seen.await.expect("a change under way");
            catalog.list_image(GALLERY, image(1)).await.expect("an image in the gallery");
            Instant::now()
        };
        let (changed_at, put_in_at) = tokio::join!(change, put_in);
        assert!(put_in_at >= changed_at.expect("a change"));
    })
    .await;
}

#[tokio::test]
async fn an_image_that_was_deleted_is_shown_to_nobody_and_its_external_id_is_free() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        catalog.load_dataset(GALLERY, vec![row(1, "a"), row(2, "b")], None, at(1)).await.expect("a load");
        let mut known = BTreeMap::new();
        let mark = read_all(&catalog, ChangeMark::START, 10, &mut known).await;
        let (_, hints) = catalog.delete_image(image(1)).await.expect("a deletion");
        assert_eq!(hints.galleries, [GALLERY]);
        read_all(&catalog, mark, 10, &mut known).await;
        assert_eq!(known[&0].shown_to, None);
        assert_eq!(known[&1].shown_to, Some(AccessClass::Public));
        assert!(items(&catalog, &[0]).await.is_empty());

        let again = catalog.load_dataset(GALLERY, vec![row(3, "a"), row(2, "b")], None, at(2)).await.expect("a load");
        assert_eq!(again.loaded, DatasetLoaded { created: 1, updated: 0, unchanged: 1 });
        assert_eq!(items(&catalog, &[2]).await[0].image_id, image(3));
    })
    .await;
}

/// SQLite's planner prefers to read the whole gallery for each chunk of a dataset.
#[tokio::test]
async fn the_rows_of_a_chunk_are_looked_up_by_an_index() {
    on_every_database(async |db| {
        if db.dialect() == Dialect::Postgres {
            return;
        }
        catalog_with_a_gallery(&db).await;
        let plan = db.read(|tx| {
            async move {
                let sql = "EXPLAIN QUERY PLAN
                           SELECT gi.ordinal FROM (VALUES {rows}) AS v
                           JOIN gallery_images gi ON gi.gallery_id = v.column1 AND gi.external_id = v.column2";
                tx.query_rows(sql, &vec![params![GALLERY, "sku"].to_vec(); 256]).await
            }
            .boxed()
        });
        let steps: Vec<String> =
            plan.await.expect("a plan").into_iter().map(|mut row| row.take("detail").expect("a step")).collect();
        assert!(steps.iter().any(|step| step.starts_with("SEARCH gi USING")), "{steps:?}");
    })
    .await;
}
