//! For the operator: health, readiness, metrics; and the clock of tests.

use std::path::Path;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use eyeline_core::Timestamp;
use eyeline_store::cache;
use eyeline_store::catalog::lake::{LakeFile, Manifest};
use eyeline_store::orders::Usage;
use http::{HeaderValue, StatusCode, header};
use rustix::fs::statvfs;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client_address::ClientAddress;
use super::{Answer, Credential, Fields, JsonBody, Problem};
use crate::app::App;
use crate::engines::EngineState;
use crate::flow::gallery::rank::ORDER_KEPT;
use crate::flow::photo::admission;
use crate::metrics::Text;
use crate::settings::MetricsOpen;
use crate::walls::Walls;

pub fn root_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(set_test_clock))
}

#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `"ok"`.
    status: &'static str,
}

/// Check that the server is alive
#[utoipa::path(
    get, path = "/healthz", operation_id = "get_health", tag = "operations", responses((status = 200, body = Health)),
    security(())
)]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

#[derive(Serialize, ToSchema)]
struct Readiness {
    /// True if requests should be sent to this server.
    ready: bool,
    /// True once the process was asked to stop.
    stopping: bool,
    /// The roles of the process: `api`, `worker`, `ingest`.
    roles: Vec<String>,
    engines: Vec<Engine>,
    /// Further reasons why the server is not ready, as sentences.
    troubles: Vec<String>,
    /// Faults that an operator should correct although the server works, as sentences.
    warnings: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct Engine {
    name: &'static str,
    reachable: bool,
    /// False if the server only works more slowly without it.
    required: bool,
}

/// Check that the server is ready
///
/// The server is ready if every required engine answers, no other process has claimed its partitions, photos can be
/// decoded, SQL can be answered, and no stop was requested.
#[utoipa::path(
    get, path = "/readyz", operation_id = "get_readiness", tag = "operations", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness, description = "The server is not ready."))
)]
async fn readyz(State(app): State<App>) -> (StatusCode, Json<Readiness>) {
    let engines = app.engines.check().await;
    let engines: Vec<Engine> = engines
        .into_iter()
        .map(|EngineState { name, is_required: required, is_reachable: reachable }| Engine {
            name,
            reachable,
            required,
        })
        .collect();
    let stopping = app.draining.is_cancelled() || app.stop.is_cancelled();
    let mut troubles = app.partitions.troubles();
    let walls = [app.makers.walls(), app.sql_workers.walls()];
    troubles.extend(walls.into_iter().filter_map(Walls::trouble));
    let ready = !stopping && troubles.is_empty() && engines.iter().all(|engine| engine.reachable || !engine.required);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let roles = app.settings.roles.names().into_iter().map(str::to_owned).collect();
    let warnings = walls.into_iter().flat_map(Walls::warnings).collect();
    (status, Json(Readiness { ready, stopping, roles, engines, troubles, warnings }))
}

/// Get metrics
///
/// For Prometheus. Requires the admin key, unless the server's settings open it to its own machine.
#[utoipa::path(
    get, path = "/metrics", operation_id = "get_metrics", tag = "operations",
    security(("key" = []), ("session" = []), ()),
    responses((status = 200, body = String, content_type = "text/plain"))
)]
async fn metrics(
    State(app): State<App>,
    client: ClientAddress,
    credential: Result<Credential, Problem>,
) -> Answer<Response> {
    let is_open = app.settings.metrics_open == MetricsOpen::Loopback && client.is_local;
    if !is_open {
        credential?.admin()?;
    }
    let mut text = app.metrics.render();
    text.family("eyeline_build_info", "gauge", "Always 1; the label is the version of the program.");
    text.sample("eyeline_build_info", &format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0);
    write_disk(&mut text, &app.settings.data);
    text.family("eyeline_engine_up", "gauge", "1 if the engine answers.");
    for EngineState { name, is_reachable, .. } in app.engines.check().await {
        text.sample("eyeline_engine_up", &format!("{{engine=\"{name}\"}}"), f64::from(u8::from(is_reachable)));
    }
    text.family("eyeline_catalog_transactions_total", "counter", "Transactions begun, by what they do.");
    let transactions = app.catalog.transactions();
    text.sample("eyeline_catalog_transactions_total", "{kind=\"read\"}", transactions.reads as f64);
    text.sample("eyeline_catalog_transactions_total", "{kind=\"write\"}", transactions.writes as f64);
    let now = app.clock.real_now();
    let depths = app.catalog.job_depths().await?;
    text.family("eyeline_jobs", "gauge", "Jobs by kind and state.");
    for depth in &depths {
        let labels = format!("{{kind=\"{}\",state=\"{}\"}}", depth.kind, depth.state);
        text.sample("eyeline_jobs", &labels, depth.jobs as f64);
    }
    text.family("eyeline_jobs_oldest_seconds", "gauge", "Seconds since the oldest of these jobs could have run.");
    for depth in &depths {
        let labels = format!("{{kind=\"{}\",state=\"{}\"}}", depth.kind, depth.state);
        text.sample("eyeline_jobs_oldest_seconds", &labels, now.since(depth.oldest).as_secs_f64());
    }
    for walls in [app.makers.walls(), app.sql_workers.walls()] {
        write_walls(&mut text, walls);
    }
    text.family("eyeline_clock_jump_seconds", "gauge", "Seconds by which the clock was set forward, above a day.");
    text.sample("eyeline_clock_jump_seconds", "", app.clock.jump().unwrap_or_default().as_secs_f64());
    text.family("eyeline_body_bytes", "gauge", "Bytes of memory that the bodies of requests use.");
    text.sample("eyeline_body_bytes", "", app.bodies.taken() as f64);
    write_admission(&mut text, app.admission.state());
    write_cache(&mut text, app.cache.usage());
    write_orders(&mut text, app.orders.usage());
    text.family("eyeline_sql_questions_total", "counter", "Questions in SQL, by outcome.");
    for (outcome, count) in app.sql_workers.outcomes() {
        text.sample("eyeline_sql_questions_total", &format!("{{outcome=\"{outcome}\"}}"), count as f64);
    }
    text.family("eyeline_inbox_waiting", "gauge", "Events that are not counted yet.");
    for partition in 0..app.inbox.partitions() {
        let waiting = app.inbox.waiting(partition, app.catalog.applied_mark(partition).await?).await?;
        let labels = format!("{{partition=\"{partition}\"}}");
        text.sample("eyeline_inbox_waiting", &labels, waiting as f64);
    }
    write_lake(&mut text, &app.catalog.manifest().await?);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text.finish()).into_response())
}

/// Nothing if the system does not tell.
fn write_disk(text: &mut Text, data: &Path) {
    let Ok(disk) = statvfs(data) else { return };
    text.family("eyeline_disk_bytes", "gauge", "Bytes of the data folder's disk: all, and those that are free.");
    for (state, blocks) in [("all", disk.f_blocks), ("free", disk.f_bavail)] {
        let bytes = blocks.saturating_mul(disk.f_frsize);
        text.sample("eyeline_disk_bytes", &format!("{{state=\"{state}\"}}"), bytes as f64);
    }
}

fn write_walls(text: &mut Text, walls: &Walls) {
    let standing = walls.standing();
    if standing.is_empty() {
        return;
    }
    let kind = walls.kind();
    let name = format!("eyeline_{}_confined", kind.name);
    text.family(&name, "gauge", &format!("1 if the kernel confines {}, by mechanism.", kind.plural));
    for (wall, stands) in standing {
        text.sample(&name, &format!("{{wall=\"{wall}\"}}"), f64::from(u8::from(stands)));
    }
}

fn write_lake(text: &mut Text, manifest: &Manifest) {
    text.family("eyeline_lake_waiting", "gauge", "Counted events that are in no file yet.");
    for marks in &manifest.partitions {
        let labels = format!("{{partition=\"{}\"}}", marks.partition);
        text.sample("eyeline_lake_waiting", &labels, marks.waiting as f64);
    }
    let sum = |number: fn(&LakeFile) -> u64| manifest.files.iter().map(number).sum::<u64>() as f64;
    if let Some(oldest) = manifest.files.iter().map(|file| file.first_received_at).min() {
        const NAME: &str = "eyeline_lake_oldest_timestamp_seconds";
        text.family(NAME, "gauge", "When the oldest event in a file was received, in seconds since 1970.");
        text.sample(NAME, "", oldest.micros() as f64 / 1e6);
    }
    for (name, help, value) in [
        ("eyeline_lake_files", "Files of events.", sum(|_| 1)),
        ("eyeline_lake_events", "Events in these files.", sum(|file| file.rows)),
        ("eyeline_lake_bytes", "Bytes of these files.", sum(|file| file.bytes)),
        ("eyeline_erasures_under_way", "Sessions to erase that files still have.", manifest.hidden.len() as f64),
    ] {
        text.family(name, "gauge", help);
        text.sample(name, "", value);
    }
}

fn write_cache(text: &mut Text, usage: cache::Usage) {
    const NAME: &str = "eyeline_cache_calls_total";
    text.family(NAME, "counter", "Calls of the cache by outcome; each took at most one round trip.");
    let cache::Usage { hits, misses, writes, failures } = usage;
    for (outcome, calls) in [("hit", hits), ("miss", misses), ("write", writes), ("failure", failures)] {
        text.sample(NAME, &format!("{{outcome=\"{outcome}\"}}"), calls as f64);
    }
}

fn write_orders(text: &mut Text, usage: Usage) {
    let kept = usage.shortest_kept.map_or(ORDER_KEPT, |shortest| shortest.min(ORDER_KEPT));
    for (name, help, value) in [
        ("eyeline_orders_stored", "Published orders that cursors may point into.", usage.records as f64),
        ("eyeline_orders_bytes", "Bytes of disk that these orders use.", usage.bytes as f64),
        ("eyeline_orders_kept_seconds", "Least seconds for which an order outlives its last page.", kept.as_secs_f64()),
    ] {
        text.family(name, "gauge", help);
        text.sample(name, "", value);
    }
}

fn write_admission(text: &mut Text, state: admission::State) {
    let gauges = [
        ("eyeline_decode_bytes_max", "Bytes that photos may use together while versions are made.", state.bytes_max),
        ("eyeline_decode_bytes_admitted", "Bytes of the admitted photos.", state.admitted_bytes),
        ("eyeline_decode_bytes_waiting", "Bytes of the photos that wait for memory.", state.waiting_bytes),
        ("eyeline_decode_photos_waiting", "Claimed photos that wait for memory.", state.waiting_photos),
        ("eyeline_uploads_waiting", "Requests that wait for their photo.", state.room_taken),
    ];
    for (name, help, value) in gauges {
        text.family(name, "gauge", help);
        text.sample(name, "", value as f64);
    }
    text.family("eyeline_uploads_refused_total", "counter", "Requests refused because too many waited.");
    text.sample("eyeline_uploads_refused_total", "", state.refused as f64);
}

#[derive(Serialize, ToSchema)]
struct TestClock {
    /// The time of the product's clock, which continues from there.
    now: Timestamp,
}

/// Set the test clock
///
/// Moves the clock of the product's rules, forward or back. Only with `EYELINE_TEST_CLOCK`. Requires the admin key.
#[utoipa::path(
    post, path = "/test/clock", tag = "operations", request_body = TestClock,
    responses((status = 200, body = TestClock), (status = 404, description = "The test clock is off."))
)]
async fn set_test_clock(
    State(app): State<App>,
    credential: Credential,
    JsonBody(body): JsonBody,
) -> Answer<Json<TestClock>> {
    credential.admin()?;
    if !app.settings.test_clock {
        return Err(Problem::new(StatusCode::NOT_FOUND, "The test clock is off; EYELINE_TEST_CLOCK=true turns it on."));
    }
    let mut fields = Fields::parse(&body)?;
    fields.require("now");
    let now = fields.parsed("now", "a time such as 2021-01-01T09:15:27.243860Z", Timestamp::parse);
    fields.finish()?;
    let now = now.unwrap_or_default();
    let offset = now.micros().saturating_sub(app.clock.real_now().micros());
    app.catalog.set_clock_offset(offset).await?;
    app.clock.set_offset(offset);
    Ok(Json(TestClock { now: app.clock.now() }))
}
