//! The links of one image, by the names that the API knows.

use eyeline_core::Webp;
use eyeline_store::catalog::images::Image;
use serde::Serialize;
use utoipa::ToSchema;

use super::links::Links;

/// Links to the versions, as JPEG or PNG. Null for a version that does not exist, or not yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Versions {
    pub original: Option<String>,
    pub thumb: Option<String>,
    pub big_thumb: Option<String>,
    pub big_1920: Option<String>,
    pub d2500: Option<String>,
}

impl Versions {
    /// Includes the original, for callers who may have it, once the image is `done` or `error`.
    pub fn of(image: &Image, links: &Links, with_original: bool) -> Self {
        let version = |name: &str| {
            let mut pictures = image.versions.iter().filter(|version| version.content_type != Webp::CONTENT_TYPE);
            let version = pictures.find(|version| version.name == name)?;
            Some(links.version(&version.object_key))
        };
        let original = image.original_key.as_ref().filter(|_| with_original && image.state.is_final());
        Versions {
            original: original.map(|key| links.original(key, &image.filename)),
            thumb: version("thumb"),
            big_thumb: version("big_thumb"),
            big_1920: version("big_1920"),
            d2500: version("d2500"),
        }
    }
}
