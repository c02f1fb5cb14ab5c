//! The data folder of an installation: its lock, its secrets and its name.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::secrets;

/// The file that a process locks.
pub const LOCK: &str = "lock";
/// The files of secrets.
pub const SECRETS: [&str; 2] = [SECRET, ADMIN_KEY];
/// The folder of a restore that has not ended.
pub const RESTORING: &str = "restoring";
const SECRET: &str = "secret";
const ADMIN_KEY: &str = "admin.key";

pub struct DataFolder {
    path: PathBuf,
}

impl DataFolder {
    /// Opens the folder, and creates it for its owner alone if it is missing. The error is one sentence for the
    /// operator.
    pub fn open(path: &Path) -> Result<Self, String> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
            format!(
                "the data folder {} cannot be made ({error}): choose another with EYELINE_DATA, or correct its rights",
                path.display()
            )
        })?;
        let folder = DataFolder { path: path.to_owned() };
        folder.close().map_err(|error| folder.unusable(&error))?;
        Ok(folder)
    }

    /// Removes the rights of other users to the folder. A folder that belongs to another user, or that several users
    /// share (`/tmp`), stays as it is.
    fn close(&self) -> std::io::Result<()> {
        const OTHERS: u32 = 0o077;
        const SHARED: u32 = 0o1000;
        let folder = fs::metadata(&self.path)?;
        let mode = folder.permissions().mode();
        let is_own = folder.uid() == rustix::process::geteuid().as_raw() && mode & SHARED == 0;
        if is_own && mode & OTHERS != 0 {
            tracing::info!(folder = %self.path.display(), "removed the rights of other users to the data folder");
            fs::set_permissions(&self.path, fs::Permissions::from_mode(mode & !OTHERS))?;
        }
        Ok(())
    }

    /// Locks the folder against other processes while the returned file is open. Fails for a folder of which a restore
    /// has filled only a part.
    pub fn lock(&self) -> Result<File, String> {
        let lock = self.lock_anyway()?;
        if self.path(RESTORING).exists() {
            return Err(self.half_restored());
        }
        Ok(lock)
    }

    /// Locks the folder, which has to be empty.
    pub fn lock_to_restore(&self) -> Result<File, String> {
        let lock = self.lock_anyway()?;
        for entry in fs::read_dir(&self.path).map_err(|error| self.unusable(&error))? {
            let name = entry.map_err(|error| self.unusable(&error))?.file_name();
            if name == RESTORING {
                return Err(self.half_restored());
            }
            if name != LOCK {
                return Err(format!(
                    "the data folder {} is not empty (it has {}): restore into an empty folder, or one that does not \
                     exist",
                    self.path.display(),
                    name.display()
                ));
            }
        }
        Ok(lock)
    }

    fn half_restored(&self) -> String {
        format!(
            "the data folder {} holds a restore that did not end: delete everything in it, then restore again",
            self.path.display()
        )
    }

    fn lock_anyway(&self) -> Result<File, String> {
        let path = self.path.join(LOCK);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| self.unusable(&error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(format!(
                "the data folder {} is in use by a running eyeline: stop that one, or choose another folder with \
                 EYELINE_DATA",
                self.path.display()
            )),
            Err(TryLockError::Error(error)) => Err(self.unusable(&error)),
        }
    }

    /// The installation's secret, created by the first call.
    pub fn secret(&self) -> Result<[u8; 32], String> {
        let text = self.read_or_make(SECRET, || secrets::to_hex(&secrets::random::<32>()))?;
        secrets::from_hex(&text).ok_or_else(|| {
            format!("{} does not hold 64 hexadecimal digits: restore it from a backup", self.path(SECRET).display())
        })
    }

    /// The admin key, created by the first call.
    pub fn admin_key(&self) -> Result<String, String> {
        self.read_or_make(ADMIN_KEY, || secrets::new_key("eyl_admin_"))
    }

    /// The admin key if the folder holds one. Creates nothing.
    pub fn known_admin_key(path: &Path) -> Option<String> {
        let text = fs::read_to_string(path.join(ADMIN_KEY)).ok()?;
        Some(text.trim().to_owned()).filter(|key| !key.is_empty())
    }

    /// The name of the only node of an installation, created by the first call.
    pub fn node(&self) -> Result<String, String> {
        self.read_or_make("node", DataFolder::new_node)
    }

    /// A name that no other process has had.
    pub fn new_node() -> String {
        format!("node-{}", secrets::to_hex(&secrets::random::<8>()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads or creates a small file for its owner alone. It is written under another name first, so that a crash
    /// leaves no partial file.
    fn read_or_make(&self, name: &str, make: impl FnOnce() -> String) -> Result<String, String> {
        let path = self.path(name);
        match fs::read_to_string(&path) {
            Ok(text) => return Ok(text.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(self.unusable(&error)),
        }
        let text = make();
        let written = || -> std::io::Result<()> {
            let half = self.path(&format!("{name}.new"));
            let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&half)?;
            writeln!(file, "{text}")?;
            file.sync_all()?;
            fs::rename(&half, &path)?;
            File::open(&self.path)?.sync_all()
        };
        written().map_err(|error| self.unusable(&error))?;
        Ok(text)
    }

    fn unusable(&self, error: &std::io::Error) -> String {
        format!(
            "the data folder {} cannot be used ({error}): choose another with EYELINE_DATA, or correct its rights",
            self.path.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_once_is_found_again() {
        let parent = tempfile::tempdir().expect("a folder");
        let path = parent.path().join("a/b");
        let folder = DataFolder::open(&path).expect("a data folder");
        let first = (folder.secret().expect("one"), folder.admin_key().expect("one"), folder.node().expect("one"));
        let again = DataFolder::open(&path).expect("the data folder");
        assert_eq!((again.secret(), again.admin_key(), again.node()), (Ok(first.0), Ok(first.1), Ok(first.2)));
    }

    #[test]
    fn nobody_else_may_read_it() {
        let parent = tempfile::tempdir().expect("a folder");
        let path = parent.path().join("data");
        let folder = DataFolder::open(&path).expect("a data folder");
        folder.secret().expect("a secret");
        folder.admin_key().expect("a key");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("secret")), 0o600);
        assert_eq!(mode(&path.join("admin.key")), 0o600);

        // An existing folder may be open to others; one that users share stays open.
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("rights");
        set(0o755);
        DataFolder::open(&path).expect("a data folder");
        assert_eq!(mode(&path), 0o700);
        set(0o1777);
        DataFolder::open(&path).expect("a data folder");
        assert_eq!(mode(&path), 0o777);
    }

    #[test]
    fn one_process_at_a_time() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = DataFolder::open(parent.path()).expect("a data folder");
        let lock = folder.lock().expect("the lock");
        assert!(folder.lock().expect_err("held").contains("in use by a running eyeline"));
        drop(lock);
        folder.lock().expect("the lock, free again");
    }

    #[test]
    fn a_restore_needs_an_empty_folder_and_an_unfinished_one_is_used_by_nobody() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = DataFolder::open(parent.path()).expect("a data folder");
        drop(folder.lock_to_restore().expect("the lock"));
        fs::create_dir(parent.path().join(RESTORING)).expect("a folder");
        assert!(folder.lock().expect_err("unfinished").contains("restore that did not end"));
        assert!(folder.lock_to_restore().expect_err("unfinished").contains("restore that did not end"));
        fs::remove_dir(parent.path().join(RESTORING)).expect("removed");
        folder.admin_key().expect("a key");
        assert!(folder.lock_to_restore().expect_err("not empty").contains("it has admin.key"));
        let lock = folder.lock().expect("the lock");
        assert!(folder.lock_to_restore().expect_err("held").contains("in use by a running eyeline"));
        drop(lock);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told_in_a_sentence() {
        let parent = tempfile::NamedTempFile::new().expect("a file");
        let error = DataFolder::open(&parent.path().join("data")).err().expect("no folder under a file");
        assert!(error.contains("EYELINE_DATA"), "{error}");
    }
}
