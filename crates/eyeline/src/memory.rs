//! How much memory this process may use.

use std::fs;
use std::path::Path;

/// Where control groups are found.
const GROUPS: &str = "/sys/fs/cgroup";

/// Bytes: the machine's, or the limit of a control group that this process is in when that is less. `None` on a system
/// that does not tell.
pub fn available() -> Option<u64> {
    let total = total(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    Some(limits(&groups, Path::new(GROUPS)).into_iter().fold(total, u64::min))
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The limits of the process's group and of all groups around it, in both forms of the kernel's interface.
fn limits(own_groups: &str, root: &Path) -> Vec<u64> {
    let mut limits = Vec::new();
    for line in own_groups.lines() {
        // hierarchy:controllers:path; the second form has one hierarchy and names no controller.
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            "memory" => (root.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        let own = root.join(path.trim_start_matches('/'));
        let around = own.ancestors().take_while(|group| group.starts_with(&root));
        // Without a limit the file says "max"; what a container cannot see is not there.
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
