//! What schemas are taken, what they say of events, and that none of them can be made to cost much.

use std::path::{Path, PathBuf};

use eyeline_core::{FieldErrors, Schema};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn schema(schema: Value) -> Schema {
    Schema::compile(&schema).unwrap_or_else(|errors| panic!("{schema}: {errors:?}"))
}

fn refusal(schema: Value) -> FieldErrors {
    Schema::compile(&schema).err().unwrap_or_else(|| panic!("this was taken: {schema}"))
}

fn fields(errors: &FieldErrors) -> Vec<&str> {
    errors.iter().map(|(field, _)| field.as_str()).collect()
}

#[test]
fn every_error_of_an_event_is_told_by_field() {
    let schema = schema(json!({
        "type": "object", "required": ["host", "path"], "additionalProperties": false,
        "properties": {
            "host": {"type": "string"}, "path": {"type": "string", "pattern": "^/"},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}},
            "gone": false
        }
    }));
    assert!(schema.check(r#"{"host": "h", "path": "/", "tags": ["a"]}"#).is_empty());
    let errors = schema.check(r#"{"path": "x", "tags": ["a", "long", 3], "more": 1, "a/b~c": 2, "gone": 1}"#);
    let told = serde_json::to_value(&errors).expect("JSON");
    assert_eq!(
        told,
        json!({
            "data.host": ["This field is required."],
            "data.path": ["This does not match \"^/\"."],
            "data.tags.1": ["This is longer than 3 characters."],
            "data.tags.2": ["This is not of type \"string\"."],
            "data.more": ["The schema has no such field."],
            "data.a/b~c": ["The schema has no such field."],
            "data.gone": ["The schema has no such field."],
        })
    );
}

#[test]
fn an_error_never_quotes_the_event() {
    let schema = schema(json!({"properties": {"a": {"type": "integer"}, "b": {"enum": [1]}, "c": {"minLength": 99}}}));
    let errors = schema.check(r#"{"a": "secret", "b": "secret", "c": "secret"}"#);
    assert_eq!(fields(&errors), ["data.a", "data.b", "data.c"]);
    assert!(!serde_json::to_string(&errors).expect("JSON").contains("secret"));
}

#[test]
fn the_errors_of_an_event_are_bounded() {
    let schema = schema(json!({"items": false, "additionalProperties": {"type": "string"}, "type": "object"}));
    let data: Map<String, Value> = (0..5_000).map(|number| (format!("{number:0>400}"), json!(number))).collect();
    let errors = serde_json::to_string(&schema.check(&Value::Object(data).to_string())).expect("JSON");
    assert!(errors.len() < 100_000, "{} bytes", errors.len());
}

#[test]
fn a_schema_refers_to_nothing_outside_itself() {
    for reference in ["https://example.com/a.json", "file:///etc/passwd", "other.json", "//host/a", "urn:a:b", ""] {
        let errors = refusal(json!({"properties": {"a": {"$ref": reference}}}));
        assert_eq!(fields(&errors), ["schema.properties.a.$ref"], "{reference}");
    }
    let errors = refusal(json!({"$defs": {"a": {"$id": "https://example.com/a"}}, "$ref": "#/$defs/b"}));
    assert_eq!(fields(&errors), ["schema.$defs.a.$id", "schema.$ref"]);
    let inside = schema(json!({
        "$id": "https://example.com/tree", "$defs": {"a": {"$anchor": "leaf", "type": "integer"}, "100%": true},
        "properties": {"a": {"$ref": "#/$defs/a"}, "b": {"$ref": "#leaf"}, "c": {"$ref": "#"},
                       "d": {"$ref": "#/$defs/100%25"}}
    }));
    assert_eq!(fields(&inside.check(r#"{"a": "x", "b": "x", "c": {"a": "x"}}"#)), ["data.a", "data.b", "data.c.a"]);
}

#[test]
fn what_is_no_schema_of_this_kind_is_refused_where_it_is_wrong() {
    let field_of = |schema: Value| fields(&refusal(schema)).join(" ");
    assert_eq!(field_of(json!({"properties": {"a": {"minimum": "x"}}})), "schema.properties.a.minimum");
    assert_eq!(field_of(json!({"type": "text"})), "schema.type");
    assert_eq!(field_of(json!(3)), "schema");
    assert_eq!(field_of(json!({"$schema": "http://json-schema.org/draft-07/schema#"})), "schema.$schema");
    assert_eq!(field_of(json!({"pattern": "("})), "schema.pattern");
    assert_eq!(field_of(json!({"pattern": "(?=a)b"})), "schema.pattern", "looking around takes no linear time");
    assert_eq!(field_of(json!({"pattern": "(a{1000}){1000}"})), "schema.pattern");
}

#[test]
fn a_pattern_that_cannot_be_compiled_is_told_by_its_cause() {
    let cause = |pattern: &str| {
        serde_json::to_string(&refusal(json!({"properties": {"a": {"pattern": pattern}}}))).expect("JSON")
    };
    for (pattern, expected) in [
        ("(", "unclosed group"),
        ("[a", "unclosed character class"),
        ("a{2,1}", "invalid repetition"),
        ("*a", "repetition operator missing expression"),
        ("(?=a)b", "look-around"),
        ("(a)\\1", "backreferences"),
        ("(a{1000}){1000}", "KiB"),
    ] {
        assert!(cause(pattern).contains(expected), "{pattern}: {}", cause(pattern));
    }
    let names = serde_json::to_string(&refusal(json!({"patternProperties": {"a": true, "(": true}}))).expect("JSON");
    assert!(names.contains("unclosed group"), "{names}");
}

#[test]
fn every_format_is_found() {
    let found = eyeline_core::schema::formats(&json!({
        "properties": {"at": {"format": "date-time"}, "format": {"type": "string"}, "list": {"items": {"format": "uri"}}},
        "$defs": {"mail": {"format": "email"}}, "format": 3
    }));
    assert_eq!(
        found,
        ["schema.$defs.mail.format", "schema.properties.at.format", "schema.properties.list.items.format"]
    );
}

#[test]
fn a_schema_has_bounds() {
    let within = |level: Value, times: usize| (0..times).fold(level, |inner, _| json!({"properties": {"a": inner}}));
    schema(within(json!({"type": "string"}), 30));
    refusal(within(json!({"type": "string"}), 40));
    refusal(json!({"description": "x".repeat(70_000)}));
    let patterns: Map<String, Value> = (0..65).map(|number| (format!("a{number}"), json!({"pattern": "a"}))).collect();
    refusal(json!({"properties": patterns}));
}

#[test]
fn a_schema_that_would_judge_without_end_is_refused() {
    refusal(json!({"$ref": "#"}));
    refusal(json!({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}},
                   "properties": {"x": {"$ref": "#/$defs/a"}}}));
    // Two ways from each of many schemas to the next: 2^40 of them.
    let defs: Map<String, Value> = (0..40)
        .map(|number| {
            let next = json!({"$ref": format!("#/$defs/d{}", number + 1)});
            (format!("d{number}"), json!({"allOf": [next, next]}))
        })
        .chain([("d40".to_owned(), json!({"type": "object"}))])
        .collect();
    refusal(json!({"$defs": defs, "$ref": "#/$defs/d0"}));
    // The same, one level of the event for each.
    let twice = json!({"$ref": "#"});
    refusal(json!({"properties": {"a": {"allOf": [twice, twice]}}}));
    refusal(json!({"properties": {"a": twice}, "patternProperties": {"a": twice}}));
    // A tree is no such thing: each of its parts is judged once.
    let tree = schema(json!({
        "$defs": {"node": {"required": ["left"], "properties": {"left": {"$ref": "#/$defs/node"},
                           "right": {"$ref": "#/$defs/node"}}}},
        "properties": {"tree": {"$ref": "#/$defs/node"}}
    }));
    assert_eq!(fields(&tree.check(r#"{"tree": {"left": {"left": 1}, "right": {}}}"#)), ["data.tree.right.left"]);
}

#[test]
fn the_longest_schema_within_the_bounds_is_compiled_and_judges() {
    const PLACES: usize = 49;
    let defs: Map<String, Value> = (0..PLACES)
        .map(|number| {
            let next = json!({"$ref": format!("#/$defs/d{}", (number + 1) % PLACES)});
            (format!("d{number}"), (0..28).fold(next, |inner, _| json!({"properties": {"a": inner}})))
        })
        .collect();
    let schema = schema(json!({"$defs": defs, "$ref": "#/$defs/d0"}));
    let data = (0..31).fold(json!({}), |inner, _| json!({"a": inner}));
    assert!(schema.check(&data.to_string()).is_empty());
}

fn json_values() -> impl Strategy<Value = Value> {
    let words = ["type", "properties", "$ref", "#", "allOf", "items", "required", "string", "pattern", "^a*$", "enum"];
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(words.to_vec()), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_schema_and_no_event_make_it_panic(schema in json_values(), data in json_values()) {
        if let Ok(schema) = Schema::compile(&schema) {
            let _verdict = schema.check_value(&data);
        }
    }
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/json-schema")
}

/// The verdicts of the specification's own test suite. What a schema is not taken for (references to elsewhere, other
/// dialects, patterns that look around) is counted and has to stay the small part of it.
#[test]
fn the_verdicts_are_those_of_the_specifications_test_suite() {
    let Ok(files) = std::fs::read_dir(corpus()) else {
        eprintln!("NOT RUN: 0 files of the JSON Schema test suite are at {}", corpus().display());
        return;
    };
    let (mut judged, mut refused, mut wrong) = (0, Vec::new(), Vec::new());
    for file in files {
        let path = file.expect("a file").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        // There `format` is asserted, which here it is not.
        if name.contains("optional__format") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a file of the corpus");
        let cases: Vec<Value> = serde_json::from_str(&text).expect("cases");
        for case in cases {
            let schema = match Schema::compile(&case["schema"]) {
                Ok(schema) => schema,
                Err(errors) => {
                    refused.push(format!("{name}: {}: {errors:?}", case["description"]));
                    continue;
                }
            };
            for test in case["tests"].as_array().expect("tests") {
                judged += 1;
                if schema.check_value(&test["data"]).is_empty() != (test["valid"] == true) {
                    wrong.push(format!("{name}: {}: {}", case["description"], test["description"]));
                }
            }
        }
    }
    eprintln!("{judged} verdicts; {} schemas are not taken:\n{}", refused.len(), refused.join("\n"));
    assert!(wrong.is_empty(), "{} of {judged} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(judged > 1_000, "only {judged} verdicts");
}
