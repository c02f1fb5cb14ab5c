//! Links to the parts of a file.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use eyeline_core::{ImageId, ImageState, Parts, Timestamp};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::body::JsonBody;
use crate::api::objects::managed_image;
use crate::api::{Answer, Credential, Fields, Problem};
use crate::app::App;
use crate::flow::photo::parts::{self, MISSING_NAMED_MAX, NUMBERS_MAX};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(links))
}

/// The parts to be sent next.
#[derive(ToSchema)]
#[schema(as = PartNumbers)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct NumbersInput {
    /// The first part has the number 1. Without a number, the answer only says what has arrived.
    #[schema(max_items = 1000, example = json!([1, 2, 3]))]
    numbers: Vec<u32>,
}

/// Links to parts, and the parts that have arrived.
#[derive(Serialize, ToSchema)]
#[schema(as = PartLinks)]
struct LinksAnswer {
    /// One for each of the numbers; none once the parts were joined.
    #[schema(max_items = 1000)]
    parts: Vec<PartAnswer>,
    /// The numbers of the parts that have arrived. They need not be sent again.
    #[schema(max_items = 10_000)]
    received: Vec<u32>,
    /// The size of every part but the last, in bytes.
    #[schema(example = 8_388_608)]
    part_bytes: u64,
    /// The number of parts.
    #[schema(minimum = 1, maximum = 10_000)]
    count: u32,
    /// The end of these links.
    expires_at: Timestamp,
}

/// A link that takes a `PUT` of exactly this part with all `headers`, without a credential.
#[derive(Serialize, ToSchema)]
#[schema(as = PartLink)]
struct PartAnswer {
    #[schema(minimum = 1, maximum = 10_000)]
    number: u32,
    #[schema(format = "uri")]
    upload_link: String,
    #[schema(value_type = BTreeMap<String, String>)]
    headers: BTreeMap<&'static str, String>,
}

/// Create links to parts
///
/// For an image that was created with `multipart`. May be called again and again, also to go on after a break:
/// `received` has the parts that need not be sent again. Each call puts the end of the upload off.
#[utoipa::path(
    post, path = "/images/{image_id}/parts", operation_id = "create_part_links", tag = "images",
    params(("image_id" = ImageId, Path)), request_body = NumbersInput,
    responses(
        (status = 200, body = LinksAnswer),
        (
            status = 409,
            description = "The image does not wait for parts: its file has arrived or is sent as a whole, or its upload has \
                           ended.",
        ),
    )
)]
async fn links(
    State(app): State<App>,
    credential: Credential,
    Path(image_id): Path<ImageId>,
    JsonBody(body): JsonBody,
) -> Answer<Json<LinksAnswer>> {
    let image = managed_image(&app, &credential, image_id).await?;
    let mut fields = Fields::parse(&body)?;
    let Some((upload, in_parts)) = parts::open(&app, image_id).await? else { return Err(not_waiting(image.state)) };
    fields.require("numbers");
    let numbers = numbers(&mut fields, in_parts.parts.count());
    fields.finish()?;
    let Some(given) = parts::links(&app, &upload, &in_parts, &numbers).await? else {
        return Err(not_waiting(managed_image(&app, &credential, image_id).await?.state));
    };
    let links = given.links.into_iter().map(|(number, link)| PartAnswer {
        number,
        upload_link: link.url,
        headers: link.headers.into_iter().collect(),
    });
    Ok(Json(answer(links.collect(), given.received, in_parts.parts, given.expires_at)))
}

fn answer(parts: Vec<PartAnswer>, received: Vec<u32>, sizes: Parts, expires_at: Timestamp) -> LinksAnswer {
    LinksAnswer { parts, received, part_bytes: sizes.part_bytes(), count: sizes.count(), expires_at }
}

/// The distinct numbers from 1 to `count`, in their order.
fn numbers(fields: &mut Fields, count: u32) -> Vec<u32> {
    let items = match fields.value("numbers") {
        Some(Value::Array(items)) if items.len() <= NUMBERS_MAX => items,
        None => return Vec::new(),
        Some(_) => {
            fields.error("numbers", format!("This has to be an array of at most {NUMBERS_MAX} numbers."));
            return Vec::new();
        }
    };
    let mut numbers = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match item.as_u64().and_then(|number| u32::try_from(number).ok()) {
            Some(number) if (1..=count).contains(&number) => numbers.push(number),
            _ => fields.error(format!("numbers.{index}").as_str(), format!("Parts have the numbers 1 to {count}.")),
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn not_waiting(state: ImageState) -> Problem {
    let detail = match state {
        ImageState::Init => "The file of this image is not sent in parts.",
        ImageState::Error => {
            "This image waits for no parts: it ended in an error. Create another image to send the file."
        }
        ImageState::Uploaded | ImageState::Processing | ImageState::Done => {
            "This image waits for no parts: its file has arrived."
        }
    };
    Problem::new(StatusCode::CONFLICT, detail)
}

/// 409 with the numbers of the parts that have not arrived, or the first of them.
pub(super) fn missing(numbers: &[u32], count: u32) -> Problem {
    let named = &numbers[..numbers.len().min(MISSING_NAMED_MAX)];
    let list = named.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let first =
        if named.len() < numbers.len() { format!(" The first {MISSING_NAMED_MAX}") } else { " They".to_owned() };
    let detail = format!("{} of {count} parts have not arrived.{first} have the numbers {list}.", numbers.len());
    Problem::new(StatusCode::CONFLICT, detail).missing(named)
}
