//! The ring against a simple model, in every mode and from any starting position.

use std::collections::VecDeque;

use proptest::prelude::*;

use crate::format::{Level, Raw};
use crate::primitives::{AtomicU64, Ordering::Relaxed};

use super::record::{Header, words_for};
use super::{Control, Copied, Cursor, Ring, SLACK_WORDS, Words};

/// Longest payload of a test message, type info and length included.
const LONGEST: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Overwrite,
    Refuse,
}

#[derive(Debug, Clone)]
enum Step {
    /// Log a message of this many raw bytes.
    Log(usize),
    /// Copy at most this many words, and take what is whole.
    Copy(usize),
    /// Another overflow mode.
    Mode(Mode),
    /// Overwrite this many messages while the worker is in the middle of a copy.
    CopyMeanwhile(usize),
}

struct Bench {
    control: Control,
    words: Vec<AtomicU64>,
    capacity: u64,
}

impl Bench {
    /// A ring that begins at this position and record number, as if it had been used for long.
    fn new(words: usize, capacity: u64, position: u64, number: u64) -> Self {
        Self {
            control: Control::starting_at((position, number), words as u64, capacity),
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            capacity,
        }
    }

    fn ring(&self) -> Ring<'_> {
        Ring { control: &self.control, words: Words::new(&self.words), capacity: self.capacity }
    }

    /// Logs a message whose bytes are a function of `tag`. False if it was refused.
    fn log(&self, mode: Mode, tag: u64, length: usize) -> bool {
        let bytes = payload(tag, length);
        let args = (tag, Raw(&bytes));
        let size = size(length);
        let ring = self.ring();
        if words_for(size) > ring.words.capacity() {
            return false;
        }
        match mode {
            _ if ring.has_room(size) => {}
            Mode::Overwrite => ring.make_room_overwriting(size),
            Mode::Refuse if ring.has_room_fresh(size) => {}
            Mode::Refuse => return false,
        }
        let header = Header {
            payload_bytes: size as u16,
            level: Level::Info as u8,
            context: (tag % 4096) as u16,
            arguments: 2,
            ticks: tag,
        };
        ring.publish(size, header, &args);
        true
    }
}

fn payload(tag: u64, length: usize) -> Vec<u8> {
    (0..length).map(|i| (tag as u8).wrapping_mul(31).wrapping_add(i as u8)).collect()
}

/// Bytes on the wire: u64 with type info, raw with type info and length.
fn size(length: usize) -> u64 {
    4 + 8 + 4 + 2 + length as u64
}

/// What should be in the ring: tag and length, oldest first.
#[derive(Debug, Default)]
struct Model {
    held: VecDeque<(u64, usize)>,
    delivered: u64,
    overwritten: u64,
    refused: u64,
}

impl Model {
    fn words(&self) -> u64 {
        self.held.iter().map(|&(_, length)| words_for(size(length))).sum()
    }

    fn log(&mut self, mode: Mode, tag: u64, length: usize, words: u64, capacity: u64) -> bool {
        let need = words_for(size(length));
        if need > words {
            self.refused += 1;
            return false;
        }
        while self.held.len() as u64 >= capacity || self.words() + need > words {
            if mode == Mode::Refuse {
                self.refused += 1;
                return false;
            }
            self.held.pop_front();
            self.overwritten += 1;
        }
        self.held.push_back((tag, length));
        true
    }
}

/// The worker's side of the test.
struct Reader {
    cursor: Cursor,
    buffer: Vec<u64>,
    lost: u64,
}

impl Reader {
    fn new(ring: &Ring<'_>) -> Self {
        Self { cursor: Cursor::at_head(ring), buffer: vec![0; 4096 + SLACK_WORDS], lost: 0 }
    }

    /// Takes the whole records of one copy, in order: their tags and bytes.
    fn take(&mut self, ring: &Ring<'_>, limit: usize) -> Vec<(u64, Vec<u8>)> {
        let mut limit = limit;
        loop {
            let copied = ring.copy_out(&mut self.cursor, &mut self.buffer[..limit]);
            match self.interpret(ring, copied) {
                Ok(taken) => return taken,
                // The buffer was too small for one record: as the worker does, come again with a larger one.
                Err(needed) => limit = needed,
            }
        }
    }

    fn interpret(&mut self, ring: &Ring<'_>, copied: Copied) -> Result<Vec<(u64, Vec<u8>)>, usize> {
        let mut taken = Vec::new();
        match copied {
            Copied::Nothing { lost } => self.lost += lost,
            Copied::Overtaken => {}
            Copied::Words(valid) => {
                let mut records = Ring::records(&self.cursor, &self.buffer, &valid);
                let mut lost = 0;
                for (missing, record) in &mut records {
                    lost += missing;
                    let bytes: Vec<u8> = record.payload.iter().flat_map(|word| word.to_le_bytes()).collect();
                    let bytes = &bytes[..usize::from(record.header.payload_bytes)];
                    assert_eq!(record.header.context, (record.header.ticks % 4096) as u16);
                    taken.push((record.header.ticks, bytes[18..].to_vec()));
                }
                let needed = ring.consumed(&mut self.cursor, &records, &valid);
                self.lost += lost;
                if let Some(needed) = needed {
                    return Err(needed);
                }
            }
        }
        Ok(taken)
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..LONGEST).prop_map(Step::Log),
        3 => (2..200usize).prop_map(Step::Copy),
        1 => prop_oneof![Just(Mode::Overwrite), Just(Mode::Refuse)].prop_map(Step::Mode),
        1 => (1..40usize).prop_map(Step::CopyMeanwhile),
    ]
}

/// Positions near the ends of laps and of 32 bits.
fn start() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0u64), 0..5000u64, (u64::from(u32::MAX) - 300)..(u64::from(u32::MAX) + 300)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Without a producer in the middle of a copy the ring is the model: same messages, same bytes, same losses.
    #[test]
    fn ring_is_the_model(
        steps in prop::collection::vec(step(), 1..200),
        words_log2 in 6u32..9,
        capacity in 1u64..20,
        position in start(),
        number in start(),
    ) {
        let words = 1u64 << words_log2;
        let bench = Bench::new(words as usize, capacity, position, number);
        let ring = bench.ring();
        let mut reader = Reader::new(&ring);
        reader.cursor.next_record = number;
        let (mut model, mut mode, mut tag) = (Model::default(), Mode::Overwrite, 0);
        for step in steps {
            match step {
                Step::Log(length) => {
                    tag += 1;
                    prop_assert_eq!(bench.log(mode, tag, length), model.log(mode, tag, length, words, capacity));
                }
                Step::Mode(new) => mode = new,
                Step::Copy(limit) => {
                    for (got, bytes) in reader.take(&ring, limit) {
                        let (expected, length) = model.held.pop_front().expect("the model holds it too");
                        prop_assert_eq!(got, expected);
                        prop_assert_eq!(bytes, payload(expected, length));
                        model.delivered += 1;
                    }
                }
                Step::CopyMeanwhile(_) => {}
            }
            let (records, used) = ring.fill();
            prop_assert_eq!((records, used), (model.held.len() as u64, model.words()));
        }
        // What is left, and what an empty lane says it lost.
        while let Some((expected, length)) = model.held.pop_front() {
            model.held.push_front((expected, length));
            for (got, bytes) in reader.take(&ring, 4096) {
                let (expected, length) = model.held.pop_front().expect("the model holds it too");
                prop_assert_eq!((got, bytes), (expected, payload(expected, length)));
                model.delivered += 1;
            }
        }
        prop_assert!(reader.take(&ring, 4096).is_empty());
        prop_assert_eq!(reader.lost, model.overwritten);
        prop_assert_eq!(model.delivered + model.overwritten + model.refused, tag);
    }

    /// A producer that overwrites while the worker is in the middle of its copy: nothing torn is delivered, nothing is
    /// delivered twice or out of order, and every message is delivered or found missing.
    #[test]
    fn torn_copies_are_thrown_away(
        steps in prop::collection::vec(step(), 1..200),
        words_log2 in 6u32..8,
        capacity in 1u64..12,
        position in start(),
        number in start(),
    ) {
        let bench = Bench::new(1 << words_log2, capacity, position, number);
        let ring = bench.ring();
        let mut reader = Reader::new(&ring);
        reader.cursor.next_record = number;
        let (mut tag, mut last, mut delivered, mut accepted) = (0, 0, 0u64, 0u64);
        let mut log = |tag: &mut u64, length: usize| {
            *tag += 1;
            accepted += u64::from(bench.log(Mode::Overwrite, *tag, length));
        };
        let mut check = |taken: Vec<(u64, Vec<u8>)>| {
            for (got, bytes) in taken {
                assert!(got > last, "{got} after {last}");
                let length = bytes.len();
                assert_eq!(bytes, payload(got, length), "torn");
                last = got;
                delivered += 1;
            }
        };
        for step in steps {
            match step {
                Step::Log(length) => log(&mut tag, length),
                Step::Copy(limit) => check(reader.take(&ring, limit)),
                Step::Mode(_) => {}
                Step::CopyMeanwhile(messages) => {
                    // The two halves of a copy, with the producer in between: positions and words as they were, the
                    // validation afterwards.
                    let mut stale = reader.cursor.clone();
                    let copied = ring.copy_out(&mut stale, &mut reader.buffer[..512]);
                    let start = stale.position;
                    for i in 0..messages {
                        log(&mut tag, i * 7 % LONGEST);
                    }
                    let oldest = bench.control.producer.oldest.load(Relaxed);
                    let Copied::Words(mut valid) = copied else { continue };
                    let overwritten = oldest.saturating_sub(start) as usize;
                    if overwritten >= valid.words.end {
                        continue;
                    }
                    valid.words.start = valid.words.start.max(overwritten);
                    valid.overtaken |= overwritten > 0;
                    reader.cursor = stale;
                    if let Ok(taken) = reader.interpret(&ring, Copied::Words(valid)) {
                        check(taken);
                    }
                }
            }
        }
        for _ in 0..1000 {
            check(reader.take(&ring, 4096));
        }
        prop_assert_eq!(delivered + reader.lost, accepted);
    }
}

/// The capacity in messages is exact, whatever the size of the messages, as long as their bytes fit.
#[test]
fn capacity_is_exact() {
    for capacity in [1, 2, 3, 100] {
        let bench = Bench::new(4096, capacity, 0, 0);
        let accepted = (0..200).filter(|&tag| bench.log(Mode::Refuse, tag, 20)).count() as u64;
        assert_eq!(accepted, capacity);
        for tag in 200..400 {
            assert!(bench.log(Mode::Overwrite, tag, 20));
        }
        let taken = Reader::new(&bench.ring()).take(&bench.ring(), 4096);
        let expected: Vec<u64> = (400 - capacity..400).collect();
        assert_eq!(
            taken.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(),
            expected,
            "the last ones, in order"
        );
    }
}

/// After an overtaken copy the worker goes on at least half a ring further on, at the start of a record.
#[test]
fn overtaken_worker_skips_half_a_ring() {
    let bench = Bench::new(64, 1000, 0, 0);
    let ring = bench.ring();
    let mut reader = Reader::new(&ring);
    for tag in 0..40 {
        bench.log(Mode::Overwrite, tag, 0);
        // Remembers boundaries on its way, and takes nothing.
        ring.copy_out(&mut reader.cursor, &mut reader.buffer[..2]);
    }
    let oldest = bench.control.producer.oldest.load(Relaxed);
    // A copy that began at the start of the ring and was overtaken.
    reader.cursor.position = 0;
    let copied = Copied::Words(super::consumer::Valid { words: 5..5, accepted: 40, overtaken: true });
    assert!(reader.interpret(&ring, copied).unwrap().is_empty());
    assert!(
        reader.cursor.position >= oldest + 32,
        "{} is not half a ring past {oldest}",
        reader.cursor.position
    );
    let next = reader.take(&ring, 64);
    assert!(!next.is_empty(), "a record starts there");
}

/// A worker that was overtaken may go on at the end of the newest record. What it gave up is room in every mode.
#[test]
fn room_of_records_that_were_given_up() {
    let bench = Bench::new(64, 4, 0, 0);
    let ring = bench.ring();
    for tag in 0..10 {
        assert!(bench.log(Mode::Overwrite, tag, 0));
    }
    assert!(!bench.log(Mode::Refuse, 10, 0));
    let mut reader = Reader::new(&ring);
    reader.cursor.position = bench.control.producer.tail.load(Relaxed);
    assert!(reader.take(&ring, 64).is_empty());
    assert_eq!(reader.lost, 10);
    assert!((10..14).all(|tag| bench.log(Mode::Refuse, tag, 0)), "four fit");
}

/// Runs end where the context changes, where a record is missing and where the caller says so, and lose nothing where
/// the record number wraps at 32 bits.
#[test]
fn runs_of_records() {
    let start = u64::from(u32::MAX) - 4;
    let bench = Bench::new(64, 12, 40, start);
    let ring = bench.ring();
    // The first two are overwritten.
    let contexts = [9, 9, 1, 1, 1, 1, 1, 2, 2, 1, 1, 1, 1, 1];
    for (ticks, context) in (0u64..).zip(contexts) {
        if !ring.has_room(0) {
            ring.make_room_overwriting(0);
        }
        let header = Header { payload_bytes: 0, level: 4, context, arguments: 0, ticks };
        ring.publish(0, header, &());
    }
    let mut cursor = Cursor::at_head(&ring);
    let mut buffer = vec![0; 64 + SLACK_WORDS];
    let Copied::Words(valid) = ring.copy_out(&mut cursor, &mut buffer[..64]) else {
        panic!("records were logged")
    };
    let mut records = Ring::records(&cursor, &buffer, &valid);
    let mut runs = Vec::new();
    while let Some((lost, first)) = records.peek() {
        records.skip_missing(lost);
        let mut ticks = Vec::new();
        let taken = records.run(4, |record| {
            assert_eq!(record.header.context, first.header.context);
            assert_eq!(u64::from(record.number), (start + record.header.ticks) % (1 << 32));
            // Refused once, unless it comes first.
            let is_taken = record.header.ticks != 12 || ticks.is_empty();
            ticks.extend(is_taken.then_some(record.header.ticks));
            is_taken
        });
        assert_eq!(taken as usize, ticks.len());
        runs.push((lost, ticks));
    }
    // Number 4 after the start is the last one of 32 bits.
    let expected = [(2, 2..=4), (0, 5..=6), (0, 7..=8), (0, 9..=11), (0, 12..=13)];
    assert_eq!(runs, expected.map(|(lost, ticks)| (lost, ticks.collect::<Vec<_>>())));
    assert_eq!(ring.consumed(&mut cursor, &records, &valid), None);
    assert_eq!(cursor.next_record, start + 14);
}
