//! The cost of a schema, bounded before it is compiled.
//!
//! A schema is a graph. Its nodes are schemas. Its edges lead to schemas that judge the same value (`allOf`, `$ref` and
//! the like) or a part of it (`properties`, `items`). The cost of one part of an event is bounded by the number of
//! schemas on all paths that go down into parts at most as often as an event is deep. A path that returns to its start
//! without going down would never end.

use std::collections::{HashMap, HashSet};

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::SCHEMA_BYTES_MAX;
use super::metered::{ERROR_BYTES, Prices, bytes};
use super::patterns::Pattern;
use crate::FieldErrors;
use crate::event::DATA_DEPTH_MAX;

/// Nesting depth of schemas.
const DEPTH_MAX: usize = 32;
const PATTERNS_MAX: usize = 64;
/// Distinct targets of references.
const TARGETS_MAX: usize = 50;
/// Schemas that may judge one part of an event, over all paths.
const WORK_MAX: u64 = 2_000;
/// Schemas on the longest chain in which each waits for the next.
const HEIGHT_MAX: u64 = 400;
/// Number of `enum` values that cost about as much as a schema.
const ENUM_VALUES: u64 = 16;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Work that costs one step for each item or member, besides the schemas that judge it.
const WORK_A_STEP: u64 = 32;
/// Steps of a division by a number with a fraction.
const DIVISION_STEPS: u64 = 250;
/// Approximate bytes of a compiled schema.
const COMPILED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of a compiled keyword, besides its path and its values.
const KEYWORD_BYTES: u64 = 300;
/// Copies of a keyword's values in the compiled schema.
const COPIES: u64 = 4;

/// A schema within its bounds.
pub(super) struct Bounded {
    pub(super) prices: Prices,
    /// Approximate bytes of memory of the compiled schema.
    pub(super) bytes: u64,
    pub(super) patterns: HashMap<String, Pattern>,
}

/// Checks the bounds of a schema and compiles its patterns.
pub(super) fn check(schema: &Value) -> Result<Bounded, FieldErrors> {
    if schema.to_string().len() > SCHEMA_BYTES_MAX {
        return Err(FieldErrors::one("schema", format!("At most {SCHEMA_BYTES_MAX} bytes are taken.")));
    }
    let mut walk = Walk {
        errors: FieldErrors::new(),
        anchors: HashMap::new(),
        references: Vec::new(),
        patterns: HashMap::new(),
        patterns_count: 0,
        prices: Prices { part: 1, name_byte: 0, number: 1, error: ERROR_BYTES },
        bytes: 0,
        unevaluated: 0,
    };
    walk.visit(schema, "schema".to_owned(), 0);
    let Walk { mut errors, anchors, references, patterns, patterns_count, mut prices, mut bytes, .. } = walk;
    bytes += patterns.values().map(|pattern| pattern.bytes).sum::<u64>();
    if bytes > COMPILED_BYTES_MAX {
        errors.add(
            "schema",
            format!(
                "This takes some {} MiB when it is compiled, and at most {} are taken: nest less, or use shorter names.",
                bytes.div_ceil(1024 * 1024),
                COMPILED_BYTES_MAX / (1024 * 1024)
            ),
        );
    }
    if patterns_count > PATTERNS_MAX {
        errors.add("schema", format!("At most {PATTERNS_MAX} patterns are taken."));
    }
    let graph = Graph { root: schema, anchors };
    let mut targets = HashSet::new();
    for (field, reference) in references {
        match reference.strip_prefix('#') {
            None => errors.add(field, "This has to begin with #: a schema refers to nothing outside itself."),
            Some(_) if graph.targets(reference).is_empty() => errors.add(field, "This leads to nothing."),
            Some(_) => drop(targets.insert(reference)),
        }
    }
    if targets.len() > TARGETS_MAX {
        errors.add("schema", format!("At most {TARGETS_MAX} different places may be referred to."));
    }
    errors.or(())?;
    let mut ways = Ways { graph, known: HashMap::new(), open: HashSet::new() };
    let cost = ways.cost(schema, DATA_DEPTH_MAX).map_err(|sentence| FieldErrors::one("schema", sentence))?;
    if cost.work > WORK_MAX || cost.height > HEIGHT_MAX {
        return Err(FieldErrors::one("schema", TOO_MUCH));
    }
    prices.part = 1 + cost.work / WORK_A_STEP;
    Ok(Bounded { prices, bytes, patterns })
}

const TOO_MUCH: &str =
    "Judging one event by this could take too long: its schemas lead to each other in too many ways.";
const ENDLESS: &str = "A $ref in this leads back to itself without going down into a part of the event.";

/// The relation of a nested schema to the one around it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// Judges the same value.
    Same,
    /// May judge any part of the value.
    Part,
    /// One of several, of which at most one judges a part.
    OneOfParts,
    /// Only a target for references.
    Named,
}

const SINGLE: [(&str, Edge); 11] = [
    ("not", Edge::Same),
    ("if", Edge::Same),
    ("then", Edge::Same),
    ("else", Edge::Same),
    ("additionalProperties", Edge::Part),
    ("unevaluatedProperties", Edge::Part),
    ("propertyNames", Edge::Part),
    ("items", Edge::Part),
    ("unevaluatedItems", Edge::Part),
    ("contains", Edge::Part),
    ("contentSchema", Edge::Part),
];
/// In arrays or, by name, in objects.
const SEVERAL: [(&str, Edge); 9] = [
    ("allOf", Edge::Same),
    ("anyOf", Edge::Same),
    ("oneOf", Edge::Same),
    ("dependentSchemas", Edge::Same),
    ("patternProperties", Edge::Part),
    ("properties", Edge::OneOfParts),
    ("prefixItems", Edge::OneOfParts),
    ("$defs", Edge::Named),
    ("definitions", Edge::Named),
];

/// The direct subschemas, each with its path.
pub(super) fn below(object: &Map<String, Value>) -> impl Iterator<Item = (String, &Value, Edge)> {
    let single =
        SINGLE.into_iter().filter_map(|(keyword, edge)| Some((keyword.to_owned(), object.get(keyword)?, edge)));
    let several = SEVERAL.into_iter().flat_map(|(keyword, edge)| {
        let named: Vec<(String, &Value)> = match object.get(keyword) {
            Some(Value::Array(schemas)) => {
                schemas.iter().enumerate().map(|(index, schema)| (format!("{keyword}.{index}"), schema)).collect()
            }
            Some(Value::Object(schemas)) => {
                schemas.iter().map(|(name, schema)| (format!("{keyword}.{name}"), schema)).collect()
            }
            _ => Vec::new(),
        };
        named.into_iter().map(move |(path, schema)| (path, schema, edge))
    });
    single.chain(several)
}

fn references(object: &Map<String, Value>) -> impl Iterator<Item = (&'static str, &str)> {
    let keywords = ["$ref", "$dynamicRef"].into_iter();
    keywords.filter_map(|keyword| Some((keyword, object.get(keyword)?.as_str()?)))
}

/// Visits every subschema once.
struct Walk<'a> {
    errors: FieldErrors,
    anchors: HashMap<&'a str, Vec<&'a Value>>,
    /// The field of each reference, and its target.
    references: Vec<(String, &'a str)>,
    patterns: HashMap<String, Pattern>,
    /// Equal ones included.
    patterns_count: usize,
    prices: Prices,
    bytes: u64,
    /// `unevaluatedProperties` and `unevaluatedItems` above the visited schema. Each compiles everything below it once
    /// more.
    unevaluated: u64,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, schema: &'a Value, path: String, depth: usize) {
        let Value::Object(object) = schema else {
            self.bytes += path.len() as u64 + KEYWORD_BYTES;
            return;
        };
        if depth > DEPTH_MAX {
            self.errors.add("schema", format!("At most {DEPTH_MAX} levels are taken."));
            return;
        }
        if let Some(dialect) = object.get("$schema")
            && dialect.as_str().is_none_or(|dialect| dialect.trim_end_matches('#') != DIALECT)
        {
            self.errors.add(format!("{path}.$schema"), format!("This has to be {DIALECT}."));
        }
        if depth > 0 && object.contains_key("$id") {
            self.errors.add(format!("{path}.$id"), "Only the whole schema can have an $id.");
        }
        for keyword in ["$anchor", "$dynamicAnchor"] {
            if let Some(name) = object.get(keyword).and_then(Value::as_str) {
                self.anchors.entry(name).or_default().push(schema);
            }
        }
        self.references.extend(references(object).map(|(keyword, target)| (format!("{path}.{keyword}"), target)));
        if let Some(pattern) = object.get("pattern").and_then(Value::as_str) {
            self.pattern(pattern, || format!("{path}.pattern"));
        }
        for name in object.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            self.prices.name_byte += self.pattern(name, || format!("{path}.patternProperties"));
        }
        if object.get("multipleOf").is_some_and(|divisor| !divisor.is_u64()) {
            self.prices.number = DIVISION_STEPS;
        }
        let copied = ["not", "required"].into_iter().filter_map(|keyword| object.get(keyword)).map(bytes).max();
        self.prices.error = self.prices.error.max(ERROR_BYTES + copied.unwrap_or(0));
        self.unevaluated += unevaluated(object);
        self.bytes += compiled_bytes(object, path.len()) * (1 + self.unevaluated);
        for (name, schema, _) in below(object) {
            self.visit(schema, format!("{path}.{name}"), depth + 1);
        }
        self.unevaluated -= unevaluated(object);
    }

    /// Steps of a pattern for each byte of a text.
    fn pattern(&mut self, text: &str, field: impl FnOnce() -> String) -> u64 {
        self.patterns_count += 1;
        // Beyond it the schema is refused.
        if self.patterns_count > PATTERNS_MAX {
            return 0;
        }
        match Pattern::compile(text) {
            Ok(pattern) => {
                let places = pattern.places;
                self.patterns.insert(text.to_owned(), pattern);
                places
            }
            Err(sentence) => {
                self.errors.add(field(), sentence);
                0
            }
        }
    }
}

fn unevaluated(object: &Map<String, Value>) -> u64 {
    let keywords = ["unevaluatedProperties", "unevaluatedItems"];
    keywords.into_iter().filter(|keyword| object.contains_key(*keyword)).count() as u64
}

/// Bytes of one compiled schema, without its subschemas. Each keyword stores its path.
fn compiled_bytes(object: &Map<String, Value>, path: usize) -> u64 {
    let is_schema = |keyword: &str| {
        keyword != "not"
            && (SINGLE.iter().any(|(single, _)| *single == keyword)
                || SEVERAL.iter().any(|(several, _)| *several == keyword))
    };
    let values = object.iter().filter(|(keyword, _)| !is_schema(keyword)).map(|(_, value)| bytes(value)).sum::<u64>();
    (2 + object.len() as u64) * (path as u64 + KEYWORD_BYTES) + COPIES * values
}

struct Graph<'a> {
    root: &'a Value,
    anchors: HashMap<&'a str, Vec<&'a Value>>,
}

impl<'a> Graph<'a> {
    /// The possible targets of a reference; a dynamic one may have several.
    fn targets(&self, reference: &str) -> Vec<&'a Value> {
        let fragment = percent_decode_str(reference.trim_start_matches('#')).decode_utf8_lossy();
        if fragment.is_empty() || fragment.starts_with('/') {
            return self.root.pointer(&fragment).into_iter().collect();
        }
        self.anchors.get(fragment.as_ref()).cloned().unwrap_or_default()
    }
}

#[derive(Clone, Copy, Default)]
struct Cost {
    work: u64,
    height: u64,
}

impl Cost {
    /// The cost of two schemas that both judge.
    fn and(self, other: Cost) -> Cost {
        Cost { work: self.work.saturating_add(other.work), height: self.height.max(other.height) }
    }

    /// The higher cost of two alternatives.
    fn or(self, other: Cost) -> Cost {
        Cost { work: self.work.max(other.work), height: self.height.max(other.height) }
    }
}

/// A schema by its address in memory, and its distance to the bottom of an event.
type Place = (*const Value, usize);

struct Ways<'a> {
    graph: Graph<'a>,
    known: HashMap<Place, Cost>,
    /// The schemas on the path to the present one.
    open: HashSet<Place>,
}

impl<'a> Ways<'a> {
    fn cost(&mut self, schema: &'a Value, depth: usize) -> Result<Cost, &'static str> {
        let Value::Object(object) = schema else { return Ok(Cost { work: 1, height: 1 }) };
        let place = (std::ptr::from_ref(schema), depth);
        if let Some(known) = self.known.get(&place) {
            return Ok(*known);
        }
        if self.open.len() as u64 > HEIGHT_MAX {
            return Err(TOO_MUCH);
        }
        if !self.open.insert(place) {
            return Err(ENDLESS);
        }
        let (mut all, mut one_of_parts) = (Cost::default(), Cost::default());
        for (_, reference) in references(object) {
            let mut dearest = Cost::default();
            for target in self.graph.targets(reference) {
                dearest = dearest.or(self.cost(target, depth)?);
            }
            all = all.and(dearest);
        }
        for (_, schema, edge) in below(object) {
            match (edge, depth.checked_sub(1)) {
                (Edge::Same, _) => all = all.and(self.cost(schema, depth)?),
                (Edge::Part, Some(depth)) => all = all.and(self.cost(schema, depth)?),
                (Edge::OneOfParts, Some(depth)) => one_of_parts = one_of_parts.or(self.cost(schema, depth)?),
                (Edge::Part | Edge::OneOfParts, None) | (Edge::Named, _) => {}
            }
        }
        self.open.remove(&place);
        let values = object.get("enum").and_then(Value::as_array).map_or(0, |values| values.len() as u64 / ENUM_VALUES);
        let rest = all.and(one_of_parts);
        let cost = Cost { work: rest.work.saturating_add(1 + values), height: rest.height + 1 };
        self.known.insert(place, cost);
        Ok(cost)
    }
}
