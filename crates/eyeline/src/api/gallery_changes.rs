//! The past changes of a gallery's order: the settings of its ranking, and its rules.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use eyeline_core::{GalleryId, Timestamp};
use eyeline_store::catalog::gallery_changes::{Changed, GalleryChange};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::galleries::RankingAnswer;
use super::objects::managed_gallery;
use super::{Answer, Credential, PagingParameters, Query};
use crate::app::App;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A past change: of the ranking settings or of the rules.
#[derive(Serialize, ToSchema)]
struct PastChange {
    changed_at: Timestamp,
    /// Null if the rules changed.
    ranking: Option<PastRanking>,
    /// Null if the ranking settings changed.
    rules: Option<PastRules>,
}

#[derive(Serialize, ToSchema)]
struct PastRanking {
    before: RankingAnswer,
    after: RankingAnswer,
}

/// A rule that was changed counts in both numbers. The group cap and the manual order count as one rule each.
#[derive(Serialize, ToSchema)]
struct PastRules {
    added: u32,
    removed: u32,
}

impl From<GalleryChange> for PastChange {
    fn from(GalleryChange { changed_at, what, .. }: GalleryChange) -> Self {
        let (ranking, rules) = match what {
            Changed::Ranking { was, is } => (Some(PastRanking { before: was.into(), after: is.into() }), None),
            Changed::Rules(change) => (None, Some(PastRules { added: change.added, removed: change.removed })),
        };
        PastChange { changed_at, ranking, rules }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = GalleryChanges)]
struct ChangesAnswer {
    #[schema(max_items = 100)]
    changes: Vec<PastChange>,
    next_cursor: Option<String>,
}

/// List a gallery's past changes
///
/// When its ranking settings and its rules changed, the newest first. The newest 1,000 are kept.
#[utoipa::path(
    get, path = "/galleries/{gallery_id}/changes", operation_id = "list_gallery_changes", tag = "ranking",
    params(("gallery_id" = GalleryId, Path), PagingParameters), responses((status = 200, body = ChangesAnswer))
)]
async fn list(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
    mut query: Query,
) -> Answer<impl IntoResponse> {
    let paging = query.paging::<u64>(&app);
    query.finish()?;
    managed_gallery(&app, &credential, gallery_id).await?;
    let found = app.catalog.past_changes(gallery_id, paging.after, paging.rows()).await?;
    let (found, next) = paging.cut(found, |change| change.number);
    let changes = found.into_iter().map(PastChange::from).collect();
    let answer = ChangesAnswer { changes, next_cursor: next.cursor.clone() };
    Ok((next, Json(answer)))
}
