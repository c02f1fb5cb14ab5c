//! Uploads: new images with their links, arrived files, and links that were never used.

use std::collections::HashMap;

use eyeline_core::{GalleryId, ImageErrorCode, ImageId, ImageState, JobId, ProjectId, Tier, Timestamp, Visibility};
use futures::FutureExt as _;

use super::idempotency::{Once, Repeatable};
use super::part_uploads::{InParts, read_in_parts};
use super::processing::{Hints, end_with_error};
use super::{Catalog, images, jobs, news, objects, part_uploads};
use crate::error::{Error, Result};
use crate::objects::ObjectKey;
use crate::params;
use crate::sql::{Tx, Value};

/// A new image with an upload link.
#[derive(Clone, Debug)]
pub struct NewImage {
    pub image_id: ImageId,
    pub filename: String,
    pub stated_bytes: Option<u64>,
    pub stated_sha256: Option<[u8; 32]>,
    pub stated_type: Option<String>,
    /// The key that the link lets the client write to, and the end of the link (real time).
    pub incoming_key: ObjectKey,
    pub link_expires_at: Timestamp,
    /// Set if the file, whose size is stated, is sent in parts.
    pub in_parts: Option<InParts>,
    pub gallery_id: Option<GalleryId>,
    pub visibility: Visibility,
    pub access_tier: Tier,
    pub link: Option<String>,
    pub tags: Vec<String>,
    /// JSON text of an object.
    pub metadata: String,
}

/// The outcome for one of several new images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Created,
    /// This image of the project has arrived with the same SHA-256.
    Duplicate(ImageId),
    /// An earlier image of the same list, also being created, has the same SHA-256.
    Repeated(ImageId),
    /// The project holds the most images that its tier allows.
    OverQuota,
}

/// An image with an unused upload link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenUpload {
    pub image_id: ImageId,
    pub incoming_key: ObjectKey,
    /// Real time.
    pub link_expires_at: Timestamp,
    /// Set if the file is sent in parts.
    pub in_parts: Option<InParts>,
}

/// A file that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    pub bytes: u64,
    /// `None` if nobody has read the file yet.
    pub sha256: Option<[u8; 32]>,
}

/// The upload to which a link belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadTarget {
    pub image_id: ImageId,
    /// True if no file was taken in through the link.
    pub open: bool,
}

/// Selects open uploads.
macro_rules! open {
    () => {
        "SELECT i.image_id, i.incoming_key, i.link_expires_at, i.stated_bytes,
                p.part_bytes, p.original_key AS parts_key, p.upload_id
         FROM images i LEFT JOIN part_uploads p ON p.image_id = i.image_id
         WHERE i.state = 'init' AND i.incoming_key IS NOT NULL"
    };
}

impl Catalog {
    /// Creates an image in state `init`. `QuotaExceeded` if the project holds `images_max` images.
    pub async fn create_image(
        &self,
        project_id: ProjectId,
        image: NewImage,
        images_max: Option<u64>,
        now: Timestamp,
        repeatable: Option<Repeatable<Hints>>,
    ) -> Result<Once<Hints>> {
        self.write_once(repeatable, move |tx| {
            async move {
                let (verdicts, hints) = create(tx, project_id, vec![image], images_max, false, now).await?;
                match verdicts.first() {
                    Some(Verdict::Created) => Ok(hints),
                    _ => Err(Error::QuotaExceeded(format!(
                        "At most {} images are kept for this project.",
                        images_max.unwrap_or_default()
                    ))),
                }
            }
            .boxed()
        })
        .await
    }

    /// Creates images in state `init`, at most up to `images_max` of the project. Skips an image whose stated SHA-256
    /// is that of an arrived file, or of an earlier image in the list.
    pub async fn create_images(
        &self,
        project_id: ProjectId,
        images: Vec<NewImage>,
        images_max: Option<u64>,
        now: Timestamp,
        repeatable: Option<Repeatable<(Vec<Verdict>, Hints)>>,
    ) -> Result<Once<(Vec<Verdict>, Hints)>> {
        self.write_once(repeatable, move |tx| {
            async move { create(tx, project_id, images, images_max, true, now).await }.boxed()
        })
        .await
    }

    /// Creates a private image of a user if the user holds fewer than `images_max`. It counts for the user immediately.
    pub async fn create_user_image(
        &self,
        project_id: ProjectId,
        user_id: String,
        image: NewImage,
        images_max: u64,
        now: Timestamp,
        repeatable: Option<Repeatable<Hints>>,
    ) -> Result<Once<Hints>> {
        let sql = "INSERT INTO user_usage (project_id, user_id, images) VALUES ($1, $2, 1)
                   ON CONFLICT (project_id, user_id) DO UPDATE SET images = user_usage.images + 1
                   WHERE user_usage.images < $3";
        self.write_once(repeatable, move |tx| {
            async move {
                check_project(tx, project_id).await?;
                let taken =
                    images_max > 0 && tx.execute(sql, params![project_id, user_id.clone(), images_max]).await? == 1;
                if !taken {
                    return Err(Error::QuotaExceeded(format!("At most {images_max} images are kept for a user.")));
                }
                insert(tx, project_id, Some(&user_id), &[image], now).await
            }
            .boxed()
        })
        .await
    }

    /// The image to which a key under `incoming/` belongs.
    pub async fn upload_target(&self, incoming_key: ObjectKey) -> Result<Option<UploadTarget>> {
        let sql = "SELECT i.image_id, i.state FROM images i JOIN projects p ON p.project_id = i.project_id
                   WHERE i.incoming_key = $1 AND p.deleted_at IS NULL";
        self.db
            .read(move |tx| {
                async move {
                    let Some(mut row) = tx.query_one(sql, params![incoming_key]).await? else { return Ok(None) };
                    let open = row.take::<ImageState>("state")? == ImageState::Init;
                    Ok(Some(UploadTarget { image_id: row.take("image_id")?, open }))
                }
                .boxed()
            })
            .await
    }

    /// The open upload of an image; `None` once its file was taken in, or the upload closed.
    pub async fn open_upload(&self, image_id: ImageId) -> Result<Option<OpenUpload>> {
        let sql = concat!(open!(), " AND i.image_id = $1");
        self.db
            .read(move |tx| {
                async move { tx.query_one(sql, params![image_id]).await?.map(read_open).transpose() }.boxed()
            })
            .await
    }

    /// Up to `limit` open uploads, by the expiry of their links.
    pub async fn open_uploads(&self, after: Option<&OpenUpload>, limit: u32) -> Result<Vec<OpenUpload>> {
        let sql = concat!(
            open!(),
            " AND (i.link_expires_at, i.image_id) > ($1, $2) ORDER BY i.link_expires_at, i.image_id LIMIT $3"
        );
        let (expires_at, image_id) = after
            .map_or((Timestamp::from_micros(i64::MIN), ImageId(uuid::Uuid::nil())), |after| {
                (after.link_expires_at, after.image_id)
            });
        self.db
            .read(move |tx| {
                async move {
                    let rows = tx.query(sql, params![expires_at, image_id, limit]).await?;
                    rows.into_iter().map(read_open).collect()
                }
                .boxed()
            })
            .await
    }

    /// Records the copy at `original_key`, which was noted as unwanted before it was made: the image is `uploaded` and
    /// its job waits. `None` if the image was taken in before or is gone; then the copy is not needed.
    pub async fn take_in(
        &self,
        upload: OpenUpload,
        original_key: ObjectKey,
        arrived: Arrived,
        job_id: JobId,
        now: Timestamp,
    ) -> Result<Option<Hints>> {
        let sql = "UPDATE images SET state = 'uploaded', original_key = $2, bytes = $3, sha256 = $4, updated_at = $5,
                                     arrived_at = $5
                   WHERE image_id = $1 AND state = 'init'
                   RETURNING project_id";
        self.db
            .write(move |tx| {
                async move {
                    let bound = params![upload.image_id, original_key.clone(), arrived.bytes, arrived.sha256, now];
                    let Some(mut row) = tx.query_one(sql, bound).await? else { return Ok(None) };
                    let project_id = row.take("project_id")?;
                    jobs::enqueue(tx, jobs::PROCESS_IMAGE, job_id, project_id, upload.image_id.0).await?;
                    objects::unwanted_after_link(tx, &upload.incoming_key, upload.link_expires_at).await?;
                    objects::wanted(tx, &original_key).await?;
                    let item = news::Item::image(project_id, upload.image_id, ImageState::Uploaded);
                    Ok(Some(Hints { news: news::append(tx, now, &[item]).await?, jobs: true, ..Hints::default() }))
                }
                .boxed()
            })
            .await
    }

    /// Closes uploads without a file: each image ends in `error`, and its user's place is free again. Leaves out those
    /// for which newer links were given out.
    pub async fn give_up_uploads(&self, uploads: Vec<OpenUpload>, now: Timestamp) -> Result<Hints> {
        let sql = "SELECT i.image_id, i.project_id, i.user_id, i.incoming_key FROM (VALUES {rows}) AS v
                   JOIN images i ON i.image_id = v.column1
                   WHERE i.state = 'init' AND i.link_expires_at <= v.column2
                   ORDER BY i.image_id";
        let asked: Vec<Vec<Value>> =
            uploads.iter().map(|upload| vec![upload.image_id.into(), upload.link_expires_at.into()]).collect();
        self.db
            .write(move |tx| {
                async move {
                    if tx.dialect() == crate::sql::Dialect::Postgres {
                        let hold = "SELECT 1 AS one FROM images i JOIN (VALUES {rows}) AS v ON i.image_id = v.column1
                                    ORDER BY i.image_id
                                    FOR UPDATE OF i";
                        tx.query_rows(hold, &asked).await?;
                    }
                    let (mut given_up, mut keys) = (Vec::new(), Vec::new());
                    for mut row in tx.query_rows(sql, &asked).await? {
                        given_up.push(row.take("image_id")?);
                        keys.extend(row.take::<Option<ObjectKey>>("incoming_key")?);
                        // Few of them belong to users, whose uploads end with their request.
                        if let Some(user_id) = row.take::<Option<String>>("user_id")? {
                            free_place(tx, row.take("project_id")?, &user_id).await?;
                        }
                    }
                    let real_now = tx.real_now().await?;
                    objects::unwanted(tx, &keys, real_now).await?;
                    let sentence = "The file did not arrive through its upload link in time.";
                    end_with_error(tx, &given_up, ImageErrorCode::NeverArrived, sentence, now).await
                }
                .boxed()
            })
            .await
    }

    /// The tier of an existing project.
    pub async fn project_tier(&self, project_id: ProjectId) -> Result<Tier> {
        self.db.read(move |tx| async move { check_project(tx, project_id).await }.boxed()).await
    }
}

async fn check_project(tx: &mut Tx, project_id: ProjectId) -> Result<Tier> {
    let sql = "SELECT tier FROM projects WHERE project_id = $1 AND deleted_at IS NULL";
    tx.query_one(sql, params![project_id]).await?.ok_or(Error::NotFound("project"))?.take("tier")
}

async fn create(
    tx: &mut Tx,
    project_id: ProjectId,
    new: Vec<NewImage>,
    images_max: Option<u64>,
    refuse_duplicates: bool,
    now: Timestamp,
) -> Result<(Vec<Verdict>, Hints)> {
    check_project(tx, project_id).await?;
    let mut galleries: Vec<GalleryId> = new.iter().filter_map(|image| image.gallery_id).collect();
    galleries.sort();
    galleries.dedup();
    for gallery_id in galleries {
        images::check_gallery(tx, project_id, gallery_id).await?;
    }
    let mut places = match images_max {
        None => u64::MAX,
        Some(images_max) => places_left(tx, project_id, images_max).await?,
    };
    let arrived = if refuse_duplicates { arrived_hashes(tx, project_id, &new).await? } else { HashMap::new() };
    let mut listed = HashMap::new();
    let mut verdicts = Vec::with_capacity(new.len());
    let mut created = Vec::with_capacity(new.len());
    for image in new {
        let hash = image.stated_sha256.filter(|_| refuse_duplicates);
        if let Some(first) = hash.and_then(|sha256| arrived.get(&sha256)) {
            verdicts.push(Verdict::Duplicate(*first));
        } else if let Some(first) = hash.and_then(|sha256| listed.get(&sha256)) {
            verdicts.push(Verdict::Repeated(*first));
        } else if places == 0 {
            verdicts.push(Verdict::OverQuota);
        } else {
            places -= 1;
            listed.extend(hash.map(|sha256| (sha256, image.image_id)));
            verdicts.push(Verdict::Created);
            created.push(image);
        }
    }
    let hints = insert(tx, project_id, None, &created, now).await?;
    Ok((verdicts, hints))
}

/// The condition that an image `i` counts against its project's quota. Uploads that never arrived do not count (`$code`
/// is bound to that error), nor dataset images that a full feed removed.
macro_rules! held {
    ($code:literal) => {
        concat!(
            "(i.error_code IS NULL OR i.error_code <> ",
            $code,
            ") AND (i.url IS NULL OR NOT EXISTS
                (SELECT 1 FROM gallery_images gi WHERE gi.image_id = i.image_id AND gi.left_feed))"
        )
    };
}
pub(super) use held;

/// The number of images that the project may still add. Locks the project until the commit, so that the number stays
/// true.
pub(super) async fn places_left(tx: &mut Tx, project_id: ProjectId, images_max: u64) -> Result<u64> {
    let hold = "UPDATE projects SET news_seq = news_seq WHERE project_id = $1";
    tx.execute(hold, params![project_id]).await?;
    // Stops counting at the limit: tiers with a limit have a small one.
    let sql = concat!(
        "SELECT CAST(count(*) AS BIGINT) AS images FROM (SELECT 1 FROM images i WHERE i.project_id = $1 AND ",
        held!("$2"),
        " LIMIT $3) AS held"
    );
    let row = tx.query_one(sql, params![project_id, ImageErrorCode::NeverArrived, images_max]).await?;
    let held: u64 = row.map_or(Ok(0), |mut row| row.take("images"))?;
    Ok(images_max.saturating_sub(held))
}

/// The images of the project whose files arrived with one of the stated hashes. These are hashes of received bytes,
/// because a client may delete its copy of a file reported here.
async fn arrived_hashes(tx: &mut Tx, project_id: ProjectId, new: &[NewImage]) -> Result<HashMap<[u8; 32], ImageId>> {
    let asked: Vec<Vec<Value>> = new
        .iter()
        .filter_map(|image| image.stated_sha256)
        .map(|sha256| vec![project_id.into(), sha256.into()])
        .collect();
    let sql = "WITH asked (project_id, sha256) AS (VALUES {rows})
               SELECT i.sha256, i.image_id
               FROM asked a JOIN images i ON i.project_id = a.project_id AND i.sha256 = a.sha256
               WHERE i.state IN ('uploaded', 'processing', 'done') AND i.user_id IS NULL";
    let mut arrived = HashMap::new();
    for mut row in tx.query_rows(sql, &asked).await? {
        arrived.insert(row.take("sha256")?, row.take("image_id")?);
    }
    Ok(arrived)
}

async fn insert(
    tx: &mut Tx,
    project_id: ProjectId,
    user_id: Option<&str>,
    new: &[NewImage],
    now: Timestamp,
) -> Result<Hints> {
    let sql = "INSERT INTO images
                   (image_id, project_id, gallery_id, user_id, filename, state, stated_bytes, stated_sha256, stated_type,
                    incoming_key, link_expires_at, link, visibility, access_tier, tags, metadata, created_at, updated_at)
               VALUES {rows}";
    let mut rows: Vec<Vec<Value>> = Vec::with_capacity(new.len());
    for image in new {
        rows.push(vec![
            image.image_id.into(),
            project_id.into(),
            image.gallery_id.into(),
            user_id.map(str::to_owned).into(),
            image.filename.clone().into(),
            ImageState::Init.into(),
            image.stated_bytes.into(),
            image.stated_sha256.into(),
            image.stated_type.clone().into(),
            image.incoming_key.clone().into(),
            image.link_expires_at.into(),
            image.link.clone().into(),
            image.visibility.into(),
            image.access_tier.into(),
            images::tags_text(&image.tags)?.into(),
            image.metadata.clone().into(),
            now.into(),
            now.into(),
        ]);
    }
    tx.execute_rows(sql, &rows).await?;
    part_uploads::insert(tx, new).await?;
    let items: Vec<_> =
        new.iter().map(|image| news::Item::image(project_id, image.image_id, ImageState::Init)).collect();
    Ok(Hints { news: news::append(tx, now, &items).await?, ..Hints::default() })
}

fn read_open(mut row: crate::sql::Row) -> Result<OpenUpload> {
    Ok(OpenUpload {
        image_id: row.take("image_id")?,
        incoming_key: row.take("incoming_key")?,
        link_expires_at: row.take("link_expires_at")?,
        in_parts: read_in_parts(&mut row)?,
    })
}

/// Subtracts one image from the user's count.
pub(super) async fn free_place(tx: &mut Tx, project_id: ProjectId, user_id: &str) -> Result<()> {
    let sql = "UPDATE user_usage SET images = images - 1 WHERE project_id = $1 AND user_id = $2 AND images > 0";
    tx.execute(sql, params![project_id, user_id]).await.map(drop)
}
