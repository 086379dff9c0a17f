//! The worker's side of the ring: copy, validate, and only then interpret.

use std::ops::Range;

use crate::primitives::Ordering::{Acquire, Relaxed, Release};

use super::{
    Ring,
    order::{Site, fence_at, ord},
    record::{HEADER_WORDS, Header, record_number, record_words},
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
        let Range { start: at, end } = *words;
        Records { buffer, at, end, accepted: *accepted, next_record: cursor.next_record }
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
        if records.at == 0 {
            return Some(record_words(records.buffer[0]) as usize);
        }
        cursor.position += records.at as u64;
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

/// Validated records in the worker's own memory.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    buffer: &'a [u64],
    at: usize,
    end: usize,
    accepted: u64,
    next_record: u64,
}

/// One record, and how many are missing in front of it.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) lost: u64,
    pub(crate) header: Header,
    pub(crate) payload: &'a [u64],
    /// The first words of the payload, and behind its end whatever follows: a copy of fixed length needs no loop.
    pub(crate) first: &'a [u64; SLACK_WORDS],
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    /// `None` at the end, which is also a record that the copy has cut off.
    #[inline(always)]
    fn next(&mut self) -> Option<Record<'a>> {
        let start = self.at + HEADER_WORDS as usize;
        if start > self.end {
            return None;
        }
        let word0 = self.buffer[self.at];
        let end = self.at + record_words(word0) as usize;
        if end > self.end {
            return None;
        }
        let payload = &self.buffer[start..end];
        let first = self.buffer[start..].first_chunk()?;
        let header = Header::from_words(word0, self.buffer[self.at + 1]);
        self.at = end;
        let number = record_number(word0, self.accepted);
        let lost = number - self.next_record;
        self.next_record = number + 1;
        Some(Record { lost, header, payload, first })
    }
}
