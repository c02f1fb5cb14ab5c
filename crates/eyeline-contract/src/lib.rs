//! Checks answers against the description of the API, for tests. An answer may hold only what the description names.

mod closed;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE};
use jsonschema::Validator;
use matchit::Router;
use serde_json::Value;

const PROBLEM_JSON: &str = "application/problem+json";

/// A description of the API, ready to check answers.
pub struct Contract {
    document: Value,
    /// The description of each path.
    paths: Router<String>,
    /// By the position of the schema in the document.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// One answer with its body, and its request.
pub struct Exchange<'a> {
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    pub status: u16,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

impl Contract {
    /// Reads an OpenAPI 3.1 document.
    pub fn new(document: Value) -> Self {
        let mut paths = Router::new();
        for path in document["paths"].as_object().into_iter().flat_map(|paths| paths.keys()) {
            paths.insert(path, path.clone()).unwrap_or_else(|error| panic!("the path {path}: {error}"));
        }
        Contract { document, paths, validators: Mutex::default() }
    }

    /// Panics with every deviation of the answer from its description.
    #[track_caller]
    pub fn assert(&self, exchange: &Exchange<'_>) {
        let faults = self.faults(exchange);
        let Exchange { method, path, status, body, .. } = exchange;
        let shown = String::from_utf8_lossy(&body[..body.len().min(2_000)]);
        assert!(
            faults.is_empty(),
            "{method} {path} -> {status} is not as described:\n  {}\n{shown}",
            faults.join("\n  ")
        );
    }

    /// Every deviation of the answer from its description. Addresses outside of the API have no description.
    pub fn faults(&self, exchange: &Exchange<'_>) -> Vec<String> {
        let Exchange { method, path, status, .. } = exchange;
        if *method == "OPTIONS" {
            return Vec::new();
        }
        let Ok(found) = self.paths.at(path.trim_end_matches('/')) else {
            let is_api = path.starts_with("/api/");
            return if is_api { self.refusal_faults(exchange, 404) } else { Vec::new() };
        };
        let method = if *method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
        let pointer = format!("/paths/{}/{method}", escaped(found.value));
        let Some(operation) = self.document.pointer(&pointer) else {
            let mut faults = self.refusal_faults(exchange, 405);
            if !exchange.headers.contains_key(ALLOW) {
                faults.push("405 without the header Allow".to_owned());
            }
            return faults;
        };
        let Some(answer) = operation["responses"].get(status.to_string()) else {
            return vec![format!("{} does not declare the status {status}", operation["operationId"])];
        };
        let mut faults = header_faults(answer, exchange.headers);
        let pointer = format!("{pointer}/responses/{status}/content");
        faults.extend(self.body_faults(&answer["content"], &pointer, exchange));
        faults
    }

    /// Without a description, an answer must be a problem of this status.
    fn refusal_faults(&self, exchange: &Exchange<'_>, status: u16) -> Vec<String> {
        let pointer = "/components/schemas/ProblemDocument";
        let mut faults = Vec::new();
        if exchange.status != status {
            faults.push(format!("this is not described, so the status has to be {status}"));
        } else if media_type(exchange.headers) != PROBLEM_JSON {
            faults.push(format!("the content type has to be {PROBLEM_JSON}"));
        } else if exchange.method != "HEAD" {
            faults.extend(self.json_faults(pointer, exchange.body));
        }
        faults
    }

    fn body_faults(&self, content: &Value, pointer: &str, exchange: &Exchange<'_>) -> Vec<String> {
        if exchange.body.is_empty() {
            let may_be_empty = content.is_null() || exchange.method == "HEAD";
            return if may_be_empty { Vec::new() } else { vec!["the body is empty".to_owned()] };
        }
        let sent = media_type(exchange.headers);
        let declared = content.as_object().into_iter().flat_map(|content| content.keys());
        let Some(kind) = declared.into_iter().find(|declared| matches(declared, &sent)) else {
            return vec![format!("the content type {sent:?} is not declared")];
        };
        // The tests of compression check that compressed answers hold the same.
        if sent.ends_with("json") && !exchange.headers.contains_key(CONTENT_ENCODING) {
            return self.json_faults(&format!("{pointer}/{}/schema", escaped(kind)), exchange.body);
        }
        Vec::new()
    }

    fn json_faults(&self, pointer: &str, body: &[u8]) -> Vec<String> {
        let body: Value = match serde_json::from_slice(body) {
            Ok(body) => body,
            Err(error) => return vec![format!("the body is not JSON: {error}")],
        };
        self.schema_faults(pointer, &body)
    }

    /// Reads a message of a stream, which must match the description.
    #[track_caller]
    pub fn stream_message(&self, text: &str) -> Value {
        let message = serde_json::from_str(text).expect("a message is JSON");
        let faults = self.schema_faults("/components/schemas/StreamMessage", &message);
        assert!(faults.is_empty(), "a message is not as described:\n  {}\n{text}", faults.join("\n  "));
        message
    }

    /// Every deviation of a value from the schema at this position of the document.
    fn schema_faults(&self, pointer: &str, value: &Value) -> Vec<String> {
        let validator = self.validator(pointer);
        validator
            .iter_errors(value)
            .map(|error| format!("at {:?}: {error}", error.instance_path().to_string()))
            .collect()
    }

    fn validator(&self, pointer: &str) -> Arc<Validator> {
        let mut known = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let compile = || {
            let schema = self.document.pointer(pointer).unwrap_or_else(|| panic!("there is no schema at {pointer}"));
            let schema = closed::closed(schema, &self.document);
            let options = jsonschema::options().should_validate_formats(true);
            Arc::new(options.build(&schema).unwrap_or_else(|error| panic!("the schema at {pointer}: {error}")))
        };
        known.entry(pointer.to_owned()).or_insert_with(compile).clone()
    }
}

fn header_faults(answer: &Value, headers: &HeaderMap) -> Vec<String> {
    let declared = answer["headers"].as_object().into_iter().flatten();
    let missing = declared.filter(|(name, header)| header["required"] == true && !headers.contains_key(name.as_str()));
    missing.map(|(name, _)| format!("the header {name} is missing")).collect()
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn matches(declared: &str, sent: &str) -> bool {
    declared == sent || declared.strip_suffix('*').is_some_and(|beginning| sent.starts_with(beginning))
}

/// Escapes a part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
