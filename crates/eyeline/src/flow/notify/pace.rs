//! At most one message a second for each gallery. The last of a burst is never left out.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use eyeline_core::GalleryId;
use tokio::time::Instant;

const SPAN: Duration = Duration::from_secs(1);
/// Galleries that may report new orders within a span. Further ones are dropped.
pub(super) const GALLERIES_MAX: u32 = 1_000;

#[derive(Default)]
pub(super) struct Pace {
    /// The galleries reported within the last span; true if another order came since.
    told: HashMap<GalleryId, bool>,
    /// The ends of those spans, earliest first.
    ends: VecDeque<(Instant, GalleryId)>,
}

impl Pace {
    /// True if the gallery may be reported now. If not, [`Pace::due`] returns it when its span ends.
    pub(super) fn take(&mut self, gallery_id: GalleryId) -> bool {
        if let Some(again) = self.told.get_mut(&gallery_id) {
            *again = true;
            return false;
        }
        if self.told.len() >= GALLERIES_MAX as usize {
            return false;
        }
        self.begin(gallery_id);
        true
    }

    /// Waits until a gallery with a newer order may be reported again.
    pub(super) async fn due(&mut self) -> GalleryId {
        loop {
            let Some((end, gallery_id)) = self.ends.front().copied() else {
                return std::future::pending().await;
            };
            tokio::time::sleep_until(end).await;
            self.ends.pop_front();
            if self.told.remove(&gallery_id) == Some(true) {
                self.begin(gallery_id);
                return gallery_id;
            }
        }
    }

    fn begin(&mut self, gallery_id: GalleryId) {
        self.told.insert(gallery_id, false);
        self.ends.push_back((Instant::now() + SPAN, gallery_id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: GalleryId = GalleryId(uuid::Uuid::from_u128(1));
    const B: GalleryId = GalleryId(uuid::Uuid::from_u128(2));

    #[tokio::test]
    async fn the_first_order_is_told_at_once_and_the_last_of_a_burst_after_a_second() {
        let mut pace = Pace::default();
        let began = Instant::now();
        assert!(pace.take(A));
        assert!(pace.take(B), "another gallery has a pace of its own");
        assert!(!pace.take(A) && !pace.take(A));
        assert_eq!(pace.due().await, A);
        assert!(began.elapsed() >= SPAN);
        assert!(!pace.take(A), "what was told late counts as well");
        assert_eq!(pace.due().await, A);
        assert!(began.elapsed() >= 2 * SPAN);
    }

    #[tokio::test]
    async fn a_gallery_that_was_quiet_for_a_second_is_told_of_at_once() {
        let mut pace = Pace::default();
        assert!(pace.take(A));
        let quiet = tokio::time::timeout(SPAN + SPAN / 4, pace.due()).await;
        assert!(quiet.is_err(), "there is nothing to tell");
        assert!(pace.take(A));
    }
}
