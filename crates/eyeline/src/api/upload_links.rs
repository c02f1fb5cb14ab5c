//! Upload links of this server. It accepts what a bucket would, in the same two forms and within the same limits. The
//! signature is the credential.

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use eyeline_core::FieldErrors;
use eyeline_store::objects::{Area, UploadPolicy};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::form::{FIELDS_MAX, FORM_BYTES_MAX, Form, skip, text, without_file};
use super::openapi::FileBytes;
use super::room::PassedOn;
use super::unpacked::refuse_packed;
use super::{Answer, Problem, Query};
use crate::app::App;
use crate::flow::photo::upload::{self, Refusal};

pub fn routes() -> OpenApiRouter<App> {
    // Each link has its own exact limit.
    OpenApiRouter::new()
        .routes(routes!(put))
        .routes(routes!(put_part))
        .routes(routes!(post))
        .layer(DefaultBodyLimit::disable())
}

/// Send a file to a link
///
/// For links with `"method": "PUT"`. The address, its query and the headers come from the link.
#[utoipa::path(
    put, path = "/incoming/{name}", operation_id = "put_incoming_file", tag = "images", security(()),
    request_body(content = FileBytes, content_type = "application/octet-stream"),
    params(
        ("name" = String, Path), ("policy" = String, Query, description = "From the link", max_length = 4096),
        ("signature" = String, Query, description = "From the link", max_length = 256),
    ),
    responses(
        (status = 204, description = "The file is on stable storage."),
        (status = 403, description = "The link was changed or has expired."),
        (status = 409, description = "Another connection has begun to send the file again."),
        (status = 412, description = "A file was sent through this link before."),
        (status = 422, description = "The size or SHA-256 of the file differs from the stated one."),
    )
)]
async fn put(
    State(app): State<App>,
    Path(name): Path<String>,
    mut query: Query,
    headers: HeaderMap,
    PassedOn(body): PassedOn,
) -> Answer<StatusCode> {
    let (policy, signature) = (query.required_text("policy", 4_096), query.required_text("signature", 256));
    query.finish()?;
    let key = format!("{}/{name}", Area::Incoming.as_str());
    let policy = verified(&app, &key, &policy.unwrap_or_default(), &signature.unwrap_or_default())?;
    check_type(headers.get(header::CONTENT_TYPE))?;
    refuse_packed(&headers)?;
    let image_id = upload::admit(&app, &policy, announced(&headers)).await?;
    upload::receive(&app, image_id, &policy, body.into_data_stream()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a part to a link
///
/// For links of `POST /images/{image_id}/parts`. The address and its query come from the link.
#[utoipa::path(
    put, path = "/incoming/{name}/{number}", operation_id = "put_incoming_part", tag = "images", security(()),
    request_body(content = FileBytes, content_type = "application/octet-stream"),
    params(
        ("name" = String, Path), ("number" = u32, Path, description = "The number of the part"),
        ("policy" = String, Query, description = "From the link", max_length = 4096),
        ("signature" = String, Query, description = "From the link", max_length = 256),
    ),
    responses(
        (status = 204, description = "The part is on stable storage."),
        (status = 403, description = "The link was changed or has expired."),
        (status = 409, description = "Another connection has begun to send the part again."),
        (status = 412, description = "The part was sent before, or its upload has ended."),
        (status = 422, description = "The part has another size than the link states."),
    )
)]
async fn put_part(
    State(app): State<App>,
    Path((name, number)): Path<(String, String)>,
    mut query: Query,
    headers: HeaderMap,
    PassedOn(body): PassedOn,
) -> Answer<StatusCode> {
    let (policy, signature) = (query.required_text("policy", 4_096), query.required_text("signature", 256));
    query.finish()?;
    let key = format!("{}/{name}/{number}", Area::Incoming.as_str());
    let policy = verified(&app, &key, &policy.unwrap_or_default(), &signature.unwrap_or_default())?;
    refuse_packed(&headers)?;
    let image_id = upload::admit(&app, &policy, announced(&headers)).await?;
    upload::receive_part(&app, image_id, &policy, body.into_data_stream()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The form of an upload link: all of the link's `fields`, then the file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read field by field")]
struct IncomingForm {
    key: String,
    policy: String,
    signature: String,
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Send a form to a link
///
/// For links with `"method": "POST"`: all `fields` of the link, then the file as the field `file`.
#[utoipa::path(
    post, path = "/incoming", operation_id = "post_incoming_form", tag = "images", security(()),
    request_body(content = IncomingForm, content_type = "multipart/form-data"),
    responses(
        (status = 204, description = "The file is on stable storage."),
        (status = 403, description = "The link was changed or has expired."),
        (status = 404, description = "The image was deleted."),
        (status = 409, description = "Another connection has begun to send the file again."),
        (status = 412, description = "A file was sent through this link before."),
        (status = 422, description = "The size or SHA-256 of the file differs from the stated one."),
    )
)]
async fn post(State(app): State<App>, request: Request) -> Answer<StatusCode> {
    refuse_packed(request.headers())?;
    let announced = announced(request.headers());
    let mut form = Form::of(request, &app).await?;
    take_form(&app, &mut form, announced).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The length of the body by its `Content-Length`.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn take_form(app: &App, form: &mut Form, announced: Option<u64>) -> Answer<()> {
    let (mut key, mut policy, mut signature, mut content_type) = (String::new(), String::new(), String::new(), None);
    let mut others = Vec::new();
    for _ in 0..=FIELDS_MAX {
        let Some(mut field) = form.next_field("file").await? else {
            return Err(without_file("file", &others).into());
        };
        match field.name().unwrap_or_default() {
            "file" => {
                let policy = verified(app, &key, &policy, &signature)?;
                // A form states the type twice: in a signed field, and in the header of the file's part.
                check_type(content_type.as_ref())?;
                check_type(field.headers().get(header::CONTENT_TYPE))?;
                // The other fields and the form itself add a little to the file.
                let sure = announced.filter(|bytes| *bytes > policy.bytes_max + FORM_BYTES_MAX);
                let image_id = upload::admit(app, &policy, sure).await?;
                let file = futures::stream::poll_fn(|context| field.poll_next_unpin(context));
                upload::receive(app, image_id, &policy, file).await?;
                return Ok(());
            }
            "key" => key = text(&mut field).await?,
            "policy" => policy = text(&mut field).await?,
            "signature" => signature = text(&mut field).await?,
            "Content-Type" => content_type = HeaderValue::from_str(&text(&mut field).await?).ok(),
            _ => others.push(skip(&mut field, "file").await?),
        }
    }
    Err(FieldErrors::one("file", format!("At most {FIELDS_MAX} fields may come before this one.")).into())
}

fn verified(app: &App, key: &str, policy: &str, signature: &str) -> Answer<UploadPolicy> {
    app.object_links.policy(key, policy, signature, app.clock.real_now()).map_err(Problem::forbidden)
}

/// Refuses a declared type that is not an image. The bytes decide about everything else.
fn check_type(declared: Option<&HeaderValue>) -> Answer<()> {
    let declared = declared.and_then(|declared| upload::declared_type(declared.to_str().ok()?));
    match upload::type_refusal(declared) {
        None => Ok(()),
        Some(detail) => Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)),
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, detail) = match refusal {
            Refusal::Store(error) => return error.into(),
            Refusal::Used => (
                StatusCode::PRECONDITION_FAILED,
                "A file was sent through this link before; call `complete` if its image is still in state init."
                    .to_owned(),
            ),
            Refusal::PartArrived => (
                StatusCode::PRECONDITION_FAILED,
                "This part was sent before, or its upload has ended; call `complete` once all parts were sent."
                    .to_owned(),
            ),
            Refusal::Gone => return Problem::not_found("image"),
            Refusal::Empty => (StatusCode::BAD_REQUEST, "The file is empty.".to_owned()),
            Refusal::TooLarge { bytes_max } => {
                (StatusCode::PAYLOAD_TOO_LARGE, format!("At most {bytes_max} bytes are taken."))
            }
            Refusal::OtherSize { stated, sent } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("The file has {sent} bytes, but {stated} were stated for this link."),
            ),
            Refusal::OtherHash => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "The SHA-256 of the file differs from the one stated for this link.".to_owned(),
            ),
            Refusal::Replaced => (
                StatusCode::CONFLICT,
                "Another connection has begun to send this file again; only that one continues.".to_owned(),
            ),
            Refusal::BrokenOff => (StatusCode::BAD_REQUEST, "The file did not arrive whole; send it again.".to_owned()),
        };
        Problem::new(status, detail)
    }
}
