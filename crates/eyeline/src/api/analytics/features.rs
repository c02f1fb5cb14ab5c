//! The most and the least used features.

use std::collections::BTreeSet;

use axum::extract::State;
use eyeline_lake::{EventType, Feature, features};
use eyeline_store::catalog::event_types::TypeInForce;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Report, RowsParameter, Scope, ScopeParameters, ask, rows_max};
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
    /// Distinct values of `session_id`.
    sessions: u64,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words of a parameter")]
enum FeatureOrder {
    Most,
    Least,
}

/// Rank features by use
///
/// The types of events by how often they were sent. Declared types without events are included.
#[utoipa::path(
    get, path = "/analytics/features", operation_id = "list_features", tag = "analytics",
    params(
        ScopeParameters, ("order" = inline(Option<FeatureOrder>), Query, description = "Which come first; `most` by default"),
        RowsParameter,
    ),
    responses((status = 200, body = Report<FeatureRow>))
)]
async fn show(State(app): State<App>, credential: Credential, mut query: Query) -> Answer<Report<FeatureRow>> {
    let scope = Scope::read(&mut query, &credential);
    let least_first = query.parsed("order", "most or least", |word| match word {
        "most" => Some(false),
        "least" => Some(true),
        _ => None,
    });
    let limit = rows_max(&mut query);
    let filter = scope.finish(query, &app, &credential).await?;
    let declared = app.catalog.types_in_force(filter.project_id).await?;
    let of_interest = |kind: &TypeInForce| {
        let is = |wanted: &Option<String>, found: &String| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&filter.category, &kind.category) && is(&filter.name, &kind.name)
    };
    let declared = declared.into_iter().filter(of_interest);
    let mut unused: BTreeSet<(String, String)> = declared.map(|kind| (kind.category, kind.name)).collect();
    let (mut found, basis) = ask(&app, filter, features).await?;
    for feature in &found {
        unused.remove(&(feature.kind.category.clone(), feature.kind.name.clone()));
    }
    // The features that were found are sorted by use, and so are these.
    let none = |(category, name)| Feature { kind: EventType { category, name }, count: 0, sessions: 0 };
    found.extend(unused.into_iter().map(none));
    if least_first == Some(true) {
        found.reverse();
    }
    let rows = found.into_iter().take(limit).map(|feature| FeatureRow {
        category: feature.kind.category,
        name: feature.kind.name,
        count: feature.count,
        sessions: feature.sessions,
    });
    Ok(Report { rows: rows.collect(), basis })
}
