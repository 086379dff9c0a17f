//! A record: two header words, then the message's arguments as DLT verbose payload.
//!
//! ```text
//! word 0   bits  0..16  payload bytes        bits 16..19  level
//!          bits 20..32  context index        bits 32..64  record number, low half
//! word 1   bits  0..8   number of arguments  bits  8..64  clock ticks, low 56 bits
//! word 2.. payload, little endian, zero padded to a whole word
//! ```
//! The record number lets the worker count exactly what it never saw, and tells both sides which record a position
//! holds. Its upper half is that of the newest record: a lane holds fewer than 2³¹ records.

/// Words in front of the payload.
pub(crate) const HEADER_WORDS: u64 = 2;
/// Contexts that fit the record's context field.
pub(crate) const MAX_CONTEXTS: usize = 1 << 12;
/// Largest payload: DLT's LEN is 16 bits and counts 26 bytes of headers.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 65_535 - 26;
/// Largest record.
pub(crate) const MAX_RECORD_WORDS: usize = HEADER_WORDS as usize + MAX_PAYLOAD_BYTES.div_ceil(8);

/// What the header words say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) payload_bytes: u16,
    pub(crate) level: u8,
    pub(crate) context: u16,
    pub(crate) arguments: u8,
    /// Clock ticks; only the low 56 bits are kept.
    pub(crate) ticks: u64,
}

impl Header {
    #[inline(always)]
    pub(crate) const fn word0(&self, number: u64) -> u64 {
        self.payload_bytes as u64 | (self.level as u64) << 16 | (self.context as u64) << 20 | number << 32
    }

    #[inline(always)]
    pub(crate) const fn word1(&self) -> u64 {
        self.arguments as u64 | self.ticks << 8
    }

    #[inline(always)]
    pub(crate) const fn from_words(word0: u64, word1: u64) -> Self {
        Self {
            payload_bytes: word0 as u16,
            level: (word0 >> 16) as u8 & 7,
            context: (word0 >> 20) as u16 & 0xfff,
            arguments: word1 as u8,
            ticks: word1 >> 8,
        }
    }
}

/// Context and record number of the record whose first word is `word0`, as one number.
#[inline(always)]
pub(crate) const fn context_and_number(word0: u64) -> u64 {
    word0 >> 20
}

/// What a record's [`context_and_number`] differs by from that of the next one of the same context.
pub(crate) const ONE_RECORD: u64 = MAX_CONTEXTS as u64;

/// Length in words of the record whose first word is `word0`.
#[inline(always)]
pub(crate) const fn record_words(word0: u64) -> u64 {
    words_for(word0 & 0xffff)
}

/// Length in words of a record with a payload of `bytes`.
#[inline(always)]
pub(crate) const fn words_for(bytes: u64) -> u64 {
    // One sum and one shift; sizes are far from wrapping.
    (HEADER_WORDS * 8 + 7 + bytes) / 8
}

/// Number of the record whose first word is `word0`: the one nearest to `accepted` with that lower half.
#[inline(always)]
pub(crate) const fn record_number(word0: u64, accepted: u64) -> u64 {
    let ahead = ((word0 >> 32) as u32).wrapping_sub(accepted as u32).cast_signed();
    accepted.wrapping_add_signed(ahead as i64)
}

/// Ticks of a record, given a later or slightly earlier reading of the same clock: restores the upper 8 bits.
#[inline(always)]
pub(crate) const fn full_ticks(ticks56: u64, now: u64) -> u64 {
    let behind = (now.wrapping_sub(ticks56) << 8).cast_signed() >> 8;
    now.wrapping_sub(behind.cast_unsigned())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn header_round_trip() {
        let h =
            Header { payload_bytes: 65_509, level: 6, context: 4_095, arguments: 255, ticks: (1 << 56) - 1 };
        assert_eq!(Header::from_words(h.word0(u64::MAX), h.word1()), h);
        assert_eq!(record_words(h.word0(7)), 2 + 8_189);
    }

    #[test]
    fn number_is_restored_across_the_32_bit_wrap() {
        let h = Header { payload_bytes: 0, level: 1, context: 0, arguments: 0, ticks: 0 };
        for accepted in [5u64, (1 << 32) - 1, 1 << 32, (1 << 32) + 3, 7 << 32] {
            for back in 1..=5 {
                assert_eq!(record_number(h.word0(accepted - back), accepted), accepted - back);
            }
            assert_eq!(record_number(h.word0(accepted + 1), accepted), accepted + 1);
        }
    }

    #[test]
    fn ticks_are_restored_in_both_directions() {
        for now in [1000u64, 1 << 56, (3 << 56) + 5, u64::MAX - 9] {
            for t in [now, now.wrapping_sub(1000), now.wrapping_add(7), now.wrapping_sub(1 << 50)] {
                assert_eq!(full_ticks(t & ((1 << 56) - 1), now), t);
            }
        }
    }
}
