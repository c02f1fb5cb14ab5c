//! Galleries: create, list, change, delete; add and remove images.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use eyeline_core::ranking::RankingPatch;
use eyeline_core::ranking::experiment::Control;
use eyeline_core::{
    AccessClass, ApplicationId, GalleryId, ImageId, ProjectId, Ranking, Strategy, Tier, Timestamp, Visibility,
};
use eyeline_store::catalog::galleries::{Gallery, GalleryPatch};
use eyeline_store::catalog::public_pages::{PublicPage, PublicPagePatch};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::idempotency::IdempotencyKeyHeader;
use super::objects::{self, managed_gallery};
use super::{
    Answer, Credential, Fields, Idempotency, JsonBody, PagingParameters, Problem, ProjectParameter, Query, answer_once,
    applications,
};
use crate::app::App;
use crate::flow::hints;

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
#[schema(as = Gallery)]
pub struct GalleryAnswer {
    gallery_id: GalleryId,
    project_id: ProjectId,
    name: String,
    /// Items of a page by default.
    page_size: u32,
    visibility: Visibility,
    access_tier: Tier,
    ranking: RankingAnswer,
    page: PageAnswer,
    /// View and click events counted so far. With a key only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    applied_events: Option<u64>,
    /// Those of them that the guard excludes from the ranking. With a key only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ignored_events: Option<u64>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RankingSettings)]
pub(super) struct RankingAnswer {
    strategy: Strategy,
    view_weight: u32,
    click_weight: u32,
    /// Days; null: 14.
    half_life: Option<f64>,
    /// True if it ranks by `counted_views` and `counted_clicks`: without robots and forged clicks, as far as the guard
    /// detects them. With a key only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    guard: Option<bool>,
    /// The share of visitors who see the control order. With a key only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, maximum = 50)]
    holdout_percent: Option<u8>,
    /// With a key only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    holdout_control: Option<Control>,
}

/// The gallery's public page, `/g/{gallery_id}`. Everybody can open it while it is enabled and the gallery is public
/// and free.
#[derive(Serialize, ToSchema)]
#[schema(as = PublicPage)]
struct PageAnswer {
    enabled: bool,
    /// True if search engines may list the page.
    indexed: bool,
    /// The application that sends the events of the page's visitors. Null before the page is first enabled, and after
    /// that application is deleted.
    application_id: Option<ApplicationId>,
}

impl From<PublicPage> for PageAnswer {
    fn from(PublicPage { enabled, indexed, application_id }: PublicPage) -> Self {
        PageAnswer { enabled, indexed, application_id }
    }
}

impl From<Ranking> for RankingAnswer {
    fn from(ranking: Ranking) -> Self {
        RankingAnswer {
            strategy: ranking.strategy,
            view_weight: ranking.factors.view_weight,
            click_weight: ranking.factors.click_weight,
            half_life: ranking.half_life_s.map(|seconds| f64::from(seconds) / 86_400.0),
            guard: Some(ranking.guard),
            holdout_percent: Some(ranking.holdout_percent),
            holdout_control: Some(ranking.holdout_control),
        }
    }
}

impl From<Gallery> for GalleryAnswer {
    fn from(gallery: Gallery) -> Self {
        GalleryAnswer {
            gallery_id: gallery.gallery_id,
            project_id: gallery.project_id,
            name: gallery.name,
            page_size: gallery.page_size,
            visibility: gallery.visibility,
            access_tier: gallery.access_tier,
            ranking: gallery.ranking.into(),
            page: gallery.page.into(),
            applied_events: Some(gallery.applied_events),
            ignored_events: Some(gallery.ignored_events),
            created_at: gallery.created_at,
            updated_at: gallery.updated_at,
        }
    }
}

impl GalleryAnswer {
    /// Removes the fields that only keys may see.
    fn for_readers(mut self) -> Self {
        let RankingAnswer { guard, holdout_percent, holdout_control, .. } = &mut self.ranking;
        (*guard, *holdout_percent, *holdout_control) = (None, None, None);
        GalleryAnswer { applied_events: None, ignored_events: None, ..self }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = GalleryList)]
struct GalleriesAnswer {
    #[schema(max_items = 100)]
    galleries: Vec<GalleryAnswer>,
    next_cursor: Option<String>,
}

/// A gallery to create; only the project and the name are required.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct NewGallery {
    project_id: ProjectId,
    #[schema(min_length = 1, max_length = 200, example = "Home")]
    name: String,
    /// Items of a page by default.
    #[schema(minimum = 1, maximum = 100, default = 20)]
    page_size: Option<u32>,
    visibility: Option<Visibility>,
    access_tier: Option<Tier>,
    ranking: Option<RankingInput>,
    page: Option<PageInput>,
}

/// The fields of a gallery to change. Absent fields stay as they are.
#[derive(ToSchema)]
#[schema(example = json!({"ranking": {"strategy": "interest"}}))]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct GalleryChange {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(minimum = 1, maximum = 100)]
    page_size: Option<u32>,
    visibility: Option<Visibility>,
    access_tier: Option<Tier>,
    ranking: Option<RankingInput>,
    page: Option<PageInput>,
}

#[derive(ToSchema)]
#[schema(as = PublicPageChange)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct PageInput {
    /// True opens `/g/{gallery_id}` to everybody. The first time, it creates the application of the page.
    enabled: Option<bool>,
    /// True lets search engines list the page; false by default.
    indexed: Option<bool>,
}

#[derive(ToSchema)]
#[schema(as = RankingChange)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct RankingInput {
    strategy: Option<Strategy>,
    #[schema(maximum = 1_000_000)]
    view_weight: Option<u32>,
    #[schema(maximum = 1_000_000)]
    click_weight: Option<u32>,
    /// Days after which an event counts half, in the strategies in which events lose weight; 14 when null.
    half_life: Option<f64>,
    /// Rank without robots and forged clicks, as far as the guard detects them; the shown numbers stay exact.
    guard: Option<bool>,
    /// The share of visitors who see the control order.
    #[schema(maximum = 50)]
    holdout_percent: Option<u32>,
    /// The control order. Each combination of share, strategy and control is measured separately.
    holdout_control: Option<Control>,
}

/// Create a gallery
#[utoipa::path(
    post, path = "/galleries", operation_id = "create_gallery", tag = "galleries", params(IdempotencyKeyHeader),
    request_body = NewGallery, responses((status = 201, body = GalleryAnswer))
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
    let project_id = project_id.unwrap_or(ProjectId(uuid::Uuid::nil()));
    let name = patch.name.unwrap_or_default();
    let application = patch.page.enabled.unwrap_or(false).then(|| applications::of_page(&app, project_id, &name));
    let gallery = Gallery {
        gallery_id: app.clock.new_id(),
        project_id,
        name,
        page_size: patch.page_size.unwrap_or(PAGE_SIZE_DEFAULT),
        visibility: patch.visibility.unwrap_or_default(),
        access_tier: patch.access_tier.unwrap_or_default(),
        ranking: patch.ranking.applied_to(Ranking::default()),
        page: PublicPage {
            enabled: patch.page.enabled.unwrap_or(false),
            indexed: patch.page.indexed.unwrap_or(false),
            application_id: application.as_ref().map(|application| application.application_id),
        },
        applied_events: 0,
        ignored_events: 0,
        created_at: now,
        updated_at: now,
    };
    fields.finish()?;
    credential.manage_project(&app, gallery.project_id).await?;
    let answer = |gallery: &Gallery| GalleryAnswer::from(gallery.clone());
    let repeatable = idempotency.repeatable(&body, StatusCode::CREATED, answer);
    let has_application = application.is_some();
    let once = app.catalog.create_gallery(gallery, application, repeatable).await?;
    if has_application {
        app.credentials.forget();
    }
    Ok(answer_once(once, StatusCode::CREATED, GalleryAnswer::from))
}

/// List a project's galleries
///
/// The newest first.
#[utoipa::path(
    get, path = "/galleries", operation_id = "list_galleries", tag = "galleries",
    params(ProjectParameter, PagingParameters), responses((status = 200, body = GalleriesAnswer))
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

/// Get a gallery
#[utoipa::path(
    get, path = "/galleries/{gallery_id}", operation_id = "get_gallery", tag = "galleries",
    params(("gallery_id" = GalleryId, Path)), responses((status = 200, body = GalleryAnswer)),
    security(("key" = []), ("session" = []), ("user_token" = []), ("application" = []), ("application_parameter" = []))
)]
async fn show(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
) -> Answer<Json<GalleryAnswer>> {
    let gallery = objects::gallery(&app, &credential, gallery_id).await?;
    let class = objects::reader(&credential, &gallery)?;
    let answer = GalleryAnswer::from(gallery);
    Ok(Json(if class == AccessClass::Project { answer } else { answer.for_readers() }))
}

/// Change a gallery
///
/// Absent fields stay as they are. A change of `ranking` holds on the next page.
#[utoipa::path(
    patch, path = "/galleries/{gallery_id}", operation_id = "update_gallery", tag = "galleries",
    params(("gallery_id" = GalleryId, Path)), request_body = GalleryChange,
    responses(
        (status = 200, body = Published<GalleryAnswer>),
        (status = 202, body = Published<GalleryAnswer>, description = "Stored; the new orders follow."),
        (status = 409, description = "Both weights would be 0 after another request's change."),
    )
)]
async fn change(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
    JsonBody(body): JsonBody,
) -> Answer<(StatusCode, Json<Published<GalleryAnswer>>)> {
    let gallery = managed_gallery(&app, &credential, gallery_id).await?;
    let mut fields = Fields::parse(&body)?;
    let mut patch = read_patch(&mut fields, gallery.ranking);
    fields.finish()?;
    let needs_application = patch.page.enabled == Some(true) && gallery.page.application_id.is_none();
    if needs_application {
        patch.page.application = Some(applications::of_page(&app, gallery.project_id, &gallery.name));
    }
    let changed = app.catalog.update_gallery(gallery_id, patch, app.clock.now()).await?;
    if needs_application {
        app.credentials.forget();
    }
    Published::answer(&app, gallery_id, GalleryAnswer::from(changed)).await
}

/// Delete a gallery
///
/// Deletes the gallery, its counters, the images that a dataset made for it, and the application of its public page.
/// Uploaded images stay in the project.
#[utoipa::path(
    delete, path = "/galleries/{gallery_id}", operation_id = "delete_gallery", tag = "galleries",
    params(("gallery_id" = GalleryId, Path)), responses((status = 204))
)]
async fn delete(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
) -> Answer<StatusCode> {
    managed_gallery(&app, &credential, gallery_id).await?;
    app.catalog.delete_gallery(gallery_id, app.clock.now()).await?;
    app.credentials.forget();
    hints::gallery_changed(&*app.pubsub, gallery_id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Add an image to a gallery
///
/// An image that was in the gallery before gets its counters back.
#[utoipa::path(
    put, path = "/galleries/{gallery_id}/images/{image_id}", operation_id = "add_gallery_image", tag = "galleries",
    params(("gallery_id" = GalleryId, Path), ("image_id" = ImageId, Path)), responses((status = 204))
)]
async fn put_in(
    State(app): State<App>,
    credential: Credential,
    Path((gallery_id, image_id)): Path<(GalleryId, ImageId)>,
) -> Answer<StatusCode> {
    managed_gallery(&app, &credential, gallery_id).await?;
    app.catalog.list_image(gallery_id, image_id).await?;
    hints::gallery_changed(&*app.pubsub, gallery_id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove an image from a gallery
///
/// Its counters are kept, hidden, until it is added again.
#[utoipa::path(
    delete, path = "/galleries/{gallery_id}/images/{image_id}", operation_id = "remove_gallery_image",
    tag = "galleries", params(("gallery_id" = GalleryId, Path), ("image_id" = ImageId, Path)),
    responses((status = 204))
)]
async fn take_out(
    State(app): State<App>,
    credential: Credential,
    Path((gallery_id, image_id)): Path<(GalleryId, ImageId)>,
) -> Answer<StatusCode> {
    managed_gallery(&app, &credential, gallery_id).await?;
    app.catalog.unlist_image(gallery_id, image_id).await?;
    hints::gallery_changed(&*app.pubsub, gallery_id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// The stored change; `published` is true if the next page shows it.
#[derive(Serialize, ToSchema)]
pub(super) struct Published<T> {
    #[serde(flatten)]
    stored: T,
    /// False if the gallery's orders are still being made.
    published: bool,
}

impl<T> Published<T> {
    /// Publishes the gallery's orders again. Answers 200, or 202 if that takes more than 2 s.
    pub async fn answer(app: &App, gallery_id: GalleryId, stored: T) -> Answer<(StatusCode, Json<Self>)> {
        hints::gallery_changed(&*app.pubsub, gallery_id).await;
        let published = app.orders.publish_soon(gallery_id).await;
        let status = if published { StatusCode::OK } else { StatusCode::ACCEPTED };
        Ok((status, Json(Published { stored, published })))
    }
}

fn read_patch(fields: &mut Fields, ranking: Ranking) -> GalleryPatch {
    let ranking_given = fields.object("ranking");
    let page_given = fields.object("page");
    GalleryPatch {
        name: fields.text("name", NAME_CHARS_MAX),
        page_size: fields.integer("page_size", 1..=PAGE_SIZE_MAX).and_then(|size| u32::try_from(size).ok()),
        visibility: fields.parsed("visibility", "public or private", Visibility::parse),
        access_tier: fields.parsed("access_tier", "free, premium or business", Tier::parse),
        ranking: ranking_given.map(|given| read_ranking(fields, Fields::new(given), ranking)).unwrap_or_default(),
        page: page_given.map(|given| read_page(fields, Fields::new(given))).unwrap_or_default(),
    }
}

fn read_page(outer: &mut Fields, mut given: Fields) -> PublicPagePatch {
    let (enabled, indexed) = (given.boolean("enabled"), given.boolean("indexed"));
    if let Err(errors) = given.finish() {
        outer.errors_below("page", errors);
    }
    PublicPagePatch { enabled, indexed, application: None }
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
