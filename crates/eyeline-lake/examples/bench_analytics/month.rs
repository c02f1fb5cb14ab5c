//! What a month of events takes in the lake: so many of them at 100 a second, written and merged as the server does it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eyeline_core::{ApplicationId, Event};
use eyeline_lake::{Budget, FileRef, Files, Interval, Record, compact, merge_at_once, write_records};
use object_store::local::LocalFileSystem;
use uuid::{ContextV7, Uuid};

use super::events::{BEGIN, Draws, record};
use super::{Failure, cpu_seconds, say};

const EVENTS_A_SECOND: i64 = 100;
/// The server's defaults: how often waiting events become a file, and how many files of an hour that is not over are merged.
const FLUSH_SECONDS: i64 = 30;
const PARTS_MAX: usize = 32;
/// Visitors at a time: one of them does something about every 30 seconds.
const SESSIONS_OPEN: u64 = 3_000;
const SECOND: i64 = 1_000_000;

struct Session {
    id: Uuid,
    visitor: String,
    events_left: u64,
}

impl Session {
    fn new(draws: &mut Draws) -> Self {
        let visitor = format!("visitor-{}", draws.zipf(1_000_000));
        Session { id: draws.id(), visitor, events_left: 1 + draws.next() % 23 }
    }
}

#[derive(Default)]
struct RollUps {
    hours: HashSet<(i64, ApplicationId, String, String)>,
    days: HashSet<(i64, ApplicationId, String, String)>,
    images: HashSet<(i64, String)>,
}

/// Writes the files of `events` under `folder` and prints what they took, as a row of a table.
pub fn month(folder: &Path, events: i64) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let files = Files::new(Arc::new(LocalFileSystem::new_with_prefix(folder)?), runtime.handle().clone());
    let mut lake = Lake {
        folder,
        files,
        made: 0,
        writing: 0.0,
        merging: 0.0,
        hour: Vec::new(),
        day: Vec::new(),
        over: Vec::new(),
    };
    let (mut draws, context) = (Draws(2026), ContextV7::new());
    let mut open: Vec<Session> = (0..SESSIONS_OPEN).map(|_| Session::new(&mut draws)).collect();
    let mut roll_ups = RollUps::default();
    let batch = FLUSH_SECONDS * EVENTS_A_SECOND;
    for number in 0..events / batch {
        let begin = BEGIN + number * FLUSH_SECONDS * SECOND;
        let mut records = Vec::with_capacity(batch as usize);
        for index in 0..batch {
            let slot = (draws.next() % SESSIONS_OPEN) as usize;
            if open[slot].events_left == 0 {
                open[slot] = Session::new(&mut draws);
            }
            let session = &mut open[slot];
            session.events_left -= 1;
            let at = begin + index * SECOND / EVENTS_A_SECOND / 1_000 * 1_000;
            let mut record = record(&mut draws, &context, session.id, &session.visitor, at);
            record.offset = number * batch + index + 1;
            records.push(record);
        }
        for record in &records {
            roll_ups.add(&record.event)?;
        }
        lake.write(records)?;
        let end = begin + FLUSH_SECONDS * SECOND;
        lake.merge(end % (3_600 * SECOND) == 0, end % (24 * 3_600 * SECOND) == 0)?;
    }
    let all = || lake.over.iter().chain(&lake.day).chain(&lake.hour);
    let (count, bytes, rows) = all()
        .fold((0, 0, 0), |(count, bytes, rows), file| (count + 1, bytes + file.facts.bytes, rows + file.facts.rows));
    assert_eq!(rows, (events / batch * batch) as u64, "every event is in one file");
    let each = |seconds: f64| seconds * 1e6 / rows as f64;
    say(&format!(
        "| {rows} | {:.1} | {:.2} | {count} | {} | {} | {} | {:.2} | {:.2} |",
        rows as f64 / EVENTS_A_SECOND as f64 / 86_400.0,
        bytes as f64 / rows as f64,
        roll_ups.hours.len(),
        roll_ups.days.len(),
        roll_ups.images.len(),
        each(lake.writing),
        each(lake.merging),
    ));
    Ok(())
}

impl RollUps {
    fn add(&mut self, event: &Event) -> Result<(), Failure> {
        let (hour, day) = (Interval::Hour.number(event.timestamp), Interval::Day.number(event.timestamp));
        let key = |number| (number, event.application_id, event.category.clone(), event.name.clone());
        self.hours.insert(key(hour));
        self.days.insert(key(day));
        if event.category == "gallery" {
            let data: serde_json::Value = serde_json::from_str(&event.data)?;
            self.images.insert((day, data["image_id"].as_str().unwrap_or_default().to_owned()));
        }
        Ok(())
    }
}

/// The files that stand at a moment.
struct Lake<'a> {
    folder: &'a Path,
    files: Files,
    made: usize,
    /// CPU seconds.
    writing: f64,
    merging: f64,
    hour: Vec<FileRef>,
    day: Vec<FileRef>,
    over: Vec<FileRef>,
}

impl Lake<'_> {
    fn write(&mut self, records: Vec<Record>) -> Result<(), Failure> {
        let before = cpu_seconds()?;
        if let Some((bytes, facts)) = write_records(records)? {
            let key = self.next_key();
            std::fs::write(self.folder.join(&key), bytes)?;
            self.hour.push(FileRef { key, partition: 0, facts });
        }
        self.writing += cpu_seconds()? - before;
        Ok(())
    }

    fn merge(&mut self, hour_is_over: bool, day_is_over: bool) -> Result<(), Failure> {
        let before = cpu_seconds()?;
        while self.hour.len() > if hour_is_over { 1 } else { PARTS_MAX } {
            let inputs = self.hour.split_off(0);
            self.hour = self.merged(inputs)?;
        }
        if hour_is_over {
            self.day.append(&mut self.hour);
        }
        while day_is_over && self.day.len() > 1 {
            let inputs = self.day.split_off(0);
            self.day = self.merged(inputs)?;
        }
        if day_is_over {
            self.over.append(&mut self.day);
        }
        self.merging += cpu_seconds()? - before;
        Ok(())
    }

    /// As many of the files as can be merged at once, the small ones first, become one beside the rest.
    fn merged(&mut self, mut inputs: Vec<FileRef>) -> Result<Vec<FileRef>, Failure> {
        inputs.sort_by_key(|file| file.facts.rows);
        let rest = inputs.split_off(merge_at_once(&inputs));
        let key = self.next_key();
        let sink = std::io::BufWriter::new(std::fs::File::create(self.folder.join(&key))?);
        let made = compact(&self.files, &inputs, sink, &Budget::new(usize::MAX, Duration::from_secs(3_600)))?;
        let (sink, facts) = made.ok_or("nothing was merged")?;
        sink.into_inner()?;
        for input in &inputs {
            std::fs::remove_file(self.folder.join(&input.key))?;
        }
        Ok(std::iter::once(FileRef { key, partition: 0, facts }).chain(rest).collect())
    }

    fn next_key(&mut self) -> String {
        self.made += 1;
        format!("{}.parquet", self.made)
    }
}
