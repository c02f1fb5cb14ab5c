//! Two installations on one PostgreSQL: each has its own inbox, so one of them must not count events there.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use eyeline_e2e::api::send;
use eyeline_e2e::project::{gallery_event, row};
use eyeline_e2e::{Catalog, Project, Server};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

async fn project_with_a_gallery(server: &Server) -> (Project, String) {
    let project = Project::create(server, "two").await;
    let gallery_id = project.gallery("two").await;
    project.load(&gallery_id, &json!([row("a", 0)])).await;
    (project, gallery_id)
}

async fn view(project: &Project, gallery_id: &str) {
    project.send_event(&gallery_event("view", gallery_id, "a")).await.expect(201);
}

async fn views(project: &Project, gallery_id: &str) -> Value {
    project.refresh(gallery_id).await["applied_events"].clone()
}

/// The message of a start with another data folder on the same catalog, which must fail.
async fn refused_start(server: &Server) -> String {
    let mut command = server.command();
    command.env("EYELINE_DATA", server.folder().join("other-data")).env("EYELINE_LISTEN", "127.0.0.1:0");
    command.arg("serve").stdin(Stdio::null());
    let ended = timeout(PATIENCE, tokio::process::Command::from(command).kill_on_drop(true).output());
    let Output { status, stderr, .. } = ended.await.expect("it does not serve").expect("the binary starts");
    assert_eq!(status.code(), Some(1));
    String::from_utf8_lossy(&stderr).into_owned()
}

async fn readiness(server: &Server) -> (u16, Value) {
    let anybody = server.admin.without_credential();
    let answer = send(anybody.request(Method::GET, &anybody.root_url("/readyz"))).await;
    (answer.status, answer.json())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_installation_on_a_catalog_is_refused_and_the_first_one_goes_on() {
    let mut server = Server::start(Catalog::Postgres).await;
    let refused = refused_start(&server).await;
    assert!(refused.contains("in use by another installation"), "{refused}");

    let (project, gallery_id) = project_with_a_gallery(&server).await;
    view(&project, &gallery_id).await;
    assert_eq!(views(&project, &gallery_id).await, 1);
    let refused = refused_start(&server).await;
    assert!(refused.contains("counts the events of another data folder"), "{refused}");
    view(&project, &gallery_id).await;

    // The same data folder need not wait for the lease of its killed process.
    server.kill().await;
    server.start_again().await;
    assert_eq!(views(&project, &gallery_id).await, 2);

    server.stop().await;
    let refused = refused_start(&server).await;
    assert!(refused.contains("counts the events of another data folder"), "{refused}");
    server.start_again().await;
    assert_eq!(views(&project, &gallery_id).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_lease_was_taken_says_so_keeps_what_it_takes_in_and_counts_it_afterwards() {
    let server = Server::start(Catalog::Postgres).await;
    let (project, gallery_id) = project_with_a_gallery(&server).await;
    // Silent for longer than its lease, like a suspended machine.
    server.pause();
    let mut database =
        sqlx::PgConnection::connect(&server.database_url().expect("PostgreSQL")).await.expect("a database");
    sqlx::query("UPDATE partitions SET lease_until = 1").execute(&mut database).await.expect("the lease ends");
    let mut other = Server::start_beside(&server).await;
    server.resume();

    view(&project, &gallery_id).await;
    let deadline = Instant::now() + PATIENCE;
    let (status, told) = loop {
        let (status, told) = readiness(&server).await;
        if status == 503 || Instant::now() > deadline {
            break (status, told);
        }
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((status, &told["ready"]), (503, &json!(false)), "{told}");
    let sentence = told["troubles"][0].as_str().unwrap_or_default();
    assert!(sentence.contains("events of partition 0 wait"), "{told}");
    let mut doctor = server.command();
    doctor.env("EYELINE_URL", server.admin.root_url("")).arg("doctor");
    let doctor = tokio::process::Command::from(doctor).output().await.expect("the binary starts");
    assert_eq!(doctor.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("server.partitions"), "{doctor:?}");
    assert_eq!(readiness(&other).await.0, 200);
    let page = format!("/galleries/{gallery_id}/images");
    // The owner publishes the orders, and this installation has no folder of records in common with it.
    project.key.get(&page).await.expect(503);

    other.stop().await;
    assert_eq!(views(&project, &gallery_id).await, 1);
    assert_eq!(readiness(&server).await.0, 200);
}
