//! Completes schemas by rules that apply everywhere.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

const PREFIX: &str = "#/components/schemas/";

/// Completes the schemas of a document: readable names, and the fields of answers that are always present.
pub fn finish(document: &mut Value) {
    let text = document.to_string();
    if let Ok(named) = serde_json::from_str(&rename(document, text)) {
        *document = named;
    }
    share_named(document);
    require_nullable(document);
    open_free_objects(document);
}

/// The generator writes the parts of a generic schema out; a part that has a name becomes a reference to it.
fn share_named(document: &mut Value) {
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else { return };
    let named = schemas.iter().filter(|(_, schema)| schema["properties"].is_object());
    let named: HashMap<String, String> = named.map(|(name, schema)| (schema.to_string(), name.clone())).collect();
    for schema in schemas.values_mut() {
        parts_mut(schema).for_each(|part| share(part, &named));
    }
}

fn share(part: &mut Value, named: &HashMap<String, String>) {
    match named.get(&part.to_string()) {
        Some(name) => *part = json!({ "$ref": format!("{PREFIX}{name}") }),
        None => parts_mut(part).for_each(|part| share(part, named)),
    }
}

/// The values within a value.
fn parts_mut(value: &mut Value) -> Box<dyn Iterator<Item = &mut Value> + '_> {
    match value {
        Value::Object(fields) => Box::new(fields.values_mut()),
        Value::Array(items) => Box::new(items.iter_mut()),
        _ => Box::new(std::iter::empty()),
    }
}

/// Allows any fields in an object whose schema names none.
fn open_free_objects(part: &mut Value) {
    const NAMES: [&str; 5] = ["properties", "additionalProperties", "allOf", "oneOf", "anyOf"];
    if let Value::Object(fields) = part {
        let kind = fields.get("type");
        let is_object = kind.is_some_and(|kind| kind == "object" || *kind == json!(["object", "null"]));
        if is_object && !NAMES.iter().any(|name| fields.contains_key(*name)) {
            fields.insert("additionalProperties".to_owned(), true.into());
        }
    }
    parts_mut(part).for_each(open_free_objects);
}

/// The generator names `Report<CountRow>` `Report_CountRow`; a client's class is called `CountReport`.
fn rename(document: &Value, mut text: String) -> String {
    for name in document["components"]["schemas"].as_object().into_iter().flat_map(|schemas| schemas.keys()) {
        if let Some((outer, inner)) = name.split_once('_') {
            let readable = format!("{}{outer}", inner.strip_suffix("Row").unwrap_or(inner));
            text = text.replace(&format!("{PREFIX}{name}\""), &format!("{PREFIX}{readable}\""));
            text = text.replace(&format!("\"{name}\":"), &format!("\"{readable}\":"));
        }
    }
    text
}

/// An answer shows a field without a value as null, so a field that may be null is always there. (One that is left out
/// instead is described with `nullable = false`.) In bodies of requests null counts as absent.
fn require_nullable(document: &mut Value) {
    let mut answered = BTreeSet::new();
    for (_, _, operation) in super::operations(document) {
        for answer in operation["responses"].as_object().into_iter().flat_map(|answers| answers.values()) {
            collect(answer, document, &mut answered);
        }
    }
    for name in answered {
        require_in(&mut document["components"]["schemas"][name]);
    }
}

/// A parameter is absent or has a value; only the generator thinks that an optional header may be null.
pub fn drop_null_of_parameters(operation: &mut Value) {
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        let schema = &mut parameter["schema"];
        let kinds = schema["type"].as_array();
        if let Some(kind) = kinds.and_then(|kinds| kinds.iter().find(|kind| *kind != "null")).cloned() {
            schema["type"] = kind;
        }
        let parts = schema["oneOf"].as_array();
        if let Some(part) = parts.and_then(|parts| parts.iter().find(|part| part["type"] != "null")).cloned() {
            *schema = part;
        }
    }
}

/// Gathers the schemas that a part of the document leads to.
fn collect(part: &Value, document: &Value, found: &mut BTreeSet<String>) {
    match part {
        Value::Object(fields) => {
            if let Some(name) = part["$ref"].as_str().and_then(|text| text.strip_prefix(PREFIX))
                && found.insert(name.to_owned())
            {
                collect(&document["components"]["schemas"][name], document, found);
            }
            fields.values().for_each(|value| collect(value, document, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, document, found)),
        _ => {}
    }
}

fn require_in(schema: &mut Value) {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let nullable = properties.filter(|(_, property)| may_be_null(property)).map(|(name, _)| Value::from(name.as_str()));
    let nullable: Vec<Value> = nullable.collect();
    if !nullable.is_empty() {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let others = required.into_iter().filter(|name| !nullable.contains(name));
        schema["required"] = others.chain(nullable.iter().cloned()).collect();
    }
    parts_mut(schema).for_each(require_in);
}

fn may_be_null(schema: &Value) -> bool {
    let types = schema["type"].as_array().into_iter().flatten();
    let parts = ["oneOf", "anyOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
    types.into_iter().any(|kind| kind == "null") || parts.into_iter().any(|part| part["type"] == "null")
}
