//! Galleries for their owner and their visitors.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use eyeline::flow::lake::rebuild::{self, Verified};
use eyeline::settings::Settings;
use eyeline::workers;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Answer, Server, Tenant, request};

/// A project with an application, and a gallery in it.
pub struct Shop {
    pub server: Server,
    pub project_id: String,
    pub application_id: String,
    pub key: String,
    pub gallery_id: String,
}

impl Shop {
    /// Events are counted as in a serving process. Only `refresh` publishes orders.
    pub async fn open() -> Self {
        Shop::open_with(|_| {}).await
    }

    /// With other settings than a test usually has.
    pub async fn open_with(change: impl FnOnce(&mut Settings)) -> Self {
        let server = Server::start_with(change).await;
        tokio::spawn(workers::ingest::run(server.app.ingest.clone(), server.app.stop.clone()));
        let Tenant { project_id, application_id, secret_key: key, .. } = server.tenant("shop").await;
        let body = json!({"project_id": project_id, "name": "shoes"});
        let made = server.post("/api/v1/galleries", &key, &body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        let gallery_id = string(&made.json()["gallery_id"]);
        Shop { server, project_id, application_id, key, gallery_id }
    }

    /// The same shop on a server that was restarted.
    pub async fn restart(self) -> Self {
        let server = self.server.restart().await;
        tokio::spawn(workers::ingest::run(server.app.ingest.clone(), server.app.stop.clone()));
        Shop { server, ..self }
    }

    pub fn path(&self, rest: &str) -> String {
        format!("/api/v1/galleries/{}{rest}", self.gallery_id)
    }

    pub async fn load(&self, content_type: &str, body: impl Into<Body>) -> Answer {
        let request = request("POST", &self.path("/dataset"), &self.key).header("content-type", content_type);
        self.server.send(request.body(body.into()).expect("a request")).await
    }

    /// Loads a catalogue with the parameters of `query`.
    pub async fn feed(&self, query: &str, content_type: &str, body: impl Into<Body>) -> Answer {
        let path = self.path(&format!("/dataset?{query}"));
        let request = request("POST", &path, &self.key).header("content-type", content_type);
        self.server.send(request.body(body.into()).expect("a request")).await
    }

    /// Loads images `sku-0` and so on, created one second apart.
    pub async fn load_pictures(&self, count: usize) {
        let rows: Vec<Value> = (0..count)
            .map(|number| {
                let (minute, second) = (number / 60 % 60, number % 60);
                json!({
                    "external_id": format!("sku-{number}"),
                    "url": format!("https://cdn.example/{number}.jpg"),
                    "created_at": format!("2021-01-{:02}T00:{minute:02}:{second:02}Z", 1 + number / 3_600),
                })
            })
            .collect();
        let loaded = self.load("application/json", json!(rows).to_string()).await;
        assert_eq!(loaded.json()["created"], count, "{loaded:?}");
    }

    /// Sends `count` events of an image.
    pub async fn send(&self, name: &str, external_id: &str, count: usize) {
        let event = json!({
            "session_id": "e2085be5-9137-4e4e-80b5-f1ffddc25423", "category": "gallery", "name": name,
            "data": {"gallery_id": self.gallery_id, "external_id": external_id},
            "timestamp": "2021-01-01 09:15:27.243860",
        });
        let body = json!({"events": vec![event; count]});
        let sent = self.server.post("/api/v1/events/batch", &self.key, &body).await;
        assert_eq!(sent.json()["accepted"], count, "{sent:?}");
    }

    pub async fn refresh(&self) -> Value {
        let answer = self.server.post(&self.path("/refresh"), &self.key, &json!({})).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }

    pub async fn page(&self, query: &str) -> Value {
        let answer = self.server.get(&self.path(&format!("/images?{query}")), &self.key).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }

    pub async fn recount(&self) -> Vec<Verified> {
        let app = &self.server.app;
        rebuild::verify(&app.catalog, &*app.inbox, &app.usage, &app.clock).await.expect("a verification")
    }

    /// A recount of all events equals the gallery's state.
    pub async fn assert_rebuilds(&self, events: u64) {
        let verified = self.recount().await;
        assert_eq!((verified.len(), verified[0].events), (1, events));
        assert_eq!(verified[0].before, verified[0].after);
    }

    /// Requests a page like a browser that knows only the application's id.
    pub async fn visit(&self, query: &str) -> Answer {
        let path = self.path(&format!("/images?application={}&{query}", self.application_id));
        self.server.get(&path, "").await
    }
}

pub fn string(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

pub fn column(page: &Value, name: &str) -> Vec<Value> {
    page["items"].as_array().expect("items").iter().map(|item| item[name].clone()).collect()
}

pub fn names(page: &Value) -> Vec<String> {
    column(page, "external_id").iter().map(string).collect()
}

#[tokio::test]
async fn without_any_event_a_gallery_shows_its_newest_pictures_first() {
    let shop = Shop::open().await;
    shop.load_pictures(5).await;
    let page = shop.page("").await;
    assert_eq!(names(&page), ["sku-4", "sku-3", "sku-2", "sku-1", "sku-0"]);
    assert_eq!(page["strategy"], "weight");
    assert_eq!(page["next_cursor"], Value::Null);
    assert_eq!(column(&page, "position"), [1, 2, 3, 4, 5]);
    assert_eq!(page["items"][0]["url"], "https://cdn.example/4.jpg");
    assert_eq!(page["items"][0]["weight"], 0);
}

#[tokio::test]
async fn views_and_clicks_put_the_pictures_in_the_order_of_their_weights() {
    let shop = Shop::open().await;
    shop.load_pictures(4).await;
    for (picture, views, clicks) in [("sku-0", 8, 3), ("sku-1", 30, 0), ("sku-2", 1, 4), ("sku-3", 2, 0)] {
        shop.send("view", picture, views).await;
        if clicks > 0 {
            shop.send("click", picture, clicks).await;
        }
    }
    let refreshed = shop.refresh().await;
    assert_eq!(refreshed["applied_events"], 48);
    let page = shop.page("").await;
    assert_eq!(page["order_id"], refreshed["order_id"]);
    assert_eq!(names(&page), ["sku-1", "sku-2", "sku-0", "sku-3"], "of equal weights the newer picture comes first");
    assert_eq!(column(&page, "weight"), [30, 29, 29, 2]);
    assert_eq!(column(&page, "views"), [30, 1, 8, 2]);
    assert_eq!(column(&page, "clicks"), [0, 4, 3, 0]);

    let newest = shop.page("order=newest").await;
    assert_eq!(names(&newest), ["sku-3", "sku-2", "sku-1", "sku-0"]);
    assert_eq!(newest["strategy"], "newest");
    assert_eq!(newest["items"][3]["weight"], 29);

    let body = json!({"ranking": {"click_weight": 5}});
    let changed = shop.server.write("PATCH", &shop.path(""), &shop.key, &body).await.json();
    assert_eq!((&changed["ranking"]["click_weight"], &changed["ranking"]["view_weight"]), (&json!(5), &json!(1)));
    shop.refresh().await;
    let page = shop.page("").await;
    assert_eq!(names(&page), ["sku-1", "sku-0", "sku-2", "sku-3"]);
    assert_eq!(column(&page, "weight"), [30, 23, 21, 2]);
}

#[tokio::test]
async fn a_walk_meets_every_picture_once_while_the_order_moves() {
    let shop = Shop::open().await;
    shop.load_pictures(230).await;
    let mut page = shop.page("limit=20").await;
    let order_id = page["order_id"].clone();
    let mut met = names(&page);
    let mut round = 0;
    while let Some(cursor) = page["next_cursor"].as_str() {
        // Unseen images overtake seen ones, and vice versa.
        shop.send("click", &format!("sku-{round}"), 1 + round).await;
        shop.send("view", &format!("sku-{}", 229 - round), 3).await;
        assert_ne!(shop.refresh().await["order_id"], order_id);
        round += 1;
        page = shop.page(&format!("limit=20&cursor={cursor}")).await;
        assert_eq!(page["order_id"], order_id);
        assert_eq!(page["restarted"], Value::Null);
        met.extend(names(&page));
    }
    assert_eq!(met.len(), 230);
    assert_eq!(met.iter().collect::<BTreeSet<_>>().len(), 230);
    assert_ne!(shop.page("").await["order_id"], order_id);
}

#[tokio::test]
async fn pages_by_number_and_pages_by_cursor_are_the_same() {
    let shop = Shop::open().await;
    shop.load_pictures(7).await;
    let first = shop.server.get(&shop.path("/images?limit=3"), &shop.key).await;
    let link = first.header("link").to_owned();
    let second = shop.page(&format!("limit=3&cursor={}", string(&first.json()["next_cursor"]))).await;
    assert_eq!(names(&second), ["sku-3", "sku-2", "sku-1"]);
    assert_eq!(second["items"], shop.page("limit=3&page=2").await["items"]);
    let linked = link.strip_prefix("<http://localhost:8009").expect("a link").split('>').next().expect("a link");
    assert_eq!(shop.server.get(linked, &shop.key).await.json(), second);

    let last = shop.page("limit=3&page=3").await;
    assert_eq!((names(&last), &last["next_cursor"]), (vec!["sku-0".to_owned()], &Value::Null));
    assert!(names(&shop.page("limit=3&page=4").await).is_empty());
    assert!(names(&shop.page("limit=100&page=1099511627776").await).is_empty());
    let of_order = shop.page(&format!("limit=3&page=2&order_id={}", string(&second["order_id"]))).await;
    assert_eq!(of_order["items"], second["items"]);

    let body = json!({"page_size": 2});
    shop.server.write("PATCH", &shop.path(""), &shop.key, &body).await;
    assert_eq!(names(&shop.page("").await).len(), 2);
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_page_is_told_at_once() {
    let shop = Shop::open().await;
    let path = shop.path("/images?limit=0&cursor=x&page=0&order=best&order_id=1&session_id=2");
    let answer = shop.server.get(&path, &shop.key).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let errors = answer.json()["errors"].clone();
    let fields: Vec<&String> = errors.as_object().expect("errors").keys().collect();
    assert_eq!(fields, ["cursor", "limit", "order", "order_id", "page", "session_id"]);

    shop.load_pictures(3).await;
    let cursor = string(&shop.page("limit=1").await["next_cursor"]);
    let both = shop.server.get(&shop.path(&format!("/images?cursor={cursor}&page=2&order=newest")), &shop.key).await;
    assert_eq!(both.json()["errors"].as_object().expect("errors").len(), 2, "{both:?}");
    let other = Shop { gallery_id: new_gallery(&shop).await, ..shop };
    let foreign = other.server.get(&other.path(&format!("/images?cursor={cursor}")), &other.key).await;
    assert_eq!(foreign.status, StatusCode::BAD_REQUEST);
}

pub async fn new_gallery(shop: &Shop) -> String {
    let body = json!({"project_id": shop.project_id, "name": "boots"});
    string(&shop.server.post("/api/v1/galleries", &shop.key, &body).await.json()["gallery_id"])
}

#[tokio::test]
async fn a_cursor_older_than_fifteen_minutes_goes_on_at_its_place_in_the_newest_order() {
    let shop = Shop::open().await;
    shop.load_pictures(6).await;
    let first = shop.page("limit=2").await;
    let cursor = string(&first["next_cursor"]);
    shop.send("click", "sku-0", 1).await;
    shop.refresh().await;

    let now = shop.server.app.clock.now();
    shop.server.app.clock.set(now.plus(Duration::from_secs(14 * 60)));
    let kept = shop.page(&format!("limit=2&cursor={cursor}")).await;
    assert_eq!((&kept["order_id"], &kept["restarted"]), (&first["order_id"], &Value::Null));
    assert_eq!(names(&kept), ["sku-3", "sku-2"]);

    let now = shop.server.app.clock.now();
    shop.server.app.clock.set(now.plus(Duration::from_secs(16 * 60)));
    let restarted = shop.page(&format!("limit=2&cursor={cursor}")).await;
    assert_eq!(restarted["restarted"], true);
    assert_eq!(names(&restarted), ["sku-4", "sku-3"], "the third and fourth place of the newest order");
    let on = shop.page(&format!("limit=2&cursor={}", string(&restarted["next_cursor"]))).await;
    assert_eq!((names(&on), &on["restarted"]), (vec!["sku-2".to_owned(), "sku-1".to_owned()], &Value::Null));
}

#[tokio::test]
async fn a_cursor_survives_a_restart_of_the_server() {
    let shop = Shop::open().await;
    shop.load_pictures(6).await;
    let cursor = string(&shop.page("limit=2").await["next_cursor"]);
    let shop = Shop { server: shop.server.restart().await, ..shop };
    let page = shop.page(&format!("limit=2&cursor={cursor}")).await;
    assert_eq!((names(&page), &page["restarted"]), (vec!["sku-3".to_owned(), "sku-2".to_owned()], &Value::Null));
}

#[tokio::test]
async fn a_picture_taken_out_is_gone_at_once_and_comes_back_with_its_numbers() {
    let shop = Shop::open().await;
    shop.load_pictures(3).await;
    shop.send("view", "sku-1", 5).await;
    shop.refresh().await;
    let page = shop.page("").await;
    assert_eq!(names(&page), ["sku-1", "sku-2", "sku-0"]);
    let picture = shop.path(&format!("/images/{}", string(&page["items"][0]["image_id"])));

    assert_eq!(shop.server.delete(&picture, &shop.key).await.status, StatusCode::NO_CONTENT);
    let without = shop.page("").await;
    assert_eq!(names(&without), ["sku-2", "sku-0"]);
    assert_eq!(column(&without, "position"), [2, 3], "the same order, one place of it empty");
    assert_eq!(shop.server.get(&picture, &shop.key).await.status, StatusCode::NOT_FOUND);
    shop.refresh().await;
    assert_eq!(column(&shop.page("").await, "position"), [1, 2]);

    let put = shop.server.send(request("PUT", &picture, &shop.key).body(Body::empty()).expect("a request")).await;
    assert_eq!(put.status, StatusCode::NO_CONTENT);
    shop.refresh().await;
    let one = shop.server.get(&picture, &shop.key).await.json();
    assert_eq!((&one["position"], &one["views"], &one["weight"]), (&json!(1), &json!(5), &json!(5)));
}

#[tokio::test]
async fn visitors_see_neither_numbers_nor_what_is_not_public() {
    let shop = Shop::open().await;
    let rows = json!([
        {"external_id": "a", "url": "https://cdn.example/a"},
        {"external_id": "b", "url": "https://cdn.example/b", "visibility": "private"},
        {"external_id": "c", "url": "https://cdn.example/c", "access_tier": "premium"},
    ]);
    shop.load("application/json", rows.to_string()).await;
    assert_eq!(names(&shop.page("").await), ["c", "b", "a"]);
    let visited = shop.visit("").await;
    assert_eq!(visited.status, StatusCode::OK, "{visited:?}");
    assert_eq!(names(&visited.json()), ["a"]);
    let item = &visited.json()["items"][0];
    assert!(["weight", "views", "clicks"].iter().all(|number| item.get(number).is_none()), "{item}");

    let refresh = shop.path(&format!("/refresh?application={}", shop.application_id));
    assert_eq!(shop.server.post(&refresh, "", &json!({})).await.status, StatusCode::FORBIDDEN);
    shop.server.write("PATCH", &shop.path(""), &shop.key, &json!({"visibility": "private"})).await;
    assert_eq!(shop.visit("").await.status, StatusCode::FORBIDDEN);
    assert_eq!(names(&shop.page("").await).len(), 3);
}

#[tokio::test]
async fn nothing_of_a_gallery_is_there_for_another_project() {
    let shop = Shop::open().await;
    shop.load_pictures(2).await;
    let page = shop.page("limit=1").await;
    let picture = shop.path(&format!("/images/{}", string(&page["items"][0]["image_id"])));
    let other = shop.server.tenant("other").await;
    let (other_project, other_application, other_key) = (other.project_id, other.application_id, other.secret_key);
    let row = json!([{"external_id": "x", "url": "https://cdn.example/x"}]);
    let attempts = [
        ("GET", shop.path(""), json!({})),
        ("PATCH", shop.path(""), json!({"name": "mine"})),
        ("DELETE", shop.path(""), json!({})),
        ("GET", shop.path("/images"), json!({})),
        ("GET", shop.path(&format!("/images?cursor={}", string(&page["next_cursor"]))), json!({})),
        ("GET", shop.path(&format!("/images?order_id={}", string(&page["order_id"]))), json!({})),
        ("GET", picture.clone(), json!({})),
        ("PUT", picture.clone(), json!({})),
        ("DELETE", picture.clone(), json!({})),
        ("POST", shop.path("/refresh"), json!({})),
        ("POST", shop.path("/dataset"), row),
        ("POST", "/api/v1/galleries".to_owned(), json!({"project_id": shop.project_id, "name": "mine"})),
        ("GET", format!("/api/v1/galleries?project_id={}", shop.project_id), json!({})),
    ];
    for (method, path, body) in attempts {
        let answer = shop.server.write(method, &path, &other_key, &body).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {answer:?}");
        let nobody = shop.server.write(method, &path, "", &body).await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "{method} {path}: {nobody:?}");
    }
    let visit = shop.server.get(&shop.path(&format!("/images?application={other_application}")), "").await;
    assert_eq!(visit.status, StatusCode::NOT_FOUND);
    let own = shop.server.get(&format!("/api/v1/galleries?project_id={other_project}"), &other_key).await.json();
    assert_eq!(own["galleries"], json!([]));

    // An image of one project is not added to a gallery of another.
    let body = json!({"project_id": other_project, "name": "theirs"});
    let theirs = string(&shop.server.post("/api/v1/galleries", &other_key, &body).await.json()["gallery_id"]);
    let image_id = string(&page["items"][0]["image_id"]);
    let path = format!("/api/v1/galleries/{theirs}/images/{image_id}");
    for key in [other_key.as_str(), ADMIN_KEY] {
        assert_eq!(shop.server.write("PUT", &path, key, &json!({})).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_page_that_did_not_change_is_not_sent_again() {
    let shop = Shop::open().await;
    shop.load_pictures(3).await;
    let first = shop.server.get(&shop.path("/images"), &shop.key).await;
    assert_eq!(first.header("cache-control"), "private, max-age=5", "links may be signed for this credential");
    assert_eq!(shop.visit("").await.header("cache-control"), "public, max-age=5");
    for name in ["Authorization", "Cookie", "application"] {
        assert!(first.header("vary").contains(name), "{name} in {first:?}");
    }
    let again = |etag: String| async {
        let request = request("GET", &shop.path("/images"), &shop.key).header("if-none-match", etag);
        shop.server.send(request.body(Body::empty()).expect("a request")).await
    };
    let etag = first.header("etag").to_owned();
    let unchanged = again(etag.clone()).await;
    assert_eq!((unchanged.status, unchanged.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(unchanged.header("etag"), etag);
    assert_ne!(shop.visit("").await.header("etag"), etag, "another credential sees other bytes");

    let renamed = json!([{"external_id": "sku-1", "url": "https://cdn.example/1.jpg", "name": "red"}]);
    shop.load("application/json", renamed.to_string()).await;
    let changed = again(etag.clone()).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_eq!(column(&changed.json(), "name")[1], "red");
    let etag = changed.header("etag").to_owned();
    shop.send("view", "sku-0", 1).await;
    shop.refresh().await;
    assert_eq!(again(etag).await.status, StatusCode::OK);
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_gallery_is_told_at_once() {
    let shop = Shop::open().await;
    let body = json!({
        "name": "", "page_size": 0, "visibility": "secret", "access_tier": 3,
        "ranking": {"strategy": "best", "view_weight": -1, "click_weight": 1.5, "half_life": -3, "guard": 1,
                    "holdout_percent": 51, "holdout_control": "interest"},
    });
    let answer = shop.server.post("/api/v1/galleries", &shop.key, &body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let errors = answer.json()["errors"].clone();
    let fields: Vec<&String> = errors.as_object().expect("errors").keys().collect();
    let expected = [
        "access_tier",
        "name",
        "page_size",
        "project_id",
        "ranking.click_weight",
        "ranking.guard",
        "ranking.half_life",
        "ranking.holdout_control",
        "ranking.holdout_percent",
        "ranking.strategy",
        "ranking.view_weight",
        "visibility",
    ];
    assert_eq!(fields, expected);
    assert_eq!(
        errors["ranking.strategy"],
        json!([
            "This has to be newest, weight, weight_decay, trending, ctr, interest, interest_fixed, manual or random."
        ])
    );

    let contract = json!({
        "project_id": shop.project_id, "name": "as the contract writes it",
        "ranking": {"strategy": "weight", "view_weight": 1, "click_weight": 7, "half_life": null, "guard": false,
                    "holdout_percent": 0},
    });
    let made = shop.server.post("/api/v1/galleries", &shop.key, &contract).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let mut ranking = contract["ranking"].clone();
    ranking["holdout_control"] = json!("newest");
    assert_eq!(made.json()["ranking"], ranking);
}

#[tokio::test]
async fn a_gallery_made_twice_with_one_idempotency_key_is_one_gallery() {
    let shop = Shop::open().await;
    let make = async |name: &str| {
        let body = json!({"project_id": shop.project_id, "name": name}).to_string();
        let request = request("POST", "/api/v1/galleries", &shop.key).header("idempotency-key", "one");
        shop.server
            .send(request.header("content-type", "application/json").body(Body::from(body)).expect("a request"))
            .await
    };
    let first = make("boots").await;
    let second = make("boots").await;
    assert_eq!((first.status, second.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.json(), second.json());
    assert_eq!(make("hats").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let list = shop.server.get("/api/v1/galleries", &shop.key).await.json();
    assert_eq!(list["galleries"].as_array().expect("galleries").len(), 2);
}

#[tokio::test]
async fn a_deleted_gallery_is_gone_at_once() {
    let shop = Shop::open().await;
    shop.load_pictures(2).await;
    shop.page("").await;
    assert_eq!(shop.server.delete(&shop.path(""), &shop.key).await.status, StatusCode::NO_CONTENT);
    for path in [shop.path(""), shop.path("/images")] {
        assert_eq!(shop.server.get(&path, &shop.key).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(shop.server.delete(&shop.path(""), &shop.key).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_serving_process_publishes_a_new_order_by_itself() {
    let shop = Shop::open().await;
    tokio::spawn(workers::rank::run(shop.server.app.orders.clone(), shop.server.app.stop.clone()));
    shop.load_pictures(3).await;
    assert_eq!(names(&shop.page("").await)[0], "sku-2");
    shop.send("click", "sku-0", 1).await;
    let began = std::time::Instant::now();
    while names(&shop.page("").await)[0] != "sku-0" {
        assert!(began.elapsed() < Duration::from_secs(10), "no new order");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
