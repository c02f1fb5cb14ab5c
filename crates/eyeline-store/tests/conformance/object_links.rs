//! Links to a bucket: its store itself takes what they allow, and nothing else.

use std::time::{Duration, SystemTime};

use eyeline_core::{ImageId, Timestamp};
use eyeline_store::checks::{self, Verdict};
use eyeline_store::objects::{LinkKeys, Location, Span, Upload, UploadLink};
use eyeline_store::{ObjectKey, ObjectLinks, Objects};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Response, StatusCode};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::stores::{Server, bucket, buckets, until};

const ORIGIN: &str = "http://photos.example";
const JPEG: &str = "image/jpeg";

pub fn now() -> Timestamp {
    Timestamp::from_micros(0).plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time"))
}

fn span(seconds: i64) -> Span {
    let from = now().micros() / 1_000_000;
    Span { from, until: from + seconds }
}

fn client() -> Client {
    eyeline_store::tls::choose_provider();
    Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client")
}

pub fn links(location: &Location) -> ObjectLinks {
    ObjectLinks::new(location, ORIGIN.to_owned(), LinkKeys(vec![[1; 32]])).expect("links")
}

fn upload(body: &[u8], is_exact: bool, bytes_max: u64) -> Upload {
    Upload {
        key: ObjectKey::incoming(),
        expires_at: now().plus(Duration::from_secs(60)),
        bytes_max,
        exact: is_exact.then(|| (body.len() as u64, Sha256::digest(body).into())),
        content_type: Some(JPEG.to_owned()),
    }
}

/// Sends a PUT, with other values for some of its headers. A store that refuses early may close the connection.
pub async fn put(link: &UploadLink, body: &[u8], others: &[(&str, &str)]) -> Option<StatusCode> {
    assert_eq!(link.method, "PUT");
    let mut request = client().put(&link.url).body(body.to_vec());
    for (name, value) in &link.headers {
        let other = others.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        request = request.header(*name, other.map_or(value.as_str(), |(_, value)| *value));
    }
    request.send().await.ok().map(|response| response.status())
}

/// Sends a form, with other values for some of its fields.
async fn post(link: &UploadLink, body: &[u8], others: &[(&str, &str)]) -> Option<StatusCode> {
    assert_eq!(link.method, "POST");
    let mut form = Form::new();
    for (name, value) in &link.fields {
        let other = others.iter().find(|(other, _)| other == name);
        form = form.text(*name, other.map_or(value.clone(), |(_, value)| (*value).to_owned()));
    }
    let form = form.part("file", Part::bytes(body.to_vec()).file_name("photo.jpg"));
    client().post(&link.url).multipart(form).send().await.ok().map(|response| response.status())
}

pub fn is_refused(status: Option<StatusCode>) -> bool {
    status.is_none_or(|status| status.is_client_error())
}

async fn get(url: &str) -> Response {
    client().get(url).send().await.expect("an answer")
}

#[tokio::test]
async fn a_put_link_takes_exactly_what_was_stated() {
    let (location, body) = (bucket(), vec![7; 100_000]);
    let (links, objects) = (links(&location), Objects::open(&location).await.expect("objects"));
    let mut longer = body.clone();
    longer.push(7);
    let mut changed = body.clone();
    changed[5] = 0;
    let hash = |body: &[u8]| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(Sha256::digest(body))
    };
    let upload = upload(&body, true, 1_000_000);
    let link = links.upload(&upload, now());
    assert!(link.url.starts_with(links.origins()[0].as_str()), "{}", link.url);
    assert!(is_refused(put(&link, &longer, &[]).await), "one byte more");
    assert!(is_refused(put(&link, &body[1..], &[]).await), "one byte less");
    assert!(is_refused(put(&link, &body, &[("content-type", "text/html")]).await), "another type");
    assert!(is_refused(put(&link, &changed, &[]).await), "other bytes");
    let other_hash = hash(&changed);
    assert!(is_refused(put(&link, &changed, &[("x-amz-checksum-sha256", &other_hash)]).await), "another hash");
    for (of, to) in [(upload.key.as_str(), ObjectKey::incoming().as_str()), ("Expires=", "Expires=1")] {
        let tampered = UploadLink { url: link.url.replace(of, to), ..clone(&link) };
        assert!(is_refused(put(&tampered, &body, &[]).await), "{of}");
    }
    assert_eq!(objects.head(&upload.key).await.expect("an answer"), None);
    assert_eq!(put(&link, &body, &[]).await, Some(StatusCode::OK));
    assert_eq!(objects.get(&upload.key).await.expect("an answer").expect("there"), body);
    // A store may take the same file again, and never another one.
    let _again = put(&link, &body, &[]).await;
    assert!(is_refused(put(&link, &changed, &[]).await));
    assert_eq!(objects.get(&upload.key).await.expect("an answer").expect("there"), body);
}

pub fn clone(link: &UploadLink) -> UploadLink {
    let (url, fields, headers) = (link.url.clone(), link.fields.clone(), link.headers.clone());
    UploadLink { url, method: link.method, fields, headers }
}

#[tokio::test]
async fn a_form_takes_its_key_and_type_within_its_size() {
    let (location, body) = (bucket(), vec![7; 1_000]);
    let (links, objects) = (links(&location), Objects::open(&location).await.expect("objects"));
    let upload = upload(&body, false, 1_000);
    let link = links.upload(&upload, now());
    let longer = vec![7; 1_001];
    assert!(is_refused(post(&link, &longer, &[]).await), "one byte more than allowed");
    assert!(is_refused(post(&link, &[], &[]).await), "nothing");
    assert!(is_refused(post(&link, &body, &[("Content-Type", "text/html")]).await), "another type");
    let other = ObjectKey::incoming();
    assert!(is_refused(post(&link, &body, &[("key", other.as_str())]).await), "another key");
    assert!(is_refused(post(&link, &body, &[("x-amz-signature", &"0".repeat(64))]).await), "another signature");
    let additional =
        UploadLink { fields: [link.fields.clone(), vec![("x-amz-meta-a", "b".to_owned())]].concat(), ..clone(&link) };
    assert!(is_refused(post(&additional, &body, &[]).await), "a field more");
    for key in [&upload.key, &other] {
        assert_eq!(objects.head(key).await.expect("an answer"), None);
    }
    assert_eq!(post(&link, &body, &[]).await, Some(StatusCode::CREATED));
    assert_eq!(objects.get(&upload.key).await.expect("an answer").expect("there"), body);
    // A file whose type is not known.
    let untyped = Upload { key: ObjectKey::incoming(), content_type: None, ..upload };
    assert_eq!(post(&links.upload(&untyped, now()), &body, &[]).await, Some(StatusCode::CREATED));
}

#[tokio::test]
async fn links_expire() {
    let (location, body) = (bucket(), vec![7; 1_000]);
    let (links, objects) = (links(&location), Objects::open(&location).await.expect("objects"));
    let ends = now().plus(Duration::from_secs(2));
    let exact = Upload { expires_at: ends, ..upload(&body, true, 1_000) };
    let free = Upload { expires_at: ends, ..upload(&body, false, 1_000) };
    let (put_link, form) = (links.upload(&exact, now()), links.upload(&free, now()));
    let key = ObjectKey::versions(false).join("thumb.jpg");
    objects.put(&key, "bytes".into()).await.expect("stored");
    let download = links.version(&key, span(2));
    until("the link of a version expires", async || get(&download).await.status() == StatusCode::FORBIDDEN).await;
    until("the time of the links is over", async || now() > ends.plus(Duration::from_secs(1))).await;
    assert!(is_refused(put(&put_link, &body, &[]).await));
    assert!(is_refused(post(&form, &body, &[]).await));
    for key in [&exact.key, &free.key] {
        assert_eq!(objects.head(key).await.expect("an answer"), None);
    }
}

#[tokio::test]
async fn a_version_is_read_by_its_link_with_its_type_and_not_without() {
    let location = buckets();
    let (links, objects) = (links(&location), Objects::open(&location).await.expect("objects"));
    let [public, private] = [true, false].map(|public| ObjectKey::versions(public).join("thumb.jpg"));
    let header = |answer: &Response, name: &str| {
        answer.headers().get(name).map(|value| value.to_str().expect("ASCII").to_owned()).unwrap_or_default()
    };
    for (key, caching) in [(&public, "public, max-age=86400, immutable"), (&private, "private, max-age=300")] {
        objects.put_folder(&key.folder(), vec![("thumb.jpg".to_owned(), "bytes".into())]).await.expect("stored");
        let link = links.version(key, span(60));
        assert_eq!(links.version(key, span(60)).contains('?'), key == &private, "a public link never changes");
        let answer = get(&link).await;
        assert_eq!(answer.status(), StatusCode::OK, "{link}");
        assert_eq!(
            (header(&answer, "content-type").as_str(), header(&answer, "cache-control").as_str()),
            (JPEG, caching)
        );
        assert_eq!(answer.bytes().await.expect("bytes"), "bytes");
    }
    let link = links.version(&private, span(60));
    let bare = link.split_once('?').expect("a signature").0;
    for refused in
        [bare, &link.replace("thumb", "d2500"), &link[..link.len() - 1], &link.replace("Expires=60", "Expires=61")]
    {
        assert_eq!(get(refused).await.status(), StatusCode::FORBIDDEN, "{refused}");
    }
    // Moved versions have the caching of their new place.
    let moved = ObjectKey::versions(false).join("thumb.jpg");
    assert!(objects.copy(&public, &moved).await.expect("copied"));
    let answer = get(&links.version(&moved, span(60))).await;
    assert_eq!(
        (header(&answer, "content-type").as_str(), header(&answer, "cache-control").as_str()),
        (JPEG, "private, max-age=300")
    );
}

#[tokio::test]
async fn an_original_is_a_download_whatever_type_its_sender_gave() {
    let location = bucket();
    let (links, objects) = (links(&location), Objects::open(&location).await.expect("objects"));
    let body = b"<script>alert(1)</script>".to_vec();
    let sent = Upload { content_type: Some("text/html".to_owned()), ..upload(&body, true, 100) };
    assert_eq!(put(&links.upload(&sent, now()), &body, &[]).await, Some(StatusCode::OK));
    let original = ObjectKey::original(ImageId(Uuid::from_u128(9)));
    assert!(objects.copy(&sent.key, &original).await.expect("copied"));
    for (link, disposition) in
        [(links.original(&original, "ü \"x\".jpg", span(60)), true), (links.version(&original, span(60)), false)]
    {
        let answer = get(&link).await;
        assert_eq!(answer.status(), StatusCode::OK, "{link}");
        assert_eq!(answer.headers()["content-type"], "application/octet-stream");
        let told = answer.headers().get("content-disposition").map(|value| value.to_str().expect("ASCII"));
        let expected = "attachment; filename=\"_ _x_.jpg\"; filename*=UTF-8''%C3%BC%20%22x%22.jpg";
        assert_eq!(told, disposition.then_some(expected));
        assert_eq!(answer.bytes().await.expect("bytes"), body);
    }
}

#[tokio::test]
async fn nothing_of_the_main_bucket_is_read_without_a_signature() {
    let location = buckets();
    let (links, objects) = (links(&location), Objects::open(&location).await.expect("objects"));
    let keys = [ObjectKey::incoming(), ObjectKey::original(ImageId(Uuid::from_u128(9))), ObjectKey::lake(now())];
    for key in keys {
        objects.put(&key, "bytes".into()).await.expect("stored");
        let signed = links.version(&key, span(60));
        assert_eq!(get(&signed).await.status(), StatusCode::OK);
        assert_eq!(get(signed.split_once('?').expect("a signature").0).await.status(), StatusCode::FORBIDDEN);
        let public = format!("{}/{key}", location.public_url.as_ref().expect("an address"));
        assert_eq!(get(&public).await.status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_main_bucket_that_anybody_can_read_breaks_the_promise() {
    let private = bucket();
    let open = Location { url: private.url.replace("eyeline-test", "eyeline-test-public"), ..private.clone() };
    for (location, verdict) in [(private, Verdict::Holds), (open, Verdict::Broken)] {
        let checks = checks::objects(&location, "https://photos.example").await;
        let of = |name: &str| checks.iter().find(|check| check.name == name).map(|check| check.verdict);
        assert_eq!((of("objects.probe"), of("objects.private")), (Some(Verdict::Holds), Some(verdict)), "{checks:?}");
    }
}

#[tokio::test]
async fn a_bucket_that_refuses_pages_breaks_the_promise_until_a_rule_lets_them() {
    let mut server = Server::new();
    server.start_with_bucket_without_cors().await;
    let location = server.location();
    let verdict = async |origin: &str| {
        let checks = checks::objects(&location, origin).await;
        checks.iter().find(|check| check.name == "objects.cors").map(|check| (check.verdict, check.found.clone()))
    };
    let (ours, theirs) = ("https://photos.example", "https://other.example");
    let (before, found) = verdict(ours).await.expect("a check");
    assert_eq!(before, Verdict::Broken, "{found}");
    assert!(found.contains("PUT") && found.contains(ours), "{found}");
    for (origin, is_changed) in [(ours, true), (ours, false)] {
        assert_eq!(checks::let_pages(&location, origin).await.expect("set"), is_changed);
        assert_eq!(verdict(origin).await.expect("a check").0, Verdict::Holds);
    }
    assert_eq!(verdict(theirs).await.expect("a check").0, Verdict::Broken, "the rule is for one origin");
    // The address changes: the rule follows it.
    assert!(checks::let_pages(&location, theirs).await.expect("set"));
    assert_eq!(verdict(theirs).await.expect("a check").0, Verdict::Holds);
    assert_eq!(verdict(ours).await.expect("a check").0, Verdict::Broken);
}
