//! Event types: the schema of the events of a category and name.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use eyeline_core::event::{OnInvalid, TEXT_CHARS_MAX, check_data};
use eyeline_core::schema::formats;
use eyeline_core::{FieldErrors, ProjectId, Timestamp};
use eyeline_store::Error;
use eyeline_store::catalog::event_types::{EventType, EventTypeInput};
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::fields::check_text;
use super::{Answer, Credential, Fields, JsonBody, Next, PagingParameters, Problem, ProjectParameter, Query};
use crate::app::App;

const DESCRIPTION_CHARS_MAX: usize = 2_000;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(put, show, delete)).routes(routes!(try_out))
}

#[derive(Serialize, ToSchema)]
#[schema(as = EventType)]
struct EventTypeAnswer {
    project_id: ProjectId,
    category: String,
    name: String,
    /// Rises with each change of the schema, and is never reused.
    version: u32,
    /// JSON Schema 2020-12 of an event's `data`; null accepts any object.
    #[schema(value_type = Option<JsonSchema>)]
    schema: Option<Box<RawValue>>,
    on_invalid: OnInvalid,
    description: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// In the answer to a PUT: the parts of the schema that are not checked. A `format` only describes a value; a
    /// `pattern` checks it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
}

/// An object, or `true` for any data and `false` for none.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes a schema, which is kept as text")]
enum JsonSchema {
    Object(serde_json::Map<String, serde_json::Value>),
    Boolean(bool),
}

impl TryFrom<EventType> for EventTypeAnswer {
    type Error = Problem;

    fn try_from(event_type: EventType) -> Answer<Self> {
        let schema = event_type.schema.map(RawValue::from_string).transpose();
        Ok(EventTypeAnswer {
            project_id: event_type.project_id,
            category: event_type.category,
            name: event_type.name,
            version: event_type.version,
            schema: schema.map_err(|error| Error::Corrupt(format!("a schema: {error}")))?,
            on_invalid: event_type.on_invalid,
            description: event_type.description,
            created_at: event_type.created_at,
            updated_at: event_type.updated_at,
            warnings: Vec::new(),
        })
    }
}

#[derive(Serialize, ToSchema)]
struct EventTypeList {
    #[schema(max_items = 100)]
    event_types: Vec<EventTypeAnswer>,
    next_cursor: Option<String>,
}

#[derive(ToSchema)]
#[schema(as = EventTypeSettings, example = json!({
    "on_invalid": "reject",
    "schema": {"type": "object", "required": ["items"], "properties": {"items": {"type": "integer"}}}
}))]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct EventTypeBody {
    /// JSON Schema 2020-12 of an event's `data`, at most 64 KiB. References lead to places within it only. Patterns
    /// may not look around, refer back or repeat too much. An event that takes too many steps to judge does not fit. A
    /// `format` is an annotation and is not checked. Without a schema the type accepts any object.
    #[schema(value_type = Option<JsonSchema>)]
    schema: Option<serde_json::Value>,
    /// `reject`: the event gets 400. `quarantine`, the default: the event is accepted and quarantined with the reasons.
    on_invalid: Option<OnInvalid>,
    #[schema(min_length = 1, max_length = 2000)]
    description: Option<String>,
}

#[derive(ToSchema)]
#[schema(as = DataToTry)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct Payload {
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EventDataVerdict)]
struct Verdict {
    valid: bool,
    /// The version of the schema that the data was checked against.
    version: u32,
    errors: FieldErrors,
}

/// The path of a type.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes parameters, which are read by hand")]
struct TypePath {
    #[param(min_length = 1, max_length = 200)]
    category: String,
    #[param(min_length = 1, max_length = 200)]
    name: String,
}

/// The event type in a request's path and query.
struct Named {
    project_id: ProjectId,
    category: String,
    name: String,
}

/// Reads the type from the path and its query. `more` reads the other parameters.
async fn named<T>(
    app: &App,
    credential: &Credential,
    (category, name): (String, String),
    mut query: Query,
    more: impl FnOnce(&mut Query) -> T,
) -> Answer<(Named, T)> {
    let project_id = query.project_id(credential);
    for (field, text) in [("category", &category), ("name", &name)] {
        if let Err(sentence) = check_text(text, TEXT_CHARS_MAX) {
            query.error(field, sentence);
        }
    }
    let more = more(&mut query);
    query.finish()?;
    let project_id = project_id.ok_or_else(|| Problem::not_found("project"))?;
    credential.manage_project(app, project_id).await?;
    Ok((Named { project_id, category, name }, more))
}

/// Set an event type
///
/// Creates or changes it. Every event that is sent after the answer is checked against it. A changed schema gets the
/// next version.
#[utoipa::path(
    put, path = "/event-types/{category}/{name}", operation_id = "put_event_type", tag = "event types",
    request_body = EventTypeBody, params(TypePath, ProjectParameter),
    responses(
        (status = 201, body = EventTypeAnswer, description = "It was created."),
        (status = 200, body = EventTypeAnswer, description = "It was changed."),
        (status = 422, description = "The project has the largest allowed number of event types."),
    )
)]
async fn put(
    State(app): State<App>,
    credential: Credential,
    Path(path): Path<(String, String)>,
    query: Query,
    JsonBody(body): JsonBody,
) -> Answer<Response> {
    let (Named { project_id, category, name }, ()) = named(&app, &credential, path, query, |_| ()).await?;
    let mut fields = Fields::parse(&body)?;
    let on_invalid = fields.parsed("on_invalid", "reject or quarantine", OnInvalid::parse);
    let description = fields.text("description", DESCRIPTION_CHARS_MAX);
    let schema = fields.value("schema");
    let mut errors = fields.finish().err().unwrap_or_default();
    let text = schema.as_ref().map(ToString::to_string);
    let warning = |field| format!("{field} describes the value and is not checked: add a pattern to check it.");
    let warnings = schema.as_ref().map(formats).unwrap_or_default().into_iter().map(warning).collect();
    if let Some(schema) = schema
        && let Err(refused) = app.event_types.compile(project_id, schema).await?
    {
        errors.merge(refused);
    }
    errors.or(())?;
    let on_invalid = on_invalid.unwrap_or(OnInvalid::Quarantine);
    let input = EventTypeInput { project_id, category, name, schema: text, on_invalid, description };
    let stored = app.catalog.put_event_type(input, app.clock.now()).await?;
    app.event_types.forget();
    let status = if stored.created_at == stored.updated_at { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(EventTypeAnswer { warnings, ..EventTypeAnswer::try_from(stored)? })).into_response())
}

/// Get an event type
#[utoipa::path(
    get, path = "/event-types/{category}/{name}", operation_id = "get_event_type", tag = "event types",
    params(
        TypePath, ProjectParameter,
        ("version" = Option<u32>, Query, minimum = 1, description = "A version of the schema; the newest by default"),
    ),
    responses((status = 200, body = EventTypeAnswer))
)]
async fn show(
    State(app): State<App>,
    credential: Credential,
    Path(path): Path<(String, String)>,
    query: Query,
) -> Answer<Json<EventTypeAnswer>> {
    let version = |query: &mut Query| query.integer("version", 1..=u64::from(u32::MAX));
    let (Named { project_id, category, name }, version) = named(&app, &credential, path, query, version).await?;
    let version = version.and_then(|version| u32::try_from(version).ok());
    let found = app.catalog.event_type(project_id, category, name, version).await?;
    Ok(Json(found.ok_or_else(|| Problem::not_found("event type"))?.try_into()?))
}

/// Delete an event type
///
/// After that, its events may have any `data`.
#[utoipa::path(
    delete, path = "/event-types/{category}/{name}", operation_id = "delete_event_type", tag = "event types",
    params(TypePath, ProjectParameter), responses((status = 204))
)]
async fn delete(
    State(app): State<App>,
    credential: Credential,
    Path(path): Path<(String, String)>,
    query: Query,
) -> Answer<StatusCode> {
    let (Named { project_id, category, name }, ()) = named(&app, &credential, path, query, |_| ()).await?;
    app.catalog.delete_event_type(project_id, category, name, app.clock.now()).await?;
    app.event_types.forget();
    Ok(StatusCode::NO_CONTENT)
}

/// List a project's event types
///
/// By category and name.
#[utoipa::path(
    get, path = "/event-types", operation_id = "list_event_types", tag = "event types",
    params(ProjectParameter, PagingParameters), responses((status = 200, body = EventTypeList))
)]
async fn list(State(app): State<App>, credential: Credential, mut query: Query) -> Answer<(Next, Json<EventTypeList>)> {
    let project_id = query.project_id(&credential);
    let mut paging = query.paging::<(String, String)>(&app);
    query.finish()?;
    let project_id = project_id.ok_or_else(|| Problem::not_found("project"))?;
    credential.manage_project(&app, project_id).await?;
    let found = app.catalog.event_types(project_id, paging.after.take(), paging.rows()).await?;
    let (types, next) = paging.cut(found, |last| (last.category.clone(), last.name.clone()));
    let event_types = types.into_iter().map(EventTypeAnswer::try_from).collect::<Answer<_>>()?;
    let next_cursor = next.cursor.clone();
    Ok((next, Json(EventTypeList { event_types, next_cursor })))
}

/// Try data against an event type
///
/// Checks `data` against the type's schema. The limits are those of an event's `data`. Nothing is stored.
#[utoipa::path(
    post, path = "/event-types/{category}/{name}/try", operation_id = "try_event_type", tag = "event types",
    request_body = Payload, params(TypePath, ProjectParameter), responses((status = 200, body = Verdict))
)]
async fn try_out(
    State(app): State<App>,
    credential: Credential,
    Path(path): Path<(String, String)>,
    query: Query,
    JsonBody(body): JsonBody,
) -> Answer<Json<Verdict>> {
    let (Named { project_id, category, name }, ()) = named(&app, &credential, path, query, |_| ()).await?;
    let mut fields = Fields::parse(&body)?;
    fields.require("data");
    let data = fields.object("data").map(serde_json::Value::Object).unwrap_or_default();
    fields.finish()?;
    check_data(&data.to_string()).map_err(|sentence| FieldErrors::one("data", sentence))?;
    let known = app.catalog.event_type(project_id, category.clone(), name.clone(), None).await?;
    let version = known.ok_or_else(|| Problem::not_found("event type"))?.version;
    let errors = app.event_types.check(project_id, &category, &name, version, data).await?;
    Ok(Json(Verdict { valid: errors.is_empty(), version, errors }))
}
