//! Expensive queries: each ends with a clear answer, and no other request is affected.

use std::fs;
use std::time::{Duration, Instant};

use eyeline_e2e::api::{Answer, try_send};
use eyeline_e2e::processes::Process;
use eyeline_e2e::{Catalog, Project, Server};
use futures::StreamExt as _;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use uuid::Uuid;

const PATH: &str = "/analytics/sql";
/// The most memory by which the server may grow during such queries. Batches of rows and answers pass through it.
const GROWTH_MIB_MAX: u64 = 250;
const PATIENCE: Duration = Duration::from_secs(60);

/// Queries whose planning or computing has no end, or no bound in memory.
fn hostile() -> Vec<(&'static str, String)> {
    let nested = (0..40).fold("timestamp".to_owned(), |inner, _| format!("date_trunc('day', {inner})"));
    let mut doubled = r#"WITH t0 AS (SELECT "offset" AS x FROM events)"#.to_owned();
    for level in 1..=20 {
        doubled += &format!(", t{level} AS (SELECT a.x FROM t{0} a JOIN t{0} b ON a.x = b.x)", level - 1);
    }
    let columns = "name, category, event_id, session_id, visitor_id, application_id, data, \"offset\"";
    vec![
        ("nesting", format!("SELECT count(*) AS n FROM events WHERE {nested} = now()")),
        ("WITH", doubled + " SELECT count(*) AS n FROM t20"),
        ("a join of all with all", "SELECT count(*) AS n FROM events a, events b, events c, events d".to_owned()),
        (
            "a join that keeps all",
            "SELECT a.data || b.data AS x, count(*) AS n FROM events a, events b GROUP BY 1 ORDER BY 1".to_owned(),
        ),
        (
            "an outer join of all with all",
            "SELECT count(*) AS n FROM events a FULL JOIN events b ON a.data || b.data <> '' \
             FULL JOIN events c ON a.data || c.data <> ''"
                .to_owned(),
        ),
        ("a large pattern", r"SELECT count(*) AS n FROM events WHERE regexp_like(data, '(\w{200}){200}\d')".to_owned()),
        ("a pattern", "SELECT count(*) AS n FROM events WHERE regexp_like(data, '[a-z ]{40000}x')".to_owned()),
        (
            "a long format",
            format!("SELECT max(length(to_char(timestamp, '{}'))) AS n FROM events a", "Month".repeat(3_000)),
        ),
        ("CUBE", format!("SELECT count(*) AS n, max(data) AS x FROM events GROUP BY CUBE ({columns}) ORDER BY 2, 1")),
    ]
}

fn event(number: usize) -> Value {
    let text = format!("{number} {}", "some words that are looked at again ".repeat(8));
    json!({
        "session_id": Uuid::new_v4(), "category": "shop", "name": "view", "data": {"n": number, "text": text},
        "timestamp": "2024-06-01T12:00:00Z",
    })
}

/// A project with events in files.
async fn filled(server: &Server, name: &str, events: usize) -> Project {
    let project = Project::create(server, name).await;
    for first in (0..events).step_by(500) {
        let batch: Vec<Value> = (first..events.min(first + 500)).map(event).collect();
        project.key.post("/events/batch", &json!(batch)).await.expect(200);
    }
    let deadline = Instant::now() + PATIENCE;
    while count(&project).await != events as u64 {
        assert!(Instant::now() < deadline, "the events of {name} are not counted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    project
}

async fn ask(project: &Project, query: &str) -> Answer {
    project.key.post(PATH, &json!({"query": query})).await
}

async fn count(project: &Project) -> u64 {
    let answer = ask(project, "SELECT count(*) AS n FROM events").await.expect(200).json();
    answer["rows"][0]["n"].as_u64().expect("a number")
}

/// The processes that answer SQL, the spare one included.
fn sql_workers(server: &Server) -> Vec<Process> {
    let is_one = |process: &Process| {
        let line = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == b"sql-worker")
    };
    server.workers().into_iter().filter(is_one).collect()
}

fn peak_mib(server: &Server) -> u64 {
    let workers = server.workers();
    let own = server.processes().into_iter().find(|process| !workers.contains(process)).expect("the server");
    let status = fs::read_to_string(format!("/proc/{}/status", own.pid)).expect("readable");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_without_an_end_end_and_others_do_not_notice() {
    let server =
        Server::start_with(Catalog::Sqlite, &[("EYELINE_QUESTION_SECONDS_MAX", "4"), ("EYELINE_FLUSH_SECONDS", "1")])
            .await;
    let (attacker, other) = (filled(&server, "attacker", 6_000).await, filled(&server, "other", 500).await);
    let before = peak_mib(&server);
    let attacks = futures::stream::iter(hostile()).map(|(what, query)| {
        let attacker = &attacker;
        async move {
            let answer = tokio::time::timeout(PATIENCE, ask(attacker, &query)).await;
            (what, answer.unwrap_or_else(|_| panic!("{what} has no end")))
        }
    });
    // As many as one project may run concurrently.
    let attacks = attacks.buffer_unordered(2).collect::<Vec<_>>();
    tokio::pin!(attacks);
    let mut asked = 0;
    let answers = loop {
        // Other requests meanwhile.
        let others = async {
            other.key.get(&server.admin.root_url("/healthz")).await.expect(200);
            other.send_event(&event(asked)).await.expect(201);
            assert!(count(&other).await >= 500);
        };
        tokio::select! {
            answers = &mut attacks => break answers,
            in_time = tokio::time::timeout(PATIENCE, others) => in_time.expect("others are answered"),
        }
        asked += 1;
    };
    assert!(asked > 3, "the others asked {asked} times meanwhile");
    for (what, answer) in answers {
        // Some are refused before they run; a fast machine may finish CUBE.
        let problem = answer.json();
        eprintln!("{what}: {} {}", answer.status, problem["detail"].as_str().unwrap_or("answered"));
        match answer.status {
            422 => {
                let detail = problem["detail"].as_str().expect("a sentence");
                assert!(
                    detail.contains("memory") || detail.contains("too long") || detail.contains("too many"),
                    "{what}: {detail}"
                );
            }
            400 => assert!(what.contains("pattern"), "{what}: {problem}"),
            200 => assert!(what == "CUBE" || what.contains("pattern"), "{what} was answered"),
            _ => panic!("{what}: {answer}"),
        }
    }
    let grown = peak_mib(&server).saturating_sub(before);
    eprintln!("the server's peak grew by {grown} MiB; others asked {asked} times meanwhile");
    assert!(grown <= GROWTH_MIB_MAX, "the server grew by {grown} MiB");
    assert_eq!(count(&attacker).await, 6_000, "a usual question is answered after all");
    let metrics = server.admin.get(&server.admin.root_url("/metrics")).await.expect(200);
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("eyeline_sql_questions_total{outcome=\"too_much\"}"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_ends_with_its_client_and_its_server_and_its_end_is_told() {
    let mut server = Server::start(Catalog::Sqlite).await;
    let project = filled(&server, "shop", 500).await;
    let endless = &hostile()[0].1;
    let body = json!({"query": endless});
    let request = || project.key.request(Method::POST, PATH).json(&body);

    // An outside program kills it.
    let asked = tokio::spawn(try_send(request()));
    let busy = busy_workers(&server).await;
    busy.iter().for_each(|worker| worker.send(Signal::KILL));
    let answer = tokio::time::timeout(PATIENCE, asked).await.expect("an answer").expect("no panic").expect("an answer");
    assert_eq!(answer.status, 503, "{answer}");
    assert!(!answer.header("retry-after").is_empty(), "{answer}");
    assert_eq!(count(&project).await, 500, "the next one is answered");

    // Its client disconnects long before its deadline.
    let gone = try_send(request().timeout(Duration::from_secs(2))).await;
    assert!(gone.is_err(), "the client waited for the answer");
    let deadline = Instant::now() + Duration::from_secs(15);
    while sql_workers(&server).into_iter().any(is_busy) {
        assert!(Instant::now() < deadline, "a worker goes on without its client");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // Its server is killed: `kill` checks that no process is left.
    let asked = tokio::spawn(try_send(request()));
    busy_workers(&server).await;
    server.kill().await;
    assert!(asked.await.expect("no panic").is_err());
}

/// Processes that have computed for a while, which an idle one never has.
async fn busy_workers(server: &Server) -> Vec<Process> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let busy: Vec<Process> = sql_workers(server).into_iter().filter(|worker| is_busy(*worker)).collect();
        if !busy.is_empty() {
            return busy;
        }
        assert!(Instant::now() < deadline, "no worker computes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Half a second of CPU time, in hundredths.
fn is_busy(worker: Process) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", worker.pid)).unwrap_or_default();
    let numbers = stat.rsplit_once(") ").map(|(_, numbers)| numbers).unwrap_or_default();
    numbers.split(' ').nth(11).and_then(|ticks| ticks.parse::<u64>().ok()).is_some_and(|ticks| ticks > 50)
}
