//! A cache of the catalog's answers: most requests cost no query, and changes by this process take effect immediately.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use eyeline_store::Result;

/// The longest time for which a change by another process may go unnoticed.
const REMEMBERED: Duration = Duration::from_secs(1);
/// The longest wait for the catalog if an older answer is cached.
const PATIENCE: Duration = Duration::from_millis(250);
const ENTRIES_MAX: usize = 10_000;

/// A bounded map whose entries are read again after `remembered`. Absence is not cached, so that a new key works
/// immediately.
pub struct Remembered<K, V> {
    entries: Mutex<HashMap<K, (V, Instant)>>,
    /// Raised by [`Remembered::forget`], so that an answer read before it is not cached after it.
    generation: AtomicU64,
    remembered: Duration,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Remembered { entries: Mutex::default(), generation: AtomicU64::new(0), remembered: REMEMBERED }
    }
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    /// Returns the cached value of `key`, else the result of `load`.
    pub async fn get_or_load(&self, key: K, load: impl Future<Output = Result<Option<V>>>) -> Result<Option<V>> {
        let generation = self.generation.load(Ordering::SeqCst);
        let remembered = self.entries.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some((value, until)) = &remembered
            && Instant::now() < *until
        {
            return Ok(Some(value.clone()));
        }
        let loaded = match remembered {
            None => load.await?,
            // While the catalog is unavailable, the cached value cannot have been changed there.
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

    /// Drops all entries. Call it after every change.
    pub fn forget(&self) {
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
        let known = Remembered::<u8, u8> { remembered: Duration::ZERO, ..Remembered::default() };
        let away = async || known.get_or_load(1, async { Err(Error::unavailable("away")) }).await;
        let silent = async || known.get_or_load(1, std::future::pending()).await;
        assert!(away().await.is_err(), "nothing is remembered yet");
        assert_eq!(known.get_or_load(1, async { Ok(Some(7)) }).await.expect("an answer"), Some(7));
        for _ in 0..2 {
            assert_eq!(away().await.expect("the older answer"), Some(7));
            assert_eq!(silent().await.expect("the older answer"), Some(7));
        }
        assert_eq!(known.get_or_load(1, async { Ok(None) }).await.expect("an answer"), None);
        assert!(away().await.is_err(), "a key that was seen to be gone does not come back");

        assert_eq!(known.get_or_load(1, async { Ok(Some(7)) }).await.expect("an answer"), Some(7));
        known.forget();
        assert!(away().await.is_err(), "a change in this process is not passed over");
    }
}
