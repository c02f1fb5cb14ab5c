//! Acceptance of events: accepted ones, refused ones, and that none counts twice.

use eyeline_e2e::api::send;
use eyeline_e2e::project::{gallery_event, row};
use eyeline_e2e::uploads::id;
use eyeline_e2e::{Project, Server, on_both_catalogs};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

on_both_catalogs!(
    an_event_sent_again_with_its_id_counts_once,
    an_event_sent_again_with_its_idempotency_key_counts_once,
    a_batch_takes_the_good_events_and_names_the_bad_ones,
    a_batch_is_taken_in_every_documented_form,
    a_batch_without_one_good_event_is_refused,
    all_that_is_wrong_with_an_event_is_said_at_once,
    an_event_is_read_again_and_never_changed,
    a_gallery_event_for_a_foreign_gallery_counts_nowhere,
    an_event_from_a_browser_needs_an_allowed_origin,
);

/// An event outside the category `gallery`.
fn page_view() -> Value {
    json!({
        "session_id": Uuid::new_v4(),
        "category": "page interaction",
        "name": "pageview",
        "data": {"path": "/"},
        "timestamp": "2024-06-01T12:00:00Z",
    })
}

/// A gallery with the images `a` and `b`.
async fn gallery(project: &Project) -> String {
    let gallery_id = project.gallery("counted").await;
    project.load(&gallery_id, &json!([row("a", 0), row("b", 1)])).await;
    gallery_id
}

/// Views and clicks of the image `a`, after every accepted event is counted.
async fn counted(project: &Project, gallery_id: &str) -> (u64, u64) {
    project.refresh(gallery_id).await;
    let page = project.key.get(&format!("/galleries/{gallery_id}/images")).await.expect(200).json();
    let items = page["items"].as_array().expect("items");
    let a = items.iter().find(|item| item["external_id"] == "a").expect("the image a");
    (a["views"].as_u64().expect("views"), a["clicks"].as_u64().expect("clicks"))
}

async fn an_event_sent_again_with_its_id_counts_once(server: Server) {
    let project = Project::create(&server, "again").await;
    let gallery_id = gallery(&project).await;
    let mut event = gallery_event("click", &gallery_id, "a");
    event["event_id"] = json!(Uuid::new_v4());
    let first = project.send_event(&event).await.expect(201).json();
    assert_eq!(first["event_id"], event["event_id"]);

    project.send_event(&event).await.expect(200);
    let mut other_body = event.clone();
    other_body["name"] = json!("view");
    let again = project.send_event(&other_body).await.expect(200).json();
    assert_eq!(again["event_id"], event["event_id"]);
    let batch = project.public.post("/events/batch", &json!([event, event])).await.expect(200).json();
    assert_eq!((&batch["accepted"], &batch["duplicates"]), (&json!(0), &json!(2)), "{batch}");
    assert_eq!(counted(&project, &gallery_id).await, (0, 1), "the first body wins");

    project.send_event(&event).await.expect(200);
    assert_eq!(counted(&project, &gallery_id).await, (0, 1), "after it was applied too");
}

async fn an_event_sent_again_with_its_idempotency_key_counts_once(server: Server) {
    let project = Project::create(&server, "key").await;
    let gallery_id = gallery(&project).await;
    let event = gallery_event("view", &gallery_id, "a");
    let request = || project.public.request(Method::POST, "/events").header("idempotency-key", "order-17").json(&event);
    let first = send(request()).await.expect(201).json();
    let second = send(request()).await.expect(200).json();
    assert_eq!(first["event_id"], second["event_id"]);
    let batch = || {
        project
            .public
            .request(Method::POST, "/events/batch")
            .header("idempotency-key", "b")
            .json(&json!([event, event]))
    };
    let first = send(batch()).await.expect(200).json();
    assert_eq!((&first["accepted"], &first["duplicates"]), (&json!(2), &json!(0)), "{first}");
    let second = send(batch()).await.expect(200).json();
    assert_eq!((&second["accepted"], &second["duplicates"]), (&json!(0), &json!(2)), "{second}");
    assert_eq!(counted(&project, &gallery_id).await, (3, 0));
}

async fn a_batch_takes_the_good_events_and_names_the_bad_ones(server: Server) {
    let project = Project::create(&server, "batch").await;
    let gallery_id = gallery(&project).await;
    let good = gallery_event("view", &gallery_id, "a");
    let mut twice = gallery_event("click", &gallery_id, "a");
    twice["event_id"] = json!(Uuid::new_v4());
    let batch = json!([good, {"category": "gallery"}, twice, twice, 17, page_view()]);
    let answer = project.public.post("/events/batch", &batch).await.expect(200).json();
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(3), &json!(1)), "{answer}");
    let rejected = answer["rejected"].as_array().expect("rejected");
    assert_eq!(rejected.iter().map(|one| one["index"].clone()).collect::<Vec<_>>(), [json!(1), json!(4)]);
    let missing: Vec<&String> = rejected[0]["errors"].as_object().expect("errors").keys().collect();
    assert_eq!(missing, ["data", "name", "session_id", "timestamp"]);
    assert_eq!(counted(&project, &gallery_id).await, (1, 1));
}

async fn a_batch_is_taken_in_every_documented_form(server: Server) {
    let project = Project::create(&server, "forms").await;
    let gallery_id = gallery(&project).await;
    let event = gallery_event("view", &gallery_id, "a");
    let array = json!([event, event]).to_string();
    let object = json!({"events": [event, event]}).to_string();
    let lines = format!("{event}\n{event}\n");
    let forms = [
        ("application/json", &array),
        ("application/json", &object),
        ("application/x-ndjson", &lines),
        ("text/plain", &array),
    ];
    for (content_type, body) in forms {
        let answer = project.public.post_text("/events/batch", content_type, body.as_str()).await.expect(200).json();
        assert_eq!(answer["accepted"], 2, "{content_type} {body}: {answer}");
    }
    // Like the browser's beacon: no header of ours, and a type that needs no preflight.
    let beacon = format!("/events/batch?application={}", project.application_id);
    server.admin.without_credential().post_text(&beacon, "text/plain", array).await.expect(200);
    assert_eq!(counted(&project, &gallery_id).await, (10, 0));
}

async fn a_batch_without_one_good_event_is_refused(server: Server) {
    let project = Project::create(&server, "bad batch").await;
    let answer = project.public.post("/events/batch", &json!([{}, {"name": 5}])).await.expect(400).json();
    assert_eq!(answer["accepted"], 0, "{answer}");
    assert_eq!(answer["rejected"].as_array().map(Vec::len), Some(2), "{answer}");
    project.public.post_text("/events/batch", "application/json", "[{").await.expect_problem(400);
    let too_many: Vec<Value> = (0..10_001).map(|_| json!({})).collect();
    let answer = project.public.post("/events/batch", &json!(too_many)).await;
    assert!(matches!(answer.status, 400 | 413), "more than 10,000 events: {}", answer.status);
}

async fn all_that_is_wrong_with_an_event_is_said_at_once(server: Server) {
    let project = Project::create(&server, "wrong events").await;
    let wrong = json!({
        "session_id": "no uuid", "category": "", "name": 7, "data": [], "timestamp": "soon", "event_id": "no uuid",
    });
    let errors = project.send_event(&wrong).await.expect_problem(400);
    let fields: Vec<&String> = errors.as_object().expect("errors").keys().collect();
    assert_eq!(fields, ["category", "data", "event_id", "name", "session_id", "timestamp"], "{errors}");

    let mut future = page_view();
    future["timestamp"] = json!("2124-01-01T00:00:00Z");
    assert!(project.send_event(&future).await.expect_problem(400)["timestamp"].is_array());
    let mut null_byte = page_view();
    null_byte["name"] = json!("a\u{0}b");
    assert!(project.send_event(&null_byte).await.expect_problem(400)["name"].is_array());
    project.public.post_text("/events", "application/json", "{\"session_id\": ").await.expect_problem(400);
    project.public.post_text("/events", "application/xml", "<event/>").await.expect_problem(415);

    let shapeless = json!({
        "session_id": Uuid::new_v4(), "category": "gallery", "name": "view", "data": {"position": -1},
        "timestamp": "2024-06-01T12:00:00Z",
    });
    let errors = project.send_event(&shapeless).await.expect_problem(400);
    assert!(errors["data.gallery_id"].is_array(), "{errors}");
}

async fn an_event_is_read_again_and_never_changed(server: Server) {
    let project = Project::create(&server, "reading").await;
    let sent = page_view();
    let stored = project.send_event(&sent).await.expect(201).json();
    let path = format!("/events/{}", id(&stored, "event_id"));
    for body in [json!({}), sent.clone()] {
        project.key.put(&path, &body).await.expect_problem(405);
        project.key.patch(&path, &body).await.expect_problem(405);
    }
    project.key.delete(&path).await.expect_problem(405);
    project.key.delete("/events").await.expect_problem(405);
    let mut read = project.key.get(&path).await.expect(200).json();
    let receipt = read.as_object_mut().expect("an object").remove("receipt").expect("a receipt");
    assert!(["waiting", "counted"].contains(&receipt["status"].as_str().expect("a status")), "{receipt}");
    assert_eq!(read, stored);
    project.public.get(&path).await.expect_problem(403);

    let listed = project.key.get(&format!("/events?project_id={}", project.id)).await.expect(200).json();
    assert_eq!(listed["events"], json!([stored]));
    let session = id(&sent, "session_id");
    let of_session = format!("/events?project_id={}&session_id={session}", project.id);
    assert_eq!(project.key.get(&of_session).await.expect(200).json()["events"], json!([stored]));
    let of_nobody = format!("/events?project_id={}&session_id={}", project.id, Uuid::new_v4());
    assert_eq!(project.key.get(&of_nobody).await.expect(200).json()["events"], json!([]));
}

async fn a_gallery_event_for_a_foreign_gallery_counts_nowhere(server: Server) {
    let project = Project::create(&server, "owner").await;
    let gallery_id = gallery(&project).await;
    let stranger = Project::create(&server, "stranger").await;
    stranger.send_event(&gallery_event("click", &gallery_id, "a")).await.expect(201);
    project.send_event(&gallery_event("click", &gallery_id, "no such image")).await.expect(201);
    project.send_event(&gallery_event("view", &gallery_id, "a")).await.expect(201);
    assert_eq!(counted(&project, &gallery_id).await, (1, 0));
}

async fn an_event_from_a_browser_needs_an_allowed_origin(server: Server) {
    let project = Project::create_with(&server, json!({"name": "origins"}), json!(["https://shop.example"])).await;
    let from =
        |origin: &str| project.public.request(Method::POST, "/events").header("origin", origin).json(&page_view());
    let taken = send(from("https://shop.example")).await.expect(201);
    assert_eq!(taken.header("access-control-allow-origin"), "https://shop.example");
    send(from("https://elsewhere.example")).await.expect_problem(403);
    project.send_event(&page_view()).await.expect(201);
    let closed = Project::create(&server, "no browser").await;
    let request = closed.public.request(Method::POST, "/events").header("origin", "https://shop.example");
    send(request.json(&page_view())).await.expect_problem(403);

    let preflight = server.admin.without_credential().request(Method::OPTIONS, "/events");
    let preflight = preflight
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "application,content-type");
    let allowed = send(preflight).await;
    assert!(matches!(allowed.status, 200 | 204), "{allowed}");
    assert_eq!(allowed.header("access-control-allow-origin"), "https://shop.example");
}
