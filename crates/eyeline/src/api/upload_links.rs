//! The local form of upload links: the server itself takes what a bucket would, in the same two forms and within the
//! same limits. The signature is the credential.

use axum::body::Body;
use axum::extract::multipart::Field;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Path, Request, State};
use eyeline_core::FieldErrors;
use eyeline_store::objects::Area;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::openapi::FileBytes;
use super::unpacked::refuse_packed;
use super::{Answer, Problem, Query};
use crate::app::App;
use crate::file_name;
use crate::flow::upload::{self, Policy, Refusal};

/// Fields of a form before the file.
const FIELDS_MAX: usize = 20;
const FIELD_BYTES_MAX: usize = 8 * 1024;
/// Characters of a field's name that an error repeats.
const NAME_CHARS_SHOWN: usize = 100;

pub fn routes() -> OpenApiRouter<App> {
    // The links bound the size themselves, to a byte.
    OpenApiRouter::new().routes(routes!(put)).routes(routes!(post)).layer(DefaultBodyLimit::disable())
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
        (status = 412, description = "A file was sent through this link before."),
        (status = 422, description = "The file has another size or SHA-256 than was stated."),
    )
)]
async fn put(
    State(app): State<App>,
    Path(name): Path<String>,
    mut query: Query,
    headers: HeaderMap,
    body: Body,
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

/// The body of [`post`]: the link's `fields`, which all have to stand before the file.
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
        (status = 412, description = "A file was sent through this link before."),
        (status = 422, description = "The file has another size or SHA-256 than was stated."),
    )
)]
async fn post(State(app): State<App>, request: Request) -> Answer<StatusCode> {
    refuse_packed(request.headers())?;
    let announced = announced(request.headers());
    let mut form = form(request, &app).await?;
    take_form(&app, &mut form, announced).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The length that a body states.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

pub(super) async fn form(request: Request, app: &App) -> Answer<Multipart> {
    let form = Multipart::from_request(request, app).await;
    form.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))
}

async fn take_form(app: &App, form: &mut Multipart, announced: Option<u64>) -> Answer<()> {
    let (mut key, mut policy, mut signature, mut content_type) = (String::new(), String::new(), String::new(), None);
    let mut others = Vec::new();
    for _ in 0..=FIELDS_MAX {
        let Some(mut field) = form.next_field().await.map_err(broken_form)? else {
            return Err(without_file("file", &others).into());
        };
        match field.name().unwrap_or_default() {
            "file" => {
                let policy = verified(app, &key, &policy, &signature)?;
                // A form states the type twice: in a signed field of its own, and beside the file.
                check_type(content_type.as_ref())?;
                check_type(field.headers().get(header::CONTENT_TYPE))?;
                // The other fields and the form itself add a little to the file.
                let sure = announced.filter(|bytes| *bytes > policy.bytes_max + (FIELDS_MAX * FIELD_BYTES_MAX) as u64);
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

/// Reads a field that has no meaning here and returns its name. A file in such a field was meant for the field
/// `wanted`.
pub(super) async fn skip(field: &mut Field<'_>, wanted: &str) -> Answer<String> {
    let name: String = field.name().unwrap_or_default().chars().take(NAME_CHARS_SHOWN).collect();
    if file_name::of_form_field(field.headers()).is_some() {
        let sentence = format!("The file has to be in this field, `{wanted}`; it came in the field `{name}`.");
        return Err(FieldErrors::one(wanted, sentence).into());
    }
    text(field).await?;
    Ok(name)
}

/// The form ended without the field `wanted`.
pub(super) fn without_file(wanted: &str, others: &[String]) -> FieldErrors {
    let mut errors = FieldErrors::new();
    errors.required(wanted);
    if !others.is_empty() {
        let others = others.join("`, `");
        errors.add(
            wanted,
            format!("It holds the file and comes last; the form has `{others}`, which mean nothing here."),
        );
    }
    errors
}

pub(super) async fn text(field: &mut Field<'_>) -> Answer<String> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(broken_form)? {
        if bytes.len() + piece.len() > FIELD_BYTES_MAX {
            let name = field.name().unwrap_or_default();
            let detail =
                format!("A field before the file may have at most {FIELD_BYTES_MAX} bytes; `{name}` has more.");
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "A field of the form is not UTF-8."))
}

pub(super) fn broken_form(error: axum::extract::multipart::MultipartError) -> Problem {
    // What the framework reports as its own failure is a broken connection.
    let status = if error.status().is_server_error() { StatusCode::BAD_REQUEST } else { error.status() };
    Problem::new(status, format!("The form cannot be read: {}.", error.body_text()))
}

fn verified(app: &App, key: &str, policy: &str, signature: &str) -> Answer<Policy> {
    upload::verify(app, key, policy, signature).map_err(Problem::forbidden)
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
                "The SHA-256 of the file is not the one stated for this link.".to_owned(),
            ),
            Refusal::BrokenOff => (StatusCode::BAD_REQUEST, "The file did not arrive whole; send it again.".to_owned()),
        };
        Problem::new(status, detail)
    }
}
