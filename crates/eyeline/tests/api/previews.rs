//! The addresses of single previews.

use http::StatusCode;
use serde_json::json;

use crate::galleries::{Shop, column, string};
use crate::support::Server;

#[tokio::test]
async fn a_preview_needs_no_credential_where_everybody_may_see_it() {
    let shop = Shop::open().await;
    shop.load_pictures(1).await;
    let private = json!([{"external_id": "b", "url": "https://cdn.example/b", "visibility": "private"}]);
    shop.load("application/json", private.to_string()).await;
    let page = shop.page("").await;
    let previews: Vec<String> = column(&page, "image_id")
        .iter()
        .map(|image_id| shop.path(&format!("/images/{}/preview", string(image_id))))
        .collect();
    let public = shop.server.get(&previews[1], "").await;
    assert_eq!(
        (public.status, public.header("location")),
        (StatusCode::TEMPORARY_REDIRECT, "https://cdn.example/0.jpg")
    );
    assert_eq!(shop.server.get(&previews[0], "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(shop.server.get(&previews[0], &shop.key).await.header("location"), "https://cdn.example/b");

    shop.server.write("PATCH", &shop.path(""), &shop.key, &json!({"visibility": "private"})).await;
    assert_eq!(shop.server.get(&previews[1], "").await.status, StatusCode::UNAUTHORIZED);
}

/// Loads and requests without background work, so that every transaction belongs to a request.
#[tokio::test]
async fn a_warm_preview_costs_no_transaction() {
    let server = Server::start().await;
    let shop = server.tenant("shop").await;
    let body = json!({"project_id": shop.project_id, "name": "shoes"});
    let gallery = server.post("/api/v1/galleries", &shop.secret_key, &body).await.json();
    let gallery = format!("/api/v1/galleries/{}", string(&gallery["gallery_id"]));
    let rows = json!([{"external_id": "a", "url": "https://cdn.example/a.jpg"}]);
    server.post(&format!("{gallery}/dataset"), &shop.secret_key, &rows).await;
    let page = server.get(&format!("{gallery}/images"), &shop.secret_key).await.json();
    let preview = format!("{gallery}/images/{}/preview", string(&column(&page, "image_id")[0]));
    let statuses = async || {
        let mut statuses = Vec::new();
        for key in ["", &shop.secret_key] {
            statuses.push(server.get(&preview, key).await.status);
        }
        statuses
    };
    let cold = statuses().await;
    let before = server.app.catalog.transactions();
    // Cached answers are read again after a second. The rounds take less, or cause a few more reads.
    for _ in 0..100 {
        assert_eq!(statuses().await, cold);
    }
    let after = server.app.catalog.transactions();
    assert_eq!(cold, [StatusCode::TEMPORARY_REDIRECT, StatusCode::TEMPORARY_REDIRECT]);
    let (reads, writes) = (after.reads - before.reads, after.writes - before.writes);
    assert!(reads < 30 && writes == 0, "200 requests took {reads} reads and {writes} writes");
}
