//! Random events, put into files and a tail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eyeline_core::event::{SchemaMark, Source};
use eyeline_core::{Event, ProjectId, Timestamp};
use eyeline_lake::{
    Budget, Error, FileRef, Files, Filter, ProjectEvents, Record, Snapshot, SqlQuestion, Table, answer, on_deep_stack,
    tail, write_records,
};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use proptest::prelude::*;
use tokio::runtime::Runtime;
use uuid::Uuid;

pub const PROJECT: ProjectId = ProjectId(Uuid::from_u128(1));
pub const MINUTE: i64 = 60_000_000;
/// 2026-11-02, a Monday.
pub const BEGIN: i64 = 1_793_577_600_000_000;

/// A lake in memory.
pub struct Lake {
    pub runtime: Runtime,
    pub store: Arc<InMemory>,
    pub files: Files,
}

impl Lake {
    pub fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let store = Arc::new(InMemory::new());
        let files = Files::new(store.clone(), runtime.handle().clone());
        Lake { runtime, store, files }
    }

    pub fn put(&self, key: &str, bytes: Vec<u8>) {
        let path = Path::from(key);
        self.runtime.block_on(self.store.put(&path, bytes.into())).expect("a stored file");
    }

    /// Writes the records into a file.
    pub fn file(&self, key: &str, records: &[Record]) -> Option<FileRef> {
        let (bytes, facts) = write_records(records.to_vec()).expect("a file")?;
        self.put(key, bytes);
        Some(FileRef { key: key.to_owned(), partition: 0, facts })
    }

    /// Splits the records, which are in the order of offsets, into files. The last piece is the tail.
    pub fn snapshot(&self, records: &[Record], pieces: usize) -> Snapshot {
        let length = records.len().div_ceil(pieces.max(1)).max(1);
        let mut pieces: Vec<&[Record]> = records.chunks(length).collect();
        let rest = pieces.pop().unwrap_or_default();
        let files = pieces.iter().enumerate().filter_map(|(number, piece)| self.file(&format!("lake/{number}"), piece));
        Snapshot { files: files.collect(), tail: tail(rest.to_vec()).expect("a tail").into(), ..Snapshot::default() }
    }
}

pub fn budget() -> Budget {
    Budget::new(256 << 20, Duration::from_secs(60))
}

/// Runs SQL within this process; a server uses a worker process.
pub fn sql(
    files: &Files,
    snapshot: &Snapshot,
    filter: &Filter,
    query: &str,
    rows_max: usize,
    now: Timestamp,
    budget: &Budget,
) -> Result<Table, Error> {
    let events = Arc::new(ProjectEvents::new(files, snapshot, filter, budget));
    let (question, budget) = (SqlQuestion { query: query.to_owned(), rows_max, now }, budget.clone());
    let answering = on_deep_stack(move || answer(events, &question, &budget)).expect("a thread");
    answering.join().expect("no panic")?.into_table()
}

/// An event at its own microsecond; every ten events have a session.
pub fn record(offset: i64) -> Record {
    let at = Timestamp::from_micros(BEGIN + offset);
    Record {
        partition: 0,
        offset,
        event: Event {
            event_id: Uuid::from_u128(offset as u128).into(),
            id_given: false,
            project_id: PROJECT,
            application_id: Uuid::from_u128(10).into(),
            received_at: at,
            session_id: Uuid::from_u128(offset as u128 / 10).into(),
            visitor_id: None,
            category: "shop".to_owned(),
            name: "view".to_owned(),
            data: "{}".into(),
            timestamp: at,
            source: None,
            schema: None,
            served: None,
            replay: None,
        },
        place: None,
    }
}

/// Project, session, application, category, name, minute, day, visitor and minutes of delay.
type Drawn = (u8, u8, u8, u8, u8, i64, u8, Option<u8>, i64);

/// Few values of everything, so that they coincide; in the order of offsets.
pub fn any_records(count_max: usize) -> impl Strategy<Value = Vec<Record>> {
    let event = (0..8u8, 0..4u8, 0..2u8, 0..2u8, 0..3u8, 0..24 * 60i64, 0..4u8, prop::option::of(0..5u8), 0..3i64);
    prop::collection::vec(event, 0..count_max).prop_map(|events| {
        let record = |(index, event): (usize, Drawn)| {
            let (project, session, application, category, name, minute, day, visitor, late) = event;
            // One project has most of the events, and most of them are close in time.
            let project = u128::from(project / 7) + 1;
            let minute = if day == 0 { minute * 30 } else { minute / 8 };
            let timestamp = BEGIN + minute * MINUTE;
            let offset = 2 * index as i64 + 1;
            Record {
                partition: 0,
                offset,
                event: Event {
                    event_id: Uuid::from_u128(1_000 + index as u128).into(),
                    id_given: index % 3 == 0,
                    project_id: Uuid::from_u128(project).into(),
                    application_id: Uuid::from_u128(10 + u128::from(application)).into(),
                    received_at: Timestamp::from_micros(timestamp + late * MINUTE),
                    session_id: Uuid::from_u128(100 + u128::from(session)).into(),
                    visitor_id: visitor.map(|visitor| format!("visitor {visitor}")),
                    category: format!("category {category}"),
                    name: format!("name {name}"),
                    data: format!(r#"{{"n":{index}}}"#).into(),
                    timestamp: Timestamp::from_micros(timestamp),
                    source: (index % 3 == 0).then(|| Source::from_bits(u64::MAX - index as u64)),
                    schema: (index % 5 == 2).then_some(SchemaMark { version: 1 + index as u32 % 3, checked: true }),
                    served: None,
                    replay: None,
                },
                place: (index % 4 == 1).then_some(index as u32 % 40),
            }
        };
        events.into_iter().enumerate().map(record).collect()
    })
}

fn rarely<T: Strategy>(value: T) -> impl Strategy<Value = Option<T::Value>> {
    prop::option::weighted(0.2, value)
}

/// A filter that may leave something out.
pub fn any_filter() -> impl Strategy<Value = Filter> {
    let span = prop::option::of((0..600i64, 0..600i64));
    (rarely(0..2u128), rarely(0..4u128), rarely(0..2u8), rarely(0..3u8), span).prop_map(
        |(application, session, category, name, span)| Filter {
            application_id: application.map(|number| Uuid::from_u128(10 + number).into()),
            session_id: session.map(|number| Uuid::from_u128(100 + number).into()),
            category: category.map(|number| format!("category {number}")),
            name: name.map(|number| format!("name {number}")),
            from: span.map(|(from, _)| Timestamp::from_micros(BEGIN + from * MINUTE)),
            to: span.map(|(from, length)| Timestamp::from_micros(BEGIN + (from + length) * MINUTE)),
            ..Filter::of(PROJECT)
        },
    )
}

/// The same filter, written independently.
pub fn wanted<'a>(records: &'a [Record], filter: &Filter) -> Vec<&'a Record> {
    let fits = |event: &Event| {
        event.project_id == filter.project_id
            && filter.application_id.is_none_or(|id| id == event.application_id)
            && filter.session_id.is_none_or(|id| id == event.session_id)
            && filter.category.as_ref().is_none_or(|category| *category == event.category)
            && filter.name.as_ref().is_none_or(|name| *name == event.name)
            && filter.from.is_none_or(|from| event.timestamp >= from)
            && filter.to.is_none_or(|to| event.timestamp < to)
    };
    records.iter().filter(|record| fits(&record.event)).collect()
}

/// Sessions split after 30 minutes of silence: each event as its time and its type.
pub fn visits(records: &[&Record]) -> Vec<Vec<(i64, (String, String))>> {
    let mut by_session: BTreeMap<Uuid, Vec<&Record>> = BTreeMap::new();
    for record in records {
        by_session.entry(record.event.session_id.0).or_default().push(record);
    }
    let mut visits = Vec::new();
    for mut events in by_session.into_values() {
        events.sort_by_key(|record| (record.event.timestamp, record.offset));
        let mut last = i64::MIN;
        for record in events {
            let at = record.event.timestamp.micros();
            if last == i64::MIN || at - last > 30 * MINUTE {
                visits.push(Vec::new());
            }
            last = at;
            let kind = (record.event.category.clone(), record.event.name.clone());
            visits.last_mut().expect("a visit").push((at, kind));
        }
    }
    visits
}
