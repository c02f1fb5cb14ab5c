//! Ownership of a partition: only the owner applies events, and the next owner takes over after its lease.

use std::sync::Arc;
use std::time::Duration;

use eyeline::engines::Engines;
use eyeline::flow::event::ingest::Step;
use eyeline::flow::lake::flush;
use eyeline::flow::lake::partitions::Partitions;
use eyeline_core::event::OnInvalid;
use eyeline_store::inbox::{self, Offset};
use eyeline_store::{Inbox, params};

use crate::events::{IMAGE, Installation, Process, act};
use crate::quarantine::{at_most, counted, declare, numbered};

const PATIENCE: Duration = Duration::from_secs(30);

pub async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let looking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("{what} after {PATIENCE:?}"));
}

/// Claims for a starting process with this inbox, like `eyeline serve`. Returns the refusal, if any.
async fn refusal(process: &Process, node: &str, inbox: &Arc<dyn Inbox>) -> Option<String> {
    let engines = Engines { inbox: inbox.clone(), ..process.engines.clone() };
    Partitions::new(&engines, node.into()).take().await.err()
}

/// The inbox of another data folder.
async fn other_inbox(installation: &Installation) -> Arc<dyn Inbox> {
    let path = installation.folder.path().join("other.sqlite");
    inbox::open(&format!("sqlite:{}", path.display())).await.expect("an open inbox")
}

async fn let_the_lease_end(installation: &Installation) {
    installation.run("UPDATE partitions SET lease_until = 1", params![]).await;
}

async fn view(process: &Process, times: usize) {
    process.collect(vec![act("view", IMAGE); times]).await;
}

#[tokio::test]
async fn a_process_waits_for_the_owner_and_says_so_and_goes_on_when_the_lease_ends() {
    let installation = Installation::new().await;
    let one = installation.start_as("one").await;
    let worker = one.work();
    view(&one, 2).await;
    one.ingest.caught_up().await.expect("applied");
    // Like a killed process, it releases nothing.
    worker.abort();
    view(&one, 1).await;

    let other = installation.start_as("other").await;
    let worker = other.work();
    until("it says that it waits", async || !other.ingest.owned().troubles().is_empty()).await;
    let troubles = other.ingest.owned().troubles().join(" ");
    assert!(troubles.contains("another process (one)"), "{troubles}");
    assert_eq!(installation.counts(IMAGE).await, (2, 0));

    let_the_lease_end(&installation).await;
    until("it counts", async || installation.counts(IMAGE).await == (3, 0)).await;
    assert_eq!(other.ingest.owned().troubles(), Vec::<String>::new());

    // The first process was not dead: its writes are refused, and it notices.
    let mark = one.ingest.mark(0).await.expect("a mark");
    view(&one, 1).await;
    let late = one.ingest.step(0, mark, 10).await.expect("an answer");
    assert!(matches!(late, Step::NotOwner), "{late:?}");
    assert_eq!(one.flush.step(0).await.expect("an answer"), flush::Step::Idle);
    assert!(!one.ingest.owned().troubles().is_empty());
    until("the owner counts it", async || installation.counts(IMAGE).await == (4, 0)).await;
    other.end(worker).await;
}

#[tokio::test]
async fn a_process_that_starts_is_refused_what_another_data_folder_owns() {
    let installation = Installation::new().await;
    let one = installation.start_as("one").await;
    let worker = one.work();
    until("it owns", async || one.ingest.owned().are_all_held()).await;
    let refused = refusal(&one, "other", &one.inbox).await.expect("a refusal");
    assert!(refused.contains("in use by another installation (one;"), "{refused}");

    view(&one, 1).await;
    one.ingest.caught_up().await.expect("applied");
    one.end(worker).await;
    let_the_lease_end(&installation).await;
    let other = other_inbox(&installation).await;
    for node in ["other", "one"] {
        let refused = refusal(&one, node, &other).await.expect("a refusal");
        let expected = format!("the events of another data folder (one; this one is {node})");
        assert!(refused.contains(&expected), "whatever the name, the inbox tells: {refused}");
    }
    assert_eq!(refusal(&one, "one", &one.inbox).await, None);
    let_the_lease_end(&installation).await;
    assert_eq!(refusal(&one, "other", &one.inbox).await, None, "the same inbox under another name");

    // Watermarks of an older binary belong to the data folder that has the name.
    installation.run("UPDATE partitions SET inbox_id = NULL, lease_until = 1", params![]).await;
    assert!(refusal(&one, "third", &one.inbox).await.is_some());
    assert_eq!(refusal(&one, "other", &one.inbox).await, None);
}

#[tokio::test]
async fn a_partition_that_nothing_was_counted_of_is_free_once_it_is_given_back() {
    let installation = Installation::new().await;
    let one = installation.start_as("one").await;
    let worker = one.work();
    until("it owns", async || one.ingest.owned().are_all_held()).await;
    one.end(worker).await;
    assert_eq!(refusal(&one, "other", &other_inbox(&installation).await).await, None);
}

#[tokio::test]
async fn a_process_whose_partition_another_one_has_moved_meanwhile_ends() {
    let installation = Installation::new().await;
    let one = installation.start_as("one").await;
    let worker = one.work();
    view(&one, 1).await;
    one.ingest.caught_up().await.expect("applied");
    // As if another installation had claimed it, counted its own events, and stopped.
    installation.run("UPDATE partitions SET fence = fence + 1, owner = 'other', lease_until = 1", params![]).await;
    installation.run("UPDATE partitions SET applied = applied + 1", params![]).await;
    view(&one, 3).await;
    let ended = tokio::time::timeout(PATIENCE, worker).await.expect("in time").expect("no panic");
    assert!(ended.as_ref().is_err_and(|sentence| sentence.contains("out of an inbox of its own")), "{ended:?}");
    assert_eq!(installation.counts(IMAGE).await, (1, 0), "nothing is counted that may be somebody else's");
}

/// A process that claims the partition at its start and is killed before it releases it.
async fn claimed_by_the_next_process(installation: &Installation) -> Process {
    let process = installation.start_as("one").await;
    assert_eq!(process.ingest.owned().claim(0).await.expect("an answer"), Ok(()));
    process
}

/// The offsets of the events after the applied watermark.
async fn offsets(process: &Process) -> Vec<Offset> {
    let mark = process.ingest.mark(0).await.expect("a mark");
    let waiting = process.inbox.pull(0, mark, 100).await.expect("events");
    waiting.into_iter().map(|delivery| delivery.offset).collect()
}

/// Accepts events that are judged when they are applied.
async fn judged(installation: &Installation, process: &Process, times: u64) {
    declare(installation, process, OnInvalid::Quarantine, at_most(100)).await;
    process.collect((0..times).map(numbered).collect()).await;
}

#[tokio::test]
async fn an_event_over_which_processes_die_is_found_and_quarantined_unread() {
    let installation = Installation::new().await;
    let process = claimed_by_the_next_process(&installation).await;
    judged(&installation, &process, 4).await;
    let start = process.ingest.mark(0).await.expect("a mark");
    let offsets = offsets(&process).await;
    assert!(!process.ingest.owned().is_suspect(0));
    assert!(
        !claimed_by_the_next_process(&installation).await.ingest.owned().is_suspect(0),
        "one death may have any cause"
    );

    // The second event kills: the third process notes it, tries it alone and dies.
    let third = claimed_by_the_next_process(&installation).await;
    assert!(third.ingest.owned().is_suspect(0));
    let step = third.ingest.step(0, start, 10).await.expect("a step");
    assert_eq!(step, Step::Applied { reached: offsets[0], more: true }, "events are taken one at a time");
    assert_eq!(third.ingest.owned().note_trial(0, offsets[1]).await.expect("an answer"), Some(1));
    assert_eq!(counted(&installation).await, 1);

    // After three deaths it is not tried again.
    let last = claimed_by_the_next_process(&installation).await;
    let step = last.ingest.step(0, offsets[0], 10).await.expect("a step");
    assert_eq!(step, Step::Applied { reached: offsets[1], more: true });
    assert_eq!(installation.quarantined().await, ["failed"]);
    let worker = last.work();
    last.ingest.caught_up().await.expect("applied");
    assert_eq!(counted(&installation).await, 3, "the others count");
    until("nothing is suspected any more", async || !last.ingest.owned().is_suspect(0)).await;
    last.end(worker).await;
}

#[tokio::test]
async fn an_event_that_outlives_its_trial_counts_however_often_processes_die() {
    let installation = Installation::new().await;
    let process = claimed_by_the_next_process(&installation).await;
    judged(&installation, &process, 6).await;
    for _ in 0..2 {
        claimed_by_the_next_process(&installation).await;
    }
    for number in 0..6 {
        let process = claimed_by_the_next_process(&installation).await;
        let mark = process.ingest.mark(0).await.expect("a mark");
        let next = offsets(&process).await[0];
        // An error, such as an unavailable catalog, is not a death.
        for _ in 0..5 {
            process.ingest.owned().note_trial(0, next).await.expect("an answer");
        }
        process.ingest.step(0, mark, 10).await.expect("a step");
        assert_eq!(counted(&installation).await, number + 1);
    }
    assert!(installation.quarantined().await.is_empty());
}

#[tokio::test]
async fn events_that_nothing_judges_are_no_suspects() {
    let installation = Installation::new().await;
    let process = claimed_by_the_next_process(&installation).await;
    view(&process, 5).await;
    judged(&installation, &process, 1).await;
    view(&process, 5).await;
    claimed_by_the_next_process(&installation).await;
    let process = claimed_by_the_next_process(&installation).await;
    assert!(process.ingest.owned().is_suspect(0));
    let mut mark = process.ingest.mark(0).await.expect("a mark");
    let offsets = offsets(&process).await;
    for last in [4, 5, 10] {
        let step = process.ingest.step(0, mark, 100).await.expect("a step");
        assert_eq!(step, Step::Applied { reached: offsets[last], more: true });
        mark = offsets[last];
    }
}
