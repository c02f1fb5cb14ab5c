//! Answers while the database is unavailable.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eyeline_e2e::postgres::{Postgres, Sync, psql};
use eyeline_e2e::project::row;
use eyeline_e2e::uploads::{expect_taken, id, through_link, wait_until_final};
use eyeline_e2e::{Api, Catalog, Project, Server, photos};
use serde_json::json;

/// Longer than credentials are cached.
const OUTAGE: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_previews_that_were_served_before_are_served_without_the_database() {
    let postgres = tokio::task::spawn_blocking(|| Arc::new(Postgres::start(Sync::Off))).await.expect("PostgreSQL");
    let server = Server::start_in(postgres.clone(), &[]).await;
    let project = Project::create(&server, "outage").await;
    let gallery_id = project.gallery("shoes").await;
    project.load(&gallery_id, &json!([row("a", 0), row("b", 1)])).await;
    let photo = photos::jpeg(300, 200);
    let request = json!({"filename": "a.jpg", "project_id": project.id, "gallery_id": gallery_id});
    let link = project.key.post("/images", &request).await.expect(201).json();
    expect_taken(eyeline_e2e::api::send(through_link(&project.key, &link, &photo)).await);
    let image = wait_until_final(&project, &id(&link, "image_id")).await;
    project.refresh(&gallery_id).await;

    let preview = format!("/galleries/{gallery_id}/images/{}/preview", id(&image, "image_id"));
    let page = format!("/galleries/{gallery_id}/images");
    let thumb = image["versions"]["thumb"].as_str().expect("a public version").to_owned();
    let anonymous = server.admin.without_credential();
    let root = |path: &str| server.admin.root_url(path);
    let served: Vec<(&Api, String)> = vec![
        (&project.key, page.clone()),
        (&project.public, page),
        (&project.public, preview.clone()),
        (&anonymous, preview),
        (&anonymous, thumb),
        (&anonymous, root("/")),
        (&anonymous, root("/docs")),
        (&anonymous, root("/healthz")),
        (&anonymous, root("/api/v1/openapi.json")),
    ];
    // A hint of the last change may still arrive: then the next page queries the database once more.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut before = Vec::new();
    for (caller, path) in &served {
        before.push(caller.get(path).await.expect(200).body);
    }
    tokio::task::spawn_blocking(move || postgres.stop()).await.expect("PostgreSQL has ended");

    let end = Instant::now() + OUTAGE;
    let mut rounds = 0;
    while Instant::now() < end {
        for ((caller, path), before) in served.iter().zip(&before) {
            let answer = caller.get(path).await.expect(200);
            assert_eq!(answer.body.len(), before.len(), "{path}");
        }
        rounds += 1;
    }
    assert!(rounds > 2, "{rounds}");
    assert_eq!(anonymous.get(&root("/readyz")).await.status, 503);
    project.key.post("/galleries", &json!({"project_id": project.id, "name": "x"})).await.expect_problem(503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_whose_orders_take_too_long_are_stored_and_said_to_follow() {
    let server = Server::start(Catalog::Postgres).await;
    let project = Project::create(&server, "slow").await;
    let gallery_id = project.gallery("shoes").await;
    project.load(&gallery_id, &json!([row("a", 0), row("b", 1)])).await;
    let page = format!("/galleries/{gallery_id}/images");
    let first = async || project.key.get(&page).await.expect(200).json()["items"][0]["external_id"].clone();
    assert_eq!(first().await, "b");
    let (rules, pin) =
        (format!("/galleries/{gallery_id}/rules"), json!({"pin": [{"external_id": "a", "position": 1}]}));
    let answer = project.key.put(&rules, &pin).await.expect(200).json();
    assert_eq!((&answer["published"], first().await), (&json!(true), json!("a")));

    // Orders are made from this table, which another session locks for a while.
    let url = server.database_url().expect("a database");
    let hold = ["BEGIN", "LOCK TABLE gallery_images IN ACCESS EXCLUSIVE MODE", "SELECT pg_sleep(8)", "COMMIT"];
    let mut holder = psql(&url, &hold).spawn().expect("psql starts");
    let held = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                WHERE d.datname = current_database() AND relation = 'gallery_images'::regclass
                  AND mode = 'AccessExclusiveLock' AND granted";
    while psql(&url, &[held]).output().expect("psql starts").stdout.trim_ascii() == b"0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pin = json!({"pin": [{"external_id": "b", "position": 1}]});
    let answer = project.key.put(&rules, &pin).await.expect(202).json();
    assert_eq!((&answer["published"], &answer["pin"][0]["external_id"]), (&json!(false), &json!("b")));
    assert!(holder.wait().expect("the end of psql").success());
    let end = Instant::now() + Duration::from_secs(30);
    while first().await != "b" {
        assert!(Instant::now() < end, "the order has not followed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
