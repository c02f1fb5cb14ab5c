//! Who holds which key, remembered for a moment: a request costs no query as a rule, and a revoked key is out at once.

use std::sync::Arc;

use eyeline_core::{ApplicationId, ProjectId, Timestamp};
use eyeline_store::catalog::applications::Application;
use eyeline_store::{Catalog, Result};

use crate::remembered::Remembered;
use crate::secrets::to_hex;

/// Whose a key is, and when it ends.
type KnownKey = (Arc<Application>, Option<Timestamp>);

/// Cheap to clone; clones share what is remembered.
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

    /// Whether browsers may ask from `origin`: for any application, or for the one that is named.
    pub async fn allows_origin(&self, origin: &str, application_id: Option<ApplicationId>) -> Result<bool> {
        if let Some(application_id) = application_id {
            let application = self.application(application_id).await?;
            return Ok(application.is_some_and(|application| application.allows_origin(origin)));
        }
        let load = async { Ok(self.catalog.is_allowed_origin(origin.to_owned()).await?.then_some(())) };
        Ok(self.origins.get_or_load(origin.to_owned(), load).await?.is_some())
    }

    /// Whether nobody signed out of the browser's session that is known by this hash.
    pub async fn is_session(&self, hash: [u8; 32]) -> Result<bool> {
        let load = async { Ok((!self.catalog.is_session_ended(&to_hex(&hash)).await?).then_some(())) };
        Ok(self.sessions.get_or_load(hash, load).await?.is_some())
    }

    /// Ends a browser's session. `until`: when it would have ended by itself.
    pub async fn end_session(&self, hash: [u8; 32], until: Timestamp, now: Timestamp) -> Result<()> {
        self.catalog.end_session(&to_hex(&hash), until.micros(), now.micros()).await?;
        self.sessions.forget();
        Ok(())
    }

    /// To be called after every change of a project, an application or a key.
    pub fn forget(&self) {
        self.keys.forget();
        self.applications.forget();
        self.origins.forget();
        self.projects.forget();
    }
}
