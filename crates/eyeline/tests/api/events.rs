//! Events over HTTP: acceptance, errors, and counting once.

use std::task::Poll;

use axum::body::Body;
use bytes::Bytes;
use eyeline::workers;
use eyeline_store::inbox::{Entry, Offset};
use futures::stream;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Answer, Server, Tenant, request, text};

const SESSION: &str = "e2085be5-9137-4e4e-80b5-f1ffddc25423";
const EVENT_ID: &str = "0b6d2c1e-7d43-4c57-9e6c-6c2b3d9a1f10";

fn sample() -> Value {
    json!({
        "session_id": SESSION, "category": "page interaction", "name": "pageview",
        "data": {"host": "www.example.com", "path": "/"}, "timestamp": "2021-01-01 09:15:27.243860"
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut event = sample();
    event[field] = value;
    event
}

fn act(name: &str, data: Value) -> Value {
    let mut event = with("category", json!("gallery"));
    event["name"] = json!(name);
    event["data"] = data;
    event
}

/// A request of an application that sends only its public id.
fn from_application(path: &str, tenant: &Tenant, kind: &str, body: impl Into<Body>) -> Request<Body> {
    let request = request("POST", path, "").header("application", &tenant.application_id).header("content-type", kind);
    request.body(body.into()).expect("a request")
}

async fn send(server: &Server, tenant: &Tenant, event: &Value) -> Answer {
    server.send(from_application("/api/v1/events", tenant, "application/json", event.to_string())).await
}

async fn send_batch(server: &Server, tenant: &Tenant, kind: &str, body: impl Into<Body>) -> Answer {
    server.send(from_application("/api/v1/events/batch", tenant, kind, body)).await
}

fn fields(answer: &Answer) -> Vec<String> {
    answer.json()["errors"].as_object().expect("errors").keys().cloned().collect()
}

#[tokio::test]
async fn the_sample_of_the_first_request_gets_the_documented_answer() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    // With a trailing slash, as some clients write it.
    let body = sample().to_string();
    let answer = server.send(from_application("/api/v1/events/", &tenant, "application/json", body)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let event = answer.json();
    let names: Vec<&String> = event.as_object().expect("an object").keys().collect();
    assert_eq!(
        names,
        ["application", "category", "data", "event_id", "name", "received_at", "session_id", "timestamp"]
    );
    assert_eq!(event["session_id"], SESSION);
    assert_eq!(event["application"], tenant.application_id.as_str());
    assert_eq!(event["data"], json!({"host": "www.example.com", "path": "/"}));
    assert_eq!(event["timestamp"], "2021-01-01T09:15:27.243860Z");
}

#[tokio::test]
async fn the_faulty_sample_gets_every_field_at_once() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let faulty =
        json!({"session_id": SESSION, "category": "page interaction", "timestamp": "2021-01-01 09:15:27.243860"});
    let answer = send(&server, &tenant, &faulty).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let required = json!(["This field is required."]);
    assert_eq!(answer.json()["errors"], json!({"name": required, "data": required}));
}

#[tokio::test]
async fn many_events_share_a_session() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    for _ in 0..3 {
        assert_eq!(send(&server, &tenant, &sample()).await.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn what_no_application_sends_is_refused() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let (path, body) = ("/api/v1/events", sample());
    assert_eq!(server.post(path, "", &body).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.post(path, "eyl_sk_wrong", &body).await.status, StatusCode::UNAUTHORIZED);
    let nobodys = server.post(path, ADMIN_KEY, &body).await;
    assert_eq!((nobodys.status, fields(&nobodys)), (StatusCode::BAD_REQUEST, vec!["application".to_owned()]));
    assert_eq!(server.post(path, &tenant.secret_key, &body).await.status, StatusCode::CREATED);
    let named = format!("{path}?application={}", tenant.application_id);
    assert_eq!(server.post(&named, ADMIN_KEY, &body).await.status, StatusCode::CREATED);
    assert_eq!(server.post(&named, "", &body).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_event_sent_again_is_answered_with_the_first_body() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let path = "/api/v1/events";
    let first = server.post(path, &tenant.secret_key, &with("event_id", json!(EVENT_ID))).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(first.json()["event_id"], EVENT_ID);
    let mut changed = with("event_id", json!(EVENT_ID));
    changed["name"] = json!("something else");
    let again = server.post(path, &tenant.secret_key, &changed).await;
    assert_eq!((again.status, again.json()), (StatusCode::OK, first.json()));

    let other = server.tenant("other").await;
    assert_eq!(send(&server, &other, &changed).await.status, StatusCode::CREATED, "ids belong to an application");
}

#[tokio::test]
async fn the_public_id_with_a_guessed_id_or_key_is_shown_what_it_sent_alone() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let mut secret = with("event_id", json!(EVENT_ID));
    (secret["category"], secret["data"]) = (json!("secret"), json!({"card": "4111"}));
    let by_key = |key: &str, body: &Value| {
        let request = request("POST", "/api/v1/events", key).header("idempotency-key", "order-17");
        request.header("content-type", "application/json").body(Body::from(body.to_string())).expect("a request")
    };
    let named = server.post("/api/v1/events", &tenant.secret_key, &secret).await;
    let mut unnamed = secret.clone();
    unnamed["event_id"] = Value::Null;
    let keyed = server.send(by_key(&tenant.secret_key, &unnamed)).await;
    assert_eq!((named.status, keyed.status), (StatusCode::CREATED, StatusCode::CREATED));
    // Recently accepted, then applied, then in a file.
    for _ in 0..3 {
        let guess = with("event_id", json!(EVENT_ID));
        let mut guessed_key = by_key("", &sample());
        guessed_key.headers_mut().insert("application", tenant.application_id.parse().expect("a header"));
        for answer in [send(&server, &tenant, &guess).await, server.send(guessed_key).await] {
            assert_eq!(answer.status, StatusCode::OK);
            let shown = answer.json();
            assert!(!shown.to_string().contains("4111") && shown["category"] != "secret", "{shown}");
            assert_eq!((&shown["name"], &shown["data"]), (&sample()["name"], &sample()["data"]));
            for first in [&named, &keyed] {
                assert_ne!(shown["received_at"], first.json()["received_at"]);
            }
        }
        server.apply_events().await;
        server.app.flush.run().await.expect("a flush");
    }
}

#[tokio::test]
async fn an_idempotency_key_stands_for_an_event_id() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let keyed = |key: &str| {
        let request = request("POST", "/api/v1/events", &tenant.secret_key).header("idempotency-key", key);
        request.header("content-type", "application/json").body(Body::from(sample().to_string())).expect("a request")
    };
    let first = server.send(keyed("one")).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let again = server.send(keyed("one")).await;
    assert_eq!((again.status, again.json()), (StatusCode::OK, first.json()));
    assert_eq!(server.send(keyed("two")).await.status, StatusCode::CREATED);
    assert_eq!(server.send(keyed(&"x".repeat(256))).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn other_bodies_than_an_event_are_refused_each_in_its_way() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let post = async |kind: &'static str, body: String| {
        server.send(from_application("/api/v1/events", &tenant, kind, body)).await.status
    };
    assert_eq!(post("application/json", String::new()).await, StatusCode::BAD_REQUEST);
    assert_eq!(post("application/json", "[1]".to_owned()).await, StatusCode::BAD_REQUEST);
    assert_eq!(post("image/png", sample().to_string()).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let large = with("data", json!({"a": "x".repeat(200_000)})).to_string();
    assert_eq!(post("application/json", large).await, StatusCode::PAYLOAD_TOO_LARGE);
    // The request of `navigator.sendBeacon`.
    assert_eq!(post("text/plain;charset=UTF-8", sample().to_string()).await, StatusCode::CREATED);
}

#[tokio::test]
async fn events_are_never_changed() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    for path in ["/api/v1/events", &format!("/api/v1/events/{EVENT_ID}")] {
        for method in ["PUT", "PATCH", "DELETE"] {
            let answer = server.write(method, path, &tenant.secret_key, &sample()).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert!(answer.header("allow").contains("GET"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_batch_in_any_spelling_gets_a_verdict_for_each_event() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let good = sample().to_string();
    let bad = json!({"session_id": SESSION, "data": {}}).to_string();
    let named = |id: u8| with("event_id", json!(format!("00000000-0000-4000-8000-0000000000{id:02}"))).to_string();
    let spellings = [
        ("application/json", format!("[{good},{bad},5,{},{}]", named(1), named(1))),
        ("application/json", format!(r#"{{"events":[{good},{bad},5,{},{}]}}"#, named(2), named(2))),
        ("application/x-ndjson", format!("{good}\n{bad}\r\n\n5\n{}\n{}\n", named(3), named(3))),
        ("text/plain;charset=UTF-8", format!("{good}\n{bad}\n5\n{}\n{}", named(4), named(4))),
        ("text/plain", format!(r#"{{"events":[{good},{bad},5,{},{}]}}"#, named(5), named(5))),
    ];
    for (kind, body) in spellings {
        let answer = send_batch(&server, &tenant, kind, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{kind}: {answer:?}");
        let verdicts = answer.json();
        assert_eq!((verdicts["accepted"].as_u64(), verdicts["duplicates"].as_u64()), (Some(2), Some(1)), "{kind}");
        let required = json!(["This field is required."]);
        assert_eq!(verdicts["rejected"][0]["index"], 1);
        assert_eq!(
            verdicts["rejected"][0]["errors"],
            json!({"category": required, "name": required, "timestamp": required})
        );
        assert_eq!(verdicts["rejected"][1], json!({"index": 2, "errors": {"body": ["This has to be a JSON object."]}}));
    }
}

#[tokio::test]
async fn a_batch_of_which_nothing_is_taken_is_400_and_one_of_duplicates_200() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let refused = send_batch(&server, &tenant, "application/json", "[{},{}]").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        (refused.json()["accepted"].as_u64(), refused.json()["rejected"].as_array().map(Vec::len)),
        (Some(0), Some(2))
    );
    assert_eq!(send_batch(&server, &tenant, "application/json", "[]").await.status, StatusCode::BAD_REQUEST);

    let one = format!("[{}]", with("event_id", json!(EVENT_ID)));
    assert_eq!(send_batch(&server, &tenant, "application/json", one.clone()).await.json()["accepted"], 1);
    let again = send_batch(&server, &tenant, "application/json", one).await;
    assert_eq!((again.status, again.json()["duplicates"].as_u64()), (StatusCode::OK, Some(1)));
}

#[tokio::test]
async fn a_batch_sent_again_under_its_key_changes_nothing() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let keyed = || {
        let body = format!("[{},{}]", sample(), sample());
        let request = request("POST", "/api/v1/events/batch", &tenant.secret_key).header("idempotency-key", "batch 1");
        request.header("content-type", "application/json").body(Body::from(body)).expect("a request")
    };
    assert_eq!(server.send(keyed()).await.json()["accepted"], 2);
    let again = server.send(keyed()).await.json();
    assert_eq!((again["accepted"].as_u64(), again["duplicates"].as_u64()), (Some(0), Some(2)));
}

#[tokio::test]
async fn a_batch_is_bounded() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    // With the secret key, because the public id has a rate limit.
    let send_batch = async |kind: &str, body: &str| {
        let sent = request("POST", "/api/v1/events/batch", &tenant.secret_key).header("content-type", kind);
        server.send(sent.body(Body::from(body.to_owned())).expect("a request")).await
    };
    let array = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
    assert_eq!(send_batch("application/json", &array(10_001)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(send_batch("application/json", &array(10_000)).await.status, StatusCode::BAD_REQUEST);
    let lines = "{}\n".repeat(10_001);
    assert_eq!(send_batch("application/x-ndjson", &lines).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let large = " ".repeat(5 * 1024 * 1024 + 1);
    assert_eq!(send_batch("application/json", &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    for (kind, body) in
        [("application/json", "[{]"), ("application/json", "{}"), ("application/json", r#"{"events":5}"#)]
    {
        let answer = send_batch(kind, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assert_eq!(send_batch("text/csv", "a,b").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_gallerys_numbers_are_exact_after_a_refresh_and_the_order_follows() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let ingest = tokio::spawn(workers::ingest::run(server.app.ingest.clone(), server.app.stop.clone()));
    let gallery = json!({"project_id": tenant.project_id, "name": "shoes"});
    let gallery = server.post("/api/v1/galleries", &tenant.secret_key, &gallery).await;
    assert_eq!(gallery.status, StatusCode::CREATED, "{gallery:?}");
    let gallery_id = text(&gallery.json(), "gallery_id");
    let rows: Vec<Value> = (0..4)
        .map(|number| json!({"external_id": format!("sku-{number}"), "url": format!("https://cdn.example/{number}.jpg")}))
        .collect();
    let path = format!("/api/v1/galleries/{gallery_id}");
    let loaded = server.post(&format!("{path}/dataset"), &tenant.secret_key, &json!(rows)).await;
    assert_eq!(loaded.status, StatusCode::OK, "{loaded:?}");

    let counts = [(8, 3), (30, 0), (1, 4), (2, 0)];
    let mut events = Vec::new();
    for (number, (views, clicks)) in counts.iter().enumerate() {
        let data = json!({"gallery_id": gallery_id, "external_id": format!("sku-{number}"), "position": 1});
        events.extend((0..*views).map(|_| act("view", data.clone())));
        events.extend((0..*clicks).map(|_| act("click", data.clone())));
    }
    let sent = send_batch(&server, &tenant, "application/json", json!(events).to_string()).await;
    assert_eq!(sent.json()["accepted"], events.len());
    let stranger = server.tenant("stranger").await;
    let foreign = act("click", json!({"gallery_id": gallery_id, "external_id": "sku-3"}));
    assert_eq!(send(&server, &stranger, &foreign).await.status, StatusCode::CREATED, "kept apart, not refused");

    let refreshed = server.post(&format!("{path}/refresh"), &tenant.secret_key, &json!({})).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
    assert_eq!(refreshed.json()["applied_events"], events.len());
    let page = server.get(&format!("{path}/images"), &tenant.secret_key).await.json();
    let shown: Vec<(u64, u64, u64)> = page["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| ["weight", "views", "clicks"].map(|number| item[number].as_u64().expect("a number")).into())
        .collect();
    assert_eq!(shown, [(30, 30, 0), (29, 1, 4), (29, 8, 3), (2, 2, 0)], "ties newest first");
    server.app.stop.cancel();
    ingest.await.expect("no panic").expect("a clean stop");
}

#[tokio::test]
async fn a_misshapen_gallery_event_is_refused_at_the_door() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let answer = send(&server, &tenant, &act("view", json!({"image_id": 5}))).await;
    assert_eq!(
        (answer.status, fields(&answer)),
        (StatusCode::BAD_REQUEST, vec!["data.gallery_id".to_owned(), "data.image_id".to_owned()])
    );
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut packing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packing, body).expect("packed");
    packing.finish().expect("packed")
}

async fn send_packed(server: &Server, tenant: &Tenant, path: &str, packing: &str, body: Vec<u8>) -> Answer {
    let sent = request("POST", path, &tenant.secret_key).header("content-type", "application/json");
    server.send(sent.header("content-encoding", packing).body(Body::from(body)).expect("a request")).await
}

#[tokio::test]
async fn a_packed_body_is_taken_like_any_other() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let (one, many) = (sample().to_string(), json!(vec![sample(); 2_000]).to_string());
    for packing in ["gzip", "zstd", "X-GZip"] {
        let pack = |text: &str| match packing {
            "zstd" => zstd::encode_all(text.as_bytes(), 3).expect("packed"),
            _ => gzip(text.as_bytes()),
        };
        let answer = send_packed(&server, &tenant, "/api/v1/events", packing, pack(&one)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{packing}: {answer:?}");
        let answer = send_packed(&server, &tenant, "/api/v1/events/batch", packing, pack(&many)).await;
        assert_eq!((answer.status, &answer.json()["accepted"]), (StatusCode::OK, &json!(2_000)), "{packing}");
    }
}

#[tokio::test]
async fn a_body_that_swells_or_is_not_what_it_says_is_refused() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let path = "/api/v1/events/batch";
    let swelling = vec![b' '; 400 * 1024 * 1024];
    let bombs = [("gzip", gzip(&swelling)), ("zstd", zstd::encode_all(&swelling[..], 3).expect("packed"))];
    drop(swelling);
    for (packing, bomb) in bombs {
        assert!(bomb.len() < 1024 * 1024, "it is small as it is sent");
        let answer = send_packed(&server, &tenant, path, packing, bomb).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{packing}: {answer:?}");
    }
    let answer = send_packed(&server, &tenant, path, "gzip", b"[]".to_vec()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    let mut cut = gzip(json!(vec![sample(); 100]).to_string().as_bytes());
    cut.truncate(cut.len() / 2);
    assert_eq!(send_packed(&server, &tenant, path, "gzip", cut).await.status, StatusCode::BAD_REQUEST);
    let answer = send_packed(&server, &tenant, path, "br", b"[]".to_vec()).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(answer.header("accept-encoding"), "gzip, zstd");
}

#[tokio::test]
async fn a_full_inbox_is_told_with_retry_after() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let event = with("data", json!({"a": "x".repeat(60_000)})).to_string();
    let batch = format!("[{}]", vec![event; 80].join(","));
    // A large write runs while the batch arrives. The batch may come too late, so the test retries.
    let mut stored = 0;
    for _ in 0..50 {
        let large = [Entry { partition: 0, event: vec![0; 30 * 1024 * 1024] }];
        let writing = server.app.inbox.append(&large);
        let (written, answer) = tokio::join!(writing, send_batch(&server, &tenant, "application/json", batch.clone()));
        stored += u64::from(written.is_ok());
        if answer.status == StatusCode::OK {
            stored += 80;
            continue;
        }
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
        let kept = server.app.inbox.waiting(0, Offset::START).await.expect("a number");
        assert_eq!(kept, stored, "a refused batch leaves nothing");
        return;
    }
    panic!("the inbox was never full");
}

#[tokio::test]
async fn events_are_read_back_by_the_projects_keys_alone() {
    let server = Server::start().await;
    let (tenant, stranger) = (server.tenant("shop").await, server.tenant("stranger").await);
    for number in 0..5 {
        send(&server, &tenant, &with("data", json!({ "n": number }))).await;
        send(&server, &stranger, &sample()).await;
    }
    let named = send(&server, &tenant, &with("event_id", json!(EVENT_ID))).await.json();

    let one = format!("/api/v1/events/{EVENT_ID}");
    let mut with_receipt = named.clone();
    with_receipt["receipt"] = json!({"status": "waiting"});
    assert_eq!(server.get(&one, &tenant.secret_key).await.json(), with_receipt);

    server.apply_events().await;
    let mut path = "/api/v1/events?limit=2".to_owned();
    let mut pages = Vec::new();
    loop {
        let page = server.get(&path, &tenant.secret_key).await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let page = page.json();
        pages.push(page["events"].as_array().expect("events").len());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/events?limit=2&cursor={cursor}");
    }
    assert_eq!(pages.iter().sum::<usize>(), 6, "{pages:?}");
    let filtered = server.get("/api/v1/events?category=page%20interaction&name=other", &tenant.secret_key).await.json();
    assert_eq!(filtered, json!({"events": [], "next_cursor": null}));

    let counted_in = json!({"hour": "2021-01-01T09:00:00.000000Z", "day": "2021-01-01T00:00:00.000000Z"});
    with_receipt["receipt"] = json!({"status": "counted", "counted_in": counted_in});
    assert_eq!(server.get(&one, &tenant.secret_key).await.json(), with_receipt);
    let for_admin = format!("{one}?application={}", tenant.application_id);
    assert_eq!(server.get(&for_admin, ADMIN_KEY).await.json(), with_receipt);
    assert_eq!(server.get(&one, ADMIN_KEY).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(server.get(&one, &stranger.secret_key).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get(&for_admin, &stranger.secret_key).await.status, StatusCode::NOT_FOUND);

    let others = format!("/api/v1/events?project_id={}", tenant.project_id);
    assert_eq!(server.get(&others, &stranger.secret_key).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get(&others, ADMIN_KEY).await.status, StatusCode::OK);
    assert_eq!(server.get("/api/v1/events", ADMIN_KEY).await.status, StatusCode::BAD_REQUEST);
    let public = format!("/api/v1/events?application={}", tenant.application_id);
    assert_eq!(server.get(&public, "").await.status, StatusCode::FORBIDDEN);
    let wrong = server.get("/api/v1/events?session_id=x&from=y&limit=0", &tenant.secret_key).await;
    assert_eq!(fields(&wrong), ["from", "limit", "session_id"]);
}

#[tokio::test]
async fn events_are_listed_by_their_time_or_by_their_arrival() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    // Two of the same time, one of the year 1, and the newest neither first nor last. Some are flushed.
    let times = ["2021-03-01", "2021-05-01", "0001-01-01", "2021-04-01", "2021-03-01", "2020-01-01", "2021-06-01"];
    for (number, day) in times.into_iter().enumerate() {
        let mut event = with("timestamp", json!(format!("{day}T00:00:00Z")));
        event["data"] = json!({ "n": number });
        send(&server, &tenant, &event).await;
        server.apply_events().await;
        if number == 2 || number == 4 {
            server.app.flush.run().await.expect("a flush");
        }
    }
    let list = async |order: &str, limit: usize| {
        let mut path = format!("/api/v1/events?limit={limit}{order}");
        let mut numbers = Vec::new();
        loop {
            let page = server.get(&path, &tenant.secret_key).await.json();
            let events = page["events"].as_array().expect("events");
            assert!(events.len() <= limit);
            numbers.extend(events.iter().map(|event| event["data"]["n"].as_u64().expect("a number")));
            let Some(cursor) = page["next_cursor"].as_str() else { break numbers };
            path = format!("/api/v1/events?limit={limit}{order}&cursor={cursor}");
        }
    };
    for limit in [1, 2, 3, 100] {
        assert_eq!(list("", limit).await, [6, 1, 3, 4, 0, 5, 2], "{limit}");
        assert_eq!(list("&order=timestamp", limit).await, [6, 1, 3, 4, 0, 5, 2], "{limit}");
        assert_eq!(list("&order=received_at", limit).await, [6, 5, 4, 3, 2, 1, 0], "{limit}");
    }
    let page = server.get("/api/v1/events?limit=1", &tenant.secret_key).await.json();
    let cursor = page["next_cursor"].as_str().expect("a cursor");
    let other = server.get(&format!("/api/v1/events?order=received_at&cursor={cursor}"), &tenant.secret_key).await;
    assert_eq!(fields(&other), ["cursor"], "{other:?}");
    assert_eq!(fields(&server.get("/api/v1/events?order=name", &tenant.secret_key).await), ["order"]);
}

#[tokio::test]
async fn the_public_credential_is_held_to_its_events_a_second_and_a_secret_key_is_not() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let batch = json!(vec![with("data", json!({})); 10_000]).to_string();
    let public = || {
        let sent = request("POST", "/api/v1/events/batch", "").header("application", &tenant.application_id);
        sent.header("content-type", "application/json").body(Body::from(batch.clone())).expect("a request")
    };
    let taken = server.send(public()).await;
    assert_eq!(taken.status, StatusCode::OK, "{taken:?}");
    assert_eq!(taken.header("ratelimit-policy"), "\"events\";q=1000;w=1");
    assert_eq!(taken.header("ratelimit"), "\"events\";r=0;t=10");
    let refused = server.send(public()).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{refused:?}");
    assert_eq!(refused.header("ratelimit-policy"), "\"events\";q=1000;w=1");
    assert!(refused.header("ratelimit").starts_with("\"events\";r=0;t="), "{refused:?}");
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    // Refusing costs less than sending: no byte of the body is read.
    for path in ["/api/v1/events", "/api/v1/events/batch"] {
        let unread = stream::poll_fn(|_| -> Poll<Option<std::io::Result<Bytes>>> { panic!("the body was read") });
        let sent = request("POST", path, "").header("application", &tenant.application_id);
        let sent = sent.header("content-type", "application/json").body(Body::from_stream(unread));
        let refused = server.send(sent.expect("a request")).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{refused:?}");
    }
    let by_key = request("POST", "/api/v1/events/batch", &tenant.secret_key).header("content-type", "application/json");
    let by_key = server.send(by_key.body(Body::from("[{}]")).expect("a request")).await;
    assert_eq!((by_key.status, by_key.header("ratelimit")), (StatusCode::BAD_REQUEST, ""), "{by_key:?}");
}
