//! Stacks: of what runs, and of what blocks.

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::BPF_F_USER_STACK;
use aya_ebpf::helpers::generated::{bpf_get_stack, bpf_ringbuf_output};
use aya_ebpf::programs::PerfEventContext;
use core::ffi::c_void;

use crate::records::{KERNEL_FRAMES, Role, StackKind, StackRecord, Thread, USER_FRAMES, ledger};
use crate::state::{PENDING, SCRATCH, STACKS, config, current_ids, in_call, lose};

/// Least time between two stacks of one thread where the rule below does not ask for each: a thread that yields all the
/// time is sampled, and what was left out is counted.
const INTERVAL_NS: u64 = 1_000_000;
/// The same for threads that are not judged. A worker and a receiver sleep thousands of times a second, and a stack costs
/// more than all else that is done for a switch.
const COMPANION_INTERVAL_NS: u64 = 10_000_000;

/// Index in the scratch map: the sampling program may interrupt the others.
const OF_SWITCH: u32 = 0;
const OF_SAMPLE: u32 = 1;

#[inline(always)]
fn fill(ctx: *mut c_void, record: &mut StackRecord) {
    // SAFETY: both buffers are as large as the helper is told.
    unsafe {
        let user = record.user.as_mut_ptr().cast();
        record.user_bytes =
            bpf_get_stack(ctx, user, (USER_FRAMES * 8) as u32, BPF_F_USER_STACK as u64) as i64;
        let kernel = record.kernel.as_mut_ptr().cast();
        record.kernel_bytes = bpf_get_stack(ctx, kernel, (KERNEL_FRAMES * 8) as u32, 0) as i64;
    }
    lose_stack(ledger::USER_STACK, record.user_bytes);
    lose_stack(ledger::KERNEL_STACK, record.kernel_bytes);
}

/// Counts a stack that could not be read, by its error. `first`: the ledger's entry for the first kind of error.
#[inline(always)]
fn lose_stack(first: u32, bytes: i64) {
    if bytes >= 0 {
        return;
    }
    let kind = if bytes == -ledger::ERRORS[0] {
        0
    } else if bytes == -ledger::ERRORS[1] {
        1
    } else if bytes == -ledger::ERRORS[2] {
        2
    } else {
        ledger::ERRORS.len() as u32
    };
    lose(first + kind);
}

#[inline(always)]
fn send(record: *mut StackRecord) {
    // SAFETY: `record` is a whole record in a map.
    let result = unsafe {
        bpf_ringbuf_output(
            (&raw const STACKS).cast_mut().cast(),
            record.cast(),
            size_of::<StackRecord>() as u64,
            0,
        )
    };
    if result != 0 {
        lose(ledger::RING_FULL);
    }
}

/// Keeps the stack of a thread that blocks until it comes back.
#[inline(always)]
pub fn keep(ctx: &impl EbpfContext, tid: u32, thread: &mut Thread, kind: StackKind, now: u64) {
    // How long a wait takes shows at its end only, and a producer's long wait may follow a short one: each is looked at.
    let is_judged = thread.role == Role::Producer as u64 && !matches!(kind, StackKind::Yielded);
    let is_companion = thread.role == Role::Worker as u64 || thread.role == Role::Collector as u64;
    let interval_ns = if is_companion { COMPANION_INTERVAL_NS } else { INTERVAL_NS };
    if !is_judged && now.saturating_sub(thread.stack_ns) < interval_ns {
        return;
    }
    let Some(scratch) = SCRATCH.get_ptr_mut(OF_SWITCH) else { return };
    // SAFETY: an element of a per-CPU array that only this program uses, and it does not interrupt itself.
    let record = unsafe { &mut *scratch };
    record.kind = kind as u64;
    record.tid = tid as u64;
    record.role = thread.role;
    record.in_call = thread.off_in_call;
    record.weight_ns = 0;
    fill(ctx.as_ptr(), record);
    if PENDING.insert(&tid, record, 0).is_ok() {
        thread.stack_ns = now;
    } else {
        lose(ledger::MAP_FULL);
    }
}

/// The thread comes back after `away_ns`.
#[inline(always)]
pub fn finish(tid: u32, thread: &mut Thread, now: u64, away_ns: u64) {
    let Some(pending) = PENDING.get_ptr_mut(&tid) else {
        thread.stacks_skipped += 1;
        thread.stacks_skipped_ns += away_ns;
        return;
    };
    // SAFETY: the entry belongs to a thread that is just being switched to.
    unsafe { (*pending).weight_ns = away_ns };
    if away_ns < INTERVAL_NS && now.saturating_sub(thread.sent_ns) < INTERVAL_NS {
        // A short wait soon after another one.
        thread.stacks_skipped += 1;
        thread.stacks_skipped_ns += away_ns;
    } else {
        thread.sent_ns = now;
        send(pending);
    }
    let _ = PENDING.remove(&tid);
}

/// One tick of the sampling clock.
#[inline(always)]
pub fn on_sample(ctx: &PerfEventContext) {
    let Some((_, tid)) = current_ids() else { return };
    let Some(scratch) = SCRATCH.get_ptr_mut(OF_SAMPLE) else { return };
    // SAFETY: an element of a per-CPU array that only this program uses.
    let record = unsafe { &mut *scratch };
    record.kind = StackKind::OnCpu as u64;
    record.tid = tid as u64;
    record.weight_ns = config!(sample_ns) as u64;
    (record.role, record.in_call) = match crate::state::peek(tid) {
        Some(thread) => (thread.role, in_call(thread) as u64),
        None => (0, 0),
    };
    fill(ctx.as_ptr(), record);
    send(scratch);
}
