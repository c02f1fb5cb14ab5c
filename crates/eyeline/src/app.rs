//! A process: its data folder, its secrets, its engines and the flow over them.

use std::fs::File;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Once};

use tokio_util::sync::CancellationToken;

use crate::bodies::Bodies;
use crate::clock::Clock;
use crate::compressors::Compressors;
use crate::credentials::Credentials;
use crate::data_folder::DataFolder;
use crate::engines::Engines;
use crate::flow::{Flow, Process};
use crate::metrics::Metrics;
use crate::rate_limits::RateLimits;
use crate::secrets::{self, Secrets};
use crate::settings::{Role, Settings};

/// The shared state of handlers and workers. Cloning it copies one reference.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The flow, and what requests need beside it.
pub struct Parts {
    pub flow: Flow,
    /// SHA-256 of the admin key.
    pub admin_key_hash: [u8; 32],
    /// What bodies of requests may take of memory.
    pub bodies: Bodies,
    pub compressors: Compressors,
    pub credentials: Credentials,
    /// The rate limits of public ids.
    pub rate_limits: RateLimits,
    /// Makes the log line about proxies that state no address appear once.
    pub unreadable_hop: Once,
    pub metrics: Metrics,
    /// Cancelled by a stop signal, some time before `stop`: the process is no longer ready for new requests.
    pub draining: CancellationToken,
    /// Held while the process serves, so that no second process opens the same data folder.
    _lock: File,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Deref for Parts {
    type Target = Flow;

    fn deref(&self) -> &Flow {
        &self.flow
    }
}

impl App {
    /// Creates the data folder if needed, opens the engines and wires the flow. The error is one sentence for the
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
        let node = if settings.is_scaled_out() { DataFolder::new_node() } else { folder.node()? }.into();
        let engines = Engines::open(&settings, &secrets).await?;
        let clock = Clock::default();
        if settings.test_clock {
            let offset = engines.catalog.clock_offset().await;
            clock.set_offset(offset.map_err(|error| format!("the catalog: {error}"))?);
        }
        let settings = Arc::new(settings);
        Ok(App(Arc::new(Parts {
            admin_key_hash: secrets::sha256(admin_key.as_bytes()),
            bodies: Bodies::new(settings.body_bytes_max),
            compressors: Compressors::default(),
            credentials: Credentials::new(engines.catalog.clone()),
            rate_limits: RateLimits::new(settings.application_events_per_second, settings.address_events_per_second),
            unreadable_hop: Once::new(),
            metrics: Metrics::default(),
            draining: CancellationToken::new(),
            flow: Flow::new(engines, settings, Process { node, secrets, clock, program })?,
            _lock: lock,
        })))
    }

    /// Claims partitions of the inbox before the first event is accepted, if that is this process's role. Fails with a
    /// sentence for the operator if catalog and inbox do not belong together.
    pub async fn take_partitions(&self) -> Result<(), String> {
        if self.settings.roles.has(Role::Ingest) {
            self.partitions.take().await
        } else {
            self.partitions.check_count().await
        }
    }
}
