//! Open transfers of files: at most one for each image. A client whose connection broke may send again before the
//! server notices. Therefore a newer transfer ends the older one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eyeline_core::ImageId;
use tokio_util::sync::CancellationToken;

/// Cheap to clone. Holds an entry for each open transfer.
#[derive(Clone, Default)]
pub struct Transfers(Arc<Mutex<HashMap<ImageId, Arc<CancellationToken>>>>);

/// A transfer, until it is dropped.
pub struct Transfer {
    transfers: Transfers,
    image_id: ImageId,
    replaced: Arc<CancellationToken>,
}

impl Transfers {
    /// Begins a transfer and ends an open one of the same image.
    pub fn begin(&self, image_id: ImageId) -> Transfer {
        let replaced = Arc::new(CancellationToken::new());
        if let Some(older) = self.lock().insert(image_id, replaced.clone()) {
            older.cancel();
        }
        Transfer { transfers: self.clone(), image_id, replaced }
    }

    /// True while a transfer of the image is open.
    pub fn is_open(&self, image_id: ImageId) -> bool {
        self.lock().contains_key(&image_id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ImageId, Arc<CancellationToken>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transfer {
    /// Returns once a newer transfer of the image has begun.
    pub async fn replaced(&self) {
        self.replaced.cancelled().await;
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        let mut open = self.transfers.lock();
        if open.get(&self.image_id).is_some_and(|newest| Arc::ptr_eq(newest, &self.replaced)) {
            open.remove(&self.image_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_newer_transfer_of_an_image_ends_the_older_one() {
        let transfers = Transfers::default();
        let [one, other] = [1, 2].map(|number| ImageId(Uuid::from_u128(number)));
        let (older, apart) = (transfers.begin(one), transfers.begin(other));
        let newer = transfers.begin(one);
        assert!(older.replaced().now_or_never().is_some());
        assert!(newer.replaced().now_or_never().is_none() && apart.replaced().now_or_never().is_none());
        drop(older);
        assert_eq!(transfers.lock().len(), 2);
        drop((newer, apart));
        assert!(transfers.lock().is_empty());
    }
}
