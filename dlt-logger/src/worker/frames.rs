//! The loop that makes frames of records.

use crate::clock::Window;
use crate::format::header::{Fields, TEMPLATE_BYTES, Template};
use crate::ring::{Record, Records, SLACK_WORDS};

/// What frames have in common: those of one context, at one DLT time.
#[derive(Debug)]
pub(crate) struct Frames<const N: usize> {
    /// What stands in front of each.
    pub(crate) prefix: [u8; N],
    pub(crate) template: Template,
    pub(crate) time: u32,
    /// What to add to a record's number for its message counter.
    pub(crate) number_to_counter: u32,
}

impl<const N: usize> Frames<N> {
    /// Appends frames of at most `most` records, as long as they belong together, to `bytes` at `end`, where there is
    /// room for them. Returns their number and the ticks of the last one.
    #[inline(never)]
    pub(crate) fn append(
        &self,
        bytes: &mut [u8],
        end: &mut usize,
        records: &mut Records<'_>,
        most: u32,
        window: Window,
    ) -> (u32, u64) {
        let template = self.template.at_time(self.time);
        let all = bytes.len();
        let mut room = bytes.get_mut(*end..).unwrap_or_default();
        let mut ticks = 0;
        let messages = records.run(most, |record| {
            if !window.holds(record.word1) {
                return false;
            }
            let fields = Fields {
                mcnt: record.number.wrapping_add(self.number_to_counter) as u8,
                payload_bytes: usize::from(record.header.payload_bytes),
                timestamp: 0,
                msin: record.header.level << 4 | 1,
                noar: record.header.arguments,
            };
            room = frame(std::mem::take(&mut room), &self.prefix, &template, &fields, record);
            ticks = record.header.ticks;
            true
        });
        *end = all - room.len();
        (messages, ticks)
    }
}

/// Writes one frame at the start of `room`; returns the room behind it. What lies there is garbage.
#[inline(always)]
fn frame<'a, const N: usize>(
    room: &'a mut [u8],
    prefix: &[u8; N],
    template: &Template,
    fields: &Fields,
    record: &Record<'_>,
) -> &'a mut [u8] {
    let headers = N + TEMPLATE_BYTES;
    let touched = &mut room[..headers + fields.payload_bytes + SLACK_WORDS * 8];
    touched[..N].copy_from_slice(prefix);
    if let Some(out) = touched[N..].first_chunk_mut() {
        template.write(fields, out);
    }
    let (first, rest) = touched[headers..].as_chunks_mut::<8>().0.split_at_mut(SLACK_WORDS);
    for (out, word) in first.iter_mut().zip(*record.first) {
        *out = word.to_le_bytes();
    }
    if record.payload.len() > SLACK_WORDS {
        for (out, word) in rest.iter_mut().zip(&record.payload[SLACK_WORDS..]) {
            *out = word.to_le_bytes();
        }
    }
    &mut room[headers + fields.payload_bytes..]
}
