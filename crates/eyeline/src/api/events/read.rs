//! Events read back; nothing changes them.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use eyeline_core::{ApplicationId, EventId, ProjectId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::EventAnswer;
use crate::api::{Answer, Credential, Problem, Query};
use crate::app::App;
use crate::flow::history::{Reached, Wanted};

const TEXT_CHARS_MAX: usize = eyeline_core::event::TEXT_CHARS_MAX;
const TIME: &str = "a time such as 2021-01-01T09:15:27.243860Z";

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

#[derive(Serialize, ToSchema)]
struct EventList {
    events: Vec<EventAnswer>,
    /// Null at the end. A page may be short, or empty, and the list go on all the same.
    next_cursor: Option<String>,
}

/// The project's events, the last to arrive first.
#[utoipa::path(
    get, path = "/events", operation_id = "list_events", tag = "events",
    params(
        ("project_id" = Option<uuid::Uuid>, Query, description = "Required with the admin key"),
        ("session_id" = Option<uuid::Uuid>, Query), ("application" = Option<uuid::Uuid>, Query),
        ("category" = Option<String>, Query), ("name" = Option<String>, Query),
        ("from" = Option<String>, Query, description = "The first timestamp of interest"),
        ("to" = Option<String>, Query, description = "The first timestamp that is of none any more"),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, body = EventList), (status = "4XX", description = "A problem document"))
)]
async fn list(State(app): State<App>, credential: Credential, mut query: Query) -> Answer<Response> {
    if credential.project().is_none() {
        query.require("project_id");
    }
    let project_id: Option<ProjectId> = query.id("project_id");
    let wanted = Wanted {
        application_id: query.id("application"),
        session_id: query.id("session_id"),
        category: query.text("category", TEXT_CHARS_MAX),
        name: query.text("name", TEXT_CHARS_MAX),
        from: query.parsed("from", TIME, Timestamp::parse),
        to: query.parsed("to", TIME, Timestamp::parse),
    };
    let mut paging = query.paging::<Reached>(&app);
    query.finish()?;
    let project_id = project_id.or(credential.project()).ok_or_else(|| Problem::not_found("project"))?;
    credential.manage(project_id, "project")?;
    let (events, reached) = app.history.list(project_id, &wanted, paging.after.take(), paging.limit as usize).await?;
    let events = events.into_iter().map(EventAnswer::try_from).collect::<Answer<_>>()?;
    let next = paging.next(reached);
    let answer = EventList { events, next_cursor: next.cursor.clone() };
    Ok((next, Json(answer)).into_response())
}

/// One event, as it was received.
#[utoipa::path(
    get, path = "/events/{event_id}", operation_id = "get_event", tag = "events",
    params(
        ("event_id" = uuid::Uuid, Path),
        ("application" = Option<uuid::Uuid>, Query, description = "Whose event; required with the admin key"),
    ),
    responses((status = 200, body = EventAnswer), (status = "4XX", description = "A problem document"))
)]
async fn show(
    State(app): State<App>,
    credential: Credential,
    Path(event_id): Path<EventId>,
    mut query: Query,
) -> Answer<Json<EventAnswer>> {
    let own = match &credential {
        Credential::Admin { application } => application.map(|(application_id, _)| application_id),
        Credential::Key { application_id, .. } => Some(*application_id),
        Credential::Application { .. } | Credential::User { .. } => {
            return Err(Problem::forbidden("This takes the application's secret key or the admin key."));
        }
    };
    let named: Option<ApplicationId> = query.id("application");
    if named.or(own).is_none() {
        query.require("application");
    }
    query.finish()?;
    let application_id = named.or(own).ok_or_else(|| Problem::not_found("event"))?;
    let found = app.history.find(application_id, event_id).await?;
    let event = found.ok_or_else(|| Problem::not_found("event"))?;
    credential.manage(event.project_id, "event")?;
    Ok(Json(event.try_into()?))
}
