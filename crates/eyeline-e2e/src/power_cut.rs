//! Simulates power cuts. A killed process loses nothing that the kernel has accepted; a machine without power loses all
//! unsynced data. The server runs with a small library (`power_cut.c`, compiled by the machine's C compiler) that
//! intercepts every `fsync` and `fdatasync` of the C library and records the state on disk. After a kill, everything
//! else is removed.
//!
//! Modelled: bytes of files, and names in synced folders. Not modelled: torn pages (the bytes of a file stay or go
//! together), undone deletions, and disks that lie. A program that makes the system call directly would not be seen,
//! and would lose everything here.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use tempfile::TempDir;

use crate::Server;
use crate::random::Random;

const LIBRARY: &str = include_str!("power_cut.c");

/// The power supply of one server's data folder.
pub struct PowerCut {
    folder: TempDir,
    data: PathBuf,
}

/// The extent of a power cut.
pub enum Spares {
    /// All unsynced data is lost.
    Nothing,
    /// Some of the unsynced data is kept, file by file and name by name.
    ByChance,
}

/// The losses of a power cut.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lost {
    /// Files whose bytes changed after their last sync.
    pub files: usize,
    /// Files and folders whose names were never synced.
    pub names: usize,
}

impl PowerCut {
    /// For a stopped server: its present data counts as on disk, and later data once it is synced.
    pub fn over(server: &mut Server) -> Self {
        let folder = tempfile::Builder::new().prefix("eyeline-power-").tempdir().expect("a temporary folder");
        let power = PowerCut { data: server.data().canonicalize().expect("the data folder"), folder };
        let (source, library) = (power.folder.path().join("power_cut.c"), power.folder.path().join("power_cut.so"));
        fs::write(&source, LIBRARY).expect("a source file");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source).arg("-lpthread");
        let compiled = compiler.output().expect("cc, which building the server needs too, starts");
        assert!(compiled.status.success(), "cc: {}", String::from_utf8_lossy(&compiled.stderr));
        server.set("LD_PRELOAD", &library.display().to_string());
        server.set("POWER_CUT_ROOT", &power.data.display().to_string());
        server.set("POWER_CUT_SHADOW", &power.shadow().display().to_string());
        power.take_all_as_synced();
        power
    }

    /// Removes from a killed server's data what a power cut at that moment would have lost.
    pub fn cut(&self, spares: &Spares, random: &mut Random) -> Lost {
        let mut lost = Lost::default();
        let named = self.named();
        let mut goes = || matches!(spares, Spares::Nothing) || random.below(2) == 0;
        self.cut_below(&self.data, &named, &mut goes, &mut lost);
        // The remaining data was on disk.
        self.take_all_as_synced();
        lost
    }

    fn cut_below(&self, folder: &Path, named: &HashSet<String>, goes: &mut impl FnMut() -> bool, lost: &mut Lost) {
        for path in entries(folder) {
            let (key, is_folder) = (key(&path), path.is_dir());
            if !named.contains(&key) && goes() {
                lost.names += 1;
                if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.expect("it can be removed");
            } else if is_folder {
                self.cut_below(&path, named, goes, lost);
            } else {
                let synced = fs::read(self.shadow().join(&key)).unwrap_or_default();
                if fs::read(&path).expect("a file") != synced && goes() {
                    // SQLite never syncs the memory that its connections share, and recreates it.
                    lost.files += usize::from(!path.display().to_string().ends_with("-shm"));
                    fs::write(&path, synced).expect("it can be written");
                }
            }
        }
    }

    /// The keys of all names with which a folder was synced.
    fn named(&self) -> HashSet<String> {
        let lists =
            entries(&self.shadow()).into_iter().filter(|path| path.extension().is_some_and(|end| end == "names"));
        lists
            .flat_map(|list| fs::read_to_string(list).expect("names").lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    fn take_all_as_synced(&self) {
        let _ = fs::remove_dir_all(self.shadow());
        fs::create_dir(self.shadow()).expect("a folder");
        self.take_as_synced(&self.data);
    }

    fn take_as_synced(&self, folder: &Path) {
        let paths = entries(folder);
        let names: String = paths.iter().map(|path| key(path) + "\n").collect();
        fs::write(self.shadow().join(key(folder) + ".names"), names).expect("a list of names");
        for path in paths {
            if path.is_dir() {
                self.take_as_synced(&path);
            } else {
                fs::copy(&path, self.shadow().join(key(&path))).expect("a copy");
            }
        }
    }

    fn shadow(&self) -> PathBuf {
        self.folder.path().join("shadow")
    }
}

/// As `power_cut.c` writes it.
fn key(path: &Path) -> String {
    let found = fs::symlink_metadata(path).expect("what was listed is there");
    let born = found.created().expect("a file system that keeps the time of birth").duration_since(UNIX_EPOCH);
    let born = born.expect("a clock after 1970");
    format!("{}-{}.{:09}", found.ino(), born.as_secs(), born.subsec_nanos())
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    listed.map(|entry| entry.expect("an entry").path()).collect()
}
