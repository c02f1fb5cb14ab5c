//! Loads a client's catalogue into a gallery, one chunk of rows at a time.

use std::collections::HashMap;
use std::ops::{AddAssign, Range};
use std::sync::Arc;

use eyeline_core::{GalleryId, ImageId, ImageState, ProjectId, Tier, Timestamp, Visibility};
use futures::FutureExt as _;
use percent_encoding::percent_decode_str;

use super::galleries::{images_changed, lock, raise_revision};
use super::{Catalog, uploads};
use crate::error::{Error, Result};
use crate::params;
use crate::sql::{Row, Tx, Value};

/// One image of a client's catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetRow {
    /// The id of the new image if the gallery does not know `external_id` yet.
    pub new_image_id: ImageId,
    pub external_id: String,
    pub name: Option<String>,
    pub url: String,
    pub link: Option<String>,
    pub tags: Vec<String>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// `None` for these three keeps the values of an image. A new image is created now, public and free.
    pub created_at: Option<Timestamp>,
    pub visibility: Option<Visibility>,
    pub access_tier: Option<Tier>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DatasetLoaded {
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
}

impl AddAssign for DatasetLoaded {
    fn add_assign(&mut self, more: Self) {
        self.created += more.created;
        self.updated += more.updated;
        self.unchanged += more.unchanged;
    }
}

/// The outcome of a chunk of rows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ChunkStored {
    pub loaded: DatasetLoaded,
    /// Indexes in the chunk of rows that exceed the project's limit of images.
    pub over_quota: Vec<usize>,
    /// The ordinals of the images that the rows name.
    pub ordinals: Vec<u32>,
}

/// A set of ordinals of a gallery, with one bit for each.
#[derive(Clone, Debug, Default)]
pub struct Ordinals(Vec<u64>);

impl Ordinals {
    pub fn contains(&self, ordinal: u32) -> bool {
        self.0.get(ordinal as usize / 64).is_some_and(|word| word & (1 << (ordinal % 64)) != 0)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Extend<u32> for Ordinals {
    fn extend<T: IntoIterator<Item = u32>>(&mut self, ordinals: T) {
        for ordinal in ordinals {
            let word = ordinal as usize / 64;
            if word >= self.0.len() {
                self.0.resize(word + 1, 0);
            }
            self.0[word] |= 1 << (ordinal % 64);
        }
    }
}

/// The outcome of a step of [`Catalog::remove_absent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemovedAbsent {
    pub removed: u64,
    /// The start of the next step. After the last step it is the end of the range.
    pub next: u32,
}

/// Images that one step of [`Catalog::remove_absent`] reads.
const STEP_IMAGES: u32 = 1_000;

/// The stored values of a row.
#[derive(Clone, PartialEq)]
struct Picture {
    image_id: ImageId,
    name: Option<String>,
    url: Option<String>,
    link: Option<String>,
    /// The JSON text.
    tags: String,
    width: Option<u32>,
    height: Option<u32>,
    created_at: Timestamp,
    visibility: Visibility,
    access_tier: Tier,
}

/// By external id.
type Pictures = HashMap<String, Known>;

struct Known {
    write: Write,
    /// True if an earlier full feed removed the image, and it comes back.
    returns: bool,
    /// `None` before the image is inserted.
    ordinal: Option<u32>,
    picture: Picture,
}

#[derive(Clone, Copy, PartialEq)]
enum Write {
    Nothing,
    Insert,
    Update,
}

impl Catalog {
    /// Stores rows in one transaction. Unknown `external_id`s become new images behind all others; known ones get the
    /// row's values. Of rows with the same `external_id` the last one counts. An image that a full feed removed returns
    /// with its counters. Rows beyond `images_max` images of the project are left out.
    pub async fn load_dataset(
        &self,
        gallery_id: GalleryId,
        rows: Vec<DatasetRow>,
        images_max: Option<u64>,
        now: Timestamp,
    ) -> Result<ChunkStored> {
        self.db.write(move |tx| load(tx, gallery_id, rows, images_max, now).boxed()).await
    }

    /// The ordinal of the gallery's next image.
    pub async fn next_ordinal(&self, gallery_id: GalleryId) -> Result<u32> {
        let sql = "SELECT next_ordinal FROM galleries WHERE gallery_id = $1 AND deleted_at IS NULL";
        self.db
            .read(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![gallery_id]).await?;
                    row.ok_or(Error::NotFound("gallery"))?.take("next_ordinal")
                }
                .boxed()
            })
            .await
    }

    /// The ordinals of those images of the gallery that have these external ids.
    pub async fn dataset_ordinals(&self, gallery_id: GalleryId, external_ids: Vec<String>) -> Result<Vec<u32>> {
        let sql = "SELECT gi.ordinal FROM (VALUES {rows}) AS v
                   JOIN gallery_images gi ON gi.gallery_id = v.column1 AND gi.external_id = v.column2";
        let rows: Vec<Vec<Value>> = external_ids.into_iter().map(|id| vec![gallery_id.into(), id.into()]).collect();
        let read = |mut row: Row| row.take("ordinal");
        self.db
            .read(move |tx| async move { tx.query_rows(sql, &rows).await?.into_iter().map(read).collect() }.boxed())
            .await
    }

    /// Removes from the gallery the dataset images that are not `named`, among the first 1,000 images of the range.
    /// Their counters stay, for their return. Uploads and images removed before stay as they are.
    pub async fn remove_absent(
        &self,
        gallery_id: GalleryId,
        range: Range<u32>,
        named: Arc<Ordinals>,
    ) -> Result<RemovedAbsent> {
        self.db.write(move |tx| async move { remove_absent(tx, gallery_id, range, &named).await }.boxed()).await
    }
}

async fn remove_absent(
    tx: &mut Tx,
    gallery_id: GalleryId,
    range: Range<u32>,
    named: &Ordinals,
) -> Result<RemovedAbsent> {
    lock(tx, [gallery_id]).await?;
    let listed = "SELECT gi.ordinal FROM gallery_images gi JOIN images i ON i.image_id = gi.image_id
                  WHERE gi.gallery_id = $1 AND gi.ordinal >= $2 AND gi.ordinal < $3
                    AND gi.listed AND gi.external_id IS NOT NULL AND i.url IS NOT NULL
                  ORDER BY gi.ordinal LIMIT $4";
    let rows = tx.query(listed, params![gallery_id, range.start, range.end, STEP_IMAGES]).await?;
    let is_last = rows.len() < STEP_IMAGES as usize;
    let ordinals = rows.into_iter().map(|mut row| row.take("ordinal")).collect::<Result<Vec<u32>>>()?;
    let next = ordinals.last().filter(|_| !is_last).map_or(range.end, |last| last + 1);
    let absent: Vec<u32> = ordinals.into_iter().filter(|ordinal| !named.contains(*ordinal)).collect();
    if absent.is_empty() {
        return Ok(RemovedAbsent { removed: 0, next });
    }
    let revision = raise_revision(tx, gallery_id).await?;
    let rows: Vec<Vec<Value>> = absent
        .into_iter()
        .map(|ordinal| vec![gallery_id.into(), ordinal.into(), false.into(), true.into(), revision.into()])
        .collect();
    let sql = "UPDATE gallery_images SET listed = v.column3, left_feed = v.column4, revision = v.column5
               FROM (VALUES {rows}) AS v
               WHERE gallery_images.gallery_id = v.column1 AND gallery_images.ordinal = v.column2";
    let removed = tx.execute_rows(sql, &rows).await?;
    Ok(RemovedAbsent { removed, next })
}

async fn load(
    tx: &mut Tx,
    gallery_id: GalleryId,
    rows: Vec<DatasetRow>,
    images_max: Option<u64>,
    now: Timestamp,
) -> Result<ChunkStored> {
    lock(tx, [gallery_id]).await?;
    let project = "SELECT project_id FROM galleries WHERE gallery_id = $1 AND deleted_at IS NULL";
    let row = tx.query_one(project, params![gallery_id]).await?;
    let project_id: ProjectId = row.ok_or(Error::NotFound("gallery"))?.take("project_id")?;
    let mut places = match images_max {
        None => u64::MAX,
        Some(images_max) => uploads::places_left(tx, project_id, images_max).await?,
    };

    let mut pictures = known(tx, gallery_id, &rows).await?;
    let mut stored = ChunkStored::default();
    let mut order = Vec::new();
    for (index, row) in rows.into_iter().enumerate() {
        let external_id = row.external_id.clone();
        let found = pictures.get_mut(&external_id);
        let takes_place = found.as_ref().is_none_or(|known| known.returns && known.write == Write::Nothing);
        if takes_place && places == 0 {
            stored.over_quota.push(index);
            continue;
        }
        places -= u64::from(takes_place);
        match found {
            None => {
                stored.loaded.created += 1;
                order.push(external_id.clone());
                let picture = picture(row, now, None)?;
                pictures.insert(external_id, Known { write: Write::Insert, returns: false, ordinal: None, picture });
            }
            Some(known) => {
                let after = picture(row, now, Some(&known.picture))?;
                if known.picture == after && !takes_place {
                    stored.loaded.unchanged += 1;
                    continue;
                }
                stored.loaded.updated += 1;
                known.picture = after;
                if known.write == Write::Nothing {
                    known.write = Write::Update;
                    order.push(external_id);
                }
            }
        }
    }
    bring_back(tx, gallery_id, &pictures).await?;
    update(tx, &written(&order, &pictures, Write::Update), now).await?;
    let inserted = insert(tx, gallery_id, project_id, &written(&order, &pictures, Write::Insert), now).await?;
    stored.ordinals = pictures.values().filter_map(|known| known.ordinal).chain(inserted).collect();
    Ok(stored)
}

fn written<'a>(order: &'a [String], pictures: &'a Pictures, wanted: Write) -> Vec<(&'a str, &'a Picture)> {
    let found = order.iter().filter_map(|external_id| {
        let known = pictures.get(external_id).filter(|known| known.write == wanted)?;
        Some((external_id.as_str(), &known.picture))
    });
    found.collect()
}

/// The gallery's images with the rows' external ids.
async fn known(tx: &mut Tx, gallery_id: GalleryId, rows: &[DatasetRow]) -> Result<Pictures> {
    let asked: Vec<Vec<Value>> =
        rows.iter().map(|row| vec![gallery_id.into(), row.external_id.clone().into()]).collect();
    let sql = "SELECT gi.external_id, gi.ordinal, gi.left_feed, i.image_id, i.name, i.url, i.link, i.tags, i.width,
                      i.height, i.created_at, i.visibility, i.access_tier
               FROM (VALUES {rows}) AS v
               JOIN gallery_images gi ON gi.gallery_id = v.column1 AND gi.external_id = v.column2
               JOIN images i ON i.image_id = gi.image_id";
    let read = |mut row: Row| {
        let picture = Picture {
            image_id: row.take("image_id")?,
            name: row.take("name")?,
            url: row.take("url")?,
            link: row.take("link")?,
            tags: row.take("tags")?,
            width: row.take("width")?,
            height: row.take("height")?,
            created_at: row.take("created_at")?,
            visibility: row.take("visibility")?,
            access_tier: row.take("access_tier")?,
        };
        let (returns, ordinal) = (row.take("left_feed")?, Some(row.take("ordinal")?));
        Ok((row.take("external_id")?, Known { write: Write::Nothing, returns, ordinal, picture }))
    };
    tx.query_rows(sql, &asked).await?.into_iter().map(read).collect()
}

/// Puts images that a full feed removed back into the gallery. The update that follows marks their rows.
async fn bring_back(tx: &mut Tx, gallery_id: GalleryId, pictures: &Pictures) -> Result<()> {
    let back = pictures.values().filter(|known| known.returns && known.write == Write::Update);
    let rows: Vec<Vec<Value>> = back
        .filter_map(|known| Some(vec![gallery_id.into(), known.ordinal?.into(), true.into(), false.into()]))
        .collect();
    let sql = "UPDATE gallery_images SET listed = v.column3, left_feed = v.column4
               FROM (VALUES {rows}) AS v
               WHERE gallery_images.gallery_id = v.column1 AND gallery_images.ordinal = v.column2";
    tx.execute_rows(sql, &rows).await.map(drop)
}

fn picture(row: DatasetRow, now: Timestamp, before: Option<&Picture>) -> Result<Picture> {
    Ok(Picture {
        image_id: before.map_or(row.new_image_id, |before| before.image_id),
        name: row.name,
        url: Some(row.url),
        link: row.link,
        tags: serde_json::to_string(&row.tags).map_err(|error| Error::internal("writing tags", error))?,
        width: row.width,
        height: row.height,
        created_at: row.created_at.or(before.map(|before| before.created_at)).unwrap_or(now),
        visibility: row.visibility.or(before.map(|before| before.visibility)).unwrap_or_default(),
        access_tier: row.access_tier.or(before.map(|before| before.access_tier)).unwrap_or_default(),
    })
}

async fn update(tx: &mut Tx, pictures: &[(&str, &Picture)], now: Timestamp) -> Result<()> {
    if pictures.is_empty() {
        return Ok(());
    }
    let rows: Vec<Vec<Value>> = pictures
        .iter()
        .map(|(_, picture)| {
            vec![
                picture.image_id.into(),
                picture.name.clone().into(),
                picture.url.clone().into(),
                picture.link.clone().into(),
                picture.tags.clone().into(),
                picture.width.into(),
                picture.height.into(),
                picture.created_at.into(),
                picture.visibility.into(),
                picture.access_tier.into(),
                now.into(),
            ]
        })
        .collect();
    let sql = "UPDATE images
               SET name = v.column2, url = v.column3, link = v.column4, tags = v.column5, width = v.column6,
                   height = v.column7, created_at = v.column8, visibility = v.column9, access_tier = v.column10,
                   updated_at = v.column11
               FROM (VALUES {rows}) AS v
               WHERE images.image_id = v.column1";
    tx.execute_rows(sql, &rows).await?;
    let images: Vec<ImageId> = pictures.iter().map(|(_, picture)| picture.image_id).collect();
    images_changed(tx, &images).await.map(drop)
}

/// Returns the ordinals of the new images.
async fn insert(
    tx: &mut Tx,
    gallery_id: GalleryId,
    project_id: ProjectId,
    pictures: &[(&str, &Picture)],
    now: Timestamp,
) -> Result<Range<u32>> {
    if pictures.is_empty() {
        return Ok(0..0);
    }
    let images: Vec<Vec<Value>> = pictures
        .iter()
        .map(|(external_id, picture)| {
            vec![
                picture.image_id.into(),
                project_id.into(),
                gallery_id.into(),
                filename(picture.url.as_deref(), external_id).into(),
                ImageState::Done.into(),
                picture.width.into(),
                picture.height.into(),
                picture.url.clone().into(),
                picture.name.clone().into(),
                picture.link.clone().into(),
                picture.visibility.into(),
                picture.access_tier.into(),
                picture.tags.clone().into(),
                "{}".into(),
                picture.created_at.into(),
                now.into(),
            ]
        })
        .collect();
    let sql = "INSERT INTO images
                   (image_id, project_id, gallery_id, filename, state, width, height, url, name, link, visibility,
                    access_tier, tags, metadata, created_at, updated_at)
               VALUES {rows}";
    tx.execute_rows(sql, &images).await?;

    let revision = raise_revision(tx, gallery_id).await?;
    let next = "UPDATE galleries SET next_ordinal = next_ordinal + $2 WHERE gallery_id = $1
                RETURNING next_ordinal - $2 AS ordinal";
    let row = tx.query_one(next, params![gallery_id, pictures.len() as u64]).await?;
    let first: u32 = row.ok_or(Error::NotFound("gallery"))?.take("ordinal")?;
    let listed: Vec<Vec<Value>> = (first..)
        .zip(pictures)
        .map(|(ordinal, (external_id, picture))| {
            vec![
                gallery_id.into(),
                ordinal.into(),
                picture.image_id.into(),
                (*external_id).into(),
                true.into(),
                revision.into(),
            ]
        })
        .collect();
    let sql = "INSERT INTO gallery_images (gallery_id, ordinal, image_id, external_id, listed, revision)
               VALUES {rows}";
    tx.execute_rows(sql, &listed).await?;
    Ok(first..first + pictures.len() as u32)
}

/// The last part of the image's address if it looks like a file name, else the external id.
fn filename(url: Option<&str>, external_id: &str) -> String {
    let path = url.unwrap_or_default().split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let decoded = percent_decode_str(name).decode_utf8().unwrap_or_default();
    if path.matches('/').count() < 3 || decoded.is_empty() || decoded.chars().any(char::is_control) {
        return external_id.to_owned();
    }
    decoded.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_named_after_its_address_or_else_its_external_id() {
        for (url, name) in [
            ("https://cdn.example/a/1.jpg?w=2", "1.jpg"),
            ("https://cdn.example/rote%20Sch%C3%BChe.jpg", "rote Sch\u{fc}he.jpg"),
            ("https://cdn.example/", "sku"),
            ("https://cdn.example", "sku"),
            ("https://cdn.example/a%00b", "sku"),
            ("https://cdn.example/%FF", "sku"),
        ] {
            assert_eq!(filename(Some(url), "sku"), name, "{url}");
        }
        assert_eq!(filename(None, "sku"), "sku");
    }

    #[test]
    fn a_set_of_ordinals_holds_what_was_put_in() {
        let mut ordinals = Ordinals::default();
        assert!(ordinals.is_empty() && !ordinals.contains(0));
        ordinals.extend([0, 63, 64, 1_000_000]);
        for ordinal in [0, 63, 64, 1_000_000] {
            assert!(ordinals.contains(ordinal), "{ordinal}");
        }
        assert!(![1, 62, 65, 999_999, 1_000_001, u32::MAX].iter().any(|ordinal| ordinals.contains(*ordinal)));
    }
}
