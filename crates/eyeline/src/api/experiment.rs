//! The result of a gallery's hold-out.

use axum::Json;
use axum::extract::{Path, State};
use eyeline_core::ranking::experiment::{ArmSums, Holdout, outcome};
use eyeline_core::{GalleryId, Ranking, Strategy};
use eyeline_store::catalog::experiments::HoldoutSums;
use eyeline_store::catalog::galleries::Gallery;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::objects::managed_gallery;
use super::{Answer, Credential};
use crate::app::App;

const NOT_ENOUGH: &str = "not enough data yet";
const SAME_ORDER: &str = "both groups see the same order: choose another strategy, or another holdout_control";

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

#[derive(Serialize, ToSchema)]
#[schema(as = Experiment)]
pub(super) struct ExperimentAnswer {
    gallery_id: GalleryId,
    holdout_percent: u8,
    /// The groups of the gallery's strategy and of its `holdout_control`, measured while these and `holdout_percent`
    /// had their present values.
    treatment: ArmAnswer,
    control: ArmAnswer,
    /// The difference in clicks per session, as a share of those of the control: (treatment - control) / control.
    lift: Option<f64>,
    /// The 95 % confidence interval of the lift, over visitors (delta method).
    #[schema(min_items = 2, max_items = 2)]
    interval: Option<[f64; 2]>,
    sample_ratio: SampleRatio,
    enough_data: bool,
    /// `not enough data yet`, or a note that both groups see the same order. Null otherwise.
    message: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ExperimentArm)]
struct ArmAnswer {
    strategy: Strategy,
    visitors: u64,
    sessions: u64,
    views: u64,
    clicks: u64,
    clicks_per_session: Option<f64>,
}

/// Compares the sizes of the groups with the share of the hold-out. If `ok` is false, the lift cannot be trusted.
#[derive(Serialize, ToSchema)]
struct SampleRatio {
    expected_control: f64,
    observed_control: Option<f64>,
    p_value: Option<f64>,
    ok: bool,
}

/// Get a gallery's hold-out result
///
/// Compares the clicks of visitors who see the gallery's strategy with those of visitors who see the control order.
#[utoipa::path(
    get, path = "/galleries/{gallery_id}/experiment", operation_id = "get_experiment", tag = "ranking",
    params(("gallery_id" = GalleryId, Path)), responses((status = 200, body = ExperimentAnswer))
)]
async fn show(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
) -> Answer<Json<ExperimentAnswer>> {
    let gallery = managed_gallery(&app, &credential, gallery_id).await?;
    Ok(Json(experiment(&app, &gallery).await?))
}

/// The figures of the gallery's hold-out so far.
pub(super) async fn experiment(app: &App, gallery: &Gallery) -> Answer<ExperimentAnswer> {
    let gallery_id = gallery.gallery_id;
    let holdout = gallery.ranking.holdout();
    let sums = match holdout {
        Some(holdout) => app.catalog.holdout_sums(gallery_id, holdout).await?,
        None => HoldoutSums::default(),
    };
    let Ranking { strategy, holdout_control, holdout_percent, .. } = gallery.ranking;
    let found = outcome(&sums.treatment, &sums.control, holdout_percent);
    let visitors = sums.treatment.visitors + sums.control.visitors;
    let message = match holdout {
        Some(Holdout { treatment, control, .. }) if treatment == control => Some(SAME_ORDER),
        _ => (!found.enough).then_some(NOT_ENOUGH),
    };
    Ok(ExperimentAnswer {
        gallery_id,
        holdout_percent,
        treatment: arm(strategy, &sums.treatment),
        control: arm(holdout_control.strategy(), &sums.control),
        lift: found.lift,
        interval: found.interval.map(|(low, high)| [low, high]),
        sample_ratio: SampleRatio {
            expected_control: f64::from(holdout_percent) / 100.0,
            observed_control: (visitors > 0).then(|| sums.control.visitors as f64 / visitors as f64),
            p_value: found.sample_ratio_p,
            ok: found.sample_ratio_ok,
        },
        enough_data: found.enough,
        message,
    })
}

fn arm(strategy: Strategy, sums: &ArmSums) -> ArmAnswer {
    let ArmSums { visitors, sessions, views, clicks, .. } = *sums;
    ArmAnswer { strategy, visitors, sessions, views, clicks, clicks_per_session: sums.clicks_per_session() }
}
