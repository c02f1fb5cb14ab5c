//! The machine: the sandbox that its kernel enforces, memory, open files, disks.

use std::path::{Path, PathBuf};

use eyeline_image::HeifSupport;
use eyeline_image::worker::WorkerProcess;
use eyeline_lake::{SqlWorker, sql_worker};
use eyeline_sandbox::{Bounds, Confinement, Enforcement, mapped_bytes};
use eyeline_store::checks::Check;
use rustix::fs::{Access, access, statvfs};

use super::budgets;
use super::mounts::Mount;
use crate::flow::lake::sql_workers::SQL_WORKER_COMMAND;
use crate::flow::photo::makers::WORKER_COMMAND;
use crate::settings::Settings;
use crate::{connections, memory};

/// The most that logs of embedded engines may grow between two checkpoints, with a reserve.
const LOGS_BYTES: u64 = 512 << 20;

const MIB: u64 = 1 << 20;

pub(super) async fn checks(settings: &Settings) -> Vec<Check> {
    let mut checks = tokio::task::spawn_blocking(|| [image_worker(), sql_worker()].concat()).await.unwrap_or_default();
    checks.push(memory_of(memory::available(), budgets::all(settings), settings.decode_bytes_max()));
    checks.push(open_files(connections::possible_and_wanted()));
    checks.extend(folders(settings));
    checks
}

/// A worker that reads hostile input: its name in checks, and in sentences.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    plural: &'static str,
}

const IMAGE: Kind = Kind { name: "worker", plural: "decoders" };
const SQL: Kind = Kind { name: "sql_worker", plural: "SQL workers" };

/// Starts an image worker like the server, and reads the kernel's limits for it.
fn image_worker() -> Vec<Check> {
    let worker = match WorkerProcess::spawn(Path::new("/proc/self/exe"), &[WORKER_COMMAND]) {
        Ok(worker) => worker,
        Err(error) => {
            let remedy = "Without one, no photo gets versions: check that this system may start processes.";
            return vec![Check::broken("worker", format!("no image worker could be started: {error}"), remedy)];
        }
    };
    let mut checks = confinement(IMAGE, worker.confinement());
    checks.push(heif(worker.heif()));
    checks.push(limits_of(IMAGE, worker.id(), &eyeline_image::worker::bounds()));
    checks
}

/// Starts an SQL worker likewise.
fn sql_worker() -> Vec<Check> {
    let started = SqlWorker::start(Path::new("/proc/self/exe"), &[SQL_WORKER_COMMAND]);
    let ready = started.and_then(|mut worker| Ok((worker.ready()?, worker)));
    match ready {
        Ok((confined, worker)) => {
            let mut checks = confinement(SQL, confined);
            checks.push(limits_of(SQL, worker.id(), &sql_worker::bounds()));
            checks
        }
        Err(error) => {
            let remedy = "Without one, no question in SQL is answered: check that this system may start processes.";
            vec![Check::broken(SQL.name, format!("no SQL worker could be started: {error}"), remedy)]
        }
    }
}

fn confinement(kind: Kind, confinement: Confinement) -> Vec<Check> {
    let Kind { name, plural } = kind;
    let said = |enforcement| match enforcement {
        Enforcement::Full => "in full",
        Enforcement::Partial => "in part",
        Enforcement::None => "not at all",
    };
    let seccomp = Check::of(
        confinement.seccomp == Enforcement::Full,
        format!("{name}.seccomp"),
        format!("the kernel keeps {plural} from other system calls {}", said(confinement.seccomp)),
        "Hostile input that takes a worker over could read files and reach the network: use a kernel with seccomp \
         filters, and a container runtime that allows them.",
    );
    let found = format!("the kernel keeps {plural} from files and the network {}", said(confinement.landlock));
    let name = format!("{name}.landlock");
    let landlock = match confinement.landlock {
        Enforcement::Full => Check::holds(name, found),
        // The system call filter refuses the same calls: this is the second wall.
        _ => Check::noted(name, found, "Linux 6.12 or newer with Landlock switched on does all of it."),
    };
    vec![seccomp, landlock]
}

/// The library that reads HEIC and AVIF. A server without it does everything else.
fn heif(support: &HeifSupport) -> Check {
    const NAME: &str = "worker.heif";
    let HeifSupport { version, trouble, heic, avif } = support;
    let said = |can_read| if can_read { "read" } else { "refused" };
    let library = match (version, trouble) {
        (Some(version), _) => format!("libheif {version}"),
        (None, Some(trouble)) => format!("libheif cannot be used ({trouble})"),
        (None, None) => "libheif is missing".to_owned(),
    };
    let found = format!("{library}: HEIC is {}, AVIF is {}", said(*heic), said(*avif));
    if *heic && *avif {
        return Check::holds(NAME, found);
    }
    let remedy = format!("To read both, install libheif and its decoders, and start again: {}.", HeifSupport::INSTALL);
    Check::noted(NAME, found, remedy)
}

fn limits_of(kind: Kind, worker: u32, bounds: &Bounds) -> Check {
    let limits = std::fs::read_to_string(format!("/proc/{worker}/limits")).unwrap_or_default();
    worker_limits(kind, &limits, bounds, mapped_bytes(&worker.to_string()))
}

/// `table` is `/proc/<worker>/limits`; `mapped_bytes` is the mapped memory of an idle worker, mostly its program.
fn worker_limits(kind: Kind, table: &str, bounds: &Bounds, mapped_bytes: u64) -> Check {
    let (Bounds { memory_bytes, shared_bytes, .. }, files) = (*bounds, bounds.files());
    let Kind { name, plural } = kind;
    let bounds = [
        ("Max address space", memory_bytes.saturating_add(mapped_bytes)),
        ("Max open files", files),
        // The kernel treats the memory shared with the server as a file.
        ("Max file size", shared_bytes),
        ("Max core file size", 0),
    ];
    let in_force = |name: &str| {
        let line = table.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let missing: Vec<&str> = bounds
        .iter()
        .filter(|(name, most)| in_force(name).is_none_or(|value| value > *most))
        .map(|bound| bound.0)
        .collect();
    let found = if missing.is_empty() {
        format!("{plural} have at most {} MiB of memory each beside their program, and no files", memory_bytes / MIB)
    } else {
        format!("these limits are not in force for {plural}: {}", missing.join(", "))
    };
    let remedy = "Hostile input could use up the machine: use a kernel that enforces resource limits.";
    Check::of(missing.is_empty(), format!("{name}.limits"), found, remedy)
}

fn memory_of(available: Option<u64>, server_bytes_max: u64, decode_bytes_max: u64) -> Check {
    const NAME: &str = "memory";
    let Some(available) = available else {
        return Check::noted(NAME, "this system does not report its memory", "Watch its memory yourself.");
    };
    let [available_mib, server_mib, decode_mib] =
        [available, server_bytes_max, decode_bytes_max].map(|bytes| bytes / MIB);
    let found = format!(
        "{available_mib} MiB may be used, up to {server_mib} MiB of it by the server itself and {decode_mib} MiB for decoding"
    );
    let remedy = "Huge pictures and many requests together could use all of it, and the kernel would kill the server: add \
                  memory, or lower EYELINE_DECODE_BYTES_MAX.";
    if decode_bytes_max > available {
        Check::broken(NAME, found, remedy)
    } else if decode_bytes_max > available / 2 || server_bytes_max.saturating_add(decode_bytes_max) > available {
        Check::noted(NAME, found, remedy)
    } else {
        Check::holds(NAME, found)
    }
}

fn open_files((possible, wanted): (usize, usize)) -> Check {
    let found = format!("{possible} connections can be held at once");
    if possible >= wanted {
        return Check::holds("open_files", found);
    }
    let remedy = format!("For {wanted}, raise the hard limit of open files (ulimit -Hn, LimitNOFILE=) to 65536.");
    Check::noted("open_files", found, remedy)
}

/// The data folder and every other folder of an embedded engine.
fn folders(settings: &Settings) -> Vec<Check> {
    let data = &settings.data;
    let mut checks = vec![writable(data)];
    let urls = [settings.catalog_url(), settings.objects_url(), settings.inbox_url(), settings.orders_url()];
    let local = urls.iter().filter_map(|url| url.strip_prefix("sqlite:").or_else(|| url.strip_prefix("file:")));
    let paths = std::iter::once(data.clone()).chain(local.map(|path| path.trim_start_matches("//").into()));
    let mut seen: Vec<PathBuf> = Vec::new();
    for path in paths {
        let Some(nearest) = nearest(&path) else { continue };
        let Some(mount) = Mount::of(&nearest).filter(|mount| !seen.contains(&mount.point)) else { continue };
        checks.push(mount.judge("data.file_system"));
        let free = statvfs(&nearest).map(|known| known.f_bavail.saturating_mul(known.f_frsize)).ok();
        let needed = LOGS_BYTES + 2 * settings.upload_bytes_max * settings.workers() as u64;
        checks.extend(free.map(|free| space(&mount.point, free, needed)));
        seen.push(mount.point);
    }
    checks
}

/// The path, or its closest existing ancestor; absolute and without links.
fn nearest(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    absolute.ancestors().find_map(|path| path.canonicalize().ok())
}

fn writable(data: &Path) -> Check {
    const NAME: &str = "data.folder";
    let shown = data.display();
    let remedy = "Correct its permissions, or choose another folder with EYELINE_DATA.";
    let may_write = |path: &Path| access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK);
    if data.is_dir() {
        return match may_write(data) {
            Ok(()) => Check::holds(NAME, format!("{shown} can be written to")),
            Err(error) => Check::broken(NAME, format!("{shown} cannot be written to ({error})"), remedy),
        };
    }
    match nearest(data).filter(|above| above.is_dir()).map(|above| may_write(&above)) {
        Some(Ok(())) => Check::noted(NAME, format!("{shown} does not exist yet"), "The first start creates it."),
        _ => Check::broken(NAME, format!("{shown} does not exist and cannot be created"), remedy),
    }
}

fn space(point: &Path, free: u64, needed: u64) -> Check {
    let found = format!("{} MiB are free on {}", free / MIB, point.display());
    let remedy = format!(
        "At least {} MiB are needed for events and uploads under way; free some, or they are refused.",
        needed / MIB
    );
    Check::of(free >= needed, "data.space", found, remedy)
}

#[cfg(test)]
mod tests {
    use eyeline_store::checks::Verdict;

    use super::*;

    #[test]
    fn a_worker_that_the_kernel_does_not_confine_breaks_the_promise() {
        let judge = |landlock, seccomp| {
            confinement(SQL, Confinement { landlock, seccomp }).iter().map(|check| check.verdict).collect::<Vec<_>>()
        };
        assert_eq!(judge(Enforcement::Full, Enforcement::Full), [Verdict::Holds, Verdict::Holds]);
        assert_eq!(judge(Enforcement::None, Enforcement::Full), [Verdict::Holds, Verdict::Noted]);
        assert_eq!(judge(Enforcement::Full, Enforcement::None), [Verdict::Broken, Verdict::Holds]);
    }

    #[test]
    fn a_server_without_libheif_is_told_what_to_install() {
        let whole = HeifSupport { version: Some("1.15.1".to_owned()), trouble: None, heic: true, avif: true };
        let check = heif(&whole);
        assert_eq!(
            (check.verdict, check.found.as_str()),
            (Verdict::Holds, "libheif 1.15.1: HEIC is read, AVIF is read")
        );
        let check = heif(&HeifSupport { heic: false, ..whole });
        assert_eq!(check.verdict, Verdict::Noted);
        assert!(check.found.contains("HEIC is refused, AVIF is read"), "{}", check.found);
        let trouble = Some("no such file".to_owned());
        let check = heif(&HeifSupport { trouble, ..HeifSupport::default() });
        assert_eq!(check.verdict, Verdict::Noted);
        assert!(check.found.contains("no such file"), "{}", check.found);
        assert!(check.remedy.is_some_and(|remedy| remedy.contains("libheif1")));
    }

    #[test]
    fn a_limit_that_is_not_in_force_is_named() {
        let table = "Limit                     Soft Limit           Hard Limit           Units     \n\
                     Max address space         1073741824           1073741824           bytes     \n\
                     Max open files            0                    0                    files     \n\
                     Max file size             134217728            134217728            bytes     \n\
                     Max core file size        0                    0                    bytes     \n";
        let judge = |table: &str, memory_bytes, mapped_bytes| {
            let bounds = Bounds { memory_bytes, shared_bytes: 128 << 20, threads: false };
            worker_limits(IMAGE, table, &bounds, mapped_bytes)
        };
        assert_eq!(judge(table, 1 << 29, 1 << 29).verdict, Verdict::Holds);
        assert_eq!(judge(table, 1 << 29, 1 << 28).verdict, Verdict::Broken);
        let lifted = judge(&table.replace("1073741824", "unlimited "), 1 << 30, 0);
        assert_eq!(lifted.verdict, Verdict::Broken);
        assert!(lifted.found.contains("address space"), "{}", lifted.found);
        assert_eq!(judge(&table.replace("134217728", "unlimited"), 1 << 30, 0).verdict, Verdict::Broken);
        assert_eq!(judge("", 1 << 30, 0).verdict, Verdict::Broken);
    }

    #[test]
    fn too_little_space_breaks_the_promise() {
        assert_eq!(space(Path::new("/"), 10 << 30, 1 << 30).verdict, Verdict::Holds);
        assert_eq!(space(Path::new("/"), 1 << 20, 1 << 30).verdict, Verdict::Broken);
    }

    #[test]
    fn a_data_folder_that_cannot_be_made_breaks_the_promise() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(writable(folder.path()).verdict, Verdict::Holds);
        assert_eq!(writable(&folder.path().join("a/b")).verdict, Verdict::Noted);
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("a file");
        assert_eq!(writable(&file.join("data")).verdict, Verdict::Broken);
    }

    #[test]
    fn decoding_that_may_take_all_of_the_memory_breaks_the_promise() {
        let verdict = |gib: u64, server: u64| memory_of(Some(gib << 30), server << 30, 1 << 30).verdict;
        assert_eq!((verdict(4, 1), verdict(1, 0), verdict(3, 2)), (Verdict::Holds, Verdict::Noted, Verdict::Holds));
        assert_eq!(verdict(2, 2), Verdict::Noted, "the server takes the rest");
        assert_eq!(memory_of(Some(512 << 20), 0, 1 << 30).verdict, Verdict::Broken);
    }

    #[test]
    fn few_open_files_are_noted() {
        assert_eq!(open_files((10_000, 10_000)).verdict, Verdict::Holds);
        assert_eq!(open_files((768, 10_000)).verdict, Verdict::Noted);
    }
}
