//! Sleeping on a word and waking its sleeper.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use super::clock::monotonic_ns;

/// Sleeps while `word` is `expected`, at most until CLOCK_MONOTONIC is `deadline_ns`. Returns on a wake, a signal, a
/// changed word and at the deadline alike: the caller looks again.
pub(crate) fn wait_until(word: &AtomicU32, expected: u32, deadline_ns: u64) {
    let deadline = libc::timespec {
        tv_sec: (deadline_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (deadline_ns % 1_000_000_000) as libc::c_long,
    };
    // WAIT_BITSET takes an absolute time, so a signal does not prolong the wait.
    // SAFETY: `word` and `deadline` live across the call; the kernel only reads them.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG,
            expected,
            &raw const deadline,
            std::ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        );
    }
}

/// The same for at most `timeout`.
pub(crate) fn wait_for(word: &AtomicU32, expected: u32, timeout: Duration) {
    wait_until(word, expected, monotonic_ns().saturating_add(timeout.as_nanos() as u64));
}

/// Wakes one sleeper on `word`.
pub(crate) fn wake(word: &AtomicU32) {
    // SAFETY: the kernel uses only the address of `word`, which is valid.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1) };
}

/// Lets the calling thread's sleeps end within a microsecond instead of 50 (`PR_SET_TIMERSLACK`).
pub(crate) fn precise_sleeps() {
    // SAFETY: changes only the calling thread's timer slack.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000) };
}
