//! From the inbox to files and on to questions: each event once, whatever happens at the same time.

use std::time::Duration;

use axum::body::Body;
use eyeline::flow::lake::usage::Weight;
use eyeline::workers;
use eyeline_lake::{CountQuestion, Filter, counts};
use eyeline_store::ObjectKey;
use eyeline_store::inbox::Offset;
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{ADMIN_KEY, Server, Tenant, request, text};

const HOUR: i64 = 3_600_000_000;

/// An event of a session of its own.
fn event(number: u128) -> Value {
    json!({
        "session_id": Uuid::from_u128(number), "category": "shop", "name": "view", "data": {"n": number.to_string()},
        "timestamp": "2021-01-01T09:15:27Z"
    })
}

async fn send(server: &Server, tenant: &Tenant, events: &[Value]) {
    let sent = server.post("/api/v1/events/batch", &tenant.secret_key, &json!(events)).await;
    assert_eq!(sent.status, StatusCode::OK, "{sent:?}");
}

/// All events and all sessions of the tenant.
async fn counted(server: &Server, tenant: &Tenant) -> (u64, u64) {
    let answer = server.get("/api/v1/analytics/counts?interval=all", &tenant.secret_key).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let rows = answer.json()["rows"].clone();
    let number = |field: &str| rows[0][field].as_u64().unwrap_or(0);
    (number("count"), number("sessions"))
}

async fn files(server: &Server) -> Vec<u32> {
    let manifest = server.app.catalog.manifest().await.expect("a manifest");
    manifest.files.iter().map(|file| file.level).collect()
}

async fn listed(server: &Server, tenant: &Tenant) -> Vec<String> {
    let mut path = "/api/v1/events?limit=37".to_owned();
    let mut numbers = Vec::new();
    loop {
        let page = server.get(&path, &tenant.secret_key).await.json();
        let events = page["events"].as_array().expect("events");
        numbers.extend(events.iter().map(|event| text(&event["data"], "n")));
        let Some(cursor) = page["next_cursor"].as_str() else { return numbers };
        path = format!("/api/v1/events?limit=37&cursor={cursor}");
    }
}

#[tokio::test]
async fn events_read_the_same_before_and_after_they_are_in_files() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let mut events: Vec<Value> = (0..50).map(event).collect();
    events[3]["event_id"] = json!(Uuid::from_u128(77));
    send(&server, &tenant, &events).await;
    server.apply_events().await;
    let before = listed(&server, &tenant).await;
    let expected: Vec<String> = (0..50).rev().map(|number: u32| number.to_string()).collect();
    assert_eq!(before, expected);
    let one = server.get(&format!("/api/v1/events/{}", Uuid::from_u128(77)), &tenant.secret_key).await.json();

    server.app.flush.run().await.expect("a flush");
    assert_eq!(files(&server).await, [0]);
    assert_eq!(listed(&server, &tenant).await, before);
    send(&server, &tenant, &[event(50)]).await;
    server.apply_events().await;
    server.app.flush.run().await.expect("a flush");
    let kept = server.app.inbox.waiting(0, Offset::START).await.expect("a number");
    assert_eq!(kept, 1, "the inbox has forgotten the events that are in files");
    assert_eq!(listed(&server, &tenant).await.len(), 51);
    let again = server.get(&format!("/api/v1/events/{}", Uuid::from_u128(77)), &tenant.secret_key).await.json();
    assert_eq!(again, one);

    let server = server.restart().await;
    assert_eq!(counted(&server, &tenant).await, (51, 51));
    // What was sent before is known although the inbox has it no more.
    let same = request("POST", "/api/v1/events", &tenant.secret_key).header("content-type", "application/json");
    let same = server.send(same.body(Body::from(events[3].to_string())).expect("a request")).await;
    let mut first = one;
    first.as_object_mut().expect("an object").remove("receipt");
    assert_eq!((same.status, same.json()), (StatusCode::OK, first));
}

#[tokio::test]
async fn what_counts_for_nothing_is_in_no_answer() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let mut named = event(1);
    named["event_id"] = json!(Uuid::from_u128(77));
    let mut unknown = event(2);
    unknown["category"] = json!("gallery");
    unknown["data"] = json!({"gallery_id": Uuid::from_u128(1), "image_id": Uuid::from_u128(2)});
    send(&server, &tenant, &[named.clone(), unknown, event(3)]).await;
    let server = server.restart().await;
    // This process did not see the first of them, so that both are in the inbox.
    let Ok(known) = serde_json::to_vec(&named) else { panic!("JSON") };
    let envelope = eyeline_core::Envelope::parse(&known, server.app.clock.now()).expect("an envelope");
    let (application_id, project_id) =
        (tenant.application_id.parse().expect("an id"), tenant.project_id.parse().expect("an id"));
    let sender = eyeline::flow::event::collect::Sender { application_id, project_id };
    server.app.collector.collect(sender, vec![envelope]).await.expect("receipts");
    server.apply_events().await;
    for _ in 0..2 {
        assert_eq!(counted(&server, &tenant).await, (2, 2));
        assert_eq!(listed(&server, &tenant).await, ["3", "1"]);
        server.app.flush.run().await.expect("a flush");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_events_come_in_and_are_written_to_files_no_answer_misses_one_or_has_one_twice() {
    const BATCHES: u128 = 60;
    const OF_A_BATCH: u128 = 50;
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let ingest = tokio::spawn(workers::ingest::run(server.app.ingest.clone(), server.app.stop.clone()));
    let (app, stop) = (server.app.clone(), server.app.stop.clone());
    let flushing = tokio::spawn(async move {
        while !stop.is_cancelled() {
            app.flush.run().await.expect("a flush");
            while app.compact.step().await.expect("a merge") {}
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    });
    let sending = async {
        for batch in 0..BATCHES {
            let events: Vec<Value> = (0..OF_A_BATCH).map(|number| event(batch * OF_A_BATCH + number)).collect();
            send(&server, &tenant, &events).await;
            // Files are merged once their hour is over: each batch is an hour later than the one before.
            let clock = &server.app.clock;
            clock.set_offset(HOUR * i64::try_from(batch + 1).expect("a number"));
        }
        server.app.ingest.caught_up().await.expect("applied");
    };
    let asking = async {
        let mut last = 0;
        loop {
            server.app.ingest.caught_up().await.expect("applied");
            let (count, sessions) = counted(&server, &tenant).await;
            // Each event has a session of its own: one that was met twice would count twice, but be one session.
            assert_eq!(count, sessions);
            assert!(count >= last && count % 50 == 0, "{count} after {last}");
            last = count;
            if u128::from(count) == BATCHES * OF_A_BATCH {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), async { tokio::join!(sending, asking) }).await.expect("an end");
    let everything = listed(&server, &tenant).await;
    let expected: Vec<String> = (0..BATCHES * OF_A_BATCH).rev().map(|number| number.to_string()).collect();
    assert_eq!(everything, expected);
    server.app.stop.cancel();
    flushing.await.expect("no panic");
    ingest.await.expect("no panic").expect("a clean stop");
    assert!(files(&server).await.len() < usize::try_from(BATCHES).expect("a number"), "files were merged");
}

#[tokio::test]
async fn hours_and_days_become_one_file_each_and_the_replaced_files_go() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let to_midnight = 24 * HOUR - server.app.clock.now().micros().rem_euclid(24 * HOUR);
    for hour in 0..3 {
        for part in 0..4 {
            server.app.clock.set_offset(to_midnight + hour * HOUR + HOUR / 2);
            send(&server, &tenant, &[event((hour * 4 + part) as u128)]).await;
            server.apply_events().await;
            server.app.flush.run().await.expect("a flush");
        }
    }
    let merge = async || while server.app.compact.step().await.expect("a merge") {};
    merge().await;
    assert_eq!(files(&server).await, [1, 1, 0, 0, 0, 0], "the last hour is not over");
    let replaced: Vec<ObjectKey> =
        server.app.catalog.manifest().await.expect("a manifest").files.into_iter().map(|file| file.key).collect();
    server.app.clock.set_offset(to_midnight + 25 * HOUR);
    merge().await;
    assert_eq!(files(&server).await, [2]);
    assert_eq!(counted(&server, &tenant).await, (12, 12));
    assert_eq!(listed(&server, &tenant).await.len(), 12);
    assert!(server.app.objects.head(&replaced[0]).await.expect("an answer").is_some(), "somebody may still read it");
}

#[tokio::test]
async fn a_question_of_one_project_never_meets_anothers_events() {
    let server = Server::start().await;
    let (tenant, stranger) = (server.tenant("shop").await, server.tenant("stranger").await);
    send(&server, &tenant, &[event(1), event(2)]).await;
    send(&server, &stranger, &[event(3)]).await;
    server.apply_events().await;
    for _ in 0..2 {
        assert_eq!(counted(&server, &tenant).await, (2, 2));
        assert_eq!(counted(&server, &stranger).await, (1, 1));
        let path = format!("/api/v1/analytics/counts?project_id={}", tenant.project_id);
        assert_eq!(server.get(&path, &stranger.secret_key).await.status, StatusCode::NOT_FOUND);
        assert_eq!(server.get(&path, ADMIN_KEY).await.json()["rows"][0]["count"], 2);
        server.app.flush.run().await.expect("a flush");
    }
    let project_id = tenant.project_id.parse().expect("an id");
    let wanted = Filter::of(project_id);
    let asked = server.app.usage.ask(&wanted, Weight::Question, move |files, snapshot, budget| {
        counts(files, snapshot, &Filter::of(project_id), &CountQuestion::default(), budget)
    });
    assert_eq!(asked.await.expect("an answer").answer[0].count, 2);
}

#[tokio::test]
async fn what_a_session_did_is_hidden_at_once_and_then_erased_with_a_receipt() {
    let server = Server::start().await;
    let (tenant, stranger) = (server.tenant("shop").await, server.tenant("stranger").await);
    let mut named = event(1);
    named["event_id"] = json!(Uuid::from_u128(77));
    let mut unknown = event(1);
    unknown["category"] = json!("gallery");
    unknown["data"] = json!({"gallery_id": Uuid::from_u128(1), "image_id": Uuid::from_u128(2)});
    send(&server, &tenant, &[named, event(2)]).await;
    send(&server, &stranger, &[event(1)]).await;
    server.apply_events().await;
    server.app.flush.run().await.expect("a flush");
    send(&server, &tenant, &[event(1), event(3), unknown]).await;

    let path = format!("/api/v1/projects/{}/erasures", tenant.project_id);
    let body = json!({"session_id": Uuid::from_u128(1)});
    assert_eq!(server.post(&path, &tenant.secret_key, &body).await.status, StatusCode::FORBIDDEN);
    assert_eq!(server.post(&path, ADMIN_KEY, &json!({})).await.status, StatusCode::BAD_REQUEST);
    let requested = server.post(&path, ADMIN_KEY, &body).await;
    assert_eq!(requested.status, StatusCode::ACCEPTED, "{requested:?}");
    let receipt = format!("{path}/{}", text(&requested.json(), "erasure_id"));
    assert_eq!(text(&server.get(&receipt, ADMIN_KEY).await.json(), "state"), "hidden");

    let of_the_event = format!("/api/v1/events/{}", Uuid::from_u128(77));
    let gone = async || {
        assert_eq!(counted(&server, &tenant).await, (2, 2));
        assert_eq!(listed(&server, &tenant).await, ["3", "2"]);
        assert_eq!(counted(&server, &stranger).await, (1, 1), "another project's session of the same name");
        assert_eq!(server.get(&of_the_event, &tenant.secret_key).await.status, StatusCode::NOT_FOUND);
    };
    server.apply_events().await;
    gone().await;
    server.app.erase.step().await.expect("a step");
    assert_eq!(
        text(&server.get(&receipt, ADMIN_KEY).await.json(), "state"),
        "hidden",
        "some events are in no file yet"
    );
    server.app.flush.run().await.expect("a flush");
    server.app.erase.step().await.expect("a step");
    gone().await;
    let receipt = server.get(&receipt, ADMIN_KEY).await.json();
    assert_eq!((text(&receipt, "state").as_str(), &receipt["events"]), ("done", &json!(3)), "{receipt}");
    assert_eq!(server.get(&path, ADMIN_KEY).await.json()["erasures"], json!([receipt]));
    let manifest = server.app.catalog.manifest().await.expect("a manifest");
    assert_eq!(manifest.files.iter().map(|file| file.rows).sum::<u64>(), 3);
    assert!(manifest.hidden.is_empty());

    // What the session does from now on is new.
    server.app.clock.set_offset(HOUR);
    send(&server, &tenant, &[event(1)]).await;
    server.apply_events().await;
    assert_eq!(counted(&server, &tenant).await, (3, 3));
}
