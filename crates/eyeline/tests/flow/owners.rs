//! Several owners of partitions: fair shares, hand-over, and an owner that stops in the middle of any step. Nothing is
//! lost, doubled or skipped, and an owner that was replaced writes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use eyeline::flow::event::ingest::Step;
use eyeline::flow::lake::rebuild::Cause;
use eyeline_core::{EventId, SessionId};
use eyeline_store::inbox::Offset;
use eyeline_store::params;
use futures::StreamExt as _;
use uuid::Uuid;

use crate::events::SENDER;
use crate::owners_support::{DAY, Owner, PARTITIONS, Set, on_every_set, run_for};
use crate::partitions::until;

/// The longest time for the next owner to claim while the one before holds a transaction open. After it the paused owner
/// is killed, which a database notices by its connection.
const OPEN_TRANSACTION: Duration = Duration::from_secs(2);

fn each<T: Clone>(value: T) -> Vec<T> {
    vec![value; PARTITIONS as usize]
}

async fn claim_all(set: &Set, node: &str) -> Box<Owner> {
    set.let_leases_end().await;
    let owner = set.process(node);
    owner.partitions.take().await.expect("claimed");
    assert_eq!(owner.held().len(), PARTITIONS as usize);
    owner
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_the_partitions_and_hand_over_while_events_arrive() {
    on_every_set(async |set| {
        let mut sent = 0;
        let one = set.process("one");
        one.partitions.take().await.expect("claimed");
        let first = one.work();
        assert_eq!(one.held().len(), 4, "alone it has all");

        let two = set.process("two");
        two.partitions.take().await.expect("no refusal");
        assert_eq!(two.held(), Vec::<u32>::new(), "nothing is free yet");
        let second = two.work();
        while (one.held().len(), two.held().len()) != (2, 2) {
            one.view(7, 5).await;
            sent += 5;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let owners: BTreeSet<u32> = one.held().into_iter().chain(two.held()).collect();
        assert_eq!(owners.len(), 4, "no partition has two owners");
        two.ingest.caught_up().await.expect("applied");
        assert_eq!(set.counts().await, each((sent, 0)));
        assert!(one.partitions.troubles().is_empty() && two.partitions.troubles().is_empty());

        // One is killed; the other one takes its partitions over when their leases end.
        first.abort();
        two.view(7, 5).await;
        sent += 5;
        set.let_leases_end().await;
        until("the other one has all", async || two.held().len() == 4).await;
        two.ingest.caught_up().await.expect("applied");
        assert_eq!(set.counts().await, each((sent, 0)));

        // A process that stops leaves its share at once.
        let three = set.process("three");
        three.partitions.take().await.expect("no refusal");
        two.stop.cancel();
        second.await.expect("no panic").expect("a clean stop");
        three.partitions.balance().await.expect("a look");
        assert_eq!(three.held().len(), 4);
        assert!(three.recount(&set).await.iter().all(|gallery| gallery.cause == Cause::Equal));
        assert_eq!(three.kept().await.len() as u64, 4 * sent);
    })
    .await;
}

#[tokio::test]
async fn a_process_that_stops_tells_the_others_once_its_partitions_are_free() {
    on_every_set(async |set| {
        let (one, two) = (claim_all(&set, "one").await, set.process("two"));
        two.partitions.take().await.expect("no refusal");
        let mut released = two.partitions.released().await;
        let working = one.work();
        one.view(7, 3).await;
        one.stop.cancel();
        working.await.expect("no panic").expect("a clean stop");
        let heard = tokio::time::timeout(Duration::from_secs(30), released.next()).await;
        assert_eq!(heard, Ok(Some(())), "no look at the clock is needed");
        two.partitions.balance().await.expect("a look");
        assert_eq!((one.held().len(), two.held().len()), (0, 4));
        two.apply().await.expect("applied");
        assert_eq!(set.counts().await, each((3, 0)));
    })
    .await;
}

#[tokio::test]
async fn a_partition_is_handed_over_between_two_batches_alone() {
    on_every_set(async |set| {
        let (one, two) = (claim_all(&set, "one").await, set.process("two"));
        two.partitions.take().await.expect("no refusal");
        one.view(7, 3).await;
        one.partitions.balance().await.expect("a look");
        assert_eq!(one.held().len(), 4, "a batch may be under way");
        let surplus = [2, 3];
        for partition in surplus {
            let step = one.ingest.step(partition, Offset::START, 100).await.expect("a batch");
            assert!(matches!(step, Step::Applied { .. }), "the batch under way ends: {step:?}");
        }
        for partition in 0..PARTITIONS {
            one.partitions.hand_over(partition).await.expect("handed over");
        }
        assert_eq!(one.held(), [0, 1]);
        two.partitions.balance().await.expect("a look");
        assert_eq!(two.held(), surplus);
        for owner in [&one, &two] {
            owner.partitions.balance().await.expect("a look");
            owner.apply().await.expect("applied");
        }
        assert_eq!((one.held().len(), two.held().len()), (2, 2), "a fair state stays");
        assert_eq!(set.counts().await, each((3, 0)));
    })
    .await;
}

#[tokio::test]
async fn an_inbox_with_another_number_of_partitions_is_refused() {
    on_every_set(async |set| {
        claim_all(&set, "one").await;
        set.run("UPDATE facts SET value = '16' WHERE name = 'partitions'", params![]).await;
        let refused = set.process("two").partitions.take().await.expect_err("a refusal");
        assert!(refused.contains("events of 16 partitions, and the inbox has 4"), "{refused}");
    })
    .await;
}

/// Pauses an owner at its n-th wait within `step`, for rising n until the step ends before it. Another owner then takes
/// over and does the step. What the paused one does afterwards changes nothing.
async fn pause_within(set: &Set, prepare: impl AsyncFn(&Owner, u32), step: impl AsyncFn(&Owner)) {
    let (mut round, mut waits) = (0, 1);
    loop {
        let one = claim_all(set, &format!("one-{round}")).await;
        Box::pin(prepare(&one, round)).await;
        let mut paused = Box::pin(step(&one));
        let ended = run_for(paused.as_mut(), waits).await.is_some();
        let name = format!("two-{round}");
        let taking = tokio::time::timeout(OPEN_TRANSACTION, Box::pin(claim_all(set, &name))).await.ok();
        let is_alive = taking.is_some();
        let two = match taking {
            Some(two) => two,
            None => {
                drop(std::mem::replace(&mut paused, Box::pin(step(&one))));
                claim_all(set, &name).await
            }
        };
        Box::pin(step(&two)).await;
        let state = set.state().await;
        if is_alive && !ended {
            paused.await;
            assert_eq!(set.state().await, state, "round {round}: an owner that was replaced writes nothing");
        }
        if ended {
            assert!(round > 3, "the step was never paused");
            return;
        }
        round += 1;
        waits += 1 + waits / 4;
    }
}

/// Every event counts once and is kept once.
async fn expect_all(set: &Set, views: u64, mut ids: Vec<EventId>) {
    let owner = claim_all(set, "last").await;
    assert_eq!(set.counts().await, each((views, 0)));
    ids.sort_unstable();
    assert!(owner.kept().await == ids, "each event is kept once");
    let verified = owner.recount(set).await;
    assert!(verified.len() == 4 && verified.iter().all(|gallery| gallery.cause == Cause::Equal), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_stops_within_a_batch_loses_and_doubles_nothing() {
    on_every_set(async |set| {
        let ids = std::cell::RefCell::new(Vec::new());
        pause_within(
            &set,
            async |owner, round| {
                let sent = owner.view(u128::from(round), 3).await;
                ids.borrow_mut().extend(sent);
            },
            // Errors are those of an owner that was replaced.
            async |owner| drop(owner.apply().await),
        )
        .await;
        let ids = ids.into_inner();
        expect_all(&set, ids.len() as u64 / 4, ids).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_stops_within_a_flush_loses_and_doubles_nothing() {
    on_every_set(async |set| {
        let ids = std::cell::RefCell::new(Vec::new());
        pause_within(
            &set,
            async |owner, round| {
                let sent = owner.view(u128::from(round), 3).await;
                ids.borrow_mut().extend(sent);
                owner.apply().await.expect("applied");
            },
            async |owner| drop(owner.flush.run().await),
        )
        .await;
        assert_eq!(set.catalog.marks().await.expect("marks").iter().map(|marks| marks.waiting).sum::<u64>(), 0);
        let ids = ids.into_inner();
        expect_all(&set, ids.len() as u64 / 4, ids).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_stops_within_a_merge_loses_and_doubles_nothing() {
    on_every_set(async |set| {
        let ids = std::cell::RefCell::new(Vec::new());
        pause_within(
            &set,
            async |owner, round| {
                for part in 0..2 {
                    let sent = owner.view(u128::from(2 * round + part), 2).await;
                    ids.borrow_mut().extend(sent);
                    owner.apply().await.expect("applied");
                    owner.flush.run().await.expect("flushed");
                }
                set.clock.set_offset(i64::from(round + 1) * DAY);
            },
            async |owner| while let Ok(true) = owner.compact.step().await {},
        )
        .await;
        let files = set.catalog.manifest().await.expect("a manifest").files;
        let days = ids.borrow().len() / 16;
        assert!(files.len() == 4 * days && files.iter().all(|file| file.level > 0), "{files:?}");
        let ids = ids.into_inner();
        expect_all(&set, ids.len() as u64 / 4, ids).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_stops_within_a_cut_leaves_every_contribution() {
    on_every_set(async |set| {
        let rounds = std::cell::Cell::new(0);
        pause_within(
            &set,
            async |owner, round| {
                set.clock.set_offset(i64::from(round) * 9 * DAY);
                owner.view(u128::from(round), 3).await;
                owner.apply().await.expect("applied");
                owner.flush.run().await.expect("flushed");
                set.clock.set_offset(i64::from(round) * 9 * DAY + 8 * DAY + DAY / 2);
                rounds.set(u64::from(round) + 1);
            },
            async |owner| while let Ok(Some(_)) = owner.cut.step().await {},
        )
        .await;
        expect_all(&set, 3 * rounds.get(), Vec::new()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_stops_within_an_erasure_leaves_it_to_the_next_one() {
    on_every_set(async |set| {
        let (kept, rounds) = (std::cell::RefCell::new(Vec::new()), std::cell::Cell::new(0));
        pause_within(
            &set,
            async |owner, round| {
                let stays = owner.view(1, 1).await;
                kept.borrow_mut().extend(stays);
                let session = 1_000 + u128::from(round);
                owner.view(session, 2).await;
                owner.apply().await.expect("applied");
                owner.flush.run().await.expect("flushed");
                let session = SessionId(Uuid::from_u128(session));
                owner.erase.request(SENDER.project_id, session, None).await.expect("requested");
                rounds.set(u64::from(round) + 1);
            },
            async |owner| drop(owner.erase.step().await),
        )
        .await;
        let owner = claim_all(&set, "last").await;
        let erasures = set.catalog.erasures(SENDER.project_id, None, 500).await.expect("erasures");
        assert_eq!(erasures.len() as u64, rounds.get());
        for erasure in erasures {
            assert!(erasure.finished_at.is_some() && erasure.events == 2 * 4, "{erasure:?}");
        }
        let mut kept = kept.into_inner();
        kept.sort_unstable();
        assert!(owner.kept().await == kept, "no file holds an erased event, and every other one is kept");
        assert_eq!(set.counts().await, each((3 * rounds.get(), 0)), "counters stay");
        let verified = owner.recount(&set).await;
        assert!(verified.iter().all(|gallery| gallery.cause == Cause::Erased(2 * rounds.get())), "{verified:?}");
    })
    .await;
}
