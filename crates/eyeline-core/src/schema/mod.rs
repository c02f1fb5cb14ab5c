//! The schema of an event type: the shape of its events' `data`, in JSON Schema 2020-12.
//!
//! A schema comes from a tenant and judges every event of its type. Its size, depth, patterns and cost per part of an
//! event are bounded before it is accepted. A judgement has a budget of steps and of bytes for errors, so the verdict
//! depends on schema and event alone, not on the speed of the machine. A schema refers to nothing outside itself.
//! `format` is an annotation, which is the specification's default.

mod bounds;
mod metered;
mod patterns;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use self::bounds::Bounded;
use self::metered::{Meter, Metered, Part, Prices};
use self::patterns::Pattern;
use crate::FieldErrors;
use crate::field_errors::REQUIRED;

/// Bytes of a schema as JSON text.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// Fields with a `format` that an answer lists.
const FORMATS_MAX: usize = 20;
/// Errors of one event that an answer lists.
const ERRORS_MAX: usize = 100;
/// Bytes of one sentence; it may quote the schema.
const SENTENCE_BYTES_MAX: usize = 300;
/// Steps of one judgement: accesses to parts of an event, and bytes of texts times the places of patterns. They take
/// about 30 ms.
const STEPS_MAX: u64 = 2_000_000;
/// Bytes of the errors of one judgement; most of them may be nested in others.
const ERROR_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Compiling recurses along references. A schema within the bounds needs less than a tenth of this.
const COMPILE_STACK_BYTES: usize = 64 * 1024 * 1024;

/// A compiled schema.
#[derive(Clone, Debug)]
pub struct Schema {
    /// An error is the verdict on every event.
    validator: Result<Validator<Metered>, FieldErrors>,
    prices: Prices,
    bytes: u64,
}

impl Schema {
    /// Returns errors by field, each below `schema`.
    pub fn compile(schema: &Value) -> Result<Schema, FieldErrors> {
        let Bounded { prices, bytes, patterns } = bounds::check(schema)?;
        let compiled = std::thread::scope(|scope| {
            let compiler = std::thread::Builder::new().stack_size(COMPILE_STACK_BYTES);
            let compiling = compiler.spawn_scoped(scope, || build(schema, patterns));
            compiling.ok().and_then(|compiling| compiling.join().ok())
        });
        let refused = || FieldErrors::one("schema", "This cannot be compiled.");
        compiled.unwrap_or_else(|| Err(refused())).map(|validator| Schema { validator: Ok(validator), prices, bytes })
    }

    /// Stands for a stored schema that is no longer accepted: no event fits it.
    pub fn refused() -> Schema {
        let errors = FieldErrors::one("data", NOT_TAKEN);
        Schema { validator: Err(errors), prices: Prices::default(), bytes: 0 }
    }

    /// Approximate bytes of memory.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The errors of an event's `data` (a JSON object as text), by field (`data.path.to.field`); empty if it fits.
    pub fn check(&self, data: &str) -> FieldErrors {
        match serde_json::from_str(data) {
            Ok(data) => self.check_value(&data),
            Err(error) => FieldErrors::one("data", format!("This cannot be read: {error}.")),
        }
    }

    /// As [`Schema::check`], for any JSON value.
    pub fn check_value(&self, data: &Value) -> FieldErrors {
        let validator = match &self.validator {
            Ok(validator) => validator,
            Err(errors) => return errors.clone(),
        };
        let meter = Meter::new(self.prices, STEPS_MAX, ERROR_BYTES_MAX);
        let is_valid = validator.is_valid(Part::root(data, &meter));
        if meter.is_spent() {
            return FieldErrors::one("data", TOO_COSTLY);
        }
        // Most events fit, and a plain yes is much faster.
        if is_valid { FieldErrors::new() } else { self.errors(validator, data) }
    }

    /// The errors of data that does not fit, as far as the budget allows.
    fn errors(&self, validator: &Validator<Metered>, data: &Value) -> FieldErrors {
        let meter = Meter::new(self.prices, STEPS_MAX, ERROR_BYTES_MAX);
        let mut told = Told::default();
        for error in validator.iter_errors(Part::root(data, &meter)) {
            // These were made after the budget was spent.
            let is_void = matches!(error.instance(), Cow::Owned(Value::Null));
            if !is_void && !told.tell(&error) {
                break;
            }
        }
        if meter.is_spent() {
            told.errors.add("data", MORE_ERRORS);
        }
        told.errors
    }
}

const NOT_TAKEN: &str =
    "The schema of this type is beyond the limits of this version: store the type again, within them.";
const TOO_COSTLY: &str = "Judging this by the schema of its type would take too long: send less in one event, or give the \
                          type a simpler schema.";
const MORE_ERRORS: &str = "This does not fit the schema of its type. Finding all that is wrong would take too long: more \
                           may be wrong than is told.";

fn build(schema: &Value, patterns: HashMap<String, Pattern>) -> Result<Validator<Metered>, FieldErrors> {
    let options = jsonschema::options_for::<Metered>().with_draft(Draft::Draft202012).offline();
    let names = PatternOptions::regex().size_limit(patterns::BYTES_MAX).dfa_size_limit(patterns::BYTES_MAX);
    let options = options.with_pattern_options(names).with_keyword("pattern", move |_, text, _| {
        let pattern = text.as_str().and_then(|text| patterns.get(text));
        Ok(Box::new(pattern.cloned().ok_or_else(|| ValidationError::custom("This is no text"))?))
    });
    options
        .build(schema)
        .map_err(|error| FieldErrors::one(path("schema", error.instance_path().as_str()), sentence(&error)))
}

/// The fields of a schema with a `format`, at most 20. A format describes a value and is not checked.
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

/// Errors in the words of the API.
#[derive(Default)]
struct Told {
    errors: FieldErrors,
    count: usize,
}

impl Told {
    /// Adds an error; false if no more are accepted.
    fn tell(&mut self, error: &ValidationError<'_>) -> bool {
        let field = path("data", error.instance_path().as_str());
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                let field = format!("{field}.{}", property.as_str().unwrap_or_default());
                self.add(field, REQUIRED.to_owned());
            }
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                for name in unexpected.iter().take(ERRORS_MAX) {
                    self.add(format!("{field}.{name}"), UNEXPECTED.to_owned());
                }
            }
            ValidationErrorKind::FalseSchema => self.add(field, UNEXPECTED.to_owned()),
            _ => self.add(field, sentence(error)),
        }
        self.count < ERRORS_MAX
    }

    fn add(&mut self, field: String, sentence: String) {
        if self.count < ERRORS_MAX {
            self.errors.add(cut(field), sentence);
            self.count += 1;
        }
    }
}

const UNEXPECTED: &str = "The schema has no such field.";

/// A text that ignores input beyond its length limit.
struct Short(String);

impl std::fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len() > SENTENCE_BYTES_MAX {
            return Err(std::fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// The validator's message, about "this" instead of the value, which may be long or unfit for a log.
fn sentence(error: &ValidationError<'_>) -> String {
    let mut text = Short(String::new());
    // It fails once the text is long enough.
    let _ = write!(text, "{}", error.masked_with("This"));
    cut(text.0) + "."
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
