//! Loading a client's catalogue into a gallery, a chunk of rows at a time.

use std::collections::HashMap;

use eyeline_core::{GalleryId, ImageId, ImageState, ProjectId, Tier, Timestamp, Visibility};
use futures::FutureExt as _;

use super::Catalog;
use super::galleries::{images_changed, lock, raise_revision};
use crate::error::{Error, Result};
use crate::params;
use crate::sql::{Row, Tx, Value};

/// One picture of a client's catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetRow {
    /// The id that the image gets if the gallery does not know `external_id` yet.
    pub new_image_id: ImageId,
    pub external_id: String,
    pub name: Option<String>,
    pub url: String,
    pub link: Option<String>,
    pub tags: Vec<String>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// `None` for these three leaves an image as it is; a new one is of now, public and free.
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

/// What is kept of a row.
#[derive(Clone, PartialEq)]
struct Picture {
    image_id: ImageId,
    name: Option<String>,
    url: Option<String>,
    link: Option<String>,
    /// JSON text.
    tags: String,
    width: Option<u32>,
    height: Option<u32>,
    created_at: Timestamp,
    visibility: Visibility,
    access_tier: Tier,
}

/// By external id.
type Pictures = HashMap<String, (Write, Picture)>;

#[derive(Clone, Copy, PartialEq)]
enum Write {
    Nothing,
    Insert,
    Update,
}

impl Catalog {
    /// Stores rows in one transaction: `external_id`s that the gallery does not know become images behind all others,
    /// known ones are changed to what the row says. Of rows with the same `external_id` the last one stands.
    pub async fn load_dataset(
        &self,
        gallery_id: GalleryId,
        rows: Vec<DatasetRow>,
        now: Timestamp,
    ) -> Result<DatasetLoaded> {
        self.db.write(move |tx| load(tx, gallery_id, rows, now).boxed()).await
    }
}

async fn load(tx: &mut Tx, gallery_id: GalleryId, rows: Vec<DatasetRow>, now: Timestamp) -> Result<DatasetLoaded> {
    lock(tx, [gallery_id]).await?;
    let project = "SELECT project_id FROM galleries WHERE gallery_id = $1 AND deleted_at IS NULL";
    let row = tx.query_one(project, params![gallery_id]).await?;
    let project_id: ProjectId = row.ok_or(Error::NotFound("gallery"))?.take("project_id")?;

    let mut pictures = known(tx, gallery_id, &rows).await?;
    let mut loaded = DatasetLoaded::default();
    let mut order = Vec::new();
    for row in rows {
        let external_id = row.external_id.clone();
        match pictures.get_mut(&external_id) {
            None => {
                loaded.created += 1;
                order.push(external_id.clone());
                pictures.insert(external_id, (Write::Insert, picture(row, now, None)?));
            }
            Some((write, before)) => {
                let after = picture(row, now, Some(before))?;
                if *before == after {
                    loaded.unchanged += 1;
                    continue;
                }
                loaded.updated += 1;
                *before = after;
                if *write == Write::Nothing {
                    *write = Write::Update;
                    order.push(external_id);
                }
            }
        }
    }
    update(tx, &written(&order, &pictures, Write::Update), now).await?;
    insert(tx, gallery_id, project_id, &written(&order, &pictures, Write::Insert), now).await?;
    Ok(loaded)
}

fn written<'a>(order: &'a [String], pictures: &'a Pictures, wanted: Write) -> Vec<(&'a str, &'a Picture)> {
    let found = order.iter().filter_map(|external_id| match pictures.get(external_id) {
        Some((write, picture)) if *write == wanted => Some((external_id.as_str(), picture)),
        _ => None,
    });
    found.collect()
}

/// The images that the gallery has for the rows' external ids.
async fn known(tx: &mut Tx, gallery_id: GalleryId, rows: &[DatasetRow]) -> Result<Pictures> {
    let asked: Vec<Vec<Value>> =
        rows.iter().map(|row| vec![gallery_id.into(), row.external_id.clone().into()]).collect();
    let sql = "SELECT gi.external_id, i.image_id, i.name, i.url, i.link, i.tags, i.width, i.height, i.created_at,
                      i.visibility, i.access_tier
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
        Ok((row.take("external_id")?, (Write::Nothing, picture)))
    };
    tx.query_rows(sql, &asked).await?.into_iter().map(read).collect()
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

async fn insert(
    tx: &mut Tx,
    gallery_id: GalleryId,
    project_id: ProjectId,
    pictures: &[(&str, &Picture)],
    now: Timestamp,
) -> Result<()> {
    if pictures.is_empty() {
        return Ok(());
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
    let first: i64 = row.ok_or(Error::NotFound("gallery"))?.take("ordinal")?;
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
    tx.execute_rows(sql, &listed).await.map(drop)
}

/// The last part of the picture's address, if it has one that reads like a name.
fn filename(url: Option<&str>, external_id: &str) -> String {
    let path = url.unwrap_or_default().split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || !path.contains("://") || path.matches('/').count() < 3 {
        return external_id.to_owned();
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::filename;

    #[test]
    fn a_picture_is_named_after_its_address_or_else_its_external_id() {
        assert_eq!(filename(Some("https://cdn.example/a/1.jpg?w=2"), "sku"), "1.jpg");
        assert_eq!(filename(Some("https://cdn.example/"), "sku"), "sku");
        assert_eq!(filename(Some("https://cdn.example"), "sku"), "sku");
    }
}
