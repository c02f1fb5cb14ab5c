//! Published orders as records: cursors go on after a restart and in other processes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use eyeline::settings::Settings;
use eyeline::workers;
use http::StatusCode;
use serde_json::{Value, json};

use crate::galleries::{Shop, names, string};
use crate::support::Server;

/// All processes of an installation share it.
fn share_secret(settings: &mut Settings) {
    settings.secret = Some("5e".repeat(32));
}

async fn restart(shop: Shop) -> Shop {
    let server = shop.server.restart_with(share_secret).await;
    tokio::spawn(workers::ingest::run(server.app.ingest.clone(), server.app.stop.clone()));
    Shop { server, ..shop }
}

/// The folder of the records.
fn records(shop: &Shop) -> PathBuf {
    shop.server.app.settings.data.join("orders")
}

/// A page without the place receipts, which name the hour.
async fn page(server: &Server, path: &str, key: &str) -> Value {
    let answer = server.get(path, key).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let mut page = answer.json();
    for item in page["items"].as_array_mut().expect("items") {
        assert!(item["place"].is_string(), "{item}");
        item["place"] = Value::Null;
    }
    page
}

#[tokio::test]
async fn a_walk_goes_on_in_every_process_and_after_restarts() {
    const PICTURES: usize = 270;
    let mut shop = Shop::open_with(share_secret).await;
    shop.load_pictures(PICTURES).await;
    shop.patch(json!({"guard": true})).await;
    shop.send("view", "sku-5", 3).await;
    shop.refresh().await;
    let other = shop.server.beside().await;
    // The owner of the gallery, who also sees numbers, and visitors by three strategies.
    let visitor = |order: &str| (format!("application={}&order={order}&", shop.application_id), String::new());
    let walks = [(String::new(), shop.key.clone()), visitor("weight"), visitor("interest"), visitor("newest")];
    for (number, (query, key)) in walks.into_iter().enumerate() {
        let path = |rest: &str| shop.path(&format!("/images?{query}limit=20{rest}"));
        let first = page(&shop.server, &path(""), &key).await;
        let order_id = first["order_id"].clone();
        let mut met = names(&first);
        let (mut cursor, mut round) = (first["next_cursor"].clone(), 0);
        while let Some(text) = cursor.as_str().map(str::to_owned) {
            shop.send("click", &format!("sku-{round}"), 1 + round).await;
            shop.send("view", &format!("sku-{}", 229 - round), 3).await;
            assert_ne!(shop.refresh().await["order_id"], order_id);
            if round == 3 + number {
                shop = restart(shop).await;
            }
            let path = shop.path(&format!("/images?{query}limit=20&cursor={text}"));
            let (ours, theirs) = (page(&shop.server, &path, &key).await, page(&other, &path, &key).await);
            assert_eq!(ours, theirs, "both processes serve the same page");
            assert_eq!((&ours["order_id"], &ours["restarted"]), (&order_id, &Value::Null));
            if query.is_empty() {
                assert!(ours["items"][0]["counted_views"].is_u64(), "{ours}");
            }
            met.extend(names(&ours));
            // The next page is asked by the cursor of either.
            cursor = if round % 2 == 0 { theirs } else { ours }["next_cursor"].clone();
            round += 1;
        }
        let distinct: BTreeSet<&String> = met.iter().collect();
        assert_eq!((met.len(), distinct.len()), (PICTURES, PICTURES), "nothing repeated, nothing skipped");
    }
}

#[tokio::test]
async fn what_is_taken_out_or_excluded_is_in_no_page_of_an_earlier_order_in_any_process() {
    let shop = Shop::open_with(share_secret).await;
    shop.load_pictures(10).await;
    let other = shop.server.beside().await;
    let first = shop.page("limit=2").await;
    let path = shop.path(&format!("/images?limit=8&cursor={}", string(&first["next_cursor"])));
    let rest = page(&other, &path, &shop.key).await;
    assert_eq!(names(&rest)[0], "sku-7");

    let taken_out = shop.path(&format!("/images/{}", string(&rest["items"][0]["image_id"])));
    assert_eq!(shop.server.delete(&taken_out, &shop.key).await.status, StatusCode::NO_CONTENT);
    shop.rules(&json!({"exclude": [{"external_id": "sku-3"}]})).await;
    // Hints of another process may be lost; it compares its galleries with the catalog every second.
    other.app.orders.poll().await.expect("compared");
    for server in [&shop.server, &other] {
        let rest = page(server, &path, &shop.key).await;
        assert_eq!(names(&rest), ["sku-6", "sku-5", "sku-4", "sku-2", "sku-1", "sku-0"]);
        assert_eq!((&rest["items"][0]["position"], &rest["restarted"]), (&json!(4), &Value::Null));
    }
}

#[tokio::test]
async fn an_order_is_kept_for_fifteen_minutes_over_a_restart_and_expired_ones_are_removed() {
    let shop = Shop::open_with(share_secret).await;
    shop.load_pictures(6).await;
    let cursor = string(&shop.page("limit=2").await["next_cursor"]);
    let minutes = |shop: &Shop, minutes: u64| {
        let clock = &shop.server.app.clock;
        clock.set(clock.now().plus(Duration::from_secs(60 * minutes)));
    };
    // A page keeps the order for another 15 minutes, also a page of the newest order.
    minutes(&shop, 14);
    shop.page(&format!("limit=2&cursor={cursor}")).await;
    let offset = shop.server.app.clock.offset();
    let shop = restart(shop).await;
    shop.server.app.clock.set_offset(offset);
    minutes(&shop, 14);
    shop.server.app.orders.sweep_records().await.expect("swept");
    let kept = shop.page(&format!("limit=2&cursor={cursor}")).await;
    assert_eq!((names(&kept), &kept["restarted"]), (vec!["sku-3".to_owned(), "sku-2".to_owned()], &Value::Null));
    minutes(&shop, 16);
    let restarted = shop.page(&format!("limit=2&cursor={cursor}")).await;
    assert_eq!(restarted["restarted"], true);
    shop.server.app.orders.sweep_records().await.expect("swept");
    assert_eq!(shop.server.app.orders.usage().records, 1, "that of the newest order");
    minutes(&shop, 16);
    shop.server.app.orders.sweep_records().await.expect("swept");
    assert_eq!(shop.server.app.orders.usage().records, 0);
    // The newest order is still in memory. A page of it stores it again.
    let cursor = string(&shop.page("limit=2").await["next_cursor"]);
    let shop = restart(shop).await;
    shop.server.app.clock.set_offset(offset + 46 * 60 * 1_000_000);
    assert_eq!(shop.page(&format!("limit=2&cursor={cursor}")).await["restarted"], Value::Null);
}

#[tokio::test]
async fn a_record_that_is_torn_or_gone_gives_restarted_and_never_a_wrong_page() {
    for damage in ["none", "gone", "cut", "zeros", "another's"] {
        let shop = Shop::open_with(share_secret).await;
        shop.load_pictures(300).await;
        let cursor = string(&shop.page("limit=2").await["next_cursor"]);
        shop.send("click", "sku-0", 1).await;
        shop.refresh().await;
        let newest = shop.page("limit=100").await;
        let entries = std::fs::read_dir(records(&shop)).expect("a folder");
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect();
        // Names begin with the gallery's id and end with the order's, which rises.
        paths.sort();
        let [path, of_newest] = &paths[..] else { panic!("{paths:?}") };
        let bytes = std::fs::read(path).expect("a record");
        match damage {
            "gone" => std::fs::remove_file(path).expect("removed"),
            "cut" => std::fs::write(path, &bytes[..1_000]).expect("written"),
            "zeros" => std::fs::write(path, [&bytes[..100], &vec![0; bytes.len() - 100]].concat()).expect("written"),
            "another's" => std::fs::copy(of_newest, path).map(drop).expect("copied"),
            _ => {}
        }
        let shop = restart(shop).await;
        let page = shop.page(&format!("limit=2&cursor={cursor}")).await;
        if damage == "none" {
            assert_eq!(
                (names(&page), &page["restarted"]),
                (vec!["sku-297".to_owned(), "sku-296".to_owned()], &Value::Null)
            );
        } else {
            assert_eq!((&page["restarted"], names(&page)), (&json!(true), names(&newest)[2..4].to_vec()), "{damage}");
        }
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_stops_no_page() {
    let shop = Shop::open_with(share_secret).await;
    shop.load_pictures(6).await;
    std::fs::remove_dir_all(records(&shop)).expect("removed");
    std::fs::write(records(&shop), "a file in its place").expect("written");
    let first = shop.page("limit=2").await;
    let cursor = string(&first["next_cursor"]);
    let next = shop.page(&format!("limit=2&cursor={cursor}")).await;
    assert_eq!((&next["order_id"], &next["restarted"]), (&first["order_id"], &Value::Null), "from memory");
    shop.send("click", "sku-0", 1).await;
    shop.refresh().await;
    assert_eq!(shop.page(&format!("limit=2&cursor={cursor}")).await["restarted"], true);
}

/// Waits until `server` serves a first page with this image on top.
async fn until_on_top(server: &Server, path: &str, key: &str, name: &str) -> Value {
    let began = std::time::Instant::now();
    loop {
        let page = page(server, path, key).await;
        if names(&page)[0] == name {
            return page;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{name} does not come to the top: {:?}", names(&page));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until both servers serve a first page of the same order, and compares it.
async fn until_same(ours: &Server, theirs: &Server, path: &str, key: &str) -> Value {
    let began = std::time::Instant::now();
    loop {
        let (ours, theirs) = (page(ours, path, key).await, page(theirs, path, key).await);
        if ours["order_id"] == theirs["order_id"] {
            assert_eq!(ours, theirs, "{path}");
            return ours;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "the processes serve different orders of {path}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn other_processes_serve_the_orders_of_the_owner_under_the_same_ids() {
    let shop = Shop::open_with(share_secret).await;
    tokio::spawn(workers::rank::run(shop.server.app.orders.clone(), shop.server.app.stop.clone()));
    shop.load_pictures(30).await;
    let others = [shop.server.beside().await, shop.server.beside().await];
    for other in &others {
        tokio::spawn(workers::rank::run(other.app.orders.clone(), other.app.stop.clone()));
    }
    let paths = ["", "order=newest&", "order=interest&session_id=6f0a6f0a-7c1f-4b0c-8d3e-0a1b2c3d4e5f&"]
        .map(|query| shop.path(&format!("/images?{query}limit=10")));
    for path in &paths {
        for other in &others {
            until_same(&shop.server, other, path, &shop.key).await;
        }
    }
    // One image has the same rank and numbers everywhere.
    let image = shop
        .path(&format!("/images/{}", string(&page(&shop.server, &paths[0], &shop.key).await["items"][7]["image_id"])));
    let ours = shop.server.get(&image, &shop.key).await.json();
    assert_eq!(ours["position"], 8);
    for other in &others {
        assert_eq!(other.get(&image, &shop.key).await.json(), ours);
    }
    // New orders reach them, and so do rules, which the owner publishes before it answers.
    for picture in [3, 14, 25] {
        let name = format!("sku-{picture}");
        shop.send("click", &name, 1 + picture).await;
        let ours = until_on_top(&shop.server, &paths[0], &shop.key, &name).await;
        for other in &others {
            let theirs = until_on_top(other, &paths[0], &shop.key, &name).await;
            if theirs["order_id"] == ours["order_id"] {
                assert_eq!(ours["items"], theirs["items"]);
            }
        }
    }
    shop.rules(&json!({"pin": [{"external_id": "sku-9", "position": 1}]})).await;
    for other in &others {
        until_on_top(other, &paths[0], &shop.key, "sku-9").await;
    }

    // While the owner is away, its last orders are served, and cursors go on in them.
    let mut last = Value::Null;
    for other in &others {
        last = until_same(&shop.server, other, &paths[0], &shop.key).await;
    }
    let (key, fresh) = (shop.key.clone(), shop.path("/images?order=trending"));
    // It is back, but does not rank yet.
    let _starting = restart(shop).await;
    for other in &others {
        let first = page(other, &paths[0], &key).await;
        assert_eq!((&first["order_id"], names(&first)), (&last["order_id"], names(&last)));
        let next = format!("{}&cursor={}", paths[0], string(&first["next_cursor"]));
        assert_eq!(page(other, &next, &key).await["restarted"], Value::Null);
        // An order that it never published is pending.
        let pending = other.get(&fresh, &key).await;
        assert_eq!(pending.status, StatusCode::SERVICE_UNAVAILABLE, "{pending:?}");
        assert_eq!((&pending.json()["code"], pending.header("retry-after")), (&json!("order_pending"), "1"));
    }
}

#[tokio::test]
async fn at_most_eight_orders_by_other_strategies_are_held_and_the_least_recently_served_goes_first() {
    let shop = Shop::open_with(share_secret).await;
    shop.load_pictures(30).await;
    let order_of = async |query: &str| shop.page(&format!("limit=2&{query}")).await["order_id"].clone();
    let own = order_of("").await;
    let singles = ["newest", "weight_decay", "trending", "ctr", "interest_fixed", "manual"];
    let mut extra: Vec<String> = singles.iter().map(|strategy| format!("order={strategy}")).collect();
    extra.extend(["order=interest", "order=random"].map(str::to_owned));
    let mut held = Vec::new();
    for query in &extra {
        held.push(order_of(query).await);
    }
    for (query, order_id) in extra.iter().zip(&held) {
        assert_eq!(order_of(query).await, *order_id, "{query} is held");
    }
    let cursor = string(&shop.page("limit=2&order=newest").await["next_cursor"]);
    for (query, order_id) in extra.iter().zip(&held) {
        assert_eq!(order_of(query).await, *order_id, "{query} is held");
    }
    // Sessions see one of four orders by `interest`: one of these needs a ninth place, and that of `newest` is the oldest.
    for session in 0..20 {
        order_of(&format!("order=interest&session_id={}", uuid::Uuid::from_u128(session))).await;
    }
    assert_eq!(order_of("order=random").await, held[7], "it was served later than three others");
    assert_ne!(order_of("order=newest").await, held[0], "it was made anew");
    assert_eq!(order_of("").await, own, "the gallery's own is no extra one");
    let next = shop.page(&format!("limit=2&cursor={cursor}")).await;
    assert_eq!((&next["order_id"], &next["restarted"]), (&held[0], &Value::Null), "cursors go on in its record");
}
