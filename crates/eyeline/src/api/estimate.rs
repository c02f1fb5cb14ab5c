//! Predicts what another order of a gallery would bring, before anybody sees it.

use axum::Json;
use axum::extract::{Path, State};
use eyeline_core::ranking::estimate::PLACES;
use eyeline_core::{GalleryId, Strategy};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::objects;
use super::{Answer, Credential, Query};
use crate::app::App;
use crate::flow::gallery::rank::Wanted;

const NOT_ENOUGH: &str = "not enough data yet: too few views and clicks say at which place of an order they were";

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrderEstimate)]
struct EstimateAnswer {
    gallery_id: GalleryId,
    /// The gallery's own, which is shown.
    strategy: Strategy,
    /// The one that is asked about.
    order: Strategy,
    /// So many places of both are compared, from the first one on.
    places: usize,
    /// Clicks of a visitor who scrolls through all of these, by either order.
    strategy_clicks: Option<f64>,
    order_clicks: Option<f64>,
    /// Clicks by the order asked about above those by the gallery's own, as a part of these.
    lift: Option<f64>,
    /// The 95 % interval of the lift.
    #[schema(min_items = 2, max_items = 2)]
    interval: Option<[f64; 2]>,
    enough_data: bool,
    /// `not enough data yet` while that is so, with what is missing.
    message: Option<&'static str>,
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
    responses((status = 200, body = EstimateAnswer))
)]
async fn show(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
    mut query: Query,
) -> Answer<Json<EstimateAnswer>> {
    objects::managed_gallery(&app, &credential, gallery_id).await?;
    let (ranked, _, class) = objects::ranked(&app, &credential, gallery_id).await?;
    let asked = query.parsed("order", Strategy::NAMES, Strategy::parse).unwrap_or(Strategy::Interest);
    query.finish()?;
    let wanted = |strategy| Wanted { class, strategy, snapshot: 0 };
    let shown = app.orders.current(&ranked, wanted(None)).await?;
    let other = app.orders.current(&ranked, wanted(Some(asked))).await?;
    let found = ranked.estimate(&shown, &other)?;
    let enough = found.is_some_and(|found| found.enough);
    Ok(Json(EstimateAnswer {
        gallery_id,
        strategy: shown.ranking.strategy,
        order: asked,
        places: PLACES.min(shown.len()),
        strategy_clicks: found.map(|found| found.shown_clicks),
        order_clicks: found.map(|found| found.other_clicks),
        lift: found.map(|found| found.lift),
        interval: found.map(|found| found.interval.into()),
        enough_data: enough,
        message: (!enough).then_some(NOT_ENOUGH),
    }))
}
