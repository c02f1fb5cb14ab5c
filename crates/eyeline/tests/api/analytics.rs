//! Analytics over HTTP: each answer over a few events that a reader can count, and the errors of invalid queries.

use eyeline::flow::gallery::clear::clear_deleted_projects;
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{ADMIN_KEY, Answer, Server, Tenant, text};

fn event(session: u128, name: &str, time: &str) -> Value {
    json!({
        "session_id": Uuid::from_u128(session), "visitor_id": format!("visitor {session}"), "category": "shop",
        "name": name, "data": {}, "timestamp": format!("2026-11-{time}:00Z")
    })
}

/// Three sessions: one buys, one looks twice, one comes back after an hour.
async fn shop(server: &Server) -> Tenant {
    let tenant = server.tenant("shop").await;
    let events = [
        event(1, "view", "02T10:00"),
        event(1, "view", "02T10:01"),
        event(1, "cart", "02T10:02"),
        event(1, "buy", "02T10:05"),
        event(2, "view", "02T11:00"),
        event(2, "cart", "02T11:01"),
        event(2, "view", "02T11:02"),
        event(3, "cart", "03T09:00"),
        event(3, "view", "03T10:00"),
        event(1, "view", "09T10:00"),
    ];
    let sent = server.post("/api/v1/events/batch", &tenant.secret_key, &json!(events)).await;
    assert_eq!(sent.json()["accepted"], events.len(), "{sent:?}");
    server.apply_events().await;
    tenant
}

/// Asks while the events are in the inbox, and again after a flush. Both answers must be equal.
async fn ask(server: &Server, tenant: &Tenant, path: &str) -> Value {
    let (before, _) = look(server, tenant, path).await;
    server.app.flush.run().await.expect("a flush");
    assert_eq!(look(server, tenant, path).await.0, before);
    before
}

/// The answer without its time, and its source.
async fn look(server: &Server, tenant: &Tenant, path: &str) -> (Value, String) {
    let answer = server.get(&format!("/api/v1/analytics/{path}"), &tenant.secret_key).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    let mut report = answer.json();
    assert!(report["as_of"].as_str().is_some_and(|time| time.ends_with('Z')));
    let served_from = text(&report, "served_from");
    let fields = report.as_object_mut().expect("an object");
    fields.remove("as_of");
    fields.remove("served_from");
    (report, served_from)
}

#[tokio::test]
async fn counts_tell_how_much_over_time() {
    let server = Server::start().await;
    let tenant = shop(&server).await;
    let report = ask(&server, &tenant, "counts?group_by=category,name&to=2026-11-03T00:00:00Z").await;
    let row = |name: &str, count: u32, sessions: u32| json!({"bucket": "2026-11-02T00:00:00.000000Z", "category": "shop", "name": name, "count": count, "sessions": sessions});
    let rows = json!([row("buy", 1, 1), row("cart", 2, 2), row("view", 4, 2)]);
    assert_eq!(report, json!({"rows": rows}));

    let by_hour = ask(&server, &tenant, "counts?interval=hour&name=cart").await;
    let hours: Vec<&str> =
        by_hour["rows"].as_array().expect("rows").iter().map(|row| row["bucket"].as_str().expect("a time")).collect();
    let expected = ["2026-11-02T10:00:00.000000Z", "2026-11-02T11:00:00.000000Z", "2026-11-03T09:00:00.000000Z"];
    assert_eq!(hours, expected);

    let all = ask(&server, &tenant, "counts?interval=all&group_by=application").await;
    let rows = json!([{"bucket": null, "application": tenant.application_id, "count": 10, "sessions": 3}]);
    assert_eq!(all["rows"], rows);
    assert_eq!(ask(&server, &tenant, "counts?from=2027-01-01T00:00:00Z").await["rows"], json!([]));
}

#[tokio::test]
async fn counts_come_from_roll_ups_and_say_what_the_events_say() {
    let server = Server::start().await;
    let tenant = shop(&server).await;
    let mut other = event(4, "view", "02T10:30");
    other["category"] = json!("blog");
    server.post("/api/v1/events", &tenant.secret_key, &other).await;
    let application = json!({"project_id": tenant.project_id, "name": "second"});
    let second = server.post("/api/v1/applications", ADMIN_KEY, &application).await.json();
    for session in [1, 5] {
        server.post("/api/v1/events", &text(&second, "secret_key"), &event(session, "view", "02T10:40")).await;
    }
    server.apply_events().await;
    let questions = [
        "counts?group_by=application,category,name",
        "counts?interval=hour&group_by=application,category,name",
        "counts?group_by=category,name",
        "counts?interval=hour&category=shop&name=view",
        "counts?interval=week&group_by=name",
        "counts?interval=month",
        "counts?interval=all&group_by=application",
        "counts?interval=all",
        "counts?interval=all&name=nothing-of-that-name",
        "counts?from=2026-11-02T11:00:00Z&to=2026-11-09T10:00:00Z",
        "counts?interval=hour&to=2026-11-03T00:00:00Z",
    ];
    let compare = async || {
        for question in questions {
            // No roll-up row begins within an hour, so every event is read.
            let odd = if question.contains("from") { "" } else { "&from=2026-01-01T00:00:01Z" };
            let (counted, served_from) = look(&server, &tenant, &format!("{question}{odd}")).await;
            assert!(served_from == "raw" || odd.is_empty());
            for _ in 0..2 {
                assert_eq!(look(&server, &tenant, question).await.0, counted, "{question}");
            }
            let (quick, served_from) = look(&server, &tenant, &format!("{question}&sessions=false")).await;
            assert_eq!(served_from, "rollup", "{question}");
            let mut counted = counted;
            for row in counted["rows"].as_array_mut().expect("rows") {
                row.as_object_mut().expect("an object").remove("sessions");
            }
            assert_eq!(quick, counted, "{question}");
        }
    };
    compare().await;
    // A roll-up knows distinct sessions after a first query, until another event arrives.
    for question in &questions[..2] {
        assert_eq!(look(&server, &tenant, question).await.1, "rollup", "{question}");
    }
    assert_eq!(look(&server, &tenant, questions[2]).await.1, "raw", "sessions of two applications do not add up");
    server.post("/api/v1/events", &tenant.secret_key, &event(1, "view", "02T10:59")).await;
    server.apply_events().await;
    assert_eq!(look(&server, &tenant, questions[0]).await.1, "raw");
    compare().await;
    assert_eq!(look(&server, &tenant, questions[0]).await.1, "rollup");

    let erasure = json!({"session_id": Uuid::from_u128(1)});
    let path = format!("/api/v1/projects/{}/erasures", tenant.project_id);
    assert_eq!(server.post(&path, ADMIN_KEY, &erasure).await.status, StatusCode::ACCEPTED);
    let total = async || look(&server, &tenant, "counts?interval=all").await.0["rows"][0]["count"].clone();
    assert_eq!(total().await, 7, "hidden at once");
    assert_eq!(look(&server, &tenant, "counts?sessions=false").await.1, "raw");
    server.app.flush.run().await.expect("a flush");
    server.app.erase.step().await.expect("a step");
    assert_eq!(total().await, 7);
    compare().await;
}

#[tokio::test]
async fn a_deleted_project_leaves_no_event_in_any_file_and_a_receipt() {
    let server = Server::start().await;
    let (kept, deleted) = (shop(&server).await, shop(&server).await);
    server.app.flush.run().await.expect("a flush");
    // Some are flushed, and the last one is not.
    server.post("/api/v1/events", &deleted.secret_key, &event(1, "view", "02T10:59")).await;
    server.apply_events().await;
    let rows = async || {
        let files = server.app.catalog.manifest().await.expect("a manifest").files;
        files.iter().map(|file| file.rows).sum::<u64>()
    };
    assert_eq!(rows().await, 20);

    let path = format!("/api/v1/projects/{}", deleted.project_id);
    let receipt = server.delete(&path, ADMIN_KEY).await;
    assert_eq!(receipt.status, StatusCode::ACCEPTED, "{receipt:?}");
    assert_eq!((&receipt.json()["state"], &receipt.json()["session_id"]), (&json!("hidden"), &Value::Null));
    while clear_deleted_projects(&server.app).await.expect("a piece") {}
    server.app.flush.run().await.expect("a flush");
    server.app.erase.step().await.expect("a step");
    assert_eq!(rows().await, 10);
    assert_eq!(look(&server, &kept, "counts?interval=all").await.0["rows"][0]["count"], json!(10));
    let receipt = server.get(&format!("{path}/erasures/{}", text(&receipt.json(), "erasure_id")), ADMIN_KEY).await;
    assert_eq!((&receipt.json()["state"], &receipt.json()["events"]), (&json!("done"), &json!(11)));
    while clear_deleted_projects(&server.app).await.expect("a piece") {}
}

#[tokio::test]
async fn a_declared_type_without_events_is_a_feature_that_nobody_uses() {
    let server = Server::start().await;
    let tenant = shop(&server).await;
    for name in ["view", "wish"] {
        let path = format!("/api/v1/event-types/shop/{name}?project_id={}", tenant.project_id);
        let put = server.write("PUT", &path, &tenant.secret_key, &json!({"schema": true})).await;
        assert!(put.status.is_success(), "{put:?}");
    }
    let names = |report: &Value| -> Vec<String> {
        report["rows"].as_array().expect("rows").iter().map(|row| text(row, "name")).collect()
    };
    let least = ask(&server, &tenant, "features?order=least").await;
    assert_eq!(names(&least), ["wish", "buy", "cart", "view"]);
    assert_eq!(least["rows"][0], json!({"category": "shop", "name": "wish", "count": 0, "sessions": 0}));
    assert_eq!(names(&ask(&server, &tenant, "features").await), ["view", "cart", "buy", "wish"]);
    assert_eq!(names(&ask(&server, &tenant, "features?name=wish").await), ["wish"]);
    let empty: [&str; 0] = [];
    assert_eq!(names(&ask(&server, &tenant, "features?category=blog").await), empty);
}

#[tokio::test]
async fn features_are_the_most_or_the_least_used() {
    let server = Server::start().await;
    let tenant = shop(&server).await;
    let row = |name: &str, count: u32, sessions: u32| json!({"category": "shop", "name": name, "count": count, "sessions": sessions});
    let most = ask(&server, &tenant, "features?order=most&limit=2").await;
    assert_eq!(most["rows"], json!([row("view", 6, 3), row("cart", 3, 3)]));
    let least = ask(&server, &tenant, "features?order=least").await;
    assert_eq!(least["rows"], json!([row("buy", 1, 1), row("cart", 3, 3), row("view", 6, 3)]));
}

#[tokio::test]
async fn paths_tell_in_what_order() {
    let server = Server::start().await;
    let tenant = shop(&server).await;
    let step = |name: &str| json!({"category": "shop", "name": name});
    let report = ask(&server, &tenant, "paths?depth=3").await;
    let rows = json!([
        {"steps": [step("view"), step("cart"), step("buy")], "count": 1},
        {"steps": [step("view"), step("cart"), step("view")], "count": 1},
    ]);
    assert_eq!(report["rows"], rows);
    assert_eq!(report["transitions"][0], json!({"steps": [step("view"), step("cart")], "count": 2}));
    assert_eq!(report["visits"], 5, "a session is split by 30 minutes of silence");
    let to_buy = ask(&server, &tenant, "paths?depth=2&anchor=end&end=shop/buy").await;
    assert_eq!(to_buy["rows"], json!([{"steps": [step("cart"), step("buy")], "count": 1}]));
}

#[tokio::test]
async fn a_funnel_counts_who_gets_from_step_to_step() {
    let server = Server::start().await;
    let tenant = shop(&server).await;
    let report = ask(&server, &tenant, "funnel?steps=shop/view,shop/cart,shop/buy").await;
    let numbers: Vec<(u64, Value, Value)> = report["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (row["sessions"].as_u64().expect("a number"), row["of_previous"].clone(), row["of_first"].clone()))
        .collect();
    let expected = [(4, json!(1.0), json!(1.0)), (2, json!(0.5), json!(0.5)), (1, json!(0.5), json!(0.25))];
    assert_eq!(numbers, expected);
    let quick = ask(&server, &tenant, "funnel?steps=shop/view,shop/cart,shop/buy&within=3m").await;
    assert_eq!(quick["rows"][2]["sessions"], 0);
}

#[tokio::test]
async fn retention_tells_who_comes_back_and_who_cannot_be_known() {
    let server = Server::start().await;
    let tenant = shop(&server).await;
    let span = "from=2026-11-02T00:00:00Z&to=2026-11-16T00:00:00Z";
    let report = ask(&server, &tenant, &format!("retention?period=week&{span}")).await;
    let rows = json!([{"cohort": "2026-11-02T00:00:00.000000Z", "visitors": 3, "returned": [3, 1]}]);
    assert_eq!((&report["rows"], &report["note"]), (&rows, &Value::Null));

    let mut unknown = event(4, "view", "04T10:00");
    unknown.as_object_mut().expect("an object").remove("visitor_id");
    server.post("/api/v1/events", &tenant.secret_key, &unknown).await;
    server.apply_events().await;
    let report = ask(&server, &tenant, &format!("retention?period=week&{span}")).await;
    assert_eq!((&report["rows"], &report["events_without_visitor"]), (&rows, &json!(1)));
    assert!(report["note"].as_str().is_some_and(|note| note.contains("visitor_id")), "{report}");
}

#[tokio::test]
async fn a_gallery_is_told_by_image_position_and_time() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let gallery = json!({"project_id": tenant.project_id, "name": "shoes"});
    let gallery_id = text(&server.post("/api/v1/galleries", &tenant.secret_key, &gallery).await.json(), "gallery_id");
    let rows: Vec<Value> = (0..2)
        .map(|number| json!({"external_id": format!("sku-{number}"), "url": format!("https://cdn.example/{number}.jpg")}))
        .collect();
    let dataset = format!("/api/v1/galleries/{gallery_id}/dataset");
    server.post(&dataset, &tenant.secret_key, &json!(rows)).await;
    let ids = server
        .app
        .catalog
        .image_ids_by_external_ids(gallery_id.parse().expect("an id"), vec!["sku-0".to_owned(), "sku-1".to_owned()]);
    let ids = ids.await.expect("ids");
    let page = server.get(&format!("/api/v1/galleries/{gallery_id}/images"), &tenant.secret_key).await.json();
    let items = page["items"].as_array().expect("items");
    let item = items.iter().find(|item| item["external_id"] == "sku-0").expect("an item");
    let act = |name: &str, image: Value, place: &Value, time: &str| {
        let mut event = event(1, name, time);
        event["category"] = json!("gallery");
        event["place"] = place.clone();
        event["data"] = image;
        event["data"]["gallery_id"] = json!(gallery_id);
        event
    };
    let events = [
        act("view", json!({"external_id": "sku-0", "position": 9}), &item["place"], "02T10:00"),
        act("view", json!({"image_id": ids["sku-0"], "position": 9}), &item["place"], "02T10:01"),
        act("click", json!({"image_id": ids["sku-0"], "position": 9}), &item["place"], "02T10:02"),
        // The receipt of another image, and none.
        act("view", json!({"external_id": "sku-1", "position": 1}), &item["place"], "03T10:00"),
        act("view", json!({"external_id": "sku-1", "position": 1}), &Value::Null, "03T10:00"),
    ];
    let sent = server.post("/api/v1/events/batch", &tenant.secret_key, &json!(events)).await;
    assert_eq!(sent.json()["accepted"], events.len(), "{sent:?}");
    server.apply_events().await;

    let report = ask(&server, &tenant, &format!("galleries/{gallery_id}")).await;
    let numbers = |views: u32, clicks: u32, rate: f64| json!({"views": views, "clicks": clicks, "click_rate": rate});
    let with = |mut numbers: Value, more: Value| {
        let more = more.as_object().expect("an object").clone();
        numbers.as_object_mut().expect("an object").extend(more);
        numbers
    };
    let expected = json!([
        with(numbers(2, 1, 0.5), json!({"image_id": ids["sku-0"], "external_id": "sku-0"})),
        with(numbers(2, 0, 0.0), json!({"image_id": ids["sku-1"], "external_id": "sku-1"})),
    ]);
    assert_eq!(report["rows"], expected);
    assert_eq!((&report["total"]["views"], &report["experiment"]), (&json!(4), &Value::Null));
    let positions = json!([with(numbers(2, 1, 0.5), json!({"position": item["position"]}))]);
    assert_eq!((&report["positions"], &report["placed_share"]), (&positions, &json!(0.5)));
    assert_eq!(report["over_time"][1], with(numbers(2, 0, 0.0), json!({"bucket": "2026-11-03T00:00:00.000000Z"})));

    let stranger = server.tenant("stranger").await;
    let path = format!("/api/v1/analytics/galleries/{gallery_id}");
    assert_eq!(server.get(&path, &stranger.secret_key).await.status, StatusCode::NOT_FOUND);
    let other = format!("{path}?project_id={}&interval=year", stranger.project_id);
    let wrong = server.get(&other, ADMIN_KEY).await;
    assert_eq!(fields(&wrong), ["interval"]);
}

fn fields(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    answer.json()["errors"].as_object().expect("errors").keys().cloned().collect()
}

#[tokio::test]
async fn everything_wrong_with_a_question_is_told_at_once() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let wrong = [
        (
            "counts?interval=year&group_by=color&from=x&application=y&sessions=some",
            vec!["application", "from", "group_by", "interval", "sessions"],
        ),
        ("counts?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", vec!["to"]),
        ("features?order=best&limit=0", vec!["limit", "order"]),
        ("paths?depth=6&anchor=middle&start=shop&end=/", vec!["anchor", "depth", "end", "start"]),
        ("funnel?within=30", vec!["steps", "within"]),
        ("funnel?steps=a", vec!["steps"]),
        ("retention?period=hour&to=soon", vec!["period", "to"]),
    ];
    for (path, expected) in wrong {
        let answer = server.get(&format!("/api/v1/analytics/{path}"), &tenant.secret_key).await;
        assert_eq!(fields(&answer), expected, "{path}");
    }
    let unnamed = server.get("/api/v1/analytics/counts?interval=year", ADMIN_KEY).await;
    assert_eq!(fields(&unnamed), ["interval", "project_id"]);
    let public = format!("/api/v1/analytics/counts?application={}", tenant.application_id);
    assert_eq!(server.get(&public, "").await.status, StatusCode::FORBIDDEN);
    let long = "retention?period=day&from=2020-01-01T00:00:00Z";
    let long = server.get(&format!("/api/v1/analytics/{long}"), &tenant.secret_key).await;
    assert_eq!(long.status, StatusCode::UNPROCESSABLE_ENTITY, "{long:?}");
}

/// Events around midnight and a clock change, in two zones, one with a half-hour offset.
#[tokio::test]
async fn counts_go_by_the_clocks_of_a_time_zone() {
    let server = Server::start().await;
    let tenant = server.tenant("zones").await;
    let at = |session: u128, time: &str| {
        let mut event = event(session, "view", "02T10:00");
        event["timestamp"] = json!(time);
        event
    };
    let events = [
        // 25 October has 25 hours in Berlin: from 22:00 to 23:00.
        at(1, "2026-10-24T21:59:59Z"),
        at(1, "2026-10-24T22:00:00Z"),
        at(2, "2026-10-25T00:30:00Z"),
        at(2, "2026-10-25T01:30:00Z"),
        at(3, "2026-10-25T22:59:59Z"),
        at(3, "2026-10-25T23:00:00Z"),
        at(3, "2026-10-31T23:30:00Z"),
    ];
    let sent = server.post("/api/v1/events/batch", &tenant.secret_key, &json!(events)).await;
    assert_eq!(sent.json()["accepted"], events.len(), "{sent:?}");
    server.apply_events().await;
    let rows = |report: &Value| -> Vec<(String, u64)> {
        let rows = report["rows"].as_array().expect("rows").iter();
        rows.map(|row| (text(row, "bucket"), row["count"].as_u64().expect("a count"))).collect()
    };
    let expect = |expected: &[(&str, u64)]| -> Vec<(String, u64)> {
        expected.iter().map(|(begin, count)| (format!("2026-{begin}:00.000000Z"), *count)).collect()
    };
    let berlin = "&timezone=Europe/Berlin";
    let days = expect(&[("10-23T22:00", 1), ("10-24T22:00", 4), ("10-25T23:00", 1), ("10-31T23:00", 1)]);
    let weeks = expect(&[("10-18T22:00", 5), ("10-25T23:00", 2)]);
    let months = expect(&[("09-30T22:00", 6), ("10-31T23:00", 1)]);
    let hours = expect(&[
        ("10-24T21:00", 1),
        ("10-24T22:00", 1),
        ("10-25T00:00", 1),
        ("10-25T01:00", 1),
        ("10-25T22:00", 1),
        ("10-25T23:00", 1),
        ("10-31T23:00", 1),
    ]);
    let indian_hours =
        expect(&[("10-24T21:30", 2), ("10-25T00:30", 1), ("10-25T01:30", 1), ("10-25T22:30", 2), ("10-31T23:30", 1)]);
    let indian_days = expect(&[("10-24T18:30", 4), ("10-25T18:30", 2), ("10-31T18:30", 1)]);
    let questions = [
        (format!("counts?interval=day{berlin}"), days, "rollup"),
        (format!("counts?interval=week{berlin}"), weeks, "rollup"),
        (format!("counts?interval=month{berlin}"), months, "rollup"),
        (format!("counts?interval=hour{berlin}"), hours, "rollup"),
        ("counts?interval=hour&timezone=Asia/Kolkata".to_owned(), indian_hours, "raw"),
        // No event lies in the hours that midnight in India splits.
        ("counts?interval=day&timezone=Asia/Kolkata".to_owned(), indian_days, "rollup"),
    ];
    for (question, expected, served_from) in &questions {
        assert_eq!(rows(&ask(&server, &tenant, question).await), *expected, "{question}");
        let (quick, from) = look(&server, &tenant, &format!("{question}&sessions=false")).await;
        assert_eq!((rows(&quick), &*from), (expected.clone(), *served_from), "{question}");
        // No roll-up row begins within an hour.
        let (raw, from) = look(&server, &tenant, &format!("{question}&from=2026-01-01T00:00:01Z")).await;
        assert_eq!((rows(&raw), &*from), (expected.clone(), "raw"), "{question}");
    }
    let sessions = ask(&server, &tenant, &format!("counts?interval=day{berlin}&from=2026-10-25&to=2026-10-26")).await;
    let expected = json!([{"bucket": "2026-10-24T22:00:00.000000Z", "count": 4, "sessions": 3}]);
    assert_eq!(sessions["rows"], expected, "from and to are days of Berlin");
    let all = ask(&server, &tenant, &format!("counts?interval=all{berlin}")).await;
    assert_eq!(all["rows"], json!([{"bucket": null, "count": 7, "sessions": 3}]));

    let retention =
        ask(&server, &tenant, &format!("retention?period=day{berlin}&from=2026-10-24&to=2026-10-26%2012:00")).await;
    let begins: Vec<String> =
        retention["rows"].as_array().expect("rows").iter().map(|row| text(row, "cohort")).collect();
    assert_eq!(begins, ["2026-10-23T22:00:00.000000Z", "2026-10-24T22:00:00.000000Z"]);
    let features = ask(&server, &tenant, &format!("features?from=2026-10-25&to=2026-10-26{berlin}")).await;
    assert_eq!(features["rows"][0]["count"], 4);
}

#[tokio::test]
async fn a_time_zone_has_to_be_known() {
    let server = Server::start().await;
    let tenant = server.tenant("zones").await;
    for path in ["counts", "features", "paths", "retention", "funnel?steps=a/b,a/c"] {
        for zone in ["Nowhere/Land", "CET", "+02:00", "Europe/Berlin%20"] {
            let separator = if path.contains('?') { '&' } else { '?' };
            let path = format!("/api/v1/analytics/{path}{separator}timezone={zone}");
            let answer = server.get(&path, &tenant.secret_key).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {answer:?}");
            let sentence = answer.json()["errors"]["timezone"][0].clone();
            assert_eq!(sentence, "This has to be the name of a time zone, such as Europe/Berlin, or UTC.", "{path}");
        }
    }
}
