//! Events read back; they are never changed.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use eyeline_core::event::{ActKind, ImageRef};
use eyeline_core::{ApplicationId, EventId, FieldErrors, GalleryId, ImageId, SessionId, Timestamp};
use eyeline_lake::{Filter, Order, Place};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{EventAnswer, quarantine};
use crate::api::{Answer, Credential, PagingParameters, Problem, ProjectParameter, Query};
use crate::app::App;
use crate::flow::event::receipt::{self, CountedIn, Fate};

/// The longest time that a list waits until earlier events are counted.
const PATIENCE: Duration = Duration::from_secs(1);
const TEXT_CHARS_MAX: usize = eyeline_core::event::TEXT_CHARS_MAX;
const TIME: &str = "a time such as 2021-01-01T09:15:27.243860Z";

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

/// The selection of events, as [`list`] reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters, which are read field by field")]
struct EventFilter {
    session_id: Option<SessionId>,
    application: Option<ApplicationId>,
    #[param(min_length = 1, max_length = 200)]
    category: Option<String>,
    #[param(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// The first `timestamp` of the span.
    from: Option<Timestamp>,
    /// The first `timestamp` after the span.
    to: Option<Timestamp>,
    /// The time that is sorted by; a cursor belongs to one order.
    #[param(inline)]
    order: Option<EventOrder>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words of a parameter")]
enum EventOrder {
    Timestamp,
    ReceivedAt,
}

#[derive(Serialize, ToSchema)]
struct EventList {
    #[schema(max_items = 100)]
    events: Vec<EventAnswer>,
    /// Null at the end of the list. A page before the end may be short or empty.
    next_cursor: Option<String>,
    /// Present if the span reaches back before the retention period (`EYELINE_EVENTS_KEEP_DAYS`). The list is complete
    /// from this `timestamp` on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    complete_from: Option<Timestamp>,
}

/// List a project's events
///
/// The newest first by `timestamp`, or by `received_at` with `order=received_at`.
#[utoipa::path(
    get, path = "/events", operation_id = "list_events", tag = "events",
    params(ProjectParameter, EventFilter, PagingParameters), responses((status = 200, body = EventList))
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
        // Events that got a 201 before are in the list, unless a large backlog is being counted.
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

/// The state of an event.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = EventReceipt)]
struct ReceiptAnswer {
    /// `waiting`: it is counted within a second. `counted`: it was counted, once. `quarantined`: it was accepted and
    /// does not count.
    #[schema(value_type = EventStatus)]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    counted_in: Option<CountedInAnswer>,
    /// The reason why it is quarantined.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<quarantine::QuarantineReason>, nullable = false)]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FieldErrors>, nullable = false)]
    errors: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    quarantined_at: Option<Timestamp>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words that receipts use")]
enum EventStatus {
    Waiting,
    Counted,
    Quarantined,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words that receipts use")]
enum ImageCounter {
    Views,
    Clicks,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CountedIn)]
struct CountedInAnswer {
    /// The roll-ups by hour and by day (UTC) that count it.
    hour: Timestamp,
    day: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    gallery: Option<CountedImage>,
}

#[derive(Serialize, ToSchema)]
struct CountedImage {
    gallery_id: GalleryId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    image_id: Option<ImageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    external_id: Option<String>,
    #[schema(value_type = ImageCounter)]
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

/// Get an event
///
/// The event as it was received, and what became of it. An event that was deleted is 404.
#[utoipa::path(
    get, path = "/events/{event_id}", operation_id = "get_event", tag = "events",
    params(
        ("event_id" = EventId, Path),
        ("application" = Option<ApplicationId>, Query, description = "The application that sent it; required with the admin key"),
    ),
    responses((status = 200, body = EventWithReceipt))
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
            return Err(Problem::forbidden("This requires the application's secret key or the admin key."));
        }
    };
    let named: Option<ApplicationId> = query.id("application");
    if named.or(own).is_none() {
        query.require("application");
    }
    query.finish()?;
    let application_id = named.or(own).ok_or_else(|| Problem::not_found("event"))?;
    let found = receipt::of(&app.history, &app.catalog, credential.project(), application_id, event_id).await?;
    let (event, fate) = found.ok_or_else(|| Problem::not_found("event"))?;
    credential.manage(event.project_id, "event")?;
    Ok(Json(EventWithReceipt { event: event.try_into()?, receipt: fate.try_into()? }))
}
