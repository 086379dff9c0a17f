//! What a process has used, and what programs use that it has started.

use std::fs::{read_dir, read_to_string};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// CPU time of all threads of this process so far, in seconds; and that of programs that it has started and that have
/// ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cpu {
    pub(super) own_s: f64,
    pub(super) others_s: f64,
}

impl Cpu {
    pub(super) fn now() -> Self {
        Self { own_s: seconds(UsageWho::RUSAGE_SELF), others_s: seconds(UsageWho::RUSAGE_CHILDREN) }
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self { own_s: self.own_s - before.own_s, others_s: self.others_s - before.others_s }
    }
}

fn seconds(who: UsageWho) -> f64 {
    // It fails only for a `who` that does not exist.
    getrusage(who).map_or(0.0, |usage| {
        let us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        us as f64 / 1e6
    })
}

/// Programs that this process has started and that still run.
pub(super) fn started() -> Vec<u32> {
    let tasks = read_dir("/proc/self/task").into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| read_to_string(task.path().join("children")).ok());
    children
        .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// CPU time of all threads of these processes so far, in seconds. Threads that have ended are not in it.
pub(super) fn cpu_s_of(pids: &[u32]) -> f64 {
    // `sum_exec_runtime run_delay timeslices` (Documentation/scheduler/sched-stats.rst); in ns.
    let of = |task: &std::path::Path| {
        let text = read_to_string(task.join("schedstat")).ok()?;
        text.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    tasks(pids).iter().filter_map(|task| of(task)).sum::<u64>() as f64 / 1e9
}

fn tasks(pids: &[u32]) -> Vec<std::path::PathBuf> {
    let of = |pid: &u32| read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    pids.iter().flat_map(of).map(|task| task.path()).collect()
}

/// Resident memory in bytes of the process with this number or `self`; without what is only mapped.
pub(super) fn resident_bytes(process: &str) -> Option<u64> {
    // `size resident shared …`, in pages (proc_pid_statm(5)).
    let text = read_to_string(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    Some(pages * page as u64)
}

/// Times that threads of these processes have left a processor by themselves so far; but not the calling thread. Threads
/// that have ended are not in it.
pub(super) fn voluntary_stops(pids: &[u32]) -> u64 {
    let own = nix::unistd::gettid().as_raw().to_string();
    let stops = |task: &std::path::PathBuf| {
        let status = read_to_string(task.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    };
    let is_other = |task: &&std::path::PathBuf| task.file_name().is_none_or(|name| name != own.as_str());
    tasks(pids).iter().filter(is_other).filter_map(stops).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_of_this_process_grows_with_work() {
        let before = Cpu::now();
        while Cpu::now().since(before).own_s < 0.02 {
            std::hint::spin_loop();
        }
        assert!(Cpu::now().own_s > before.own_s);
    }

    #[test]
    fn a_program_that_was_started_is_seen_until_it_has_ended() {
        let mut child = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        assert!(started().contains(&child.id()));
        let begin = std::time::Instant::now();
        while cpu_s_of(&[child.id()]) < 0.02 {
            assert!(begin.elapsed().as_secs() < 20);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(resident_bytes(&child.id().to_string()).unwrap() > 100_000);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!started().contains(&child.id()));
        assert!(cpu_s_of(&[child.id()]).abs() < 1e-9);
    }

    #[test]
    fn memory_that_is_touched_is_resident() {
        let before = resident_bytes("self").unwrap();
        let block = std::hint::black_box(vec![1u8; 64 << 20]);
        let after = resident_bytes("self").unwrap();
        assert!(after >= before + (60 << 20), "{before} {after}");
        drop(block);
    }

    #[test]
    fn sleeps_of_other_threads_are_counted() {
        let (say, wait) = std::sync::mpsc::channel::<()>();
        let sleeper = std::thread::spawn(move || {
            for _ in 0..20 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            // Alive until it is told.
            let _ = wait.recv();
        });
        let begin = std::time::Instant::now();
        let before = voluntary_stops(&[std::process::id()]);
        while voluntary_stops(&[std::process::id()]) < before + 15 {
            assert!(begin.elapsed().as_secs() < 20, "{}", voluntary_stops(&[std::process::id()]));
            std::thread::yield_now();
        }
        drop(say);
        sleeper.join().unwrap();
    }
}
