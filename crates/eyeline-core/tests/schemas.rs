//! Schemas: the accepted ones, their verdicts on events, and a bound on their cost.

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
    // Two references from each of many schemas to the next: 2^40 paths.
    let defs: Map<String, Value> = (0..40)
        .map(|number| {
            let next = json!({"$ref": format!("#/$defs/d{}", number + 1)});
            (format!("d{number}"), json!({"allOf": [next, next]}))
        })
        .chain([("d40".to_owned(), json!({"type": "object"}))])
        .collect();
    refusal(json!({"$defs": defs, "$ref": "#/$defs/d0"}));
    // The same, with one level of the event for each.
    let twice = json!({"$ref": "#"});
    refusal(json!({"properties": {"a": {"allOf": [twice, twice]}}}));
    refusal(json!({"properties": {"a": twice}, "patternProperties": {"a": twice}}));
    // A tree does not grow like that: each of its parts is judged once.
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

/// Schemas and events that would take long to judge, or much memory to explain.
fn costly() -> Vec<(&'static str, Value, Value)> {
    let branches = |count, branch: Value| Value::from(vec![branch; count]);
    let in_items = |schema: Value| json!({"properties": {"a": {"items": schema}}});
    let in_a = |schema: Value| json!({"properties": {"a": schema}});
    let many = |count, item: Value| json!({"a": vec![item; count]});
    let keys = |count| Value::Object((0..count).map(|number| (format!("abababab{number}"), json!(number))).collect());
    let nested = (0..15).fold(
        json!({"type": "object"}),
        |inner, _| json!({"anyOf": [inner, false], "unevaluatedProperties": {"type": "integer"}}),
    );
    let mut equal_hashes = vec![json!([])];
    for number in 0..3_000 {
        equal_hashes.push(json!([equal_hashes[number / 50], equal_hashes[number % 50]]));
    }
    let names: Map<String, Value> = (0..60).map(|number| (format!("[ab]*a[ab]{{30}}{number}"), json!(true))).collect();
    let arrays: Vec<Value> = (0..3_000).map(|number| json!([[1, 1, 1], number])).collect();
    let required: Vec<String> = (0..6_000).map(|number| format!("k{number}")).collect();
    let long_pattern = "[ab]*a[ab]{1900}c";
    vec![
        (
            "branches by items",
            in_items(json!({"anyOf": branches(1_900, json!({"type": "string"}))})),
            many(17_000, json!(1)),
        ),
        (
            "exactly one branch",
            in_items(json!({"oneOf": branches(900, json!({"const": "a"}))})),
            many(17_000, json!("b")),
        ),
        ("branches of nothing", in_items(json!({"anyOf": branches(1_900, json!(false))})), many(30_000, json!(1))),
        (
            "branches over a large root",
            json!({"anyOf": branches(1_900, json!({"type": "string"}))}),
            many(30_000, json!(1)),
        ),
        (
            "a negation of much",
            in_items(json!({"not": {"allOf": branches(600, json!({"const": 1}))}})),
            many(20_000, json!(1)),
        ),
        (
            "contains",
            in_a(json!({"contains": {"allOf": branches(900, json!({"minimum": 1}))}, "minContains": 40_000})),
            many(30_000, json!(1)),
        ),
        ("a pattern of 1,900 places", in_a(json!({"pattern": long_pattern})), json!({"a": "ab".repeat(30_000)})),
        ("a pattern for names", json!({"propertyNames": {"maxLength": 99, "pattern": long_pattern}}), keys(3_000)),
        ("patterns of properties", json!({"patternProperties": names}), keys(3_000)),
        ("unevaluated properties within each other", nested, keys(3_000)),
        ("equal hashes", in_a(json!({"uniqueItems": true})), json!({"a": equal_hashes})),
        ("a long enum of arrays", in_items(json!({"enum": arrays})), many(3_000, json!([[1, 1, 1], -1]))),
        ("required names", in_items(json!({"required": required})), many(20_000, json!({}))),
        (
            "divisions",
            in_items(json!({"allOf": branches(300, json!({"multipleOf": 1e-300}))})),
            many(3_000, json!(f64::MAX)),
        ),
        (
            "a long path",
            json!({"additionalProperties": {"items": {"type": "string"}}}),
            json!({"x".repeat(30_000): vec![1; 17_000]}),
        ),
    ]
}

#[test]
fn no_event_costs_much_to_judge_and_what_costs_too_much_says_so() {
    for (name, declared, event) in costly() {
        let errors = serde_json::to_string(&schema(declared).check(&event.to_string())).expect("JSON");
        assert!(errors.contains("would take too long"), "{name}: {errors}");
        assert!(errors.len() < 70_000, "{name}: {} bytes", errors.len());
    }
}

#[test]
fn the_errors_that_the_budget_leads_to_are_told() {
    let declared = json!({"properties": {"a": {"items": {"anyOf": vec![json!({"type": "string"}); 1_900]}}}});
    let errors = schema(declared).check(&json!({"a": vec![1; 5_000]}).to_string());
    assert_eq!(fields(&errors)[..2], ["data", "data.a.0"], "{errors:?}");
    let errors = schema(json!({"additionalProperties": {"type": "string"}})).check(r#"{"a": 1, "b": null}"#);
    assert_eq!(fields(&errors), ["data.a", "data.b"], "an error of a null is none that was made too late");
}

#[test]
fn large_events_of_usual_types_are_judged() {
    let item = json!({
        "type": "object", "required": ["sku", "price"], "additionalProperties": false,
        "properties": {
            "sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4,8}$"},
            "price": {"type": "number", "minimum": 0, "multipleOf": 0.01},
            "currency": {"enum": ["EUR", "USD", "GBP"]},
            "tags": {"type": "array", "uniqueItems": true, "items": {"type": "string", "maxLength": 40}}
        }
    });
    let cart = schema(json!({"properties": {"items": {"type": "array", "items": item}}}));
    let bought = json!({"sku": "AB-123456", "price": 12.25, "currency": "EUR", "tags": ["a", "b"]});
    let event = json!({"items": vec![bought; 900]}).to_string();
    assert!(event.len() > 55_000 && cart.check(&event).is_empty(), "{:?}", cart.check(&event));

    let numbers = schema(json!({"properties": {"a": {"items": {"type": "integer", "minimum": 0, "maximum": 9}}}}));
    assert!(numbers.check(&json!({"a": vec![7; 30_000]}).to_string()).is_empty());
    let text = schema(json!({"properties": {"a": {"pattern": "^[\\p{L}\\p{N}\\s.,]*$"}}}));
    assert!(text.check(&json!({"a": "a text. ".repeat(900)}).to_string()).is_empty());
}

#[test]
fn a_pattern_that_searches_at_too_many_places_is_refused() {
    for pattern in ["[ab]*a[ab]{3600}c", "(a|b)*a(a|bc){1500}c", "((x{40}){9}y?){9}", "^(\\w{50}-){60}$"] {
        for declared in [json!({"pattern": pattern}), json!({"patternProperties": {pattern: true}})] {
            let errors = serde_json::to_string(&refusal(declared)).expect("JSON");
            assert!(errors.contains("places at one time") || errors.contains("KiB"), "{pattern}: {errors}");
        }
    }
}

#[test]
fn a_schema_that_would_take_much_memory_is_refused() {
    let long_paths = (0..30).fold(
        json!({"anyOf": vec![json!({"not": {"type": "null"}}); 900]}),
        |inner, _| json!({"properties": {"x".repeat(500): inner}}),
    );
    let errors = serde_json::to_string(&refusal(long_paths)).expect("JSON");
    assert!(errors.contains("MiB when it is compiled"), "{errors}");
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

/// The verdicts of the specification's own test suite. Cases with unsupported keywords (remote references, other
/// dialects, look-around patterns) are counted and must stay a small part of it.
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
        // There `format` is asserted; here it is not.
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
