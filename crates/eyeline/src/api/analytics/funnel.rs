//! Sessions from step to step.

use std::time::Duration;

use axum::extract::State;
use eyeline_lake::funnel;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::step::parse_steps;
use super::{Report, Scope, ScopeParameters, ask};
use crate::api::{Answer, Credential, Query};
use crate::app::App;

const STEPS_MAX: usize = 100;
const WITHIN_DEFAULT: Duration = Duration::from_secs(30 * 60);
const WITHIN_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

#[derive(Serialize, ToSchema)]
struct FunnelRow {
    /// From 1.
    step: usize,
    category: String,
    name: String,
    /// Sessions, each split after 30 minutes of silence, that took this step and all before it.
    sessions: u64,
    /// The share of the sessions at the step before, and at the first step; null if there are none.
    of_previous: Option<f64>,
    of_first: Option<f64>,
}

/// Measure a funnel
///
/// Counts the sessions that take the steps in their order. Other events may lie between the steps.
#[utoipa::path(
    get, path = "/analytics/funnel", operation_id = "get_funnel", tag = "analytics",
    params(
        ScopeParameters,
        ("steps" = String, Query, example = "shop/cart,shop/checkout",
            description = "Up to 100 types, as category/name, separated by commas; a backslash escapes / , and \\ in a name"),
        ("within" = Option<String>, Query, pattern = "^[0-9]+[smhd]$", example = "30m",
            description = "The longest time from the first step to the last, at most 30d; 30m by default"),
    ),
    responses((status = 200, body = Report<FunnelRow>))
)]
async fn show(State(app): State<App>, credential: Credential, mut query: Query) -> Answer<Report<FunnelRow>> {
    let scope = Scope::read(&mut query, &credential);
    query.require("steps");
    let what = "up to 100 steps such as shop/cart,shop/checkout";
    let steps = query.parsed("steps", what, |text| parse_steps(text, STEPS_MAX)).unwrap_or_default();
    let within = query.parsed("within", "a time such as 45s, 30m, 2h or 1d, at most 30d", duration);
    let within = within.unwrap_or(WITHIN_DEFAULT);
    let filter = scope.finish(query, &app, &credential).await?;
    let (found, basis) = ask(&app, filter, move |files, snapshot, filter, budget| {
        funnel(files, snapshot, filter, &steps, within, budget)
    })
    .await?;
    let first = found.first().map_or(0, |step| step.visits);
    let mut previous = first;
    let mut rows = Vec::with_capacity(found.len());
    for (index, step) in found.into_iter().enumerate() {
        rows.push(FunnelRow {
            step: index + 1,
            category: step.kind.category,
            name: step.kind.name,
            sessions: step.visits,
            of_previous: part(step.visits, previous),
            of_first: part(step.visits, first),
        });
        previous = step.visits;
    }
    Ok(Report { rows, basis })
}

fn part(of: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| of as f64 / all as f64)
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let duration = Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?);
    (!duration.is_zero() && duration <= WITHIN_MAX).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(duration("45s"), Some(Duration::from_secs(45)));
        assert_eq!(duration("30m"), Some(Duration::from_secs(1_800)));
        assert_eq!(duration("2h"), Some(Duration::from_secs(7_200)));
        assert_eq!(duration("30d"), Some(WITHIN_MAX));
        for text in ["", "m", "30", "-1m", "1.5h", "0s", "31d", "9999999999999999999d", "30 m", "5µ"] {
            assert_eq!(duration(text), None, "{text:?}");
        }
    }
}
