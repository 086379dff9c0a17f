//! Every system and C library call of the crate, each behind a safe function.
#![expect(unsafe_code, reason = "system calls")]

pub(crate) mod barrier;
pub(crate) mod clock;
pub(crate) mod exit;
pub(crate) mod futex;
pub(crate) mod io;
pub(crate) mod mapping;
pub(crate) mod thread_key;

/// Thread id of the calling thread, as its pid namespace sees it.
pub(crate) fn gettid() -> u32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::gettid() }.cast_unsigned()
}
