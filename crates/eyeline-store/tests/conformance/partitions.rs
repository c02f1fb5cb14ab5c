//! One process at a time owns a partition; writes of others are refused.

use std::time::Duration;

use eyeline_core::{ErasureId, SessionId, Timestamp};
use eyeline_store::Catalog;
use eyeline_store::catalog::erasures::{Erased, Erasure, ErasureProgress};
use eyeline_store::catalog::events::{Applied, EventBatch};
use eyeline_store::catalog::jobs::LEASE;
use eyeline_store::catalog::lake::{Committed, FlushBatch};
use eyeline_store::catalog::partitions::{Claim, Claimant, Owners};
use eyeline_store::inbox::{self, Offset};
use eyeline_store::params;
use eyeline_store::sql::Db;
use futures::FutureExt as _;
use futures::future::join_all;
use uuid::Uuid;

use crate::engines::on_every_database;
use crate::events::{GALLERY, INBOX, PROJECT, at, batch, catalog_with_a_gallery, offset, view_of};
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
    let claimant = Claimant { node: node.to_owned(), inbox_id: INBOX, is_new };
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
        let nodes: Vec<String> = (0..8).map(|number| format!("node-{number}")).collect();
        let claims = join_all(nodes.iter().map(|node| claim(&catalog, node, true))).await;
        let winners: Vec<&String> = nodes
            .iter()
            .zip(&claims)
            .filter(|(_, claim)| matches!(claim, Claim::Held { .. }))
            .map(|(node, _)| node)
            .collect();
        let [winner] = winners[..] else { panic!("{claims:?}") };
        let held = catalog.join_owners(winner.clone()).await.expect("owners").held;
        assert_eq!(held, [(0, winner.clone())]);

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
        assert!(!catalog.renew_partition(0, 2).await.expect("an answer"), "a late renewal keeps nobody waiting");
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
            refused => panic!("{refused:?}"),
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

#[tokio::test]
async fn a_partition_whose_marks_are_of_another_inbox_is_refused_and_an_unused_one_is_not() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let other = Uuid::from_u128(71);
        let claim_with = async |inbox_id| {
            let claimant = Claimant { node: "first".to_owned(), inbox_id, is_new: true };
            catalog.claim_partition(0, claimant).await.expect("an answer")
        };
        assert!(matches!(claim_with(other).await, Claim::Held { .. }), "nothing was counted");
        assert!(matches!(claim_with(INBOX).await, Claim::Held { fence: 3, .. }));
        let first = EventBatch { fence: 3, ..batch(0, 1, vec![view_of(1, 0)]) };
        catalog.apply_events(first).await.expect("applied");
        for _ in 0..2 {
            assert_eq!(claim_with(other).await, Claim::OfOtherInbox { owner: "first".to_owned() });
            let_the_lease_end(&db).await;
        }
        assert!(matches!(claim_with(INBOX).await, Claim::Held { fence: 4, .. }));
    })
    .await;
}

#[tokio::test]
async fn owners_know_of_each_other_while_they_are_alive() {
    on_every_engine(async |catalog, db| {
        assert_eq!(catalog.fix_partitions(4).await.expect("a number"), 4);
        assert_eq!(catalog.fix_partitions(16).await.expect("a number"), 4, "the first one holds");
        let join = async |node: &str| catalog.join_owners(node.to_owned()).await.expect("owners");
        assert_eq!(join("b").await, Owners { alive: vec!["b".to_owned()], held: Vec::new() });
        assert_eq!(claim(&catalog, "b", true).await, Claim::Held { fence: 1, is_suspect: false });
        let both = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(join("a").await, Owners { alive: both, held: vec![(0, "b".to_owned())] });
        catalog.release_partition(0, 1).await.expect("released");
        catalog.leave_owners("b".to_owned()).await.expect("left");
        assert_eq!(join("a").await, Owners { alive: vec!["a".to_owned()], held: Vec::new() });
        let sql = "UPDATE partition_owners SET lease_until = 1";
        db.write(move |tx| async move { tx.execute(sql, params![]).await }.boxed()).await.expect("a statement");
        assert_eq!(join("c").await.alive, ["c"], "one that stopped without a word is no owner any more");
    })
    .await;
}

#[tokio::test]
async fn a_lease_has_one_holder_until_it_ends_or_is_released() {
    on_every_engine(async |catalog, _| {
        const NAME: &str = "work";
        let claim = async |length| catalog.claim_lease(NAME, length).await.expect("an answer");
        let claims = join_all((0..8).map(|_| claim(LEASE))).await;
        assert_eq!(claims.into_iter().flatten().collect::<Vec<_>>(), [1]);
        catalog.release_lease(NAME, 7).await.expect("nothing");
        assert_eq!(claim(LEASE).await, None, "only its holder releases it");
        catalog.release_lease(NAME, 1).await.expect("released");
        assert_eq!(claim(Duration::ZERO).await, Some(2));
        assert_eq!(claim(LEASE).await, Some(3), "the one before has ended");
        catalog.release_lease(NAME, 2).await.expect("nothing");
        assert_eq!(claim(LEASE).await, None, "a late release ends no later lease");
    })
    .await;
}

#[tokio::test]
async fn an_erasure_goes_on_in_each_partition_where_it_was() {
    on_every_engine(async |catalog, db| {
        let erasure_id = ErasureId(Uuid::from_u128(7));
        let erasure = Erasure {
            erasure_id,
            project_id: PROJECT,
            session_id: Some(SessionId(Uuid::from_u128(8))),
            requested_at: at(9),
            finished_at: None,
            events: 0,
        };
        catalog.request_erasure(erasure, None).await.expect("requested");
        assert_eq!(claim(&catalog, "one", true).await, Claim::Held { fence: 1, is_suspect: false });
        let progress = async |fence, head| catalog.erasure_in(erasure_id, 0, fence, offset(head)).await.expect("told");
        let at_first = ErasureProgress { up_to: offset(5), is_done: false };
        assert_eq!(progress(1, 5).await, Some(at_first));
        assert_eq!(progress(1, 9).await, Some(at_first), "later events came after the request");
        let_the_lease_end(&db).await;
        assert_eq!(claim(&catalog, "two", true).await, Claim::Held { fence: 2, is_suspect: false });
        assert_eq!(progress(1, 9).await, None);
        let finish = async |fence| catalog.finish_erasure_in(erasure_id, 0, fence).await.expect("an answer");
        assert_eq!(finish(1).await, Committed::Moved);
        assert_eq!(progress(2, 9).await, Some(at_first), "the next owner goes on");
        assert_eq!(catalog.partitions_erased(erasure_id).await.expect("a number"), 0);
        assert_eq!(finish(2).await, Committed::Done);
        assert_eq!(catalog.partitions_erased(erasure_id).await.expect("a number"), 1);
        assert_eq!(progress(2, 9).await, Some(ErasureProgress { is_done: true, ..at_first }));
        catalog.finish_erasure(erasure_id, at(10)).await.expect("finished");
        assert_eq!(progress(2, 9).await, None, "a late owner does not begin it again");
    })
    .await;
}

#[tokio::test]
async fn a_base_is_stored_and_cleared_by_the_owner_of_its_galleries_partition_alone() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        catalog.fix_partitions(4).await.expect("a number");
        let its_own = inbox::partition_of(GALLERY.0, 4);
        for partition in 0..4 {
            let claimant = Claimant { node: "first".to_owned(), inbox_id: INBOX, is_new: true };
            let claimed = catalog.claim_partition(partition, claimant).await.expect("an answer");
            let Claim::Held { fence, .. } = claimed else { panic!("{claimed:?}") };
            let stored = catalog.store_base(partition, fence, offset(1), GALLERY, Vec::new()).await;
            let cleared = catalog.clear_replaced_base(partition, fence, GALLERY, 10).await;
            assert_eq!((stored.is_ok(), cleared.is_ok()), (partition == its_own, partition == its_own));
        }
    })
    .await;
}
