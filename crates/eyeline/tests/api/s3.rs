//! Objects in an S3 store: files go straight to its bucket and come straight from it.
//!
//! The store is that of `EYELINE_TEST_S3_URL`, which `scripts/with-s3` starts.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use eyeline::flow::photo::sweep;
use eyeline::secrets::{sha256, to_hex};
use eyeline::settings::Settings;
use eyeline::workers::process;
use eyeline_store::sql::Db;
use eyeline_store::{ObjectKey, params};
use futures::FutureExt as _;
use http::StatusCode;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::images::{link, path_of};
use crate::processing::{photo, until_final};
use crate::support::{Server, Tenant, text};

fn of_environment(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} has to name an S3 store: run the tests through scripts/with-s3"))
}

pub fn in_bucket(settings: &mut Settings) {
    settings.objects_url = Some(of_environment("EYELINE_TEST_S3_URL"));
    settings.aws_access_key_id = Some(of_environment("EYELINE_TEST_S3_ACCESS_KEY"));
    settings.aws_secret_access_key = Some(of_environment("EYELINE_TEST_S3_SECRET_KEY"));
}

fn endpoint() -> String {
    let url = of_environment("EYELINE_TEST_S3_URL");
    let (_, endpoint) = url.split_once("endpoint=").expect("an endpoint");
    endpoint.split('&').next().expect("an address").to_owned()
}

fn in_two_buckets(settings: &mut Settings) {
    in_bucket(settings);
    settings.objects_public_url = Some(of_environment("EYELINE_TEST_S3_PUBLIC_URL"));
    settings.objects_public_bucket = Some(of_environment("EYELINE_TEST_S3_PUBLIC_BUCKET"));
}

/// A server on the store whose worker runs until the test ends.
async fn working(change: impl FnOnce(&mut Settings)) -> Server {
    let server = Server::start_with(change).await;
    tokio::spawn(process::run(server.app.clone()));
    server
}

pub fn client() -> Client {
    eyeline_store::tls::choose_provider();
    Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client")
}

async fn get(link: &Value) -> Response {
    client().get(link.as_str().unwrap_or_else(|| panic!("{link} is no link"))).send().await.expect("an answer")
}

fn stated(tenant: &Tenant, file: &[u8]) -> Value {
    json!({
        "project_id": tenant.project_id, "filename": "a b.jpg", "size": file.len(),
        "sha256": to_hex(&sha256(file)), "content_type": "image/jpeg",
    })
}

/// Sends the file as the link says to. A store that refuses early may close the connection.
async fn send(link: &Value, file: &[u8]) -> Option<StatusCode> {
    let (url, params) = (text(link, "upload_link"), &link["params"]);
    assert!(url.starts_with(&endpoint()), "{url} leads to the server");
    let pairs = |of: &str| {
        let pairs = params[of].as_object().expect("an object").clone().into_iter();
        pairs.map(|(name, value)| (name, value.as_str().expect("text").to_owned()))
    };
    let request = if params["method"] == "PUT" {
        pairs("headers")
            .fold(client().put(url), |request, (name, value)| request.header(name, value))
            .body(file.to_vec())
    } else {
        let form = pairs("fields").fold(Form::new(), |form, (name, value)| form.text(name, value));
        client().post(url).multipart(form.part("file", Part::bytes(file.to_vec()).file_name("a.jpg")))
    };
    request.send().await.ok().map(|answer| answer.status())
}

async fn complete(server: &Server, tenant: &Tenant, image_id: &str) -> StatusCode {
    let path = format!("/api/v1/images/{image_id}/complete");
    server.post(&path, &tenant.secret_key, &json!({})).await.status
}

async fn upload(server: &Server, tenant: &Tenant, body: &Value, file: &[u8]) -> Value {
    let link = link(server, tenant, body).await;
    let image_id = text(&link, "image_id");
    assert_eq!(complete(server, tenant, &image_id).await, StatusCode::CONFLICT, "nothing has arrived");
    assert!(send(&link, file).await.is_some_and(|status| status.is_success()));
    assert_eq!(complete(server, tenant, &image_id).await, StatusCode::ACCEPTED);
    until_final(server, tenant, &image_id).await
}

/// The keys of everything that the image has.
async fn keys_of(server: &Server, image: &Value) -> Vec<ObjectKey> {
    let image_id = text(image, "image_id").parse().expect("an id");
    let found = server.app.catalog.images_by_id(vec![image_id]).await.expect("the catalog").remove(&image_id);
    let found = found.expect("an image");
    let versions = found.versions.into_iter().map(|version| version.object_key);
    versions.chain(found.original_key).collect()
}

#[tokio::test]
async fn a_photo_goes_to_the_bucket_and_its_versions_and_original_come_from_there() {
    for (change, has_public_bucket) in [(in_bucket as fn(&mut Settings), false), (in_two_buckets, true)] {
        let server = working(change).await;
        let tenant = server.tenant("photos").await;
        let file = photo(1000, 700);
        let name_only = json!({"project_id": tenant.project_id, "filename": "a b.jpg", "visibility": "private"});
        for (body, is_public) in [(stated(&tenant, &file), true), (name_only, false)] {
            let image = upload(&server, &tenant, &body, &file).await;
            assert_eq!(image["state"], "done", "{image}");
            assert_eq!((&image["bytes"], &image["sha256"]), (&json!(file.len()), &json!(to_hex(&sha256(&file)))));
            for name in ["thumb", "big_thumb", "big_1920", "d2500"] {
                let version = &image["versions"][name];
                let address = text(&image["versions"], name);
                let bytes = if is_public && !has_public_bucket {
                    let answer = server.get(path_of(&address), "").await;
                    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "image/jpeg"));
                    answer.body
                } else {
                    let place = if is_public { of_environment("EYELINE_TEST_S3_PUBLIC_URL") } else { endpoint() };
                    assert!(address.starts_with(&place), "{address}");
                    assert_eq!(address.contains('?'), !is_public, "{address}");
                    let answer = get(version).await;
                    assert_eq!(answer.status(), StatusCode::OK);
                    assert_eq!(answer.headers()["content-type"], "image/jpeg");
                    answer.bytes().await.expect("bytes").to_vec()
                };
                assert!(bytes.starts_with(&[0xff, 0xd8]), "{name} is a JPEG");
            }
            let original = get(&image["versions"]["original"]).await;
            let disposition = original.headers()["content-disposition"].to_str().expect("ASCII").to_owned();
            assert_eq!(disposition, "attachment; filename=\"a b.jpg\"; filename*=UTF-8''a%20b.jpg");
            assert!(original.bytes().await.expect("bytes") == file, "byte for byte");

            let keys = keys_of(&server, &image).await;
            assert_eq!(keys.len(), 5);
            let path = format!("/api/v1/images/{}", text(&image, "image_id"));
            assert_eq!(server.delete(&path, &tenant.secret_key).await.status, StatusCode::NO_CONTENT);
            for key in keys {
                assert_eq!(server.app.objects.head(&key).await.expect("an answer"), None, "{key}");
            }
        }
    }
}

/// The keys of upload links that the sweep will delete.
async fn noted(server: &Server) -> Vec<ObjectKey> {
    let sql = "SELECT object_key FROM unwanted_objects WHERE object_key LIKE 'incoming/%'";
    let db = Db::open(&server.app.settings.catalog_url()).await.expect("an open catalog");
    let rows = db.read(move |tx| async move { tx.query(sql, params![]).await }.boxed()).await.expect("the catalog");
    rows.into_iter().map(|mut row| row.take("object_key").expect("a key")).collect()
}

#[tokio::test]
async fn the_bucket_refuses_what_was_not_stated_and_a_replay_changes_nothing() {
    let server = working(in_bucket).await;
    let tenant = server.tenant("replay").await;
    let (file, other) = (photo(300, 200), photo(200, 300));
    let put = link(&server, &tenant, &stated(&tenant, &file)).await;
    let longer = [&file[..], &[0]].concat();
    for wrong in [&longer, &other] {
        assert!(send(&put, wrong).await.is_none_or(|status| status.is_client_error()));
    }
    let name_only = json!({"project_id": tenant.project_id, "filename": "a.jpg", "size": file.len()});
    let form = link(&server, &tenant, &name_only).await;
    assert!(send(&form, &longer).await.is_none_or(|status| status.is_client_error()));
    for link in [&put, &form] {
        let image_id = text(link, "image_id");
        assert_eq!(complete(&server, &tenant, &image_id).await, StatusCode::CONFLICT);
        assert!(send(link, &file).await.is_some_and(|status| status.is_success()));
        assert_eq!(complete(&server, &tenant, &image_id).await, StatusCode::ACCEPTED);
        let image = until_final(&server, &tenant, &image_id).await;
        assert_eq!(image["state"], "done", "{image}");

        // The link still holds: the bucket may take another file, which nobody looks at and the sweep deletes.
        let again = if link["params"]["method"] == "PUT" { &file } else { &other };
        let _status = send(link, again).await;
        assert_eq!(complete(&server, &tenant, &image_id).await, StatusCode::ACCEPTED);
        sweep::sweep(&server.app).await.expect("a sweep");
        let now = until_final(&server, &tenant, &image_id).await;
        assert_eq!(now["sha256"], image["sha256"]);
        assert!(get(&now["versions"]["original"]).await.bytes().await.expect("bytes") == file);
    }
    let replayed = noted(&server).await;
    assert_eq!(replayed.len(), 2, "both are looked at again when their links have expired");
    let db = Db::open(&server.app.settings.catalog_url()).await.expect("an open catalog");
    let expire = "UPDATE unwanted_objects SET unwanted_from = 0";
    db.write(move |tx| async move { tx.execute(expire, params![]).await }.boxed()).await.expect("the catalog");
    sweep::sweep(&server.app).await.expect("a sweep");
    assert_eq!(noted(&server).await, vec![]);
    for key in replayed {
        assert_eq!(server.app.objects.head(&key).await.expect("an answer"), None);
    }
}

#[tokio::test]
async fn the_sweep_finds_what_nobody_completed() {
    let server = working(in_bucket).await;
    let tenant = server.tenant("sweep").await;
    let file = photo(300, 200);
    let link = link(&server, &tenant, &stated(&tenant, &file)).await;
    assert_eq!(send(&link, &file).await, Some(StatusCode::OK));
    sweep::uploads(&server.app).await.expect("a sweep");
    assert_eq!(until_final(&server, &tenant, &text(&link, "image_id")).await["state"], "done");
}

#[tokio::test]
async fn a_file_that_is_not_the_announced_one_ends_with_an_error() {
    let server = working(in_bucket).await;
    let tenant = server.tenant("lie").await;
    let (file, other) = (photo(300, 200), photo(200, 300));
    let link = link(&server, &tenant, &stated(&tenant, &file)).await;
    // As after a store that does not check what was signed.
    let upload = server.app.catalog.open_upload(text(&link, "image_id").parse().expect("an id")).await;
    let key = upload.expect("the catalog").expect("an open upload").incoming_key;
    server.app.objects.put(&key, other.into()).await.expect("stored");
    assert_eq!(complete(&server, &tenant, &text(&link, "image_id")).await, StatusCode::ACCEPTED);
    let image = until_final(&server, &tenant, &text(&link, "image_id")).await;
    assert_eq!((&image["state"], &image["error_code"]), (&json!("error"), &json!("not_as_stated")), "{image}");
}

#[tokio::test]
async fn a_version_that_becomes_private_leaves_the_public_bucket() {
    let server = working(in_two_buckets).await;
    let tenant = server.tenant("moves").await;
    let file = photo(300, 200);
    let image = upload(&server, &tenant, &stated(&tenant, &file), &file).await;
    let public = image["versions"]["thumb"].clone();
    assert_eq!(get(&public).await.status(), StatusCode::OK);
    let path = format!("/api/v1/images/{}", text(&image, "image_id"));
    let hidden = server.write("PATCH", &path, &tenant.secret_key, &json!({"visibility": "private"})).await;
    assert_eq!(hidden.status, StatusCode::OK, "{hidden:?}");
    assert_eq!(get(&public).await.status(), StatusCode::NOT_FOUND);
    let private = hidden.json()["versions"]["thumb"].clone();
    assert_eq!(get(&private).await.status(), StatusCode::OK);
    let bare = private.as_str().expect("a link").split('?').next().expect("a path").to_owned();
    assert_eq!(get(&json!(bare)).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_users_own_upload_passes_the_server_and_ends_in_the_bucket() {
    let server = working(in_bucket).await;
    let tenant = server.tenant("users").await;
    let mut file = photo(2_000, 2_000);
    // Longer than one part; what follows a JPEG is not looked at.
    file.resize(7 * 1024 * 1024, 0);
    let form = crate::uploads::form(&[("user_id", "anna"), ("tier", "free")], "mine.jpg", &file);
    // In pieces, as the network brings it.
    let pieces: Vec<Result<Bytes, Infallible>> =
        form.chunks(16 * 1024).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let body = Body::from_stream(futures::stream::iter(pieces));
    let made = crate::uploads::post(&server, &tenant.secret_key, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let image = made.json();
    assert_eq!(image["state"], "done", "{image}");
    assert!(get(&image["versions"]["original"]).await.bytes().await.expect("bytes") == file, "byte for byte");
}

#[tokio::test]
async fn events_in_the_bucket_answer_questions() {
    let server = Server::start_with(in_bucket).await;
    let tenant = server.tenant("lake").await;
    let events: Vec<Value> = (0..50)
        .map(|number| {
            json!({
                "session_id": uuid::Uuid::from_u128(number), "category": "shop", "name": "view",
                "data": {"n": number}, "timestamp": "2021-01-01T09:15:27Z",
            })
        })
        .collect();
    for _ in 0..2 {
        let sent = server.post("/api/v1/events/batch", &tenant.secret_key, &json!(events)).await;
        assert_eq!(sent.status, StatusCode::OK, "{sent:?}");
        server.apply_events().await;
        server.app.flush.run().await.expect("a flush");
    }
    let files = server.app.catalog.manifest().await.expect("a manifest").files;
    for file in &files {
        assert_eq!(
            server.app.objects.head(&file.key).await.expect("an answer").map(|head| head.bytes),
            Some(file.bytes)
        );
    }
    assert_eq!(files.len(), 2);
    let listed = server.get("/api/v1/events?limit=100", &tenant.secret_key).await;
    assert_eq!(listed.json()["events"].as_array().expect("events").len(), 100);
    let sessions = server.get("/api/v1/analytics/counts?interval=all", &tenant.secret_key).await.json();
    assert_eq!(
        (&sessions["rows"][0]["count"], &sessions["rows"][0]["sessions"]),
        (&json!(100), &json!(50)),
        "{sessions}"
    );
}

#[tokio::test]
async fn what_needs_a_store_that_is_away_is_refused_for_now_and_the_rest_goes_on() {
    let server = Server::start_with(|settings| {
        in_bucket(settings);
        settings.objects_url = Some("s3://photos?endpoint=http://127.0.0.1:9".to_owned());
    })
    .await;
    let tenant = server.tenant("away").await;
    let link = link(&server, &tenant, &json!({"project_id": tenant.project_id, "filename": "a.jpg"})).await;
    let path = format!("/api/v1/images/{}/complete", text(&link, "image_id"));
    let refused = server.post(&path, &tenant.secret_key, &json!({})).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused:?}");
    assert!(!refused.header("retry-after").is_empty());
    let version = format!("/{}", ObjectKey::versions(true).join("thumb.jpg"));
    assert_eq!(server.get(&version, "").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let ready = server.get("/readyz", "").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE, "{ready:?}");
    let event = json!({
        "session_id": uuid::Uuid::from_u128(1), "category": "shop", "name": "view", "data": {},
        "timestamp": "2021-01-01T09:15:27Z",
    });
    assert_eq!(server.post("/api/v1/events", &tenant.secret_key, &event).await.status, StatusCode::CREATED);
}
