//! Records that the eBPF programs and user space share. Plain words, no pointers; included by both sides.

/// Version of these records: part of the name of the global `CONFIG_V2` in the object, so that an object with other records
/// is refused.
pub const VERSION: u32 = 2;
/// Threads that can be watched at the same time.
pub const MAX_THREADS: u32 = 4096;
/// In-call slots.
pub const MAX_SLOTS: u32 = 128;
/// Slots of which the programs read the others' progress: more producers than this share the last ones' evidence.
pub const MAX_OTHERS: u32 = 64;
/// Frames of a user stack and of a kernel stack.
pub const USER_FRAMES: usize = 48;
/// See [`USER_FRAMES`].
pub const KERNEL_FRAMES: usize = 24;

/// Which part a thread plays. Judged are producers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Role {
    /// Calls the log function.
    Producer = 1,
    /// Drains buffers.
    Worker = 2,
    /// Receives frames.
    Collector = 3,
    /// Does exactly known numbers of everything, to show that the probe counts right.
    Canary = 4,
    /// Anything else.
    Other = 5,
}

impl Role {
    /// The role with this number.
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Producer),
            2 => Some(Self::Worker),
            3 => Some(Self::Collector),
            4 => Some(Self::Canary),
            5 => Some(Self::Other),
            _ => None,
        }
    }
}

/// Two cache lines per producer in a mapped BPF array. User space writes the first one with plain stores; the programs read
/// it when the thread leaves a processor, comes back, or enters a system call. The second one is the programs' own.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct Slot {
    /// 1 inside the log call.
    pub in_call: u64,
    /// Finished calls.
    pub calls: u64,
    /// Changes when the thread's window begins: maxima start again.
    pub epoch: u64,
    /// Pads to a line.
    pub reserved: [u64; 5],
    /// When the thread got the processor that it is on, in ns; 0 while it is on none. Written by the programs.
    pub on_ns: u64,
    /// Time that it has spent on processors before, in ns. Written by the programs.
    pub ran_ns: u64,
    /// Pads to a line.
    pub reserved_2: [u64; 6],
}

/// Why a thread left a processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Leave {
    /// It sleeps: waits for something.
    Blocked = 0,
    /// It called `sched_yield`.
    Yielded = 1,
    /// Somebody else had to run.
    Preempted = 2,
    /// SIGSTOP.
    Stopped = 3,
    /// ptrace.
    Traced = 4,
    /// It ended.
    Dead = 5,
}

/// Number of [`Leave`] values.
pub const LEAVES: usize = 6;
/// Futex operations that have a row of their own: 0..13 by number, 14 `futex_waitv`, 15 unknown.
pub const FUTEX_OPS: usize = 16;
/// Row of `futex_waitv`.
pub const FUTEX_WAITV: usize = 14;
/// Row of operations that have no number below 14.
pub const FUTEX_UNKNOWN: usize = 15;
/// Buckets of the `writev` latency histogram: bucket n holds latencies of 2^n..2^(n+1) ns.
pub const LATENCY_BUCKETS: usize = 40;
/// Numbers of in-call system calls that are kept.
pub const KEPT_CALLS: usize = 4;

/// Everything about one watched thread. Zeroed by user space, then written by the programs only.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Thread {
    /// [`Role`] as a number.
    pub role: u64,
    /// Index of its slot plus 1; 0 for none.
    pub slot: u64,
    /// Start time of the task that was seen first under this id, in ns since boot; 0 until then.
    pub start_ns: u64,
    /// Events of another task under the same id: ids are reused.
    pub strangers: u64,

    // State of the moment.
    /// System call it is in, plus 1; 0 for none.
    pub call: u64,
    /// When it entered it.
    pub call_ns: u64,
    /// Futex operation, or iovecs.
    pub call_arg: u64,
    /// Blocking switches inside this call.
    pub call_slept: u64,
    /// The task's `nvcsw` when it was last seen, plus 1.
    pub nvcsw_seen: u64,
    /// When it left the processor; 0 while it runs.
    pub off_ns: u64,
    /// [`Leave`] of that.
    pub off_kind: u64,
    /// It left inside a log call.
    pub off_in_call: u64,
    /// Calls that other producers had finished by then.
    pub off_others: u64,
    /// Time that other producers had spent on processors by then, in ns.
    pub off_others_ran_ns: u64,
    /// Run time of the task when it got the processor, in ns.
    pub on_run_ns: u64,
    /// It got the processor inside a log call.
    pub on_in_call: u64,
    /// Its finished calls then.
    pub on_calls: u64,
    /// The slot's epoch that the maxima belong to.
    pub epoch: u64,
    /// When its last stack was taken.
    pub stack_ns: u64,
    /// When its last stack was sent.
    pub sent_ns: u64,

    // Counters.
    /// System calls, all and inside a log call.
    pub syscalls: u64,
    /// See `syscalls`.
    pub syscalls_in_call: u64,
    /// Numbers of the first system calls inside a log call, plus 1.
    pub kept_calls: [u64; KEPT_CALLS],
    /// `[operation][slept and ok, slept and error, at once and ok, at once and error]`. `futex_wait`, `futex_wake` and
    /// `futex_requeue`, system calls of their own, are in the rows of WAIT_BITSET, WAKE_BITSET and CMP_REQUEUE.
    pub futex: [[u64; 4]; FUTEX_OPS],
    /// Time spent in futex calls that slept, in ns.
    pub futex_wait_ns: u64,
    /// FUTEX_WAKE calls that woke nobody.
    pub futex_woke_nobody: u64,
    /// `writev` calls.
    pub writev: u64,
    /// Their iovecs.
    pub writev_iovecs: u64,
    /// Bytes that they took.
    pub writev_bytes: u64,
    /// `writev` calls that failed.
    pub writev_errors: u64,
    /// Latency of `writev`, see [`LATENCY_BUCKETS`].
    pub writev_latency: [u64; LATENCY_BUCKETS],
    /// `sched_yield` calls.
    pub yields: u64,
    /// `nanosleep` and `clock_nanosleep` calls.
    pub sleeps: u64,
    /// `poll` and `ppoll` calls.
    pub polls: u64,
    /// Returns from a system call that was not seen to be entered: denied by seccomp, or under way at the attach.
    pub returns_without_entry: u64,
    /// Results that make the kernel restart the call.
    pub restarts: u64,
    /// System calls through a 32-bit entry.
    pub compat: u64,
    /// `[why][outside a log call, inside]`: times it left a processor.
    pub left: [[u64; 2]; LEAVES],
    /// The same: how long it was away, in ns.
    pub away_ns: [[u64; 2]; LEAVES],
    /// Switches that the task's own counters call voluntary and involuntary.
    pub voluntary: u64,
    /// See `voluntary`.
    pub involuntary: u64,
    /// Preemptions inside a log call of 1 ms and more.
    pub held_up: u64,
    /// Those during which other producers had processors for 0.1 ms and more, so that they could have gone on.
    pub held_up_others_ran: u64,
    /// Those during which other producers finished calls.
    pub held_up_others_went_on: u64,
    /// Time slices spent wholly inside one log call.
    pub slices_in_one_call: u64,
    /// Those of more than 0.5 ms of run time.
    pub long_slices: u64,
    /// The longest of them in this epoch, in ns of run time.
    pub longest_slice_ns: u64,
    /// Page faults of user code, all and inside a log call (x86-64).
    pub page_faults: [u64; 2],
    /// Blocking switches whose stack was not taken because the last one was too recent, and their ns.
    pub stacks_skipped: u64,
    /// See `stacks_skipped`.
    pub stacks_skipped_ns: u64,
}

/// Words of a [`Thread`].
pub const THREAD_WORDS: usize = size_of::<Thread>() / 8;

/// What a stack sample is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum StackKind {
    /// Taken by the sampling clock on a running thread.
    OnCpu = 0,
    /// The thread blocked here.
    Blocked = 1,
    /// The thread yielded here.
    Yielded = 2,
    /// The thread slept here in a futex call.
    Futex = 3,
}

/// One sample.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct StackRecord {
    /// [`StackKind`] as a number.
    pub kind: u64,
    /// Thread id as the watcher knows it.
    pub tid: u64,
    /// [`Role`] as a number; 0 for a thread that is not watched.
    pub role: u64,
    /// Inside a log call.
    pub in_call: u64,
    /// How long it was away, or the sampling period, in ns.
    pub weight_ns: u64,
    /// Bytes in `user`; negative: errno.
    pub user_bytes: i64,
    /// Bytes in `kernel`; negative: errno.
    pub kernel_bytes: i64,
    /// Return addresses, innermost first.
    pub user: [u64; USER_FRAMES],
    /// The same of the kernel.
    pub kernel: [u64; KERNEL_FRAMES],
}

/// What the programs need to know of the running kernel and of their task. Set at load as one read-only global.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Config {
    /// Only this thread group is looked at, as the kernel's first pid namespace numbers it; 0: none yet.
    pub tgid: u32,
    /// 1: thread ids are those of the pid namespace `ns_dev`/`ns_ino`.
    pub use_namespace: u32,
    /// 1: `sched_switch` has `prev_state` as its fourth argument (since 5.18).
    pub has_state_argument: u32,
    /// Offset of `task_struct.__state` or `state`.
    pub state: u32,
    /// Offset of `task_struct.nvcsw`.
    pub nvcsw: u32,
    /// Offset of `task_struct.pid`.
    pub pid: u32,
    /// Offset of `task_struct.tgid`.
    pub task_tgid: u32,
    /// Offset of `task_struct.start_time`.
    pub start_time: u32,
    /// Offset of `task_struct.se.sum_exec_runtime`.
    pub run_time: u32,
    /// Offset of the word that tells a 32-bit entry.
    pub compat: u32,
    /// Its bits.
    pub compat_mask: u32,
    /// Offsets of a system call's second and third argument in `pt_regs`.
    pub argument_1: u32,
    /// See `argument_1`.
    pub argument_2: u32,
    /// Sampling period of the on-CPU program, in ns.
    pub sample_ns: u32,
    /// 1: take stacks.
    pub stacks: u32,
    /// System call numbers.
    pub nr_futex: u32,
    /// See `nr_futex`.
    pub nr_waitv: u32,
    /// See `nr_futex`.
    pub nr_writev: u32,
    /// See `nr_futex`.
    pub nr_yield: u32,
    /// See `nr_futex`.
    pub nr_nanosleep: u32,
    /// See `nr_futex`.
    pub nr_clock_nanosleep: u32,
    /// See `nr_futex`.
    pub nr_poll: u32,
    /// See `nr_futex`.
    pub nr_ppoll: u32,
    /// `futex_wake`, `futex_wait` and `futex_requeue` have this number and the next two (since 6.7, on every architecture).
    pub nr_futex2: u32,
    /// Device and inode of the pid namespace.
    pub ns_dev: u64,
    /// See `ns_dev`.
    pub ns_ino: u64,
}

impl Config {
    /// Watches nothing. A constant, which a derived `Default` is not: the programs' global begins with it.
    pub const ZERO: Self = Self {
        tgid: 0,
        use_namespace: 0,
        has_state_argument: 0,
        state: 0,
        nvcsw: 0,
        pid: 0,
        task_tgid: 0,
        start_time: 0,
        run_time: 0,
        compat: 0,
        compat_mask: 0,
        argument_1: 0,
        argument_2: 0,
        sample_ns: 0,
        stacks: 0,
        nr_futex: 0,
        nr_waitv: 0,
        nr_writev: 0,
        nr_yield: 0,
        nr_nanosleep: 0,
        nr_clock_nanosleep: 0,
        nr_poll: 0,
        nr_ppoll: 0,
        nr_futex2: 0,
        ns_dev: 0,
        ns_ino: 0,
    };
}

/// Indices of the ledger: what was lost. All zero, or nothing is proven.
pub mod ledger {
    /// Stack samples that the ring buffer refused.
    pub const RING_FULL: u32 = 0;
    /// Entries that a map refused.
    pub const MAP_FULL: u32 = 2;
    /// Reads of kernel memory that failed.
    pub const KERNEL_READ: u32 = 1;
    /// User stacks that could not be read: one entry for each of [`ERRORS`], one for any other.
    pub const USER_STACK: u32 = 3;
    /// Kernel stacks that could not be read, likewise.
    pub const KERNEL_STACK: u32 = USER_STACK + ERRORS.len() as u32 + 1;
    /// Number of entries.
    pub const ENTRIES: u32 = KERNEL_STACK + ERRORS.len() as u32 + 1;
    /// Errors of `bpf_get_stack` that are told apart: ENOMEM, EFAULT, EINVAL.
    pub const ERRORS: [i64; 3] = [12, 14, 22];
}

const _: () = assert!(size_of::<Slot>() == 128);
const _: () = assert!(THREAD_WORDS == 178);
const _: () = assert!(size_of::<StackRecord>() == 8 * (7 + USER_FRAMES + KERNEL_FRAMES));
const _: () = assert!(size_of::<Config>() == 24 * 4 + 16);
