//! The public page of a gallery, as browsers without JavaScript, search engines and caches receive it.

use std::collections::BTreeSet;
use std::io::Write as _;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use regex::Regex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::galleries::{Shop, string};
use crate::processing::{photo, upload, working};
use crate::support::{ADMIN_KEY, Answer, Server, request};

const OPEN: &str = r#"{"page": {"enabled": true}}"#;

/// Changes the gallery and returns its new state.
async fn change(shop: &Shop, body: &str) -> Value {
    let body: Value = serde_json::from_str(body).expect("JSON");
    let answer = shop.server.write("PATCH", &shop.path(""), &shop.key, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

async fn read(shop: &Shop, query: &str) -> Answer {
    shop.server.get(&format!("/g/{}{query}", shop.gallery_id), "").await
}

/// The page's HTML. The page must exist.
async fn html(shop: &Shop, query: &str) -> String {
    let answer = read(shop, query).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    String::from_utf8(answer.body).expect("text")
}

/// Every value of an attribute of the elements with this name, in order.
fn attributes(html: &str, element: &str, name: &str) -> Vec<String> {
    let element = Regex::new(&format!("<{element} [^>]*>")).expect("a pattern");
    let value = Regex::new(&format!(r#"(?s)\s{name}="([^"]*)""#)).expect("a pattern");
    let found = element.find_iter(html).filter_map(|tag| Some(value.captures(tag.as_str())?[1].to_owned()));
    found.map(|text| unescaped(&text)).collect()
}

fn content(html: &str, key: &str) -> String {
    let tag = Regex::new(&format!(r#"(?s)<meta (?:name|property)="{key}" content="([^"]*)">"#)).expect("a pattern");
    unescaped(&tag.captures(html).unwrap_or_else(|| panic!("no {key} in {html}"))[1])
}

fn between<'a>(html: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = html.split_once(start).unwrap_or_else(|| panic!("no {start} in {html}"));
    rest.split_once(end).expect("its end").0
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

/// Only the tags, without names.
fn skeleton(html: &str) -> String {
    let values = Regex::new(r#"(?s)="[^"]*""#).expect("a pattern").replace_all(html, "");
    Regex::new("(?s)>[^<]*<").expect("a pattern").replace_all(&values, "><").into_owned()
}

#[tokio::test]
async fn a_page_that_is_not_open_to_everybody_is_as_one_that_is_not_there() {
    let shop = Shop::open().await;
    shop.load_pictures(2).await;
    let missing = shop.server.get("/g/01890000-0000-7000-8000-000000000001", "").await;
    assert_eq!((missing.status, missing.header("content-type")), (StatusCode::NOT_FOUND, "text/html; charset=utf-8"));
    let told = String::from_utf8(missing.body.clone()).expect("text");
    assert!(told.contains("<h1>There is no gallery here</h1>") && told.contains("noindex"), "{told}");
    assert!(!told.contains("<script"), "{told}");
    let alike = |answer: &Answer, what: &str| {
        assert_eq!((answer.status, &answer.body), (missing.status, &missing.body), "{what}");
        for name in ["content-type", "cache-control", "content-security-policy", "vary", "etag", "www-authenticate"] {
            assert_eq!(answer.header(name), missing.header(name), "{what}: {name}");
        }
    };
    for path in ["/g/nothing", "/g/%ff", "/g/%3Cscript%3E", "/g/01890000-0000-7000-8000-00000000000"] {
        alike(&shop.server.get(path, "").await, path);
    }
    let signed_in = shop.server.post("/api/v1/session", "", &json!({"admin_key": ADMIN_KEY})).await;
    let cookie = signed_in.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    let path = format!("/g/{}", shop.gallery_id);
    let hidden = [
        r#"{"page": {"enabled": false}}"#,
        r#"{"page": {"enabled": true}, "visibility": "private"}"#,
        r#"{"visibility": "public", "access_tier": "premium"}"#,
        r#"{"access_tier": "business"}"#,
        r#"{"access_tier": "free", "page": {"enabled": false}}"#,
    ];
    for settings in hidden {
        change(&shop, settings).await;
        for key in ["", &shop.key, ADMIN_KEY, "eyl_sk_wrong"] {
            alike(&shop.server.get(&path, key).await, settings);
            alike(&shop.server.get(&format!("{path}?cursor=x"), key).await, settings);
        }
        let by_cookie = request("GET", &path, "").header("cookie", &cookie).body(Body::empty()).expect("a request");
        alike(&shop.server.send(by_cookie).await, settings);
        // Enabling the page does not make the gallery public.
        change(&shop, OPEN).await;
    }
    assert_eq!(read(&shop, "").await.status, StatusCode::OK);
    shop.server.delete(&shop.path(""), &shop.key).await;
    alike(&read(&shop, "").await, "deleted");
}

#[tokio::test]
async fn an_open_page_shows_everybody_the_same() {
    let shop = Shop::open().await;
    shop.load_pictures(3).await;
    shop.load("application/json", r#"[{"external_id": "b", "url": "https://cdn.example/b", "visibility": "private"}]"#)
        .await;
    change(&shop, OPEN).await;
    let page = html(&shop, "").await;
    assert_eq!(attributes(&page, "img", "src").len(), 3, "a private picture is not shown: {page}");
    let path = format!("/g/{}", shop.gallery_id);
    for key in [&shop.key, ADMIN_KEY, "eyl_sk_wrong"] {
        let answer = shop.server.get(&path, key).await;
        assert_eq!((answer.status, String::from_utf8_lossy(&answer.body).as_ref()), (StatusCode::OK, &*page));
    }
    assert!(!page.contains("\"weight\":") && !page.contains("views"), "no numbers: {page}");
}

#[tokio::test]
async fn the_page_has_its_pictures_with_links_names_and_reserved_places() {
    let server = working().await;
    let tenant = server.tenant("photos").await;
    let body = json!({"project_id": tenant.project_id, "name": "Summer", "page": {"enabled": true, "indexed": true}});
    let gallery = server.post("/api/v1/galleries", &tenant.secret_key, &body).await.json();
    let gallery_id = string(&gallery["gallery_id"]);
    for (filename, link) in [("wide.jpg", json!(null)), ("tall.jpg", json!("https://shop.example/p/1?a=1&b=2"))] {
        let (width, height) = if filename == "wide.jpg" { (1000, 700) } else { (400, 800) };
        let more = json!({"gallery_id": gallery_id, "filename": filename, "link": link});
        assert_eq!(upload(&server, &tenant, &photo(width, height), more).await["state"], "done");
    }
    let refreshed =
        server.post(&format!("/api/v1/galleries/{gallery_id}/refresh"), &tenant.secret_key, &json!({})).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
    let page = server.get(&format!("/g/{gallery_id}"), "").await;
    let page = String::from_utf8(page.body).expect("text");

    let api = server.get(&format!("/api/v1/galleries/{gallery_id}/images"), &tenant.secret_key).await.json();
    let items = api["items"].as_array().expect("items");
    let texts = |name: &str| items.iter().map(|item| string(&item[name])).collect::<Vec<_>>();
    assert_eq!(attributes(&page, "img", "src"), texts("preview"));
    assert_eq!(attributes(&page, "img", "srcset"), texts("srcset"));
    assert_eq!(attributes(&page, "img", "alt"), ["tall.jpg", "wide.jpg"]);
    assert_eq!(attributes(&page, "img", "width"), ["400", "1000"]);
    assert_eq!(attributes(&page, "img", "height"), ["800", "700"]);
    assert_eq!(attributes(&page, "img", "sizes")[0], "(max-width:600px) 70px, 110px");
    // An image without a link leads to its largest version.
    assert_eq!(
        attributes(&page, "a", "href"),
        ["https://shop.example/p/1?a=1&b=2".to_owned(), string(&items[1]["url"])]
    );

    let address = format!("{}/g/{gallery_id}", server.app.settings.public_url());
    assert_eq!(between(&page, "<title>", "</title>"), "Summer");
    assert_eq!(attributes(&page, "link rel=\"canonical\"", "href").concat(), address);
    assert_eq!(content(&page, "description"), "2 pictures: tall.jpg, wide.jpg.");
    assert_eq!((content(&page, "og:title"), content(&page, "og:url")), ("Summer".to_owned(), address));
    assert_eq!(content(&page, "og:image"), string(&items[0]["url"]));
    let shared = server.get(content(&page, "og:image").trim_start_matches(&server.app.settings.public_url()), "").await;
    assert_eq!((shared.status, shared.header("content-type")), (StatusCode::OK, "image/jpeg"));
    assert!(!page.contains("noindex"), "{page}");
    let application = string(&gallery["page"]["application_id"]);
    assert_eq!(attributes(&page, "eyeline-gallery", "application"), [application]);
}

#[tokio::test]
async fn search_engines_list_a_page_only_when_they_may_and_never_one_with_a_cursor() {
    let shop = Shop::open().await;
    shop.load_pictures(3).await;
    change(&shop, r#"{"page": {"enabled": true}, "page_size": 2}"#).await;
    assert_eq!(content(&html(&shop, "").await, "robots"), "noindex");
    change(&shop, r#"{"page": {"indexed": true}}"#).await;
    let first = html(&shop, "").await;
    assert!(!first.contains("noindex"), "{first}");
    let next = attributes(&first, "a rel=\"next\"", "href").remove(0);
    assert_eq!(content(&html(&shop, &next).await, "robots"), "noindex");
}

#[tokio::test]
async fn without_javascript_every_picture_is_met_once_by_following_next() {
    let shop = Shop::open().await;
    shop.load_pictures(23).await;
    change(&shop, r#"{"page": {"enabled": true}, "page_size": 5}"#).await;
    let (mut query, mut seen, mut pages) = (String::new(), Vec::new(), 0);
    loop {
        let page = html(&shop, &query).await;
        seen.extend(attributes(&page, "img", "src"));
        pages += 1;
        // The order changes meanwhile.
        shop.send("click", &format!("sku-{pages}"), 3).await;
        shop.refresh().await;
        match attributes(&page, "a rel=\"next\"", "href").pop() {
            Some(next) => query = next,
            None => break,
        }
    }
    assert_eq!((pages, seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (5, 23, 23));
    for wrong in ["?cursor=", "?cursor=abc", "?cursor=%3Cscript%3E"] {
        let answer = read(&shop, wrong).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::BAD_REQUEST, "text/html; charset=utf-8")
        );
        assert!(String::from_utf8_lossy(&answer.body).contains("This link is broken"));
    }
    let other = shop
        .server
        .post(
            "/api/v1/galleries",
            &shop.key,
            &json!({"project_id": shop.project_id, "name": "b", "page": {"enabled": true}}),
        )
        .await;
    let path = format!("/g/{}{query}", string(&other.json()["gallery_id"]));
    assert_eq!(shop.server.get(&path, "").await.status, StatusCode::BAD_REQUEST, "a cursor of another gallery");
    // Parameters that others add to links, such as a campaign, are ignored.
    assert_eq!(html(&shop, "?utm_source=mail&fbclid=1").await, html(&shop, "").await);
}

#[tokio::test]
async fn whatever_names_say_the_page_has_the_same_elements_and_shows_them_as_text() {
    let shop = Shop::open().await;
    let row = |name: &str, link: &str| json!([{"external_id": "a", "url": "https://cdn.example/a.jpg", "name": name, "link": link}]);
    shop.load("application/json", row("plain", "https://shop.example/").to_string()).await;
    change(&shop, OPEN).await;
    let plain = skeleton(&html(&shop, "").await);
    assert!(plain.contains("<h1") && plain.contains("<img"), "{plain}");
    let mut names: Vec<String> = [
        "<script>alert(1)</script>",
        "</title><script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onload='alert(1)",
        "</style></head><body>",
        "<!-- -->",
        "]]>",
        "&lt;b&gt; &amp; &",
        "{{7*7}} ${x} `x`",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{202e}reversed\u{202c}",
        "\u{645}\u{631}\u{62d}\u{628}\u{627}",
        "\u{1f469}\u{200d}\u{1f52c}\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}",
        "a\u{301}\u{302}\u{303} \u{fffd}\u{feff}",
        "javascript:alert(1)",
    ]
    .map(str::to_owned)
    .to_vec();
    let any = r#"[<>"'&;=/\\a-z \u{80}-\u{2fff}\u{1f300}-\u{1f6ff}]{1,60}"#;
    let mut runner = TestRunner::deterministic();
    let any = proptest::string::string_regex(any).expect("a pattern");
    names.extend((0..60).map(|_| any.new_tree(&mut runner).expect("a text").current()));
    let mut shown = 0;
    for name in names {
        let renamed = shop.server.write("PATCH", &shop.path(""), &shop.key, &json!({ "name": name })).await;
        if renamed.status != StatusCode::OK {
            // A blank text is not a name.
            assert_eq!(renamed.status, StatusCode::BAD_REQUEST, "{name:?}");
            continue;
        }
        let name = string(&renamed.json()["name"]);
        let loaded = shop.load("application/json", row(&name, "https://shop.example/?a=\"'<>&b").to_string()).await;
        assert_eq!(loaded.status, StatusCode::OK, "{loaded:?}");
        let page = html(&shop, "").await;
        assert_eq!(skeleton(&page), plain, "{name:?}");
        assert_eq!(unescaped(between(&page, "<h1 dir=\"auto\">", "</h1>")), name);
        assert_eq!(unescaped(between(&page, "<title>", "</title>")), name);
        assert_eq!(content(&page, "og:title"), name);
        assert_eq!(attributes(&page, "img", "alt"), [name]);
        shown += 1;
    }
    assert!(shown > 60, "{shown} names were shown");
}

#[tokio::test]
async fn the_policy_allows_the_inline_texts_of_the_page_and_no_other() {
    let shop = Shop::open().await;
    shop.load_pictures(1).await;
    change(&shop, OPEN).await;
    let answer = read(&shop, "").await;
    let policy = answer.header("content-security-policy").to_owned();
    let page = String::from_utf8(answer.body).expect("text");
    for (start, end, directive) in
        [("<style>", "</style>", "style-src"), ("<script type=\"module\">", "</script>", "script-src 'self'")]
    {
        assert_eq!(page.matches(start).count(), 1);
        let hash = STANDARD.encode(Sha256::digest(between(&page, start, end)));
        assert!(policy.contains(&format!("{directive} 'sha256-{hash}';")), "{policy}");
    }
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    for directive in ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "connect-src 'self'"] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!Regex::new(r"\s(style|on[a-z]+)=").expect("a pattern").is_match(&page), "{page}");
    // All modules of the script exist.
    for path in attributes(&page, "link rel=\"modulepreload\"", "href") {
        assert_eq!(shop.server.get(&path, "").await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn the_page_brings_what_the_element_would_ask_for_unless_visitors_see_different_orders() {
    let shop = Shop::open().await;
    let name = "</script><!-- \u{2028}";
    let row = json!([{"external_id": "a", "url": "https://cdn.example/a.jpg", "name": name}]);
    shop.load("application/json", row.to_string()).await;
    let application = string(&change(&shop, OPEN).await["page"]["application_id"]);
    let start = "<script type=\"application/json\">";
    let page = html(&shop, "").await;
    let brought: Value = serde_json::from_str(between(&page, start, "</script>")).expect("JSON");
    let answer = shop.server.get(&format!("{}?application={application}", shop.path("/images")), "").await;
    assert_eq!(brought, answer.json());
    assert_eq!(brought["items"][0]["name"], name);
    for ranking in [r#"{"strategy": "interest"}"#, r#"{"strategy": "weight", "holdout_percent": 10}"#] {
        change(&shop, &format!(r#"{{"ranking": {ranking}}}"#)).await;
        assert!(!html(&shop, "").await.contains(start), "{ranking}");
    }
}

#[tokio::test]
async fn caches_hold_the_page_for_seconds_and_are_told_when_it_is_the_same() {
    let shop = Shop::open().await;
    shop.load_pictures(3).await;
    change(&shop, OPEN).await;
    let answer = read(&shop, "").await;
    let tag = answer.header("etag").to_owned();
    assert_eq!(answer.header("cache-control"), "public, max-age=5");
    assert!(!tag.is_empty() && answer.header("set-cookie").is_empty(), "{answer:?}");
    let ask = |method: &str, tag: &str| {
        let path = format!("/g/{}/", shop.gallery_id);
        request(method, &path, "").header("if-none-match", tag).body(Body::empty()).expect("a request")
    };
    for method in ["GET", "HEAD"] {
        let again = shop.server.send(ask(method, &tag)).await;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!((again.header("etag"), again.header("cache-control")), (&*tag, "public, max-age=5"));
    }
    let head = shop.server.send(ask("HEAD", "\"other\"")).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.header("content-length"), answer.body.len().to_string());
    for name in ["content-type", "etag", "content-security-policy"] {
        assert_eq!(head.header(name), answer.header(name), "{name}");
    }
    change(&shop, r#"{"name": "boots"}"#).await;
    let changed = shop.server.send(ask("GET", &tag)).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_ne!(changed.header("etag"), tag);
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(shop.server.send(ask(method, "\"x\"")).await.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn visitors_of_the_page_are_counted_through_an_application_of_its_own() {
    let shop = Shop::open().await;
    shop.load_pictures(3).await;
    let fresh = shop.server.get(&shop.path(""), &shop.key).await.json();
    assert_eq!(fresh["page"], json!({"enabled": false, "indexed": false, "application_id": null}));
    let opened = change(&shop, OPEN).await;
    let application = string(&opened["page"]["application_id"]);
    // Closing and opening again keeps it.
    change(&shop, r#"{"page": {"enabled": false}}"#).await;
    assert_eq!(change(&shop, OPEN).await["page"]["application_id"], json!(application));
    let path = format!("/api/v1/applications/{application}");
    let known = shop.server.get(&path, &shop.key).await.json();
    assert_eq!((&known["gallery_id"], &known["allowed_origins"]), (&json!(shop.gallery_id), &json!([])));

    let click = json!([{
        "session_id": "e2085be5-9137-4e4e-80b5-f1ffddc25423", "category": "gallery", "name": "click",
        "data": {"gallery_id": shop.gallery_id, "external_id": "sku-0"}, "timestamp": "2021-01-01 09:15:27"
    }]);
    let send = async |application: &str, origin: &str, site: &str| {
        let sent = request("POST", &format!("/api/v1/events/batch?application={application}"), "")
            .header("host", "eyeline.example:8009")
            .header("origin", origin)
            .header("sec-fetch-site", site)
            .body(Body::from(click.to_string()));
        shop.server.send(sent.expect("a request")).await.status
    };
    let public_url = shop.server.app.settings.public_url();
    assert_eq!(send(&application, "http://eyeline.example:8009", "same-origin").await, StatusCode::OK);
    assert_eq!(send(&application, &public_url, "same-origin").await, StatusCode::OK);
    assert_eq!(send(&application, "https://other.example", "cross-site").await, StatusCode::FORBIDDEN);
    assert_eq!(send(&application, "http://eyeline.example:8010", "same-site").await, StatusCode::FORBIDDEN);
    // Other applications cannot claim the server's own origin.
    assert_eq!(send(&shop.application_id, &public_url, "same-origin").await, StatusCode::FORBIDDEN);
    shop.refresh().await;
    assert_eq!(attributes(&html(&shop, "").await, "img", "src")[0], "https://cdn.example/0.jpg", "the order follows");

    // Without an application the page still works, and counts nothing.
    assert_eq!(shop.server.delete(&path, &shop.key).await.status, StatusCode::NO_CONTENT);
    shop.refresh().await;
    let page = html(&shop, "").await;
    assert!(!page.contains("<script") && page.contains("<img"), "{page}");
    let again = string(&change(&shop, OPEN).await["page"]["application_id"]);
    assert_ne!(again, application);
    shop.server.delete(&shop.path(""), &shop.key).await;
    let path = format!("/api/v1/applications/{again}");
    assert_eq!(shop.server.get(&path, &shop.key).await.status, StatusCode::NOT_FOUND, "it is deleted with the gallery");
}

#[tokio::test]
async fn all_that_is_wrong_with_a_pages_settings_is_told_at_once() {
    let shop = Shop::open().await;
    let body = json!({"name": "", "page": {"enabled": "yes", "indexed": 1}});
    let answer = shop.server.write("PATCH", &shop.path(""), &shop.key, &body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let errors = answer.json()["errors"].clone();
    for field in ["name", "page.enabled", "page.indexed"] {
        assert!(errors[field].is_array(), "{field}: {errors}");
    }
    let answer = shop.server.write("PATCH", &shop.path(""), &shop.key, &json!({"page": true})).await;
    assert_eq!(answer.json()["errors"], json!({"page": ["This has to be an object."]}));
}

/// Loads and requests without background work, so that every transaction belongs to a request.
#[tokio::test]
async fn a_warm_page_costs_no_transaction_and_a_cold_one_does_not_cost_one_an_image() {
    let server = Server::start().await;
    let shop = server.tenant("shop").await;
    let mut cold = Vec::new();
    for count in [2, 100] {
        let body = json!({"project_id": shop.project_id, "name": "shoes", "page_size": 100, "page": {"enabled": true}});
        let gallery = server.post("/api/v1/galleries", &shop.secret_key, &body).await.json();
        let gallery_id = string(&gallery["gallery_id"]);
        let rows: Vec<Value> = (0..count)
            .map(|number| json!({"external_id": format!("a{number}"), "url": format!("https://cdn.example/{number}.jpg")}))
            .collect();
        server.post(&format!("/api/v1/galleries/{gallery_id}/dataset"), &shop.secret_key, &json!(rows)).await;
        let path = format!("/g/{gallery_id}");
        let reads = || server.app.catalog.transactions().reads;
        let before = reads();
        let page = server.get(&path, "").await;
        assert_eq!(attributes(&String::from_utf8(page.body).expect("text"), "img", "src").len(), count);
        cold.push(reads() - before);
        let before = server.app.catalog.transactions();
        // Cached answers are read again after a second. The rounds take less, or cause a few more reads.
        for _ in 0..100 {
            assert_eq!(server.get(&path, "").await.status, StatusCode::OK);
        }
        let after = server.app.catalog.transactions();
        let (reads, writes) = (after.reads - before.reads, after.writes - before.writes);
        assert!(reads < 30 && writes == 0, "100 requests took {reads} reads and {writes} writes");
    }
    assert_eq!(cold[0], cold[1], "more images take no more queries");
}

#[tokio::test]
async fn a_page_with_all_its_scripts_is_small() {
    let shop = Shop::open().await;
    shop.load_pictures(20).await;
    change(&shop, OPEN).await;
    let mut bytes = 0;
    for path in [&*format!("/g/{}", shop.gallery_id), "/eyeline.js", "/eyeline-gallery.js"] {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(&shop.server.get(path, "").await.body).expect("bytes in memory");
        bytes += packed.finish().expect("bytes in memory").len();
    }
    assert!(bytes <= 25 * 1024, "{bytes} bytes");
}
