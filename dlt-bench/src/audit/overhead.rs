//! What the probe costs: rates with and without it, in alternation, in-call words written in both.
//!
//! One leg says little. On a machine with fewer processors than threads the rate is that of the receiver, and the receiver's is
//! its share of a processor: the two go together (correlation 0.95 on 2 processors), and the share changes by a tenth from leg
//! to leg, with or without a probe. So there are many pairs, the median stands beside its confidence interval, and beside both
//! the processor time per message of the threads that make system calls, which does not depend on who got which share.

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
use crate::measure::cpu;
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
    /// Pairs of legs with the large batch and with the configured one: many short ones, so that what else the machine does
    /// hits both legs of a pair alike.
    pub pairs: [usize; 2],
}

/// One leg.
#[derive(Debug, Clone, Copy)]
struct Leg {
    msgs_per_s: f64,
    /// Of workers and collector.
    cpu_ns_per_msg: f64,
}

/// With the probe, and without.
type Pair = [Leg; 2];

/// Ten seconds for the large batch, which has a bound to keep, and four for the other one.
const PAIRS: [usize; 2] = [56, 22];
const SCHEDULE: Schedule = Schedule {
    warm_up: Duration::from_millis(300),
    settle: Duration::from_millis(10),
    leg: Duration::from_millis(80),
    pairs: PAIRS,
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
    /// The median lies in here with a confidence of 95 %.
    pub ratio_interval: [f64; 2],
    /// The quartiles of the pairs' ratios: how far one pair can be trusted.
    pub ratio_quartiles: [f64; 2],
    /// Median processor time of workers and collector with the probe.
    pub with_cpu_ns_per_msg: f64,
    /// The same without.
    pub without_cpu_ns_per_msg: f64,
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
    for (batch, wanted) in [LARGE_BATCH, config.batch_size].into_iter().zip(schedule.pairs) {
        let pairs = alternate(&session, config.clone().with_batch_size(batch), schedule, wanted)
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
    wanted: usize,
) -> Result<Vec<Pair>, Error> {
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
    let (workers, readers) = (Target::worker_tids(&logger), collector.tids());
    for &tid in &workers {
        session.register_tid(Role::Worker, tid, "worker");
    }
    for &tid in &readers {
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
        std::thread::sleep(schedule.warm_up);
        let measured = Measured { collector: &collector, threads: &[workers, readers].concat() };
        let pairs = measure_pairs(session.probe(), &measured, schedule, wanted);
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

fn measure_pairs(
    probe: &Probe,
    measured: &Measured<'_>,
    schedule: Schedule,
    wanted: usize,
) -> Result<Vec<Pair>, Error> {
    let refused = |error: dlt_probe_ebpf::Error| Error::failed(error.to_string());
    let mut pairs = Vec::new();
    for pair in 0..wanted {
        // Which one comes first alternates: whatever drifts hits both.
        let with_first = pair % 2 == 0;
        let leg = |is_with: bool| -> Result<Leg, Error> {
            if is_with {
                probe.attach().map_err(refused)?;
            } else {
                probe.detach();
            }
            std::thread::sleep(schedule.settle);
            Ok(measured.leg(schedule.leg))
        };
        let (first, second) = (leg(with_first)?, leg(!with_first)?);
        if interrupt::requested() {
            // A leg that was cut short compares with nothing.
            break;
        }
        pairs.push(if with_first { [first, second] } else { [second, first] });
    }
    probe.attach().map_err(refused)?;
    Ok(pairs)
}

/// The load that goes on, as the legs see it.
struct Measured<'a> {
    collector: &'a Collector,
    /// Workers and the collector's readers.
    threads: &'a [u32],
}

impl Measured<'_> {
    fn now(&self) -> (u64, u64, u64) {
        let cpu_ns = self.threads.iter().filter_map(|&tid| cpu::thread_ns(tid)).sum();
        (self.collector.received(), monotonic_ns(), cpu_ns)
    }

    fn leg(&self, time: Duration) -> Leg {
        let (received, ns, cpu_ns) = self.now();
        std::thread::sleep(time);
        let (received_after, ns_after, cpu_ns_after) = self.now();
        let msgs = (received_after - received) as f64;
        Leg {
            msgs_per_s: msgs / (ns_after - ns) as f64 * 1e9,
            cpu_ns_per_msg: cpu_ns_after.saturating_sub(cpu_ns) as f64 / msgs,
        }
    }
}

fn ratio(batch_size_msgs: usize, pairs: &[Pair]) -> Ratio {
    let all = |figure: &dyn Fn(&Pair) -> f64| pairs.iter().map(figure).collect::<Vec<_>>();
    let ratios = all(&|[with, without]| with.msgs_per_s / without.msgs_per_s);
    Ratio {
        batch_size_msgs,
        with_msgs_per_s: median(all(&|pair| pair[0].msgs_per_s)),
        without_msgs_per_s: median(all(&|pair| pair[1].msgs_per_s)),
        ratio: median(ratios.clone()),
        ratio_interval: interval(ratios.clone()),
        ratio_quartiles: quartiles(ratios),
        with_cpu_ns_per_msg: median(all(&|pair| pair[0].cpu_ns_per_msg)),
        without_cpu_ns_per_msg: median(all(&|pair| pair[1].cpu_ns_per_msg)),
        pairs: pairs.len(),
    }
}

/// 95 % confidence interval of the median, from the order of the figures alone: the number of them below the true median is
/// binomial, of which 1.96 standard deviations are 0.98 times the root of n.
fn interval(mut figures: Vec<f64>) -> [f64; 2] {
    figures.sort_by(f64::total_cmp);
    let n = figures.len();
    let below = (n as f64 / 2.0 - 0.98 * (n as f64).sqrt()).floor().max(0.0) as usize;
    let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
    let first = below.saturating_sub(1);
    [at(first), at((n - 1).saturating_sub(first))]
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

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn medians_of_pairs() {
        let leg = |msgs_per_s| Leg { msgs_per_s, cpu_ns_per_msg: msgs_per_s / 2.0 };
        let pairs = [[90.0, 100.0], [50.0, 100.0], [99.0, 110.0]].map(|pair| pair.map(leg));
        let r = ratio(16, &pairs);
        assert!(near(r.ratio, 0.9) && near(r.with_msgs_per_s, 90.0) && near(r.without_msgs_per_s, 100.0));
        assert!(near(r.with_cpu_ns_per_msg, 45.0) && near(r.without_cpu_ns_per_msg, 50.0));
        assert!(near(median(vec![1.0, 2.0, 3.0, 10.0]), 2.5));
    }

    #[test]
    fn quartiles_are_medians_of_halves() {
        let [low, high] = quartiles(vec![5.0, 1.0, 3.0, 2.0, 4.0]);
        assert!(near(low, 2.0) && near(high, 4.0));
        let [low, high] = quartiles(vec![4.0, 1.0, 3.0, 2.0]);
        assert!(near(low, 1.5) && near(high, 3.5));
    }

    /// As in tables of the sign test: of 20 figures the 6th and the 15th (here one further out, as its normal approximation
    /// rounds), of 6 the outermost.
    #[test]
    fn intervals_of_medians() {
        let [low, high] = interval((1..=20).map(f64::from).collect());
        assert!(near(low, 5.0) && near(high, 16.0), "{low} {high}");
        let [low, high] = interval((1..=6).map(f64::from).collect());
        assert!(near(low, 1.0) && near(high, 6.0));
        let [low, high] = interval(vec![7.0]);
        assert!(near(low, 7.0) && near(high, 7.0));
    }
}
