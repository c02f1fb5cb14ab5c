//! The wiring: every engine of a process, opened from the settings.

use std::fs::File;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::Duration;

use eyeline_store::{Cache, Catalog, Error, Inbox, Installation, Objects, PubSub, cache, inbox, orders, pubsub};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::background::Background;
use crate::bodies::Bodies;
use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::data_folder::DataFolder;
use crate::flow::event::collect::Collector;
use crate::flow::event::event_types::EventTypes;
use crate::flow::event::ingest::Ingest;
use crate::flow::event::replay::Replays;
use crate::flow::gallery::rank::Orders;
use crate::flow::lake::compact::Compact;
use crate::flow::lake::cut::Cut;
use crate::flow::lake::erase::Erase;
use crate::flow::lake::files::LakeFiles;
use crate::flow::lake::flush::Flush;
use crate::flow::lake::history::History;
use crate::flow::lake::partitions::Partitions;
use crate::flow::lake::sql_workers::SqlWorkers;
use crate::flow::lake::usage::Usage;
use crate::flow::notify::Newsroom;
use crate::flow::photo::admission::Admission;
use crate::flow::photo::makers::Makers;
use crate::flow::photo::transfers::Transfers;
use crate::metrics::Metrics;
use crate::rate_limits::RateLimits;
use crate::secrets::{self, Secrets};
use crate::settings::Settings;

/// The longest time an engine may take to answer a check.
const ENGINE_PATIENCE: Duration = Duration::from_secs(2);

/// The shared state of handlers and workers. Cloning it copies one reference.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// All parts of a process.
pub struct Parts {
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub secrets: Secrets,
    /// SHA-256 of the admin key.
    pub admin_key_hash: [u8; 32],
    /// The name of this process among those that share the catalog. It owns the leases and survives restarts.
    pub node: Arc<str>,
    /// Cancelled when the process must drain and stop. Streams end on it.
    pub stop: CancellationToken,
    pub catalog: Catalog,
    pub objects: Objects,
    /// Notified when a job waits, so that a worker of this process looks without delay.
    pub waiting_jobs: Arc<Notify>,
    pub makers: Makers,
    /// Bounds the concurrent decoding and the requests that wait for it.
    pub admission: Admission,
    /// Files being received.
    pub transfers: Transfers,
    /// What bodies of requests may take of memory.
    pub bodies: Bodies,
    pub credentials: Credentials,
    /// The rate limits of public ids.
    pub rate_limits: RateLimits,
    /// Makes the log line about proxies that state no address appear once.
    pub unreadable_hop: Once,
    pub metrics: Metrics,
    pub cache: Arc<dyn Cache>,
    pub pubsub: Arc<dyn PubSub>,
    pub orders: Orders,
    pub inbox: Arc<dyn Inbox>,
    pub event_types: EventTypes,
    pub collector: Collector,
    /// The partitions of the inbox that this process owns.
    pub partitions: Partitions,
    pub ingest: Ingest,
    pub replays: Replays,
    pub flush: Flush,
    pub compact: Compact,
    pub cut: Cut,
    pub erase: Erase,
    pub usage: Usage,
    pub sql_workers: SqlWorkers,
    pub newsroom: Newsroom,
    pub history: History,
    /// Held while the process serves, so that no second process opens the same data folder.
    _lock: File,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Creates the data folder if needed, and opens and migrates every engine. The error is one sentence for the
    /// operator. `program` is this product's binary, which also runs as image and SQL worker.
    pub async fn open(settings: Settings, program: PathBuf) -> Result<Self, String> {
        let folder = DataFolder::open(&settings.data)?;
        let lock = folder.lock()?;
        let secrets = match &settings.secret {
            Some(text) => Secrets::parse(text)?,
            None => Secrets::new(folder.secret()?, Vec::new()),
        };
        let admin_key = match &settings.admin_key {
            Some(key) => key.clone(),
            None => folder.admin_key()?,
        };
        let node: Arc<str> = folder.node()?.into();

        let catalog = Catalog::open(&settings.catalog_url()).await.map_err(|error| format!("the catalog: {error}"))?;
        catalog.migrate().await.map_err(|error| format!("the catalog: {error}"))?;
        let objects = Objects::open(&settings.objects_url()).await.map_err(|error| format!("the objects: {error}"))?;
        let id = catalog.installation_id().await.map_err(|error| format!("the catalog: {error}"))?;
        let installation = Installation { id, key: secrets.key("cache") };
        let cache = cache::open(&settings.cache_url, &installation).await.map_err(|error| error.to_string())?;
        let near = cache::open(cache::NEAR_URL, &installation).await.map_err(|error| error.to_string())?;
        let pubsub = pubsub::open(&settings.cache_url, &installation).await.map_err(|error| error.to_string())?;
        let records = orders::open(&settings.orders_url()).await.map_err(|error| format!("the orders: {error}"))?;
        let inbox = inbox::open(&settings.inbox_url()).await.map_err(|error| format!("the inbox: {error}"))?;

        let clock = Clock::default();
        if settings.test_clock {
            clock.set_offset(catalog.clock_offset().await.map_err(|error| format!("the catalog: {error}"))?);
        }
        let background = Background::new().map_err(|error| format!("the threads in the background: {error}"))?;
        let event_types = EventTypes::new(catalog.clone(), background.clone());
        let partitions = Partitions::new(catalog.clone(), node.clone(), &*inbox);
        let records = (records, near);
        let orders = Orders::new(catalog.clone(), pubsub.clone(), records, partitions.clone(), clock.clone());
        let ingest = Ingest::new(
            inbox.clone(),
            catalog.clone(),
            event_types.clone(),
            pubsub.clone(),
            clock.clone(),
            partitions.clone(),
            settings.event_bounds(),
        );
        let replays = Replays {
            inbox: inbox.clone(),
            catalog: catalog.clone(),
            event_types: event_types.clone(),
            ingest: ingest.clone(),
            clock: clock.clone(),
        };
        let time_max = settings.question_time_max();
        let usage = Usage::new(inbox.clone(), catalog.clone(), &objects, clock.clone(), background, time_max);
        let usage = usage.map_err(|error| format!("the objects: {error}"))?;
        let files = LakeFiles::new(catalog.clone(), objects.clone(), usage.clone(), clock.clone());
        Ok(App(Arc::new(Parts {
            orders,
            collector: Collector::new(inbox.clone(), catalog.clone(), event_types.clone(), clock.clone()),
            ingest,
            replays,
            event_types,
            history: History::new(inbox.clone(), catalog.clone(), usage.clone()),
            flush: Flush::new(inbox.clone(), catalog.clone(), objects.clone(), files.clone(), partitions.clone()),
            compact: Compact::new(catalog.clone(), files.clone(), partitions.clone(), clock.clone()),
            cut: Cut::new(
                catalog.clone(),
                files.clone(),
                usage.clone(),
                partitions.clone(),
                clock.clone(),
                settings.events_kept(),
            ),
            erase: Erase::new(inbox.clone(), catalog.clone(), files, usage.clone(), partitions.clone(), clock.clone()),
            partitions,
            usage,
            newsroom: Newsroom::default(),
            inbox,
            clock,
            secrets,
            admin_key_hash: secrets::sha256(admin_key.as_bytes()),
            node,
            stop: CancellationToken::new(),
            credentials: Credentials::new(catalog.clone()),
            rate_limits: RateLimits::new(settings.application_events_per_second, settings.address_events_per_second),
            unreadable_hop: Once::new(),
            metrics: Metrics::default(),
            catalog,
            objects,
            waiting_jobs: Arc::default(),
            sql_workers: SqlWorkers::new(program.clone(), settings.allow_unconfined),
            makers: Makers::new(program, settings.webp.presets(), settings.allow_unconfined),
            admission: Admission::new(settings.decode_bytes_max(), settings.uploads_waiting_max),
            transfers: Transfers::default(),
            bodies: Bodies::new(settings.body_bytes_max),
            cache,
            pubsub,
            settings: Arc::new(settings),
            _lock: lock,
        })))
    }

    /// Asks every engine whether it answers. An engine that takes longer than `ENGINE_PATIENCE` counts as unavailable.
    pub async fn check_engines(&self) -> Vec<EngineState> {
        let check = async |name, is_required, ping: BoxFuture<'_, Result<(), Error>>| EngineState {
            name,
            is_required,
            is_reachable: matches!(tokio::time::timeout(ENGINE_PATIENCE, ping).await, Ok(Ok(()))),
        };
        vec![
            check("catalog", true, self.catalog.ping().boxed()).await,
            check("objects", true, self.objects.ping().boxed()).await,
            check("inbox", true, self.inbox.ping().boxed()).await,
            check("cache", false, self.cache.ping().boxed()).await,
            check("fan-out", false, self.pubsub.ping().boxed()).await,
        ]
    }
}

/// An engine, and the outcome of asking it.
pub struct EngineState {
    pub name: &'static str,
    /// False if the process only works more slowly without it.
    pub is_required: bool,
    pub is_reachable: bool,
}
