//! Latencies: what one thread records, what several threads record together, and the figures made of them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::clock::Clock;

/// Longest latency that is told apart from longer ones: 100 s of a 5 GHz counter.
const MAX_TICKS: u64 = 500_000_000_000;
/// Three digits.
const DIGITS: u8 = 3;

/// The figures of a set of latencies, in nanoseconds to a tenth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Median.
    pub p50: f64,
    /// 90 of 100 were at most this.
    pub p90: f64,
    /// 95 of 100.
    pub p95: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1000.
    pub p999: f64,
    /// The longest.
    pub max: f64,
    /// Arithmetic mean.
    pub mean: f64,
    /// How many there were.
    pub samples: u64,
}

impl Summary {
    /// The same per call, of figures that are each of this many calls.
    #[must_use]
    pub fn divided_by(self, calls: u32) -> Self {
        let per_call = |ns: f64| (ns / f64::from(calls) * 100.0).round() / 100.0;
        let Self { p50, p90, p95, p99, p999, max, mean, samples } = self;
        Self {
            p50: per_call(p50),
            p90: per_call(p90),
            p95: per_call(p95),
            p99: per_call(p99),
            p999: per_call(p999),
            max: per_call(max),
            mean: per_call(mean),
            samples,
        }
    }
}

/// Latencies in ticks, recorded by one thread.
#[derive(Debug, Clone)]
pub struct Recorder(Histogram<u64>);

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// An empty one. Everything it needs is allocated here.
    ///
    /// # Panics
    /// Never: the constants are within what a histogram accepts.
    pub fn new() -> Self {
        Self(Histogram::new_with_bounds(1, MAX_TICKS, DIGITS).expect("the bounds are accepted"))
    }

    /// Records one latency.
    #[inline]
    pub fn record(&mut self, ticks: u64) {
        self.0.saturating_record(ticks);
    }

    /// Adds another thread's.
    ///
    /// # Panics
    /// Never: all recorders have the same bounds.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all recorders have the same bounds");
    }

    /// Number of latencies.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// True if nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The figures; `None` if nothing was recorded.
    pub fn summary(&self, clock: Clock) -> Option<Summary> {
        self.summary_with(|ticks| clock.ns(ticks))
    }

    fn summary_with(&self, ns: impl Fn(u64) -> f64) -> Option<Summary> {
        if self.0.is_empty() {
            return None;
        }
        let tenth = |ns: f64| (ns * 10.0).round() / 10.0;
        let at = |quantile| tenth(ns(self.0.value_at_quantile(quantile)));
        Some(Summary {
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: tenth(ns(self.0.max())),
            mean: tenth(ns(1_000_000) * self.0.mean() / 1e6),
            samples: self.0.len(),
        })
    }
}

/// Sub-buckets of a power of two: 1/64, 1.6 %.
const SUB_BITS: u32 = 6;
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) << SUB_BITS;

/// Latencies in nanoseconds, recorded by several threads without a lock: delivery times, which workers report.
#[derive(Debug)]
pub struct Shared {
    /// Count per bucket; incremented by workers.
    buckets: Box<[AtomicU64]>,
    /// The longest.
    max: AtomicU64,
}

impl Default for Shared {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), max: AtomicU64::new(0) }
    }
}

impl Shared {
    /// Records one latency.
    pub fn record(&self, ns: u64) {
        self.buckets[bucket_of(ns)].fetch_add(1, Relaxed);
        self.max.fetch_max(ns, Relaxed);
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.buckets.iter().for_each(|bucket| bucket.store(0, Relaxed));
        self.max.store(0, Relaxed);
    }

    /// The figures; `None` if nothing was recorded.
    ///
    /// # Panics
    /// Never: the constants are within what a histogram accepts.
    pub fn summary(&self) -> Option<Summary> {
        let max = self.max.load(Relaxed);
        let mut all = Histogram::new_with_bounds(1, MAX_TICKS, DIGITS).expect("the bounds are accepted");
        for (index, count) in self.buckets.iter().enumerate() {
            let count = count.load(Relaxed);
            if count > 0 {
                all.saturating_record_n(middle_of(index).min(max), count);
            }
        }
        let summary = Recorder(all).summary_with(|ns| ns as f64)?;
        Some(Summary { max: max as f64, ..summary })
    }
}

impl dlt_logger::Observer for Shared {
    fn delivered(&self, latency_ns: u64) {
        self.record(latency_ns);
    }
}

/// Values below 2^SUB_BITS have a bucket each; above, each power of two has 2^SUB_BITS buckets.
fn bucket_of(value: u64) -> usize {
    let shift = (64 - value.leading_zeros()).saturating_sub(SUB_BITS + 1);
    ((shift as usize) << SUB_BITS) + (value >> shift) as usize
}

fn middle_of(bucket: usize) -> u64 {
    let shift = (bucket >> SUB_BITS).saturating_sub(1) as u32;
    let start = ((bucket - ((shift as usize) << SUB_BITS)) as u64) << shift;
    start + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_known_latencies() {
        let mut recorder = Recorder::new();
        assert_eq!(recorder.summary_with(|t| t as f64), None);
        (1..=1000).for_each(|ticks| recorder.record(ticks));
        let summary = recorder.summary_with(|ticks| ticks as f64 * 2.0).unwrap();
        assert_eq!(summary.samples, 1000);
        assert_eq!((summary.p50, summary.p90, summary.p99, summary.max), (1000.0, 1800.0, 1980.0, 2000.0));
        assert!((summary.mean - 1001.0).abs() < 1.0, "{}", summary.mean);
    }

    #[test]
    fn merged_recorders_hold_both() {
        let (mut a, mut b) = (Recorder::new(), Recorder::new());
        a.record(10);
        b.record(30);
        a.merge(&b);
        assert_eq!(a.len(), 2);
        assert!((a.summary_with(|t| t as f64).unwrap().max - 30.0).abs() < 1e-9);
    }

    #[test]
    fn buckets_are_in_order_and_narrow() {
        let mut last = 0;
        for shift in 0..63 {
            for value in [(1u64 << shift), (1 << shift) + (1 << shift) / 3, (1 << shift) * 2 - 1] {
                let bucket = bucket_of(value);
                assert!(bucket >= last && bucket < BUCKETS, "{value}");
                last = bucket;
                let error = middle_of(bucket).abs_diff(value) as f64 / value as f64;
                assert!(error <= 1.0 / 64.0, "{value} is reported as {}", middle_of(bucket));
            }
        }
        assert!(bucket_of(u64::MAX) < BUCKETS);
    }

    #[test]
    fn shared_figures() {
        let shared = Shared::default();
        assert_eq!(shared.summary(), None);
        (1..=1000).for_each(|us| shared.record(us * 1000));
        let summary = shared.summary().unwrap();
        assert_eq!((summary.samples, summary.max), (1000, 1e6));
        assert!((summary.p50 / 500_000.0 - 1.0).abs() < 0.02 && (summary.p99 / 990_000.0 - 1.0).abs() < 0.02);
        shared.clear();
        assert_eq!(shared.summary(), None);
    }
}
