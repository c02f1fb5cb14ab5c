//! Giving up everything that decoding a picture does not need, for good.

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

/// More than all versions of one file take together, whatever is in it; as far as a worker may fill the memory that it
/// shares with its server.
pub const SHARED_BYTES_MAX: u64 = 128 << 20;

/// Confines this process, from now on and for ever, to its memory and the files it has open. `memory_bytes` bounds the
/// addresses that it may take beside those of its program. What the kernel does not know is left out and told in the answer;
/// an error means that a bound which every kernel knows could not be set.
pub fn confine(memory_bytes: u64) -> io::Result<Confinement> {
    limit(Resource::As, memory_bytes.saturating_add(mapped_bytes("self")))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, SHARED_BYTES_MAX)?;
    limit(Resource::Nofile, 0)?;
    let landlock = restrict_access().unwrap_or(Enforcement::None);
    let seccomp = restrict_calls().map_or(Enforcement::None, |()| Enforcement::Full);
    Ok(Confinement { landlock, seccomp })
}

/// Addresses that a process has taken, with those of its program; 0 where the system does not tell. `process` is its number
/// or `self`.
pub fn mapped_bytes(process: &str) -> u64 {
    let table = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
    let pages = table.split_whitespace().next().and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default().saturating_mul(rustix::param::page_size() as u64)
}

/// Lets this process compute for so much longer and then die. The server's clock is the first to kill a worker that
/// hangs; this one does so when the server is gone.
pub(super) fn allow_cpu_time(more: Duration) -> io::Result<()> {
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec.unsigned_abs();
    let maximum = getrlimit(Resource::Cpu).maximum;
    Ok(setrlimit(Resource::Cpu, Rlimit { current: Some(used + more.as_secs() + 1), maximum })?)
}

fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let value = getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}

/// No file, no port, no process outside: a Landlock ruleset that handles everything and allows nothing.
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

/// System calls that work on memory, the line to the server and the process itself.
const CALLS: [i64; 26] = [
    libc::SYS_read,
    libc::SYS_readv,
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

/// Refuses every system call that is not needed, as if this process had no permission.
fn restrict_calls() -> Result<(), Box<dyn std::error::Error>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.into_iter().map(|call| (call, Vec::new())).collect();
    // Memory, but none that can be executed.
    let executable = libc::PROT_EXEC as u64;
    let protection = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(executable), 0)?;
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![SeccompRule::new(vec![protection.clone()])?]);
    }
    // Not to the standard error: the C libraries write there about each fault of a file, as often as it has one.
    let log = libc::STDERR_FILENO as u64;
    let elsewhere = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, log)?;
    for call in [libc::SYS_write, libc::SYS_writev] {
        rules.insert(call, vec![SeccompRule::new(vec![elsewhere.clone()])?]);
    }
    // Its own limits, but only that of CPU time.
    let own = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, 0)?;
    let cpu = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(libc::RLIMIT_CPU))?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![own, cpu])?]);
    // Signals, but only to itself: this is how a process aborts.
    let myself = u64::from(std::process::id());
    let to_self = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, myself)?;
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![to_self])?]);

    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let apply = |rules, otherwise, then| -> Result<(), Box<dyn std::error::Error>> {
        let filter: BpfProgram = SeccompFilter::new(rules, otherwise, then, architecture)?.try_into()?;
        Ok(seccompiler::apply_filter(&filter)?)
    };
    // The set of processors stays as empty as it was asked with, so that decoders start no threads. Where two filters
    // answer, the stricter one does.
    let processors = BTreeMap::from([(libc::SYS_sched_getaffinity, Vec::new())]);
    apply(processors, SeccompAction::Allow, SeccompAction::Errno(0))?;
    apply(rules, SeccompAction::Errno(libc::EPERM.unsigned_abs()), SeccompAction::Allow)
}
