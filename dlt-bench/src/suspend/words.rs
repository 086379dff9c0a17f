//! Words that the process under test and the controller share.
//!
//! Each word has one writer, named beside it; figures in them are read while they change. `CLOCK_MONOTONIC` is the same
//! in both processes.
#![expect(unsafe_code, reason = "the type lies in memory that both processes map")]

use std::sync::atomic::{
    AtomicU8, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use dlt_logger::config::NUM_BUFFERS;

use crate::load::plan::MAX_PRODUCERS;
use crate::measure::clock::monotonic_ns;
use crate::stop::Zeroed;

/// Streams and workers: a logger has one for each buffer at most.
pub(super) const STREAMS: usize = *NUM_BUFFERS.end();
/// Bytes of a text.
const TEXT_BYTES: usize = 4096;

/// How far the process under test is; 0 before the first step. Rises; each step is taken by whom its comment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(super) enum Phase {
    /// The child: every thread runs and waits at its gate.
    Ready = 1,
    /// The controller: producers end, what is left is delivered.
    Ending = 2,
    /// The child: the books are written.
    Ended = 3,
    /// The child: it failed, and the text says why.
    Failed = 4,
}

/// Everything.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Words {
    phase: AtomicU32,
    /// The child: address of the function that calls the logger.
    pub(super) call_address: AtomicU64,
    /// The child, before `Ready`.
    pub(super) worker_tids: [AtomicU32; STREAMS],
    /// The child, before `Ready`.
    pub(super) worker_count: AtomicU32,
    pub(super) streams: [StreamWords; STREAMS],
    pub(super) producers: [ProducerWords; MAX_PRODUCERS],
    pub(super) flush: FlushWords,
    pub(super) books: Books,
    /// The child: why it failed, or what does not agree in its books.
    pub(super) text: Text,
}

// SAFETY: nothing but atomic integers, for which zero is a valid value.
unsafe impl Zeroed for Words {}

impl Words {
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u32, Release);
    }

    pub(super) fn has_reached(&self, phase: Phase) -> bool {
        self.phase.load(Acquire) >= phase as u32
    }

    /// `Failed` is beyond every other phase.
    pub(super) fn has_failed(&self) -> bool {
        self.has_reached(Phase::Failed)
    }
}

/// One producer.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct ProducerWords {
    /// Its own thread, before `Ready`.
    pub(super) tid: AtomicU32,
    /// The controller: it may make its first call.
    pub(super) is_released: AtomicU32,
    /// Its own thread: 1 while it is inside the log call.
    pub(super) in_call: AtomicU32,
    /// Its own thread: calls that returned.
    pub(super) calls: AtomicU64,
    /// Its own thread: those that gave up after their timeout.
    pub(super) timed_out: AtomicU64,
    /// Its own thread: time between two finished calls.
    pub(super) call_gaps: Gaps,
    /// The receiver, from here on: the stream that its messages come on, plus 1; 0 until one came.
    pub(super) stream: AtomicU32,
    /// Messages that arrived.
    pub(super) delivered: AtomicU64,
    /// Time between two arrivals.
    pub(super) delivery_gaps: Gaps,
}

/// One stream's receiver.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct StreamWords {
    /// The controller: 1 has it read nothing.
    pub(super) hold: AtomicU32,
    /// The receiver: 1 while it reads nothing.
    pub(super) is_held: AtomicU32,
}

/// A flush that the controller asks for.
#[derive(Debug)]
#[repr(C)]
pub(super) struct FlushWords {
    /// The controller: rises with each request.
    pub(super) request: AtomicU32,
    /// The controller: its timeout.
    pub(super) timeout_ns: AtomicU64,
    /// The child: the last request that was answered.
    pub(super) answer: AtomicU32,
    /// The child: how long that took.
    pub(super) took_ns: AtomicU64,
    /// The child: messages that were not delivered in time.
    pub(super) undelivered: AtomicU64,
}

/// The child: the account of all messages.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Books {
    pub(super) attempted: AtomicU64,
    pub(super) delivered: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) overwritten: AtomicU64,
    pub(super) timed_out: AtomicU64,
}

/// A text that is written once.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Text {
    bytes: [AtomicU8; TEXT_BYTES],
    length: AtomicU32,
}

impl Text {
    pub(super) fn set(&self, text: &str) {
        let length = text.len().min(TEXT_BYTES);
        for (to, &from) in self.bytes.iter().zip(text.as_bytes()) {
            to.store(from, Relaxed);
        }
        self.length.store(length as u32, Release);
    }

    pub(super) fn get(&self) -> String {
        let length = self.length.load(Acquire) as usize;
        let bytes: Vec<u8> = self.bytes[..length].iter().map(|byte| byte.load(Relaxed)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The longest time between two events of one thread, in windows that the controller opens and closes.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Gaps {
    /// The controller: number of the window.
    window: AtomicU64,
    /// The controller: when it was opened.
    begin_ns: AtomicU64,
    /// The thread: the window that the next two words belong to.
    seen: AtomicU64,
    /// The thread: its last event.
    last_ns: AtomicU64,
    /// The thread: the longest gap before it.
    longest_ns: AtomicU64,
}

impl Gaps {
    /// From now on.
    pub(super) fn open(&self) {
        self.begin_ns.store(monotonic_ns(), Relaxed);
        // Pairs with the Acquire in `Watch::note`: who sees the window sees when it began.
        self.window.store(self.window.load(Relaxed) + 1, Release);
    }

    /// The longest gap since `open`; one that is not over counts as long as it is by now.
    pub(super) fn longest_ns(&self) -> u64 {
        let now = monotonic_ns();
        // Pairs with the Release in `Watch::note`.
        if self.seen.load(Acquire) != self.window.load(Relaxed) {
            return now.saturating_sub(self.begin_ns.load(Relaxed));
        }
        let (last, longest) = (self.last_ns.load(Relaxed), self.longest_ns.load(Relaxed));
        longest.max(now.saturating_sub(last))
    }
}

/// The thread's side of [`Gaps`].
#[derive(Debug, Default)]
pub(super) struct Watch {
    window: u64,
    last_ns: u64,
    longest_ns: u64,
}

impl Watch {
    /// An event.
    #[inline]
    pub(super) fn note(&mut self, gaps: &Gaps, now_ns: u64) {
        let window = gaps.window.load(Acquire);
        if window != self.window {
            *self = Self { window, last_ns: gaps.begin_ns.load(Relaxed), longest_ns: 0 };
            gaps.longest_ns.store(0, Relaxed);
        }
        let gap = now_ns.saturating_sub(self.last_ns);
        self.last_ns = now_ns;
        gaps.last_ns.store(now_ns, Relaxed);
        if gap > self.longest_ns {
            self.longest_ns = gap;
            gaps.longest_ns.store(gap, Relaxed);
        }
        if gaps.seen.load(Relaxed) != window {
            gaps.seen.store(window, Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::shared;
    use std::time::Duration;

    fn words() -> &'static Words {
        shared::<Words>().unwrap()
    }

    #[test]
    fn a_gap_that_is_not_over_counts() {
        let gaps = &words().producers[0].call_gaps;
        let mut watch = Watch::default();
        watch.note(gaps, monotonic_ns());
        gaps.open();
        std::thread::sleep(Duration::from_millis(30));
        assert!(gaps.longest_ns() >= 30_000_000, "no event at all in the window");
        watch.note(gaps, monotonic_ns());
        watch.note(gaps, monotonic_ns());
        assert!(gaps.longest_ns() >= 30_000_000, "the gap before the window's first event");
        gaps.open();
        watch.note(gaps, monotonic_ns());
        assert!(gaps.longest_ns() < 20_000_000, "a window knows nothing of the one before");
        std::thread::sleep(Duration::from_millis(40));
        assert!(gaps.longest_ns() >= 40_000_000, "the gap after the last event");
    }

    #[test]
    fn texts_are_cut_at_their_end() {
        let text = &words().text;
        assert_eq!(text.get(), "");
        text.set("why");
        assert_eq!(text.get(), "why");
        text.set(&"x".repeat(2 * TEXT_BYTES));
        assert_eq!(text.get().len(), TEXT_BYTES);
    }
}
