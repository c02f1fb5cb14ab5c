use axum::body::Body;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Answer, Server, request};

async fn create(server: &Server, path: &str, credential: &str, key: &str, body: &Value) -> Answer {
    let sent = request("POST", path, credential)
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(Body::from(body.to_string()))
        .expect("a request");
    server.send(sent).await
}

const PROJECTS: &str = "/api/v1/projects";

#[tokio::test]
async fn the_same_write_under_the_same_key_is_done_once_and_answered_alike() {
    let server = Server::start().await;
    let body = json!({"name": "shop"});
    let first = create(&server, PROJECTS, ADMIN_KEY, "k", &body).await;
    let second = create(&server, PROJECTS, ADMIN_KEY, "k", &body).await;
    let slashed = create(&server, "/api/v1/projects/", ADMIN_KEY, "k", &body).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!((second.status, second.json()), (first.status, first.json()));
    assert_eq!(slashed.json(), first.json());
    assert_eq!(second.header("content-type"), "application/json");
    assert_eq!(count(&server).await, 1);
}

#[tokio::test]
async fn another_body_under_a_known_key_is_refused() {
    let server = Server::start().await;
    create(&server, PROJECTS, ADMIN_KEY, "k", &json!({"name": "shop"})).await;
    let other = create(&server, PROJECTS, ADMIN_KEY, "k", &json!({"name": "store"})).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(count(&server).await, 1);
}

#[tokio::test]
async fn a_write_that_was_refused_leaves_its_key_free() {
    let server = Server::start().await;
    let unknown = "01890000-0000-7000-8000-000000000000";
    let path = "/api/v1/applications";
    let refused = create(&server, path, ADMIN_KEY, "k", &json!({"project_id": unknown, "name": "x"})).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    let tenant = server.tenant("shop").await;
    let body = json!({"project_id": tenant.project_id, "name": "x"});
    assert_eq!(create(&server, path, ADMIN_KEY, "k", &body).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn the_answer_to_a_repetition_holds_no_secret() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let body = json!({"project_id": tenant.project_id, "name": "second"});
    let first = create(&server, "/api/v1/applications", &tenant.secret_key, "k", &body).await.json();
    let second = create(&server, "/api/v1/applications", &tenant.secret_key, "k", &body).await.json();
    assert_eq!(second["application_id"], first["application_id"]);
    assert!(first["secret_key"].is_string() && second.get("secret_key").is_none(), "{second}");
    assert_eq!(second["secret_shown"], true);
}

#[tokio::test]
async fn the_keys_of_two_clients_never_meet() {
    let server = Server::start().await;
    let (one, two) = (server.tenant("one").await, server.tenant("two").await);
    for tenant in [&one, &two] {
        let body = json!({"project_id": tenant.project_id, "name": "second"});
        let made = create(&server, "/api/v1/applications", &tenant.secret_key, "k", &body).await;
        assert_eq!(made.status, StatusCode::CREATED);
        assert_eq!(made.json()["project_id"], tenant.project_id.as_str());
    }
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let server = Server::start().await;
    let body = json!({"name": "shop"});
    create(&server, PROJECTS, ADMIN_KEY, "k", &body).await;
    server.app.clock.set_offset(24 * 3_600 * 1_000_000 + 1_000_000);
    create(&server, PROJECTS, ADMIN_KEY, "k", &body).await;
    assert_eq!(count(&server).await, 2);
}

#[tokio::test]
async fn a_key_that_no_one_could_type_is_refused() {
    let server = Server::start().await;
    let refused = create(&server, PROJECTS, ADMIN_KEY, &"x".repeat(256), &json!({"name": "shop"})).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.json()["errors"]["Idempotency-Key"].is_array());
}

#[tokio::test]
async fn repetitions_at_the_same_moment_are_done_once() {
    let server = Server::start().await;
    let body = json!({"name": "shop"});
    let answers = futures::future::join_all((0..8).map(|_| create(&server, PROJECTS, ADMIN_KEY, "k", &body))).await;
    assert!(answers.iter().all(|answer| answer.json() == answers[0].json()), "{answers:?}");
    assert_eq!(count(&server).await, 1);
}

async fn count(server: &Server) -> usize {
    server.get(PROJECTS, ADMIN_KEY).await.json()["projects"].as_array().map_or(0, Vec::len)
}
