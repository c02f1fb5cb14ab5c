//! Several processes over one catalog, one objects folder and one shared inbox of four partitions: embedded, and in
//! NATS, the server in `EYELINE_TEST_NATS_URL`.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use eyeline::clock::Clock;
use eyeline::engines::Engines;
use eyeline::flow::Flow;
use eyeline::flow::event::collect::Receipt;
use eyeline::flow::event::ingest::Step;
use eyeline::flow::lake::rebuild::{self, Verified};
use eyeline::settings::Settings;
use eyeline::workers;
use eyeline_core::{Event, EventId, GalleryId, ImageId};
use eyeline_lake::{Filter, Order};
use eyeline_store::catalog::lake::Manifest;
use eyeline_store::inbox::{self, Delivery, Entry, Offset};
use eyeline_store::sql::{Db, Value};
use eyeline_store::{Catalog, Inbox, Result, params};
use futures::FutureExt as _;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

use crate::events::{SENDER, Worker, envelope, secrets, start};

pub const PARTITIONS: u32 = 4;
pub const DAY: i64 = 24 * 3_600_000_000;
/// Events are kept for this long.
const KEPT_DAYS: u32 = 7;

/// An inbox of four partitions that several processes share. Each partition is an embedded inbox.
struct SharedInbox {
    id: Uuid,
    partitions: Vec<Arc<dyn Inbox>>,
}

impl SharedInbox {
    async fn open(folder: &tempfile::TempDir) -> Arc<dyn Inbox> {
        let mut partitions = Vec::new();
        for partition in 0..PARTITIONS {
            let url = format!("sqlite:{}", folder.path().join(format!("inbox-{partition}.sqlite")).display());
            partitions.push(inbox::open(&url).await.expect("an open inbox"));
        }
        Arc::new(SharedInbox { id: Uuid::new_v4(), partitions })
    }

    fn of(&self, partition: u32) -> &dyn Inbox {
        &*self.partitions[partition as usize]
    }
}

#[async_trait]
impl Inbox for SharedInbox {
    fn id(&self) -> Uuid {
        self.id
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn partitions(&self) -> u32 {
        PARTITIONS
    }

    async fn append(&self, entries: &[Entry]) -> Result<()> {
        for partition in 0..PARTITIONS {
            let of_partition = entries.iter().filter(|entry| entry.partition == partition);
            let of_partition: Vec<Entry> =
                of_partition.map(|entry| Entry { partition: 0, event: entry.event.clone() }).collect();
            self.of(partition).append(&of_partition).await?;
        }
        Ok(())
    }

    async fn pull(&self, partition: u32, after: Offset, events_max: usize) -> Result<Vec<Delivery>> {
        self.of(partition).pull(0, after, events_max).await
    }

    async fn head(&self, partition: u32) -> Result<Offset> {
        self.of(partition).head(0).await
    }

    async fn waiting(&self, partition: u32, after: Offset) -> Result<u64> {
        self.of(partition).waiting(0, after).await
    }

    async fn ping(&self) -> Result<()> {
        self.of(0).ping().await
    }

    async fn arrived(&self, partition: u32, after: Offset) {
        self.of(partition).arrived(0, after).await;
    }

    async fn forget(&self, partition: u32, up_to: Offset) -> Result<()> {
        self.of(partition).forget(0, up_to).await
    }
}

/// One set of engines, with a gallery of one image in each partition.
pub struct Set {
    pub db: Db,
    engines: Engines,
    pub clock: Clock,
    _folder: tempfile::TempDir,
}

/// One process.
pub struct Owner(Flow);

impl Deref for Owner {
    type Target = Flow;

    fn deref(&self) -> &Flow {
        &self.0
    }
}

pub fn gallery(partition: u32) -> GalleryId {
    GalleryId(Uuid::from_u128(400 + u128::from(partition)))
}

fn image(partition: u32) -> ImageId {
    ImageId(Uuid::from_u128(500 + u128::from(partition)))
}

/// Runs `test` on a set whose catalog is SQLite, then on one with PostgreSQL, then on PostgreSQL and NATS.
pub async fn on_every_set(test: impl AsyncFn(Set)) {
    eprintln!("on SQLite:");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let inbox = SharedInbox::open(&folder).await;
    let set = Set::new(&format!("sqlite:{}", folder.path().join("catalog.sqlite").display()), inbox).await;
    Box::pin(test(set)).await;

    eprintln!("on PostgreSQL:");
    let folder = tempfile::tempdir().expect("a temporary folder");
    on_postgres(&test, SharedInbox::open(&folder).await).await;

    eprintln!("on PostgreSQL and NATS:");
    let server = std::env::var("EYELINE_TEST_NATS_URL")
        .expect("EYELINE_TEST_NATS_URL has to name a NATS: run the tests through scripts/with-nats");
    let stream = Uuid::new_v4().simple();
    let url = format!("{server}?stream=test-{stream}&partitions={PARTITIONS}&mb=256");
    on_postgres(&test, inbox::open(&url).await.expect("an open inbox")).await;
}

async fn on_postgres(test: &impl AsyncFn(Set), inbox: Arc<dyn Inbox>) {
    let admin_url = std::env::var("EYELINE_TEST_POSTGRES_URL")
        .expect("EYELINE_TEST_POSTGRES_URL has to name a PostgreSQL: run the tests through scripts/with-postgres");
    let mut admin = PgConnection::connect(&admin_url).await.expect("the PostgreSQL of EYELINE_TEST_POSTGRES_URL");
    let name = format!("test_{}", Uuid::new_v4().simple());
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.expect("a database for the test");
    let (server, _) = admin_url.rsplit_once('/').expect("a URL that ends with the name of a database");
    let set = Set::new(&format!("{server}/{name}"), inbox).await;
    Box::pin(test(set)).await;
    admin.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.expect("dropping the database");
}

impl Deref for Set {
    type Target = Engines;

    fn deref(&self) -> &Engines {
        &self.engines
    }
}

impl Set {
    async fn new(catalog_url: &str, inbox: Arc<dyn Inbox>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = Settings {
            data: folder.path().to_owned(),
            catalog_url: Some(catalog_url.to_owned()),
            ..Settings::default()
        };
        let engines = Engines::open(&settings, &secrets()).await.expect("open engines");
        // Tests look behind the catalog's use cases, through the connections of all processes.
        let db = Db::open(catalog_url).await.expect("an open database");
        let engines = Engines { catalog: Catalog::from(db.clone()), inbox, ..engines };
        let set = Set { db, engines, clock: Clock::default(), _folder: folder };
        let project = "INSERT INTO projects (project_id, name, tier, created_at) VALUES ($1, 'p', 'business', 0)";
        set.run(project, params![SENDER.project_id]).await;
        for partition in 0..PARTITIONS {
            let sql =
                "INSERT INTO galleries (gallery_id, project_id, name, page_size, visibility, access_tier, ranking,
                                              created_at, updated_at)
                       VALUES ($1, $2, $3, 20, 'public', 'free', '{\"strategy\":\"interest\",\"guard\":true}', 0, 0)";
            set.run(sql, params![gallery(partition), SENDER.project_id, format!("g{partition}")]).await;
            let sql = "INSERT INTO gallery_images (gallery_id, ordinal, image_id, listed, revision)
                       VALUES ($1, 0, $2, $3, 0)";
            set.run(sql, params![gallery(partition), image(partition), true]).await;
        }
        set
    }

    pub async fn run(&self, sql: &'static str, params: &[Value]) {
        let params = params.to_vec();
        self.db.write(move |tx| async move { tx.execute(sql, &params).await }.boxed()).await.expect("a statement");
    }

    /// A process with this name.
    pub fn process(&self, node: &str) -> Box<Owner> {
        let settings = Settings { events_keep_days: Some(KEPT_DAYS), ..Settings::default() };
        Box::new(Owner(start(self.engines.clone(), settings, node, self.clock.clone())))
    }

    /// As if every owner had been killed a minute ago.
    pub async fn let_leases_end(&self) {
        self.run("UPDATE partitions SET lease_until = 1", &[]).await;
        self.run("UPDATE partition_owners SET lease_until = 1", &[]).await;
    }

    /// The views and clicks of the partitions' galleries.
    pub async fn counts(&self) -> Vec<(u64, u64)> {
        let sql = "SELECT views, clicks FROM gallery_images ORDER BY gallery_id";
        let rows = self.db.read(move |tx| async move { tx.query(sql, &[]).await }.boxed()).await.expect("rows");
        rows.into_iter()
            .map(|mut row| (row.take("views").expect("views"), row.take("clicks").expect("clicks")))
            .collect()
    }

    /// Everything that an owner may change.
    pub async fn state(&self) -> (Manifest, Vec<(u64, u64)>, Vec<(u32, Offset)>, i64) {
        let manifest = self.catalog.manifest().await.expect("a manifest");
        let trimmed = self.catalog.trimmed_marks().await.expect("marks");
        let sql = "SELECT count(*) AS pieces FROM base_pieces";
        let row = self.db.read(move |tx| async move { tx.query_one(sql, &[]).await }.boxed()).await.expect("a row");
        let pieces = row.expect("a number").take("pieces").expect("a number");
        (manifest, self.counts().await, trimmed, pieces)
    }
}

impl Owner {
    pub fn work(&self) -> Worker {
        tokio::spawn(workers::ingest::run(self.ingest.clone(), self.stop.clone()))
    }

    pub fn held(&self) -> Vec<u32> {
        (0..PARTITIONS).filter(|partition| self.partitions.fence(*partition).is_some()).collect()
    }

    /// Sends views of each partition's image by a session. Returns the ids.
    pub async fn view(&self, session: u128, times: usize) -> Vec<EventId> {
        let views = (0..PARTITIONS).flat_map(|partition| {
            std::iter::repeat_with(move || {
                envelope(|event| {
                    event["session_id"] = json!(Uuid::from_u128(session));
                    event["category"] = json!("gallery");
                    event["name"] = json!("view");
                    event["data"] = json!({"gallery_id": gallery(partition), "image_id": image(partition)});
                })
            })
            .take(times)
        });
        let receipts = self.collector.collect(SENDER, views.collect()).await.expect("receipts");
        let id = |receipt: Receipt| match receipt {
            Receipt::Accepted(record) => Event::decode(&record).expect("an event").event_id,
            receipt => panic!("{receipt:?}"),
        };
        receipts.into_iter().map(id).collect()
    }

    /// Applies everything that waits in its partitions.
    pub async fn apply(&self) -> Result<()> {
        for partition in self.held() {
            self.apply_in(partition).await?;
        }
        Ok(())
    }

    pub async fn apply_in(&self, partition: u32) -> Result<()> {
        loop {
            let mark = self.ingest.mark(partition).await?;
            match self.ingest.step(partition, mark, 100).await? {
                Step::Applied { .. } | Step::MarkMoved => {}
                Step::Idle | Step::NotOwner => return Ok(()),
            }
        }
    }

    pub async fn recount(&self, set: &Set) -> Vec<Verified> {
        rebuild::verify(&set.catalog, &*set.inbox, &self.usage, &set.clock).await.expect("a recount")
    }

    /// The ids of all events that are kept, sorted.
    pub async fn kept(&self) -> Vec<EventId> {
        let (mut ids, mut before) = (Vec::new(), None);
        loop {
            let wanted = Filter::of(SENDER.project_id);
            let page = self.history.list(wanted, Order::ReceivedAt, before, 500).await.expect("a page");
            ids.extend(page.events.into_iter().map(|event| event.event_id));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        ids.sort_unstable();
        ids
    }
}

/// Polls the future at most `times` times. `None` if it has not ended by then: it is paused, like its process.
pub async fn run_for<F: Future>(mut future: Pin<&mut F>, times: usize) -> Option<F::Output> {
    let mut polled = 0;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            polled += 1;
            if polled >= times { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}
