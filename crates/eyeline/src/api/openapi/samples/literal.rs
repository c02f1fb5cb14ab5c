//! JSON values as a language writes them, over as many lines as they need.

use serde_json::Value;

/// Characters of a value that stays on one line.
const INLINE: usize = 64;
const STEP: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Json,
    JavaScript,
    Python,
}

/// The text of a value. All lines after the first are indented by at least `indent`.
pub(super) fn literal(value: &Value, dialect: Dialect, indent: usize) -> String {
    let inline = inline(value, dialect);
    let (open, close, parts): (_, _, Vec<String>) = match value {
        _ if inline.len() <= INLINE => return inline,
        Value::Array(items) => {
            ('[', ']', items.iter().map(|item| literal(item, dialect, indent + dialect.step())).collect())
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                format!("{}: {}", dialect.name(name), literal(value, dialect, indent + dialect.step()))
            };
            ('{', '}', fields.iter().map(field).collect())
        }
        _ => return inline,
    };
    let margin = " ".repeat(indent + dialect.step());
    let separator = format!(",\n{margin}");
    let last = if dialect == Dialect::Json { "" } else { "," };
    format!("{open}\n{margin}{}{last}\n{}{close}", parts.join(&separator), " ".repeat(indent))
}

fn inline(value: &Value, dialect: Dialect) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|item| inline(item, dialect)).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| format!("{}: {}", dialect.name(name), inline(value, dialect)));
            let fields = fields.collect::<Vec<_>>().join(", ");
            if dialect == Dialect::JavaScript { format!("{{ {fields} }}") } else { format!("{{{fields}}}") }
        }
        Value::String(text) => dialect.text(text),
        Value::Null if dialect == Dialect::Python => "None".to_owned(),
        Value::Bool(true) if dialect == Dialect::Python => "True".to_owned(),
        Value::Bool(false) if dialect == Dialect::Python => "False".to_owned(),
        other => other.to_string(),
    }
}

impl Dialect {
    /// Spaces by which a part is indented.
    fn step(self) -> usize {
        if self == Dialect::Python { 2 * STEP } else { STEP }
    }

    fn text(self, text: &str) -> String {
        let is_plain = !text.contains(['\'', '\\', '\n']);
        if self == Dialect::JavaScript && is_plain { format!("'{text}'") } else { Value::from(text).to_string() }
    }

    fn name(self, name: &str) -> String {
        let is_identifier = name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        if self == Dialect::JavaScript && is_identifier { name.to_owned() } else { self.text(name) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_written_as_each_language_writes_it() {
        let value = json!({"name": "Shop", "on": true, "none": null});
        let texts = [Dialect::Json, Dialect::JavaScript, Dialect::Python].map(|dialect| literal(&value, dialect, 0));
        assert_eq!(texts[0], r#"{"name": "Shop", "none": null, "on": true}"#);
        assert_eq!(texts[1], "{ name: 'Shop', none: null, on: true }");
        assert_eq!(texts[2], r#"{"name": "Shop", "none": None, "on": True}"#);
        let long =
            json!({"events": ["a word that is long", "another word that is long", "the last word that is long"]});
        assert_eq!(
            literal(&long, Dialect::JavaScript, 2),
            "{\n    events: [\n      'a word that is long',\n      'another word that is long',\n      \
             'the last word that is long',\n    ],\n  }"
        );
        assert_eq!(serde_json::from_str::<Value>(&literal(&long, Dialect::Json, 2)).expect("JSON"), long);
    }
}
