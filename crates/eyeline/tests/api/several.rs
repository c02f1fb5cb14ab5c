//! Several processes on one set of engines: PostgreSQL, NATS, Redis and one folder of objects. One of them is dropped
//! without a shutdown at each step of what a client does.
//!
//! The engines are the servers in `EYELINE_TEST_POSTGRES_URL`, `EYELINE_TEST_NATS_URL` and `EYELINE_TEST_REDIS_URL`,
//! which `scripts/with-postgres`, `scripts/with-nats` and `scripts/with-redis` start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use eyeline::server;
use eyeline::settings::Settings;
use futures::stream;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::galleries::names;
use crate::images::path_of;
use crate::processing::photo;
use crate::support::{ADMIN_KEY, Server, text};

const PARTITIONS: u32 = 4;
const PICTURES: usize = 120;
const EVENTS_PER_SECOND: usize = 1_000;
const BATCH: usize = 50;
/// Longer than any recovery takes, also beside heavy work.
const PATIENCE: Duration = Duration::from_secs(90);

fn of_environment(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} has to name a server: see the scripts named above"))
}

/// The engines that all processes share.
struct Engines {
    database: PgConnection,
    catalog_url: String,
    inbox_url: String,
    objects: tempfile::TempDir,
    secret: String,
}

impl Engines {
    async fn new() -> Self {
        let admin_url = of_environment("EYELINE_TEST_POSTGRES_URL");
        let mut admin = PgConnection::connect(&admin_url).await.expect("a PostgreSQL");
        let name = format!("test_{}", Uuid::new_v4().simple());
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.expect("a database");
        let (server, _) = admin_url.rsplit_once('/').expect("a URL that ends with the name of a database");
        let catalog_url = format!("{server}/{name}");
        let nats = of_environment("EYELINE_TEST_NATS_URL");
        let stream = Uuid::new_v4().simple();
        Engines {
            database: PgConnection::connect(&catalog_url).await.expect("the database"),
            catalog_url,
            inbox_url: format!("{nats}?stream=test-{stream}&partitions={PARTITIONS}&mb=512"),
            objects: tempfile::tempdir().expect("a temporary folder"),
            secret: Uuid::new_v4().simple().to_string().repeat(2),
        }
    }

    async fn process(&self) -> Process {
        let share = |settings: &mut Settings| {
            settings.catalog_url = Some(self.catalog_url.clone());
            settings.inbox_url = Some(self.inbox_url.clone());
            settings.objects_url = Some(format!("file:{}", self.objects.path().display()));
            settings.cache_url = of_environment("EYELINE_TEST_REDIS_URL");
            settings.secret = Some(self.secret.clone());
            settings.drain_seconds = Some(0);
            settings.flush_seconds = 1;
        };
        let server = Server::start_with(share).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let running = tokio::spawn(server::serve(server.app.clone(), listener, stream::pending()));
        Process { address, node: server.app.node.to_string(), running, _server: server }
    }
}

struct Process {
    address: String,
    node: String,
    running: JoinHandle<Result<(), String>>,
    _server: Server,
}

/// The processes, and a client who asks one after the other.
struct Installation {
    engines: Engines,
    processes: Vec<Process>,
    client: Caller,
    dropped: usize,
}

#[derive(Clone)]
struct Caller {
    http: Client,
    addresses: Arc<RwLock<Vec<String>>>,
    next: Arc<AtomicUsize>,
}

impl Caller {
    /// The answer of whichever process gives one. A call that fails is made again at the next process.
    async fn call(&self, method: Method, path: &str, key: &str, body: Option<&Value>) -> (u16, Value) {
        let idempotency_key = Uuid::new_v4().to_string();
        let began = Instant::now();
        loop {
            let address = {
                let addresses = self.addresses.read().expect("addresses");
                addresses[self.next.fetch_add(1, Ordering::Relaxed) % addresses.len()].clone()
            };
            let mut request = self.http.request(method.clone(), format!("{address}{path}"));
            if !key.is_empty() {
                request = request.bearer_auth(key);
            }
            if let Some(body) = body {
                request = request.json(body);
                // Events have ids of their own.
                if !path.starts_with("/api/v1/events") {
                    request = request.header("idempotency-key", &idempotency_key);
                }
            }
            let failure = match request.send().await {
                Ok(answer) if answer.status().as_u16() != 503 => {
                    let status = answer.status().as_u16();
                    match answer.bytes().await {
                        Ok(bytes) => return (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)),
                        Err(error) => error.to_string(),
                    }
                }
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            assert!(began.elapsed() < PATIENCE, "{method} {path}: {failure}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn get(&self, path: &str, key: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, key, None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn post(&self, path: &str, key: &str, body: &Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, key, Some(body)).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }
}

impl Installation {
    async fn start(count: usize) -> Self {
        eyeline_store::tls::choose_provider();
        let engines = Engines::new().await;
        let mut processes = Vec::new();
        for _ in 0..count {
            processes.push(engines.process().await);
        }
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().expect("a client");
        let addresses = processes.iter().map(|process| process.address.clone()).collect();
        let addresses = Arc::new(RwLock::new(addresses));
        let client = Caller { http, addresses, next: Arc::default() };
        Installation { engines, processes, client, dropped: 0 }
    }

    /// Drops a process without a shutdown, lets its leases end as if a minute had passed, and starts another one.
    async fn drop_one(&mut self) {
        let number = self.dropped % self.processes.len();
        self.dropped += 1;
        let new = self.engines.process().await;
        let old = std::mem::replace(&mut self.processes[number], new);
        old.running.abort();
        let _ = old.running.await;
        drop(old._server);
        let addresses = self.processes.iter().map(|process| process.address.clone()).collect();
        *self.client.addresses.write().expect("addresses") = addresses;
        for sql in [
            "UPDATE partitions SET lease_until = 1 WHERE owner = $1",
            "UPDATE partition_owners SET lease_until = 1 WHERE node = $1",
        ] {
            sqlx::query(sql).bind(&old.node).execute(&mut self.engines.database).await.expect("the lease ends");
        }
        sqlx::query("UPDATE jobs SET lease_until = 1 WHERE state = 'leased'")
            .execute(&mut self.engines.database)
            .await
            .expect("the lease ends");
    }
}

/// Sends views with ids at a steady pace, until it is stopped. Returns how many of each picture were acknowledged.
fn send_events(
    client: Caller,
    gallery_id: String,
    key: String,
    stop: Arc<AtomicBool>,
) -> JoinHandle<BTreeMap<String, u64>> {
    tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis((1_000 * BATCH / EVENTS_PER_SECOND) as u64));
        let mut calls = tokio::task::JoinSet::new();
        let mut sent = BTreeMap::<String, u64>::new();
        let mut number = 0;
        while !stop.load(Ordering::Acquire) {
            pace.tick().await;
            let events: Vec<Value> = (0..BATCH)
                .map(|_| {
                    number += 1;
                    let picture = format!("sku-{}", number * number % PICTURES);
                    *sent.entry(picture.clone()).or_default() += 1;
                    json!({
                        "event_id": Uuid::new_v4(), "session_id": "e2085be5-9137-4e4e-80b5-f1ffddc25423",
                        "category": "gallery", "name": "view", "timestamp": "2021-01-01 09:15:27.243860",
                        "data": {"gallery_id": gallery_id, "external_id": picture},
                    })
                })
                .collect();
            let (client, key) = (client.clone(), key.clone());
            calls.spawn(async move {
                let body = json!({"events": events});
                let (status, answer) = client.call(Method::POST, "/api/v1/events/batch", &key, Some(&body)).await;
                assert_eq!(status, 200, "{answer}");
                let taken = answer["accepted"].as_u64().unwrap_or(0) + answer["duplicates"].as_u64().unwrap_or(0);
                assert_eq!(taken, BATCH as u64, "{answer}");
            });
            while let Some(ended) = calls.try_join_next() {
                ended.expect("an accepted batch");
            }
        }
        while let Some(ended) = calls.join_next().await {
            ended.expect("an accepted batch");
        }
        sent
    })
}

async fn nothing_is_lost_doubled_repeated_or_skipped(processes: usize) {
    let mut all = Installation::start(processes).await;
    let client = all.client.clone();

    let project = client.post("/api/v1/projects", ADMIN_KEY, &json!({"name": "shop"})).await;
    let project_id = text(&project, "project_id");
    all.drop_one().await;
    let body = json!({"project_id": project_id, "name": "shop"});
    let key = text(&client.post("/api/v1/applications", ADMIN_KEY, &body).await, "secret_key");
    all.drop_one().await;
    let gallery_id = text(&client.post("/api/v1/galleries", &key, &body).await, "gallery_id");
    let gallery = format!("/api/v1/galleries/{gallery_id}");
    all.drop_one().await;
    let rows: Vec<Value> = (0..PICTURES)
        .map(|number| json!({"external_id": format!("sku-{number}"), "url": format!("https://cdn.example/{number}.jpg")}))
        .collect();
    client.post(&format!("{gallery}/dataset"), &key, &json!(rows)).await;

    let stop = Arc::new(AtomicBool::new(false));
    let sender = send_events(client.clone(), gallery_id.clone(), key.clone(), stop.clone());

    // A photo, from its link to its versions.
    let file = photo(400, 300);
    let sha256 = eyeline::secrets::to_hex(&eyeline::secrets::sha256(&file));
    let body = json!({"project_id": project_id, "filename": "a.jpg", "size": file.len(), "sha256": sha256});
    let link = client.post("/api/v1/images", &key, &body).await;
    all.drop_one().await;
    put(&client, &link, &file).await;
    all.drop_one().await;
    let image = format!("/api/v1/images/{}", text(&link, "image_id"));
    client.post(&format!("{image}/complete"), &key, &json!({})).await;
    all.drop_one().await;
    until("the photo is done", async || client.get(&image, &key).await["state"] == "done").await;

    // Walks, each over processes that come and go.
    for walk in 0..3 {
        let mut page = client.get(&format!("{gallery}/images?limit=10"), &key).await;
        let mut met = names(&page);
        let mut pages = 1;
        while let Some(cursor) = page["next_cursor"].as_str() {
            if pages == 4 + walk {
                all.drop_one().await;
            }
            page = client.get(&format!("{gallery}/images?limit=10&cursor={cursor}"), &key).await;
            assert!(page["restarted"].is_null(), "{page}");
            met.extend(names(&page));
            pages += 1;
        }
        let distinct: BTreeSet<&String> = met.iter().collect();
        assert_eq!((met.len(), distinct.len()), (PICTURES, PICTURES), "nothing repeated, nothing skipped");
    }

    stop.store(true, Ordering::Release);
    let sent = sender.await.expect("every batch was accepted");
    all.drop_one().await;
    let events: u64 = sent.values().sum();
    assert!(events >= EVENTS_PER_SECOND as u64, "{events}");
    let refresh = format!("{gallery}/refresh");
    until("every event is counted", async || {
        let applied = client.post(&refresh, &key, &json!({})).await["applied_events"].as_u64().unwrap_or(0);
        assert!(applied <= events, "{applied} of {events} events");
        applied == events
    })
    .await;
    let mut counted = BTreeMap::<String, u64>::new();
    until("the pages show it", async || {
        let page = client.get(&format!("{gallery}/images?limit=100"), &key).await;
        let cursor = text(&page, "next_cursor");
        let rest = client.get(&format!("{gallery}/images?limit=100&cursor={cursor}"), &key).await;
        let items = [&page, &rest].map(|page| page["items"].as_array().expect("items").clone()).concat();
        counted = items.iter().map(|item| (text(item, "external_id"), item["views"].as_u64().unwrap_or(0))).collect();
        counted.values().sum::<u64>() == events
    })
    .await;
    counted.retain(|_, views| *views > 0);
    assert_eq!(counted, sent, "each event once, at its picture");
}

async fn put(client: &Caller, link: &Value, file: &[u8]) {
    let path = path_of(&text(link, "upload_link")).to_owned();
    let address = client.addresses.read().expect("addresses")[0].clone();
    let mut request = client.http.put(format!("{address}{path}")).body(file.to_vec());
    for (name, value) in link["params"]["headers"].as_object().expect("headers") {
        request = request.header(name, value.as_str().expect("text"));
    }
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{answer:?}");
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_lose_and_double_nothing_while_one_after_the_other_is_dropped() {
    nothing_is_lost_doubled_repeated_or_skipped(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_lose_and_double_nothing_while_one_after_the_other_is_dropped() {
    nothing_is_lost_doubled_repeated_or_skipped(3).await;
}
