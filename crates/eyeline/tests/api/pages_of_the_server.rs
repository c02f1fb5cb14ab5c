use std::io::Read as _;

use axum::body::Body;
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{ADMIN_KEY, Server, request};

#[tokio::test]
async fn the_pages_and_every_file_they_name_are_served_without_a_credential() {
    let server = Server::start().await;
    for page in ["/", "/docs"] {
        let answer = server.get(page, "").await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
        let html = String::from_utf8(answer.body).expect("text");
        let named: Vec<&str> = html
            .split(['"', '\''])
            .filter(|text| ["/app/", "/assets/", "/dist/", "/vendor/"].iter().any(|folder| text.starts_with(folder)))
            .collect();
        assert!(!named.is_empty(), "{page} names its parts");
        for path in named {
            let part = server.get(path, "").await;
            assert_eq!(part.status, StatusCode::OK, "{path}");
            assert_eq!(part.header("x-content-type-options"), "nosniff");
            // A hashed name identifies its content; browsers revalidate the other names.
            let kept = if path.starts_with("/assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
            assert_eq!(part.header("cache-control"), kept, "{path}");
        }
    }
    assert_eq!(server.get("/app/docs.js", "").await.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(server.get("/app/docs.css", "").await.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(server.get("/app/icon.svg", "").await.header("content-type"), "image/svg+xml");
}

#[tokio::test]
async fn what_is_not_for_browsers_is_not_served() {
    let server = Server::start().await;
    for path in [
        "/app/none.js",
        "/assets/none.js",
        "/assets/../package.json",
        "/app/../package.json",
        "/app/..%2fpackage.json",
        "/package.json",
        "/test/page.test.js",
    ] {
        assert_eq!(server.get(path, "").await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_page_that_did_not_change_is_not_sent_again() {
    let server = Server::start().await;
    let tag = server.get("/", "").await.header("etag").to_owned();
    let again = request("GET", "/", "").header("if-none-match", &tag).body(Body::empty()).expect("a request");
    let again = server.send(again).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn scripts_for_pages_of_others_load_from_any_origin_and_are_kept_for_a_while() {
    let server = Server::start().await;
    for path in ["/eyeline.js", "/eyeline-gallery.js"] {
        let sent = request("GET", path, "").header("origin", "https://nobody-knows.example");
        let script = server.send(sent.body(Body::empty()).expect("a request")).await;
        assert_eq!(script.status, StatusCode::OK, "{path}");
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        assert_eq!(script.header("access-control-allow-origin"), "*");
        assert_eq!(script.header("cross-origin-resource-policy"), "cross-origin");
        assert!(script.header("cache-control").contains("max-age=300"), "{script:?}");
        let again = request("GET", path, "").header("if-none-match", script.header("etag"));
        let again = server.send(again.body(Body::empty()).expect("a request")).await;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(again.header("access-control-allow-origin"), "*");
    }
}

#[tokio::test]
async fn an_address_without_anything_is_a_page_for_people_and_a_problem_for_programs() {
    let server = Server::start().await;
    let ask = async |path: &str, accept: &str| {
        let asked = request("GET", path, "").header("accept", accept).body(Body::empty()).expect("a request");
        let answer = server.send(asked).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        answer
    };
    let page = ask("/nothing", "text/html,application/xhtml+xml,*/*;q=0.8").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let html = String::from_utf8(page.body).expect("text");
    assert!(html.contains("There is nothing at this address") && html.contains("href=\"/\""), "{html}");
    for (path, accept) in [("/nothing", "*/*"), ("/api/v1/nothing", "text/html"), ("/nothing", "application/json")] {
        let problem = ask(path, accept).await;
        assert_eq!(problem.header("content-type"), "application/problem+json", "{path} {accept}");
        assert_eq!(problem.json()["detail"], "There is nothing at this address.");
    }
}

#[tokio::test]
async fn the_licences_of_the_parts_are_served() {
    let server = Server::start().await;
    let licences = server.get("/licenses.txt", "").await;
    assert_eq!((licences.status, licences.header("content-type")), (StatusCode::OK, "text/plain; charset=utf-8"));
    assert!(String::from_utf8(licences.body).expect("text").contains("preact"));
}

#[tokio::test]
async fn text_is_compressed_for_those_who_take_it_and_says_the_same() {
    let server = Server::start().await;
    for number in 0..20 {
        server.post("/api/v1/projects", ADMIN_KEY, &json!({"name": format!("shop {number}")})).await;
    }
    let ask = |path: &str, headers: &[(&str, &str)]| {
        let plain = request("GET", path, ADMIN_KEY);
        let asked = headers.iter().fold(plain, |asked, (name, value)| asked.header(*name, *value));
        asked.body(Body::empty()).expect("a request")
    };
    for path in ["/", "/docs", "/app/docs.js", "/eyeline.js", "/api/v1/projects", "/api/v1/openapi.json"] {
        let plain = server.send(ask(path, &[])).await;
        assert_eq!(plain.header("content-encoding"), "", "{path}");
        for (accepted, coding) in [("gzip, deflate, br, zstd", "br"), ("br;q=0.5, gzip;q=0.8", "gzip"), ("*", "br")] {
            let packed = server.send(ask(path, &[("accept-encoding", accepted)])).await;
            assert_eq!(packed.header("content-encoding"), coding, "{path}");
            assert!(packed.body.len() < plain.body.len() * 2 / 3, "{path}: {} bytes", packed.body.len());
            let stated = packed.header("content-length");
            assert!(stated.is_empty() || stated == packed.body.len().to_string(), "{path}: {stated}");
            assert_eq!(unpacked(coding, &packed.body), plain.body, "{path}");
            for answer in [&plain, &packed] {
                let vary = answer.headers.get_all("vary").iter().filter_map(|value| value.to_str().ok());
                assert!(vary.flat_map(|names| names.split(", ")).any(|name| name == "accept-encoding"), "{path}");
            }
            assert_eq!(packed.header("etag"), format!("W/{}", plain.header("etag")), "{path}");
            let tag = packed.header("etag");
            let again = server.send(ask(path, &[("accept-encoding", accepted), ("if-none-match", tag)])).await;
            assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
        }
    }
    for (path, accepted) in [
        ("/api/v1/projects", "gzip;q=0, br;q=0"),
        ("/api/v1/projects", "br;q=0.1, identity"),
        ("/eyeline.js", "br;q=0.1, identity"),
        ("/eyeline.js", "zstd"),
        ("/healthz", "gzip, br"),
        ("/app/icon.svg", "gzip, br"),
    ] {
        let plain = server.send(ask(path, &[("accept-encoding", accepted)])).await;
        assert_eq!(plain.header("content-encoding"), "", "{path}");
    }
}

#[tokio::test]
async fn a_compressed_answer_states_its_length_also_to_head() {
    let server = Server::start().await;
    let address = server.listen().await;
    eyeline_store::tls::choose_provider();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    for path in ["/docs", "/api/v1/openapi.json"] {
        let lengths = async |method: &str| {
            let asked = client.request(method.parse().expect("a method"), format!("http://{address}{path}"));
            let answer = asked.header("accept-encoding", "br").send().await.expect("an answer");
            assert_eq!(answer.headers()["content-encoding"], "br", "{method} {path}");
            let stated: usize = answer.headers()["content-length"].to_str().expect("text").parse().expect("a number");
            (stated, answer.bytes().await.expect("a body").len())
        };
        let (stated, sent) = lengths("GET").await;
        assert_eq!(stated, sent, "{path}");
        assert_eq!(lengths("HEAD").await, (sent, 0), "{path}");
    }
}

#[tokio::test]
async fn a_long_answer_is_the_same_compressed() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let event = |number: u32| {
        let text: String = (0..5_000).map(|at| char::from(b'a' + (at * at % (number + 7) % 26) as u8)).collect();
        json!({
            "session_id": Uuid::from_u128(1), "category": "shop", "name": "view", "data": {"text": text},
            "timestamp": "2026-11-02T10:00:00Z"
        })
    };
    let events: Vec<Value> = (0..100).map(event).collect();
    server.post("/api/v1/events/batch", &tenant.secret_key, &json!(events)).await;
    server.apply_events().await;
    let path = format!("/api/v1/events?project_id={}&limit=100", tenant.project_id);
    let plain = server.get(&path, &tenant.secret_key).await.body;
    assert!(plain.len() > 500_000, "{} bytes", plain.len());
    for coding in ["br", "gzip"] {
        let asked = request("GET", &path, &tenant.secret_key).header("accept-encoding", coding);
        let packed = server.send(asked.body(Body::empty()).expect("a request")).await;
        assert_eq!(packed.header("content-encoding"), coding);
        assert!(unpacked(coding, &packed.body) == plain, "{coding}");
    }
}

fn unpacked(coding: &str, packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let read = match coding {
        "br" => brotli::Decompressor::new(packed, 4096).read_to_end(&mut plain),
        _ => flate2::read::GzDecoder::new(packed).read_to_end(&mut plain),
    };
    read.expect("a whole compressed text");
    plain
}

#[tokio::test]
async fn an_answer_that_did_not_change_is_not_sent_again() {
    let server = Server::start().await;
    let first = server.get("/api/v1/projects", ADMIN_KEY).await;
    let tag = first.header("etag").to_owned();
    let ask = |tag: &str| {
        request("GET", "/api/v1/projects", ADMIN_KEY)
            .header("if-none-match", tag)
            .body(Body::empty())
            .expect("a request")
    };
    assert_eq!(server.send(ask(&format!("\"x\", W/{tag}"))).await.status, StatusCode::NOT_MODIFIED);
    server.post("/api/v1/projects", ADMIN_KEY, &json!({"name": "shop"})).await;
    let changed = server.send(ask(&tag)).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_ne!(changed.header("etag"), tag);
}

#[tokio::test]
async fn no_cache_keeps_an_answer_for_others_however_large_it_is() {
    let server = Server::start().await;
    let shop = server.tenant("shop").await;
    let event = |number: u128| {
        json!({
            "session_id": Uuid::from_u128(number), "category": "shop", "name": "view",
            "data": {"text": "a".repeat(60_000)}, "timestamp": "2021-01-01T09:15:27Z"
        })
    };
    let events: Vec<_> = (0..20).map(event).collect();
    let sent = server.post("/api/v1/events/batch", &shop.secret_key, &json!(events)).await;
    assert_eq!(sent.json()["accepted"], 20, "{sent:?}");
    server.apply_events().await;
    let address = format!("/api/v1/projects/{}", shop.project_id);
    for path in ["/api/v1/events?limit=100", "/api/v1/projects", &address, "/api/v1/projects/nothing"] {
        let answer = server.get(path, &shop.secret_key).await;
        assert_eq!(answer.header("cache-control"), "private, no-cache", "{path}: {}", answer.status);
        assert_eq!(path.contains("events"), answer.body.len() > 1 << 20, "{path}: {} bytes", answer.body.len());
    }
}
