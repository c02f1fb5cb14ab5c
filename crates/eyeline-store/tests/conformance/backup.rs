//! Copies of catalog and inbox beside a writer, and the index of copied objects.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use eyeline_core::Timestamp;
use eyeline_store::backup::{Copied, EngineFiles, Index};
use eyeline_store::catalog::lake::{Committed, FlushBatch};
use eyeline_store::inbox::{self, Entry, Inbox, Offset};
use eyeline_store::{Catalog, Error, ObjectKey};

use crate::events::{FIRST_FENCE, batch, claim_first, number, offset};

const COPIES: usize = 25;
/// Events between two flushes.
const FLUSH_EVERY: i64 = 3;

fn files(folder: &Path) -> EngineFiles {
    EngineFiles { catalog: folder.join("catalog.sqlite"), inbox: folder.join("inbox.sqlite") }
}

async fn open(files: &EngineFiles) -> (Catalog, Arc<dyn Inbox>) {
    let catalog = Catalog::open(&format!("sqlite:{}", files.catalog.display())).await.expect("a catalog");
    let inbox = inbox::open(&format!("sqlite:{}", files.inbox.display())).await.expect("an inbox");
    (catalog, inbox)
}

/// Accepts, counts and flushes events one by one until it is stopped. The text of an event is its number.
async fn write(catalog: &Catalog, inbox: &dyn Inbox, accepted: &AtomicU64, stop: &AtomicBool) {
    claim_first(catalog, 0).await;
    let mut flushed = 0;
    for event in 1.. {
        let entry = Entry { partition: 0, event: event.to_string().into_bytes() };
        inbox.append(&[entry]).await.expect("accepted");
        assert_eq!(inbox.head(0).await.expect("a head"), offset(event));
        accepted.store(event.unsigned_abs(), Ordering::SeqCst);
        catalog.apply_events(batch(event - 1, event, vec![])).await.expect("applied");
        if event % FLUSH_EVERY == 0 {
            let (after, reached) = (offset(flushed), offset(event));
            let flush = FlushBatch {
                partition: 0,
                fence: FIRST_FENCE,
                after,
                reached,
                records: FLUSH_EVERY as u64,
                files: vec![],
            };
            assert_eq!(catalog.commit_flush(flush).await.expect("flushed"), Committed::Done);
            inbox.forget(0, after).await.expect("forgotten");
            flushed = event;
        }
        if stop.load(Ordering::SeqCst) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_beside_a_writer_have_every_accepted_event_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let live = files(folder.path());
    let (catalog, inbox) = open(&live).await;
    catalog.migrate().await.expect("migrated");
    let (accepted, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let copy = async {
        let mut waited = 0;
        for round in 0..COPIES {
            let to = folder.path().join(format!("copy-{round}"));
            std::fs::create_dir(&to).expect("a folder");
            let promised = accepted.load(Ordering::SeqCst);
            let bytes = Arc::new(AtomicU64::new(0));
            let progress = bytes.clone();
            let told = move |copied| {
                progress.fetch_add(copied, Ordering::SeqCst);
            };
            live.copy(files(&to), told).await.expect("copied");
            let size = |path: &Path| std::fs::metadata(path).expect("a copy").len();
            let names = std::fs::read_dir(&to).expect("a folder").count();
            assert_eq!(names, 2, "nothing stands beside the copies");
            assert_eq!(bytes.load(Ordering::SeqCst), size(&files(&to).catalog) + size(&files(&to).inbox));

            let (catalog, inbox) = open(&files(&to)).await;
            let marks = catalog.marks().await.expect("the marks");
            let (applied, flushed) =
                marks.first().map_or((0, 0), |marks| (number(marks.applied), number(marks.flushed)));
            let left = inbox.pull(0, offset(flushed), 1_000_000).await.expect("events");
            let numbers: Vec<i64> = left.iter().map(|event| number(event.offset)).collect();
            let texts: Vec<String> =
                left.iter().map(|event| String::from_utf8_lossy(&event.event).into_owned()).collect();
            let head = numbers.last().copied().unwrap_or(flushed);
            assert_eq!(numbers, (flushed + 1..=head).collect::<Vec<_>>(), "copy {round}");
            assert_eq!(texts, numbers.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert!(
                applied <= head && promised <= head.unsigned_abs(),
                "{promised} promised, {applied} applied of {head}"
            );
            waited += usize::from(head > applied);
            // The next event gets a number of its own.
            inbox.append(&[Entry { partition: 0, event: vec![] }]).await.expect("accepted");
            assert!(inbox.head(0).await.expect("a head") > offset(applied));
        }
        stop.store(true, Ordering::SeqCst);
        waited
    };
    let ((), waited) = tokio::join!(write(&catalog, &*inbox, &accepted, &stop), copy);
    eprintln!("{waited} of {COPIES} copies had events that were not counted yet; {accepted:?} events");
}

#[tokio::test]
async fn what_is_missing_of_another_version_or_another_engine_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let live = files(folder.path());
    let to = files(&folder.path().join("copy"));
    let refused = async || match live.copy(to.clone(), |_| ()).await {
        Err(Error::Conflict(sentence)) => sentence,
        other => panic!("{other:?}"),
    };
    assert!(refused().await.contains("there is no catalog"));
    let catalog = Catalog::open(&format!("sqlite:{}", live.catalog.display())).await.expect("a catalog");
    catalog.migrate().await.expect("migrated");
    assert!(refused().await.contains("there is no inbox"));
    assert!(matches!(EngineFiles::of("postgres://host/name", "sqlite:/x"), Err(Error::Conflict(_))));
}

#[tokio::test]
async fn a_catalog_that_is_ahead_of_its_inbox_is_not_copied() {
    let folder = tempfile::tempdir().expect("a folder");
    let live = files(folder.path());
    let (catalog, _inbox) = open(&live).await;
    catalog.migrate().await.expect("migrated");
    claim_first(&catalog, 0).await;
    catalog.apply_events(batch(0, 5, vec![])).await.expect("applied");
    let refused = live.copy(files(&folder.path().join("copy")), |_| ()).await.expect_err("they do not fit");
    assert!(refused.to_string().contains("do not belong together"), "{refused}");
    assert_eq!(catalog.marks().await.expect("the marks")[0].flushed, Offset::START);
}

fn copied(key: &ObjectKey) -> Copied {
    Copied { key: key.clone(), bytes: 7, sha256: [9; 32] }
}

#[tokio::test]
async fn an_index_knows_what_was_copied_over_restarts_and_what_a_round_does_not_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.sqlite");
    let index = Index::open(path.clone()).await.expect("an index");
    let mut keys: Vec<ObjectKey> = (0..5).map(|_| ObjectKey::lake(Timestamp::from_micros(0))).collect();
    keys.sort();
    assert_eq!(index.next_round().await.expect("a number"), 1);
    assert!(index.name(keys[..3].to_vec(), 1).await.expect("named").is_empty());
    // The copying of the third object was cut.
    index.add(vec![copied(&keys[1]), copied(&keys[0])]).await.expect("added");
    drop(index);

    let index = Index::open(path).await.expect("the index");
    assert_eq!(index.next_round().await.expect("a number"), 2);
    let known = index.name(keys[1..5].to_vec(), 2).await.expect("named");
    assert_eq!(known.into_values().collect::<Vec<_>>(), [copied(&keys[1])]);
    index.add(vec![copied(&keys[3]), copied(&keys[4])]).await.expect("added");
    let page = index.of_round(2, None, 2).await.expect("a page");
    assert_eq!(page, [copied(&keys[1]), copied(&keys[3])]);
    let rest = index.of_round(2, Some(keys[3].clone()), 2).await.expect("a page");
    assert_eq!(rest, [copied(&keys[4])]);

    let outdated = index.outdated(2, 10).await.expect("keys");
    assert_eq!(outdated, [keys[0].clone(), keys[2].clone()], "not named any more, and not copied");
    index.forget(outdated).await.expect("forgotten");
    assert!(index.outdated(2, 10).await.expect("keys").is_empty());
}
