//! The order of a gallery: newest first, then by weight, page by page.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use eyeline_e2e::project::{gallery_event, row};
use eyeline_e2e::random::Random;
use eyeline_e2e::uploads::id;
use eyeline_e2e::{Project, Server, on_both_catalogs};
use reqwest::Method;
use serde_json::{Value, json};

on_both_catalogs!(
    without_events_the_newest_is_first,
    views_and_clicks_move_images_to_their_exact_weight,
    a_new_order_is_published_without_being_asked_for,
    the_factors_of_the_weight_are_settings_of_the_gallery,
    a_scrolling_visitor_sees_every_image_once_while_the_order_moves,
    a_walk_through_ten_thousand_images_meets_each_once_under_a_thousand_events_a_second,
    a_gallery_is_read_by_page_numbers_too,
    the_numbers_are_for_keys_alone,
    an_unchanged_page_is_answered_with_304,
    an_image_taken_out_is_not_shown_and_its_numbers_return_with_it,
    another_strategy_is_shown_on_request,
);

async fn page(project: &Project, gallery_id: &str, query: &str) -> Value {
    project.key.get(&format!("/galleries/{gallery_id}/images{query}")).await.expect(200).json()
}

fn external_ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().expect("items").iter().filter_map(|item| item["external_id"].as_str()).collect()
}

async fn react(project: &Project, gallery_id: &str, external_id: &str, views: usize, clicks: usize) {
    let views = (0..views).map(|_| gallery_event("view", gallery_id, external_id));
    let clicks = (0..clicks).map(|_| gallery_event("click", gallery_id, external_id));
    for event in views.chain(clicks) {
        project.send_event(&event).await.expect(201);
    }
}

/// A gallery of `count` images `0`, `1`, ... from the oldest to the newest.
async fn gallery_of(project: &Project, count: u32) -> String {
    let gallery_id = project.gallery("in order of age").await;
    let rows: Vec<Value> = (0..count).map(|number| row(&number.to_string(), number)).collect();
    project.load(&gallery_id, &json!(rows)).await;
    project.refresh(&gallery_id).await;
    gallery_id
}

async fn without_events_the_newest_is_first(server: Server) {
    let project = Project::create(&server, "newest first").await;
    let gallery_id = project.gallery("unsorted").await;
    let rows = json!([row("b", 20), row("d", 40), row("a", 10), row("c", 30), row("d, loaded later", 40)]);
    project.load(&gallery_id, &rows).await;
    project.refresh(&gallery_id).await;
    let page = page(&project, &gallery_id, "").await;
    assert_eq!(external_ids(&page), ["d, loaded later", "d", "c", "b", "a"], "{page}");
    assert_eq!(page["strategy"], "weight");
    assert_eq!(page["items"][4]["url"], "https://cdn.example/a.jpg");
    assert_eq!(page["items"][4]["link"], "https://shop.example/a");
    assert_eq!(page["items"][4]["position"], 5);
}

async fn views_and_clicks_move_images_to_their_exact_weight(server: Server) {
    let project = Project::create(&server, "weights").await;
    let gallery_id = gallery_of(&project, 5).await;
    react(&project, &gallery_id, "0", 8, 3).await;
    react(&project, &gallery_id, "1", 30, 0).await;
    react(&project, &gallery_id, "2", 1, 4).await;
    react(&project, &gallery_id, "3", 2, 0).await;
    let refreshed = project.refresh(&gallery_id).await;
    assert_eq!(refreshed["applied_events"], 8 + 3 + 30 + 1 + 4 + 2, "{refreshed}");

    let page = page(&project, &gallery_id, "").await;
    assert_eq!(page["order_id"], refreshed["order_id"]);
    let numbers: Vec<Value> = page["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| json!([item["external_id"], item["weight"], item["views"], item["clicks"]]))
        .collect();
    // 2 and 0 have the same weight; 2 is newer.
    let expected = json!([["1", 30, 30, 0], ["2", 29, 1, 4], ["0", 29, 8, 3], ["3", 2, 2, 0], ["4", 0, 0, 0]]);
    assert_eq!(json!(numbers), expected, "{page}");

    let image_id = id(&page["items"][1], "image_id");
    let item = project.key.get(&format!("/galleries/{gallery_id}/images/{image_id}")).await.expect(200).json();
    assert_eq!((&item["weight"], &item["views"], &item["clicks"]), (&json!(29), &json!(1), &json!(4)), "{item}");
}

async fn a_new_order_is_published_without_being_asked_for(server: Server) {
    let project = Project::create(&server, "by itself").await;
    let gallery_id = gallery_of(&project, 3).await;
    react(&project, &gallery_id, "0", 0, 1).await;
    for _ in 0..1_200 {
        if external_ids(&page(&project, &gallery_id, "").await) == ["0", "2", "1"] {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("after a minute the order is still {}", page(&project, &gallery_id, "").await);
}

async fn the_factors_of_the_weight_are_settings_of_the_gallery(server: Server) {
    let project = Project::create(&server, "factors").await;
    let ranking = json!({"strategy": "weight", "view_weight": 2, "click_weight": 3});
    let gallery = json!({"project_id": project.id, "name": "own factors", "ranking": ranking});
    let gallery_id = id(&project.key.post("/galleries", &gallery).await.expect(201).json(), "gallery_id");
    project.load(&gallery_id, &json!([row("viewed", 0), row("clicked", 1)])).await;
    react(&project, &gallery_id, "viewed", 2, 0).await;
    react(&project, &gallery_id, "clicked", 0, 1).await;
    project.refresh(&gallery_id).await;
    let page = page(&project, &gallery_id, "").await;
    assert_eq!(external_ids(&page), ["viewed", "clicked"]);
    assert_eq!((&page["items"][0]["weight"], &page["items"][1]["weight"]), (&json!(4), &json!(3)));
}

async fn a_scrolling_visitor_sees_every_image_once_while_the_order_moves(server: Server) {
    let project = Project::create(&server, "scrolling").await;
    let gallery_id = gallery_of(&project, 45).await;
    let path = format!("/galleries/{gallery_id}/images?limit=20");
    let first = project.public.get(&path).await.expect(200);
    assert!(first.header("link").contains("rel=\"next\""), "link is {}", first.header("link"));
    let first = first.json();

    // The oldest image moves from the last page to the top, and the newest falls.
    react(&project, &gallery_id, "0", 0, 1).await;
    let refreshed = project.refresh(&gallery_id).await;
    assert_ne!(refreshed["order_id"], first["order_id"]);

    let mut seen: Vec<String> = external_ids(&first).into_iter().map(str::to_owned).collect();
    let mut cursor = first["next_cursor"].clone();
    let mut sizes = vec![seen.len()];
    while let Some(next) = cursor.as_str() {
        let next = project.public.get(&format!("{path}&cursor={next}")).await.expect(200).json();
        assert_eq!(next["order_id"], first["order_id"], "a cursor goes on in its order");
        assert_ne!(next["restarted"], true);
        assert_eq!(next["items"][0]["position"], seen.len() + 1);
        seen.extend(external_ids(&next).into_iter().map(str::to_owned));
        sizes.push(seen.len());
        cursor = next["next_cursor"].clone();
    }
    assert_eq!(sizes, [20, 40, 45]);
    let expected: Vec<String> = (0..45).rev().map(|number: u32| number.to_string()).collect();
    assert_eq!(seen, expected);

    let fresh = page(&project, &gallery_id, "?limit=20").await;
    assert_eq!(external_ids(&fresh)[..2], ["0", "44"], "a new visitor gets the new order");
    project.public.get(&format!("{path}&cursor=nonsense")).await.expect_problem(400);
    project.public.get(&format!("/galleries/{gallery_id}/images?limit=101")).await.expect_problem(400);
}

async fn a_walk_through_ten_thousand_images_meets_each_once_under_a_thousand_events_a_second(server: Server) {
    const IMAGES: usize = 10_000;
    let project = Project::create(&server, "a long walk").await;
    let gallery = json!({"project_id": project.id, "name": "all", "ranking": {"strategy": "interest"}});
    let gallery_id = id(&project.key.post("/galleries", &gallery).await.expect(201).json(), "gallery_id");
    let rows: Vec<Value> = (0..IMAGES).map(|number| row(&number.to_string(), 0)).collect();
    project.load(&gallery_id, &json!(rows)).await;
    project.refresh(&gallery_id).await;

    let walked = AtomicBool::new(false);
    let walk = async {
        let mut orders = Vec::new();
        // Repeats the walk until the order changes during one, because the first may be too fast on a busy machine.
        while orders.len() < 2 {
            let (order_id, seen) = walk_through(&project, &gallery_id).await;
            assert_eq!(seen.len(), IMAGES, "each image is met");
            let different: HashSet<&String> = seen.iter().collect();
            assert_eq!(different.len(), IMAGES, "no image is met twice");
            let newest = page(&project, &gallery_id, "?limit=1").await["order_id"].clone();
            if newest != order_id {
                orders.push(order_id);
            }
        }
        walked.store(true, Ordering::Relaxed);
    };
    let visitors = async {
        let mut random = Random::new(3);
        let mut sent = 0;
        let began = Instant::now();
        while !walked.load(Ordering::Relaxed) {
            let names = (0..100).map(|_| if random.below(10) == 0 { "click" } else { "view" });
            let mut image = Random::new(sent);
            let events: Vec<Value> =
                names.map(|name| gallery_event(name, &gallery_id, &image.below(IMAGES as u64).to_string())).collect();
            let answer = project.key.post("/events/batch", &json!({ "events": events })).await.expect(200).json();
            assert_eq!(answer["accepted"], 100);
            sent += 100;
            tokio::time::sleep_until((began + Duration::from_millis(sent)).into()).await;
        }
        sent
    };
    let ((), sent) = tokio::join!(walk, visitors);
    assert_eq!(project.refresh(&gallery_id).await["applied_events"], sent);
}

/// Scrolls through a whole gallery like one visitor. Returns the order and what the visitor saw in it.
async fn walk_through(project: &Project, gallery_id: &str) -> (Value, Vec<String>) {
    let mut seen = Vec::new();
    let session_id = uuid::Uuid::new_v4();
    let first = page(project, gallery_id, &format!("?limit=100&session_id={session_id}")).await;
    let order_id = first["order_id"].clone();
    let mut next = first;
    loop {
        assert_eq!(next["order_id"], order_id, "a cursor goes on in its order");
        assert_ne!(next["restarted"], true);
        assert_eq!(next["items"][0]["position"], seen.len() + 1);
        seen.extend(external_ids(&next).into_iter().map(str::to_owned));
        let Some(cursor) = next["next_cursor"].as_str() else { return (order_id, seen) };
        // A visitor takes a moment to scroll; the order changes meanwhile.
        tokio::time::sleep(Duration::from_millis(20)).await;
        next = page(project, gallery_id, &format!("?limit=100&cursor={cursor}")).await;
    }
}

async fn a_gallery_is_read_by_page_numbers_too(server: Server) {
    let project = Project::create(&server, "pages").await;
    let gallery_id = gallery_of(&project, 45).await;
    let mut seen = HashSet::new();
    for (number, size) in [(1, 20), (2, 20), (3, 5), (4, 0)] {
        let page = page(&project, &gallery_id, &format!("?page={number}")).await;
        assert_eq!(external_ids(&page).len(), size, "page {number}: {page}");
        seen.extend(external_ids(&page).into_iter().map(str::to_owned));
    }
    assert_eq!(seen.len(), 45);
    let wrong = project.key.get(&format!("/galleries/{gallery_id}/images?page=0")).await.expect_problem(400);
    assert!(wrong["page"].is_array(), "{wrong}");
}

async fn the_numbers_are_for_keys_alone(server: Server) {
    let project = Project::create(&server, "hidden numbers").await;
    let gallery_id = gallery_of(&project, 2).await;
    react(&project, &gallery_id, "0", 3, 1).await;
    project.refresh(&gallery_id).await;
    let path = format!("/galleries/{gallery_id}/images");
    let seen = project.public.get(&path).await.expect(200).json();
    assert_eq!(external_ids(&seen), ["0", "1"], "the public sees the same order");
    let one = id(&seen["items"][0], "image_id");
    let one = project.public.get(&format!("{path}/{one}")).await.expect(200).json();
    for item in seen["items"].as_array().expect("items").iter().chain([&one]) {
        for number in ["weight", "views", "clicks"] {
            assert!(item.get(number).is_none_or(Value::is_null), "{number} is shown to the public: {item}");
        }
    }
}

async fn an_unchanged_page_is_answered_with_304(server: Server) {
    let project = Project::create(&server, "etags").await;
    let gallery_id = gallery_of(&project, 2).await;
    let path = format!("/galleries/{gallery_id}/images");
    let first = project.public.get(&path).await.expect(200);
    let etag = first.header("etag").to_owned();
    assert!(!etag.is_empty(), "{:?}", first.headers);
    let vary = first.header("vary").to_ascii_lowercase();
    assert!(vary.contains("authorization") && vary.contains("application"), "vary is {vary}");

    let ask_again = || project.public.request(Method::GET, &path).header("if-none-match", &etag);
    eyeline_e2e::api::send(ask_again()).await.expect(304);
    react(&project, &gallery_id, "0", 0, 1).await;
    project.refresh(&gallery_id).await;
    let changed = eyeline_e2e::api::send(ask_again()).await.expect(200);
    assert_ne!(changed.header("etag"), etag);
}

async fn an_image_taken_out_is_not_shown_and_its_numbers_return_with_it(server: Server) {
    let project = Project::create(&server, "out and in").await;
    let gallery_id = gallery_of(&project, 3).await;
    react(&project, &gallery_id, "0", 1, 1).await;
    project.refresh(&gallery_id).await;
    let shown = page(&project, &gallery_id, "").await;
    let path = format!("/galleries/{gallery_id}/images/{}", id(&shown["items"][0], "image_id"));

    project.key.delete(&path).await.expect(204);
    project.refresh(&gallery_id).await;
    assert_eq!(external_ids(&page(&project, &gallery_id, "").await), ["2", "1"]);

    let put = eyeline_e2e::api::send(project.key.request(Method::PUT, &path)).await;
    assert!(matches!(put.status, 200 | 201 | 204), "{put}");
    project.refresh(&gallery_id).await;
    let back = page(&project, &gallery_id, "").await;
    assert_eq!(external_ids(&back), ["0", "2", "1"]);
    assert_eq!(back["items"][0]["weight"], 8, "{back}");
}

async fn another_strategy_is_shown_on_request(server: Server) {
    let project = Project::create(&server, "strategies").await;
    let gallery_id = gallery_of(&project, 3).await;
    react(&project, &gallery_id, "0", 1, 1).await;
    project.refresh(&gallery_id).await;
    let newest = page(&project, &gallery_id, "?order=newest").await;
    assert_eq!(external_ids(&newest), ["2", "1", "0"]);
    assert_eq!(newest["strategy"], "newest");
    let wrong = project.key.get(&format!("/galleries/{gallery_id}/images?order=nonsense")).await.expect_problem(400);
    assert!(wrong["order"].is_array(), "{wrong}");
}
