//! Processing: from a stored file to versions with links.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::body::Body;
use eyeline::flow::photo::makers::Makers;
use eyeline::workers::process;
use eyeline_core::{ProjectId, Webp};
use http::StatusCode;
use jpeg_encoder::{ColorType, Encoder};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::images::{link, path_of, send};
use crate::support::{Answer, Server, Tenant, request, text};

pub fn photo(width: u16, height: u16) -> Vec<u8> {
    let pixels: Vec<u8> = (0..u32::from(width) * u32::from(height)).map(|at| (at % 251) as u8).collect();
    let mut file = Vec::new();
    Encoder::new(&mut file, 90).encode(&pixels, width, height, ColorType::Luma).expect("a JPEG");
    file
}

/// A server whose worker runs until the test ends.
pub async fn working() -> Server {
    let server = Server::start().await;
    tokio::spawn(process::run(server.app.clone()));
    server
}

async fn show(server: &Server, tenant: &Tenant, image_id: &str) -> Value {
    server.get(&format!("/api/v1/images/{image_id}"), &tenant.secret_key).await.json()
}

pub async fn until_final(server: &Server, tenant: &Tenant, image_id: &str) -> Value {
    let began = Instant::now();
    loop {
        let image = show(server, tenant, image_id).await;
        if image["state"] == "done" || image["state"] == "error" {
            return image;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{image}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub async fn upload(server: &Server, tenant: &Tenant, file: &[u8], more: Value) -> Value {
    let mut body = json!({"project_id": tenant.project_id, "filename": "a b.jpg"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let link = link(server, tenant, &body).await;
    assert_eq!(send(server, &link, file).await.status, StatusCode::NO_CONTENT);
    until_final(server, tenant, &text(&link, "image_id")).await
}

async fn download(server: &Server, link: &Value) -> Answer {
    server.get(path_of(link.as_str().unwrap_or_else(|| panic!("{link} is no link"))), "").await
}

#[tokio::test]
async fn a_photo_gets_every_version_under_links_that_need_no_credential() {
    let server = working().await;
    let tenant = server.tenant("photos").await;
    let file = photo(1000, 700);
    let image = upload(&server, &tenant, &file, json!({})).await;
    assert_eq!(image["state"], "done", "{image}");
    assert_eq!((&image["width"], &image["height"], &image["bytes"]), (&json!(1000), &json!(700), &json!(file.len())));
    let times = ["created_at", "arrived_at", "prepared_at", "updated_at"].map(|name| text(&image, name));
    assert!(times.is_sorted(), "the way of an image: {times:?}");
    let sizes: Vec<Value> = image["renditions"]
        .as_array()
        .expect("renditions")
        .iter()
        .map(|r| json!([r["name"], r["width"], r["height"]]))
        .collect();
    assert_eq!(
        json!(sizes),
        json!([["thumb", 150, 105], ["big_thumb", 700, 490], ["big_1920", 1000, 700], ["d2500", 1000, 700]])
    );
    for rendition in image["renditions"].as_array().expect("renditions") {
        assert_eq!(rendition["url"], image["versions"][text(rendition, "name")]);
        let version = download(&server, &rendition["url"]).await;
        assert_eq!((version.status, version.header("content-type")), (StatusCode::OK, "image/jpeg"));
        assert_eq!(rendition["bytes"], version.body.len());
        assert!(version.header("cache-control").contains("immutable"));
        let same = request("GET", path_of(rendition["url"].as_str().expect("a link")), "");
        let same = same.header("if-none-match", version.header("etag")).body(Body::empty()).expect("a request");
        assert_eq!(server.send(same).await.status, StatusCode::NOT_MODIFIED);
    }
    let original = download(&server, &image["versions"]["original"]).await;
    assert!(original.body == file, "byte for byte");
    assert_eq!(original.header("content-disposition"), "attachment; filename=\"a b.jpg\"; filename*=UTF-8''a%20b.jpg");
    let part = request("GET", path_of(image["versions"]["original"].as_str().expect("a link")), "");
    let part = server.send(part.header("range", "bytes=2-5").body(Body::empty()).expect("a request")).await;
    assert_eq!((part.status, part.body.as_slice()), (StatusCode::PARTIAL_CONTENT, &file[2..6]));
    assert_eq!(part.header("content-range"), format!("bytes 2-5/{}", file.len()));
    let head = server
        .send(
            request("HEAD", path_of(image["versions"]["thumb"].as_str().expect("a link")), "")
                .body(Body::empty())
                .expect("a request"),
        )
        .await;
    assert_eq!(head.header("content-length"), image["renditions"][0]["bytes"].to_string());
    let bare =
        path_of(image["versions"]["original"].as_str().expect("a link")).split('?').next().expect("a path").to_owned();
    assert_eq!(server.get(&bare, "").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn who_may_see_an_image_decides_under_which_links_and_a_change_ends_the_old_ones() {
    let server = working().await;
    let tenant = server.tenant("visibility").await;
    let image = upload(&server, &tenant, &photo(200, 100), json!({})).await;
    let path = format!("/api/v1/images/{}", text(&image, "image_id"));
    let mut before = image;
    for change in [
        json!({"visibility": "private"}),
        json!({"access_tier": "premium"}),
        json!({"visibility": "public"}),
        json!({"access_tier": "free"}),
    ] {
        let after = server.write("PATCH", &path, &tenant.secret_key, &change).await.json();
        assert_eq!(download(&server, &before["versions"]["thumb"]).await.status, StatusCode::NOT_FOUND, "{change}");
        assert_eq!(download(&server, &after["versions"]["thumb"]).await.status, StatusCode::OK, "{change}");
        let signed = text(&after["versions"], "thumb").contains("signature=");
        assert_eq!(signed, after["visibility"] == "private" || after["access_tier"] != "free", "{change}");
        before = after;
    }
    assert_eq!(server.app.catalog.unwanted_objects(10).await.expect("the catalog"), vec![]);
}

#[tokio::test]
async fn a_file_that_is_at_fault_ends_as_error_with_a_reason_and_can_be_fetched_still() {
    let server = working().await;
    let tenant = server.tenant("faults").await;
    let whole = photo(400, 300);
    for (file, code) in [(&whole[..whole.len() / 2], "truncated"), (b"no picture at all".as_slice(), "not_an_image")] {
        let image = upload(&server, &tenant, file, json!({})).await;
        assert_eq!(image["state"], "error", "{image}");
        assert!(text(&image, "error").contains(' '), "{image}");
        assert_eq!((text(&image, "error_code").as_str(), text(&image, "sha256").len()), (code, 64), "{image}");
        assert_eq!(image["versions"]["thumb"], Value::Null);
        assert!(download(&server, &image["versions"]["original"]).await.body == file);
    }
}

#[tokio::test]
async fn versions_made_anew_get_new_addresses_and_the_same_bytes() {
    let server = working().await;
    let tenant = server.tenant("again").await;
    let first = upload(&server, &tenant, &photo(300, 300), json!({})).await;
    let bytes = download(&server, &first["versions"]["thumb"]).await.body;
    let path = format!("/api/v1/images/{}/reprocess", text(&first, "image_id"));
    assert_eq!(server.post(&path, &tenant.secret_key, &json!({})).await.status, StatusCode::ACCEPTED);
    let second = until_final(&server, &tenant, &text(&first, "image_id")).await;
    assert_ne!(second["versions"]["thumb"], first["versions"]["thumb"]);
    assert!(download(&server, &second["versions"]["thumb"]).await.body == bytes, "made the same way");
    eyeline::flow::photo::sweep::sweep(&server.app).await.expect("a sweep");
    assert_eq!(download(&server, &first["versions"]["thumb"]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_photo_that_was_being_made_when_the_server_was_killed_is_made_at_the_next_start() {
    let server = Server::start().await;
    let tenant = server.tenant("kills").await;
    let link = link(&server, &tenant, &json!({"project_id": tenant.project_id, "filename": "a.jpg"})).await;
    assert_eq!(send(&server, &link, &photo(300, 200)).await.status, StatusCode::NO_CONTENT);
    let node = server.app.node.to_string();
    let (claimed, _) = server.app.catalog.claim_images(node, 5, server.app.clock.now()).await.expect("the catalog");
    assert_eq!(claimed.len(), 1);
    let image_id = text(&link, "image_id");
    assert_eq!(show(&server, &tenant, &image_id).await["state"], "processing");

    let server = server.restart().await;
    tokio::spawn(process::run(server.app.clone()));
    let image = until_final(&server, &tenant, &image_id).await;
    assert_eq!(image["state"], "done", "{image}");
}

/// A program for workers that notes each start in a file. Returns both paths.
fn noted_worker(folder: &Path) -> (PathBuf, PathBuf) {
    let (program, starts) = (folder.join("worker"), folder.join("starts"));
    let lines =
        format!("#!/bin/sh\necho start >>{}\nexec {} \"$@\"\n", starts.display(), env!("CARGO_BIN_EXE_eyeline"));
    fs::write(&program, lines).expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
    (program, starts)
}

fn started_in(starts: &Path) -> usize {
    fs::read_to_string(starts).expect("a log").lines().count()
}

#[tokio::test]
async fn a_worker_is_replaced_between_projects_where_that_costs_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (program, starts) = noted_worker(folder.path());
    let makers = Makers::new(program, Webp::Off.presets(), true);
    let projects: Vec<ProjectId> = (1..=4).map(|number| ProjectId(Uuid::from_u128(number))).collect();
    let photo = photo(40, 30);
    for (project, renews, has_read_others, started) in [
        (0, true, false, 1),
        (0, true, false, 1),
        (1, false, true, 1),
        (1, true, false, 1),
        (2, true, true, 2),
        (2, true, false, 2),
    ] {
        assert_eq!(makers.has_read_others(projects[project]), has_read_others);
        makers.make(projects[project], renews, &photo).expect("versions");
        assert_eq!(started_in(&starts), started, "project {project}");
    }
    makers.warm_up().expect("a second idle worker");
    makers.make(projects[3], false, &photo).expect("versions");
    makers.make(projects[0], false, &photo).expect("versions");
    assert_eq!(started_in(&starts), 4, "two were idle, one of them renewed");
}

#[tokio::test]
async fn a_worker_is_replaced_after_500_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let (program, starts) = noted_worker(folder.path());
    let makers = Makers::new(program, Webp::Off.presets(), true);
    let (project_id, photo) = (ProjectId(Uuid::from_u128(1)), photo(8, 8));
    for (files, started) in [(500, 1), (1, 2)] {
        for _ in 0..files {
            makers.make(project_id, false, &photo).expect("versions");
        }
        assert_eq!(started_in(&starts), started);
    }
}
