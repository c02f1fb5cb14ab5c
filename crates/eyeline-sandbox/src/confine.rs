//! Permanently gives up everything that a worker does not need.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::{Confinement, Enforcement};

/// The bounds of one kind of worker.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of address space, in addition to the program.
    pub memory_bytes: u64,
    /// The most bytes of the memory that it shares with its server.
    pub shared_bytes: u64,
    /// True if it may start threads, and wait for its connection with a deadline. No worker may start processes.
    pub threads: bool,
}

impl Bounds {
    /// The limit on open files: below the number of its open files, so that it opens none. Waiting for a file needs
    /// one.
    pub fn files(&self) -> u64 {
        self.threads.into()
    }
}

/// Permanently confines this process to its memory and its open files. Call it before any thread starts, because
/// existing threads are not confined. Restrictions that the kernel does not support are reported in the result. Fails
/// if a bound that every kernel supports cannot be set.
pub fn confine(bounds: &Bounds) -> io::Result<Confinement> {
    // Before the limit on open files, because the kernel gives a ruleset as a file.
    let landlock = restrict_access().unwrap_or(Enforcement::None);
    limit(Resource::As, bounds.memory_bytes.saturating_add(mapped_bytes("self")))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, bounds.shared_bytes)?;
    limit(Resource::Nofile, bounds.files())?;
    let seccomp = restrict_calls(bounds.threads).map_or(Enforcement::None, |()| Enforcement::Full);
    Ok(Confinement { landlock, seccomp })
}

/// The enforcement by Landlock on this machine, which [`confine`] in a worker reaches too.
pub fn landlock_of_this_machine() -> Enforcement {
    // Only the thread is restricted, and it ends here.
    let tried = std::thread::spawn(|| restrict_access().unwrap_or(Enforcement::None)).join();
    tried.unwrap_or(Enforcement::None)
}

/// The mapped bytes of a process, its program included; 0 if the system does not report them. `process` is its number
/// or `self`.
pub fn mapped_bytes(process: &str) -> u64 {
    let table = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
    let pages = table.split_whitespace().next().and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default().saturating_mul(rustix::param::page_size() as u64)
}

/// Allows this process `more` CPU time, after which it is killed. The server kills a worker that hangs earlier; this
/// limit applies once the server is gone.
pub fn allow_cpu_time(more: Duration) -> io::Result<()> {
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec.unsigned_abs();
    let maximum = getrlimit(Resource::Cpu).maximum;
    Ok(setrlimit(Resource::Cpu, Rlimit { current: Some(used + more.as_secs() + 1), maximum })?)
}

fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let value = getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}

/// Denies files, ports and outside processes: a Landlock ruleset that handles everything and allows nothing.
fn restrict_access() -> Result<Enforcement, landlock::RulesetError> {
    const NEWEST: ABI = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Enforcement::Full,
        RulesetStatus::PartiallyEnforced => Enforcement::Partial,
        RulesetStatus::NotEnforced => Enforcement::None,
    })
}

/// System calls for memory, the connection to the server and the process itself.
const CALLS: [i64; 27] = [
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrusage,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Further calls of a worker with threads. `clone3` fails as on a kernel without it, because a filter cannot read the
/// flags in its argument. The C library then calls `clone`.
const CALLS_OF_THREADS: &[i64] = &[
    libc::SYS_ppoll,
    libc::SYS_clone3,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// Refuses every system call that is not needed, with the error of a missing permission.
fn restrict_calls(threads: bool) -> Result<(), Box<dyn std::error::Error>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.into_iter().map(|call| (call, Vec::new())).collect();
    // Memory that is not executable.
    let executable = libc::PROT_EXEC as u64;
    let protection = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(executable), 0)?;
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![SeccompRule::new(vec![protection.clone()])?]);
    }
    // Not to the standard error, where C libraries report every fault of a file.
    let log = libc::STDERR_FILENO as u64;
    let elsewhere = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, log)?;
    for call in [libc::SYS_write, libc::SYS_writev] {
        rules.insert(call, vec![SeccompRule::new(vec![elsewhere.clone()])?]);
    }
    // Its own limits, and only that of CPU time.
    let own = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, 0)?;
    let cpu = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(libc::RLIMIT_CPU))?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![own, cpu])?]);
    // Signals only to itself, which is how a process aborts.
    let myself = u64::from(std::process::id());
    let to_self = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, myself)?;
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![to_self])?]);

    if threads {
        rules.extend(CALLS_OF_THREADS.iter().map(|call| (*call, Vec::new())));
        let thread = libc::CLONE_THREAD as u64;
        let is_thread = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), thread)?;
        rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![is_thread])?]);
    }

    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let apply = |rules, otherwise, then| -> Result<(), Box<dyn std::error::Error>> {
        let filter: BpfProgram = SeccompFilter::new(rules, otherwise, then, architecture)?.try_into()?;
        Ok(seccompiler::apply_filter(&filter)?)
    };
    // The set of processors stays empty, so that decoders start no threads. If two filters match, the stricter one
    // applies.
    let processors = BTreeMap::from([(libc::SYS_sched_getaffinity, Vec::new())]);
    apply(processors, SeccompAction::Allow, SeccompAction::Errno(0))?;
    let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    apply(unknown, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS.unsigned_abs()))?;
    apply(rules, SeccompAction::Errno(libc::EPERM.unsigned_abs()), SeccompAction::Allow)
}
