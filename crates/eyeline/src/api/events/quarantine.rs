//! Quarantined events: listed with their reasons, counted by cause, replayed.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use eyeline_core::{FieldErrors, ProjectId, Timestamp};
use eyeline_store::Error;
use eyeline_store::catalog::quarantine::{Age, Cause, Filter, Order, Quarantined};
use eyeline_store::inbox::Offset;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::EventAnswer;
use crate::api::{Answer, Credential, Fields, JsonBody, PagingParameters, Problem, ProjectParameter, Query};
use crate::app::App;

const TEXT_CHARS_MAX: usize = eyeline_core::event::TEXT_CHARS_MAX;
/// Causes in one answer.
const CAUSES_MAX: u32 = 1_000;
/// The purpose under which the cursor of a replay is sealed.
const REPLAY_CURSOR: &str = "cursor of a replay";

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(causes)).routes(routes!(replay))
}

#[derive(Serialize, ToSchema)]
struct QuarantinedEvent {
    #[serde(flatten)]
    event: EventAnswer,
    #[schema(value_type = QuarantineReason)]
    reason: String,
    #[schema(value_type = FieldErrors)]
    errors: Box<RawValue>,
    quarantined_at: Timestamp,
}

/// The reason why an event is quarantined. `schema`: it does not fit the schema of its type. `unknown_image`: the
/// project has no such gallery, or the gallery no such image. `invalid`: it lacks what a view or click needs. `failed`:
/// the server could not apply it. `too_many_names`: the project's events have used up the new roll-up rows of this day.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words that are stored")]
pub(super) enum QuarantineReason {
    Schema,
    UnknownImage,
    Invalid,
    Failed,
    TooManyNames,
}

/// The selection of events, as [`read_filter`] reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters, which are read field by field")]
struct QuarantineFilter {
    #[param(min_length = 1, max_length = 200)]
    category: Option<String>,
    #[param(min_length = 1, max_length = 200)]
    name: Option<String>,
    reason: Option<QuarantineReason>,
}

impl TryFrom<Quarantined> for QuarantinedEvent {
    type Error = Problem;

    fn try_from(quarantined: Quarantined) -> Answer<Self> {
        let Quarantined { age, event, reason, errors } = quarantined;
        let quarantined_at = age.quarantined_at;
        Ok(QuarantinedEvent { event: event.try_into()?, reason, errors: self::errors(errors)?, quarantined_at })
    }
}

/// The reasons as they are stored.
pub(super) fn errors(text: String) -> Answer<Box<RawValue>> {
    let corrupt = |error: serde_json::Error| Error::Corrupt(format!("the reasons of an event in quarantine: {error}"));
    Ok(RawValue::from_string(text).map_err(corrupt)?)
}

#[derive(Serialize, ToSchema)]
struct QuarantineList {
    #[schema(max_items = 100)]
    events: Vec<QuarantinedEvent>,
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = QuarantineCause)]
struct CauseAnswer {
    category: String,
    name: String,
    #[schema(value_type = QuarantineReason)]
    reason: String,
    events: u64,
    first_at: Timestamp,
    last_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
#[schema(as = QuarantineCauseList)]
struct CauseList {
    #[schema(max_items = 1000)]
    causes: Vec<CauseAnswer>,
}

/// List quarantined events
///
/// Events that were accepted but do not count, each with its reasons; the newest first.
#[utoipa::path(
    get, path = "/events/quarantine", operation_id = "list_quarantined_events", tag = "events",
    params(ProjectParameter, QuarantineFilter, PagingParameters), responses((status = 200, body = QuarantineList))
)]
async fn list(State(app): State<App>, credential: Credential, mut query: Query) -> Answer<Response> {
    let project_id = query.project_id(&credential);
    let filter = read_filter(&mut query);
    let mut paging = query.paging::<(i64, u32, i64)>(&app);
    query.finish()?;
    let project_id = managed(&app, &credential, project_id).await?;
    let found = app
        .catalog
        .quarantined(project_id, filter, Order::LastFirst, paging.after.take().map(age), paging.rows())
        .await?;
    let (events, next) = paging.cut(found, |last| key(last.age));
    let events = events.into_iter().map(QuarantinedEvent::try_from).collect::<Answer<_>>()?;
    let answer = QuarantineList { events, next_cursor: next.cursor.clone() };
    Ok((next, Json(answer)).into_response())
}

/// Count quarantined events by cause
///
/// The most frequent first; at most 1,000 causes.
#[utoipa::path(
    get, path = "/events/quarantine/causes", operation_id = "list_quarantine_causes", tag = "events",
    params(ProjectParameter, QuarantineFilter), responses((status = 200, body = CauseList))
)]
async fn causes(State(app): State<App>, credential: Credential, mut query: Query) -> Answer<Json<CauseList>> {
    let project_id = query.project_id(&credential);
    let filter = read_filter(&mut query);
    query.finish()?;
    let project_id = managed(&app, &credential, project_id).await?;
    let found = app.catalog.quarantine_causes(project_id, filter, CAUSES_MAX).await?;
    let cause = |cause: Cause| {
        let Cause { category, name, reason, events, first_at, last_at } = cause;
        CauseAnswer { category, name, reason, events, first_at, last_at }
    };
    Ok(Json(CauseList { causes: found.into_iter().map(cause).collect() }))
}

#[derive(ToSchema)]
#[schema(example = json!({"category": "shop", "name": "checkout"}))]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct ReplayOrder {
    /// Required with the admin key.
    project_id: Option<ProjectId>,
    #[schema(min_length = 1, max_length = 200)]
    category: Option<String>,
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    reason: Option<QuarantineReason>,
    /// True changes nothing and returns what would happen.
    dry_run: Option<bool>,
    /// The `next_cursor` of the call before.
    cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Replay)]
struct ReplayAnswer {
    /// Events that count from now on.
    replayed: u64,
    still_failing: u64,
    /// A call checks at most 20,000 events and takes about 10 s; the next call continues from here. Null: all were
    /// checked.
    next_cursor: Option<String>,
}

/// Replay quarantined events
///
/// Checks the events again, after a correction of their schema or once their image exists. Events that are valid now
/// are counted, once. The others stay, with their newest reasons.
#[utoipa::path(
    post, path = "/events/quarantine/replay", operation_id = "replay_quarantined_events", tag = "events",
    request_body = ReplayOrder,
    responses(
        (status = 200, body = ReplayAnswer),
        (status = 503, description = "Some events were not tried; call again."),
    )
)]
async fn replay(
    State(app): State<App>,
    credential: Credential,
    JsonBody(body): JsonBody,
) -> Answer<Json<ReplayAnswer>> {
    let mut fields = Fields::parse(&body)?;
    if credential.project().is_none() {
        fields.require("project_id");
    }
    let project_id = fields.id("project_id").or(credential.project());
    let filter = read_filter(&mut fields);
    let dry_run = fields.boolean("dry_run").unwrap_or(false);
    let after = fields.parsed("cursor", "the next_cursor of an earlier replay", |text| {
        serde_json::from_slice(&app.secrets.unseal(REPLAY_CURSOR, text)?).ok()
    });
    fields.finish()?;
    let project_id = managed(&app, &credential, project_id).await?;
    let outcome = app.replays.replay(project_id, filter, after.map(age), dry_run).await?;
    let cursor = |age| app.secrets.seal(REPLAY_CURSOR, &serde_json::to_vec(&key(age)).unwrap_or_default());
    Ok(Json(ReplayAnswer {
        replayed: outcome.replayed,
        still_failing: outcome.still_failing,
        next_cursor: outcome.next.map(cursor),
    }))
}

fn read_filter(fields: &mut Fields) -> Filter {
    Filter {
        category: fields.text("category", TEXT_CHARS_MAX),
        name: fields.text("name", TEXT_CHARS_MAX),
        reason: fields.text("reason", TEXT_CHARS_MAX),
    }
}

async fn managed(app: &App, credential: &Credential, project_id: Option<ProjectId>) -> Answer<ProjectId> {
    let project_id = project_id.ok_or_else(|| Problem::not_found("project"))?;
    credential.manage_project(app, project_id).await?;
    Ok(project_id)
}

/// A position in the order of age, as in a cursor.
fn key(age: Age) -> (i64, u32, i64) {
    (age.quarantined_at.micros(), age.partition, age.offset.number())
}

fn age((micros, partition, offset): (i64, u32, i64)) -> Age {
    Age { quarantined_at: Timestamp::from_micros(micros), partition, offset: Offset::from_number(offset) }
}
