//! A guarded gallery: every event is kept and counted exactly, and forged ones do not affect ranking.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use eyeline_core::Event;
use eyeline_store::inbox::Offset;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::galleries::Shop;

const PROXY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 2, 3)), 443);
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// A gallery of thirty images behind a proxy, visited by people with their own browsers.
async fn guarded_shop() -> Shop {
    let shop = Shop::open_with(|settings| {
        settings.trusted_proxies = "10.0.0.0/8".to_owned().try_into().expect("a network");
        settings.application_events_per_second = 1_000_000;
        settings.address_events_per_second = 1_000_000;
    })
    .await;
    shop.load_pictures(30).await;
    shop.set_guard(true).await;
    for visitor in 0..40u8 {
        let session = 1_000 + u128::from(visitor);
        let picture = 10 + usize::from(visitor % 5);
        let mut events: Vec<Value> = (0..20).map(|number| shop.act("view", 10 + number, session)).collect();
        events.push(shop.act("click", picture, session));
        let address = format!("203.0.{visitor}.9");
        shop.send_from(&address, BROWSER, &events).await;
    }
    shop.refresh().await;
    shop
}

impl Shop {
    async fn set_guard(&self, guard: bool) {
        let body = json!({"ranking": {"guard": guard}});
        let answer = self.server.write("PATCH", &self.path(""), &self.key, &body).await;
        assert_eq!((answer.status, &answer.json()["ranking"]["guard"]), (StatusCode::OK, &json!(guard)), "{answer:?}");
    }

    fn act(&self, name: &str, picture: usize, session: u128) -> Value {
        json!({
            "session_id": Uuid::from_u128(session), "category": "gallery", "name": name,
            "data": {"gallery_id": self.gallery_id, "external_id": format!("sku-{picture}")},
            "timestamp": "2021-01-01T09:15:27Z",
        })
    }

    /// Sends events like the browser at this address, through the proxy.
    async fn send_from(&self, address: &str, user_agent: &str, events: &[Value]) {
        for events in events.chunks(5_000) {
            let request = Request::post("/api/v1/events/batch")
                .header("application", &self.application_id)
                .header("content-type", "application/json")
                .header("x-forwarded-for", address)
                .header("user-agent", user_agent)
                .extension(ConnectInfo(PROXY));
            let body = Body::from(json!({ "events": events }).to_string());
            let answer = self.server.send(request.body(body).expect("a request")).await;
            assert_eq!(answer.json()["accepted"], events.len(), "{answer:?}");
        }
    }

    async fn items(&self) -> Vec<Value> {
        self.refresh().await;
        self.page("limit=100").await["items"].as_array().expect("items").clone()
    }
}

fn names(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["external_id"].as_str().expect("a name")).collect()
}

fn found<'a>(items: &'a [Value], name: &str) -> &'a Value {
    items.iter().find(|item| item["external_id"] == name).expect("the picture")
}

#[tokio::test]
async fn ten_thousand_forged_clicks_do_not_move_a_picture_from_one_source_or_from_fifty() {
    let shop = guarded_shop().await;
    let before = shop.items().await;
    let people = 40 * 21;
    let forged = |number: usize| shop.act("click", 5, 1_000_000 + number as u128);

    let from_one: Vec<Value> = (0..10_000).map(forged).collect();
    shop.send_from("198.51.100.7", BROWSER, &from_one).await;
    // Each with a view before it, and each in its own session.
    let seen = |number: usize| {
        [shop.act("view", 5, 2_000_000 + number as u128), shop.act("click", 5, 2_000_000 + number as u128)]
    };
    for source in 0..50 {
        let events: Vec<Value> = (0..200).flat_map(|number| seen(source * 200 + number)).collect();
        shop.send_from(&format!("198.18.{source}.7"), BROWSER, &events).await;
    }
    let after = shop.items().await;
    assert_eq!(names(&after), names(&before));
    let target = found(&after, "sku-5");
    assert_eq!(
        (&target["views"], &target["clicks"]),
        (&json!(10_000), &json!(20_000)),
        "all of them are counted exactly"
    );
    assert_eq!(target["weight"], 10_000 + 7 * 20_000);
    assert_eq!((&target["counted_views"], &target["counted_clicks"]), (&json!(0), &json!(0)));
    let person = found(&after, "sku-10");
    assert_eq!((&person["counted_views"], &person["counted_clicks"]), (&json!(40), &json!(8)));

    let path = shop.path(&format!("/images/{}/why", target["image_id"].as_str().expect("an id")));
    let why = shop.server.get(&path, &shop.key).await.json();
    assert_eq!((&why["guard"], &why["counted_clicks"], &why["clicks"]), (&json!(true), &json!(0), &json!(20_000)));
    assert_eq!((&why["score"], &why["weight"]), (&json!(0.0), &json!(150_000)));
    let gallery = shop.server.get(&shop.path(""), &shop.key).await.json();
    assert_eq!((&gallery["applied_events"], &gallery["ignored_events"]), (&json!(people + 30_000), &json!(30_000)));
    shop.assert_rebuilds(people + 30_000).await;
    shop.server.app.flush.run().await.expect("a flush");
    assert!(!shop.server.app.catalog.manifest().await.expect("a manifest").files.is_empty());
    shop.assert_rebuilds(people + 30_000).await;
}

#[tokio::test]
async fn a_server_names_its_visitors_and_a_visitor_cannot_name_itself() {
    let shop = guarded_shop().await;
    let named = |number: usize, name: &str| {
        let mut event = shop.act(name, 3, 3_000_000 + number as u128);
        event["client"] = json!({"ip": format!("192.0.{number}.1"), "user_agent": BROWSER});
        event
    };
    let events: Vec<Value> = (0..30).flat_map(|number| [named(number, "view"), named(number, "click")]).collect();
    let sent = shop.server.post("/api/v1/events/batch", &shop.key, &json!({ "events": events })).await;
    assert_eq!(sent.json()["accepted"], 60, "{sent:?}");
    let counted = found(&shop.items().await, "sku-3")["counted_clicks"].clone();
    assert_eq!(counted, 30, "thirty visitors who click once");

    shop.send_from("198.51.100.7", BROWSER, &events).await;
    let counted = found(&shop.items().await, "sku-3")["counted_clicks"].clone();
    assert_eq!(counted, 30, "one that says to be thirty");
    let robot = [shop.act("view", 4, 5_000_000)];
    shop.send_from("198.51.100.8", "Mozilla/5.0 (compatible; ExampleBot/1.0)", &robot).await;
    let item = found(&shop.items().await, "sku-4").clone();
    assert_eq!((&item["views"], &item["counted_views"]), (&json!(1), &json!(0)));

    let mut wrong = shop.act("view", 3, 1);
    wrong["client"] = json!({"ip": "somewhere"});
    let refused = shop.server.post("/api/v1/events", &shop.key, &wrong).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.json()["errors"]["client.ip"].is_array(), "{refused:?}");
}

#[tokio::test]
async fn addresses_are_kept_nowhere() {
    let shop = guarded_shop().await;
    shop.send_from("198.51.100.77", "Rare-Browser/1.0", &[shop.act("view", 1, 9)]).await;
    let stored = shop.server.app.inbox.pull(0, Offset::START, 10_000).await.expect("events");
    let event = stored.last().and_then(|stored| Event::decode(&stored.event)).expect("an event");
    assert!(event.source.is_some_and(|source| !source.is_robot()));
    let record = String::from_utf8_lossy(&stored.last().expect("an event").event).into_owned();
    assert!(!record.contains("198.51.100") && !record.contains("Rare-Browser"));
    let sent = shop.server.post("/api/v1/events", &shop.key, &shop.act("view", 1, 9)).await.json();
    assert_eq!((&sent["client"], &sent["source"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_guard_holds_from_where_it_is_switched_on_to_where_it_is_switched_off() {
    let shop = guarded_shop().await;
    shop.set_guard(false).await;
    let forged: Vec<Value> = (0..100).map(|number| shop.act("click", 5, 4_000_000 + number)).collect();
    shop.send_from("198.51.100.7", BROWSER, &forged).await;
    let items = shop.items().await;
    assert_eq!((names(&items)[0], &items[0]["counted_clicks"]), ("sku-5", &Value::Null), "unguarded, it is the first");
    shop.set_guard(true).await;
    shop.send_from("198.51.100.7", BROWSER, &forged).await;
    let counted = found(&shop.items().await, "sku-5").clone();
    assert_eq!((&counted["clicks"], &counted["counted_clicks"]), (&json!(200), &json!(100)));
    shop.assert_rebuilds(40 * 21 + 200).await;
}
