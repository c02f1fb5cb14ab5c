//! Uploads in parts, in a folder and in a bucket: they go on after a break, and leave nothing over.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use eyeline::flow::photo::sweep;
use eyeline::secrets::{sha256, to_hex};
use eyeline::settings::Settings;
use eyeline::workers::process;
use eyeline_core::{ImageId, Timestamp};
use eyeline_store::ObjectKey;
use eyeline_store::objects::PartUpload;
use futures::{StreamExt as _, stream};
use http::StatusCode;
use serde_json::{Value, json};

use crate::images::{link, path_of};
use crate::processing::{photo, until_final};
use crate::s3::{client, in_bucket};
use crate::support::{ADMIN_KEY, Answer, Server, Tenant, request, text};

const PART_BYTES: usize = 8 * 1024 * 1024;

/// Where the objects are. Each test runs in both.
const PLACES: [fn(&mut Settings); 2] = [|_| {}, in_bucket];

/// A photo of three parts: what follows a JPEG is not looked at.
fn large_photo() -> Vec<u8> {
    let mut file = photo(300, 200);
    file.extend((0..2 * PART_BYTES).map(|at| (at % 253) as u8));
    assert_eq!(file.len().div_ceil(PART_BYTES), 3);
    file
}

fn part(file: &[u8], number: u64) -> &[u8] {
    file.chunks(PART_BYTES).nth(number as usize - 1).expect("a part")
}

fn stated(tenant: &Tenant, file: &[u8]) -> Value {
    json!({
        "project_id": tenant.project_id, "filename": "large.jpg", "size": file.len(),
        "sha256": to_hex(&sha256(file)), "multipart": true,
    })
}

async fn image(server: &Server, tenant: &Tenant, file: &[u8]) -> String {
    let link = link(server, tenant, &stated(tenant, file)).await;
    let params = json!({"method": "PARTS", "part_bytes": PART_BYTES, "fields": {}, "headers": {}});
    assert_eq!((&link["params"], &link["state"]), (&params, &json!("init")), "{link}");
    let image_id = text(&link, "image_id");
    assert!(text(&link, "upload_link").ends_with(&format!("/api/v1/images/{image_id}/parts")), "{link}");
    image_id
}

async fn ask(server: &Server, tenant: &Tenant, image_id: &str, numbers: Value) -> Answer {
    let path = format!("/api/v1/images/{image_id}/parts");
    server.post(&path, &tenant.secret_key, &json!({ "numbers": numbers })).await
}

async fn links(server: &Server, tenant: &Tenant, image_id: &str, numbers: &[u64]) -> Value {
    let answer = ask(server, tenant, image_id, json!(numbers)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let answer = answer.json();
    let given: Vec<&Value> = answer["parts"].as_array().expect("parts").iter().map(|part| &part["number"]).collect();
    assert_eq!(json!(given), json!(numbers));
    answer
}

/// Sends bytes as the link of a part says to, without a credential. A store that refuses early may close the
/// connection.
async fn put(server: &Server, part: &Value, bytes: &[u8]) -> Option<StatusCode> {
    let url = text(part, "upload_link");
    if !url.starts_with(&server.app.settings.public_url()) {
        let sent = client().put(url).body(bytes.to_vec()).send().await;
        return sent.ok().map(|answer| answer.status());
    }
    let sent = request("PUT", path_of(&url), "").header("content-length", bytes.len());
    Some(server.send(sent.body(Body::from(bytes.to_vec())).expect("a request")).await.status)
}

async fn send(server: &Server, tenant: &Tenant, image_id: &str, file: &[u8], numbers: &[u64]) {
    let given = links(server, tenant, image_id, numbers).await;
    for (number, link) in numbers.iter().zip(given["parts"].as_array().expect("parts")) {
        let status = put(server, link, part(file, *number)).await;
        assert!(status.is_some_and(|status| status.is_success()), "part {number}: {status:?}");
    }
}

async fn complete(server: &Server, tenant: &Tenant, image_id: &str) -> Answer {
    server.post(&format!("/api/v1/images/{image_id}/complete"), &tenant.secret_key, &json!({})).await
}

/// The upload in the object store.
async fn in_store(server: &Server, image_id: &str) -> (PartUpload, ObjectKey) {
    let image_id: ImageId = image_id.parse().expect("an id");
    let upload = server.app.catalog.open_upload(image_id).await.expect("the catalog").expect("an open upload");
    let in_parts = upload.in_parts.expect("parts");
    (in_parts.upload(&upload.incoming_key).expect("begun"), in_parts.original_key)
}

/// Nothing is left over of the upload.
async fn expect_nothing(server: &Server, (upload, original_key): (PartUpload, ObjectKey)) {
    let parts = server.app.objects.parts(&upload).await.expect("the objects");
    assert_eq!(parts.unwrap_or_default(), [], "{upload:?}");
    assert_eq!(server.app.objects.head(&original_key).await.expect("the objects"), None, "{original_key}");
}

#[tokio::test]
async fn an_upload_goes_on_after_a_break_with_the_parts_that_have_not_arrived() {
    for place in PLACES {
        let server = Server::start_with(place).await;
        let tenant = server.tenant("breaks").await;
        let file = large_photo();
        let image_id = image(&server, &tenant, &file).await;
        let nothing = complete(&server, &tenant, &image_id).await;
        assert_eq!((nothing.status, &nothing.json()["missing"]), (StatusCode::CONFLICT, &json!([1, 2, 3])));
        send(&server, &tenant, &image_id, &file, &[1, 3]).await;

        // The server stops too, and the client knows nothing but the image.
        let server = server.restart_with(place).await;
        tokio::spawn(process::run(server.app.clone()));
        let missing = complete(&server, &tenant, &image_id).await;
        assert_eq!((missing.status, &missing.json()["missing"]), (StatusCode::CONFLICT, &json!([2])));
        assert!(text(&missing.json(), "detail").contains("1 of 3 parts"), "{missing:?}");
        let known = links(&server, &tenant, &image_id, &[]).await;
        let told = (&known["received"], &known["part_bytes"], &known["count"]);
        assert_eq!(told, (&json!([1, 3]), &json!(PART_BYTES), &json!(3)), "{known}");
        send(&server, &tenant, &image_id, &file, &[2]).await;
        assert_eq!(links(&server, &tenant, &image_id, &[]).await["received"], json!([1, 2, 3]));

        for _ in 0..2 {
            let completed = complete(&server, &tenant, &image_id).await;
            assert_eq!(completed.status, StatusCode::ACCEPTED, "{completed:?}");
        }
        let done = until_final(&server, &tenant, &image_id).await;
        assert_eq!((&done["state"], &done["bytes"]), (&json!("done"), &json!(file.len())), "{done}");
        assert_eq!(done["sha256"], json!(to_hex(&sha256(&file))));
        let late = ask(&server, &tenant, &image_id, json!([1])).await;
        assert_eq!(late.status, StatusCode::CONFLICT, "its file has arrived: {late:?}");
        let stored =
            server.app.catalog.images_by_id(vec![image_id.parse().expect("an id")]).await.expect("the catalog");
        let key = stored.into_values().next().expect("the image").original_key.expect("an original");
        assert!(server.app.objects.get(&key).await.expect("the objects").expect("there") == file, "byte for byte");
        sweep::sweep(&server.app).await.expect("a sweep");
        assert!(
            server.app.objects.head(&key).await.expect("the objects").is_some(),
            "the sweep leaves an original alone"
        );
    }
}

#[tokio::test]
async fn calls_that_complete_at_the_same_time_take_the_file_in_once() {
    for place in PLACES {
        let server = Server::start_with(place).await;
        let tenant = server.tenant("at once").await;
        let file = large_photo();
        let image_id = image(&server, &tenant, &file).await;
        send(&server, &tenant, &image_id, &file, &[1, 2, 3]).await;
        let calls = futures::future::join_all((0..4).map(|_| complete(&server, &tenant, &image_id))).await;
        assert!(calls.iter().all(|answer| answer.status == StatusCode::ACCEPTED), "{calls:?}");
        sweep::sweep(&server.app).await.expect("a sweep");
        tokio::spawn(process::run(server.app.clone()));
        assert_eq!(until_final(&server, &tenant, &image_id).await["state"], "done");
    }
}

#[tokio::test]
async fn a_part_of_another_size_is_refused_and_one_that_is_sent_again_changes_nothing() {
    for place in PLACES {
        let server = Server::start_with(place).await;
        let tenant = server.tenant("sizes").await;
        let file = large_photo();
        let image_id = image(&server, &tenant, &file).await;
        let given = links(&server, &tenant, &image_id, &[1, 3]).await;
        let [first, last] = [&given["parts"][0], &given["parts"][1]];
        let is_refused = |status: Option<StatusCode>| status.is_none_or(|status| status.is_client_error());
        let longer = [part(&file, 3), &[0]].concat();
        for (link, bytes) in [(first, &part(&file, 1)[1..]), (last, &longer), (last, part(&file, 1)), (last, b"")] {
            assert!(is_refused(put(&server, link, bytes).await), "{} bytes", bytes.len());
        }
        assert_eq!(links(&server, &tenant, &image_id, &[]).await["received"], json!([]));
        assert!(put(&server, last, part(&file, 3)).await.is_some_and(|status| status.is_success()));
        let again = put(&server, last, part(&file, 3)).await;
        assert!(again.is_some_and(|status| status.is_success() || status == StatusCode::PRECONDITION_FAILED));
        assert_eq!(links(&server, &tenant, &image_id, &[]).await["received"], json!([3]));
    }
}

#[tokio::test]
async fn another_file_than_the_stated_one_ends_with_an_error() {
    for place in PLACES {
        let server = Server::start_with(place).await;
        tokio::spawn(process::run(server.app.clone()));
        let tenant = server.tenant("lies").await;
        let file = large_photo();
        let image_id = image(&server, &tenant, &file).await;
        let mut other = file.clone();
        other[PART_BYTES + 7] ^= 1;
        send(&server, &tenant, &image_id, &other, &[1, 2, 3]).await;
        assert_eq!(complete(&server, &tenant, &image_id).await.status, StatusCode::ACCEPTED);
        let image = until_final(&server, &tenant, &image_id).await;
        assert_eq!((&image["state"], &image["error_code"]), (&json!("error"), &json!("not_as_stated")), "{image}");
    }
}

#[tokio::test]
async fn the_sweep_joins_what_nobody_completed() {
    for place in PLACES {
        let server = Server::start_with(place).await;
        let tenant = server.tenant("sweep").await;
        let file = large_photo();
        let image_id = image(&server, &tenant, &file).await;
        send(&server, &tenant, &image_id, &file, &[1, 2]).await;
        sweep::sweep(&server.app).await.expect("a sweep");
        assert_eq!(
            links(&server, &tenant, &image_id, &[]).await["received"],
            json!([1, 2]),
            "it waits for the last part"
        );
        send(&server, &tenant, &image_id, &file, &[3]).await;
        sweep::sweep(&server.app).await.expect("a sweep");
        assert_eq!(ask(&server, &tenant, &image_id, json!([1])).await.status, StatusCode::CONFLICT);
        assert_eq!(complete(&server, &tenant, &image_id).await.status, StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn parts_that_were_joined_before_a_crash_are_taken_in_after_it() {
    for place in PLACES {
        let server = Server::start_with(place).await;
        let tenant = server.tenant("crash").await;
        let file = large_photo();
        let image_id = image(&server, &tenant, &file).await;
        send(&server, &tenant, &image_id, &file, &[1, 2, 3]).await;
        let (upload, _) = in_store(&server, &image_id).await;
        let parts = server.app.objects.parts(&upload).await.expect("the objects").expect("an upload");
        assert!(server.app.objects.join_parts(&upload, &parts).await.expect("the objects"));
        let known = ask(&server, &tenant, &image_id, json!([])).await.json();
        assert_eq!(known["received"], json!([1, 2, 3]), "{known}");
        assert_eq!(complete(&server, &tenant, &image_id).await.status, StatusCode::ACCEPTED);
    }
}

/// Returns once this time is over.
async fn until_past(server: &Server, time: &Value) {
    let time = Timestamp::parse(time.as_str().expect("a time")).expect("a time");
    while server.app.clock.real_now() <= time {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_upload_that_nobody_goes_on_with_is_ended_with_all_its_parts() {
    for place in PLACES {
        let server = Server::start_with(|settings| {
            place(settings);
            settings.upload_link_seconds = 5;
            settings.upload_grace_seconds = 0;
        })
        .await;
        let tenant = server.tenant("gives up").await;
        let file = large_photo();
        let image_id = image(&server, &tenant, &file).await;
        let path = format!("/api/v1/images/{image_id}");
        let show = async || server.get(&path, &tenant.secret_key).await.json();
        send(&server, &tenant, &image_id, &file, &[1]).await;
        let stored = in_store(&server, &image_id).await;
        let first = links(&server, &tenant, &image_id, &[2]).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let second = links(&server, &tenant, &image_id, &[2]).await;
        let link = second["parts"][0].clone();
        until_past(&server, &first["expires_at"]).await;
        sweep::sweep(&server.app).await.expect("a sweep");
        assert_eq!(show().await["state"], "init", "a call for further links puts the end off");
        until_past(&server, &second["expires_at"]).await;
        sweep::sweep(&server.app).await.expect("a sweep");
        let ended = show().await;
        assert_eq!((&ended["state"], &ended["error_code"]), (&json!("error"), &json!("never_arrived")), "{ended}");
        expect_nothing(&server, stored).await;
        assert_eq!(ask(&server, &tenant, &image_id, json!([1])).await.status, StatusCode::CONFLICT);
        assert_eq!(complete(&server, &tenant, &image_id).await.status, StatusCode::CONFLICT);
        assert!(put(&server, &link, part(&file, 2)).await.is_some_and(|status| status.is_client_error()));
    }
}

#[tokio::test]
async fn a_deleted_image_leaves_no_part_and_takes_none() {
    for place in PLACES {
        let server = Server::start_with(place).await;
        let tenant = server.tenant("deletes").await;
        let file = large_photo();
        let image_id = image(&server, &tenant, &file).await;
        send(&server, &tenant, &image_id, &file, &[1]).await;
        let link = links(&server, &tenant, &image_id, &[2]).await["parts"][0].clone();
        let stored = in_store(&server, &image_id).await;
        let path = format!("/api/v1/images/{image_id}");
        assert_eq!(server.delete(&path, &tenant.secret_key).await.status, StatusCode::NO_CONTENT);
        sweep::sweep(&server.app).await.expect("a sweep");
        expect_nothing(&server, stored).await;
        assert_eq!(ask(&server, &tenant, &image_id, json!([2])).await.status, StatusCode::NOT_FOUND);
        assert_eq!(put(&server, &link, part(&file, 2)).await, Some(StatusCode::NOT_FOUND));
    }
}

#[tokio::test]
async fn an_upload_that_the_store_has_lost_begins_again() {
    for place in PLACES {
        let server = Server::start_with(place).await;
        let tenant = server.tenant("lost").await;
        let file = large_photo();
        let image_id = image(&server, &tenant, &file).await;
        send(&server, &tenant, &image_id, &file, &[1, 2, 3]).await;
        server.app.objects.abort_parts(&in_store(&server, &image_id).await.0).await.expect("the objects");
        assert_eq!(complete(&server, &tenant, &image_id).await.json()["missing"], json!([1, 2, 3]));
        assert_eq!(links(&server, &tenant, &image_id, &[]).await["received"], json!([]));
        send(&server, &tenant, &image_id, &file, &[1, 2, 3]).await;
        assert_eq!(complete(&server, &tenant, &image_id).await.status, StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_call_for_parts_is_told() {
    let server = Server::start().await;
    let (ours, theirs) = (server.tenant("ours").await, server.tenant("theirs").await);
    let body =
        |size: Value| json!({"project_id": ours.project_id, "filename": "a.jpg", "multipart": true, "size": size});
    let small = server.post("/api/v1/images", &ours.secret_key, &body(json!(PART_BYTES - 1))).await;
    assert_eq!(small.status, StatusCode::BAD_REQUEST);
    assert!(small.json()["errors"]["size"][0].as_str().is_some_and(|error| error.contains("8388608")), "{small:?}");
    let unknown = server.post("/api/v1/images", &ours.secret_key, &body(Value::Null)).await;
    assert_eq!(unknown.json()["errors"], json!({"size": ["This field is required."]}));
    let large = server.post("/api/v1/images", &ours.secret_key, &body(json!(51 * 1024 * 1024))).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);

    let image_id = text(&link(&server, &ours, &body(json!(PART_BYTES))).await, "image_id");
    let wrong = ask(&server, &ours, &image_id, json!([1, 0, 2, -1, "1", 1.5])).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let sentence = json!(["Parts have the numbers 1 to 1."]);
    let errors = wrong.json()["errors"].clone();
    let fields: Vec<&String> = errors.as_object().expect("errors").keys().collect();
    assert_eq!(fields, ["numbers.1", "numbers.2", "numbers.3", "numbers.4", "numbers.5"]);
    assert_eq!(errors["numbers.2"], sentence);
    for numbers in [json!(vec![1; 1_001]), json!(1), json!({}), Value::Null] {
        let refused = ask(&server, &ours, &image_id, numbers).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(refused.json()["errors"]["numbers"].is_array(), "{refused:?}");
    }
    let once = ask(&server, &ours, &image_id, json!([1, 1, 1])).await.json();
    assert_eq!(once["parts"].as_array().map(Vec::len), Some(1), "{once}");
    assert_eq!(ask(&server, &theirs, &image_id, json!([1])).await.status, StatusCode::NOT_FOUND);
    assert_eq!(complete(&server, &theirs, &image_id).await.status, StatusCode::NOT_FOUND);

    let whole = json!({"project_id": ours.project_id, "filename": "a.jpg", "size": PART_BYTES});
    let whole = text(&link(&server, &ours, &whole).await, "image_id");
    let refused = ask(&server, &ours, &whole, json!([1])).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(text(&refused.json(), "detail").contains("not sent in parts"), "{refused:?}");
}

#[tokio::test]
async fn a_link_of_a_part_is_for_no_other_part_and_no_other_upload() {
    let server = Server::start().await;
    let tenant = server.tenant("forgery").await;
    let file = large_photo();
    let image_id = image(&server, &tenant, &file).await;
    let other = image(&server, &tenant, &file).await;
    let own = text(&links(&server, &tenant, &image_id, &[1]).await["parts"][0], "upload_link");
    let theirs = text(&links(&server, &tenant, &other, &[1]).await["parts"][0], "upload_link");
    let (path, query) = own.split_once('?').expect("a signed link");
    let (other_path, _) = theirs.split_once('?').expect("a signed link");
    let another_part = path.strip_suffix("/1").expect("the first part").to_owned() + "/2";
    let whole = path.strip_suffix("/1").expect("the first part").to_owned();
    for path in [other_path, another_part.as_str(), whole.as_str(), &path.replace("/1", "/01")] {
        let forged = json!({"upload_link": format!("{path}?{query}")});
        let status = put(&server, &forged, part(&file, 1)).await;
        assert_eq!(status, Some(StatusCode::FORBIDDEN), "{path}");
    }
    assert_eq!(put(&server, &json!({ "upload_link": own }), part(&file, 1)).await, Some(StatusCode::NO_CONTENT));
}

#[tokio::test]
async fn a_part_that_is_sent_anew_ends_the_transfer_that_hangs_and_no_other() {
    let server = Server::start().await;
    let tenant = server.tenant("again").await;
    let file = large_photo();
    let image_id = image(&server, &tenant, &file).await;
    let given = links(&server, &tenant, &image_id, &[1, 2]).await;
    let hang = |link: &Value| {
        let half = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"half"))]).chain(stream::pending());
        let sent = request("PUT", path_of(&text(link, "upload_link")), "").body(Body::from_stream(half));
        Box::pin(server.send(sent.expect("a request")))
    };
    let (mut first, mut second) = (hang(&given["parts"][0]), hang(&given["parts"][1]));
    let id: ImageId = image_id.parse().expect("an id");
    while !(server.app.transfers.is_open(id, Some(1)) && server.app.transfers.is_open(id, Some(2))) {
        assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (hanging, sent) = tokio::join!(first, put(&server, &given["parts"][0], part(&file, 1)));
    assert_eq!((hanging.status, sent), (StatusCode::CONFLICT, Some(StatusCode::NO_CONTENT)), "{hanging:?}");
    assert!(futures::poll!(&mut second).is_pending(), "the other part is still under way");
    drop(second);
    assert_eq!(links(&server, &tenant, &image_id, &[]).await["received"], json!([1]));
}

#[tokio::test]
async fn files_of_a_batch_may_be_sent_in_parts_and_count_like_others() {
    let server = Server::start_with(|settings| {
        settings.tiers.free.images_max = 2;
        settings.tiers.free.file_bytes_max = 20_000_000;
    })
    .await;
    let project = server.post("/api/v1/projects", ADMIN_KEY, &json!({"name": "small", "tier": "free"})).await.json();
    let file = |name: &str, size: usize| json!({"filename": name, "size": size, "multipart": true});
    let files = [
        file("a.jpg", 17_000_000),
        file("b.jpg", 1),
        file("c.jpg", 30_000_000),
        file("d.jpg", PART_BYTES),
        file("e.jpg", PART_BYTES),
    ];
    let body = json!({"project_id": project["project_id"], "files": files});
    let answer = server.post("/api/v1/images/batch", ADMIN_KEY, &body).await.json();
    let images = answer["images"].as_array().expect("images");
    let verdicts: Vec<&Value> = images.iter().map(|image| &image["verdict"]).collect();
    assert_eq!(json!(verdicts), json!(["created", "invalid", "too_large", "created", "over_quota"]), "{answer}");
    assert_eq!((&images[0]["params"]["method"], &images[3]["params"]["method"]), (&json!("PARTS"), &json!("PARTS")));
}
