//! Questions in SQL.

use axum::Json;
use axum::extract::State;
use eyeline_lake::{QUERY_BYTES_MAX, TableColumn, sql};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Basis, Scope, ask};
use crate::api::body::JsonBody;
use crate::api::{Answer, Credential, Fields, Query};
use crate::app::App;

const ROWS_DEFAULT: u64 = 1_000;
const ROWS_MAX: u64 = 10_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(run))
}

/// What is asked.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct SqlQuestion {
    /// One SELECT of at most 16 KiB, in the spelling of PostgreSQL.
    #[schema(examples("SELECT name, count(*) AS events FROM events GROUP BY name ORDER BY events DESC"))]
    query: String,
    /// Required with the admin key.
    project_id: Option<uuid::Uuid>,
    /// The table `events` holds those that all of these want.
    #[schema(format = DateTime)]
    from: Option<String>,
    #[schema(format = DateTime)]
    to: Option<String>,
    application: Option<uuid::Uuid>,
    category: Option<String>,
    name: Option<String>,
    /// Rows of the answer: 1000 unless given, at most 10000.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
struct SqlReport {
    /// In the order of the query.
    columns: Vec<SqlColumn>,
    /// An object for each row, by the names of the columns.
    #[schema(value_type = Vec<std::collections::BTreeMap<String, serde_json::Value>>)]
    rows: Box<RawValue>,
    /// There are more rows, which are not given.
    truncated: bool,
    #[serde(flatten)]
    basis: Basis,
}

#[derive(Serialize, ToSchema)]
struct SqlColumn {
    name: String,
    /// text, integer, number, boolean, timestamp, date, time, interval or null.
    r#type: &'static str,
}

impl From<TableColumn> for SqlColumn {
    fn from(column: TableColumn) -> Self {
        SqlColumn { name: column.name, r#type: column.kind }
    }
}

/// Answers one SELECT over the events of the project, which are in the table `events`: `event_id`, `application_id`,
/// `session_id`, `visitor_id`, `category`, `name` and `data` (a JSON object) as text, `timestamp` and `received_at` (of UTC),
/// and the integers `schema_version`, `partition` and `"offset"`, the order of counting. `data->>'field'` gives a field as
/// text, `data->'field'` as JSON, `json_number(data, 'field')` as a number. A query has 30 seconds and bounded memory.
#[utoipa::path(
    post, path = "/analytics/sql", operation_id = "query_events", tag = "analytics",
    request_body = SqlQuestion,
    responses((status = 200, body = SqlReport), (status = "4XX", description = "A problem document"))
)]
async fn run(
    State(app): State<App>,
    credential: Credential,
    mut parameters: Query,
    JsonBody(body): JsonBody,
) -> Answer<Json<SqlReport>> {
    let mut fields = Fields::parse(&body)?;
    // As with the other questions, the project and the like may stand in the URL.
    fields.or(&mut parameters);
    let query = fields.required_text("query", QUERY_BYTES_MAX);
    let limit = fields.integer("limit", 1..=ROWS_MAX).unwrap_or(ROWS_DEFAULT);
    let scope = Scope::read(&mut fields, &credential);
    fields.finish()?;
    let filter = scope.granted(&app, &credential).await?;
    let (query, rows_max) = (query.unwrap_or_default(), usize::try_from(limit).unwrap_or(usize::MAX));
    let now = app.clock.now();
    let (table, basis) = ask(&app, filter, move |files, snapshot, filter, budget| {
        sql(files, snapshot, filter, &query, rows_max, now, budget)
    })
    .await?;
    Ok(Json(SqlReport {
        columns: table.columns.into_iter().map(SqlColumn::from).collect(),
        rows: table.rows,
        truncated: table.truncated,
        basis,
    }))
}
