//! The meaning of the columns of a client's feed.

use serde_json::{Map, Value};

/// The fields of a row by their names, as an object of JSON has them.
pub type RowObject = Map<String, Value>;

/// Characters and entries of a map that a client states.
const TEXT_CHARS_MAX: usize = 4_000;
const ENTRIES_MAX: usize = 100;

/// The meaning of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The field of this name, unchanged.
    Same(&'static str),
    /// Whole numbers.
    Number(&'static str),
    /// Texts, added to those of other columns.
    Tags,
    /// Paths of categories such as `Home > Shoes, Sale`. Each step is a tag.
    Categories,
    /// Addresses, of which the first is the picture's.
    Urls,
    /// Yes or no: public or private. Private if one of several columns says no.
    Published,
    /// The place of the row's picture among the pictures of its product, from 1.
    Position,
    /// The kind of product. A variation is shown by the product that it belongs to.
    Kind,
}

use Field::{Categories, Kind, Number, Position, Published, Same, Tags, Urls};

/// The required fields of a row.
pub const NEEDED: [&str; 2] = ["external_id", "url"];

/// The fields that a map may name.
const FIELDS: [(&str, Field); 15] = [
    ("external_id", Same("external_id")),
    ("url", Same("url")),
    ("name", Same("name")),
    ("link", Same("link")),
    ("created_at", Same("created_at")),
    ("tags", Tags),
    ("width", Number("width")),
    ("height", Number("height")),
    ("visibility", Same("visibility")),
    ("access_tier", Same("access_tier")),
    ("urls", Urls),
    ("categories", Categories),
    ("published", Published),
    ("position", Position),
    ("kind", Kind),
];

/// Fields that a column of the same name has without a map.
const PLAIN: usize = 10;

impl Field {
    /// The field of the row that is filled.
    pub fn target(self) -> &'static str {
        match self {
            Same(name) | Number(name) => name,
            Tags | Categories => "tags",
            Urls => "url",
            Published => "visibility",
            Position => "position",
            Kind => "kind",
        }
    }
}

struct Preset {
    name: &'static str,
    /// Columns that mean something. Of several for one field, the first that is filled counts.
    columns: &'static [(&'static str, &'static str)],
    /// Rows that follow each other with the same `external_id` are one product.
    joins_rows: bool,
}

const PRESETS: [Preset; 3] = [
    Preset {
        name: "google_merchant",
        columns: &[
            ("id", "external_id"),
            ("title", "name"),
            ("link", "link"),
            ("image_link", "url"),
            ("product_type", "categories"),
        ],
        joins_rows: false,
    },
    Preset {
        name: "shopify",
        columns: &[
            ("Handle", "external_id"),
            ("URL handle", "external_id"),
            ("Title", "name"),
            ("Image Src", "url"),
            ("Product image URL", "url"),
            ("Image Position", "position"),
            ("Tags", "tags"),
            ("Type", "categories"),
            ("Published", "published"),
            ("Published on online store", "published"),
            ("Status", "published"),
        ],
        joins_rows: true,
    },
    Preset {
        name: "woocommerce",
        columns: &[
            ("ID", "external_id"),
            ("Name", "name"),
            ("Images", "urls"),
            ("External URL", "link"),
            ("Tags", "tags"),
            ("Categories", "categories"),
            ("Published", "published"),
            ("Type", "kind"),
        ],
        joins_rows: false,
    },
];

/// The names of the presets, for sentences.
pub const PRESET_NAMES: &str = "google_merchant, shopify or woocommerce";

#[derive(Clone, Debug)]
struct Entry {
    /// Normalised.
    column: String,
    field: Field,
    /// True if the client named the column, which must then exist.
    is_stated: bool,
}

/// The fields that columns mean: those of a map, and for every other field the column with the field's name.
#[derive(Clone, Debug)]
pub struct ColumnMap {
    entries: Vec<Entry>,
    pub joins_rows: bool,
}

impl Default for ColumnMap {
    fn default() -> Self {
        ColumnMap::with(Vec::new(), false)
    }
}

impl ColumnMap {
    /// Reads `title:name,image_link:url`, or the name of a preset, which others may follow: `shopify,SKU:external_id`.
    /// The error is one sentence for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > TEXT_CHARS_MAX {
            return Err(format!("At most {TEXT_CHARS_MAX} characters are taken."));
        }
        let (mut stated, mut preset) = (Vec::<Entry>::new(), None);
        for (index, entry) in text.split(',').enumerate() {
            if index >= ENTRIES_MAX {
                return Err(format!("At most {ENTRIES_MAX} columns are taken."));
            }
            let Some((column, name)) = entry.rsplit_once(':') else {
                let found = PRESETS.iter().find(|preset| preset.name == entry.trim());
                if found.is_none() || index > 0 {
                    return Err(format!("“{entry}” is neither COLUMN:FIELD nor, at the start, one of {PRESET_NAMES}."));
                }
                preset = found;
                continue;
            };
            let field = field(name.trim()).ok_or_else(|| {
                let names: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
                format!("“{name}” is no field; these are: {}.", names.join(", "))
            })?;
            let entry = Entry { column: normalised(column), field, is_stated: true };
            if !adds_up(field) && stated.iter().any(|other| other.field.target() == field.target()) {
                return Err(format!("Two columns are given for {}.", field.target()));
            }
            stated.push(entry);
        }
        let Some(preset) = preset else { return Ok(ColumnMap::with(stated, false)) };
        let replaced = |field: Field| stated.iter().any(|entry| entry.field.target() == field.target());
        let kept = preset.columns.iter().filter_map(|(column, name)| {
            let field = field(name)?;
            (!replaced(field)).then(|| Entry { column: normalised(column), field, is_stated: false })
        });
        let entries = kept.chain(stated.iter().cloned()).collect();
        Ok(ColumnMap::with(entries, preset.joins_rows))
    }

    /// Adds the columns whose names are fields that no entry maps.
    fn with(mut entries: Vec<Entry>, joins_rows: bool) -> Self {
        for (name, field) in &FIELDS[..PLAIN] {
            if !entries.iter().any(|entry| entry.field.target() == *name) {
                entries.push(Entry { column: (*name).to_owned(), field: *field, is_stated: false });
            }
        }
        ColumnMap { entries, joins_rows }
    }

    /// The fields that a column means, in the order of the map; none for a column that means nothing.
    pub fn fields(&self, column: &str) -> impl Iterator<Item = (usize, Field)> {
        let column = normalised(column);
        let meant = self.entries.iter().enumerate().filter(move |(_, entry)| entry.column == column);
        meant.map(|(index, entry)| (index, entry.field))
    }

    /// The columns that the client named, with their places in the map.
    pub fn stated_columns(&self) -> impl Iterator<Item = (usize, &str)> {
        let stated = self.entries.iter().enumerate().filter(|(_, entry)| entry.is_stated);
        stated.map(|(index, entry)| (index, entry.column.as_str()))
    }

    /// The columns that may give the field of this name.
    pub fn columns_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.entries.iter().filter(move |entry| entry.field.target() == name).map(|entry| entry.column.as_str())
    }

    /// True if the object has the columns that every row needs.
    pub fn is_row(&self, object: &RowObject) -> bool {
        let has = |needed: &str| {
            object
                .iter()
                .any(|(name, value)| !value.is_null() && self.fields(name).any(|(_, field)| field.target() == needed))
        };
        NEEDED.iter().all(|needed| has(needed))
    }

    /// The fields of an object whose names are columns.
    pub fn apply(&self, object: RowObject) -> RowObject {
        let mut cells: Vec<(usize, Field, Value)> = Vec::new();
        for (name, value) in object {
            let mut fields: Vec<(usize, Field)> = self.fields(&name).collect();
            let last = fields.pop();
            cells.extend(fields.into_iter().map(|(index, field)| (index, field, value.clone())));
            cells.extend(last.map(|(index, field)| (index, field, value)));
        }
        row(cells)
    }
}

/// A row of cells, each with the place of its column in the map and the field that it means.
pub fn row(cells: impl IntoIterator<Item = (usize, Field, Value)>) -> RowObject {
    let mut cells: Vec<(usize, Field, Value)> = cells.into_iter().collect();
    cells.sort_by_key(|(index, ..)| *index);
    let mut row = RowObject::new();
    for (_, field, value) in cells {
        if !value.is_null() && value != "" {
            put(&mut row, field, value);
        }
    }
    row
}

fn put(row: &mut RowObject, field: Field, value: Value) {
    match (field, value) {
        (Number(name), Value::String(text)) => {
            let number = text.trim().parse::<u64>().map_or(Value::String(text), Value::from);
            row.entry(name).or_insert(number);
        }
        (Tags, Value::String(text)) => add_tags(row, split_tags(&text)),
        (Categories, Value::String(text)) => {
            add_tags(row, text.split([',', '|', ';', '>']).map(str::trim).collect());
        }
        (Tags | Categories, Value::Array(tags)) => match row.get_mut("tags") {
            Some(Value::Array(known)) => known.extend(tags),
            _ => drop(row.insert("tags".to_owned(), Value::Array(tags))),
        },
        (Urls, Value::String(text)) => drop(row.entry("url").or_insert_with(|| first_address(&text).into())),
        (Urls, Value::Array(urls)) => drop(row.entry("url").or_insert(urls.into_iter().next().unwrap_or_default())),
        (Published, value) => {
            let visibility = visibility(&value);
            if row.get("visibility").is_none_or(|known| known != "private") {
                row.insert("visibility".to_owned(), visibility.map_or(value, Value::from));
            }
        }
        (field, value) => drop(row.entry(field.target()).or_insert(value)),
    }
}

/// Adds tags that are not there yet.
fn add_tags(row: &mut RowObject, tags: Vec<&str>) {
    let known = row.entry("tags").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(known) = known {
        for tag in tags.into_iter().filter(|tag| !tag.is_empty()) {
            if !known.iter().any(|known| known == tag) {
                known.push(tag.into());
            }
        }
    }
}

/// Tags between `|`; without one, between commas or semicolons.
fn split_tags(text: &str) -> Vec<&str> {
    let tags: Vec<&str> = if text.contains('|') { text.split('|').collect() } else { text.split([',', ';']).collect() };
    tags.into_iter().map(str::trim).collect()
}

/// The first of several addresses between commas or spaces. An address may contain commas itself.
fn first_address(text: &str) -> &str {
    let text = text.trim();
    let end = text.match_indices([',', '|', ' ', '\n']).find_map(|(end, separator)| {
        let next = text[end + separator.len()..].trim_start().get(..4)?;
        next.eq_ignore_ascii_case("http").then_some(end)
    });
    text[..end.unwrap_or(text.len())].trim_end_matches([',', ' '])
}

fn visibility(value: &Value) -> Option<&'static str> {
    let text = match value {
        Value::String(text) => text.trim().to_ascii_lowercase(),
        other => other.to_string(),
    };
    match text.as_str() {
        "true" | "1" | "yes" | "active" | "published" | "publish" | "public" | "visible" => Some("public"),
        "false" | "0" | "-1" | "no" | "draft" | "archived" | "unlisted" | "private" | "pending" | "hidden" => {
            Some("private")
        }
        _ => None,
    }
}

fn field(name: &str) -> Option<Field> {
    FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
}

/// True if several columns may give the field.
fn adds_up(field: Field) -> bool {
    matches!(field, Tags | Categories | Published)
}

/// A column's name as names are compared: `Image Link`, `image-link` and `IMAGE_LINK` are the same.
pub fn normalised(column: &str) -> String {
    column.trim().to_lowercase().replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(map: &str, object: Value) -> Value {
        let Value::Object(object) = object else { panic!("no object: {object}") };
        Value::Object(ColumnMap::parse(map).expect("a map").apply(object))
    }

    #[test]
    fn a_map_names_the_columns_of_fields_and_the_others_keep_their_meaning() {
        let mapped = applied(
            "title:name, Image Link :url,a:b:link,product_type:tags,brand:tags",
            json!({"external_id": "1", "title": "A", "image-link": "https://x/1", "A:B": "https://y", "name": "no",
                   "product_type": "Home > Shoes; Red", "brand": "Red", "width": 4, "price": 7}),
        );
        assert_eq!(
            mapped,
            json!({"external_id": "1", "name": "A", "url": "https://x/1", "link": "https://y", "width": 4,
                   "tags": ["Home > Shoes", "Red"]})
        );
    }

    #[test]
    fn a_preset_reads_the_columns_of_its_export_and_may_be_changed() {
        let woo = json!({"ID": "7", "SKU": "S-7", "Name": "A", "Published": "-1", "Categories": "Home > Shoes, Sale",
                         "Images": "https://x/a,b.jpg, https://x/2.jpg"});
        let expected = json!({"external_id": "S-7", "name": "A", "visibility": "private",
                              "tags": ["Home", "Shoes", "Sale"], "url": "https://x/a,b.jpg"});
        assert_eq!(applied("woocommerce,SKU:external_id", woo), expected);
        let shopify = json!({"Handle": "", "URL handle": "a", "Published": "true", "Status": "draft", "Tags": "x, y"});
        let expected = json!({"external_id": "a", "visibility": "private", "tags": ["x", "y"]});
        assert_eq!(applied("shopify", shopify), expected);
    }

    #[test]
    fn a_map_that_says_nothing_clear_is_refused() {
        for map in ["", "etsy", "title:label", "a:name,b:name", "a:url,b:urls", "title:name,shopify", "a:name,,b:url"] {
            assert!(ColumnMap::parse(map).is_err_and(|sentence| sentence.ends_with('.')), "{map:?}");
        }
        assert!(ColumnMap::parse(&"a:tags,".repeat(1_000)).is_err());
    }

    #[test]
    fn the_first_of_several_addresses_is_the_picture() {
        for (cell, first) in [
            ("https://x/1.jpg", "https://x/1.jpg"),
            ("https://x/1.jpg, https://x/2.jpg", "https://x/1.jpg"),
            (" https://x/1.jpg,https://x/2.jpg", "https://x/1.jpg"),
            ("https://x/w_3,h_2/1.jpg,HTTPS://x/2.jpg", "https://x/w_3,h_2/1.jpg"),
            ("https://x/1.jpg | https://x/2.jpg", "https://x/1.jpg"),
            ("https://x/1.jpg\nhttps://x/2.jpg", "https://x/1.jpg"),
            ("https://x/1.jpg,", "https://x/1.jpg"),
            ("", ""),
        ] {
            assert_eq!(first_address(cell), first, "{cell:?}");
        }
    }
}
