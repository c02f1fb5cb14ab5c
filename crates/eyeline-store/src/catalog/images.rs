//! Images as their owners see them.

use std::collections::HashMap;

use eyeline_core::{GalleryId, ImageErrorCode, ImageId, ImageState, JobId, ProjectId, Tier, Timestamp, Visibility};
use futures::FutureExt as _;

use super::processing::Hints;
use super::{Catalog, galleries, jobs, news, objects};
use crate::error::{Error, Result};
use crate::objects::ObjectKey;
use crate::params;
use crate::sql::{Dialect, Row, Tx, Value};

#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    pub image_id: ImageId,
    pub project_id: ProjectId,
    /// The owner of a user's own upload.
    pub user_id: Option<String>,
    pub filename: String,
    /// A name for people, which takes the place of the file name.
    pub name: Option<String>,
    pub state: ImageState,
    pub original_key: Option<ObjectKey>,
    /// Set once the file has arrived.
    pub bytes: Option<u64>,
    /// Set once the original was read.
    pub sha256: Option<[u8; 32]>,
    pub content_type: Option<String>,
    /// In pixels, after the orientation was applied.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub thumbhash: Option<Vec<u8>>,
    /// The address of a dataset image, which has no versions.
    pub url: Option<String>,
    pub link: Option<String>,
    pub visibility: Visibility,
    pub access_tier: Tier,
    pub tags: Vec<String>,
    /// JSON text of an object.
    pub metadata: String,
    /// The reason of state `error`: a code, and a sentence.
    pub error: Option<(ImageErrorCode, String)>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When the file arrived. `None` for an image of a dataset.
    pub arrived_at: Option<Timestamp>,
    /// When the versions were first ready.
    pub prepared_at: Option<Timestamp>,
    /// All versions or none, because they are published together. Smallest first. One name may have several, of
    /// different media types.
    pub versions: Vec<Version>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub name: String,
    pub object_key: ObjectKey,
    pub content_type: String,
    /// In pixels.
    pub width: u32,
    pub height: u32,
    pub bytes: u64,
}

/// A filter of a project's images.
#[derive(Clone, Debug, Default)]
pub struct ImageFilter {
    pub state: Option<ImageState>,
    pub tag: Option<String>,
    /// Only images whose name or file name contains this text. The case of the letters A to Z is ignored.
    pub name: Option<String>,
    /// Only images in this gallery.
    pub gallery_id: Option<GalleryId>,
    /// Only uploads of this user.
    pub user_id: Option<String>,
}

/// The start of a page of a list.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// After the image with this creation time and id.
    After(Timestamp, ImageId),
    /// After this many images.
    Offset(u64),
}

/// Changes of an image; `None` keeps a value.
#[derive(Clone, Debug, Default)]
pub struct ImagePatch {
    pub name: Option<Option<String>>,
    pub tags: Option<Vec<String>>,
    pub link: Option<Option<String>>,
    /// JSON text of an object.
    pub metadata: Option<String>,
    pub visibility: Option<Visibility>,
    pub access_tier: Option<Tier>,
}

/// Versions copied to another folder because the visibility or access tier changes.
#[derive(Clone, Debug)]
pub struct Move {
    pub from: ObjectKey,
    pub to: ObjectKey,
}

impl Catalog {
    /// `None` if it or its project was deleted.
    pub async fn image(&self, image_id: ImageId) -> Result<Option<Image>> {
        self.db.read(move |tx| async move { image(tx, image_id).await }.boxed()).await
    }

    /// Those of the images that exist, in no order.
    pub async fn images_by_id(&self, images: Vec<ImageId>) -> Result<HashMap<ImageId, Image>> {
        let sql = "SELECT i.* FROM (VALUES {rows}) AS v JOIN images i ON i.image_id = v.column1";
        let asked: Vec<Vec<Value>> = images.into_iter().map(|image_id| vec![image_id.into()]).collect();
        self.db
            .read(move |tx| {
                async move {
                    let found = tx.query_rows(sql, &asked).await?;
                    let found = with_versions(tx, found).await?;
                    Ok(found.into_iter().map(|image| (image.image_id, image)).collect())
                }
                .boxed()
            })
            .await
    }

    /// The project's images, newest first.
    pub async fn images(
        &self,
        project_id: ProjectId,
        filter: ImageFilter,
        from: Option<From>,
        limit: u32,
    ) -> Result<Vec<Image>> {
        self.db.read(move |tx| async move { list(tx, project_id, filter, from, limit).await }.boxed()).await
    }

    /// Applies the patch, and the new place of the versions if they were copied for it. `Conflict` if the image has
    /// changed since the copying: then read it again.
    pub async fn update_image(
        &self,
        image_id: ImageId,
        patch: ImagePatch,
        moved: Option<Move>,
        now: Timestamp,
    ) -> Result<(Image, Hints)> {
        self.db.write(move |tx| async move { update(tx, image_id, patch, moved, now).await }.boxed()).await
    }

    /// Deletes the image. Notes its objects as unwanted and returns them. Its counts stay.
    pub async fn delete_image(&self, image_id: ImageId) -> Result<(Vec<ObjectKey>, Hints)> {
        self.db.write(move |tx| async move { delete(tx, image_id).await }.boxed()).await
    }

    /// Queues the image for new versions from its original. `Conflict` if it has none or is not finished.
    pub async fn reprocess_image(&self, image_id: ImageId, job_id: JobId, now: Timestamp) -> Result<Hints> {
        let sql = "UPDATE images SET state = $2, error_code = NULL, error = NULL, updated_at = $3
                   WHERE image_id = $1 AND state IN ('done', 'error') AND original_key IS NOT NULL
                   RETURNING project_id";
        self.db
            .write(move |tx| {
                async move {
                    let galleries = galleries::image_changed(tx, image_id).await?;
                    let bound = params![image_id, ImageState::Uploaded, now];
                    let Some(mut row) = tx.query_one(sql, bound).await? else {
                        return Err(Error::Conflict(
                            "Only an image that has an original and is done, or ended with an error, can be made again."
                                .to_owned(),
                        ));
                    };
                    let project_id = row.take("project_id")?;
                    jobs::enqueue(tx, jobs::PROCESS_IMAGE, job_id, project_id, image_id.0).await?;
                    let item = news::Item::image(project_id, image_id, ImageState::Uploaded);
                    Ok(Hints { galleries, news: news::append(tx, now, &[item]).await?, jobs: true })
                }
                .boxed()
            })
            .await
    }
}

pub(super) async fn image(tx: &mut Tx, image_id: ImageId) -> Result<Option<Image>> {
    let sql = "SELECT i.* FROM images i JOIN projects p ON p.project_id = i.project_id
               WHERE i.image_id = $1 AND p.deleted_at IS NULL";
    let rows = tx.query(sql, params![image_id]).await?;
    Ok(with_versions(tx, rows).await?.pop())
}

async fn list(
    tx: &mut Tx,
    project_id: ProjectId,
    filter: ImageFilter,
    from: Option<From>,
    limit: u32,
) -> Result<Vec<Image>> {
    let mut sql = "SELECT i.* FROM images i JOIN projects p ON p.project_id = i.project_id
                   WHERE i.project_id = $1 AND p.deleted_at IS NULL"
        .to_owned();
    let mut bound: Vec<Value> = vec![project_id.into(), limit.into()];
    let mut add = |value: Value| {
        bound.push(value);
        bound.len()
    };
    if let Some(state) = filter.state {
        sql += &format!(" AND i.state = ${}", add(state.into()));
    }
    if let Some(user_id) = filter.user_id {
        sql += &format!(" AND i.user_id = ${}", add(user_id.into()));
    }
    if let Some(tag) = filter.tag {
        let number = add(tag.into());
        sql += &match tx.dialect() {
            Dialect::Sqlite => format!(" AND EXISTS (SELECT 1 FROM json_each(i.tags) t WHERE t.value = ${number})"),
            Dialect::Postgres => format!(" AND jsonb_exists(CAST(i.tags AS jsonb), ${number})"),
        };
    }
    if let Some(name) = filter.name {
        let number = add(containing(&name).into());
        // The collation C keeps to ASCII, as SQLite does.
        let lower = |column: &str| match tx.dialect() {
            Dialect::Sqlite => format!("lower({column})"),
            Dialect::Postgres => format!("lower({column} COLLATE \"C\")"),
        };
        let (name, filename) = (lower("i.name"), lower("i.filename"));
        sql += &format!(r" AND ({filename} LIKE ${number} ESCAPE '\' OR {name} LIKE ${number} ESCAPE '\')");
    }
    if let Some(gallery_id) = filter.gallery_id {
        let (gallery_id, listed) = (add(gallery_id.into()), add(true.into()));
        sql += &format!(
            " AND EXISTS (SELECT 1 FROM gallery_images gi
                          WHERE gi.gallery_id = ${gallery_id} AND gi.image_id = i.image_id AND gi.listed = ${listed})"
        );
    }
    let mut page = "LIMIT $2".to_owned();
    match from {
        None => {}
        Some(From::After(created_at, image_id)) => {
            let (created_at, image_id) = (add(created_at.into()), add(image_id.into()));
            sql += &format!(" AND (i.created_at, i.image_id) < (${created_at}, ${image_id})");
        }
        Some(From::Offset(offset)) => page += &format!(" OFFSET ${}", add(offset.into())),
    }
    sql += &format!(" ORDER BY i.created_at DESC, i.image_id DESC {page}");
    let rows = tx.query_text(&sql, &bound).await?;
    with_versions(tx, rows).await
}

/// The pattern of lower-case texts that contain `text`, whose wildcards stand for themselves.
fn containing(text: &str) -> String {
    let mut pattern = "%".to_owned();
    for letter in text.to_ascii_lowercase().chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern + "%"
}

/// Reads images, and the versions of all of them by one query.
async fn with_versions(tx: &mut Tx, rows: Vec<Row>) -> Result<Vec<Image>> {
    let mut images = rows.into_iter().map(read_image).collect::<Result<Vec<Image>>>()?;
    let asked: Vec<Vec<Value>> = images
        .iter()
        .filter(|image| image.state == ImageState::Done && image.url.is_none())
        .map(|image| vec![image.image_id.into()])
        .collect();
    let sql = "SELECT w.* FROM (VALUES {rows}) AS v JOIN versions w ON w.image_id = v.column1 ORDER BY w.width, w.name, w.content_type";
    let mut versions = HashMap::<ImageId, Vec<Version>>::new();
    for mut row in tx.query_rows(sql, &asked).await? {
        versions.entry(row.take("image_id")?).or_default().push(read_version(row)?);
    }
    for image in &mut images {
        image.versions = versions.remove(&image.image_id).unwrap_or_default();
    }
    Ok(images)
}

fn read_version(mut row: Row) -> Result<Version> {
    Ok(Version {
        name: row.take("name")?,
        object_key: row.take("object_key")?,
        content_type: row.take("content_type")?,
        width: row.take("width")?,
        height: row.take("height")?,
        bytes: row.take("bytes")?,
    })
}

fn read_image(mut row: Row) -> Result<Image> {
    let tags: String = row.take("tags")?;
    let (code, sentence): (Option<ImageErrorCode>, Option<String>) = (row.take("error_code")?, row.take("error")?);
    Ok(Image {
        image_id: row.take("image_id")?,
        project_id: row.take("project_id")?,
        user_id: row.take("user_id")?,
        filename: row.take("filename")?,
        name: row.take("name")?,
        state: row.take("state")?,
        original_key: row.take("original_key")?,
        bytes: row.take("bytes")?,
        sha256: row.take("sha256")?,
        content_type: row.take("content_type")?,
        width: row.take("width")?,
        height: row.take("height")?,
        thumbhash: row.take("thumbhash")?,
        url: row.take("url")?,
        link: row.take("link")?,
        visibility: row.take("visibility")?,
        access_tier: row.take("access_tier")?,
        tags: serde_json::from_str(&tags).map_err(|error| Error::Corrupt(format!("the tags of an image: {error}")))?,
        metadata: row.take("metadata")?,
        error: code.zip(sentence),
        created_at: row.take("created_at")?,
        updated_at: row.take("updated_at")?,
        arrived_at: row.take("arrived_at")?,
        prepared_at: row.take("prepared_at")?,
        versions: Vec::new(),
    })
}

async fn update(
    tx: &mut Tx,
    image_id: ImageId,
    patch: ImagePatch,
    moved: Option<Move>,
    now: Timestamp,
) -> Result<(Image, Hints)> {
    let galleries = galleries::image_changed(tx, image_id).await?;
    let mut changed = image(tx, image_id).await?.ok_or(Error::NotFound("image"))?;
    let seen_before = (changed.visibility, changed.access_tier);
    changed.visibility = patch.visibility.unwrap_or(changed.visibility);
    changed.access_tier = patch.access_tier.unwrap_or(changed.access_tier);
    changed.name = patch.name.unwrap_or(changed.name);
    changed.tags = patch.tags.unwrap_or(changed.tags);
    changed.link = patch.link.unwrap_or(changed.link);
    changed.metadata = patch.metadata.unwrap_or(changed.metadata);
    changed.updated_at = now;

    let folder = changed.versions.first().map(|version| version.object_key.folder());
    let has_to_move = folder.is_some() && seen_before != (changed.visibility, changed.access_tier);
    match moved {
        Some(moved) if has_to_move && folder.as_ref() == Some(&moved.from) => {
            let sql = "UPDATE versions SET object_key = replace(object_key, $2, $3) WHERE image_id = $1";
            tx.execute(sql, params![image_id, moved.from.clone(), moved.to.clone()]).await?;
            let real_now = tx.real_now().await?;
            objects::unwanted(tx, std::slice::from_ref(&moved.from), real_now).await?;
            objects::wanted(tx, &moved.to).await?;
            for version in &mut changed.versions {
                version.object_key = moved.to.join(version.object_key.name());
            }
        }
        None if !has_to_move => {}
        _ => return Err(Error::Conflict("Another request is changing this image. Try again.".to_owned())),
    }
    let sql = "UPDATE images
               SET tags = $2, link = $3, metadata = $4, visibility = $5, access_tier = $6, updated_at = $7, name = $8
               WHERE image_id = $1";
    let bound = params![
        image_id,
        tags_text(&changed.tags)?,
        changed.link.clone(),
        changed.metadata.clone(),
        changed.visibility,
        changed.access_tier,
        now,
        changed.name.clone()
    ];
    tx.execute(sql, bound).await?;
    Ok((changed, Hints { galleries, ..Hints::default() }))
}

async fn delete(tx: &mut Tx, image_id: ImageId) -> Result<(Vec<ObjectKey>, Hints)> {
    jobs::cancel(tx, jobs::PROCESS_IMAGE, image_id.0).await?;
    let galleries = galleries::image_deleted(tx, image_id).await?;
    let folders = "SELECT object_key FROM versions WHERE image_id = $1";
    let mut keys = Vec::new();
    for mut row in tx.query(folders, params![image_id]).await? {
        let key: ObjectKey = row.take("object_key")?;
        if !keys.contains(&key.folder()) {
            keys.push(key.folder());
        }
    }
    let sql = "DELETE FROM images WHERE image_id = $1
               RETURNING project_id, user_id, incoming_key, link_expires_at, original_key, error_code";
    let mut row = tx.query_one(sql, params![image_id]).await?.ok_or(Error::NotFound("image"))?;
    keys.extend(row.take::<Option<ObjectKey>>("original_key")?);
    // An upload that never arrived has already freed its place.
    if let Some(user_id) = row.take::<Option<String>>("user_id")?
        && row.take::<Option<ImageErrorCode>>("error_code")? != Some(ImageErrorCode::NeverArrived)
    {
        super::uploads::free_place(tx, row.take("project_id")?, &user_id).await?;
    }
    let real_now = tx.real_now().await?;
    objects::unwanted(tx, &keys, real_now).await?;
    if let Some(incoming_key) = row.take::<Option<ObjectKey>>("incoming_key")? {
        let link_expires_at: Option<Timestamp> = row.take("link_expires_at")?;
        objects::unwanted_after_link(tx, &incoming_key, link_expires_at.unwrap_or(real_now)).await?;
        keys.push(incoming_key);
    }
    Ok((keys, Hints { galleries, ..Hints::default() }))
}

pub(super) fn tags_text(tags: &[String]) -> Result<String> {
    serde_json::to_string(tags).map_err(|error| Error::internal("writing tags", error))
}

/// Fails with `NotFound` unless the project has the gallery.
pub(super) async fn check_gallery(tx: &mut Tx, project_id: ProjectId, gallery_id: GalleryId) -> Result<()> {
    let sql = "SELECT 1 AS one FROM galleries WHERE gallery_id = $1 AND project_id = $2 AND deleted_at IS NULL";
    tx.query_one(sql, params![gallery_id, project_id]).await?.ok_or(Error::NotFound("gallery")).map(drop)
}
