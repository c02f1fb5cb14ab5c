//! Galleries and the images in them.
//!
//! Every change of a row of `gallery_images`, or of its image, raises the gallery's revision and stores it in the row.
//! Ranking reads the rows changed since the revision it knows. A transaction that changes images and galleries locks
//! the rows of the images first, then those of the galleries, each by id. Transactions therefore never deadlock, and
//! none misses a gallery that an image just joined.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use eyeline_core::ranking::RankingPatch;
use eyeline_core::{GalleryId, ImageId, ProjectId, Ranking, Tier, Timestamp, Visibility};
use futures::FutureExt as _;

use super::Catalog;
use super::applications::{self, Application};
use super::gallery_changes::{self, Changed};
use super::idempotency::{Once, Repeatable};
use super::public_pages::{PublicPage, PublicPagePatch};
use super::{cuts, experiments, guard, ranking_history};
use crate::error::{Error, Result};
use crate::params;
use crate::sql::{Dialect, Row, Tx, Value};

#[derive(Clone, Debug, PartialEq)]
pub struct Gallery {
    pub gallery_id: GalleryId,
    pub project_id: ProjectId,
    pub name: String,
    /// Items of a page if the request does not state a limit.
    pub page_size: u32,
    pub visibility: Visibility,
    pub access_tier: Tier,
    pub ranking: Ranking,
    pub page: PublicPage,
    /// View and click events counted so far.
    pub applied_events: u64,
    /// Of these, the events that the guard ignores for ranking.
    pub ignored_events: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Changes of a gallery; `None` keeps a value.
#[derive(Clone, Debug, Default)]
pub struct GalleryPatch {
    pub name: Option<String>,
    pub page_size: Option<u32>,
    pub visibility: Option<Visibility>,
    pub access_tier: Option<Tier>,
    pub ranking: RankingPatch,
    pub page: PublicPagePatch,
}

/// The counts that a batch of events adds to one image of one gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountDelta {
    pub gallery_id: GalleryId,
    pub image_id: ImageId,
    pub views: u64,
    pub clicks: u64,
}

impl Catalog {
    /// Creates the gallery, and `application` for its page. `NotFound` if the project is gone.
    pub async fn create_gallery(
        &self,
        gallery: Gallery,
        application: Option<Application>,
        repeatable: Option<Repeatable<Gallery>>,
    ) -> Result<Once<Gallery>> {
        self.write_once(repeatable, move |tx| {
            async move {
                if let Some(application) = &application {
                    applications::insert(tx, application).await?;
                }
                insert_gallery(tx, &gallery).await?;
                Ok(gallery)
            }
            .boxed()
        })
        .await
    }

    /// `None` if it or its project was deleted.
    pub async fn gallery(&self, gallery_id: GalleryId) -> Result<Option<Gallery>> {
        self.db.read(move |tx| async move { gallery(tx, gallery_id).await }.boxed()).await
    }

    /// The ids of the gallery's images with these external ids.
    pub async fn image_ids_by_external_ids(
        &self,
        gallery_id: GalleryId,
        external_ids: Vec<String>,
    ) -> Result<HashMap<String, ImageId>> {
        let sql = "SELECT i.external_id AS external_id, i.image_id AS image_id
                   FROM (VALUES {rows}) AS v
                   JOIN gallery_images i ON i.gallery_id = v.column1 AND i.external_id = v.column2";
        let rows: Vec<Vec<Value>> = external_ids.into_iter().map(|id| vec![gallery_id.into(), id.into()]).collect();
        let read = |mut row: Row| Ok((row.take("external_id")?, row.take("image_id")?));
        self.db
            .read(move |tx| async move { tx.query_rows(sql, &rows).await?.into_iter().map(read).collect() }.boxed())
            .await
    }

    /// The external ids of these images of the gallery, if they have one.
    pub async fn external_ids_of_images(
        &self,
        gallery_id: GalleryId,
        image_ids: Vec<ImageId>,
    ) -> Result<HashMap<ImageId, String>> {
        let sql = "SELECT i.external_id AS external_id, i.image_id AS image_id
                   FROM (VALUES {rows}) AS v
                   JOIN gallery_images i ON i.gallery_id = v.column1 AND i.image_id = v.column2
                   WHERE i.external_id IS NOT NULL";
        let rows: Vec<Vec<Value>> = image_ids.into_iter().map(|id| vec![gallery_id.into(), id.into()]).collect();
        let read = |mut row: Row| Ok((row.take("image_id")?, row.take("external_id")?));
        self.db
            .read(move |tx| async move { tx.query_rows(sql, &rows).await?.into_iter().map(read).collect() }.boxed())
            .await
    }

    /// The project's galleries, newest first, after the creation time and id in `after`.
    pub async fn galleries(
        &self,
        project_id: ProjectId,
        after: Option<(Timestamp, GalleryId)>,
        limit: u32,
    ) -> Result<Vec<Gallery>> {
        let first = "SELECT g.* FROM galleries g JOIN projects p ON p.project_id = g.project_id
                     WHERE g.project_id = $1 AND g.deleted_at IS NULL AND p.deleted_at IS NULL
                     ORDER BY g.created_at DESC, g.gallery_id DESC
                     LIMIT $2";
        let next = "SELECT g.* FROM galleries g JOIN projects p ON p.project_id = g.project_id
                    WHERE g.project_id = $1 AND g.deleted_at IS NULL AND p.deleted_at IS NULL
                      AND (g.created_at, g.gallery_id) < ($3, $4)
                    ORDER BY g.created_at DESC, g.gallery_id DESC
                    LIMIT $2";
        self.db
            .read(move |tx| {
                async move {
                    let rows = match after {
                        None => tx.query(first, params![project_id, limit]).await?,
                        Some((created_at, gallery_id)) => {
                            tx.query(next, params![project_id, limit, created_at, gallery_id]).await?
                        }
                    };
                    rows.into_iter().map(read_gallery).collect()
                }
                .boxed()
            })
            .await
    }

    /// Applies the patch to the gallery as it is now. `Conflict` if both factors of the weight would be 0, `NotFound`
    /// if the gallery does not exist.
    pub async fn update_gallery(&self, gallery_id: GalleryId, patch: GalleryPatch, now: Timestamp) -> Result<Gallery> {
        let sql = "UPDATE galleries
                   SET name = $2, page_size = $3, visibility = $4, access_tier = $5, ranking = $6, updated_at = $7,
                       page_enabled = $8, page_indexed = $9, page_application_id = $10
                   WHERE gallery_id = $1";
        self.db
            .write(move |tx| {
                async move {
                    raise_revision(tx, gallery_id).await?;
                    let mut changed = gallery(tx, gallery_id).await?.ok_or(Error::NotFound("gallery"))?;
                    changed.name = patch.name.unwrap_or(changed.name);
                    changed.page_size = patch.page_size.unwrap_or(changed.page_size);
                    changed.visibility = patch.visibility.unwrap_or(changed.visibility);
                    changed.access_tier = patch.access_tier.unwrap_or(changed.access_tier);
                    let was = changed.ranking;
                    changed.ranking = patch.ranking.applied_to(was);
                    if changed.ranking.factors.weigh_nothing() {
                        return Err(Error::Conflict("both factors of the weight would be 0 by now".to_owned()));
                    }
                    changed.page = patch.page.apply(tx, changed.page).await?;
                    changed.updated_at = now;
                    let bound = params![
                        gallery_id,
                        changed.name.clone(),
                        changed.page_size,
                        changed.visibility,
                        changed.access_tier,
                        ranking_text(&changed.ranking)?,
                        now,
                        changed.page.enabled,
                        changed.page.indexed,
                        changed.page.application_id
                    ];
                    tx.execute(sql, bound).await?;
                    ranking_history::note(tx, gallery_id, was, changed.ranking).await?;
                    if changed.ranking != was {
                        let what = Changed::Ranking { was, is: changed.ranking };
                        gallery_changes::note(tx, gallery_id, now, what).await?;
                    }
                    Ok(changed)
                }
                .boxed()
            })
            .await
    }

    /// Hides the gallery and deletes the application of its page. [`Catalog::clear_deleted_galleries`] deletes its data
    /// later.
    pub async fn delete_gallery(&self, gallery_id: GalleryId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE galleries SET deleted_at = $2 WHERE gallery_id = $1";
        let application = "DELETE FROM applications WHERE application_id =
                               (SELECT page_application_id FROM galleries WHERE gallery_id = $1)";
        self.db
            .write(move |tx| {
                async move {
                    raise_revision(tx, gallery_id).await?;
                    tx.execute(application, params![gallery_id]).await?;
                    tx.execute(sql, params![gallery_id, now]).await.map(drop)
                }
                .boxed()
            })
            .await
    }

    /// Deletes up to `rows_max` images of a deleted gallery, with the dataset images made for it, and the gallery
    /// itself once none is left. False if there is nothing to do.
    pub async fn clear_deleted_galleries(&self, rows_max: u32) -> Result<bool> {
        self.db.write(move |tx| clear_deleted(tx, rows_max).boxed()).await
    }

    /// Adds an image of the gallery's project to the gallery, or adds it again.
    pub async fn list_image(&self, gallery_id: GalleryId, image_id: ImageId) -> Result<()> {
        let sql = "SELECT 1 AS one FROM images i JOIN galleries g ON g.project_id = i.project_id
                   WHERE i.image_id = $1 AND g.gallery_id = $2";
        self.db
            .write(move |tx| {
                async move {
                    lock_images(tx, &[image_id]).await?;
                    tx.query_one(sql, params![image_id, gallery_id]).await?.ok_or(Error::NotFound("image"))?;
                    add_image(tx, gallery_id, image_id, None).await
                }
                .boxed()
            })
            .await
    }

    /// Removes an image from the gallery. Its counters are kept, hidden. Repeated calls change nothing.
    pub async fn unlist_image(&self, gallery_id: GalleryId, image_id: ImageId) -> Result<()> {
        let sql = "UPDATE gallery_images SET listed = $3, left_feed = $3, revision = $4
                   WHERE gallery_id = $1 AND image_id = $2";
        self.db
            .write(move |tx| {
                async move {
                    let revision = raise_revision(tx, gallery_id).await?;
                    match tx.execute(sql, params![gallery_id, image_id, false, revision]).await? {
                        0 => Err(Error::NotFound("image")),
                        _ => Ok(()),
                    }
                }
                .boxed()
            })
            .await
    }
}

/// Hides all galleries of a project.
pub(super) async fn delete_all(tx: &mut Tx, project_id: ProjectId, now: Timestamp) -> Result<()> {
    let there = "SELECT gallery_id FROM galleries WHERE project_id = $1 AND deleted_at IS NULL";
    let rows = tx.query(there, params![project_id]).await?;
    let galleries = rows.into_iter().map(|mut row| row.take("gallery_id")).collect::<Result<Vec<GalleryId>>>()?;
    lock(tx, galleries).await?;
    let sql = "UPDATE galleries SET deleted_at = $2, revision = revision + 1
               WHERE project_id = $1 AND deleted_at IS NULL";
    tx.execute(sql, params![project_id, now]).await.map(drop)
}

async fn insert_gallery(tx: &mut Tx, gallery: &Gallery) -> Result<()> {
    let project = "SELECT 1 AS one FROM projects WHERE project_id = $1 AND deleted_at IS NULL";
    tx.query_one(project, params![gallery.project_id]).await?.ok_or(Error::NotFound("project"))?;
    let sql = "INSERT INTO galleries
                   (gallery_id, project_id, name, page_size, visibility, access_tier, ranking, created_at, updated_at,
                    page_enabled, page_indexed, page_application_id)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let bound = params![
        gallery.gallery_id,
        gallery.project_id,
        gallery.name.clone(),
        gallery.page_size,
        gallery.visibility,
        gallery.access_tier,
        ranking_text(&gallery.ranking)?,
        gallery.created_at,
        gallery.updated_at,
        gallery.page.enabled,
        gallery.page.indexed,
        gallery.page.application_id
    ];
    tx.execute(sql, bound).await.map(drop)
}

pub(crate) async fn gallery(tx: &mut Tx, gallery_id: GalleryId) -> Result<Option<Gallery>> {
    let sql = "SELECT g.* FROM galleries g JOIN projects p ON p.project_id = g.project_id
               WHERE g.gallery_id = $1 AND g.deleted_at IS NULL AND p.deleted_at IS NULL";
    tx.query_one(sql, params![gallery_id]).await?.map(read_gallery).transpose()
}

fn read_gallery(mut row: Row) -> Result<Gallery> {
    Ok(Gallery {
        gallery_id: row.take("gallery_id")?,
        project_id: row.take("project_id")?,
        name: row.take("name")?,
        page_size: row.take("page_size")?,
        visibility: row.take("visibility")?,
        access_tier: row.take("access_tier")?,
        ranking: read_ranking(&mut row)?,
        page: PublicPage {
            enabled: row.take("page_enabled")?,
            indexed: row.take("page_indexed")?,
            application_id: row.take("page_application_id")?,
        },
        applied_events: row.take("applied_events")?,
        ignored_events: row.take("ignored_events")?,
        created_at: row.take("created_at")?,
        updated_at: row.take("updated_at")?,
    })
}

/// Reads column `ranking`.
pub(super) fn read_ranking(row: &mut Row) -> Result<Ranking> {
    read_ranking_of(row, "ranking")
}

/// Reads ranking settings from another column.
pub(super) fn read_ranking_of(row: &mut Row, column: &str) -> Result<Ranking> {
    let text: String = row.take(column)?;
    serde_json::from_str(&text).map_err(|error| Error::Corrupt(format!("the ranking settings of a gallery: {error}")))
}

pub(super) fn ranking_text(ranking: &Ranking) -> Result<String> {
    serde_json::to_string(ranking).map_err(|error| Error::internal("writing ranking settings", error))
}

/// Raises the gallery's revision because of its items. Returns the new one. Locks the gallery's row.
pub(super) async fn raise_revision(tx: &mut Tx, gallery_id: GalleryId) -> Result<i64> {
    let sql = "UPDATE galleries SET revision = revision + 1, item_revision = revision + 1
               WHERE gallery_id = $1 AND deleted_at IS NULL
               RETURNING revision";
    tx.query_one(sql, params![gallery_id]).await?.ok_or(Error::NotFound("gallery"))?.take("revision")
}

/// Locks the rows of galleries to change, by id. SQLite has a single writer and needs no lock.
pub(super) async fn lock(tx: &mut Tx, galleries: impl IntoIterator<Item = GalleryId>) -> Result<()> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let sorted: BTreeSet<GalleryId> = galleries.into_iter().collect();
    let rows: Vec<Vec<Value>> = sorted.into_iter().map(|gallery_id| vec![gallery_id.into()]).collect();
    let sql = "SELECT 1 AS one FROM galleries g JOIN (VALUES {rows}) AS v ON g.gallery_id = v.column1
               ORDER BY g.gallery_id
               FOR UPDATE OF g";
    tx.query_rows(sql, &rows).await.map(drop)
}

/// Like [`lock`], for the rows of images.
async fn lock_images(tx: &mut Tx, images: &[ImageId]) -> Result<()> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let sorted: BTreeSet<ImageId> = images.iter().copied().collect();
    let rows: Vec<Vec<Value>> = sorted.into_iter().map(|image_id| vec![image_id.into()]).collect();
    let sql = "SELECT 1 AS one FROM images i JOIN (VALUES {rows}) AS v ON i.image_id = v.column1
               ORDER BY i.image_id
               FOR UPDATE OF i";
    tx.query_rows(sql, &rows).await.map(drop)
}

/// Adds an image to a gallery, behind all others in insertion order. A removed image returns with its counters and its
/// old ordinal. `NotFound` if the gallery is gone.
pub(crate) async fn add_image(
    tx: &mut Tx,
    gallery_id: GalleryId,
    image_id: ImageId,
    external_id: Option<&str>,
) -> Result<()> {
    let revision = raise_revision(tx, gallery_id).await?;
    let back = "UPDATE gallery_images SET listed = $3, left_feed = $4, revision = $5
                WHERE gallery_id = $1 AND image_id = $2";
    if tx.execute(back, params![gallery_id, image_id, true, false, revision]).await? > 0 {
        return Ok(());
    }
    let next = "UPDATE galleries SET next_ordinal = next_ordinal + 1 WHERE gallery_id = $1
                RETURNING next_ordinal - 1 AS ordinal";
    let row = tx.query_one(next, params![gallery_id]).await?;
    let ordinal: i64 = row.ok_or(Error::NotFound("gallery"))?.take("ordinal")?;
    let image = "INSERT INTO gallery_images (gallery_id, ordinal, image_id, external_id, listed, revision)
                 VALUES ($1, $2, $3, $4, $5, $6)";
    let external_id = external_id.map(str::to_owned);
    tx.execute(image, params![gallery_id, ordinal, image_id, external_id, true, revision]).await.map(drop)
}

/// Marks the image as changed in all its galleries. Returns these, for hints after the commit.
pub(crate) async fn image_changed(tx: &mut Tx, image_id: ImageId) -> Result<Vec<GalleryId>> {
    images_changed(tx, &[image_id]).await
}

/// Like [`image_changed`], for an image that this transaction deletes: frees its external ids.
pub(crate) async fn image_deleted(tx: &mut Tx, image_id: ImageId) -> Result<Vec<GalleryId>> {
    let galleries = image_changed(tx, image_id).await?;
    let sql = "UPDATE gallery_images SET listed = $2, external_id = NULL WHERE image_id = $1";
    tx.execute(sql, params![image_id, false]).await?;
    Ok(galleries)
}

pub(crate) async fn images_changed(tx: &mut Tx, images: &[ImageId]) -> Result<Vec<GalleryId>> {
    lock_images(tx, images).await?;
    let images: Vec<Vec<Value>> = images.iter().map(|image_id| vec![(*image_id).into()]).collect();
    let found = "SELECT DISTINCT gi.gallery_id FROM gallery_images gi
                 JOIN (VALUES {rows}) AS v ON gi.image_id = v.column1";
    let mut galleries = BTreeSet::<GalleryId>::new();
    for mut row in tx.query_rows(found, &images).await? {
        galleries.insert(row.take("gallery_id")?);
    }
    if galleries.is_empty() {
        return Ok(Vec::new());
    }
    lock(tx, galleries.iter().copied()).await?;
    let raise = "UPDATE galleries SET revision = revision + 1, item_revision = revision + 1
                 FROM (VALUES {rows}) AS v
                 WHERE galleries.gallery_id = v.column1";
    let raised: Vec<Vec<Value>> = galleries.iter().map(|gallery_id| vec![(*gallery_id).into()]).collect();
    tx.execute_rows(raise, &raised).await?;
    let mark = "UPDATE gallery_images
                SET revision = (SELECT g.revision FROM galleries g WHERE g.gallery_id = gallery_images.gallery_id)
                FROM (VALUES {rows}) AS v
                WHERE gallery_images.image_id = v.column1";
    tx.execute_rows(mark, &images).await?;
    Ok(galleries.into_iter().collect())
}

/// Adds to the counters. `deltas` holds each (gallery, image) once, and only existing ones.
pub(crate) async fn add_counts(tx: &mut Tx, deltas: &[CountDelta]) -> Result<()> {
    let mut by_gallery = BTreeMap::<GalleryId, u64>::new();
    for delta in deltas {
        *by_gallery.entry(delta.gallery_id).or_default() += delta.views + delta.clicks;
    }
    lock(tx, by_gallery.keys().copied()).await?;
    let galleries: Vec<Vec<Value>> =
        by_gallery.iter().map(|(id, events)| vec![(*id).into(), (*events).into()]).collect();
    let sql = "UPDATE galleries SET revision = revision + 1, applied_events = applied_events + v.column2
               FROM (VALUES {rows}) AS v
               WHERE galleries.gallery_id = v.column1";
    tx.execute_rows(sql, &galleries).await?;

    let images: Vec<Vec<Value>> = deltas
        .iter()
        .map(|delta| vec![delta.gallery_id.into(), delta.image_id.into(), delta.views.into(), delta.clicks.into()])
        .collect();
    let sql = "UPDATE gallery_images
               SET views = views + v.column3,
                   clicks = clicks + v.column4,
                   revision = (SELECT g.revision FROM galleries g WHERE g.gallery_id = v.column1)
               FROM (VALUES {rows}) AS v
               WHERE gallery_images.gallery_id = v.column1 AND gallery_images.image_id = v.column2";
    tx.execute_rows(sql, &images).await.map(drop)
}

async fn clear_deleted(tx: &mut Tx, rows_max: u32) -> Result<bool> {
    let gone = "SELECT gallery_id FROM galleries WHERE deleted_at IS NOT NULL ORDER BY deleted_at, gallery_id LIMIT 1";
    let Some(mut row) = tx.query_one(gone, &[]).await? else { return Ok(false) };
    let gallery_id: GalleryId = row.take("gallery_id")?;
    lock(tx, [gallery_id]).await?;
    let some = "SELECT ordinal, image_id FROM gallery_images WHERE gallery_id = $1 ORDER BY ordinal LIMIT $2";
    let mut images = Vec::new();
    let mut last_ordinal = None;
    for mut row in tx.query(some, params![gallery_id, rows_max]).await? {
        last_ordinal = Some(row.take::<i64>("ordinal")?);
        images.push(row.take::<ImageId>("image_id")?);
    }
    let Some(last_ordinal) = last_ordinal else {
        let days = "DELETE FROM image_days WHERE (gallery_id, bucket, image_id) IN (
                        SELECT gallery_id, bucket, image_id FROM image_days WHERE gallery_id = $1 LIMIT $2)";
        if tx.execute(days, params![gallery_id, rows_max]).await? > 0 {
            return Ok(true);
        }
        if guard::clear(tx, gallery_id, rows_max).await?
            || experiments::clear(tx, gallery_id, rows_max).await?
            || cuts::clear(tx, gallery_id, rows_max).await?
        {
            return Ok(true);
        }
        ranking_history::clear(tx, gallery_id).await?;
        gallery_changes::clear(tx, gallery_id).await?;
        tx.execute("DELETE FROM galleries WHERE gallery_id = $1", params![gallery_id]).await?;
        return Ok(true);
    };
    let rows = "DELETE FROM gallery_images WHERE gallery_id = $1 AND ordinal <= $2";
    tx.execute(rows, params![gallery_id, last_ordinal]).await?;
    // A dataset image belongs to this gallery alone, unless it was added to another one too.
    let orphans = "DELETE FROM images
                   WHERE gallery_id = $1 AND url IS NOT NULL AND image_id = $2
                     AND NOT EXISTS (SELECT 1 FROM gallery_images gi WHERE gi.image_id = images.image_id)";
    for image_id in images {
        tx.execute(orphans, params![gallery_id, image_id]).await?;
    }
    Ok(true)
}
