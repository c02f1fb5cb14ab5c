//! Is it alive, is it ready.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub fn root_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `"ok"`.
    status: &'static str,
}

/// The process is alive.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, body = Health)), security(()))]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

#[derive(Serialize, ToSchema)]
struct Readiness {
    /// Whether requests should be sent here.
    ready: bool,
    /// True once the process was asked to stop.
    stopping: bool,
    engines: Vec<Engine>,
}

#[derive(Serialize, ToSchema)]
struct Engine {
    name: &'static str,
    reachable: bool,
}

/// Every engine answers, and the process was not asked to stop.
#[utoipa::path(
    get, path = "/readyz", tag = "operations", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness))
)]
async fn readyz(State(app): State<App>) -> (StatusCode, Json<Readiness>) {
    let engines = app.check_engines().await;
    let engines: Vec<Engine> = engines.into_iter().map(|(name, reachable)| Engine { name, reachable }).collect();
    let stopping = app.stop.is_cancelled();
    let ready = !stopping && engines.iter().all(|engine| engine.reachable);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, stopping, engines }))
}
