//! The queue that callers of a control share, and the frames in it.

use std::collections::VecDeque;

use dlt_logger::format::header::TEMPLATE_BYTES;
use dlt_logger::format::{Args, PayloadWriter, Template};
use dlt_logger::{Level, OverflowMode};

use crate::load::message::{ARGUMENTS, PAYLOAD_BYTES, TEXT};
use crate::load::terms::Buffer;
use crate::measure::clock::monotonic_ns;

/// Bytes of a frame without what stands before it.
pub(crate) const FRAME_BYTES: usize = TEMPLATE_BYTES + PAYLOAD_BYTES;
/// DLT counts time in 0.1 ms.
const NS_PER_DLT_TICK: u64 = 100_000;

/// A frame and when it was logged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(super) logged_ns: u64,
    pub(crate) frame: [u8; FRAME_BYTES],
}

/// What is behind the lock.
#[derive(Debug)]
pub(crate) struct Queue {
    entries: VecDeque<Entry>,
    capacity: usize,
    mode: OverflowMode,
    /// `sent` and `sink_lost` are added by the worker.
    pub(crate) terms: Buffer,
    pub(super) is_closed: bool,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    Accepted,
    Full,
    /// Full, and the mode says to wait. Not counted.
    Wait,
    Closed,
}

impl Queue {
    pub(crate) fn new(capacity: usize, mode: OverflowMode) -> Self {
        let entries = VecDeque::with_capacity(capacity);
        let memory_bytes = (entries.capacity() * size_of::<Entry>()) as u64;
        let terms = Buffer { memory_bytes, ..Buffer::default() };
        Self { entries, capacity, mode, terms, is_closed: false }
    }

    /// Messages in it.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Builds the frame of a message in the queue, if there is room or the mode makes some.
    pub(crate) fn push(&mut self, template: &Template, counter: u8, sequence: u32) -> Pushed {
        if self.is_closed {
            self.terms.dropped.lost_at_close += 1;
            return Pushed::Closed;
        }
        if self.entries.len() == self.capacity {
            match self.mode {
                OverflowMode::Overwrite => {
                    self.entries.pop_front();
                    self.terms.overwritten += 1;
                }
                OverflowMode::DropNewest => {
                    self.terms.dropped.full += 1;
                    return Pushed::Full;
                }
                OverflowMode::BlockWithTimeout => return Pushed::Wait,
            }
        }
        let logged_ns = monotonic_ns();
        let time = (logged_ns / NS_PER_DLT_TICK) as u32;
        let mut frame = [0; FRAME_BYTES];
        let (head, payload) = frame.split_at_mut(TEMPLATE_BYTES);
        head.copy_from_slice(&template.log(Level::Info, counter, time, ARGUMENTS, PAYLOAD_BYTES));
        (sequence, TEXT).encode(&mut Fixed(payload));
        self.entries.push_back(Entry { logged_ns, frame });
        self.terms.accepted += 1;
        self.terms.fill_high_mark = self.terms.fill_high_mark.max(self.entries.len() as u64);
        Pushed::Accepted
    }

    /// Moves the oldest entries, at most this many, to `batch`.
    pub(crate) fn take(&mut self, most: usize, batch: &mut Vec<Entry>) {
        batch.extend(self.entries.drain(..most.min(self.entries.len())));
    }

    /// Messages that were accepted and are not yet settled.
    pub(super) const fn unsettled(&self) -> u64 {
        let Buffer { accepted, sent, overwritten, dropped, .. } = self.terms;
        accepted - sent - overwritten - dropped.sink_lost
    }
}

/// Writes into a slice that is known to be large enough.
struct Fixed<'a>(&'a mut [u8]);

impl PayloadWriter for Fixed<'_> {
    fn put(&mut self, value: u64, bytes: u32) {
        self.put_slice(&value.to_le_bytes()[..bytes as usize]);
    }

    fn put_slice(&mut self, bytes: &[u8]) {
        let (head, rest) = std::mem::take(&mut self.0).split_at_mut(bytes.len());
        head.copy_from_slice(bytes);
        self.0 = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::message::sequence_number;
    use dlt_logger::Id4;
    use dlt_logger::format::decode::split;

    fn template() -> Template {
        let id = |text| Id4::new(text).unwrap();
        Template::new(id("ECU1"), 1, id("BNCH"), id("P000"))
    }

    fn numbers(queue: &mut Queue) -> Vec<u32> {
        let mut batch = Vec::new();
        queue.take(100, &mut batch);
        let number = |entry: &Entry| {
            let (frame, used) = split(&entry.frame).unwrap().unwrap();
            assert_eq!(used, FRAME_BYTES);
            sequence_number(frame.payload).unwrap()
        };
        batch.iter().map(number).collect()
    }

    fn filled(mode: OverflowMode) -> (Queue, Vec<Pushed>) {
        let mut queue = Queue::new(3, mode);
        let pushed = (0..5).map(|n| queue.push(&template(), 0, n)).collect();
        (queue, pushed)
    }

    #[test]
    fn each_mode_loses_its_own() {
        use Pushed::{Accepted, Full, Wait};
        let (mut queue, pushed) = filled(OverflowMode::Overwrite);
        assert_eq!(pushed, [Accepted; 5]);
        assert_eq!(queue.terms.overwritten, 2);
        assert_eq!(numbers(&mut queue), [2, 3, 4]);
        let (mut queue, pushed) = filled(OverflowMode::DropNewest);
        assert_eq!(pushed, [Accepted, Accepted, Accepted, Full, Full]);
        assert_eq!(queue.terms.dropped.full, 2);
        assert_eq!(numbers(&mut queue), [0, 1, 2]);
        let (mut queue, pushed) = filled(OverflowMode::BlockWithTimeout);
        assert_eq!(pushed, [Accepted, Accepted, Accepted, Wait, Wait]);
        assert_eq!(queue.terms.accepted, 3);
        assert_eq!(numbers(&mut queue), [0, 1, 2]);
    }
}
