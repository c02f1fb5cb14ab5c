//! Looks up which event ids are applied. A read costs far more than one more id in it. Calls therefore gather while a
//! read runs, and the first of them reads for all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use eyeline_store::Catalog;
use eyeline_store::catalog::events::EventPlace;
use tokio::sync::oneshot;

use super::Id;

/// A call with more ids than this reads alone, so that the others need not wait for it.
const GATHERED_IDS_MAX: usize = 64;

type Places = Arc<HashMap<Id, EventPlace>>;

pub(super) struct Lookups {
    catalog: Catalog,
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

struct Waiting {
    ids: Vec<Id>,
    answer: oneshot::Sender<Places>,
}

impl Lookups {
    pub(super) fn new(catalog: Catalog) -> Self {
        Lookups { catalog, waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// The places of the first events with these ids, and those of concurrent calls. Empty if the catalog is
    /// unavailable.
    pub(super) async fn places(&self, ids: Vec<Id>) -> Places {
        if ids.len() > GATHERED_IDS_MAX {
            return self.read(ids).await;
        }
        loop {
            let (answer, mut answered) = oneshot::channel();
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Waiting { ids: ids.clone(), answer });
            let turn = tokio::select! {
                biased;
                read = &mut answered => match read {
                    Ok(places) => return places,
                    // The call that read for this one was cancelled.
                    Err(_) => continue,
                },
                turn = self.turn.lock() => turn,
            };
            let mut gathered = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            // Some callers may have timed out.
            gathered.retain(|waiting| !waiting.answer.is_closed());
            if !gathered.is_empty() {
                let places = self.read(gathered.iter().flat_map(|waiting| &waiting.ids).copied().collect()).await;
                for waiting in gathered {
                    // The caller may be gone.
                    let _ = waiting.answer.send(places.clone());
                }
            }
            drop(turn);
            if let Ok(places) = answered.await {
                return places;
            }
        }
    }

    async fn read(&self, ids: Vec<Id>) -> Places {
        match self.catalog.event_places(ids).await {
            Ok(places) => Arc::new(places),
            Err(error) => {
                tracing::debug!(%error, "event ids could not be looked up");
                Arc::default()
            }
        }
    }
}
