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

const NOT_ENOUGH: &str = "not enough data yet: too few views and clicks have a valid place receipt";

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrderEstimate)]
struct EstimateAnswer {
    gallery_id: GalleryId,
    /// The gallery's own strategy, which visitors see.
    strategy: Strategy,
    /// The strategy that is estimated.
    order: Strategy,
    /// The number of ranks that are compared, from the top.
    places: usize,
    /// Expected clicks of a visitor who scrolls through all of these, in each of the two orders.
    strategy_clicks: Option<f64>,
    order_clicks: Option<f64>,
    /// The difference in clicks, as a share of those of the gallery's own order.
    lift: Option<f64>,
    /// The 95 % confidence interval of the lift.
    #[schema(min_items = 2, max_items = 2)]
    interval: Option<[f64; 2]>,
    enough_data: bool,
    /// `not enough data yet`, and what is missing. Null otherwise.
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
