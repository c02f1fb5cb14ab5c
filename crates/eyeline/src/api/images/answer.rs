//! An image as the API shows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyeline_core::{ImageErrorCode, ImageId, ImageState, ProjectId, Tier, Timestamp, Visibility};
use eyeline_store::catalog::images::Image;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::flow::photo::links::Links;
use crate::flow::photo::versions::Versions;
use crate::secrets::to_hex;
use crate::web_address;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Image)]
pub struct ImageAnswer {
    image_id: ImageId,
    project_id: ProjectId,
    filename: String,
    /// A name for people; null: the file name.
    name: Option<String>,
    state: ImageState,
    /// All null until the image is `done`. `original` is present on `error` too, but only for keys and the image's own
    /// user.
    versions: Versions,
    /// Every file of a version, one for each name and type. With WebP switched on, a name may occur twice.
    renditions: Vec<Rendition>,
    /// Pixels, upright.
    width: Option<u32>,
    height: Option<u32>,
    /// Of the original.
    bytes: Option<u64>,
    content_type: Option<String>,
    /// Of the original, hexadecimal.
    sha256: Option<String>,
    /// Base64.
    thumbhash: Option<String>,
    visibility: Visibility,
    access_tier: Tier,
    tags: Vec<String>,
    /// The address of a dataset's picture, which has no versions.
    url: Option<String>,
    link: Option<String>,
    #[schema(value_type = Object)]
    metadata: Value,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// When the file arrived; null before that and for an image of a dataset.
    arrived_at: Option<Timestamp>,
    /// When the versions were first ready; null before that and for an image of a dataset.
    prepared_at: Option<Timestamp>,
    /// The reason for the state `error`, as a sentence.
    error: Option<String>,
    /// The same for programs.
    error_code: Option<ImageErrorCode>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Rendition {
    #[schema(example = "thumb")]
    name: String,
    #[schema(example = "image/jpeg")]
    content_type: String,
    #[schema(format = "uri")]
    url: String,
    /// Pixels.
    width: u32,
    height: u32,
    bytes: u64,
}

impl ImageAnswer {
    pub fn new(image: Image, links: &Links, with_original: bool) -> Self {
        let renditions = image.versions.iter().map(|version| Rendition {
            name: version.name.clone(),
            content_type: version.content_type.clone(),
            url: links.version(&version.object_key),
            width: version.width,
            height: version.height,
            bytes: version.bytes,
        });
        ImageAnswer {
            versions: Versions::of(&image, links, with_original),
            renditions: renditions.collect(),
            image_id: image.image_id,
            project_id: image.project_id,
            filename: image.filename,
            name: image.name,
            state: image.state,
            width: image.width,
            height: image.height,
            bytes: image.bytes,
            content_type: image.content_type,
            sha256: image.sha256.map(|sha256| to_hex(&sha256)),
            thumbhash: image.thumbhash.map(|hash| STANDARD.encode(hash)),
            visibility: image.visibility,
            access_tier: image.access_tier,
            tags: image.tags,
            url: image.url.and_then(web_address::served),
            link: image.link.and_then(web_address::served),
            metadata: serde_json::from_str(&image.metadata).unwrap_or_default(),
            created_at: image.created_at,
            updated_at: image.updated_at,
            arrived_at: image.arrived_at,
            prepared_at: image.prepared_at,
            error_code: image.error.as_ref().map(|(code, _)| *code),
            error: image.error.map(|(_, sentence)| sentence),
        }
    }
}
