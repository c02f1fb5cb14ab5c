//! A server in this process, on fresh embedded engines, and requests to it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use eyeline::api::limit_silence;
use eyeline::app::App;
use eyeline::flow::event::ingest::Step;
use eyeline::settings::Settings;
use eyeline_contract::{Contract, Exchange};
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;
use uuid::Uuid;

pub const ADMIN_KEY: &str = "eyl_admin_for_tests_only_0000";

/// The description that every answer of this suite must satisfy.
pub static CONTRACT: LazyLock<Contract> =
    LazyLock::new(|| Contract::new(eyeline::api::document("http://localhost:8009")));

pub struct Server {
    pub app: App,
    service: BoxCloneSyncService<Request<Body>, Response, Infallible>,
    _folder: TempDir,
}

/// An answer with its whole body.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Server {
    /// Starts a server without background tasks. A test calls the steps that it needs.
    pub async fn start() -> Self {
        Server::start_with(|_| {}).await
    }

    /// With other settings than a test usually has.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        Server::start_with_workers(env!("CARGO_BIN_EXE_eyeline").as_ref(), change).await
    }

    /// With another program for its workers.
    pub async fn start_with_workers(program: &Path, change: impl FnOnce(&mut Settings)) -> Self {
        Server::open(tempfile::tempdir().expect("a temporary folder"), program, change).await
    }

    /// Stops and opens again on the same data folder.
    pub async fn restart(self) -> Self {
        self.restart_with(|_| {}).await
    }

    /// The same, with other settings.
    pub async fn restart_with(self, change: impl FnOnce(&mut Settings)) -> Self {
        let Server { app, service, _folder: folder } = self;
        app.stop.cancel();
        drop((app, service));
        Server::open(folder, env!("CARGO_BIN_EXE_eyeline").as_ref(), change).await
    }

    /// Opens another process on the catalog, the orders and the secret of this one, which must be in its settings. It
    /// owns no partition.
    pub async fn beside(&self) -> Self {
        let (folder, ours) = (tempfile::tempdir().expect("a temporary folder"), &self.app.settings);
        let settings = Settings {
            data: folder.path().to_owned(),
            catalog_url: Some(ours.catalog_url()),
            orders_url: Some(ours.orders_url()),
            ..Settings::clone(ours)
        };
        let app = App::open(settings, env!("CARGO_BIN_EXE_eyeline").into()).await.expect("an open app");
        let service = BoxCloneSyncService::new(eyeline::api::service(app.clone()));
        Server { service, app, _folder: folder }
    }

    async fn open(folder: TempDir, program: &Path, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            data: folder.path().to_owned(),
            admin_key: Some(ADMIN_KEY.to_owned()),
            test_clock: true,
            ..Settings::default()
        };
        change(&mut settings);
        let app = App::open(settings, program.to_owned()).await.expect("an open app");
        app.take_partitions().await.expect("the only process");
        let service = BoxCloneSyncService::new(eyeline::api::service(app.clone()));
        Server { service, app, _folder: folder }
    }

    /// Also serves on a free port, for tests that need a connection. Returns its address.
    pub async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let service = self.service.clone().map_request(|request| limit_silence(request, Duration::from_secs(30)));
        let router = Router::new().fallback_service(BoxCloneSyncService::new(service));
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    /// Applies every accepted event, like the background task.
    pub async fn apply_events(&self) {
        let ingest = &self.app.ingest;
        let mut mark = ingest.mark(0).await.expect("a mark");
        while let Step::Applied { reached, .. } = ingest.step(0, mark, 10_000).await.expect("a step") {
            mark = reached;
        }
    }

    /// Returns an answer whose body is not read yet.
    pub async fn begin(&self, request: Request<Body>) -> Response {
        self.service.clone().oneshot(request).await.expect("it never fails")
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = Answer::read(self.begin(request).await).await;
        // A compressed answer is compared with the plain one, which is checked.
        if answer.header("content-encoding").is_empty() {
            CONTRACT.assert(&Exchange {
                method: method.as_str(),
                path: &path,
                status: answer.status.as_u16(),
                headers: &answer.headers,
                body: &answer.body,
            });
        }
        answer
    }

    /// Like the server's connections, with another patience for a silent body.
    pub async fn send_with_patience(&self, request: Request<Body>, patience: Duration) -> Answer {
        self.send(limit_silence(request, patience)).await
    }

    pub async fn get(&self, path: &str, key: &str) -> Answer {
        self.send(request("GET", path, key).body(Body::empty()).expect("a request")).await
    }

    pub async fn delete(&self, path: &str, key: &str) -> Answer {
        self.send(request("DELETE", path, key).body(Body::empty()).expect("a request")).await
    }

    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.write("POST", path, key, body).await
    }

    /// Sends `body` as JSON.
    pub async fn write(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        let request = request(method, path, key).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).expect("a request")).await
    }
}

/// A request builder. An empty `key` sends no credential.
pub fn request(method: &str, path: &str, key: &str) -> http::request::Builder {
    let request = Request::builder().method(method).uri(path);
    if key.is_empty() { request } else { request.header("authorization", format!("Bearer {key}")) }
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body").to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// The URL of a new database in the PostgreSQL of `EYELINE_TEST_POSTGRES_URL`.
pub async fn new_database() -> String {
    let admin_url = std::env::var("EYELINE_TEST_POSTGRES_URL")
        .expect("EYELINE_TEST_POSTGRES_URL has to name a PostgreSQL: run the tests through scripts/with-postgres");
    let mut admin = PgConnection::connect(&admin_url).await.expect("the PostgreSQL of EYELINE_TEST_POSTGRES_URL");
    let name = format!("test_{}", Uuid::new_v4().simple());
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.expect("a database for the test");
    let (server, _) = admin_url.rsplit_once('/').expect("a URL that ends with the name of a database");
    format!("{server}/{name}")
}

/// A project with an application, and its clients' credentials.
pub struct Tenant {
    pub project_id: String,
    pub application_id: String,
    pub secret_key: String,
    pub signing_secret: String,
}

impl Server {
    /// Creates a project whose application browsers may use from `https://shop.example`.
    pub async fn tenant(&self, name: &str) -> Tenant {
        let project = self.post("/api/v1/projects", ADMIN_KEY, &json!({"name": name})).await;
        assert_eq!(project.status, StatusCode::CREATED, "{project:?}");
        let project_id = text(&project.json(), "project_id");
        let body = json!({"project_id": project_id, "name": name, "allowed_origins": ["https://shop.example"]});
        let application = self.post("/api/v1/applications", ADMIN_KEY, &body).await;
        assert_eq!(application.status, StatusCode::CREATED, "{application:?}");
        let application = application.json();
        Tenant {
            project_id,
            application_id: text(&application, "application_id"),
            secret_key: text(&application, "secret_key"),
            signing_secret: text(&application, "signing_secret"),
        }
    }
}

pub fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_else(|| panic!("{field} in {object}")).to_owned()
}
