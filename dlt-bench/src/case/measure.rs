//! A row's passes, and the row that they make.

use std::time::Duration;

use dlt_logger::config::Warning;

use super::concurrency::{BURST, PAUSE};
use super::measured::Measured;
use super::spec::{ROUND, RowSpec};
use crate::config::Options;
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::interrupt;
use crate::load::plan::{Pass, Plan, Shape, Volume};
use crate::load::producer::Latencies;
use crate::load::{self, Run};
use crate::measure::floor;
use crate::report::Row;
use crate::watch::Watcher;

/// Every so many messages of a worker one is timed from call to `writev`.
const DELIVERY_SAMPLING: u32 = 256;
/// The same at a fixed rate, where there are few.
const PACED_SAMPLING: u32 = 4;
/// Time per figure of the floor.
const FLOOR_TIME: Duration = Duration::from_millis(400);
/// Divides that, and the time of idle loggers, in runs that count messages.
const SHORT: u32 = 10;
/// Who looks on from outside while rows are measured.
pub trait Inspector: std::fmt::Debug {
    /// Is told of the throughput pass.
    fn watcher(&self) -> &dyn Watcher;
    /// Processors that this many producers are to be confined to; `None`: all.
    fn producer_cpus(&self, producers: usize) -> Option<Vec<usize>>;
    /// A row is about to be measured.
    fn begin_row(&mut self, _plan: &Plan) {}
    /// A throughput pass of the row, with all repetitions, is about to begin.
    fn begin_window(&mut self) {}
    /// It has ended. True: what was seen does not suffice, and the pass should be measured again.
    fn end_window(&mut self) -> bool {
        false
    }
    /// The row is measured; adds to it what was seen.
    fn end_row(&mut self, row: &mut Row);
    /// All rows are measured: its account of the whole run, and its part of the exit code.
    fn finish(&mut self) -> (Option<serde_json::Value>, ExitCode) {
        (None, ExitCode::Pass)
    }
    /// Its last words for people.
    fn closing(&self) -> String {
        String::new()
    }
}

/// Nobody looks on.
#[derive(Debug, Default)]
pub struct Nobody(crate::watch::Unwatched);

impl Inspector for Nobody {
    fn watcher(&self) -> &dyn Watcher {
        &self.0
    }

    fn producer_cpus(&self, _producers: usize) -> Option<Vec<usize>> {
        None
    }

    fn end_row(&mut self, row: &mut Row) {
        let reason = "not watched by the kernel probe: use --profile";
        row.null_because.insert("audit", reason.to_owned());
        row.null_because.insert("counters", reason.to_owned());
    }
}

/// The configuration that a row runs with, and the variables that have no effect in it.
///
/// # Errors
/// A `DLT_USER_` variable has a value that is not accepted.
pub fn configuration(spec: &RowSpec) -> Result<(dlt_logger::Config, Vec<Warning>), Error> {
    Ok(dlt_logger::Config::from_env_swept(&spec.overrides)?)
}

/// Measures a row. `None` if it was interrupted before it had anything to show.
///
/// # Errors
/// The sink, the logger or a thread cannot be started.
pub fn measure(
    case: &str,
    spec: &RowSpec,
    options: &Options,
    iterations: usize,
    inspector: &mut dyn Inspector,
) -> Result<Option<Row>, Error> {
    let (config, _) = configuration(spec)?;
    let is_paced = matches!(spec.shape, Shape::Paced { .. });
    // A run that counts messages is a short one: what is timed is timed shortly.
    let short = |time: Duration| if options.messages.is_some() { time / SHORT } else { time };
    let volume = |time| match options.messages {
        Some(messages) => Volume::Messages(messages),
        None => Volume::AtLeast { time, round: ROUND },
    };
    let plan = Plan {
        logger: options.logger,
        sink: options.sink.clone(),
        shape: spec.shape,
        // At a fixed rate the clock readings take nothing from the rate: one pass does for both.
        pass: if is_paced { Pass::Latency } else { Pass::Throughput },
        delivery_sampling: if is_paced { PACED_SAMPLING } else { DELIVERY_SAMPLING },
        idle: spec.idle.map(&short),
        producer_cpus: inspector.producer_cpus(spec.threads),
        ..Plan::new(config, spec.threads, volume(spec.time))
    };
    inspector.begin_row(&plan);
    let mut runs = loop {
        inspector.begin_window();
        let runs = throughput(&plan, iterations, inspector.watcher())?;
        let is_wanted = inspector.end_window();
        // Accounts that do not agree are a finding, which another pass would cover up.
        let is_sound = runs.iter().all(|run| run.problems.is_empty() && run.sink_error.is_none());
        if !is_wanted || !is_sound || interrupt::requested() {
            break runs;
        }
    };
    let is_interrupted = interrupt::requested();
    let latencies = if is_paced {
        merged(median(&runs))
    } else if is_interrupted {
        Latencies::default()
    } else {
        let plan = Plan {
            pass: Pass::Latency,
            delivery_sampling: 0,
            idle: None,
            volume: volume(spec.latency_time),
            ..plan.clone()
        };
        let run = load::run(&plan, &crate::watch::Unwatched::default())?;
        let latencies = merged(&run);
        runs.push(run);
        latencies
    };
    let latency_run = if is_paced || is_interrupted { None } else { runs.pop() };
    let floor =
        (spec.floor && !is_interrupted).then(|| floor::measure(BURST, PAUSE, short(FLOOR_TIME))).flatten();

    let mut row = Measured {
        case,
        plan: &plan,
        name: &spec.name,
        median: median(&runs),
        runs: &runs,
        latencies: &latencies,
        latency_run: latency_run.as_ref(),
        floor,
    }
    .row();
    inspector.end_row(&mut row);
    Ok((row.attempted > 0).then_some(row))
}

/// The throughput pass, this many times.
fn throughput(plan: &Plan, iterations: usize, watcher: &dyn Watcher) -> Result<Vec<Run>, Error> {
    let mut runs = Vec::new();
    for _ in 0..iterations {
        runs.push(load::run(plan, watcher)?);
        if interrupt::requested() {
            break;
        }
    }
    Ok(runs)
}

fn merged(run: &Run) -> Latencies {
    let mut all = Latencies::default();
    run.producers.iter().for_each(|worked| all.merge(&worked.latencies));
    all
}

/// The run with the median rate; of two the slower one.
fn median(runs: &[Run]) -> &Run {
    let mut order: Vec<_> = runs.iter().collect();
    order.sort_by(|a, b| a.delivered_per_s().total_cmp(&b.delivered_per_s()));
    order[(order.len() - 1) / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::sink::SinkChoice;

    /// Wants this many windows.
    #[derive(Debug, Default)]
    struct Wants {
        nobody: Nobody,
        wanted: usize,
        windows: usize,
        rows: usize,
    }

    impl Inspector for Wants {
        fn watcher(&self) -> &dyn Watcher {
            self.nobody.watcher()
        }

        fn producer_cpus(&self, _producers: usize) -> Option<Vec<usize>> {
            None
        }

        fn begin_window(&mut self) {
            self.windows += 1;
        }

        fn end_window(&mut self) -> bool {
            self.windows < self.wanted
        }

        fn end_row(&mut self, _row: &mut Row) {
            self.rows += 1;
        }
    }

    fn windows_of(sink: &SinkChoice, wanted: usize) -> (usize, usize, Vec<String>) {
        let options = Options { sink: sink.clone(), messages: Some(200), ..Options::default() };
        let mut inspector = Wants { wanted, ..Wants::default() };
        let spec = RowSpec::new("row", &options);
        let row = measure("case", &spec, &options, 1, &mut inspector).unwrap().unwrap();
        (inspector.windows, inspector.rows, row.problems)
    }

    #[test]
    fn a_window_that_does_not_suffice_is_measured_again_for_one_row() {
        assert_eq!(windows_of(&SinkChoice::Collector, 1), (1, 1, Vec::new()));
        assert_eq!(windows_of(&SinkChoice::Collector, 3), (3, 1, Vec::new()));
    }

    /// What went wrong in a pass must not disappear behind a better one.
    #[test]
    fn a_pass_that_went_wrong_is_not_measured_again() {
        let full = SinkChoice::File("/dev/full".into());
        let (windows, rows, _) = windows_of(&full, 3);
        assert_eq!((windows, rows), (1, 1));
    }
}
