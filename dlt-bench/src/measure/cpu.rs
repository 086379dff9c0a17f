//! CPU time and context switches of threads.

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> Option<u64> {
    let time = clock_gettime(clock).ok()?;
    Some(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// CPU time of the calling thread in nanoseconds.
///
/// # Panics
/// Never: the clock exists on every Linux.
pub fn this_thread_ns() -> u64 {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("CLOCK_THREAD_CPUTIME_ID exists")
}

/// CPU time of another thread of this process in nanoseconds; `None` once it has ended.
pub fn thread_ns(tid: u32) -> Option<u64> {
    // The kernel's make_thread_cpuclock (include/linux/posix-timers_types.h): the id inverted, shifted over
    // CPUCLOCK_PERTHREAD_MASK (4) and CPUCLOCK_SCHED (2). It is what pthread_getcpuclockid returns.
    let clock = (!(tid.cast_signed()) << 3) | 6;
    read(ClockId::from_raw(clock))
}

/// Context switches of the calling thread so far: voluntary, involuntary.
pub fn switches() -> Switches {
    let usage = getrusage(UsageWho::RUSAGE_THREAD);
    let count = |of: fn(&Usage) -> i64| usage.as_ref().map_or(0, |usage| of(usage) as u64);
    Switches {
        voluntary: count(Usage::voluntary_context_switches),
        involuntary: count(Usage::involuntary_context_switches),
    }
}

/// Counts of context switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Switches {
    /// The thread blocked or yielded.
    pub voluntary: u64,
    /// The thread was preempted.
    pub involuntary: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::gettid;

    fn burn(ns: u64) {
        let start = this_thread_ns();
        while this_thread_ns() - start < ns {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn own_time_and_time_by_id_agree() {
        let tid = gettid().as_raw().cast_unsigned();
        burn(5_000_000);
        let (own, by_id) = (this_thread_ns(), thread_ns(tid).unwrap());
        assert!(by_id >= own && by_id - own < 5_000_000, "{own} {by_id}");
    }

    #[test]
    fn time_of_an_ended_thread_is_unknown() {
        let tid = std::thread::spawn(|| gettid().as_raw().cast_unsigned()).join().unwrap();
        // The thread has ended for us; the kernel may need a moment to release it.
        while thread_ns(tid).is_some() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_sleep_is_a_voluntary_switch() {
        let before = switches();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(switches().voluntary > before.voluntary);
    }
}
