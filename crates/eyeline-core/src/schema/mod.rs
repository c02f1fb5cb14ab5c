//! The schema of an event type: what the `data` of its events has to look like, by JSON Schema 2020-12.
//!
//! A schema comes from outside and judges every event of its type, so it is bounded in what it may cost before it is
//! taken: in size, in depth, in what one judgement may do, and its patterns run on an engine that takes linear time.
//! It refers to nothing outside itself. `format` is an annotation, as the specification has it by default.

mod bounds;

use std::fmt::Write as _;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::FieldErrors;

/// Bytes of a schema as JSON text.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// Fields with a format that are told of one schema.
const FORMATS_MAX: usize = 20;
/// Errors told of one event.
const ERRORS_MAX: usize = 100;
/// Bytes of one sentence; it may quote the schema.
const SENTENCE_BYTES_MAX: usize = 300;
/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 256 * 1024;
/// Compiling follows references from one to the next; no schema within the bounds needs a tenth of this.
const COMPILE_STACK_BYTES: usize = 64 * 1024 * 1024;

/// A compiled schema.
#[derive(Clone, Debug)]
pub struct Schema {
    validator: Validator,
}

impl Schema {
    /// The error says what is wrong by field, each field below `schema`.
    pub fn compile(schema: &Value) -> Result<Schema, FieldErrors> {
        bounds::check(schema)?;
        let compiled = std::thread::scope(|scope| {
            let compiler = std::thread::Builder::new().stack_size(COMPILE_STACK_BYTES);
            let compiling = compiler.spawn_scoped(scope, || build(schema));
            compiling.ok().and_then(|compiling| compiling.join().ok())
        });
        let refused = || FieldErrors::one("schema", "This cannot be compiled.");
        compiled.unwrap_or_else(|| Err(refused())).map(|validator| Schema { validator })
    }

    /// What is wrong with an event's `data`, a JSON object as text, by field (`data.path.to.field`); nothing when it is
    /// in order.
    pub fn check(&self, data: &str) -> FieldErrors {
        match serde_json::from_str(data) {
            Ok(data) => self.check_value(&data),
            Err(error) => FieldErrors::one("data", format!("This cannot be read: {error}.")),
        }
    }

    /// As [`Schema::check`], for any JSON value.
    pub fn check_value(&self, data: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        // Most events are in order: that alone is told much faster.
        if !self.validator.is_valid(data) {
            for error in self.validator.iter_errors(data).take(ERRORS_MAX) {
                tell(&error, &mut errors);
            }
        }
        errors
    }
}

fn build(schema: &Value) -> Result<Validator, FieldErrors> {
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
    let options = jsonschema::options().with_draft(Draft::Draft202012).offline().with_pattern_options(patterns);
    options.build(schema).map_err(|error| {
        let field = path("schema", error.instance_path().as_str());
        if field.ends_with(".pattern") || field.contains("patternProperties") {
            return FieldErrors::one(field, pattern_sentence(schema, error.instance_path().as_str()));
        }
        FieldErrors::one(field, sentence(&error))
    })
}

/// Why a pattern cannot be compiled: that of a `pattern`, or one of the names below a `patternProperties`.
fn pattern_sentence(schema: &Value, pointer: &str) -> String {
    let patterns: Vec<&str> = match schema.pointer(pointer) {
        Some(Value::String(pattern)) => vec![pattern],
        // The error stands at the names, or at what one of them stands for.
        _ => {
            let above = pointer.rsplit_once("/patternProperties").and_then(|(above, _)| schema.pointer(above));
            let schemas = above.and_then(|above| above["patternProperties"].as_object());
            schemas.into_iter().flat_map(|schemas| schemas.keys()).map(String::as_str).collect()
        }
    };
    let cause = patterns.into_iter().find_map(|pattern| regex_syntax::parse(pattern).err());
    let cause = match &cause {
        Some(regex_syntax::Error::Parse(error)) => error.kind().to_string(),
        Some(regex_syntax::Error::Translate(error)) => error.kind().to_string(),
        _ => format!("it takes more than {} KiB when it is compiled: repeat less", PATTERN_BYTES_MAX / 1024),
    };
    cut(format!("This is no regular expression that can be used: {}", cause.trim_end_matches('.'))) + "."
}

/// The fields of a schema that name a `format`, at most 20. A format describes a value and is not checked.
pub fn formats(schema: &Value) -> Vec<String> {
    let mut fields = Vec::new();
    let mut open = vec![("schema".to_owned(), schema)];
    while let Some((path, schema)) = open.pop() {
        let Value::Object(object) = schema else { continue };
        if object.get("format").is_some_and(Value::is_string) {
            fields.push(cut(format!("{path}.format")));
        }
        open.extend(bounds::below(object).map(|(below, schema, _)| (format!("{path}.{below}"), schema)));
    }
    fields.sort();
    fields.truncate(FORMATS_MAX);
    fields
}

/// Writes one error of a validation in the words of the API.
fn tell(error: &ValidationError<'_>, errors: &mut FieldErrors) {
    let field = path("data", error.instance_path().as_str());
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            errors.required(format!("{field}.{}", property.as_str().unwrap_or_default()));
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for name in unexpected.iter().take(ERRORS_MAX) {
                errors.add(cut(format!("{field}.{name}")), "The schema has no such field.");
            }
        }
        ValidationErrorKind::FalseSchema => errors.add(field, "The schema has no such field."),
        _ => errors.add(cut(field), sentence(error)),
    }
}

/// The validator's own words, about "this" instead of the value itself, which may be long or not fit for a log.
fn sentence(error: &ValidationError<'_>) -> String {
    let mut text = cut(error.masked_with("This").to_string());
    text.push('.');
    text
}

fn cut(mut text: String) -> String {
    if text.len() > SENTENCE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(SENTENCE_BYTES_MAX));
        text.push('…');
    }
    text
}

/// A JSON pointer as a field path: `/items/0/a~1b` below `data` is `data.items.0.a/b`.
fn path(root: &str, pointer: &str) -> String {
    let mut path = root.to_owned();
    for part in pointer.split('/').skip(1) {
        let _infallible = write!(path, ".{}", part.replace("~1", "/").replace("~0", "~"));
    }
    path
}
