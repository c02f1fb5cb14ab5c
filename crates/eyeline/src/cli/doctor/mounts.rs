//! File systems: checks that synced writes survive a power cut.

use std::path::{Path, PathBuf};

use eyeline_store::checks::Check;

/// The mount of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub point: PathBuf,
    kind: String,
    options: Vec<String>,
}

impl Mount {
    /// The mount of an absolute path without links.
    pub(super) fn of(path: &Path) -> Option<Self> {
        find(&std::fs::read_to_string("/proc/self/mountinfo").ok()?, path)
    }

    pub(super) fn judge(&self, name: &str) -> Check {
        let kind = self.kind.as_str();
        let found = format!("{} is of type {kind}", self.point.display());
        let has = |option: &str| self.options.iter().any(|known| known == option);
        if matches!(kind, "tmpfs" | "ramfs") {
            return Check::broken(name, format!("{found}: it is kept in memory"), "Choose a folder on a disk.");
        }
        if has("nobarrier") || has("barrier=0") || has("volatile") {
            let remedy =
                "It is mounted so that syncing does not reach the disk: mount it without nobarrier and volatile.";
            return Check::broken(name, found, remedy);
        }
        if kind == "overlay" {
            let remedy = "It is a container's own layer, which is deleted with the container: mount a volume.";
            return Check::noted(name, found, remedy);
        }
        let is_remote = kind.starts_with("nfs") || kind.starts_with("fuse") || matches!(kind, "cifs" | "smb3" | "9p");
        if is_remote {
            let remedy = "A synced write is only as safe as the file server makes it, and SQLite's files do not belong on a \
                          network: choose a local disk.";
            return Check::noted(name, found, remedy);
        }
        Check::holds(name, found)
    }
}

/// Finds the mount in the kernel's table. A later mount covers an earlier one at the same point.
fn find(table: &str, path: &Path) -> Option<Mount> {
    let mounts = table.lines().filter_map(parse).filter(|mount| path.starts_with(&mount.point));
    mounts.max_by_key(|mount| mount.point.components().count())
}

/// `id parent device root point options … - kind source options`
fn parse(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(4);
    let (point, options) = (unescaped(before.next()?), before.next()?);
    let mut after = after.split(' ');
    let (kind, more) = (after.next()?.to_owned(), after.nth(1).unwrap_or_default());
    let options = options.split(',').chain(more.split(',')).map(str::to_owned).collect();
    Some(Mount { point, kind, options })
}

/// Decodes spaces and similar characters, which are written as a backslash and three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(char::from(byte));
                plain.push_str(&part[3..]);
            }
            None => plain.push_str(part),
        }
    }
    plain.into()
}

#[cfg(test)]
mod tests {
    use eyeline_store::checks::Verdict;

    use super::*;

    const TABLE: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /tmp rw,nosuid - tmpfs tmpfs rw,size=4g
24 22 0:22 / /var/lib/my\\040photos rw master:2 - xfs /dev/vdb rw,nobarrier
25 22 0:23 / /layer rw - overlay overlay rw,lowerdir=/a
26 22 0:24 / /scratch rw - overlay overlay rw,lowerdir=/a,volatile
27 22 0:25 / /net rw - nfs4 server:/x rw
";

    fn verdict(path: &str) -> (PathBuf, Verdict) {
        let mount = find(TABLE, Path::new(path)).expect("a mount");
        let verdict = mount.judge("data.file_system").verdict;
        (mount.point, verdict)
    }

    #[test]
    fn only_a_file_system_that_keeps_what_was_synced_holds_the_promise() {
        for (path, point, expected) in [
            ("/srv/eyeline", "/", Verdict::Holds),
            ("/tmpfiles", "/", Verdict::Holds),
            ("/tmp/x", "/tmp", Verdict::Broken),
            ("/var/lib/my photos/data", "/var/lib/my photos", Verdict::Broken),
            ("/layer", "/layer", Verdict::Noted),
            ("/scratch/a/b", "/scratch", Verdict::Broken),
            ("/net/data", "/net", Verdict::Noted),
        ] {
            assert_eq!(verdict(path), (PathBuf::from(point), expected), "{path}");
        }
    }
}
