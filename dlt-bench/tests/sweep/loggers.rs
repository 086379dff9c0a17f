//! What ships is swept at some instructions of each state: dlt-logger makes nobody wait, and the controls do.

use std::time::Duration;

use dlt_bench::error::Error;
use dlt_bench::sweep::subjects::{BLOCK, DROP_NEWEST, Dlt, DltWorker, ForcePush, MutexLogger, OVERWRITE};
use dlt_bench::sweep::{Options, SubjectReport, sweep_calls, sweep_worker};
use dlt_logger::hooks;

use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    ("loggers::dlt_logger_drop_newest_is_clean", dlt_logger_drop_newest_is_clean),
    ("loggers::dlt_logger_overwrite_is_clean", dlt_logger_overwrite_is_clean),
    ("loggers::dlt_logger_block_with_timeout_is_clean", dlt_logger_block_with_timeout_is_clean),
    ("loggers::dlt_loggers_worker_is_clean", dlt_loggers_worker_is_clean),
    ("loggers::a_mutex_logger_makes_others_wait", a_mutex_logger_makes_others_wait),
    ("loggers::force_push_makes_others_wait", force_push_makes_others_wait),
];

/// Stops per state.
const SAMPLE: usize = 25;
/// For the loggers in which nobody has to wait.
const WATCHDOG: Duration = Duration::from_secs(2);
/// For those in which somebody does at many stops.
const CONTROL_WATCHDOG: Duration = Duration::from_millis(100);

fn options(watchdog: Duration) -> Options {
    Options { sample: Some(SAMPLE), watchdog, ..Options::default() }
}

fn silent(_: &str, _: usize, _: usize) {}

fn expect_clean(report: &SubjectReport) {
    assert!(report.is_complete);
    for state in &report.states {
        assert_eq!(state.planned, SAMPLE, "{}", state.state);
        assert_eq!(state.violations(), 0, "{}: {:?}", state.state, state.findings);
        assert_eq!(state.made, state.planned, "{}: {:?}", state.state, state.findings);
    }
}

fn expect_stalls(report: &SubjectReport) {
    assert!(report.is_complete);
    for state in &report.states {
        assert!(state.stalled_calls > 0, "{}: {:?}", state.state, state.findings);
        // Who waited goes on when the victim does, and nothing is lost.
        assert_eq!(state.broken, 0, "{}: {:?}", state.state, state.findings);
    }
}

fn calls<const MODE: u8>() -> Result<(), Error> {
    let report = sweep_calls("dlt-logger", &|_| Dlt::<MODE>::new(), &options(WATCHDOG), &mut silent)?;
    assert_eq!(report.states.len(), 10);
    expect_clean(&report);
    Ok(())
}

fn dlt_logger_drop_newest_is_clean() -> Result<(), Error> {
    calls::<DROP_NEWEST>()
}

fn dlt_logger_overwrite_is_clean() -> Result<(), Error> {
    calls::<OVERWRITE>()
}

fn dlt_logger_block_with_timeout_is_clean() -> Result<(), Error> {
    calls::<BLOCK>()
}

fn dlt_loggers_worker_is_clean() -> Result<(), Error> {
    let make = |_: &_| DltWorker::<OVERWRITE>::new();
    let report = sweep_worker("worker", &make, hooks::worker_round(), &options(WATCHDOG), &mut silent)?;
    assert_eq!(report.states.len(), 6);
    expect_clean(&report);
    Ok(())
}

fn a_mutex_logger_makes_others_wait() -> Result<(), Error> {
    // Somebody waits at nearly every instruction.
    let options = Options { sample: Some(10), ..options(CONTROL_WATCHDOG) };
    let report = sweep_calls("mutex", &|_| MutexLogger::new(), &options, &mut silent)?;
    expect_stalls(&report);
    Ok(())
}

fn force_push_makes_others_wait() -> Result<(), Error> {
    let options = options(CONTROL_WATCHDOG);
    let report = sweep_calls("force_push", &|books| ForcePush::new(books), &options, &mut silent)?;
    expect_stalls(&report);
    Ok(())
}
