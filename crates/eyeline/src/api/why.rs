//! Explains an image's rank.

use axum::extract::{Path, State};
use axum::response::Response;
use eyeline_core::{GalleryId, ImageId, Strategy};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::objects;
use super::pages::{ORDER_PENDING, VisitorParameters, json, read_visitor};
use super::{Answer, Credential, Query};
use crate::app::App;
use crate::flow::gallery::why::{self, Why};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(explain))
}

/// Explain an image's rank
///
/// Every part of the image's score in the newest order, and its neighbours.
#[utoipa::path(
    get, path = "/galleries/{gallery_id}/images/{image_id}/why", operation_id = "explain_rank", tag = "ranking",
    params(
        ("gallery_id" = GalleryId, Path), ("image_id" = ImageId, Path),
        ("order" = Option<Strategy>, Query, description = "The gallery's own strategy by default"), VisitorParameters,
    ),
    responses((status = 200, body = Why), (status = 503, description = ORDER_PENDING))
)]
async fn explain(
    State(app): State<App>,
    credential: Credential,
    Path((gallery_id, image_id)): Path<(GalleryId, ImageId)>,
    mut query: Query,
) -> Answer<Response> {
    objects::managed_gallery(&app, &credential, gallery_id).await?;
    let (ranked, gallery, class) = objects::ranked(&app, &credential, gallery_id).await?;
    let strategy = query.parsed("order", Strategy::NAMES, Strategy::parse);
    let (wanted, arm) = read_visitor(&mut query, strategy, &gallery, class);
    query.finish()?;
    Ok(json(why::why(&app.orders, &ranked, wanted, image_id, arm).await?))
}
