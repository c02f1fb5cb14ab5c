//! Event types over HTTP, and their effect on events.

use eyeline::workers;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Server, Tenant, text};

const SESSION: &str = "e2085be5-9137-4e4e-80b5-f1ffddc25423";
const EVENT_ID: &str = "0b6d2c1e-7d43-4c57-9e6c-6c2b3d9a1f10";
const PAGEVIEW: &str = "/api/v1/event-types/page%20interaction/pageview";

fn schema() -> Value {
    json!({
        "type": "object", "required": ["host", "path"],
        "properties": {"host": {"type": "string"}, "path": {"type": "string"}, "depth": {"maximum": 100}}
    })
}

fn event(data: Value) -> Value {
    json!({
        "session_id": SESSION, "category": "page interaction", "name": "pageview", "data": data,
        "timestamp": "2021-01-01 09:15:27.243860"
    })
}

fn good() -> Value {
    event(json!({"host": "www.example.com", "path": "/"}))
}

async fn declare(server: &Server, tenant: &Tenant, on_invalid: &str, schema: &Value) -> Value {
    let body = json!({"schema": schema, "on_invalid": on_invalid});
    let answer = server.write("PUT", PAGEVIEW, &tenant.secret_key, &body).await;
    assert!(answer.status.is_success(), "{answer:?}");
    answer.json()
}

/// Applies events from now on, until the server stops.
fn work(server: &Server) {
    tokio::spawn(workers::ingest::run(server.app.ingest.clone(), server.app.stop.clone()));
}

#[tokio::test]
async fn a_type_is_made_shown_listed_changed_and_taken_away() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let body = json!({"schema": schema(), "on_invalid": "reject", "description": "A page was seen."});
    let made = server.write("PUT", PAGEVIEW, &tenant.secret_key, &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let made = made.json();
    assert_eq!((&made["category"], &made["name"]), (&json!("page interaction"), &json!("pageview")));
    assert_eq!((&made["version"], &made["on_invalid"]), (&json!(1), &json!("reject")));
    assert_eq!((&made["schema"], &made["description"]), (&schema(), &json!("A page was seen.")));
    assert_eq!(server.get(PAGEVIEW, &tenant.secret_key).await.json(), made);
    let list = server.get("/api/v1/event-types", &tenant.secret_key).await.json();
    assert_eq!(list, json!({"event_types": [made], "next_cursor": null}));

    let again = server.write("PUT", PAGEVIEW, &tenant.secret_key, &json!({"schema": true})).await;
    assert_eq!(again.status, StatusCode::OK);
    let again = again.json();
    assert_eq!((&again["version"], &again["on_invalid"]), (&json!(2), &json!("quarantine")));
    let older = server.get(&format!("{PAGEVIEW}?version=1"), &tenant.secret_key).await.json();
    assert_eq!((&older["version"], &older["schema"]), (&json!(1), &schema()));

    let named = format!("{PAGEVIEW}?project_id={}", tenant.project_id);
    assert_eq!(server.get(PAGEVIEW, ADMIN_KEY).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(server.get(&named, ADMIN_KEY).await.status, StatusCode::OK);
    assert_eq!(server.delete(&named, ADMIN_KEY).await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.delete(&named, ADMIN_KEY).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get(&named, ADMIN_KEY).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn another_project_sees_and_changes_nothing() {
    let server = Server::start().await;
    let (tenant, other) = (server.tenant("shop").await, server.tenant("other").await);
    declare(&server, &tenant, "reject", &schema()).await;
    let named = format!("{PAGEVIEW}?project_id={}", tenant.project_id);
    for answer in [
        server.get(&named, &other.secret_key).await,
        server.delete(&named, &other.secret_key).await,
        server.write("PUT", &named, &other.secret_key, &json!({})).await,
        server.get(&format!("/api/v1/event-types?project_id={}", tenant.project_id), &other.secret_key).await,
        server.get(&format!("/api/v1/events/quarantine?project_id={}", tenant.project_id), &other.secret_key).await,
        server.get(PAGEVIEW, &other.secret_key).await,
    ] {
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
    }
    let replay = json!({"project_id": tenant.project_id});
    let answer = server.post("/api/v1/events/quarantine/replay", &other.secret_key, &replay).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let sent = server.post("/api/v1/events", &other.secret_key, &event(json!({}))).await;
    assert_eq!(sent.status, StatusCode::CREATED, "a schema judges its own project's events");
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_type_is_told_at_once() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let body = json!({
        "on_invalid": "ignore", "description": 3,
        "schema": {"properties": {"a": {"$ref": "https://example.com/a.json"}, "b": {"$ref": "file:///etc/passwd"}}}
    });
    let answer = server.write("PUT", PAGEVIEW, &tenant.secret_key, &body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let errors = answer.json()["errors"].clone();
    let fields: Vec<&String> = errors.as_object().expect("errors").keys().collect();
    assert_eq!(fields, ["description", "on_invalid", "schema.properties.a.$ref", "schema.properties.b.$ref"]);
    assert_eq!(server.get(PAGEVIEW, &tenant.secret_key).await.status, StatusCode::NOT_FOUND, "nothing was stored");
}

#[tokio::test]
async fn an_event_that_does_not_fit_is_refused_with_every_field() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    declare(&server, &tenant, "reject", &schema()).await;
    let answer = server.post("/api/v1/events", &tenant.secret_key, &event(json!({"path": 1, "depth": 101}))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        answer.json()["errors"],
        json!({
            "data.host": ["This field is required."],
            "data.path": ["This is not of type \"string\"."],
            "data.depth": ["This is greater than the maximum of 100."],
        })
    );
    let taken = server.post("/api/v1/events", &tenant.secret_key, &good()).await;
    assert_eq!((taken.status, &taken.json()["schema_version"]), (StatusCode::CREATED, &json!(1)));

    let batch = json!([good(), event(json!({})), {"category": "x"}, good()]);
    let answer = server.post("/api/v1/events/batch", &tenant.secret_key, &batch).await;
    let told = answer.json();
    assert_eq!((answer.status, &told["accepted"]), (StatusCode::OK, &json!(2)));
    let indices: Vec<&Value> = told["rejected"].as_array().expect("a list").iter().map(|one| &one["index"]).collect();
    assert_eq!(indices, [1, 2]);
    assert!(told["rejected"][0]["errors"]["data.host"].is_array(), "{told}");
}

#[tokio::test]
async fn a_changed_type_judges_the_very_next_event() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let send = async || server.post("/api/v1/events", &tenant.secret_key, &event(json!({"n": 5}))).await;
    for round in 0..10 {
        assert_eq!(send().await.status, StatusCode::CREATED, "{round}");
        declare(&server, &tenant, "reject", &json!({"properties": {"n": {"maximum": 4}}})).await;
        assert_eq!(send().await.status, StatusCode::BAD_REQUEST, "{round}");
        if round % 2 == 0 {
            declare(&server, &tenant, "reject", &json!({"properties": {"n": {"maximum": 6}}})).await;
        } else {
            assert_eq!(server.delete(PAGEVIEW, &tenant.secret_key).await.status, StatusCode::NO_CONTENT);
        }
    }
    let last = declare(&server, &tenant, "reject", &json!(true)).await;
    assert_eq!(last["version"], 12, "each other schema was a version");
}

#[tokio::test]
async fn a_payload_can_be_tried_without_being_stored() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let path = format!("{PAGEVIEW}/try");
    let try_out = async |data: Value| server.post(&path, &tenant.secret_key, &json!({ "data": data })).await;
    assert_eq!(try_out(json!({})).await.status, StatusCode::NOT_FOUND);
    declare(&server, &tenant, "quarantine", &schema()).await;
    let bad = try_out(json!({"host": "h"})).await.json();
    assert_eq!(bad, json!({"valid": false, "version": 1, "errors": {"data.path": ["This field is required."]}}));
    let good = try_out(json!({"host": "h", "path": "/"})).await.json();
    assert_eq!(good, json!({"valid": true, "version": 1, "errors": {}}));
    assert_eq!(try_out(json!([])).await.status, StatusCode::BAD_REQUEST);
    let listed = server.get("/api/v1/events", &tenant.secret_key).await.json();
    assert_eq!(listed["events"], json!([]));
}

#[tokio::test]
async fn an_event_that_was_answered_is_never_missing_on_its_way() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    declare(&server, &tenant, "quarantine", &schema()).await;
    work(&server);
    for number in 0..100 {
        let sent = if number % 2 == 0 { good() } else { event(json!({"host": "h"})) };
        let sent = server.post("/api/v1/events", &tenant.secret_key, &sent).await.json();
        let path = format!("/api/v1/events/{}", text(&sent, "event_id"));
        loop {
            let shown = server.get(&path, &tenant.secret_key).await;
            assert_eq!((shown.status, number), (StatusCode::OK, number), "{shown:?}");
            if shown.json()["receipt"]["status"] != "waiting" {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_quarantined_event_is_listed_with_its_reasons_and_counts_after_a_correction() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    declare(&server, &tenant, "quarantine", &schema()).await;
    let mut odd = event(json!({"host": "h"}));
    odd["event_id"] = json!(EVENT_ID);
    let sent = server.post("/api/v1/events", &tenant.secret_key, &odd).await;
    assert_eq!((sent.status, &sent.json()["schema_version"]), (StatusCode::CREATED, &json!(1)));
    server.post("/api/v1/events", &tenant.secret_key, &good()).await;
    work(&server);
    server.app.ingest.caught_up().await.expect("applied");

    let listed = server.get("/api/v1/events/quarantine", &tenant.secret_key).await.json();
    let events = listed["events"].as_array().expect("a list");
    assert_eq!((events.len(), &listed["next_cursor"]), (1, &Value::Null));
    assert_eq!((&events[0]["event_id"], &events[0]["reason"]), (&json!(EVENT_ID), &json!("schema")));
    assert_eq!(events[0]["errors"], json!({"data.path": ["This field is required."]}));
    let causes = server.get("/api/v1/events/quarantine/causes", &tenant.secret_key).await.json();
    assert_eq!((&causes["causes"][0]["reason"], &causes["causes"][0]["events"]), (&json!("schema"), &json!(1)));
    let nothing = server.get("/api/v1/events/quarantine?reason=unknown_image", &tenant.secret_key).await.json();
    assert_eq!(nothing["events"], json!([]));
    let again = server.post("/api/v1/events", &tenant.secret_key, &odd).await;
    assert_eq!(again.status, StatusCode::OK, "it was accepted");

    let receipt = async || {
        let one = server.get(&format!("/api/v1/events/{EVENT_ID}"), &tenant.secret_key).await;
        one.json()["receipt"].clone()
    };
    let told = receipt().await;
    assert_eq!((&told["status"], &told["reason"]), (&json!("quarantined"), &json!("schema")));
    assert_eq!(told["errors"], json!({"data.path": ["This field is required."]}));

    declare(&server, &tenant, "quarantine", &json!({"required": ["host"]})).await;
    let replay = async |body: Value| {
        let answer = server.post("/api/v1/events/quarantine/replay", &tenant.secret_key, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    };
    let dry = replay(json!({"dry_run": true})).await;
    assert_eq!(dry, json!({"replayed": 1, "still_failing": 0, "next_cursor": null}));
    assert_eq!(replay(json!({"name": "other"})).await["replayed"], 0);
    assert_eq!(replay(json!({})).await, dry);
    assert_eq!(replay(json!({})).await["replayed"], 0);
    let counted_in = json!({"hour": "2021-01-01T09:00:00.000000Z", "day": "2021-01-01T00:00:00.000000Z"});
    assert_eq!(receipt().await, json!({"status": "counted", "counted_in": counted_in}));
    // In the inbox, in a file and the inbox, and only in a file.
    for _ in 0..3 {
        let listed = server.get("/api/v1/events", &tenant.secret_key).await.json();
        let listed = listed["events"].as_array().expect("a list").clone();
        assert_eq!(listed.len(), 2);
        let back = listed.iter().find(|event| event["event_id"] == EVENT_ID).expect("the event");
        assert_eq!((&back["received_at"], &back["schema_version"]), (&sent.json()["received_at"], &json!(2)));
        assert_eq!(receipt().await, json!({"status": "counted", "counted_in": counted_in}));
        server.app.flush.run().await.expect("a flush");
        let head = server.app.inbox.head(0).await.expect("a head");
        server.app.inbox.forget(0, head).await.expect("forgotten");
    }
}

/// A type for which judging [`poison`] takes too long.
fn costly() -> Value {
    json!({"properties": {"items": {"items": {"allOf": vec![json!({"type": "integer"}); 1_900]}}}})
}

fn poison() -> Value {
    json!({"items": vec![1; 17_000]})
}

#[tokio::test]
async fn an_event_that_would_take_too_long_to_judge_is_kept_apart_and_the_next_one_counts() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    declare(&server, &tenant, "quarantine", &costly()).await;
    for data in [poison(), json!({"items": [1, 2]}), poison(), json!({"items": ["a"]})] {
        let sent = server.post("/api/v1/events", &tenant.secret_key, &event(data)).await;
        assert_eq!(sent.status, StatusCode::CREATED, "{sent:?}");
    }
    work(&server);
    server.app.ingest.caught_up().await.expect("applied");
    let listed = server.get("/api/v1/events/quarantine", &tenant.secret_key).await.json();
    let reasons: Vec<String> =
        listed["events"].as_array().expect("a list").iter().map(|event| event["errors"].to_string()).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert_eq!(reasons.iter().filter(|reason| reason.contains("would take too long")).count(), 2, "{reasons:?}");

    let tried = server.post(&format!("{PAGEVIEW}/try"), &tenant.secret_key, &json!({"data": poison()})).await;
    assert_eq!((tried.status, &tried.json()["valid"]), (StatusCode::OK, &json!(false)));
    declare(&server, &tenant, "reject", &costly()).await;
    let refused = server.post("/api/v1/events", &tenant.secret_key, &event(poison())).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.json()["errors"]["data"].to_string().contains("would take too long"), "{refused:?}");
    let replayed = server.post("/api/v1/events/quarantine/replay", &tenant.secret_key, &json!({})).await;
    assert_eq!(replayed.json(), json!({"replayed": 0, "still_failing": 3, "next_cursor": null}));
}

#[tokio::test]
async fn data_that_is_tried_has_the_limits_of_an_event() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    declare(&server, &tenant, "quarantine", &json!(true)).await;
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    for data in [json!({"a": "x".repeat(70_000)}), json!({"a": deep}), json!({"a": "\u{0}"})] {
        let sent = server.post("/api/v1/events", &tenant.secret_key, &event(data.clone())).await;
        let tried = server.post(&format!("{PAGEVIEW}/try"), &tenant.secret_key, &json!({ "data": data })).await;
        assert_eq!((sent.status, tried.status), (StatusCode::BAD_REQUEST, StatusCode::BAD_REQUEST));
        assert_eq!(sent.json()["errors"]["data"], tried.json()["errors"]["data"]);
    }
}

#[tokio::test]
async fn a_call_with_many_costly_events_is_refused_where_its_time_ends() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let all = json!({"properties": {"items": {"items": {"allOf": vec![json!({"type": "integer"}); 50]}}}});
    declare(&server, &tenant, "reject", &all).await;
    let events = vec![event(json!({"items": vec![1; 15_000]})); 150];
    let answer = server.post("/api/v1/events/batch", &tenant.secret_key, &json!({ "events": events })).await;
    let answer = answer.json();
    let accepted = answer["accepted"].as_u64().expect("a number");
    let rejected = answer["rejected"].as_array().expect("a list");
    assert_eq!(accepted + rejected.len() as u64, 150);
    for refused in rejected {
        assert!(refused["errors"]["data"].to_string().contains("fewer in one call"), "{refused}");
    }
}
