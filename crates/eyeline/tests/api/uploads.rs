//! A user's own uploads, with user tokens and with the application's key.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use eyeline::settings::Settings;
use eyeline::workers;
use futures::{StreamExt as _, stream};
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Answer, Server, Tenant, request, text};

/// Two by two red pixels.
fn png() -> Vec<u8> {
    let text = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==";
    STANDARD.decode(text).expect("base64")
}

/// A server that makes versions, and accepts three images of at most 1,000 bytes from a free user.
async fn start() -> Server {
    let server = Server::start_with(|settings: &mut Settings| {
        settings.tiers.free.images_max = 3;
        settings.tiers.free.file_bytes_max = 1_000;
    })
    .await;
    tokio::spawn(workers::process::run(server.app.clone()));
    server
}

fn user(server: &Server, tenant: &Tenant, name: &str) -> String {
    let exp = server.app.clock.now().micros() / 1_000_000 + 3_600;
    let claims = json!({"sub": name, "tier": "free", "exp": exp, "aud": tenant.project_id});
    let header = Header { kid: Some(tenant.application_id.clone()), ..Header::new(Algorithm::HS256) };
    let key = EncodingKey::from_secret(tenant.signing_secret.as_bytes());
    jsonwebtoken::encode(&header, &claims, &key).expect("a token")
}

pub fn form(fields: &[(&str, &str)], filename: &str, file: &[u8]) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, value) in fields {
        let part = format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        form.extend(part.into_bytes());
    }
    let head = format!("--edge\r\nContent-Disposition: form-data; name=\"data\"; filename=\"{filename}\"\r\n\r\n");
    form.extend(head.into_bytes());
    form.extend(file);
    form.extend(b"\r\n--edge--\r\n");
    form
}

pub async fn post(server: &Server, key: &str, body: impl Into<Body>) -> Answer {
    let sent = request("POST", "/api/v1/uploads", key).header("content-type", "multipart/form-data; boundary=edge");
    server.send(sent.body(body.into()).expect("a request")).await
}

async fn upload(server: &Server, key: &str, file: &[u8]) -> Answer {
    post(server, key, form(&[], "mine.png", file)).await
}

async fn images(server: &Server, key: &str, query: &str) -> Vec<Value> {
    let list = server.get(&format!("/api/v1/uploads{query}"), key).await;
    assert_eq!(list.status, StatusCode::OK, "{list:?}");
    list.json()["images"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn an_upload_is_answered_when_it_is_done_and_is_private_to_its_user() {
    let server = start().await;
    let tenant = server.tenant("emoji").await;
    let (anna, bert) = (user(&server, &tenant, "anna"), user(&server, &tenant, "bert"));
    let made = upload(&server, &anna, &png()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let image = made.json();
    assert_eq!((&image["state"], &image["visibility"]), (&json!("done"), &json!("private")), "{image}");
    assert_eq!((&image["width"], &image["filename"]), (&json!(2), &json!("mine.png")), "{image}");
    for name in ["original", "thumb", "big_thumb", "big_1920", "d2500"] {
        assert!(image["versions"][name].is_string(), "{name} of {image}");
    }

    let path = format!("/api/v1/uploads/{}", text(&image, "image_id"));
    assert_eq!(server.get(&path, &anna).await.json()["image_id"], image["image_id"]);
    assert_eq!(server.get(&path, &tenant.secret_key).await.status, StatusCode::OK);
    assert_eq!(images(&server, &anna, "?page=1").await.len(), 1);
    assert_eq!(images(&server, &tenant.secret_key, "?user_id=anna").await.len(), 1);

    let other = server.tenant("another").await;
    let same_name = user(&server, &other, "anna");
    for stranger in [&bert, &same_name, &other.secret_key] {
        assert_eq!(server.get(&path, stranger).await.status, StatusCode::NOT_FOUND);
        assert_eq!(server.delete(&path, stranger).await.status, StatusCode::NOT_FOUND);
    }
    assert!(images(&server, &bert, "").await.is_empty());
    assert!(images(&server, &same_name, "").await.is_empty());
    assert_eq!(server.delete(&path, &anna).await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get(&path, &anna).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_file_that_is_no_picture_ends_with_its_reason() {
    let server = start().await;
    let tenant = server.tenant("emoji").await;
    let made = upload(&server, &user(&server, &tenant, "anna"), b"no picture at all").await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let image = made.json();
    assert_eq!(image["state"], "error", "{image}");
    assert!(image["error"].is_string() && image["versions"]["thumb"].is_null(), "{image}");
}

#[tokio::test]
async fn however_many_come_at_once_a_user_never_keeps_one_above_the_limit() {
    let server = start().await;
    let tenant = server.tenant("emoji").await;
    let anna = user(&server, &tenant, "anna");
    let file = png();
    let answers = futures::future::join_all((0..8).map(|_| upload(&server, &anna, &file))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort();
    assert_eq!(statuses, [201, 201, 201, 422, 422, 422, 422, 422], "{answers:?}");
    let first = images(&server, &anna, "").await.swap_remove(0);

    let path = format!("/api/v1/uploads/{}", text(&first, "image_id"));
    assert_eq!(server.delete(&path, &anna).await.status, StatusCode::NO_CONTENT);
    assert_eq!(upload(&server, &anna, &file).await.status, StatusCode::CREATED, "the place is free again");
    assert_eq!(upload(&server, &anna, &file).await.status, StatusCode::UNPROCESSABLE_ENTITY);

    // With the key, the tier in the request counts.
    let premium = form(&[("user_id", "anna"), ("tier", "premium")], "mine.png", &file);
    assert_eq!(post(&server, &tenant.secret_key, premium).await.status, StatusCode::CREATED);
    let pages = [images(&server, &anna, "?limit=3&page=1").await, images(&server, &anna, "?limit=3&page=2").await];
    assert_eq!(pages.map(|page| page.len()), [3, 1]);
}

#[tokio::test]
async fn what_is_too_large_or_breaks_off_is_not_taken_and_holds_no_place() {
    let server = start().await;
    let tenant = server.tenant("emoji").await;
    let anna = user(&server, &tenant, "anna");
    let exact = [png(), vec![0; 1_000 - png().len()]].concat();
    for _ in 0..4 {
        let large = upload(&server, &anna, &[0; 1_001]).await;
        assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE, "{large:?}");
        let empty = upload(&server, &anna, b"").await;
        assert_eq!(empty.status, StatusCode::BAD_REQUEST, "{empty:?}");
        let half = Bytes::from(form(&[], "mine.png", &exact)[..600].to_vec());
        let breaks = stream::iter([Ok(half), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))]);
        let broken = post(&server, &anna, Body::from_stream(breaks)).await;
        assert_eq!(broken.status, StatusCode::BAD_REQUEST, "{broken:?}");
        // After a client disconnects, no request waits.
        let silent = stream::iter([Ok::<_, std::io::Error>(Bytes::from(form(&[], "a.png", &exact)[..600].to_vec()))]);
        let gone = post(&server, &anna, Body::from_stream(silent.chain(stream::pending())));
        let gone = tokio::time::timeout(std::time::Duration::from_millis(300), gone).await;
        assert!(gone.is_err(), "an answer before the file was there");
    }
    let announced = request("POST", "/api/v1/uploads", &anna)
        .header("content-type", "multipart/form-data; boundary=edge")
        .header("content-length", 10_000_000);
    let body = Body::from(form(&[], "mine.png", &png()));
    let refused = server.send(announced.body(body).expect("a request")).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE, "{refused:?}");

    // The rest is deleted a moment later.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !images(&server, &anna, "").await.is_empty() {
        assert!(std::time::Instant::now() < deadline, "places stay taken");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let taken = upload(&server, &anna, &exact).await;
    assert_eq!(taken.status, StatusCode::CREATED, "a file of just the limit: {taken:?}");
}

#[tokio::test]
async fn a_form_may_declare_any_type_of_image_and_write_its_file_name_in_any_way() {
    let server = start().await;
    let tenant = server.tenant("names").await;
    let names: [(&[u8], &str); 6] = [
        (b"filename=\"a.jpg\"", "a.jpg"),
        (b"filename*=UTF-8''%E6%97%A5.jpg", "日.jpg"),
        (b"filename=\"x.jpg\"; filename*=UTF-8''%E6%97%A5.jpg", "日.jpg"),
        (b"filename=\"=?UTF-8?B?5pelLmpwZw==?=\"", "日.jpg"),
        (b"filename=\"%E6%97%A5%20a.jpg\"", "日 a.jpg"),
        (b"filename=\"r\xe9sum\xe9.jpg\"", "résumé.jpg"),
    ];
    let kinds = ["", "image/jpg", "image/x-png;a=b", "application/octet-stream", "IMAGE/WEBP", "binary/octet-stream"];
    for (index, ((disposition, name), kind)) in names.into_iter().zip(kinds).enumerate() {
        let user = user(&server, &tenant, &format!("user {index}"));
        let head = b"--edge\r\nContent-Disposition: form-data; name=\"data\"; ";
        let kind = format!("\r\nContent-Type: {kind}\r\n\r\n");
        let form = [head, disposition, kind.as_bytes(), &png(), b"\r\n--edge--\r\n"].concat();
        let answer = post(&server, &user, form).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{name}: {answer:?}");
        let image = answer.json();
        let found = (&image["filename"], &image["state"], &image["content_type"]);
        assert_eq!(found, (&json!(name), &json!("done"), &json!("image/png")), "{image}");
    }
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_form_is_told_at_once() {
    let server = start().await;
    let tenant = server.tenant("emoji").await;
    let nothing = post(&server, &tenant.secret_key, "--edge--\r\n").await;
    assert_eq!(nothing.status, StatusCode::BAD_REQUEST, "{nothing:?}");
    let required = json!({"user_id": ["This field is required."], "data": ["This field is required."]});
    assert_eq!(nothing.json()["errors"], required);

    // A file in another field, and a form without the file.
    let misnamed = String::from_utf8(form(&[("user_id", "anna")], "a.png", b"x")).expect("text");
    let misnamed = misnamed.replace("name=\"data\"", "name=\"photo\"");
    let misnamed = post(&server, &tenant.secret_key, misnamed).await;
    assert_eq!(misnamed.status, StatusCode::BAD_REQUEST, "{misnamed:?}");
    let sentence = "The file has to be in this field, `data`; it came in the field `photo`.";
    assert_eq!(misnamed.json()["errors"], json!({"data": [sentence]}));
    let part = "--edge\r\nContent-Disposition: form-data; name=\"album\"\r\n\r\nx\r\n--edge--\r\n";
    let nothing = post(&server, &tenant.secret_key, part).await.json();
    assert!(nothing["errors"]["data"].to_string().contains("the form has `album`"), "{nothing}");

    let wrong = form(&[("user_id", ""), ("tier", "gold")], "mine.png", &png());
    let wrong = post(&server, &tenant.secret_key, wrong).await.json();
    assert!(wrong["errors"]["user_id"].is_array() && wrong["errors"]["tier"].is_array(), "{wrong}");

    let drawing = post(&server, &user(&server, &tenant, "anna"), form(&[], "a.svg", b"<svg/>")).await;
    assert_eq!(drawing.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{drawing:?}");
    let sent = request("POST", "/api/v1/uploads", "").header("application", &tenant.application_id);
    let sent = sent.header("content-type", "multipart/form-data; boundary=edge");
    let public = server.send(sent.body(Body::from(form(&[], "a.png", &png()))).expect("a request")).await;
    assert_eq!(public.status, StatusCode::FORBIDDEN, "{public:?}");
    let list = server.get("/api/v1/uploads", &tenant.secret_key).await;
    assert_eq!(list.json()["errors"]["user_id"], json!(["This field is required."]));
}

async fn upload_with(server: &Server, key: &str, idempotency_key: &str, query: &str, file: &[u8]) -> Answer {
    let sent = request("POST", &format!("/api/v1/uploads{query}"), key)
        .header("content-type", "multipart/form-data; boundary=edge")
        .header("idempotency-key", idempotency_key);
    server.send(sent.body(Body::from(form(&[], "mine.png", file))).expect("a request")).await
}

#[tokio::test]
async fn the_same_file_under_the_same_key_is_taken_once() {
    let server = start().await;
    let tenant = server.tenant("once").await;
    let anna = user(&server, &tenant, "anna");
    let first = upload_with(&server, &anna, "a", "", &png()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    for _ in 0..3 {
        let again = upload_with(&server, &anna, "a", "", &png()).await;
        assert_eq!(again.status, StatusCode::CREATED, "{again:?}");
        assert_eq!(text(&again.json(), "image_id"), text(&first.json(), "image_id"));
    }
    assert_eq!(images(&server, &anna, "").await.len(), 1);

    let other = upload_with(&server, &anna, "a", "", b"another file").await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{other:?}");
    let other = upload_with(&server, &anna, "b", "", &png()).await;
    assert_ne!(text(&other.json(), "image_id"), text(&first.json(), "image_id"));
    assert_eq!(images(&server, &anna, "").await.len(), 2);

    // Keys belong to a credential. A credential that acts for two users cannot mix them up.
    let bob = upload_with(&server, &tenant.secret_key, "a", "?user_id=bob", &png()).await;
    assert_eq!(bob.status, StatusCode::CREATED, "{bob:?}");
    let eve = upload_with(&server, &tenant.secret_key, "a", "?user_id=eve", &png()).await;
    assert_eq!(eve.status, StatusCode::UNPROCESSABLE_ENTITY, "{eve:?}");
}

#[tokio::test]
async fn a_key_whose_upload_came_to_nothing_is_as_good_as_new() {
    let server = start().await;
    let tenant = server.tenant("again").await;
    let anna = user(&server, &tenant, "anna");
    let large = upload_with(&server, &anna, "a", "", &[0; 1_001]).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE, "{large:?}");
    // Its place is freed a moment later; until then the upload may still count as open.
    let mut taken = upload_with(&server, &anna, "a", "", &png()).await;
    while taken.status == StatusCode::CONFLICT {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        taken = upload_with(&server, &anna, "a", "", &png()).await;
    }
    assert_eq!(taken.status, StatusCode::CREATED, "{taken:?}");

    let path = format!("/api/v1/uploads/{}", text(&taken.json(), "image_id"));
    assert_eq!(server.delete(&path, &anna).await.status, StatusCode::NO_CONTENT);
    let anew = upload_with(&server, &anna, "a", "", &png()).await;
    assert_ne!(text(&anew.json(), "image_id"), text(&taken.json(), "image_id"));
}

#[tokio::test]
async fn a_form_that_never_comes_to_its_file_is_refused_after_so_many_bytes() {
    let server = start().await;
    let tenant = server.tenant("endless").await;
    let anna = user(&server, &tenant, "anna");
    let part = "--edge\r\nContent-Disposition: form-data; name=\"data\"; filename=\"";
    let paths = ["/api/v1/uploads", "/api/v1/incoming"];
    let begins = ["", part, "--edge\r\nX-Long: "];
    for (path, begin) in paths.into_iter().flat_map(|path| begins.map(|begin| (path, begin))) {
        let read = Arc::new(AtomicUsize::new(0));
        let count = read.clone();
        let begin = stream::iter([Ok::<_, std::io::Error>(Bytes::copy_from_slice(begin.as_bytes()))]);
        let endless = stream::repeat_with(move || {
            count.fetch_add(16 * 1024, Ordering::Relaxed);
            Ok(Bytes::from_static(&[b'a'; 16 * 1024]))
        });
        let sent = request("POST", path, &anna).header("content-type", "multipart/form-data; boundary=edge");
        let body = Body::from_stream(begin.chain(endless.take(10_000)));
        let answer = server.send(sent.body(body).expect("a request")).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{answer:?}");
        assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains("262144 bytes")), "{answer:?}");
        let read = read.load(Ordering::Relaxed);
        assert!(read <= 512 * 1024, "{read} bytes were read");
    }
}

#[tokio::test]
async fn whoever_sends_slowly_takes_no_place_from_those_who_wait() {
    let server = Server::start_with(|settings: &mut Settings| settings.uploads_waiting_max = 1).await;
    tokio::spawn(workers::process::run(server.app.clone()));
    let tenant = server.tenant("slow").await;
    let (anna, bert) = (user(&server, &tenant, "anna"), user(&server, &tenant, "bert"));
    let half = Bytes::from(form(&[], "mine.png", &png())[..100].to_vec());
    let slow = stream::iter([Ok::<_, std::io::Error>(half)]).chain(stream::pending());
    let slow = post(&server, &anna, Body::from_stream(slow));
    let quick = async {
        while images(&server, &anna, "").await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        upload(&server, &bert, &png()).await
    };
    let quick = tokio::select! {
        answer = slow => panic!("half of a file was answered: {answer:?}"),
        quick = quick => quick,
    };
    assert_eq!(quick.status, StatusCode::CREATED, "{quick:?}");
}

#[tokio::test]
async fn more_than_may_wait_for_their_versions_are_refused_before_anything_is_taken() {
    // No worker makes versions here, so every accepted request waits.
    let server = Server::start_with(|settings: &mut Settings| settings.uploads_waiting_max = 2).await;
    let tenant = server.tenant("full").await;
    let anna = user(&server, &tenant, "anna");
    let file = png();
    let waiting = futures::future::join(upload(&server, &anna, &file), upload(&server, &anna, &file));
    let refused = async {
        while server.app.admission.state().room_taken < 2 || images(&server, &anna, "").await.len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        upload(&server, &anna, &file).await
    };
    let refused = tokio::select! {
        answered = waiting => panic!("they wait for their versions: {answered:?}"),
        refused = refused => refused,
    };
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"), "{refused:?}");
    assert_eq!(images(&server, &anna, "").await.len(), 2, "nothing of it was taken");
    let metrics = server.get("/metrics", crate::support::ADMIN_KEY).await;
    let metrics = String::from_utf8(metrics.body).expect("text");
    assert!(metrics.contains("eyeline_uploads_refused_total 1\n"), "{metrics}");
    // The waiting requests are gone, and there is room again.
    tokio::spawn(workers::process::run(server.app.clone()));
    assert_eq!(upload(&server, &anna, &file).await.status, StatusCode::CREATED);
}
