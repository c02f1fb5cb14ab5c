//! HTTP: thin handlers over the flow and the catalog, one file a topic.

mod accept;
pub mod allowance;
mod analytics;
mod applications;
mod assets;
pub mod auth;
pub mod body;
pub mod client_address;
mod compression;
mod cors;
mod dataset;
mod downloads;
mod encoding;
mod envelope;
mod erasures;
mod estimate;
pub mod etag;
mod event_types;
mod events;
mod experiment;
pub mod fields;
mod form;
mod galleries;
mod gallery_changes;
mod head;
pub mod idempotency;
mod images;
mod jobs;
mod objects;
mod openapi;
mod operations;
mod pages;
mod patience;
pub mod problem;
mod projects;
mod public_page;
pub mod query;
mod room;
mod rules;
pub mod session;
mod streams;
mod unpacked;
mod upload_links;
mod uploads;
mod user_token;
mod why;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::from_fn;
use axum::response::{IntoResponse as _, Response};
use http::uri::PathAndQuery;
use http::{StatusCode, Uri};
use serde_json::Value;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use utoipa_axum::router::OpenApiRouter;

pub use auth::Credential;
pub use body::JsonBody;
pub use fields::Fields;
pub use idempotency::{Idempotency, answer_once};
pub use patience::limit_silence;
pub use problem::{Answer, Problem, ProblemDocument};
pub use query::{Next, Paging, PagingParameters, ProjectParameter, Query};

use self::openapi::parameters::Parameters;
use crate::app::App;
use crate::settings::Role;

/// Bytes of a body where a topic sets no other limit.
const BODY_MAX: usize = 1024 * 1024;

/// All routes of the server. Connections may pass their peer by `ConnectInfo<SocketAddr>`.
///
/// The wrappers of every request are called as functions. As layers of a router each would cost allocations and an
/// indirection at every poll.
pub fn service(
    app: App,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static {
    let (routes, parameters) = routes(&app);
    // Removes a trailing slash before routing.
    let routes = DefaultBodyLimit::max(BODY_MAX).layer(routes).map_request(without_trailing_slash);
    service_fn(move |request: Request| {
        let (app, routes, parameters) = (app.clone(), routes.clone(), parameters.clone());
        async move {
            let answer = async |mut request| match parameters.check(&mut request) {
                Ok(()) => routes.oneshot(request).await.unwrap_or_else(|never| match never {}),
                Err(problem) => problem.into_response(),
            };
            let answer = async |request| room::wrap(&app, request, answer).await;
            let answer = async |request| cors::wrap(&app, request, answer).await;
            let answer = async |request| envelope::wrap(&app, request, answer).await;
            let answer = async |request| compression::wrap(&app, request, answer).await;
            Ok(head::wrap(request, answer).await)
        }
    })
}

/// The routes of the process's roles, and their query parameters.
fn routes(app: &App) -> (axum::Router, Arc<Parameters>) {
    let serves = app.settings.roles.has(Role::Api);
    let described = if serves { described() } else { for_operators() };
    let (described, api) = described.split_for_parts();
    let document = openapi::document(&api, &app.settings.public_url());
    let routes = if serves {
        described.merge(openapi::routes(&document)).merge(pages_of_the_server()).fallback(public_page::nothing)
    } else {
        described.fallback(|| async { without_the_role() })
    };
    (routes.with_state(app.clone()), Arc::new(Parameters::of(&document)))
}

/// The routes of every process, whatever its roles.
fn for_operators() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::frame()).merge(operations::root_routes())
}

/// A request that a balancer sent to the wrong process: nothing of it is lost if it is sent again.
fn without_the_role() -> Problem {
    let sentence = "This process does not have the role api; send the request to one that has.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, sentence).retry_after(Duration::from_secs(1))
}

/// The routes outside of the API: pages for people, and their parts.
fn pages_of_the_server() -> axum::Router<App> {
    assets::routes().merge(public_page::routes())
}

/// Treats `/path/` as `/path`. Other slashes stay: a proxy that hides `/metrics` has to know its only spelling.
fn without_trailing_slash(mut request: Request) -> Request {
    let uri = request.uri();
    let path = uri.path().trim_end_matches('/');
    if path.len() == uri.path().len() || path.is_empty() {
        return request;
    }
    let text = uri.query().map_or(path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(text).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

/// The OpenAPI 3.1 description for a server at `public_url`.
pub fn document(public_url: &str) -> Value {
    openapi::document(&described().into_openapi(), public_url)
}

/// Every route with its description. The routes that receive events are given in full: nesting would cost time for
/// every event.
fn described() -> OpenApiRouter<App> {
    let api = topics().into_iter().fold(OpenApiRouter::new(), OpenApiRouter::merge).layer(from_fn(etag::wrap));
    let root = operations::root_routes().merge(downloads::root_routes()).merge(events::reception_routes());
    // A merge adds methods to an existing address; nesting would replace its description.
    OpenApiRouter::with_openapi(openapi::frame()).nest("/api/v1", api).merge(root)
}

/// The routes below `/api/v1`. A topic's `root_routes()` are links outside of the API, at the root.
fn topics() -> Vec<OpenApiRouter<App>> {
    vec![
        operations::routes(),
        session::routes(),
        projects::routes(),
        applications::routes(),
        images::routes(),
        jobs::routes(),
        upload_links::routes(),
        uploads::routes(),
        streams::routes(),
        galleries::routes(),
        dataset::routes(),
        pages::routes(),
        event_types::routes(),
        rules::routes(),
        gallery_changes::routes(),
        experiment::routes(),
        estimate::routes(),
        why::routes(),
        events::routes(),
        analytics::routes(),
        erasures::routes(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_name_stands_for_schemas_of_two_topics() {
        let mut known = HashMap::new();
        for topic in topics().into_iter().chain([events::reception_routes()]) {
            for (name, schema) in topic.into_openapi().components.unwrap_or_default().schemas {
                let schema = serde_json::to_value(schema).expect("a schema");
                let other = known.entry(name.clone()).or_insert_with(|| schema.clone());
                assert_eq!(*other, schema, "{name}");
            }
        }
        assert!(known.len() > 50, "{} schemas", known.len());
    }
}
