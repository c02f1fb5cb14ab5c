use axum::body::Body;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Answer, Server, request};

const SESSION: &str = "/api/v1/session";

async fn sign_in(server: &Server, body: &Value) -> Answer {
    server.post(SESSION, "", body).await
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().expect("a cookie").to_owned()
}

/// Sends the cookie, with the other headers of a browser.
async fn with_cookie(server: &Server, method: &str, path: &str, cookie: &str, headers: &[(&str, &str)]) -> Answer {
    let sent = headers
        .iter()
        .fold(request(method, path, "").header("cookie", cookie), |sent, (name, value)| sent.header(*name, *value));
    server.send(sent.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn the_admin_key_signs_a_browser_in_and_its_cookie_stands_for_it() {
    let server = Server::start().await;
    assert_eq!(server.get(SESSION, "").await.json()["signed_in"], false);
    assert_eq!(server.get(SESSION, "").await.json()["public_url"], server.app.settings.public_url());
    let answer = sign_in(&server, &json!({"admin_key": ADMIN_KEY})).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let set = answer.header("set-cookie");
    assert!(set.contains("; HttpOnly") && set.contains("; SameSite=Strict"), "{set}");
    let cookie = cookie(&answer);
    assert_eq!(with_cookie(&server, "GET", SESSION, &cookie, &[]).await.json()["signed_in"], true);
    assert_eq!(with_cookie(&server, "GET", "/api/v1/projects", &cookie, &[]).await.status, StatusCode::OK);

    let out = server.delete(SESSION, "").await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
}

#[tokio::test]
async fn signing_out_ends_the_session_of_this_browser_alone() {
    let mut server = Server::start().await;
    let mut cookies = Vec::new();
    for _ in 0..2 {
        cookies.push(cookie(&sign_in(&server, &json!({"admin_key": ADMIN_KEY})).await));
    }
    let elsewhere = [("origin", "https://evil.example")];
    assert_eq!(with_cookie(&server, "DELETE", SESSION, &cookies[0], &elsewhere).await.status, StatusCode::NO_CONTENT);
    for cookie in &cookies {
        assert_eq!(with_cookie(&server, "GET", SESSION, cookie, &[]).await.json()["signed_in"], true);
    }
    with_cookie(&server, "DELETE", SESSION, &cookies[0], &[]).await;
    for is_restarted in [false, true] {
        if is_restarted {
            server = server.restart().await;
        }
        assert_eq!(with_cookie(&server, "GET", SESSION, &cookies[0], &[]).await.json()["signed_in"], false);
        let refused = with_cookie(&server, "GET", "/api/v1/projects", &cookies[0], &[]).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
        assert_eq!(with_cookie(&server, "GET", SESSION, &cookies[1], &[]).await.json()["signed_in"], true);
    }
}

#[tokio::test]
async fn a_ticket_signs_in_once() {
    let server = Server::start().await;
    let ticket = eyeline::api::session::new_link(&server.app).await.expect("a link").ticket;
    assert_eq!(sign_in(&server, &json!({"ticket": ticket})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(sign_in(&server, &json!({"ticket": ticket})).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_link_stays_valid_when_others_are_created_up_to_ten() {
    let server = Server::start().await;
    let mut tickets = vec![eyeline::api::session::new_link(&server.app).await.expect("a link").ticket];
    while tickets.len() < 11 {
        let answer = server.post("/api/v1/session/links", ADMIN_KEY, &json!({})).await;
        tickets.push(answer.json()["ticket"].as_str().expect("a ticket").to_owned());
    }
    let mut ended = Vec::new();
    for (at, ticket) in tickets.iter().enumerate() {
        if sign_in(&server, &json!({"ticket": ticket})).await.status == StatusCode::UNAUTHORIZED {
            ended.push(at);
        }
    }
    assert_eq!(ended, [0], "the eleventh ends the oldest alone");
}

#[tokio::test]
async fn the_admin_key_alone_creates_a_sign_in_link_and_the_link_works_once() {
    let server = Server::start().await;
    let path = "/api/v1/session/links";
    assert_eq!(server.post(path, "", &json!({})).await.status, StatusCode::UNAUTHORIZED);
    let answer = server.post(path, ADMIN_KEY, &json!({})).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let link = answer.json();
    let ticket = link["ticket"].as_str().expect("a ticket");
    assert_eq!(link["url"], format!("{}/#ticket={ticket}", server.app.settings.public_url()));
    assert_eq!(sign_in(&server, &json!({"ticket": ticket})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(sign_in(&server, &json!({"ticket": ticket})).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_is_neither_ticket_nor_key_is_refused() {
    let server = Server::start().await;
    assert_eq!(sign_in(&server, &json!({})).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(sign_in(&server, &json!({"admin_key": "eyl_admin_wrong"})).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&server, &json!({"ticket": "wrong"})).await.status, StatusCode::UNAUTHORIZED);
    let forged = with_cookie(&server, "GET", SESSION, "eyeline_session=bm90.bm90", &[]).await;
    assert_eq!(forged.json()["signed_in"], false);
}

#[tokio::test]
async fn the_cookie_counts_for_pages_of_this_server_alone() {
    let server = Server::start().await;
    let cookie = cookie(&sign_in(&server, &json!({"admin_key": ADMIN_KEY})).await);
    let ours = [("host", "localhost:8009"), ("origin", "http://localhost:8009"), ("sec-fetch-site", "same-origin")];
    let path = "/api/v1/projects";
    assert_eq!(with_cookie(&server, "GET", path, &cookie, &ours).await.status, StatusCode::OK);
    let behind_a_proxy = [("host", "eyeline.example"), ("origin", "https://eyeline.example")];
    assert_eq!(with_cookie(&server, "GET", path, &cookie, &behind_a_proxy).await.status, StatusCode::OK);
    for foreign in [
        [("host", "localhost:8009"), ("origin", "http://localhost:3000")],
        [("host", "localhost:8009"), ("origin", "null")],
        [("host", "localhost:8009"), ("sec-fetch-site", "same-site")],
        [("host", "localhost:8009"), ("sec-fetch-site", "cross-site")],
    ] {
        let answer = with_cookie(&server, "GET", path, &cookie, &foreign).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{foreign:?}");
    }
}
