//! The shape of a dataset's row.

use eyeline_core::{ImageId, Tier, Visibility};
use eyeline_store::catalog::dataset::DatasetRow;
use serde_json::Value;

use super::created_at;
use super::map::RowObject;
use crate::api::Fields;
use crate::flow::gallery::dataset::BadRow;

const EXTERNAL_ID_CHARS_MAX: usize = 200;
const NAME_CHARS_MAX: usize = 500;
const TAGS_MAX: usize = 50;
const TAG_CHARS_MAX: usize = 100;
const SIDE_MAX: u64 = 100_000;

/// Checks a row. The error holds all mistakes by field, and the row's `external_id` if it has one.
pub fn dataset_row(mut object: RowObject, new_image_id: ImageId) -> Result<DatasetRow, BadRow> {
    // Shops number their products; a number stands for its digits.
    if let Some(id) = object.get_mut("external_id").filter(|id| id.is_u64() || id.is_i64()) {
        *id = Value::String(id.to_string());
    }
    let mut fields = Fields::new(object);
    let external_id = fields.required_text("external_id", EXTERNAL_ID_CHARS_MAX);
    fields.require("url");
    let row = DatasetRow {
        new_image_id,
        external_id: external_id.clone().unwrap_or_default(),
        name: fields.text("name", NAME_CHARS_MAX),
        url: fields.address("url").unwrap_or_default(),
        link: fields.address("link"),
        tags: fields.texts("tags", TAGS_MAX, TAG_CHARS_MAX).unwrap_or_default(),
        width: side(&mut fields, "width"),
        height: side(&mut fields, "height"),
        created_at: fields.parsed("created_at", created_at::FORMS, created_at::parse),
        visibility: fields.parsed("visibility", "public or private", Visibility::parse),
        access_tier: fields.parsed("access_tier", "free, premium or business", Tier::parse),
    };
    fields.finish().map_err(|errors| BadRow { external_id, errors })?;
    Ok(row)
}

fn side(fields: &mut Fields, name: &str) -> Option<u32> {
    fields.integer(name, 1..=SIDE_MAX).and_then(|side| u32::try_from(side).ok())
}
