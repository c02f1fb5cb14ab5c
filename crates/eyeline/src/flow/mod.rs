//! The steps of the product, in five wings. A step never calls the next one: it stores a record, which the next step
//! finds.

pub mod event;
pub mod gallery;
pub mod hints;
pub mod lake;
pub mod notify;
pub mod photo;
mod turns;

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use self::event::collect::Collector;
use self::event::event_types::EventTypes;
use self::event::ingest::Ingest;
use self::event::replay::Replays;
use self::gallery::rank::Orders;
use self::lake::compact::Compact;
use self::lake::cut::Cut;
use self::lake::erase::Erase;
use self::lake::files::LakeFiles;
use self::lake::flush::Flush;
use self::lake::history::History;
use self::lake::partitions::Partitions;
use self::lake::sql_workers::SqlWorkers;
use self::lake::usage::Usage;
use self::notify::Newsroom;
use self::photo::admission::Admission;
use self::photo::makers::Makers;
use self::photo::transfers::Transfers;
use crate::background::Background;
use crate::clock::Clock;
use crate::engines::Engines;
use crate::secrets::Secrets;
use crate::settings::Settings;

/// The steps of one process, on its engines. Cloning it copies one reference.
#[derive(Clone)]
pub struct Flow(Arc<Steps>);

/// The steps, and what they take.
pub struct Steps {
    pub engines: Engines,
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub secrets: Secrets,
    /// The name of this process among those that share the catalog. It owns the leases.
    pub node: Arc<str>,
    /// Cancelled when the process must end its work. Streams end on it.
    pub stop: CancellationToken,
    pub makers: Makers,
    /// Bounds the concurrent decoding and the requests that wait for it.
    pub admission: Admission,
    /// Files being received.
    pub transfers: Transfers,
    pub newsroom: Newsroom,
    pub event_types: EventTypes,
    pub collector: Collector,
    /// The partitions of the inbox that this process owns.
    pub partitions: Partitions,
    pub ingest: Ingest,
    pub replays: Replays,
    pub orders: Orders,
    pub flush: Flush,
    pub compact: Compact,
    pub cut: Cut,
    pub erase: Erase,
    pub usage: Usage,
    pub history: History,
    pub sql_workers: SqlWorkers,
}

/// What distinguishes a process from others on the same engines.
pub struct Process {
    pub node: Arc<str>,
    pub secrets: Secrets,
    pub clock: Clock,
    /// This product's binary, which also runs as image and SQL worker.
    pub program: PathBuf,
}

impl Deref for Flow {
    type Target = Steps;

    fn deref(&self) -> &Steps {
        &self.0
    }
}

impl Deref for Steps {
    type Target = Engines;

    fn deref(&self) -> &Engines {
        &self.engines
    }
}

impl Flow {
    /// Wires every step. The error is one sentence for the operator.
    pub fn new(engines: Engines, settings: Arc<Settings>, process: Process) -> Result<Self, String> {
        let Process { node, secrets, clock, program } = process;
        let background = Background::new().map_err(|error| format!("the threads in the background: {error}"))?;
        let event_types = EventTypes::new(engines.catalog.clone(), background.clone());
        let partitions = Partitions::new(&engines, node.clone());
        let ingest =
            Ingest::new(&engines, event_types.clone(), partitions.clone(), clock.clone(), settings.event_bounds());
        let usage = Usage::new(&engines, clock.clone(), background, settings.question_time_max());
        let usage = usage.map_err(|error| format!("the objects: {error}"))?;
        let files = LakeFiles::new(&engines, usage.clone(), clock.clone());
        Ok(Flow(Arc::new(Steps {
            makers: Makers::new(program.clone(), settings.webp.presets(), settings.allow_unconfined),
            admission: Admission::new(settings.decode_bytes_max(), settings.uploads_waiting_max),
            transfers: Transfers::default(),
            newsroom: Newsroom::default(),
            collector: Collector::new(&engines, event_types.clone(), clock.clone()),
            replays: Replays::new(&engines, event_types.clone(), ingest.clone(), clock.clone()),
            orders: Orders::new(&engines, partitions.clone(), clock.clone()),
            flush: Flush::new(&engines, files.clone(), partitions.clone()),
            compact: Compact::new(&engines, files.clone(), partitions.clone(), clock.clone()),
            cut: Cut::new(
                &engines,
                files.clone(),
                usage.clone(),
                partitions.clone(),
                clock.clone(),
                settings.events_kept(),
            ),
            erase: Erase::new(&engines, files, usage.clone(), partitions.clone(), clock.clone()),
            history: History::new(&engines, usage.clone()),
            sql_workers: SqlWorkers::new(program, settings.allow_unconfined),
            stop: CancellationToken::new(),
            event_types,
            partitions,
            ingest,
            usage,
            engines,
            settings,
            clock,
            secrets,
            node,
        })))
    }
}
