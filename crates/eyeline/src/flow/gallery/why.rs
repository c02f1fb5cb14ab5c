//! Explains the rank of an image.

use std::sync::Arc;

use bytes::Bytes;
use eyeline_core::ranking::experiment::Arm;
use eyeline_core::ranking::{BOUND, CTR_VIEWS, TEMPER};
use eyeline_core::{GalleryId, ImageId, OrderId, Ranking, Strategy, Timestamp};
use eyeline_store::{Error, Result};
use serde::Serialize;
use utoipa::ToSchema;

use super::rank::{ANSWER_PATIENCE, Explanation, Orders, Question, Ranked, Wanted};

/// Every part of an image's score, so that it can be recomputed by hand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RankExplanation)]
pub struct Why {
    gallery_id: GalleryId,
    image_id: ImageId,
    order_id: OrderId,
    published_at: Timestamp,
    strategy: Strategy,
    /// The number of the concurrent order, from 0.
    snapshot: u8,
    /// From 1; null while the order does not have the image.
    position: Option<u64>,
    views: u64,
    clicks: u64,
    /// True if the gallery ranks by `counted_views` and `counted_clicks`, which exclude what its guard ignores.
    guard: bool,
    counted_views: u64,
    counted_clicks: u64,
    /// `view_weight * views + click_weight * clicks`.
    weight: u64,
    view_weight: u32,
    click_weight: u32,
    /// Views and clicks, which count less the older they are.
    decayed_views: f64,
    decayed_clicks: f64,
    /// Clicks, and views times the attention of their rank and the factor of the image's age, of events with a valid
    /// place receipt. Both count less the older they are.
    hits: f64,
    exposure: f64,
    /// The mean appeal of the gallery's images, and its shape: the standard deviation is `prior_mean /
    /// sqrt(prior_shape)`.
    prior_mean: f64,
    prior_shape: f64,
    /// Mean and standard deviation of the estimated appeal of the image:
    /// `m = (prior_shape + hits) / (prior_shape / prior_mean + exposure)`, `sd = sqrt(prior_shape + hits) / (…)`.
    m: f64,
    sd: f64,
    /// The appeal that `interest` drew for this order, once enough is known. Null otherwise.
    draw: Option<f64>,
    temper: f64,
    bound: f64,
    age_factor: f64,
    /// The gallery's clicks per view in the strategy `ctr`, and the number of views that it counts as.
    click_rate: f64,
    click_rate_views: f64,
    /// The factor of the rules.
    boost: f64,
    /// The position that a rule pins the image to.
    pin: Option<u32>,
    /// The rule that decides the rank: `pin`, `boost` or null.
    #[schema(value_type = Option<DecidingRule>)]
    rule: Option<&'static str>,
    /// The visitor's group in a gallery with a hold-out: `control` or `treatment`. Null otherwise.
    #[schema(value_type = Option<VisitorGroup>)]
    arm: Option<&'static str>,
    score: f64,
    /// The formula of the score, with the names of these fields.
    formula: &'static str,
    neighbours: Neighbours,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words that explanations use")]
enum DecidingRule {
    Pin,
    Boost,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words that explanations use")]
enum VisitorGroup {
    Control,
    Treatment,
}

#[derive(Debug, Serialize, ToSchema)]
struct Neighbours {
    before: Option<Neighbour>,
    after: Option<Neighbour>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Neighbour {
    image_id: ImageId,
    position: u64,
    score: f64,
}

/// A [`Why`] of the image in the newest wanted order, as JSON. The gallery's owner makes it. `NotFound` if the class does
/// not see the image.
pub async fn why(
    orders: &Orders,
    ranked: &Arc<Ranked>,
    wanted: Wanted,
    image_id: ImageId,
    arm: Option<Arm>,
) -> Result<Bytes> {
    if orders.owns(ranked.gallery_id()) {
        return explain(orders, ranked, wanted, image_id, arm).await;
    }
    find(orders, ranked, wanted, image_id).await?;
    let question = Question::Why { wanted, image_id, arm };
    let answer = orders.ask_owner(ranked.gallery_id(), question, ANSWER_PATIENCE).await?;
    if answer.is_empty() { Err(Error::NotFound("image")) } else { Ok(answer) }
}

/// The ordinal of an image that the class sees.
async fn find(orders: &Orders, ranked: &Ranked, wanted: Wanted, image_id: ImageId) -> Result<u32> {
    let ordinal = orders.catalog().gallery_ordinal(ranked.gallery_id(), image_id).await?;
    let ordinal = ordinal.filter(|ordinal| ranked.shows(&[*ordinal], wanted.class) == [true]);
    ordinal.ok_or(Error::NotFound("image"))
}

/// The same as [`why`] in the process that owns the gallery.
pub(super) async fn explain(
    orders: &Orders,
    ranked: &Arc<Ranked>,
    wanted: Wanted,
    image_id: ImageId,
    arm: Option<Arm>,
) -> Result<Bytes> {
    let gallery_id = ranked.gallery_id();
    let ordinal = find(orders, ranked, wanted, image_id).await?;
    let order = orders.current(ranked, wanted).await?;
    let Explanation { place, counts, counted, evidence, appeal, click_rate, prior, boost, pin, score, before, after } =
        orders.explain(ranked, &order, ordinal)?;

    let beside: Vec<u32> = [before, after].into_iter().flatten().map(|(_, ordinal, _)| ordinal).collect();
    let items = orders.catalog().gallery_items(gallery_id, &beside).await?;
    let neighbour = |beside: Option<(usize, u32, f64)>| {
        let (place, ordinal, score) = beside?;
        let item = items.iter().find(|item| item.ordinal == ordinal)?;
        Some(Neighbour { image_id: item.image_id, position: place as u64 + 1, score })
    };
    let strategy = order.ranking.strategy;
    let by_interest = matches!(strategy, Strategy::Interest | Strategy::InterestFixed);
    let factors = order.ranking.factors;
    let why = Why {
        gallery_id,
        image_id,
        order_id: order.order_id,
        published_at: order.published_at,
        strategy,
        snapshot: order.snapshot,
        position: place.map(|place| place as u64 + 1),
        views: counts.views,
        clicks: counts.clicks,
        guard: order.ranking.guard,
        counted_views: counted.views,
        counted_clicks: counted.clicks,
        weight: factors.weight(counts.views, counts.clicks),
        view_weight: factors.view_weight,
        click_weight: factors.click_weight,
        decayed_views: evidence.views.into(),
        decayed_clicks: evidence.clicks.into(),
        hits: appeal.hits,
        exposure: appeal.exposure,
        prior_mean: prior.mean,
        prior_shape: prior.shape,
        m: appeal.mean,
        sd: appeal.deviation,
        draw: appeal.draw.filter(|_| by_interest),
        temper: TEMPER,
        bound: BOUND,
        age_factor: appeal.age_factor,
        click_rate,
        click_rate_views: CTR_VIEWS,
        boost,
        pin: pin.map(|place| place + 1),
        rule: if pin.is_some() { Some("pin") } else { (boost != 1.0).then_some("boost") },
        arm: arm.map(Arm::as_str),
        score,
        formula: formula(order.ranking, appeal.draw.is_some()),
        neighbours: Neighbours { before: neighbour(before), after: neighbour(after) },
    };
    let json = serde_json::to_vec(&why).map_err(|error| Error::internal("writing an explanation", error))?;
    Ok(json.into())
}

fn formula(Ranking { strategy, guard, .. }: Ranking, drawn: bool) -> &'static str {
    match strategy {
        Strategy::Newest => "0: the newer comes first",
        Strategy::Weight if guard => "(view_weight * counted_views + click_weight * counted_clicks) * boost",
        Strategy::Weight => "weight * boost",
        Strategy::WeightDecay => "(view_weight * decayed_views + click_weight * decayed_clicks) * boost",
        Strategy::Trending => "decayed_clicks * boost",
        Strategy::Ctr if guard => {
            "(counted_clicks + click_rate_views * click_rate) / (counted_views + click_rate_views) * boost"
        }
        Strategy::Ctr => "(clicks + click_rate_views * click_rate) / (views + click_rate_views) * boost",
        Strategy::Interest if drawn => "age_factor * (m + temper * (draw - m)) * boost",
        Strategy::Interest | Strategy::InterestFixed => "age_factor * (m + bound * sd) * boost",
        Strategy::Manual => "the rank that the rules give it, counted from the end, times boost",
        Strategy::Random => "by chance, times boost",
    }
}
