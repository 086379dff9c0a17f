//! What the probe costs: rates with and without it, in alternation, in-call words written in both.

use std::time::Duration;

use dlt_probe_ebpf::ProgramCost;
use serde::Serialize;

use super::session::{OPTIONS, Session};
use crate::case::spec::{ROUND, THREADS};
use crate::interrupt;
use crate::load::plan::{Plan, Volume};
use crate::load::{self};
use crate::watch::{Unwatched, Watcher};

/// Batch at which the cost must be small.
const LARGE_BATCH: usize = 256;
/// Pairs of legs: many short ones, so that what else the machine does hits both legs of a pair alike.
const PAIRS: usize = 9;
/// Length of a leg.
const TIME: Duration = Duration::from_millis(250);

/// Rates at one batch size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ratio {
    /// Messages per `writev`.
    pub batch_size_msgs: usize,
    /// Median rate delivered with the probe.
    pub with_msgs_per_s: f64,
    /// Median rate delivered without.
    pub without_msgs_per_s: f64,
    /// Median of the pairs' ratios, with over without.
    pub ratio: f64,
    /// The second lowest and the second highest of them: how far one measurement can be trusted.
    pub ratio_range: [f64; 2],
}

/// What the probe costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overhead {
    /// Ratios of rates.
    pub ratios: Vec<Ratio>,
    /// Time in each program and its runs, in the whole run.
    pub programs: Vec<Program>,
}

/// One program's cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// Its runs.
    pub runs: u64,
    /// Average time of a run; `None` if the kernel keeps no statistics.
    pub ns_per_run: Option<f64>,
}

/// The programs' own cost.
pub fn programs(costs: &[ProgramCost]) -> Vec<Program> {
    let program = |cost: &ProgramCost| Program {
        name: cost.program,
        runs: cost.runs,
        ns_per_run: (cost.runs > 0 && cost.run_ns > 0).then(|| cost.run_ns as f64 / cost.runs as f64),
    };
    costs.iter().map(program).collect()
}

/// Measures both batch sizes. No other probe of this process may be loaded.
///
/// # Errors
/// The probe or a run cannot be started.
pub fn measure(config: &dlt_logger::Config) -> Result<Vec<Ratio>, String> {
    let batches = [LARGE_BATCH, config.batch_size];
    let mut pairs: [Vec<(f64, f64)>; 2] = [Vec::new(), Vec::new()];
    for pair in 0..PAIRS {
        if interrupt::requested() {
            break;
        }
        // Which leg comes first alternates: whatever drifts hits both.
        let mut with = [0.0; 2];
        let mut without = [0.0; 2];
        for leg in 0..2 {
            if (pair + leg) % 2 == 0 {
                let options = dlt_probe_ebpf::Options { statistics: false, ..OPTIONS };
                let session = Session::start(options).map_err(|error| error.to_string())?;
                // No row is begun: the perf counters of a row are no part of the probe.
                for (rate, &batch) in with.iter_mut().zip(&batches) {
                    *rate = leg_rate(config, batch, &session)?;
                }
            } else {
                for (rate, &batch) in without.iter_mut().zip(&batches) {
                    *rate = leg_rate(config, batch, &Unwatched::default())?;
                }
            }
        }
        if interrupt::requested() {
            // A leg that was cut short compares with nothing.
            break;
        }
        for (pairs, legs) in pairs.iter_mut().zip(with.into_iter().zip(without)) {
            pairs.push(legs);
        }
    }
    if pairs[0].is_empty() {
        return Err("interrupted".to_owned());
    }
    Ok(batches
        .into_iter()
        .zip(pairs)
        .map(|(batch_size_msgs, pairs)| ratio(batch_size_msgs, &pairs))
        .collect())
}

fn ratio(batch_size_msgs: usize, pairs: &[(f64, f64)]) -> Ratio {
    let of = |figure: &dyn Fn(&(f64, f64)) -> f64| median(pairs.iter().map(figure).collect());
    Ratio {
        batch_size_msgs,
        with_msgs_per_s: of(&|pair| pair.0),
        without_msgs_per_s: of(&|pair| pair.1),
        ratio: of(&|pair| pair.0 / pair.1),
        ratio_range: range(pairs.iter().map(|pair| pair.0 / pair.1).collect()),
    }
}

/// Without the lowest and the highest, if there are more than two.
fn range(mut figures: Vec<f64>) -> [f64; 2] {
    figures.sort_by(f64::total_cmp);
    let inner = if figures.len() > 2 { &figures[1..figures.len() - 1] } else { &figures[..] };
    [inner.first().copied().unwrap_or(f64::NAN), inner.last().copied().unwrap_or(f64::NAN)]
}

fn leg_rate(config: &dlt_logger::Config, batch: usize, watcher: &dyn Watcher) -> Result<f64, String> {
    let config = config.clone().with_batch_size(batch);
    // The load of `concurrency-mpsc`.
    let plan = Plan::new(config, THREADS, Volume::AtLeast { time: TIME, round: ROUND });
    let run = load::run(&plan, watcher).map_err(|error| error.to_string())?;
    Ok(run.delivered_per_s())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => figures[n / 2],
        n => f64::midpoint(figures[n / 2 - 1], figures[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_pairs() {
        let r = ratio(16, &[(90.0, 100.0), (50.0, 100.0), (99.0, 100.0)]);
        assert!((r.ratio - 0.9).abs() < 1e-9);
        let is_range = |[low, high]: [f64; 2], expected: [f64; 2]| {
            (low - expected[0]).abs() < 1e-9 && (high - expected[1]).abs() < 1e-9
        };
        assert!(is_range(r.ratio_range, [0.9, 0.9]));
        assert!(is_range(range(vec![5.0, 1.0, 3.0, 2.0]), [2.0, 3.0]));
        assert!(is_range(range(vec![2.0, 1.0]), [1.0, 2.0]));
        assert!((r.without_msgs_per_s - 100.0).abs() < 1e-9);
        assert!((median(vec![1.0, 2.0, 3.0, 10.0]) - 2.5).abs() < 1e-9);
    }
}
