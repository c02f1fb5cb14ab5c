use http::StatusCode;
use serde_json::json;

use crate::support::{ADMIN_KEY, Server, text};

#[tokio::test]
async fn a_project_is_made_read_changed_and_deleted() {
    let server = Server::start().await;
    let made = server.post("/api/v1/projects", ADMIN_KEY, &json!({"name": "shop"})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let project = made.json();
    assert_eq!((&project["name"], &project["tier"]), (&json!("shop"), &json!("business")));
    let path = format!("/api/v1/projects/{}", text(&project, "project_id"));
    assert_eq!(server.get(&path, ADMIN_KEY).await.json(), project);

    let changed = server.write("PATCH", &path, ADMIN_KEY, &json!({"name": "store", "tier": "free"})).await.json();
    assert_eq!((&changed["name"], &changed["tier"]), (&json!("store"), &json!("free")));
    let unchanged = server.write("PATCH", &path, ADMIN_KEY, &json!({})).await.json();
    assert_eq!(unchanged, changed);

    assert_eq!(server.delete(&path, ADMIN_KEY).await.status, StatusCode::ACCEPTED);
    assert_eq!(server.get(&path, ADMIN_KEY).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.delete(&path, ADMIN_KEY).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.get("/api/v1/projects", ADMIN_KEY).await.json()["projects"], json!([]));
}

#[tokio::test]
async fn a_deleted_project_takes_its_keys_with_it_at_once() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let path = format!("/api/v1/projects/{}", tenant.project_id);
    assert_eq!(server.get(&path, &tenant.secret_key).await.status, StatusCode::OK);
    assert_eq!(server.delete(&path, &tenant.secret_key).await.status, StatusCode::ACCEPTED);
    assert_eq!(server.get(&path, &tenant.secret_key).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn everything_wrong_with_a_new_project_is_told_at_once() {
    let server = Server::start().await;
    let refused = server.post("/api/v1/projects", ADMIN_KEY, &json!({"tier": "gold"})).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let errors = &refused.json()["errors"];
    assert_eq!(errors["name"], json!(["This field is required."]));
    assert_eq!(errors["tier"], json!(["This has to be free, premium or business."]));
    let nul = server.post("/api/v1/projects", ADMIN_KEY, &json!({"name": "a\u{0}b"})).await;
    assert_eq!(nul.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_list_is_read_to_its_end_page_by_page_the_newest_first() {
    let server = Server::start().await;
    let mut made = Vec::new();
    for number in 0..5 {
        let project = server.post("/api/v1/projects", ADMIN_KEY, &json!({"name": format!("p{number}")})).await.json();
        made.push(text(&project, "project_id"));
    }
    made.reverse();
    let mut listed = Vec::new();
    let mut path = "/api/v1/projects/?limit=2".to_owned();
    loop {
        let answer = server.get(&path, ADMIN_KEY).await;
        let page = answer.json();
        listed.extend(page["projects"].as_array().expect("projects").iter().map(|project| text(project, "project_id")));
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert_eq!(answer.header("link"), "");
            break;
        };
        let link = answer.header("link");
        assert!(
            link.starts_with("<http://localhost:8009/api/v1/projects") && link.ends_with("; rel=\"next\""),
            "{link}"
        );
        assert!(link.contains(&format!("limit=2&cursor={cursor}")), "{link}");
        path = format!("/api/v1/projects?limit=2&cursor={cursor}");
    }
    assert_eq!(listed, made);
}

#[tokio::test]
async fn a_list_refuses_a_wrong_limit_and_a_foreign_cursor_at_once() {
    let server = Server::start().await;
    let refused = server.get("/api/v1/projects?limit=101&cursor=made.up", ADMIN_KEY).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let errors = &refused.json()["errors"];
    assert!(errors["limit"].is_array() && errors["cursor"].is_array(), "{errors}");
}

#[tokio::test]
async fn a_secret_key_sees_and_renames_its_own_project_alone() {
    let server = Server::start().await;
    let (own, other) = (server.tenant("own").await, server.tenant("other").await);
    let listed = server.get("/api/v1/projects", &own.secret_key).await.json();
    assert_eq!(listed["projects"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["projects"][0]["project_id"], own.project_id.as_str());

    let path = format!("/api/v1/projects/{}", own.project_id);
    let renamed = server.write("PATCH", &path, &own.secret_key, &json!({"name": "mine"})).await;
    assert_eq!(renamed.json()["name"], "mine");
    let raised = server.write("PATCH", &path, &own.secret_key, &json!({"tier": "business"})).await;
    assert_eq!(raised.status, StatusCode::FORBIDDEN);

    let foreign = format!("/api/v1/projects/{}", other.project_id);
    for answer in [
        server.get(&foreign, &own.secret_key).await,
        server.get(&format!("{foreign}/usage"), &own.secret_key).await,
        server.write("PATCH", &foreign, &own.secret_key, &json!({"name": "taken"})).await,
        server.delete(&foreign, &own.secret_key).await,
    ] {
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
    }
}

#[tokio::test]
async fn usage_of_an_empty_project_is_zero() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let usage = server.get(&format!("/api/v1/projects/{}/usage", tenant.project_id), &tenant.secret_key).await.json();
    assert_eq!((&usage["tier"], &usage["images"], &usage["bytes"]), (&json!("business"), &json!(0), &json!(0)));
    assert_eq!(usage["events"], 0);
}

#[tokio::test]
async fn a_deleted_project_is_taken_away_piece_by_piece_with_its_galleries_and_images() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let gallery = json!({"project_id": tenant.project_id, "name": "all"});
    let gallery = server.post("/api/v1/galleries", &tenant.secret_key, &gallery).await.json();
    let rows: Vec<_> = (0..3)
        .map(|row| json!({"external_id": format!("sku-{row}"), "name": "n", "url": "https://cdn.example/1.jpg"}))
        .collect();
    let dataset = format!("/api/v1/galleries/{}/dataset", text(&gallery, "gallery_id"));
    assert_eq!(server.post(&dataset, &tenant.secret_key, &json!(rows)).await.status, StatusCode::OK);
    let image = json!({"project_id": tenant.project_id, "filename": "a.jpg"});
    assert_eq!(server.post("/api/v1/images", &tenant.secret_key, &image).await.status, StatusCode::CREATED);

    server.delete(&format!("/api/v1/projects/{}", tenant.project_id), ADMIN_KEY).await;
    let mut pieces = 0;
    loop {
        let galleries = server.app.catalog.clear_deleted_galleries(2).await.expect("a piece");
        let projects = eyeline::flow::gallery::clear::clear_deleted_projects(&server.app).await.expect("a piece");
        if !galleries && !projects {
            break;
        }
        pieces += 1;
        assert!(pieces < 20, "it comes to an end");
    }
    assert!(pieces > 2, "no piece is all of it");
    assert_eq!(server.app.catalog.project_to_clear(1).await.expect("an answer"), None);
}
