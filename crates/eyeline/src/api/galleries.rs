//! Galleries: made, listed, changed, deleted; images put in and taken out.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use eyeline_core::ranking::RankingPatch;
use eyeline_core::ranking::experiment::Control;
use eyeline_core::{AccessClass, GalleryId, ImageId, ProjectId, Ranking, Strategy, Tier, Timestamp, Visibility};
use eyeline_store::catalog::galleries::{Gallery, GalleryPatch};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Answer, Credential, Fields, Idempotency, JsonBody, Problem, Query, answer_once};
use crate::app::App;
use crate::flow::rank::gallery_topic;

const NAME_CHARS_MAX: usize = 200;
const PAGE_SIZE_DEFAULT: u32 = 20;
const PAGE_SIZE_MAX: u64 = 100;
const FACTOR_MAX: u64 = 1_000_000;
const HOLDOUT_PERCENT_MAX: u64 = 50;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(show, change, delete))
        .routes(routes!(put_in, take_out))
}

#[derive(Serialize, ToSchema)]
pub struct GalleryAnswer {
    #[schema(value_type = uuid::Uuid)]
    gallery_id: GalleryId,
    #[schema(value_type = uuid::Uuid)]
    project_id: ProjectId,
    name: String,
    /// Items of a page when the request does not say.
    page_size: u32,
    #[schema(value_type = String, example = "public")]
    visibility: Visibility,
    #[schema(value_type = String, example = "free")]
    access_tier: Tier,
    ranking: RankingAnswer,
    /// View and click events counted so far.
    applied_events: u64,
    /// Of these, those that the guard left out of the ranking.
    ignored_events: u64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
struct RankingAnswer {
    #[schema(value_type = String, example = "weight")]
    strategy: Strategy,
    view_weight: u32,
    click_weight: u32,
    /// Days; null: 14.
    half_life: Option<f64>,
    /// It ranks by `counted_views` and `counted_clicks`: without robots and forged clicks, as far as can be told.
    guard: bool,
    /// Of 100 visitors so many see the control order.
    holdout_percent: u8,
    #[schema(value_type = String, example = "newest")]
    holdout_control: Control,
}

impl From<Gallery> for GalleryAnswer {
    fn from(gallery: Gallery) -> Self {
        let Ranking { strategy, factors, .. } = gallery.ranking;
        GalleryAnswer {
            gallery_id: gallery.gallery_id,
            project_id: gallery.project_id,
            name: gallery.name,
            page_size: gallery.page_size,
            visibility: gallery.visibility,
            access_tier: gallery.access_tier,
            ranking: RankingAnswer {
                strategy,
                view_weight: factors.view_weight,
                click_weight: factors.click_weight,
                half_life: gallery.ranking.half_life_s.map(|seconds| f64::from(seconds) / 86_400.0),
                guard: gallery.ranking.guard,
                holdout_percent: gallery.ranking.holdout_percent,
                holdout_control: gallery.ranking.holdout_control,
            },
            applied_events: gallery.applied_events,
            ignored_events: gallery.ignored_events,
            created_at: gallery.created_at,
            updated_at: gallery.updated_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct GalleriesAnswer {
    galleries: Vec<GalleryAnswer>,
    next_cursor: Option<String>,
}

/// What a body may say of a gallery; everything but the name has a default.
#[derive(ToSchema)]
#[schema(as = GalleryInput)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct GalleryInput {
    #[schema(value_type = uuid::Uuid)]
    project_id: ProjectId,
    name: String,
    page_size: Option<u32>,
    #[schema(example = "public")]
    visibility: Option<String>,
    #[schema(example = "free")]
    access_tier: Option<String>,
    ranking: Option<RankingInput>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct RankingInput {
    /// `newest`, `weight`, `weight_decay`, `trending`, `ctr`, `interest`, `interest_fixed`, `manual` or `random`.
    #[schema(example = "weight")]
    strategy: Option<String>,
    view_weight: Option<u32>,
    click_weight: Option<u32>,
    /// Days after which an event counts half, in the strategies in which events lose weight; 14 when null.
    half_life: Option<f64>,
    /// Rank by what people do, as far as can be told; the numbers stay exact.
    guard: Option<bool>,
    /// 0 to 50: of 100 visitors so many see the control order.
    holdout_percent: Option<u32>,
    /// The control order: `newest` or `weight`. Figures of another share, strategy or control are kept apart.
    #[schema(example = "newest")]
    holdout_control: Option<String>,
}

/// Makes a gallery.
#[utoipa::path(
    post, path = "/galleries", operation_id = "create_gallery", tag = "galleries", request_body = GalleryInput,
    responses(
        (status = 201, body = GalleryAnswer),
        (status = "4XX", description = "A problem document"),
    )
)]
async fn create(
    State(app): State<App>,
    credential: Credential,
    idempotency: Idempotency,
    JsonBody(body): JsonBody,
) -> Answer<Response> {
    let mut fields = Fields::parse(&body)?;
    let project_id = fields.required_id("project_id");
    fields.require("name");
    let patch = read_patch(&mut fields, Ranking::default());
    let now = app.clock.now();
    let gallery = Gallery {
        gallery_id: app.clock.new_id(),
        project_id: project_id.unwrap_or(ProjectId(uuid::Uuid::nil())),
        name: patch.name.unwrap_or_default(),
        page_size: patch.page_size.unwrap_or(PAGE_SIZE_DEFAULT),
        visibility: patch.visibility.unwrap_or_default(),
        access_tier: patch.access_tier.unwrap_or_default(),
        ranking: patch.ranking.applied_to(Ranking::default()),
        applied_events: 0,
        ignored_events: 0,
        created_at: now,
        updated_at: now,
    };
    fields.finish()?;
    credential.manage_project(&app, gallery.project_id).await?;
    let answer = |gallery: &Gallery| GalleryAnswer::from(gallery.clone());
    let repeatable = idempotency.repeatable(&body, StatusCode::CREATED, answer);
    let once = app.catalog.create_gallery(gallery, repeatable).await?;
    Ok(answer_once(once, StatusCode::CREATED, GalleryAnswer::from))
}

/// The galleries of a project, the newest first.
#[utoipa::path(
    get, path = "/galleries", operation_id = "list_galleries", tag = "galleries",
    params(
        ("project_id" = Option<uuid::Uuid>, Query, description = "Needed with the admin key alone."),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
    ),
    responses(
        (status = 200, body = GalleriesAnswer),
        (status = "4XX", description = "A problem document"),
    )
)]
async fn list(State(app): State<App>, credential: Credential, mut query: Query) -> Answer<impl IntoResponse> {
    if credential.project().is_none() {
        query.require("project_id");
    }
    let project_id = query.id("project_id").or(credential.project());
    let paging = query.paging::<(i64, GalleryId)>(&app);
    query.finish()?;
    let project_id = project_id.ok_or_else(|| Problem::not_found("project"))?;
    credential.manage_project(&app, project_id).await?;
    let after = paging.after.map(|(created_at, gallery_id)| (Timestamp::from_micros(created_at), gallery_id));
    let found = app.catalog.galleries(project_id, after, paging.rows()).await?;
    let (galleries, next) = paging.cut(found, |gallery| (gallery.created_at.micros(), gallery.gallery_id));
    let answer = GalleriesAnswer {
        galleries: galleries.into_iter().map(GalleryAnswer::from).collect(),
        next_cursor: next.cursor.clone(),
    };
    Ok((next, Json(answer)))
}

/// One gallery.
#[utoipa::path(
    get, path = "/galleries/{gallery_id}", operation_id = "get_gallery", tag = "galleries", params(("gallery_id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = GalleryAnswer),
        (status = "4XX", description = "A problem document"),
    )
)]
async fn show(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
) -> Answer<Json<GalleryAnswer>> {
    let gallery = app.catalog.gallery(gallery_id).await?.ok_or_else(|| Problem::not_found("gallery"))?;
    reader(&credential, &gallery)?;
    Ok(Json(gallery.into()))
}

/// Changes what the body names, and nothing else. A change of `ranking` holds on the next page.
#[utoipa::path(
    patch, path = "/galleries/{gallery_id}", tag = "galleries", params(("gallery_id" = uuid::Uuid, Path)),
    request_body = GalleryInput,
    responses(
        (status = 200, body = Published<GalleryAnswer>),
        (status = 202, body = Published<GalleryAnswer>, description = "Stored; the orders follow within moments"),
        (status = "4XX", description = "A problem document"),
    )
)]
async fn change(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
    JsonBody(body): JsonBody,
) -> Answer<(StatusCode, Json<Published<GalleryAnswer>>)> {
    let gallery = managed(&app, &credential, gallery_id).await?;
    let mut fields = Fields::parse(&body)?;
    let patch = read_patch(&mut fields, gallery.ranking);
    fields.finish()?;
    let changed = app.catalog.update_gallery(gallery_id, patch, app.clock.now()).await?;
    Published::answer(&app, gallery_id, GalleryAnswer::from(changed)).await
}

/// Deletes the gallery with its counters and the images that a dataset made for it; uploaded images stay in their
/// project.
#[utoipa::path(
    delete, path = "/galleries/{gallery_id}", operation_id = "delete_gallery", tag = "galleries", params(("gallery_id" = uuid::Uuid, Path)),
    responses(
        (status = 204),
        (status = "4XX", description = "A problem document"),
    )
)]
async fn delete(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
) -> Answer<StatusCode> {
    managed(&app, &credential, gallery_id).await?;
    app.catalog.delete_gallery(gallery_id, app.clock.now()).await?;
    hint(&app, gallery_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts an image of the project into the gallery, or back into it with its counters.
#[utoipa::path(
    put, path = "/galleries/{gallery_id}/images/{image_id}", tag = "galleries",
    params(("gallery_id" = uuid::Uuid, Path), ("image_id" = uuid::Uuid, Path)),
    responses(
        (status = 204),
        (status = "4XX", description = "A problem document"),
    )
)]
async fn put_in(
    State(app): State<App>,
    credential: Credential,
    Path((gallery_id, image_id)): Path<(GalleryId, ImageId)>,
) -> Answer<StatusCode> {
    managed(&app, &credential, gallery_id).await?;
    app.catalog.list_image(gallery_id, image_id).await?;
    hint(&app, gallery_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes an image out of the gallery; its counters are kept, unseen, until it is put back.
#[utoipa::path(
    delete, path = "/galleries/{gallery_id}/images/{image_id}", tag = "galleries",
    params(("gallery_id" = uuid::Uuid, Path), ("image_id" = uuid::Uuid, Path)),
    responses(
        (status = 204),
        (status = "4XX", description = "A problem document"),
    )
)]
async fn take_out(
    State(app): State<App>,
    credential: Credential,
    Path((gallery_id, image_id)): Path<(GalleryId, ImageId)>,
) -> Answer<StatusCode> {
    managed(&app, &credential, gallery_id).await?;
    app.catalog.unlist_image(gallery_id, image_id).await?;
    hint(&app, gallery_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The gallery, for a credential that may change it.
pub(super) async fn managed(app: &App, credential: &Credential, gallery_id: GalleryId) -> Answer<Gallery> {
    let gallery = app.catalog.gallery(gallery_id).await?.ok_or_else(|| Problem::not_found("gallery"))?;
    own(credential, &gallery)?;
    credential.manage(gallery.project_id, "gallery")?;
    Ok(gallery)
}

/// Which of the gallery's images the credential sees.
pub(super) fn reader(credential: &Credential, gallery: &Gallery) -> Answer<AccessClass> {
    own(credential, gallery)?;
    let class = match credential {
        Credential::Admin { .. } | Credential::Key { .. } => AccessClass::Project,
        Credential::Application { .. } => AccessClass::Public,
        Credential::User { tier, .. } => (*tier).into(),
    };
    if class.sees(gallery.visibility, gallery.access_tier) {
        return Ok(class);
    }
    Err(Problem::forbidden("This gallery is not open to this credential."))
}

/// Another project's gallery is not there, whatever the credential.
fn own(credential: &Credential, gallery: &Gallery) -> Answer<()> {
    match credential.project() {
        Some(project_id) if project_id != gallery.project_id => Err(Problem::not_found("gallery")),
        _ => Ok(()),
    }
}

/// Tells whoever ranks, in this process and others, that something of the gallery changed.
pub(super) async fn hint(app: &App, gallery_id: GalleryId) -> Answer<()> {
    Ok(app.pubsub.publish(&gallery_topic(gallery_id), Bytes::new()).await?)
}

/// What was stored, and whether the next page shows it.
#[derive(Serialize, ToSchema)]
pub(super) struct Published<T> {
    #[serde(flatten)]
    stored: T,
    /// False if the gallery's orders are still being made.
    published: bool,
}

impl<T> Published<T> {
    /// Publishes the gallery's orders anew: 200, or 202 if that takes longer than two seconds.
    pub async fn answer(app: &App, gallery_id: GalleryId, stored: T) -> Answer<(StatusCode, Json<Self>)> {
        hint(app, gallery_id).await?;
        let published = app.orders.publish_soon(gallery_id).await;
        let status = if published { StatusCode::OK } else { StatusCode::ACCEPTED };
        Ok((status, Json(Published { stored, published })))
    }
}

fn read_patch(fields: &mut Fields, ranking: Ranking) -> GalleryPatch {
    let ranking_given = fields.object("ranking");
    GalleryPatch {
        name: fields.text("name", NAME_CHARS_MAX),
        page_size: fields.integer("page_size", 1..=PAGE_SIZE_MAX).and_then(|size| u32::try_from(size).ok()),
        visibility: fields.parsed("visibility", "public or private", Visibility::parse),
        access_tier: fields.parsed("access_tier", "free, premium or business", Tier::parse),
        ranking: ranking_given.map(|given| read_ranking(fields, Fields::new(given), ranking)).unwrap_or_default(),
    }
}

/// Reads a change of the settings in `before`.
fn read_ranking(outer: &mut Fields, mut given: Fields, before: Ranking) -> RankingPatch {
    let mut factor = |name| given.integer(name, 0..=FACTOR_MAX).and_then(|factor| u32::try_from(factor).ok());
    let (view_weight, click_weight) = (factor("view_weight"), factor("click_weight"));
    let holdout_percent = given.integer("holdout_percent", 0..=HOLDOUT_PERCENT_MAX);
    let ranking = RankingPatch {
        strategy: given.parsed("strategy", Strategy::NAMES, Strategy::parse),
        view_weight,
        click_weight,
        half_life_s: read_half_life(&mut given),
        guard: given.boolean("guard"),
        holdout_percent: holdout_percent.and_then(|percent| u8::try_from(percent).ok()),
        holdout_control: given.parsed("holdout_control", Control::NAMES, Control::parse),
    };
    if ranking.applied_to(before).factors.weigh_nothing() {
        given.error("click_weight", "One of view_weight and click_weight has to be above 0.");
    }
    if let Err(errors) = given.finish() {
        outer.errors_below("ranking", errors);
    }
    ranking
}

fn read_half_life(given: &mut Fields) -> Option<Option<u32>> {
    if given.is_null("half_life") {
        return Some(None);
    }
    let value = given.value("half_life")?;
    let read = value.as_f64().and_then(Ranking::half_life_of_days);
    if read.is_none() {
        given.error("half_life", "This has to be a number of days from an hour to ten years, or null.");
    }
    Some(read)
}
