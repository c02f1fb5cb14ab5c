//! Who holds which key, remembered for a moment: a request costs no query as a rule, and a revoked key is out at once.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use eyeline_core::{ApplicationId, Timestamp};
use eyeline_store::catalog::applications::Application;
use eyeline_store::{Catalog, Result};

/// How long a change made by another process may go unseen.
const REMEMBERED: Duration = Duration::from_secs(1);
/// How long the catalog is waited for when there is an older answer.
const PATIENCE: Duration = Duration::from_millis(250);
const ENTRIES_MAX: usize = 10_000;

/// Whose a key is, and when it ends.
type KnownKey = (Arc<Application>, Option<Timestamp>);

/// Cheap to clone; clones share what is remembered.
#[derive(Clone)]
pub struct Credentials {
    catalog: Catalog,
    keys: Arc<Recent<[u8; 32], KnownKey>>,
    applications: Arc<Recent<ApplicationId, Arc<Application>>>,
    origins: Arc<Recent<String, bool>>,
}

impl Credentials {
    pub fn new(catalog: Catalog) -> Self {
        Credentials { catalog, keys: Arc::default(), applications: Arc::default(), origins: Arc::default() }
    }

    /// The application of a secret key that has not ended by `now`.
    pub async fn by_key(&self, key_hash: [u8; 32], now: Timestamp) -> Result<Option<Arc<Application>>> {
        let load = async {
            let found = self.catalog.application_by_key(key_hash).await?;
            Ok(found.map(|(application, expires_at)| (Arc::new(application), expires_at)))
        };
        let found = self.keys.get_or_load(key_hash, load).await?;
        Ok(found.and_then(|(application, expires_at)| expires_at.is_none_or(|end| end > now).then_some(application)))
    }

    pub async fn application(&self, application_id: ApplicationId) -> Result<Option<Arc<Application>>> {
        let load = async { Ok(self.catalog.application(application_id).await?.map(Arc::new)) };
        self.applications.get_or_load(application_id, load).await
    }

    /// Whether browsers may ask from `origin`: for any application, or for the one that is named.
    pub async fn allows_origin(&self, origin: &str, application_id: Option<ApplicationId>) -> Result<bool> {
        if let Some(application_id) = application_id {
            let application = self.application(application_id).await?;
            return Ok(application.is_some_and(|application| application.allows_origin(origin)));
        }
        let load = async { self.catalog.is_allowed_origin(origin.to_owned()).await.map(Some) };
        Ok(self.origins.get_or_load(origin.to_owned(), load).await?.unwrap_or(false))
    }

    /// To be called after every change of a project, an application or a key.
    pub fn forget(&self) {
        self.keys.forget();
        self.applications.forget();
        self.origins.forget();
    }
}

/// A bounded map whose entries are looked up again after `remembered`. What is not there is not remembered: a new key
/// works at once.
struct Recent<K, V> {
    entries: Mutex<HashMap<K, (V, Instant)>>,
    /// Raised by [`Recent::forget`], so that what was read before it is not remembered after it.
    generation: AtomicU64,
    remembered: Duration,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Recent { entries: Mutex::default(), generation: AtomicU64::new(0), remembered: REMEMBERED }
    }
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    async fn get_or_load(&self, key: K, load: impl Future<Output = Result<Option<V>>>) -> Result<Option<V>> {
        let generation = self.generation.load(Ordering::SeqCst);
        let remembered = self.entries.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some((value, until)) = &remembered
            && Instant::now() < *until
        {
            return Ok(Some(value.clone()));
        }
        let loaded = match remembered {
            None => load.await?,
            // While the catalog is away nobody can have changed there what is remembered here.
            Some((value, _)) => match tokio::time::timeout(PATIENCE, load).await {
                Err(_) => Some(value),
                Ok(Err(error)) if error.is_retryable() => Some(value),
                Ok(loaded) => loaded?,
            },
        };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        match &loaded {
            None => drop(entries.remove(&key)),
            Some(value) if self.generation.load(Ordering::SeqCst) == generation => {
                if entries.len() >= ENTRIES_MAX {
                    entries.clear();
                }
                entries.insert(key, (value.clone(), Instant::now() + self.remembered));
            }
            Some(_) => {}
        }
        Ok(loaded)
    }

    fn forget(&self) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::SeqCst);
        entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eyeline_store::Error;

    #[tokio::test]
    async fn what_is_remembered_outlasts_a_catalog_that_is_away_but_not_a_change() {
        let recent = Recent::<u8, u8> { remembered: Duration::ZERO, ..Recent::default() };
        let away = async || recent.get_or_load(1, async { Err(Error::unavailable("away")) }).await;
        let silent = async || recent.get_or_load(1, std::future::pending()).await;
        assert!(away().await.is_err(), "nothing is remembered yet");
        assert_eq!(recent.get_or_load(1, async { Ok(Some(7)) }).await.expect("an answer"), Some(7));
        for _ in 0..2 {
            assert_eq!(away().await.expect("the older answer"), Some(7));
            assert_eq!(silent().await.expect("the older answer"), Some(7));
        }
        assert_eq!(recent.get_or_load(1, async { Ok(None) }).await.expect("an answer"), None);
        assert!(away().await.is_err(), "a key that was seen to be gone does not come back");

        assert_eq!(recent.get_or_load(1, async { Ok(Some(7)) }).await.expect("an answer"), Some(7));
        recent.forget();
        assert!(away().await.is_err(), "a change in this process is not passed over");
    }
}
