//! Catalogues of clients, loaded into a gallery.

use std::path::Path;

use http::StatusCode;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};

use crate::feeds::{CSV, counts};
use crate::galleries::Shop;

#[tokio::test]
async fn a_catalogue_loaded_again_changes_what_changed() {
    let shop = Shop::open().await;
    let mut rows = json!([
        {"external_id": "a", "name": "A", "url": "https://cdn.example/a", "tags": ["x"], "link": "https://shop.example/a"},
        {"external_id": "b", "name": "B", "url": "https://cdn.example/b", "created_at": "2021-01-01 09:15:27.243860"},
    ]);
    let first = shop.load("application/json; charset=utf-8", rows.to_string()).await;
    let none: [Value; 0] = [];
    let counts = |created: u64, updated: u64, unchanged: u64| json!({"created": created, "updated": updated, "unchanged": unchanged, "removed": 0, "rejected": none, "rejected_count": 0});
    assert_eq!((first.status, first.json()), (StatusCode::OK, counts(2, 0, 0)));
    rows[1]["name"] = json!("B2");
    assert_eq!(shop.load("application/json", rows.to_string()).await.json(), counts(0, 1, 1));
    let csv = "external_id,name,url,tags,link\na,A,https://cdn.example/a,x,https://shop.example/a\nc,,https://cdn.example/c,,\n";
    assert_eq!(shop.load("text/csv", csv).await.json(), counts(1, 0, 1));
    let page = shop.page("order=newest").await;
    let names: Vec<&Value> = page["items"].as_array().expect("items").iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["c", "A", "B2"], "a picture without a name has that of its file");
}

#[tokio::test]
async fn rows_that_are_wrong_are_told_with_all_their_errors_and_the_others_are_taken() {
    let shop = Shop::open().await;
    let lines = [
        r#"{"external_id": "a", "url": "https://cdn.example/a"}"#,
        r#"{"name": "", "url": "javascript:alert(1)", "link": "/p/1", "created_at": "yesterday", "tags": "x", "width": 0}"#,
        "not JSON",
        r#"{"external_id": "a\u0000", "url": "https://cdn.example/a"}"#,
        r#"{"external_id": "b", "url": "https://cdn.example/b", "visibility": "hidden", "access_tier": "gold"}"#,
        r#"{"external_id": "c", "url": "https://cdn.example/c", "anything": {"else": 1}}"#,
    ];
    let answer = shop.load("application/x-ndjson", lines.join("\n")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = answer.json();
    assert_eq!((&answer["created"], &answer["rejected_count"]), (&json!(2), &json!(4)));
    let rejected = answer["rejected"].as_array().expect("rejected rows");
    let fields =
        |index: usize| -> Vec<&String> { rejected[index]["errors"].as_object().expect("errors").keys().collect() };
    assert_eq!(rejected.iter().map(|row| row["row"].as_u64().expect("a number")).collect::<Vec<_>>(), [2, 3, 4, 5]);
    assert_eq!(fields(0), ["created_at", "external_id", "link", "name", "tags", "url", "width"]);
    assert_eq!(fields(1), ["row"]);
    assert_eq!(fields(2), ["external_id"]);
    assert_eq!(fields(3), ["access_tier", "visibility"]);
}

#[tokio::test]
async fn at_most_a_thousand_rejected_rows_are_listed_and_all_are_counted() {
    let shop = Shop::open().await;
    let mut lines = "{}\n".repeat(2_500);
    lines.push_str(r#"{"external_id": "a", "url": "https://cdn.example/a"}"#);
    let answer = shop.load("application/x-ndjson", lines).await.json();
    assert_eq!((&answer["created"], &answer["rejected_count"]), (&json!(1), &json!(2_500)));
    assert_eq!(answer["rejected"].as_array().expect("rejected rows").len(), 1_000);
}

#[tokio::test]
async fn a_body_that_is_no_catalogue_is_refused() {
    let shop = Shop::open().await;
    assert_eq!(shop.load("text/html", "<p>").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(shop.load("application/json", "{}").await.status, StatusCode::BAD_REQUEST);
    let header = shop.load("text/csv", "sku,picture\n1,2\n").await;
    assert_eq!(header.status, StatusCode::BAD_REQUEST);
    let errors = header.json()["errors"].clone();
    assert!(errors.get("header.external_id").is_some() && errors.get("header.url").is_some(), "{errors}");
    let cut = shop.load("application/json", r#"[{"external_id": "a", "url": "https://cdn.example/a"}, {"#).await;
    assert_eq!(cut.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn several_chunks_of_rows_are_one_catalogue_in_its_order() {
    let shop = Shop::open().await;
    let rows = (0..2_345).map(|number| format!("sku-{number},https://cdn.example/{number}\n"));
    let csv: String = std::iter::once("external_id,url\n".to_owned()).chain(rows).collect();
    assert_eq!(shop.load("text/csv", csv).await.json()["created"], 2_345);
    let page = shop.page("limit=3").await;
    let names: Vec<&Value> = page["items"].as_array().expect("items").iter().map(|item| &item["external_id"]).collect();
    assert_eq!(names, ["sku-2344", "sku-2343", "sku-2342"], "all of one time: the last row is the newest");
}

/// Public collections of hostile texts and documents, next to the repository if they exist.
fn corpus(folder: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus").join(folder)
}

#[tokio::test]
async fn every_naughty_string_comes_back_as_it_was_or_is_rejected_with_a_reason() {
    let shop = Shop::open().await;
    let mut texts: Vec<String> =
        ["", "\u{0}", "\u{202e}abc", "'; DROP TABLE images; --", "\u{1F600}\u{feff}", "a\r\nb,\"c\""]
            .map(str::to_owned)
            .to_vec();
    if let Ok(file) = std::fs::read(corpus("naughty-strings/blns.json")) {
        texts.extend(serde_json::from_slice::<Vec<String>>(&file).expect("an array of texts"));
    }
    let rows: Vec<Value> = (0..texts.len())
        .map(|number| json!({"external_id": number.to_string(), "url": "https://cdn.example/a", "name": texts[number]}))
        .collect();
    let answer = shop.load("application/json", json!(rows).to_string()).await.json();
    let bad = texts.iter().filter(|text| text.is_empty() || text.contains('\0') || text.chars().count() > 500).count();
    eprintln!("{} texts, {bad} to be rejected", texts.len());
    assert_eq!(answer["rejected_count"], bad);
    assert_eq!(answer["created"], texts.len() - bad);
    let mut next = Some(String::new());
    let mut compared = 0;
    while let Some(cursor) = next {
        let page = shop.page(&format!("limit=100{cursor}")).await;
        for item in page["items"].as_array().expect("items") {
            let number: usize = item["external_id"].as_str().and_then(|id| id.parse().ok()).expect("a number");
            assert_eq!(item["name"], texts[number]);
            compared += 1;
        }
        next = page["next_cursor"].as_str().map(|cursor| format!("&cursor={cursor}"));
    }
    assert_eq!(compared, texts.len() - bad);
}

#[tokio::test]
async fn any_document_is_answered_and_the_gallery_still_works() {
    let shop = Shop::open().await;
    let mut documents: Vec<Vec<u8>> =
        [&b"[1e999]"[..], b"[\"\\ud800\"]", b"[{\"a\":1,\"a\":2}]", b"[\xff]", &[b'['; 100_000]]
            .map(<[u8]>::to_vec)
            .to_vec();
    for entry in std::fs::read_dir(corpus("json-parsing")).into_iter().flatten() {
        documents.push(std::fs::read(entry.expect("an entry").path()).expect("a file"));
    }
    eprintln!("{} documents", documents.len());
    for document in documents {
        for content_type in ["application/json", "application/x-ndjson", "text/csv"] {
            let answer = shop.load(content_type, document.clone()).await;
            assert!(
                matches!(answer.status, StatusCode::OK | StatusCode::BAD_REQUEST),
                "{content_type} {:?}: {answer:?}",
                String::from_utf8_lossy(&document)
            );
        }
    }
    shop.load_pictures(1).await;
    assert_eq!(shop.page("").await["items"][0]["external_id"], "sku-0");
}

/// One row of each format, some with a byte more or less. Of two consecutive rows one is intact: otherwise the rests of
/// both could form one row.
fn with_damage(random: &mut Pcg64Mcg, format: &str, rows: usize) -> String {
    let row = |number: usize, random: &mut Pcg64Mcg| {
        let (id, name) = (random.random_range(0..40), ["red", "blue", "a, b"][random.random_range(0..3)]);
        let row = match format {
            CSV => format!("sku-{id},\"{name}\",https://cdn.example/{id}.jpg"),
            _ => json!({"external_id": format!("sku-{id}"), "name": name, "url": format!("https://cdn.example/{id}.jpg")})
                .to_string(),
        };
        let mut bytes = row.into_bytes();
        let place = random.random_range(0..bytes.len());
        match if number.is_multiple_of(2) { 9 } else { random.random_range(0..10) } {
            0 => drop(bytes.remove(place)),
            1 => bytes.insert(place, b"\"{}[],:x"[random.random_range(0..8)]),
            2 => bytes.truncate(place.max(1)),
            3 => bytes = b"nope".to_vec(),
            _ => {}
        }
        String::from_utf8(bytes).expect("ASCII")
    };
    // The last row is intact, because damage there could remove the end of the array.
    let rows: Vec<String> = (0..rows | 1).map(|number| row(number, random)).collect();
    match format {
        CSV => format!("external_id,name,url\n{}\n", rows.join("\n")),
        "application/json" => format!("[{}]", rows.join(",")),
        _ => rows.join("\n"),
    }
}

#[tokio::test]
async fn the_counts_of_a_thousand_damaged_feeds_add_up_to_their_rows() {
    let shop = Shop::open().await;
    let mut random = Pcg64Mcg::seed_from_u64(14);
    let mut seen = [0; 5];
    for number in 0..1_002 {
        let format = [CSV, "application/x-ndjson", "application/json"][number % 3];
        let rows = random.random_range(1..24);
        let body = with_damage(&mut random, format, rows);
        let counts = counts(&shop.load(format, body.clone()).await);
        assert_eq!(counts.iter().sum::<u64>(), (rows | 1) as u64, "{counts:?} of {body}");
        seen.iter_mut().zip(counts).for_each(|(seen, count)| *seen += count);
    }
    let [created, updated, unchanged, removed, rejected] = seen;
    assert!(created > 0 && updated > 0 && unchanged > 0 && removed == 0 && rejected > 100, "{seen:?}");
}
