//! Values that fit a schema.

use serde_json::{Map, Value, json};

/// Deeper schemas are left out of an example.
const DEPTH_MAX: usize = 8;
const UUID: &str = "0198c0de-0000-7000-8000-00000000a009";
/// Values of fields that say nothing of theirs: the same as in the documentation.
const BY_NAME: &[(&str, &str)] = &[
    ("project_id", "0198c0de-0000-7000-8000-00000000a000"),
    ("application_id", "0198c0de-0000-7000-8000-00000000a001"),
    ("gallery_id", "0198c0de-0000-7000-8000-00000000a002"),
    ("image_id", "0198c0de-0000-7000-8000-00000000a003"),
    ("event_id", "0198c0de-0000-7000-8000-00000000a004"),
    ("erasure_id", "0198c0de-0000-7000-8000-00000000a005"),
    ("job_id", "0198c0de-0000-7000-8000-00000000a006"),
    ("session_id", "e2085be5-9137-4e4e-80b5-f1ffddc25423"),
    ("category", "shop"),
    ("name", "checkout"),
    ("folder", "0198c0de"),
    ("key", "KEY"),
    ("policy", "POLICY"),
    ("signature", "SIGNATURE"),
];

/// A value for the field `name`: the schema's own example, else one made of its required fields.
pub(super) fn example(name: &str, schema: &Value, components: &Value) -> Value {
    within(name, schema, components, 0)
}

fn within(name: &str, schema: &Value, components: &Value, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    let part = |name: &str, schema: &Value| within(name, schema, components, depth + 1);
    if let Some(named) = schema["$ref"].as_str().and_then(|text| text.strip_prefix("#/components/schemas/")) {
        return part(name, &components["schemas"][named]);
    }
    let given = [&schema["example"], &schema["examples"][0], &schema["default"], &schema["enum"][0]];
    if let Some(given) = given.into_iter().find(|given| !given.is_null()) {
        return given.clone();
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(first) = schema[key].as_array().and_then(|parts| parts.first()) {
            return part(name, first);
        }
    }
    let mut fields = Map::new();
    for schema in schema["allOf"].as_array().into_iter().flatten() {
        if let Value::Object(more) = part(name, schema) {
            fields.extend(more);
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        fields.insert(name.to_owned(), part(name, &schema["properties"][name]));
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or("object");
    match (kind, schema["format"].as_str()) {
        ("string", Some("binary")) => super::FILE.into(),
        ("string", Some("uri")) => "https://shop.example/1.jpg".into(),
        ("string", format) => {
            let known = BY_NAME.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            known.unwrap_or(if format == Some("uuid") { UUID } else { "example" }).into()
        }
        ("integer" | "number", _) => schema["minimum"].as_u64().unwrap_or(1).into(),
        ("boolean", _) => true.into(),
        ("array", _) => json!([part(name, &schema["items"])]),
        _ => fields.into(),
    }
}
