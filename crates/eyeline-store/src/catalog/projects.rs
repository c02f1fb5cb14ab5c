//! Projects: the owners of everything else.

use eyeline_core::{ErasureId, ImageErrorCode, ImageId, ProjectId, Tier, Timestamp};
use futures::FutureExt as _;

use super::erasures::{self, Erasure};
use super::idempotency::{Once, Repeatable};
use super::quarantine::{self, QuarantineTotals};
use super::uploads::held;
use super::{Catalog, galleries, rollups};
use crate::error::{Error, Result};
use crate::params;
use crate::sql::{Row, Tx};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub project_id: ProjectId,
    pub name: String,
    pub tier: Tier,
    pub created_at: Timestamp,
}

/// Changes of a project; `None` keeps a value.
#[derive(Clone, Debug, Default)]
pub struct ProjectPatch {
    pub name: Option<String>,
    pub tier: Option<Tier>,
}

/// The stored amounts of a project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProjectUsage {
    /// Images, dataset images included.
    pub images: u64,
    /// Bytes of the originals.
    pub bytes: u64,
    /// Events that count, over all time.
    pub events: u64,
    pub quarantined: QuarantineTotals,
    /// Hourly roll-up rows that events have created today.
    pub hour_rows: u64,
}

impl Catalog {
    pub async fn create_project(
        &self,
        project: Project,
        repeatable: Option<Repeatable<Project>>,
    ) -> Result<Once<Project>> {
        let sql = "INSERT INTO projects (project_id, name, tier, created_at) VALUES ($1, $2, $3, $4)";
        self.write_once(repeatable, move |tx| {
            async move {
                let bound = params![project.project_id, project.name.clone(), project.tier, project.created_at];
                tx.execute(sql, bound).await?;
                Ok(project)
            }
            .boxed()
        })
        .await
    }

    /// `None` if it was deleted.
    pub async fn project(&self, project_id: ProjectId) -> Result<Option<Project>> {
        self.db.read(move |tx| async move { project(tx, project_id).await }.boxed()).await
    }

    /// All projects, newest first, after the creation time and id in `after`.
    pub async fn projects(&self, after: Option<(Timestamp, ProjectId)>, limit: u32) -> Result<Vec<Project>> {
        let first = "SELECT * FROM projects WHERE deleted_at IS NULL
                     ORDER BY created_at DESC, project_id DESC LIMIT $1";
        let next = "SELECT * FROM projects WHERE deleted_at IS NULL AND (created_at, project_id) < ($2, $3)
                    ORDER BY created_at DESC, project_id DESC LIMIT $1";
        self.db
            .read(move |tx| {
                async move {
                    let rows = match after {
                        None => tx.query(first, params![limit]).await?,
                        Some((created_at, project_id)) => {
                            tx.query(next, params![limit, created_at, project_id]).await?
                        }
                    };
                    rows.into_iter().map(read_project).collect()
                }
                .boxed()
            })
            .await
    }

    pub async fn update_project(&self, project_id: ProjectId, patch: ProjectPatch) -> Result<Project> {
        let sql = "UPDATE projects SET name = coalesce($2, name), tier = coalesce($3, tier)
                   WHERE project_id = $1 AND deleted_at IS NULL
                   RETURNING *";
        self.db
            .write(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![project_id, patch.name.clone(), patch.tier]).await?;
                    row.map(read_project).ok_or(Error::NotFound("project"))?
                }
                .boxed()
            })
            .await
    }

    /// Hides the project and its data, which [`Catalog::clear_project`] deletes later.
    pub async fn delete_project(
        &self,
        project_id: ProjectId,
        erasure_id: ErasureId,
        now: Timestamp,
    ) -> Result<Erasure> {
        let sql = "UPDATE projects SET deleted_at = $2 WHERE project_id = $1 AND deleted_at IS NULL";
        self.db
            .write(move |tx| {
                async move {
                    if tx.execute(sql, params![project_id, now]).await? == 0 {
                        return Err(Error::NotFound("project"));
                    }
                    galleries::delete_all(tx, project_id, now).await?;
                    let erasure = Erasure {
                        erasure_id,
                        project_id,
                        session_id: None,
                        requested_at: now,
                        finished_at: None,
                        events: 0,
                    };
                    erasures::insert(tx, &erasure).await?;
                    Ok(erasure)
                }
                .boxed()
            })
            .await
    }

    /// The project deleted first that has no galleries left, and up to `images_max` of its images.
    pub async fn project_to_clear(&self, images_max: u32) -> Result<Option<(ProjectId, Vec<ImageId>)>> {
        let oldest = "SELECT p.project_id FROM projects p
                      WHERE p.deleted_at IS NOT NULL
                        AND NOT EXISTS (SELECT 1 FROM galleries g WHERE g.project_id = p.project_id)
                        AND (EXISTS (SELECT 1 FROM images i WHERE i.project_id = p.project_id)
                             OR NOT EXISTS (SELECT 1 FROM erasures e
                                            WHERE e.project_id = p.project_id AND e.finished_at IS NULL))
                      ORDER BY p.deleted_at, p.project_id LIMIT 1";
        let some = "SELECT image_id FROM images WHERE project_id = $1 ORDER BY created_at, image_id LIMIT $2";
        self.db
            .read(move |tx| {
                async move {
                    let Some(mut row) = tx.query_one(oldest, &[]).await? else { return Ok(None) };
                    let project_id: ProjectId = row.take("project_id")?;
                    let images = tx.query(some, params![project_id, images_max]).await?;
                    let images = images.into_iter().map(|mut row| row.take("image_id")).collect::<Result<_>>()?;
                    Ok(Some((project_id, images)))
                }
                .boxed()
            })
            .await
    }

    /// Deletes rows of a deleted project without images: up to `rows_max` of its large tables, then all others. True if
    /// there are more. News and tickets expire by age.
    pub async fn clear_project(&self, project_id: ProjectId, rows_max: u32) -> Result<bool> {
        let many = [
            "DELETE FROM quarantine WHERE (partition, event_offset) IN (
                 SELECT partition, event_offset FROM quarantine WHERE project_id = $1 LIMIT $2)",
            "DELETE FROM event_hours WHERE (project_id, bucket, application_id, category, name) IN (
                 SELECT project_id, bucket, application_id, category, name FROM event_hours
                 WHERE project_id = $1 LIMIT $2)",
            "DELETE FROM event_days WHERE (project_id, bucket, application_id, category, name) IN (
                 SELECT project_id, bucket, application_id, category, name FROM event_days
                 WHERE project_id = $1 LIMIT $2)",
            "DELETE FROM event_schemas WHERE (project_id, category, name, version) IN (
                 SELECT project_id, category, name, version FROM event_schemas WHERE project_id = $1 LIMIT $2)",
        ];
        let rest = [
            "DELETE FROM event_types WHERE project_id = $1",
            "DELETE FROM untold_quarantine WHERE project_id = $1",
            "DELETE FROM quarantine_totals WHERE project_id = $1",
            "DELETE FROM rollup_growth WHERE project_id = $1",
            "DELETE FROM applications WHERE project_id = $1",
            "DELETE FROM user_usage WHERE project_id = $1",
            "DELETE FROM projects WHERE project_id = $1 AND deleted_at IS NOT NULL",
        ];
        self.db
            .write(move |tx| {
                async move {
                    for sql in many {
                        if tx.execute(sql, params![project_id, rows_max]).await? > 0 {
                            return Ok(true);
                        }
                    }
                    for sql in rest {
                        tx.execute(sql, params![project_id]).await?;
                    }
                    Ok(false)
                }
                .boxed()
            })
            .await
    }

    /// The stored amounts of the project; `now` determines the day.
    pub async fn project_usage(&self, project_id: ProjectId, now: Timestamp) -> Result<(Project, ProjectUsage)> {
        let sql = concat!(
            "SELECT count(*) AS images, CAST(coalesce(sum(i.bytes), 0) AS BIGINT) AS bytes,
                    (SELECT CAST(coalesce(sum(events), 0) AS BIGINT) FROM event_days
                     WHERE project_id = $1) AS events
             FROM images i WHERE i.project_id = $1 AND ",
            held!("$2")
        );
        self.db
            .read(move |tx| {
                async move {
                    let known = project(tx, project_id).await?.ok_or(Error::NotFound("project"))?;
                    let row = tx.query_one(sql, params![project_id, ImageErrorCode::NeverArrived]).await?;
                    let mut row = row.ok_or_else(|| Error::Corrupt("a count without a row".to_owned()))?;
                    let (images, bytes, events) = (row.take("images")?, row.take("bytes")?, row.take("events")?);
                    let quarantined = quarantine::totals(tx, project_id).await?;
                    let hour_rows = rollups::hour_rows_made(tx, project_id, now).await?;
                    Ok((known, ProjectUsage { images, bytes, events, quarantined, hour_rows }))
                }
                .boxed()
            })
            .await
    }
}

/// `None` if it was deleted.
pub(crate) async fn project(tx: &mut Tx, project_id: ProjectId) -> Result<Option<Project>> {
    let sql = "SELECT * FROM projects WHERE project_id = $1 AND deleted_at IS NULL";
    tx.query_one(sql, params![project_id]).await?.map(read_project).transpose()
}

fn read_project(mut row: Row) -> Result<Project> {
    Ok(Project {
        project_id: row.take("project_id")?,
        name: row.take("name")?,
        tier: row.take("tier")?,
        created_at: row.take("created_at")?,
    })
}
