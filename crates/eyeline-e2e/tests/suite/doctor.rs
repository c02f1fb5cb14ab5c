//! `eyeline doctor`: checks of the engines, next to a running server and without one.

use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eyeline_e2e::lake::Lake;
use eyeline_e2e::postgres::{Postgres, Sync};
use eyeline_e2e::project::gallery_event;
use eyeline_e2e::{Catalog, Project, Server};
use serde_json::Value;

fn doctor(server: &Server, settings: &[(&str, &str)]) -> (Output, Value) {
    let mut command = server.command();
    command.envs(settings.iter().copied()).env("EYELINE_URL", server.admin.root_url(""));
    let output = command.args(["doctor", "--json"]).output().expect("the binary starts");
    let told = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&output.stdout)));
    (output, told)
}

/// The names of checks with this verdict.
fn names(told: &Value, verdict: &str) -> Vec<String> {
    let checks = told["checks"].as_array().expect("checks").iter();
    checks
        .filter(|check| check["verdict"] == verdict)
        // The folder of tests does not depend on the installation.
        .filter(|check| check["name"] != "data.file_system")
        .map(|check| check["name"].as_str().expect("a name").to_owned())
        .collect()
}

fn expect_all_to_hold(server: &Server, expected: &[&str]) {
    let (_, told) = doctor(server, &[]);
    assert!(names(&told, "broken").is_empty(), "{told:#}");
    let held = names(&told, "holds");
    for name in expected.iter().chain(HELD) {
        assert!(held.iter().any(|held| held == name), "{name} in {told:#}");
    }
}

const HELD: &[&str] = &[
    "worker.seccomp",
    "worker.limits",
    "sql_worker.seccomp",
    "sql_worker.limits",
    "secrets",
    "objects.probe",
    "data.folder",
    "lake.files",
];
const SQLITE: [&str; 4] = ["catalog.journal_mode", "catalog.synchronous", "catalog.version", "catalog.schema"];
const INBOX: [&str; 2] = ["inbox.journal_mode", "inbox.synchronous"];
const POSTGRES: [&str; 6] = [
    "catalog.fsync",
    "catalog.synchronous_commit",
    "catalog.full_page_writes",
    "catalog.encoding",
    "catalog.schema",
    "clock",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_holds_beside_a_running_server_and_without_one() {
    let mut server = Server::start(Catalog::Sqlite).await;
    expect_all_to_hold(&server, &[SQLITE.as_slice(), &INBOX, &["server"]].concat());
    // It leaves nothing behind that disturbs the server.
    Project::create(&server, "after doctor").await;

    server.stop().await;
    expect_all_to_hold(&server, &[SQLITE.as_slice(), &INBOX].concat());
    let (_, told) = doctor(&server, &[]);
    assert!(names(&told, "noted").contains(&"server".to_owned()), "{told:#}");
    server.start_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_set_to_keep_what_it_answers_holds() {
    let postgres = tokio::task::spawn_blocking(|| Arc::new(Postgres::start(Sync::On))).await.expect("PostgreSQL");
    let server = Server::start_in(postgres, &[]).await;
    expect_all_to_hold(&server, &[POSTGRES.as_slice(), &INBOX, &["server"]].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_does_not_wait_for_the_disk_breaks_a_promise() {
    let postgres = tokio::task::spawn_blocking(|| Arc::new(Postgres::start(Sync::Off))).await.expect("PostgreSQL");
    let server = Server::start_in(postgres, &[]).await;
    let (output, told) = doctor(&server, &[]);
    assert_eq!(output.status.code(), Some(1), "{told:#}");
    assert_eq!(told["holds"], false);
    assert_eq!(
        names(&told, "broken"),
        ["catalog.fsync", "catalog.synchronous_commit", "catalog.full_page_writes"],
        "{told:#}"
    );
    // The text output holds the same, with remedies.
    let output = server.command().arg("doctor").output().expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.contains("catalog.fsync")).expect("a line");
    assert!(line.starts_with("BROKEN") && line.contains("fsync = on"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_weakens_a_promise_and_what_is_away_is_named() {
    let server = Server::start(Catalog::Sqlite).await;
    let (output, told) = doctor(&server, &[("EYELINE_TEST_CLOCK", "true")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(names(&told, "broken"), ["settings.test_clock"]);

    let away = format!("postgres://nobody@127.0.0.1:{}/nothing", eyeline_e2e::server::free_port());
    let (output, told) = doctor(&server, &[("EYELINE_CATALOG_URL", &away)]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(names(&told, "broken"), ["catalog.reachable"], "{told:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_events_that_was_lost_is_named() {
    let server = Server::start_with(Catalog::Sqlite, &[("EYELINE_FLUSH_SECONDS", "0")]).await;
    let project = Project::create(&server, "lost").await;
    project.send_event(&gallery_event("look", &project.id, "1")).await.expect(201);
    let begin = Instant::now();
    while Lake::read(&server).await.files == 0 {
        assert!(begin.elapsed() < Duration::from_secs(30), "the event waits for a file");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(names(&doctor(&server, &[]).1, "holds").contains(&"lake.files".to_owned()));
    std::fs::remove_dir_all(server.data().join("objects/lake")).expect("the files of events");
    let (output, told) = doctor(&server, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(names(&told, "broken"), ["lake.files"], "{told:#}");
    assert!(told.to_string().contains("with 1 events"), "{told:#}");
}
