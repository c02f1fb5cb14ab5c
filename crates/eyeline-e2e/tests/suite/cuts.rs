//! Retention in the binary: old events are deleted, also when it is killed again and again, and counting continues.

use std::time::{Duration, Instant};

use eyeline_e2e::lake::Lake;
use eyeline_e2e::project::row;
use eyeline_e2e::{Catalog, Project, Server};
use serde_json::json;

use crate::analytics::{expect_the_same_orders, go_on, visit};

const PATIENCE: Duration = Duration::from_secs(60);

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let begin = Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < PATIENCE, "{what} after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn what_was_counted_stays_when_its_events_go(catalog: Catalog) {
    let settings = [("EYELINE_FLUSH_SECONDS", "0"), ("EYELINE_TEST_CLOCK", "true"), ("EYELINE_EVENTS_KEEP_DAYS", "8")];
    let mut server = Server::start_with(catalog, &settings).await;
    let project = Project::create(&server, "kept").await;
    let gallery_id = project.gallery("kept").await;
    let rows: Vec<_> = (0..20).map(|number| row(&number.to_string(), number)).collect();
    project.load(&gallery_id, &json!(rows)).await;
    let mut gone = 0;
    for (day, ranking) in
        [(1, json!({"strategy": "interest"})), (2, json!({"guard": true})), (3, json!({"half_life": 2}))]
    {
        go_on(&server, &project, &gallery_id, day, ranking).await;
        gone += visit(&project, &gallery_id, 12).await;
    }
    go_on(&server, &project, &gallery_id, 14, json!({"half_life": 3})).await;
    let kept = visit(&project, &gallery_id, 4).await;
    until("events wait for a file", async || Lake::has_everything_applied(&server).await).await;
    let path = format!("/galleries/{gallery_id}/images?limit=20&order=weight");
    let before = project.key.get(&path).await.expect(200).json()["items"].clone();

    // The first cut is five seconds after the start, and a kill interrupts it somewhere.
    for millis in [4_880, 4_930, 4_980] {
        server.kill().await;
        server.start_again().await;
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    server.kill().await;
    server.start_again().await;
    until("events are there", async || Lake::read(&server).await.events.len() == kept as usize).await;
    project.refresh(&gallery_id).await;
    assert_eq!(project.key.get(&path).await.expect(200).json()["items"], before);
    let listed = project.key.get("/events?limit=1").await.expect(200).json();
    assert!(listed["complete_from"].as_str().is_some_and(|time| time.starts_with("2030-01-04T")), "{listed}");
    server.stop().await;
    expect_the_same_orders(&server, &gallery_id, gone + kept);

    server.start_again().await;
    let more = visit(&project, &gallery_id, 4).await;
    server.stop().await;
    expect_the_same_orders(&server, &gallery_id, gone + kept + more);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_stays_when_its_events_go_on_sqlite() {
    what_was_counted_stays_when_its_events_go(Catalog::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_stays_when_its_events_go_on_postgres() {
    what_was_counted_stays_when_its_events_go(Catalog::Postgres).await;
}
