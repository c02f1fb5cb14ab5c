//! Counts views and clicks of a gallery's images.

use std::collections::BTreeMap;

use arrow_array::Array as _;
use eyeline_core::event::ImageRef;
use eyeline_core::{GalleryId, ImageId, Timestamp};
use hashbrown::HashMap;
use serde::Deserialize;
use uuid::Uuid;

use super::buckets::Buckets;
use crate::batch::Columns;
use crate::budget::Budget;
use crate::error::Result;
use crate::file::Files;
use crate::scan::{Filter, Snapshot, scan};
use crate::schema::Column;

const ROW_BYTES: usize = 2 * (size_of::<(ImageRef, Acts)>() + 40);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acts {
    pub views: u64,
    pub clicks: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GalleryReport {
    pub total: Acts,
    /// By the name that the sender used.
    pub images: Vec<(ImageRef, Acts)>,
    /// By the position at which a page had served the image, from 1; acts without a valid place receipt are in none.
    pub positions: BTreeMap<u32, Acts>,
    pub buckets: BTreeMap<Timestamp, Acts>,
}

/// The fields that are read of an event's `data`. Their shape was checked at acceptance.
#[derive(Deserialize)]
struct Data<'a> {
    gallery_id: Uuid,
    image_id: Option<Uuid>,
    #[serde(borrow)]
    external_id: Option<std::borrow::Cow<'a, str>>,
}

/// Views and clicks of one gallery. Ignores the filter's category and name.
pub fn gallery(
    files: &Files,
    snapshot: &Snapshot,
    filter: &Filter,
    gallery_id: GalleryId,
    buckets: &Buckets,
    budget: &Budget,
) -> Result<GalleryReport> {
    let filter = Filter { category: Some("gallery".to_owned()), name: None, ..filter.clone() };
    let mut report = GalleryReport::default();
    let mut images: HashMap<ImageRef, Acts> = HashMap::new();
    let columns = [Column::Timestamp, Column::Name, Column::Data, Column::Place];
    scan(files, snapshot, &filter, &columns, budget, |batch, rows| {
        let columns = Columns(batch);
        let (times, texts) = (columns.times(Column::Timestamp)?, columns.texts(Column::Data)?);
        let (names, places) = (columns.words(Column::Name)?, columns.served_places()?);
        for row in rows.iter().map(|row| *row as usize) {
            let act = match names.at(row) {
                "view" => Acts { views: 1, clicks: 0 },
                "click" => Acts { views: 0, clicks: 1 },
                _ => continue,
            };
            let Ok(data) = serde_json::from_str::<Data<'_>>(texts.value(row)) else { continue };
            if data.gallery_id != gallery_id.0 {
                continue;
            }
            let by_name = || data.external_id.map(|name| ImageRef::External(name.into_owned()));
            let Some(image) = data.image_id.map(|id| ImageRef::Id(ImageId(id))).or_else(by_name) else { continue };
            images.entry(image).or_default().add(act);
            report.total.add(act);
            if !places.is_null(row) {
                report.positions.entry(places.value(row).saturating_add(1)).or_default().add(act);
            }
            let bucket = buckets.begin_of(Timestamp::from_micros(times.value(row)));
            report.buckets.entry(bucket).or_default().add(act);
        }
        budget.check_bytes((images.capacity() + report.positions.len() + report.buckets.len()) * ROW_BYTES)
    })?;
    report.images = images.into_iter().collect();
    Ok(report)
}

impl Acts {
    pub fn add(&mut self, other: Acts) {
        self.views += other.views;
        self.clicks += other.clicks;
    }
}
