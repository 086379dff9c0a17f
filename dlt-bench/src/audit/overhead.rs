//! What the probe costs: rates with and without it, in alternation, in-call words written in both.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use dlt_logger::Logger;
use dlt_probe_ebpf::{Probe, ProgramCost, Role};
use serde::Serialize;

use super::session::{OPTIONS, Session};
use crate::case::spec::{ROUND, THREADS};
use crate::collector::Collector;
use crate::error::Error;
use crate::interrupt;
use crate::load::message::producer_name;
use crate::load::plan::{Plan, Volume};
use crate::load::producer::Work;
use crate::load::sink::Endpoint;
use crate::load::target::{Build, Target};
use crate::measure::clock::monotonic_ns;
use crate::watch::Watcher;

/// Batch at which the cost must be small.
const LARGE_BATCH: usize = 256;
/// Longest wait for workers and streams to end.
const END: Duration = Duration::from_secs(5);
/// Longer than any measurement.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// When what is measured: one load goes on while the probe is put on and taken off, so that neither the start of a logger nor
/// the place of its threads differs between the legs.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Before the first leg.
    pub warm_up: Duration,
    /// After the probe was put on or taken off, before the leg begins.
    pub settle: Duration,
    /// Length of a leg.
    pub leg: Duration,
    /// Pairs of legs: many short ones, so that what else the machine does hits both legs of a pair alike.
    pub pairs: usize,
}

/// About six seconds for each batch size. A pair scatters by a tenth, the median of these by one or two hundredths.
const SCHEDULE: Schedule = Schedule {
    warm_up: Duration::from_millis(300),
    settle: Duration::from_millis(10),
    leg: Duration::from_millis(60),
    pairs: 40,
};

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
    /// The quartiles of the pairs' ratios: how far one pair can be trusted.
    pub ratio_quartiles: [f64; 2],
    /// How many pairs there were.
    pub pairs: usize,
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
/// The probe or the load cannot be started.
pub fn measure(config: &dlt_logger::Config) -> Result<Vec<Ratio>, String> {
    let options = dlt_probe_ebpf::Options { statistics: false, ..OPTIONS };
    measure_with(config, options, SCHEDULE)
}

/// The same with another probe or schedule.
///
/// # Errors
/// As [`measure`].
pub fn measure_with(
    config: &dlt_logger::Config,
    options: dlt_probe_ebpf::Options,
    schedule: Schedule,
) -> Result<Vec<Ratio>, String> {
    let session = Session::start(options).map_err(|error| error.to_string())?;
    let mut ratios = Vec::new();
    for batch in [LARGE_BATCH, config.batch_size] {
        let pairs = alternate(&session, config.clone().with_batch_size(batch), schedule)
            .map_err(|error| error.to_string())?;
        if pairs.is_empty() {
            return Err("interrupted".to_owned());
        }
        ratios.push(ratio(batch, &pairs));
    }
    Ok(ratios)
}

/// Rates with and without the probe, pair by pair, of one load that goes on.
fn alternate(
    session: &Session,
    config: dlt_logger::Config,
    schedule: Schedule,
) -> Result<Vec<(f64, f64)>, Error> {
    // The load of `concurrency-mpsc`; it ends by `stop`, long before its time.
    let plan = Plan::new(config, THREADS, Volume::AtLeast { time: FOR_EVER, round: ROUND });
    let streams = <Logger as Target>::streams(&plan.config);
    let (collector, ends) = Collector::start(streams)
        .map_err(|error| Error::failed(format!("failed to start the collector: {error}")))?;
    let logger = <Logger as Target>::start(Build {
        config: &plan.config,
        endpoint: Endpoint::Streams(ends),
        delivery: Arc::default(),
        sampling: 0,
    })?;
    for tid in Target::worker_tids(&logger) {
        session.register_tid(Role::Worker, tid, "worker");
    }
    for tid in collector.tids() {
        session.register_tid(Role::Collector, tid, "collector");
    }
    let stop = AtomicBool::new(false);
    let pairs = std::thread::scope(|scope| {
        let ended = Ended(&stop);
        for index in 0..plan.producers {
            let caller = Target::producer(&logger, &producer_name(index))?;
            let (plan, logger, stop) = (&plan, &logger, &stop);
            let work = move || {
                let slot = session.register(Role::Producer, &producer_name(index));
                Target::prepare_thread(logger);
                Work::new(caller, slot, stop).run(plan, 0);
            };
            std::thread::Builder::new()
                .name(producer_name(index))
                .spawn_scoped(scope, work)
                .map_err(|error| Error::failed(format!("failed to start producer: {error}")))?;
        }
        let pairs = measure_pairs(session.probe(), &collector, schedule);
        drop(ended);
        pairs
    });
    Target::shutdown(logger, END);
    collector.finish(END);
    pairs
}

/// Stops the producers whichever way it goes out of scope.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn measure_pairs(probe: &Probe, collector: &Collector, schedule: Schedule) -> Result<Vec<(f64, f64)>, Error> {
    let refused = |error: dlt_probe_ebpf::Error| Error::failed(error.to_string());
    std::thread::sleep(schedule.warm_up);
    let mut pairs = Vec::new();
    for pair in 0..schedule.pairs {
        let mut legs = [0.0; 2];
        for leg in 0..2 {
            // Which one comes first alternates: whatever drifts hits both.
            let is_without = (pair + leg) % 2;
            if is_without == 0 {
                probe.attach().map_err(refused)?;
            } else {
                probe.detach();
            }
            std::thread::sleep(schedule.settle);
            legs[is_without] = rate(collector, schedule.leg);
        }
        if interrupt::requested() {
            // A leg that was cut short compares with nothing.
            break;
        }
        pairs.push((legs[0], legs[1]));
    }
    probe.attach().map_err(refused)?;
    Ok(pairs)
}

/// Messages per second that arrive in this time.
fn rate(collector: &Collector, time: Duration) -> f64 {
    let (before, begin_ns) = (collector.received(), monotonic_ns());
    std::thread::sleep(time);
    let (after, end_ns) = (collector.received(), monotonic_ns());
    (after - before) as f64 / (end_ns - begin_ns) as f64 * 1e9
}

fn ratio(batch_size_msgs: usize, pairs: &[(f64, f64)]) -> Ratio {
    let of = |figure: &dyn Fn(&(f64, f64)) -> f64| median(pairs.iter().map(figure).collect());
    Ratio {
        batch_size_msgs,
        with_msgs_per_s: of(&|pair| pair.0),
        without_msgs_per_s: of(&|pair| pair.1),
        ratio: of(&|pair| pair.0 / pair.1),
        ratio_quartiles: quartiles(pairs.iter().map(|pair| pair.0 / pair.1).collect()),
        pairs: pairs.len(),
    }
}

/// The medians of the lower and of the upper half; a figure in the middle is in both.
fn quartiles(mut figures: Vec<f64>) -> [f64; 2] {
    figures.sort_by(f64::total_cmp);
    let half = figures.len().div_ceil(2);
    let upper = figures[figures.len() - half..].to_vec();
    figures.truncate(half);
    [median(figures), median(upper)]
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
        let is_near = |[low, high]: [f64; 2], expected: [f64; 2]| {
            (low - expected[0]).abs() < 1e-9 && (high - expected[1]).abs() < 1e-9
        };
        assert!(is_near(r.ratio_quartiles, [0.7, 0.945]));
        assert_eq!(r.pairs, 3);
        assert!(is_near(quartiles(vec![5.0, 1.0, 3.0, 2.0]), [1.5, 4.0]));
        assert!(is_near(quartiles(vec![2.0, 1.0]), [1.0, 2.0]));
        assert!((r.without_msgs_per_s - 100.0).abs() < 1e-9);
        assert!((median(vec![1.0, 2.0, 3.0, 10.0]) - 2.5).abs() < 1e-9);
    }
}
