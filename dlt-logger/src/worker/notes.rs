//! Losses are said in the log itself: one message of context `LOSS` when a worker finds some, at most one each
//! [`INTERVAL_NS`], and a last one when it ends.

use std::fmt::{self, Display, Formatter, Write as _};
use std::sync::atomic::Ordering::Relaxed;

use crate::clock::Converter;
use crate::core::Core;
use crate::observer::Loss;

use super::lanes::{LaneState, add};
use super::staging::Staging;

/// Reading the producers' counters costs them a cache miss a lane, so it is done this rarely.
pub(crate) const INTERVAL_NS: u64 = 500_000_000;

/// What one worker has said about losses.
#[derive(Debug)]
pub(crate) struct Notes {
    worker: usize,
    last_ns: u64,
    overwritten: u64,
    no_lane: u64,
}

impl Notes {
    pub(crate) const fn new(worker: usize, now_ns: u64) -> Self {
        Self { worker, last_ns: now_ns, overwritten: 0, no_lane: 0 }
    }

    /// Stages a note about what was lost since the last one. `None` if it is too early or nothing was lost.
    pub(crate) fn stage(
        &mut self,
        core: &Core,
        clock: &mut Converter,
        lanes: &mut [LaneState],
        staging: &mut Staging,
        is_last: bool,
    ) -> Option<Loss> {
        let ticks = core.clock().ticks();
        let now_ns = clock.ns(ticks);
        if !is_last && now_ns.saturating_sub(self.last_ns) < core.note_interval_ns.load(Relaxed) {
            return None;
        }
        let mut loss = Loss { between_ns: (self.last_ns, now_ns), ..Loss::default() };
        self.last_ns = now_ns;
        let (mut overwritten, mut no_lane) = (0, 0);
        for (index, buffer) in core.buffers.iter().enumerate() {
            if core.worker_of(index) == self.worker {
                overwritten += buffer.counters.overwritten.load(Relaxed);
                no_lane += buffer.no_lane.load(Relaxed);
            }
        }
        loss.overwritten = overwritten - std::mem::replace(&mut self.overwritten, overwritten);
        loss.dropped = no_lane - std::mem::replace(&mut self.no_lane, no_lane);
        for lane in lanes {
            let refused = lane.newly_refused();
            loss.dropped += refused.dropped;
            loss.timed_out += refused.timed_out;
        }
        if loss.total() == 0 {
            return None;
        }
        staging.push_note(core, clock.dlt_time(ticks), &text(&loss));
        add(&core.workers[self.worker].notes, 1);
        Some(loss)
    }
}

fn text(loss: &Loss) -> String {
    let (from, to) = loss.between_ns;
    format!(
        "{} messages lost here: overwritten {}, dropped {}, timed out {}, from {} to {} s",
        loss.total(),
        loss.overwritten,
        loss.dropped,
        loss.timed_out,
        Seconds { ns: from },
        Seconds { ns: to }
    )
}

/// A time in seconds to DLT's unit, 0.1 ms. The digits are written one by one: so a note takes the same instructions at any
/// time of a second, and a sweep of stops finds each of them again.
struct Seconds {
    ns: u64,
}

impl Display for Seconds {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}.", self.ns / 1_000_000_000)?;
        for unit in [100_000_000, 10_000_000, 1_000_000, 100_000] {
            out.write_char(char::from(b'0' + (self.ns / unit % 10) as u8))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_names_every_term() {
        let loss =
            Loss { overwritten: 5, dropped: 2, timed_out: 1, between_ns: (1_500_000_000, 2_000_000_000) };
        assert_eq!(
            text(&loss),
            "8 messages lost here: overwritten 5, dropped 2, timed out 1, from 1.5000 to 2.0000 s"
        );
        let loss = Loss { between_ns: (0, 62_003_499_999), ..loss };
        assert!(text(&loss).ends_with("from 0.0000 to 62.0034 s"), "{}", text(&loss));
    }
}
