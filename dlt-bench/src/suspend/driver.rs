//! All sections of all cases, and the report.

use super::document::{Document, Request};
use super::row::Row;
use super::{Scene, Section, human};
use crate::case::registry::{Case, Runner, Sweep};
use crate::config::{Config, Options, SweepOptions};
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::interrupt;
use crate::load::plan::LoggerKind;
use crate::load::sink::SinkChoice;
use crate::report::document::CaseReport;
use crate::report::environment::Environment;
use crate::report::human as common;
use crate::report::output::{Outputs, Screen};

/// What is to be run.
#[derive(Debug)]
pub struct Prepared {
    sections: Vec<Section>,
    sweep: Sweep,
}

/// The sections of the cases, if suspend cases are what is to be run.
///
/// # Errors
/// Both kinds of cases, or options that have no effect on what was named.
pub fn prepare(config: &Config) -> Result<Option<Prepared>, Error> {
    let parts_of = |case: &&'static Case| match case.runner {
        Runner::Suspend(sections, sweep) => Some((sections, sweep)),
        Runner::Rows(_) | Runner::Floor | Runner::Compare(..) => None,
    };
    let parts: Vec<_> = config.cases.iter().filter_map(parts_of).collect();
    let Some(sweep) = parts.iter().map(|&(_, sweep)| sweep).max() else {
        return match given(config).first() {
            None => Ok(None),
            Some(option) => Err(Error::usage(format!(
                "{option} has no effect here: it is an option of the suspend cases"
            ))),
        };
    };
    let sections: Vec<Section> = parts.iter().flat_map(|&(sections, _)| sections).copied().collect();
    if let Some(case) = config.cases.iter().find(|case| parts_of(case).is_none()) {
        return Err(Error::usage(format!("`{}` cannot be run together with suspend cases", case.name))
            .with_hint("their reports have different forms: run them one after the other"));
    }
    refuse_what_has_no_effect(config)?;
    for section in &sections {
        check(section, &config.options)?;
    }
    check_sweep(config, sweep, sections.is_empty())?;
    Ok(Some(Prepared { sections, sweep }))
}

/// Options that only suspend cases have, as far as they are given.
fn given(config: &Config) -> Vec<&'static str> {
    let Options { stop_ms, sweep, .. } = &config.options;
    let SweepOptions { sample, seed, only, every_turn } = sweep;
    let all = [
        ("--stop-ms", stop_ms.is_some()),
        ("--sample", sample.is_some()),
        ("--seed", seed.is_some()),
        ("--only", only.is_some()),
        ("--every-turn", *every_turn),
    ];
    all.iter().filter(|(_, is_given)| *is_given).map(|(option, _)| *option).collect()
}

fn check_sweep(config: &Config, sweep: Sweep, is_alone: bool) -> Result<(), Error> {
    let no_effect = |option: &str| Err(Error::usage(format!("{option} has no effect on what is to be run")));
    let given = given(config);
    if sweep == Sweep::Not {
        return given
            .iter()
            .find(|option| **option != "--stop-ms")
            .map_or(Ok(()), |option| no_effect(option));
    }
    #[cfg(target_arch = "x86_64")]
    crate::sweep::driver::check(&config.options.sweep)?;
    match (is_alone, config.options.threads, config.options.logger) {
        (true, Some(_), _) => no_effect("--threads"),
        (true, _, logger) if logger != LoggerKind::Dlt => no_effect("--logger"),
        _ if is_alone && given.contains(&"--stop-ms") => no_effect("--stop-ms"),
        _ => Ok(()),
    }
}

#[cfg(target_arch = "x86_64")]
fn sweep(config: &Config, sweep: Sweep, screen: &mut Screen) -> Result<(serde_json::Value, ExitCode), Error> {
    let is_sampled = sweep == Sweep::Sample;
    let swept = crate::sweep::driver::run(&config.options.sweep, is_sampled, config.out.as_deref(), screen)?;
    let value = serde_json::to_value(&swept)
        .map_err(|error| Error::failed(format!("failed to make the JSON report: {error}")))?;
    Ok((value, swept.status.exit_code()))
}

/// It needs registers and breakpoints of another thread, which are known for x86-64 only.
#[cfg(not(target_arch = "x86_64"))]
fn sweep(_: &Config, _: Sweep, _: &mut Screen) -> Result<(serde_json::Value, ExitCode), Error> {
    Err(Error::cannot_run("a sweep needs breakpoints, which are implemented for x86-64 only"))
}

fn refuse_what_has_no_effect(config: &Config) -> Result<(), Error> {
    let Options { logger: _, sink, messages, threads: _, iterations, stop_ms: _, sweep: _ } = &config.options;
    let refused = [
        (
            "--sink",
            *sink != SinkChoice::Collector,
            "each stream has a receiver of its own, which can be held",
        ),
        ("--messages", messages.is_some(), "threads log until the case ends"),
        ("--iterations", iterations.is_some(), "a stop is made once; run the case again"),
        ("--profile", config.profile, "the kernel probe is loaded by itself where privileges allow it"),
    ];
    match refused.iter().find(|(_, is_given, _)| *is_given) {
        Some((option, _, reason)) => {
            Err(Error::usage(format!("{option} has no effect on suspend cases: {reason}")))
        }
        None => Ok(()),
    }
}

fn check(section: &Section, options: &Options) -> Result<(), Error> {
    let Section { case, least_threads, takes_logger, .. } = section;
    if let Some(threads) = options.threads.filter(|threads| threads < least_threads) {
        return Err(Error::usage(format!("{case} needs {least_threads} threads at least, not {threads}")));
    }
    if options.logger != LoggerKind::Dlt && !takes_logger {
        return Err(Error::usage(format!(
            "--logger has no effect on {case}: its stops are made for the loggers that it names itself"
        )));
    }
    Ok(())
}

/// Runs everything. Prints what happens as it does, and tables as they come.
///
/// # Errors
/// Only what keeps the report from being written; what goes wrong in a section is in the report.
pub fn run(config: &Config, prepared: &Prepared, outputs: Outputs) -> Result<ExitCode, Error> {
    // A value that is not accepted is found before anything runs.
    dlt_logger::Config::from_env()?;
    let mut document = Document::new(Environment::read(nix::unistd::geteuid().is_root()), request(config));
    let mut screen = outputs.screen();
    let sink = "a receiver for each stream";
    screen.print(&common::environment(&document.environment, document.request.logger, sink));
    let mut errors = ExitCode::Pass;
    for section in &prepared.sections {
        if interrupt::requested() || (screen.is_closed() && !outputs.has_files()) {
            break;
        }
        screen.print(&format!("\n{}\n", section.title));
        let mut scene = Scene { options: &config.options, screen: &mut screen };
        match (section.run)(&mut scene) {
            Ok(rows) => {
                screen.print(&human::section(&rows));
                document.rows.extend(rows);
            }
            Err(_) if interrupt::requested() => break,
            Err(error) => {
                errors = errors.and(error.exit_code());
                document.errors.push(format!("{}: {error}", section.case));
            }
        }
        document.cases.push(CaseReport {
            name: section.case.to_owned(),
            title: section.title.to_owned(),
            conclusions: Vec::new(),
        });
    }
    if prepared.sweep != Sweep::Not && !interrupt::requested() {
        match sweep(config, prepared.sweep, &mut screen) {
            Ok((report, code)) => {
                errors = errors.and(code);
                document.sweep = Some(report);
            }
            Err(error) => {
                errors = errors.and(error.exit_code());
                document.errors.push(format!("suspend-sweep: {error}"));
            }
        }
    }
    document.interrupted = interrupt::requested();
    document.environment.probe = document.rows.iter().any(Row::was_watched);
    let code = document.finish(errors);
    screen.print(&human::closing(&document));
    for file in outputs.write(&document)? {
        screen.print(&format!("report    {}\n", file.display()));
    }
    Ok(code)
}

fn request(config: &Config) -> Request {
    Request {
        cases: config.cases.iter().map(|case| case.name.to_owned()).collect(),
        logger: config.options.logger.name(),
        threads: config.options.threads,
        stop_ms: config.options.stop_ms,
    }
}
