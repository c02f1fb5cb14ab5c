use http::StatusCode;
use serde_json::json;

use crate::support::{ADMIN_KEY, Server, text};

#[tokio::test]
async fn an_applications_secrets_are_shown_once() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    assert!(tenant.secret_key.starts_with("eyl_sk_") && tenant.signing_secret.starts_with("eyl_ss_"));
    let path = format!("/api/v1/applications/{}", tenant.application_id);
    let read = server.get(&path, &tenant.secret_key).await.json();
    assert!(read.get("secret_key").is_none() && read.get("signing_secret").is_none(), "{read}");
    let listed = server.get("/api/v1/applications", &tenant.secret_key).await;
    let body = String::from_utf8(listed.body.clone()).expect("text");
    assert!(!body.contains("eyl_s"), "{body}");
    assert_eq!(listed.json()["applications"][0], read);
}

#[tokio::test]
async fn everything_wrong_with_a_new_application_is_told_at_once() {
    let server = Server::start().await;
    let body = json!({"allowed_origins": ["https://shop.example", "shop.example", 7]});
    let refused = server.post("/api/v1/applications", ADMIN_KEY, &body).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let errors = refused.json()["errors"].clone();
    let mut fields: Vec<&str> = errors.as_object().expect("errors").keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["allowed_origins.1", "allowed_origins.2", "name", "project_id"]);
}

#[tokio::test]
async fn an_application_needs_a_project_that_is_there() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let body = json!({"project_id": "01890000-0000-7000-8000-000000000000", "name": "x"});
    assert_eq!(server.post("/api/v1/applications", ADMIN_KEY, &body).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.post("/api/v1/applications", &tenant.secret_key, &body).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn origins_are_replaced_as_a_whole() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let path = format!("/api/v1/applications/{}", tenant.application_id);
    let body = json!({"allowed_origins": ["https://b.example/", "https://a.example", "https://b.example"]});
    let changed = server.write("PATCH", &path, &tenant.secret_key, &body).await.json();
    assert_eq!(changed["allowed_origins"], json!(["https://a.example", "https://b.example"]));
    let none = server.write("PATCH", &path, &tenant.secret_key, &json!({"allowed_origins": []})).await.json();
    assert_eq!(none["allowed_origins"], json!([]));
}

#[tokio::test]
async fn a_rotated_key_works_beside_the_new_one_until_its_time_is_over() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let path = format!("/api/v1/applications/{}", tenant.application_id);
    let rotated = server.post(&format!("{path}/rotate"), &tenant.secret_key, &json!({"overlap_seconds": 3600})).await;
    assert_eq!(rotated.status, StatusCode::CREATED);
    let renewed = text(&rotated.json(), "secret_key");
    assert_eq!(server.get(&path, &tenant.secret_key).await.status, StatusCode::OK);
    assert_eq!(server.get(&path, &renewed).await.status, StatusCode::OK);

    server.app.clock.set_offset(3_601_000_000);
    assert_eq!(server.get(&path, &tenant.secret_key).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.get(&path, &renewed).await.status, StatusCode::OK);

    // Without an overlap the older key ends immediately.
    let again = server.post(&format!("{path}/rotate"), &renewed, &json!({"overlap_seconds": 0})).await;
    assert_eq!(server.get(&path, &renewed).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.get(&path, &text(&again.json(), "secret_key")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_revoked_application_is_out_at_once() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let path = format!("/api/v1/applications/{}", tenant.application_id);
    assert_eq!(server.get(&path, &tenant.secret_key).await.status, StatusCode::OK);
    assert_eq!(server.delete(&path, ADMIN_KEY).await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get(&path, &tenant.secret_key).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(server.get(&path, ADMIN_KEY).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn another_projects_applications_do_not_exist() {
    let server = Server::start().await;
    let (own, other) = (server.tenant("own").await, server.tenant("other").await);
    let path = format!("/api/v1/applications/{}", other.application_id);
    for answer in [
        server.get(&path, &own.secret_key).await,
        server.write("PATCH", &path, &own.secret_key, &json!({"name": "taken"})).await,
        server.post(&format!("{path}/rotate"), &own.secret_key, &json!({})).await,
        server.delete(&path, &own.secret_key).await,
        server.get(&format!("/api/v1/applications?project_id={}", other.project_id), &own.secret_key).await,
    ] {
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
    }
    assert_eq!(server.get(&path, ADMIN_KEY).await.json()["name"], "other");
}
