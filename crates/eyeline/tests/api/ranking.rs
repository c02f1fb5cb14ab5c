//! Strategies, their explanations, the owner's rules and the hold-out, as a gallery's owner sees them.

use eyeline::flow::lake::rebuild::Cause;
use eyeline_store::catalog::events::{BatchEvent, EventBatch};
use eyeline_store::inbox::Offset;
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::galleries::Shop;
use crate::support::ADMIN_KEY;

pub const STRATEGIES: [&str; 9] =
    ["newest", "weight", "weight_decay", "trending", "ctr", "interest", "interest_fixed", "manual", "random"];

fn column<'a>(page: &'a Value, name: &str) -> Vec<&'a str> {
    page["items"].as_array().expect("items").iter().map(|item| item[name].as_str().expect("a text")).collect()
}

/// Settings that affect how acts are counted, to be applied in turn.
pub fn settings_in_turn() -> [Value; 6] {
    [
        json!({"strategy": "interest"}),
        json!({"half_life": 0.05}),
        json!({"guard": true}),
        json!({"half_life": 30, "click_weight": 1, "strategy": "trending"}),
        json!({"guard": false, "half_life": null}),
        json!({"half_life": 2}),
    ]
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

impl Shop {
    pub async fn patch(&self, ranking: Value) {
        let answer = self.server.write("PATCH", &self.path(""), &self.key, &json!({"ranking": ranking})).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }

    async fn why(&self, image_id: &str, query: &str) -> Value {
        let answer = self.server.get(&self.path(&format!("/images/{image_id}/why?{query}")), &self.key).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }

    /// A robot that poses as a browser views and clicks the first images. Returns the number of its events.
    pub async fn click_everything(&self, pictures: usize) -> u64 {
        let event = |name: &str, picture: usize| {
            json!({
                "session_id": Uuid::from_u128(9_000), "category": "gallery", "name": name,
                "data": {"gallery_id": self.gallery_id, "external_id": format!("sku-{picture}")},
                "client": {"ip": "198.51.100.7", "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"},
                "timestamp": "2021-01-01 09:15:27.243860",
            })
        };
        let seen = (0..pictures).flat_map(|picture| [event("view", picture), event("click", picture)]);
        self.send_all(&seen.collect::<Vec<Value>>()).await
    }

    /// Simulates a fault in counting.
    async fn count_the_last_event_twice(&self) {
        let app = &self.server.app;
        let mark = app.catalog.applied_mark(0).await.expect("a mark");
        let place = app.inbox.pull(0, mark.before(), 1).await.expect("events");
        let event = eyeline_core::Event::decode(&place[0].event).expect("an event");
        let act = event.gallery_act().expect("an act");
        let events = vec![BatchEvent { offset: mark, event, act, misfit: None }];
        let (fence, now) = (app.partitions.fence(0).expect("the owner"), app.clock.now());
        let batch = EventBatch {
            partition: 0,
            fence,
            after: mark,
            reached: mark,
            events,
            aside: Vec::new(),
            now,
            hour_rows_max: u64::MAX,
        };
        app.catalog.apply_events(batch).await.expect("applied");
    }

    pub async fn rules(&self, rules: &Value) -> Value {
        let answer = self.server.write("PUT", &self.path("/rules"), &self.key, rules).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }

    /// A visitor views a page and clicks some of its images, with the id of its order. Returns the number of events.
    pub async fn look(&self, session: u128, visitor: Option<&str>, clicks: impl Fn(&str) -> bool) -> u64 {
        let session_id = Uuid::from_u128(session);
        let visitor_id = visitor.map_or_else(String::new, |visitor| format!("&visitor_id={visitor}"));
        let page = self.page(&format!("session_id={session_id}{visitor_id}")).await;
        let event = |name: &str, item: &Value| {
            json!({
                "session_id": session_id, "visitor_id": visitor, "category": "gallery", "name": name,
                "data": {"gallery_id": self.gallery_id, "image_id": item["image_id"], "order_id": page["order_id"],
                         // The position that a client reports is ignored.
                         "position": 1_000},
                "place": item["place"],
                "timestamp": "2021-01-01 09:15:27.243860",
            })
        };
        let items = page["items"].as_array().expect("items");
        let mut events: Vec<Value> = items.iter().map(|item| event("view", item)).collect();
        let clicked = items.iter().filter(|item| clicks(item["external_id"].as_str().expect("a name")));
        events.extend(clicked.map(|item| event("click", item)));
        self.send_all(&events).await
    }

    async fn send_all(&self, events: &[Value]) -> u64 {
        let sent = self.server.post("/api/v1/events/batch", &self.key, &json!({"events": events})).await;
        assert_eq!(sent.json()["accepted"], events.len(), "{sent:?}");
        events.len() as u64
    }
}

#[tokio::test]
async fn every_strategy_can_be_asked_for_and_begins_newest_first() {
    let shop = Shop::open().await;
    shop.load_pictures(4).await;
    for strategy in STRATEGIES {
        let page = shop.page(&format!("order={strategy}")).await;
        assert_eq!(page["strategy"], strategy);
        assert_eq!(column(&page, "external_id"), ["sku-3", "sku-2", "sku-1", "sku-0"], "{strategy}");
    }
}

#[tokio::test]
async fn a_changed_factor_or_strategy_is_followed_at_once_from_the_same_counters() {
    let shop = Shop::open().await;
    shop.load_pictures(2).await;
    shop.send("view", "sku-0", 6).await;
    shop.send("click", "sku-1", 1).await;
    shop.refresh().await;
    assert_eq!(column(&shop.page("").await, "external_id"), ["sku-1", "sku-0"]);
    shop.patch(json!({"click_weight": 5})).await;
    shop.refresh().await;
    let page = shop.page("").await;
    assert_eq!(column(&page, "external_id"), ["sku-0", "sku-1"]);
    assert_eq!((&page["items"][0]["weight"], &page["items"][1]["weight"]), (&json!(6), &json!(5)));
    shop.patch(json!({"strategy": "trending", "half_life": 0.5})).await;
    shop.refresh().await;
    assert_eq!(column(&shop.page("").await, "external_id"), ["sku-1", "sku-0"]);
    let gallery = shop.server.get(&shop.path(""), &shop.key).await.json();
    assert_eq!((&gallery["ranking"]["strategy"], &gallery["ranking"]["half_life"]), (&json!("trending"), &json!(0.5)));
}

#[tokio::test]
async fn interest_learns_from_the_places_that_the_server_served() {
    let shop = Shop::open().await;
    shop.load_pictures(30).await;
    shop.patch(json!({"strategy": "interest"})).await;
    for session in 0..40 {
        shop.look(session, None, |name| name == "sku-20").await;
        if session % 10 == 9 {
            shop.refresh().await;
        }
    }
    let page = shop.page("").await;
    assert_eq!(page["items"][0]["external_id"], "sku-20", "the one that everybody clicks is first");
    let image_id = column(&page, "image_id")[0].to_owned();
    let why = shop.why(&image_id, "").await;
    assert_eq!(why["position"], 1);
    assert_eq!(why["weight"].as_u64(), Some(number(&why["views"]) as u64 + 7 * number(&why["clicks"]) as u64));
    let exposure = number(&why["exposure"]);
    assert!(exposure > 1.0 && exposure < number(&why["views"]), "attention is at most one a view: {why}");
    assert!(number(&why["hits"]) > 0.0);
    assert_eq!(why["neighbours"]["before"], Value::Null);
    assert_eq!(why["neighbours"]["after"]["position"], 2);

    // The parts give the score, and the order is sorted by the scores.
    let rate = number(&why["prior_shape"]) / number(&why["prior_mean"]) + exposure;
    let shape = number(&why["prior_shape"]) + number(&why["hits"]);
    let (m, sd, draw) = (number(&why["m"]), number(&why["sd"]), number(&why["draw"]));
    assert!((m - shape / rate).abs() < 1e-9 && (sd - shape.sqrt() / rate).abs() < 1e-9, "{why}");
    let score = number(&why["age_factor"]) * (m + 0.5 * (draw - m));
    assert!((score - number(&why["score"])).abs() < 1e-9, "{why}");
    assert!(number(&why["neighbours"]["after"]["score"]) <= number(&why["score"]));

    // The state is on disk: after a restart the explanation is the same, except for the order's id and time.
    let (path, key) = (shop.path(&format!("/images/{image_id}/why?order=interest_fixed")), shop.key.clone());
    let before = shop.server.get(&path, &key).await.json();
    let after = shop.server.restart().await.get(&path, &key).await.json();
    for part in ["hits", "exposure", "m", "sd", "age_factor", "prior_mean", "prior_shape", "position"] {
        assert!((number(&before[part]) - number(&after[part])).abs() < 1e-6, "{part}: {before} and {after}");
    }
}

#[tokio::test]
async fn events_without_a_valid_place_receipt_count_in_weights_and_teach_nothing() {
    let shop = Shop::open().await;
    shop.load_pictures(3).await;
    let page = shop.page("").await;
    let (image_id, receipt) = (column(&page, "image_id")[2].to_owned(), column(&page, "place")[2].to_owned());
    let click = |place: Value| {
        json!({
            "session_id": Uuid::from_u128(1), "category": "gallery", "name": "click",
            "data": {"gallery_id": shop.gallery_id, "external_id": "sku-0", "position": 1, "order_id": page["order_id"]},
            "place": place, "timestamp": "2021-01-01 09:15:27.243860",
        })
    };
    let changed = |at: usize| {
        let mut text = receipt.clone().into_bytes();
        text[at] = if text[at] == b'A' { b'B' } else { b'A' };
        json!(String::from_utf8(text).expect("ASCII"))
    };
    let forged = [Value::Null, json!("x"), json!(column(&page, "place")[0]), changed(0), changed(7), changed(23)];
    shop.send_all(&forged.map(click)).await;
    shop.send("view", "sku-0", 20).await;
    shop.refresh().await;
    let why = shop.why(&image_id, "order=interest").await;
    assert_eq!((&why["views"], &why["clicks"], &why["weight"]), (&json!(20), &json!(6), &json!(62)));
    assert_eq!((number(&why["hits"]), number(&why["exposure"])), (0.0, 0.0));

    let valid = click(json!(receipt));
    let wrong = shop.server.post("/api/v1/events", &shop.key, &click(json!(7))).await;
    let sentence = json!("This has to be a text.");
    assert_eq!((wrong.status, &wrong.json()["errors"]["place"][0]), (StatusCode::BAD_REQUEST, &sentence));
    // A valid one does, also in a process that served no page.
    let shop = shop.restart().await;
    shop.send_all(&[valid]).await;
    shop.refresh().await;
    let why = shop.why(&image_id, "order=interest").await;
    assert!(number(&why["hits"]) > 0.0, "{why}");
}

#[tokio::test]
async fn rules_exclude_boost_bury_cap_and_pin_in_that_order() {
    let shop = Shop::open().await;
    let rows: Vec<Value> = (0..6)
        .map(|number| {
            json!({"external_id": format!("sku-{number}"), "url": format!("https://cdn.example/{number}.jpg"),
                   "created_at": format!("2021-01-01T00:00:0{number}Z"),
                   "tags": if number < 3 { vec!["brand:a"] } else { vec!["brand:b"] }})
        })
        .collect();
    shop.load("application/json", json!(rows).to_string()).await;
    for number in 0..6 {
        shop.send("view", &format!("sku-{number}"), 10 + number).await;
    }
    shop.refresh().await;
    let names = ["sku-5", "sku-4", "sku-3", "sku-2", "sku-1", "sku-0"];
    assert_eq!(column(&shop.page("").await, "external_id"), names);

    let set = shop
        .rules(&json!({
            "exclude": [{"external_id": "sku-4"}],
            "boost": [{"external_id": "sku-1", "factor": 2}, {"external_id": "sku-5", "factor": 0.1}],
            "pin": [{"external_id": "sku-0", "position": 2}, {"tag": "brand:b", "position": 1, "until": "2020-01-01T00:00:00Z"}],
        }))
        .await;
    assert_eq!(set["boost"][0]["factor"], 2.0);
    assert_eq!(set["published"], true);
    // Each change takes effect on the next page.
    let page = shop.page("").await;
    assert_eq!(column(&page, "external_id"), ["sku-1", "sku-0", "sku-3", "sku-2", "sku-5"]);
    let why = shop.why(column(&page, "image_id")[0], "").await;
    assert_eq!((&why["boost"], &why["rule"], number(&why["score"])), (&json!(2.0), &json!("boost"), 22.0));
    let why = shop.why(column(&page, "image_id")[1], "").await;
    assert_eq!((&why["pin"], &why["rule"]), (&json!(2), &json!("pin")));

    shop.rules(&json!({"group_cap": {"tag_prefix": "brand:", "max": 1, "within": 2}})).await;
    let spread = ["sku-5", "sku-2", "sku-4", "sku-1", "sku-3", "sku-0"];
    assert_eq!(column(&shop.page("").await, "external_id"), spread);

    shop.rules(&json!({"manual": [{"external_id": "sku-2"}, {"external_id": "sku-0"}]})).await;
    let arranged = ["sku-2", "sku-0", "sku-5", "sku-4", "sku-3", "sku-1"];
    assert_eq!(column(&shop.page("order=manual").await, "external_id"), arranged);

    assert_eq!(shop.server.delete(&shop.path("/rules"), &shop.key).await.status, StatusCode::NO_CONTENT);
    assert_eq!(column(&shop.page("").await, "external_id"), names);
}

#[tokio::test]
async fn a_change_of_the_ranking_holds_on_the_very_next_page() {
    let shop = Shop::open().await;
    shop.load_pictures(2).await;
    shop.send("view", "sku-0", 10).await;
    shop.send("view", "sku-1", 1).await;
    shop.send("click", "sku-1", 1).await;
    shop.refresh().await;
    assert_eq!(column(&shop.page("").await, "external_id"), ["sku-0", "sku-1"]);
    shop.patch(json!({"click_weight": 100})).await;
    assert_eq!(column(&shop.page("").await, "external_id"), ["sku-1", "sku-0"]);
    shop.patch(json!({"click_weight": 1})).await;
    assert_eq!(column(&shop.page("").await, "external_id"), ["sku-0", "sku-1"]);
    let renamed = shop.server.write("PATCH", &shop.path(""), &shop.key, &json!({"name": "boots"})).await;
    assert_eq!((&renamed.json()["name"], &renamed.json()["published"]), (&json!("boots"), &json!(true)));
}

#[tokio::test]
async fn everything_that_is_wrong_with_rules_is_told_at_once() {
    let shop = Shop::open().await;
    let rules = json!({
        "exclude": [{}, {"image_id": "x"}],
        "boost": [{"tag": "a", "factor": 11}, {"tag": "a", "external_id": "b", "factor": 1}],
        "pin": [{"tag": "a"}, {"tag": "a", "position": 1, "from": "2021-01-01T00:00:00Z", "until": "2020-01-01T00:00:00Z"}],
        "group_cap": {"max": 0},
    });
    let answer = shop.server.write("PUT", &shop.path("/rules"), &shop.key, &rules).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    let errors = answer.json()["errors"].clone();
    let fields: Vec<&String> = errors.as_object().expect("errors").keys().collect();
    let expected = [
        "boost.0.factor",
        "boost.1.image_id",
        "exclude.0.image_id",
        "exclude.1.image_id",
        "group_cap.max",
        "group_cap.tag_prefix",
        "pin.0.position",
        "pin.1.until",
    ];
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn an_estimate_tells_what_another_order_would_bring_from_the_places_that_were_served() {
    let shop = Shop::open().await;
    shop.load_pictures(20).await;
    shop.patch(json!({"strategy": "newest"})).await;
    let estimate = async |query: &str| shop.server.get(&shop.path(&format!("/estimate{query}")), &shop.key).await;
    let before = estimate("").await.json();
    assert_eq!(
        (&before["strategy"], &before["order"], &before["places"]),
        (&json!("newest"), &json!("interest"), &json!(20))
    );
    assert_eq!(before["enough_data"], false);
    assert!(before["message"].as_str().expect("a message").starts_with("not enough data yet"));

    // The image that all visitors like is last.
    for session in 0..60 {
        shop.look(session, None, |picture| picture == "sku-0").await;
    }
    shop.refresh().await;
    let found = estimate("?order=interest").await.json();
    assert_eq!((&found["enough_data"], &found["message"]), (&json!(true), &Value::Null), "{found}");
    assert!(number(&found["lift"]) > 0.5 && number(&found["interval"][0]) > 0.0, "{found}");
    let lift = number(&found["order_clicks"]) / number(&found["strategy_clicks"]) - 1.0;
    assert!((lift - number(&found["lift"])).abs() < 1e-9, "{found}");
    assert_eq!(estimate("?order=newest").await.json()["lift"], 0.0);

    assert_eq!(estimate("?order=best").await.status, StatusCode::BAD_REQUEST);
    let page = shop.page("").await;
    assert_eq!(page["strategy"], "newest", "nobody was shown the other one");
}

#[tokio::test]
async fn a_hold_out_shows_some_visitors_the_newest_and_tells_what_the_order_brings() {
    let shop = Shop::open().await;
    shop.load_pictures(40).await;
    // Before there is a hold-out, events belong to no arm.
    shop.send("click", "sku-0", 3).await;
    shop.refresh().await;
    shop.patch(json!({"strategy": "weight", "holdout_percent": 50})).await;
    let experiment = async || shop.server.get(&shop.path("/experiment"), &shop.key).await.json();
    let before = experiment().await;
    assert_eq!((&before["message"], &before["lift"]), (&json!("not enough data yet"), &Value::Null));

    let mut strategies = Vec::new();
    for visitor in 0..30u128 {
        let name = format!("visitor-{visitor}");
        let page = shop.page(&format!("visitor_id={name}")).await;
        strategies.push(page["strategy"].as_str().expect("a strategy").to_owned());
        for session in 0..2 {
            shop.look(visitor * 2 + session, Some(&name), |picture| picture == "sku-0").await;
        }
    }
    assert!(strategies.contains(&"newest".to_owned()) && strategies.contains(&"weight".to_owned()), "{strategies:?}");
    shop.refresh().await;
    let after = experiment().await;
    let held_out = strategies.iter().filter(|strategy| *strategy == "newest").count();
    assert_eq!(after["control"]["visitors"], held_out);
    assert_eq!(after["control"]["sessions"], held_out * 2);
    assert_eq!(after["control"]["clicks"], 0, "the newest page has no sku-0");
    assert_eq!(number(&after["treatment"]["clicks_per_session"]), 1.0);
    assert_eq!((&after["enough_data"], &after["sample_ratio"]["ok"]), (&json!(false), &json!(true)));
    let usage = shop.server.get(&format!("/api/v1/analytics/galleries/{}", shop.gallery_id), &shop.key).await.json();
    assert_eq!(usage["experiment"], after);
    // An order requested by name belongs to no arm.
    let page = shop.page("order=weight&visitor_id=visitor-1").await;
    assert_eq!(page["strategy"], "weight");
}

#[tokio::test]
async fn a_hold_out_by_weight_shows_some_visitors_that_order_and_keeps_its_figures_apart() {
    let shop = Shop::open().await;
    shop.load_pictures(5).await;
    shop.send("click", "sku-0", 3).await;
    shop.refresh().await;
    let by_weight = json!({"strategy": "newest", "holdout_percent": 50, "holdout_control": "weight"});
    shop.patch(by_weight.clone()).await;
    let experiment = async || shop.server.get(&shop.path("/experiment"), &shop.key).await.json();
    let (mut of_weight, mut sessions) = (0, 0);
    for visitor in 0..20u128 {
        let name = format!("visitor-{visitor}");
        let page = shop.page(&format!("visitor_id={name}")).await;
        let held_out = page["strategy"] == "weight";
        assert_eq!(column(&page, "external_id")[0], if held_out { "sku-0" } else { "sku-4" });
        let why = shop.why(column(&page, "image_id")[0], &format!("visitor_id={name}")).await;
        assert_eq!(
            (&why["strategy"], &why["arm"]),
            (&page["strategy"], &json!(if held_out { "control" } else { "treatment" }))
        );
        of_weight += usize::from(held_out);
        sessions += 1;
        shop.look(visitor, Some(&name), |picture| held_out && picture == "sku-0").await;
    }
    assert!((1..sessions).contains(&of_weight));
    shop.refresh().await;
    let found = experiment().await;
    assert_eq!((&found["control"]["strategy"], &found["treatment"]["strategy"]), (&json!("weight"), &json!("newest")));
    assert_eq!((&found["control"]["sessions"], &found["control"]["clicks"]), (&json!(of_weight), &json!(of_weight)));
    assert_eq!(
        (&found["treatment"]["sessions"], &found["treatment"]["clicks"]),
        (&json!(sessions - of_weight), &json!(0))
    );

    // Another control starts another comparison with new figures. This one compares nothing.
    shop.patch(json!({"holdout_control": "newest"})).await;
    let other = experiment().await;
    assert_eq!((&other["control"]["strategy"], &other["control"]["sessions"]), (&json!("newest"), &json!(0)));
    let message = other["message"].as_str().expect("a message");
    assert!(message.starts_with("both groups see the same order"), "{message}");
    shop.patch(by_weight).await;
    assert_eq!(experiment().await, found, "back to the first one, it goes on");
}

#[tokio::test]
async fn all_events_counted_again_give_the_same_orders_wherever_they_are() {
    const HOUR: i64 = 3_600_000_000;
    let shop = Shop::open().await;
    shop.load_pictures(25).await;
    shop.patch(json!({"strategy": "interest"})).await;
    let app = &shop.server.app;
    let flush = async || {
        app.flush.run().await.expect("a flush");
        while app.compact.step().await.expect("a merge") {}
    };
    let mut events = 0;
    for hour in 0..4 {
        // Many minutes, so that learning depends on the order.
        for session in 0..30 {
            app.clock.set_offset(hour * HOUR + i64::from(session) * HOUR / 40);
            events += shop.look(session as u128, None, |name| name == "sku-20" || name == "sku-24").await;
            if session % 10 == 5 {
                shop.refresh().await;
                flush().await;
            }
        }
        shop.send("click", "sku-3", 5).await;
        events += 5;
        shop.refresh().await;
        shop.assert_rebuilds(events).await;
    }
    let files = async || app.catalog.manifest().await.expect("a manifest").files;
    let kept = app.inbox.waiting(0, Offset::START).await.expect("a number");
    assert!(kept < events, "the inbox has forgotten the first events");
    assert!(files().await.iter().any(|file| file.level > 0), "some files are of merged ones");
    app.clock.set_offset(48 * HOUR);
    flush().await;
    shop.assert_rebuilds(events).await;
    let files = files().await;
    assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), events, "all of them are in files");
    shop.send("click", "sku-3", 1).await;
    shop.refresh().await;
    shop.assert_rebuilds(events + 1).await;

    // A count without an event is found.
    shop.count_the_last_event_twice().await;
    let verified = shop.recount().await;
    assert_ne!(verified[0].before, verified[0].after);
    assert_eq!(verified[0].cause, Cause::Fault { missing: 1, erased: 0 });
}

#[tokio::test]
async fn what_an_erasure_took_is_told_from_a_fault() {
    let shop = Shop::open().await;
    shop.load_pictures(5).await;
    let app = &shop.server.app;
    let kept = shop.look(1, None, |_| false).await;
    let erased = shop.look(2, None, |name| name == "sku-2").await;
    shop.refresh().await;
    app.flush.run().await.expect("a flush");
    let path = format!("/api/v1/projects/{}/erasures", shop.project_id);
    let body = json!({"session_id": Uuid::from_u128(2)});
    assert_eq!(shop.server.post(&path, ADMIN_KEY, &body).await.status, StatusCode::ACCEPTED);
    app.erase.step().await.expect("a step");
    let later = shop.look(3, None, |_| true).await;
    shop.refresh().await;
    let cause = async || {
        let verified = shop.recount().await;
        assert_eq!((verified.len(), verified[0].events), (1, kept + later));
        assert_ne!(verified[0].before, verified[0].after);
        verified[0].cause
    };
    assert_eq!(cause().await, Cause::Erased(erased));
    shop.count_the_last_event_twice().await;
    let missing = i64::try_from(erased).expect("few events") + 1;
    assert_eq!(cause().await, Cause::Fault { missing, erased });
}

#[tokio::test]
async fn events_counted_again_are_counted_under_the_settings_of_their_time() {
    const DAY: i64 = 24 * 3_600_000_000;
    let shop = Shop::open().await;
    shop.load_pictures(25).await;
    let app = &shop.server.app;
    let mut events = 0;
    for (day, ranking) in (0i64..).zip(settings_in_turn()) {
        // The rest of the same minute is counted under other settings.
        shop.patch(ranking).await;
        for session in 0..12 {
            app.clock.set_offset(day * DAY + session * session * DAY / 400);
            let session = u128::try_from(day * 100 + session).expect("positive");
            events += shop.look(session, None, |name| name == "sku-20" || name == "sku-24").await;
        }
        // A visitor who clicks everything: a guard detects that and withdraws its acts.
        events += shop.click_everything(20).await;
        shop.refresh().await;
        if day % 2 == 0 {
            app.flush.run().await.expect("a flush");
        }
        shop.assert_rebuilds(events).await;
    }
    let history = app.catalog.ranking_history(shop.gallery_id.parse().expect("an id"), 0).await.expect("a history");
    assert_eq!(history.changes.len(), 5);
    let files = app.catalog.manifest().await.expect("a manifest").files;
    let rows = files.iter().map(|file| file.rows).sum::<u64>();
    assert!(rows > 0 && rows < events, "some are in files and some in the inbox");
}
