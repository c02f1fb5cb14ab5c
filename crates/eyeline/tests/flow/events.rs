//! Events from acceptance to the counters: accepted once and counted once, whatever fails on the way.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use eyeline::clock::Clock;
use eyeline::engines::Engines;
use eyeline::flow::event::collect::{First, Receipt, Sender, event_id_of_key};
use eyeline::flow::lake::history::Page;
use eyeline::flow::{self, Flow};
use eyeline::secrets::Secrets;
use eyeline::settings::Settings;
use eyeline::workers;
use eyeline_core::{ApplicationId, Envelope, Event, EventId, GalleryId, ImageId, ProjectId};
use eyeline_lake::{Filter, Order};
use eyeline_store::inbox::{Entry, Offset};
use eyeline_store::pubsub::Hint;
use eyeline_store::sql::Db;
use eyeline_store::{Catalog, params};
use futures::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};
use uuid::Uuid;

pub const SENDER: Sender =
    Sender { application_id: ApplicationId(Uuid::from_u128(1)), project_id: ProjectId(Uuid::from_u128(2)) };
pub const GALLERY: GalleryId = GalleryId(Uuid::from_u128(3));
pub const IMAGE: ImageId = ImageId(Uuid::from_u128(4));
const NONE: [u64; 0] = [];
pub const POISONED_IMAGE: ImageId = ImageId(Uuid::from_u128(5));

pub fn secrets() -> Secrets {
    Secrets::new([0; 32], Vec::new())
}

/// Starts the flow of a process, like `App::open` but without a data folder.
pub fn start(engines: Engines, settings: Settings, node: &str, clock: Clock) -> Flow {
    let process = flow::Process { node: node.into(), secrets: secrets(), clock, program: "/nowhere".into() };
    Flow::new(engines, Arc::new(settings), process).expect("a flow")
}

/// An installation on disk, with one gallery of two images.
pub struct Installation {
    pub folder: tempfile::TempDir,
    pub db: Db,
}

/// A process of the installation.
pub struct Process(Flow);

impl Deref for Process {
    type Target = Flow;

    fn deref(&self) -> &Flow {
        &self.0
    }
}

impl Installation {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("catalog.sqlite").display());
        let db = Db::open(&url).await.expect("an open database");
        Catalog::from(db.clone()).migrate().await.expect("a migrated catalog");
        let installation = Installation { folder, db };
        let project = "INSERT INTO projects (project_id, name, tier, created_at) VALUES ($1, 'p', 'business', 0)";
        installation.run(project, params![SENDER.project_id]).await;
        let gallery =
            "INSERT INTO galleries (gallery_id, project_id, name, page_size, visibility, access_tier, ranking,
                                              created_at, updated_at)
                       VALUES ($1, $2, 'g', 20, 'public', 'free', '{}', 0, 0)";
        installation.run(gallery, params![GALLERY, SENDER.project_id]).await;
        let image = "INSERT INTO gallery_images (gallery_id, ordinal, image_id, listed, revision)
                     VALUES ($1, $2, $3, $4, 0)";
        installation.run(image, params![GALLERY, 0i64, IMAGE, true]).await;
        installation.run(image, params![GALLERY, 1i64, POISONED_IMAGE, true]).await;
        installation
    }

    pub async fn run(&self, sql: &'static str, params: &[eyeline_store::sql::Value]) {
        let params = params.to_vec();
        self.db.write(move |tx| async move { tx.execute(sql, &params).await }.boxed()).await.expect("a statement");
    }

    pub async fn start(&self) -> Process {
        self.start_as("node").await
    }

    /// Starts a process with this node name.
    pub async fn start_as(&self, node: &str) -> Process {
        self.start_at(node, Clock::default()).await
    }

    /// A process with this clock.
    pub async fn start_at(&self, node: &str, clock: Clock) -> Process {
        let settings = Settings { data: self.folder.path().to_owned(), ..Settings::default() };
        let catalog = Catalog::from(self.db.clone());
        let engines = Engines { catalog, ..Engines::open(&settings, &secrets()).await.expect("open engines") };
        Process(start(engines, settings, node, clock))
    }

    /// Views and clicks of the image.
    pub async fn counts(&self, image_id: ImageId) -> (u64, u64) {
        let sql = "SELECT views, clicks FROM gallery_images WHERE image_id = $1";
        let row = self.db.read(move |tx| async move { tx.query_one(sql, params![image_id]).await }.boxed()).await;
        let mut row = row.expect("an answer").expect("a row");
        (row.take("views").expect("views"), row.take("clicks").expect("clicks"))
    }

    pub async fn quarantined(&self) -> Vec<String> {
        let sql = "SELECT reason FROM quarantine ORDER BY event_offset";
        let rows = self.db.read(move |tx| async move { tx.query(sql, &[]).await }.boxed()).await.expect("rows");
        rows.into_iter().map(|mut row| row.take("reason").expect("a reason")).collect()
    }
}

pub type Worker = tokio::task::JoinHandle<Result<(), String>>;

impl Process {
    pub fn work(&self) -> Worker {
        tokio::spawn(workers::ingest::run(self.ingest.clone(), self.stop.clone()))
    }

    /// Stops the worker and checks that it stops cleanly.
    pub async fn end(&self, worker: Worker) {
        self.stop.cancel();
        worker.await.expect("no panic").expect("a clean stop");
    }

    pub async fn collect(&self, envelopes: Vec<Envelope>) -> Vec<Receipt> {
        self.collector.collect(SENDER, envelopes).await.expect("receipts")
    }

    async fn stored(&self) -> Vec<Event> {
        let deliveries = self.inbox.pull(0, Offset::START, 100_000).await.expect("events");
        deliveries.iter().map(|delivery| Event::decode(&delivery.event).expect("an event")).collect()
    }
}

pub fn envelope(change: impl FnOnce(&mut Value)) -> Envelope {
    let mut event = json!({
        "session_id": Uuid::from_u128(9), "category": "page", "name": "view", "data": {"n": 1},
        "timestamp": "2021-01-01 09:15:27.243860"
    });
    change(&mut event);
    Envelope::parse(event.to_string().as_bytes(), Clock::default().now()).expect("an envelope")
}

pub fn named(id: u128, number: u64) -> Envelope {
    envelope(|event| {
        event["event_id"] = json!(Uuid::from_u128(id));
        event["data"] = json!({ "n": number });
    })
}

pub fn act(name: &str, image_id: ImageId) -> Envelope {
    envelope(|event| {
        event["category"] = json!("gallery");
        event["name"] = json!(name);
        event["data"] = json!({"gallery_id": GALLERY, "image_id": image_id});
    })
}

pub fn accepted(receipts: &[Receipt]) -> usize {
    receipts.iter().filter(|receipt| matches!(receipt, Receipt::Accepted(_))).count()
}

#[tokio::test]
async fn a_receipt_is_given_for_what_is_in_the_inbox() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let receipts = process.collect(vec![named(7, 1), envelope(|_| {})]).await;
    let told: Vec<Event> = receipts
        .into_iter()
        .map(|receipt| match receipt {
            Receipt::Accepted(record) => Event::decode(&record).expect("an event"),
            Receipt::Duplicate(_) | Receipt::Rejected(_) => panic!("all of it is new and in order"),
        })
        .collect();
    assert_eq!(process.stored().await, told);
    assert_eq!(told[0].event_id, EventId(Uuid::from_u128(7)));
    assert!(told[0].id_given && !told[1].id_given);
    assert_eq!((told[1].application_id, told[1].project_id), (SENDER.application_id, SENDER.project_id));
}

#[tokio::test]
async fn what_is_sent_again_is_told_apart_before_and_after_it_is_applied_and_after_a_restart() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    assert_eq!(accepted(&process.collect(vec![named(7, 1), named(7, 2), named(8, 1)]).await), 2);
    let again = process.collect(vec![named(7, 3)]).await;
    let [Receipt::Duplicate(first @ First::Recent(_))] = &again[..] else { panic!("{again:?}") };
    let body = process.collector.first(first).await.expect("an answer").expect("the first event").data;
    assert_eq!(&*body, r#"{"n":1}"#);

    let worker = process.work();
    process.ingest.caught_up().await.expect("applied");
    process.end(worker).await;
    drop(process);

    let process = installation.start().await;
    let again = process.collect(vec![named(8, 4), named(7, 3), named(9, 1)]).await;
    assert_eq!(accepted(&again), 1);
    let Receipt::Duplicate(first @ First::Applied(_)) = &again[1] else { panic!("{again:?}") };
    let body = process.collector.first(first).await.expect("an answer").expect("the first event").data;
    assert_eq!(&*body, r#"{"n":1}"#);
    assert_eq!(process.stored().await.len(), 3);
}

#[tokio::test]
async fn the_same_event_from_many_at_once_is_taken_in_once() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let crowd = (0..40).map(|number| process.collect(vec![named(7, number), named(8, number)]));
    // In the other order too: calls that wait for each other's events must not deadlock.
    let crossed = (40..80).map(|number| process.collect(vec![named(8, number), named(7, number)]));
    let receipts = futures::future::join(futures::future::join_all(crowd), futures::future::join_all(crossed));
    let (one, other) = tokio::time::timeout(Duration::from_secs(30), receipts).await.expect("nobody waits for ever");
    let all: Vec<Receipt> = one.into_iter().chain(other).flatten().collect();
    assert_eq!((all.len(), accepted(&all)), (160, 2));
    assert_eq!(process.stored().await.len(), 2);
}

#[tokio::test]
async fn a_sender_that_goes_away_sets_its_events_free() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    for _ in 0..20 {
        // Polled once and dropped, as the server does when the connection breaks.
        let _unfinished = process.collector.collect(SENDER, vec![named(7, 1)]).now_or_never();
    }
    let last = tokio::time::timeout(Duration::from_secs(10), process.collect(vec![named(7, 1)])).await;
    assert_eq!(last.expect("nobody holds it").len(), 1);
}

#[tokio::test]
async fn applications_name_their_events_apart() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    process.collect(vec![named(7, 1)]).await;
    let other = Sender { application_id: ApplicationId(Uuid::from_u128(99)), ..SENDER };
    let receipts = process.collector.collect(other, vec![named(7, 1)]).await.expect("receipts");
    assert_eq!(accepted(&receipts), 1);
}

#[test]
fn a_key_stands_for_one_id_of_its_application_and_place() {
    let (one, other) = (ApplicationId(Uuid::from_u128(1)), ApplicationId(Uuid::from_u128(2)));
    let ids = BTreeSet::from([
        event_id_of_key(one, "k", None),
        event_id_of_key(one, "k", Some(0)),
        event_id_of_key(one, "k", Some(1)),
        event_id_of_key(one, "k0", None),
        event_id_of_key(other, "k", None),
    ]);
    assert_eq!(ids.len(), 5);
    assert_eq!(event_id_of_key(one, "k", Some(1)), event_id_of_key(one, "k", Some(1)));
}

#[tokio::test]
async fn the_door_stays_open_while_the_catalog_is_out_and_nothing_is_counted_twice_afterwards() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let worker = process.work();
    // A renamed table makes every use case that needs it fail, like an unreachable catalog.
    installation.run("ALTER TABLE event_ids RENAME TO event_ids_away", &[]).await;
    installation.run("ALTER TABLE partitions RENAME TO partitions_away", &[]).await;
    let named_view = || {
        let mut view = act("view", IMAGE);
        view.event_id = Some(EventId(Uuid::from_u128(7)));
        view
    };
    assert_eq!(accepted(&process.collect(vec![named_view(), act("click", IMAGE)]).await), 2);
    process.end(worker).await;
    drop(process);

    let process = installation.start().await;
    assert_eq!(accepted(&process.collect(vec![named_view()]).await), 1, "this process cannot know");
    let worker = process.work();
    tokio::time::sleep(Duration::from_millis(100)).await;
    installation.run("ALTER TABLE event_ids_away RENAME TO event_ids", &[]).await;
    installation.run("ALTER TABLE partitions_away RENAME TO partitions", &[]).await;
    process.ingest.caught_up().await.expect("applied");
    assert_eq!(installation.counts(IMAGE).await, (1, 1));
    process.end(worker).await;
}

#[tokio::test]
async fn a_worker_counts_what_arrives_and_tells_of_the_gallery() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let mut hints = process.pubsub.subscribe(&format!("gallery:{GALLERY}")).await.expect("hints");
    let worker = process.work();
    for _ in 0..3 {
        process.collect(vec![act("view", IMAGE), act("click", IMAGE), envelope(|_| {})]).await;
    }
    process.ingest.caught_up().await.expect("applied");
    assert_eq!(installation.counts(IMAGE).await, (3, 3));
    let hint = tokio::time::timeout(Duration::from_secs(10), hints.next()).await.expect("a hint").expect("a hint");
    assert!(matches!(hint, Hint::Message(_)));
    process.end(worker).await;
}

#[tokio::test]
async fn workers_that_are_cut_off_again_and_again_count_everything_once() {
    let installation = Installation::new().await;
    let mut sent = 0;
    for round in 0..15u64 {
        let process = installation.start().await;
        let worker = process.work();
        let mut envelopes: Vec<Envelope> = (0..50).map(|_| act("view", IMAGE)).collect();
        for (number, envelope) in envelopes.iter_mut().enumerate().take(10) {
            // The same ten event ids in every round, so that they count once in total.
            envelope.event_id = Some(EventId(Uuid::from_u128(1_000 + number as u128)));
        }
        let receipts = process.collect(envelopes).await;
        sent += accepted(&receipts).min(if round == 0 { 50 } else { 40 });
        tokio::time::sleep(Duration::from_millis(round * 3)).await;
        worker.abort();
        let _cut_off = worker.await;
    }
    let process = installation.start().await;
    let worker = process.work();
    process.ingest.caught_up().await.expect("applied");
    assert_eq!(installation.counts(IMAGE).await, (sent as u64, 0));
    process.end(worker).await;
}

#[tokio::test]
async fn poisoned_events_are_kept_apart_and_the_line_goes_on() {
    let installation = Installation::new().await;
    let trigger = "CREATE TRIGGER poison BEFORE UPDATE ON gallery_images
                   WHEN new.ordinal = 1 AND new.views > 0 BEGIN SELECT RAISE(ABORT, 'poisoned'); END";
    installation.run(trigger, &[]).await;
    let process = installation.start().await;
    process.collect((0..20).map(|_| act("view", IMAGE)).collect()).await;
    process.inbox.append(&[Entry { partition: 0, event: b"no event".to_vec() }]).await.expect("durable");
    process.collect(vec![act("view", POISONED_IMAGE)]).await;
    process.collect((0..20).map(|_| act("click", IMAGE)).collect()).await;
    let worker = process.work();
    process.ingest.caught_up().await.expect("applied");
    assert_eq!(installation.counts(IMAGE).await, (20, 20));
    assert_eq!(installation.counts(POISONED_IMAGE).await, (0, 0));
    assert_eq!(installation.quarantined().await, ["unreadable", "failed"]);
    process.end(worker).await;
}

#[tokio::test]
async fn an_inbox_that_was_lost_stops_the_server_instead_of_swallowing_events() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    process.collect(vec![envelope(|_| {})]).await;
    let worker = process.work();
    process.ingest.caught_up().await.expect("applied");
    process.end(worker).await;
    drop(process);
    for file in ["inbox.sqlite", "inbox.sqlite-wal", "inbox.sqlite-shm"] {
        let _absent = std::fs::remove_file(installation.folder.path().join(file));
    }
    let process = installation.start().await;
    let refused = process.ingest.owned().take().await.expect_err("a refusal");
    assert!(refused.contains("lost or exchanged"), "{refused}");

    // An older binary did not note whose watermarks they are.
    installation.run("UPDATE partitions SET inbox_id = NULL", params![]).await;
    let ended = process.work().await.expect("no panic");
    assert!(ended.expect_err("a sentence").contains("lost or exchanged"));
}

/// The numbers in the data of all wanted events, read page by page.
async fn listed(process: &Process, wanted: &Filter, limit: usize) -> Vec<u64> {
    let (mut numbers, mut after) = (Vec::new(), None);
    loop {
        let page = process.history.list(wanted.clone(), Order::ReceivedAt, after, limit).await;
        let Page { events, next, .. } = page.expect("a page");
        assert!(events.len() <= limit);
        for event in events {
            let data: Value = serde_json::from_str(&event.data).expect("JSON");
            numbers.push(data["n"].as_u64().expect("a number"));
        }
        after = next;
        if after.is_none() {
            return numbers;
        }
    }
}

#[tokio::test]
async fn events_are_listed_newest_first_within_the_project_and_without_repetitions() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let other = Sender { project_id: ProjectId(Uuid::from_u128(99)), ..SENDER };
    for number in 0..30u64 {
        process.collect(vec![named(number.into(), number)]).await;
        process.collector.collect(other, vec![named(1_000 + u128::from(number), 7)]).await.expect("receipts");
    }
    drop(process);
    // This process does not know the events of the one before. Both are in the inbox until they are applied.
    let process = installation.start().await;
    process.collect(vec![named(3, 33)]).await;
    let worker = process.work();
    process.ingest.caught_up().await.expect("applied");
    let everything: Vec<u64> = (0..30).rev().collect();
    let all = Filter::of(SENDER.project_id);
    for limit in [1, 7, 30, 100] {
        assert_eq!(listed(&process, &all, limit).await, everything, "{limit} a page");
    }
    let nobody = Filter { session_id: Some(Uuid::from_u128(123).into()), ..all.clone() };
    assert_eq!(listed(&process, &nobody, 10).await, NONE);
    let at = |text: &str| eyeline_core::Timestamp::parse(text);
    let that_day = Filter { from: at("2021-01-01T00:00:00Z"), to: at("2021-01-02T00:00:00Z"), ..all.clone() };
    assert_eq!(listed(&process, &that_day, 50).await.len(), 30);
    let day_before = Filter { from: at("2020-12-31T00:00:00Z"), to: at("2021-01-01T00:00:00Z"), ..all.clone() };
    assert_eq!(listed(&process, &day_before, 50).await, NONE);
    process.end(worker).await;
}

#[tokio::test]
async fn an_event_is_found_by_its_id_before_and_after_it_is_applied_and_written_to_a_file() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let mut ids = Vec::new();
    for number in 0..40u64 {
        let envelope = if number % 2 == 0 { named(number.into(), number) } else { envelope(|_| {}) };
        for receipt in process.collect(vec![envelope]).await {
            let Receipt::Accepted(record) = receipt else { panic!("nothing was sent before") };
            ids.push(Event::decode(&record).expect("an event").event_id);
        }
    }
    let applied = async |id: EventId| {
        process.history.find(Some(SENDER.project_id), SENDER.application_id, id).await.expect("an answer")
    };
    let waiting = async |id: EventId| process.history.find_waiting(SENDER.application_id, id).await.expect("an answer");
    let find_all = async |is_applied: bool| {
        for id in &ids {
            let (there, elsewhere) = (applied(*id).await, waiting(*id).await);
            let (there, elsewhere) = if is_applied { (there, elsewhere) } else { (elsewhere, there) };
            assert_eq!((there.expect("the event").event_id, elsewhere), (*id, None));
        }
    };
    find_all(false).await;
    let worker = process.work();
    process.ingest.caught_up().await.expect("applied");
    find_all(true).await;
    process.flush.run().await.expect("a flush");
    find_all(true).await;
    let absent: EventId = Clock::default().new_id();
    assert_eq!((applied(absent).await, waiting(absent).await), (None, None));
    let other = ApplicationId(Uuid::from_u128(99));
    assert_eq!(process.history.find(None, other, ids[0]).await.expect("an answer"), None);
    process.end(worker).await;
}

#[tokio::test]
async fn ids_are_forgotten_after_a_week_but_not_by_a_clock_that_was_set_forward() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let now = Clock::default().real_now();
    for (clock, kept) in [(Clock::begun_at(now.minus(DAY * 8)), 1), (Clock::begun_at(now), 0)] {
        let installation = Installation::new().await;
        let process = installation.start_at("node", clock.clone()).await;
        let worker = process.work();
        let id = Uuid::from_u128(77);
        process.collect(vec![envelope(|event| event["event_id"] = json!(id))]).await;
        process.ingest.caught_up().await.expect("applied");
        clock.set(now.plus(DAY * 8));
        assert!(!process.ingest.forget_ids().await.expect("an answer"));
        let sql = "SELECT count(*) AS known FROM event_ids";
        let row = installation.db.read(move |tx| async move { tx.query_one(sql, &[]).await }.boxed()).await;
        let known: i64 = row.expect("an answer").expect("a row").take("known").expect("a number");
        assert_eq!(known, kept);
        process.end(worker).await;
    }
}
