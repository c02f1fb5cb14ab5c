//! All errors of an input, by field, collected before the answer.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// The message for a missing field.
pub const REQUIRED: &str = "This field is required.";

/// Sentences by field path, as in the `errors` of a problem document. The empty path stands for the whole body and is
/// shown as `body`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
pub struct FieldErrors(BTreeMap<String, Vec<String>>);

impl FieldErrors {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn one(field: impl Into<String>, sentence: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(field, sentence);
        errors
    }

    pub fn add(&mut self, field: impl Into<String>, sentence: impl Into<String>) {
        let mut field = field.into();
        if field.is_empty() {
            field = "body".to_owned();
        }
        self.0.entry(field).or_default().push(sentence.into());
    }

    pub fn required(&mut self, field: impl Into<String>) {
        self.add(field, REQUIRED);
    }

    pub fn merge(&mut self, other: FieldErrors) {
        for (field, sentences) in other.0 {
            self.0.entry(field).or_default().extend(sentences);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Vec<String>)> {
        self.0.iter()
    }

    /// `Ok(value)` if there are no errors.
    pub fn or<T>(self, value: T) -> Result<T, FieldErrors> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}
