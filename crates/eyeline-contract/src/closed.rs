//! Closes schemas: they reject every property that they do not name.

use serde_json::{Map, Value};

/// The schema without references, and closed at every depth: an object may have only its named properties. An object
/// without named properties stays open, because its schema says only that it is an object.
pub fn closed(schema: &Value, document: &Value) -> Value {
    close(schema, document, false)
}

/// `is_part` is true for a part of a composition, which is closed as a whole.
fn close(schema: &Value, document: &Value, is_part: bool) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
        let pointer = reference.trim_start_matches('#');
        let target = document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return close(target, document, is_part);
    }
    let mut closed = Map::new();
    for (key, value) in fields {
        let value = match key.as_str() {
            "allOf" | "oneOf" | "anyOf" => each(value, |part| close(part, document, true)),
            "properties" | "prefixItems" => each(value, |part| close(part, document, false)),
            "items" | "additionalProperties" => close(value, document, false),
            _ => value.clone(),
        };
        closed.insert(key.clone(), value);
    }
    let names_properties = ["properties", "allOf", "oneOf", "anyOf"].iter().any(|key| closed.contains_key(*key));
    if !is_part && names_properties && !closed.contains_key("additionalProperties") {
        closed.insert("unevaluatedProperties".to_owned(), false.into());
    }
    Value::Object(closed)
}

fn each(value: &Value, change: impl Fn(&Value) -> Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, part)| (name.clone(), change(part))).collect(),
        Value::Array(parts) => parts.iter().map(change).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_property_that_no_part_of_a_schema_names_is_refused() {
        let document = json!({"components": {"schemas": {
            "Named": {"type": "object", "properties": {"name": {"type": "string"}}},
        }}});
        let named = json!({"$ref": "#/components/schemas/Named"});
        let schema =
            json!({"allOf": [named, {"type": "object", "properties": {"of": named, "free": {"type": "object"}}}]});
        let validator = jsonschema::validator_for(&closed(&schema, &document)).expect("a schema");
        assert!(validator.is_valid(&json!({"name": "x", "of": {"name": "y"}, "free": {"anything": 1}})));
        assert!(!validator.is_valid(&json!({"name": "x", "other": 1})));
        assert!(!validator.is_valid(&json!({"name": "x", "of": {"name": "y", "other": 1}})));
    }
}
