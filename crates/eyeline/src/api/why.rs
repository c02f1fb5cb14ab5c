//! Why an image stands where it does.

use axum::Json;
use axum::extract::{Path, State};
use eyeline_core::{GalleryId, ImageId, Strategy};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::galleries::{managed, reader};
use super::pages::read_visitor;
use super::{Answer, Credential, Problem, Query};
use crate::app::App;
use crate::flow::why::{self, Why};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(explain))
}

/// Why an image stands where it does in the newest order: every part of its score, and the images beside it.
#[utoipa::path(
    get, path = "/galleries/{gallery_id}/images/{image_id}/why", operation_id = "explain_place", tag = "galleries",
    params(
        ("gallery_id" = uuid::Uuid, Path), ("image_id" = uuid::Uuid, Path),
        ("order" = Option<String>, Query, description = "A strategy's name; the gallery's own when absent."),
        ("session_id" = Option<uuid::Uuid>, Query), ("visitor_id" = Option<String>, Query),
    ),
    responses(
        (status = 200, body = Why),
        (status = "4XX", description = "A problem document"),
    )
)]
async fn explain(
    State(app): State<App>,
    credential: Credential,
    Path((gallery_id, image_id)): Path<(GalleryId, ImageId)>,
    mut query: Query,
) -> Answer<Json<Why>> {
    let gallery = managed(&app, &credential, gallery_id).await?;
    let class = reader(&credential, &gallery)?;
    let strategy = query.parsed("order", Strategy::NAMES, Strategy::parse);
    let (wanted, arm) = read_visitor(&mut query, strategy, &gallery, class);
    query.finish()?;
    let ranked = app.orders.gallery(gallery_id).await?;
    ranked.head().ok_or_else(|| Problem::not_found("gallery"))?;
    Ok(Json(why::why(&app, &ranked, wanted, image_id, arm.map(|arm| arm.as_str())).await?))
}
