//! Owners of keys, cached for 1 second: most requests cost no query, and a revoked key is refused immediately by this
//! process.

use std::sync::Arc;

use eyeline_core::{ApplicationId, ProjectId, Timestamp};
use eyeline_store::catalog::applications::Application;
use eyeline_store::{Catalog, Result};

use crate::remembered::Remembered;
use crate::secrets::to_hex;

/// The application of a key, and the time when the key ends.
type KnownKey = (Arc<Application>, Option<Timestamp>);

/// Cheap to clone; clones share the cache.
#[derive(Clone)]
pub struct Credentials {
    catalog: Catalog,
    keys: Arc<Remembered<[u8; 32], KnownKey>>,
    applications: Arc<Remembered<ApplicationId, Arc<Application>>>,
    origins: Arc<Remembered<String, ()>>,
    sessions: Arc<Remembered<[u8; 32], ()>>,
    projects: Arc<Remembered<ProjectId, ()>>,
}

impl Credentials {
    pub fn new(catalog: Catalog) -> Self {
        Credentials {
            catalog,
            keys: Arc::default(),
            applications: Arc::default(),
            origins: Arc::default(),
            sessions: Arc::default(),
            projects: Arc::default(),
        }
    }

    /// The application of a secret key that has not ended by `now`.
    pub async fn by_key(&self, key_hash: [u8; 32], now: Timestamp) -> Result<Option<Arc<Application>>> {
        let load = async {
            let found = self.catalog.application_by_key(key_hash).await?;
            Ok(found.map(|(application, expires_at)| (Arc::new(application), expires_at)))
        };
        let found = self.keys.get_or_load(key_hash, load).await?;
        Ok(found.and_then(|(application, expires_at)| expires_at.is_none_or(|end| end > now).then_some(application)))
    }

    #[expect(clippy::disallowed_methods, reason = "tells who a credential is")]
    pub async fn application(&self, application_id: ApplicationId) -> Result<Option<Arc<Application>>> {
        let load = async { Ok(self.catalog.application(application_id).await?.map(Arc::new)) };
        self.applications.get_or_load(application_id, load).await
    }

    pub async fn is_project(&self, project_id: ProjectId) -> Result<bool> {
        let load = async { Ok(self.catalog.project(project_id).await?.map(drop)) };
        Ok(self.projects.get_or_load(project_id, load).await?.is_some())
    }

    /// True if browsers may send requests from `origin`: for any application, or for the given one.
    pub async fn allows_origin(&self, origin: &str, application_id: Option<ApplicationId>) -> Result<bool> {
        if let Some(application_id) = application_id {
            let application = self.application(application_id).await?;
            return Ok(application.is_some_and(|application| application.allows_origin(origin)));
        }
        let load = async { Ok(self.catalog.is_allowed_origin(origin.to_owned()).await?.then_some(())) };
        Ok(self.origins.get_or_load(origin.to_owned(), load).await?.is_some())
    }

    /// True unless the browser session with this hash was signed out.
    pub async fn is_session(&self, hash: [u8; 32]) -> Result<bool> {
        let load = async { Ok((!self.catalog.is_session_ended(&to_hex(&hash)).await?).then_some(())) };
        Ok(self.sessions.get_or_load(hash, load).await?.is_some())
    }

    /// Ends a browser session. `until` is the time when it would have expired.
    pub async fn end_session(&self, hash: [u8; 32], until: Timestamp, now: Timestamp) -> Result<()> {
        self.catalog.end_session(&to_hex(&hash), until.micros(), now.micros()).await?;
        self.sessions.forget();
        Ok(())
    }

    /// Drops the cached entries. Call it after every change of a project, application or key.
    pub fn forget(&self) {
        self.keys.forget();
        self.applications.forget();
        self.origins.forget();
        self.projects.forget();
    }
}
