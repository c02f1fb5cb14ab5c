//! Views and clicks of a gallery's images.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use eyeline_core::event::ImageRef;
use eyeline_core::{GalleryId, ImageId, Timestamp};
use eyeline_lake::{Acts, Buckets, Interval, gallery};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Basis, RowsParameter, Scope, ScopeParameters, ask, rows_max};
use crate::api::experiment::{ExperimentAnswer, experiment};
use crate::api::objects::managed_gallery;
use crate::api::{Answer, Credential, Query};
use crate::app::App;

/// Positions in one answer; deeper ones are few and seen by few.
const POSITIONS_MAX: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

#[derive(Serialize, ToSchema)]
struct UsageNumbers {
    views: u64,
    clicks: u64,
    /// Clicks for each view; null without views.
    click_rate: Option<f64>,
}

impl From<Acts> for UsageNumbers {
    fn from(Acts { views, clicks }: Acts) -> Self {
        UsageNumbers { views, clicks, click_rate: (views > 0).then(|| clicks as f64 / views as f64) }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = GalleryUsageImage)]
struct ImageRow {
    /// Null for one that is not in the gallery any more and was named by its external id.
    image_id: Option<ImageId>,
    external_id: Option<String>,
    #[serde(flatten)]
    numbers: UsageNumbers,
}

#[derive(Serialize, ToSchema)]
#[schema(as = GalleryUsagePosition)]
struct PositionRow {
    /// The position at which a page had served the image, from 1.
    position: u32,
    #[serde(flatten)]
    numbers: UsageNumbers,
}

#[derive(Serialize, ToSchema)]
#[schema(as = GalleryUsageBucket)]
struct BucketRow {
    bucket: Timestamp,
    #[serde(flatten)]
    numbers: UsageNumbers,
}

#[derive(Serialize, ToSchema)]
#[schema(as = GalleryUsage)]
struct GalleryUsageAnswer {
    /// Images, the most viewed first.
    rows: Vec<ImageRow>,
    total: UsageNumbers,
    /// Of the events with a valid place receipt.
    positions: Vec<PositionRow>,
    /// The share of views with a valid place receipt, from 0 to 1; null without views.
    placed_share: Option<f64>,
    over_time: Vec<BucketRow>,
    /// The lift against the hold-out, since that began; null for a gallery without one.
    experiment: Option<ExperimentAnswer>,
    #[serde(flatten)]
    basis: Basis,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words of a parameter")]
enum GalleryInterval {
    Hour,
    Day,
    Week,
    Month,
}

/// Measure a gallery's use
///
/// Views, clicks and click rate by image, by position and over time, and the lift against the hold-out.
#[utoipa::path(
    get, path = "/analytics/galleries/{gallery_id}", operation_id = "get_gallery_usage", tag = "analytics",
    params(
        ("gallery_id" = GalleryId, Path), ScopeParameters,
        ("interval" = inline(Option<GalleryInterval>), Query, description = "The length of a bucket of `over_time`; `day` by default"),
        RowsParameter,
    ),
    responses((status = 200, body = GalleryUsageAnswer))
)]
async fn show(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
    mut query: Query,
) -> Answer<Json<GalleryUsageAnswer>> {
    let known = managed_gallery(&app, &credential, gallery_id).await?;
    let scope = Scope::of(&mut query, known.project_id);
    let interval = query.parsed("interval", "hour, day, week or month", Interval::parse).unwrap_or(Interval::Day);
    let buckets = Buckets { interval, zone: scope.zone.clone() };
    let limit = rows_max(&mut query);
    let filter = scope.finish(query, &app, &credential).await?;
    let (found, basis) = ask(&app, filter, move |files, snapshot, filter, budget| {
        gallery(files, snapshot, filter, gallery_id, &buckets, budget)
    })
    .await?;
    let placed_views: u64 = found.positions.values().map(|acts| acts.views).sum();
    let placed_share = (found.total.views > 0).then(|| placed_views as f64 / found.total.views as f64);
    let positions = found.positions.into_iter().take(POSITIONS_MAX);
    let over_time = found.buckets.into_iter();
    let experiment = match known.ranking.holdout_percent {
        0 => None,
        _ => Some(experiment(&app, &known).await?),
    };
    Ok(Json(GalleryUsageAnswer {
        rows: images(&app, gallery_id, found.images, limit).await?,
        total: found.total.into(),
        positions: positions.map(|(position, acts)| PositionRow { position, numbers: acts.into() }).collect(),
        placed_share,
        over_time: over_time.map(|(bucket, acts)| BucketRow { bucket, numbers: acts.into() }).collect(),
        experiment,
        basis,
    }))
}

/// The most viewed images, each under all its names.
async fn images(app: &App, gallery_id: GalleryId, found: Vec<(ImageRef, Acts)>, limit: usize) -> Answer<Vec<ImageRow>> {
    let external = found.iter().filter_map(|(image, _)| match image {
        ImageRef::External(name) => Some(name.clone()),
        ImageRef::Id(_) => None,
    });
    let ids = app.catalog.image_ids_by_external_ids(gallery_id, external.collect()).await?;
    let mut by_image: HashMap<ImageRef, Acts> = HashMap::with_capacity(found.len());
    for (image, acts) in found {
        let image = match image {
            ImageRef::External(name) => ids.get(&name).map_or(ImageRef::External(name), |id| ImageRef::Id(*id)),
            id => id,
        };
        by_image.entry(image).or_default().add(acts);
    }
    let mut images: Vec<(ImageRef, Acts)> = by_image.into_iter().collect();
    let rank = |acts: &Acts| std::cmp::Reverse((acts.views, acts.clicks));
    images.sort_by(|(one, acts), (other, others)| rank(acts).cmp(&rank(others)).then_with(|| one.cmp(other)));
    images.truncate(limit);
    let shown = images.iter().filter_map(|(image, _)| match image {
        ImageRef::Id(id) => Some(*id),
        ImageRef::External(_) => None,
    });
    let mut names = app.catalog.external_ids_of_images(gallery_id, shown.collect()).await?;
    let row = |(image, acts): (ImageRef, Acts)| match image {
        ImageRef::Id(id) => ImageRow { image_id: Some(id), external_id: names.remove(&id), numbers: acts.into() },
        ImageRef::External(name) => ImageRow { image_id: None, external_id: Some(name), numbers: acts.into() },
    };
    Ok(images.into_iter().map(row).collect())
}
