//! The engines of a process: opened, migrated and checked in one place.

use std::sync::Arc;
use std::time::Duration;

use eyeline_store::objects::LinkKeys;
use eyeline_store::{
    Cache, Catalog, Error, Inbox, Installation, ObjectLinks, Objects, OrderRecords, PubSub, cache, inbox, orders,
    pubsub,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::secrets::Secrets;
use crate::settings::Settings;

/// The longest time an engine may take to answer a check.
const PATIENCE: Duration = Duration::from_secs(2);

/// Every engine that a process uses. Cheap to clone.
#[derive(Clone)]
pub struct Engines {
    pub catalog: Catalog,
    pub objects: Objects,
    pub object_links: ObjectLinks,
    pub inbox: Arc<dyn Inbox>,
    pub order_records: Arc<dyn OrderRecords>,
    pub cache: Arc<dyn Cache>,
    /// A small cache in this process's memory, whatever the installation's cache is.
    pub near: Arc<dyn Cache>,
    pub pubsub: Arc<dyn PubSub>,
}

/// An engine, and the outcome of asking it.
pub struct EngineState {
    pub name: &'static str,
    /// False if the process only works more slowly without it.
    pub is_required: bool,
    pub is_reachable: bool,
}

impl Engines {
    /// Opens every engine and migrates the catalog. The error is one sentence for the operator.
    pub async fn open(settings: &Settings, secrets: &Secrets) -> Result<Self, String> {
        let catalog = Catalog::open(&settings.catalog_url()).await.map_err(of("catalog"))?;
        catalog.migrate().await.map_err(of("catalog"))?;
        let id = catalog.installation_id().await.map_err(of("catalog"))?;
        let installation = Installation { id, key: secrets.key("cache") };
        let copies = settings.data.join("orders");
        let (location, link_keys) = (settings.objects(), LinkKeys(secrets.keys("links")));
        Ok(Engines {
            objects: Objects::open(&location).await.map_err(of("objects"))?,
            object_links: ObjectLinks::new(&location, settings.public_url(), link_keys).map_err(of("objects"))?,
            inbox: inbox::open(&settings.inbox_url()).await.map_err(of("inbox"))?,
            order_records: orders::open(&settings.orders_url(), &copies, &installation).await.map_err(of("orders"))?,
            cache: cache::open(&settings.cache_url, &installation).await.map_err(of("cache"))?,
            near: cache::open(cache::NEAR_URL, &installation).await.map_err(of("cache in memory"))?,
            pubsub: pubsub::open(&settings.cache_url, &installation).await.map_err(of("fan-out"))?,
            catalog,
        })
    }

    /// Asks every engine at once whether it answers. One that takes longer than `PATIENCE` counts as unreachable.
    pub async fn check(&self) -> Vec<EngineState> {
        let asked = async |name, is_required, ping: BoxFuture<'_, Result<(), Error>>| EngineState {
            name,
            is_required,
            is_reachable: matches!(tokio::time::timeout(PATIENCE, ping).await, Ok(Ok(()))),
        };
        let (catalog, objects, inbox, cache, fan_out) = tokio::join!(
            asked("catalog", true, self.catalog.ping().boxed()),
            asked("objects", true, self.objects.ping().boxed()),
            asked("inbox", true, self.inbox.ping().boxed()),
            asked("cache", false, self.cache.ping().boxed()),
            asked("fan-out", false, self.pubsub.ping().boxed()),
        );
        vec![catalog, objects, inbox, cache, fan_out]
    }
}

/// Names the engine in an error.
fn of(engine: &str) -> impl Fn(Error) -> String {
    move |error| format!("the {engine}: {error}")
}
