//! Seeded events as files of the lake, and the questions to them with the CPU time that each took.
//!
//! `bench_analytics write FOLDER EVENTS` writes the files of two weeks; `bench_analytics ask FOLDER QUESTION` answers one
//! and prints `{"cpu": seconds, "check": number}`, `bench_analytics sql FOLDER QUERY` the same for a query that gives one
//! number, `check`. `bench/analytics/compare.py` runs it beside another engine. `bench_analytics month FOLDER EVENTS` tells
//! what so many events take that come at 100 a second.

mod events;
mod month;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eyeline_core::Timestamp;
use eyeline_lake::{
    Anchor, Budget, CountQuestion, EventType, Facts, FileRef, Files, Filter, Interval, PathQuestion, ProjectEvents,
    Record, Snapshot, SqlQuestion, answer, counts, features, funnel, gallery, on_deep_stack, paths, retention,
    write_records,
};
use object_store::local::LocalFileSystem;

use self::events::{BEGIN, Draws, GALLERY, PROJECT, record};

const DAYS: i64 = 14;
const DAY: i64 = 24 * 3_600 * 1_000_000;
const EVENTS_OF_A_SESSION: u64 = 12;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["write", folder, events] => write(Path::new(folder), events.parse()?),
        ["month", folder, events] => month::month(Path::new(folder), events.parse()?),
        ["ask", folder, question] => ask(Path::new(folder), question, ""),
        ["sql", folder, query] => ask(Path::new(folder), "sql", query),
        _ => Err("write FOLDER EVENTS, ask FOLDER QUESTION, sql FOLDER QUERY, or month FOLDER EVENTS".into()),
    }
}

fn write(folder: &Path, events: u64) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    let mut draws = Draws(2026);
    let context = uuid::ContextV7::new();
    let sessions_a_day = (events / EVENTS_OF_A_SESSION / DAYS.unsigned_abs()).max(1);
    let visitors = (sessions_a_day * 4).max(1);
    let (mut offset, mut bytes_total, mut rows_total) = (0, 0, 0);
    for day in 0..DAYS {
        let mut records = Vec::new();
        for _ in 0..sessions_a_day {
            let mut at = BEGIN + day * DAY + (draws.part() * (DAY - 3_600_000_000) as f64) as i64;
            let session_id = draws.id();
            let visitor = format!("visitor-{}", draws.zipf(visitors));
            for _ in 0..1 + draws.next() % (2 * EVENTS_OF_A_SESSION - 1) {
                // Browsers tell milliseconds; the network takes a while.
                at += ((-(1.0 - draws.part()).ln() * 30_000.0) as i64 + 1) * 1_000;
                records.push(record(&mut draws, &context, session_id, &visitor, at));
            }
        }
        records.sort_by_key(|record: &Record| record.event.received_at);
        for record in &mut records {
            offset += 1;
            record.offset = offset;
        }
        let Some((bytes, facts)) = write_records(records)? else { continue };
        std::fs::write(folder.join(format!("{day:02}.parquet")), &bytes)?;
        (bytes_total, rows_total) = (bytes_total + facts.bytes, rows_total + facts.rows);
        let fields = [
            facts.rows as i64,
            facts.bytes as i64,
            facts.first_offset,
            facts.last_offset,
            facts.first_timestamp.micros(),
            facts.last_timestamp.micros(),
            facts.first_received_at.micros(),
            facts.last_received_at.micros(),
        ];
        std::fs::write(folder.join(format!("{day:02}.facts")), serde_json::to_string(&fields)?)?;
    }
    say(&serde_json::json!({"rows": rows_total, "bytes_an_event": bytes_total as f64 / rows_total as f64}).to_string());
    Ok(())
}

fn ask(folder: &Path, question: &str, query: &str) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let files = Files::new(Arc::new(LocalFileSystem::new_with_prefix(folder)?), runtime.handle().clone());
    let mut snapshot = Snapshot::default();
    for day in 0..DAYS {
        let Ok(fields) = std::fs::read_to_string(folder.join(format!("{day:02}.facts"))) else { continue };
        let [rows, bytes, first_offset, last_offset, times @ ..]: [i64; 8] = serde_json::from_str(&fields)?;
        let [first_timestamp, last_timestamp, first_received_at, last_received_at] = times.map(Timestamp::from_micros);
        let (rows, bytes) = (rows.unsigned_abs(), bytes.unsigned_abs());
        let facts = Facts {
            rows,
            bytes,
            first_offset,
            last_offset,
            first_timestamp,
            last_timestamp,
            first_received_at,
            last_received_at,
        };
        snapshot.files.push(FileRef { key: format!("{day:02}.parquet"), partition: 0, facts });
    }
    let budget = Budget::new(256 << 20, Duration::from_secs(600));
    let all = Filter::of(PROJECT);
    let step =
        |number: u64| EventType { category: format!("category-{}", number % 5), name: format!("feature-{number}") };
    let before = cpu_seconds()?;
    let check = match question {
        "counts" => {
            let question = CountQuestion {
                buckets: Some(Interval::Day.into()),
                by_category: true,
                by_name: true,
                ..CountQuestion::default()
            };
            counts(&files, &snapshot, &all, &question, &budget)?.iter().map(|row| row.count + row.sessions).sum()
        }
        "features" => features(&files, &snapshot, &all, &budget)?.iter().map(|row| row.count + row.sessions).sum(),
        "transitions" => {
            let question =
                PathQuestion { depth: 2, anchor: Anchor::Anywhere, first: None, last: None, rows_max: 100_000 };
            paths(&files, &snapshot, &all, &question, &budget)?.transitions.iter().map(|path| path.count).sum()
        }
        "paths" => {
            let question = PathQuestion { depth: 5, anchor: Anchor::Anywhere, first: None, last: None, rows_max: 20 };
            paths(&files, &snapshot, &all, &question, &budget)?.visits
        }
        "funnel" => {
            let steps = [step(0), step(1), step(2)];
            funnel(&files, &snapshot, &all, &steps, Duration::from_secs(1_800), &budget)?[2].visits
        }
        "retention" => {
            let end = Timestamp::from_micros(BEGIN + DAYS * DAY);
            let filter = Filter { from: Some(Timestamp::from_micros(BEGIN)), to: Some(end), ..all };
            let found = retention(&files, &snapshot, &filter, &Interval::Week.into(), &budget)?;
            found.cohorts.iter().flat_map(|cohort| &cohort.visitors).sum()
        }
        "gallery" => gallery(&files, &snapshot, &all, GALLERY, &Interval::Day.into(), &budget)?.total.views,
        "sql" => {
            let now = Timestamp::from_micros(BEGIN + DAYS * DAY);
            let events = Arc::new(ProjectEvents::new(&files, &snapshot, &all, &budget));
            let (question, budget) = (SqlQuestion { query: query.to_owned(), rows_max: 1, now }, budget.clone());
            let answering = on_deep_stack(move || answer(events, &question, &budget))?;
            let table = answering.join().map_err(|_| "the engine panicked")??.into_table()?;
            let rows: Vec<std::collections::BTreeMap<String, u64>> = serde_json::from_str(table.rows.get())?;
            rows[0]["check"]
        }
        other => return Err(format!("no question is called {other}").into()),
    };
    let peak = peak_mib()?;
    say(&serde_json::json!({"cpu": cpu_seconds()? - before, "check": check, "peak_mib": peak}).to_string());
    Ok(())
}

/// User and system time of this process.
fn cpu_seconds() -> Result<f64, Failure> {
    // In hundredths, over all threads, those that have ended too.
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let (_, numbers) = text.rsplit_once(") ").ok_or("no numbers")?;
    let ticks = numbers.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / 100.0)
}

fn peak_mib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1_024)
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn say(line: &str) {
    println!("{line}");
}
