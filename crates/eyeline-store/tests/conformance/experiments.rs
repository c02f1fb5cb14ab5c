//! Hold-outs: the acts of the visitors of both arms, separately for each comparison.

use eyeline_core::ranking::experiment::{Arm, Control, Holdout};
use eyeline_core::{GalleryId, Ranking, SessionId, Strategy};
use eyeline_store::Catalog;
use eyeline_store::catalog::erasures::Erasure;
use eyeline_store::catalog::events::BatchEvent;
use eyeline_store::catalog::galleries::GalleryPatch;
use eyeline_store::params;
use futures::FutureExt as _;
use uuid::Uuid;

use crate::engines::on_every_database;
use crate::events::{GALLERY, PROJECT, at, batch, catalog_with_a_gallery, clicked, make_gallery, number, view_of};

const BY_INTEREST: Ranking = Ranking {
    strategy: Strategy::Interest,
    factors: eyeline_core::WeightFactors { view_weight: 1, click_weight: 7 },
    half_life_s: None,
    guard: false,
    holdout_percent: 50,
    holdout_control: Control::Newest,
};
const SESSIONS: usize = 20;

async fn compare(catalog: &Catalog, ranking: Ranking) {
    let patch = GalleryPatch { ranking: ranking.into(), ..GalleryPatch::default() };
    catalog.update_gallery(GALLERY, patch, at(0)).await.expect("a changed gallery");
}

fn session(number: usize) -> SessionId {
    SessionId(Uuid::from_u128(number as u128))
}

/// A view and a click of each session, after the applied events.
async fn visit(catalog: &Catalog) {
    let mark = number(catalog.applied_mark(0).await.expect("a mark"));
    let of = |number: usize, event: BatchEvent| {
        let mut event = event;
        event.event.session_id = session(number);
        event
    };
    let events: Vec<BatchEvent> = (0..SESSIONS)
        .flat_map(|number| {
            let first = mark + 1 + 2 * number as i64;
            [of(number, view_of(first, 0)), of(number, clicked(view_of(first + 1, 0)))]
        })
        .collect();
    let reached = mark + events.len() as i64;
    catalog.apply_events(batch(mark, reached, events)).await.expect("applied");
}

/// Sessions and clicks of the treatment, then of the control.
async fn figures(catalog: &Catalog, ranking: Ranking) -> [(u64, u64); 2] {
    let holdout = ranking.holdout().expect("a hold-out");
    let sums = catalog.holdout_sums(GALLERY, holdout).await.expect("sums");
    [sums.treatment, sums.control].map(|arm| (arm.sessions, arm.clicks))
}

/// The given multiple of all sessions' acts, each in its arm.
fn expected(holdout: Holdout, visits: u64) -> [(u64, u64); 2] {
    [Arm::Treatment, Arm::Control].map(|arm| {
        let of_arm = |number: &usize| holdout.arm_of(GALLERY, &session(*number).to_string()) == arm;
        let sessions = (0..SESSIONS).filter(of_arm).count() as u64;
        (sessions, sessions * visits)
    })
}

#[tokio::test]
async fn figures_of_another_share_strategy_or_control_are_kept_apart() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let others = [
            BY_INTEREST,
            Ranking { holdout_control: Control::Weight, ..BY_INTEREST },
            Ranking { strategy: Strategy::Ctr, ..BY_INTEREST },
            Ranking { holdout_percent: 30, ..BY_INTEREST },
        ];
        for (visits, rankings) in [(1, &others[..]), (2, &others[..2])] {
            for ranking in rankings {
                compare(&catalog, *ranking).await;
                visit(&catalog).await;
                let holdout = ranking.holdout().expect("a hold-out");
                assert_eq!(figures(&catalog, *ranking).await, expected(holdout, visits), "{ranking:?}");
            }
        }
        // Acts outside a comparison do not change its figures.
        compare(&catalog, Ranking { half_life_s: Some(3_600), ..BY_INTEREST }).await;
        visit(&catalog).await;
        assert_eq!(figures(&catalog, BY_INTEREST).await, expected(BY_INTEREST.holdout().expect("a hold-out"), 3));
        catalog.delete_gallery(GALLERY, at(9)).await.expect("deleted");
        while catalog.clear_deleted_galleries(7).await.expect("cleared") {}
        assert_eq!(figures(&catalog, BY_INTEREST).await, [(0, 0); 2]);
    })
    .await;
}

#[tokio::test]
async fn an_erased_session_is_in_no_arm() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        compare(&catalog, BY_INTEREST).await;
        visit(&catalog).await;
        let holdout = BY_INTEREST.holdout().expect("a hold-out");
        let arm = |number| usize::from(holdout.arm_of(GALLERY, &session(number).to_string()) == Arm::Control);
        let mut left = expected(holdout, 1);
        for number in [0, 1, 2] {
            let erasure = Erasure {
                erasure_id: Uuid::from_u128(number as u128 + 1).into(),
                project_id: PROJECT,
                session_id: Some(session(number)),
                requested_at: at(8_000),
                finished_at: None,
                events: 0,
            };
            let erasure_id = erasure.erasure_id;
            catalog.request_erasure(erasure, None).await.expect("requested");
            catalog.finish_erasure(erasure_id, at(8_500)).await.expect("finished");
            left[arm(number)].0 -= 1;
            left[arm(number)].1 -= 1;
            assert_eq!(figures(&catalog, BY_INTEREST).await, left);
        }
    })
    .await;
}

#[tokio::test]
async fn figures_from_before_there_was_a_choice_are_of_the_gallerys_strategy_against_the_newest() {
    const PLAIN: GalleryId = GalleryId(Uuid::from_u128(77));
    on_every_database(async |db| {
        db.migrate_to(11).await.expect("an older catalog");
        make_gallery(&db).await;
        db.write(|tx| {
            async move {
                let ranking = r#"{"strategy":"interest","holdout_percent":50}"#;
                tx.execute("UPDATE galleries SET ranking = $1", params![ranking]).await?;
                let gallery = "INSERT INTO galleries (gallery_id, project_id, name, page_size, visibility, access_tier,
                                                      ranking, created_at, updated_at)
                               VALUES ($1, $2, 'g', 20, 'public', 'free', $3, 0, 0)";
                tx.execute(gallery, params![PLAIN, PROJECT, r#"{"holdout_percent":50}"#]).await?;
                let rows: Vec<_> = [(GALLERY, true, 3i64), (GALLERY, false, 4), (PLAIN, true, 5)]
                    .map(|(gallery_id, control, clicks)| {
                        let session_id = session(usize::from(control));
                        params![gallery_id, 50i64, session_id, 9i64, control, 1i64, clicks].to_vec()
                    })
                    .to_vec();
                let sql = "INSERT INTO holdout_sessions
                               (gallery_id, percent, session_id, visitor, control, views, clicks) VALUES {rows}";
                tx.execute_rows(sql, &rows).await.map(drop)
            }
            .boxed()
        })
        .await
        .expect("rows of then");
        let catalog = Catalog::from(db.clone());
        catalog.migrate().await.expect("a migrated catalog");
        assert_eq!(figures(&catalog, BY_INTEREST).await, [(1, 4), (1, 3)]);
        let plain = catalog.gallery(PLAIN).await.expect("an answer").expect("a gallery").ranking;
        let sums = catalog.holdout_sums(PLAIN, plain.holdout().expect("a hold-out")).await.expect("sums");
        assert_eq!((sums.control.clicks, sums.treatment.clicks), (5, 0));
    })
    .await;
}
