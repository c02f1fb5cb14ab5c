//! Reads of a gallery for ranking and pages.

use eyeline_core::ranking::{Counts, Learnt, RankedImage};
use eyeline_core::{AccessClass, GalleryId, ImageId, ImageState, Tier, Timestamp, Visibility};
use futures::FutureExt as _;

use super::Catalog;
use super::galleries::{Gallery, gallery};
use super::learning::{read_evidence, read_learnt};
use crate::error::{Error, Result};
use crate::params;
use crate::sql::{Row, Tx, Value};

/// A position in the sequence of a gallery's changes: a revision, and an ordinal within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeMark {
    pub revision: i64,
    pub ordinal: i64,
}

impl ChangeMark {
    /// The position before every change.
    pub const START: ChangeMark = ChangeMark { revision: -1, ordinal: -1 };
}

/// A part of a gallery's changes.
#[derive(Clone, Debug)]
pub struct GalleryChanges {
    pub gallery: Gallery,
    /// The gallery's revision in the snapshot that was read.
    pub revision: i64,
    pub item_revision: i64,
    pub learnt: Learnt,
    pub images: Vec<(u32, RankedImage)>,
    /// The position where the next reading continues.
    pub mark: ChangeMark,
    /// False if there is more to read.
    pub complete: bool,
}

/// The parts of an image that a page shows, without its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct GalleryItem {
    pub ordinal: u32,
    pub image_id: ImageId,
    pub external_id: Option<String>,
    pub name: Option<String>,
    pub filename: String,
    /// The address of a dataset image.
    pub url: Option<String>,
    pub link: Option<String>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub thumbhash: Option<Vec<u8>>,
    pub visibility: Visibility,
    /// By width, smallest first. One name may have several, of different media types.
    pub versions: Vec<ItemVersion>,
}

/// The object of a version, and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemVersion {
    pub name: String,
    pub object_key: String,
    pub content_type: String,
    pub width: u32,
    pub height: u32,
}

/// The revisions of a gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revisions {
    pub all: i64,
    pub items: i64,
}

impl Catalog {
    /// Up to `limit` images of the gallery changed after `after`, in the order of their changes. `None` if the gallery
    /// is gone. Applying the answers until `complete` gives the state of the last snapshot: an image that changes
    /// meanwhile comes again.
    pub async fn gallery_changes(
        &self,
        gallery_id: GalleryId,
        after: ChangeMark,
        limit: u32,
    ) -> Result<Option<GalleryChanges>> {
        self.db.read(move |tx| async move { changes(tx, gallery_id, after, limit).await }.boxed()).await
    }

    /// The revisions of those galleries that exist: of everything, and of what pages show apart from numbers.
    pub async fn gallery_revisions(&self, galleries: &[GalleryId]) -> Result<Vec<(GalleryId, Revisions)>> {
        let rows: Vec<Vec<Value>> = galleries.iter().map(|gallery_id| vec![(*gallery_id).into()]).collect();
        let sql = "SELECT g.gallery_id, g.revision, g.item_revision FROM galleries g
                   JOIN (VALUES {rows}) AS v ON g.gallery_id = v.column1
                   JOIN projects p ON p.project_id = g.project_id
                   WHERE g.deleted_at IS NULL AND p.deleted_at IS NULL";
        self.db
            .read(move |tx| {
                async move {
                    let found = tx.query_rows(sql, &rows).await?;
                    let read = |mut row: Row| {
                        let revisions = Revisions { all: row.take("revision")?, items: row.take("item_revision")? };
                        Ok((row.take("gallery_id")?, revisions))
                    };
                    found.into_iter().map(read).collect()
                }
                .boxed()
            })
            .await
    }

    /// The page items of the images with these ordinals, in no order. Deleted images are missing.
    pub async fn gallery_items(&self, gallery_id: GalleryId, ordinals: &[u32]) -> Result<Vec<GalleryItem>> {
        let rows: Vec<Vec<Value>> = ordinals.iter().map(|ordinal| vec![gallery_id.into(), (*ordinal).into()]).collect();
        let sql =
            "SELECT gi.ordinal, gi.image_id, gi.external_id, i.name, i.filename, i.url, i.link, i.width, i.height,
                    i.thumbhash, i.visibility, w.name AS version, w.object_key, w.content_type,
                    w.width AS version_width, w.height AS version_height
             FROM (VALUES {rows}) AS v
             JOIN gallery_images gi ON gi.gallery_id = v.column1 AND gi.ordinal = v.column2
             JOIN images i ON i.image_id = gi.image_id
             LEFT JOIN versions w ON w.image_id = i.image_id
             ORDER BY gi.ordinal, w.width";
        self.db.read(move |tx| async move { read_items(tx.query_rows(sql, &rows).await?) }.boxed()).await
    }

    /// The ordinal of an image in the gallery, also if it was removed.
    pub async fn gallery_ordinal(&self, gallery_id: GalleryId, image_id: ImageId) -> Result<Option<u32>> {
        let sql = "SELECT ordinal FROM gallery_images WHERE gallery_id = $1 AND image_id = $2";
        self.db
            .read(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![gallery_id, image_id]).await?;
                    row.map(|mut row| row.take("ordinal")).transpose()
                }
                .boxed()
            })
            .await
    }
}

async fn changes(tx: &mut Tx, gallery_id: GalleryId, after: ChangeMark, limit: u32) -> Result<Option<GalleryChanges>> {
    let Some(gallery) = gallery(tx, gallery_id).await? else { return Ok(None) };
    let reached = "SELECT revision, item_revision, learnt FROM galleries WHERE gallery_id = $1";
    let row = tx.query_one(reached, params![gallery_id]).await?;
    let mut row = row.ok_or(Error::NotFound("gallery"))?;
    let (revision, item_revision): (i64, i64) = (row.take("revision")?, row.take("item_revision")?);
    let learnt = read_learnt(&mut row)?;
    let changed = "SELECT gi.ordinal, gi.revision, gi.views, gi.clicks,
                          gi.ignored_views, gi.ignored_clicks, gi.evidence, gi.listed,
                          i.created_at, i.state, i.visibility, i.access_tier
                   FROM gallery_images gi LEFT JOIN images i ON i.image_id = gi.image_id
                   WHERE gi.gallery_id = $1 AND (gi.revision, gi.ordinal) > ($2, $3)
                   ORDER BY gi.revision, gi.ordinal
                   LIMIT $4";
    let rows = tx.query(changed, params![gallery_id, after.revision, after.ordinal, limit]).await?;
    let complete = rows.len() < limit as usize;
    let mut mark = after;
    let mut images = Vec::with_capacity(rows.len());
    for mut row in rows {
        mark = ChangeMark { revision: row.take("revision")?, ordinal: row.take("ordinal")? };
        let ordinal = u32::try_from(mark.ordinal)
            .map_err(|_| Error::Corrupt(format!("ordinal {} of a gallery is out of range", mark.ordinal)))?;
        images.push((ordinal, read_ranked_image(row)?));
    }
    Ok(Some(GalleryChanges { gallery, revision, item_revision, learnt, images, mark, complete }))
}

fn read_ranked_image(mut row: Row) -> Result<RankedImage> {
    let listed: bool = row.take("listed")?;
    let state: Option<ImageState> = row.take("state")?;
    let seen = (row.take::<Option<Visibility>>("visibility")?, row.take::<Option<Tier>>("access_tier")?);
    let shown_to = match (state, seen) {
        (Some(ImageState::Done), (Some(visibility), Some(access_tier))) if listed => {
            Some(AccessClass::least(visibility, access_tier))
        }
        _ => None,
    };
    Ok(RankedImage {
        created_at: row.take::<Option<Timestamp>>("created_at")?.unwrap_or_default(),
        counts: Counts { views: row.take("views")?, clicks: row.take("clicks")? },
        ignored: Counts { views: row.take("ignored_views")?, clicks: row.take("ignored_clicks")? },
        evidence: read_evidence(&mut row)?,
        shown_to,
    })
}

/// The rows are sorted by ordinal: one for each version, or one for an image without versions.
fn read_items(rows: Vec<Row>) -> Result<Vec<GalleryItem>> {
    let mut items: Vec<GalleryItem> = Vec::new();
    for mut row in rows {
        let ordinal: u32 = row.take("ordinal")?;
        let version = match row.take::<Option<String>>("version")? {
            None => None,
            Some(name) => Some(ItemVersion {
                name,
                object_key: row.take("object_key")?,
                content_type: row.take("content_type")?,
                width: row.take("version_width")?,
                height: row.take("version_height")?,
            }),
        };
        if let Some(item) = items.last_mut().filter(|item| item.ordinal == ordinal) {
            item.versions.extend(version);
            continue;
        }
        items.push(GalleryItem {
            ordinal,
            image_id: row.take("image_id")?,
            external_id: row.take("external_id")?,
            name: row.take("name")?,
            filename: row.take("filename")?,
            url: row.take("url")?,
            link: row.take("link")?,
            width: row.take("width")?,
            height: row.take("height")?,
            thumbhash: row.take("thumbhash")?,
            visibility: row.take("visibility")?,
            versions: version.into_iter().collect(),
        });
    }
    Ok(items)
}
