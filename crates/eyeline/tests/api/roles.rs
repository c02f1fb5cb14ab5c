//! Processes with a part of the roles.

use eyeline::settings::{Role, Roles};
use http::StatusCode;
use serde_json::json;

use crate::support::{ADMIN_KEY, Server};

#[tokio::test]
async fn a_process_without_the_role_api_answers_its_operator_alone() {
    for role in [Role::Worker, Role::Ingest] {
        let server = Server::start_with(|settings| settings.roles = Roles::of(&[role])).await;
        assert_eq!(server.get("/healthz", "").await.status, StatusCode::OK);
        let ready = server.get("/readyz", "").await;
        assert_eq!((ready.status, &ready.json()["roles"]), (StatusCode::OK, &json!([role.as_str()])), "{ready:?}");
        let metrics = server.get("/metrics", ADMIN_KEY).await;
        assert_eq!(metrics.status, StatusCode::OK, "{metrics:?}");
        let metrics = String::from_utf8(metrics.body).expect("text");
        assert!(metrics.contains("eyeline_engine_up{engine=\"inbox\"} 1"), "{metrics}");

        for path in ["/api/v1/projects", "/api/v1/galleries?no=such"] {
            let elsewhere = server.get(path, ADMIN_KEY).await;
            assert_eq!(elsewhere.status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {elsewhere:?}");
            assert_eq!(elsewhere.header("retry-after"), "1");
            assert_eq!(elsewhere.header("content-type"), "application/problem+json");
            assert!(elsewhere.json()["detail"].as_str().is_some_and(|detail| detail.contains("role api")));
        }
    }
}

#[tokio::test]
async fn a_process_with_the_role_api_serves_as_ever() {
    let server = Server::start_with(|settings| settings.roles = Roles::of(&[Role::Api])).await;
    assert_eq!(server.get("/api/v1/projects", ADMIN_KEY).await.status, StatusCode::OK);
    assert_eq!(server.get("/readyz", "").await.json()["roles"], json!(["api"]));
}

#[tokio::test]
async fn a_process_that_drains_is_not_ready_and_still_answers() {
    let server = Server::start().await;
    server.app.draining.cancel();
    let ready = server.get("/readyz", "").await;
    assert_eq!((ready.status, &ready.json()["stopping"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(true)));
    assert_eq!(server.get("/api/v1/projects", ADMIN_KEY).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_process_beside_others_has_a_new_name_at_each_start_and_a_single_one_keeps_its_own() {
    for (roles, keeps) in [(Roles::default(), true), (Roles::of(&[Role::Api]), false)] {
        let server = Server::start_with(|settings| settings.roles = roles.clone()).await;
        let name = server.app.node.clone();
        let server = server.restart_with(|settings| settings.roles = roles).await;
        assert_eq!(server.app.node == name, keeps, "{name} and {}", server.app.node);
    }
}
