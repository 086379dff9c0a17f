//! The log call.
//!
//! In the steady state: the thread's block and lane (loads), a clock read, the check for room, the record's words, one
//! Release store. No lock, no locked instruction, no call out of the crate.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::config::OverflowMode;
use crate::core::{CLOSED, Core};
use crate::format::{Args, Level};
use crate::lane::Lane;
use crate::outcome::Outcome;
use crate::primitives::AtomicU64;
use crate::ring::Ring;
use crate::ring::record::{Header, MAX_PAYLOAD_BYTES, words_for};
use crate::sys::{clock::monotonic_ns, futex};
use crate::thread::{self, Slot, ThreadBlock};

const OVERWRITE: u8 = OverflowMode::Overwrite as u8;
const DROP_NEWEST: u8 = OverflowMode::DropNewest as u8;

/// Looks at a full lane before a producer goes to sleep: 5 to 10 µs, in which a worker on another processor has made
/// room. A sleep costs 28 µs, and its wake-up 8 µs of the worker.
const LOOKS_BEFORE_SLEEP: u32 = 256;

/// What is logged.
#[derive(Debug)]
pub(crate) struct Message<'a, A> {
    pub(crate) context: u16,
    pub(crate) level: Level,
    pub(crate) args: &'a A,
}

impl<A: Args> Message<'_, A> {
    #[inline(always)]
    fn header(&self, size: usize, ticks: u64) -> Header {
        Header {
            payload_bytes: size as u16,
            level: self.level as u8,
            context: self.context,
            arguments: A::COUNT,
            ticks,
        }
    }
}

/// Logs one message through `slot`.
///
/// What is off the way gets no reference to the message: else the arguments would have to lie in memory, and their sizes
/// would not fold to constants.
#[inline(always)]
pub(crate) fn log<A: Args>(core: &Arc<Core>, message: &Message<'_, A>, slot: Slot) -> Outcome {
    let (block, lane) = match thread::lane(core.id(), slot) {
        Some(known) => known,
        None => match first_use(core, slot) {
            Some(made) => made,
            None => return Outcome::NoLane,
        },
    };
    block.gate.enter();
    let outcome = log_in(core, lane, message);
    block.gate.leave();
    outcome
}

/// A thread's first call for a buffer.
#[cold]
#[inline(never)]
fn first_use(core: &Arc<Core>, slot: Slot) -> Option<(&'static ThreadBlock, &'static Lane)> {
    let found = thread::lane_or_register(core, slot, false);
    if found.is_none() {
        core.buffers[thread::buffer_for(core, slot)].no_lane.fetch_add(1, Relaxed);
    }
    found
}

#[inline(always)]
fn log_in<A: Args>(core: &Core, lane: &Lane, message: &Message<'_, A>) -> Outcome {
    let ticks = core.clock().ticks();
    let size = message.args.size();
    let mode = core.mode();
    let ring = lane.own_ring();
    if size > MAX_PAYLOAD_BYTES || mode == CLOSED || !ring.has_room(size as u64) {
        let outcome = make_room(core, lane, mode, size);
        if outcome != Outcome::Accepted {
            return outcome;
        }
    }
    ring.publish(size as u64, message.header(size, ticks), message.args);
    Outcome::Accepted
}

fn is_possible(ring: &Ring<'_>, size: usize) -> bool {
    size <= MAX_PAYLOAD_BYTES && words_for(size as u64) <= ring.words.capacity()
}

/// There is no room as far as the producer knows, or the message is too large, or the logger is closed. `Accepted`:
/// now there is room.
#[inline(never)]
fn make_room(core: &Core, lane: &Lane, mut mode: u8, size: usize) -> Outcome {
    let ring = &lane.ring();
    let private = &ring.control.private;
    if !is_possible(ring, size) && mode != CLOSED {
        return count(&private.dropped_too_large, Outcome::TooLarge);
    }
    let bytes = size as u64;
    let mut deadline_ns = None;
    loop {
        match mode {
            OVERWRITE => {
                ring.make_room_overwriting(bytes);
                return Outcome::Accepted;
            }
            CLOSED => return count(&private.closed, Outcome::Closed),
            _ if ring.has_room_fresh(bytes) => return Outcome::Accepted,
            DROP_NEWEST => return count(&private.dropped_full, Outcome::Full),
            _ => {
                let now = monotonic_ns();
                let deadline = *deadline_ns.get_or_insert(now + core.config.timeout.as_nanos() as u64);
                if now >= deadline {
                    return count(&private.timed_out, Outcome::TimedOut);
                }
                if has_room_after_wait(core, lane, mode, bytes, deadline) {
                    return Outcome::Accepted;
                }
            }
        }
        // The mode may have changed while the producer waited.
        mode = core.mode();
    }
}

/// Looks for a while, then sleeps until the worker wakes it, a change of mode, a signal or the deadline. False: look
/// again at everything.
fn has_room_after_wait(core: &Core, lane: &Lane, mode: u8, bytes: u64, deadline_ns: u64) -> bool {
    let ring = lane.ring();
    for _ in 0..LOOKS_BEFORE_SLEEP {
        std::hint::spin_loop();
        if ring.has_room_fresh(bytes) {
            return true;
        }
    }
    let waiter = &ring.control.waiter;
    waiter.announce();
    let has_room = ring.has_room_fresh(bytes);
    if !has_room && core.mode() == mode {
        core.workers[lane.worker()].wake();
        futex::wait_until(waiter.word(), crate::ring::park::Waiter::EXPECTED, deadline_ns);
    }
    waiter.withdraw();
    has_room
}

/// Only the lane's owner writes its counters, so this is no read-modify-write.
fn count(counter: &AtomicU64, outcome: Outcome) -> Outcome {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
    outcome
}
