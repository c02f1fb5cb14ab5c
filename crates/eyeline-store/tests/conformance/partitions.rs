//! One process at a time owns a partition; writes of others are refused.

use std::time::Duration;

use eyeline_core::{ErasureId, SessionId, Timestamp};
use eyeline_store::Catalog;
use eyeline_store::catalog::erasures::{Erased, Erasure};
use eyeline_store::catalog::events::{Applied, EventBatch};
use eyeline_store::catalog::jobs::LEASE;
use eyeline_store::catalog::lake::{Committed, FlushBatch};
use eyeline_store::catalog::partitions::{Claim, Claimant};
use eyeline_store::inbox::Offset;
use eyeline_store::params;
use eyeline_store::sql::Db;
use futures::FutureExt as _;
use futures::future::join_all;
use uuid::Uuid;

use crate::engines::on_every_database;
use crate::events::{PROJECT, at, batch, catalog_with_a_gallery, offset, view_of};
use crate::lake::{self, file};

async fn on_every_engine(test: impl AsyncFn(Catalog, Db)) {
    on_every_database(async |db| {
        let catalog = Catalog::from(db.clone());
        catalog.migrate().await.expect("a migrated catalog");
        test(catalog, db).await;
    })
    .await;
}

async fn claim(catalog: &Catalog, node: &str, is_new: bool) -> Claim {
    let claimant = Claimant { node: node.to_owned(), is_new };
    catalog.claim_partition(0, claimant).await.expect("an answer")
}

async fn expect_taken(catalog: &Catalog, node: &str, is_new: bool, by: &str) {
    let claimed = claim(catalog, node, is_new).await;
    let Claim::Taken { owner, left } = &claimed else { panic!("{claimed:?}") };
    assert!(owner == by && *left > Duration::ZERO && *left <= LEASE, "{claimed:?}");
}

/// Simulates a lease that was not renewed for this time.
async fn let_the_lease_end(db: &Db) {
    let sql = "UPDATE partitions SET lease_until = 1";
    db.write(move |tx| async move { tx.execute(sql, params![]).await }.boxed()).await.expect("a statement");
}

#[tokio::test]
async fn of_many_that_claim_one_owns_the_partition_until_its_lease_ends() {
    on_every_engine(async |catalog, db| {
        assert_eq!(catalog.partition_owner(0).await.expect("an answer"), None);
        let nodes: Vec<String> = (0..8).map(|number| format!("node-{number}")).collect();
        let claims = join_all(nodes.iter().map(|node| claim(&catalog, node, true))).await;
        let winners: Vec<&String> = nodes
            .iter()
            .zip(&claims)
            .filter(|(_, claim)| matches!(claim, Claim::Held { .. }))
            .map(|(node, _)| node)
            .collect();
        let [winner] = winners[..] else { panic!("{claims:?}") };
        assert_eq!(catalog.partition_owner(0).await.expect("an answer"), Some((winner.clone(), Offset::START)));

        expect_taken(&catalog, "other", true, winner).await;
        assert!(catalog.renew_partition(0, 1).await.expect("an answer"));
        let_the_lease_end(&db).await;
        assert_eq!(claim(&catalog, "other", false).await, Claim::Held { fence: 2, is_suspect: false });
        assert!(!catalog.renew_partition(0, 1).await.expect("an answer"), "too late");
        expect_taken(&catalog, winner, false, "other").await;
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_nobody_took_meanwhile_is_renewed_after_its_end() {
    on_every_engine(async |catalog, db| {
        assert_eq!(claim(&catalog, "one", true).await, Claim::Held { fence: 1, is_suspect: false });
        let_the_lease_end(&db).await;
        assert!(catalog.renew_partition(0, 1).await.expect("an answer"));
        expect_taken(&catalog, "other", true, "one").await;
    })
    .await;
}

#[tokio::test]
async fn a_restarted_process_takes_over_from_itself_at_once_and_no_running_one_does() {
    on_every_engine(async |catalog, _| {
        assert_eq!(claim(&catalog, "one", true).await, Claim::Held { fence: 1, is_suspect: false });
        assert_eq!(claim(&catalog, "one", true).await, Claim::Held { fence: 2, is_suspect: false });
        // The first process continues, as with a copied data folder, and does not get the partition back.
        expect_taken(&catalog, "one", false, "one").await;
    })
    .await;
}

#[tokio::test]
async fn a_partition_that_was_released_is_free_at_once() {
    on_every_engine(async |catalog, _| {
        assert_eq!(claim(&catalog, "one", true).await, Claim::Held { fence: 1, is_suspect: false });
        assert_eq!(claim(&catalog, "one", true).await, Claim::Held { fence: 2, is_suspect: false });
        catalog.release_partition(0, 1).await.expect("an answer");
        expect_taken(&catalog, "other", true, "one").await;
        catalog.release_partition(0, 2).await.expect("an answer");
        assert_eq!(claim(&catalog, "other", true).await, Claim::Held { fence: 3, is_suspect: false });
    })
    .await;
}

#[tokio::test]
async fn what_comes_from_an_earlier_owner_changes_nothing() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let flush = |fence, after, reached, files| FlushBatch { fence, ..lake::flush(after, reached, files) };
        let note = async |key| catalog.note_unwanted(key, Timestamp::from_micros(i64::MAX)).await.expect("noted");
        let (one, two, merged) = (file(0, 1, 2), file(0, 3, 4), file(1, 1, 4));
        for file in [&one, &two, &merged] {
            note(file.key.clone()).await;
        }
        catalog.apply_events(batch(0, 4, vec![view_of(4, 0)])).await.expect("applied");
        for (after, file) in [(0, &one), (2, &two)] {
            let flushed = catalog.commit_flush(flush(1, after, after + 2, vec![file.clone()])).await;
            assert_eq!(flushed.expect("an answer"), Committed::Done);
        }
        let before = catalog.manifest().await.expect("a manifest");
        let trimmed = catalog.trimmed_marks().await.expect("marks");

        let_the_lease_end(&db).await;
        assert_eq!(claim(&catalog, "other", true).await, Claim::Held { fence: 2, is_suspect: false });
        let next = || vec![view_of(5, 0)];
        assert_eq!(catalog.apply_events(batch(4, 5, next())).await.expect("an answer"), Applied::LeaseLost);
        assert_eq!(catalog.commit_flush(flush(1, 4, 4, Vec::new())).await.expect("an answer"), Committed::Moved);
        let merge = async |fence| {
            let inputs = vec![one.key.clone(), two.key.clone()];
            catalog.commit_compaction(fence, inputs, merged.clone(), at(0)).await.expect("an answer")
        };
        assert_eq!(merge(1).await, Committed::Moved);
        let erasure = Erasure {
            erasure_id: ErasureId(Uuid::from_u128(7)),
            project_id: PROJECT,
            session_id: Some(SessionId(Uuid::from_u128(8))),
            requested_at: at(9),
            finished_at: None,
            events: 0,
        };
        let erase = async |fence| {
            catalog.commit_erasure(&erasure, fence, &one, None, Erased::default(), at(0)).await.expect("an answer")
        };
        assert_eq!(erase(1).await, Committed::Moved);
        assert_eq!(catalog.trim(0, 1).await.expect("an answer"), Offset::START);
        assert_eq!(catalog.manifest().await.expect("a manifest"), before);
        assert_eq!(catalog.trimmed_marks().await.expect("marks"), trimmed);

        // The same by the owner.
        let owned = EventBatch { fence: 2, ..batch(4, 5, next()) };
        assert!(matches!(catalog.apply_events(owned).await.expect("an answer"), Applied::Done { .. }));
        assert_eq!(merge(2).await, Committed::Done);
        assert_eq!(catalog.trim(0, 2).await.expect("an answer"), offset(4));
    })
    .await;
}

#[tokio::test]
async fn after_two_deaths_without_progress_the_events_are_suspect() {
    on_every_engine(async |catalog, db| {
        let run = async |sql: &'static str| {
            db.write(move |tx| async move { tx.execute(sql, params![]).await }.boxed()).await.expect("a statement");
        };
        let claimed = async || match claim(&catalog, "one", true).await {
            Claim::Held { fence, is_suspect } => (fence, is_suspect),
            taken @ Claim::Taken { .. } => panic!("{taken:?}"),
        };
        assert_eq!(claimed().await, (1, false));
        assert_eq!(claimed().await, (2, false));
        run("UPDATE partitions SET applied = 10").await;
        assert_eq!(claimed().await, (3, false), "there was progress");
        assert_eq!(claimed().await, (4, true));
        run("UPDATE partitions SET applied = 11").await;
        assert_eq!(claimed().await, (5, true), "until the suspicion is ended");
        assert_eq!(catalog.note_trial(0, 5, offset(12)).await.expect("an answer"), Some(1));
        assert_eq!(claimed().await, (6, true));
        assert_eq!(
            catalog.note_trial(0, 5, offset(12)).await.expect("an answer"),
            None,
            "somebody else has claimed it"
        );
        assert_eq!(catalog.note_trial(0, 6, offset(12)).await.expect("an answer"), Some(2));
        assert_eq!(catalog.note_trial(0, 6, offset(13)).await.expect("an answer"), Some(1));
        catalog.end_trials(0, 6).await.expect("an answer");
        run("UPDATE partitions SET applied = 14").await;
        assert_eq!(claimed().await, (7, false));
        assert_eq!(claimed().await, (8, true));
        catalog.release_partition(0, 8).await.expect("an answer");
        assert_eq!(claimed().await, (9, false), "it was given back");
    })
    .await;
}
