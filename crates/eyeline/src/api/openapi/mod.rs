//! The description of the API, made from the code: OpenAPI 3.1.
//!
//! Handlers describe what is special about them. What follows from rules that hold everywhere (problem answers, headers,
//! `servers`) is added here, to all operations alike.

mod answers;
pub mod parameters;
mod samples;
mod schemas;

use axum::body::Bytes;
use axum::middleware::from_fn;
use axum::{Router, routing};
use http::header;
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, ToSchema};

use super::body::JSON;
use super::etag;
use super::problem::ProblemDocument;
use crate::app::App;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Eyeline", description = include_str!("quick_start.md")),
    paths(get_openapi),
    components(schemas(ProblemDocument)),
    security(("key" = []), ("session" = [])),
    tags(
        (name = "projects", description = "Projects keep tenants apart."),
        (name = "applications", description = "Applications are the trusted senders of a project. They own its keys."),
        (name = "images", description = "Upload links, images and their versions."),
        (name = "uploads", description = "Images that belong to one user of an application."),
        (name = "galleries", description = "Galleries, their images and their order."),
        (name = "ranking", description = "Rules, explanations and experiments about a gallery's order."),
        (name = "events", description = "Events: sent, listed, quarantined, erased."),
        (name = "event types", description = "JSON Schemas that events are checked against."),
        (name = "analytics", description = "Reports and SQL over a project's events."),
        (name = "live updates", description = "A project's news as a WebSocket or as server-sent events."),
        (name = "session", description = "Signing a browser in on the server's own page."),
        (name = "operations", description = "Health, metrics and failed jobs, for operators."),
    ),
    modifiers(&Credentials)
)]
struct Frame;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, api: &mut OpenApi) {
        let bearer = |format: &str, about: &str| {
            let mut scheme = Http::new(HttpAuthScheme::Bearer);
            scheme.bearer_format = Some(format.to_owned());
            scheme.description = Some(about.to_owned());
            SecurityScheme::Http(scheme)
        };
        let schemes = [
            ("key", bearer("eyl_…", "The admin key (everything), or an application's secret key (its project).")),
            (
                "user_token",
                bearer("JWT", "A token that an application signs for its user; `kid` is the application_id."),
            ),
            (
                "application",
                SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
                    "application",
                    "The public id of an application: sends events, reads public galleries.",
                ))),
            ),
            (
                "application_parameter",
                SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::with_description(
                    "application",
                    "The same id for clients that cannot set a header.",
                ))),
            ),
            (
                "session",
                SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
                    "eyeline_session",
                    "A browser that was signed in with the admin key; only for pages of this server.",
                ))),
            ),
        ];
        let components = api.components.get_or_insert_default();
        components.security_schemes.extend(schemes.map(|(name, scheme)| (name.to_owned(), scheme.into())));
    }
}

/// The description of the API without its routes.
pub fn frame() -> OpenApi {
    Frame::openapi()
}

/// The finished document of a server at `public_url`.
pub fn document(api: &OpenApi, public_url: &str) -> Value {
    let mut document = serde_json::to_value(api).unwrap_or_default();
    document["servers"] = json!([{ "url": public_url, "description": "This server" }]);
    schemas::finish(&mut document);
    let components = document["components"].take();
    let security = document["security"].clone();
    for (path, method, operation) in operations_mut(&mut document) {
        // "No credential" is written as an empty list; the generator writes a list of one empty requirement.
        if operation["security"] == json!([{}]) {
            operation["security"] = json!([]);
        }
        schemas::drop_null_of_parameters(operation);
        answers::complete(operation, method, path, &components, &security);
        samples::add(operation, method, path, &components, public_url);
    }
    document["components"] = components;
    document
}

/// Get this description
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "operations", security(()),
    responses((status = 200, body = OpenApiDocument))
)]
#[expect(dead_code, reason = "describes the route of the finished document")]
fn get_openapi() {}

/// The bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes bodies")]
pub struct FileBytes(Vec<u8>);

/// An OpenAPI 3.1 document.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "describes an answer")]
struct OpenApiDocument(Value);

/// Serves the finished description.
pub fn routes(document: &Value) -> Router<App> {
    let document = Bytes::from(document.to_string());
    let serve = move || std::future::ready(([(header::CONTENT_TYPE, JSON)], document.clone()));
    Router::new().route("/api/v1/openapi.json", routing::get(serve)).layer(from_fn(etag::wrap))
}

/// Path, method and description of every operation.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

fn operations_mut(document: &mut Value) -> impl Iterator<Item = (&str, &str, &mut Value)> {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object_mut().into_iter().flatten();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

/// The alternative credentials of the operation: its own list, else the document's.
fn security<'a>(operation: &'a Value, default: &'a Value) -> impl Iterator<Item = &'a Map<String, Value>> {
    let own = operation["security"].as_array();
    own.or(default.as_array()).into_iter().flatten().filter_map(Value::as_object)
}
