//! Applications: the trusted senders of a project, and their credentials.

use eyeline_core::{ApplicationId, GalleryId, ProjectId, Timestamp};
use futures::FutureExt as _;

use super::idempotency::{Once, Repeatable};
use super::{Catalog, projects, public_pages};
use crate::error::{Error, Result};
use crate::params;
use crate::sql::{Row, Tx, Value};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    pub application_id: ApplicationId,
    pub project_id: ProjectId,
    pub name: String,
    /// Sorted and distinct. Empty if no browser may use the application.
    pub allowed_origins: Vec<String>,
    /// Encrypted.
    pub signing_secret: Vec<u8>,
    /// Base64url of 32 bytes. If set, user tokens are signed with this key instead of the secret.
    pub ed25519_public_key: Option<String>,
    /// The gallery whose public page sends events as this application.
    pub page_of: Option<GalleryId>,
    pub created_at: Timestamp,
}

impl Application {
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.allowed_origins.iter().any(|allowed| allowed == origin)
    }
}

/// Changes of an application; `None` keeps a value.
#[derive(Clone, Debug, Default)]
pub struct ApplicationPatch {
    pub name: Option<String>,
    pub allowed_origins: Option<Vec<String>>,
    /// `Some(None)` removes the registered key.
    pub ed25519_public_key: Option<Option<String>>,
}

/// A new secret key for an application.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// SHA-256 of the new key.
    pub key_hash: [u8; 32],
    /// The time at which the older keys end.
    pub older_until: Timestamp,
    /// Encrypted. Replaces the old one immediately.
    pub signing_secret: Option<Vec<u8>>,
}

const COLUMNS: &str = "a.application_id, a.project_id, a.name, a.signing_secret, a.ed25519_public_key, a.created_at,
    (SELECT string_agg(o.origin, ' ' ORDER BY o.origin) FROM application_origins o
     WHERE o.application_id = a.application_id) AS origins,
    (SELECT g.gallery_id FROM galleries g WHERE g.page_application_id = a.application_id) AS page_of";

impl Catalog {
    /// Creates the application with its first secret key, of which only the hash is stored.
    pub async fn create_application(
        &self,
        application: Application,
        key_hash: [u8; 32],
        repeatable: Option<Repeatable<Application>>,
    ) -> Result<Once<Application>> {
        self.write_once(repeatable, move |tx| {
            async move {
                insert(tx, &application).await?;
                add_key(tx, application.application_id, key_hash, application.created_at).await?;
                Ok(application)
            }
            .boxed()
        })
        .await
    }

    /// `None` if it or its project was deleted.
    pub async fn application(&self, application_id: ApplicationId) -> Result<Option<Application>> {
        self.db.read(move |tx| async move { application(tx, application_id).await }.boxed()).await
    }

    /// The application of a secret key, and the time when the key ends, if it does.
    pub async fn application_by_key(&self, key_hash: [u8; 32]) -> Result<Option<(Application, Option<Timestamp>)>> {
        let sql = format!(
            "SELECT {COLUMNS}, k.expires_at FROM api_keys k
             JOIN applications a ON a.application_id = k.application_id
             JOIN projects p ON p.project_id = a.project_id
             WHERE k.key_hash = $1 AND p.deleted_at IS NULL"
        );
        self.db
            .read(move |tx| {
                async move {
                    let Some(mut row) = tx.query_text(&sql, params![key_hash]).await?.pop() else { return Ok(None) };
                    let expires_at = row.take("expires_at")?;
                    Ok(Some((read_application(row)?, expires_at)))
                }
                .boxed()
            })
            .await
    }

    /// The project's applications, newest first, after the creation time and id in `after`.
    pub async fn applications(
        &self,
        project_id: ProjectId,
        after: Option<(Timestamp, ApplicationId)>,
        limit: u32,
    ) -> Result<Vec<Application>> {
        let later = if after.is_some() { "AND (a.created_at, a.application_id) < ($3, $4)" } else { "" };
        let sql = format!(
            "SELECT {COLUMNS} FROM applications a WHERE a.project_id = $1 {later}
             ORDER BY a.created_at DESC, a.application_id DESC LIMIT $2"
        );
        self.db
            .read(move |tx| {
                async move {
                    projects::project(tx, project_id).await?.ok_or(Error::NotFound("project"))?;
                    let mut bound: Vec<Value> = vec![project_id.into(), limit.into()];
                    if let Some((created_at, application_id)) = after {
                        bound.extend([created_at.into(), application_id.into()]);
                    }
                    tx.query_text(&sql, &bound).await?.into_iter().map(read_application).collect()
                }
                .boxed()
            })
            .await
    }

    pub async fn update_application(
        &self,
        application_id: ApplicationId,
        patch: ApplicationPatch,
    ) -> Result<Application> {
        let sql = "UPDATE applications SET name = $2, ed25519_public_key = $3 WHERE application_id = $1";
        self.db
            .write(move |tx| {
                async move {
                    let known = application(tx, application_id).await?.ok_or(Error::NotFound("application"))?;
                    let name = patch.name.unwrap_or(known.name);
                    let public_key = patch.ed25519_public_key.unwrap_or(known.ed25519_public_key);
                    tx.execute(sql, params![application_id, name, public_key]).await?;
                    if let Some(origins) = &patch.allowed_origins {
                        set_origins(tx, application_id, origins).await?;
                    }
                    application(tx, application_id).await?.ok_or(Error::NotFound("application"))
                }
                .boxed()
            })
            .await
    }

    /// Adds a key, sets the end of the older ones, and deletes those that have ended.
    pub async fn rotate_key(
        &self,
        application_id: ApplicationId,
        rotation: Rotation,
        now: Timestamp,
        repeatable: Option<Repeatable<Application>>,
    ) -> Result<Once<Application>> {
        let ending = "UPDATE api_keys SET expires_at = $2
                      WHERE application_id = $1 AND (expires_at IS NULL OR expires_at > $2)";
        let ended = "DELETE FROM api_keys WHERE application_id = $1 AND expires_at <= $2";
        let secret = "UPDATE applications SET signing_secret = $2 WHERE application_id = $1";
        self.write_once(repeatable, move |tx| {
            async move {
                let known = application(tx, application_id).await?.ok_or(Error::NotFound("application"))?;
                tx.execute(ending, params![application_id, rotation.older_until]).await?;
                tx.execute(ended, params![application_id, now]).await?;
                add_key(tx, application_id, rotation.key_hash, now).await?;
                if let Some(signing_secret) = rotation.signing_secret {
                    tx.execute(secret, params![application_id, signing_secret]).await?;
                }
                Ok(known)
            }
            .boxed()
        })
        .await
    }

    /// Deletes the application and its keys. Its events and images stay.
    pub async fn delete_application(&self, application_id: ApplicationId) -> Result<()> {
        let sql = "DELETE FROM applications WHERE application_id = $1";
        self.db
            .write(move |tx| {
                async move {
                    public_pages::application_deleted(tx, application_id).await?;
                    match tx.execute(sql, params![application_id]).await? {
                        0 => Err(Error::NotFound("application")),
                        _ => Ok(()),
                    }
                }
                .boxed()
            })
            .await
    }

    /// True if any application may be used by browsers from this origin.
    pub async fn is_allowed_origin(&self, origin: String) -> Result<bool> {
        let sql = "SELECT 1 AS one FROM application_origins o
                   JOIN applications a ON a.application_id = o.application_id
                   JOIN projects p ON p.project_id = a.project_id
                   WHERE o.origin = $1 AND p.deleted_at IS NULL LIMIT 1";
        self.db.read(move |tx| async move { Ok(tx.query_one(sql, params![origin]).await?.is_some()) }.boxed()).await
    }
}

async fn application(tx: &mut Tx, application_id: ApplicationId) -> Result<Option<Application>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM applications a JOIN projects p ON p.project_id = a.project_id
         WHERE a.application_id = $1 AND p.deleted_at IS NULL"
    );
    tx.query_text(&sql, params![application_id]).await?.pop().map(read_application).transpose()
}

/// Stores an application without a key.
pub(super) async fn insert(tx: &mut Tx, application: &Application) -> Result<()> {
    let sql = "INSERT INTO applications (application_id, project_id, name, signing_secret, created_at)
               VALUES ($1, $2, $3, $4, $5)";
    let Application { application_id, project_id, created_at, .. } = *application;
    projects::project(tx, project_id).await?.ok_or(Error::NotFound("project"))?;
    let (name, signing_secret) = (application.name.clone(), application.signing_secret.clone());
    tx.execute(sql, params![application_id, project_id, name, signing_secret, created_at]).await?;
    set_origins(tx, application_id, &application.allowed_origins).await
}

async fn set_origins(tx: &mut Tx, application_id: ApplicationId, origins: &[String]) -> Result<()> {
    let clear = "DELETE FROM application_origins WHERE application_id = $1";
    tx.execute(clear, params![application_id]).await?;
    let rows: Vec<Vec<Value>> =
        origins.iter().map(|origin| vec![origin.clone().into(), application_id.into()]).collect();
    let insert = "INSERT INTO application_origins (origin, application_id) VALUES {rows}";
    tx.execute_rows(insert, &rows).await.map(drop)
}

async fn add_key(tx: &mut Tx, application_id: ApplicationId, key_hash: [u8; 32], now: Timestamp) -> Result<()> {
    let sql = "INSERT INTO api_keys (key_hash, application_id, created_at) VALUES ($1, $2, $3)";
    tx.execute(sql, params![key_hash, application_id, now]).await.map(drop)
}

fn read_application(mut row: Row) -> Result<Application> {
    let origins: Option<String> = row.take("origins")?;
    Ok(Application {
        application_id: row.take("application_id")?,
        project_id: row.take("project_id")?,
        name: row.take("name")?,
        allowed_origins: origins.unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        signing_secret: row.take("signing_secret")?,
        ed25519_public_key: row.take("ed25519_public_key")?,
        page_of: row.take("page_of")?,
        created_at: row.take("created_at")?,
    })
}
