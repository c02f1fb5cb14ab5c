//! The local form of upload links: what a bucket would take, taken by the server itself with the same two forms and
//! limits. The signature is the credential.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use eyeline_store::objects::Area;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Answer, Problem, Query};
use crate::app::App;
use crate::flow::upload::{self, Policy, Refusal};

/// Fields of a form before the file.
const FIELDS_MAX: usize = 20;
const FIELD_BYTES_MAX: usize = 8 * 1024;

/// How much of a body is read to its end although it was refused, so that a client that sends before it listens finds
/// the answer; and for how long.
const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

pub fn routes() -> OpenApiRouter<App> {
    // The links bound the size themselves, to a byte.
    OpenApiRouter::new().routes(routes!(put)).routes(routes!(post)).layer(DefaultBodyLimit::disable())
}

/// Takes a file whose size and hash were stated.
#[utoipa::path(
    put, path = "/incoming/{name}", tag = "images", security(()), request_body = Vec<u8>,
    params(("name" = String, Path), ("policy" = String, Query), ("signature" = String, Query)),
    responses(
        (status = 204, description = "The file is on stable storage"),
        (status = "4XX", description = "A problem document: 403 bad or expired link, 412 used before, 413, 415, 422"),
    )
)]
async fn put(
    State(app): State<App>,
    Path(name): Path<String>,
    mut query: Query,
    headers: HeaderMap,
    body: Body,
) -> Answer<StatusCode> {
    let mut body = body.into_data_stream();
    let outcome = async {
        let (policy, signature) = (query.required_text("policy", 4_096), query.required_text("signature", 256));
        query.finish()?;
        let key = format!("{}/{name}", Area::Incoming.as_str());
        let policy = verified(&app, &key, &policy.unwrap_or_default(), &signature.unwrap_or_default())?;
        check_type(&policy, headers.get(header::CONTENT_TYPE))?;
        let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let image_id = upload::admit(&app, &policy, announced).await?;
        upload::receive(&app, image_id, &policy, &mut body).await?;
        Ok(StatusCode::NO_CONTENT)
    };
    let outcome: Answer<StatusCode> = outcome.await;
    if outcome.is_err() {
        drain(&headers, &mut body).await;
    }
    outcome
}

/// Takes a form whose last field, `file`, is the file.
#[utoipa::path(
    post, path = "/incoming", tag = "images", security(()),
    responses(
        (status = 204, description = "The file is on stable storage"),
        (status = "4XX", description = "A problem document: 403 bad or expired link, 412 used before, 413, 415, 422"),
    )
)]
async fn post(State(app): State<App>, request: Request) -> Response {
    let headers = request.headers().clone();
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let mut form = match Multipart::from_request(request, &app).await {
        Ok(form) => form,
        Err(rejection) => return rejection.into_response(),
    };
    let outcome = take_form(&app, &mut form, announced).await;
    match outcome {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => {
            drain_form(&headers, form).await;
            problem.into_response()
        }
    }
}

async fn take_form(app: &App, form: &mut Multipart, announced: Option<u64>) -> Answer<()> {
    let (mut key, mut policy, mut signature, mut content_type) = (String::new(), String::new(), String::new(), None);
    for _ in 0..=FIELDS_MAX {
        let Some(mut field) = form.next_field().await.map_err(broken_form)? else {
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "The form has no field `file`; it has to be the last one.",
            ));
        };
        match field.name().unwrap_or_default() {
            "file" => {
                let policy = verified(app, &key, &policy, &signature)?;
                // A form says the type twice: in a field of its own, as it was signed, and beside the file.
                check_type(&policy, content_type.as_ref())?;
                let beside = field.content_type().filter(|kind| *kind != "application/octet-stream");
                check_type(&policy, beside.and_then(|kind| HeaderValue::from_str(kind).ok()).as_ref())?;
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
            _ => drop(text(&mut field).await?),
        }
    }
    Err(Problem::new(StatusCode::BAD_REQUEST, format!("At most {FIELDS_MAX} fields may come before `file`.")))
}

pub(super) async fn text(field: &mut axum::extract::multipart::Field<'_>) -> Answer<String> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(broken_form)? {
        if bytes.len() + piece.len() > FIELD_BYTES_MAX {
            let detail = format!("A field before the file may have at most {FIELD_BYTES_MAX} bytes.");
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "A field of the form is not UTF-8."))
}

pub(super) fn broken_form(error: axum::extract::multipart::MultipartError) -> Problem {
    // What the framework takes for its own failure is a connection that broke.
    let status = if error.status().is_server_error() { StatusCode::BAD_REQUEST } else { error.status() };
    Problem::new(status, format!("The form cannot be read: {}.", error.body_text()))
}

fn verified(app: &App, key: &str, policy: &str, signature: &str) -> Answer<Policy> {
    upload::verify(app, key, policy, signature).map_err(Problem::forbidden)
}

/// A type that was signed has to be the one that is sent; without one, any picture may come.
fn check_type(policy: &Policy, sent: Option<&HeaderValue>) -> Answer<()> {
    let Some(sent) = sent else { return Ok(()) };
    let sent = sent.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let taken = match &policy.content_type {
        Some(stated) => sent.eq_ignore_ascii_case(stated),
        None => upload::CONTENT_TYPES.iter().any(|kind| sent.eq_ignore_ascii_case(kind)),
    };
    if taken {
        return Ok(());
    }
    let wanted = policy.content_type.clone().unwrap_or_else(|| upload::CONTENT_TYPES.join(" or "));
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("This link takes {wanted}.")))
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

/// Reads on after a refusal; a client that waits for `100 Continue` is answered at once instead.
async fn drain(headers: &HeaderMap, body: &mut BodyDataStream) {
    if !headers.contains_key(header::EXPECT) {
        drain_stream(body.map_ok(|bytes| bytes.len())).await;
    }
}

pub(super) async fn drain_form(headers: &HeaderMap, mut form: Multipart) {
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let drained = async {
        let mut left = DRAIN_BYTES_MAX;
        while let Ok(Some(mut field)) = form.next_field().await {
            while let Ok(Some(piece)) = field.chunk().await {
                left = left.saturating_sub(piece.len());
                if left == 0 {
                    return;
                }
            }
        }
    };
    // Past the time the answer is given all the same.
    let _ = tokio::time::timeout(DRAIN_TIME_MAX, drained).await;
}

async fn drain_stream<E>(lengths: impl Stream<Item = Result<usize, E>>) {
    let drained = async {
        let mut left = DRAIN_BYTES_MAX;
        let mut lengths = std::pin::pin!(lengths);
        while let Some(Ok(length)) = lengths.next().await {
            left = left.saturating_sub(length);
            if left == 0 {
                return;
            }
        }
    };
    // Past the time the answer is given all the same.
    let _ = tokio::time::timeout(DRAIN_TIME_MAX, drained).await;
}
