//! Facts from `/proc` about the server and its worker processes.

use std::collections::HashMap;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// A process with its start time, so that a later process with the same number is not mistaken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub pid: u32,
    /// Clock ticks since boot.
    started: u64,
}

impl Process {
    /// Sends the signal of a crash (SIGKILL) or a hang (SIGSTOP).
    pub fn send(self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("the signal can be sent");
    }

    pub fn is_alive(self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.started == self.started && stat.state != "Z")
    }
}

/// The process and its descendants.
pub fn tree(root: u32) -> Vec<Process> {
    let all: Vec<(u32, Stat)> = fs::read_dir("/proc")
        .expect("/proc can be listed")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, Stat::read(pid)?)))
        .collect();
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, stat) in &all {
        children.entry(stat.parent).or_default().push(*pid);
    }
    let started: HashMap<u32, u64> = all.iter().map(|(pid, stat)| (*pid, stat.started)).collect();
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        if let Some(&started) = started.get(&pid) {
            found.push(Process { pid, started });
        }
        open.extend(children.remove(&pid).unwrap_or_default());
    }
    found
}

/// The resident bytes of these processes together. Shared pages count once (proportional set size).
pub fn resident_bytes(processes: &[Process]) -> u64 {
    let of_one = |process: &Process| -> Option<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid)).ok()?;
        let line = rollup.lines().find(|line| line.starts_with("Pss:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    processes.iter().filter_map(of_one).sum::<u64>() * 1024
}

/// CPU seconds of these processes so far, with their ended children.
pub fn cpu_seconds(processes: &[Process]) -> f64 {
    let ticks: u64 = processes.iter().filter_map(|process| Some(Stat::read(process.pid)?.ticks)).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

struct Stat {
    state: String,
    parent: u32,
    ticks: u64,
    started: u64,
}

impl Stat {
    /// `None` if the process has ended.
    fn read(pid: u32) -> Option<Stat> {
        let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold spaces and parentheses itself, so the fields are counted from its end.
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Stat {
            state: (*fields.first()?).to_owned(),
            parent: u32::try_from(number(1)?).ok()?,
            ticks: number(11)? + number(12)? + number(13)? + number(14)?,
            started: number(19)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_child_is_below_its_parent_until_it_ends() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let below = tree(std::process::id());
        let found = below.iter().find(|process| process.pid == child.id()).copied().expect("the child is found");
        assert!(found.is_alive());
        assert!(resident_bytes(&below) > resident_bytes(&[found]));
        child.kill().expect("SIGKILL can be sent");
        child.wait().expect("the end of the child");
        assert!(!found.is_alive());
    }
}
