//! What a log call costs in bursts, finer than a step of the clock: whole bursts are timed, and slices of them averaged.
//!
//! A counter may advance in steps of 10 ns, as long as a call. The mean over many bursts resolves fractions of a step,
//! but one preemption spoils it, and a busy neighbour spoils it for seconds. So each slice of [`SLICE`] bursts has a mean
//! of its own, of the bursts that are not much longer than its median; and since what disturbs a slice only adds to it,
//! the least slice tells best what the call itself costs. 36 processes of one build gave least slices within 1.9 %, while
//! the medians of all bursts were up to three times as long in some of them.

use serde::Serialize;

use super::clock::Clock;
use super::latency::{Recorder, Summary};

/// Bursts of a slice.
pub const SLICE: usize = 40;
/// A burst counts for its slice's mean up to this multiple of the slice's median.
const LONGEST: f64 = 1.25;

/// What a call costs if nothing disturbs it, in nanoseconds to a hundredth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Undisturbed {
    /// Mean per call of the slice in which it was least.
    pub least_slice_ns: f64,
    /// Mean per call of the slice in the middle.
    pub median_slice_ns: f64,
    /// Slices.
    pub slices: usize,
    /// Bursts of a slice.
    pub bursts_per_slice: usize,
    /// Calls of a burst.
    pub calls_per_burst: u32,
}

/// Lengths of bursts in ticks, recorded by one thread.
#[derive(Debug, Clone)]
pub struct Bursts {
    all: Recorder,
    /// The slice that is being filled.
    slice: Vec<u64>,
    /// Mean length of a burst, in ticks, of each full slice.
    means: Vec<f64>,
}

impl Default for Bursts {
    fn default() -> Self {
        Self { all: Recorder::new(), slice: Vec::with_capacity(SLICE), means: Vec::new() }
    }
}

impl Bursts {
    /// Records the length of a burst. A slice that is full is averaged here: call it between bursts.
    pub fn record(&mut self, ticks: u64) {
        self.all.record(ticks);
        self.slice.push(ticks);
        if self.slice.len() == SLICE {
            self.means.extend(mean(&mut self.slice));
            self.slice.clear();
        }
    }

    /// Adds another thread's. Slices that are not full are not added.
    pub fn merge(&mut self, other: &Self) {
        let Self { all, slice: _, means } = other;
        self.all.merge(all);
        self.means.extend_from_slice(means);
    }

    /// Figures of all bursts; `None` if nothing was recorded.
    pub fn summary(&self, clock: Clock) -> Option<Summary> {
        self.all.summary(clock)
    }

    /// What a call costs, of bursts of this many; `None` without a full slice.
    pub fn undisturbed(&self, clock: Clock, calls: u32) -> Option<Undisturbed> {
        let mut means = self.means.clone();
        means.sort_by(f64::total_cmp);
        let per_call = |ticks: f64| {
            let ns = ticks * clock.ns(1_000_000) / 1e6 / f64::from(calls);
            (ns * 100.0).round() / 100.0
        };
        Some(Undisturbed {
            least_slice_ns: per_call(*means.first()?),
            median_slice_ns: per_call(*means.get(means.len() / 2)?),
            slices: means.len(),
            bursts_per_slice: SLICE,
            calls_per_burst: calls,
        })
    }
}

/// Mean of what is not much longer than the median.
fn mean(slice: &mut [u64]) -> Option<f64> {
    slice.sort_unstable();
    let longest = *slice.get(slice.len() / 2)? as f64 * LONGEST;
    let counted = slice.iter().take_while(|&&ticks| ticks as f64 <= longest);
    let (sum, count) = counted.fold((0, 0u64), |(sum, count), ticks| (sum + ticks, count + 1));
    (count > 0).then(|| sum as f64 / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_resolves_fractions_of_a_step_and_leaves_out_what_was_interrupted() {
        // 60 bursts of 200, 38 of 226, and two that were interrupted: (60 · 200 + 38 · 226) / 98.
        let mut slice = [vec![200; 60], vec![226; 38], vec![900, 50_000]].concat();
        let found = mean(&mut slice).unwrap();
        assert!((found - 20_588.0 / 98.0).abs() < 1e-9, "{found}");
        assert_eq!(mean(&mut []), None);
    }

    #[test]
    fn the_least_slice_is_found_among_disturbed_ones() {
        let mut bursts = Bursts::default();
        for length in [4000, 2000, 3000] {
            (0..SLICE).for_each(|_| bursts.record(length));
        }
        // Not a full slice: neither least nor counted.
        (0..SLICE - 1).for_each(|_| bursts.record(10));
        let clock = Clock::get();
        let found = bursts.undisturbed(clock, 20).unwrap();
        assert_eq!((found.slices, found.calls_per_burst), (3, 20));
        assert!((found.least_slice_ns - clock.ns(100)).abs() <= 0.005 + 1e-9, "{found:?}");
        assert!((found.median_slice_ns - clock.ns(150)).abs() <= 0.005 + 1e-9, "{found:?}");
    }

    #[test]
    fn several_threads_together() {
        let (mut one, mut other) = (Bursts::default(), Bursts::default());
        (0..SLICE).for_each(|_| one.record(3000));
        (0..2 * SLICE).for_each(|_| other.record(2000));
        let clock = Clock::get();
        one.merge(&other);
        let found = one.undisturbed(clock, 1).unwrap();
        assert_eq!((found.slices, one.summary(clock).unwrap().samples), (3, 3 * SLICE as u64));
        assert!((found.least_slice_ns - clock.ns(2000)).abs() < 0.01);
        assert_eq!(Bursts::default().undisturbed(clock, 20), None);
    }
}
