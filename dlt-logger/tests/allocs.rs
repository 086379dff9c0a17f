//! The log call allocates nothing and makes no system call once its thread is prepared.
//!
//! System calls are counted by a seccomp filter: after it is in force, any system call of the thread but the end of the thread
//! and of the process kills the process, so a child runs the calls and its exit status tells.
#![allow(missing_docs, clippy::unwrap_used, unsafe_code, reason = "tests")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use dlt_logger::{Config, Logger, OverflowMode, Sink, dlt_error, dlt_fatal, dlt_info};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator; the counter is a thread local without destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CALLS: u32 = 100_000;

fn logger(mode: OverflowMode) -> Logger {
    let config = Config::default().with_overflow_mode(mode);
    Logger::builder("ALLO").config(config).sink(Sink::Null).build().unwrap()
}

/// Calls through every route, with every kind of argument; lanes get full on the way.
fn log_much(context: &dlt_logger::Context) {
    for i in 0..CALLS {
        dlt_info!(context, "speed", i, 1.5f64, true, -3i8);
        dlt_error!(context, i, &[1u8, 2, 3][..]);
        dlt_fatal!(context, i);
    }
}

#[test]
fn no_allocation_in_prepared_threads() {
    for mode in [OverflowMode::Overwrite, OverflowMode::DropNewest] {
        let logger = logger(mode);
        let context = logger.context("ALLO").unwrap();
        assert!(logger.prepare_thread());
        let before = ALLOCATIONS.get();
        log_much(&context);
        assert_eq!(ALLOCATIONS.get() - before, 0, "{mode}");
    }
}

/// Registration itself takes no memory from the allocator, whose lock a stopped thread might hold.
#[test]
fn no_allocation_in_a_first_call() {
    let logger = logger(OverflowMode::DropNewest);
    let context = logger.context("ALLO").unwrap();
    let counted = std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let before = ALLOCATIONS.get();
            dlt_info!(context, 1u32);
            ALLOCATIONS.get() - before
        });
        first.join().unwrap()
    });
    assert_eq!(counted, 0);
}

/// Lets the calling thread do nothing but `exit` and `exit_group`; anything else kills the process (SIGSYS).
fn forbid_system_calls() {
    const LOAD: u16 = 0x20;
    const EQUALS: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        step(LOAD, 0, 0, 0),
        step(EQUALS, 2, 0, libc::SYS_exit_group as u32),
        step(EQUALS, 1, 0, libc::SYS_exit as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the filter lives across the call and concerns this thread only.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter), 0);
    }
}

/// Runs in a child, for what is forbidden ends the process. `kind` is what [`child`] reads.
fn child_status(kind: &str) -> std::process::ExitStatus {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]).env("ALLOCS_CHILD", kind);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command.status().unwrap()
}

/// What a child that was not killed ends with; not what the test harness ends with.
const ALL_CALLS_MADE: i32 = 77;

/// The child's part; does nothing in the parent. Words in `ALLOCS_CHILD`: the mode's number, `unprepared` for a thread that
/// makes its lanes in its first call, `held` for workers that empty no lane, so that all but the first calls find it full.
#[test]
fn child() {
    let Ok(kind) = std::env::var("ALLOCS_CHILD") else { return };
    let mode = if kind.contains('0') { OverflowMode::Overwrite } else { OverflowMode::DropNewest };
    let logger = logger(mode);
    let context = logger.context("ALLO").unwrap();
    if !kind.contains("unprepared") {
        assert!(logger.prepare_thread());
    }
    if kind.contains("held") {
        logger.pause_workers();
    }
    // From here on this thread can only end.
    forbid_system_calls();
    log_much(&context);
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(ALL_CALLS_MADE) };
}

#[test]
fn no_system_call_in_prepared_threads() {
    for kind in ["0", "0 held", "1", "1 held"] {
        let status = child_status(kind);
        assert_eq!(status.code(), Some(ALL_CALLS_MADE), "mode {kind}: {status}");
    }
}

/// The filter works: a first call makes system calls (it maps a lane) and is killed for it.
#[test]
fn the_filter_finds_a_system_call() {
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(child_status("1 unprepared").signal(), Some(libc::SIGSYS));
}
