//! A small disk for a server's data folder: a file system in memory, of a few megabytes.
//!
//! Mounting needs rights. A test that mounts runs once more as a process with its own mounts, which end with it: as
//! root, or in a user namespace if the machine permits one. Otherwise the test fails and says so.

use std::fs::{self, File};
use std::future::Future;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::getuid;

use crate::Server;

/// Set for the process that has its own mounts.
const INSIDE: &str = "EYELINE_TEST_OWN_MOUNTS";
const BALLAST: &str = "ballast";

/// Runs the body of the test with this full name (`module_path!()` and the function's name) where it may mount.
pub fn with_own_mounts<F: Future<Output = ()>>(test: &str, body: impl FnOnce() -> F) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        return runtime.expect("a runtime").block_on(body());
    }
    let (_, name) = test.split_once("::").expect("the name of the crate and the rest");
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !getuid().is_root() {
        command.arg("--map-root-user");
    }
    let itself = std::env::current_exe().expect("the path of the running executable");
    command.arg(itself).args(["--exact", name, "--nocapture"]).env(INSIDE, "1");
    let ran = command.output().expect("unshare (of util-linux) starts");
    let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    eprint!("{said}");
    assert!(
        ran.status.success() && said.contains("1 passed"),
        "{name} did not pass with mounts of its own. If it was not permitted to mount: run the tests as root, or permit \
         user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)"
    );
}

pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Moves the data of a stopped server to a disk of this many megabytes.
    pub fn under(server: &Server, megabytes: u32) -> Self {
        let (path, before) = (server.data(), server.folder().join("data-before"));
        fs::rename(&path, &before).expect("the data folder can be moved");
        fs::create_dir(&path).expect("a folder");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=700"), "tmpfs"])
            .arg(&path));
        let disk = SmallDisk { path };
        run(Command::new("cp").arg("-a").arg(before.join(".")).arg(&disk.path));
        disk
    }

    /// Uses up the free space.
    pub fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).expect("a file");
        for size in [1 << 16, 1 << 12, 1] {
            while ballast.write_all(&vec![1; size]).is_ok() {}
        }
    }

    pub fn free(&self) {
        fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.path.join(BALLAST)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also below a running server.
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}

fn run(command: &mut Command) {
    let ran = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
}
