//! How long a worker sleeps between two rounds.
//!
//! A lane whose lines are polled every 20 µs makes the log call half as expensive again; one that is polled every few
//! milliseconds costs the call nothing. So the worker is as lazy as the fill of the lanes allows: it aims at finding
//! them an eighth full. What its laziness costs is bounded: the delay of a message under way by [`ACTIVE_MAX`], the
//! wake-ups of all idle workers together by 80 a second.

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

/// What a worker does until its next round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing: there is more to do.
    None,
    /// Stay on the processor.
    Spin(Duration),
    /// Leave the processor.
    Sleep(Duration),
}

/// The pace of one worker.
#[derive(Debug)]
pub(crate) struct Pace {
    sleep: Duration,
    idle_max: Duration,
}

impl Pace {
    pub(crate) fn new(workers: usize) -> Self {
        Self { sleep: ACTIVE_MAX, idle_max: Duration::from_secs(1) * workers as u32 / IDLE_WAKEUPS_PER_S }
    }

    /// How long to sleep while the sink takes nothing.
    pub(crate) const fn sink_down() -> Duration {
        Duration::from_millis(50)
    }

    /// What to do after a round that found this, `elapsed` after the round before.
    pub(crate) fn after(&mut self, fill: Fill, elapsed: Duration) -> Rest {
        let Fill { found, capacity } = fill;
        if found == 0 {
            self.sleep = (self.sleep * 2).clamp(MIN, self.idle_max.max(ACTIVE_MAX));
            return Rest::Sleep(self.sleep);
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
        let mut pace = Pace::new(4);
        assert_eq!(pace.after(Fill { found: 512, capacity: 2048 }, ROUND), Rest::None);
        assert_ne!(pace.after(Fill { found: 511, capacity: 2048 }, ROUND), Rest::None);
    }

    #[test]
    fn active_sleeps_settle_at_an_eighth_and_are_bounded() {
        let mut pace = Pace::new(4);
        // 400 messages a millisecond into 2048: an eighth is 0.64 ms.
        let mut rest = Rest::Sleep(ROUND);
        for _ in 0..50 {
            let Rest::Sleep(slept) = rest else { panic!("{rest:?}") };
            let found = (slept.as_nanos() as u64 * 400 / 1_000_000).min(511);
            rest = pace.after(Fill { found, capacity: 2048 }, slept);
        }
        let Rest::Sleep(slept) = rest else { panic!("{rest:?}") };
        assert!((Duration::from_micros(600)..Duration::from_micros(680)).contains(&slept), "{slept:?}");
        for _ in 0..50 {
            rest = pace.after(Fill { found: 1, capacity: 2048 }, ACTIVE_MAX);
        }
        assert_eq!(rest, Rest::Sleep(ACTIVE_MAX));
    }

    /// 30 messages a microsecond: an eighth of 2048 is 8.5 µs, too short to sleep and too long to look all the time.
    #[test]
    fn a_fast_producer_is_met_without_sleep_and_without_small_batches() {
        let mut pace = Pace::new(4);
        let rest = pace.after(Fill { found: 30, capacity: 2048 }, Duration::from_micros(1));
        let Rest::Spin(time) = rest else { panic!("{rest:?}") };
        assert!((8_000..9_000).contains(&time.as_nanos()), "{time:?}");
    }

    #[test]
    fn idle_wakeups_of_all_workers_stay_below_the_bound() {
        for workers in [1, 4, 64] {
            let mut pace = Pace::new(workers);
            let rest = (0..30).map(|_| pace.after(Fill::default(), ROUND)).last();
            let Some(Rest::Sleep(sleep)) = rest else { panic!("{rest:?}") };
            assert!(workers as f64 / sleep.as_secs_f64() <= 80.1, "{workers} workers, {sleep:?}");
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
