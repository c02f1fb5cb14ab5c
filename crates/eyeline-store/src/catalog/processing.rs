//! Processing of images: from an original to published versions, or to an error with its reason.
//!
//! Transactions lock rows in the order job, images, galleries, project, so that they never deadlock.

use std::time::Duration;

use eyeline_core::{GalleryId, ImageErrorCode, ImageId, ImageState, ProjectId, Tier, Timestamp, Visibility};
use futures::FutureExt as _;

use super::jobs::{self, Failure, Job, Lease, PROCESS_IMAGE};
use super::{Catalog, galleries, news, objects};
use crate::error::{Error, Result};
use crate::objects::ObjectKey;
use crate::params;
use crate::sql::{Tx, Value};

/// Longer than any attempt can last. Until then the sweep leaves an attempt's objects alone.
const ATTEMPT_MAX: Duration = Duration::from_secs(60 * 60);

/// Hints to publish after a commit. A lost hint only delays others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    pub galleries: Vec<GalleryId>,
    /// Projects with news, each with its newest number.
    pub news: Vec<(ProjectId, u64)>,
    /// True if a job waits.
    pub jobs: bool,
}

/// An image to process.
#[derive(Clone, Debug)]
pub struct Work {
    pub job: Job,
    pub project_id: ProjectId,
    pub image_id: ImageId,
    pub original_key: ObjectKey,
    /// The client's statements about the file before the upload.
    pub stated_bytes: Option<u64>,
    pub stated_sha256: Option<[u8; 32]>,
    pub stated_type: Option<String>,
    pub visibility: Visibility,
    pub access_tier: Tier,
    /// A new folder for the versions of this attempt.
    pub folder: ObjectKey,
}

/// The properties of an original, and the versions in the attempt's folder.
#[derive(Clone, Debug)]
pub struct Made {
    pub bytes: u64,
    pub sha256: [u8; 32],
    pub content_type: String,
    /// In pixels, after the orientation was applied.
    pub width: u32,
    pub height: u32,
    pub thumbhash: Vec<u8>,
    pub versions: Vec<MadeVersion>,
}

/// The reason why an original can never be made into versions.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub code: ImageErrorCode,
    /// A sentence for its owner.
    pub sentence: String,
    /// The SHA-256 of the original.
    pub sha256: [u8; 32],
}

#[derive(Clone, Debug)]
pub struct MadeVersion {
    pub name: String,
    /// The name within the folder.
    pub object_name: String,
    pub content_type: String,
    pub width: u32,
    pub height: u32,
    pub bytes: u64,
    pub sha256: [u8; 32],
}

impl Catalog {
    /// Claims up to `max` images for a node and sets their state to `processing`.
    pub async fn claim_images(&self, node: String, max: u32, now: Timestamp) -> Result<(Vec<Work>, Hints)> {
        self.db.write(move |tx| async move { claim(tx, &node, max, now).await }.boxed()).await
    }

    /// Publishes the versions: from the commit on the image is `done` and in its gallery. `LeaseLost` if another
    /// process has the job or the image is gone. `Conflict` if its visibility or access tier changed meanwhile. After
    /// an error the sweep deletes the versions.
    pub async fn publish_image(&self, work: Work, made: Made, now: Timestamp) -> Result<Hints> {
        self.db.write(move |tx| async move { publish(tx, work, made, now).await }.boxed()).await
    }

    /// Ends the image with an error of its file.
    pub async fn refuse_image(&self, work: Work, refusal: Refusal, now: Timestamp) -> Result<Hints> {
        self.db
            .write(move |tx| {
                async move {
                    jobs::complete(tx, work.job.lease).await?;
                    note_hash(tx, work.image_id, refusal.sha256).await?;
                    end_with_error(tx, &[work.image_id], refusal.code, &refusal.sentence, now).await
                }
                .boxed()
            })
            .await
    }

    /// Stores a failed attempt. The job runs again after a back-off, or becomes a dead letter and ends the image with
    /// the reason. `sha256` is the original's, if it was read.
    pub async fn fail_image(
        &self,
        lease: Lease,
        image_id: ImageId,
        failure: Failure,
        sha256: Option<[u8; 32]>,
        now: Timestamp,
    ) -> Result<Hints> {
        self.db
            .write(move |tx| {
                async move {
                    let Some(reason) = jobs::fail(tx, lease, &failure).await? else { return Ok(Hints::default()) };
                    if let Some(sha256) = sha256 {
                        note_hash(tx, image_id, sha256).await?;
                    }
                    let code = match failure {
                        Failure::WorkerDied(code, _) => code,
                        Failure::Failed(_) | Failure::PutBack(_) => ImageErrorCode::ProcessingFailed,
                    };
                    end_with_error(tx, &[image_id], code, &reason, now).await
                }
                .boxed()
            })
            .await
    }
}

async fn claim(tx: &mut Tx, node: &str, max: u32, now: Timestamp) -> Result<(Vec<Work>, Hints)> {
    let claimed = jobs::claim(tx, PROCESS_IMAGE, node, max).await?;
    let asked: Vec<Vec<Value>> = claimed.iter().map(|job| vec![job.subject.into()]).collect();
    let sql =
        "SELECT i.image_id, i.project_id, i.state, i.original_key, i.stated_bytes, i.stated_sha256, i.stated_type,
                      i.visibility, i.access_tier
               FROM (VALUES {rows}) AS v JOIN images i ON i.image_id = v.column1";
    let mut work = Vec::with_capacity(claimed.len());
    let mut started = Vec::new();
    for mut row in tx.query_rows(sql, &asked).await? {
        let image_id: ImageId = row.take("image_id")?;
        let Some(job) = claimed.iter().find(|job| job.subject == image_id.0) else { continue };
        let (visibility, access_tier) = (row.take("visibility")?, row.take("access_tier")?);
        let project_id = row.take("project_id")?;
        if row.take::<ImageState>("state")? == ImageState::Uploaded {
            started.push(news::Item::image(project_id, image_id, ImageState::Processing));
        }
        work.push(Work {
            job: job.clone(),
            project_id,
            image_id,
            original_key: row.take("original_key")?,
            stated_bytes: row.take("stated_bytes")?,
            stated_sha256: row.take("stated_sha256")?,
            stated_type: row.take("stated_type")?,
            visibility,
            access_tier,
            folder: ObjectKey::versions(eyeline_core::AccessClass::Public.sees(visibility, access_tier)),
        });
    }
    for job in claimed.iter().filter(|job| !work.iter().any(|work| work.job.lease == job.lease)) {
        // The image was deleted just before its job was added.
        jobs::complete(tx, job.lease).await?;
    }
    let sql = "UPDATE images SET state = 'processing', updated_at = v.column2
               FROM (VALUES {rows}) AS v
               WHERE image_id = v.column1";
    let rows: Vec<Vec<Value>> = started.iter().map(|item| vec![item.image_id.into(), now.into()]).collect();
    tx.execute_rows(sql, &rows).await?;
    let folders: Vec<ObjectKey> = work.iter().map(|work| work.folder.clone()).collect();
    let real_now = tx.real_now().await?;
    objects::unwanted(tx, &folders, real_now.plus(ATTEMPT_MAX)).await?;
    let news = news::append(tx, now, &started).await?;
    Ok((work, Hints { news, ..Hints::default() }))
}

async fn publish(tx: &mut Tx, work: Work, made: Made, now: Timestamp) -> Result<Hints> {
    let image_id = work.image_id;
    jobs::complete(tx, work.job.lease).await?;
    let found = "SELECT project_id, gallery_id FROM images WHERE image_id = $1";
    let row = tx.query_one(found, params![image_id]).await?;
    let mut row = row.ok_or(Error::LeaseLost(work.job.lease.job_id))?;
    let (project_id, gallery_id) = (row.take("project_id")?, row.take("gallery_id")?);
    let galleries = join_galleries(tx, gallery_id, image_id).await?;

    let update = "UPDATE images
                  SET state = 'done', bytes = $2, sha256 = $3, content_type = $4, width = $5, height = $6, thumbhash = $7,
                      error_code = NULL, error = NULL, updated_at = $8, prepared_at = coalesce(prepared_at, $8)
                  WHERE image_id = $1 AND visibility = $9 AND access_tier = $10";
    let bound = params![
        image_id,
        made.bytes,
        made.sha256,
        made.content_type,
        made.width,
        made.height,
        made.thumbhash,
        now,
        work.visibility,
        work.access_tier
    ];
    if tx.execute(update, bound).await? == 0 {
        return Err(Error::Conflict("who may see the image was changed while its versions were made".to_owned()));
    }
    replace_versions(tx, &work, &made.versions).await?;
    let item = news::Item::image(project_id, image_id, ImageState::Done);
    Ok(Hints { galleries, news: news::append(tx, now, &[item]).await?, jobs: false })
}

/// Adds the image to the gallery it was sent for, the first time. Returns all galleries that changed.
async fn join_galleries(tx: &mut Tx, gallery_id: Option<GalleryId>, image_id: ImageId) -> Result<Vec<GalleryId>> {
    let mut changed = galleries::image_changed(tx, image_id).await?;
    // An image removed from its gallery is still known there, and stays removed.
    let Some(gallery_id) = gallery_id.filter(|gallery_id| !changed.contains(gallery_id)) else { return Ok(changed) };
    match galleries::add_image(tx, gallery_id, image_id, None).await {
        Ok(()) => changed.push(gallery_id),
        // The gallery was deleted meanwhile; the image exists without it.
        Err(Error::NotFound(_)) => {}
        Err(error) => return Err(error),
    }
    Ok(changed)
}

async fn replace_versions(tx: &mut Tx, work: &Work, versions: &[MadeVersion]) -> Result<()> {
    let sql = "DELETE FROM versions WHERE image_id = $1 RETURNING object_key";
    let mut old = Vec::new();
    for mut row in tx.query(sql, params![work.image_id]).await? {
        let key: ObjectKey = row.take("object_key")?;
        if !old.contains(&key.folder()) {
            old.push(key.folder());
        }
    }
    let real_now = tx.real_now().await?;
    objects::unwanted(tx, &old, real_now).await?;
    objects::wanted(tx, &work.folder).await?;
    let sql = "INSERT INTO versions (image_id, name, object_key, content_type, width, height, bytes, sha256)
               VALUES {rows}";
    let rows: Vec<Vec<Value>> = versions
        .iter()
        .map(|version| {
            vec![
                work.image_id.into(),
                version.name.clone().into(),
                work.folder.join(&version.object_name).into(),
                version.content_type.clone().into(),
                version.width.into(),
                version.height.into(),
                version.bytes.into(),
                version.sha256.into(),
            ]
        })
        .collect();
    tx.execute_rows(sql, &rows).await.map(drop)
}

/// Stores the hash of a file that has no versions.
async fn note_hash(tx: &mut Tx, image_id: ImageId, sha256: [u8; 32]) -> Result<()> {
    let sql = "UPDATE images SET sha256 = $2 WHERE image_id = $1";
    tx.execute(sql, params![image_id, sha256]).await.map(drop)
}

/// Sets images to state `error`. Skips deleted ones.
pub(super) async fn end_with_error(
    tx: &mut Tx,
    images: &[ImageId],
    code: ImageErrorCode,
    sentence: &str,
    now: Timestamp,
) -> Result<Hints> {
    let galleries = galleries::images_changed(tx, images).await?;
    let sql = "UPDATE images SET state = v.column2, error_code = v.column3, error = v.column4, updated_at = v.column5
               FROM (VALUES {rows}) AS v
               WHERE image_id = v.column1
               RETURNING image_id, project_id";
    let mut sorted = images.to_vec();
    sorted.sort();
    let rows: Vec<Vec<Value>> = sorted
        .into_iter()
        .map(|image_id| vec![image_id.into(), ImageState::Error.into(), code.into(), sentence.into(), now.into()])
        .collect();
    let mut items = Vec::with_capacity(rows.len());
    for mut row in tx.query_rows(sql, &rows).await? {
        items.push(news::Item::image(row.take("project_id")?, row.take("image_id")?, ImageState::Error));
    }
    Ok(Hints { galleries, news: news::append(tx, now, &items).await?, jobs: false })
}

/// Sets an image back to waiting for its versions.
pub(super) async fn wait_again(tx: &mut Tx, image_id: ImageId, now: Timestamp) -> Result<Hints> {
    let galleries = galleries::image_changed(tx, image_id).await?;
    let sql = "UPDATE images SET state = $2, error_code = NULL, error = NULL, updated_at = $3 WHERE image_id = $1
               RETURNING project_id";
    let bound = params![image_id, ImageState::Uploaded, now];
    let mut row = tx.query_one(sql, bound).await?.ok_or(Error::NotFound("image"))?;
    let item = news::Item::image(row.take("project_id")?, image_id, ImageState::Uploaded);
    Ok(Hints { galleries, news: news::append(tx, now, &[item]).await?, jobs: true })
}
