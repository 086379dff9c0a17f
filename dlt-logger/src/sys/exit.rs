//! Work at the process's end.

/// Has `run` called by `exit` and after `main`. False if the C library refuses.
pub(crate) fn at_exit(run: extern "C" fn()) -> bool {
    // SAFETY: `run` is a function that lives as long as the program and does not unwind (`extern "C"`).
    unsafe { libc::atexit(run) == 0 }
}
