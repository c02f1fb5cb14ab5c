//! Sends events to a real server, one by one and in batches, and tells how many it took and what each cost.

use std::io::{Write, stdout};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
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
    /// Seconds of each row in a round.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Rounds of all rows: what else the machine does meets each of them.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = 128)]
    connections: usize,
    /// Only the rows whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Another server that takes the same single events at this address: a row of its own.
    #[arg(long)]
    twin: Option<String>,
}

/// One row of the table.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    /// Events of a request; 0 asks for `/healthz`, which does nothing.
    events: usize,
    with_ids: bool,
    /// Requests a second, whatever the answers take; `None`: as many as are answered.
    pace: Option<u64>,
    to_twin: bool,
}

impl Load {
    const fn new(name: &'static str, events: usize) -> Self {
        Load { name, events, with_ids: false, pace: None, to_twin: false }
    }
}

const LOADS: [Load; 8] = [
    Load::new("nothing (`/healthz`)", 0),
    Load::new("one by one", 1),
    Load { with_ids: true, ..Load::new("one by one, with `event_id`", 1) },
    Load { pace: Some(1_000), ..Load::new("one by one, 1,000 a second", 1) },
    Load::new("batches of 1,000", 1_000),
    Load::new("batches of 10,000", 10_000),
    Load { with_ids: true, ..Load::new("batches of 1,000, with `event_id`", 1_000) },
    Load { to_twin: true, ..Load::new("one by one, into Django REST framework and PostgreSQL", 1) },
];

struct Measured {
    load: Load,
    /// The sorted durations of the requests.
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

    let wanted = |load: &Load| load.name.contains(&options.only) && (options.twin.is_some() || !load.to_twin);
    let mut rows: Vec<Measured> = Vec::new();
    for load in LOADS.into_iter().filter(wanted) {
        rows.push(Measured { load, waits: Vec::new(), seconds: 0.0, cpu_seconds: 0.0 });
    }
    let mut sent = 0;
    for _ in 0..options.rounds {
        for row in &mut rows {
            run(&options, &server, &project.key, &gallery_id, row).await;
        }
        sent = rows.iter().filter(|row| !row.load.to_twin).map(|row| row.waits.len() * row.load.events).sum();
        // Waiting events must not slow down the next round's rows.
        let applied = applied_events(&project, &gallery_id).await;
        if applied != Some(sent as u64) {
            let _told = writeln!(stdout(), "\nWRONG: {sent} events were accepted and {applied:?} counted.");
            return ExitCode::FAILURE;
        }
    }
    if report(&options, &mut rows, sent).is_err() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The counts once no event waits. Events are accepted much faster than they are applied, so a refresh may time out a
/// few times.
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

async fn run(options: &Options, server: &Server, api: &Api, gallery_id: &str, row: &mut Measured) {
    let load = row.load;
    let before = processes::cpu_seconds(&server.processes());
    let began = Instant::now();
    let end = began + Duration::from_secs(options.seconds);
    let connections = if load.events > 1 { options.connections.min(8) } else { options.connections };
    let target = match (&options.twin, load) {
        (Some(twin), Load { to_twin: true, .. }) => twin.clone(),
        (_, Load { events: 0, .. }) => api.root_url("/healthz"),
        (_, Load { events: 1, .. }) => api.url("/events"),
        _ => api.url("/events/batch"),
    };
    let senders = (0..connections).map(|number| {
        let (api, target, events) = (api.clone(), target.clone(), Template::new(gallery_id, load));
        // A paced row's connections take turns.
        let every = load.pace.map(|pace| Duration::from_secs(1) * connections as u32 / pace as u32);
        let mut planned = began + every.unwrap_or_default() * number as u32 / connections as u32;
        tokio::spawn(async move {
            let mut waits = Vec::new();
            while Instant::now() < end {
                let mut asked = Instant::now();
                if let Some(every) = every {
                    tokio::time::sleep_until(planned.into()).await;
                    // Measured from the planned moment: a request that waits for the one before it counts that wait.
                    asked = planned;
                    planned += every;
                }
                let answer = send(request(&api, &target, &events, load)).await;
                waits.push(asked.elapsed());
                let answer = answer.expect(if load.events == 1 { 201 } else { 200 });
                if load.events > 1 {
                    assert_eq!(answer.json()["accepted"], load.events);
                }
            }
            waits
        })
    });
    for waits in join_all(senders).await {
        row.waits.extend(waits.expect("a sender that ends"));
    }
    row.seconds += began.elapsed().as_secs_f64();
    row.cpu_seconds += processes::cpu_seconds(&server.processes()) - before;
}

fn request(api: &Api, target: &str, events: &Template, load: Load) -> reqwest::RequestBuilder {
    if load.events == 0 {
        return api.request(Method::GET, target);
    }
    let kind = if load.events == 1 { "application/json" } else { "application/x-ndjson" };
    api.request(Method::POST, target).header(CONTENT_TYPE, kind).body(events.lines(load))
}

/// An event of about 250 bytes in which only the id changes, so that the load costs less than the server.
struct Template {
    rest: String,
    without_ids: Bytes,
}

impl Template {
    fn new(gallery_id: &str, load: Load) -> Self {
        let rest = format!(
            r#""session_id":"e2085be5-9137-4e4e-80b5-f1ffddc25423","category":"gallery","name":"view","data":{{"gallery_id":"{gallery_id}","external_id":"sku-1","position":3}},"timestamp":"2021-01-01T09:15:27.243860Z"}}"#
        );
        let without_ids = Bytes::from(format!("{{{rest}\n").repeat(load.events));
        Template { rest, without_ids }
    }

    fn lines(&self, load: Load) -> Bytes {
        if !load.with_ids {
            return self.without_ids.clone();
        }
        let mut lines = String::with_capacity(load.events * (self.rest.len() + 64));
        for _ in 0..load.events {
            let mut id = Uuid::encode_buffer();
            let id = Uuid::new_v4().hyphenated().encode_lower(&mut id);
            for part in [r#"{"event_id":""#, id, r#"","#, &self.rest, "\n"] {
                lines.push_str(part);
            }
        }
        lines.into()
    }
}

fn report(options: &Options, rows: &mut [Measured], sent: usize) -> std::io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "| load | requests/s | events/s | median | p99 | server CPU a request | an event |")?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for Measured { load, waits, seconds, cpu_seconds } in rows {
        waits.sort_unstable();
        let requests = waits.len() as f64;
        let wait = |share: f64| waits[((requests - 1.0) * share) as usize].as_secs_f64() * 1e3;
        let events = requests * load.events as f64;
        let cpu = |of: f64| if load.to_twin { String::new() } else { format!("{:.1} µs", *cpu_seconds / of * 1e6) };
        writeln!(
            out,
            "| {} | {:.0} | {:.0} | {:.1} ms | {:.1} ms | {} | {} |",
            load.name,
            requests / *seconds,
            events / *seconds,
            wait(0.5),
            wait(0.99),
            cpu(requests),
            cpu(events.max(requests)),
        )?;
    }
    writeln!(
        out,
        "\nEach row ran {} times {} s, in turns; one by one over {} connections, batches over 8 at the most, sent by this \
        program to `eyeline serve` with everything at its default, on {} cores that both share. Each answer came after the \
        events were on stable storage; the CPU is the server's, with the counting. All {sent} events were counted.",
        options.rounds,
        options.seconds,
        options.connections,
        thread::available_parallelism().map_or(1, usize::from),
    )
}
