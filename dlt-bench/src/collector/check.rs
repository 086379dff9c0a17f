//! What is checked of received bytes: whole frames, known producers, unchanged payloads, rising sequence numbers.

use dlt_logger::Id4;
use dlt_logger::format::decode::{Frame, FrameError, Value, resync, split};

use crate::load::message::{ARGUMENTS, LOSS_CONTEXT, producer_index, sequence_number};
use crate::load::plan::MAX_PRODUCERS;

/// Violations that are kept with their text; the others are only counted.
const KEPT: usize = 8;

/// What arrived from one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Messages.
    pub received: u64,
    /// Sequence numbers that were skipped before the last message.
    pub gaps: u64,
    /// The sequence number after the last message.
    pub next: u64,
    /// The stream that its messages came on.
    pub stream: usize,
}

/// All that was received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// One entry per producer, as far as any was heard of.
    pub producers: Vec<Seen>,
    /// Messages of all producers.
    pub messages: u64,
    /// The logger's own messages about losses.
    pub notes: u64,
    /// Losses that these name, all together.
    pub noted_losses: u64,
    /// Bytes of whole frames.
    pub bytes: u64,
    /// The first violations, in words.
    pub violations: Vec<String>,
    /// How many there were.
    pub violation_count: u64,
    /// `CLOCK_MONOTONIC` at which the last messages were there.
    pub last_ns: u64,
    /// CPU time of the threads that received.
    pub cpu_ns: u64,
}

impl Received {
    /// What two readers received together. A producer belongs to one stream: if both heard it, its order is broken.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.producers.resize(self.producers.len().max(other.producers.len()), Seen::default());
        for (index, (mine, theirs)) in self.producers.iter_mut().zip(&other.producers).enumerate() {
            if mine.received > 0 && theirs.received > 0 {
                let (a, b) = (mine.stream, theirs.stream);
                self.violation_count += 1;
                self.violations.push(format!("producer P{index:03} was heard on streams {a} and {b}"));
            } else if theirs.received > 0 {
                *mine = *theirs;
            }
        }
        self.messages += other.messages;
        self.notes += other.notes;
        self.noted_losses += other.noted_losses;
        self.bytes += other.bytes;
        self.violation_count += other.violation_count;
        self.violations.extend(other.violations);
        self.violations.truncate(KEPT);
        self.last_ns = self.last_ns.max(other.last_ns);
        self.cpu_ns += other.cpu_ns;
        self
    }
}

/// Takes received bytes apart and checks them.
#[derive(Debug)]
pub struct Checker {
    all: Received,
    loss: Id4,
}

impl Default for Checker {
    fn default() -> Self {
        let loss = Id4::try_new(LOSS_CONTEXT).unwrap_or(Id4::NONE);
        Self {
            all: Received { producers: vec![Seen::default(); MAX_PRODUCERS], ..Received::default() },
            loss,
        }
    }
}

impl Checker {
    /// Messages so far, notes not included.
    pub const fn messages(&self) -> u64 {
        self.all.messages
    }

    /// What arrived from each producer so far.
    pub fn producers(&self) -> &[Seen] {
        &self.all.producers
    }

    /// Takes apart what is whole in `bytes`; returns how many bytes that was.
    pub fn feed(&mut self, stream: usize, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            match split(&bytes[at..]) {
                Ok(Some((frame, used))) => {
                    self.frame(stream, &frame);
                    self.all.bytes += used as u64;
                    at += used;
                }
                Ok(None) => return at,
                Err(FrameError::NotALog { kind, bytes }) => {
                    self.violation(format!(
                        "stream {stream}: a message of type {kind:?}, where only logs are sent"
                    ));
                    at += bytes;
                }
                Err(error) => {
                    self.violation(format!("stream {stream}: torn or foreign bytes: {error}"));
                    at += resync(&bytes[at..]);
                }
            }
        }
    }

    #[inline]
    fn frame(&mut self, stream: usize, frame: &Frame<'_>) {
        let Some(index) = producer_index(frame.ctid()).filter(|&index| index < self.all.producers.len())
        else {
            return self.other(stream, frame);
        };
        let Some(number) = sequence_number(frame.payload).filter(|_| frame.noar() == ARGUMENTS) else {
            let shown = frame.payload.escape_ascii();
            return self
                .violation(format!("stream {stream}: a message of P{index:03} is torn: payload `{shown}`"));
        };
        let number = u64::from(number);
        let seen = &mut self.all.producers[index];
        if number < seen.next {
            let next = seen.next;
            return self.violation(format!(
                "stream {stream}: P{index:03} sent number {number} where {next} or later was due: duplicated or out \
                 of order"
            ));
        }
        if seen.received > 0 && seen.stream != stream {
            let before = seen.stream;
            return self
                .violation(format!("producer P{index:03} was heard on streams {before} and {stream}"));
        }
        seen.stream = stream;
        seen.gaps += number - seen.next;
        seen.next = number + 1;
        seen.received += 1;
        self.all.messages += 1;
    }

    #[cold]
    fn other(&mut self, stream: usize, frame: &Frame<'_>) {
        if frame.ctid() != self.loss {
            let id = frame.ctid();
            return self.violation(format!("stream {stream}: a message of unknown context `{id}`"));
        }
        self.all.notes += 1;
        match frame.args().next() {
            Some(Ok(Value::Str(text))) => {
                match text.split(' ').next().and_then(|count| count.parse::<u64>().ok()) {
                    Some(count) => self.all.noted_losses += count,
                    None => self.violation(format!("stream {stream}: a loss note without a count: `{text}`")),
                }
            }
            other => self.violation(format!("stream {stream}: a loss note without text: {other:?}")),
        }
    }

    /// Counts a violation.
    pub fn violation(&mut self, text: String) {
        self.all.violation_count += 1;
        if self.all.violations.len() < KEPT {
            self.all.violations.push(text);
        }
    }

    /// Messages were there at this time.
    pub fn note_time(&mut self, ns: u64) {
        self.all.last_ns = ns;
    }

    /// A stream has ended, with this many bytes of an unfinished frame; or it is given up while it is open.
    pub fn end_of_stream(&mut self, stream: usize, left: usize, is_open: bool) {
        if left > 0 {
            self.violation(format!("stream {stream}: {left} bytes of an unfinished frame at its end"));
        }
        if is_open {
            self.violation(format!("stream {stream}: still open when the logger should have closed it"));
        }
    }

    /// What was received.
    pub fn finish(mut self, cpu_ns: u64) -> Received {
        self.all.cpu_ns = cpu_ns;
        let heard = self.all.producers.iter().rposition(|seen| seen.received > 0).map_or(0, |last| last + 1);
        self.all.producers.truncate(heard);
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::message::{TEXT, producer_name};
    use dlt_logger::Level;
    use dlt_logger::format::header::USER_LOG;
    use dlt_logger::format::{Args, Template};

    fn frame_of(context: &str, args: &impl Args, count: u8) -> Vec<u8> {
        let mut payload = Vec::new();
        args.encode(&mut payload);
        let id = |text| Id4::new(text).unwrap();
        let head = Template::new(id("ECU1"), 1, id("BNCH"), id(context));
        let head = head.log(Level::Info, 0, 0, count, payload.len());
        [&USER_LOG[..], &head[..], &payload[..]].concat()
    }

    fn message(producer: usize, number: u32) -> Vec<u8> {
        frame_of(&producer_name(producer), &(number, TEXT), 2)
    }

    fn check(streams: &[(usize, Vec<u8>)]) -> Received {
        let mut checker = Checker::default();
        for (stream, bytes) in streams {
            let used = checker.feed(*stream, bytes);
            checker.end_of_stream(*stream, bytes.len() - used, false);
        }
        checker.finish(0)
    }

    #[test]
    fn gaps_are_counted_per_producer() {
        let bytes = [message(0, 2), message(1, 0), message(0, 5), message(1, 1)].concat();
        let received = check(&[(3, bytes)]);
        assert_eq!(received.violations, Vec::<String>::new());
        assert_eq!(received.messages, 4);
        assert_eq!(received.producers[0], Seen { received: 2, gaps: 4, next: 6, stream: 3 });
        assert_eq!(received.producers[1], Seen { received: 2, gaps: 0, next: 2, stream: 3 });
    }

    #[test]
    fn duplicates_and_reordering_are_violations() {
        for numbers in [[1, 1], [2, 1]] {
            let received = check(&[(0, numbers.map(|n| message(0, n)).concat())]);
            assert_eq!((received.violation_count, received.messages), (1, 1));
            assert!(received.violations[0].contains("P000"), "{:?}", received.violations);
        }
    }

    #[test]
    fn torn_bytes_are_a_violation_and_what_follows_is_found() {
        let mut torn = message(0, 0);
        torn.truncate(30);
        let received = check(&[(0, [torn, message(0, 1)].concat())]);
        assert!(received.violation_count >= 1);
        let mut changed = message(0, 0);
        let last = changed.len() - 3;
        changed[last] ^= 0x20;
        let received = check(&[(0, [changed, message(0, 1)].concat())]);
        assert_eq!((received.violation_count, received.messages), (1, 1));
        assert!(received.violations[0].contains("torn"), "{:?}", received.violations);
        let received = check(&[(0, [b"garbage".to_vec(), message(0, 0)].concat())]);
        assert_eq!((received.violation_count, received.messages), (1, 1));
    }

    #[test]
    fn an_unfinished_frame_and_foreign_contexts_are_violations() {
        let mut cut = message(0, 0);
        cut.pop();
        assert_eq!(check(&[(0, cut)]).violation_count, 1);
        assert_eq!(check(&[(0, frame_of("ABCD", &(1u32,), 1))]).violation_count, 1);
    }

    #[test]
    fn loss_notes_are_counted_apart() {
        let note = frame_of("LOSS", &("12 messages lost here: overwritten 12, dropped 0",), 1);
        let received = check(&[(0, [message(0, 12), note.clone(), note].concat())]);
        assert_eq!((received.notes, received.noted_losses, received.messages), (2, 24, 1));
        assert_eq!(received.violation_count, 0);
    }

    #[test]
    fn a_producer_on_two_streams_is_a_violation() {
        assert_eq!(check(&[(0, message(0, 0)), (1, message(0, 1))]).violation_count, 1);
        let merged = check(&[(0, message(0, 0))]).merge(check(&[(1, message(0, 1))]));
        assert_eq!((merged.violation_count, merged.messages), (1, 2));
        let merged = check(&[(0, message(0, 0))]).merge(check(&[(1, message(1, 0))]));
        assert_eq!((merged.violation_count, merged.messages), (0, 2));
    }
}
