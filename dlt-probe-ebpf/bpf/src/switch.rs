//! What happens when a task leaves or gets a processor.

use aya_ebpf::programs::BtfTracePointContext;

use crate::records::{Leave, Role, StackKind, Thread};
use crate::stack;
use crate::state::{self, config, current, forget_alias, mark_running, of_task, others, read, slot};

/// Run time within one call from which a time slice is a spinner's, in ns.
const LONG_SLICE_NS: u64 = 500_000;
/// A preemption from this length on must not hold up others, in ns.
const HELD_UP_NS: u64 = 1_000_000;
/// Other producers that had processors for this long meanwhile could have finished a call, in ns.
const OTHERS_RAN_NS: u64 = 100_000;

/// Task states (`include/linux/sched.h`): these bits have kept their values since 4.14.
const STATE_STOPPED: u32 = 0x4;
const STATE_TRACED: u32 = 0x8;
const STATE_DEAD: u32 = 0x80;
/// Without TASK_FREEZABLE and other modifiers above.
const STATE_MASK: u32 = 0xffff & !0x2000;

#[inline(always)]
pub fn on_switch(ctx: &BtfTracePointContext) {
    let (previous, next): (u64, u64) = (ctx.arg(1), ctx.arg(2));
    let preempted = ctx.arg::<u64>(0) & 1 != 0;
    let state = if config!(has_state_argument) != 0 {
        ctx.arg::<u64>(3) as u32
    } else {
        read::<u32>(previous, config!(state)).unwrap_or(0)
    };
    // By the state, which is good enough for a thread's first switch if that is the first event of it at all.
    let under_way = (!preempted && state != 0) as u64;
    let leaving = match current(under_way) {
        // A thread that ends has no id in its namespace any more at its last switch.
        None if config!(use_namespace) != 0 => of_task(previous),
        found => found,
    };
    if let Some((tid, thread)) = leaving {
        leave(ctx, tid, thread, previous, preempted, state);
    }
    if !preempted && state & STATE_DEAD != 0 {
        forget_alias(previous);
    }
    if let Some((tid, thread)) = of_task(next) {
        arrive(tid, thread, next);
    }
}

#[inline(always)]
fn leave(ctx: &BtfTracePointContext, tid: u32, thread: &mut Thread, task: u64, preempted: bool, state: u32) {
    let now = state::now();
    // The kernel has counted the switch when the tracepoint fires. Its own counter tells voluntary from involuntary;
    // the state does not when a signal is pending.
    let nvcsw: u64 = read(task, config!(nvcsw)).unwrap_or(0);
    let voluntary = nvcsw + 1 != thread.nvcsw_seen;
    thread.nvcsw_seen = nvcsw + 1;
    if voluntary {
        thread.voluntary += 1;
    } else {
        thread.involuntary += 1;
    }
    let why = if preempted {
        Leave::Preempted
    } else if state & STATE_DEAD != 0 {
        Leave::Dead
    } else if state & STATE_TRACED != 0 {
        Leave::Traced
    } else if state & STATE_STOPPED != 0 {
        Leave::Stopped
    } else if state & STATE_MASK != 0 {
        Leave::Blocked
    } else if thread.call == config!(nr_yield) as u64 + 1 {
        Leave::Yielded
    } else if voluntary {
        // About to sleep with a signal pending.
        Leave::Blocked
    } else {
        Leave::Preempted
    };
    if voluntary && matches!(why, Leave::Blocked) {
        thread.call_slept += 1;
    }
    let words = slot(thread);
    let inside = words.is_some_and(|w| w.in_call != 0);
    if let Some(words) = words {
        if thread.epoch != words.epoch {
            thread.epoch = words.epoch;
            thread.longest_slice_ns = 0;
        }
        // Inside a call at both ends, and no call finished in between: it is the same call.
        if inside && thread.on_in_call != 0 && words.calls == thread.on_calls {
            // Run time, not time: what the hypervisor or an interrupt stole is not in it where the kernel accounts it.
            let ran = read::<u64>(task, config!(run_time)).unwrap_or(0).saturating_sub(thread.on_run_ns);
            thread.slices_in_one_call += 1;
            if ran > LONG_SLICE_NS {
                thread.long_slices += 1;
            }
            if ran > thread.longest_slice_ns {
                thread.longest_slice_ns = ran;
            }
        }
    }
    thread.left[why as usize][inside as usize] += 1;
    thread.off_ns = now;
    mark_running(thread, now, false);
    thread.off_kind = why as u64;
    thread.off_in_call = inside as u64;
    if inside && matches!(why, Leave::Preempted) {
        let others = others(thread, now);
        thread.off_others = others.calls;
        thread.off_others_ran_ns = others.ran_ns;
    }
    if config!(stacks) != 0 && thread.role != Role::Canary as u64 {
        let kind = match why {
            Leave::Blocked if is_futex(thread) => Some(StackKind::Futex),
            Leave::Blocked => Some(StackKind::Blocked),
            Leave::Yielded => Some(StackKind::Yielded),
            _ => None,
        };
        if let Some(kind) = kind {
            stack::keep(ctx, tid, thread, kind, now);
        }
    }
}

#[inline(always)]
fn is_futex(thread: &Thread) -> bool {
    thread.call != 0 && crate::syscall::is_futex(thread.call - 1)
}

#[inline(always)]
fn arrive(tid: u32, thread: &mut Thread, task: u64) {
    let now = state::now();
    mark_running(thread, now, true);
    if let Some(words) = slot(thread) {
        thread.on_in_call = (words.in_call != 0) as u64;
        thread.on_calls = words.calls;
        thread.on_run_ns = read(task, config!(run_time)).unwrap_or(0);
    }
    if thread.off_ns == 0 {
        return;
    }
    let away = now.saturating_sub(thread.off_ns);
    thread.off_ns = 0;
    let inside = (thread.off_in_call & 1) as usize;
    // The mask is for the verifier: there are fewer kinds.
    let kind = (thread.off_kind & 7) as usize;
    if kind < crate::records::LEAVES {
        thread.away_ns[kind][inside] += away;
    }
    if kind == Leave::Preempted as usize && inside != 0 && away >= HELD_UP_NS {
        thread.held_up += 1;
        let others = others(thread, now);
        if others.ran_ns.wrapping_sub(thread.off_others_ran_ns) >= OTHERS_RAN_NS {
            thread.held_up_others_ran += 1;
        }
        if others.calls != thread.off_others {
            thread.held_up_others_went_on += 1;
        }
    }
    if kind == Leave::Blocked as usize || kind == Leave::Yielded as usize {
        if config!(stacks) != 0 {
            stack::finish(tid, thread, now, away);
        }
    }
}
