use axum::body::Body;
use http::StatusCode;
use serde_json::json;

use crate::support::{Answer, Server, request};

const SHOP: &str = "https://shop.example";

async fn preflight(server: &Server, path: &str, origin: &str) -> Answer {
    let sent = request("OPTIONS", path, "").header("origin", origin).header("access-control-request-method", "POST");
    server.send(sent.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn a_preflight_passes_from_an_origin_that_any_application_lists() {
    let server = Server::start().await;
    server.tenant("shop").await;
    let allowed = preflight(&server, "/api/v1/events", SHOP).await;
    assert_eq!(allowed.status, StatusCode::NO_CONTENT);
    assert_eq!(allowed.header("access-control-allow-origin"), SHOP);
    assert!(allowed.header("access-control-allow-headers").contains("application"));
    let refused = preflight(&server, "/api/v1/events", "https://other.example").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_preflight_that_names_an_application_is_held_to_its_list() {
    let server = Server::start().await;
    let (shop, other) = (server.tenant("shop").await, server.tenant("other").await);
    let path = format!("/api/v1/applications/{}", other.application_id);
    server.write("PATCH", &path, &other.secret_key, &json!({"allowed_origins": []})).await;
    for (tenant, status) in [(&shop, StatusCode::NO_CONTENT), (&other, StatusCode::FORBIDDEN)] {
        let path = format!("/api/v1/events?application={}", tenant.application_id);
        assert_eq!(preflight(&server, &path, SHOP).await.status, status);
    }
}

#[tokio::test]
async fn an_answer_can_be_read_from_the_applications_origins_only() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    for (origin, readable) in [(SHOP, SHOP), ("https://other.example", ""), ("null", "")] {
        let sent = request("GET", "/api/v1/projects", "")
            .header("origin", origin)
            .header("application", &tenant.application_id)
            .body(Body::empty())
            .expect("a request");
        let answer = server.send(sent).await;
        assert_eq!(answer.header("access-control-allow-origin"), readable, "{origin}");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        assert!(answer.headers.get_all("vary").iter().any(|value| value == "origin"));
    }
}

#[tokio::test]
async fn an_origin_that_is_taken_off_the_list_is_out_at_once() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    assert_eq!(preflight(&server, "/api/v1/events", SHOP).await.status, StatusCode::NO_CONTENT);
    let path = format!("/api/v1/applications/{}", tenant.application_id);
    server.write("PATCH", &path, &tenant.secret_key, &json!({"allowed_origins": []})).await;
    assert_eq!(preflight(&server, "/api/v1/events", SHOP).await.status, StatusCode::FORBIDDEN);
}
