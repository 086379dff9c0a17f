//! How long a worker sleeps between two rounds.
//!
//! A lane whose lines are polled every 20 µs makes the log call half as expensive again; one that is polled every few
//! milliseconds costs the call nothing. So the worker is as lazy as the fill of the lanes allows: it aims at finding
//! them an eighth full. What its laziness costs is bounded: the delay of a message under way by [`ACTIVE_MAX`], the
//! wake-ups of all idle workers together by 80 a second. Those are spread evenly, and whoever is awake looks whether a
//! worker that sleeps has something to do.

use std::time::Duration;

/// Shortest sleep: less is not worth the way into the kernel and back.
const MIN: Duration = Duration::from_micros(50);
/// A worker whose next look is nearer than this spins until then: a sleep that short ends late.
const SPIN_BELOW: Duration = Duration::from_micros(30);
/// Longest sleep of a worker that found something last time.
const ACTIVE_MAX: Duration = Duration::from_millis(4);
/// Idle wake-ups a second of all workers together.
const IDLE_WAKEUPS_PER_S: u32 = 80;
/// A round that found this share of a lane (1/n) is followed by another one at once.
const BUSY: u64 = 4;
/// The share of a lane (1/n) that a round should find.
const AIM: u64 = 8;

/// How full the fullest lane was in a round.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fill {
    pub(crate) found: u64,
    pub(crate) capacity: u64,
}

impl Fill {
    /// The fuller of the two.
    pub(crate) fn max(self, other: Self) -> Self {
        let fuller = u128::from(other.found) * u128::from(self.capacity)
            > u128::from(self.found) * u128::from(other.capacity);
        if fuller || self.capacity == 0 { other } else { self }
    }
}

/// A worker that is idle sleeps until one of these times: multiples of its longest sleep, shifted so that the wake-ups of
/// all workers are spread evenly. Whoever wakes looks at the lanes of all that sleep so, hence a message waits for the
/// next wake-up of any of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timetable {
    period_ns: u64,
    offset_ns: u64,
}

impl Timetable {
    fn new(index: usize, workers: usize) -> Self {
        let step_ns = 1_000_000_000 / u64::from(IDLE_WAKEUPS_PER_S);
        Self { period_ns: step_ns * workers as u64, offset_ns: step_ns * index as u64 }
    }

    /// From `now_ns` to the next time, but no less than half a period: then the one after it.
    fn until_next(self, now_ns: u64) -> Duration {
        let past_ns = (now_ns + self.period_ns - self.offset_ns) % self.period_ns;
        let left_ns = self.period_ns - past_ns;
        Duration::from_nanos(if left_ns < self.period_ns / 2 { left_ns + self.period_ns } else { left_ns })
    }
}

/// What a worker does until its next round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing: there is more to do.
    None,
    /// Stay on the processor.
    Spin(Duration),
    /// Leave the processor.
    Sleep(Duration),
    /// The same, idle: others look after its lanes too.
    Idle(Duration),
}

/// The pace of one worker.
#[derive(Debug)]
pub(crate) struct Pace {
    sleep: Duration,
    timetable: Timetable,
}

impl Pace {
    /// Of the worker with this index.
    pub(crate) fn new(index: usize, workers: usize) -> Self {
        Self { sleep: ACTIVE_MAX, timetable: Timetable::new(index, workers) }
    }

    /// How long to sleep while the sink takes nothing.
    pub(crate) const fn sink_down() -> Duration {
        Duration::from_millis(50)
    }

    /// What to do after a round that ended at `now_ns` and found this, `elapsed` after the round before.
    pub(crate) fn after(&mut self, fill: Fill, now_ns: u64, elapsed: Duration) -> Rest {
        let Fill { found, capacity } = fill;
        if found == 0 {
            let idle_max = Duration::from_nanos(self.timetable.period_ns);
            self.sleep = (self.sleep * 2).clamp(MIN, idle_max.max(ACTIVE_MAX));
            if self.sleep < idle_max {
                return Rest::Sleep(self.sleep);
            }
            return Rest::Idle(self.timetable.until_next(now_ns));
        }
        if found * BUSY >= capacity {
            self.sleep = MIN / 2;
            return Rest::None;
        }
        // At the rate of the last round the lane will be an eighth full after this.
        let aim = Duration::from_nanos((elapsed.as_nanos() as u64).saturating_mul(capacity) / (AIM * found));
        if aim < SPIN_BELOW {
            self.sleep = MIN / 2;
            return Rest::Spin(aim);
        }
        self.sleep = aim.min(self.sleep * 2).clamp(MIN, ACTIVE_MAX);
        Rest::Sleep(self.sleep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: Duration = Duration::from_millis(1);

    #[test]
    fn a_quarter_full_is_busy() {
        let mut pace = Pace::new(0, 4);
        assert_eq!(pace.after(Fill { found: 512, capacity: 2048 }, 0, ROUND), Rest::None);
        assert_ne!(pace.after(Fill { found: 511, capacity: 2048 }, 0, ROUND), Rest::None);
    }

    #[test]
    fn active_sleeps_settle_at_an_eighth_and_are_bounded() {
        let mut pace = Pace::new(0, 4);
        // 400 messages a millisecond into 2048: an eighth is 0.64 ms.
        let mut rest = Rest::Sleep(ROUND);
        for _ in 0..50 {
            let Rest::Sleep(slept) = rest else { panic!("{rest:?}") };
            let found = (slept.as_nanos() as u64 * 400 / 1_000_000).min(511);
            rest = pace.after(Fill { found, capacity: 2048 }, 0, slept);
        }
        let Rest::Sleep(slept) = rest else { panic!("{rest:?}") };
        assert!((Duration::from_micros(600)..Duration::from_micros(680)).contains(&slept), "{slept:?}");
        for _ in 0..50 {
            rest = pace.after(Fill { found: 1, capacity: 2048 }, 0, ACTIVE_MAX);
        }
        assert_eq!(rest, Rest::Sleep(ACTIVE_MAX));
    }

    /// 30 messages a microsecond: an eighth of 2048 is 8.5 µs, too short to sleep and too long to look all the time.
    #[test]
    fn a_fast_producer_is_met_without_sleep_and_without_small_batches() {
        let mut pace = Pace::new(0, 4);
        let rest = pace.after(Fill { found: 30, capacity: 2048 }, 0, Duration::from_micros(1));
        let Rest::Spin(time) = rest else { panic!("{rest:?}") };
        assert!((8_000..9_000).contains(&time.as_nanos()), "{time:?}");
    }

    /// Ten seconds without a message: as many wake-ups as allowed, and no long time without one.
    #[test]
    fn idle_wakeups_are_bounded_and_spread_evenly() {
        for workers in [1, 4, 64] {
            let mut wakeups = Vec::new();
            for index in 0..workers {
                let mut pace = Pace::new(index, workers);
                let mut now_ns = 77_000_000 * index as u64;
                while now_ns < 20_000_000_000 {
                    let (Rest::Sleep(slept) | Rest::Idle(slept)) = pace.after(Fill::default(), now_ns, ROUND)
                    else {
                        panic!("an idle worker sleeps")
                    };
                    // A little late, as sleeps are.
                    now_ns += slept.as_nanos() as u64 + 20_000;
                    wakeups.push(now_ns);
                }
            }
            wakeups.retain(|&at| (10_000_000_000..20_000_000_000).contains(&at));
            wakeups.sort_unstable();
            assert!((798..=802).contains(&wakeups.len()), "{workers} workers: {} in 10 s", wakeups.len());
            let longest = wakeups.windows(2).map(|pair| pair[1] - pair[0]).max();
            assert!(
                longest.is_some_and(|ns| ns < 13_000_000),
                "{workers} workers: {longest:?} ns without a wake-up"
            );
        }
    }

    #[test]
    fn the_fuller_lane_counts() {
        let a = Fill { found: 3, capacity: 8 };
        let b = Fill { found: 100, capacity: 2048 };
        assert_eq!(a.max(b).found, 3);
        assert_eq!(b.max(a).found, 3);
        assert_eq!(Fill::default().max(b).found, 100);
    }
}
