use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::extract::ConnectInfo;
use eyeline::settings::MetricsOpen;
use eyeline_sandbox::{Confinement, Enforcement, landlock_of_this_machine};
use http::StatusCode;
use serde_json::json;

use crate::support::{ADMIN_KEY, Answer, Server, request};

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

async fn metrics(server: &Server, peer: &str, forwarded_for: Option<&str>, key: &str) -> Answer {
    let mut sent = request("GET", "/metrics", key);
    if let Some(address) = forwarded_for {
        sent = sent.header("x-forwarded-for", address);
    }
    let mut sent = sent.body(Body::empty()).expect("a request");
    let peer: SocketAddr = peer.parse().expect("an address");
    sent.extensions_mut().insert(ConnectInfo(peer));
    server.send(sent).await
}

#[tokio::test]
async fn metrics_are_for_the_admin() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    for peer in ["127.0.0.1:5000", "192.0.2.1:5000"] {
        assert_eq!(metrics(&server, peer, None, "").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(metrics(&server, peer, None, &tenant.secret_key).await.status, StatusCode::FORBIDDEN);
        assert_eq!(metrics(&server, peer, None, ADMIN_KEY).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn metrics_may_be_opened_to_this_machine() {
    let server = Server::start_with(|settings| settings.metrics_open = MetricsOpen::Loopback).await;
    let tenant = server.tenant("shop").await;
    let local = metrics(&server, "127.0.0.1:5000", None, "").await;
    assert_eq!(local.status, StatusCode::OK);
    assert!(local.header("content-type").starts_with("text/plain"));
    let text = String::from_utf8(local.body).expect("text");
    assert!(text.contains("eyeline_http_requests_total{status=\"2xx\"} 2\n"), "{text}");
    assert!(text.contains("eyeline_http_request_duration_seconds_count 2\n"), "{text}");
    assert!(text.contains("eyeline_engine_up{engine=\"catalog\"} 1\n"), "{text}");

    assert_eq!(metrics(&server, "192.0.2.1:5000", None, "").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(metrics(&server, "192.0.2.1:5000", None, &tenant.secret_key).await.status, StatusCode::FORBIDDEN);
    assert_eq!(metrics(&server, "192.0.2.1:5000", None, ADMIN_KEY).await.status, StatusCode::OK);
    // A proxy on this machine forwards a request of another client.
    let proxied = metrics(&server, "127.0.0.1:5000", Some("192.0.2.1"), "").await;
    assert_eq!(proxied.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_test_clock_is_set_by_the_admin_and_shows_in_stamps() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let then = json!({"now": "2031-05-01 12:00:00"});
    let path = "/api/v1/test/clock";
    assert_eq!(server.post(path, &tenant.secret_key, &then).await.status, StatusCode::FORBIDDEN);
    assert_eq!(server.post(path, ADMIN_KEY, &json!({})).await.status, StatusCode::BAD_REQUEST);
    let set = server.post(path, ADMIN_KEY, &then).await;
    assert_eq!(set.status, StatusCode::OK);
    assert!(set.json()["now"].as_str().is_some_and(|now| now.starts_with("2031-05-01T12:00:0")));
    let project = server.post("/api/v1/projects", ADMIN_KEY, &json!({"name": "later"})).await.json();
    assert!(project["created_at"].as_str().is_some_and(|at| at.starts_with("2031-05-01T12:00")), "{project}");
    let offset = server.app.catalog.clock_offset().await.expect("an offset");
    assert_eq!(offset, server.app.clock.offset());
}

#[tokio::test]
async fn workers_are_kept_from_files_and_calls_as_far_as_the_kernel_can() {
    let server = Server::start().await;
    server.app.makers.warm_up().expect("an image worker");
    server.app.sql_workers.try_out().expect("an SQL worker");
    let expected = Confinement { landlock: landlock_of_this_machine(), seccomp: Enforcement::Full };
    for walls in [server.app.makers.walls(), server.app.sql_workers.walls()] {
        assert_eq!(walls.confinement(), Some(expected), "{}", walls.kind().name);
    }
}

/// A program that greets as a worker without any wall does, and then ends.
fn unconfined_worker(folder: &Path) -> PathBuf {
    let hello = r#"{"confinement":{"landlock":"none","seccomp":"none"},"heif":{"version":null,"trouble":null,"heic":false,"avif":false}}"#;
    let length = u32::try_from(hello.len()).expect("a length").to_le_bytes();
    let bytes: String = [&length, hello.as_bytes()].concat().iter().map(|byte| format!("\\{byte:03o}")).collect();
    let path = folder.join("worker");
    fs::write(&path, format!("#!/bin/sh\nprintf '{bytes}' >&0\n")).expect("a program");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
    path
}

#[tokio::test]
async fn without_seccomp_no_worker_gets_work_unless_that_is_allowed_and_both_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = unconfined_worker(folder.path());
    for (allowed, ready, told) in
        [(false, StatusCode::SERVICE_UNAVAILABLE, "troubles"), (true, StatusCode::OK, "warnings")]
    {
        let server = Server::start_with_workers(&program, |settings| settings.allow_unconfined = allowed).await;
        let tenant = server.tenant("shop").await;
        let asked =
            server.post("/api/v1/analytics/sql", &tenant.secret_key, &json!({"query": "SELECT 1 AS one"})).await;
        assert_eq!(asked.status, StatusCode::SERVICE_UNAVAILABLE, "nobody computes an answer: {asked:?}");
        assert_eq!(server.app.makers.warm_up().is_ok(), allowed);
        assert_eq!(server.app.sql_workers.try_out().is_ok(), allowed);
        let readiness = server.get("/readyz", "").await;
        assert_eq!(readiness.status, ready, "{readiness:?}");
        let sentences: Vec<String> = readiness.json()[told]
            .as_array()
            .expect("a list")
            .iter()
            .map(|told| told.as_str().expect("a sentence").to_owned())
            .collect();
        for what in ["Photos", "Questions in SQL"] {
            let is_told =
                |sentence: &String| sentence.starts_with(what) && sentence.contains("EYELINE_ALLOW_UNCONFINED");
            assert_eq!(sentences.iter().filter(|sentence| is_told(sentence)).count(), 1, "{sentences:?}");
        }
        let metrics = String::from_utf8(server.get("/metrics", ADMIN_KEY).await.body).expect("text");
        for worker in ["worker", "sql_worker"] {
            for wall in ["landlock", "seccomp"] {
                let line = format!("eyeline_{worker}_confined{{wall=\"{wall}\"}} 0\n");
                assert!(metrics.contains(&line), "{line} in {metrics}");
            }
        }
    }
}
