//! The wiring: every engine of a process, opened from the settings.

use std::sync::Arc;

use eyeline_store::{Cache, Catalog, PubSub};

use crate::clock::Clock;
use crate::secrets::Secrets;
use crate::settings::Settings;

/// What handlers and workers are given. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub settings: Arc<Settings>,
    pub clock: Clock,
    pub secrets: Secrets,
    /// SHA-256 of the admin key.
    pub admin_key_hash: [u8; 32],
    pub catalog: Catalog,
    pub cache: Arc<dyn Cache>,
    pub pubsub: Arc<dyn PubSub>,
}
