//! Examples of every operation in curl, JavaScript and Python, made from its description.

use serde_json::{Map, Value, json};

/// The methods of the Python client, by operation. Operations that are missing here have none: browsers and links use them.
const METHODS: &[(&str, &str)] = &[
    ("create_project", "projects.create"),
    ("list_projects", "projects.list"),
    ("get_project", "projects.get"),
    ("update_project", "projects.update"),
    ("delete_project", "projects.delete"),
    ("get_project_usage", "projects.usage"),
    ("create_erasure", "projects.erase_session"),
    ("list_erasures", "projects.erasures"),
    ("get_erasure", "projects.erasure"),
    ("open_stream", "projects.stream"),
    ("create_stream_ticket", "projects.stream_ticket"),
    ("create_application", "applications.create"),
    ("list_applications", "applications.list"),
    ("get_application", "applications.get"),
    ("update_application", "applications.update"),
    ("delete_application", "applications.delete"),
    ("rotate_application_key", "applications.rotate"),
    ("get_limits", "images.limits"),
    ("create_image", "images.create"),
    ("create_images", "images.create_many"),
    ("get_image", "images.get"),
    ("update_image", "images.update"),
    ("delete_image", "images.delete"),
    ("list_images", "images.list"),
    ("complete_image", "images.complete"),
    ("reprocess_image", "images.reprocess"),
    ("create_upload", "uploads.create"),
    ("list_uploads", "uploads.list"),
    ("get_upload", "uploads.get"),
    ("delete_upload", "uploads.delete"),
    ("create_gallery", "galleries.create"),
    ("list_galleries", "galleries.list"),
    ("get_gallery", "galleries.get"),
    ("update_gallery", "galleries.update"),
    ("delete_gallery", "galleries.delete"),
    ("load_dataset", "galleries.load"),
    ("list_gallery_images", "galleries.images"),
    ("get_gallery_image", "galleries.image"),
    ("add_gallery_image", "galleries.add_image"),
    ("remove_gallery_image", "galleries.remove_image"),
    ("get_gallery_image_preview", "galleries.preview"),
    ("explain_rank", "galleries.why"),
    ("refresh_gallery", "galleries.refresh"),
    ("get_experiment", "galleries.experiment"),
    ("estimate_order", "galleries.estimate"),
    ("get_gallery_rules", "galleries.rules"),
    ("set_gallery_rules", "galleries.set_rules"),
    ("delete_gallery_rules", "galleries.delete_rules"),
    ("create_event", "events.create"),
    ("create_events", "events.send"),
    ("list_events", "events.list"),
    ("get_event", "events.get"),
    ("list_quarantined_events", "events.quarantine"),
    ("list_quarantine_causes", "events.quarantine_causes"),
    ("replay_quarantined_events", "events.replay_quarantine"),
    ("list_event_types", "event_types.list"),
    ("put_event_type", "event_types.put"),
    ("get_event_type", "event_types.get"),
    ("delete_event_type", "event_types.delete"),
    ("try_event_type", "event_types.check"),
    ("count_events", "analytics.counts"),
    ("list_features", "analytics.features"),
    ("list_paths", "analytics.paths"),
    ("get_funnel", "analytics.funnel"),
    ("get_retention", "analytics.retention"),
    ("get_gallery_usage", "analytics.gallery"),
    ("query_events", "analytics.sql"),
    ("get_health", "server.health"),
    ("get_readiness", "server.readiness"),
    ("get_metrics", "server.metrics"),
    ("list_jobs", "server.jobs"),
    ("retry_job", "server.retry_job"),
    ("set_test_clock", "server.set_clock"),
];

const UUID: &str = "01a0c2a4-7d5e-7b0e-9f1c-5d2f2b9b7c11";
/// Deeper schemas are left out of an example.
const DEPTH_MAX: usize = 8;

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

/// What the examples of an operation have in common.
struct Sample<'a> {
    id: &'a str,
    method: String,
    url: String,
    /// Arguments of the path, the query and the body, by name.
    arguments: Map<String, Value>,
    body: Body,
    takes_credential: bool,
    answers_json: bool,
    is_stream: bool,
}

enum Body {
    None,
    Json(Value),
    /// The fields beside the file, and the name of the file's field.
    Form(&'static str),
    File,
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
                Value::Null => example(&parameter["schema"], components, 0),
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
        let content = &operation["requestBody"]["content"];
        let body = match (&content["application/json"]["schema"], content["multipart/form-data"].is_object()) {
            (Value::Null, true) if address.ends_with("/incoming") => Body::Form("file"),
            (Value::Null, true) => Body::Form("data"),
            (Value::Null, false) if content.is_object() => Body::File,
            (Value::Null, false) => Body::None,
            (schema, _) => Body::Json(example(schema, components, 0)),
        };
        match &body {
            Body::Json(Value::Object(fields)) => arguments.extend(fields.clone()),
            Body::Json(rows @ Value::Array(_)) => drop(arguments.insert("rows".to_owned(), rows.clone())),
            _ => {}
        }
        let answers = operation["responses"].as_object();
        let answers = || answers.into_iter().flatten().filter(|(status, _)| status.starts_with('2'));
        Sample {
            id: operation["operationId"].as_str().unwrap_or_default(),
            method: method.to_ascii_uppercase(),
            url: format!("{public_url}{address}{query}"),
            arguments,
            body,
            takes_credential: operation["security"] != json!([]),
            answers_json: answers().any(|(_, answer)| answer["content"]["application/json"].is_object()),
            is_stream: answers().any(|(_, answer)| answer["content"]["text/event-stream"].is_object()),
        }
    }

    fn curl(&self) -> String {
        let method = if self.method == "GET" { String::new() } else { format!("-X {} ", self.method) };
        let mut lines = vec![format!("curl {method}'{}'", self.url)];
        if self.takes_credential {
            lines.push("-H \"Authorization: Bearer $EYELINE_KEY\"".to_owned());
        }
        if self.is_stream {
            lines.push("-H 'Accept: text/event-stream' --no-buffer".to_owned());
        }
        match &self.body {
            Body::None => {}
            Body::Json(body) => {
                lines.push("-H 'Content-Type: application/json'".to_owned());
                lines.push(format!("-d '{}'", body.to_string().replace('\'', "'\\''")));
            }
            Body::Form(field) => lines.push(format!("-F '{field}=@hello.jpg'")),
            Body::File => lines.push("--data-binary @hello.jpg".to_owned()),
        }
        lines.join(" \\\n  ")
    }

    fn javascript(&self) -> String {
        let mut lines = Vec::new();
        if let Body::Form(field) = self.body {
            lines.push(format!("const form = new FormData();\nform.append('{field}', file);"));
        }
        let mut headers = Vec::new();
        if self.takes_credential {
            headers.push("Authorization: `Bearer ${key}`".to_owned());
        }
        if self.is_stream {
            headers.push("Accept: 'text/event-stream'".to_owned());
        }
        let body = match &self.body {
            Body::None => None,
            Body::Json(body) => {
                headers.push("'Content-Type': 'application/json'".to_owned());
                Some(format!("JSON.stringify({body})"))
            }
            Body::Form(_) => Some("form".to_owned()),
            Body::File => Some("file".to_owned()),
        };
        let mut options = Vec::new();
        if self.method != "GET" {
            options.push(format!("  method: '{}',", self.method));
        }
        if !headers.is_empty() {
            options.push(format!("  headers: {{ {} }},", headers.join(", ")));
        }
        options.extend(body.map(|body| format!("  body: {body},")));
        let options = if options.is_empty() { String::new() } else { format!(", {{\n{}\n}}", options.join("\n")) };
        lines.push(format!("const response = await fetch('{}'{options});", self.url));
        lines.push("if (!response.ok) throw new Error((await response.json()).detail);".to_owned());
        if self.answers_json {
            lines.push("const answer = await response.json();".to_owned());
        }
        lines.join("\n")
    }

    fn python(&self) -> Option<String> {
        let (_, method) = METHODS.iter().find(|(id, _)| *id == self.id)?;
        let mut arguments = Vec::new();
        if matches!(self.body, Body::Form(_)) {
            arguments.push("\"hello.jpg\"".to_owned());
        }
        if let ("create_events", Some(events)) = (self.id, self.arguments.get("events")) {
            arguments.push(python_literal(events));
        } else {
            arguments.extend(self.arguments.iter().map(|(name, value)| format!("{name}={}", python_literal(value))));
        }
        let call = format!("client.{method}({})", arguments.join(", "));
        let call = match self.is_stream {
            true => format!("for message in {call}:\n    print(message)"),
            false if self.method == "DELETE" => call,
            false => format!("answer = {call}"),
        };
        Some(format!("from eyeline import Eyeline\n\nclient = Eyeline()  # EYELINE_URL and EYELINE_KEY\n{call}"))
    }
}

/// A value that fits the schema: its own example, else one of the required fields.
fn example(schema: &Value, components: &Value, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|text| text.strip_prefix("#/components/schemas/")) {
        return example(&components["schemas"][name], components, depth + 1);
    }
    let given = [&schema["example"], &schema["examples"][0], &schema["default"], &schema["enum"][0]];
    if let Some(given) = given.into_iter().find(|given| !given.is_null()) {
        return given.clone();
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(first) = schema[key].as_array().and_then(|parts| parts.first()) {
            return example(first, components, depth + 1);
        }
    }
    let mut fields = Map::new();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        if let Value::Object(more) = example(part, components, depth + 1) {
            fields.extend(more);
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        fields.insert(name.to_owned(), example(&schema["properties"][name], components, depth + 1));
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or("object");
    match (kind, schema["format"].as_str()) {
        ("string", Some("uuid")) => UUID.into(),
        ("string", Some("uri")) => "https://shop.example/1.jpg".into(),
        ("string", _) => "example".into(),
        ("integer" | "number", _) => schema["minimum"].as_u64().unwrap_or(1).into(),
        ("boolean", _) => true.into(),
        ("array", _) => json!([example(&schema["items"], components, depth + 1)]),
        _ => fields.into(),
    }
}

/// A value as a part of an address.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// JSON as Python writes it.
fn python_literal(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(python_literal).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), python_literal(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
