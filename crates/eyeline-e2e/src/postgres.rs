//! A private PostgreSQL on a free port, stopped and deleted with its last user.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

use crate::server::free_port;

const START_SECONDS_MAX: u64 = 30;

/// True if PostgreSQL waits for the disk. Tests kill the server, never PostgreSQL, so it need not wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    Off,
    On,
}

/// The environment variable of a running PostgreSQL to use instead of a private one.
const URL_VARIABLE: &str = "EYELINE_TEST_POSTGRES_URL";

pub struct Postgres {
    programs: PathBuf,
    /// The URL without the name of the database.
    url: String,
    own: Option<Own>,
}

/// A private database, dropped at the end, in a PostgreSQL that runs while one of its databases is in use.
pub struct Database {
    name: String,
    postgres: Arc<Postgres>,
}

/// The PostgreSQL that the tests of this process share while any of them uses it.
static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

impl Database {
    /// Creates an empty database. Blocks for about a second if PostgreSQL must be started first.
    pub fn create() -> Self {
        let postgres = {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            shared.upgrade().unwrap_or_else(|| {
                let postgres = Arc::new(Postgres::named().unwrap_or_else(|| Postgres::start(Sync::Off)));
                *shared = Arc::downgrade(&postgres);
                postgres
            })
        };
        Self::create_in(postgres)
    }

    pub fn create_in(postgres: Arc<Postgres>) -> Self {
        let name = format!("eyeline_{}", uuid::Uuid::new_v4().simple());
        let made = postgres.program_on_server("createdb").arg(&name).output().expect("createdb starts");
        assert!(made.status.success(), "createdb: {}", String::from_utf8_lossy(&made.stderr));
        Database { name, postgres }
    }

    pub fn url(&self) -> String {
        format!("{}/{}", self.postgres.url, self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The killed server's sessions may still exist.
        let _ = self.postgres.program_on_server("dropdb").args(["--force", &self.name]).output();
    }
}

impl Postgres {
    /// The PostgreSQL of the environment, if set.
    fn named() -> Option<Self> {
        let url = std::env::var(URL_VARIABLE).ok()?;
        let (server, _) = url.rsplit_once('/').unwrap_or_else(|| panic!("{URL_VARIABLE} is no address: {url}"));
        Some(Postgres { programs: newest_installation(), url: server.to_owned(), own: None })
    }

    /// Starts a private PostgreSQL.
    pub fn start(sync: Sync) -> Self {
        let programs = newest_installation();
        let own = Own::start(&programs, sync);
        Postgres { programs, url: format!("postgres://eyeline@127.0.0.1:{}", own.port), own: Some(own) }
    }

    /// Stops a private PostgreSQL and ends all its sessions.
    pub fn stop(&self) {
        self.own.as_ref().expect("a private PostgreSQL").stop();
    }

    fn program_on_server(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.arg(format!("--maintenance-db={}/postgres", self.url));
        command
    }
}

/// A running PostgreSQL with its data in a temporary folder.
struct Own {
    folder: TempDir,
    port: u16,
    child: Mutex<Child>,
}

impl Own {
    fn start(programs: &Path, sync: Sync) -> Self {
        let folder = tempfile::Builder::new().prefix("eyeline-postgres-").tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        if getuid().is_root() {
            let given = Command::new("chown").arg("postgres").arg(folder.path()).status().expect("chown starts");
            assert!(given.success(), "the user postgres, under whom PostgreSQL runs when we are root, is missing");
        }

        let made = as_its_user(&programs.join("initdb"))
            .args(["-U", "eyeline", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&data)
            .current_dir(folder.path())
            .output()
            .expect("initdb starts");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));

        let port = free_port();
        let log = fs::File::create(folder.path().join("log")).expect("a log file");
        let mut command = as_its_user(&programs.join("postgres"));
        command.arg("-D").arg(&data).current_dir(folder.path());
        command.args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
            "-c",
            "max_connections=200",
        ]);
        command.args(["-c", "jit=off", "-c"]).arg(format!("port={port}"));
        if sync == Sync::Off {
            command.args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .expect("postgres starts");
        let own = Own { folder, port, child: Mutex::new(child) };
        own.wait_until_ready(programs);
        own
    }

    fn wait_until_ready(&self, programs: &Path) {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        let port = self.port.to_string();
        loop {
            // A refused connection is cheaper than starting a process for each check.
            let ready = TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                && Command::new(programs.join("pg_isready"))
                    .args(["-q", "-h", "127.0.0.1", "-p", &port])
                    .status()
                    .is_ok_and(|status| status.success());
            if ready {
                return;
            }
            let ended = self.child().try_wait().expect("the state of postgres").is_some();
            assert!(!ended && Instant::now() < deadline, "PostgreSQL did not start: {}", self.log());
            sleep(Duration::from_millis(20));
        }
    }

    /// SIGINT is PostgreSQL's fast shutdown: it ends its sessions and its children.
    fn stop(&self) {
        let mut child = self.child();
        if let Ok(None) = child.try_wait() {
            let _ = kill_process(Pid::from_child(&child), Signal::INT);
            let _ = child.wait();
        }
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A run of `psql` on a database, which prints values alone.
pub fn psql(url: &str, sql: &[&str]) -> Command {
    let mut command = Command::new(newest_installation().join("psql"));
    command.args(["-X", "-At", "-q", url]);
    for statement in sql {
        command.args(["-c", statement]);
    }
    command
}

fn newest_installation() -> PathBuf {
    let version = |folder: &Path| folder.file_name()?.to_str()?.parse::<u32>().ok();
    fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|folder| folder.join("bin/initdb").exists())
        .max_by_key(|folder| version(folder))
        .map(|folder| folder.join("bin"))
        .expect("PostgreSQL is missing; these tests need it: apt-get install -y postgresql")
}

/// initdb and postgres refuse root, so as root they run as the package's own user.
fn as_its_user(program: &Path) -> Command {
    if !getuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}
