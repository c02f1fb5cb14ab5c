//! Open transfers of files: at most one for each upload link. A client whose connection broke may send again before the
//! server notices. Therefore a newer transfer ends the older one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eyeline_core::ImageId;
use tokio_util::sync::CancellationToken;

/// Cheap to clone. Holds an entry for each open transfer.
#[derive(Clone, Default)]
pub struct Transfers(Arc<Mutex<HashMap<Sent, Arc<CancellationToken>>>>);

/// An image whose whole file is sent, or the part of this number.
type Sent = (ImageId, Option<u32>);

/// A transfer, until it is dropped.
pub struct Transfer {
    transfers: Transfers,
    sent: Sent,
    replaced: Arc<CancellationToken>,
}

impl Transfers {
    /// Begins a transfer of an image's file, or of a part of it, and ends an open one of the same.
    pub fn begin(&self, image_id: ImageId, part: Option<u32>) -> Transfer {
        let (sent, replaced) = ((image_id, part), Arc::new(CancellationToken::new()));
        if let Some(older) = self.lock().insert(sent, replaced.clone()) {
            older.cancel();
        }
        Transfer { transfers: self.clone(), sent, replaced }
    }

    /// True while a transfer of an image's file, or of a part of it, is open.
    pub fn is_open(&self, image_id: ImageId, part: Option<u32>) -> bool {
        self.lock().contains_key(&(image_id, part))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Sent, Arc<CancellationToken>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transfer {
    /// Returns once a newer transfer of the same has begun.
    pub async fn replaced(&self) {
        self.replaced.cancelled().await;
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        let mut open = self.transfers.lock();
        if open.get(&self.sent).is_some_and(|newest| Arc::ptr_eq(newest, &self.replaced)) {
            open.remove(&self.sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_newer_transfer_of_a_file_or_part_ends_the_older_one() {
        let transfers = Transfers::default();
        let [one, other] = [1, 2].map(|number| ImageId(Uuid::from_u128(number)));
        for (sent, beside) in [((one, None), (other, None)), ((one, Some(1)), (one, Some(2)))] {
            let (older, apart) = (transfers.begin(sent.0, sent.1), transfers.begin(beside.0, beside.1));
            let newer = transfers.begin(sent.0, sent.1);
            assert!(older.replaced().now_or_never().is_some());
            assert!(newer.replaced().now_or_never().is_none() && apart.replaced().now_or_never().is_none());
            drop(older);
            assert_eq!(transfers.lock().len(), 2);
            drop((newer, apart));
            assert!(transfers.lock().is_empty());
        }
    }
}
