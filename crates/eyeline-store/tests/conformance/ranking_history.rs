//! The settings under which each event was counted, stored so that a recount gives the same result, whatever changes
//! concurrently.

use std::sync::atomic::{AtomicBool, Ordering};

use eyeline_core::ranking::experiment::Control;
use eyeline_core::{Ranking, Strategy, WeightFactors};
use eyeline_store::Catalog;
use eyeline_store::catalog::galleries::GalleryPatch;
use eyeline_store::catalog::ranking_history::RankingChange;
use eyeline_store::inbox::Offset;
use eyeline_store::params;
use futures::FutureExt as _;

use crate::engines::on_every_database;
use crate::events::{GALLERY, at, batch, catalog_with_a_gallery, make_gallery, offset, view_of};
use crate::guard::{acts, assert_ranks_as, reckoned};

async fn set(catalog: &Catalog, ranking: Ranking) {
    let patch = GalleryPatch { ranking: ranking.into(), ..GalleryPatch::default() };
    catalog.update_gallery(GALLERY, patch, at(0)).await.expect("a changed gallery");
}

fn half_life(hours: u32) -> Ranking {
    Ranking { half_life_s: Some(hours * 3_600), ..Ranking::default() }
}

#[tokio::test]
async fn it_is_noted_from_which_event_on_events_are_counted_in_another_way() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let history = async || catalog.ranking_history(GALLERY, 0).await.expect("a history");
        let guarded = Ranking { guard: true, ..Ranking::default() };
        set(&catalog, guarded).await;
        assert_eq!((history().await.present, history().await.changes), (guarded, vec![]), "no event was before it");
        catalog.apply_events(batch(0, 1, vec![view_of(1, 0)])).await.expect("applied");
        set(&catalog, Ranking::default()).await;
        catalog.apply_events(batch(1, 2, vec![view_of(2, 0)])).await.expect("applied");
        for ranking in [half_life(5), Ranking::default(), half_life(6)] {
            set(&catalog, ranking).await;
        }
        let expected = [
            RankingChange { after: offset(1), was: guarded, is: Ranking::default() },
            RankingChange { after: offset(2), was: Ranking::default(), is: half_life(6) },
        ];
        assert_eq!(history().await.changes, expected);
        let at_offset = [1, 2, 3, 4].map(async |number| history().await.at(offset(number)));
        let found = futures::future::join_all(at_offset).await;
        assert_eq!(found, [guarded, Ranking::default(), half_life(6), half_life(6)]);

        catalog.apply_events(batch(2, 3, vec![view_of(3, 0)])).await.expect("applied");
        let orders_alone = Ranking {
            strategy: Strategy::Trending,
            factors: WeightFactors { view_weight: 3, click_weight: 4 },
            holdout_percent: 5,
            holdout_control: Control::Weight,
            ..half_life(6)
        };
        set(&catalog, orders_alone).await;
        assert_eq!(history().await.changes, expected, "what decides about orders alone is not noted");

        catalog.delete_gallery(GALLERY, at(9)).await.expect("deleted");
        while catalog.clear_deleted_galleries(9).await.expect("cleared") {}
        let left = crate::events::rows(&db, "SELECT after_offset FROM ranking_changes").await;
        assert!(left.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_change_while_events_are_applied_hold_from_the_event_that_is_noted() {
    let acts = acts();
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let done = AtomicBool::new(false);
        let applying = async {
            for (number, some) in acts.chunks(5).enumerate() {
                let after = 5 * number as i64;
                catalog.apply_events(batch(after, after + 5, some.to_vec())).await.expect("applied");
            }
            done.store(true, Ordering::Relaxed);
        };
        let changing = async {
            for hours in (1..9).cycle() {
                set(&catalog, Ranking { guard: hours % 3 == 0, ..half_life(hours) }).await;
                tokio::task::yield_now().await;
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        };
        tokio::join!(applying, changing);
        let history = catalog.ranking_history(GALLERY, 0).await.expect("a history");
        assert!(history.changes.len() > 10, "{} changes", history.changes.len());
        let expected = reckoned(&acts, |offset| history.at(offset));
        assert_ranks_as(&catalog, &expected).await;
    })
    .await;
}

#[tokio::test]
async fn what_was_noted_of_guards_alone_is_kept() {
    on_every_database(async |db| {
        db.migrate_to(12).await.expect("an older catalog");
        make_gallery(&db).await;
        db.write(|tx| {
            async move {
                let sql = "INSERT INTO guard_switches (gallery_id, partition, after_offset, was_on, is_on)
                           VALUES {rows}";
                let rows = [(0i64, 7i64, false, true), (0, 9, true, false), (1, 3, false, true)]
                    .map(|(partition, after, was, is)| params![GALLERY, partition, after, was, is].to_vec());
                tx.execute_rows(sql, &rows).await?;
                let ranking = r#"{"strategy":"trending","half_life_s":3600,"guard":true}"#;
                tx.execute("UPDATE galleries SET ranking = $1", params![ranking]).await.map(drop)
            }
            .boxed()
        })
        .await
        .expect("rows of then");
        let catalog = Catalog::from(db.clone());
        catalog.migrate().await.expect("a migrated catalog");
        let off = Ranking { strategy: Strategy::Trending, ..half_life(1) };
        let on = Ranking { guard: true, ..off };
        let history = catalog.ranking_history(GALLERY, 0).await.expect("a history");
        let changes = [(7, off, on), (9, on, off)].map(|(after, was, is)| RankingChange {
            after: Offset::from_number(after),
            was,
            is,
        });
        assert_eq!((history.present, &history.changes[..]), (on, &changes[..]));
        assert_eq!([7, 8, 9, 10].map(|number| history.at(Offset::from_number(number))), [off, on, on, off]);
    })
    .await;
}
