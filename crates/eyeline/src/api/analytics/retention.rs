//! Returning visitors.

use axum::Json;
use axum::extract::State;
use eyeline_core::Timestamp;
use eyeline_lake::{Buckets, Filter, Interval, retention};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Basis, Scope, ScopeParameters, ask};
use crate::api::{Answer, Credential, Query};
use crate::app::App;

/// Periods of the span if the request names no start.
const PERIODS_DEFAULT: i64 = 12;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Visitors first seen in the same period.
#[derive(Serialize, ToSchema)]
struct CohortRow {
    /// The start of that period.
    cohort: Timestamp,
    visitors: u64,
    /// The number of them who were seen in the first period (all of them), in the next one, and so on.
    returned: Vec<u64>,
}

#[derive(Serialize, ToSchema)]
struct RetentionReport {
    rows: Vec<CohortRow>,
    /// Events without a `visitor_id`. They are left out, because sessions do not identify visitors.
    events_without_visitor: u64,
    /// A sentence about such events, if there are any.
    note: Option<&'static str>,
    #[serde(flatten)]
    basis: Basis,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words of a parameter")]
enum RetentionPeriod {
    Day,
    Week,
    Month,
}

/// Measure retention
///
/// Visitors by the period in which they were first seen, and how many of them were seen in each later period. Visitors
/// are identified by `visitor_id`. A visitor is new in the first period of the span that has an event of theirs. The
/// span is the last 12 periods by default, and at most 64.
#[utoipa::path(
    get, path = "/analytics/retention", operation_id = "get_retention", tag = "analytics",
    params(
        ScopeParameters, ("period" = inline(Option<RetentionPeriod>), Query, description = "The length of a period; `week` by default"),
    ),
    responses((status = 200, body = RetentionReport))
)]
async fn show(State(app): State<App>, credential: Credential, mut query: Query) -> Answer<Json<RetentionReport>> {
    let scope = Scope::read(&mut query, &credential);
    let period = query.parsed("period", "day, week or month", |word| {
        Interval::parse(word).filter(|interval| *interval != Interval::Hour)
    });
    let period = Buckets { interval: period.unwrap_or(Interval::Week), zone: scope.zone.clone() };
    let filter = scope.finish(query, &app, &credential).await?;
    let to = filter.to.unwrap_or(app.clock.now());
    let from = filter.from.unwrap_or_else(|| period.back(to, PERIODS_DEFAULT - 1));
    let filter = Filter { from: Some(from), to: Some(to), ..filter };
    let (found, basis) =
        ask(&app, filter, move |files, snapshot, filter, budget| retention(files, snapshot, filter, &period, budget))
            .await?;
    let row = |cohort: eyeline_lake::Cohort| CohortRow {
        cohort: cohort.begin,
        visitors: cohort.visitors.first().copied().unwrap_or(0),
        returned: cohort.visitors,
    };
    let note = "Some events have no visitor_id. They are left out, because sessions do not identify visitors.";
    Ok(Json(RetentionReport {
        rows: found.cohorts.into_iter().map(row).collect(),
        events_without_visitor: found.events_without_visitor,
        note: (found.events_without_visitor > 0).then_some(note),
        basis,
    }))
}
