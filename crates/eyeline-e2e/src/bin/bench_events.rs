//! Sends events to a real server, one by one and in batches, and tells how many it took and what each cost.

use std::io::{Write, stdout};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use eyeline_e2e::api::{Api, send};
use eyeline_e2e::project::row;
use eyeline_e2e::{Catalog, Project, Server, processes};
use futures::future::join_all;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;
use uuid::Uuid;

/// Sends views of a gallery's images. Prints a table and how it was measured; fails if a number is not exact.
#[derive(Parser)]
struct Options {
    /// Seconds of each row.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = 128)]
    connections: usize,
}

/// One row of the table.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    /// Events of a request; 0 asks for `/healthz`, which does nothing.
    events: usize,
    with_ids: bool,
}

const LOADS: [Load; 5] = [
    Load { name: "nothing (`/healthz`)", events: 0, with_ids: false },
    Load { name: "one by one", events: 1, with_ids: false },
    Load { name: "one by one, with event_id", events: 1, with_ids: true },
    Load { name: "batches of 1,000", events: 1_000, with_ids: false },
    Load { name: "batches of 1,000, with event_id", events: 1_000, with_ids: true },
];

struct Measured {
    load: Load,
    /// How long each request took, sorted.
    waits: Vec<Duration>,
    seconds: f64,
    cpu_seconds: f64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let server = Server::start(Catalog::Sqlite).await;
    let project = Project::create(&server, "bench").await;
    let gallery_id = project.gallery("bench").await;
    project.load(&gallery_id, &json!([row("sku-1", 1)])).await;

    let mut rows = Vec::new();
    for load in LOADS {
        rows.push(run(&options, &server, &project.key, &gallery_id, load).await);
    }
    let sent: usize = rows.iter().map(|row| row.waits.len() * row.load.events).sum();
    let applied = applied_events(&project, &gallery_id).await;
    if report(&options, &rows, sent).is_err() || applied != Some(sent as u64) {
        let _told = writeln!(stdout(), "\nWRONG: {sent} events were accepted and {applied:?} counted.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What is counted once nothing waits any more. Many more events are taken in a second than are applied, so a refresh may
/// give up waiting a few times.
async fn applied_events(project: &Project, gallery_id: &str) -> Option<u64> {
    const TRIES: usize = 40;
    for _ in 0..TRIES {
        let answer = project.key.post_nothing(&format!("/galleries/{gallery_id}/refresh")).await;
        if answer.status != 503 {
            return answer.expect(200).json()["applied_events"].as_u64();
        }
    }
    None
}

async fn run(options: &Options, server: &Server, api: &Api, gallery_id: &str, load: Load) -> Measured {
    let before = processes::cpu_seconds(&server.processes());
    let began = Instant::now();
    let end = began + Duration::from_secs(options.seconds);
    let connections = if load.events > 1 { options.connections.min(8) } else { options.connections };
    let senders = (0..connections).map(|_| {
        let (api, gallery_id) = (api.clone(), gallery_id.to_owned());
        tokio::spawn(async move {
            let mut waits = Vec::new();
            while Instant::now() < end {
                let request = request(&api, &gallery_id, load);
                let asked = Instant::now();
                let answer = send(request).await.expect(if load.events == 1 { 201 } else { 200 });
                waits.push(asked.elapsed());
                if load.events > 1 {
                    assert_eq!(answer.json()["accepted"], load.events);
                }
            }
            waits
        })
    });
    let mut waits: Vec<Duration> =
        join_all(senders).await.into_iter().flat_map(|waits| waits.expect("a sender that ends")).collect();
    waits.sort_unstable();
    let seconds = began.elapsed().as_secs_f64();
    Measured { load, waits, seconds, cpu_seconds: processes::cpu_seconds(&server.processes()) - before }
}

fn request(api: &Api, gallery_id: &str, load: Load) -> reqwest::RequestBuilder {
    if load.events == 0 {
        return api.request(Method::GET, &api.root_url("/healthz"));
    }
    let events: Vec<String> = (0..load.events).map(|_| event(gallery_id, load.with_ids)).collect();
    let (path, kind) =
        if load.events == 1 { ("/events", "application/json") } else { ("/events/batch", "application/x-ndjson") };
    api.request(Method::POST, path).header(CONTENT_TYPE, kind).body(events.join("\n"))
}

/// About 250 bytes.
fn event(gallery_id: &str, with_id: bool) -> String {
    let id = if with_id { format!(r#""event_id":"{}","#, Uuid::new_v4()) } else { String::new() };
    format!(
        r#"{{{id}"session_id":"e2085be5-9137-4e4e-80b5-f1ffddc25423","category":"gallery","name":"view","data":{{"gallery_id":"{gallery_id}","external_id":"sku-1","position":3}},"timestamp":"2021-01-01T09:15:27.243860Z"}}"#
    )
}

fn report(options: &Options, rows: &[Measured], sent: usize) -> std::io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "| load | requests/s | events/s | median | p99 | server CPU a request | an event |")?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for Measured { load, waits, seconds, cpu_seconds } in rows {
        let requests = waits.len() as f64;
        let wait = |share: f64| waits[((requests - 1.0) * share) as usize].as_secs_f64() * 1e3;
        let events = requests * load.events as f64;
        writeln!(
            out,
            "| {} | {:.0} | {:.0} | {:.1} ms | {:.1} ms | {:.1} µs | {:.1} µs |",
            load.name,
            requests / seconds,
            events / seconds,
            wait(0.5),
            wait(0.99),
            cpu_seconds / requests * 1e6,
            cpu_seconds / events.max(requests) * 1e6,
        )?;
    }
    writeln!(
        out,
        "\nEach row ran {} s; one by one over {} connections, batches over 8 at the most, sent by this program to \
        `eyeline serve` with everything at its default, on {} cores that both share. Each answer came after the events \
        were on stable storage; the CPU is the server's, with the counting. All {sent} events were counted.",
        options.seconds,
        options.connections,
        thread::available_parallelism().map_or(1, usize::from),
    )
}
