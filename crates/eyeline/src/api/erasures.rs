//! Erasing what a person did: the only change there is to events.

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

use super::{Answer, Credential, Fields, Idempotency, JsonBody, Problem, Query, answer_once};
use crate::app::App;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(request, list)).routes(routes!(show))
}

#[derive(Serialize, ToSchema)]
struct ErasureAnswer {
    #[schema(value_type = uuid::Uuid)]
    erasure_id: ErasureId,
    #[schema(value_type = uuid::Uuid)]
    session_id: SessionId,
    /// `hidden`: no answer shows the events; `done`: no file has them.
    state: &'static str,
    /// Events received up to then are erased; later ones of the same session are new.
    #[schema(value_type = String, format = DateTime)]
    requested_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// How many events were erased; null while that is not known.
    events: Option<u64>,
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
    erasures: Vec<ErasureAnswer>,
    next_cursor: Option<String>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct NewErasure {
    session_id: uuid::Uuid,
}

/// Erases the events of a session that were received until now. Once this has answered, no list and no question shows
/// them; the receipt says when no file has them any more. Counters and orders of galleries stay as they are.
#[utoipa::path(
    post, path = "/projects/{project_id}/erasures", operation_id = "request_erasure", tag = "events",
    params(
        ("project_id" = uuid::Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Sending the same again makes no second erasure"),
    ),
    request_body = NewErasure,
    responses(
        (status = 202, body = ErasureAnswer, description = "Hidden; the rest follows"),
        (status = "4XX", description = "A problem document"),
    )
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

/// The receipts of a project's erasures, the newest first.
#[utoipa::path(
    get, path = "/projects/{project_id}/erasures", operation_id = "list_erasures", tag = "events",
    params(
        ("project_id" = uuid::Uuid, Path), ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = ErasureList), (status = "4XX", description = "A problem document"))
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

/// The receipt of one erasure.
#[utoipa::path(
    get, path = "/projects/{project_id}/erasures/{erasure_id}", operation_id = "get_erasure", tag = "events",
    params(("project_id" = uuid::Uuid, Path), ("erasure_id" = uuid::Uuid, Path)),
    responses((status = 200, body = ErasureAnswer), (status = "4XX", description = "A problem document"))
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
