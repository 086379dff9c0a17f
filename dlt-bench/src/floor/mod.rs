//! The floor: what processor, kernel and sinks allow on this machine. Every other figure can be read as a multiple.
//!
//! | module | what |
//! |---|---|
//! | [`slices`] | operations that are timed in slices, interleaved in rounds |
//! | `cpu` | clocks, memory, atomics, two cores on one line |
//! | `waking` | system calls, futex wake-ups |
//! | `writing` | what a message costs the side that writes it, by sink and layout |
//! | [`report`] | tables, JSON |
//!
//! The floor of a log call itself is [`crate::measure::floor`]: `concurrency-single` measures it beside the call.

mod cpu;
pub mod report;
pub mod slices;
mod waking;
mod writing;

use indicatif::{ProgressBar, ProgressDrawTarget};

use crate::case::registry::Runner;
use crate::config::{Config, Options, SweepOptions};
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::interrupt;
use crate::load::plan::LoggerKind;
use crate::load::sink::SinkChoice;
use crate::measure::clock::Clock;
use crate::report::environment::{Environment, cores};
use crate::report::human::environment;
use crate::report::output::{Outputs, Screen};
use report::{Document, Frame, Row};
use slices::{Measured, Planned};

/// Slices per row unless `--iterations` says otherwise: about 15 s in all.
const SLICES: usize = 25;

/// Is this what is to be run?
///
/// # Errors
/// It is, but together with other cases, or with options that have no effect on it.
pub fn is_asked(config: &Config) -> Result<bool, Error> {
    let is_floor = |runner| matches!(runner, Runner::Floor);
    if !config.cases.iter().any(|case| is_floor(case.runner)) {
        return Ok(false);
    }
    if let Some(other) = config.cases.iter().find(|case| !is_floor(case.runner)) {
        return Err(Error::usage(format!("`{}` cannot be run together with `floor`", other.name))
            .with_hint("their reports have different forms: run them one after the other"));
    }
    let Options { logger, sink, messages, threads, iterations: _, stop_ms, sweep } = &config.options;
    let refused = [
        ("--logger", *logger != LoggerKind::Dlt),
        ("--sink", *sink != SinkChoice::Collector),
        ("--messages", messages.is_some()),
        ("--threads", threads.is_some()),
        ("--stop-ms", stop_ms.is_some()),
        ("--profile", config.profile),
        ("an option of sweeps", *sweep != SweepOptions::default()),
    ];
    match refused.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(Error::usage(format!("{option} has no effect on `floor`"))
            .with_hint("it calls no logger; --iterations sets the slices per row")),
        None => Ok(true),
    }
}

/// Measures everything and reports.
///
/// # Errors
/// A sink that cannot be made or written; a report that cannot be written.
pub fn run(config: &Config, outputs: Outputs) -> Result<ExitCode, Error> {
    let slices = config.options.iterations.unwrap_or(SLICES);
    let frame = writing::frame()?;
    let sizes = Frame { stream_bytes: frame.len(), file_bytes: writing::stored(&frame).len() };
    let mut document = Document::new(Environment::read(false), slices, sizes);
    let mut screen = outputs.screen();
    screen.print(&environment(&document.environment, "none", "the sinks below"));

    let mut rows = cpu::rows();
    rows.extend(waking::rows()?);
    rows.extend(writing::rows(&frame)?);
    let measured = measure(&mut rows, slices)?;
    document.rows =
        rows.iter().zip(&measured).map(|(planned, measured)| Row::new(planned, measured)).collect();
    document.finish(interrupt::requested(), cores());
    screen.print(&report::text(&document));
    let code = if document.interrupted { ExitCode::Interrupted } else { ExitCode::Pass };
    for file in outputs.write(&document)? {
        screen.print(&format!("report    {}\n", file.display()));
    }
    Ok(code)
}

/// Round after round, a slice of each row: what disturbs the machine for a while disturbs all of them.
fn measure(rows: &mut [Planned], slices: usize) -> Result<Vec<Measured>, Error> {
    Clock::get();
    let mut measured: Vec<Measured> = rows.iter().map(|_| Measured::default()).collect();
    let progress = if Screen::shows_progress() {
        ProgressBar::with_draw_target(Some(slices as u64), ProgressDrawTarget::stderr())
    } else {
        ProgressBar::hidden()
    };
    for (row, measured) in rows.iter_mut().zip(&mut measured) {
        if interrupt::requested() {
            break;
        }
        row.calibrate(measured)?;
    }
    for _ in 0..slices {
        for (row, measured) in rows.iter_mut().zip(&mut measured) {
            if interrupt::requested() {
                break;
            }
            row.slice(measured)?;
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(measured)
}
