//! The engines of objects: each is one row.
//!
//! The S3 store is that of `EYELINE_TEST_S3_URL`; `scripts/with-s3` starts one. A test that cannot reach it fails, so
//! that no engine is skipped silently.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use eyeline_store::Objects;
use eyeline_store::objects::Location;

/// Longer than any start or recovery takes, also beside heavy work.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Row {
    pub objects: Objects,
    pub location: Location,
    /// The folder, if the engine is one.
    pub folder: Option<tempfile::TempDir>,
}

impl Row {
    /// The number of files in the folder; `None` if the engine is none.
    pub fn files(&self) -> Option<usize> {
        self.folder.as_ref().map(|folder| files_in(folder.path()))
    }
}

fn files_in(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.map(|path| if path.is_dir() { files_in(&path) } else { 1 }).sum()
}

/// Runs `test` on every engine of objects.
pub async fn on_every_store(test: impl AsyncFn(Row)) {
    eprintln!("in a folder:");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let location = Location::from(&format!("file:{}", folder.path().display()));
    test(Row { objects: Objects::open(&location).await.expect("open objects"), location, folder: Some(folder) }).await;
    for (name, location) in [("in one bucket", bucket()), ("in two buckets", buckets())] {
        eprintln!("{name}:");
        test(Row { objects: Objects::open(&location).await.expect("open objects"), location, folder: None }).await;
    }
}

pub fn of_environment(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} has to name an S3 store: run the tests through scripts/with-s3"))
}

/// One bucket for everything.
pub fn bucket() -> Location {
    Location {
        access_key_id: Some(of_environment("EYELINE_TEST_S3_ACCESS_KEY")),
        secret_access_key: Some(of_environment("EYELINE_TEST_S3_SECRET_KEY")),
        ..Location::from(&of_environment("EYELINE_TEST_S3_URL"))
    }
}

/// A bucket, and another one for public versions.
pub fn buckets() -> Location {
    Location {
        public_url: Some(of_environment("EYELINE_TEST_S3_PUBLIC_URL")),
        public_bucket: Some(of_environment("EYELINE_TEST_S3_PUBLIC_BUCKET")),
        ..bucket()
    }
}

/// An S3 store of a test's own, which stays at its place over restarts.
pub struct Server {
    folder: tempfile::TempDir,
    ports: Vec<u16>,
    child: Option<Child>,
}

impl Server {
    const KEY: &str = "key";
    const SECRET: &str = "secret";
    const BUCKET: &str = "photos";

    /// A store that does not run yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let identities = serde_json::json!({"identities": [{
            "name": "eyeline", "credentials": [{"accessKey": Self::KEY, "secretKey": Self::SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        std::fs::write(folder.path().join("s3.json"), identities.to_string()).expect("a file");
        std::fs::create_dir(folder.path().join("data")).expect("a folder");
        let held: Vec<_> = (0..8).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let ports = held.iter().map(|one| one.local_addr().expect("an address").port()).collect();
        Server { folder, ports, child: None }
    }

    pub fn start(&mut self) {
        let folder = self.folder.path().display();
        let mut command = Command::new(of_environment("EYELINE_TEST_WEED"));
        command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-filer", "-s3"]);
        command.args(["-master.volumeSizeLimitMB=64", "-volume.max=16", "-volume.minFreeSpace=0"]);
        // Buckets without rules let no page in.
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.allowedOrigins="]);
        let names =
            ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"];
        let names = names.into_iter().chain(["s3.port", "s3.port.grpc"]);
        command.args(names.zip(&self.ports).map(|(name, port)| format!("-{name}={port}")));
        command.args([format!("-dir={folder}/data"), format!("-s3.config={folder}/s3.json")]);
        command.args([format!("-filer.localSocket={folder}/f"), format!("-s3.localSocket={folder}/s")]);
        command.current_dir(self.folder.path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("weed, which scripts/with-s3 installs"));
    }

    /// Starts the store, and makes its bucket.
    pub async fn start_with_bucket(&mut self) {
        self.start_and_make(&[]).await;
    }

    /// Starts the store, and makes its bucket, to which no page of a browser may send anything.
    pub async fn start_with_bucket_without_cors(&mut self) {
        self.start_and_make(&["--without-cors"]).await;
    }

    async fn start_and_make(&mut self, options: &'static [&str]) {
        self.start();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/make-buckets");
        let endpoint = self.endpoint();
        let made = tokio::task::spawn_blocking(move || {
            Command::new(script).args(options).args([&endpoint, Self::KEY, Self::SECRET, Self::BUCKET]).status()
        });
        assert!(made.await.expect("a task").expect("python3").success());
    }

    pub fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("a running store").id().to_string();
        assert!(Command::new("kill").args([signal, &child]).status().expect("kill").success());
    }

    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a running store");
        child.kill().expect("killed");
        child.wait().expect("ended");
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[6])
    }

    pub fn location(&self) -> Location {
        Location {
            access_key_id: Some(Self::KEY.to_owned()),
            secret_access_key: Some(Self::SECRET.to_owned()),
            ..Location::from(&format!("s3://{}?endpoint={}", Self::BUCKET, self.endpoint()))
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
