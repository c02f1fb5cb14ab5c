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
async fn a_preflight_allows_the_headers_that_it_asks_for_within_a_bound() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let allowed = async |origin: &str, asked: &[&str]| {
        let path = format!("/api/v1/events?application={}", tenant.application_id);
        let mut sent = request("OPTIONS", &path, "").header("origin", origin);
        sent = sent.header("access-control-request-method", "POST");
        for line in asked {
            sent = sent.header("access-control-request-headers", *line);
        }
        server.send(sent.body(Body::empty()).expect("a request")).await
    };
    let tools = "content-encoding,x-requested-with,cache-control,baggage,sentry-trace,traceparent";
    let usual = allowed(SHOP, &[]).await.header("access-control-allow-headers").to_owned();
    let (spaced, many, long) = (tools.replace(',', ", "), vec!["x"; 101].join(","), vec!["x".repeat(99); 42].join(","));
    let cases: [(&[&str], &str); 7] = [
        (&[tools], &spaced),
        (&["X-Mine , Content-Type", "pragma"], "x-mine, content-type, pragma"),
        (&[""], &usual),
        (&["x-mine, a b"], &usual),
        (&["x-mine, (x)"], &usual),
        (&[&many], &usual),
        (&[&long], &usual),
    ];
    for (asked, expected) in cases {
        let answer = allowed(SHOP, asked).await;
        assert_eq!((answer.status, answer.header("access-control-allow-headers")), (StatusCode::NO_CONTENT, expected));
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
    }
    let most = vec!["x"; 100].join(",");
    assert_eq!(allowed(SHOP, &[&most]).await.header("access-control-allow-headers").len(), 298);
    let refused = allowed("https://other.example", &[tools]).await;
    assert_eq!((refused.status, refused.header("access-control-allow-headers")), (StatusCode::FORBIDDEN, ""));
    assert_eq!(refused.header("access-control-allow-credentials"), "");
}

#[tokio::test]
async fn a_beacon_arrives_as_json_with_a_cookie_and_as_text_without_a_preflight() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let event = json!({"session_id": uuid::Uuid::from_u128(7), "category": "page", "name": "left", "data": {},
                       "timestamp": "2021-01-01 09:15:27"});
    let path = format!("/api/v1/events/batch?application={}", tenant.application_id);
    for kind in ["application/json", "text/plain;charset=UTF-8"] {
        let sent = request("POST", &path, "")
            .header("origin", SHOP)
            .header("cookie", "eyeline_session=forged; other=1")
            .header("sec-fetch-site", "cross-site")
            .header("content-type", kind);
        let answer = server.send(sent.body(Body::from(json!([event]).to_string())).expect("a request")).await;
        assert_eq!((answer.status, &answer.json()["accepted"]), (StatusCode::OK, &json!(1)), "{kind}");
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
    }
    // Any page may use a file's link, which needs no credential.
    let answer = preflight(&server, "/api/v1/incoming/x", "https://other.example").await;
    assert_eq!((answer.status, answer.header("access-control-allow-credentials")), (StatusCode::NO_CONTENT, ""));
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
        // A beacon always sends credentials.
        let credentials = if readable.is_empty() { "" } else { "true" };
        assert_eq!(answer.header("access-control-allow-credentials"), credentials);
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
