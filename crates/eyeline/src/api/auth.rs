//! The credential of a request, as an extractor.

use axum::extract::FromRequestParts;
use eyeline_core::{ApplicationId, ProjectId, Tier};
use http::request::Parts;
use http::{HeaderMap, header};

use super::problem::{Answer, Problem};
use super::{room, session, user_token};
use crate::app::App;
use crate::secrets::{same, sha256};

/// Handlers take `Credential` as an argument. A missing or invalid one is answered with 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The admin key, or a signed-in browser: everything. `application` when the request named one that exists; it is
    /// the sender of events and a filter elsewhere, never the credential.
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

    /// True if the credential may learn what the project has.
    pub fn is_of(&self, project_id: ProjectId) -> bool {
        self.project().is_none_or(|own| own == project_id)
    }

    /// Accepts the admin, and a secret key of this project. A credential of another project gets 404, as if `what` did
    /// not exist; a weaker credential of the project gets 403.
    pub fn manage(&self, project_id: ProjectId, what: &str) -> Answer<()> {
        if !self.is_of(project_id) {
            return Err(Problem::not_found(what));
        }
        match self {
            Credential::Admin { .. } | Credential::Key { .. } => Ok(()),
            Credential::Application { .. } | Credential::User { .. } => {
                Err(Problem::forbidden("This requires the application's secret key or the admin key."))
            }
        }
    }

    /// As [`Credential::manage`] for a project itself, which has to exist. A key ends with its project; the admin may
    /// name any.
    pub async fn manage_project(&self, app: &App, project_id: ProjectId) -> Answer<()> {
        self.manage(project_id, "project")?;
        match self {
            Credential::Admin { .. } if !app.credentials.is_project(project_id).await? => {
                Err(Problem::not_found("project"))
            }
            _ => Ok(()),
        }
    }

    pub fn admin(&self) -> Answer<()> {
        match self {
            Credential::Admin { .. } => Ok(()),
            _ => Err(Problem::forbidden("This requires the admin key.")),
        }
    }

    /// Identifies the holder of the credential: the same for both keys of a rotation and for every token of a user.
    pub fn fingerprint(&self) -> [u8; 32] {
        let identity = match self {
            Credential::Admin { .. } => "admin".to_owned(),
            Credential::Key { application_id, .. } => format!("key {application_id}"),
            Credential::Application { application_id, .. } => format!("application {application_id}"),
            Credential::User { project_id, user_id, .. } => format!("user {project_id} {user_id}"),
        };
        sha256(identity.as_bytes())
    }
}

impl FromRequestParts<App> for Credential {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Answer<Self> {
        if let Some(known) = parts.extensions.get::<Credential>() {
            return Ok(known.clone());
        }
        let credential = identify(parts, app).await?;
        room::of(&parts.extensions).belongs_to(credential.project());
        parts.extensions.insert(credential.clone());
        Ok(credential)
    }
}

/// The strongest credential decides: `Authorization`, then the cookie of a signed-in browser, then the public id. A bad
/// credential is never replaced by a weaker one.
async fn identify(parts: &Parts, app: &App) -> Answer<Credential> {
    if let Some(sent) = parts.headers.get(header::AUTHORIZATION) {
        let Some(token) = sent.to_str().ok().and_then(bearer) else {
            return Err(Problem::unauthorized("Authorization has to be: Bearer <key or token>."));
        };
        return by_bearer(token, parts, app).await;
    }
    if session::is_signed_in(&parts.headers, app).await? {
        return admin(parts, app).await;
    }
    match named_application(parts, app).await? {
        Some((application_id, project_id)) => {
            check_origin(parts, app, application_id).await?;
            Ok(Credential::Application { application_id, project_id })
        }
        None => Err(Problem::unauthorized(
            "This requires a credential: Authorization: Bearer <key or token>, or the header application: <id>.",
        )),
    }
}

async fn admin(parts: &Parts, app: &App) -> Answer<Credential> {
    let application = application_text(&parts.headers, parts.uri.query()).and_then(|text| text.parse().ok());
    let application = match application {
        Some(application_id) => app.credentials.application(application_id).await?,
        None => None,
    };
    let application = application.map(|application| (application.application_id, application.project_id));
    Ok(Credential::Admin { application })
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

async fn by_bearer(token: &str, parts: &Parts, app: &App) -> Answer<Credential> {
    if token.starts_with("eyl_admin_") {
        if !same(&sha256(token.as_bytes()), &app.admin_key_hash) {
            return Err(Problem::unauthorized("This key is unknown, or it was revoked."));
        }
        return admin(parts, app).await;
    }
    if token.starts_with("eyl_sk_") {
        return by_key_hash(sha256(token.as_bytes()), app).await;
    }
    user_token::verify(token, app).await
}

/// The credential whose key has this hash.
pub(super) async fn by_key_hash(key_hash: [u8; 32], app: &App) -> Answer<Credential> {
    if same(&key_hash, &app.admin_key_hash) {
        return Ok(Credential::Admin { application: None });
    }
    // The lookup by hash gives no timing information about the key itself.
    let found = app.credentials.by_key(key_hash, app.clock.now()).await?;
    let application = found.ok_or_else(|| Problem::unauthorized("This key is unknown, or it was revoked."))?;
    Ok(Credential::Key { application_id: application.application_id, project_id: application.project_id })
}

/// The hash of the key that the request was sent with.
pub(super) fn sent_key_hash(headers: &HeaderMap) -> Option<[u8; 32]> {
    let sent = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    bearer(sent).map(|token| sha256(token.as_bytes()))
}

/// The application that the header or the parameter `application` names, and its project.
async fn named_application(parts: &Parts, app: &App) -> Answer<Option<(ApplicationId, ProjectId)>> {
    let Some(text) = application_text(&parts.headers, parts.uri.query()) else { return Ok(None) };
    let unknown = || Problem::unauthorized("This application is unknown.");
    let application_id: ApplicationId = text.parse().map_err(|_| unknown())?;
    let application = app.credentials.application(application_id).await?.ok_or_else(unknown)?;
    Ok(Some((application_id, application.project_id)))
}

/// The application as text; the header has priority over the parameter.
pub(super) fn application_text(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    if let Some(value) = headers.get("application") {
        return Some(value.to_str().unwrap_or_default().to_owned());
    }
    let mut pairs = url::form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(name, _)| name == "application").map(|(_, value)| value.into_owned())
}

/// Checks a browser's `Origin` against the application's list. The application of a public page is accepted from the
/// server's own pages too. A server sends no `Origin` and passes.
async fn check_origin(parts: &Parts, app: &App, application_id: ApplicationId) -> Answer<()> {
    let Some(origin) = parts.headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let application = app.credentials.application(application_id).await?;
    let is_allowed = application.is_some_and(|application| {
        let is_own = application.page_of.is_some() && session::is_same_origin(&parts.headers, app);
        is_own || application.allows_origin(origin)
    });
    if is_allowed {
        return Ok(());
    }
    Err(Problem::forbidden("This origin is not one of the application's allowed_origins."))
}
