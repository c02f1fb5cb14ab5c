//! Estimates another order of a gallery.

use axum::extract::{Path, State};
use axum::response::Response;
use eyeline_core::{GalleryId, Strategy};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::objects;
use super::pages::{ORDER_PENDING, json};
use super::{Answer, Credential, Query};
use crate::app::App;
use crate::flow::gallery::estimate::{self, OrderEstimate};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Estimate another strategy
///
/// Estimates what another strategy would bring, from the views and clicks by position of the orders served so far. A
/// hold-out measures it.
#[utoipa::path(
    get, path = "/galleries/{gallery_id}/estimate", operation_id = "estimate_order", tag = "ranking",
    params(
        ("gallery_id" = GalleryId, Path),
        ("order" = Option<Strategy>, Query, description = "The strategy to estimate; `interest` by default"),
    ),
    responses((status = 200, body = OrderEstimate), (status = 503, description = ORDER_PENDING))
)]
async fn show(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
    mut query: Query,
) -> Answer<Response> {
    objects::managed_gallery(&app, &credential, gallery_id).await?;
    let (ranked, _, class) = objects::ranked(&app, &credential, gallery_id).await?;
    let asked = query.parsed("order", Strategy::NAMES, Strategy::parse).unwrap_or(Strategy::Interest);
    query.finish()?;
    Ok(json(estimate::estimate(&app.orders, &ranked, class, asked).await?))
}
