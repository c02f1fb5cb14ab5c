//! Several processes over one PostgreSQL and one Redis: the owner of a gallery publishes and answers for all of them.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use eyeline::settings::Settings;
use eyeline::workers;
use http::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::galleries::{Shop, names, string};
use crate::support::{Answer, Server, new_database};

/// Longer than anything takes, also beside heavy work.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Redis of a test's own, which the test may flush.
struct Redis {
    port: u16,
    child: Child,
}

impl Redis {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        let child = command.stdout(Stdio::null()).spawn();
        let redis = Redis { port, child: child.expect("redis-server, which scripts/install-deps test installs") };
        let began = Instant::now();
        while redis.ask("PING") != "PONG" {
            assert!(began.elapsed() < PATIENCE, "Redis does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        redis
    }

    fn ask(&self, command: &str) -> String {
        let asked = Command::new("redis-cli").args(["-p", &self.port.to_string(), command]).output();
        String::from_utf8(asked.expect("redis-cli").stdout).expect("text").trim().to_owned()
    }

    fn flush(&self) {
        assert_eq!(self.ask("FLUSHALL"), "OK");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One process that owns a shop's gallery, and others that only serve it.
struct Processes {
    shop: Shop,
    others: Vec<Server>,
    redis: Redis,
    catalog_url: String,
    /// Stops the owner's ranking alone.
    ranking: CancellationToken,
}

fn settings(catalog_url: &str, redis: &Redis) -> impl FnOnce(&mut Settings) {
    let (catalog_url, redis_url) = (catalog_url.to_owned(), format!("redis://127.0.0.1:{}", redis.port));
    move |settings| {
        settings.secret = Some("5e".repeat(32));
        settings.catalog_url = Some(catalog_url);
        settings.orders_url = Some(redis_url.clone());
        settings.cache_url = redis_url;
    }
}

fn rank(server: &Server) -> CancellationToken {
    let stop = CancellationToken::new();
    tokio::spawn(workers::rank::run(server.app.orders.clone(), stop.clone()));
    stop
}

impl Processes {
    async fn open(pictures: usize) -> Self {
        let (redis, catalog_url) = (Redis::start(), new_database().await);
        let shop = Shop::open_with(settings(&catalog_url, &redis)).await;
        shop.load_pictures(pictures).await;
        let others = vec![shop.server.beside().await, shop.server.beside().await];
        others.iter().for_each(|other| drop(rank(other)));
        let ranking = rank(&shop.server);
        Processes { shop, others, redis, catalog_url, ranking }
    }

    fn servers(&self) -> impl Iterator<Item = &Server> {
        std::iter::once(&self.shop.server).chain(&self.others)
    }

    async fn restart_owner(self) -> Self {
        let Processes { shop, others, redis, catalog_url, ranking } = self;
        ranking.cancel();
        let server = shop.server.restart_with(settings(&catalog_url, &redis)).await;
        tokio::spawn(workers::ingest::run(server.app.ingest.clone(), server.app.stop.clone()));
        let ranking = rank(&server);
        Processes { shop: Shop { server, ..shop }, others, redis, catalog_url, ranking }
    }

    async fn get(&self, server: &Server, path: &str) -> Answer {
        server.get(&self.shop.path(path), &self.shop.key).await
    }

    async fn page(&self, server: &Server, query: &str) -> Value {
        let answer = self.get(server, &format!("/images?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }

    /// As a client does that obeys `Retry-After`.
    async fn patient_page(&self, server: &Server, path: &str, key: &str) -> Value {
        let began = Instant::now();
        loop {
            let answer = server.get(path, key).await;
            if answer.status == StatusCode::OK {
                return answer.json();
            }
            assert_pending(&answer);
            assert!(began.elapsed() < PATIENCE, "{answer:?}");
        }
    }

    /// The answer that all processes give, once they do. An order of a later minute may come between.
    async fn same(&self, path: &str) -> Answer {
        let began = Instant::now();
        loop {
            let mut answers = Vec::new();
            for server in self.servers() {
                let answer = self.get(server, path).await;
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
                answers.push(answer);
            }
            if answers.iter().all(|answer| answer.body == answers[0].body) {
                return answers.swap_remove(0);
            }
            assert!(began.elapsed() < PATIENCE, "the processes differ: {answers:?}");
        }
    }

    /// Waits until every process serves the same first page.
    async fn settled(&self, query: &str) -> Value {
        let began = Instant::now();
        loop {
            let mut pages = Vec::new();
            for server in self.servers() {
                pages.push(self.page(server, query).await);
            }
            if pages.iter().all(|page| page["order_id"] == pages[0]["order_id"]) {
                return pages.swap_remove(0);
            }
            assert!(began.elapsed() < PATIENCE, "the processes serve different orders");
        }
    }
}

fn assert_pending(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert_eq!((answer.json()["code"].as_str(), answer.header("retry-after")), (Some("order_pending"), "1"));
}

#[tokio::test]
async fn an_order_that_nobody_publishes_is_pending_after_two_seconds_and_there_once_its_owner_is() {
    let mut set = Processes::open(30).await;
    set.settled("order=weight").await;
    set.ranking.cancel();
    let other = &set.others[0];
    let began = Instant::now();
    // The second request does not take the question of the first one for answered.
    let (first, second) = tokio::join!(set.get(other, "/images?order=ctr"), set.get(other, "/images?order=ctr"));
    assert_pending(&first);
    assert_pending(&second);
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    let image = string(&set.page(other, "").await["items"][3]["image_id"]);
    assert_eq!(set.get(other, &format!("/images/{image}")).await.json()["position"], 4, "from the last order");

    set.ranking = rank(&set.shop.server);
    let there = set.patient_page(&set.others[0], &set.shop.path("/images?order=ctr"), &set.shop.key).await;
    assert_eq!(there["items"].as_array().map(Vec::len), Some(20));
}

#[tokio::test]
async fn why_and_estimate_are_the_owners_answers_in_every_process() {
    let set = Processes::open(30).await;
    set.shop.patch(json!({"holdout_percent": 50})).await;
    set.shop.send("view", "sku-7", 9).await;
    set.shop.send("click", "sku-7", 4).await;
    set.shop.refresh().await;
    let page = set.settled("").await;
    assert_eq!(names(&page)[0], "sku-7");
    let image = string(&page["items"][0]["image_id"]);
    for query in
        ["", "?order=interest", "?order=interest&session_id=6f0a6f0a-7c1f-4b0c-8d3e-0a1b2c3d4e5f", "?visitor_id=ann"]
    {
        let path = format!("/images/{image}/why{query}");
        let why = set.same(&path).await.json();
        assert_eq!((&why["image_id"], &why["clicks"]), (&json!(image), &json!(4)));
        assert_eq!(why["arm"].is_string(), query.contains("visitor_id"), "{why}");
    }
    for query in ["", "?order=newest"] {
        assert_eq!(set.same(&format!("/estimate{query}")).await.json()["places"], 30);
    }
    let nobodys = "/images/0198c0de-0000-7000-8000-00000000a003/why";
    for server in set.servers() {
        assert_eq!(set.get(server, nobodys).await.status, StatusCode::NOT_FOUND);
    }

    set.ranking.cancel();
    let began = Instant::now();
    let (why, estimate) = (format!("/images/{image}/why"), "/estimate");
    let (why, estimate) = tokio::join!(set.get(&set.others[0], &why), set.get(&set.others[1], estimate));
    assert_pending(&why);
    assert_pending(&estimate);
    assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
    let open = set.shop.server.app.order_records.asked().await.expect("the records");
    let open: Vec<&str> = open.iter().map(|question| question.text.as_str()).collect();
    assert!(open.iter().all(|text| !text.starts_with("why") && !text.starts_with("estimate")), "{open:?}");
}

#[tokio::test]
async fn more_questions_than_a_process_may_ask_are_refused_without_waiting() {
    let set = Processes::open(5).await;
    let page = set.settled("").await;
    set.ranking.cancel();
    let path = format!("/images/{}/why", string(&page["items"][0]["image_id"]));
    let asked = (0..40).map(|_| set.get(&set.others[0], &path));
    let answers = futures::future::join_all(asked).await;
    let pending = answers.iter().filter(|answer| answer.json()["code"] == "order_pending").count();
    assert_eq!(pending, 16);
    assert!(answers.iter().all(|answer| answer.status == StatusCode::SERVICE_UNAVAILABLE));
}

#[tokio::test]
async fn rules_and_settings_hold_on_the_next_page_of_every_process_whichever_takes_them() {
    let set = Processes::open(30).await;
    set.settled("limit=5").await;
    for round in 0..9 {
        let taking = set.servers().nth(round % 3).expect("a server");
        let name = format!("sku-{}", 3 * round);
        let rules = json!({"pin": [{"external_id": name, "position": 2}]});
        let answer = taking.write("PUT", &set.shop.path("/rules"), &set.shop.key, &rules).await;
        assert_eq!((answer.status, &answer.json()["published"]), (StatusCode::OK, &json!(true)), "{answer:?}");
        for server in set.servers() {
            assert_eq!(names(&set.page(server, "limit=5").await)[1], name, "round {round}");
        }
    }
    for (round, strategy) in ["ctr", "newest", "weight"].into_iter().enumerate() {
        let taking = set.servers().nth(round).expect("a server");
        let change = json!({"ranking": {"strategy": strategy}});
        let answer = taking.write("PATCH", &set.shop.path(""), &set.shop.key, &change).await;
        assert_eq!((answer.status, &answer.json()["published"]), (StatusCode::OK, &json!(true)), "{answer:?}");
        for server in set.servers() {
            let page = set.page(server, "limit=5").await;
            assert_eq!((&page["strategy"], names(&page)[1].as_str()), (&json!(strategy), "sku-24"));
        }
    }
    // Without the owner they are stored, and said to be not published yet.
    set.ranking.cancel();
    let began = Instant::now();
    let answer = set.others[0].delete(&set.shop.path("/rules"), &set.shop.key).await;
    assert_eq!((answer.status, &answer.json()["published"]), (StatusCode::ACCEPTED, &json!(false)), "{answer:?}");
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_refresh_in_any_process_answers_once_every_event_before_it_is_in_the_order() {
    let set = Processes::open(30).await;
    set.settled("").await;
    for (round, server) in set.servers().enumerate() {
        let name = format!("sku-{}", 5 * round + 1);
        set.shop.send("click", &name, 1 + round).await;
        let answer = server.post(&set.shop.path("/refresh"), &set.shop.key, &json!({})).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        for server in set.servers() {
            assert_eq!(names(&set.page(server, "").await)[0], name);
        }
    }
}

#[tokio::test]
async fn a_flushed_redis_in_the_middle_of_a_walk_repeats_and_skips_nothing() {
    const PICTURES: usize = 400;
    let mut set = Processes::open(PICTURES).await;
    let visitor = |order: &str| (format!("application={}&order={order}&", set.shop.application_id), String::new());
    let walks = [(String::new(), set.shop.key.clone()), visitor("weight"), visitor("interest")];
    for (walk, (query, key)) in walks.into_iter().enumerate() {
        let first = set.shop.path(&format!("/images?{query}limit=20"));
        let mut page = set.patient_page(&set.others[0], &first, &key).await;
        let order_id = page["order_id"].clone();
        let (mut met, mut round) = (names(&page), 0);
        while let Some(cursor) = page["next_cursor"].as_str().map(str::to_owned) {
            // The order of the walk is replaced, so that it is in no memory.
            set.shop.send("click", &format!("sku-{round}"), 1 + round).await;
            assert_ne!(set.shop.refresh().await["order_id"], order_id);
            if round % 4 == 1 {
                set.redis.flush();
            }
            if round == 9 + walk {
                set.redis.flush();
                set = set.restart_owner().await;
            }
            let server = set.servers().nth(round % 3).expect("a server");
            page = set.patient_page(server, &format!("{first}&cursor={cursor}"), &key).await;
            assert_eq!((&page["order_id"], &page["restarted"]), (&order_id, &Value::Null), "round {round}");
            met.extend(names(&page));
            round += 1;
        }
        let distinct: BTreeSet<&String> = met.iter().collect();
        assert_eq!((met.len(), distinct.len()), (PICTURES, PICTURES), "nothing repeated, nothing skipped");
    }
    // The newest orders are back too, without a wait for the next change.
    set.redis.flush();
    for server in set.servers() {
        set.patient_page(server, &set.shop.path("/images"), &set.shop.key).await;
    }
}
