//! Fields of `data` in a query: `data->>'field'` as text, `data->'field'` as JSON, and the same as functions.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringViewBuilder};
use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef};
use arrow_schema::DataType;
use datafusion::arrow::compute::cast;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use memchr::memmem::Finder;
use memchr::{memchr, memchr3};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The form in which a field is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Give {
    /// Texts without their quotes, `null` as NULL, and other values as written.
    Text,
    /// As written.
    Json,
    /// Numbers; other values as NULL.
    Number,
}

/// `json_text(json, field, …)` and similar functions. Fields select from objects, numbers from arrays.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Field {
    give: Give,
    signature: Signature,
}

/// All functions on JSON.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [Give::Text, Give::Json, Give::Number].map(|give| Arc::new(function(give))).into()
}

fn function(give: Give) -> ScalarUDF {
    ScalarUDF::new_from_impl(Field { give, signature: Signature::variadic_any(Volatility::Immutable) })
}

/// `json->'field'`.
pub(super) fn value(json: Expr, step: Expr) -> Expr {
    function(Give::Json).call(vec![json, step])
}

/// `json->>'field'`.
pub(super) fn text(json: Expr, step: Expr) -> Expr {
    function(Give::Text).call(vec![json, step])
}

impl ScalarUDFImpl for Field {
    fn name(&self) -> &str {
        match self.give {
            Give::Text => "json_text",
            Give::Json => "json_value",
            Give::Number => "json_number",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        let [json, steps @ ..] = kinds else { return Err(self.error("needs a JSON text and a field")) };
        if !(json.is_string() || json.is_null()) {
            return Err(self.error("reads a JSON text, such as data"));
        }
        if steps.is_empty() || !steps.iter().all(|step| step.is_string() || step.is_integer()) {
            return Err(self.error("needs a field as text, or a place in an array as a number"));
        }
        Ok(if self.give == Give::Number { DataType::Float64 } else { DataType::Utf8View })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_one = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let [json, steps @ ..] = &args.args[..] else { return Err(self.error("needs a JSON text and a field")) };
        let steps = steps.iter().map(|step| self.step(step)).collect::<Result<Vec<_>>>()?;
        let json = json.to_array(if is_one { 1 } else { args.number_rows })?;
        let json = cast(&json, &DataType::Utf8View)?;
        let found = json.as_string_view().iter().map(|json| {
            let mut found = json?;
            for step in &steps {
                found = at(found, step)?;
            }
            (found != "null" || self.give == Give::Json).then_some(found)
        });
        let array: ArrayRef = match self.give {
            Give::Number => {
                let mut numbers = Float64Builder::with_capacity(json.len());
                // Avoids negative zero, which would not equal zero.
                let number = |found: &str| {
                    found.parse().ok().filter(|number: &f64| number.is_finite()).map(|number| number + 0.0)
                };
                found.for_each(|found| numbers.append_option(found.and_then(number)));
                Arc::new(numbers.finish())
            }
            Give::Json | Give::Text => {
                let mut texts = StringViewBuilder::with_capacity(json.len());
                for found in found {
                    match found {
                        Some(text) if self.give == Give::Text && text.starts_with('"') => {
                            append_unquoted(&mut texts, text)
                        }
                        other => texts.append_option(other),
                    }
                }
                Arc::new(texts.finish())
            }
        };
        Ok(if is_one {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
        } else {
            ColumnarValue::Array(array)
        })
    }
}

impl Field {
    fn error(&self, what: &str) -> DataFusionError {
        DataFusionError::Plan(format!("{} {what}", self.name()))
    }

    fn step(&self, value: &ColumnarValue) -> Result<Step> {
        let ColumnarValue::Scalar(value) = value else { return Err(self.error("takes fields that are constants")) };
        if let Some(Some(name)) = value.try_as_str() {
            return Ok(Step::Name(Name::new(name)));
        }
        match value.cast_to(&DataType::Int64)? {
            ScalarValue::Int64(Some(index)) => match usize::try_from(index) {
                Ok(index) => Ok(Step::Index(index)),
                Err(_) => Err(self.error("counts the places of an array from 0, and not from its end")),
            },
            _ => Ok(Step::Nowhere),
        }
    }
}

fn append_unquoted(texts: &mut StringViewBuilder, quoted: &str) {
    let inner = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match inner.filter(|inner| !inner.contains('\\')) {
        Some(inner) => texts.append_value(inner),
        None => texts.append_option(serde_json::from_str::<String>(quoted).ok()),
    }
}

enum Step {
    Name(Name),
    Index(usize),
    /// A NULL step, which selects nothing.
    Nowhere,
}

struct Name {
    name: String,
    /// Finds the quoted name. `None` if a part of it needs escaping, or if it could lie between two texts.
    quoted: Option<Box<Finder<'static>>>,
}

impl Name {
    fn new(name: &str) -> Self {
        let is_plain = !name.contains(['"', '\\', ':', ',']);
        let quoted = is_plain.then(|| Box::new(Finder::new(&format!("\"{name}\"")).into_owned()));
        Name { name: name.to_owned(), quoted }
    }
}

/// The value at this step of the JSON text, as it is written there.
fn at<'a>(json: &'a str, step: &Step) -> Option<&'a str> {
    if let Step::Name(name) = step
        && let Some(found) = in_plain_object(json, name)
    {
        return found;
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    let found: Option<&'a RawValue> = step.deserialize(&mut reader).ok()?;
    found.map(RawValue::get)
}

/// Finds the name without parsing the rest; `None` if that is not certain. In an object without nested objects, arrays
/// and escapes, which most data is, every quoted text is whole. It is a field's name if a colon follows.
fn in_plain_object<'a>(json: &'a str, Name { name, quoted }: &Name) -> Option<Option<&'a str>> {
    let quoted = quoted.as_ref()?;
    let fields = json.strip_prefix('{')?.strip_suffix('}')?;
    if memchr3(b'{', b'[', b'\\', fields.as_bytes()).is_some() {
        return None;
    }
    let mut found = None;
    for start in quoted.find_iter(fields.as_bytes()) {
        let after = fields[start + name.len() + 2..].trim_ascii_start();
        let Some(value) = after.strip_prefix(':') else { continue };
        let value = value.trim_ascii_start();
        let end = match value.strip_prefix('"') {
            Some(text) => memchr(b'"', text.as_bytes())? + 2,
            None => memchr(b',', value.as_bytes()).unwrap_or(value.len()),
        };
        found = Some(value[..end].trim_ascii_end());
    }
    Some(found)
}

impl<'de> DeserializeSeed<'de> for &Step {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        match self {
            Step::Name(_) => json.deserialize_map(self),
            Step::Index(_) => json.deserialize_seq(self),
            Step::Nowhere => Err(D::Error::custom("nothing is there")),
        }
    }
}

impl<'de> Visitor<'de> for &Step {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("an object or an array")
    }

    /// Of duplicate names the last one counts, as in other readers.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Step::Name(Name { name, .. }) = self else { return Ok(None) };
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(Is(name))? {
            if is_it {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        let Step::Index(index) = self else { return Ok(None) };
        let mut found = None;
        let mut place = 0;
        while let Some(value) = values.next_element::<&RawValue>()? {
            if place == *index {
                found = Some(value);
            }
            place += 1;
        }
        Ok(found)
    }
}

/// Compares a key with this one without copying it.
struct Is<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<bool, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn fields_are_found_as_they_are_written() {
        let name = |name: &str| Step::Name(Name::new(name));
        let json = r#"{"a": 1.50, "b":{"c" : [10, "x\n", null]}, "\u0061b": true, "a":2}"#;
        assert_eq!(at(json, &name("a")), Some("2"));
        assert_eq!(at(json, &name("ab")), Some("true"));
        assert_eq!(at(json, &name("z")), None);
        assert_eq!(at(json, &Step::Index(0)), None);
        let inner = at(json, &name("b")).expect("an object");
        assert_eq!(inner, r#"{"c" : [10, "x\n", null]}"#);
        let list = at(inner, &name("c")).expect("a list");
        assert_eq!(at(list, &Step::Index(1)), Some(r#""x\n""#));
        assert_eq!(at(list, &Step::Index(2)), Some("null"));
        assert_eq!(at(list, &Step::Index(3)), None);
        assert_eq!(at(list, &Step::Nowhere), None);
        assert_eq!(at("7", &name("a")), None);
        assert_eq!(at("not JSON", &name("a")), None);
        assert_eq!(at(r#"{ "b" : "a" , "a" : 1.5 , "c":null }"#, &name("a")), Some("1.5"));
        assert_eq!(at(r#"{"b":"a"}"#, &name("a")), None);
        assert_eq!(at(r#"{"a":"1, \"a\":2"}"#, &name("a")), Some(r#""1, \"a\":2""#));
        assert_eq!(at("{}", &name("")), None);
        assert_eq!(at(r#"{"":":2"}"#, &name(":")), None);
    }

    proptest! {
        #[test]
        fn the_quick_look_finds_what_reading_all_finds(
            fields in vec(("[a-c\"\\\\{,: ]{0,2}", "[a-c\"\\\\{\\[,:} ]{0,3}", 0..6), 0..5),
            wanted in "[a-c\"\\\\{,: ]{0,2}",
        ) {
            let value = |text: &String, kind: i32| match kind {
                0 => "-1.5e3".to_owned(),
                1 => "null".to_owned(),
                2 => serde_json::json!([text]).to_string(),
                3 => serde_json::json!({ "a": text }).to_string(),
                _ => serde_json::json!(text).to_string(),
            };
            let written = fields.iter().map(|(name, text, kind)| {
                format!("{} :{}", serde_json::json!(name), value(text, *kind))
            });
            let json = format!("{{{}}}", written.collect::<Vec<_>>().join(", "));
            let expected = fields.iter().rev().find(|(name, ..)| *name == wanted).map(|(_, text, kind)| value(text, *kind));
            prop_assert_eq!(at(&json, &Step::Name(Name::new(&wanted))), expected.as_deref());
        }
    }
}
