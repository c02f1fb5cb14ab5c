//! Loads a client's catalogue into a gallery. Rows are stored as they arrive, one chunk in each transaction.

use std::sync::Arc;

use eyeline_core::{FieldErrors, GalleryId, Timestamp};
use eyeline_store::catalog::dataset::{DatasetLoaded, DatasetRow, Ordinals};
use eyeline_store::{Catalog, PubSub, Result};

use crate::flow::hints;

/// Rows of one transaction.
const CHUNK_ROWS: usize = 1_000;
/// Rejected rows that are listed. All of them are counted.
const REJECTED_LISTED_MAX: usize = 1_000;

/// The reason why a row is invalid.
#[derive(Clone, Debug, PartialEq)]
pub struct BadRow {
    /// The image that the row names, if that could be read.
    pub external_id: Option<String>,
    pub errors: FieldErrors,
}

/// A rejected row.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectedRow {
    pub row: u64,
    pub errors: FieldErrors,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadSummary {
    pub loaded: DatasetLoaded,
    /// Images removed from the gallery.
    pub removed: u64,
    /// One sentence that says why a full feed removed nothing.
    pub not_removed: Option<&'static str>,
    /// The first `REJECTED_LISTED_MAX`, in row order.
    pub rejected: Vec<RejectedRow>,
    pub rejected_count: u64,
}

/// The target of a load.
#[derive(Clone, Copy, Debug)]
pub struct LoadInto {
    pub gallery_id: GalleryId,
    /// The most images that the project may hold.
    pub images_max: Option<u64>,
    /// The load holds every image of the dataset. Images of earlier loads that it lacks are removed from the gallery.
    pub is_full: bool,
}

/// A load under way. Rows passed to [`Load::push`] may still be in memory; [`Load::finish`] stores all of them. A
/// dropped load leaves whole chunks and removes nothing. Sending the same rows again is harmless.
pub struct Load<'a> {
    catalog: &'a Catalog,
    pubsub: &'a dyn PubSub,
    into: LoadInto,
    now: Timestamp,
    /// The rows with their numbers.
    chunk: Vec<(u64, DatasetRow)>,
    full: Option<FullFeed>,
    summary: LoadSummary,
}

/// The images that a full feed names.
struct FullFeed {
    /// The first ordinal not yet given when the load began. Images from it on are not removed.
    end: u32,
    named: Ordinals,
    /// Images of rejected rows, which stay unchanged.
    rejected: Vec<String>,
    has_unreadable_rows: bool,
}

impl<'a> Load<'a> {
    /// `now` is the creation time of new images whose row states none.
    pub async fn begin(catalog: &'a Catalog, pubsub: &'a dyn PubSub, into: LoadInto, now: Timestamp) -> Result<Self> {
        let mut full = None;
        if into.is_full {
            let end = catalog.next_ordinal(into.gallery_id).await?;
            full = Some(FullFeed { end, named: Ordinals::default(), rejected: Vec::new(), has_unreadable_rows: false });
        }
        Ok(Load { catalog, pubsub, into, now, chunk: Vec::new(), full, summary: LoadSummary::default() })
    }

    /// Adds row number `row`, which stands for `rows` rows of the stream. `None` changes nothing.
    pub async fn push(&mut self, row: u64, rows: u64, read: Result<Option<DatasetRow>, BadRow>) -> Result<()> {
        match read {
            Ok(None) => self.summary.loaded.unchanged += rows,
            Ok(Some(read)) => {
                self.summary.loaded.unchanged += rows - 1;
                self.chunk.push((row, read));
            }
            Err(BadRow { external_id, errors }) => {
                self.reject(row, rows, errors);
                if let Some(full) = &mut self.full {
                    full.has_unreadable_rows |= external_id.is_none();
                    full.rejected.extend(external_id);
                }
            }
        }
        let rejected = self.full.as_ref().map_or(0, |full| full.rejected.len());
        if self.chunk.len() >= CHUNK_ROWS || rejected >= CHUNK_ROWS { self.store().await } else { Ok(()) }
    }

    pub async fn finish(mut self) -> Result<LoadSummary> {
        self.store().await?;
        if let Some(full) = self.full.take() {
            self.remove_absent(full).await?;
        }
        self.summary.rejected.sort_by_key(|rejected| rejected.row);
        Ok(self.summary)
    }

    fn reject(&mut self, row: u64, rows: u64, errors: FieldErrors) {
        self.summary.rejected_count += rows;
        if self.summary.rejected.len() < REJECTED_LISTED_MAX {
            self.summary.rejected.push(RejectedRow { row, errors });
        }
    }

    /// Whether no row is in memory.
    pub fn is_stored(&self) -> bool {
        self.chunk.is_empty() && self.full.as_ref().is_none_or(|full| full.rejected.is_empty())
    }

    /// Stores the rows that are in memory.
    pub async fn store(&mut self) -> Result<()> {
        let LoadInto { gallery_id, images_max, .. } = self.into;
        if let Some(full) = &mut self.full {
            let rejected = std::mem::take(&mut full.rejected);
            full.named.extend(self.catalog.dataset_ordinals(gallery_id, rejected).await?);
        }
        if self.chunk.is_empty() {
            return Ok(());
        }
        let (numbers, rows): (Vec<u64>, Vec<DatasetRow>) = std::mem::take(&mut self.chunk).into_iter().unzip();
        let stored = self.catalog.load_dataset(gallery_id, rows, images_max, self.now).await?;
        self.summary.loaded += stored.loaded;
        for index in stored.over_quota {
            let images_max = images_max.unwrap_or_default();
            let sentence = format!("The project holds {images_max} images, the most that it may hold.");
            self.reject(numbers[index], 1, FieldErrors::one("row", sentence));
        }
        if let Some(full) = &mut self.full {
            full.named.extend(stored.ordinals);
        }
        hints::gallery_changed(self.pubsub, gallery_id).await;
        Ok(())
    }

    async fn remove_absent(&mut self, full: FullFeed) -> Result<()> {
        if full.has_unreadable_rows {
            let sentence = "Nothing was removed: some rows are unreadable, and the images that they name are unknown.";
            self.summary.not_removed = Some(sentence);
            return Ok(());
        }
        if full.named.is_empty() {
            self.summary.not_removed = Some("Nothing was removed: no row of the feed was stored.");
            return Ok(());
        }
        let gallery_id = self.into.gallery_id;
        let named = Arc::new(full.named);
        let mut from = 0;
        while from < full.end {
            let step = self.catalog.remove_absent(gallery_id, from..full.end, named.clone()).await?;
            self.summary.removed += step.removed;
            from = step.next;
        }
        hints::gallery_changed(self.pubsub, gallery_id).await;
        Ok(())
    }
}
