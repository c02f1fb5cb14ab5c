//! Events with a sender's id that this process is accepting or has accepted recently.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Id;

const KEPT_MAX: usize = 64 * 1024;
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a kept id: its entries in the map and in the order.
const ENTRY_BYTES: usize = 128;
pub const MEMORY_BYTES: usize = KEPT_BYTES_MAX + KEPT_MAX * ENTRY_BYTES;

#[derive(Default)]
pub(super) struct Recent(Mutex<State>);

#[derive(Default)]
struct State {
    /// Being accepted by a call. The sender drops when that call ends.
    claimed: HashMap<Id, watch::Receiver<()>>,
    kept: HashMap<Id, Arc<[u8]>>,
    /// The kept ids, oldest first.
    order: VecDeque<Id>,
    bytes: usize,
}

/// The state of an id.
pub(super) enum Claim {
    /// Unknown: the caller accepts it. Events without an id always are.
    Ours,
    /// The record of the first event.
    Known(Arc<[u8]>),
    /// Another call is accepting it.
    Busy(OtherCall),
}

pub(super) struct OtherCall(watch::Receiver<()>);

impl OtherCall {
    pub(super) async fn ended(mut self) {
        // Nothing is ever sent: this returns when the sender is dropped.
        while self.0.changed().await.is_ok() {}
    }
}

/// The ids that a call is accepting. Drop releases them and wakes the calls that wait for them.
pub(super) struct Claims<'a> {
    recent: &'a Recent,
    ids: Vec<Id>,
    _end: Option<watch::Sender<()>>,
}

impl Recent {
    pub(super) fn claim(&self, ids: &[Option<Id>]) -> (Claims<'_>, Vec<Claim>) {
        let mut claims = Claims { recent: self, ids: Vec::new(), _end: None };
        if ids.iter().all(Option::is_none) {
            return (claims, ids.iter().map(|_| Claim::Ours).collect());
        }
        let (end, ended) = watch::channel(());
        claims._end = Some(end);
        let mut state = self.lock();
        let mut verdicts = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(id) = id else {
                verdicts.push(Claim::Ours);
                continue;
            };
            if let Some(record) = state.kept.get(id) {
                verdicts.push(Claim::Known(record.clone()));
            } else if let Some(other) = state.claimed.get(id) {
                verdicts.push(Claim::Busy(OtherCall(other.clone())));
            } else {
                state.claimed.insert(*id, ended.clone());
                claims.ids.push(*id);
                verdicts.push(Claim::Ours);
            }
        }
        (claims, verdicts)
    }

    /// The record of a recently accepted event.
    pub(super) fn get(&self, id: &Id) -> Option<Arc<[u8]>> {
        self.lock().kept.get(id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claims<'_> {
    /// Remembers the accepted events, then releases the claims.
    pub(super) fn keep(self, accepted: Vec<(Id, Arc<[u8]>)>) {
        if accepted.is_empty() {
            return;
        }
        let mut state = self.recent.lock();
        for (id, record) in accepted {
            state.bytes += record.len();
            state.kept.insert(id, record);
            state.order.push_back(id);
        }
        while state.order.len() > KEPT_MAX || state.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = state.order.pop_front() else { break };
            if let Some(record) = state.kept.remove(&oldest) {
                state.bytes -= record.len();
            }
        }
    }
}

impl Drop for Claims<'_> {
    fn drop(&mut self) {
        if self.ids.is_empty() {
            return;
        }
        let mut state = self.recent.lock();
        for id in &self.ids {
            state.claimed.remove(id);
        }
    }
}
