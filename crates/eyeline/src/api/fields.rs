//! Reads a JSON body field by field, so that all errors are returned together.

use std::str::FromStr;

use eyeline_core::FieldErrors;
pub use eyeline_core::text::check_text;
use serde_json::{Map, Value};

use super::problem::{Answer, Problem};
use crate::web_address;

/// Characters of the name of a project, gallery or application.
pub const NAME_CHARS_MAX: usize = 200;

/// A JSON object being read. Unknown fields are ignored; `null` counts as absent.
pub struct Fields {
    object: Map<String, Value>,
    errors: FieldErrors,
}

impl Fields {
    /// The whole body has to be a JSON object; an empty body counts as `{}`.
    pub fn parse(body: &[u8]) -> Answer<Self> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Fields::new(Map::new()));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => Ok(Fields::new(object)),
            Ok(_) => Err(Problem::invalid(FieldErrors::one("", "The body has to be a JSON object."))),
            Err(error) => Err(Problem::invalid(FieldErrors::one("", format!("The body is not JSON: {error}.")))),
        }
    }

    pub fn new(object: Map<String, Value>) -> Self {
        Fields { object, errors: FieldErrors::new() }
    }

    /// The parameters of a URL as fields, all of them texts. A repeated one is an error.
    pub fn parse_query(query: &str) -> Self {
        let mut fields = Fields::new(Map::new());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if fields.object.insert(name.clone().into_owned(), Value::String(value.into_owned())).is_some() {
                fields.errors.add(&*name, "This parameter is given more than once.");
            }
        }
        fields
    }

    /// Keeps the wanted fields. A message about one of the others becomes an error.
    pub fn keep(&mut self, is_wanted: impl Fn(&str) -> bool, sentence: impl Fn(&str) -> Option<String>) {
        let errors = &mut self.errors;
        self.object.retain(|name, _| {
            let keeps = is_wanted(name);
            if let Some(sentence) = sentence(name).filter(|_| !keeps) {
                errors.add(name, sentence);
            }
            keeps
        });
    }

    /// Adds the missing fields of `others`, and its errors; `null` counts as absent.
    pub fn or(&mut self, others: &mut Fields) {
        self.errors.merge(std::mem::take(&mut others.errors));
        self.object.retain(|_, value| !value.is_null());
        for (name, value) in std::mem::take(&mut others.object) {
            self.object.entry(name).or_insert(value);
        }
    }

    /// The raw field; absent and `null` are `None`.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.object.remove(name).filter(|value| !value.is_null())
    }

    /// True if the field is `null` or an empty text, which removes a value. The field counts as read.
    pub fn is_null(&mut self, name: &str) -> bool {
        let takes_away = self.object.get(name).is_some_and(|value| value.is_null() || value == "");
        if takes_away {
            self.object.remove(name);
        }
        takes_away
    }

    /// Text of 1 to `chars_max` characters without U+0000.
    pub fn text(&mut self, name: &str, chars_max: usize) -> Option<String> {
        let value = self.value(name)?;
        let Value::String(text) = value else {
            self.errors.add(name, "This has to be a text.");
            return None;
        };
        match check_text(&text, chars_max) {
            Ok(()) => Some(text),
            Err(sentence) => {
                self.errors.add(name, sentence);
                None
            }
        }
    }

    /// An http or https address, in the form that is stored.
    pub fn address(&mut self, name: &str) -> Option<String> {
        let parsed = web_address::parse(&self.text(name, web_address::CHARS_MAX)?);
        parsed.map_err(|sentence| self.errors.add(name, sentence)).ok()
    }

    pub fn required_text(&mut self, name: &str, chars_max: usize) -> Option<String> {
        self.require(name);
        self.text(name, chars_max)
    }

    /// A value written as text, such as an id or a time; `what` completes "This has to be …".
    pub fn parsed<T>(&mut self, name: &str, what: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let value = self.value(name)?;
        let parsed = value.as_str().and_then(parse);
        if parsed.is_none() {
            self.errors.add(name, format!("This has to be {what}."));
        }
        parsed
    }

    pub fn id<T: FromStr>(&mut self, name: &str) -> Option<T> {
        self.parsed(name, "a UUID", |text| text.parse().ok())
    }

    pub fn required_id<T: FromStr>(&mut self, name: &str) -> Option<T> {
        self.require(name);
        self.id(name)
    }

    /// A whole number within `range`; the parameters of a URL give it as text.
    pub fn integer(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(name)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok()).filter(|number| range.contains(number));
        if number.is_none() {
            self.errors.add(name, format!("This has to be a whole number from {} to {}.", range.start(), range.end()));
        }
        number
    }

    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = self.value(name)?;
        if !value.is_boolean() {
            self.errors.add(name, "This has to be true or false.");
        }
        value.as_bool()
    }

    pub fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.value(name)? {
            Value::Object(object) => Some(object),
            _ => {
                self.errors.add(name, "This has to be an object.");
                None
            }
        }
    }

    /// An array of texts, at most `count_max` of at most `chars_max` characters.
    pub fn texts(&mut self, name: &str, count_max: usize, chars_max: usize) -> Option<Vec<String>> {
        let Value::Array(items) = self.value(name)? else {
            self.errors.add(name, "This has to be an array of texts.");
            return None;
        };
        if items.len() > count_max {
            self.errors.add(name, format!("At most {count_max} are taken."));
            return None;
        }
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) => match check_text(&text, chars_max) {
                    Ok(()) => texts.push(text),
                    Err(sentence) => self.errors.add(format!("{name}.{index}"), sentence),
                },
                _ => self.errors.add(format!("{name}.{index}"), "This has to be a text."),
            }
        }
        Some(texts)
    }

    /// Notes the field as missing unless it is there.
    pub fn require(&mut self, name: &str) {
        if self.object.get(name).is_none_or(Value::is_null) {
            self.errors.required(name);
        }
    }

    /// Adds an error that only the caller can detect.
    pub fn error(&mut self, name: &str, sentence: impl Into<String>) {
        self.errors.add(name, sentence);
    }

    /// Adds the errors of an object that is one of the fields.
    pub fn errors_below(&mut self, name: &str, errors: FieldErrors) {
        for (field, sentences) in errors.iter() {
            for sentence in sentences {
                self.errors.add(format!("{name}.{field}"), sentence);
            }
        }
    }

    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Ends the reading: 400 with all errors, or nothing.
    pub fn finish(self) -> Result<(), FieldErrors> {
        self.errors.or(())
    }
}
