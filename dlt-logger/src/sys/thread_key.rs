//! A per-thread value whose destructor runs at the thread's end.
//!
//! A pthread key, not a `thread_local!` with `Drop`: registering the latter's destructor takes the dynamic loader's
//! lock and allocates. Setting a key among the first 32 of a process does neither (glibc `pthread_setspecific`).
//! Key destructors run after those of `thread_local!`, so that logging from the latter still finds the thread's lanes.

use std::ffi::c_void;
use std::sync::OnceLock;

static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();

/// Makes the key. False if the process has no key left.
pub(crate) fn create(destructor: unsafe extern "C" fn(*mut c_void)) -> bool {
    let make = || {
        let mut key = 0;
        // SAFETY: `key` is writable, and the destructor has the type that the call wants.
        (unsafe { libc::pthread_key_create(&raw mut key, Some(destructor)) } == 0).then_some(key)
    };
    KEY.get_or_init(make).is_some()
}

/// Sets the calling thread's value; the destructor is called with it at the thread's end unless it is null.
pub(crate) fn set(value: *const c_void) -> bool {
    let Some(Some(key)) = KEY.get() else { return false };
    // SAFETY: the key was made by `create` and is never deleted.
    unsafe { libc::pthread_setspecific(*key, value) == 0 }
}
