//! The producer's side of the ring.

use crate::format::{Args, PayloadWriter};
use crate::primitives::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use super::{
    Ring, Words,
    order::{Site, fence_at, ord},
    record::{HEADER_WORDS, Header, record_number, record_words, words_for},
};

impl Ring<'_> {
    /// There is room for a payload of `bytes` as far as the producer knows: no look at the worker's line.
    ///
    /// In every mode a record is written only in front of `room_end` = `floor + capacity`: the ring's one invariant.
    #[inline(always)]
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        let (producer, private) = (&self.control.producer, &self.control.private);
        producer.tail.load(Relaxed) + words_for(bytes) <= private.room_end.load(Relaxed)
            && producer.accepted.load(Relaxed) < private.record_end.load(Relaxed)
    }

    /// The same after a look at how far the worker is.
    pub(crate) fn has_room_fresh(&self, bytes: u64) -> bool {
        let private = &self.control.private;
        let head = self.control.consumer.head.load(ord(Site::ReadHead, Acquire));
        if head + self.words.capacity() > private.room_end.load(Relaxed) {
            let tail = self.control.producer.tail.load(Relaxed);
            let accepted = self.control.producer.accepted.load(Relaxed);
            // The record at `head` was not consumed, so its words are what this producer wrote.
            let record = if head == tail {
                accepted
            } else {
                record_number(self.words.at(head).load(Relaxed), accepted)
            };
            private.room_end.store(head + self.words.capacity(), Relaxed);
            private.record_end.store(record + self.capacity, Relaxed);
        }
        self.has_room(bytes)
    }

    /// Makes room for a payload of `bytes` (Overwrite): what the worker has copied is free, and if that is not enough
    /// the oldest records are given up. The record must fit an empty ring.
    pub(crate) fn make_room_overwriting(&self, bytes: u64) {
        let (private, producer) = (&self.control.private, &self.control.producer);
        let words = words_for(bytes);
        debug_assert!(words <= self.words.capacity());
        if self.has_room_fresh(bytes) {
            // No worker reads in front of `head`, so `oldest` need not tell it.
            return;
        }
        let room_needed = producer.tail.load(Relaxed) + words;
        let records_needed = producer.accepted.load(Relaxed) + 1;
        let mut room_end = private.room_end.load(Relaxed);
        let mut record_end = private.record_end.load(Relaxed);
        while room_end < room_needed || record_end < records_needed {
            // Everything from the floor on is as this producer wrote it: see `has_room`.
            let floor = room_end - self.words.capacity();
            room_end += record_words(self.words.at(floor).load(Relaxed));
            record_end += 1;
        }
        private.room_end.store(room_end, Relaxed);
        private.record_end.store(record_end, Relaxed);
        producer.oldest.store(room_end - self.words.capacity(), Relaxed);
        // The words are reused after `oldest` is seen: a worker that reads one of them sees `oldest` moved as well.
        fence_at(Site::OverwriteFence, Release);
    }

    /// Writes a record with a payload of `bytes`, for which there is room, and publishes it.
    #[inline(always)]
    pub(crate) fn publish(&self, bytes: u64, header: Header, args: &impl Args) {
        let producer = &self.control.producer;
        let tail = producer.tail.load(Relaxed);
        let end = tail + words_for(bytes);
        let number = producer.accepted.load(Relaxed);
        self.words.at(tail).store(header.word0(number), Relaxed);
        self.words.at(tail + 1).store(header.word1(), Relaxed);
        let mut writer = WordWriter { words: self.words, position: tail + HEADER_WORDS, held: 0, bits: 0 };
        args.encode(&mut writer);
        writer.finish();
        debug_assert_eq!(writer.position, end, "payload differs from its announced size");
        producer.tail.store(end, ord(Site::PublishTail, Release));
        producer.accepted.store(number + 1, ord(Site::PublishAccepted, Release));
    }
}

/// Packs bytes into whole words and stores each word once.
#[derive(Debug)]
pub(crate) struct WordWriter<'a> {
    words: Words<'a>,
    position: u64,
    held: u64,
    bits: u32,
}

impl WordWriter<'_> {
    #[inline(always)]
    fn store(&mut self, word: u64) {
        let slot: &AtomicU64 = self.words.at(self.position);
        slot.store(word, Relaxed);
        self.position += 1;
    }

    #[inline(always)]
    fn finish(&mut self) {
        if self.bits > 0 {
            self.store(self.held);
        }
    }

    /// Eight bytes at whatever offset the writer is.
    #[inline(always)]
    fn put_word(&mut self, word: u64) {
        self.store(self.held | word << self.bits);
        // Two shifts, since one by 64 is not defined.
        self.held = (word >> 1) >> (63 - self.bits);
    }
}

impl PayloadWriter for WordWriter<'_> {
    #[inline(always)]
    fn put(&mut self, value: u64, bytes: u32) {
        let bits = self.bits + bytes * 8;
        if bits < 64 {
            self.held |= value << self.bits;
            self.bits = bits;
        } else {
            self.put_word(value);
            self.bits = bits - 64;
            // What is beyond the value is zero, so `held` is right also when the value was shorter than a word.
        }
    }

    #[inline(always)]
    fn put_slice(&mut self, bytes: &[u8]) {
        let (whole, rest) = bytes.as_chunks::<8>();
        for chunk in whole {
            self.put_word(u64::from_le_bytes(*chunk));
        }
        if !rest.is_empty() {
            self.put(little_endian(rest), rest.len() as u32);
        }
    }
}

/// 1 to 7 bytes as a number, in at most two overlapping loads and without a call to `memcpy`.
#[inline(always)]
fn little_endian(b: &[u8]) -> u64 {
    let n = b.len();
    if n >= 4 {
        let low = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let high = u32::from_le_bytes([b[n - 4], b[n - 3], b[n - 2], b[n - 1]]);
        u64::from(low) | u64::from(high) << ((n - 4) * 8)
    } else {
        u64::from(b[0]) | u64::from(b[n / 2]) << (n / 2 * 8) | u64::from(b[n - 1]) << ((n - 1) * 8)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn short_slices_as_numbers() {
        for n in 1..=7 {
            let bytes: Vec<u8> = (1..=n).map(|i| 0x11 * i).collect();
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(&bytes);
            assert_eq!(little_endian(&bytes), u64::from_le_bytes(padded), "{n} bytes");
        }
    }
}
