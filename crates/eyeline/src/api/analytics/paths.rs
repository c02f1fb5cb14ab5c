//! The order in which features are used.

use axum::Json;
use axum::extract::State;
use eyeline_lake::{Anchor, Path, PathQuestion, paths};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::step::{STEP, parse_step};
use super::{Basis, RowsParameter, Scope, ScopeParameters, TypeAnswer, ask, rows_max};
use crate::api::{Answer, Credential, Query};
use crate::app::App;

const DEPTH_DEFAULT: u64 = 3;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

#[derive(Serialize, ToSchema)]
struct PathRow {
    steps: Vec<TypeAnswer>,
    /// The number of times that these steps followed each other.
    count: u64,
}

#[derive(Serialize, ToSchema)]
struct PathReport {
    /// Paths of exactly `depth` steps, the most common first.
    rows: Vec<PathRow>,
    /// From one step to the next, whatever the anchor.
    transitions: Vec<PathRow>,
    /// Sessions, each split after 30 minutes of silence.
    visits: u64,
    #[serde(flatten)]
    basis: Basis,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words of a parameter")]
enum PathAnchor {
    Any,
    Start,
    End,
}

/// List the most common paths
///
/// Sequences of events within sessions, which are split after 30 minutes of silence. Repetitions of an event count as
/// one step.
#[utoipa::path(
    get, path = "/analytics/paths", operation_id = "list_paths", tag = "analytics",
    params(
        ScopeParameters,
        ("depth" = Option<u32>, Query, minimum = 2, maximum = 5, description = "Steps of a path; 3 by default"),
        ("anchor" = inline(Option<PathAnchor>), Query, description = "Paths anywhere (the default), or only the first or last steps of a session"),
        ("start" = Option<String>, Query, description = "Only paths that begin with this category/name"),
        ("end" = Option<String>, Query, description = "Only paths that end with this category/name"),
        RowsParameter,
    ),
    responses((status = 200, body = PathReport))
)]
async fn show(State(app): State<App>, credential: Credential, mut query: Query) -> Answer<Json<PathReport>> {
    let scope = Scope::read(&mut query, &credential);
    let anchor = query.parsed("anchor", "any, start or end", |word| match word {
        "any" => Some(Anchor::Anywhere),
        "start" => Some(Anchor::Start),
        "end" => Some(Anchor::End),
        _ => None,
    });
    let depth = query.integer("depth", 2..=5).unwrap_or(DEPTH_DEFAULT);
    let question = PathQuestion {
        depth: usize::try_from(depth).unwrap_or(usize::MAX),
        anchor: anchor.unwrap_or_default(),
        first: query.parsed("start", STEP, parse_step),
        last: query.parsed("end", STEP, parse_step),
        rows_max: rows_max(&mut query),
    };
    let filter = scope.finish(query, &app, &credential).await?;
    let (found, basis) =
        ask(&app, filter, move |files, snapshot, filter, budget| paths(files, snapshot, filter, &question, budget))
            .await?;
    let rows = |paths: Vec<Path>| {
        let row =
            |path: Path| PathRow { steps: path.steps.into_iter().map(TypeAnswer::from).collect(), count: path.count };
        paths.into_iter().map(row).collect()
    };
    let (transitions, visits) = (rows(found.transitions), found.visits);
    Ok(Json(PathReport { rows: rows(found.paths), transitions, visits, basis }))
}
