//! Cache and fan-out in Redis: what processes share, and a Redis that is away.
//!
//! Redis is the server in `EYELINE_TEST_REDIS_URL`, which `scripts/with-redis` starts.

use std::time::{Duration, Instant};

use eyeline::settings::Settings;
use eyeline::workers;
use eyeline_store::cache::Usage;
use eyeline_store::pubsub::Hint;
use futures::StreamExt as _;
use http::StatusCode;
use serde_json::{Value, json};

use crate::galleries::{column, string};
use crate::processing::{photo, upload};
use crate::support::{ADMIN_KEY, Answer, Server, Tenant};

const IMAGES: usize = 6;

fn redis_url() -> String {
    std::env::var("EYELINE_TEST_REDIS_URL")
        .expect("EYELINE_TEST_REDIS_URL has to name a Redis: run the tests through scripts/with-redis")
}

fn share(url: String) -> impl FnOnce(&mut Settings) {
    move |settings| {
        settings.secret = Some("5e".repeat(32));
        settings.cache_url = url;
    }
}

/// A gallery of uploaded images on a server whose background tasks run.
struct Gallery {
    server: Server,
    tenant: Tenant,
    path: String,
}

impl Gallery {
    async fn open(url: String) -> Self {
        let server = Server::start_with(share(url)).await;
        tokio::spawn(workers::process::run(server.app.clone()));
        run_orders(&server);
        let tenant = server.tenant("shop").await;
        let body = json!({"project_id": tenant.project_id, "name": "shoes"});
        let gallery = server.post("/api/v1/galleries", &tenant.secret_key, &body).await.json();
        let gallery_id = string(&gallery["gallery_id"]);
        for number in 0..IMAGES as u16 {
            let file = photo(200 + number, 100);
            let image = upload(&server, &tenant, &file, json!({"gallery_id": gallery_id})).await;
            assert_eq!(image["state"], "done", "{image}");
        }
        Gallery { server, tenant, path: format!("/api/v1/galleries/{gallery_id}") }
    }

    async fn page_of(&self, server: &Server) -> Answer {
        let answer = server.get(&format!("{}/images", self.path), &self.tenant.secret_key).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer
    }

    /// The newest page, once both processes serve the same order with all images.
    async fn settled(&self, other: &Server) -> Value {
        let began = Instant::now();
        loop {
            let (ours, theirs) = (self.page_of(&self.server).await.json(), self.page_of(other).await.json());
            let is_full = ours["items"].as_array().is_some_and(|items| items.len() == IMAGES);
            if is_full && ours["order_id"] == theirs["order_id"] {
                return ours;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{ours} and {theirs}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn previews_of(&self, server: &Server, page: &Value) -> Vec<Vec<u8>> {
        let mut previews = Vec::new();
        for image_id in column(page, "image_id") {
            let path = format!("{}/images/{}/preview", self.path, string(&image_id));
            let answer = server.get(&path, &self.tenant.secret_key).await;
            assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "image/jpeg"), "{answer:?}");
            previews.push(answer.body);
        }
        previews
    }
}

fn run_orders(server: &Server) {
    tokio::spawn(workers::rank::run(server.app.orders.clone(), server.app.stop.clone()));
}

/// The calls of the cache since `before`. Beside heavy work a call may take too long: then it counts as a failure.
fn calls(server: &Server, before: Usage) -> (u64, u64) {
    let Usage { hits, misses, writes, failures } = server.app.cache.usage();
    (hits - before.hits + failures - before.failures, misses - before.misses + writes - before.writes)
}

#[tokio::test]
async fn another_process_serves_a_warm_page_and_its_previews_from_redis() {
    let gallery = Gallery::open(redis_url()).await;
    let other = gallery.server.beside().await;
    run_orders(&other);
    let page = gallery.settled(&other).await;
    let made = gallery.previews_of(&gallery.server, &page).await;

    // The other process has a folder of objects of its own, which is empty: its previews can only come from Redis.
    let before = other.app.cache.usage();
    assert_eq!(gallery.previews_of(&other, &page).await, made);
    let images = IMAGES as u64;
    assert_eq!(calls(&other, before), (2 * images, 0), "two look-ups for each preview");
    let before = other.app.cache.usage();
    let transactions = other.app.catalog.transactions().reads;
    assert_eq!(gallery.page_of(&other).await.json()["order_id"], page["order_id"]);
    assert_eq!(calls(&other, before), (1, 0), "one look-up for the page");
    assert!(other.app.catalog.transactions().reads - transactions <= 2, "credentials are looked up once a second");
    let metrics = other.get("/metrics", ADMIN_KEY).await;
    let metrics = String::from_utf8(metrics.body).expect("text");
    assert!(metrics.contains("eyeline_cache_calls_total{outcome=\"hit\"}"), "{metrics}");
    assert!(metrics.contains("eyeline_engine_up{engine=\"cache\"} 1"), "{metrics}");
}

#[tokio::test]
async fn another_installation_on_the_same_redis_finds_nothing() {
    let gallery = Gallery::open(redis_url()).await;
    let other = Server::start_with(share(redis_url())).await;
    let (cache, theirs) = (&gallery.server.app.cache, &other.app.cache);
    cache.set("key", "value".into(), Duration::from_secs(60)).await.expect("set");
    assert_eq!(theirs.get("key").await.expect("an answer"), None);
    assert_eq!(cache.get("key").await.expect("an answer").as_deref(), Some(&b"value"[..]));
}

#[tokio::test]
async fn a_change_is_heard_in_another_process() {
    let gallery = Gallery::open(redis_url()).await;
    let other = gallery.server.beside().await;
    let topic = format!("gallery:{}", gallery.path.rsplit('/').next().expect("an id"));
    let mut hints = other.app.pubsub.subscribe(&topic).await.expect("a subscription");
    let hats = json!({"name": "hats"});
    let changed = gallery.server.write("PATCH", &gallery.path, &gallery.tenant.secret_key, &hats).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    let heard = tokio::time::timeout(Duration::from_secs(30), hints.next()).await.expect("a hint in time");
    assert!(matches!(heard, Some(Hint::Message(_))), "{heard:?}");
}

#[tokio::test]
async fn a_redis_that_is_away_costs_time_alone_and_is_named() {
    let gallery = Gallery::open("redis://127.0.0.1:1".to_owned()).await;
    let other = gallery.server.beside().await;
    run_orders(&other);
    let page = gallery.settled(&other).await;
    assert_eq!(gallery.previews_of(&gallery.server, &page).await.len(), IMAGES);
    let ready = gallery.server.get("/readyz", "").await;
    assert_eq!(ready.status, StatusCode::OK, "{ready:?}");
    let engines = ready.json()["engines"].as_array().expect("engines").clone();
    let away: Vec<&Value> = engines.iter().filter(|engine| engine["reachable"] == false).collect();
    assert_eq!(
        away,
        [
            &json!({"name": "cache", "reachable": false, "required": false}),
            &json!({"name": "fan-out", "reachable": false, "required": false})
        ]
    );
}
