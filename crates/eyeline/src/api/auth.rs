//! Who is asking: the credential of a request, as an extractor.

use eyeline_core::{ApplicationId, ProjectId, Tier};

use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;

use super::problem::{Answer, Problem};
use crate::app::App;
use crate::secrets::{same, sha256};

/// Handlers take `Credential` as an argument: 401 where there is none or a bad one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The admin key, or a signed-in browser: everything. `application` when the request named one.
    Admin { application: Option<(ApplicationId, ProjectId)> },
    /// An application's secret key: everything inside its project.
    Key { application_id: ApplicationId, project_id: ProjectId },
    /// An application's public id: sends events, reads public galleries.
    Application { application_id: ApplicationId, project_id: ProjectId },
    /// A user token: what the user's tier allows, own uploads.
    User { application_id: ApplicationId, project_id: ProjectId, user_id: String, tier: Tier },
}

impl Credential {
    /// The project that the credential is confined to; `None` for the admin.
    pub fn project(&self) -> Option<ProjectId> {
        match self {
            Credential::Admin { .. } => None,
            Credential::Key { project_id, .. }
            | Credential::Application { project_id, .. }
            | Credential::User { project_id, .. } => Some(*project_id),
        }
    }

    /// Lets the admin pass, and a secret key of this very project; another project's is 404 (`what` is not there), a
    /// weaker credential 403.
    pub fn manage(&self, project_id: ProjectId, what: &str) -> Answer<()> {
        match self {
            Credential::Admin { .. } => Ok(()),
            Credential::Key { project_id: own, .. } if *own == project_id => Ok(()),
            Credential::Key { .. } => Err(Problem::not_found(what)),
            Credential::Application { .. } | Credential::User { .. } => {
                Err(Problem::forbidden("This takes the application's secret key or the admin key."))
            }
        }
    }

    /// What the credential is known by among all: the same for both keys of a rotation and for every token of a user.
    pub fn fingerprint(&self) -> [u8; 32] {
        let identity = match self {
            Credential::Admin { .. } => "admin".to_owned(),
            Credential::Key { application_id, .. } => format!("key {application_id}"),
            Credential::Application { application_id, .. } => format!("application {application_id}"),
            Credential::User { project_id, user_id, .. } => format!("user {project_id} {user_id}"),
        };
        sha256(identity.as_bytes())
    }

    pub fn admin(&self) -> Answer<()> {
        match self {
            Credential::Admin { .. } => Ok(()),
            _ => Err(Problem::forbidden("This takes the admin key.")),
        }
    }
}

impl FromRequestParts<App> for Credential {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Answer<Self> {
        if let Some(known) = parts.extensions.get::<Credential>() {
            return Ok(known.clone());
        }
        let sent = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = sent.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
        let credential = match bearer {
            Some(key) if same(&sha256(key.as_bytes()), &app.admin_key_hash) => Credential::Admin { application: None },
            Some(_) => return Err(Problem::unauthorized("This key is not known.")),
            None => return Err(Problem::unauthorized("This takes a credential: Authorization: Bearer <key>.")),
        };
        parts.extensions.insert(credential.clone());
        Ok(credential)
    }
}
