//! The memory that this process may use.

use std::fs;
use std::path::Path;

/// The mount point of control groups.
const GROUPS: &str = "/sys/fs/cgroup";

/// In bytes: the machine's memory, or the smallest limit of the process's control groups if that is less. `None` if the
/// system reports neither.
pub fn available() -> Option<u64> {
    let total = total(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    Some(limits(&groups, Path::new(GROUPS)).into_iter().fold(total, u64::min))
}

/// Keeps the kernel from backing the memory of this process and its workers with huge pages. Many threads touch a little
/// of each: under load, resident memory was half as much again with them.
pub fn avoid_huge_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::warn!(%error, "huge pages cannot be turned off; the server will need more memory");
    }
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The limits of the process's group and its ancestors, in both versions of the kernel's interface.
fn limits(own_groups: &str, root: &Path) -> Vec<u64> {
    let mut limits = Vec::new();
    for line in own_groups.lines() {
        // hierarchy:controllers:path. Version 2 has one hierarchy and names no controller.
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            "memory" => (root.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        let own = root.join(path.trim_start_matches('/'));
        let around = own.ancestors().take_while(|group| group.starts_with(&root));
        // Without a limit the file says "max". Groups that a container cannot see are absent.
        limits.extend(around.filter_map(|group| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok()));
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read() {
        assert_eq!(total("MemTotal:       24575552 kB\nMemFree: 1 kB\n"), Some(24_575_552 * 1024));
        assert!(available().is_some_and(|bytes| bytes > 64 << 20));
    }

    #[test]
    fn the_smallest_limit_of_the_groups_around_is_found() {
        let root = tempfile::tempdir().expect("a folder");
        let group = root.path().join("system.slice/eyeline.service");
        fs::create_dir_all(&group).expect("groups");
        fs::write(group.join("memory.max"), "max\n").expect("a limit");
        fs::write(root.path().join("system.slice/memory.max"), "1073741824\n").expect("a limit");
        let old = root.path().join("memory/docker/abc");
        fs::create_dir_all(&old).expect("groups");
        fs::write(old.join("memory.limit_in_bytes"), "536870912\n").expect("a limit");

        assert_eq!(limits("0::/system.slice/eyeline.service\n", root.path()), [1 << 30]);
        assert_eq!(limits("5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n", root.path()), [512 << 20]);
        assert!(limits("0::/elsewhere\n", root.path()).is_empty());
    }
}
