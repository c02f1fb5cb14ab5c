//! The bounds on the stored events of a project, and on the events of a public id.

use axum::body::Body;
use eyeline::settings::Settings;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Answer, Server, Tenant, request};

fn event(name: &str, data: Value) -> Value {
    json!({
        "session_id": "e2085be5-9137-4e4e-80b5-f1ffddc25423", "category": "page", "name": name, "data": data,
        "timestamp": "2021-01-01 09:15:27.243860"
    })
}

async fn send(server: &Server, tenant: &Tenant, events: Vec<Value>) {
    let sent = server.post("/api/v1/events/batch", &tenant.secret_key, &json!({ "events": events })).await;
    assert_eq!(sent.status, StatusCode::OK, "{sent:?}");
    server.apply_events().await;
    server.app.ingest.tell_quarantined().await.expect("told");
}

async fn usage(server: &Server, tenant: &Tenant) -> Value {
    server.get(&format!("/api/v1/projects/{}/usage", tenant.project_id), &tenant.secret_key).await.json()
}

async fn quarantined(server: &Server, tenant: &Tenant) -> Vec<Value> {
    let listed = server.get("/api/v1/events/quarantine", &tenant.secret_key).await.json();
    listed["events"].as_array().expect("a list").clone()
}

async fn with_misfits(change: impl FnOnce(&mut Settings)) -> (Server, Tenant) {
    let server = Server::start_with(change).await;
    let tenant = server.tenant("shop").await;
    let body = json!({"schema": false});
    let declared = server.write("PUT", "/api/v1/event-types/page/view", &tenant.secret_key, &body).await;
    assert!(declared.status.is_success(), "{declared:?}");
    (server, tenant)
}

#[tokio::test]
async fn a_full_quarantine_drops_its_oldest_events_and_usage_says_so() {
    let (server, tenant) = with_misfits(|settings| settings.quarantined_events_max = 5).await;
    for piece in 0..4 {
        send(&server, &tenant, (0..3).map(|number| event("view", json!({"n": piece * 3 + number}))).collect()).await;
    }
    let kept: Vec<Value> = quarantined(&server, &tenant).await.iter().map(|event| event["data"]["n"].clone()).collect();
    assert_eq!(kept, [11, 10, 9, 8, 7].map(Value::from));
    let usage = usage(&server, &tenant).await;
    assert_eq!((&usage["quarantined"]["events"], &usage["quarantined"]["dropped"]), (&json!(5), &json!(7)));
    assert_eq!(usage["quotas"]["quarantined_events"], 5);
    let other = server.tenant("other").await;
    assert_eq!(self::usage(&server, &other).await["quarantined"], json!({"events": 0, "bytes": 0, "dropped": 0}));
}

#[tokio::test]
async fn bytes_in_quarantine_are_bounded_too() {
    const BYTES: u64 = 100_000;
    let (server, tenant) = with_misfits(|settings| settings.quarantined_bytes_max = BYTES).await;
    for _ in 0..4 {
        send(&server, &tenant, vec![event("view", json!({"text": "x".repeat(40_000)}))]).await;
    }
    let usage = usage(&server, &tenant).await;
    assert!(usage["quarantined"]["bytes"].as_u64().is_some_and(|bytes| (80_000..=BYTES).contains(&bytes)), "{usage}");
    assert_eq!((&usage["quarantined"]["events"], &usage["quarantined"]["dropped"]), (&json!(2), &json!(2)));
}

#[tokio::test]
async fn invented_names_make_as_many_rows_a_day_as_they_may_and_count_on_another_day() {
    let server = Server::start_with(|settings| settings.rollup_rows_per_day = 4).await;
    let tenant = server.tenant("shop").await;
    send(&server, &tenant, vec![event("known", json!({}))]).await;
    send(&server, &tenant, (0..6).map(|number| event(&format!("invented-{number}"), json!({}))).collect()).await;
    // Another hour of a known name also needs a row.
    let mut earlier = event("known", json!({}));
    earlier["timestamp"] = json!("2020-01-01 09:15:27.243860");
    send(&server, &tenant, vec![event("known", json!({})), event("invented-0", json!({})), earlier]).await;
    let usage = usage(&server, &tenant).await;
    assert_eq!((&usage["events"], &usage["rollup_rows_today"]), (&json!(6), &json!(4)), "{usage}");
    assert_eq!(usage["quotas"]["rollup_rows_per_day"], 4);
    let aside = quarantined(&server, &tenant).await;
    assert_eq!(aside.len(), 4);
    assert!(aside.iter().all(|event| event["reason"] == "too_many_names"), "{aside:?}");

    let tomorrow = server.app.clock.now().plus(std::time::Duration::from_secs(24 * 60 * 60));
    server.post("/api/v1/test/clock", ADMIN_KEY, &json!({ "now": tomorrow })).await;
    let work = eyeline::workers::ingest::run(server.app.ingest.clone(), server.app.stop.clone());
    tokio::spawn(work);
    let replayed = server.post("/api/v1/events/quarantine/replay", &tenant.secret_key, &json!({})).await;
    assert_eq!(replayed.json()["replayed"], 4);
    assert_eq!(self::usage(&server, &tenant).await["events"], 10);
}

#[tokio::test]
async fn a_large_body_of_the_public_id_counts_as_many_events() {
    let server = Server::start_with(|settings| settings.application_events_per_second = 2).await;
    let tenant = server.tenant("shop").await;
    let send = async |bytes: usize| -> Answer {
        let body = event("view", json!({"text": "x".repeat(bytes)})).to_string();
        let sent = request("POST", "/api/v1/events", "").header("application", &tenant.application_id);
        server.send(sent.header("content-type", "application/json").body(Body::from(body)).expect("a request")).await
    };
    let first = send(60_000).await;
    assert_eq!((first.status, first.header("ratelimit").contains("r=0")), (StatusCode::CREATED, true), "{first:?}");
    // About 60 events are paid off in half a minute.
    let refused = send(10).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 2), "{refused:?}");
    assert!(refused.json()["detail"].as_str().is_some_and(|detail| detail.contains("bytes")), "{refused:?}");
}

#[tokio::test]
async fn a_refused_body_of_the_public_id_counts_like_a_good_one() {
    const TEXT: &str = "application/json";
    const LINES: &str = "application/x-ndjson";
    let good = event("view", json!({})).to_string();
    let (one, batch) = ("/api/v1/events", "/api/v1/events/batch");
    let not_json = "x".repeat(100_000).into_bytes();
    let unpacked = zstd::encode_all(vec![b' '; 6 << 20].as_slice(), 1).expect("memory");
    for (path, kind, headers, body, status, seconds) in [
        (one, TEXT, [("x-a", "a")], not_json.clone(), 400, 90),
        (batch, TEXT, [("x-a", "a")], not_json.clone(), 400, 90),
        (batch, TEXT, [("x-a", "a")], [b"[".as_slice(), &not_json].concat(), 400, 90),
        (batch, TEXT, [("x-a", "a")], json!({"event": "x".repeat(100_000)}).to_string().into_bytes(), 400, 90),
        (batch, LINES, [("x-a", "a")], not_json.clone(), 400, 90),
        (batch, LINES, [("x-a", "a")], b"1\n".repeat(10_001), 413, 9_000),
        (batch, TEXT, [("x-a", "a")], format!("[{}1]", "1,".repeat(10_000)).into_bytes(), 413, 9_000),
        (batch, TEXT, [("x-a", "a")], format!("[{}1]", "1,".repeat(99)).into_bytes(), 400, 90),
        (batch, LINES, [("idempotency-key", "")], format!("{good}\n").repeat(100).into_bytes(), 400, 90),
        (batch, "image/jpeg", [("x-a", "a")], not_json.clone(), 415, 90),
        (one, "image/jpeg", [("x-a", "a")], not_json.clone(), 415, 90),
        (one, TEXT, [("content-encoding", "gzip")], not_json.clone(), 400, 90),
        (batch, TEXT, [("content-encoding", "br")], not_json.clone(), 415, 90),
        (batch, TEXT, [("content-encoding", "zstd")], unpacked, 413, 5_000),
        (batch, TEXT, [("x-a", "a")], "\u{feff}a\0".repeat(20_000).into_bytes(), 400, 90),
        (batch, TEXT, [("x-a", "a")], [0xFF, 0xFE, b'[', 0].repeat(30_000), 400, 90),
        (one, TEXT, [("x-a", "a")], vec![b' '; 300_000], 413, 200),
    ] {
        let server = Server::start_with(|settings| settings.application_events_per_second = 1).await;
        let tenant = server.tenant("shop").await;
        let send = async |kind: &str, (name, value): (&str, &str), body: Vec<u8>| {
            let sent = request("POST", path, "").header("application", &tenant.application_id);
            let sent = sent.header("content-type", kind).header(name, value).body(Body::from(body));
            server.send(sent.expect("a request")).await
        };
        let what = format!("{path} {kind} {headers:?} {} bytes", body.len());
        let refused = send(kind, headers[0], body).await;
        assert_eq!(refused.status.as_u16(), status, "{what}: {refused:?}");
        let next = send(TEXT, ("x-a", "a"), good.clone().into_bytes()).await;
        assert_eq!(next.status, StatusCode::TOO_MANY_REQUESTS, "{what}: {next:?}");
        let wait: u64 = next.header("retry-after").parse().expect("seconds");
        assert!((seconds..seconds * 2).contains(&wait), "{what}: {wait} s");
    }
}
