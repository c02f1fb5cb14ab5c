//! Who is asking: the credential of a request, as an extractor.

use eyeline_core::{ApplicationId, ProjectId, Tier};

use super::problem::{Answer, Problem};

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

    pub fn admin(&self) -> Answer<()> {
        match self {
            Credential::Admin { .. } => Ok(()),
            _ => Err(Problem::forbidden("This takes the admin key.")),
        }
    }
}
