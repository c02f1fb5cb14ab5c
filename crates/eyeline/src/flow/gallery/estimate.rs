//! Predicts what another order of a gallery would bring, before anybody sees it.

use std::sync::Arc;

use bytes::Bytes;
use eyeline_core::ranking::estimate::PLACES;
use eyeline_core::{AccessClass, GalleryId, Strategy};
use eyeline_store::{Error, Result};
use serde::Serialize;
use utoipa::ToSchema;

use super::rank::{ANSWER_PATIENCE, Orders, Question, Ranked, Wanted};

const NOT_ENOUGH: &str = "not enough data yet: too few views and clicks have a valid place receipt";

#[derive(Serialize, ToSchema)]
#[schema(as = OrderEstimate)]
pub struct OrderEstimate {
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

/// An [`OrderEstimate`] as JSON. The gallery's owner makes it.
pub async fn estimate(orders: &Orders, ranked: &Arc<Ranked>, class: AccessClass, order: Strategy) -> Result<Bytes> {
    if orders.owns(ranked.gallery_id()) {
        return compare(orders, ranked, class, order).await;
    }
    let question = Question::Estimate { class, order };
    let answer = orders.ask_owner(ranked.gallery_id(), question, ANSWER_PATIENCE).await?;
    if answer.is_empty() { Err(Error::NotFound("gallery")) } else { Ok(answer) }
}

/// The same in the process that owns the gallery.
pub(super) async fn compare(
    orders: &Orders,
    ranked: &Arc<Ranked>,
    class: AccessClass,
    order: Strategy,
) -> Result<Bytes> {
    let wanted = |strategy| Wanted { class, strategy, snapshot: 0 };
    let shown = orders.current(ranked, wanted(None)).await?;
    let other = orders.current(ranked, wanted(Some(order))).await?;
    let found = ranked.estimate(&shown, &other)?;
    let enough = found.is_some_and(|found| found.enough);
    let estimate = OrderEstimate {
        gallery_id: ranked.gallery_id(),
        strategy: shown.ranking.strategy,
        order,
        places: PLACES.min(shown.len()),
        strategy_clicks: found.map(|found| found.shown_clicks),
        order_clicks: found.map(|found| found.other_clicks),
        lift: found.map(|found| found.lift),
        interval: found.map(|found| found.interval.into()),
        enough_data: enough,
        message: (!enough).then_some(NOT_ENOUGH),
    };
    let json = serde_json::to_vec(&estimate).map_err(|error| Error::internal("writing an estimate", error))?;
    Ok(json.into())
}
