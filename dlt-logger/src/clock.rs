//! Time stamps: counter ticks in the log call, DLT time in the worker.

use std::sync::OnceLock;

use crate::ring::record::full_ticks;
use crate::sys::clock::{counter, counter_is_invariant, monotonic_ns};

/// A worker looks at both clocks again after this long.
pub(crate) const ANCHOR_INTERVAL_NS: u64 = 500_000_000;
/// Distance of the two readings from which the first rate is taken.
const FIRST_INTERVAL: std::time::Duration = std::time::Duration::from_millis(2);
/// DLT counts time in 0.1 ms.
const NS_PER_DLT_TICK: u64 = 100_000;

/// What the log call reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    use_counter: bool,
}

/// Both clocks at one instant.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    ticks: u64,
    ns: u64,
}

impl Clock {
    /// Uses the processor's counter if it is invariant, CLOCK_MONOTONIC if not. The first call of a process takes 2 ms.
    pub(crate) fn new() -> Self {
        static INVARIANT: OnceLock<bool> = OnceLock::new();
        Self { use_counter: *INVARIANT.get_or_init(counter_is_invariant) }
    }

    /// Ticks of the counter, or nanoseconds.
    #[inline(always)]
    pub(crate) fn ticks(self) -> u64 {
        if self.use_counter { counter() } else { monotonic_ns() }
    }

    /// Name for reports.
    pub(crate) const fn source(self) -> &'static str {
        match (self.use_counter, cfg!(target_arch = "x86_64")) {
            (false, _) => "clock_gettime",
            (true, true) => "tsc",
            (true, false) => "cntvct",
        }
    }

    fn anchor(self) -> Anchor {
        // The reading with the least time between its two edges is the truest: a preemption in between shows.
        (0..3)
            .map(|_| {
                let before = self.ticks();
                let ns = monotonic_ns();
                let after = self.ticks();
                (
                    after.wrapping_sub(before),
                    Anchor { ticks: before.wrapping_add(after.wrapping_sub(before) / 2), ns },
                )
            })
            .min_by_key(|(width, _)| *width)
            .map_or(Anchor { ticks: 0, ns: 0 }, |(_, anchor)| anchor)
    }
}

/// Ticks to CLOCK_MONOTONIC. Private to one worker.
#[derive(Debug)]
pub(crate) struct Converter {
    clock: Clock,
    last: Anchor,
    /// Nanoseconds per tick in 32.32 fixed point.
    rate: u64,
    /// The DLT time that was computed last, and the ticks for which it holds: 0.1 ms is many messages.
    known: Known,
}

/// Header words of records with the same DLT time.
///
/// The ticks lie above eight other bits, which are less than a tick: compared is modulo 2⁵⁶ ticks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    start: u64,
    length: u64,
}

impl Window {
    /// True if the record with this second word has that time.
    #[inline(always)]
    pub(crate) const fn holds(self, word1: u64) -> bool {
        word1.wrapping_sub(self.start) < self.length
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    start: u64,
    ticks: u64,
    time: u32,
}

impl Converter {
    /// Takes the rate from two readings 2 ms apart, once per process; later readings refine it.
    pub(crate) fn new(clock: Clock) -> Self {
        static FIRST_RATE: OnceLock<u64> = OnceLock::new();
        let first = || {
            let a = clock.anchor();
            std::thread::sleep(FIRST_INTERVAL);
            rate_between(a, clock.anchor()).unwrap_or(1 << 32)
        };
        let rate = if clock.use_counter { *FIRST_RATE.get_or_init(first) } else { 1 << 32 };
        Self { clock, last: clock.anchor(), rate, known: Known::default() }
    }

    /// Compares the clocks if that was last done `interval_ns` ago or before. Returns the current ticks.
    pub(crate) fn refresh(&mut self, interval_ns: u64) -> u64 {
        let ticks = self.clock.ticks();
        if self.ns(ticks).abs_diff(self.last.ns) >= interval_ns {
            let now = self.clock.anchor();
            // Between the two anchors the new rate is exact at both ends, however long the worker was away.
            self.rate = rate_between(self.last, now).unwrap_or(self.rate);
            self.last = now;
            self.known = Known::default();
        }
        ticks
    }

    /// CLOCK_MONOTONIC at `ticks`, in nanoseconds.
    #[inline]
    pub(crate) fn ns(&self, ticks: u64) -> u64 {
        let distance = ticks.wrapping_sub(self.last.ticks).cast_signed();
        let ns = (i128::from(distance) * i128::from(self.rate)) >> 32;
        self.last.ns.wrapping_add_signed(ns as i64)
    }

    /// The same as a DLT timestamp: 0.1 ms, modulo 2³² (4.97 days).
    #[inline(always)]
    pub(crate) fn dlt_time(&mut self, ticks: u64) -> u32 {
        if ticks.wrapping_sub(self.known.start) < self.known.ticks {
            return self.known.time;
        }
        self.compute_dlt_time(ticks)
    }

    /// The same for a record's second header word, given a reading not long ago, and the words for which it holds.
    pub(crate) fn dlt_time_of_record(&mut self, word1: u64, now: u64) -> (u32, Window) {
        let ticks = full_ticks(word1 >> 8, now);
        let time = self.dlt_time(ticks);
        let Known { start, ticks: length, .. } = self.known;
        // At least the record itself, also where the counter is slow.
        let window = if length == 0 {
            Window { start: ticks << 8, length: 1 << 8 }
        } else {
            Window { start: start << 8, length: length << 8 }
        };
        (time, window)
    }

    #[cold]
    #[inline(never)]
    fn compute_dlt_time(&mut self, ticks: u64) -> u32 {
        let ns = self.ns(ticks);
        let time = (ns / NS_PER_DLT_TICK) as u32;
        let left_ns = NS_PER_DLT_TICK - ns % NS_PER_DLT_TICK;
        // Rounded down, and one tick less for the rounding of `ns`. At the highest rate that is taken these are 21 bits.
        let left_ticks = ((left_ns << 32) / self.rate).saturating_sub(1);
        self.known = Known { start: ticks, ticks: left_ticks, time };
        time
    }
}

/// `None` unless both clocks advanced, at a rate between 100 MHz / 8 and 16 GHz: after a suspend or a migration of
/// the machine the counter may have jumped, and the old rate is better than the quotient.
fn rate_between(a: Anchor, b: Anchor) -> Option<u64> {
    let (ticks, ns) = (b.ticks.checked_sub(a.ticks)?, b.ns.checked_sub(a.ns)?);
    let rate = u64::try_from((u128::from(ns) << 32).checked_div(u128::from(ticks))?).ok()?;
    ((1 << 28)..=(80 << 32)).contains(&rate).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converter(ticks: u64, ns: u64, ticks_per_us: u64) -> Converter {
        let clock = Clock { use_counter: true };
        Converter {
            clock,
            last: Anchor { ticks, ns },
            rate: (1000 << 32) / ticks_per_us,
            known: Known::default(),
        }
    }

    #[test]
    fn converts_both_ways_from_the_anchor() {
        let c = converter(1_000_000, 5_000_000_000, 2_600);
        assert_eq!(c.ns(1_000_000), 5_000_000_000);
        assert!(c.ns(1_000_000 + 2_600_000_000).abs_diff(6_000_000_000) <= 1);
        assert!(c.ns(1_000_000 - 2_600).abs_diff(4_999_999_000) <= 1);
    }

    #[test]
    fn dlt_time_wraps_after_five_days() {
        let wrap_ns = (1u64 << 32) * NS_PER_DLT_TICK;
        let mut c = converter(0, wrap_ns - NS_PER_DLT_TICK, 1000);
        assert_eq!(c.dlt_time(0), u32::MAX);
        assert_eq!(c.dlt_time(NS_PER_DLT_TICK), 0);
        assert!((4.96..4.98).contains(&(wrap_ns as f64 / 86_400e9)));
    }

    /// What is remembered is what would be computed.
    #[test]
    fn remembered_times_are_right() {
        let mut c = converter(77, 123_456_789, 2_600);
        for i in 0..100_000u64 {
            let ticks = 77 + i * 997 % 5_000_000;
            let time = (c.ns(ticks) / NS_PER_DLT_TICK) as u32;
            assert_eq!(c.dlt_time(ticks), time, "{ticks}");
            let word1 = (ticks << 8) | (i % 256);
            let (of_record, window) = c.dlt_time_of_record(word1, 77 + 6_000_000);
            assert_eq!(of_record, time, "{ticks}");
            assert!(window.holds(word1), "a record is in its own window");
            for other in [ticks + 100_000, ticks.saturating_sub(100_000)] {
                if window.holds((other << 8) | 255) {
                    assert_eq!(
                        (c.ns(other) / NS_PER_DLT_TICK) as u32,
                        time,
                        "{other} in the window of {ticks}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_counter_that_jumps_back_leaves_the_rate() {
        assert_eq!(rate_between(Anchor { ticks: 10, ns: 10 }, Anchor { ticks: 5, ns: 20 }), None);
        assert_eq!(rate_between(Anchor { ticks: 10, ns: 10 }, Anchor { ticks: 10, ns: 20 }), None);
        assert_eq!(rate_between(Anchor { ticks: 0, ns: 0 }, Anchor { ticks: u64::MAX / 2, ns: 20 }), None);
    }

    /// The anchor heals a counter that jumped: the clock is right again after the next comparison.
    #[test]
    fn refresh_finds_back_after_a_jump() {
        let clock = Clock::new();
        let mut c = Converter::new(clock);
        c.last.ticks = c.last.ticks.wrapping_sub(1 << 60);
        let ticks = c.refresh(ANCHOR_INTERVAL_NS);
        assert!(c.ns(ticks).abs_diff(monotonic_ns()) < 200_000_000, "found back");
    }

    #[test]
    fn real_clocks_agree() {
        let mut c = Converter::new(Clock::new());
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(30));
            let before = monotonic_ns();
            let ticks = c.refresh(ANCHOR_INTERVAL_NS);
            let after = monotonic_ns();
            let ns = c.ns(ticks);
            assert!(ns + 200_000 >= before && ns <= after + 200_000, "{before} {ns} {after}");
        }
    }
}
