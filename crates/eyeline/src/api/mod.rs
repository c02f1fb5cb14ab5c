//! HTTP: thin handlers over the flow and the catalog, one file a topic.

pub mod allowance;
mod analytics;
mod applications;
mod assets;
pub mod auth;
pub mod body;
pub mod client_address;
mod cors;
mod dataset;
mod docs;
mod downloads;
mod envelope;
mod erasures;
mod estimate;
pub mod etag;
mod event_types;
mod events;
mod experiment;
pub mod fields;
mod galleries;
pub mod idempotency;
mod images;
mod jobs;
mod operations;
mod pages;
pub mod problem;
mod projects;
pub mod query;
mod rules;
pub mod session;
mod streams;
mod upload_links;
mod uploads;
mod user_token;
mod why;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use tower::Layer as _;
use tower_http::normalize_path::NormalizePathLayer;
use utoipa_axum::router::OpenApiRouter;

pub use auth::Credential;
pub use body::JsonBody;
pub use fields::Fields;
pub use idempotency::{Idempotency, answer_once};
pub use problem::{Answer, Problem, ProblemDocument};
pub use query::{Next, Paging, Query};

use crate::app::App;

/// Bytes of a body where a topic sets no other limit.
const BODY_MAX: usize = 1024 * 1024;

/// Everything that the server answers. Connections may tell their peer by `ConnectInfo<SocketAddr>`.
pub fn router(app: App) -> Router {
    let (described, api) = described().split_for_parts();
    let routes = described.merge(docs::routes(&api)).merge(assets::routes());
    let routes = routes.layer(DefaultBodyLimit::max(BODY_MAX)).with_state(app.clone());
    // A trailing slash has to go before a route is looked for: hence the normaliser around the router.
    let normalised = NormalizePathLayer::trim_trailing_slash().layer(routes);
    Router::new()
        .fallback_service(normalised)
        .layer(from_fn_with_state(app.clone(), cors::wrap))
        .layer(from_fn_with_state(app, envelope::wrap))
}

/// Every route with its description. A topic's `routes()` stand below `/api/v1`, its `root_routes()` (links that are no
/// part of the API) at the root.
fn described() -> OpenApiRouter<App> {
    let api = OpenApiRouter::new()
        .merge(operations::routes())
        .merge(session::routes())
        .merge(projects::routes())
        .merge(applications::routes())
        .merge(images::routes())
        .merge(jobs::routes())
        .merge(upload_links::routes())
        .merge(uploads::routes())
        .merge(streams::routes())
        .merge(galleries::routes())
        .merge(dataset::routes())
        .merge(pages::routes())
        .merge(event_types::routes())
        .merge(rules::routes())
        .merge(experiment::routes())
        .merge(estimate::routes())
        .merge(why::routes())
        .merge(events::routes())
        .merge(analytics::routes())
        .merge(erasures::routes());
    let api = api.layer(from_fn(etag::wrap));
    let root = operations::root_routes().merge(downloads::root_routes());
    OpenApiRouter::with_openapi(docs::frame()).merge(root).nest("/api/v1", api)
}
