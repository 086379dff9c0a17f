//! From the staging to the sink: one `writev` a batch, short writes and full sinks continued where they stopped.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::clock::Converter;
use crate::core::{Core, WorkerShared};
use crate::observer::Delivery;
use crate::sink::Output;
use crate::sys::clock::monotonic_ns;

use super::lanes::{LaneState, add};
use super::staging::{Segment, Staging};

/// A sink that failed is tried again after this long.
const RETRY_NS: u64 = 500_000_000;
/// Longest wait for a full sink before the worker looks whether the logger is closed.
const FULL_WAIT_MS: i32 = 50;

/// One worker's way to its sink.
#[derive(Debug)]
pub(crate) struct Pipe {
    core: Arc<Core>,
    worker: usize,
    output: Output,
    pub(crate) delivery: Delivery,
    retry_at_ns: u64,
}

impl Pipe {
    pub(crate) const fn new(core: Arc<Core>, worker: usize, output: Output, delivery: Delivery) -> Self {
        Self { core, worker, output, delivery, retry_at_ns: 0 }
    }

    fn shared(&self) -> &WorkerShared {
        &self.core.workers[self.worker]
    }

    /// True if the sink takes frames. Opens it if it is time to try.
    pub(crate) fn is_ready(&mut self) -> bool {
        if self.output.is_open() {
            return true;
        }
        let now = monotonic_ns();
        if now < self.retry_at_ns {
            return false;
        }
        self.retry_at_ns = now + RETRY_NS;
        let result = self.output.open();
        self.note_result(&result);
        result.is_ok()
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.output.is_open()
    }

    fn note_result<T>(&self, result: &io::Result<T>) {
        if let Err(error) = result {
            self.core.sink_error.set(error);
        }
        self.shared().sink_down.store(u32::from(result.is_err()), Relaxed);
    }

    /// Writes all whole batches, and the last one too if `partial`. False if the sink failed, or is full at the end of
    /// a closing logger's time; what it did not take stays in the staging.
    pub(crate) fn send(
        &mut self,
        staging: &mut Staging,
        lanes: &[LaneState],
        clock: &Converter,
        partial: bool,
    ) -> bool {
        while let Some(batch) = staging.next_batch(partial) {
            let length = batch.len();
            let mut written = 0;
            while written < length {
                add(&self.shared().writev_calls, 1);
                match self.output.write(&batch[written..]) {
                    Ok(n) => written += n,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        add(&self.shared().sink_full, 1);
                        // It may take long: producers that wait may use what room there is.
                        for lane in lanes {
                            lane.wake_producer(true);
                        }
                        if self.core.is_past_close() {
                            self.settle(staging, written, clock);
                            return false;
                        }
                        self.output.wait(FULL_WAIT_MS);
                    }
                    Err(error) => {
                        self.note_result::<()>(&Err(error));
                        self.fail(staging, written, clock);
                        return false;
                    }
                }
            }
            self.book(staging, length, clock);
        }
        true
    }

    /// The sink failed or is given up after `written` bytes of the first batch.
    fn settle(&mut self, staging: &mut Staging, written: usize, clock: &Converter) -> usize {
        let whole = staging.whole_frames(written);
        self.book(staging, whole, clock);
        written - whole
    }

    fn fail(&mut self, staging: &mut Staging, written: usize, clock: &Converter) {
        let torn = self.settle(staging, written, clock);
        self.retry_at_ns = monotonic_ns() + RETRY_NS;
        let can_repeat = self.output.fail();
        if torn > 0 && !can_repeat {
            // Its beginning went out on a stream that is gone.
            self.discard(staging, staging.first_frame());
        }
    }

    /// `bytes` of whole frames were taken by the sink.
    fn book(&mut self, staging: &mut Staging, bytes: usize, clock: &Converter) {
        self.output.settle(bytes);
        add(&self.shared().bytes_sent, bytes as u64);
        let buffers = &self.core.buffers;
        let now = if staging.is_sampling() { clock.ns(self.core.clock().ticks()) } else { 0 };
        staging.settle(
            bytes,
            |Segment { buffer, messages, .. }| {
                if let Some(buffer) = buffer {
                    add(&buffers[buffer].counters.sent, u64::from(messages));
                }
            },
            |ticks| self.delivery.delivered(now.saturating_sub(clock.ns(ticks))),
        );
    }

    fn discard(&self, staging: &mut Staging, bytes: usize) {
        let buffers = &self.core.buffers;
        let lost = |Segment { buffer, messages, .. }| {
            if let Some(buffer) = buffer {
                add(&buffers[buffer].counters.sink_lost, u64::from(messages));
            }
        };
        staging.settle(bytes, lost, |_| {});
    }

    /// The worker ends: what the sink did not take is lost.
    pub(crate) fn abandon(&self, staging: &mut Staging) {
        while let Some(batch) = staging.next_batch(true) {
            let length = batch.len();
            self.discard(staging, length);
        }
    }
}
