//! Applications: the trusted senders of a project. A secret is shown once, in the answer that made it.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use ed25519_dalek::VerifyingKey;
use eyeline_core::{ApplicationId, GalleryId, ProjectId, Timestamp};
use eyeline_store::catalog::applications::{Application, ApplicationPatch, Rotation};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::fields::NAME_CHARS_MAX;
use super::idempotency::IdempotencyKeyHeader;
use super::objects::managed_application;
use super::{
    Answer, Credential, Fields, Idempotency, JsonBody, Next, PagingParameters, Problem, ProjectParameter, Query,
    answer_once,
};
use crate::app::App;
use crate::secrets::{new_key, sha256};

/// The purpose under which signing secrets are encrypted.
pub(super) const SIGNING_SECRET: &str = "signing secret";

const ORIGINS_MAX: usize = 100;
/// Characters of a listed origin.
pub(super) const ORIGIN_CHARS_MAX: usize = 255;

/// Seconds for which a replaced key stays valid unless the rotation says otherwise: a day.
const OVERLAP_SECONDS: u64 = 24 * 60 * 60;
const OVERLAP_SECONDS_MAX: u64 = 30 * OVERLAP_SECONDS;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_application, list_applications))
        .routes(routes!(get_application, patch_application, delete_application))
        .routes(routes!(rotate_key))
}

#[derive(Serialize, ToSchema)]
#[schema(as = Application)]
struct ApplicationAnswer {
    application_id: ApplicationId,
    project_id: ProjectId,
    name: String,
    /// Origins of pages that may use the `application_id`. Empty: none.
    allowed_origins: Vec<String>,
    /// Base64url of the 32 bytes; null: user tokens are signed with the signing secret.
    ed25519_public_key: Option<String>,
    /// The gallery whose public page sends events as this application; else null.
    gallery_id: Option<GalleryId>,
    created_at: Timestamp,
}

impl From<&Application> for ApplicationAnswer {
    fn from(application: &Application) -> Self {
        ApplicationAnswer {
            application_id: application.application_id,
            project_id: application.project_id,
            name: application.name.clone(),
            allowed_origins: application.allowed_origins.clone(),
            ed25519_public_key: application.ed25519_public_key.clone(),
            gallery_id: application.page_of,
            created_at: application.created_at,
        }
    }
}

/// An application with the secrets that are shown once.
#[derive(Serialize, ToSchema)]
#[schema(as = ApplicationWithSecrets)]
struct WithSecrets {
    #[serde(flatten)]
    application: ApplicationAnswer,
    #[serde(flatten)]
    secrets: Secrets,
}

#[derive(Default, Serialize, ToSchema)]
#[schema(as = ApplicationSecrets)]
struct Secrets {
    /// The key for `Authorization: Bearer`; absent in the answer to a repetition.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("eyl_sk_…"))]
    secret_key: Option<String>,
    /// The HS256 key of user tokens: the text itself. Present when it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("eyl_ss_…"))]
    signing_secret: Option<String>,
    /// The end of the older keys; present after a rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    older_keys_until: Option<Timestamp>,
    /// Always true, and present only in the answer to a repetition: the first answer had the secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret_shown: Option<bool>,
}

#[derive(Serialize, ToSchema)]
struct ApplicationList {
    #[schema(max_items = 100)]
    applications: Vec<ApplicationAnswer>,
    next_cursor: Option<String>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct NewApplication {
    project_id: ProjectId,
    #[schema(min_length = 1, max_length = 200, example = "Site")]
    name: String,
    /// Such as `https://shop.example`; none by default. Each has at most 255 characters.
    #[schema(max_items = 100)]
    allowed_origins: Option<Vec<String>>,
}

#[derive(ToSchema)]
#[schema(example = json!({"allowed_origins": ["https://shop.example"]}))]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct ApplicationChange {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(max_items = 100)]
    allowed_origins: Option<Vec<String>>,
    /// 32 bytes as base64 or base64url, or a PEM; the empty text removes it. While it is set, user tokens have to be
    /// signed with its private key (EdDSA).
    ed25519_public_key: Option<String>,
}

#[derive(ToSchema)]
#[schema(example = json!({"overlap_seconds": 3600}))]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct RotationOrder {
    /// Seconds for which the older keys stay valid; 0 ends them with the answer.
    #[schema(maximum = 2_592_000, default = 86_400)]
    overlap_seconds: Option<u64>,
    /// True replaces the signing secret too; tokens signed with the old one end immediately.
    signing_secret: Option<bool>,
}

/// The sender of the events of a gallery's public page. It has no key until one is made by a rotation.
pub(super) fn of_page(app: &App, project_id: ProjectId, gallery_name: &str) -> Application {
    let name = format!("Public page of {gallery_name}").chars().take(NAME_CHARS_MAX).collect();
    Application {
        application_id: app.clock.new_id(),
        project_id,
        name,
        allowed_origins: Vec::new(),
        signing_secret: app.secrets.encrypt(SIGNING_SECRET, new_key("eyl_ss_").as_bytes()),
        ed25519_public_key: None,
        page_of: None,
        created_at: app.clock.now(),
    }
}

/// Create an application
///
/// The answer shows both secrets, this once.
#[utoipa::path(
    post, path = "/applications", tag = "applications", request_body = NewApplication, params(IdempotencyKeyHeader),
    responses((status = 201, body = WithSecrets))
)]
async fn create_application(
    State(app): State<App>,
    credential: Credential,
    once: Idempotency,
    JsonBody(body): JsonBody,
) -> Answer<Response> {
    let mut fields = Fields::parse(&body)?;
    let project_id: Option<ProjectId> = fields.required_id("project_id");
    let name = fields.required_text("name", NAME_CHARS_MAX);
    let allowed_origins = read_origins(&mut fields);
    fields.finish()?;
    let (project_id, name) = project_id.zip(name).ok_or_else(|| Problem::not_found("project"))?;
    credential.manage_project(&app, project_id).await?;

    let (secret_key, signing_secret) = (new_key("eyl_sk_"), new_key("eyl_ss_"));
    let application = Application {
        application_id: app.clock.new_id(),
        project_id,
        name,
        allowed_origins: allowed_origins.unwrap_or_default(),
        signing_secret: app.secrets.encrypt(SIGNING_SECRET, signing_secret.as_bytes()),
        ed25519_public_key: None,
        page_of: None,
        created_at: app.clock.now(),
    };
    let key_hash = sha256(secret_key.as_bytes());
    let repeatable = once.repeatable(&body, StatusCode::CREATED, not_again);
    let created = app.catalog.create_application(application, key_hash, repeatable).await?;
    app.credentials.forget();
    let secrets = Secrets { secret_key: Some(secret_key), signing_secret: Some(signing_secret), ..Secrets::default() };
    Ok(answer_once(created, StatusCode::CREATED, |application| WithSecrets {
        application: ApplicationAnswer::from(&application),
        secrets,
    }))
}

/// List a project's applications
///
/// The newest first.
#[utoipa::path(
    get, path = "/applications", tag = "applications", params(ProjectParameter, PagingParameters),
    responses((status = 200, body = ApplicationList))
)]
async fn list_applications(
    State(app): State<App>,
    credential: Credential,
    mut query: Query,
) -> Answer<(Next, Json<ApplicationList>)> {
    if credential.project().is_none() {
        query.require("project_id");
    }
    let project_id = query.id("project_id").or(credential.project());
    let paging = query.paging::<(i64, ApplicationId)>(&app);
    query.finish()?;
    let project_id = project_id.ok_or_else(|| Problem::not_found("project"))?;
    credential.manage_project(&app, project_id).await?;
    let after = paging.after.map(|(micros, application_id)| (Timestamp::from_micros(micros), application_id));
    let found = app.catalog.applications(project_id, after, paging.rows()).await?;
    let (applications, next) = paging.cut(found, |last| (last.created_at.micros(), last.application_id));
    let applications = applications.iter().map(ApplicationAnswer::from).collect();
    let next_cursor = next.cursor.clone();
    Ok((next, Json(ApplicationList { applications, next_cursor })))
}

/// Get an application
///
/// Without its secrets.
#[utoipa::path(
    get, path = "/applications/{application_id}", tag = "applications",
    params(("application_id" = ApplicationId, Path)), responses((status = 200, body = ApplicationAnswer))
)]
async fn get_application(
    State(app): State<App>,
    credential: Credential,
    Path(application_id): Path<ApplicationId>,
) -> Answer<Json<ApplicationAnswer>> {
    let application = managed_application(&app, &credential, application_id).await?;
    Ok(Json(ApplicationAnswer::from(&application)))
}

/// Change an application
#[utoipa::path(
    patch, path = "/applications/{application_id}", operation_id = "update_application", tag = "applications",
    params(("application_id" = ApplicationId, Path)), request_body = ApplicationChange,
    responses((status = 200, body = ApplicationAnswer))
)]
async fn patch_application(
    State(app): State<App>,
    credential: Credential,
    Path(application_id): Path<ApplicationId>,
    JsonBody(body): JsonBody,
) -> Answer<Json<ApplicationAnswer>> {
    managed_application(&app, &credential, application_id).await?;
    let mut fields = Fields::parse(&body)?;
    let patch = ApplicationPatch {
        name: fields.text("name", NAME_CHARS_MAX),
        allowed_origins: read_origins(&mut fields),
        ed25519_public_key: fields.parsed(
            "ed25519_public_key",
            "an Ed25519 public key: 32 bytes as base64 or base64url, or a PEM",
            |text| if text.is_empty() { Some(None) } else { read_public_key(text).map(Some) },
        ),
    };
    fields.finish()?;
    let changed = app.catalog.update_application(application_id, patch).await;
    app.credentials.forget();
    Ok(Json(ApplicationAnswer::from(&changed?)))
}

/// Revoke an application
///
/// Its keys and tokens end before the answer. The events that it sent stay.
#[utoipa::path(
    delete, path = "/applications/{application_id}", tag = "applications",
    params(("application_id" = ApplicationId, Path)), responses((status = 204))
)]
async fn delete_application(
    State(app): State<App>,
    credential: Credential,
    Path(application_id): Path<ApplicationId>,
) -> Answer<StatusCode> {
    managed_application(&app, &credential, application_id).await?;
    let deleted = app.catalog.delete_application(application_id).await;
    app.credentials.forget();
    deleted?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rotate an application's key
///
/// Creates a new secret key. The older keys stay valid for `overlap_seconds`.
#[utoipa::path(
    post, path = "/applications/{application_id}/rotate", operation_id = "rotate_application_key",
    tag = "applications", params(("application_id" = ApplicationId, Path), IdempotencyKeyHeader),
    request_body = Option<RotationOrder>, responses((status = 201, body = WithSecrets))
)]
async fn rotate_key(
    State(app): State<App>,
    credential: Credential,
    Path(application_id): Path<ApplicationId>,
    once: Idempotency,
    JsonBody(body): JsonBody,
) -> Answer<Response> {
    managed_application(&app, &credential, application_id).await?;
    let mut fields = Fields::parse(&body)?;
    let overlap = fields.integer("overlap_seconds", 0..=OVERLAP_SECONDS_MAX).unwrap_or(OVERLAP_SECONDS);
    let signing_secret = fields.boolean("signing_secret").unwrap_or(false).then(|| new_key("eyl_ss_"));
    fields.finish()?;
    let (secret_key, now) = (new_key("eyl_sk_"), app.clock.now());
    let rotation = Rotation {
        key_hash: sha256(secret_key.as_bytes()),
        older_until: now.plus(Duration::from_secs(overlap)),
        signing_secret: signing_secret.as_ref().map(|text| app.secrets.encrypt(SIGNING_SECRET, text.as_bytes())),
    };
    let older_keys_until = Some(rotation.older_until);
    let repeatable = once.repeatable(&body, StatusCode::CREATED, not_again);
    let rotated = app.catalog.rotate_key(application_id, rotation, now, repeatable).await;
    app.credentials.forget();
    let secrets = Secrets { secret_key: Some(secret_key), signing_secret, older_keys_until, secret_shown: None };
    Ok(answer_once(rotated?, StatusCode::CREATED, |application| WithSecrets {
        application: ApplicationAnswer::from(&application),
        secrets,
    }))
}

fn not_again(application: &Application) -> WithSecrets {
    let secrets = Secrets { secret_shown: Some(true), ..Secrets::default() };
    WithSecrets { application: application.into(), secrets }
}

/// Origins as browsers send them: scheme, host, and a port if it is not the scheme's default. Sorted, without
/// repetitions.
fn read_origins(fields: &mut Fields) -> Option<Vec<String>> {
    let given = fields.texts("allowed_origins", ORIGINS_MAX, ORIGIN_CHARS_MAX)?;
    let mut origins = BTreeSet::new();
    for (index, text) in given.iter().enumerate() {
        match read_origin(text) {
            Some(origin) => drop(origins.insert(origin)),
            None => {
                fields.error(
                    &format!("allowed_origins.{index}"),
                    "This has to be an origin such as https://shop.example.",
                );
            }
        }
    }
    Some(origins.into_iter().collect())
}

fn read_origin(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    (matches!(url.scheme(), "http" | "https") && bare).then(|| url.origin().ascii_serialization())
}

/// Base64url of the key's 32 bytes. Refuses a key of small order, for which one signature fits every message.
fn read_public_key(text: &str) -> Option<String> {
    /// The bytes before the 32 bytes of an Ed25519 key in a PEM (SubjectPublicKeyInfo, RFC 8410).
    const PEM_START: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let digits: String = lines.collect();
    let engines = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
    let bytes = engines.iter().find_map(|engine| engine.decode(&digits).ok())?;
    let key = bytes.strip_prefix(&PEM_START).unwrap_or(&bytes);
    let point = VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
    (!point.is_weak()).then(|| URL_SAFE_NO_PAD.encode(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_kept_as_browsers_send_them() {
        assert_eq!(read_origin("https://Shop.example/").as_deref(), Some("https://shop.example"));
        assert_eq!(read_origin("https://shop.example:443").as_deref(), Some("https://shop.example"));
        assert_eq!(read_origin("http://localhost:3000").as_deref(), Some("http://localhost:3000"));
        for text in
            ["*", "shop.example", "https://shop.example/path", "ftp://shop.example", "null", "https://a@b.example"]
        {
            assert_eq!(read_origin(text), None, "{text}");
        }
    }

    #[test]
    fn a_public_key_is_read_in_every_usual_spelling() {
        let key = URL_SAFE_NO_PAD.encode([251u8; 32]);
        assert_eq!(read_public_key(&key).as_ref(), Some(&key));
        assert_eq!(read_public_key(&STANDARD.encode([251u8; 32])).as_ref(), Some(&key));
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=\n-----END PUBLIC KEY-----\n";
        assert_eq!(read_public_key(pem).as_ref(), Some(&key));
        assert_eq!(read_public_key("c2hvcnQ"), None);
        let mut one = [0; 32];
        one[0] = 1;
        for (bytes, what) in [(one, "order 1"), ([0; 32], "order 4"), ([201; 32], "on no curve")] {
            assert_eq!(read_public_key(&STANDARD.encode(bytes)), None, "{what}");
        }
    }
}
