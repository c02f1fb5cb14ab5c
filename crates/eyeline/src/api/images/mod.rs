//! Images: upload links, state, changes, deletion.

mod answer;
mod create;
mod parts;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use eyeline_core::{AccessClass, GalleryId, ImageId, ImageState, ProjectId, Tier, Timestamp, Visibility};
use eyeline_store::catalog::images::{From as PageFrom, ImageFilter, ImagePatch};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::JsonBody;
use super::objects::{self, managed_image};
use super::{Answer, Credential, Fields, PagingParameters, Problem, Query};
use crate::app::App;
use crate::flow::hints;
use crate::flow::photo::links::Links;
use crate::flow::photo::upload::{Arrival, CONTENT_TYPES, ProjectLimits};
use crate::flow::photo::{change, upload};

pub use answer::ImageAnswer;
pub(super) use create::{FILENAME_CHARS_MAX, refusal};

pub(super) const TAGS_MAX: usize = 100;
pub(super) const TAG_CHARS_MAX: usize = 100;
const NAME_CHARS_MAX: usize = 500;
const NAME_PART_CHARS_MAX: usize = 100;
const METADATA_BYTES_MAX: usize = 16 * 1024;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(limits))
        .routes(routes!(show, update, delete))
        .routes(routes!(complete))
        .routes(routes!(reprocess))
        .routes(routes!(list))
        .merge(create::routes())
        .merge(parts::routes())
}

#[derive(Serialize, ToSchema)]
#[schema(as = Limits)]
struct LimitsAnswer {
    /// Bytes of a file.
    max_file_bytes: u64,
    /// Images of the project or user; null: no limit.
    max_images: Option<u64>,
    /// Types of files that are accepted.
    content_types: Vec<&'static str>,
    /// Files of one batch of links.
    max_batch_files: usize,
    /// Seconds that an upload link lives.
    upload_link_seconds: u32,
}

/// Get the limits
///
/// The limits that hold for this credential, or for a project.
#[utoipa::path(
    get, path = "/limits", operation_id = "get_limits", tag = "images",
    params(("project_id" = Option<ProjectId>, Query, description = "With the admin key: the project whose limits are returned")),
    responses((status = 200, body = LimitsAnswer)),
    security(("key" = []), ("session" = []), ("user_token" = []), ("application" = []), ("application_parameter" = []))
)]
async fn limits(State(app): State<App>, credential: Credential, mut query: Query) -> Answer<Json<LimitsAnswer>> {
    let asked: Option<ProjectId> = query.id("project_id");
    query.finish()?;
    let limits = match &credential {
        Credential::User { tier, .. } => {
            let limits = app.settings.tier(*tier);
            ProjectLimits { file_bytes_max: limits.file_bytes_max, images_max: Some(limits.images_max) }
        }
        credential => match asked.or(credential.project()) {
            Some(other) if !credential.is_of(other) => {
                return Err(Problem::not_found("project"));
            }
            Some(project_id) => ProjectLimits::of(&app.settings, app.catalog.project_tier(project_id).await?),
            None => ProjectLimits::of(&app.settings, Tier::Business),
        },
    };
    Ok(Json(LimitsAnswer {
        max_file_bytes: limits.file_bytes_max,
        max_images: limits.images_max,
        content_types: CONTENT_TYPES.to_vec(),
        max_batch_files: create::BATCH_MAX,
        upload_link_seconds: app.settings.upload_link_seconds,
    }))
}

/// Get an image
///
/// A user token sees its own uploads, and the images that its tier allows.
#[utoipa::path(
    get, path = "/images/{image_id}", operation_id = "get_image", tag = "images",
    params(("image_id" = ImageId, Path)), responses((status = 200, body = ImageAnswer)),
    security(("key" = []), ("session" = []), ("user_token" = []))
)]
async fn show(
    State(app): State<App>,
    credential: Credential,
    Path(image_id): Path<ImageId>,
) -> Answer<Json<ImageAnswer>> {
    let image = objects::image(&app, &credential, image_id, "image").await?;
    let with_original = match &credential {
        Credential::User { user_id, tier, .. } => {
            let own = image.user_id.as_ref() == Some(user_id);
            let seen = AccessClass::from(*tier).sees(image.visibility, image.access_tier);
            if !(own || seen) {
                return Err(missing());
            }
            own
        }
        credential => {
            credential.manage(image.project_id, "image")?;
            true
        }
    };
    Ok(Json(ImageAnswer::new(image, &Links::at(&app), with_original)))
}

#[derive(Serialize, ToSchema)]
#[schema(as = ImageList)]
struct ImagesAnswer {
    #[schema(max_items = 100)]
    images: Vec<ImageAnswer>,
    next_cursor: Option<String>,
}

/// List a project's images
///
/// The newest first.
#[utoipa::path(
    get, path = "/projects/{project_id}/images", operation_id = "list_images", tag = "images",
    params(
        ("project_id" = ProjectId, Path),
        ("state" = Option<ImageState>, Query, description = "Only images in this state"),
        ("tag" = Option<String>, Query, description = "Only images with this tag", min_length = 1, max_length = 100),
        (
            "name" = Option<String>, Query, min_length = 1, max_length = 100,
            description = "Only images whose name or file name contains this text; the case of A to Z is ignored",
        ),
        ("gallery_id" = Option<GalleryId>, Query, description = "Only images in this gallery"),
        PagingParameters,
    ),
    responses((status = 200, body = ImagesAnswer))
)]
async fn list(
    State(app): State<App>,
    credential: Credential,
    Path(project_id): Path<ProjectId>,
    mut query: Query,
) -> Answer<Response> {
    credential.manage_project(&app, project_id).await?;
    let paging = query.paging::<(i64, ImageId)>(&app);
    let filter = ImageFilter {
        state: query.parsed("state", "init, uploaded, processing, done or error", ImageState::parse),
        tag: query.text("tag", TAG_CHARS_MAX),
        name: query.text("name", NAME_PART_CHARS_MAX),
        gallery_id: query.id("gallery_id"),
        user_id: None,
    };
    query.finish()?;
    let after = paging.after.map(|(created_at, id)| PageFrom::After(Timestamp::from_micros(created_at), id));
    let images = app.catalog.images(project_id, filter, after, paging.rows()).await?;
    let (images, next) = paging.cut(images, |image| (image.created_at.micros(), image.image_id));
    let links = Links::at(&app);
    let images = images.into_iter().map(|image| ImageAnswer::new(image, &links, true)).collect();
    let answer = ImagesAnswer { images, next_cursor: next.cursor.clone() };
    Ok((next, Json(answer)).into_response())
}

/// The fields to change. Absent fields stay as they are.
#[derive(ToSchema)]
#[schema(example = json!({"tags": ["shoes"]}))]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct ImageChange {
    /// A name for people; null: the file name.
    #[schema(max_length = 500)]
    name: Option<String>,
    /// Each has at most 100 characters.
    #[schema(max_items = 100)]
    tags: Option<Vec<String>>,
    /// A page to go to from the image; null or empty removes it.
    #[schema(format = "uri", max_length = 2000)]
    link: Option<String>,
    /// At most 16 KiB of JSON.
    #[schema(value_type = Option<Object>)]
    metadata: Option<serde_json::Value>,
    visibility: Option<Visibility>,
    access_tier: Option<Tier>,
}

/// Change an image
///
/// Absent fields stay as they are. When `visibility` or `access_tier` changes, every version gets a new address and the
/// old addresses stop working.
#[utoipa::path(
    patch, path = "/images/{image_id}", operation_id = "update_image", tag = "images",
    params(("image_id" = ImageId, Path)), request_body = ImageChange,
    responses(
        (status = 200, body = ImageAnswer),
        (status = 409, description = "Another request changes the image."),
    )
)]
async fn update(
    State(app): State<App>,
    credential: Credential,
    Path(image_id): Path<ImageId>,
    JsonBody(body): JsonBody,
) -> Answer<Json<ImageAnswer>> {
    managed_image(&app, &credential, image_id).await?;
    let mut fields = Fields::parse(&body)?;
    let name = if fields.is_null("name") { Some(None) } else { fields.text("name", NAME_CHARS_MAX).map(Some) };
    let removes_link = fields.is_null("link");
    let link = fields.address("link");
    let patch = ImagePatch {
        name,
        tags: fields.texts("tags", TAGS_MAX, TAG_CHARS_MAX),
        link: if removes_link { Some(None) } else { link.map(Some) },
        metadata: metadata(&mut fields),
        visibility: visibility(&mut fields),
        access_tier: access_tier(&mut fields),
    };
    fields.finish()?;
    let image = change::apply(&app, image_id, patch).await?;
    Ok(Json(ImageAnswer::new(image, &Links::at(&app), true)))
}

/// Delete an image
///
/// Deletes the original and all versions. Events about the image stay.
#[utoipa::path(
    delete, path = "/images/{image_id}", operation_id = "delete_image", tag = "images",
    params(("image_id" = ImageId, Path)),
    responses((status = 204), (status = 409, description = "Another request changes the image."))
)]
async fn delete(State(app): State<App>, credential: Credential, Path(image_id): Path<ImageId>) -> Answer<StatusCode> {
    managed_image(&app, &credential, image_id).await?;
    change::delete(&app, image_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
#[schema(as = ImageStateAnswer)]
struct StateAnswer {
    image_id: ImageId,
    state: ImageState,
}

/// Complete an upload
///
/// Reports that the file, or all its parts, were sent through upload links. It may be repeated.
#[utoipa::path(
    post, path = "/images/{image_id}/complete", operation_id = "complete_image", tag = "images",
    params(("image_id" = ImageId, Path)),
    responses(
        (status = 202, body = StateAnswer),
        (
            status = 409,
            description = "Nothing has arrived through the link, or parts are missing, whose numbers are in `missing`.",
        ),
    )
)]
async fn complete(State(app): State<App>, credential: Credential, Path(image_id): Path<ImageId>) -> Answer<Response> {
    let image = managed_image(&app, &credential, image_id).await?;
    let state = match image.state {
        ImageState::Init => match upload::take_in(&app, image_id, None).await? {
            Arrival::TakenIn => ImageState::Uploaded,
            Arrival::Earlier => managed_image(&app, &credential, image_id).await?.state,
            Arrival::Nothing => ImageState::Init,
            Arrival::Missing { numbers, count } => return Err(parts::missing(&numbers, count)),
        },
        state => state,
    };
    let arrived = image.original_key.is_some() || !matches!(state, ImageState::Init | ImageState::Error);
    if !arrived && image.url.is_none() {
        return Err(Problem::new(StatusCode::CONFLICT, "Nothing has arrived through the upload link of this image."));
    }
    Ok((StatusCode::ACCEPTED, Json(StateAnswer { image_id, state })).into_response())
}

/// Make an image's versions again
#[utoipa::path(
    post, path = "/images/{image_id}/reprocess", operation_id = "reprocess_image", tag = "images",
    params(("image_id" = ImageId, Path)),
    responses(
        (status = 202, body = StateAnswer),
        (status = 409, description = "The image has no original, or its versions are being made."),
    )
)]
async fn reprocess(State(app): State<App>, credential: Credential, Path(image_id): Path<ImageId>) -> Answer<Response> {
    managed_image(&app, &credential, image_id).await?;
    let changed = app.catalog.reprocess_image(image_id, app.clock.new_id(), app.clock.now()).await?;
    hints::publish(&*app.pubsub, changed).await;
    Ok((StatusCode::ACCEPTED, Json(StateAnswer { image_id, state: ImageState::Uploaded })).into_response())
}

fn missing() -> Problem {
    Problem::not_found("image")
}

fn visibility(fields: &mut Fields) -> Option<Visibility> {
    fields.parsed("visibility", "public or private", Visibility::parse)
}

fn access_tier(fields: &mut Fields) -> Option<Tier> {
    fields.parsed("access_tier", "free, premium or business", Tier::parse)
}

fn metadata(fields: &mut Fields) -> Option<String> {
    let text = serde_json::Value::Object(fields.object("metadata")?).to_string();
    if text.len() > METADATA_BYTES_MAX {
        fields.error("metadata", format!("At most {METADATA_BYTES_MAX} bytes of JSON are taken."));
        return None;
    }
    Some(text)
}
