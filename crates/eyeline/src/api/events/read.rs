//! Events read back; nothing changes them.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use eyeline_core::event::{ActKind, ImageRef};
use eyeline_core::{ApplicationId, EventId, GalleryId, ImageId, Timestamp};
use eyeline_lake::{Filter, Order, Place};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{EventAnswer, quarantine};
use crate::api::{Answer, Credential, Problem, Query};
use crate::app::App;
use crate::flow::receipt::{self, CountedIn, Fate};

/// How long a list waits for the events before it to be counted.
const PATIENCE: Duration = Duration::from_secs(1);
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
    /// There when events with an earlier `timestamp` are asked for that are not all kept any more
    /// (`EYELINE_EVENTS_KEEP_DAYS`): the list is complete from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    complete_from: Option<Timestamp>,
}

/// Lists the project's events, the newest first by `timestamp`, or by `received_at` with `order=received_at`.
#[utoipa::path(
    get, path = "/events", operation_id = "list_events", tag = "events",
    params(
        ("project_id" = Option<uuid::Uuid>, Query, description = "Required with the admin key"),
        ("session_id" = Option<uuid::Uuid>, Query), ("application" = Option<uuid::Uuid>, Query),
        ("category" = Option<String>, Query), ("name" = Option<String>, Query),
        ("from" = Option<String>, Query, description = "The first timestamp of interest"),
        ("to" = Option<String>, Query, description = "The first timestamp that is of none any more"),
        ("order" = Option<String>, Query, description = "timestamp (the default) or received_at: the time that is sorted by"),
        ("limit" = Option<u32>, Query),
        ("cursor" = Option<String>, Query, description = "Of a page of the same order"),
    ),
    responses((status = 200, body = EventList), (status = "4XX", description = "A problem document"))
)]
async fn list(State(app): State<App>, credential: Credential, mut query: Query) -> Answer<Response> {
    let project_id = query.project_id(&credential);
    let application_id = query.id("application");
    let session_id = query.id("session_id");
    let category = query.text("category", TEXT_CHARS_MAX);
    let name = query.text("name", TEXT_CHARS_MAX);
    let from = query.parsed("from", TIME, Timestamp::parse);
    let to = query.parsed("to", TIME, Timestamp::parse);
    let order = query.parsed("order", "timestamp or received_at", Order::parse).unwrap_or_default();
    let mut paging = query.paging::<Place>(&app);
    if paging.after.is_some_and(|place| place.order != order) {
        query.error("cursor", "This belongs to a list of the other order: repeat the order of the first page.");
    }
    query.finish()?;
    let project_id = project_id.ok_or_else(|| Problem::not_found("project"))?;
    credential.manage_project(&app, project_id).await?;
    if paging.after.is_none() {
        // What was answered with 201 before is in the list, unless very much is on its way.
        let _late = tokio::time::timeout(PATIENCE, app.ingest.caught_up()).await;
    }
    let wanted = Filter { project_id, application_id, session_id, category, name, from, to };
    let page = app.history.list(wanted, order, paging.after.take(), paging.limit as usize).await?;
    let events = page.events.into_iter().map(EventAnswer::try_from).collect::<Answer<_>>()?;
    let next = paging.next(page.next);
    let answer = EventList { events, next_cursor: next.cursor.clone(), complete_from: page.incomplete_before };
    Ok((next, Json(answer)).into_response())
}

#[derive(Serialize, ToSchema)]
struct EventWithReceipt {
    #[serde(flatten)]
    event: EventAnswer,
    receipt: ReceiptAnswer,
}

/// What became of an event.
#[derive(Default, Serialize, ToSchema)]
struct ReceiptAnswer {
    /// `waiting`: counted within moments. `counted`: once. `quarantined`: accepted, and not counted for the reason told.
    #[schema(value_type = String, example = "counted")]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    counted_in: Option<CountedInAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "schema")]
    reason: Option<String>,
    /// Field path to sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::HashMap<String, Vec<String>>>)]
    errors: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantined_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
struct CountedInAnswer {
    /// The roll-ups by hour and by day that hold it (UTC).
    hour: Timestamp,
    day: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    gallery: Option<CountedImage>,
}

#[derive(Serialize, ToSchema)]
struct CountedImage {
    gallery_id: GalleryId,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_id: Option<ImageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    /// `views` or `clicks`.
    #[schema(value_type = String, example = "views")]
    counter: &'static str,
}

impl TryFrom<Fate> for ReceiptAnswer {
    type Error = Problem;

    fn try_from(fate: Fate) -> Answer<Self> {
        Ok(match fate {
            Fate::Waiting => ReceiptAnswer { status: "waiting", ..ReceiptAnswer::default() },
            Fate::Counted(counted) => {
                ReceiptAnswer { status: "counted", counted_in: Some(counted.into()), ..ReceiptAnswer::default() }
            }
            Fate::Quarantined(quarantined) => ReceiptAnswer {
                status: "quarantined",
                reason: Some(quarantined.reason),
                errors: Some(quarantine::errors(quarantined.errors)?),
                quarantined_at: Some(quarantined.age.quarantined_at),
                ..ReceiptAnswer::default()
            },
        })
    }
}

impl From<CountedIn> for CountedInAnswer {
    fn from(counted: CountedIn) -> Self {
        let gallery = counted.image.map(|(kind, gallery_id, image)| {
            let (image_id, external_id) = match image {
                ImageRef::Id(image_id) => (Some(image_id), None),
                ImageRef::External(external_id) => (None, Some(external_id)),
            };
            let counter = match kind {
                ActKind::View => "views",
                ActKind::Click => "clicks",
            };
            CountedImage { gallery_id, image_id, external_id, counter }
        });
        CountedInAnswer { hour: counted.hour, day: counted.day, gallery }
    }
}

/// One event, as it was received, and what became of it; 404 for one that is not kept any more.
#[utoipa::path(
    get, path = "/events/{event_id}", operation_id = "get_event", tag = "events",
    params(
        ("event_id" = uuid::Uuid, Path),
        ("application" = Option<uuid::Uuid>, Query, description = "Whose event; required with the admin key"),
    ),
    responses((status = 200, body = EventWithReceipt), (status = "4XX", description = "A problem document"))
)]
async fn show(
    State(app): State<App>,
    credential: Credential,
    Path(event_id): Path<EventId>,
    mut query: Query,
) -> Answer<Json<EventWithReceipt>> {
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
    let found = receipt::of(&app.history, &app.catalog, application_id, event_id).await?;
    let (event, fate) = found.ok_or_else(|| Problem::not_found("event"))?;
    credential.manage(event.project_id, "event")?;
    Ok(Json(EventWithReceipt { event: event.try_into()?, receipt: fate.try_into()? }))
}
