//! What the kernel takes for a call, and for a wake-up.
#![expect(unsafe_code, reason = "the futex call has no safe wrapper")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread::JoinHandle;
use std::time::Duration;

use super::slices::{Calls, Group, Planned, Subject, Took};
use crate::error::Error;
use crate::measure::clock::Clock;

/// Length of a slice.
const SLICE: Duration = Duration::from_millis(4);
/// The same of wake-ups, without the waits between them: some ten of them.
const WAKE_SLICE: Duration = Duration::from_micros(200);
/// Before a wake-up: long enough for the sleeper to be asleep again.
const SETTLE: Duration = Duration::from_micros(60);

/// Calls `futex` for a word of this process. For a wait returns when woken, when the word has another value, or at once.
fn futex(word: &AtomicU32, operation: i32, value: u32) -> i64 {
    // SAFETY: the word is valid for the whole call; the timeout is null, which FUTEX_WAIT takes as none and FUTEX_WAKE
    // ignores.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            operation | libc::FUTEX_PRIVATE_FLAG,
            value,
            std::ptr::null::<libc::timespec>(),
        )
    }
}

pub(super) fn rows() -> Result<Vec<Planned>, Error> {
    let nobody = AtomicU32::new(0);
    let woken = |what| Sleeper::start().map(|sleeper| Box::new(Wakeup { sleeper, what }) as Box<dyn Subject>);
    let rows: [(&str, Duration, Box<dyn Subject>); 4] = [
        (
            "system call (getppid)",
            SLICE,
            Box::new(Calls(|_| {
                black_box(nix::unistd::getppid());
            })),
        ),
        (
            "futex wake, nobody waits",
            SLICE,
            Box::new(Calls(move |_| {
                black_box(futex(&nobody, libc::FUTEX_WAKE, 1));
            })),
        ),
        ("futex wake, somebody sleeps", WAKE_SLICE, woken(What::Call)?),
        ("from the wake until the sleeper runs", WAKE_SLICE, woken(What::Sleeper)?),
    ];
    Ok(rows
        .into_iter()
        .map(|(name, time, subject)| Planned::new(Group::Kernel, name, time, subject))
        .collect())
}

/// State of the sleeper and of who wakes it.
#[derive(Debug, Default)]
struct Shared {
    /// What the sleeper sleeps on: the number of the wake-up.
    word: AtomicU32,
    /// The wake-up that the sleeper has seen last; `ran_at` is before it.
    ran: AtomicU32,
    /// When it ran, in ticks.
    ran_at: AtomicU64,
    stop: AtomicBool,
}

/// A thread that sleeps until it is woken, again and again.
#[derive(Debug)]
struct Sleeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Sleeper {
    fn start() -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let (clock, of_thread) = (Clock::get(), Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("sleeper".to_owned()).spawn(move || {
            let Shared { word, ran, ran_at, stop } = &*of_thread;
            let mut seen = 0;
            while !stop.load(Acquire) {
                futex(word, libc::FUTEX_WAIT, seen);
                let now = clock.ticks();
                let number = word.load(Acquire);
                if number != seen {
                    ran_at.store(now, Relaxed);
                    ran.store(number, Release);
                    seen = number;
                }
            }
        });
        let thread = thread.map_err(|error| Error::failed(format!("failed to start a thread: {error}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Wakes it. Ticks of the call, and until it ran; `None` if it was not asleep.
    fn wake(&self) -> Option<(u64, u64)> {
        std::thread::sleep(SETTLE);
        let (clock, shared) = (Clock::get(), &*self.shared);
        let number = shared.word.load(Relaxed).wrapping_add(1);
        let before = clock.ticks();
        shared.word.store(number, Release);
        let woken = futex(&shared.word, libc::FUTEX_WAKE, 1);
        let after = clock.ticks();
        while shared.ran.load(Acquire) != number {
            std::thread::yield_now();
        }
        let ran_at = shared.ran_at.load(Relaxed);
        (woken == 1).then(|| (after.wrapping_sub(before), ran_at.saturating_sub(before)))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.shared.stop.store(true, Release);
        self.shared.word.fetch_add(1, Release);
        futex(&self.shared.word, libc::FUTEX_WAKE, 1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Which time of a wake-up is taken.
#[derive(Debug, Clone, Copy)]
enum What {
    /// That of the call.
    Call,
    /// Until the sleeper runs.
    Sleeper,
}

struct Wakeup {
    sleeper: Sleeper,
    what: What,
}

impl Subject for Wakeup {
    /// The mean of this many wake-ups, without the waits between them.
    fn run(&mut self, operations: u64) -> Result<Took, Error> {
        let (mut ticks, mut woken, mut tries) = (0, 0, 0);
        while woken < operations && tries < operations * 10 {
            tries += 1;
            if let Some((call, until_it_runs)) = self.sleeper.wake() {
                woken += 1;
                ticks += match self.what {
                    What::Call => call,
                    What::Sleeper => until_it_runs,
                };
            }
        }
        if woken == 0 {
            return Err(Error::inconclusive("the sleeper was never found asleep: the machine is too busy"));
        }
        Ok(Took { elapsed_ns: Clock::get().ns(ticks) / woken as f64, cpu_ns: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeper_is_woken_each_time_and_runs_after_the_wake() {
        let sleeper = Sleeper::start().unwrap();
        let woken: Vec<_> = (0..50).filter_map(|_| sleeper.wake()).collect();
        assert!(woken.len() > 10, "{}", woken.len());
        assert!(woken.iter().all(|&(call, runs)| call > 0 && runs > 0), "{woken:?}");
        assert_eq!(sleeper.shared.ran.load(Relaxed), 50);
    }
}
