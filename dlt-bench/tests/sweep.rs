//! The sweep finds what is wrong with broken rings and nothing wrong with sound ones, and leaves nothing behind.
//!
//! Without the usual harness: a sweep forks, for which the process must have one thread.
#![cfg_attr(
    target_arch = "x86_64",
    expect(clippy::unwrap_used, reason = "helpers of tests are tests as well")
)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "says what the usual harness says")]

#[cfg(target_arch = "x86_64")]
#[path = "broken/mod.rs"]
mod broken;
#[cfg(target_arch = "x86_64")]
#[path = "sweep/endings.rs"]
mod endings;
#[cfg(target_arch = "x86_64")]
#[path = "sweep/faults.rs"]
mod faults;
#[path = "sweep/harness.rs"]
mod harness;
#[cfg(target_arch = "x86_64")]
#[path = "suite/left_behind.rs"]
mod left_behind;
#[cfg(target_arch = "x86_64")]
#[path = "sweep/loggers.rs"]
mod loggers;

use std::process::ExitCode;

#[cfg(target_arch = "x86_64")]
fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(endings::SWEEP) {
        return endings::sweep();
    }
    harness::run(&[faults::TESTS, endings::TESTS, loggers::TESTS].concat())
}

#[cfg(not(target_arch = "x86_64"))]
fn main() -> ExitCode {
    harness::run(&[("sweep", || Err(dlt_bench::error::Error::cannot_run("the sweep is for x86-64")))])
}
