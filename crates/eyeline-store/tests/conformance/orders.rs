//! Records of orders: whole or missing, served in parts, and kept within bounds of time and bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use eyeline_core::ranking::{CountsSnapshot, OrderHead, OrderRecord};
use eyeline_core::{AccessClass, GalleryId, OrderId, Strategy, Timestamp, WeightFactors};
use eyeline_store::orders::{self, ANSWER_BYTES_MAX, OrderKey, QUESTIONS_MAX, Question, Record, Usage};
use eyeline_store::{Error, Installation, OrderRecords};
use proptest::prelude::{any, prop, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy as Generator};
use tempfile::TempDir;
use uuid::Uuid;

use crate::shared_engines::{new_installation, on_every_shared_engine};

/// Opens the records in a folder, with a bound in MiB.
async fn open(folder: &Path, megabytes: u32) -> Arc<dyn OrderRecords> {
    Place::folder(folder).open(megabytes).await
}

/// A place of records that several processes share.
pub struct Place {
    url: String,
    installation: Installation,
    /// Where each process has a folder for its copies.
    copies: TempDir,
    processes: AtomicU32,
}

impl Place {
    fn folder(path: &Path) -> Self {
        Place::at(format!("file:{}", path.display()), new_installation())
    }

    fn redis() -> Self {
        let url = std::env::var("EYELINE_TEST_REDIS_URL").expect("a Redis: run the tests through scripts/with-redis");
        Place::at(url, new_installation())
    }

    pub fn at(url: String, installation: Installation) -> Self {
        let copies = tempfile::tempdir().expect("a temporary folder");
        Place { url, installation, copies, processes: AtomicU32::new(0) }
    }

    /// Opens it as a new process, with a bound in MiB.
    async fn open(&self, megabytes: u32) -> Arc<dyn OrderRecords> {
        let process = self.processes.fetch_add(1, Ordering::Relaxed);
        self.open_as(&format!("process {process}"), megabytes).await
    }

    /// Opens it as the process of this name, which may have had records before.
    pub async fn open_as(&self, process: &str, megabytes: u32) -> Arc<dyn OrderRecords> {
        let url = format!("{}?mb={megabytes}", self.url);
        let copies = self.copies.path().join(process);
        let records = orders::open(&url, &copies, &self.installation).await.expect("open records");
        // As every process does at its start.
        let _away = records.restore(at(0)).await;
        records
    }
}

/// Runs `test` on every engine of order records.
async fn on_every_engine(test: impl AsyncFn(Place)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    eprintln!("in a folder:");
    test(Place::folder(folder.path())).await;
    on_every_shared_engine(async |row| {
        if row.is_shared {
            test(Place::at(row.url, row.installation)).await;
        }
    })
    .await;
}

pub fn key(number: u64) -> OrderKey {
    OrderKey { gallery_id: GalleryId(Uuid::from_u128(7)), order_id: OrderId::new(0, 1, number) }
}

pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000).plus(Duration::from_secs(seconds))
}

/// A record of `bytes` bytes, which depend on `number`.
pub fn record(number: u64, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index as u64 * 31 + number) as u8).collect()
}

/// The files in a folder, without those below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect()
}

pub fn pieces(record: &[u8]) -> Record {
    let pieces: Vec<Vec<u8>> = record.chunks(1_000).map(<[u8]>::to_vec).collect();
    Arc::new(move || Box::new(pieces.clone().into_iter()))
}

pub async fn read(records: &Arc<dyn OrderRecords>, key: OrderKey) -> Option<(Vec<u8>, Timestamp)> {
    let part = records.read(key, 0..u64::MAX).await.expect("the records")?;
    Some((part.bytes.to_vec(), part.served_at))
}

#[tokio::test]
async fn a_record_is_read_whole_and_in_parts_also_by_another_process_and_after_a_restart() {
    on_every_engine(async |place| {
        let records = place.open(256).await;
        let other = place.open(256).await;
        assert_eq!(read(&records, key(1)).await, None);
        assert!(!records.mark_served(key(1), at(1)).await.expect("the records"));

        let bytes = record(1, 10_000);
        records.put(key(1), at(1), pieces(&bytes)).await.expect("stored");
        for reader in [records, other, place.open(256).await] {
            assert_eq!(read(&reader, key(1)).await, Some((bytes.clone(), at(1))));
            for (range, expected) in
                [(0..10, &bytes[..10]), (999..2_001, &bytes[999..2_001]), (9_990..20_000, &bytes[9_990..])]
            {
                let part = reader.read(key(1), range.clone()).await.expect("the records").expect("there");
                assert_eq!(part.bytes, expected, "{range:?}");
            }
            let beyond = reader.read(key(1), 10_000..10_001).await.expect("the records").expect("there");
            assert!(beyond.bytes.is_empty());
            assert_eq!(read(&reader, key(2)).await, None);
            let elsewhere = OrderKey { gallery_id: GalleryId(Uuid::from_u128(8)), ..key(1) };
            assert_eq!(read(&reader, elsewhere).await, None);
            // Counts what other processes stored too.
            reader.sweep(at(1)).await.expect("swept");
            assert_eq!(reader.usage(), Usage { records: 1, bytes: 12_288, shortest_kept: None });
        }
    })
    .await;
}

#[derive(Clone, Debug)]
enum Step {
    Put { number: u64, kilobytes: usize },
    Serve(u64),
    Reopen,
}

fn step() -> impl Generator<Value = Step> {
    prop_oneof![
        6 => (0..12u64, 0..400usize).prop_map(|(number, kilobytes)| Step::Put { number, kilobytes }),
        4 => (0..12u64).prop_map(Step::Serve),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 40, failure_persistence: None, ..Default::default() })]

    #[test]
    fn beyond_the_bound_the_record_whose_last_page_is_the_oldest_goes_first(
        steps in prop::collection::vec(step(), 1..40), in_redis in any::<bool>()
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let place = if in_redis { Place::redis() } else { Place::folder(folder.path()) };
            let mut records = place.open_as("again", 1).await;
            // The last page, and the bytes on disk, of each record.
            let mut expected: BTreeMap<u64, (u64, usize)> = BTreeMap::new();
            let mut shortest: Option<u64> = None;
            for (now, step) in (1u64..).zip(steps) {
                match step {
                    Step::Put { number, kilobytes } => {
                        let bytes = record(number, kilobytes * 1_000);
                        records.put(key(number), at(now), pieces(&bytes)).await.expect("stored");
                        expected.insert(number, (now, bytes.len().max(1).next_multiple_of(4_096)));
                        while expected.values().map(|(_, bytes)| bytes).sum::<usize>() > 1024 * 1024 {
                            let (served, oldest) =
                                expected.iter().map(|(number, (served, _))| (*served, *number)).min().expect("one");
                            expected.remove(&oldest);
                            shortest = Some(shortest.map_or(now - served, |shortest| shortest.min(now - served)));
                        }
                    }
                    Step::Serve(number) => {
                        let is_kept = records.mark_served(key(number), at(now)).await.expect("the records");
                        assert_eq!(is_kept, expected.contains_key(&number));
                        expected.entry(number).and_modify(|(served, _)| *served = now);
                    }
                    Step::Reopen => {
                        records = place.open_as("again", 1).await;
                        shortest = None;
                    }
                }
                for number in 0..12 {
                    let served = read(&records, key(number)).await.map(|(_, served)| served);
                    assert_eq!(served, expected.get(&number).map(|(served, _)| at(*served)), "{number}");
                }
                let bytes = expected.values().map(|(_, bytes)| *bytes as u64).sum();
                let shortest_kept = shortest.map(Duration::from_secs);
                assert_eq!(records.usage(), Usage { records: expected.len() as u64, bytes, shortest_kept });
            }
        });
    }

    #[test]
    fn a_torn_record_is_missing_and_never_another_order(
        images in 1..1_500u32, at_byte: prop::sample::Index, zeros in any::<bool>(), start in 0..1_500usize
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let head = OrderHead {
                order_id: key(1).order_id,
                gallery_id: key(1).gallery_id,
                class: AccessClass::Public,
                strategy: Strategy::Weight,
                factors: WeightFactors::default(),
                guard: false,
                snapshot: 0,
                published_at: at(0),
                images,
            };
            let (ordinals, counts): (Vec<u32>, _) = ((0..images).rev().collect(), CountsSnapshot::default());
            let order = OrderRecord::new(head, &counts);
            let mut bytes = order.encode_head();
            (0..order.blocks()).for_each(|block| order.encode_block(block, &ordinals, &counts, &mut bytes));
            let folder = tempfile::tempdir().expect("a temporary folder");
            let records = open(folder.path(), 256).await;
            records.put(key(1), at(0), pieces(&bytes)).await.expect("stored");

            // A power cut leaves a file without its last blocks, or with zeros in their place.
            let path = files(folder.path()).pop().expect("a file");
            let kept = at_byte.index(bytes.len());
            let mut torn = bytes[..kept].to_vec();
            if zeros {
                torn.resize(bytes.len(), 0);
            }
            std::fs::write(path, &torn).expect("written");

            let slice = async {
                let head = records.read(key(1), 0..OrderHead::BYTES as u64).await.expect("the records")?;
                let order = OrderRecord::decode_head(&head.bytes)?;
                let range = order.bytes_of(order.blocks_of(start, 20));
                let blocks = records.read(key(1), range).await.expect("the records")?;
                order.decode(start, 20, &blocks.bytes)
            };
            if let Some(entries) = slice.await {
                let found: Vec<u32> = entries.iter().map(|entry| entry.ordinal).collect();
                let start = start.min(images as usize);
                assert_eq!(found, ordinals[start..(start + 20).min(images as usize)]);
            }
            if kept < bytes.len() - 4 {
                let whole = records.read(key(1), 0..u64::MAX).await.expect("the records").expect("there").bytes;
                let whole = OrderRecord::decode_head(&whole)
                    .and_then(|order| order.decode(0, usize::MAX, whole.get(OrderHead::BYTES..)?));
                assert_eq!(whole, None);
            }
        });
    }
}

#[tokio::test]
async fn a_sweep_removes_what_nobody_was_served_for_a_while_and_sees_what_other_processes_served() {
    on_every_engine(async |place| {
        let (ours, theirs) = (place.open(1).await, place.open(1).await);
        for (number, second) in [(1, 0), (2, 100), (3, 200)] {
            ours.put(key(number), at(second), pieces(&record(number, 300_000))).await.expect("stored");
        }
        assert!(theirs.mark_served(key(1), at(300)).await.expect("the records"));
        // The other process served it since, so it is not the oldest.
        ours.put(key(4), at(301), pieces(&record(4, 300_000))).await.expect("stored");
        let mut left = Vec::new();
        for number in 1..=4 {
            left.extend(read(&theirs, key(number)).await.map(|_| number));
        }
        assert_eq!(left, [1, 3, 4]);
        theirs.sweep(at(201)).await.expect("swept");
        for reader in [&ours, &theirs] {
            assert_eq!(read(reader, key(3)).await, None);
            assert_eq!(read(reader, key(1)).await.map(|(bytes, _)| bytes), Some(record(1, 300_000)));
        }
        assert_eq!(theirs.usage().records, 2);
        ours.sweep(at(1_000)).await.expect("swept");
        assert_eq!(ours.usage(), Usage { shortest_kept: ours.usage().shortest_kept, ..Usage::default() });
        assert_eq!(ours.usage().shortest_kept, Some(Duration::from_secs(201)));
        ours.sweep(at(1_001)).await.expect("swept");
        assert_eq!(ours.usage(), Usage::default());
    })
    .await;
}

#[tokio::test]
async fn an_order_beyond_the_bound_is_refused_and_leaves_nothing() {
    on_every_engine(async |place| {
        let records = place.open(1).await;
        records.put(key(1), at(1), pieces(&record(1, 1_000))).await.expect("stored");
        let refused = records.put(key(2), at(2), pieces(&record(2, 1_100_000))).await;
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
        assert_eq!(read(&records, key(2)).await, None);
        assert!(read(&records, key(1)).await.is_some(), "others stay");
        if let Some(folder) = place.url.strip_prefix("file:") {
            assert_eq!(files(folder.as_ref()).len(), 1);
        }
        records.sweep(at(0)).await.expect("swept");
        assert_eq!(records.usage().records, 1);
    })
    .await;
}

#[tokio::test]
async fn what_a_killed_process_left_half_written_is_removed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let records = open(folder.path(), 1).await;
    for (name, age) in [("new-1-0", 100_000), ("new-2-0", 1)] {
        let file = std::fs::File::create(folder.path().join(name)).expect("a file");
        let time = at(200_000 - age).micros().unsigned_abs();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_micros(time)).expect("its time");
    }
    records.sweep(at(200_000)).await.expect("swept");
    let left = files(folder.path());
    assert_eq!(left, [folder.path().join("new-2-0")], "that of a process that may be writing stays");
    assert_eq!(records.usage(), Usage::default());
}

#[tokio::test]
async fn the_newest_order_never_goes_back() {
    on_every_engine(async |place| {
        let (ours, theirs) = (place.open(1).await, place.open(1).await);
        let gallery_id = key(1).gallery_id;
        assert_eq!(ours.newest(gallery_id, "public-weight-0").await.expect("the records"), None);
        let ids =
            [(3, 9), (3, 10), (3, 10), (2, 500), (4, 0), (3, 11)].map(|(fence, number)| OrderId::new(0, fence, number));
        let mut greatest = ids[0];
        for (index, order_id) in ids.into_iter().enumerate() {
            let writer = if index % 2 == 0 { &ours } else { &theirs };
            let is_set = writer.set_newest(gallery_id, "public-weight-0", order_id, at(1)).await.expect("the records");
            assert_eq!(is_set, order_id >= greatest);
            greatest = greatest.max(order_id);
            for reader in [&ours, &theirs] {
                assert_eq!(reader.newest(gallery_id, "public-weight-0").await.expect("the records"), Some(greatest));
                assert_eq!(reader.newest(gallery_id, "project-weight-0").await.expect("the records"), None);
            }
        }
        // Many ids are set concurrently; the greatest one stays.
        let sets = (0..64u64).rev().map(|number| {
            let writer = if number % 2 == 0 { ours.clone() } else { theirs.clone() };
            tokio::spawn(async move {
                writer.set_newest(key(1).gallery_id, "concurrent", OrderId::new(0, 1, number), at(1)).await
            })
        });
        for set in sets.collect::<Vec<_>>() {
            set.await.expect("no panic").expect("the records");
        }
        assert_eq!(ours.newest(gallery_id, "concurrent").await.expect("the records"), Some(OrderId::new(0, 1, 63)));
        // It is forgotten a day after its orders; in Redis by the real time.
        ours.sweep(at(86_400)).await.expect("swept");
        assert!(ours.newest(gallery_id, "concurrent").await.expect("the records").is_some());
        ours.sweep(at(86_402)).await.expect("swept");
        if place.url.starts_with("file:") {
            assert_eq!(ours.newest(gallery_id, "concurrent").await.expect("the records"), None);
        }
    })
    .await;
}

#[tokio::test]
async fn a_question_is_open_until_it_is_answered_or_old() {
    on_every_engine(async |place| {
        let (ours, theirs) = (place.open(1).await, place.open(1).await);
        let gallery_id = key(1).gallery_id;
        for second in [1, 2] {
            theirs.ask(gallery_id, "public-weight_decay-0", at(second)).await.expect("asked");
        }
        theirs.ask(gallery_id, "project-interest-3", at(5)).await.expect("asked");
        let mut asked = ours.asked().await.expect("questions");
        asked.sort();
        let question = |text: &str, second| Question { gallery_id, text: text.to_owned(), asked_at: at(second) };
        assert_eq!(asked, [question("project-interest-3", 5), question("public-weight_decay-0", 2)]);
        for _ in 0..2 {
            ours.answer(gallery_id, "project-interest-3", None).await.expect("answered, and once more");
        }
        assert!(!theirs.is_asked(gallery_id, "project-interest-3").await.expect("the records"));
        assert_eq!(theirs.answered(gallery_id, "project-interest-3").await.expect("the records"), None);
        assert!(theirs.is_asked(gallery_id, "public-weight_decay-0").await.expect("the records"));
        ours.sweep(at(3)).await.expect("swept");
        assert_eq!(theirs.asked().await.expect("questions"), []);
        assert_eq!(ours.usage(), Usage::default());
    })
    .await;
}

#[tokio::test]
async fn an_answer_is_for_its_question_alone_and_bounded() {
    on_every_engine(async |place| {
        let (ours, theirs) = (place.open(1).await, place.open(1).await);
        let gallery_id = key(1).gallery_id;
        for (text, answer) in [("why-1", &b"{}"[..]), ("why-2", b""), ("why-3", &vec![b'x'; ANSWER_BYTES_MAX])] {
            theirs.ask(gallery_id, text, at(1)).await.expect("asked");
            assert_eq!(theirs.answered(gallery_id, text).await.expect("the records"), None);
            ours.answer(gallery_id, text, Some(answer.to_vec().into())).await.expect("answered");
            assert_eq!(theirs.answered(gallery_id, text).await.expect("the records").as_deref(), Some(answer));
            assert!(!theirs.is_asked(gallery_id, text).await.expect("the records"));
        }
        let elsewhere = GalleryId(Uuid::from_u128(8));
        assert_eq!(theirs.answered(elsewhere, "why-1").await.expect("the records"), None);
        theirs.ask(gallery_id, "why-4", at(1)).await.expect("asked");
        let huge = vec![b'x'; ANSWER_BYTES_MAX + 1];
        ours.answer(gallery_id, "why-4", Some(huge.into())).await.expect_err("it is too large");
        assert!(theirs.is_asked(gallery_id, "why-4").await.expect("the records"));
    })
    .await;
}

#[tokio::test]
async fn open_questions_are_bounded_and_old_ones_make_room() {
    on_every_engine(async |place| {
        let records = place.open(1).await;
        let gallery_id = key(1).gallery_id;
        for number in 0..QUESTIONS_MAX {
            records.ask(gallery_id, &format!("question-{number}"), at(100)).await.expect("asked");
        }
        let refused = records.ask(gallery_id, "one-more", at(159)).await;
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
        records.ask(gallery_id, "question-7", at(159)).await.expect("it is open already");
        records.ask(gallery_id, "one-more", at(161)).await.expect("the others are old");
        let mut left: Vec<String> =
            records.asked().await.expect("questions").into_iter().map(|question| question.text).collect();
        left.sort();
        assert_eq!(left, ["one-more", "question-7"]);
    })
    .await;
}
