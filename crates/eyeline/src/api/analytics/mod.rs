//! Queries of analysts over a project's events.

mod counts;
mod features;
mod funnel;
mod galleries;
mod paths;
mod retention;
mod sql;
mod step;

use axum::response::{IntoResponse, Response};
use eyeline_core::{ApplicationId, ProjectId, Timestamp};
use eyeline_lake::{Budget, EventType, Files, Filter, Snapshot, Zone};
use eyeline_store::Error;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::body::JSON;
use super::{Answer, Credential, Fields, Problem, Query};
use crate::app::App;
use crate::flow::lake::usage::Weight;

const TEXT_CHARS_MAX: usize = eyeline_core::event::TEXT_CHARS_MAX;
const TIME: &str = "a time such as 2021-01-01T09:15:27.243860Z, or 2021-01-01 by the clocks of timezone";
const ZONE: &str = "the name of a time zone, such as Europe/Berlin, or UTC";
/// Rows of an answer that ranks, by default and at most.
const ROWS_DEFAULT: u64 = 20;
const ROWS_MAX: u64 = 1_000;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(counts::routes())
        .merge(features::routes())
        .merge(paths::routes())
        .merge(funnel::routes())
        .merge(retention::routes())
        .merge(galleries::routes())
        .merge(sql::routes())
}

/// The source of the figures.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ServedFrom {
    /// Roll-up rows, which are updated as events are counted.
    Rollup,
    /// Events: all of them, or those that roll-up rows do not answer for.
    Raw,
}

/// The basis of an answer.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = ReportBasis)]
struct Basis {
    /// The answer contains all events that were applied by then.
    as_of: Timestamp,
    served_from: ServedFrom,
    /// Present if the span reaches back before the retention period (`EYELINE_EVENTS_KEEP_DAYS`). Figures that need
    /// events are complete from this `timestamp` on, and too small before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    complete_from: Option<Timestamp>,
}

/// Rows with the basis of the answer.
#[derive(Serialize, ToSchema)]
struct Report<T: ToSchema> {
    rows: Vec<T>,
    #[serde(flatten)]
    basis: Basis,
}

impl<T: Serialize + ToSchema> IntoResponse for Report<T> {
    /// Writes into a plain buffer. That of axum's `Json` checks its capacity at every piece, which takes most of the
    /// time for thousands of rows.
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self) {
            Ok(body) => ([(CONTENT_TYPE, JSON)], body).into_response(),
            Err(error) => Problem::from(Error::internal("an answer", error)).into_response(),
        }
    }
}

/// A type of events within an answer.
#[derive(Serialize, ToSchema)]
#[schema(as = EventTypeName)]
struct TypeAnswer {
    category: String,
    name: String,
}

impl From<EventType> for TypeAnswer {
    fn from(kind: EventType) -> Self {
        TypeAnswer { category: kind.category, name: kind.name }
    }
}

/// The scope of a report, as [`Scope::read`] reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters, which are read field by field")]
struct ScopeParameters {
    /// Required with the admin key; a secret key asks about its own project.
    project_id: Option<ProjectId>,
    /// The first `timestamp` of the span: a time or a date, by the clocks of `timezone` if it has no offset.
    #[param(example = "2021-01-01T00:00:00Z")]
    from: Option<String>,
    /// The first `timestamp` after the span.
    #[param(example = "2021-02-01T00:00:00Z")]
    to: Option<String>,
    /// The zone of times without an offset, and of hours, days, weeks and months; UTC by default.
    #[param(example = "Europe/Berlin")]
    timezone: Option<String>,
    application: Option<ApplicationId>,
    #[param(min_length = 1, max_length = 200)]
    category: Option<String>,
    #[param(min_length = 1, max_length = 200)]
    name: Option<String>,
}

/// The requested number of rows, as [`rows_max`] reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters, which are read field by field")]
struct RowsParameter {
    /// Rows of the answer.
    #[param(minimum = 1, maximum = 1000, default = 20)]
    limit: Option<u32>,
}

/// The scope of a question while its parameters are read.
struct Scope {
    project_id: Option<ProjectId>,
    filter: Filter,
    /// The zone of days and hours: UTC, unless `timezone` names another one.
    zone: Zone,
}

impl Scope {
    /// Reads the parameters of all questions. Errors are added to the query.
    fn read(query: &mut Fields, credential: &Credential) -> Scope {
        if credential.project().is_none() {
            query.require("project_id");
        }
        Scope::within(query, credential.project())
    }

    /// The same for a thing of this project, which then need not be named.
    fn of(query: &mut Fields, project_id: ProjectId) -> Scope {
        let mut scope = Scope::within(query, Some(project_id));
        scope.project_id = scope.project_id.filter(|named| *named == project_id);
        scope
    }

    fn within(query: &mut Fields, own: Option<ProjectId>) -> Scope {
        let project_id = query.id("project_id").or(own);
        let zone = query.parsed("timezone", ZONE, Zone::parse).unwrap_or_default();
        let time = |text: &str| zone.parse_time(text);
        let filter = Filter {
            // An unknown project has no events, and no request gets this far with one.
            project_id: project_id.unwrap_or(ProjectId(uuid::Uuid::nil())),
            application_id: query.id("application"),
            session_id: None,
            category: query.text("category", TEXT_CHARS_MAX),
            name: query.text("name", TEXT_CHARS_MAX),
            from: query.parsed("from", TIME, time),
            to: query.parsed("to", TIME, time),
        };
        if let (Some(from), Some(to)) = (filter.from, filter.to)
            && from >= to
        {
            query.error("to", "This has to be after from.");
        }
        Scope { project_id, filter, zone }
    }

    /// Ends the reading: 400 with all errors, 404 for what belongs to another project.
    async fn finish(self, query: Query, app: &App, credential: &Credential) -> Answer<Filter> {
        query.finish()?;
        self.granted(app, credential).await
    }

    async fn granted(self, app: &App, credential: &Credential) -> Answer<Filter> {
        let project_id = self.project_id.ok_or_else(|| Problem::not_found("project"))?;
        credential.manage_project(app, project_id).await?;
        Ok(self.filter)
    }
}

/// Asks a question over all events of the filter's project.
async fn ask<T: Send + 'static>(
    app: &App,
    filter: Filter,
    question: impl FnOnce(&Files, &Snapshot, &Filter, &Budget) -> eyeline_lake::Result<T> + Send + 'static,
) -> Answer<(T, Basis)> {
    let wanted = filter.clone();
    let asked = app
        .usage
        .ask(&wanted, Weight::Question, move |files, snapshot, budget| question(files, snapshot, &filter, budget));
    let asked = asked.await?;
    let complete_from = asked.incomplete_before(&wanted);
    Ok((asked.answer, Basis { as_of: asked.as_of, served_from: ServedFrom::Raw, complete_from }))
}

/// The wanted number of rows.
fn rows_max(query: &mut Query) -> usize {
    let limit = query.integer("limit", 1..=ROWS_MAX).unwrap_or(ROWS_DEFAULT);
    usize::try_from(limit).unwrap_or(usize::MAX)
}
