//! The cases: what is to be compared, all rounds, tables, report.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::document::{ContenderReport, Document, Request};
use super::job::Measure;
use super::plan::{self, Section};
use super::row::{self, REFERENCE, Row, is_ours};
use super::run::{self, Answers, Rounds, Spec};
use super::sink::Folder;
use super::stops::{self, StopsRow};
use super::{human, plot};
use crate::case::registry::{Runner, Stops};
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

/// Name of the picture in the folder of `--out`.
const PLOT_NAME: &str = "compare.svg";

/// All that is measured fits this time, with fewer rounds if need be. What is promised are 10 minutes.
const BUDGET: Duration = Duration::from_secs(530);

/// What is to be compared.
#[derive(Debug)]
pub struct Prepared {
    sections: Vec<Section>,
    contenders: Vec<String>,
    /// Threads are stopped as well.
    stops: bool,
}

/// The sections of the cases, if compare cases are what is to be run.
///
/// # Errors
/// Cases of other kinds besides, options that have no effect, or a build without the other loggers.
pub fn prepare(config: &Config) -> Result<Option<Prepared>, Error> {
    let mut sections: Vec<Section> = Vec::new();
    let mut other = None;
    let mut stops = false;
    for case in &config.cases {
        match case.runner {
            Runner::Compare(parts, of_case) => {
                stops |= of_case == Stops::Sample;
                let is_new = |part: &&Section| !sections.iter().any(|known| known.case == part.case);
                let parts: Vec<Section> = parts.iter().filter(is_new).copied().collect();
                sections.extend(parts);
            }
            Runner::Rows(_) | Runner::Suspend(..) | Runner::Floor => other = Some(case.name),
        }
    }
    if sections.is_empty() && !stops {
        return Ok(None);
    }
    if let Some(other) = other {
        return Err(Error::usage(format!("`{other}` cannot be run together with compare cases"))
            .with_hint("their reports have different forms: run them one after the other"));
    }
    refuse_what_has_no_effect(config, stops)?;
    let contenders = chosen(names()?, config.options.sweep.only.as_deref())?;
    Ok(Some(Prepared { sections, contenders, stops }))
}

/// All contenders of this build.
#[cfg(feature = "peers")]
#[expect(clippy::unnecessary_wraps, reason = "without them it is an error")]
fn names() -> Result<Vec<String>, Error> {
    Ok(dlt_peers::NAMES.iter().map(|name| (*name).to_owned()).collect())
}

#[cfg(not(feature = "peers"))]
fn names() -> Result<Vec<String>, Error> {
    Err(without_peers())
}

/// Why this build compares nothing.
pub fn without_peers() -> Error {
    Error::cannot_run("this build of dlt-bench does not hold the loggers that dlt-logger is compared with")
        .with_hint("build it with them: `cargo build --release -p dlt-bench --features peers`")
}

/// Those with this in their name, and what they are compared with.
fn chosen(all: Vec<String>, only: Option<&str>) -> Result<Vec<String>, Error> {
    let Some(only) = only else { return Ok(all) };
    if !all.iter().any(|name| name.contains(only)) {
        return Err(Error::usage(format!("no contender has `{only}` in its name"))
            .with_hint(format!("there are {}", all.join(", "))));
    }
    Ok(all.into_iter().filter(|name| name.contains(only) || name == REFERENCE).collect())
}

fn refuse_what_has_no_effect(config: &Config, stops: bool) -> Result<(), Error> {
    let Options { logger, sink, messages: _, threads, iterations: _, stop_ms, sweep } = &config.options;
    let SweepOptions { sample, seed: _, only: _, every_turn } = sweep;
    let refused = [
        ("--sink", *sink != SinkChoice::Collector, "all contenders write to a file in memory"),
        ("--logger", *logger != LoggerKind::Dlt, "--only TEXT chooses contenders"),
        ("--threads", threads.is_some(), "the number of producers belongs to the measurement"),
        ("--profile", config.profile, "compare-kernel loads the probe by itself where privileges allow it"),
        ("--stop-ms", stop_ms.is_some(), "it is an option of the suspend cases"),
        ("--sample", sample.is_some() && !stops, "it is an option of sweeps"),
        ("--every-turn", *every_turn, "it is an option of sweeps"),
    ];
    match refused.iter().find(|(_, is_given, _)| *is_given) {
        Some((option, _, reason)) => {
            Err(Error::usage(format!("{option} has no effect on compare cases: {reason}")))
        }
        None => Ok(()),
    }
}

/// Runs everything and prints the tables.
///
/// # Errors
/// Only what keeps it from beginning or the report from being written; what goes wrong with a contender is in the report.
pub fn run(config: &Config, prepared: &Prepared, outputs: Outputs) -> Result<ExitCode, Error> {
    let begin = Instant::now();
    let folder = Folder::new().map_err(|error| {
        Error::cannot_run(format!("failed to make a folder for what contenders write: {error}"))
    })?;
    let seed = config.options.sweep.seed.unwrap_or_else(crate::measure::clock::monotonic_ns);
    let mut document = Document::new(Environment::read(false), request(config, seed, folder.description()));
    let cells = plan::cells(&prepared.sections);
    let spec = Spec {
        messages: config.options.messages,
        ..Spec::new(folder.path(), prepared.contenders.clone(), cells, seed)
    };
    let spec = match config.options.iterations {
        Some(rounds) => Spec { rounds: Rounds::Fixed(rounds), ..spec },
        None if prepared.stops => spec.within(BUDGET.saturating_sub(stops::most(prepared.contenders.len()))),
        None => spec.within(BUDGET),
    };
    let mut screen = outputs.screen();
    let who = format!("{} contenders", spec.contenders.len());
    screen.print(&common::environment(&document.environment, &who, &document.request.sink));
    if !spec.cells.is_empty() {
        measure(&spec, &prepared.sections, &mut document, &mut screen, &outputs);
    }
    if prepared.stops && !interrupt::requested() {
        let sample = config.options.sweep.sample.unwrap_or(stops::SAMPLE);
        let rows = stopped(&prepared.contenders, sample, folder.path());
        stops::conclude(rows, &mut document);
        screen.print(&stops::human(&document));
    }
    document.interrupted = interrupt::requested();
    document.environment.probe = document.rows.iter().any(was_watched);
    document.duration_s = (begin.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    warn_about_figures(&mut document);
    let code = document.finish();
    screen.print(&human::closing(&document));
    if let Some(path) = draw(config.out.as_deref(), &spec.contenders, &document)? {
        screen.print(&format!("picture   {}\n", path.display()));
    }
    for file in outputs.write(&document)? {
        screen.print(&format!("report    {}\n", file.display()));
    }
    Ok(code)
}

/// All rounds, and the tables.
fn measure(
    spec: &Spec,
    sections: &[Section],
    document: &mut Document,
    screen: &mut Screen,
    outputs: &Outputs,
) {
    screen.print(&format!(
        "{} measurements of each, by plan {} s in all\n",
        spec.cells.len(),
        spec.planned().as_secs()
    ));
    let answers = measured(spec, screen, outputs);
    document.rows = row::rows(&spec.contenders, &spec.cells, &answers);
    document.contenders = contenders(&spec.contenders, &answers);
    screen.print(&human::contenders(&document.contenders));
    screen.print(&human::legend());
    for section in sections {
        screen.print(&human::section(section, &spec.contenders, &document.rows));
        let conclusions = conclude(section, &spec.contenders, document);
        for line in &conclusions {
            screen.print(&format!("{line}\n"));
        }
        document.cases.push(CaseReport {
            name: section.case.to_owned(),
            title: section.title.to_owned(),
            conclusions,
        });
    }
}

fn stopped(contenders: &[String], sample: usize, folder: &Path) -> Vec<StopsRow> {
    let bar = progress_bar(None);
    let rows = stops::run(contenders, sample, folder, &mut |name, done, planned| {
        bar.set_length(planned as u64);
        bar.set_position(done as u64);
        bar.set_message(format!("stops, {name}"));
    });
    bar.finish_and_clear();
    rows
}

/// No thread of its own draws it: processes under test are forked, for which this one has to have one thread.
fn progress_bar(length: Option<u64>) -> ProgressBar {
    let bar = if Screen::shows_progress() {
        ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr())
    } else {
        ProgressBar::hidden()
    };
    let style = ProgressStyle::with_template("{bar:30} {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn request(config: &Config, seed: u64, sink: String) -> Request {
    Request {
        cases: config.cases.iter().map(|case| case.name.to_owned()).collect(),
        only: config.options.sweep.only.clone(),
        iterations: config.options.iterations,
        messages: config.options.messages,
        seed,
        sink,
    }
}

fn measured(spec: &Spec, screen: &mut Screen, outputs: &Outputs) -> Answers {
    let whole_ms = spec.planned().as_millis() as u64;
    let bar = progress_bar(Some(whole_ms));
    let answers = run::run(spec, &mut |label: &str, done: Duration| {
        bar.inc(done.as_millis() as u64);
        let left_s = whole_ms.saturating_sub(bar.position()).div_ceil(1000);
        bar.set_message(format!("{label}, about {left_s} s left"));
        // With nobody left to read and no file to write, the rest would be measured for nothing.
        !interrupt::requested() && (!screen.is_closed() || outputs.has_files())
    });
    bar.finish_and_clear();
    answers
}

fn contenders(names: &[String], answers: &Answers) -> Vec<ContenderReport> {
    let of = |name: &String| {
        let mut own: Vec<_> = answers.iter().filter(|((contender, _), _)| contender == name).collect();
        own.sort_by_key(|((_, cell), _)| (cell.producers, *cell));
        let measured = |answer: &super::answer::Answer| match answer {
            super::answer::Answer::Measured(measured) => Some(measured.configuration.clone()),
            _ => None,
        };
        let mut configurations: Vec<String> = Vec::new();
        for configuration in own.into_iter().flat_map(|(_, answers)| answers).filter_map(measured) {
            if !configurations.contains(&configuration) {
                configurations.push(configuration);
            }
        }
        ContenderReport { name: name.clone(), is_dlt_logger: is_ours(name), configurations }
    };
    names.iter().map(of).collect()
}

/// Who is first in what.
fn conclude(section: &Section, contenders: &[String], document: &mut Document) -> Vec<String> {
    let columns = section.tables.iter().flat_map(|table| table.columns);
    let mut lines = Vec::new();
    for column in columns {
        let ranking = row::ranking(section.case, contenders, &document.rows, column);
        if let Some(ranking) = ranking {
            lines.push(human::conclusion(&ranking, column));
            document.rankings.push(ranking);
        }
    }
    lines
}

/// By the probe.
fn was_watched(row: &Row) -> bool {
    matches!(row.cell.measure, Measure::KernelBursts | Measure::KernelFull) && row.rounds > 0
}

fn warn_about_figures(document: &mut Document) {
    let env = &document.environment;
    if let Some(load) = env.load_before.filter(|&load| load > env.cores as f64 / 2.0) {
        document.warnings.push(format!(
            "the machine was busy before the run (load {load:.2} on {} cores): end what else runs and repeat",
            env.cores
        ));
    }
    if !document.environment.build_profile.starts_with("release") {
        document
            .warnings
            .push("built without optimisation: build with `cargo build --release` for figures".to_owned());
    }
}

fn draw(out: Option<&Path>, contenders: &[String], document: &Document) -> Result<Option<PathBuf>, Error> {
    let Some(folder) = out else { return Ok(None) };
    let Some(text) = plot::svg(contenders, &document.environment, &document.rows) else { return Ok(None) };
    let path = folder.join(PLOT_NAME);
    std::fs::write(&path, text)
        .map_err(|error| Error::failed(format!("failed to write `{}`: {error}", path.display())))?;
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_keeps_what_is_compared_with() {
        let all = || [REFERENCE, "dlt-logger-drop", "one", "another"].map(str::to_owned).to_vec();
        assert_eq!(chosen(all(), None).unwrap().len(), 4);
        assert_eq!(chosen(all(), Some("other")).unwrap(), [REFERENCE, "another"]);
        let error = chosen(all(), Some("none")).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Usage);
        assert!(error.to_string().contains("dlt-logger-drop, one"), "{error}");
    }
}
