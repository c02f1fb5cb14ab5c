//! Counts of events over time.

use axum::extract::State;
use eyeline_core::{ApplicationId, Timestamp};
use eyeline_lake::{Buckets, CountQuestion, Interval};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Basis, Report, Scope, ScopeParameters, ServedFrom};
use crate::api::{Answer, Credential, Problem, Query};
use crate::app::App;
use crate::flow::lake::usage::Counts;

/// Rows of one answer.
const ROWS_MAX: usize = 10_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Events of a group within a bucket. Of the group's fields only those in `group_by` are present.
#[derive(Serialize, ToSchema)]
struct CountRow {
    /// The start of the bucket; null with `interval=all`.
    bucket: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    application: Option<ApplicationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    count: u64,
    /// Distinct values of `session_id`, which cannot be summed over rows. Absent with `sessions=false`, and for a row
    /// whose events are not all kept any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sessions: Option<u64>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words of a parameter")]
enum CountInterval {
    Hour,
    Day,
    Week,
    Month,
    All,
}

/// Count events over time
///
/// Buckets without events are left out.
#[utoipa::path(
    get, path = "/analytics/counts", operation_id = "count_events", tag = "analytics",
    params(
        ScopeParameters,
        ("interval" = inline(Option<CountInterval>), Query, description = "The length of a bucket, `day` by default; `all` is one bucket"),
        ("sessions" = Option<bool>, Query, description = "False leaves `sessions` out; the counts then always come from roll-ups"),
        ("group_by" = Option<String>, Query, description = "Any of application, category and name, separated by commas",
            example = "category,name"),
    ),
    responses(
        (status = 200, body = Report<CountRow>),
        (status = 422, description = "The answer would have more than 10,000 rows."),
    )
)]
async fn show(State(app): State<App>, credential: Credential, mut query: Query) -> Answer<Report<CountRow>> {
    let scope = Scope::read(&mut query, &credential);
    let interval = query.parsed("interval", "hour, day, week, month or all", |word| {
        if word == "all" { Some(None) } else { Interval::parse(word).map(Some) }
    });
    let group_by = query.parsed("group_by", "some of application, category and name, with commas", groups);
    let with_sessions = query.parsed("sessions", "true or false", |word| word.parse().ok()).unwrap_or(true);
    let zone = scope.zone.clone();
    let filter = scope.finish(query, &app, &credential).await?;
    let interval = interval.unwrap_or(Some(Interval::Day));
    let buckets = interval.map(|interval| Buckets { interval, zone });
    let question = CountQuestion { buckets, ..group_by.unwrap_or_default() };
    let Counts { rows, as_of, from_rollups, incomplete_before } =
        app.usage.counts(filter, question, with_sessions).await?;
    if rows.len() > ROWS_MAX {
        let sentence = format!(
            "The answer has {} rows, and at most {ROWS_MAX} are returned: ask about a shorter time, longer intervals or fewer groups.",
            rows.len()
        );
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, sentence));
    }
    let rows = rows.into_iter().map(|row| CountRow {
        bucket: row.bucket,
        application: row.group.application,
        category: row.group.category,
        name: row.group.name,
        count: row.count,
        sessions: row.sessions,
    });
    let served_from = if from_rollups { ServedFrom::Rollup } else { ServedFrom::Raw };
    let basis = Basis { as_of, served_from, complete_from: incomplete_before };
    Ok(Report { rows: rows.collect(), basis })
}

fn groups(text: &str) -> Option<CountQuestion> {
    let mut question = CountQuestion::default();
    for word in text.split(',') {
        match word.trim() {
            "application" => question.by_application = true,
            "category" => question.by_category = true,
            "name" => question.by_name = true,
            _ => return None,
        }
    }
    Some(question)
}
