//! Queries in SQL.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use eyeline_core::{ApplicationId, ProjectId};
use eyeline_lake::{Budget, Files, Filter, ProjectEvents, QUERY_BYTES_MAX, Snapshot, SqlAnswer, TableColumn};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Basis, Scope, ScopeParameters, ask};
use crate::api::accept::accepts;
use crate::api::body::JsonBody;
use crate::api::{Answer, Credential, Fields, Query};
use crate::app::App;

const ROWS_DEFAULT: u64 = 1_000;
const ROWS_MAX: u64 = 10_000;
const ARROW: &str = "application/vnd.apache.arrow.stream";
const PARQUET: &str = "application/vnd.apache.parquet";
/// The binary forms of an answer, by media type.
const FORMS: [(&str, Encode); 2] = [(ARROW, |answer| Ok(answer.stream)), (PARQUET, SqlAnswer::into_parquet)];
type Encode = fn(SqlAnswer) -> eyeline_lake::Result<Vec<u8>>;
/// The headers with what a binary form does not contain.
const TRUNCATED: HeaderName = HeaderName::from_static("eyeline-truncated");
const AS_OF: HeaderName = HeaderName::from_static("eyeline-as-of");
const COMPLETE_FROM: HeaderName = HeaderName::from_static("eyeline-complete-from");

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(run))
}

/// A question in SQL.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct SqlQuestion {
    /// One SELECT of at most 16 KiB, in the spelling of PostgreSQL.
    #[schema(examples("SELECT name, count(*) AS events FROM events GROUP BY name ORDER BY events DESC"))]
    query: String,
    /// Required with the admin key.
    project_id: Option<ProjectId>,
    /// The table `events` holds the events that fit this field and all below.
    from: Option<String>,
    to: Option<String>,
    /// The zone of `from` and `to` without an offset; UTC by default.
    #[schema(example = "Europe/Berlin")]
    timezone: Option<String>,
    application: Option<ApplicationId>,
    #[schema(min_length = 1, max_length = 200)]
    category: Option<String>,
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Rows of the answer.
    #[schema(minimum = 1, maximum = 10_000, default = 1_000)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
struct SqlReport {
    /// In the order of the query.
    columns: Vec<SqlColumn>,
    /// An object for each row, by the names of the columns.
    #[schema(value_type = Vec<std::collections::BTreeMap<String, serde_json::Value>>)]
    rows: Box<RawValue>,
    /// True if there are more rows than the answer has.
    truncated: bool,
    #[serde(flatten)]
    basis: Basis,
}

#[derive(Serialize, ToSchema)]
struct SqlColumn {
    name: String,
    #[schema(value_type = SqlType)]
    r#type: &'static str,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words that columns use")]
enum SqlType {
    Text,
    Integer,
    Number,
    Boolean,
    Timestamp,
    Date,
    Time,
    Interval,
    Null,
}

impl From<TableColumn> for SqlColumn {
    fn from(column: TableColumn) -> Self {
        SqlColumn { name: column.name, r#type: column.kind }
    }
}

/// Query events with SQL
///
/// Answers one SELECT over the table `events` of the project. Its columns: `event_id`, `application_id`, `session_id`,
/// `visitor_id`, `category`, `name` and `data` (a JSON object) as text; `timestamp` and `received_at` in UTC; and the
/// integers `schema_version`, `partition` and `"offset"`, the order of counting. `data->>'field'` gives a field as
/// text, `data->'field'` as JSON, `json_number(data, 'field')` as a number. A query has 30 seconds and bounded memory.
///
/// With `Accept: application/vnd.apache.arrow.stream` the answer is an Arrow IPC stream of the rows. Its columns carry
/// the `type` of the JSON answer as metadata `eyeline.type`. With `Accept: application/vnd.apache.parquet` it is a
/// Parquet file with the same columns.
#[utoipa::path(
    post, path = "/analytics/sql", operation_id = "query_events", tag = "analytics",
    params(
        ScopeParameters,
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10_000, description = "Rows of the answer; 1,000 by default"),
    ),
    request_body = SqlQuestion,
    responses(
        (
            status = 200,
            content(
                (SqlReport = "application/json"),
                (String = "application/vnd.apache.arrow.stream"),
                (String = "application/vnd.apache.parquet"),
            ),
            headers(
                ("Eyeline-Truncated" = bool, description = "With Arrow or Parquet: there are more rows."),
                ("Eyeline-As-Of" = String, description = "With Arrow or Parquet: `as_of`."),
                ("Eyeline-Complete-From" = String, description = "With Arrow or Parquet: `complete_from`, if there is one."),
            ),
        ),
    )
)]
async fn run(
    State(app): State<App>,
    credential: Credential,
    headers: HeaderMap,
    mut parameters: Query,
    JsonBody(body): JsonBody,
) -> Answer<Response> {
    let mut fields = Fields::parse(&body)?;
    // As with the other questions, the project and the filters may be in the URL.
    fields.or(&mut parameters);
    let query = fields.required_text("query", QUERY_BYTES_MAX);
    let limit = fields.integer("limit", 1..=ROWS_MAX).unwrap_or(ROWS_DEFAULT);
    let scope = Scope::read(&mut fields, &credential);
    fields.finish()?;
    let filter = scope.granted(&app, &credential).await?;
    let rows_max = usize::try_from(limit).unwrap_or(usize::MAX);
    let question = eyeline_lake::SqlQuestion { query: query.unwrap_or_default(), rows_max, now: app.clock.now() };
    let workers = app.sql_workers.clone();
    let answer = move |files: &Files, snapshot: &Snapshot, filter: &Filter, budget: &Budget| {
        workers.answer(&ProjectEvents::new(files, snapshot, filter, budget), &question, budget)
    };
    if let Some((media_type, encode)) = FORMS.into_iter().find(|(media_type, _)| accepts(&headers, media_type)) {
        let encoded = move |files: &Files, snapshot: &Snapshot, filter: &Filter, budget: &Budget| {
            let answer = answer(files, snapshot, filter, budget)?;
            // The rows as they came, as they are encoded, and in the body of the answer.
            let _held = budget.hold(3 * answer.stream.len())?;
            let truncated = answer.truncated;
            Ok((encode(answer)?, truncated))
        };
        let ((bytes, truncated), basis) = ask(&app, filter, encoded).await?;
        return Ok(binary(media_type, bytes, truncated, &basis));
    }
    let table = move |files: &Files, snapshot: &Snapshot, filter: &Filter, budget: &Budget| {
        let answer = answer(files, snapshot, filter, budget)?;
        // The rows as they came, as JSON, and in the body of the answer.
        let _held = budget.hold(3 * answer.stream.len())?;
        answer.into_table()
    };
    let (table, basis) = ask(&app, filter, table).await?;
    let report = SqlReport {
        columns: table.columns.into_iter().map(SqlColumn::from).collect(),
        rows: table.rows,
        truncated: table.truncated,
        basis,
    };
    Ok(([(header::VARY, HeaderValue::from_static("Accept"))], Json(report)).into_response())
}

fn binary(media_type: &'static str, bytes: Vec<u8>, truncated: bool, basis: &Basis) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(TRUNCATED, HeaderValue::from_static(if truncated { "true" } else { "false" }));
    let times = [(AS_OF, Some(basis.as_of)), (COMPLETE_FROM, basis.complete_from)];
    headers.extend(
        times.into_iter().filter_map(|(name, time)| Some((name, HeaderValue::from_str(&time?.to_string()).ok()?))),
    );
    response
}
