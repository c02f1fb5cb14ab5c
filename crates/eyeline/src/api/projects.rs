//! Projects: the walls between tenants.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use eyeline_core::{ProjectId, Tier, Timestamp};
use eyeline_store::catalog::projects::{Project, ProjectPatch};
use eyeline_store::catalog::quarantine::QuarantineTotals;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::erasures::ErasureAnswer;
use super::fields::NAME_CHARS_MAX;
use super::idempotency::IdempotencyKeyHeader;
use super::{Answer, Credential, Fields, Idempotency, JsonBody, Next, PagingParameters, Query, answer_once};
use crate::app::App;
use crate::flow::photo::upload::ProjectLimits;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_project, list_projects))
        .routes(routes!(get_project, patch_project, delete_project))
        .routes(routes!(project_usage))
}

#[derive(Serialize, ToSchema)]
#[schema(as = Project)]
struct ProjectAnswer {
    project_id: ProjectId,
    name: String,
    tier: Tier,
    created_at: Timestamp,
}

impl From<&Project> for ProjectAnswer {
    fn from(project: &Project) -> Self {
        let Project { project_id, tier, created_at, .. } = *project;
        ProjectAnswer { project_id, name: project.name.clone(), tier, created_at }
    }
}

#[derive(Serialize, ToSchema)]
struct ProjectList {
    #[schema(max_items = 100)]
    projects: Vec<ProjectAnswer>,
    next_cursor: Option<String>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct NewProject {
    #[schema(min_length = 1, max_length = 200, example = "Shop")]
    name: String,
    /// `business` by default.
    tier: Option<Tier>,
}

#[derive(ToSchema)]
#[schema(example = json!({"name": "Shoe shop"}))]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct ProjectChange {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    tier: Option<Tier>,
}

/// Create a project
///
/// Requires the admin key.
#[utoipa::path(
    post, path = "/projects", tag = "projects", request_body = NewProject, params(IdempotencyKeyHeader),
    responses((status = 201, body = ProjectAnswer))
)]
async fn create_project(
    State(app): State<App>,
    credential: Credential,
    once: Idempotency,
    JsonBody(body): JsonBody,
) -> Answer<Response> {
    credential.admin()?;
    let mut fields = Fields::parse(&body)?;
    let name = fields.required_text("name", NAME_CHARS_MAX);
    let tier = read_tier(&mut fields);
    fields.finish()?;
    let project = Project {
        project_id: app.clock.new_id(),
        name: name.unwrap_or_default(),
        tier: tier.unwrap_or(Tier::Business),
        created_at: app.clock.now(),
    };
    let repeatable = once.repeatable(&body, StatusCode::CREATED, |project: &Project| ProjectAnswer::from(project));
    let created = app.catalog.create_project(project, repeatable).await?;
    Ok(answer_once(created, StatusCode::CREATED, |project| ProjectAnswer::from(&project)))
}

/// List projects
///
/// The newest first. A secret key sees its own project.
#[utoipa::path(
    get, path = "/projects", tag = "projects", params(PagingParameters), responses((status = 200, body = ProjectList))
)]
async fn list_projects(
    State(app): State<App>,
    credential: Credential,
    mut query: Query,
) -> Answer<(Next, Json<ProjectList>)> {
    let paging = query.paging::<(i64, ProjectId)>(&app);
    query.finish()?;
    let found = match credential.project() {
        None => {
            let after = paging.after.map(|(micros, project_id)| (Timestamp::from_micros(micros), project_id));
            app.catalog.projects(after, paging.rows()).await?
        }
        Some(own) => {
            credential.manage(own, "project")?;
            app.catalog.project(own).await?.into_iter().collect()
        }
    };
    let (projects, next) = paging.cut(found, |last| (last.created_at.micros(), last.project_id));
    let projects = projects.iter().map(ProjectAnswer::from).collect();
    let next_cursor = next.cursor.clone();
    Ok((next, Json(ProjectList { projects, next_cursor })))
}

/// Get a project
#[utoipa::path(
    get, path = "/projects/{project_id}", tag = "projects", params(("project_id" = ProjectId, Path)),
    responses((status = 200, body = ProjectAnswer))
)]
async fn get_project(
    State(app): State<App>,
    credential: Credential,
    Path(project_id): Path<ProjectId>,
) -> Answer<Json<ProjectAnswer>> {
    credential.manage_project(&app, project_id).await?;
    let project = app.catalog.project(project_id).await?.ok_or_else(|| super::Problem::not_found("project"))?;
    Ok(Json(ProjectAnswer::from(&project)))
}

/// Change a project
///
/// Only the admin key may change the tier.
#[utoipa::path(
    patch, path = "/projects/{project_id}", operation_id = "update_project", tag = "projects",
    params(("project_id" = ProjectId, Path)), request_body = ProjectChange,
    responses((status = 200, body = ProjectAnswer))
)]
async fn patch_project(
    State(app): State<App>,
    credential: Credential,
    Path(project_id): Path<ProjectId>,
    JsonBody(body): JsonBody,
) -> Answer<Json<ProjectAnswer>> {
    credential.manage_project(&app, project_id).await?;
    let mut fields = Fields::parse(&body)?;
    let patch = ProjectPatch { name: fields.text("name", NAME_CHARS_MAX), tier: read_tier(&mut fields) };
    fields.finish()?;
    if patch.tier.is_some() {
        credential.admin()?;
    }
    let project = app.catalog.update_project(project_id, patch).await?;
    Ok(Json(ProjectAnswer::from(&project)))
}

/// Delete a project
///
/// The project and everything in it is hidden before the answer. A job then deletes its data, events included. The
/// answer is the receipt of their erasure, which turns to `done` once no file has any of them.
#[utoipa::path(
    delete, path = "/projects/{project_id}", tag = "projects", params(("project_id" = ProjectId, Path)),
    responses((status = 202, body = ErasureAnswer, description = "The project is hidden; the rest follows."))
)]
async fn delete_project(
    State(app): State<App>,
    credential: Credential,
    Path(project_id): Path<ProjectId>,
) -> Answer<(StatusCode, Json<ErasureAnswer>)> {
    credential.manage_project(&app, project_id).await?;
    let deleted = app.catalog.delete_project(project_id, app.clock.new_id(), app.clock.now()).await;
    app.credentials.forget();
    Ok((StatusCode::ACCEPTED, Json(deleted?.into())))
}

#[derive(Serialize, ToSchema)]
#[schema(as = ProjectUsage)]
struct Usage {
    tier: Tier,
    /// Images, those of datasets included. Uploads that never arrived and pictures that a complete feed removed do not
    /// count.
    images: u64,
    /// Bytes of the originals.
    bytes: u64,
    /// Events that count, over all time.
    events: u64,
    quarantined: QuarantineUsage,
    /// New rows of the roll-up by hour that events have made today (UTC): one for each hour, application, category and
    /// name.
    rollup_rows_today: u64,
    quotas: Quotas,
}

/// The project's quarantine.
#[derive(Serialize, ToSchema)]
struct QuarantineUsage {
    events: u64,
    /// Bytes of the events and their reasons.
    bytes: u64,
    /// Events that were dropped because the quarantine was full.
    dropped: u64,
}

/// The project's limits; null: no limit.
#[derive(Serialize, ToSchema)]
#[schema(as = ProjectQuotas)]
struct Quotas {
    images: Option<u64>,
    bytes: Option<u64>,
    events: Option<u64>,
    /// Beyond these two the oldest events in quarantine are dropped.
    quarantined_events: Option<u64>,
    quarantined_bytes: Option<u64>,
    /// Further events that would make a new row are quarantined.
    rollup_rows_per_day: Option<u64>,
}

/// Get a project's usage
///
/// The amounts that the project holds, and the limits of its tier.
#[utoipa::path(
    get, path = "/projects/{project_id}/usage", operation_id = "get_project_usage", tag = "projects",
    params(("project_id" = ProjectId, Path)), responses((status = 200, body = Usage))
)]
async fn project_usage(
    State(app): State<App>,
    credential: Credential,
    Path(project_id): Path<ProjectId>,
) -> Answer<Json<Usage>> {
    credential.manage_project(&app, project_id).await?;
    let (project, usage) = app.catalog.project_usage(project_id, app.clock.now()).await?;
    let quotas = Quotas {
        images: ProjectLimits::of(&app.settings, project.tier).images_max,
        bytes: None,
        events: None,
        quarantined_events: Some(app.settings.quarantined_events_max),
        quarantined_bytes: Some(app.settings.quarantined_bytes_max),
        rollup_rows_per_day: Some(app.settings.rollup_rows_per_day),
    };
    let QuarantineTotals { events, bytes, dropped } = usage.quarantined;
    Ok(Json(Usage {
        tier: project.tier,
        images: usage.images,
        bytes: usage.bytes,
        events: usage.events,
        quarantined: QuarantineUsage { events, bytes, dropped },
        rollup_rows_today: usage.hour_rows,
        quotas,
    }))
}

fn read_tier(fields: &mut Fields) -> Option<Tier> {
    fields.parsed("tier", "free, premium or business", Tier::parse)
}
