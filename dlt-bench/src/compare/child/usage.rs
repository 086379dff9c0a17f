//! What a process has used.

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

/// Resident memory in bytes; without what is only mapped.
pub(super) fn resident_bytes() -> Option<u64> {
    // `size resident shared …`, in pages (proc_pid_statm(5)).
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    Some(pages * page as u64)
}

/// Times that a thread of this process other than the calling one has left a processor by itself so far. Threads that
/// have ended are not in it.
pub(super) fn others_voluntary_stops() -> u64 {
    let own = nix::unistd::gettid().as_raw().to_string();
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let stops = |task: std::fs::DirEntry| {
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    };
    tasks.flatten().filter(|task| task.file_name() != own.as_str()).filter_map(stops).sum()
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
    fn memory_that_is_touched_is_resident() {
        let before = resident_bytes().unwrap();
        let block = std::hint::black_box(vec![1u8; 64 << 20]);
        let after = resident_bytes().unwrap();
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
        let before = others_voluntary_stops();
        while others_voluntary_stops() < before + 15 {
            assert!(begin.elapsed().as_secs() < 20, "{}", others_voluntary_stops());
            std::thread::yield_now();
        }
        drop(say);
        sleeper.join().unwrap();
    }
}
