//! Erasure of a session's events: the only change to events.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use eyeline_core::{ErasureId, ProjectId, SessionId, Timestamp};
use eyeline_store::catalog::erasures::Erasure;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::idempotency::IdempotencyKeyHeader;
use super::{Answer, Credential, Fields, Idempotency, JsonBody, PagingParameters, Problem, Query, answer_once};
use crate::app::App;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(request, list)).routes(routes!(show))
}

#[derive(Serialize, ToSchema)]
#[schema(as = Erasure)]
pub(super) struct ErasureAnswer {
    erasure_id: ErasureId,
    /// Absent if the whole project was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    session_id: Option<SessionId>,
    /// `hidden`: no answer shows the events; `done`: no file has them.
    #[schema(value_type = ErasureState)]
    state: &'static str,
    /// Events received up to then are erased; later ones of the same session are new.
    requested_at: Timestamp,
    finished_at: Option<Timestamp>,
    /// The number of erased events; null until it is known.
    events: Option<u64>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words that receipts use")]
enum ErasureState {
    Hidden,
    Done,
}

impl From<Erasure> for ErasureAnswer {
    fn from(erasure: Erasure) -> Self {
        ErasureAnswer {
            erasure_id: erasure.erasure_id,
            session_id: erasure.session_id,
            state: if erasure.finished_at.is_some() { "done" } else { "hidden" },
            requested_at: erasure.requested_at,
            finished_at: erasure.finished_at,
            events: erasure.finished_at.map(|_| erasure.events),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct ErasureList {
    #[schema(max_items = 100)]
    erasures: Vec<ErasureAnswer>,
    next_cursor: Option<String>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct NewErasure {
    session_id: SessionId,
}

/// Erase a session's events
///
/// Erases the events of the session that were received until now. They are hidden from every list and report before the
/// answer. The receipt turns to `done` once no file has them. Counters and orders of galleries stay as they are.
/// Requires the admin key.
#[utoipa::path(
    post, path = "/projects/{project_id}/erasures", operation_id = "create_erasure", tag = "events",
    params(("project_id" = ProjectId, Path), IdempotencyKeyHeader), request_body = NewErasure,
    responses((status = 202, body = ErasureAnswer, description = "The events are hidden; the rest follows."))
)]
async fn request(
    State(app): State<App>,
    credential: Credential,
    Path(project_id): Path<ProjectId>,
    once: Idempotency,
    JsonBody(body): JsonBody,
) -> Answer<Response> {
    credential.admin()?;
    let mut fields = Fields::parse(&body)?;
    let session_id: Option<SessionId> = fields.required_id("session_id");
    fields.finish()?;
    app.catalog.project(project_id).await?.ok_or_else(|| Problem::not_found("project"))?;
    let session_id = session_id.ok_or_else(|| Problem::not_found("session"))?;
    let answer = |erasure: &Erasure| ErasureAnswer::from(erasure.clone());
    let repeatable = once.repeatable(&body, StatusCode::ACCEPTED, answer);
    let requested = app.erase.request(project_id, session_id, repeatable).await?;
    Ok(answer_once(requested, StatusCode::ACCEPTED, ErasureAnswer::from))
}

/// List a project's erasures
///
/// The newest first. Requires the admin key.
#[utoipa::path(
    get, path = "/projects/{project_id}/erasures", operation_id = "list_erasures", tag = "events",
    params(("project_id" = ProjectId, Path), PagingParameters), responses((status = 200, body = ErasureList))
)]
async fn list(
    State(app): State<App>,
    credential: Credential,
    Path(project_id): Path<ProjectId>,
    mut query: Query,
) -> Answer<Response> {
    credential.admin()?;
    let paging = query.paging::<(Timestamp, ErasureId)>(&app);
    query.finish()?;
    app.catalog.project(project_id).await?.ok_or_else(|| Problem::not_found("project"))?;
    let rows = app.catalog.erasures(project_id, paging.after, paging.rows()).await?;
    let (rows, next) = paging.cut(rows, |erasure| (erasure.requested_at, erasure.erasure_id));
    let erasures = rows.into_iter().map(ErasureAnswer::from).collect();
    let answer = ErasureList { erasures, next_cursor: next.cursor.clone() };
    Ok((next, Json(answer)).into_response())
}

/// Get an erasure
///
/// It can be read after its project was deleted. Requires the admin key.
#[utoipa::path(
    get, path = "/projects/{project_id}/erasures/{erasure_id}", operation_id = "get_erasure", tag = "events",
    params(("project_id" = ProjectId, Path), ("erasure_id" = ErasureId, Path)),
    responses((status = 200, body = ErasureAnswer))
)]
async fn show(
    State(app): State<App>,
    credential: Credential,
    Path((project_id, erasure_id)): Path<(ProjectId, ErasureId)>,
) -> Answer<Json<ErasureAnswer>> {
    credential.admin()?;
    let found = app.catalog.erasure(project_id, erasure_id).await?;
    Ok(Json(found.ok_or_else(|| Problem::not_found("erasure"))?.into()))
}
