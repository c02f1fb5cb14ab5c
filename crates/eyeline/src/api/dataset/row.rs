//! What a row of a dataset has to look like.

use eyeline_core::{FieldErrors, ImageId, Tier, Timestamp, Visibility};
use eyeline_store::catalog::dataset::DatasetRow;
use url::Url;

use super::rows::RowObject;
use crate::api::Fields;

const EXTERNAL_ID_CHARS_MAX: usize = 200;
const NAME_CHARS_MAX: usize = 500;
const URL_CHARS_MAX: usize = 2_048;
const TAGS_MAX: usize = 50;
const TAG_CHARS_MAX: usize = 100;
const SIDE_MAX: u64 = 100_000;

/// Everything that is wrong with the row, by field.
pub fn dataset_row(object: RowObject, new_image_id: ImageId) -> Result<DatasetRow, FieldErrors> {
    let mut fields = Fields::new(object);
    let external_id = fields.required_text("external_id", EXTERNAL_ID_CHARS_MAX);
    fields.require("url");
    let url = web_address(&mut fields, "url");
    let row = DatasetRow {
        new_image_id,
        external_id: external_id.unwrap_or_default(),
        name: fields.text("name", NAME_CHARS_MAX),
        url: url.unwrap_or_default(),
        link: web_address(&mut fields, "link"),
        tags: fields.texts("tags", TAGS_MAX, TAG_CHARS_MAX).unwrap_or_default(),
        width: side(&mut fields, "width"),
        height: side(&mut fields, "height"),
        created_at: fields.parsed("created_at", "a time such as 2021-01-01T09:15:27.243860Z", Timestamp::parse),
        visibility: fields.parsed("visibility", "public or private", Visibility::parse),
        access_tier: fields.parsed("access_tier", "free, premium or business", Tier::parse),
    };
    fields.finish()?;
    Ok(row)
}

/// Only http and https: the address ends up in the pages of others, where `javascript:` would run.
fn web_address(fields: &mut Fields, name: &str) -> Option<String> {
    let text = fields.text(name, URL_CHARS_MAX)?;
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(text),
        _ => {
            fields.error(name, "This has to be an address that starts with http:// or https://.");
            None
        }
    }
}

fn side(fields: &mut Fields, name: &str) -> Option<u32> {
    fields.integer(name, 1..=SIDE_MAX).and_then(|side| u32::try_from(side).ok())
}
