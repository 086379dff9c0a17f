//! Frames that wait for the sink: one after the other in one buffer, so that a batch is one iovec.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::clock::Converter;
use crate::context::ContextInfo;
use crate::core::Core;
use crate::format::header::{STORAGE_BYTES, StorageHeader, Template, USER_BYTES, USER_LOG};
use crate::format::{Id4, Level};
use crate::ring::{Records, SLACK_WORDS};
use crate::sink::Framing;
use crate::sys::clock::wall_clock;

use super::frames::Frames;

/// Most bytes of a frame for each word of its record: an empty record has two words and makes 42 bytes.
const BYTES_PER_WORD: usize = 21;
/// Sent bytes at the front that are worth a move of what follows.
const COMPACT_AT: usize = 256 * 1024;
/// Context id of loss notes.
pub(crate) const NOTE_CONTEXT: &str = "LOSS";

/// Consecutive messages of one buffer within one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Index of the buffer; `None` for loss notes.
    pub(crate) buffer: Option<usize>,
    pub(crate) messages: u32,
    /// End of its bytes, counted from the first byte ever staged.
    end: u64,
    /// The batch it belongs to.
    batch: u64,
}

/// A message whose delivery is timed.
#[derive(Debug, Clone, Copy)]
struct Sample {
    end: u64,
    ticks: u64,
}

/// One context as a worker sees it.
#[derive(Debug)]
struct WorkerContext {
    template: Template,
    info: Arc<ContextInfo>,
    /// Counter values of the run that is being written, if no other worker has taken them.
    run_start: u32,
    next: u32,
    is_running: bool,
}

/// Frames in wire format, and what is to be settled when the sink has taken them.
#[derive(Debug)]
pub(crate) struct Staging {
    framing: Framing,
    batch_size: u32,
    /// Every how many messages one is timed; 0 for none.
    sampling: u32,
    until_sample: u32,
    bytes: Vec<u8>,
    /// Unsent frames are `bytes[start..end]`.
    start: usize,
    end: usize,
    /// Bytes staged before `bytes[0]`.
    base: u64,
    segments: VecDeque<Segment>,
    samples: VecDeque<Sample>,
    /// Messages in the batch that is being filled, and its number.
    in_batch: u32,
    batch: u64,
    contexts: Vec<Option<WorkerContext>>,
    /// Contexts with a run under way.
    running: Vec<u16>,
    /// Where the frames of the run begin.
    chunk_start: usize,
    note_template: Template,
    note_counter: u8,
    storage: [u8; STORAGE_BYTES],
}

/// What records become messages with.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) core: &'a Core,
    pub(crate) buffer: usize,
    pub(crate) clock: &'a mut Converter,
    /// Ticks not long ago.
    pub(crate) now: u64,
    /// DLT time of the lane's last message: time does not run backwards within a lane.
    pub(crate) last_time: &'a mut u32,
}

impl Staging {
    pub(crate) fn new(core: &Core, framing: Framing, sampling: u32) -> Self {
        let note_context = Id4::try_new(NOTE_CONTEXT).unwrap_or_default();
        Self {
            framing,
            batch_size: core.config.batch_size as u32,
            sampling,
            until_sample: sampling,
            bytes: Vec::new(),
            start: 0,
            end: 0,
            base: 0,
            segments: VecDeque::new(),
            samples: VecDeque::new(),
            in_batch: 0,
            batch: 0,
            contexts: Vec::new(),
            running: Vec::new(),
            chunk_start: 0,
            note_template: Template::new(core.ecu, std::process::id(), core.application, note_context),
            note_counter: 0,
            storage: [0; STORAGE_BYTES],
        }
    }

    /// Makes room for the frames of `words` words of records.
    fn begin_chunk(&mut self, core: &Core, words: usize) {
        if self.framing == Framing::Storage {
            let (seconds, microseconds) = wall_clock();
            let header = StorageHeader { seconds, microseconds: microseconds.cast_signed(), ecu: core.ecu };
            self.storage = header.to_bytes();
        }
        if self.start == self.end || self.start > COMPACT_AT {
            self.bytes.copy_within(self.start..self.end, 0);
            self.base += self.start as u64;
            self.end -= self.start;
            self.start = 0;
        }
        let needed = self.end + words * BYTES_PER_WORD + SLACK_WORDS * 8;
        if self.bytes.len() < needed {
            self.bytes.resize(needed.next_power_of_two(), 0);
        }
        self.chunk_start = self.end;
    }

    /// Appends the frames of a chunk of records. Returns how many were missing in front of them.
    pub(crate) fn push(&mut self, origin: Origin<'_>, words: usize, records: &mut Records<'_>) -> u64 {
        self.begin_chunk(origin.core, words);
        let lost = match self.framing {
            Framing::Plain => self.push_framed(origin, [], records),
            Framing::Storage => self.push_framed(origin, self.storage, records),
            Framing::User => self.push_framed(origin, USER_LOG, records),
        };
        self.end_chunk();
        lost
    }

    fn push_framed<const N: usize>(
        &mut self,
        origin: Origin<'_>,
        prefix: [u8; N],
        records: &mut Records<'_>,
    ) -> u64 {
        let Origin { core, buffer, clock, now, last_time } = origin;
        let mut lost = 0;
        let mut index = u16::MAX;
        let mut template = self.note_template;
        let mut counter = 0;
        while let Some((missing, first)) = records.peek() {
            lost += missing;
            records.skip_missing(missing);
            if first.header.context != index {
                self.leave_context(index, counter);
                index = first.header.context;
                (template, counter) = self.enter_context(core, index);
            }
            let (time, window) = clock.dlt_time_of_record(first.word1, now);
            if time.wrapping_sub(*last_time).cast_signed() > 0 {
                *last_time = time;
            }
            let most = self.begin_turn();
            let frames = Frames {
                prefix,
                template,
                time: *last_time,
                number_to_counter: counter.wrapping_sub(first.number),
            };
            let (messages, ticks) = frames.append(&mut self.bytes, &mut self.end, records, most, window);
            debug_assert!(messages > 0, "a record that belongs to no run");
            counter = counter.wrapping_add(messages);
            self.end_turn(buffer, messages, ticks);
        }
        self.leave_context(index, counter);
        lost
    }

    /// Opens a batch if the last one is full. Returns the number of messages after which a batch is full or one is to be
    /// timed.
    fn begin_turn(&mut self) -> u32 {
        if self.in_batch == self.batch_size {
            self.in_batch = 0;
            self.batch += 1;
        }
        (self.batch_size - self.in_batch).min(if self.sampling == 0 { u32::MAX } else { self.until_sample })
    }

    /// Books messages of which the last one has these ticks, and times that one if it is its turn.
    fn end_turn(&mut self, buffer: usize, messages: u32, ticks: u64) {
        self.in_batch += messages;
        self.book(Some(buffer), messages);
        if self.sampling != 0 {
            self.until_sample -= messages;
            if self.until_sample == 0 {
                self.until_sample = self.sampling;
                self.samples.push_back(Sample { end: self.base + self.end as u64, ticks });
            }
        }
    }

    /// The template of a context and its next message counter, of which the low byte goes out.
    fn enter_context(&mut self, core: &Core, index: u16) -> (Template, u32) {
        let at = usize::from(index);
        if self.contexts.get(at).is_none_or(Option::is_none) {
            self.learn(core, index);
        }
        let Some(Some(context)) = self.contexts.get_mut(at) else { return (self.note_template, 0) };
        if !context.is_running {
            context.is_running = true;
            context.run_start = context.info.counter.load(Relaxed);
            context.next = context.run_start;
            self.running.push(index);
        }
        (context.template, context.next)
    }

    fn leave_context(&mut self, index: u16, next: u32) {
        if let Some(Some(context)) = self.contexts.get_mut(usize::from(index)) {
            context.next = next;
        }
    }

    /// Books the newest messages in the batch that is being filled.
    fn book(&mut self, buffer: Option<usize>, messages: u32) {
        let end = self.base + self.end as u64;
        match self.segments.back_mut() {
            Some(last) if last.batch == self.batch && last.buffer == buffer => {
                last.messages += messages;
                last.end = end;
            }
            _ => self.segments.push_back(Segment { buffer, messages, end, batch: self.batch }),
        }
    }

    /// Takes the runs of counter values that the chunk's frames were given. If another worker took some of a run
    /// meanwhile, the frames are given what is theirs.
    pub(crate) fn end_chunk(&mut self) {
        while let Some(context) = self.running.pop() {
            let Some(Some(known)) = self.contexts.get_mut(usize::from(context)) else { continue };
            known.is_running = false;
            let start = known.info.counter.fetch_add(known.next.wrapping_sub(known.run_start), Relaxed);
            let shift = start.wrapping_sub(known.run_start) as u8;
            if shift != 0 {
                let ctid = known.info.id;
                self.shift_counters(ctid, shift);
            }
        }
    }

    #[cold]
    fn shift_counters(&mut self, ctid: Id4, shift: u8) {
        let prefix = self.prefix_bytes();
        let mut at = self.chunk_start;
        while at < self.end {
            let frame = &mut self.bytes[at + prefix..self.end];
            if frame[22..26] == ctid.to_bytes() {
                frame[1] = frame[1].wrapping_add(shift);
            }
            at += prefix + frame_bytes(frame);
        }
    }

    /// Appends a loss note: a message of its own, no part of what was attempted.
    pub(crate) fn push_note(&mut self, core: &Core, time: u32, text: &str) {
        let mut payload = Vec::new();
        crate::format::Arg::encode(&text, &mut payload);
        self.begin_chunk(core, payload.len().div_ceil(8) + 2);
        let headers = self.note_template.log(Level::Warn, self.note_counter, time, 1, payload.len());
        self.note_counter = self.note_counter.wrapping_add(1);
        if self.in_batch == self.batch_size {
            self.in_batch = 0;
            self.batch += 1;
        }
        self.in_batch += 1;
        let prefix: &[u8] = match self.framing {
            Framing::Plain => &[],
            Framing::Storage => &self.storage,
            Framing::User => &USER_LOG,
        };
        for part in [prefix, &headers, &payload] {
            self.bytes[self.end..][..part.len()].copy_from_slice(part);
            self.end += part.len();
        }
        self.book(None, 1);
    }

    #[cold]
    fn learn(&mut self, core: &Core, index: u16) {
        let Some(info) = core.context_by_index(index) else { return };
        let template = Template::new(core.ecu, std::process::id(), core.application, info.id);
        let at = usize::from(index);
        if self.contexts.len() <= at {
            self.contexts.resize_with(at + 1, || None);
        }
        self.contexts[at] = Some(WorkerContext {
            template,
            info: Arc::clone(info),
            run_start: 0,
            next: 0,
            is_running: false,
        });
    }

    const fn prefix_bytes(&self) -> usize {
        match self.framing {
            Framing::Plain => 0,
            Framing::Storage => STORAGE_BYTES,
            Framing::User => USER_BYTES,
        }
    }

    pub(crate) const fn is_sampling(&self) -> bool {
        self.sampling != 0
    }

    /// Length of the first frame.
    pub(crate) fn first_frame(&self) -> usize {
        let prefix = self.prefix_bytes();
        prefix + frame_bytes(&self.bytes[self.start + prefix..])
    }

    /// Bytes of the next batch; `None` if there is none that is complete and `partial` is false, or none at all.
    pub(crate) fn next_batch(&self, partial: bool) -> Option<&[u8]> {
        let first = self.segments.front()?;
        let batch = first.batch;
        if batch == self.batch && !partial && self.in_batch < self.batch_size {
            return None;
        }
        let last = self.segments.iter().take_while(|s| s.batch == batch).last()?;
        Some(&self.bytes[self.start..(last.end - self.base) as usize])
    }

    /// The first `bytes` staged, whole frames and at most one batch, are settled: hands over the segments, the last
    /// one cut if need be, and the ticks of the samples.
    pub(crate) fn settle(
        &mut self,
        bytes: usize,
        mut segment: impl FnMut(Segment),
        mut sample: impl FnMut(u64),
    ) {
        let taken = self.base + (self.start + bytes) as u64;
        let mut from = self.base + self.start as u64;
        while let Some(front) = self.segments.front().copied() {
            if front.end > taken {
                let messages = self.frames_between(from, taken);
                if messages > 0 {
                    segment(Segment { messages, ..front });
                    self.segments[0].messages = front.messages - messages;
                }
                break;
            }
            segment(front);
            from = front.end;
            self.segments.pop_front();
        }
        while self.samples.front().is_some_and(|s| s.end <= taken) {
            self.samples.pop_front().into_iter().for_each(|s| sample(s.ticks));
        }
        self.start += bytes;
        if self.start == self.end {
            self.in_batch = self.batch_size;
        }
    }

    /// Length of the whole frames at the front that end within the first `bytes`.
    pub(crate) fn whole_frames(&self, bytes: usize) -> usize {
        let prefix = self.prefix_bytes();
        let mut whole = 0;
        loop {
            let at = self.start + whole;
            let next = whole + prefix + frame_bytes(&self.bytes[at + prefix..]);
            if next > bytes {
                return whole;
            }
            whole = next;
        }
    }

    fn frames_between(&self, from: u64, to: u64) -> u32 {
        let prefix = self.prefix_bytes();
        let (mut at, end) = ((from - self.base) as usize, (to - self.base) as usize);
        let mut count = 0;
        while at < end {
            at += prefix + frame_bytes(&self.bytes[at + prefix..]);
            count += 1;
        }
        count
    }
}

/// LEN of the frame at the start of `frame`.
fn frame_bytes(frame: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([frame[2], frame[3]]))
}
