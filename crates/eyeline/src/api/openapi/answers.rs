//! Completes an operation's answers by rules that apply everywhere: problems, headers, descriptions.

use http::StatusCode;
use serde_json::{Map, Value, json};

const PROBLEM: &str = "#/components/schemas/ProblemDocument";
const JSON: &str = "application/json";

/// Completes the answers of one operation. `default_security` holds where the operation says nothing about credentials.
pub fn complete(operation: &mut Value, method: &str, path: &str, components: &Value, default_security: &Value) {
    let facts = Facts::of(operation, method, path, components, default_security);
    let Some(answers) = operation["responses"].as_object_mut() else { return };
    // A handler gives a range of statuses where it leaves them to these rules.
    answers.retain(|status, _| !status.contains('X'));
    for (status, sentence) in facts.problems() {
        let answer = answers.entry(status).or_insert_with(|| json!({ "description": sentence }));
        if answer["description"].as_str().is_none_or(str::is_empty) {
            answer["description"] = sentence.into();
        }
    }
    if facts.has_etag && answers.contains_key("200") {
        let sentence = "The answer that `If-None-Match` names is still current.";
        answers.entry("304").or_insert_with(|| json!({ "description": sentence }));
    }
    for (status, answer) in answers.iter_mut() {
        facts.finish(status, answer);
    }
}

/// The facts about an operation that the rules need.
struct Facts {
    is_api: bool,
    is_alive_check: bool,
    takes_credential: bool,
    takes_body: bool,
    names_something: bool,
    takes_key: bool,
    is_list: bool,
    is_limited: bool,
    is_question: bool,
    has_etag: bool,
}

impl Facts {
    fn of(operation: &Value, method: &str, path: &str, components: &Value, default_security: &Value) -> Self {
        let parameters = || operation["parameters"].as_array().into_iter().flatten();
        let has_parameter = |name: &str| parameters().any(|parameter| parameter["name"] == name);
        let answers = &operation["responses"];
        let content = &answers["200"]["content"][JSON]["schema"];
        let body = &operation["requestBody"]["content"][JSON]["schema"];
        let is_api = path.starts_with("/api/");
        let security = super::security(operation, default_security);
        Facts {
            is_api,
            is_alive_check: path == "/healthz",
            takes_credential: security.flatten().next().is_some(),
            takes_body: operation["requestBody"].is_object(),
            names_something: path.contains('{')
                || has_parameter("project_id")
                || has_property(body, "project_id", components),
            takes_key: has_parameter("Idempotency-Key"),
            is_list: method == "get" && has_property(content, "next_cursor", components),
            is_question: operation["tags"][0] == "analytics",
            is_limited: answers["429"].is_object(),
            has_etag: method == "get" && is_api && !content.is_null(),
        }
    }

    /// Every problem that the operation can answer with, and what it means where the handler does not say more.
    fn problems(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        // The key of an event is its id: it cannot be in conflict.
        let can_conflict = self.takes_key && !self.is_limited;
        [
            (self.is_api, "400", "The request is malformed or invalid; `errors` names every field."),
            (self.takes_credential, "401", "The credential is missing, unknown or expired."),
            (self.takes_credential, "403", "The credential does not allow this."),
            (self.names_something, "404", "There is no such thing, or it belongs to somebody else."),
            (self.takes_body, "408", "The body stopped arriving."),
            (can_conflict, "409", "The first request with this `Idempotency-Key` is still running."),
            (self.takes_body, "413", "The body is too large."),
            (self.takes_body, "415", "The media type or the encoding of the body is not accepted."),
            (self.is_question, "422", "The answer would be too large, or take too much time or memory."),
            (self.takes_body, "429", "The bodies of the sender's requests use as much memory as one sender may."),
            (can_conflict, "422", "This `Idempotency-Key` was used with another body."),
            (!self.is_alive_check, "500", "The server failed; the log has the cause."),
            (!self.is_alive_check, "503", "A part of the server is unavailable; send the request again later."),
        ]
        .into_iter()
        .filter_map(|(can_happen, status, sentence)| can_happen.then_some((status, sentence)))
    }

    fn finish(&self, status: &str, answer: &mut Value) {
        if answer["description"].as_str().is_none_or(str::is_empty) {
            answer["description"] = sentence(status).into();
        }
        let is_problem = status >= "400";
        if is_problem && (answer["content"].is_null() || status == "400") {
            answer["content"]["application/problem+json"] = json!({ "schema": { "$ref": PROBLEM } });
        }
        let Some(answer) = answer.as_object_mut() else { return };
        let headers = answer.entry("headers").or_insert_with(|| json!({}));
        let Some(headers) = headers.as_object_mut() else { return };
        let is_json = !is_problem && status != "304";
        let with = [
            (
                true,
                "X-Request-Id",
                true,
                text("The request's id, as in the log; the client's own `X-Request-Id` if sent."),
            ),
            (status == "401", "WWW-Authenticate", true, text("Always `Bearer`.")),
            (
                matches!(status, "429" | "503"),
                "Retry-After",
                status == "429",
                seconds("When to send the request again."),
            ),
            (self.has_etag && matches!(status, "200" | "304"), "ETag", false, text("For `If-None-Match`.")),
            (
                self.is_list && status == "200",
                "Link",
                false,
                text("The next page: `<…>; rel=\"next\"`; absent at the end."),
            ),
            (
                self.is_limited && (is_json || status == "429"),
                "RateLimit",
                false,
                text("The rest of the limit of the public credential: `\"events\";r=…;t=…`."),
            ),
            (
                self.is_limited && (is_json || status == "429"),
                "RateLimit-Policy",
                false,
                text("The limit of the public credential: `\"events\";q=…;w=1`."),
            ),
        ];
        for (_, name, is_required, mut header) in with.into_iter().filter(|(is_there, ..)| *is_there) {
            if is_required {
                header["required"] = true.into();
            }
            headers.entry(name).or_insert(header);
        }
    }
}

fn text(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

fn seconds(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "integer", "minimum": 1 } })
}

/// The default description of an answer.
fn sentence(status: &str) -> &'static str {
    match status {
        "200" => "The answer.",
        "201" => "It was created.",
        "202" => "It was accepted; the work follows.",
        "204" => "It is done.",
        "206" => "The bytes of the range.",
        "304" => "The answer that `If-None-Match` names is still current.",
        "416" => "The range lies beyond the end.",
        status => status
            .parse()
            .ok()
            .and_then(|code| StatusCode::from_u16(code).ok()?.canonical_reason())
            .unwrap_or("An answer."),
    }
}

/// True if a schema, or one that it is composed of, has the property.
pub(super) fn has_property(schema: &Value, name: &str, components: &Value) -> bool {
    if let Some(reference) = schema["$ref"].as_str().and_then(|text| text.strip_prefix("#/components/schemas/")) {
        return has_property(&components["schemas"][reference], name, components);
    }
    let parts = ["allOf", "oneOf", "anyOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
    schema["properties"].as_object().is_some_and(|properties: &Map<String, Value>| properties.contains_key(name))
        || parts.into_iter().any(|part| has_property(part, name, components))
}
