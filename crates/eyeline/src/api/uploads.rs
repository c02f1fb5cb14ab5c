//! A user's own uploads.

use std::time::Duration;

use axum::Json;
use axum::extract::multipart::Field;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use eyeline_core::{FieldErrors, ImageId, ProjectId, Tier, Timestamp};
use eyeline_store::catalog::idempotency::IdempotencyKey;
use eyeline_store::catalog::images::{From as PageFrom, Image, ImageFilter};
use futures::StreamExt as _;
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::form::{FIELDS_MAX, FORM_BYTES_MAX, Form, skip, text, without_file};
use super::idempotency::IdempotencyKeyHeader;
use super::images::{FILENAME_CHARS_MAX, ImageAnswer, refusal};
use super::unpacked::refuse_packed;
use super::upload_links::announced;
use super::{Answer, Credential, Fields, Idempotency, Next, PagingParameters, Problem, Query, objects};
use crate::app::App;
use crate::file_name;
use crate::flow::photo::change;
use crate::flow::photo::links::Links;
use crate::flow::photo::upload::{self, ProjectLimits, Stated};
use crate::flow::photo::user_upload::{self, Owner};

/// `Retry-After` of a full waiting room.
const FULL_PAUSE: Duration = Duration::from_secs(5);
const USER_CHARS_MAX: usize = 255;
const PAGE_MAX: u64 = 1_000_000;

pub fn routes() -> OpenApiRouter<App> {
    // The user's tier has its own exact limit.
    let create = OpenApiRouter::new().routes(routes!(create_upload)).layer(DefaultBodyLimit::disable());
    OpenApiRouter::new().merge(create).routes(routes!(list_uploads)).routes(routes!(show_upload, delete_upload))
}

/// The user for whom a key acts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters, which are read field by field")]
struct UserParameters {
    /// With a key: the user who owns the upload, unless the form names the user.
    #[param(min_length = 1, max_length = 255)]
    user_id: Option<String>,
    /// With a key: the user's tier, `free` by default.
    tier: Option<Tier>,
}

/// The form of a user's upload.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read field by field")]
struct UploadForm {
    /// With a key: the user who owns the upload. It comes before the file, or in the query.
    #[schema(min_length = 1, max_length = 255)]
    user_id: Option<String>,
    /// With a key: the user's tier.
    tier: Option<Tier>,
    /// The file.
    #[schema(value_type = String, format = Binary)]
    data: Vec<u8>,
}

/// Upload a user's image
///
/// The image is private to the user. The answer waits up to 15 s for the image: 201 once it is `done` or has ended with
/// an error, otherwise 202 with its state. If too many requests wait when the file has arrived, 202 comes without a
/// wait.
#[utoipa::path(
    post, path = "/uploads", tag = "uploads",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    params(UserParameters, IdempotencyKeyHeader),
    responses(
        (status = 201, body = ImageAnswer, description = "The image is `done`, or has ended with an error."),
        (status = 202, body = ImageAnswer, description = "The image is stored; its versions follow."),
        (status = 413, description = "The file is larger than the user's tier allows."),
        (status = 422, description = "The user's quota is used up, or the `Idempotency-Key` had another file."),
    ),
    security(
        ("user_token" = []), ("key" = []), ("session" = []), ("key" = [], "application" = []),
        ("key" = [], "application_parameter" = []), ("session" = [], "application" = []),
        ("session" = [], "application_parameter" = []),
    )
)]
async fn create_upload(
    State(app): State<App>,
    credential: Credential,
    query: Query,
    idempotency: Idempotency,
    request: Request,
) -> Answer<Response> {
    refuse_packed(request.headers())?;
    let announced = announced(request.headers());
    let sender = Sender::of(&credential, query)?;
    if !app.admission.has_room(sender.project_id()) {
        return Err(full());
    }
    let mut form = Form::of(request, &app).await?;
    let (project_id, image_id) = take_form(&app, announced, sender, idempotency.key(), &mut form).await?;
    // Taken once the file has arrived, so that slow senders do not use up waiting places.
    let place = app.admission.enter(project_id);
    let image = user_upload::wait_until_final(&app, project_id, image_id, place).await?;
    let status = if image.state.is_final() { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    Ok((status, Json(ImageAnswer::new(image, &Links::at(&app), true))).into_response())
}

/// Photos arrive faster than versions are made.
fn full() -> Problem {
    let detail = "Too many uploads are waiting for their versions; nothing was stored. Try again after Retry-After.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(FULL_PAUSE)
}

/// The sender, as far as it is known before the form is read.
enum Sender {
    User(Owner),
    Key { project_id: ProjectId, user_id: Option<String>, tier: Option<String> },
}

impl Sender {
    fn of(credential: &Credential, mut query: Query) -> Answer<Self> {
        if let Some(owner) = user(credential) {
            query.finish()?;
            return Ok(Sender::User(owner));
        }
        let project_id = keeper(credential)?;
        let (user_id, tier) = (query.text("user_id", USER_CHARS_MAX), query.text("tier", 20));
        query.finish()?;
        Ok(Sender::Key { project_id, user_id, tier })
    }

    fn project_id(&self) -> ProjectId {
        match self {
            Sender::User(owner) => owner.project_id,
            Sender::Key { project_id, .. } => *project_id,
        }
    }

    fn owner(self) -> Result<Owner, FieldErrors> {
        let (project_id, user_id, tier) = match self {
            Sender::User(owner) => return Ok(owner),
            Sender::Key { project_id, user_id, tier } => (project_id, user_id, tier),
        };
        let given = [("user_id", user_id), ("tier", tier)];
        let given = given.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::String(text?))));
        let mut fields = Fields::new(given.collect());
        let user_id = fields.required_text("user_id", USER_CHARS_MAX);
        let tier = fields.parsed("tier", "free, premium or business", Tier::parse);
        fields.finish()?;
        Ok(Owner { project_id, user_id: user_id.unwrap_or_default(), tier: tier.unwrap_or_default() })
    }
}

async fn take_form(
    app: &App,
    announced: Option<u64>,
    mut sender: Sender,
    key: Option<IdempotencyKey>,
    form: &mut Form,
) -> Answer<(ProjectId, ImageId)> {
    let mut others = Vec::new();
    for _ in 0..=FIELDS_MAX {
        let Some(mut field) = form.next_field("data").await? else {
            let mut errors = sender.owner().err().unwrap_or_default();
            errors.merge(without_file("data", &others));
            return Err(errors.into());
        };
        match (field.name().unwrap_or_default(), &mut sender) {
            ("data", _) => return take_file(app, announced, sender.owner()?, key, field).await,
            ("user_id", Sender::Key { user_id, .. }) => *user_id = Some(text(&mut field).await?),
            ("tier", Sender::Key { tier, .. }) => *tier = Some(text(&mut field).await?),
            _ => others.push(skip(&mut field, "data").await?),
        }
    }
    Err(FieldErrors::one("data", format!("At most {FIELDS_MAX} fields may come before this one.")).into())
}

async fn take_file(
    app: &App,
    announced: Option<u64>,
    owner: Owner,
    key: Option<IdempotencyKey>,
    mut field: Field<'_>,
) -> Answer<(ProjectId, ImageId)> {
    let tier = app.settings.tier(owner.tier);
    let filename = file_name::of_form_field(field.headers()).unwrap_or_else(|| "upload".to_owned());
    let filename = filename.chars().take(FILENAME_CHARS_MAX).collect();
    let declared = field.headers().get(header::CONTENT_TYPE);
    let content_type = declared.and_then(|declared| upload::declared_type(declared.to_str().ok()?));
    let stated = user_upload::private(filename, content_type);
    // A file that is surely too large is refused before it takes a place.
    let at_least = Stated { bytes: announced.map(|bytes| bytes.saturating_sub(FORM_BYTES_MAX)), ..stated.clone() };
    let limits = ProjectLimits { file_bytes_max: tier.file_bytes_max, images_max: Some(tier.images_max) };
    if let Some((status, detail)) = refusal(&at_least, &limits) {
        return Err(Problem::new(status, detail));
    }
    let project_id = owner.project_id;
    let file = futures::stream::poll_fn(|context| field.poll_next_unpin(context));
    Ok((project_id, user_upload::receive(app, owner, stated, key, file).await?))
}

/// The user that a token names.
fn user(credential: &Credential) -> Option<Owner> {
    match credential {
        Credential::User { project_id, user_id, tier, .. } => {
            Some(Owner { project_id: *project_id, user_id: user_id.clone(), tier: *tier })
        }
        _ => None,
    }
}

/// The project whose keys may act for its users.
fn keeper(credential: &Credential) -> Answer<ProjectId> {
    let project_id = match credential {
        Credential::Admin { application } => application.map(|(_, project_id)| project_id),
        credential => credential.project(),
    };
    let sentence = "With the admin key, this has to name an application: the one whose user it is.";
    let project_id = project_id.ok_or_else(|| Problem::from(FieldErrors::one("application", sentence)))?;
    credential.manage(project_id, "project")?;
    Ok(project_id)
}

#[derive(Serialize, ToSchema)]
#[schema(as = UploadList)]
struct UploadsAnswer {
    #[schema(max_items = 100)]
    images: Vec<ImageAnswer>,
    next_cursor: Option<String>,
}

/// List a user's uploads
///
/// The newest first.
#[utoipa::path(
    get, path = "/uploads", tag = "uploads",
    params(
        ("page" = Option<u64>, Query, minimum = 1, maximum = 1_000_000, description = "From 1; in place of a cursor"),
        PagingParameters,
        ("user_id" = Option<String>, Query, min_length = 1, max_length = 255, description = "Required with a key: the user who owns the uploads"),
    ),
    responses((status = 200, body = UploadsAnswer)),
    security(
        ("user_token" = []), ("key" = []), ("session" = []), ("key" = [], "application" = []),
        ("key" = [], "application_parameter" = []), ("session" = [], "application" = []),
        ("session" = [], "application_parameter" = []),
    )
)]
async fn list_uploads(
    State(app): State<App>,
    credential: Credential,
    mut query: Query,
) -> Answer<(Next, Json<UploadsAnswer>)> {
    let paging = query.paging::<(i64, ImageId)>(&app);
    let page = query.integer("page", 1..=PAGE_MAX);
    if page.is_some() && paging.after.is_some() {
        query.error("page", "A cursor and a page exclude each other.");
    }
    let (project_id, user_id) = match user(&credential) {
        Some(owner) => (owner.project_id, Some(owner.user_id)),
        None => (keeper(&credential)?, query.required_text("user_id", USER_CHARS_MAX)),
    };
    query.finish()?;
    let filter = ImageFilter { user_id: Some(user_id.unwrap_or_default()), ..ImageFilter::default() };
    let from = match (paging.after, page) {
        (Some((micros, image_id)), _) => Some(PageFrom::After(Timestamp::from_micros(micros), image_id)),
        (None, Some(page)) => Some(PageFrom::Offset((page - 1) * u64::from(paging.limit))),
        (None, None) => None,
    };
    let images = app.catalog.images(project_id, filter, from, paging.rows()).await?;
    let (images, next) = paging.cut(images, |image| (image.created_at.micros(), image.image_id));
    let links = Links::at(&app);
    let images = images.into_iter().map(|image| ImageAnswer::new(image, &links, true)).collect();
    let next_cursor = next.cursor.clone();
    Ok((next, Json(UploadsAnswer { images, next_cursor })))
}

/// Get a user's upload
#[utoipa::path(
    get, path = "/uploads/{image_id}", operation_id = "get_upload", tag = "uploads",
    params(("image_id" = ImageId, Path)), responses((status = 200, body = ImageAnswer)),
    security(("user_token" = []), ("key" = []), ("session" = []))
)]
async fn show_upload(
    State(app): State<App>,
    credential: Credential,
    Path(image_id): Path<ImageId>,
) -> Answer<Json<ImageAnswer>> {
    let image = owned(&app, &credential, image_id).await?;
    Ok(Json(ImageAnswer::new(image, &Links::at(&app), true)))
}

/// Delete a user's upload
///
/// The deleted image no longer counts towards the user's quota.
#[utoipa::path(
    delete, path = "/uploads/{image_id}", tag = "uploads", params(("image_id" = ImageId, Path)),
    responses((status = 204), (status = 409, description = "Another request changes the image.")),
    security(("user_token" = []), ("key" = []), ("session" = []))
)]
async fn delete_upload(
    State(app): State<App>,
    credential: Credential,
    Path(image_id): Path<ImageId>,
) -> Answer<StatusCode> {
    owned(&app, &credential, image_id).await?;
    change::delete(&app, image_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The upload, if it is the user's own or the credential may act for the user.
async fn owned(app: &App, credential: &Credential, image_id: ImageId) -> Answer<Image> {
    let missing = || Problem::not_found("upload");
    let image = objects::image(app, credential, image_id, "upload").await?;
    match (user(credential), &image.user_id) {
        (_, None) => Err(missing()),
        (None, Some(_)) => credential.manage(image.project_id, "upload").map(|()| image),
        (Some(owner), Some(user_id)) if owner.user_id == *user_id => Ok(image),
        (Some(_), Some(_)) => Err(missing()),
    }
}
