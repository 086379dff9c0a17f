//! The floor: what a log call cannot do without. A clock reading, the copy of the record's words, one Release store.
//!
//! It is measured by the loops that measure the log call, with the same in-call words and the same clock readings, so
//! that a figure of the call can be given as a multiple of it.

use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, Release},
};
use std::time::Duration;

use dlt_logger::Outcome;
use dlt_probe_ebpf::Role;
use serde::Serialize;

use super::clock::Clock;
use super::latency::Summary;
use crate::case::spec::ROUND;
use crate::load::message::{PAYLOAD_BYTES, TEXT};
use crate::load::plan::{Pass, Plan, Shape, Volume};
use crate::load::producer::{Producer, Work, Worked};
use crate::watch::{Unwatched, Watcher};

/// Words of a record of dlt-logger: two of header, then the payload.
const RECORD_WORDS: usize = 2 + PAYLOAD_BYTES.div_ceil(8);
/// Records of the memory that is written, as many as a lane has by default.
const RECORDS: usize = 2048;

/// What the floor costs, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Floor {
    /// Mean of calls that follow each other, without a clock around them.
    pub sustained_ns_per_msg: f64,
    /// Calls in bursts, each with a clock reading on both sides.
    pub call_ns: Summary,
    /// Bursts with a clock reading on both sides, per call.
    pub burst_ns_per_call: Summary,
}

/// Parts of the time in which the sustained floor is looked for; the least counts, since what disturbs only adds.
const PARTS: u32 = 8;

/// Measures the floor with bursts of this many calls and pauses, for this time per figure.
pub fn measure(calls: u32, pause: Duration, time: Duration) -> Option<Floor> {
    let per_msg =
        |worked: Worked| (worked.end_ns - worked.begin_ns) as f64 / worked.tally.attempted().max(1) as f64;
    let parts = (0..PARTS).map(|_| per_msg(run(Shape::Continuous, Pass::Throughput, time / PARTS)));
    let sustained_ns_per_msg = parts.fold(f64::INFINITY, f64::min);
    let bursts = run(Shape::Bursts { calls, pause }, Pass::Latency, time);
    let clock = Clock::get();
    Some(Floor {
        sustained_ns_per_msg,
        call_ns: bursts.latencies.service.summary(clock)?,
        burst_ns_per_call: bursts.latencies.bursts.summary(clock)?.divided_by(calls),
    })
}

fn run(shape: Shape, pass: Pass, time: Duration) -> Worked {
    let plan = Plan {
        shape,
        pass,
        ..Plan::new(dlt_logger::Config::default(), 1, Volume::AtLeast { time, round: ROUND })
    };
    let slot = Unwatched::default();
    let stop = AtomicBool::new(false);
    Work::new(FloorCall::new(), slot.register(Role::Other, "floor"), &stop).run(&plan, 0)
}

/// Memory like a lane's, without a worker that reads it.
#[derive(Debug)]
pub(crate) struct FloorCall {
    clock: Clock,
    words: Box<[AtomicU64]>,
    at: usize,
    tail: AtomicU64,
}

impl FloorCall {
    pub(crate) fn new() -> Self {
        // Written once, so that every page is there.
        let words = (0..RECORDS * RECORD_WORDS).map(|word| AtomicU64::new(word as u64)).collect();
        Self { clock: Clock::get(), words, at: 0, tail: AtomicU64::new(0) }
    }
}

impl Producer for FloorCall {
    #[inline(always)]
    fn log(&mut self, sequence: u32) -> Outcome {
        let record = record(sequence, self.clock.ticks());
        if let Some(words) = self.words.get(self.at..self.at + RECORD_WORDS) {
            words.iter().zip(record).for_each(|(word, value)| word.store(value, Relaxed));
        }
        self.at += RECORD_WORDS;
        if self.at == self.words.len() {
            self.at = 0;
        }
        self.tail.store(u64::from(sequence), Release);
        Outcome::Accepted
    }
}

/// The words of a message's record.
#[inline]
fn record(sequence: u32, ticks: u64) -> [u64; RECORD_WORDS] {
    const BYTES: &[u8; 16] = match TEXT.as_bytes().first_chunk() {
        Some(bytes) => bytes,
        None => panic!("the text has 16 bytes"),
    };
    const fn part(from: usize, to: usize) -> u64 {
        let (mut value, mut at) = (0, from);
        while at < to {
            value |= (BYTES[at] as u64) << (8 * (at - from));
            at += 1;
        }
        value
    }
    [
        PAYLOAD_BYTES as u64 | 4 << 16 | u64::from(sequence) << 32,
        2 | ticks << 8,
        0x43 | u64::from(sequence) << 32,
        0x8200 | (TEXT.len() as u64 + 1) << 32 | part(0, 2) << 48,
        part(2, 10),
        part(10, 16),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::message::sequence_number;

    #[test]
    fn the_words_are_those_of_a_message() {
        let bytes: Vec<u8> = record(77, 1)[2..].iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(sequence_number(&bytes[..PAYLOAD_BYTES]), Some(77));
    }

    #[test]
    fn every_record_is_written() {
        let mut floor = FloorCall::new();
        for sequence in 0..RECORDS as u32 * 2 {
            assert_eq!(floor.log(sequence), Outcome::Accepted);
        }
        let written = |at: usize| floor.words[at * RECORD_WORDS + 2].load(Relaxed) >> 32;
        assert_eq!((written(0), written(RECORDS - 1)), (RECORDS as u64, RECORDS as u64 * 2 - 1));
        assert_eq!(floor.tail.load(Relaxed), RECORDS as u64 * 2 - 1);
    }
}
