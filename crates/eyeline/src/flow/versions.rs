//! The links of one image, by the names that the API knows.

use eyeline_store::catalog::images::Image;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// Null where there is no such version, or not yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Versions {
    pub original: Option<String>,
    pub thumb: Option<String>,
    pub big_thumb: Option<String>,
    pub big_1920: Option<String>,
    pub d2500: Option<String>,
}

impl Versions {
    pub fn of(app: &App, image: &Image) -> Self {
        let link = |name: &str| {
            let version = image.versions.iter().find(|version| version.name == name)?;
            Some(format!("{}/{}", app.settings.public_url(), version.object_key))
        };
        Versions {
            original: None,
            thumb: link("thumb"),
            big_thumb: link("big_thumb"),
            big_1920: link("big_1920"),
            d2500: link("d2500"),
        }
    }
}
