//! The worker's side of the ring: copy, validate, and only then interpret.

use std::ops::Range;

use crate::primitives::Ordering::{Acquire, Relaxed, Release};

use super::{
    Ring,
    order::{Site, fence_at, ord},
    record::{HEADER_WORDS, Header, ONE_RECORD, context_and_number, record_number, record_words},
};

/// Record boundaries that a cursor remembers, a sixteenth of a ring apart: two laps.
const BOUNDARIES: usize = 32;

/// Where the worker is in a lane. Private to the worker.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    /// Start of the next record to copy.
    pub(crate) position: u64,
    /// Number of the next record if none is lost.
    pub(crate) next_record: u64,
    /// Earlier values of `tail`, hence starts of records, ascending from `newest + 1` round to `newest`.
    boundaries: [u64; BOUNDARIES],
    newest: usize,
}

/// What [`Ring::copy_out`] brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Copied {
    /// The lane is empty; these many records were overwritten since the last one that was seen.
    Nothing { lost: u64 },
    /// The producer overwrote all of it in the meantime.
    Overtaken,
    /// Some of it is valid.
    Words(Valid),
}

/// Valid words of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Valid {
    /// From the start of a record; the last record may be cut off.
    pub(crate) words: Range<usize>,
    /// About the number of the newest record: what a record's number is relative to.
    pub(crate) accepted: u64,
    /// The producer has overwritten what was in front of them in the meantime.
    pub(crate) overtaken: bool,
}

impl Cursor {
    /// A cursor that starts where the ring's worker left off.
    pub(crate) fn at_head(ring: &Ring<'_>) -> Self {
        let head = ring.control.consumer.head.load(Relaxed);
        let next_record = ring.control.consumer.settled.load(Relaxed);
        Self { position: head, next_record, boundaries: [head; BOUNDARIES], newest: 0 }
    }

    fn remember(&mut self, tail: u64, capacity: u64) {
        if tail - self.boundaries[self.newest] >= capacity / 16 {
            self.newest = (self.newest + 1) % BOUNDARIES;
            self.boundaries[self.newest] = tail;
        }
    }

    /// First known boundary at least half a ring past `oldest`; `oldest` itself if none is known. Starting at
    /// `oldest` under a producer at full speed would copy just where it overwrites, and lose nearly every copy.
    fn resume_after(&self, oldest: u64, capacity: u64) -> u64 {
        let ascending = (1..=BOUNDARIES).map(|i| self.boundaries[(self.newest + i) % BOUNDARIES]);
        ascending.into_iter().find(|&b| b >= oldest + capacity / 2).unwrap_or(oldest)
    }
}

impl Ring<'_> {
    /// Copies up to `buffer.len()` words of whole and partial records from the cursor on.
    pub(crate) fn copy_out(&self, cursor: &mut Cursor, buffer: &mut [u64]) -> Copied {
        let producer = &self.control.producer;
        // All records before `accepted` lie before the `tail` that is read next.
        let accepted = producer.accepted.load(ord(Site::ReadAccepted, Acquire));
        // `oldest` before `tail`: a lap in between would put `oldest` past `tail`.
        let oldest = producer.oldest.load(Relaxed);
        cursor.position = cursor.position.max(oldest);
        let tail = producer.tail.load(ord(Site::ReadTail, Acquire));
        if tail <= cursor.position {
            let lost = accepted.saturating_sub(cursor.next_record);
            cursor.next_record += lost;
            if lost > 0 {
                // The records up to here were given up, which a producer in another mode must know.
                self.control.consumer.head.store(cursor.position, ord(Site::PublishHead, Release));
            }
            return Copied::Nothing { lost };
        }
        cursor.remember(tail, self.words.capacity());
        let start = cursor.position;
        let count = ((tail - start) as usize).min(buffer.len());
        self.words.copy_to(start, &mut buffer[..count]);
        let accepted = producer.accepted.load(Relaxed);
        // If one of the words was already reused, `oldest` is seen moved past it.
        fence_at(Site::ValidateFence, Acquire);
        let oldest = producer.oldest.load(Relaxed);
        if oldest <= start {
            return Copied::Words(Valid { words: 0..count, accepted, overtaken: false });
        }
        let stale = (oldest - start) as usize;
        if stale >= count {
            cursor.position = cursor.resume_after(oldest, self.words.capacity());
            return Copied::Overtaken;
        }
        Copied::Words(Valid { words: stale..count, accepted, overtaken: true })
    }

    /// The whole records of what [`Ring::copy_out`] brought into `buffer`, which is at least [`SLACK_WORDS`] longer. Give them back to [`Ring::consumed`].
    pub(crate) fn records<'a>(cursor: &Cursor, buffer: &'a [u64], copied: &Valid) -> Records<'a> {
        let Valid { words, accepted, .. } = copied;
        debug_assert!(buffer.len() >= words.end + SLACK_WORDS);
        let readable = words.end + SLACK_WORDS;
        Records {
            buffer,
            rest: &buffer[words.start..readable],
            readable,
            accepted: *accepted,
            next_record: cursor.next_record,
        }
    }

    /// Advances the cursor behind the records that were taken and publishes `head`.
    ///
    /// Returns the words of the first record if the buffer was too small even for that one.
    pub(crate) fn consumed(
        &self,
        cursor: &mut Cursor,
        records: &Records<'_>,
        copied: &Valid,
    ) -> Option<usize> {
        let taken = records.readable - records.rest.len();
        if taken == 0 {
            return Some(record_words(records.buffer[0]) as usize);
        }
        cursor.position += taken as u64;
        cursor.next_record = records.next_record;
        if copied.overtaken {
            let oldest = self.control.producer.oldest.load(Relaxed);
            cursor.position = cursor.position.max(cursor.resume_after(oldest, self.words.capacity()));
        }
        self.control.consumer.head.store(cursor.position, ord(Site::PublishHead, Release));
        None
    }
}

/// Words behind a copy that may be read, though they mean nothing.
pub(crate) const SLACK_WORDS: usize = 4;
/// Words of a record that are read without regard to its length.
const READ_AT_ONCE: usize = HEADER_WORDS as usize + SLACK_WORDS;

/// Validated records in the worker's own memory.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    buffer: &'a [u64],
    /// What has not been taken, and [`SLACK_WORDS`].
    rest: &'a [u64],
    /// Words of `buffer` up to the end of `rest`.
    readable: usize,
    accepted: u64,
    next_record: u64,
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) header: Header,
    /// The second header word: ticks, and eight bits that are less than a tick.
    pub(crate) word1: u64,
    word0: u64,
    /// Low half of its number.
    pub(crate) number: u32,
    pub(crate) payload: &'a [u64],
    /// The first words of the payload, and behind its end whatever follows: a copy of fixed length needs no loop.
    pub(crate) first: &'a [u64; SLACK_WORDS],
}

impl<'a> Records<'a> {
    /// The next record and how many are missing in front of it. `None` at the end, which is also a record that the copy
    /// has cut off.
    pub(crate) fn peek(&self) -> Option<(u64, Record<'a>)> {
        let record = first_of(self.rest)?;
        Some((record_number(record.word0, self.accepted) - self.next_record, record))
    }

    /// The records in front of the next one are missing.
    pub(crate) fn skip_missing(&mut self, lost: u64) {
        self.next_record += lost;
    }

    /// Takes the next records as long as their numbers follow each other, their context is that of the first, they are
    /// at most `most`, and `take` takes them. Returns how many it took.
    #[inline(always)]
    pub(crate) fn run(&mut self, most: u32, mut take: impl FnMut(&Record<'a>) -> bool) -> u32 {
        let mut rest = self.rest;
        let context = rest.first().map_or(0, |word0| context_and_number(*word0) % ONE_RECORD);
        let start = context + u64::from(self.next_record as u32) * ONE_RECORD;
        let end = start + u64::from(most) * ONE_RECORD;
        // Where the number wraps at 32 bits this finds a difference, and a run ends earlier than it might.
        let mut expected = start;
        while expected != end {
            let Some(record) = first_of(rest) else { break };
            if context_and_number(record.word0) != expected || !take(&record) {
                break;
            }
            rest = &rest[HEADER_WORDS as usize + record.payload.len()..];
            expected += ONE_RECORD;
        }
        let taken = (expected - start) / ONE_RECORD;
        self.rest = rest;
        self.next_record += taken;
        taken as u32
    }
}

/// The record at the start of `words`, if it and its slack are whole.
#[inline(always)]
fn first_of(words: &[u64]) -> Option<Record<'_>> {
    // Header and first words of the payload are there if the header is: behind it is the slack.
    let &[word0, word1, ref first @ ..] = words.first_chunk::<READ_AT_ONCE>()?;
    let length = record_words(word0) as usize;
    if length + SLACK_WORDS > words.len() {
        return None;
    }
    Some(Record {
        header: Header::from_words(word0, word1),
        word1,
        word0,
        number: (word0 >> 32) as u32,
        payload: &words[HEADER_WORDS as usize..length],
        first,
    })
}

#[cfg(test)]
impl<'a> Iterator for Records<'a> {
    /// How many are missing in front of the record, and it.
    type Item = (u64, Record<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (lost, _) = self.peek()?;
        self.skip_missing(lost);
        let mut taken = None;
        self.run(1, |record| {
            taken = Some(*record);
            true
        });
        taken.map(|record| (lost, record))
    }
}
