//! Event types: the schemas of events by category and name, in numbered versions.

use eyeline_core::event::OnInvalid;
use eyeline_core::{ProjectId, Timestamp};
use futures::FutureExt as _;

use super::Catalog;
use crate::error::{Error, Result};
use crate::params;
use crate::sql::{Row, Tx};

/// The most types of a project. Acceptance keeps all of them in memory.
const TYPES_MAX: u64 = 1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType {
    pub project_id: ProjectId,
    pub category: String,
    pub name: String,
    /// The version of the schema, from 1.
    pub version: u32,
    /// JSON text; `None` takes any object.
    pub schema: Option<String>,
    pub on_invalid: OnInvalid,
    pub description: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The new values of a type.
#[derive(Clone, Debug)]
pub struct EventTypeInput {
    pub project_id: ProjectId,
    pub category: String,
    pub name: String,
    /// JSON text. An equal text is the same version.
    pub schema: Option<String>,
    pub on_invalid: OnInvalid,
    pub description: Option<String>,
}

/// The part of a type that acceptance needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeInForce {
    pub category: String,
    pub name: String,
    pub version: u32,
    pub on_invalid: OnInvalid,
    /// False if the type takes any object.
    pub has_schema: bool,
}

impl Catalog {
    /// Creates or changes a type. A schema that differs from the last one becomes a new version. `NotFound` if the
    /// project is gone, `QuotaExceeded` if it has `TYPES_MAX` types.
    pub async fn put_event_type(&self, input: EventTypeInput, now: Timestamp) -> Result<EventType> {
        self.db.write(move |tx| put(tx, input, now).boxed()).await
    }

    /// The type with its newest schema, or with that of `version`. `None` if it was deleted.
    pub async fn event_type(
        &self,
        project_id: ProjectId,
        category: String,
        name: String,
        version: Option<u32>,
    ) -> Result<Option<EventType>> {
        let sql = "SELECT t.*, s.version AS shown, s.schema
                   FROM event_types t
                   JOIN event_schemas s ON s.project_id = t.project_id AND s.category = t.category AND s.name = t.name
                       AND s.version = coalesce($4, t.version)
                   WHERE t.project_id = $1 AND t.category = $2 AND t.name = $3 AND t.deleted_at IS NULL";
        self.db
            .read(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![project_id, category.clone(), name.clone(), version]).await?;
                    row.map(read).transpose()
                }
                .boxed()
            })
            .await
    }

    /// The project's types with their newest schemas, by category and name, after those in `after`.
    pub async fn event_types(
        &self,
        project_id: ProjectId,
        after: Option<(String, String)>,
        limit: u32,
    ) -> Result<Vec<EventType>> {
        let sql = "SELECT t.*, s.version AS shown, s.schema
                   FROM event_types t
                   JOIN event_schemas s ON s.project_id = t.project_id AND s.category = t.category AND s.name = t.name
                       AND s.version = t.version
                   WHERE t.project_id = $1 AND (t.category, t.name) > ($2, $3) AND t.deleted_at IS NULL
                   ORDER BY t.category, t.name
                   LIMIT $4";
        // No type has an empty category, so this precedes all of them.
        let (category, name) = after.unwrap_or_default();
        self.db
            .read(move |tx| {
                async move {
                    let rows = tx.query(sql, params![project_id, category.clone(), name.clone(), limit]).await?;
                    rows.into_iter().map(read).collect()
                }
                .boxed()
            })
            .await
    }

    /// Deletes the type. Later events of this kind may hold any object; the versions of the schema stay.
    pub async fn delete_event_type(
        &self,
        project_id: ProjectId,
        category: String,
        name: String,
        now: Timestamp,
    ) -> Result<()> {
        let sql = "UPDATE event_types SET deleted_at = $4
                   WHERE project_id = $1 AND category = $2 AND name = $3 AND deleted_at IS NULL";
        self.db
            .write(move |tx| {
                async move {
                    match tx.execute(sql, params![project_id, category.clone(), name.clone(), now]).await? {
                        0 => Err(Error::NotFound("event type")),
                        _ => Ok(()),
                    }
                }
                .boxed()
            })
            .await
    }

    /// All types of the project, as acceptance needs them.
    pub async fn types_in_force(&self, project_id: ProjectId) -> Result<Vec<TypeInForce>> {
        let sql = "SELECT t.category, t.name, t.version, t.on_invalid, s.schema IS NOT NULL AS has_schema
                   FROM event_types t
                   JOIN event_schemas s ON s.project_id = t.project_id AND s.category = t.category AND s.name = t.name
                       AND s.version = t.version
                   WHERE t.project_id = $1 AND t.deleted_at IS NULL";
        self.db
            .read(move |tx| {
                async move {
                    let rows = tx.query(sql, params![project_id]).await?;
                    let read = |mut row: Row| {
                        Ok(TypeInForce {
                            category: row.take("category")?,
                            name: row.take("name")?,
                            version: row.take("version")?,
                            on_invalid: row.take("on_invalid")?,
                            has_schema: row.take("has_schema")?,
                        })
                    };
                    rows.into_iter().map(read).collect()
                }
                .boxed()
            })
            .await
    }

    /// The JSON text of a version of a schema, also of a deleted type. `None` if that version takes any object or never
    /// existed.
    pub async fn event_schema(
        &self,
        project_id: ProjectId,
        category: String,
        name: String,
        version: u32,
    ) -> Result<Option<String>> {
        let sql = "SELECT schema FROM event_schemas
                   WHERE project_id = $1 AND category = $2 AND name = $3 AND version = $4";
        self.db
            .read(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![project_id, category.clone(), name.clone(), version]).await?;
                    row.map_or(Ok(None), |mut row| row.take("schema"))
                }
                .boxed()
            })
            .await
    }
}

async fn put(tx: &mut Tx, input: EventTypeInput, now: Timestamp) -> Result<EventType> {
    let EventTypeInput { project_id, category, name, schema, on_invalid, description } = input;
    super::projects::project(tx, project_id).await?.ok_or(Error::NotFound("project"))?;
    check_room(tx, project_id, &category, &name).await?;
    // Locks the row, so that two concurrent calls get different versions.
    let upsert = "INSERT INTO event_types
                      (project_id, category, name, version, on_invalid, description, created_at, updated_at)
                  VALUES ($1, $2, $3, 0, $4, $5, $6, $6)
                  ON CONFLICT (project_id, category, name) DO UPDATE
                  SET on_invalid = excluded.on_invalid, description = excluded.description,
                      created_at = CASE WHEN event_types.deleted_at IS NULL THEN event_types.created_at
                                        ELSE excluded.created_at END,
                      updated_at = excluded.updated_at, deleted_at = NULL
                  RETURNING version, created_at";
    let bound = params![project_id, category.clone(), name.clone(), on_invalid, description.clone(), now];
    let row = tx.query_one(upsert, bound).await?;
    let mut row = row.ok_or_else(|| Error::Corrupt("an event type was not stored".to_owned()))?;
    let (mut version, created_at): (u32, Timestamp) = (row.take("version")?, row.take("created_at")?);

    let last = "SELECT schema FROM event_schemas
                WHERE project_id = $1 AND category = $2 AND name = $3 AND version = $4";
    let last = tx.query_one(last, params![project_id, category.clone(), name.clone(), version]).await?;
    let last = last.map(|mut row| row.take::<Option<String>>("schema")).transpose()?;
    if last.as_ref() != Some(&schema) {
        version += 1;
        let number = "UPDATE event_types SET version = $4 WHERE project_id = $1 AND category = $2 AND name = $3";
        tx.execute(number, params![project_id, category.clone(), name.clone(), version]).await?;
        let insert = "INSERT INTO event_schemas (project_id, category, name, version, schema, created_at)
                      VALUES ($1, $2, $3, $4, $5, $6)";
        let bound = params![project_id, category.clone(), name.clone(), version, schema.clone(), now];
        tx.execute(insert, bound).await?;
    }
    Ok(EventType { project_id, category, name, version, schema, on_invalid, description, created_at, updated_at: now })
}

async fn check_room(tx: &mut Tx, project_id: ProjectId, category: &str, name: &str) -> Result<()> {
    let others = "SELECT count(*) AS types FROM event_types
                  WHERE project_id = $1 AND deleted_at IS NULL AND NOT (category = $2 AND name = $3)";
    let row = tx.query_one(others, params![project_id, category, name]).await?;
    let types: u64 = row.map_or(Ok(0), |mut row| row.take("types"))?;
    if types >= TYPES_MAX {
        return Err(Error::QuotaExceeded(format!("A project has at most {TYPES_MAX} event types.")));
    }
    Ok(())
}

fn read(mut row: Row) -> Result<EventType> {
    Ok(EventType {
        project_id: row.take("project_id")?,
        category: row.take("category")?,
        name: row.take("name")?,
        version: row.take("shown")?,
        schema: row.take("schema")?,
        on_invalid: row.take("on_invalid")?,
        description: row.take("description")?,
        created_at: row.take("created_at")?,
        updated_at: row.take("updated_at")?,
    })
}
