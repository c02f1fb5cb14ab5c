//! Links, arrivals, downloads, lists, changes.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use eyeline::flow::photo::sweep;
use futures::{StreamExt as _, stream};
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Answer, Server, Tenant, request, text};

const FILE: &[u8] = b"any bytes: what they are, the worker finds out";

fn hex(bytes: &[u8]) -> String {
    eyeline::secrets::to_hex(bytes)
}

fn stated(tenant: &Tenant) -> Value {
    json!({
        "project_id": tenant.project_id, "filename": "a.jpg", "size": FILE.len(),
        "sha256": hex(&eyeline::secrets::sha256(FILE)), "content_type": "image/jpeg",
    })
}

pub async fn link(server: &Server, tenant: &Tenant, body: &Value) -> Value {
    let made = server.post("/api/v1/images", &tenant.secret_key, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    made.json()
}

pub fn path_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    &url[start + url[start..].find('/').expect("a path")..]
}

/// Sends `file` as the link says to, without a credential.
pub async fn send(server: &Server, link: &Value, file: &[u8]) -> Answer {
    let url = text(link, "upload_link");
    let params = &link["params"];
    let mut sent = request(params["method"].as_str().expect("a method"), path_of(&url), "");
    if params["method"] == "PUT" {
        for (name, value) in params["headers"].as_object().expect("headers") {
            sent = sent.header(name, value.as_str().expect("text"));
        }
        let body = Body::from(file.to_vec());
        return server.send(sent.header("content-length", file.len()).body(body).expect("a request")).await;
    }
    send_form(server, link, None, file).await
}

/// Sends `file` through a form link, with its type.
async fn send_form(server: &Server, link: &Value, kind: Option<&str>, file: &[u8]) -> Answer {
    let (url, params) = (text(link, "upload_link"), &link["params"]);
    let sent = request("POST", path_of(&url), "");
    let mut form = Vec::new();
    for (name, value) in params["fields"].as_object().expect("fields") {
        let value = value.as_str().expect("text");
        form.extend(
            format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes(),
        );
    }
    let kind = kind.map_or_else(String::new, |kind| format!("Content-Type: {kind}\r\n"));
    let head = format!("--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n{kind}\r\n");
    form.extend(head.into_bytes());
    form.extend(file);
    form.extend(b"\r\n--edge--\r\n");
    let sent = sent.header("content-type", "multipart/form-data; boundary=edge").header("content-length", form.len());
    server.send(sent.body(Body::from(form)).expect("a request")).await
}

async fn state(server: &Server, tenant: &Tenant, image_id: &str) -> String {
    let image = server.get(&format!("/api/v1/images/{image_id}"), &tenant.secret_key).await;
    assert_eq!(image.status, StatusCode::OK, "{image:?}");
    text(&image.json(), "state")
}

#[tokio::test]
async fn a_file_sent_through_either_form_of_a_link_is_taken_in_once() {
    let server = Server::start().await;
    let tenant = server.tenant("links").await;
    let name_only = json!({"project_id": tenant.project_id, "filename": "a.jpg"});
    for (body, method) in [(stated(&tenant), "PUT"), (name_only, "POST")] {
        let link = link(&server, &tenant, &body).await;
        let image_id = text(&link, "image_id");
        assert_eq!((&link["state"], &link["params"]["method"]), (&json!("init"), &json!(method)), "{link}");
        let complete = format!("/api/v1/images/{image_id}/complete");
        assert_eq!(server.post(&complete, &tenant.secret_key, &json!({})).await.status, StatusCode::CONFLICT);

        assert_eq!(send(&server, &link, FILE).await.status, StatusCode::NO_CONTENT);
        assert_eq!(state(&server, &tenant, &image_id).await, "uploaded");
        assert_eq!(send(&server, &link, FILE).await.status, StatusCode::PRECONDITION_FAILED);
        for _ in 0..2 {
            assert_eq!(server.post(&complete, &tenant.secret_key, &json!({})).await.status, StatusCode::ACCEPTED);
        }
        assert_eq!(state(&server, &tenant, &image_id).await, "uploaded");
    }
}

#[tokio::test]
async fn another_file_than_stated_is_refused_and_leaves_the_link_good() {
    let server = Server::start().await;
    let tenant = server.tenant("promises").await;
    let link = link(&server, &tenant, &stated(&tenant)).await;
    let mut other = FILE.to_vec();
    other[3] ^= 1;
    assert_eq!(send(&server, &link, &other).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(send(&server, &link, &FILE[1..]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(send(&server, &link, &[FILE, FILE].concat()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(state(&server, &tenant, &text(&link, "image_id")).await, "init");
    assert_eq!(send(&server, &link, FILE).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing_and_may_be_sent_again() {
    let server = Server::start().await;
    let tenant = server.tenant("cuts").await;
    let link = link(&server, &tenant, &stated(&tenant)).await;
    let url = text(&link, "upload_link");
    let cut = stream::iter([Ok(FILE[..9].to_vec()), Err(std::io::Error::other("the cable is out"))]);
    let cut = request("PUT", path_of(&url), "").header("content-length", FILE.len()).body(Body::from_stream(cut));
    assert_eq!(server.send(cut.expect("a request")).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(state(&server, &tenant, &text(&link, "image_id")).await, "init");
    assert_eq!(send(&server, &link, FILE).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_changed_policy_is_forbidden_and_an_empty_file_refused() {
    let server = Server::start().await;
    let tenant = server.tenant("forgery").await;
    let body = json!({"project_id": tenant.project_id, "filename": "a.jpg"});
    let first = link(&server, &tenant, &body).await;
    let second = link(&server, &tenant, &body).await;
    let mut mixed = first.clone();
    mixed["params"]["fields"]["key"] = second["params"]["fields"]["key"].clone();
    assert_eq!(send(&server, &mixed, FILE).await.status, StatusCode::FORBIDDEN);
    let mut mixed = first.clone();
    mixed["params"]["fields"]["policy"] = second["params"]["fields"]["policy"].clone();
    assert_eq!(send(&server, &mixed, FILE).await.status, StatusCode::FORBIDDEN);
    let mut other_type = first.clone();
    other_type["params"]["fields"]["Content-Type"] = json!("text/html");
    assert_eq!(send(&server, &other_type, FILE).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send(&server, &first, b"").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(send(&server, &first, FILE).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn the_sweep_takes_in_what_arrived_and_gives_up_what_never_did() {
    let server = Server::start_with(|settings| {
        settings.upload_link_seconds = 1;
        settings.upload_grace_seconds = 0;
    })
    .await;
    let tenant = server.tenant("sweep").await;
    let arrived = link(&server, &tenant, &stated(&tenant)).await;
    let never = link(&server, &tenant, &json!({"project_id": tenant.project_id, "filename": "b.jpg"})).await;
    // The file is stored, but the completion call is lost.
    let upload = server.app.catalog.open_upload(text(&arrived, "image_id").parse().expect("an id")).await;
    let key = upload.expect("the catalog").expect("an open upload").incoming_key;
    server.app.objects.put(&key, FILE.into()).await.expect("a file");
    sweep::uploads(&server.app).await.expect("a sweep");
    assert_eq!(state(&server, &tenant, &text(&arrived, "image_id")).await, "uploaded");
    assert_eq!(state(&server, &tenant, &text(&never, "image_id")).await, "init");

    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    sweep::uploads(&server.app).await.expect("a sweep");
    let image = server.get(&format!("/api/v1/images/{}", text(&never, "image_id")), &tenant.secret_key).await.json();
    assert_eq!(image["state"], "error", "{image}");
    assert!(text(&image, "error").contains("in time"), "{image}");
    assert_eq!(send(&server, &never, FILE).await.status, StatusCode::FORBIDDEN, "the link has expired");
    let complete = format!("/api/v1/images/{}/complete", text(&never, "image_id"));
    assert_eq!(server.post(&complete, &tenant.secret_key, &json!({})).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn everything_wrong_with_a_new_image_is_told_at_once() {
    let server = Server::start().await;
    let tenant = server.tenant("errors").await;
    let body = json!({
        "size": 0, "sha256": "abc", "visibility": "secret", "access_tier": "gold", "tags": ["", 1],
        "link": "javascript:alert(1)", "metadata": [], "gallery_id": "x",
    });
    let refused = server.post("/api/v1/images", &tenant.secret_key, &body).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let problem = refused.json();
    let fields: Vec<&String> = problem["errors"].as_object().expect("errors").keys().collect();
    let expected = [
        "access_tier",
        "filename",
        "gallery_id",
        "link",
        "metadata",
        "project_id",
        "sha256",
        "size",
        "tags.0",
        "tags.1",
        "visibility",
    ];
    assert_eq!(fields, expected, "{problem}");
}

#[tokio::test]
async fn files_that_cannot_be_taken_are_refused_before_a_byte_moves() {
    let server = Server::start().await;
    let tenant = server.tenant("limits").await;
    let with = |field: &str, value: Value| {
        let mut body = stated(&tenant);
        body[field] = value;
        body
    };
    let cases = [
        (with("size", json!(51 * 1024 * 1024)), StatusCode::PAYLOAD_TOO_LARGE),
        (with("content_type", json!("image/svg+xml")), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (with("gallery_id", json!(uuid::Uuid::nil())), StatusCode::NOT_FOUND),
        (with("project_id", json!(uuid::Uuid::nil())), StatusCode::NOT_FOUND),
    ];
    for (body, status) in cases {
        assert_eq!(server.post("/api/v1/images", &tenant.secret_key, &body).await.status, status, "{body}");
    }
    let limits = server.get("/api/v1/limits", &tenant.secret_key).await.json();
    assert_eq!((&limits["max_file_bytes"], &limits["max_images"]), (&json!(50 * 1024 * 1024), &Value::Null));
}

#[tokio::test]
async fn a_batch_gives_each_file_its_verdict_and_finds_duplicates_by_hash() {
    let server = Server::start().await;
    let tenant = server.tenant("batches").await;
    let first = link(&server, &tenant, &stated(&tenant)).await;
    assert_eq!(send(&server, &first, FILE).await.status, StatusCode::NO_CONTENT);
    let file = |name: &str, size: u64, sha256: &str| json!({"filename": name, "size": size, "sha256": sha256});
    let known = text(&stated(&tenant), "sha256");
    let new = "ab".repeat(32);
    let body = json!({"project_id": tenant.project_id, "tags": ["batch"], "files": [
        file("new.jpg", 5, &new), file("known.jpg", 5, &known), file("again.jpg", 5, &new),
        file("large.jpg", 1 << 40, &new), file("a.svg", 5, &"cd".repeat(32)), {"size": "x"}, 7,
    ]});
    let sent = request("POST", "/api/v1/images/batch", &tenant.secret_key)
        .header("idempotency-key", "once")
        .header("content-type", "application/json");
    let answer = server.send(sent.body(Body::from(body.to_string())).expect("a request")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let answer = answer.json();
    let images = answer["images"].as_array().expect("images");
    let verdicts: Vec<&str> = images.iter().map(|image| image["verdict"].as_str().expect("a verdict")).collect();
    assert_eq!(
        verdicts,
        ["created", "duplicate", "repeated", "too_large", "wrong_type", "invalid", "invalid"],
        "{answer}"
    );
    assert_eq!(images[1]["duplicate_of"], first["image_id"]);
    assert_eq!(images[2]["duplicate_of"], images[0]["image_id"]);
    assert!(images[5]["errors"]["filename"].is_array() && images[5]["errors"]["size"].is_array(), "{answer}");

    // A repetition with the same key creates nothing.
    let sent = request("POST", "/api/v1/images/batch", &tenant.secret_key)
        .header("idempotency-key", "once")
        .header("content-type", "application/json");
    let again = server.send(sent.body(Body::from(body.to_string())).expect("a request")).await;
    assert_eq!(again.json(), answer);
    let tagged =
        server.get(&format!("/api/v1/projects/{}/images?tag=batch", tenant.project_id), ADMIN_KEY).await.json();
    assert_eq!(tagged["images"].as_array().map(Vec::len), Some(1), "{tagged}");
}

#[tokio::test]
async fn only_a_file_that_arrived_makes_another_a_duplicate() {
    let server = Server::start().await;
    let tenant = server.tenant("phones").await;
    let file = json!({"filename": "a.jpg", "size": FILE.len(), "sha256": hex(&eyeline::secrets::sha256(FILE))});
    let body = json!({"project_id": tenant.project_id, "files": [file, file]});
    let ask = async || {
        let answer = server.post("/api/v1/images/batch", &tenant.secret_key, &body).await.json();
        let images = answer["images"].as_array().expect("images").clone();
        let verdicts: Vec<String> = images.iter().map(|image| text(image, "verdict")).collect();
        (images, verdicts)
    };
    // The links of the first two calls stay unused or incomplete.
    for _ in 0..2 {
        let (images, verdicts) = ask().await;
        assert_eq!(verdicts, ["created", "repeated"]);
        assert_eq!(images[1]["duplicate_of"], images[0]["image_id"]);
        assert!(images[1]["upload_link"].is_null() && text(&images[1], "detail").contains("earlier file of this call"));
        assert_eq!(send(&server, &images[0], &FILE[1..]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let single = link(&server, &tenant, &stated(&tenant)).await;
    assert_eq!(ask().await.1, ["created", "repeated"]);

    assert_eq!(send(&server, &single, FILE).await.status, StatusCode::NO_CONTENT);
    let (images, verdicts) = ask().await;
    assert_eq!(verdicts, ["duplicate", "duplicate"]);
    assert!(images.iter().all(|image| image["duplicate_of"] == single["image_id"]), "{images:?}");

    let image = format!("/api/v1/images/{}", text(&single, "image_id"));
    assert_eq!(server.delete(&image, &tenant.secret_key).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ask().await.1, ["created", "repeated"], "the file is gone");
}

/// Declared types that are empty or unknown, spelt differently, or of another image format.
const HONEST_TYPES: [&str; 19] = [
    "image/jpg",
    "image/pjpeg",
    "image/x-png",
    "IMAGE/JPEG",
    " image/jpeg ; charset=binary",
    "image/webp",
    "image/heic",
    "image/*",
    "",
    "application/octet-stream",
    "Binary/Octet-Stream",
    "application/x-www-form-urlencoded",
    "application/octetstream",
    "application/x-download",
    "application/force-download",
    "application/x-unknown",
    "unknown/unknown",
    "jpg",
    "undefined",
];
const OTHER_TYPES: [&str; 9] = [
    "text/html; charset=utf-8",
    "text/plain",
    "application/pdf",
    "application/ld+json",
    "application/vnd.ms-excel",
    "application/zip",
    "image/svg+xml",
    "VIDEO/MP4",
    "audio/mpeg",
];

#[tokio::test]
async fn a_declared_type_of_any_image_leaves_the_decision_to_the_bytes() {
    let server = Server::start().await;
    let tenant = server.tenant("types").await;
    for (kinds, is_taken) in [(&HONEST_TYPES[..], true), (&OTHER_TYPES[..], false)] {
        for kind in kinds {
            // Stated in the request for a link.
            let mut body = stated(&tenant);
            body["content_type"] = json!(kind);
            let made = server.post("/api/v1/images", &tenant.secret_key, &body).await;
            let expected = if is_taken { StatusCode::CREATED } else { StatusCode::UNSUPPORTED_MEDIA_TYPE };
            assert_eq!(made.status, expected, "{kind}: {made:?}");
            if is_taken {
                assert_eq!(send(&server, &made.json(), FILE).await.status, StatusCode::NO_CONTENT, "{kind}");
            }
            let mut file = body.clone();
            file["sha256"] = json!("ab".repeat(32));
            let batch = json!({"project_id": tenant.project_id, "files": [file]});
            let batch = server.post("/api/v1/images/batch", &tenant.secret_key, &batch).await.json();
            assert_eq!(
                batch["images"][0]["verdict"],
                if is_taken { "created" } else { "wrong_type" },
                "{kind}: {batch}"
            );

            // Declared with the file, through a link with another stated type.
            let expected = if is_taken { StatusCode::NO_CONTENT } else { StatusCode::UNSUPPORTED_MEDIA_TYPE };
            let mut put = link(&server, &tenant, &stated(&tenant)).await;
            put["params"]["headers"]["Content-Type"] = json!(kind);
            assert_eq!(send(&server, &put, FILE).await.status, expected, "PUT {kind}");
            for (beside, in_field) in [(Some(kind), None), (None, Some(kind))] {
                let form = json!({"project_id": tenant.project_id, "filename": "a.jpg"});
                let mut form = link(&server, &tenant, &form).await;
                let fields = form["params"]["fields"].as_object_mut().expect("fields");
                fields.extend(in_field.map(|kind| ("Content-Type".to_owned(), json!(kind))));
                let sent = send_form(&server, &form, beside.copied(), FILE).await;
                assert_eq!(sent.status, expected, "POST {kind}: {sent:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_project_of_a_small_tier_never_holds_more_than_its_quota() {
    let server = Server::start().await;
    let body = json!({"name": "small", "tier": "free"});
    let project = server.post("/api/v1/projects", ADMIN_KEY, &body).await.json();
    let project_id = text(&project, "project_id");
    let body = json!({"project_id": project_id, "filename": "a.jpg"});
    let calls = (0..60).map(|_| server.post("/api/v1/images", ADMIN_KEY, &body));
    let answers = futures::future::join_all(calls).await;
    let made = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
    let refused = answers.iter().filter(|answer| answer.status == StatusCode::UNPROCESSABLE_ENTITY).count();
    assert_eq!((made, refused), (50, 10));
}

#[tokio::test]
async fn a_list_is_walked_by_cursor_newest_first_and_filtered_by_state() {
    let server = Server::start().await;
    let tenant = server.tenant("lists").await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(text(
            &link(&server, &tenant, &json!({"project_id": tenant.project_id, "filename": "a.jpg"})).await,
            "image_id",
        ));
    }
    made.reverse();
    let mut walked = Vec::new();
    let mut path = format!("/api/v1/projects/{}/images?limit=2&state=init", tenant.project_id);
    loop {
        let page = server.get(&path, &tenant.secret_key).await;
        let json = page.json();
        walked.extend(json["images"].as_array().expect("images").iter().map(|image| text(image, "image_id")));
        let Some(cursor) = json["next_cursor"].as_str() else { break };
        assert!(page.header("link").contains("rel=\"next\""));
        path = format!("/api/v1/projects/{}/images?limit=2&state=init&cursor={cursor}", tenant.project_id);
    }
    assert_eq!(walked, made);
    let none =
        server.get(&format!("/api/v1/projects/{}/images?state=done", tenant.project_id), &tenant.secret_key).await;
    assert_eq!(none.json()["images"], json!([]));
    let wrong =
        server.get(&format!("/api/v1/projects/{}/images?state=lost", tenant.project_id), &tenant.secret_key).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_image_of_another_project_is_not_there() {
    let server = Server::start().await;
    let (ours, theirs) = (server.tenant("ours").await, server.tenant("theirs").await);
    let link = link(&server, &theirs, &stated(&theirs)).await;
    let path = format!("/api/v1/images/{}", text(&link, "image_id"));
    for (method, path) in [
        ("GET", path.clone()),
        ("PATCH", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/complete")),
        ("POST", format!("{path}/reprocess")),
        ("GET", format!("/api/v1/projects/{}/images", theirs.project_id)),
    ] {
        let answer = server.write(method, &path, &ours.secret_key, &json!({})).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    let body = json!({"project_id": theirs.project_id, "filename": "a.jpg"});
    assert_eq!(server.post("/api/v1/images", &ours.secret_key, &body).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "where the original lies is told by no answer")]
async fn a_patch_changes_what_it_names_and_a_delete_leaves_no_object() {
    let server = Server::start().await;
    let tenant = server.tenant("changes").await;
    let mut body = stated(&tenant);
    body["link"] = json!("https://shop.example/1");
    let link = link(&server, &tenant, &body).await;
    assert_eq!(send(&server, &link, FILE).await.status, StatusCode::NO_CONTENT);
    let path = format!("/api/v1/images/{}", text(&link, "image_id"));
    let change = json!({"tags": ["a"], "metadata": {"k": [1]}, "access_tier": "premium"});
    let changed = server.write("PATCH", &path, &tenant.secret_key, &change).await.json();
    assert_eq!(changed["link"], "https://shop.example/1");
    for name in [json!("Boots"), json!(null)] {
        let changed = server.write("PATCH", &path, &tenant.secret_key, &json!({"name": name})).await.json();
        assert_eq!((&changed["name"], &changed["link"]), (&name, &json!("https://shop.example/1")));
    }
    let changed = server.write("PATCH", &path, &tenant.secret_key, &json!({"link": null})).await.json();
    assert_eq!((&changed["link"], &changed["tags"]), (&Value::Null, &json!(["a"])));
    assert_eq!((&changed["metadata"], &changed["access_tier"]), (&json!({"k": [1]}), &json!("premium")));

    let image_id = text(&link, "image_id").parse().expect("an id");
    let original = server.app.catalog.image(image_id).await.expect("the catalog").expect("the image").original_key;
    let original = original.expect("an original");
    assert_eq!(server.delete(&path, &tenant.secret_key).await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.app.objects.head(&original).await.expect("the objects"), None);
    assert_eq!(server.get(&path, &tenant.secret_key).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.app.catalog.unwanted_objects(10).await.expect("the catalog"), vec![]);
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_told_so_wherever_it_was_going() {
    let server = Server::start().await;
    let tenant = server.tenant("silence").await;
    let put = link(&server, &tenant, &stated(&tenant)).await;
    let form = "multipart/form-data; boundary=edge";
    let half_form = "--edge\r\nContent-Disposition: form-data; name=\"data\"; filename=\"a.png\"\r\n\r\nhalf";
    let half_field = "--edge\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nhalf";
    let upload_link = text(&put, "upload_link");
    for (method, path, kind, half) in [
        ("POST", "/api/v1/images", "application/json", "{\"filename\": "),
        ("POST", "/api/v1/events", "application/json", "{\"session_id\": "),
        ("POST", "/api/v1/uploads?user_id=anna", form, half_form),
        ("POST", "/api/v1/incoming", form, half_field),
        ("PUT", path_of(&upload_link), "image/jpeg", "any bytes"),
    ] {
        let body = stream::iter([Ok::<_, std::io::Error>(half.to_owned())]).chain(stream::pending());
        let sent = request(method, path, &tenant.secret_key).header("content-type", kind);
        let sent = sent.body(Body::from_stream(body)).expect("a request");
        let answer = server.send_with_patience(sent, Duration::from_millis(50)).await;
        assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT, "{method} {path}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    // Nothing was stored, and the link is still usable.
    let sent = send(&server, &put, FILE).await;
    assert_eq!(sent.status, StatusCode::NO_CONTENT, "{sent:?}");
}

#[tokio::test]
async fn a_file_that_is_sent_anew_ends_the_transfer_that_hangs() {
    let server = Server::start().await;
    let tenant = server.tenant("again").await;
    let put = link(&server, &tenant, &stated(&tenant)).await;
    let half = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(&FILE[..10]))]).chain(stream::pending());
    let hanging = request("PUT", path_of(&text(&put, "upload_link")), "").header("content-type", "image/jpeg");
    let mut hanging = Box::pin(server.send(hanging.body(Body::from_stream(half)).expect("a request")));
    while !server.app.transfers.is_open(text(&put, "image_id").parse().expect("an id"), None) {
        assert!(futures::poll!(&mut hanging).is_pending());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (hanging, sent) = tokio::join!(hanging, send(&server, &put, FILE));
    assert_eq!(sent.status, StatusCode::NO_CONTENT, "{sent:?}");
    assert_eq!(hanging.status, StatusCode::CONFLICT, "{hanging:?}");
}

#[tokio::test]
async fn a_body_that_arrives_slowly_is_waited_for_as_long_as_it_arrives() {
    let server = Server::start().await;
    let tenant = server.tenant("slow").await;
    let body = stated(&tenant).to_string().into_bytes();
    let pieces: Vec<Vec<u8>> = body.chunks(body.len().div_ceil(5)).map(<[u8]>::to_vec).collect();
    assert_eq!(pieces.len(), 5);
    // Together they take longer than any silence may last.
    let body = stream::iter(pieces).then(|piece| async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok::<_, std::io::Error>(piece)
    });
    let sent = request("POST", "/api/v1/images", &tenant.secret_key).header("content-type", "application/json");
    let sent = sent.body(Body::from_stream(body)).expect("a request");
    let answer = server.send_with_patience(sent, Duration::from_secs(1)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
}
