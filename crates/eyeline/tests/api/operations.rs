use axum::body::Body;
use http::StatusCode;

use crate::support::{Server, request};

#[tokio::test]
async fn a_server_that_serves_is_alive_and_ready_until_it_is_asked_to_stop() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz", "").await.json()["status"], "ok");
    let ready = server.get("/readyz", "").await;
    assert_eq!(ready.status, StatusCode::OK);
    assert_eq!(ready.json()["engines"][0]["name"], "catalog");
    server.app.stop.cancel();
    assert_eq!(server.get("/readyz", "").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.get("/healthz", "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_done_that_way_are_problems_with_the_id_of_the_request() {
    let server = Server::start().await;
    let missing = server.get("/api/v1/nothing", "").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.header("content-type"), "application/problem+json");
    let problem = missing.json();
    assert_eq!(problem["status"], 404);
    assert_eq!(problem["title"], "Not Found");
    assert_eq!(problem["request_id"], missing.header("x-request-id"));

    let wrong = server.delete("/healthz", "").await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.header("allow"), "GET,HEAD");
    assert_eq!(wrong.json()["status"], 405);
}

#[tokio::test]
async fn a_request_keeps_the_id_it_came_with_unless_that_is_no_sane_one() {
    let server = Server::start().await;
    let sent =
        |id: &str| request("GET", "/healthz", "").header("x-request-id", id).body(Body::empty()).expect("a request");
    assert_eq!(server.send(sent("mine-1")).await.header("x-request-id"), "mine-1");
    let long = "x".repeat(200);
    assert_eq!(server.send(sent(&long)).await.header("x-request-id").len(), 36);
}

#[tokio::test]
async fn a_slash_at_the_end_changes_nothing() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz/", "").await.status, StatusCode::OK);
}
