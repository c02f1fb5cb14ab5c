//! Examples of every operation in curl, JavaScript and Python, made from its description.

mod example;
mod literal;
mod methods;

use serde_json::{Map, Value, json};

use self::example::example;
use self::literal::{Dialect, literal};
use self::methods::METHODS;

/// The file that examples send.
const FILE: &str = "hello.jpg";
/// Characters of a line of Python.
const LINE: usize = 88;

/// Adds the examples to an operation.
pub fn add(operation: &mut Value, method: &str, path: &str, components: &Value, public_url: &str) {
    let sample = Sample::of(operation, method, path, components, public_url);
    let mut samples = vec![
        json!({ "lang": "Shell", "label": "curl", "source": sample.curl() }),
        json!({ "lang": "JavaScript", "label": "JavaScript", "source": sample.javascript() }),
    ];
    if let Some(source) = sample.python() {
        samples.push(json!({ "lang": "Python", "label": "Python", "source": source }));
    }
    operation["x-codeSamples"] = samples.into();
}

/// The common parts of an operation's examples.
struct Sample<'a> {
    id: &'a str,
    method: String,
    url: String,
    /// Arguments of the path, the query and the body, by name.
    arguments: Map<String, Value>,
    body: Body,
    takes_credential: bool,
    answer: Answer,
}

enum Body {
    None,
    Json(Value),
    /// The fields of a form that are texts, and the name of the file's field, which comes last.
    Form(Vec<(String, String)>, String),
    File,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    None,
    Json,
    /// JSON with `next_cursor`.
    List,
    Text,
    Bytes,
    Stream,
}

impl<'a> Sample<'a> {
    fn of(operation: &'a Value, method: &str, path: &str, components: &Value, public_url: &str) -> Self {
        let mut arguments = Map::new();
        let mut address = path.to_owned();
        let mut query = Vec::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default();
            let in_path = parameter["in"] == "path";
            if !in_path && (parameter["in"] != "query" || parameter["required"] != true) {
                continue;
            }
            let value = match &parameter["example"] {
                Value::Null => example(name, &parameter["schema"], components),
                given => given.clone(),
            };
            let text = plain(&value);
            if in_path {
                address = address.replace(&format!("{{{name}}}"), &text);
            } else {
                query.push(format!("{name}={text}"));
            }
            arguments.insert(name.to_owned(), value);
        }
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let body = Body::of(&operation["requestBody"]["content"], components);
        match &body {
            Body::Json(Value::Object(fields)) => arguments.extend(fields.clone()),
            Body::Json(rows @ Value::Array(_)) => drop(arguments.insert("rows".to_owned(), rows.clone())),
            _ => {}
        }
        Sample {
            id: operation["operationId"].as_str().unwrap_or_default(),
            method: method.to_ascii_uppercase(),
            url: format!("{public_url}{address}{query}"),
            arguments,
            body,
            takes_credential: operation["security"] != json!([]),
            answer: Answer::of(&operation["responses"], method, components),
        }
    }

    fn curl(&self) -> String {
        let method = if self.method == "GET" { String::new() } else { format!("-X {} ", self.method) };
        let mut lines = vec![format!("curl {method}'{}'", self.url)];
        if self.takes_credential {
            lines.push("-H \"Authorization: Bearer $EYELINE_KEY\"".to_owned());
        }
        match self.answer {
            Answer::Stream => lines.push("-H 'Accept: text/event-stream' --no-buffer".to_owned()),
            Answer::Bytes => lines.push("-o picture.jpg".to_owned()),
            _ => {}
        }
        match &self.body {
            Body::None => {}
            Body::Json(body) => {
                lines.push("-H 'Content-Type: application/json'".to_owned());
                lines.push(format!("-d '{}'", literal(body, Dialect::Json, 2).replace('\'', "'\\''")));
            }
            Body::Form(fields, file) => {
                lines.extend(fields.iter().map(|(name, value)| format!("-F '{name}={value}'")));
                lines.push(format!("-F '{file}=@{FILE}'"));
            }
            Body::File => lines.push(format!("-T {FILE}")),
        }
        lines.join(" \\\n  ")
    }

    fn javascript(&self) -> String {
        let mut lines = Vec::new();
        if matches!(self.body, Body::Form(..) | Body::File) {
            lines.push("import { openAsBlob } from 'node:fs';\n".to_owned());
        }
        if let Body::Form(fields, file) = &self.body {
            lines.push("const form = new FormData();".to_owned());
            lines.extend(fields.iter().map(|(name, value)| format!("form.append('{name}', '{value}');")));
            lines.push(format!("form.append('{file}', await openAsBlob('{FILE}'), '{FILE}');"));
        }
        let mut headers = Vec::new();
        if self.takes_credential {
            headers.push("Authorization: `Bearer ${process.env.EYELINE_KEY}`");
        }
        if self.answer == Answer::Stream {
            headers.push("Accept: 'text/event-stream'");
        }
        let body = match &self.body {
            Body::None => None,
            Body::Json(body) => {
                headers.push("'Content-Type': 'application/json'");
                Some(format!("JSON.stringify({})", literal(body, Dialect::JavaScript, 2)))
            }
            Body::Form(..) => Some("form".to_owned()),
            Body::File => Some(format!("await openAsBlob('{FILE}')")),
        };
        let mut options = Vec::new();
        if self.method != "GET" {
            options.push(format!("  method: '{}',", self.method));
        }
        match &headers[..] {
            [] => {}
            [only] => options.push(format!("  headers: {{ {only} }},")),
            several => {
                let several = several.iter().map(|header| format!("\n    {header},")).collect::<String>();
                options.push(format!("  headers: {{{several}\n  }},"));
            }
        }
        options.extend(body.map(|body| format!("  body: {body},")));
        let options = if options.is_empty() { String::new() } else { format!(", {{\n{}\n}}", options.join("\n")) };
        lines.push(format!("const response = await fetch('{}'{options});", self.url));
        lines.push("if (!response.ok) throw new Error(await response.text());".to_owned());
        let shown = match self.answer {
            Answer::None => None,
            Answer::Json | Answer::List => Some("console.log(await response.json());"),
            Answer::Text => Some("console.log(await response.text());"),
            Answer::Bytes => Some("console.log((await response.arrayBuffer()).byteLength);"),
            Answer::Stream => {
                Some("for await (const text of response.body.pipeThrough(new TextDecoderStream())) console.log(text);")
            }
        };
        lines.extend(shown.map(str::to_owned));
        lines.join("\n")
    }

    fn python(&self) -> Option<String> {
        let (_, method) = METHODS.iter().find(|(id, _)| *id == self.id)?;
        let mut arguments = Vec::new();
        if matches!(self.body, Body::Form(..)) {
            arguments.push(format!("\"{FILE}\""));
        }
        if let ("create_events", Some(events)) = (self.id, self.arguments.get("events")) {
            arguments.push(literal(events, Dialect::Python, 4));
        } else {
            let named = self.arguments.iter();
            arguments.extend(named.map(|(name, value)| format!("{name}={}", literal(value, Dialect::Python, 4))));
        }
        let call = format!("client.{method}({})", arguments.join(", "));
        let call = if call.len() <= LINE && !call.contains('\n') {
            call
        } else {
            format!("client.{method}(\n    {},\n)", arguments.join(",\n    "))
        };
        let call = match self.answer {
            Answer::Stream | Answer::List => format!("for item in {call}:\n    print(item)"),
            Answer::Bytes => format!("print(len({call}))"),
            Answer::None => call,
            Answer::Json | Answer::Text => format!("answer = {call}\nprint(answer)"),
        };
        Some(format!("from eyeline import Eyeline\n\nclient = Eyeline()  # EYELINE_URL and EYELINE_KEY\n{call}"))
    }
}

impl Body {
    fn of(content: &Value, components: &Value) -> Self {
        let form = &content["multipart/form-data"]["schema"];
        match (&content["application/json"]["schema"], content.is_object()) {
            (Value::Null, true) if form.is_object() => {
                let Value::Object(fields) = example("", form, components) else { return Body::None };
                // The file of a form is the only field that is no text of its own.
                let (files, texts): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(_, value)| value == FILE);
                let file = files.into_iter().next().map(|(name, _)| name).unwrap_or_default();
                Body::Form(texts.into_iter().map(|(name, value)| (name, plain(&value))).collect(), file)
            }
            (Value::Null, true) => Body::File,
            (Value::Null, false) => Body::None,
            (schema, _) => Body::Json(example("", schema, components)),
        }
    }
}

impl Answer {
    /// Determined by the operation's first successful answer. An operation with a 204 has no body to read.
    fn of(answers: &Value, method: &str, components: &Value) -> Self {
        if answers.get("204").is_some() {
            return Answer::None;
        }
        let answers = answers.as_object().into_iter().flatten().filter(|(status, _)| status.starts_with('2'));
        let mut kinds = answers.filter_map(|(_, answer)| answer["content"].as_object()).flatten();
        let Some((kind, media)) = kinds.next() else { return Answer::None };
        match kind.as_str() {
            "application/json" if method == "get" && has_cursor(&media["schema"], components) => Answer::List,
            "application/json" => Answer::Json,
            "text/event-stream" => Answer::Stream,
            kind if kind.starts_with("text/") => Answer::Text,
            _ => Answer::Bytes,
        }
    }
}

fn has_cursor(schema: &Value, components: &Value) -> bool {
    super::answers::has_property(schema, "next_cursor", components)
}

/// A value as a part of an address.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
