//! All sections of all cases, and the report.

use super::document::{Document, Request};
use super::row::Row;
use super::{Scene, Section, human};
use crate::case::registry::{Case, Runner};
use crate::config::{Config, Options};
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::interrupt;
use crate::load::plan::LoggerKind;
use crate::load::sink::SinkChoice;
use crate::report::document::CaseReport;
use crate::report::environment::Environment;
use crate::report::human as common;
use crate::report::output::Outputs;

/// The sections of the cases, if suspend cases are what is to be run.
///
/// # Errors
/// Both kinds of cases, or options that have no effect on what was named.
pub fn prepare(config: &Config) -> Result<Option<Vec<Section>>, Error> {
    let sections_of = |case: &&'static Case| match case.runner {
        Runner::Suspend(sections) => Some(sections),
        Runner::Rows(_) => None,
    };
    let sections: Vec<Section> = config.cases.iter().filter_map(sections_of).flatten().copied().collect();
    if sections.is_empty() {
        return match config.options.stop_ms {
            None => Ok(None),
            Some(_) => {
                Err(Error::usage("--stop-ms has no effect here: it is an option of the suspend cases"))
            }
        };
    }
    if let Some(case) = config.cases.iter().find(|case| sections_of(case).is_none()) {
        return Err(Error::usage(format!("`{}` cannot be run together with suspend cases", case.name))
            .with_hint("their reports have different forms: run them one after the other"));
    }
    refuse_what_has_no_effect(config)?;
    for section in &sections {
        check(section, &config.options)?;
    }
    Ok(Some(sections))
}

fn refuse_what_has_no_effect(config: &Config) -> Result<(), Error> {
    let Options { logger: _, sink, messages, threads: _, iterations, stop_ms: _ } = &config.options;
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
pub fn run(config: &Config, sections: &[Section], outputs: Outputs) -> Result<ExitCode, Error> {
    // A value that is not accepted is found before anything runs.
    dlt_logger::Config::from_env()?;
    let mut document = Document::new(Environment::read(nix::unistd::geteuid().is_root()), request(config));
    let mut screen = outputs.screen();
    let sink = "a receiver for each stream";
    screen.print(&common::environment(&document.environment, document.request.logger, sink));
    let mut errors = ExitCode::Pass;
    for section in sections {
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
