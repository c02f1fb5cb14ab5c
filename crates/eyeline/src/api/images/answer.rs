//! An image as the API shows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyeline_core::{ImageId, ImageState, ProjectId, Tier, Timestamp, Visibility};
use eyeline_store::catalog::images::Image;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::flow::links::Links;
use crate::flow::upload::hex;

#[derive(Debug, Serialize, ToSchema)]
pub struct ImageAnswer {
    #[schema(value_type = uuid::Uuid)]
    image_id: ImageId,
    #[schema(value_type = uuid::Uuid)]
    project_id: ProjectId,
    filename: String,
    #[schema(value_type = String, example = "done")]
    state: ImageState,
    versions: VersionLinks,
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
    #[schema(value_type = String, example = "public")]
    visibility: Visibility,
    #[schema(value_type = String, example = "free")]
    access_tier: Tier,
    tags: Vec<String>,
    link: Option<String>,
    #[schema(value_type = Object)]
    metadata: Value,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Why the image ended in state `error`, in a sentence.
    error: Option<String>,
}

/// Links, all null until the image is `done`. `original` is there on `error` too, and only for keys and the image's own
/// user.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct VersionLinks {
    original: Option<String>,
    thumb: Option<String>,
    big_thumb: Option<String>,
    big_1920: Option<String>,
    d2500: Option<String>,
}

impl VersionLinks {
    pub fn of(image: &Image, links: &Links, with_original: bool) -> Self {
        let version = |name: &str| {
            let version = image.versions.iter().find(|version| version.name == name)?;
            Some(links.version(&version.object_key))
        };
        let original = image.original_key.as_ref().filter(|_| with_original && image.state.is_final());
        VersionLinks {
            original: original.map(|key| links.original(key, &image.filename)),
            thumb: version("thumb"),
            big_thumb: version("big_thumb"),
            big_1920: version("big_1920"),
            d2500: version("d2500"),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct Rendition {
    name: String,
    content_type: String,
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
            versions: VersionLinks::of(&image, links, with_original),
            renditions: renditions.collect(),
            image_id: image.image_id,
            project_id: image.project_id,
            filename: image.filename,
            state: image.state,
            width: image.width,
            height: image.height,
            bytes: image.bytes,
            content_type: image.content_type,
            sha256: image.sha256.map(|sha256| hex(&sha256)),
            thumbhash: image.thumbhash.map(|hash| STANDARD.encode(hash)),
            visibility: image.visibility,
            access_tier: image.access_tier,
            tags: image.tags,
            link: image.link,
            metadata: serde_json::from_str(&image.metadata).unwrap_or_default(),
            created_at: image.created_at,
            updated_at: image.updated_at,
            error: image.error.map(|(_, sentence)| sentence),
        }
    }
}
