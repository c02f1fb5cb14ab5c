use std::collections::BTreeSet;

use axum::body::Body;
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Answer, Server, Tenant, request, text};

/// The first words of operation names.
const VERBS: [&str; 24] = [
    "add",
    "complete",
    "count",
    "create",
    "delete",
    "estimate",
    "explain",
    "get",
    "list",
    "load",
    "open",
    "post",
    "put",
    "query",
    "refresh",
    "remove",
    "replay",
    "reprocess",
    "retry",
    "rotate",
    "set",
    "try",
    "update",
    "upload",
];

async fn document(server: &Server) -> Value {
    let answer = server.get("/api/v1/openapi.json", "").await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.json()
}

/// Path, method and description of every operation.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods").iter();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    operations.collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[tokio::test]
async fn every_operation_is_named_and_explained() {
    let server = Server::start().await;
    let document = document(&server).await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "http://localhost:8009");
    let tags: BTreeSet<&str> = list(&document["tags"])
        .map(|tag| {
            assert!(tag["description"].as_str().is_some_and(|about| about.ends_with('.')), "{tag}");
            tag["name"].as_str().expect("a name")
        })
        .collect();
    let mut ids = BTreeSet::new();
    let mut used = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().expect("an id");
        assert!(ids.insert(id), "two operations are called {id}");
        let (verb, noun) = id.split_once('_').unwrap_or_else(|| panic!("{id} has no noun"));
        assert!(VERBS.contains(&verb), "{id} does not begin with a verb");
        assert!(noun.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()), "{id} is not in snake_case");
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!((1..=6).contains(&summary.split_whitespace().count()), "the title of {id}: {summary:?}");
        assert!(!summary.ends_with('.') && !summary.contains('\n'), "the title of {id}: {summary:?}");
        let tag = operation["tags"][0].as_str().expect("a tag");
        assert!(tags.contains(tag), "the tag {tag} of {id} is not described");
        used.insert(tag);
        for (status, answer) in operation["responses"].as_object().expect("answers") {
            assert!(status.parse::<u16>().is_ok(), "{id} answers with {status}");
            assert!(answer["description"].as_str().is_some_and(|about| !about.is_empty()), "{id} {status}");
            let content = answer["content"].as_object();
            for (kind, media) in content.into_iter().flatten() {
                assert!(media["schema"].is_object(), "{id} {status} {kind} has no schema");
            }
            if status.as_str() >= "400" && status != "503" {
                let problem = &answer["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(problem, "#/components/schemas/ProblemDocument", "{id} {status}");
            }
        }
        let in_path = list(&operation["parameters"]).filter(|parameter| parameter["in"] == "path");
        let named: BTreeSet<&str> = in_path.map(|parameter| parameter["name"].as_str().expect("a name")).collect();
        let held: BTreeSet<&str> = path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        assert_eq!(named, held, "the path parameters of {method} {path}");
    }
    assert_eq!(used, tags, "every tag is used");
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_schema_is_reached() {
    let server = Server::start().await;
    let document = document(&server).await;
    let text = document.to_string();
    let mut reached = BTreeSet::new();
    for reference in text.split("\"#/components/").skip(1) {
        let pointer = format!("/components/{}", reference.split('"').next().unwrap_or_default());
        assert!(document.pointer(&pointer).is_some(), "{pointer} leads nowhere");
        reached.extend(pointer.strip_prefix("/components/schemas/").map(str::to_owned));
    }
    let schemas: BTreeSet<String> =
        document["components"]["schemas"].as_object().expect("schemas").keys().cloned().collect();
    assert_eq!(reached, schemas);
    assert!(schemas.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric())), "{schemas:?}");
    for name in ["key", "user_token", "application", "application_parameter", "session"] {
        assert!(document["components"]["securitySchemes"][name].is_object(), "{name}");
    }
    assert_eq!(document["paths"]["/healthz"]["get"]["security"], json!([]));
}

#[tokio::test]
async fn the_description_and_the_router_agree() {
    let server = Server::start().await;
    let document = document(&server).await;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let concrete = path.replace(['{', '}'], "");
            let sent = request(&method.to_uppercase(), &concrete, "").body(Body::empty()).expect("a request");
            let answer = server.send(sent).await;
            let is_routed = answer.status != StatusCode::METHOD_NOT_ALLOWED
                && !(answer.status == StatusCode::NOT_FOUND
                    && answer.json()["detail"] == "There is nothing at this address.");
            assert!(is_routed, "{method} {path}: {answer:?}");
        }
        // Conversely, every parameter of a route is described.
        let sent = request("TRACE", &path.replace(['{', '}'], ""), "").body(Body::empty()).expect("a request");
        let answer = server.send(sent).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = answer.header("allow").to_lowercase();
        for method in allowed.split(',').filter(|method| *method != "head") {
            assert!(methods.get(method).is_some(), "{method} {path} is not described");
        }
    }
}

/// Existing objects for path parameters.
struct Things {
    tenant: Tenant,
    gallery_id: String,
    image_id: String,
    event_id: String,
}

impl Things {
    async fn create(server: &Server) -> Self {
        let tenant = server.tenant("things").await;
        let (key, project_id) = (&tenant.secret_key, &tenant.project_id);
        let body = json!({"project_id": project_id, "name": "gallery"});
        let gallery_id = text(&server.post("/api/v1/galleries", key, &body).await.json(), "gallery_id");
        let body = json!({"project_id": project_id, "filename": "a.jpg"});
        let image_id = text(&server.post("/api/v1/images", key, &body).await.json(), "image_id");
        let body = json!({"session_id": "e2085be5-9137-4e4e-80b5-f1ffddc25423", "category": "shop", "name": "cart",
            "data": {}, "timestamp": "2021-01-01T00:00:00Z"});
        let event_id = text(&server.post("/api/v1/events", key, &body).await.json(), "event_id");
        let body = json!({"on_invalid": "reject"});
        let path = format!("/api/v1/event-types/shop/cart?project_id={project_id}");
        assert_eq!(server.write("PUT", &path, key, &body).await.status, StatusCode::CREATED);
        Things { tenant, gallery_id, image_id, event_id }
    }

    fn path(&self, path: &str) -> String {
        let parameters = [
            ("{project_id}", &*self.tenant.project_id),
            ("{application_id}", &self.tenant.application_id),
            ("{gallery_id}", &self.gallery_id),
            ("{image_id}", &self.image_id),
            ("{event_id}", &self.event_id),
            ("{category}", "shop"),
            ("{name}", "cart"),
            ("{job_id}", &self.event_id),
            ("{erasure_id}", &self.event_id),
        ];
        parameters.into_iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value))
    }

    /// Sends a request with the weakest permitted key.
    async fn send(&self, server: &Server, method: &str, path: &str, query: &str) -> Answer {
        let address = format!("{}?{query}", self.path(path));
        for key in [&*self.tenant.secret_key, ADMIN_KEY] {
            let sent = request(&method.to_uppercase(), &address, key).header("content-type", "application/json");
            let answer = server.send(sent.body(Body::from("{}")).expect("a request")).await;
            if key == ADMIN_KEY || !matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) {
                return answer;
            }
        }
        unreachable!("the admin key was tried")
    }
}

#[tokio::test]
async fn an_unknown_query_parameter_is_an_error_on_every_route() {
    let server = Server::start().await;
    let document = document(&server).await;
    let things = Things::create(&server).await;
    let mut tried = 0;
    for (path, method, operation) in operations(&document).into_iter().filter(|(path, ..)| path.starts_with("/api/")) {
        for address in [path.to_owned(), format!("{path}/")] {
            let answer = things.send(&server, method, &address, "surprise=1").await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{method} {address}: {answer:?}");
            let sentence = answer.json()["errors"]["surprise"][0].as_str().unwrap_or_default().to_owned();
            assert!(sentence.starts_with("This query parameter is unknown"), "{method} {address}: {answer:?}");
            for parameter in list(&operation["parameters"]).filter(|parameter| parameter["in"] == "query") {
                let name = parameter["name"].as_str().expect("a name");
                assert!(sentence.contains(name), "{method} {address} does not name {name}: {sentence}");
            }
        }
        tried += 1;
    }
    assert!(tried > 60, "{tried} operations");
}

#[tokio::test]
async fn every_described_query_parameter_is_read() {
    let server = Server::start().await;
    let document = document(&server).await;
    let things = Things::create(&server).await;
    let mut tried = 0;
    for (path, method, operation) in operations(&document).into_iter().filter(|(path, ..)| path.starts_with("/api/")) {
        for parameter in list(&operation["parameters"]).filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().expect("a name");
            // Only opaque parameters accept this text.
            let answer = things.send(&server, method, path, &format!("{name}=%00")).await;
            let sentences = answer.json()["errors"][name].clone();
            assert!(sentences.is_array(), "{name} of {method} {path} is not read: {answer:?}");
            let known = format!("{sentences}");
            assert!(!known.contains("unknown") && !known.contains("means nothing"), "{method} {path}: {known}");
            tried += 1;
        }
    }
    assert!(tried > 80, "{tried} parameters");
}

#[tokio::test]
async fn all_faults_of_a_query_are_told_at_once() {
    let server = Server::start().await;
    let answer = server.get("/api/v1/galleries?limit=0&surprise=1&also=2", ADMIN_KEY).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let errors = answer.json()["errors"].clone();
    let named: Vec<&str> = errors.as_object().expect("errors").keys().map(String::as_str).collect();
    assert_eq!(named, ["also", "limit", "project_id", "surprise"]);
}

#[tokio::test]
async fn a_credential_in_the_query_is_known_where_it_is_one() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let named = format!("application={}", tenant.application_id);
    assert_eq!(server.get(&format!("/api/v1/limits?{named}"), "").await.status, StatusCode::OK);
    let refused = server.get(&format!("/api/v1/projects?{named}"), ADMIN_KEY).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.json()["errors"]["application"].is_array(), "{refused:?}");
}

#[tokio::test]
async fn what_is_not_there_below_the_api_is_a_problem() {
    let server = Server::start().await;
    for path in ["/api/v1/nothing", "/api/v1/nothing?x=1", "/api/v1", "/api/v1/projects/1/2/3"] {
        let answer = server.get(path, ADMIN_KEY).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
    }
    let answer = server.delete("/api/v1/events?x=1", ADMIN_KEY).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let allowed: BTreeSet<&str> = answer.header("allow").split(',').collect();
    assert_eq!(allowed, BTreeSet::from(["GET", "HEAD", "POST"]));
}
