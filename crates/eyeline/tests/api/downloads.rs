//! Downloads through links: public versions, signed versions, and originals.

use std::time::Duration;

use axum::body::Body;
use http::StatusCode;
use serde_json::{Value, json};

use crate::images::path_of;
use crate::processing::{photo, upload, working};
use crate::support::{Answer, Server, Tenant, request, text};

fn version<'a>(image: &'a Value, name: &str) -> &'a str {
    path_of(image["versions"][name].as_str().unwrap_or_else(|| panic!("{name} in {image}")))
}

async fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let asked = headers.iter().fold(request(method, path, ""), |asked, (name, value)| asked.header(*name, *value));
    server.send(asked.body(Body::empty()).expect("a request")).await
}

async fn public_and_private(server: &Server, tenant: &Tenant) -> [Value; 2] {
    let file = photo(300, 200);
    [
        upload(server, tenant, &file, json!({})).await,
        upload(server, tenant, &file, json!({"visibility": "private"})).await,
    ]
}

#[tokio::test]
async fn every_answer_forbids_guessing_types_and_running_anything() {
    let server = working().await;
    let tenant = server.tenant("headers").await;
    let [public, private] = public_and_private(&server, &tenant).await;
    for (path, kind, cached) in [
        (version(&public, "thumb"), "image/jpeg", "public, max-age=86400, immutable"),
        (version(&private, "thumb"), "image/jpeg", "private, max-age=300"),
        (version(&public, "original"), "application/octet-stream", "private, max-age=300"),
    ] {
        for (method, headers) in [("GET", [("range", "bytes=0-9")].as_slice()), ("GET", &[]), ("HEAD", &[])] {
            let answer = ask(&server, method, path, headers).await;
            assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("content-security-policy"), "default-src 'none'; sandbox");
            assert_eq!((answer.header("content-type"), answer.header("cache-control")), (kind, cached));
        }
    }
    let original = ask(&server, "GET", version(&public, "original"), &[]).await;
    assert!(original.header("content-disposition").starts_with("attachment; "));
}

#[tokio::test]
async fn ranges_are_given_exactly_or_refused() {
    let server = working().await;
    let tenant = server.tenant("ranges").await;
    let [public, private] = public_and_private(&server, &tenant).await;
    for path in [version(&public, "d2500"), version(&private, "d2500"), version(&public, "original")] {
        let whole = ask(&server, "GET", path, &[]).await;
        let (bytes, total) = (&whole.body, whole.body.len());
        assert_eq!((whole.status, whole.header("accept-ranges")), (StatusCode::OK, "bytes"));
        let etag = whole.header("etag").to_owned();
        let last = total - 1;

        for (range, part) in
            [("bytes=0-0", 0..1), ("bytes=5-", 5..total), ("bytes=-7", total - 7..total), ("bytes=2-999999", 2..total)]
        {
            let answer = ask(&server, "GET", path, &[("range", range)]).await;
            assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{range}");
            assert!(answer.body == bytes[part.clone()], "{range}");
            let expected = format!("bytes {}-{}/{total}", part.start, part.end - 1);
            assert_eq!(answer.header("content-range"), expected);
            assert_eq!(answer.header("content-length"), part.len().to_string());
        }

        for range in [format!("bytes={total}-"), "bytes=-0".to_owned()] {
            let refused = ask(&server, "GET", path, &[("range", &range)]).await;
            assert_eq!(refused.status, StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
            assert_eq!(refused.header("content-range"), format!("bytes */{total}"));
            assert_eq!(refused.header("content-type"), "application/problem+json");
            assert!(!refused.header("cache-control").contains("immutable"), "an error is not kept");
        }

        let (right, wrong) = (
            [("range", "bytes=0-0"), ("if-range", etag.as_str())],
            [("range", "bytes=0-0"), ("if-range", "\"another\"")],
        );
        assert_eq!(ask(&server, "GET", path, &right).await.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(ask(&server, "GET", path, &wrong).await.body.len(), total, "all of the file as it is now");
        let weak = [("range", "bytes=0-0"), ("if-range", &*format!("W/{etag}"))];
        assert_eq!(ask(&server, "GET", path, &weak).await.status, StatusCode::OK, "a weak one proves nothing");

        let head = ask(&server, "HEAD", path, &[("range", &format!("bytes=0-{last}"))]).await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
        assert_eq!(head.header("content-length"), total.to_string());
    }
}

#[tokio::test]
async fn a_copy_that_is_there_already_is_not_sent_again() {
    let server = working().await;
    let tenant = server.tenant("copies").await;
    let [public, _] = public_and_private(&server, &tenant).await;
    for path in [version(&public, "thumb"), version(&public, "original")] {
        let etag = ask(&server, "GET", path, &[]).await.header("etag").to_owned();
        for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
            let fresh = ask(&server, "GET", path, &[("if-none-match", &known), ("range", "bytes=0-0")]).await;
            assert_eq!((fresh.status, fresh.body.len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
            assert_eq!(fresh.header("etag"), etag);
            assert!(!fresh.header("cache-control").is_empty());
        }
        assert_eq!(ask(&server, "GET", path, &[("if-none-match", "\"other\"")]).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn what_was_uploaded_is_under_no_public_address() {
    let server = working().await;
    let tenant = server.tenant("bytes").await;
    let [public, private] = public_and_private(&server, &tenant).await;
    for image in [&public, &private] {
        let original = version(image, "original").split('?').next().expect("a path");
        let (_, inside) = original.split_once("/originals/").expect("an original");
        for path in
            [format!("/public/{inside}"), format!("/private/{inside}"), format!("/public/..%2foriginals/{inside}")]
        {
            let answer = ask(&server, "GET", &path, &[]).await;
            assert!(matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN), "{path}: {answer:?}");
        }
        assert_eq!(ask(&server, "GET", original, &[]).await.status, StatusCode::FORBIDDEN);
    }
    // A public version is not the original file, even if the picture is no larger.
    let file = photo(300, 200);
    for name in ["thumb", "big_thumb", "big_1920", "d2500"] {
        assert!(ask(&server, "GET", version(&public, name), &[]).await.body != file, "{name}");
    }
}

#[tokio::test]
async fn a_signed_link_holds_for_its_own_object_until_it_expires() {
    let server = working().await;
    let tenant = server.tenant("signed").await;
    let [public, private] = public_and_private(&server, &tenant).await;
    let premium = upload(&server, &tenant, &photo(100, 100), json!({"access_tier": "premium"})).await;
    for path in [version(&private, "thumb"), version(&premium, "thumb"), version(&public, "original")] {
        assert_eq!(ask(&server, "GET", path, &[]).await.status, StatusCode::OK);
        let (bare, query) = path.split_once('?').expect("a signed link");
        let later = query.replacen("expires=", "expires=9", 1);
        let cut = &query[..query.len() - 2];
        let another = version(&private, "d2500").split('?').next().expect("a path");
        for changed in [
            bare.to_owned(),
            format!("{bare}?{later}"),
            format!("{bare}?{cut}"),
            format!("{another}?{query}"),
            format!("{bare}?filename=evil.html&{}", query.split_once("expires").map_or(query, |(_, rest)| rest)),
        ] {
            let refused = ask(&server, "GET", &changed, &[]).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{changed}");
            assert_eq!(refused.header("content-type"), "application/problem+json");
        }
    }

    let server = Server::start_with(|settings| settings.download_link_seconds = 1).await;
    tokio::spawn(eyeline::workers::process::run(server.app.clone()));
    let tenant = server.tenant("short").await;
    let private = upload(&server, &tenant, &photo(100, 100), json!({"visibility": "private"})).await;
    // Until the end of its window, plus a second.
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    for name in ["thumb", "original"] {
        assert_eq!(ask(&server, "GET", version(&private, name), &[]).await.status, StatusCode::FORBIDDEN, "{name}");
    }
}

#[tokio::test]
async fn any_filename_is_told_safely_to_whoever_saves_the_file() {
    let server = working().await;
    let tenant = server.tenant("names").await;
    for (filename, plain, full) in [
        ("a \"b\"; x=\".jpg", "a _b__ x__.jpg", "a%20%22b%22%3B%20x%3D%22.jpg"),
        ("Grüße 日本.jpg", "Gr__e __.jpg", "Gr%C3%BC%C3%9Fe%20%E6%97%A5%E6%9C%AC.jpg"),
        ("..\\..\\x/../y.jpg", ".._.._x_.._y.jpg", "..%5C..%5Cx%2F..%2Fy.jpg"),
        ("100%27.jpg", "100_27.jpg", "100%2527.jpg"),
    ] {
        let image = upload(&server, &tenant, &photo(40, 30), json!({"filename": filename})).await;
        let original = ask(&server, "GET", version(&image, "original"), &[]).await;
        assert_eq!(original.status, StatusCode::OK, "{filename}");
        assert_eq!(
            original.header("content-disposition"),
            format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{full}")
        );
    }
    // A line break never leaves its header, whether the name is accepted or refused.
    let body = json!({"project_id": tenant.project_id, "filename": "a\r\nSet-Cookie: x=1\r\n\r\n.jpg"});
    let link = server.post("/api/v1/images", &tenant.secret_key, &body).await;
    if link.status == StatusCode::CREATED {
        let sent = crate::images::send(&server, &link.json(), &photo(40, 30)).await;
        assert_eq!(sent.status, StatusCode::NO_CONTENT);
        let image = crate::processing::until_final(&server, &tenant, &text(&link.json(), "image_id")).await;
        let original = ask(&server, "GET", version(&image, "original"), &[]).await;
        assert_eq!((original.status, original.header("set-cookie")), (StatusCode::OK, ""));
        assert!(original.header("content-disposition").contains("a%0D%0ASet-Cookie"), "{original:?}");
    } else {
        assert_eq!(link.status, StatusCode::BAD_REQUEST, "{link:?}");
    }
}
