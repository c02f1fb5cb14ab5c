//! In what order features are used.

use axum::Json;
use axum::extract::State;
use eyeline_lake::{Anchor, Path, PathQuestion, paths};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::step::{STEP, parse_step};
use super::{Basis, Scope, TypeAnswer, ask, rows_max};
use crate::api::{Answer, Credential, Query};
use crate::app::App;

const DEPTH_DEFAULT: u64 = 3;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

#[derive(Serialize, ToSchema)]
struct PathRow {
    steps: Vec<TypeAnswer>,
    /// How often these steps followed each other.
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

/// The most common sequences of events within sessions, which are split after 30 minutes of silence. The same event
/// again and again counts as one step.
#[utoipa::path(
    get, path = "/analytics/paths", operation_id = "list_paths", tag = "analytics",
    params(
        ("project_id" = Option<uuid::Uuid>, Query, description = "Required with the admin key"),
        ("from" = Option<String>, Query), ("to" = Option<String>, Query),
        ("application" = Option<uuid::Uuid>, Query), ("category" = Option<String>, Query),
        ("name" = Option<String>, Query),
        ("depth" = Option<u32>, Query, description = "Steps of a path: 2 to 5, 3 unless given"),
        ("anchor" = Option<String>, Query, description = "any (the default), start: a visit's first steps, end: its last ones"),
        ("start" = Option<String>, Query, description = "Only paths that begin with this category/name"),
        ("end" = Option<String>, Query, description = "Only paths that end with this category/name"),
        ("limit" = Option<u32>, Query, description = "20 unless given, at most 1000"),
        ("timezone" = Option<String>, Query, description = "Whose clocks from and to mean where they have no offset: UTC unless given, such as Europe/Berlin"),
    ),
    responses((status = 200, body = PathReport), (status = "4XX", description = "A problem document"))
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
