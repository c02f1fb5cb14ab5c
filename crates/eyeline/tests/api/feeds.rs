//! Feeds as shops export them: encodings, compression, column names, full feeds, addresses.

use std::io::Write as _;

use axum::body::{Body, Bytes};
use eyeline_core::Tier;
use eyeline_store::Catalog;
use eyeline_store::catalog::dataset::DatasetRow;
use futures::stream;
use http::StatusCode;
use serde_json::{Value, json};

use crate::galleries::{Shop, names, string};
use crate::support::{ADMIN_KEY, Answer, request};

pub const CSV: &str = "text/csv";

pub fn counts(answer: &Answer) -> [u64; 5] {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let json = answer.json();
    ["created", "updated", "unchanged", "removed", "rejected_count"].map(|name| json[name].as_u64().expect("a count"))
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn sentences(answer: &Answer) -> String {
    answer.json()["errors"].to_string()
}

/// A body in pieces, which breaks off after the last one if `is_cut`.
fn streamed(pieces: &[&str], is_cut: bool) -> Body {
    let mut pieces: Vec<Result<Bytes, std::io::Error>> =
        pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece.as_bytes()))).collect();
    if is_cut {
        pieces.push(Err(std::io::ErrorKind::ConnectionReset.into()));
    }
    Body::from_stream(stream::iter(pieces))
}

#[tokio::test]
async fn every_text_door_takes_a_byte_order_mark_and_refuses_wide_encodings_by_name() {
    let shop = Shop::open().await;
    let (project_id, gallery_id) = (&shop.project_id, &shop.gallery_id);
    let event = json!({
        "session_id": "e2085be5-9137-4e4e-80b5-f1ffddc25423", "category": "shop", "name": "visit", "data": {},
        "timestamp": "2021-01-01 09:15:27.243860",
    });
    let doors = [
        ("POST", "/api/v1/projects".to_owned(), "application/json", json!({"name": "b"}).to_string()),
        ("PATCH", format!("/api/v1/projects/{project_id}"), "application/json", json!({"name": "c"}).to_string()),
        (
            "POST",
            "/api/v1/images".to_owned(),
            "application/json",
            json!({"project_id": project_id, "filename": "a.jpg"}).to_string(),
        ),
        ("PUT", format!("/api/v1/galleries/{gallery_id}/rules"), "application/json", json!({"pins": []}).to_string()),
        (
            "POST",
            format!("/api/v1/analytics/sql?project_id={project_id}"),
            "application/json",
            json!({"query": "SELECT 1", "project_id": project_id}).to_string(),
        ),
        ("POST", format!("/api/v1/events?application={}", shop.application_id), "application/json", event.to_string()),
        ("POST", format!("/api/v1/events?application={}", shop.application_id), "text/plain", event.to_string()),
        (
            "POST",
            format!("/api/v1/events/batch?application={}", shop.application_id),
            "application/json",
            json!([event]).to_string(),
        ),
        (
            "POST",
            format!("/api/v1/events/batch?application={}", shop.application_id),
            "application/x-ndjson",
            format!("{event}\n{event}\n"),
        ),
        ("POST", format!("/api/v1/galleries/{gallery_id}/dataset"), "application/json", "[]".to_owned()),
        (
            "POST",
            format!("/api/v1/galleries/{gallery_id}/dataset"),
            "application/x-ndjson",
            "{\"external_id\": \"a\", \"url\": \"https://x/1\"}".to_owned(),
        ),
        (
            "POST",
            format!("/api/v1/galleries/{gallery_id}/dataset"),
            "text/csv",
            "external_id,url\na,https://x/1\n".to_owned(),
        ),
    ];
    for (method, path, content_type, text) in doors {
        let send = async |body: Vec<u8>| {
            let request = request(method, &path, ADMIN_KEY).header("content-type", content_type);
            shop.server.send(request.body(Body::from(body)).expect("a request")).await
        };
        let plain = send(text.clone().into_bytes()).await;
        assert!(plain.status.is_success(), "{method} {path}: {plain:?}");
        let marked = send(format!("\u{feff}{text}").into_bytes()).await;
        assert!(marked.status.is_success(), "{method} {path} with a mark: {marked:?}");
        if content_type.contains("ndjson") {
            let joined = send(format!("\u{feff}{text}\n\u{feff}{text}").into_bytes()).await;
            let sums = ["rejected", "rejected_count"].map(|sum| joined.json()[sum].clone());
            assert!(
                joined.status.is_success()
                    && sums.iter().all(|sum| *sum == Value::Null || *sum == json!([]) || *sum == json!(0)),
                "{path}: {joined:?}"
            );
        }
        let marked = format!("\u{feff}{text}");
        for (body, name) in [
            (utf16(&text), "UTF-16 (little-endian)"),
            (utf16(&marked), "UTF-16 (little-endian)"),
            (marked.encode_utf16().flat_map(u16::to_be_bytes).collect(), "UTF-16 (big-endian)"),
            (marked.chars().flat_map(|unit| u32::from(unit).to_le_bytes()).collect(), "UTF-32 (little-endian)"),
            (text.chars().flat_map(|unit| u32::from(unit).to_be_bytes()).collect(), "UTF-32 (big-endian)"),
        ] {
            let refused = send(body).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{method} {path} as {name}: {refused:?}");
            assert!(sentences(&refused).contains(name), "{method} {path} as {name}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn csv_in_another_charset_is_decoded_when_its_charset_is_stated() {
    let shop = Shop::open().await;
    let bytes = b"external_id;url;name\na;https://x/1;Gr\xfc\xdfe \x80\n".to_vec();
    let undeclared = shop.load(CSV, bytes.clone()).await;
    assert_eq!(counts(&undeclared), [0, 0, 0, 0, 1]);
    assert!(undeclared.json()["rejected"][0]["errors"].to_string().contains("charset=windows-1252"), "{undeclared:?}");
    let declared = shop.load("Text/CSV; header=present; charset=\"Windows-1252\"", bytes).await;
    assert_eq!(counts(&declared), [1, 0, 0, 0, 0]);
    let wide = utf16("\u{feff}external_id\turl\tname\r\nb\thttps://x/2\tGr\u{fc}\u{df}e\r\n");
    assert_eq!(counts(&shop.load("text/csv; charset=utf-16", wide).await), [1, 0, 0, 0, 0]);
    let page = shop.page("").await;
    assert_eq!(
        (&page["items"][1]["name"], &page["items"][0]["name"]),
        (&json!("Gr\u{fc}\u{df}e \u{20ac}"), &json!("Gr\u{fc}\u{df}e"))
    );
    let of_windows = shop.load("application/vnd.ms-excel", "external_id;url\nw;https://x/4\n").await;
    assert_eq!(counts(&of_windows), [1, 0, 0, 0, 0]);
    for content_type in ["text/csv; charset=klingon", "text/csv; header=absent", "application/msword", "", "csv"] {
        let refused = shop.load(content_type, "external_id,url\n").await;
        assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
    }
    let utf8 = shop.load(
        "application/json; charset=iso-8859-1",
        json!([{"external_id": "c", "url": "https://x/3", "name": "\u{fc}"}]).to_string(),
    );
    assert_eq!(counts(&utf8.await), [1, 0, 0, 0, 0], "JSON is UTF-8 whatever is stated");
}

#[tokio::test]
async fn a_packed_feed_is_unpacked_and_a_cut_one_changes_nothing_more() {
    let shop = Shop::open().await;
    let rows: String = (0..3_000).map(|row| format!("sku-{row},https://x/{row}\n")).collect();
    let csv = format!("external_id,url\n{rows}");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(csv.as_bytes()).expect("memory");
    let gzip = encoder.finish().expect("memory");
    let zstd = zstd::encode_all(csv.as_bytes(), 3).expect("memory");
    let send = async |encoding: &str, query: &str, body: Vec<u8>| {
        let request = request("POST", &shop.path(&format!("/dataset?{query}")), &shop.key)
            .header("content-type", CSV)
            .header("content-encoding", encoding);
        shop.server.send(request.body(Body::from(body)).expect("a request")).await
    };
    assert_eq!(counts(&send("gzip", "", gzip.clone()).await), [3_000, 0, 0, 0, 0]);
    assert_eq!(counts(&send("zstd", "", zstd.clone()).await), [0, 0, 3_000, 0, 0]);
    assert_eq!(counts(&send("identity", "", csv.clone().into_bytes()).await), [0, 0, 3_000, 0, 0]);
    for (encoding, packed) in [("gzip", gzip), ("zstd", zstd)] {
        let cut = send(encoding, "replace=true", packed[..packed.len() - 5].to_vec()).await;
        assert_eq!(cut.status, StatusCode::BAD_REQUEST, "{cut:?}");
    }
    assert_eq!(send("br", "", Vec::new()).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send("gzip", "", csv.into_bytes()).await.status, StatusCode::BAD_REQUEST);
    shop.refresh().await;
    assert_eq!(shop.page("limit=100&page=30").await["items"].as_array().expect("items").len(), 100, "all are there");
}

#[tokio::test]
async fn exports_of_shops_are_loaded_by_a_preset_or_a_map() {
    let shop = Shop::open().await;
    let google = "id\ttitle\tdescription\tlink\timage_link\tadditional_image_link\tproduct_type\tprice\n\
                  g-1\tRed shoes\tSo \"red\", so good\thttps://shop.example/g-1\thttps://x/g-1.jpg\thttps://x/g-1b.jpg,https://x/g-1c.jpg\tHome > Shoes\t20.00 EUR\n\
                  g-2\tHat\t\thttps://shop.example/g-2\thttps://x/g-2.jpg\t\tHome > Hats, Sale\t5 EUR\n";
    for content_type in ["text/tab-separated-values", CSV] {
        let answer = shop.feed("map=google_merchant", content_type, google).await;
        assert_eq!(counts(&answer).iter().sum::<u64>(), 2, "{answer:?}");
        assert_eq!(answer.json()["rejected_count"], 0, "{answer:?}");
    }
    let shopify = "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Variant SKU,Image Src,Image Position,Status\n\
                   shirt,Shirt,\"<p>Soft,\n\"\"very\"\" soft</p>\",Acme,Tops,\"red, new\",true,S-1,https://x/shirt-1.jpg,1,active\n\
                   shirt,,,,,,,S-2,https://x/shirt-2.jpg,2,\n\
                   shirt,,,,,,,S-3,,,\n\
                   draft,Draft,,Acme,,,false,D-1,https://x/draft.jpg,1,draft\n\
                   bare,No picture,,Acme,,,true,B-1,,,active\n\
                   bare,,,,,,,B-2,,,\n";
    let answer = shop.feed("map=shopify", CSV, shopify).await;
    assert_eq!(counts(&answer), [2, 0, 2, 0, 2], "{answer:?}");
    assert_eq!(answer.json()["rejected"].as_array().map(Vec::len), Some(1), "one product, of two rows: {answer:?}");
    assert_eq!(answer.json()["rejected"][0]["row"], 5);
    let woo = "ID,Type,SKU,Name,Published,Categories,Tags,Images,External URL\n\
               71,simple,W-1,Mug,1,\"Kitchen > Mugs, Sale\",\"blue, big\",\"https://x/mug.jpg, https://x/mug-2.jpg\",\n\
               72,variable,W-2,Cap,1,,,https://x/cap.jpg,https://else.example/cap\n\
               73,variation,W-2-1,Cap - red,1,,,,\n";
    assert_eq!(counts(&shop.feed("map=woocommerce", CSV, woo).await), [2, 0, 1, 0, 0]);
    let map = "map=sku:external_id,Bild%20URL:url,label:name,Kategorie:tags";
    let own = "sku;Bild URL;label;Kategorie;Kategorie 2;;\nown-1;https://x/own.jpg;Eigenes;a, b;c;;\n";
    assert_eq!(counts(&shop.feed(map, CSV, own).await), [1, 0, 0, 0, 0]);
    let lines = json!({"sku": 8, "bild_url": "https://x/8.jpg", "label": "Eight", "kategorie": ["x"]}).to_string();
    assert_eq!(counts(&shop.feed(map, "application/x-ndjson", lines).await), [1, 0, 0, 0, 0]);

    let page = shop.page("limit=100").await;
    let items = page["items"].as_array().expect("items");
    let item = |id: &str| items.iter().find(|item| item["external_id"] == id).unwrap_or_else(|| panic!("{id}: {page}"));
    assert_eq!(items.len(), 8, "{page}");
    assert_eq!(item("g-1")["url"], "https://x/g-1.jpg");
    assert_eq!(item("g-1")["link"], "https://shop.example/g-1");
    assert_eq!((&item("shirt")["url"], &item("shirt")["name"]), (&json!("https://x/shirt-1.jpg"), &json!("Shirt")));
    assert_eq!(
        (&item("71")["url"], &item("72")["link"]),
        (&json!("https://x/mug.jpg"), &json!("https://else.example/cap"))
    );
    assert_eq!(item("8")["name"], "Eight");
    for (id, tags) in [
        ("g-2", json!(["Home", "Hats", "Sale"])),
        ("shirt", json!(["red", "new", "Tops"])),
        ("71", json!(["blue", "big", "Kitchen", "Mugs", "Sale"])),
        ("own-1", json!(["a", "b"])),
    ] {
        let path = format!("/api/v1/images/{}", string(&item(id)["image_id"]));
        assert_eq!(shop.server.get(&path, &shop.key).await.json()["tags"], tags, "{id}");
    }
    let visited = shop.visit("limit=100").await.json();
    assert!(!names(&visited).contains(&"draft".to_owned()), "what is not published is for keys alone: {visited}");
    for map in ["etsy", "title:label", "a:name,b:name", ""] {
        let refused = shop.feed(&format!("map={map}"), CSV, google).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{map}");
        assert!(refused.json()["errors"]["map"].is_array(), "{map}: {refused:?}");
    }
}

#[tokio::test]
async fn a_full_feed_takes_out_what_it_does_not_have_and_counters_return_with_it() {
    let shop = Shop::open().await;
    shop.load_pictures(4).await;
    shop.refresh().await;
    shop.send("view", "sku-1", 3).await;
    let csv = |ids: &[&str]| {
        let rows = ids.iter().map(|id| format!("{id},https://cdn.example/{}.jpg\n", &id[4..]));
        std::iter::once("external_id,url\n".to_owned()).chain(rows).collect::<String>()
    };
    assert_eq!(counts(&shop.feed("replace=true", CSV, csv(&["sku-0", "sku-2", "sku-9"])).await), [1, 0, 2, 2, 0]);
    shop.refresh().await;
    assert_eq!(names(&shop.page("order=newest").await), ["sku-9", "sku-2", "sku-0"]);
    assert_eq!(counts(&shop.feed("replace=false", CSV, csv(&["sku-0"])).await), [0, 0, 1, 0, 0]);
    assert_eq!(counts(&shop.feed("replace=true", CSV, csv(&["sku-0", "sku-1", "sku-2"])).await), [0, 1, 2, 1, 0]);
    shop.refresh().await;
    let page = shop.page("").await;
    assert_eq!((&page["items"][0]["external_id"], &page["items"][0]["views"]), (&json!("sku-1"), &json!(3)));
    assert_eq!(page["items"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_feed_that_is_broken_or_says_nothing_removes_nothing() {
    let shop = Shop::open().await;
    shop.load_pictures(3).await;
    let row = json!({"external_id": "sku-0", "url": "https://cdn.example/0.jpg", "created_at": "2021-01-01T00:00:00Z"})
        .to_string();
    let cut = format!("[{row},");
    for (content_type, body) in [
        ("application/json", Body::from(format!("[{row}"))),
        ("application/json", streamed(&[&cut], true)),
        ("application/x-ndjson", streamed(&[&row, "\n"], true)),
        (CSV, streamed(&["external_id,url\n", "sku-0,https://cdn.example/0.jpg\n"], true)),
        (CSV, Body::from("sku,picture\n")),
    ] {
        let answer = shop.feed("replace=true", content_type, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    }
    for (content_type, body, is_told) in [
        (CSV, "external_id,url\n".to_owned(), true),
        ("application/json", "[]".to_owned(), true),
        ("application/x-ndjson", String::new(), true),
        // The image of the second row cannot be read.
        ("application/x-ndjson", format!("{row}\n{{\"external_id\": \"sku-1\", \"ur"), true),
        (CSV, "external_id,url\nsku-0,https://cdn.example/0.jpg\nsku-1\n".to_owned(), true),
        // The feed holds these two rows, although they are invalid.
        (CSV, "external_id,url\nsku-0,https://cdn.example/0.jpg\nsku-1,/1.jpg\nsku-2,\n".to_owned(), false),
    ] {
        let answer = shop.feed("replace=true", content_type, body.clone()).await;
        assert_eq!(counts(&answer)[3], 0, "{body}: {answer:?}");
        assert_eq!(answer.json()["not_removed"].is_string(), is_told, "{body}: {answer:?}");
    }
    shop.refresh().await;
    assert_eq!(shop.page("").await["items"].as_array().map(Vec::len), Some(3));
    let refused = shop.feed("replace=perhaps", CSV, "external_id,url\n").await;
    assert!(refused.json()["errors"]["replace"].is_array(), "{refused:?}");
}

#[tokio::test]
async fn addresses_are_stored_and_served_in_the_form_that_browsers_send() {
    let shop = Shop::open().await;
    let typed = [
        ("HTTPS://CDN.Example:443/a b.jpg", "https://cdn.example/a%20b.jpg"),
        ("\thttps://cdn.example/\u{fc}.jpg\r\n", "https://cdn.example/%C3%BC.jpg"),
        ("https://cdn.exam\nple/c\td.jpg", "https://cdn.example/cd.jpg"),
        ("https://b\u{fc}cher.example/e", "https://xn--bcher-kva.example/e"),
        ("http:\\\\cdn.example\\f", "http://cdn.example/f"),
    ];
    let rows: Vec<Value> = typed
        .iter()
        .enumerate()
        .map(|(number, (typed, _))| json!({"external_id": number.to_string(), "url": typed, "link": typed}))
        .collect();
    assert_eq!(counts(&shop.load("application/json", json!(rows).to_string()).await), [5, 0, 0, 0, 0]);
    let page = shop.page("").await;
    for (number, (address, stored)) in typed.iter().enumerate() {
        let number = number.to_string();
        let mut items = page["items"].as_array().expect("items").iter();
        let item = items.find(|item| item["external_id"] == number);
        let item = item.expect("an item");
        assert_eq!((&item["url"], &item["link"]), (&json!(stored), &json!(stored)));
        let image = format!("/api/v1/images/{}", string(&item["image_id"]));
        let shown = shop.server.get(&image, &shop.key).await.json();
        assert_eq!((&shown["url"], &shown["link"]), (&json!(stored), &json!(stored)));
        let preview = shop.server.get(&shop.path(&format!("/images/{}/preview", string(&item["image_id"]))), "").await;
        assert_eq!((preview.status, preview.header("location")), (StatusCode::TEMPORARY_REDIRECT, *stored));
        let patched = shop.server.write("PATCH", &image, &shop.key, &json!({"link": address})).await;
        assert_eq!(patched.json()["link"], *stored, "{patched:?}");
    }
    let made = json!({"project_id": shop.project_id, "filename": "a.jpg", "link": typed[0].0});
    let made = shop.server.post("/api/v1/images", &shop.key, &made).await.json();
    let shown = shop.server.get(&format!("/api/v1/images/{}", string(&made["image_id"])), &shop.key).await.json();
    assert_eq!(shown["link"], typed[0].1);
    for odd in ["https://ann:secret@cdn.example/a", "//cdn.example/a", "ftp://cdn.example/a", "https://a b/"] {
        let refused =
            shop.load("application/json", json!([{"external_id": "x", "url": odd, "link": odd}]).to_string()).await;
        let errors = &refused.json()["rejected"][0]["errors"];
        assert!(errors["url"].is_array() && errors["link"].is_array(), "{odd}: {refused:?}");
    }
}

#[tokio::test]
async fn an_address_that_was_stored_before_addresses_were_parsed_is_served_or_not_found() {
    let shop = Shop::open().await;
    let row = |external_id: &str, url: &str| DatasetRow {
        new_image_id: shop.server.app.clock.new_id(),
        external_id: external_id.to_owned(),
        name: None,
        url: url.to_owned(),
        link: Some(url.to_owned()),
        tags: Vec::new(),
        width: None,
        height: None,
        created_at: None,
        visibility: None,
        access_tier: None,
    };
    let rows = vec![row("a", "https://cdn.example/a\nb \u{fc}"), row("b", "https://cdn example/\n")];
    let catalog: &Catalog = &shop.server.app.catalog;
    let gallery_id = shop.gallery_id.parse().expect("an id");
    catalog.load_dataset(gallery_id, rows, None, shop.server.app.clock.now()).await.expect("a load");
    shop.refresh().await;
    let page = shop.page("order=newest").await;
    assert_eq!(page["items"][1]["url"], "https://cdn.example/ab%20%C3%BC");
    assert_eq!((&page["items"][0]["url"], &page["items"][0]["link"]), (&Value::Null, &Value::Null));
    for (item, status) in [(1, StatusCode::TEMPORARY_REDIRECT), (0, StatusCode::NOT_FOUND)] {
        let path = shop.path(&format!("/images/{}/preview", string(&page["items"][item]["image_id"])));
        let preview = shop.server.get(&path, "").await;
        assert_eq!(preview.status, status, "{preview:?}");
        assert!(preview.header("location").is_ascii());
    }
}

#[tokio::test]
async fn a_dataset_counts_against_the_quota_of_images_and_usage_shows_both() {
    let shop = Shop::open_with(|settings| settings.tiers.free.images_max = 3).await;
    let usage = async || {
        let path = format!("/api/v1/projects/{}/usage", shop.project_id);
        let usage = shop.server.get(&path, &shop.key).await.json();
        (usage["images"].clone(), usage["quotas"]["images"].clone())
    };
    assert_eq!(usage().await, (json!(0), Value::Null));
    let patch = json!({"tier": Tier::Free});
    shop.server.write("PATCH", &format!("/api/v1/projects/{}", shop.project_id), ADMIN_KEY, &patch).await;
    let csv = |ids: &[&str]| {
        let rows = ids.iter().map(|id| format!("{id},https://cdn.example/{id}\n"));
        std::iter::once("external_id,url\n".to_owned()).chain(rows).collect::<String>()
    };
    let answer = shop.load(CSV, csv(&["a", "b", "bad row,", "c", "d", "a"])).await;
    assert_eq!(counts(&answer), [3, 0, 1, 0, 2]);
    let rows: Vec<Value> =
        answer.json()["rejected"].as_array().expect("rows").iter().map(|row| row["row"].clone()).collect();
    assert_eq!(rows, [3, 5]);
    assert!(answer.json()["rejected"][1]["errors"]["row"][0].as_str().is_some_and(|text| text.contains("3 images")));
    assert_eq!(usage().await, (json!(3), json!(3)));
    let made = json!({"project_id": shop.project_id, "filename": "a.jpg"});
    assert_eq!(shop.server.post("/api/v1/images", &shop.key, &made).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    // Images removed by a full feed free their places.
    assert_eq!(counts(&shop.feed("replace=true", CSV, csv(&["a"])).await), [0, 0, 1, 2, 0]);
    assert_eq!(usage().await.0, json!(1));
    assert_eq!(shop.server.post("/api/v1/images", &shop.key, &made).await.status, StatusCode::CREATED);
    assert_eq!(counts(&shop.load(CSV, csv(&["b", "c"])).await), [0, 1, 0, 0, 1]);
}

#[tokio::test]
async fn rows_as_shops_write_them_are_taken() {
    let shop = Shop::open().await;
    let rows = json!([
        {"external_id": 17, "url": "https://x/1", "created_at": "2021-01-31"},
        {"external_id": "17", "url": "https://x/1", "created_at": "31.01.2021"},
        {"external_id": -5, "url": "https://x/2", "created_at": "2021-01-31 09:15:27 +0100"},
        {"external_id": 1.5, "url": "https://x/3"},
        {"external_id": 1e30, "url": "https://x/3"},
        {"external_id": "c", "url": "https://x/4", "created_at": "01/02/2021"},
        {"external_id": "d", "url": "https://x/5", "created_at": 1612084527},
        [{"external_id": "e", "url": "https://x/6"}],
    ]);
    let answer = shop.load("application/json", rows.to_string()).await;
    assert_eq!(counts(&answer), [2, 0, 1, 0, 5], "{answer:?}");
    let page = shop.page("order=newest").await;
    assert_eq!(names(&page), ["-5", "17"]);
}
