//! Upload links, one or many in a call.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use eyeline_core::parts::PART_BYTES;
use eyeline_core::{GalleryId, ImageId, ImageState, ProjectId, Tier, Timestamp, Visibility};
use eyeline_store::catalog::idempotency::Once;
use eyeline_store::catalog::processing::Hints;
use eyeline_store::catalog::uploads::{NewImage, Verdict};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{TAG_CHARS_MAX, TAGS_MAX, access_tier, metadata, visibility};
use crate::api::body::JsonBody;
use crate::api::idempotency::IdempotencyKeyHeader;
use crate::api::{Answer, Credential, Fields, Idempotency, Problem, answer_once};
use crate::app::App;
use crate::flow::hints;
use crate::flow::photo::upload::{self, ProjectLimits, Stated};

/// Files of one batch.
pub(super) const BATCH_MAX: usize = 500;

pub(in crate::api) const FILENAME_CHARS_MAX: usize = 255;
const TYPE_CHARS_MAX: usize = 255;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(create_batch))
}

/// A file about to be sent; only the name is required.
#[derive(ToSchema)]
#[schema(as = NewImage)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct NewImageInput {
    #[schema(min_length = 1, max_length = 255, example = "hello.jpg")]
    filename: String,
    project_id: ProjectId,
    #[schema(max_length = 100, example = "image/jpeg")]
    content_type: Option<String>,
    /// Bytes.
    #[schema(minimum = 1)]
    size: Option<u64>,
    /// Hexadecimal.
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    sha256: Option<String>,
    /// True to send the file in parts, which go on after a break. Needs a `size` of at least 8 MiB.
    multipart: Option<bool>,
    /// The gallery that the image joins once it is done.
    gallery_id: Option<GalleryId>,
    visibility: Option<Visibility>,
    access_tier: Option<Tier>,
    /// Each has at most 100 characters.
    #[schema(max_items = 100)]
    tags: Option<Vec<String>>,
    /// A page to go to from the image.
    #[schema(format = "uri", max_length = 2000)]
    link: Option<String>,
    /// At most 16 KiB of JSON.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

/// An image in state `init` and how to send its file, without any credential.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = UploadLink)]
struct LinkAnswer {
    image_id: ImageId,
    state: ImageState,
    /// With the method `PARTS`: where to ask for links to the parts, with a credential.
    #[schema(format = "uri")]
    upload_link: String,
    params: LinkParams,
    /// The end of the link. With the method `PARTS`, each call for links to parts puts it off.
    expires_at: Timestamp,
}

#[derive(Clone, Serialize, ToSchema)]
#[schema(as = UploadParams)]
struct LinkParams {
    /// `PUT` with all `headers` and the file as the body, or `POST` of a form with all `fields`, and the file last, as
    /// the field `file`. `PARTS`: each part is sent to its own link of `POST /images/{image_id}/parts`.
    #[schema(value_type = LinkMethod)]
    method: &'static str,
    #[schema(value_type = BTreeMap<String, String>)]
    fields: BTreeMap<&'static str, String>,
    #[schema(value_type = BTreeMap<String, String>)]
    headers: BTreeMap<&'static str, String>,
    /// With the method `PARTS`: the size of every part but the last, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 8_388_608)]
    part_bytes: Option<u64>,
}

#[derive(ToSchema)]
#[schema(as = UploadMethod, rename_all = "UPPERCASE")]
#[expect(dead_code, reason = "describes the words that links use")]
enum LinkMethod {
    Put,
    Post,
    Parts,
}

impl LinkAnswer {
    fn new(app: &App, image: &NewImage, file_bytes_max: u64) -> Self {
        if let Some(in_parts) = &image.in_parts {
            let upload_link = format!("{}/api/v1/images/{}/parts", app.settings.public_url(), image.image_id);
            let part_bytes = Some(in_parts.parts.part_bytes());
            let (fields, headers) = (BTreeMap::new(), BTreeMap::new());
            let params = LinkParams { method: "PARTS", fields, headers, part_bytes };
            return LinkAnswer::of(image, upload_link, params);
        }
        let link = app.object_links.upload(&upload::expected(image, file_bytes_max), app.clock.real_now());
        let params = LinkParams {
            method: link.method,
            fields: link.fields.into_iter().collect(),
            headers: link.headers.into_iter().collect(),
            part_bytes: None,
        };
        LinkAnswer::of(image, link.url, params)
    }

    fn of(image: &NewImage, upload_link: String, params: LinkParams) -> Self {
        let (image_id, expires_at) = (image.image_id, image.link_expires_at);
        LinkAnswer { image_id, state: ImageState::Init, upload_link, params, expires_at }
    }
}

/// Create an upload link
///
/// Creates an image in state `init`, and a link to send its file through without a credential. With `size` and `sha256`
/// the link accepts a `PUT`, otherwise a form by `POST`. With `multipart` the file is sent in parts.
#[utoipa::path(
    post, path = "/images", operation_id = "create_image", tag = "images", params(IdempotencyKeyHeader),
    request_body = NewImageInput,
    responses(
        (status = 201, body = LinkAnswer),
        (status = 413, description = "The stated size is over the limit, or the body is too large."),
        (status = 415, description = "The stated type is not accepted, or the body is not JSON."),
        (status = 422, description = "The quota of images is used up, or the `Idempotency-Key` had another body."),
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
    let stated = stated(&mut fields, &Defaults::default());
    fields.finish()?;
    let (Some(project_id), Some(stated)) = (project_id, stated) else { return Err(Problem::not_found("project")) };
    credential.manage_project(&app, project_id).await?;
    let limits = ProjectLimits::of(&app.settings, app.catalog.project_tier(project_id).await?);
    if let Some((status, detail)) = refusal(&stated, &limits) {
        return Err(Problem::new(status, detail));
    }
    let image = upload::new_image(&app, stated);
    let answer = LinkAnswer::new(&app, &image, limits.file_bytes_max);
    let kept = answer.clone();
    let repeatable = idempotency.repeatable(&body, StatusCode::CREATED, move |_: &Hints| kept);
    let now = app.clock.now();
    let once = app.catalog.create_image(project_id, image, limits.images_max, now, repeatable).await?;
    if let Once::Done(made) = &once {
        hints::publish(&*app.pubsub, made.clone()).await;
    }
    Ok(answer_once(once, StatusCode::CREATED, |_| answer))
}

/// A file of a batch; only the name is required.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct BatchFile {
    #[schema(min_length = 1, max_length = 255, example = "hello.jpg")]
    filename: String,
    #[schema(max_length = 100, example = "image/jpeg")]
    content_type: Option<String>,
    /// Bytes.
    #[schema(minimum = 1)]
    size: Option<u64>,
    /// Hexadecimal.
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    sha256: Option<String>,
    /// True to send the file in parts, which go on after a break. Needs a `size` of at least 8 MiB.
    multipart: Option<bool>,
    gallery_id: Option<GalleryId>,
    visibility: Option<Visibility>,
    access_tier: Option<Tier>,
    #[schema(max_items = 100)]
    tags: Option<Vec<String>>,
    #[schema(format = "uri", max_length = 2000)]
    link: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

#[derive(ToSchema)]
#[schema(as = NewImages)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct BatchInput {
    project_id: ProjectId,
    #[schema(min_items = 1, max_items = 500)]
    files: Vec<BatchFile>,
    /// For files that name no gallery. The fields below are defaults in the same way.
    gallery_id: Option<GalleryId>,
    visibility: Option<Visibility>,
    access_tier: Option<Tier>,
    #[schema(max_items = 100)]
    tags: Option<Vec<String>>,
}

#[derive(Clone, Serialize, ToSchema)]
#[schema(as = UploadLinks)]
struct FilesAnswer {
    /// One for each file, in their order.
    #[schema(max_items = 500)]
    images: Vec<FileAnswer>,
}

/// The verdict on one file. With `created` it has all fields of an upload link, otherwise none of them.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = UploadVerdict)]
struct FileAnswer {
    /// Null when the file named none.
    filename: Option<String>,
    /// `created`: the file has a link. `duplicate`: the image `duplicate_of` has a file with the same hash. `repeated`:
    /// an earlier file of this call, of the image `duplicate_of`, has the same hash; its link is for both.
    /// `over_quota`, `too_large`, `wrong_type` or `invalid`: the file is refused.
    #[schema(value_type = Decision)]
    verdict: &'static str,
    /// The reason for the verdict, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
    /// The errors by field; with `invalid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    errors: Option<eyeline_core::FieldErrors>,
    /// The image of the same file; with `duplicate` and `repeated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    duplicate_of: Option<ImageId>,
    #[serde(flatten)]
    #[schema(value_type = GivenLink)]
    link: Option<LinkAnswer>,
}

#[derive(ToSchema)]
#[schema(as = UploadDecision, rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words that verdicts use")]
enum Decision {
    Created,
    Duplicate,
    Repeated,
    OverQuota,
    TooLarge,
    WrongType,
    Invalid,
}

/// The upload link of a file that was `created`.
#[derive(ToSchema)]
#[schema(as = OptionalUploadLink)]
#[expect(dead_code, reason = "describes a link that may be absent")]
struct GivenLink {
    #[schema(nullable = false)]
    image_id: Option<ImageId>,
    #[schema(nullable = false)]
    state: Option<ImageState>,
    #[schema(nullable = false, format = "uri")]
    upload_link: Option<String>,
    #[schema(nullable = false)]
    params: Option<LinkParams>,
    #[schema(nullable = false)]
    expires_at: Option<Timestamp>,
}

impl FileAnswer {
    fn refused(filename: Option<String>, verdict: &'static str, detail: String) -> Self {
        FileAnswer { filename, verdict, detail: Some(detail), errors: None, duplicate_of: None, link: None }
    }
}

/// Create many upload links
///
/// Up to 500 links in one call. Each file gets its own verdict.
#[utoipa::path(
    post, path = "/images/batch", operation_id = "create_images", tag = "images", params(IdempotencyKeyHeader),
    request_body = BatchInput, responses((status = 200, body = FilesAnswer))
)]
async fn create_batch(
    State(app): State<App>,
    credential: Credential,
    idempotency: Idempotency,
    JsonBody(body): JsonBody,
) -> Answer<Response> {
    let mut fields = Fields::parse(&body)?;
    let project_id = fields.required_id("project_id");
    let defaults = Defaults::read(&mut fields);
    fields.require("files");
    let files = match fields.value("files") {
        Some(Value::Array(files)) if (1..=BATCH_MAX).contains(&files.len()) => files,
        None => Vec::new(),
        Some(_) => {
            fields.error("files", format!("This has to be an array of 1 to {BATCH_MAX} files."));
            Vec::new()
        }
    };
    fields.finish()?;
    let Some(project_id) = project_id else { return Err(Problem::not_found("project")) };
    credential.manage_project(&app, project_id).await?;
    let limits = ProjectLimits::of(&app.settings, app.catalog.project_tier(project_id).await?);

    let mut answers = Vec::with_capacity(files.len());
    let mut images = Vec::with_capacity(files.len());
    for file in files {
        match read_file(file, &defaults, &limits) {
            Err(refused) => answers.push(*refused),
            Ok(stated) => {
                let (filename, image) = (stated.filename.clone(), upload::new_image(&app, stated));
                let link = Some(LinkAnswer::new(&app, &image, limits.file_bytes_max));
                answers.push(FileAnswer {
                    filename: Some(filename),
                    verdict: "created",
                    detail: None,
                    errors: None,
                    duplicate_of: None,
                    link,
                });
                images.push(image);
            }
        }
    }
    let quota = over_quota(&limits);
    let answer = move |(verdicts, _): &(Vec<Verdict>, Hints)| with_verdicts(answers, verdicts, &quota);
    let kept = answer.clone();
    let repeatable = idempotency.repeatable(&body, StatusCode::OK, kept);
    let now = app.clock.now();
    let once = app.catalog.create_images(project_id, images, limits.images_max, now, repeatable).await?;
    if let Once::Done((_, made)) = &once {
        hints::publish(&*app.pubsub, made.clone()).await;
    }
    Ok(answer_once(once, StatusCode::OK, |outcome| answer(&outcome)))
}

/// Replaces the answers with a link by what the catalog decided about them, in their order.
fn with_verdicts(mut answers: Vec<FileAnswer>, verdicts: &[Verdict], over_quota: &str) -> FilesAnswer {
    let asked = answers.iter_mut().filter(|answer| answer.link.is_some());
    for (answer, verdict) in asked.zip(verdicts) {
        match verdict {
            Verdict::Created => {}
            Verdict::Duplicate(image_id) => {
                let detail = "This file has arrived already.".to_owned();
                *answer = FileAnswer::refused(answer.filename.take(), "duplicate", detail);
                answer.duplicate_of = Some(*image_id);
            }
            Verdict::Repeated(image_id) => {
                let detail = "An earlier file of this call is the same; send it once, through that file's link.";
                *answer = FileAnswer::refused(answer.filename.take(), "repeated", detail.to_owned());
                answer.duplicate_of = Some(*image_id);
            }
            Verdict::OverQuota => {
                *answer = FileAnswer::refused(answer.filename.take(), "over_quota", over_quota.to_owned());
            }
        }
    }
    FilesAnswer { images: answers }
}

fn over_quota(limits: &ProjectLimits) -> String {
    format!("At most {} images are kept for this project.", limits.images_max.unwrap_or_default())
}

fn read_file(file: Value, defaults: &Defaults, limits: &ProjectLimits) -> Result<Stated, Box<FileAnswer>> {
    let Value::Object(object) = file else {
        return Err(FileAnswer::refused(None, "invalid", "This has to be an object.".to_owned()).into());
    };
    let filename = object.get("filename").and_then(Value::as_str).map(str::to_owned);
    let mut fields = Fields::new(object);
    let stated = stated(&mut fields, defaults);
    let stated = match (fields.finish(), stated) {
        (Ok(()), Some(stated)) => stated,
        (outcome, _) => {
            let detail = "Some fields are missing or wrong.".to_owned();
            return Err(FileAnswer { errors: outcome.err(), ..FileAnswer::refused(filename, "invalid", detail) }.into());
        }
    };
    match refusal(&stated, limits) {
        None => Ok(stated),
        Some((StatusCode::PAYLOAD_TOO_LARGE, detail)) => Err(FileAnswer::refused(filename, "too_large", detail).into()),
        Some((_, detail)) => Err(FileAnswer::refused(filename, "wrong_type", detail).into()),
    }
}

/// The fields that the files of a batch share.
#[derive(Default)]
struct Defaults {
    gallery_id: Option<GalleryId>,
    visibility: Visibility,
    access_tier: Tier,
    tags: Vec<String>,
}

impl Defaults {
    fn read(fields: &mut Fields) -> Self {
        Defaults {
            gallery_id: fields.id("gallery_id"),
            visibility: visibility(fields).unwrap_or_default(),
            access_tier: access_tier(fields).unwrap_or_default(),
            tags: fields.texts("tags", TAGS_MAX, TAG_CHARS_MAX).unwrap_or_default(),
        }
    }
}

/// `None` if the name is missing, which adds an error.
fn stated(fields: &mut Fields, defaults: &Defaults) -> Option<Stated> {
    let filename = fields.required_text("filename", FILENAME_CHARS_MAX);
    // Browsers send an empty type for a file that they do not know.
    let content_type = if fields.is_null("content_type") { None } else { fields.text("content_type", TYPE_CHARS_MAX) };
    let in_parts = fields.boolean("multipart").unwrap_or_default();
    if in_parts {
        fields.require("size");
    }
    let bytes = fields.integer("size", 1..=u64::from(u32::MAX) * 1024);
    if in_parts && bytes.is_some_and(|bytes| bytes < PART_BYTES) {
        fields.error("size", format!("A file that is sent in parts has at least {PART_BYTES} bytes."));
    }
    let stated = Stated {
        filename: filename.unwrap_or_default(),
        bytes,
        in_parts,
        sha256: fields.parsed("sha256", "64 hexadecimal digits", upload::parse_sha256),
        content_type: content_type.and_then(|kind| upload::declared_type(&kind)),
        gallery_id: fields.id("gallery_id").or(defaults.gallery_id),
        visibility: visibility(fields).unwrap_or(defaults.visibility),
        access_tier: access_tier(fields).unwrap_or(defaults.access_tier),
        link: fields.address("link"),
        tags: fields.texts("tags", TAGS_MAX, TAG_CHARS_MAX).unwrap_or_else(|| defaults.tags.clone()),
        metadata: metadata(fields).unwrap_or_else(|| "{}".to_owned()),
    };
    (!stated.filename.is_empty()).then_some(stated)
}

/// The reason why a well-formed file is refused.
pub(in crate::api) fn refusal(stated: &Stated, limits: &ProjectLimits) -> Option<(StatusCode, String)> {
    if let Some(bytes) = stated.bytes.filter(|bytes| *bytes > limits.file_bytes_max) {
        let detail = format!("The file has {bytes} bytes; at most {} are taken.", limits.file_bytes_max);
        return Some((StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Some((StatusCode::UNSUPPORTED_MEDIA_TYPE, upload::type_refusal(stated.likely_type())?))
}
