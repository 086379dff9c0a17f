//! What was seen in one window. Plain data.

use dlt_probe_ebpf::records::{FUTEX_OPS, LEAVES};
use dlt_probe_ebpf::{Edge, Leave, Role, Thread};
use serde::Serialize;

/// What one thread did between the two edges of its window.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct ThreadEvidence {
    /// Its name.
    pub name: String,
    /// Its id, as the process sees it.
    pub tid: u32,
    /// Log calls that it finished.
    pub calls: u64,
    /// Length of its window.
    pub window_ns: u64,
    /// System calls inside a log call.
    pub syscalls_in_call: u64,
    /// Numbers of the first of them.
    pub first_syscalls_in_call: Vec<u64>,
    /// `sched_yield` switches inside a log call.
    pub yielded_in_call: u64,
    /// Blocking switches inside a log call.
    pub blocked_in_call: u64,
    /// Time spent blocked inside log calls.
    pub blocked_in_call_ns: u64,
    /// Blocking switches outside log calls.
    pub blocked_outside: u64,
    /// Preemptions inside a log call.
    pub preempted_in_call: u64,
    /// Those of 1 ms and more.
    pub held_up: u64,
    /// Those of them during which other producers finished calls.
    pub held_up_others_went_on: u64,
    /// Time slices spent wholly inside one log call.
    pub slices_in_one_call: u64,
    /// Those of more than 0.5 ms of run time.
    pub long_slices: u64,
    /// The longest of them.
    pub longest_slice_ns: u64,
    /// Page faults inside log calls.
    pub page_faults_in_call: u64,
    /// Futex calls: slept, at once, ended in error.
    pub futex_slept: u64,
    /// See `futex_slept`.
    pub futex_at_once: u64,
    /// See `futex_slept`.
    pub futex_errors: u64,
    /// Time spent in futex calls that slept.
    pub futex_wait_ns: u64,
    /// `writev` calls, their iovecs and bytes.
    pub writev: u64,
    /// See `writev`.
    pub writev_iovecs: u64,
    /// See `writev`.
    pub writev_bytes: u64,
    /// Switches as the probe has them: voluntary, involuntary.
    pub switches_probe: [u64; 2],
    /// The same as `RUSAGE_THREAD` has them.
    pub switches_rusage: [u64; 2],
    /// Events of other tasks under the same id.
    pub strangers: u64,
    /// Returns from system calls that were not seen to be entered.
    pub returns_without_entry: u64,
}

impl ThreadEvidence {
    /// The difference of two edges.
    pub fn between(name: String, tid: u32, before: &Edge, after: &Edge, calls: u64, window_ns: u64) -> Self {
        let (a, b) = (&before.thread, &after.thread);
        let left = |why: Leave, inside: usize| b.left[why as usize][inside] - a.left[why as usize][inside];
        let kept: Vec<u64> = b.kept_calls.iter().filter(|&&call| call > 0).map(|call| call - 1).collect();
        let syscalls_in_call = b.syscalls_in_call - a.syscalls_in_call;
        let evidence = Self::of_counters(a, b);
        Self {
            name,
            tid,
            calls,
            window_ns,
            syscalls_in_call,
            first_syscalls_in_call: if syscalls_in_call > 0 { kept } else { Vec::new() },
            yielded_in_call: left(Leave::Yielded, 1),
            blocked_in_call: left(Leave::Blocked, 1),
            blocked_in_call_ns: b.away_ns[Leave::Blocked as usize][1] - a.away_ns[Leave::Blocked as usize][1],
            blocked_outside: left(Leave::Blocked, 0),
            preempted_in_call: left(Leave::Preempted, 1),
            held_up: b.held_up - a.held_up,
            held_up_others_went_on: b.held_up_others_went_on - a.held_up_others_went_on,
            slices_in_one_call: b.slices_in_one_call - a.slices_in_one_call,
            long_slices: b.long_slices - a.long_slices,
            longest_slice_ns: b.longest_slice_ns,
            page_faults_in_call: b.page_faults[1] - a.page_faults[1],
            switches_rusage: [after.voluntary - before.voluntary, after.involuntary - before.involuntary],
            strangers: b.strangers - a.strangers,
            returns_without_entry: b.returns_without_entry - a.returns_without_entry,
            ..evidence
        }
    }

    /// What a thread that is no producer did between two readings: counters only, no edges of its own.
    pub fn of_counters(a: &Thread, b: &Thread) -> Self {
        let mut futex = [0; 4];
        for operation in 0..FUTEX_OPS {
            for (class, sum) in futex.iter_mut().enumerate() {
                *sum += b.futex[operation][class] - a.futex[operation][class];
            }
        }
        debug_assert_eq!(LEAVES, b.left.len());
        Self {
            futex_slept: futex[0] + futex[1],
            futex_at_once: futex[2] + futex[3],
            futex_errors: futex[1] + futex[3],
            futex_wait_ns: b.futex_wait_ns - a.futex_wait_ns,
            writev: b.writev - a.writev,
            writev_iovecs: b.writev_iovecs - a.writev_iovecs,
            writev_bytes: b.writev_bytes - a.writev_bytes,
            switches_probe: [b.voluntary - a.voluntary, b.involuntary - a.involuntary],
            ..Self::default()
        }
    }
}

/// A thread that is no producer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Companion {
    /// What it does.
    #[serde(serialize_with = "role_name")]
    pub role: Role,
    /// What it did.
    pub seen: ThreadEvidence,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's interface")]
fn role_name<S: serde::Serializer>(role: &Role, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{role:?}").to_lowercase())
}

/// What the canaries of one window or run have found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct CanaryEvidence {
    /// Canaries that ran.
    pub runs: usize,
    /// Numbers that were compared.
    pub lines: usize,
    /// Those that differ: what, expected, seen.
    pub wrong: Vec<String>,
    /// Why the ptrace stops are missing, if they are.
    pub no_stops: Option<String>,
}

impl CanaryEvidence {
    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.lines += other.lines;
        self.wrong.extend(other.wrong);
        self.no_stops = self.no_stops.take().or(other.no_stops);
    }
}

/// What was lost in the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct LedgerEvidence {
    /// Stack samples that were refused.
    pub ring_full: u64,
    /// Map entries that were refused.
    pub map_full: u64,
    /// Kernel memory that could not be read.
    pub kernel_reads: u64,
    /// Stacks that could not be read: they explain, and prove nothing.
    pub unread_stacks: u64,
    /// Runs of a program that the kernel skipped; `None` where the kernel does not say.
    pub recursion_misses: Option<u64>,
    /// Producers that worked before they were watched.
    pub unwatched_producers: u64,
}

impl LedgerEvidence {
    /// Nothing was lost.
    pub fn is_clean(&self) -> bool {
        let Self {
            ring_full,
            map_full,
            kernel_reads,
            unread_stacks: _,
            recursion_misses,
            unwatched_producers,
        } = self;
        ring_full + map_full + kernel_reads + recursion_misses.unwrap_or(0) + unwatched_producers == 0
    }
}

/// One window.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Evidence {
    /// The threads that log.
    pub producers: Vec<ThreadEvidence>,
    /// The others.
    pub companions: Vec<Companion>,
    /// How long all producers worked at the same time.
    pub overlap_ns: u64,
    /// Producers of whose window an edge is missing: what they did is not among the evidence.
    pub lost_producers: u64,
    /// What the hypervisor took from all processors together, in steps of 10 ms.
    pub stolen_ns: u64,
    /// What was lost.
    pub ledger: LedgerEvidence,
    /// The canary during the window.
    pub canary: CanaryEvidence,
    /// Where producers waited inside a log call: the heaviest stacks, outermost frame first, in words.
    pub waits: Vec<String>,
}

impl Evidence {
    /// A sum over all producers.
    pub fn sum(&self, of: impl Fn(&ThreadEvidence) -> u64) -> u64 {
        self.producers.iter().map(of).sum()
    }

    /// `writev` calls of all workers, as the kernel counted them.
    pub fn worker_writevs(&self) -> u64 {
        self.companions.iter().filter(|c| c.role == Role::Worker).map(|c| c.seen.writev).sum()
    }
}
