//! The built binary as a running process: started, killed, restarted on the same data, and cleaned up.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use uuid::Uuid;

use crate::api::{Api, try_send};
use crate::postgres::{Database, Postgres};
use crate::processes::{self, Process};

const READY_SECONDS_MAX: u64 = 60;
const STOP_SECONDS_MAX: u64 = 60;
/// The time in which a worker notices that its server is gone.
const ORPHAN_SECONDS_MAX: u64 = 15;
const SHOWN_LOG_LINES_MAX: usize = 200;

/// The engines of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Catalog {
    Sqlite,
    Postgres,
    /// The inbox in NATS, as beside other processes. A killed server's events are counted once its leases end.
    PostgresAndNats,
}

/// The environment variable of a running NATS.
const NATS_VARIABLE: &str = "EYELINE_TEST_NATS_URL";

pub struct Server {
    /// A caller with the admin key.
    pub admin: Api,
    binary: PathBuf,
    folder: TempDir,
    port: u16,
    settings: Vec<(String, String)>,
    child: Option<Child>,
    database: Option<Arc<Database>>,
}

impl Server {
    /// A new server, ready for requests: empty data folder, empty catalog, free port.
    pub async fn start(catalog: Catalog) -> Self {
        Self::start_with(catalog, &[]).await
    }

    /// The same with further settings, `EYELINE_*` names and values.
    pub async fn start_with(catalog: Catalog, settings: &[(&str, &str)]) -> Self {
        let database = match catalog {
            Catalog::Sqlite => None,
            Catalog::Postgres | Catalog::PostgresAndNats => {
                Some(tokio::task::spawn_blocking(Database::create).await.expect("a database"))
            }
        };
        let (inbox, secret) = match catalog {
            Catalog::Sqlite | Catalog::Postgres => (None, String::new()),
            Catalog::PostgresAndNats => (Some(new_inbox()), Uuid::new_v4().simple().to_string().repeat(2)),
        };
        let of_inbox = inbox.iter().flat_map(|url| {
            [("EYELINE_INBOX_URL", url.as_str()), ("EYELINE_SECRET", secret.as_str()), ("EYELINE_DRAIN_SECONDS", "0")]
        });
        let settings: Vec<(&str, &str)> = of_inbox.chain(settings.iter().copied()).collect();
        Self::start_on(database.map(Arc::new), &settings).await
    }

    /// Another server on the same catalog.
    pub async fn start_beside(other: &Server) -> Self {
        Self::start_on(other.database.clone(), &[]).await
    }

    /// The same on a PostgreSQL that the caller started.
    pub async fn start_in(postgres: Arc<Postgres>, settings: &[(&str, &str)]) -> Self {
        Self::start_on(Some(Arc::new(Database::create_in(postgres))), settings).await
    }

    async fn start_on(database: Option<Arc<Database>>, further: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("eyeline-e2e-").tempdir().expect("a temporary folder");
        let port = free_port();
        let origin = format!("http://127.0.0.1:{port}");
        let admin_key = format!("eyl_admin_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let mut settings = vec![
            ("EYELINE_LISTEN".to_owned(), format!("127.0.0.1:{port}")),
            ("EYELINE_PUBLIC_URL".to_owned(), origin.clone()),
            ("EYELINE_DATA".to_owned(), folder.path().join("data").display().to_string()),
            ("EYELINE_ADMIN_KEY".to_owned(), admin_key.clone()),
        ];
        if let Some(database) = &database {
            settings.push(("EYELINE_CATALOG_URL".to_owned(), database.url()));
        }
        settings.extend(further.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));

        let admin = Api::anonymous(&origin).with_bearer(&admin_key);
        let mut server = Server { admin, binary: binary(), folder, port, settings, child: None, database };
        server.start_again().await;
        server
    }

    /// Sets an `EYELINE_*` variable for later starts and commands.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the process on the existing data. Returns when it is ready.
    pub async fn start_again(&mut self) {
        assert!(self.child.is_none(), "the server is running");
        let log = fs::File::options().create(true).append(true).open(self.log_path()).expect("a log file");
        let mut command = self.command();
        command.arg("serve").stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.child = Some(command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.binary.display())));

        let deadline = Instant::now() + Duration::from_secs(READY_SECONDS_MAX);
        let probe = self.admin.without_credential();
        let readyz = probe.root_url("/readyz");
        loop {
            let look = probe.request(reqwest::Method::GET, &readyz).timeout(Duration::from_secs(2));
            if try_send(look).await.is_ok_and(|answer| answer.status == 200) {
                return;
            }
            let child = self.child.as_mut().expect("the process was started above");
            if let Some(status) = child.try_wait().expect("the state of the server") {
                panic!("the server ended before it was ready: {status}");
            }
            assert!(Instant::now() < deadline, "the server was not ready after {READY_SECONDS_MAX} s");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The binary with only this server's settings, also for its other commands.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("EYELINE_")) {
            command.env_remove(name);
        }
        // In its own folder, so that no settings file of a working copy is read.
        command.envs(self.settings.iter().cloned()).current_dir(self.folder.path());
        command
    }

    /// Kills the process like a power switch. Its workers must notice that.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("the server is running");
        let workers: Vec<Process> =
            processes::tree(child.id()).into_iter().filter(|process| process.pid != child.id()).collect();
        child.kill().expect("SIGKILL can be sent");
        child.wait().expect("the end of the server");
        let deadline = Instant::now() + Duration::from_secs(ORPHAN_SECONDS_MAX);
        while let Some(worker) = workers.iter().find(|worker| worker.is_alive()) {
            assert!(Instant::now() < deadline, "worker process {} outlived its server", worker.pid);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Suspends the process until it is resumed or killed.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("the server is running");
        kill_process(Pid::from_child(child), signal).expect("a signal can be sent");
    }

    /// Stops the process and waits for its end.
    pub async fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server is running");
        kill_process(Pid::from_child(&child), Signal::TERM).expect("SIGTERM can be sent");
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        loop {
            if let Some(status) = child.try_wait().expect("the state of the server") {
                return status;
            }
            if Instant::now() >= deadline {
                self.child = Some(child);
                panic!("the server did not stop within {STOP_SECONDS_MAX} s of SIGTERM");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The server and its workers.
    pub fn processes(&self) -> Vec<Process> {
        self.child.as_ref().map(|child| processes::tree(child.id())).unwrap_or_default()
    }

    /// The worker processes that decode.
    pub fn workers(&self) -> Vec<Process> {
        let server = self.child.as_ref().map(Child::id);
        self.processes().into_iter().filter(|process| Some(process.pid) != server).collect()
    }

    /// A folder for the test's own files, deleted with the server.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the embedded engines.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The PostgreSQL of its catalog, if it has one.
    pub fn database_url(&self) -> Option<String> {
        self.database.as_ref().map(|database| database.url())
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// All output of the server, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LOG_LINES_MAX)..];
            eprintln!("--- the server's log, last {} lines ---\n{}", shown.len(), shown.join("\n"));
        }
    }
}

/// `EYELINE_BIN`, else `release/eyeline` in the target folder of the running test or benchmark.
pub(crate) fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("EYELINE_BIN") {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "EYELINE_BIN names {}, which is not there", path.display());
        // Started from another folder, a relative path would name another file.
        return path.canonicalize().expect("the full path of EYELINE_BIN");
    }
    let own = std::env::current_exe().expect("the path of the running executable");
    let target = own
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .unwrap_or_else(|| panic!("{} is in no target folder; set EYELINE_BIN", own.display()));
    let binary = target.join("release/eyeline");
    assert!(
        binary.is_file(),
        "{} is not there; build it first (cargo build --release --bin eyeline) or set EYELINE_BIN",
        binary.display()
    );
    binary
}

/// An inbox in NATS that is not there yet.
fn new_inbox() -> String {
    let server = std::env::var(NATS_VARIABLE);
    let server = server.unwrap_or_else(|_| panic!("{NATS_VARIABLE} has to name a NATS: run it by scripts/with-nats"));
    format!("{server}?stream=test-{}&partitions=4&mb=512", Uuid::new_v4().simple())
}

/// A free port below the range of outgoing connections: a killed server must find its port free when it returns.
pub fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u128 = 18_000;
    loop {
        let offset = u16::try_from(Uuid::new_v4().as_u128() % COUNT).expect("the count fits a port");
        let port = FIRST + offset;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
