//! Bodies of requests and the memory that they take together.

use std::io::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use eyeline::settings::Settings;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt as _, stream};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::galleries::Shop;
use crate::images::path_of;
use crate::support::{ADMIN_KEY, Answer, Server, Tenant, request, text};

const ID: &str = "01890000-0000-7000-8000-000000000000";
const KIB: usize = 1024;

async fn with_memory(bytes: usize) -> Server {
    Server::start_with(|settings: &mut Settings| settings.body_bytes_max = bytes as u64).await
}

fn event() -> Value {
    json!({"session_id": ID, "category": "page", "name": "view", "data": {}, "timestamp": "2021-01-01T00:00:00Z"})
}

fn public(tenant: &Tenant, path: &str, body: impl Into<Body>) -> Request<Body> {
    let sent = request("POST", path, "").header("application", &tenant.application_id);
    sent.header("content-type", "application/json").body(body.into()).expect("a request")
}

/// A body of which so much comes, and the rest never.
fn unfinished(bytes: usize) -> Body {
    let piece = Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes]));
    Body::from_stream(stream::iter([piece]).chain(stream::pending()))
}

fn assert_no_room(answer: &Answer, status: StatusCode) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("retry-after"), "1");
    assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains("memory")), "{answer:?}");
}

#[tokio::test]
async fn unfinished_bodies_of_one_project_leave_room_for_those_of_another() {
    let server = with_memory(1_000 * KIB).await;
    let (greedy, other) = (server.tenant("greedy").await, server.tenant("other").await);
    let sends = stream::iter(0..50).map(|_| server.send(public(&greedy, "/api/v1/events", unfinished(20 * KIB))));
    let mut sends = Box::pin(sends.buffer_unordered(50));
    // Each takes 40 KiB; twenty of them are four times what they leave.
    let mut refused = 0;
    while server.app.bodies.taken() < 800 * KIB as u64 || refused < 30 {
        if let Ok(Some(answer)) = tokio::time::timeout(Duration::from_millis(10), sends.next()).await {
            assert_no_room(&answer, StatusCode::TOO_MANY_REQUESTS);
            refused += 1;
        }
    }
    assert_no_room(
        &server.send(public(&greedy, "/api/v1/events", event().to_string())).await,
        StatusCode::TOO_MANY_REQUESTS,
    );
    let sent = server.send(public(&other, "/api/v1/events", event().to_string())).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{sent:?}");
    let batch = json!(vec![event(); 500]).to_string();
    assert!(batch.len() > 50 * KIB);
    let sent = server.send(public(&other, "/api/v1/events/batch", batch)).await;
    assert_eq!(sent.status, StatusCode::OK, "{sent:?}");
    let large = " ".repeat(120 * KIB);
    assert_no_room(&server.send(public(&other, "/api/v1/events/batch", large)).await, StatusCode::SERVICE_UNAVAILABLE);
    drop(sends);
    assert_eq!(server.app.bodies.taken(), 0);
    let sent = server.send(public(&greedy, "/api/v1/events", event().to_string())).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{sent:?}");
}

/// Every operation of the description that reads a body as JSON.
fn operations_with_json() -> Vec<(String, String)> {
    let document = eyeline::api::document("http://localhost:8009");
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, operations)| {
        let operations = operations.as_object().expect("operations").iter();
        let with_json =
            operations.filter(|(_, operation)| operation["requestBody"]["content"]["application/json"] != Value::Null);
        with_json.map(move |(method, _)| (method.to_uppercase(), path.clone()))
    });
    operations.collect()
}

#[tokio::test]
async fn every_operation_counts_what_it_collects_and_what_it_unpacks() {
    let server = with_memory(100 * KIB).await;
    let tenant = server.tenant("shop").await;
    let spaces = vec![b' '; 100 * KIB];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&spaces).expect("memory");
    let bodies = [
        ("identity", spaces.clone()),
        ("gzip", gzip.finish().expect("memory")),
        ("zstd", zstd::encode_all(spaces.as_slice(), 1).expect("memory")),
    ];
    let mut count = 0;
    for (method, path) in operations_with_json().into_iter().filter(|(_, path)| !path.ends_with("/dataset")) {
        let ids = path.split('/').map(|part| if part.starts_with('{') { ID } else { part });
        let address = ids.collect::<Vec<_>>().join("/");
        let key = if path.starts_with("/api/v1/events") { tenant.secret_key.as_str() } else { ADMIN_KEY };
        for (encoding, body) in &bodies {
            let sent = request(&method, &address, key).header("content-type", "application/json");
            let sent = sent.header("content-encoding", *encoding).body(Body::from(body.clone()));
            let answer = server.send(sent.expect("a request")).await;
            // What is unpacked comes in pieces, and reaches the share before it reaches the whole.
            let is_share = *encoding != "identity" && answer.status == StatusCode::TOO_MANY_REQUESTS;
            let status = if is_share { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::SERVICE_UNAVAILABLE };
            assert_no_room(&answer, status);
            assert_eq!(server.app.bodies.taken(), 0, "{method} {path}");
            count += 1;
        }
    }
    assert!(count >= 60, "{count} requests");
}

fn in_pieces(body: Vec<u8>) -> Body {
    let pieces: Vec<_> =
        body.chunks(8 * KIB).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
    Body::from_stream(stream::iter(pieces))
}

#[tokio::test]
async fn a_form_counts_until_its_file_begins_and_a_file_does_not() {
    let server = with_memory(200 * KIB).await;
    let tenant = server.tenant("shop").await;
    let stated = |file: &[u8]| {
        let hash = Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        json!({"project_id": tenant.project_id, "filename": "a.jpg", "size": file.len(), "sha256": hash})
    };
    let file = b"x".repeat(2_000 * KIB);
    for (link, before) in [
        (json!({"project_id": tenant.project_id, "filename": "a.jpg"}), 10),
        (json!({"project_id": tenant.project_id, "filename": "a.jpg"}), 150 * KIB),
        (stated(&file), 0),
    ] {
        let link = server.post("/api/v1/images", &tenant.secret_key, &link).await.json();
        let params = &link["params"];
        let mut sent = request(params["method"].as_str().expect("a method"), path_of(&text(&link, "upload_link")), "");
        let mut body = Vec::new();
        if params["method"] == "PUT" {
            for (name, value) in params["headers"].as_object().expect("headers") {
                sent = sent.header(name, value.as_str().expect("text"));
            }
            body.extend_from_slice(&file);
        } else {
            sent = sent.header("content-type", "multipart/form-data; boundary=edge");
            body.extend(b"x".repeat(before));
            let fields = params["fields"].as_object().expect("fields").iter();
            let fields = fields.map(|(name, value)| (format!("\"{name}\""), value.as_str().expect("text").as_bytes()));
            for (name, value) in fields.chain([("\"file\"; filename=\"a.jpg\"".to_owned(), &*file)]) {
                body.extend(format!("\r\n--edge\r\nContent-Disposition: form-data; name={name}\r\n\r\n").into_bytes());
                body.extend_from_slice(value);
            }
            body.extend(b"\r\n--edge--\r\n");
        }
        let answer = server.send(sent.body(in_pieces(body)).expect("a request")).await;
        if before > KIB {
            assert_no_room(&answer, StatusCode::TOO_MANY_REQUESTS);
        } else {
            assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
        }
        assert_eq!(server.app.bodies.taken(), 0);
    }
}

#[tokio::test]
async fn rows_of_a_dataset_count_until_they_are_stored() {
    let shop = Shop::open_with(|settings| settings.body_bytes_max = 40 * (KIB * KIB) as u64).await;
    let row = |number: usize| {
        let tag = "x".repeat(90);
        json!({"external_id": format!("sku-{number}"), "url": "https://cdn.example/1.jpg", "tags": vec![tag; 40]})
    };
    let rows: Vec<Value> = (0..6_000).map(row).collect();
    let rows = json!(rows).to_string();
    assert!(rows.len() > 20 * KIB * KIB);
    let loaded = shop.load("application/json", in_pieces(rows.clone().into_bytes())).await;
    assert_eq!((loaded.status, &loaded.json()["created"]), (StatusCode::OK, &json!(6_000)), "{loaded:?}");
    let packed = zstd::encode_all(rows.as_bytes(), 1).expect("memory");
    let path = format!("/api/v1/galleries/{}/dataset", shop.gallery_id);
    let sent = request("POST", &path, &shop.key).header("content-type", "application/json");
    let sent = sent.header("content-encoding", "zstd").body(in_pieces(packed)).expect("a request");
    let loaded = shop.server.send(sent).await;
    assert_eq!((loaded.status, &loaded.json()["unchanged"]), (StatusCode::OK, &json!(6_000)), "{loaded:?}");
    assert_eq!(shop.server.app.bodies.taken(), 0);

    let small = Shop::open_with(|settings| settings.body_bytes_max = KIB as u64 * 200).await;
    let refused = small.load("application/json", rows[..200 * KIB].to_owned()).await;
    assert_no_room(&refused, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn answers_that_nobody_reads_have_a_bound_and_leave_room_for_others() {
    let server = with_memory(10_000 * KIB).await;
    let (greedy, other) = (server.tenant("greedy").await, server.tenant("other").await);
    for tenant in [&greedy, &other] {
        for _ in 0..3 {
            let mut large = event();
            large["data"] = json!({"text": "x".repeat(50 * KIB)});
            let sent = server.post("/api/v1/events", &tenant.secret_key, &large).await;
            assert_eq!(sent.status, StatusCode::CREATED, "{sent:?}");
        }
    }
    server.apply_events().await;
    let ask = async |tenant: &Tenant| {
        let request = request("GET", "/api/v1/events", &tenant.secret_key).body(Body::empty()).expect("a request");
        server.begin(request).await
    };
    let mut unread = Vec::new();
    let refused = loop {
        let answer = ask(&greedy).await;
        if answer.status() != StatusCode::OK {
            break answer.status();
        }
        unread.push(answer);
    };
    assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS);
    let taken = server.app.bodies.taken() / KIB as u64;
    assert!((7_500..8_500).contains(&taken), "four fifths of 10,000 KiB, and not {taken}");
    assert_eq!(ask(&other).await.status(), StatusCode::OK);
    drop(unread);
    assert_eq!(server.app.bodies.taken(), 0);
    assert_eq!(ask(&greedy).await.status(), StatusCode::OK);
}
