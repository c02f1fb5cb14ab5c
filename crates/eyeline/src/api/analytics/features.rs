//! Which features are used most, and which least.

use axum::Json;
use axum::extract::State;
use eyeline_lake::features;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Report, Scope, ask, rows_max};
use crate::api::{Answer, Credential, Query};
use crate::app::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

#[derive(Serialize, ToSchema)]
struct FeatureRow {
    category: String,
    name: String,
    count: u64,
    /// Different values of `session_id`.
    sessions: u64,
}

/// The types of events by how often they were sent.
#[utoipa::path(
    get, path = "/analytics/features", operation_id = "list_features", tag = "analytics",
    params(
        ("project_id" = Option<uuid::Uuid>, Query, description = "Required with the admin key"),
        ("from" = Option<String>, Query), ("to" = Option<String>, Query),
        ("application" = Option<uuid::Uuid>, Query), ("category" = Option<String>, Query),
        ("name" = Option<String>, Query),
        ("order" = Option<String>, Query, description = "most (the default) or least used first"),
        ("limit" = Option<u32>, Query, description = "20 unless given, at most 1000"),
    ),
    responses((status = 200, body = Report<FeatureRow>), (status = "4XX", description = "A problem document"))
)]
async fn show(State(app): State<App>, credential: Credential, mut query: Query) -> Answer<Json<Report<FeatureRow>>> {
    let scope = Scope::read(&mut query, &credential);
    let least_first = query.parsed("order", "most or least", |word| match word {
        "most" => Some(false),
        "least" => Some(true),
        _ => None,
    });
    let limit = rows_max(&mut query);
    let filter = scope.finish(query, &credential)?;
    let (mut found, as_of) = ask(&app, filter, features).await?;
    if least_first == Some(true) {
        found.reverse();
    }
    let rows = found.into_iter().take(limit).map(|feature| FeatureRow {
        category: feature.kind.category,
        name: feature.kind.name,
        count: feature.count,
        sessions: feature.sessions,
    });
    Ok(Report::raw(rows.collect(), as_of))
}
