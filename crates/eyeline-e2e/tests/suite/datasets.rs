//! Loading a client's catalogue: three formats, and a bad row never stops the others.

use eyeline_e2e::project::{gallery_event, row};
use eyeline_e2e::{Answer, Project, Server, on_both_catalogs};
use serde_json::{Value, json};

on_both_catalogs!(
    a_json_array_is_loaded_and_its_bad_rows_are_named,
    lines_of_json_are_loaded_and_their_bad_rows_are_named,
    a_csv_file_is_loaded_and_its_bad_rows_are_named,
    loading_again_updates_what_changed_and_doubles_nothing,
    two_thousand_rows_are_loaded_in_one_call,
    what_is_no_catalogue_is_refused,
    a_full_feed_takes_out_what_it_does_not_have_and_counters_return_with_it,
    an_export_of_a_shop_is_loaded_by_its_preset,
    an_unclosed_quote_costs_its_own_row,
);

async fn load(project: &Project, gallery_id: &str, content_type: &str, body: &str) -> Answer {
    project.key.post_text(&format!("/galleries/{gallery_id}/dataset"), content_type, body).await
}

async fn feed(project: &Project, gallery_id: &str, query: &str, body: &str) -> Value {
    let path = format!("/galleries/{gallery_id}/dataset?{query}");
    project.key.post_text(&path, "text/csv", body).await.expect(200).json()
}

/// The external ids of the gallery, newest first.
async fn loaded(project: &Project, gallery_id: &str) -> Vec<String> {
    project.refresh(gallery_id).await;
    let page = project.key.get(&format!("/galleries/{gallery_id}/images?limit=100")).await.expect(200).json();
    let items = page["items"].as_array().expect("items");
    items.iter().filter_map(|item| item["external_id"].as_str().map(str::to_owned)).collect()
}

/// Three good rows and, as the second and fourth, two bad ones; the answer names them by `rows` and keeps the rest.
async fn expect_two_bad_rows(project: &Project, gallery_id: &str, answer: Answer, rows: [u32; 2]) {
    let answer = answer.expect(200).json();
    assert_eq!(
        (&answer["created"], &answer["updated"], &answer["unchanged"]),
        (&json!(3), &json!(0), &json!(0)),
        "{answer}"
    );
    assert_eq!(answer["rejected_count"], 2, "{answer}");
    let rejected = answer["rejected"].as_array().expect("rejected");
    let named: Vec<Value> = rejected.iter().map(|one| one["row"].clone()).collect();
    assert_eq!(json!(named), json!(rows), "{answer}");
    assert_eq!(rejected[0]["errors"]["external_id"], json!(["This field is required."]), "{answer}");
    assert!(rejected[1]["errors"]["created_at"].is_array(), "{answer}");
    assert!(rejected[1]["errors"]["url"].is_array(), "all errors of a row at once: {answer}");
    assert_eq!(loaded(project, gallery_id).await, ["c", "b", "a"]);
}

fn rows_with_two_bad_ones() -> Vec<Value> {
    let mut nameless = row("", 1);
    nameless.as_object_mut().expect("an object").remove("external_id");
    let mut timeless = row("bad", 3);
    timeless["created_at"] = json!("yesterday");
    timeless["url"] = json!("no address");
    vec![row("a", 0), nameless, row("b", 2), timeless, row("c", 4)]
}

async fn a_json_array_is_loaded_and_its_bad_rows_are_named(server: Server) {
    let project = Project::create(&server, "array").await;
    let gallery_id = project.gallery("array").await;
    let body = json!(rows_with_two_bad_ones()).to_string();
    let answer = load(&project, &gallery_id, "application/json", &body).await;
    expect_two_bad_rows(&project, &gallery_id, answer, [2, 4]).await;
}

async fn lines_of_json_are_loaded_and_their_bad_rows_are_named(server: Server) {
    let project = Project::create(&server, "lines").await;
    let gallery_id = project.gallery("lines").await;
    let body: String = rows_with_two_bad_ones().iter().map(|row| format!("{row}\n")).collect();
    let answer = load(&project, &gallery_id, "application/x-ndjson", &body).await;
    expect_two_bad_rows(&project, &gallery_id, answer, [2, 4]).await;
}

async fn a_csv_file_is_loaded_and_its_bad_rows_are_named(server: Server) {
    let project = Project::create(&server, "csv").await;
    let gallery_id = project.gallery("csv").await;
    let body = "external_id,name,url,created_at,link\n\
        a,\"Shoes, red\",https://cdn.example/a.jpg,2024-01-01T00:00:00Z,https://shop.example/a\n\
        ,Nameless,https://cdn.example/n.jpg,2024-01-01T00:01:00Z,\n\
        b,\"Two\nlines\",https://cdn.example/b.jpg,2024-01-01 00:02:00,\n\
        bad,Timeless,no address,yesterday,\n\
        c,Plain,https://cdn.example/c.jpg,2024-01-01T00:04:00Z,\n";
    let answer = load(&project, &gallery_id, "text/csv", body).await;
    expect_two_bad_rows(&project, &gallery_id, answer, [2, 4]).await;
    let page = project.key.get(&format!("/galleries/{gallery_id}/images")).await.expect(200).json();
    assert_eq!(page["items"][2]["name"], "Shoes, red", "{page}");
    assert_eq!(page["items"][1]["name"], "Two\nlines", "{page}");
}

async fn loading_again_updates_what_changed_and_doubles_nothing(server: Server) {
    let project = Project::create(&server, "again").await;
    let gallery_id = project.gallery("again").await;
    project.load(&gallery_id, &json!([row("a", 0), row("b", 1)])).await;

    let mut changed = row("b", 1);
    changed["name"] = json!("Another name");
    let body = json!([row("a", 0), changed, row("c", 2)]).to_string();
    let answer = load(&project, &gallery_id, "application/json", &body).await.expect(200).json();
    assert_eq!(answer["created"], 1, "{answer}");
    assert_eq!(answer["updated"], 1, "{answer}");
    assert_eq!(answer["unchanged"], 1, "{answer}");
    assert_eq!(loaded(&project, &gallery_id).await, ["c", "b", "a"]);
    let page = project.key.get(&format!("/galleries/{gallery_id}/images")).await.expect(200).json();
    assert_eq!(page["items"][1]["name"], "Another name");
}

async fn two_thousand_rows_are_loaded_in_one_call(server: Server) {
    let project = Project::create(&server, "many rows").await;
    let gallery_id = project.gallery("many rows").await;
    // More than two chunks of 1,000, with a bad row in the last one.
    let mut body: String = (0..2_500).map(|number| format!("{}\n", row(&format!("sku-{number}"), 0))).collect();
    body.push_str("{\"external_id\": \"broken\n");
    let answer = load(&project, &gallery_id, "application/x-ndjson", &body).await.expect(200).json();
    assert_eq!((&answer["created"], &answer["rejected_count"]), (&json!(2_500), &json!(1)), "{answer}");
    assert_eq!(answer["rejected"][0]["row"], 2_501, "{answer}");
    // All have the same time, so the last one loaded is the newest.
    assert_eq!(loaded(&project, &gallery_id).await[..2], ["sku-2499", "sku-2498"]);
}

async fn what_is_no_catalogue_is_refused(server: Server) {
    let project = Project::create(&server, "no catalogue").await;
    let gallery_id = project.gallery("no catalogue").await;
    load(&project, &gallery_id, "application/json", "{\"external_id\": \"a\"}").await.expect_problem(400);
    load(&project, &gallery_id, "application/json", "[{\"external_id\": ").await.expect_problem(400);
    load(&project, &gallery_id, "application/xml", "<rows/>").await.expect_problem(415);
    load(&project, &gallery_id, "text/csv", "wrong,header\n1,2\n").await.expect_problem(400);
    assert!(loaded(&project, &gallery_id).await.is_empty());
}

async fn a_full_feed_takes_out_what_it_does_not_have_and_counters_return_with_it(server: Server) {
    let project = Project::create(&server, "full feed").await;
    let gallery_id = project.gallery("full feed").await;
    let csv = |ids: &[&str]| {
        let rows = ids.iter().map(|id| format!("{id},https://cdn.example/{id}.jpg,2024-01-01T00:00:00Z\n"));
        std::iter::once("external_id,url,created_at\n".to_owned()).chain(rows).collect::<String>()
    };
    feed(&project, &gallery_id, "", &csv(&["a", "b", "c"])).await;
    for _ in 0..3 {
        project.send_event(&gallery_event("view", &gallery_id, "b")).await.expect(201);
    }
    let answer = feed(&project, &gallery_id, "replace=true", &csv(&["a", "d"])).await;
    assert_eq!((&answer["created"], &answer["unchanged"], &answer["removed"]), (&json!(1), &json!(1), &json!(2)));
    assert_eq!(loaded(&project, &gallery_id).await, ["d", "a"]);
    let cut = "external_id,url\na,https://cdn.example/a.jpg\n\"b";
    let answer = feed(&project, &gallery_id, "replace=true", cut).await;
    assert_eq!((&answer["removed"], &answer["rejected_count"]), (&json!(0), &json!(1)), "{answer}");
    assert!(answer["not_removed"].is_string(), "{answer}");

    let answer = feed(&project, &gallery_id, "replace=true", &csv(&["a", "b", "d"])).await;
    assert_eq!((&answer["updated"], &answer["removed"]), (&json!(1), &json!(0)), "{answer}");
    project.refresh(&gallery_id).await;
    let page = project.key.get(&format!("/galleries/{gallery_id}/images")).await.expect(200).json();
    assert_eq!((&page["items"][0]["external_id"], &page["items"][0]["views"]), (&json!("b"), &json!(3)), "{page}");
}

async fn an_export_of_a_shop_is_loaded_by_its_preset(server: Server) {
    let project = Project::create(&server, "export").await;
    let gallery_id = project.gallery("export").await;
    let csv = "Handle,Title,Tags,Published,Image Src,Image Position,Status\n\
        shirt,Shirt,\"red, new\",true,https://cdn.example/front.jpg,1,active\n\
        shirt,,,,https://cdn.example/back.jpg,2,\n\
        hat,Hat,,true,https://cdn.example/hat.jpg,1,active\n";
    let answer = feed(&project, &gallery_id, "map=shopify", csv).await;
    assert_eq!(
        (&answer["created"], &answer["unchanged"], &answer["rejected_count"]),
        (&json!(2), &json!(1), &json!(0))
    );
    assert_eq!(loaded(&project, &gallery_id).await, ["hat", "shirt"]);
    let page = project.key.get(&format!("/galleries/{gallery_id}/images")).await.expect(200).json();
    assert_eq!(page["items"][1]["url"], "https://cdn.example/front.jpg", "{page}");
}

async fn an_unclosed_quote_costs_its_own_row(server: Server) {
    let project = Project::create(&server, "quote").await;
    let gallery_id = project.gallery("quote").await;
    let quoted = |row: u32| if row == 11 { "\"19 inch" } else { "note" };
    let rows = (1..=500).map(|row| format!("sku-{row},https://cdn.example/{row}.jpg,{}\n", quoted(row)));
    let csv: String = std::iter::once("external_id,url,note\n".to_owned()).chain(rows).collect();
    let answer = feed(&project, &gallery_id, "", &csv).await;
    assert_eq!((&answer["created"], &answer["rejected_count"]), (&json!(499), &json!(1)), "{answer}");
    assert_eq!(answer["rejected"][0]["row"], 11, "{answer}");
    assert!(
        answer["rejected"][0]["errors"]["row"][0].as_str().is_some_and(|text| text.contains("489 lines")),
        "{answer}"
    );
}
