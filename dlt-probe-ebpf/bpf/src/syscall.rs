//! System calls: counts by what they are, and what happens inside a log call.

use aya_ebpf::programs::RawTracePointContext;

use crate::records::{FUTEX_OPS, FUTEX_UNKNOWN, FUTEX_WAITV, KEPT_CALLS, LATENCY_BUCKETS};
use crate::state::{self, config, current, in_call, read};

/// A call through a 32-bit entry: its number means something else.
const COMPAT_CALL: u64 = 1 << 32;
/// Bit of the number that marks the x32 ABI.
const X32: u32 = 0x4000_0000;
/// Futex operation without its flags (`FUTEX_CMD_MASK`).
const FUTEX_MASK: u64 = 0x7f;
/// FUTEX_WAKE and FUTEX_WAKE_BITSET.
const WAKES: [u64; 2] = [1, 10];

/// Rows of `futex_wake`, `futex_wait` and `futex_requeue`: those of WAKE_BITSET, WAIT_BITSET and CMP_REQUEUE.
const FUTEX2_ROWS: [u64; 3] = [10, 9, 4];

/// True for the number of any futex system call.
#[inline(always)]
pub fn is_futex(number: u64) -> bool {
    let (futex, waitv, futex2) = (config!(nr_futex), config!(nr_waitv), config!(nr_futex2));
    number == futex as u64 || number == waitv as u64 || number.wrapping_sub(futex2 as u64) < 3
}

#[inline(always)]
pub fn on_enter(ctx: &RawTracePointContext) {
    let Some((_, thread)) = current(0) else { return };
    let registers: u64 = ctx.arg(0);
    let number = ctx.arg::<u64>(1) as u32;
    thread.call = number as u64 + 1;
    thread.call_arg = 0;
    thread.call_slept = 0;
    thread.syscalls += 1;
    if in_call(thread) {
        let kept = thread.syscalls_in_call as usize;
        if kept < KEPT_CALLS {
            thread.kept_calls[kept] = thread.call;
        }
        thread.syscalls_in_call += 1;
    }
    let task = state::task();
    if number & X32 != 0 || read::<u32>(task, config!(compat)).unwrap_or(0) & config!(compat_mask) != 0 {
        thread.compat += 1;
        thread.call = COMPAT_CALL;
    } else if number == config!(nr_futex) {
        let operation =
            read::<u64>(registers, config!(argument_1)).unwrap_or(FUTEX_UNKNOWN as u64) & FUTEX_MASK;
        thread.call_arg = if operation < FUTEX_WAITV as u64 { operation } else { FUTEX_UNKNOWN as u64 };
        thread.call_ns = state::now();
    } else if number == config!(nr_waitv) {
        thread.call_arg = FUTEX_WAITV as u64;
        thread.call_ns = state::now();
    } else if is_futex(number as u64) {
        thread.call_arg = match number.wrapping_sub(config!(nr_futex2)) {
            0 => FUTEX2_ROWS[0],
            1 => FUTEX2_ROWS[1],
            _ => FUTEX2_ROWS[2],
        };
        thread.call_ns = state::now();
    } else if number == config!(nr_writev) {
        thread.writev += 1;
        thread.writev_iovecs += read::<u64>(registers, config!(argument_2)).unwrap_or(0) as u32 as u64;
        thread.call_ns = state::now();
    } else if number == config!(nr_yield) {
        thread.yields += 1;
    } else if number == config!(nr_nanosleep) || number == config!(nr_clock_nanosleep) {
        thread.sleeps += 1;
    } else if number == config!(nr_poll) || number == config!(nr_ppoll) {
        thread.polls += 1;
    }
}

#[inline(always)]
pub fn on_exit(ctx: &RawTracePointContext) {
    let Some((_, thread)) = current(0) else { return };
    let result = ctx.arg::<u64>(1) as i64;
    if thread.call == 0 {
        thread.returns_without_entry += 1;
        return;
    }
    let number = thread.call - 1;
    thread.call = 0;
    if (-516..=-512).contains(&result) {
        thread.restarts += 1;
    }
    if is_futex(number) {
        let operation = thread.call_arg as usize % FUTEX_OPS;
        let at_once = (thread.call_slept == 0) as usize;
        thread.futex[operation][at_once << 1 | (result < 0) as usize] += 1;
        if thread.call_slept != 0 {
            thread.futex_wait_ns += state::now().saturating_sub(thread.call_ns);
        }
        if result == 0 && WAKES.contains(&thread.call_arg) {
            thread.futex_woke_nobody += 1;
        }
    } else if number == config!(nr_writev) as u64 {
        if result >= 0 {
            thread.writev_bytes += result as u64;
        } else {
            thread.writev_errors += 1;
        }
        let took = state::now().saturating_sub(thread.call_ns);
        let bucket = (63 - (took | 1).leading_zeros()) as usize;
        if bucket < LATENCY_BUCKETS {
            thread.writev_latency[bucket] += 1;
        }
    }
}

#[inline(always)]
pub fn on_fault() {
    let Some((_, thread)) = current(0) else { return };
    thread.page_faults[in_call(thread) as usize] += 1;
}
