//! Maps, the configuration, and the way from a task to its record.

use aya_ebpf::bindings::bpf_pidns_info;
use aya_ebpf::helpers::generated::bpf_get_ns_current_pid_tgid;
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_get_current_task, bpf_probe_read_kernel};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, RingBuf};
use core::ptr::read_volatile;

use crate::records::{Config, Leave, MAX_SLOTS, MAX_THREADS, Slot, StackRecord, Thread, ledger};

/// `BPF_F_MMAPABLE`: user space maps the array and writes it with plain stores.
const MMAPABLE: u32 = 1 << 10;

/// Watched threads by their id as the watcher knows it.
#[map]
static THREADS: HashMap<u32, Thread> = HashMap::with_max_entries(MAX_THREADS, 0);
/// The id by which the watcher knows a task, by the id of the first pid namespace.
#[map]
static ALIASES: HashMap<u32, u32> = HashMap::with_max_entries(MAX_THREADS, 0);
/// In-call words.
#[map]
static SLOTS: Array<Slot> = Array::with_max_entries(MAX_SLOTS, MMAPABLE);
/// What was lost.
#[map]
static LEDGER: PerCpuArray<u64> = PerCpuArray::with_max_entries(ledger::ENTRIES, 0);
/// Stacks of threads that are blocked now.
#[map]
pub static PENDING: HashMap<u32, StackRecord> = HashMap::with_max_entries(MAX_THREADS, 0);
/// Where a stack record is put together: the BPF stack is too small.
#[map]
pub static SCRATCH: PerCpuArray<StackRecord> = PerCpuArray::with_max_entries(2, 0);
/// Finished stack records.
#[map]
pub static STACKS: RingBuf = RingBuf::with_byte_size(1 << 24, 0);

/// Set at load. The name carries the version of the records: a loader that knows other records finds no such global.
#[unsafe(no_mangle)]
pub static CONFIG_V2: Config = Config::ZERO;

/// One field of the configuration; read so that the compiler does not take the value above for the truth.
macro_rules! config {
    ($field:ident) => {{
        // SAFETY: a field of a static; it is constant once the object is loaded.
        unsafe { core::ptr::read_volatile(&raw const $crate::state::CONFIG_V2.$field) }
    }};
}
pub(crate) use config;

/// Counts a loss.
#[inline(always)]
pub fn lose(index: u32) {
    if let Some(count) = LEDGER.get_ptr_mut(index) {
        // SAFETY: an element of a per-CPU array; programs of one processor do not interrupt each other here except for
        // the sampling program, which may lose a count of a loss but not turn it into none.
        unsafe { *count += 1 }
    }
}

/// A value of kernel memory.
#[inline(always)]
pub fn read<T>(base: u64, offset: u32) -> Option<T> {
    // SAFETY: the helper checks the address.
    match unsafe { bpf_probe_read_kernel((base + offset as u64) as *const T) } {
        Ok(value) => Some(value),
        Err(_) => {
            lose(ledger::KERNEL_READ);
            None
        }
    }
}

/// The running task's ids: of the first pid namespace, and as the watcher knows it. `None`: of no interest.
#[inline(always)]
pub fn current_ids() -> Option<(u32, u32)> {
    let ids = bpf_get_current_pid_tgid();
    if config!(use_namespace) == 0 {
        if (ids >> 32) as u32 != config!(tgid) {
            return None;
        }
        return Some((ids as u32, ids as u32));
    }
    let mut info = bpf_pidns_info { pid: 0, tgid: 0 };
    let (device, inode) = (config!(ns_dev), config!(ns_ino));
    // SAFETY: `info` is as large as the helper is told.
    let result = unsafe { bpf_get_ns_current_pid_tgid(device, inode, &mut info, 8) };
    if result != 0 || info.tgid != config!(tgid) {
        return None;
    }
    Some((ids as u32, info.pid))
}

/// The running task's record. `under_way`: voluntary switches that the kernel has counted and the programs have not yet.
#[inline(always)]
pub fn current(under_way: u64) -> Option<(u32, &'static mut Thread)> {
    let (global, tid) = current_ids()?;
    // SAFETY: a thread's record is written only by programs that run on its behalf or at its switches, one at a time.
    let thread = unsafe { &mut *THREADS.get_ptr_mut(&tid)? };
    if thread.off_ns != 0 && thread.off_kind == Leave::Dead as u64 {
        // The watched thread has ended, and this one got its id.
        thread.strangers += 1;
        return None;
    }
    if thread.nvcsw_seen == 0 {
        begin(thread, global, tid, under_way);
    }
    Some((tid, thread))
}

/// First event of a watched thread.
#[inline(always)]
fn begin(thread: &mut Thread, global: u32, tid: u32, under_way: u64) {
    // SAFETY: the helper takes nothing.
    let task = unsafe { bpf_get_current_task() };
    thread.nvcsw_seen = read::<u64>(task, config!(nvcsw)).unwrap_or(0) + 1 - under_way;
    thread.start_ns = read(task, config!(start_time)).unwrap_or(0);
    if config!(use_namespace) != 0 && ALIASES.insert(&global, &tid, 0).is_err() {
        lose(ledger::MAP_FULL);
    }
}

/// The record of a task that is not running yet.
#[inline(always)]
pub fn of_task(task: u64) -> Option<(u32, &'static mut Thread)> {
    let global: u32 = read(task, config!(pid))?;
    let tid = if config!(use_namespace) == 0 {
        global
    } else {
        // SAFETY: an entry goes when its thread ends, and then its memory stays a word of the map.
        unsafe { *ALIASES.get(&global)? }
    };
    // SAFETY: as in `current`.
    let thread = unsafe { &mut *THREADS.get_ptr_mut(&tid)? };
    if thread.start_ns != 0 && read::<u64>(task, config!(start_time)).unwrap_or(0) != thread.start_ns {
        // The watched thread has ended, and another one got its id.
        thread.strangers += 1;
        return None;
    }
    Some((tid, thread))
}

/// A thread's in-call words.
#[inline(always)]
pub fn slot(thread: &Thread) -> Option<Slot> {
    let pointer = SLOTS.get_ptr((thread.slot as u32).wrapping_sub(1))?;
    // SAFETY: an element of an array; user space may write it at the same time, each word being one store.
    unsafe {
        Some(Slot {
            in_call: read_volatile(&raw const (*pointer).in_call),
            calls: read_volatile(&raw const (*pointer).calls),
            epoch: read_volatile(&raw const (*pointer).epoch),
            reserved: [0; 5],
            on_ns: 0,
            ran_ns: 0,
            reserved_2: [0; 6],
        })
    }
}

/// True if the thread is inside a log call.
#[inline(always)]
pub fn in_call(thread: &Thread) -> bool {
    match SLOTS.get_ptr((thread.slot as u32).wrapping_sub(1)) {
        // SAFETY: as in `slot`.
        Some(pointer) => unsafe { read_volatile(&raw const (*pointer).in_call) != 0 },
        None => false,
    }
}

/// What the other producers have done so far.
pub struct Others {
    /// Calls that they have finished.
    pub calls: u64,
    /// Time that they have spent on processors, in ns.
    pub ran_ns: u64,
}

/// Sums up all slots but the thread's own.
#[inline(always)]
pub fn others(thread: &Thread, now: u64) -> Others {
    let own = (thread.slot as u32).wrapping_sub(1);
    let mut sum = Others { calls: 0, ran_ns: 0 };
    let mut index = 0;
    while index < crate::records::MAX_OTHERS {
        if index != own {
            if let Some(pointer) = SLOTS.get_ptr(index) {
                // SAFETY: as in `slot`.
                let (calls, on, ran) = unsafe {
                    (
                        read_volatile(&raw const (*pointer).calls),
                        read_volatile(&raw const (*pointer).on_ns),
                        read_volatile(&raw const (*pointer).ran_ns),
                    )
                };
                sum.calls = sum.calls.wrapping_add(calls);
                let running = if on == 0 { 0 } else { now.saturating_sub(on) };
                sum.ran_ns = sum.ran_ns.wrapping_add(ran).wrapping_add(running);
            }
        }
        index += 1;
    }
    sum
}

/// The thread gets a processor, or leaves it.
#[inline(always)]
pub fn mark_running(thread: &Thread, now: u64, is_running: bool) {
    let Some(pointer) = SLOTS.get_ptr_mut((thread.slot as u32).wrapping_sub(1)) else { return };
    // SAFETY: an element of an array; only the programs write these words, at switches of the one thread that has the slot.
    unsafe {
        let on = read_volatile(&raw const (*pointer).on_ns);
        if on != 0 {
            let ran = read_volatile(&raw const (*pointer).ran_ns) + now.saturating_sub(on);
            core::ptr::write_volatile(&raw mut (*pointer).ran_ns, ran);
        }
        core::ptr::write_volatile(&raw mut (*pointer).on_ns, if is_running { now } else { 0 });
    }
}

/// The thread ends, watched or not any more: its id of the first pid namespace may be another one's soon.
#[inline(always)]
pub fn forget_alias(task: u64) {
    if config!(use_namespace) != 0 {
        if let Some(global) = read::<u32>(task, config!(pid)) {
            let _ = ALIASES.remove(&global);
        }
    }
}

/// A thread's record, to look at.
#[inline(always)]
pub fn peek(tid: u32) -> Option<&'static Thread> {
    // SAFETY: the record stays in its map while the object is loaded.
    unsafe { THREADS.get_ptr(&tid).map(|thread| &*thread) }
}

/// Time since boot, in ns.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper takes nothing and changes nothing.
    unsafe { aya_ebpf::helpers::bpf_ktime_get_ns() }
}

/// The running task.
#[inline(always)]
pub fn task() -> u64 {
    // SAFETY: the helper takes nothing and changes nothing.
    unsafe { bpf_get_current_task() }
}
