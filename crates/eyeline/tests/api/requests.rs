//! Properties of every address: compressed bodies, HEAD, unread bodies, and unknown projects.

use std::io::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::{StreamExt as _, stream};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{ADMIN_KEY, Answer, Server, Tenant, request, text};

const UNKNOWN: &str = "01890000-0000-7000-8000-000000000000";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("a packed body");
    packed.finish().expect("a packed body")
}

async fn gallery(server: &Server, tenant: &Tenant) -> String {
    let body = json!({"project_id": tenant.project_id, "name": "shoes"});
    text(&server.post("/api/v1/galleries", &tenant.secret_key, &body).await.json(), "gallery_id")
}

#[tokio::test]
async fn a_packed_body_is_unpacked_or_refused_on_every_address_that_reads_one() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let gallery = format!("/api/v1/galleries/{}", gallery(&server, &tenant).await);
    let application = format!("/api/v1/applications/{}", tenant.application_id);
    let key = &tenant.secret_key;
    let erasures = format!("/api/v1/projects/{}/erasures", tenant.project_id);
    let types = format!("/api/v1/event-types/a/b?project_id={}", tenant.project_id);
    let ids = json!({"project_id": tenant.project_id});
    let with = |field: &str, value: Value| {
        let mut body = ids.clone();
        body[field] = value;
        body
    };
    let cases = [
        ("POST", "/api/v1/projects", ADMIN_KEY, json!({"name": "x"})),
        ("POST", "/api/v1/applications", key, with("name", json!("x"))),
        ("PATCH", &application, key, json!({"name": "x"})),
        ("POST", "/api/v1/images", key, with("filename", json!("a.jpg"))),
        ("POST", "/api/v1/images/batch", key, with("files", json!([{"filename": "a.jpg"}]))),
        ("POST", "/api/v1/galleries", key, with("name", json!("x"))),
        ("PATCH", &gallery, key, json!({"name": "x"})),
        ("PUT", &format!("{gallery}/rules"), key, json!({"pin": []})),
        ("PUT", &types, key, json!({"description": "x"})),
        ("POST", "/api/v1/events/quarantine/replay", key, ids.clone()),
        ("POST", "/api/v1/analytics/sql", key, with("query", json!("SELECT 1"))),
        ("POST", &erasures, ADMIN_KEY, json!({"session_id": UNKNOWN})),
        ("POST", "/api/v1/session", "", json!({"admin_key": ADMIN_KEY})),
    ];
    for (method, path, key, body) in cases {
        let send = async |encoding: &str, body: Vec<u8>| {
            let sent = request(method, path, key).header("content-type", "application/json");
            server.send(sent.header("content-encoding", encoding).body(Body::from(body)).expect("a request")).await
        };
        let body = body.to_string().into_bytes();
        let packed = send("gzip", gzip(&body)).await;
        assert!(packed.status.is_success(), "{method} {path}: {packed:?}");
        let zstd = send("zstd", zstd::encode_all(body.as_slice(), 1).expect("a packed body")).await;
        assert!(zstd.status.is_success(), "{method} {path}: {zstd:?}");
        assert!(send("identity", body.clone()).await.status.is_success(), "{method} {path}");
        for unknown in ["br", "deflate", "gzip, gzip"] {
            let refused = send(unknown, body.clone()).await;
            assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{method} {path} {unknown}");
            assert_eq!(refused.header("accept-encoding"), "gzip, zstd");
        }
        assert_eq!(send("gzip", body).await.status, StatusCode::BAD_REQUEST, "{method} {path}: not packed");
        let bomb = send("gzip", gzip(&vec![b' '; 2 * 1024 * 1024])).await;
        assert_eq!(bomb.status, StatusCode::PAYLOAD_TOO_LARGE, "{method} {path}");
    }

    // Files are stored unchanged.
    let named = server.post("/api/v1/images", key, &with("filename", json!("a.jpg"))).await.json();
    let form = "multipart/form-data; boundary=edge";
    let stated = json!({"project_id": tenant.project_id, "filename": "a.jpg", "size": 1, "sha256": "0".repeat(64)});
    let stated = text(&server.post("/api/v1/images", key, &stated).await.json(), "upload_link");
    let address = |link: &str| crate::images::path_of(link).to_owned();
    for (method, path, key, kind) in [
        ("PUT", address(&stated), "", "image/jpeg"),
        ("POST", address(&text(&named, "upload_link")), "", form),
        ("POST", "/api/v1/uploads?user_id=anna".to_owned(), key, form),
    ] {
        let sent = request(method, &path, key).header("content-type", kind).header("content-encoding", "gzip");
        let refused = server.send(sent.body(Body::from(gzip(b"x"))).expect("a request")).await;
        assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{method} {path}: {refused:?}");
        assert_eq!(refused.header("accept-encoding"), "identity");
    }
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let gallery = format!("/api/v1/galleries/{}", gallery(&server, &tenant).await);
    let project = format!("/api/v1/projects/{}", tenant.project_id);
    let paths = [
        "/",
        "/docs",
        "/app/docs.js",
        "/healthz",
        "/readyz",
        "/api/v1/openapi.json",
        "/api/v1/limits",
        "/api/v1/projects",
        &project,
        &format!("{project}/usage"),
        &format!("{project}/images"),
        &gallery,
        &format!("{gallery}/images"),
        &format!("{gallery}/rules"),
        &format!("/api/v1/events?project_id={}", tenant.project_id),
        "/api/v1/nothing",
        "/api/v1/images",
        &format!("/api/v1/projects/{UNKNOWN}"),
        "/public/none/none.jpg",
    ];
    for path in paths {
        let get = server.get(path, ADMIN_KEY).await;
        let ask = |method: &str| request(method, path, ADMIN_KEY).header("range", "bytes=0-0");
        let head = server.send(ask("HEAD").body(Body::empty()).expect("a request")).await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        let mut expected = get.headers.clone();
        expected.insert("content-length", get.body.len().into());
        let mut found = head.headers.clone();
        expected.remove("x-request-id");
        found.remove("x-request-id");
        assert_eq!(found, expected, "{path}");
        if let Some(tag) = get.headers.get("etag") {
            let known = request("HEAD", path, ADMIN_KEY).header("if-none-match", tag).body(Body::empty());
            assert_eq!(server.send(known.expect("a request")).await.status, StatusCode::NOT_MODIFIED, "{path}");
        }
    }
}

#[tokio::test]
async fn an_unknown_project_is_not_found_whatever_is_asked_of_it() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let gallery = gallery(&server, &tenant).await;
    let deleted = server.tenant("deleted").await;
    let deletion = server.delete(&format!("/api/v1/projects/{}", deleted.project_id), ADMIN_KEY).await;
    assert_eq!(deletion.status, StatusCode::ACCEPTED);
    for unknown in [UNKNOWN, &deleted.project_id] {
        let reads = [
            format!("/projects/{unknown}"),
            format!("/projects/{unknown}/usage"),
            format!("/projects/{unknown}/images"),
            format!("/projects/{unknown}/erasures"),
            format!("/projects/{unknown}/erasures/{UNKNOWN}"),
            format!("/projects/{unknown}/stream"),
            format!("/applications?project_id={unknown}"),
            format!("/galleries?project_id={unknown}"),
            format!("/limits?project_id={unknown}"),
            format!("/events?project_id={unknown}"),
            format!("/events/quarantine?project_id={unknown}"),
            format!("/events/quarantine/causes?project_id={unknown}"),
            format!("/event-types?project_id={unknown}"),
            format!("/event-types/a/b?project_id={unknown}"),
            format!("/analytics/counts?project_id={unknown}"),
            format!("/analytics/features?project_id={unknown}"),
            format!("/analytics/paths?project_id={unknown}"),
            format!("/analytics/funnel?steps=a/b,c/d&project_id={unknown}"),
            format!("/analytics/retention?project_id={unknown}"),
            format!("/analytics/galleries/{gallery}?project_id={unknown}"),
        ];
        for path in reads {
            let answer = server.get(&format!("/api/v1{path}"), ADMIN_KEY).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {answer:?}");
        }
        let key = &tenant.secret_key;
        assert_eq!(
            server.get(&format!("/api/v1/limits?project_id={unknown}"), key).await.status,
            StatusCode::NOT_FOUND
        );
        let id = json!(unknown);
        let writes = [
            ("PATCH", format!("/projects/{unknown}"), json!({"name": "x"})),
            ("POST", format!("/projects/{unknown}/stream-tickets"), json!({})),
            ("POST", format!("/projects/{unknown}/erasures"), json!({"session_id": UNKNOWN})),
            ("POST", "/applications".to_owned(), json!({"project_id": id, "name": "x"})),
            ("POST", "/galleries".to_owned(), json!({"project_id": id, "name": "x"})),
            ("POST", "/images".to_owned(), json!({"project_id": id, "filename": "a.jpg"})),
            ("POST", "/images/batch".to_owned(), json!({"project_id": id, "files": [{"filename": "a.jpg"}]})),
            ("POST", "/events/quarantine/replay".to_owned(), json!({"project_id": id})),
            ("POST", "/analytics/sql".to_owned(), json!({"project_id": id, "query": "SELECT 1"})),
            ("PUT", format!("/event-types/a/b?project_id={unknown}"), json!({"description": "x"})),
            ("POST", format!("/event-types/a/b/try?project_id={unknown}"), json!({"data": {}})),
            ("DELETE", format!("/event-types/a/b?project_id={unknown}"), json!({})),
            ("DELETE", format!("/projects/{unknown}"), json!({})),
        ];
        for (method, path, body) in writes {
            let answer = server.write(method, &format!("/api/v1{path}"), ADMIN_KEY, &body).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn with_the_admin_key_an_application_is_a_filter_and_no_credential() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let event = json!({"event_id": UNKNOWN, "session_id": UNKNOWN, "category": "a", "name": "b", "data": {},
                       "timestamp": "2021-01-01T00:00:00Z"});
    assert_eq!(server.post("/api/v1/events", &tenant.secret_key, &event).await.status, StatusCode::CREATED);
    server.apply_events().await;
    let application = format!("/api/v1/applications/{}", tenant.application_id);
    assert_eq!(server.delete(&application, ADMIN_KEY).await.status, StatusCode::NO_CONTENT);

    let (project, id) = (&tenant.project_id, &tenant.application_id);
    for (application, found) in [(id.as_str(), 1), (UNKNOWN, 0)] {
        let list =
            server.get(&format!("/api/v1/events?project_id={project}&application={application}"), ADMIN_KEY).await;
        assert_eq!(list.json()["events"].as_array().map(Vec::len), Some(found), "{list:?}");
        let counts = format!("/api/v1/analytics/counts?project_id={project}&application={application}");
        let counts = server.get(&counts, ADMIN_KEY).await;
        assert_eq!(counts.json()["rows"].as_array().map(Vec::len), Some(found), "{counts:?}");
        let one = server.get(&format!("/api/v1/events/{UNKNOWN}?application={application}"), ADMIN_KEY).await;
        assert_eq!(one.status, if found == 1 { StatusCode::OK } else { StatusCode::NOT_FOUND });
        let header = request("GET", "/api/v1/projects", ADMIN_KEY).header("application", application);
        assert_eq!(server.send(header.body(Body::empty()).expect("a request")).await.status, StatusCode::OK);
        // There it names the sender, which must exist.
        let sent = server.post(&format!("/api/v1/events?application={application}"), ADMIN_KEY, &event).await;
        assert_eq!(sent.status, StatusCode::BAD_REQUEST);
        assert!(sent.json()["errors"]["application"].is_array(), "{sent:?}");
    }
    let public = server.get(&format!("/api/v1/projects?application={id}"), "").await;
    assert_eq!(public.status, StatusCode::UNAUTHORIZED, "without the key it is the credential, and gone");
}

fn piece(bytes: usize) -> Result<Bytes, std::io::Error> {
    Ok(Bytes::from(vec![b'x'; bytes]))
}

/// Sends a body in pieces, like a connection.
async fn refused(server: &Server, key: &str, expect: bool, body: Body) -> Answer {
    let mut sent = request("POST", "/api/v1/projects", key).header("content-type", "application/json");
    if expect {
        sent = sent.header("expect", "100-continue");
    }
    server.send_with_patience(sent.body(body).expect("a request"), Duration::from_secs(60)).await
}

#[tokio::test]
async fn a_body_that_is_not_read_is_read_to_its_end_or_closes_the_connection() {
    let server = Server::start().await;
    const MIB: usize = 1024 * 1024;
    let stream = |pieces: usize, size: usize| Body::from_stream(stream::iter((0..pieces).map(move |_| piece(size))));
    for (key, pieces, status) in [
        ("", 1, StatusCode::UNAUTHORIZED),
        ("eyl_sk_unknown", 3, StatusCode::UNAUTHORIZED),
        (ADMIN_KEY, 3, StatusCode::PAYLOAD_TOO_LARGE),
        (ADMIN_KEY, 63, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let answer = refused(&server, key, false, stream(pieces, MIB)).await;
        assert_eq!((answer.status, answer.header("connection")), (status, ""), "{pieces} pieces");
    }
    let endless = refused(&server, "", false, stream(1_000_000, MIB)).await;
    assert_eq!((endless.status, endless.header("connection")), (StatusCode::UNAUTHORIZED, "close"));
    let breaks = stream::iter([piece(9), Err(std::io::Error::other("the cable is out"))]);
    let broken = refused(&server, ADMIN_KEY, false, Body::from_stream(breaks)).await;
    assert_eq!((broken.status, broken.header("connection")), (StatusCode::BAD_REQUEST, "close"));
    // The server does not request the body from a waiting client, which may send it anyway.
    let waiting =
        refused(&server, "", true, Body::from_stream(stream::iter([piece(9)]).chain(stream::pending()))).await;
    assert_eq!((waiting.status, waiting.header("connection")), (StatusCode::UNAUTHORIZED, "close"));
    // An answer that needs no body behaves alike.
    let tenant = server.tenant("shop").await;
    let path = format!("/api/v1/projects/{}/stream-tickets", tenant.project_id);
    let sent = request("POST", &path, &tenant.secret_key).body(stream(3, MIB)).expect("a request");
    let ticket = server.send_with_patience(sent, Duration::from_secs(60)).await;
    assert_eq!((ticket.status, ticket.header("connection")), (StatusCode::CREATED, ""));
}

#[tokio::test]
async fn a_connection_outlives_a_refusal_before_its_body() {
    let server = Server::start().await;
    let address = server.listen().await;
    let mut connection = TcpStream::connect(address).await.expect("a connection");
    let body = "x".repeat(300_000);
    for path in ["/api/v1/projects", "/api/v1/images", "/api/v1/nothing", "/healthz"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        connection.write_all(head.as_bytes()).await.expect("sent");
        connection.write_all(body.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert_ne!(connection.read_buf(&mut answer).await.expect("an answer"), 0, "{path}: closed");
        }
        let answer = String::from_utf8(answer).expect("text");
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}

#[tokio::test]
async fn every_post_that_creates_does_so_once_under_one_key() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let project = format!("/api/v1/projects/{}", tenant.project_id);
    let ids = json!({"project_id": tenant.project_id});
    let with = |field: &str, value: Value| {
        let mut body = ids.clone();
        body[field] = value;
        body
    };
    let rotate = format!("/api/v1/applications/{}/rotate", tenant.application_id);
    let (tickets, erasures) = (format!("{project}/stream-tickets"), format!("{project}/erasures"));
    let cases = [
        ("/api/v1/projects", json!({"name": "x"}), ""),
        ("/api/v1/applications", with("name", json!("x")), "secret_key"),
        (&rotate, json!({}), "secret_key"),
        ("/api/v1/galleries", with("name", json!("x")), ""),
        ("/api/v1/images", with("filename", json!("a.jpg")), ""),
        ("/api/v1/images/batch", with("files", json!([{"filename": "a.jpg"}])), ""),
        (&tickets, json!({}), "ticket"),
        (&erasures, json!({"session_id": UNKNOWN}), ""),
    ];
    for (path, body, secret) in cases {
        let send = async |key: &str| {
            let sent = request("POST", path, ADMIN_KEY).header("content-type", "application/json");
            let sent = sent.header("idempotency-key", key).body(Body::from(body.to_string()));
            server.send(sent.expect("a request")).await
        };
        let (first, second, other) = (send("one").await, send("one").await, send("two").await);
        assert!(first.status.is_success() && other.status == first.status, "{path}: {first:?}");
        assert_eq!(second.status, first.status, "{path}: {second:?}");
        let (mut first, mut second, other) = (first.json(), second.json(), other.json());
        assert_ne!(first, other, "{path}");
        if !secret.is_empty() {
            assert!(second.get(secret).is_none() && second["secret_shown"] == true, "{path}: {second}");
            for answer in [&mut first, &mut second] {
                let fields = answer.as_object_mut().expect("an object");
                fields.retain(|name, _| {
                    !["secret_key", "signing_secret", "ticket", "secret_shown"].contains(&name.as_str())
                });
                // The state of the executed order, not of the created key.
                fields.remove("older_keys_until");
            }
        }
        assert_eq!(first, second, "{path}");
    }
    let erasures = server.get(&erasures, ADMIN_KEY).await.json();
    assert_eq!(erasures["erasures"].as_array().map(Vec::len), Some(2), "{erasures}");
}
