//! A client's catalogue into a gallery: rows are stored as they arrive, a chunk to a transaction.

use bytes::Bytes;
use eyeline_core::{FieldErrors, GalleryId, Timestamp};
use eyeline_store::catalog::dataset::{DatasetLoaded, DatasetRow};
use eyeline_store::{Catalog, PubSub, Result};

use super::rank::gallery_topic;

/// Rows of one transaction.
const CHUNK_ROWS: usize = 1_000;
/// Rejected rows that are told one by one; all of them are counted.
const REJECTED_LISTED_MAX: usize = 1_000;

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectedRow {
    pub row: u64,
    pub errors: FieldErrors,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadSummary {
    pub loaded: DatasetLoaded,
    /// The first thousand.
    pub rejected: Vec<RejectedRow>,
    pub rejected_count: u64,
}

/// A load under way. What [`Load::push`] has returned for may still be in memory; after [`Load::finish`] all of it is
/// stored. A load that is dropped leaves whole chunks, and sending the same rows again is harmless.
pub struct Load<'a> {
    catalog: &'a Catalog,
    pubsub: &'a dyn PubSub,
    gallery_id: GalleryId,
    now: Timestamp,
    chunk: Vec<DatasetRow>,
    summary: LoadSummary,
}

impl<'a> Load<'a> {
    /// `now` is the creation time of new images whose row tells none.
    pub fn new(catalog: &'a Catalog, pubsub: &'a dyn PubSub, gallery_id: GalleryId, now: Timestamp) -> Self {
        let (chunk, summary) = (Vec::new(), LoadSummary::default());
        Load { catalog, pubsub, gallery_id, now, chunk, summary }
    }

    /// Takes row number `row`, or notes why it cannot be taken.
    pub async fn push(&mut self, row: u64, read: Result<DatasetRow, FieldErrors>) -> Result<()> {
        match read {
            Ok(read) => self.chunk.push(read),
            Err(errors) => {
                self.summary.rejected_count += 1;
                if self.summary.rejected.len() < REJECTED_LISTED_MAX {
                    self.summary.rejected.push(RejectedRow { row, errors });
                }
            }
        }
        if self.chunk.len() >= CHUNK_ROWS { self.store().await } else { Ok(()) }
    }

    pub async fn finish(mut self) -> Result<LoadSummary> {
        self.store().await?;
        Ok(self.summary)
    }

    async fn store(&mut self) -> Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.chunk);
        let loaded = self.catalog.load_dataset(self.gallery_id, rows, self.now).await?;
        self.summary.loaded.created += loaded.created;
        self.summary.loaded.updated += loaded.updated;
        self.summary.loaded.unchanged += loaded.unchanged;
        self.pubsub.publish(&gallery_topic(self.gallery_id), Bytes::new()).await
    }
}
