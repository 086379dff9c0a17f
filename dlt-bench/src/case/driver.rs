//! All rows of all cases, and the report.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::measure::{Inspector, configuration, measure};
use super::spec::{RowSpec, Section};
use crate::config::Config;
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::interrupt;
use crate::report::document::{CaseReport, Request};
use crate::report::environment::{Environment, cores};
use crate::report::human::{self, Extra};
use crate::report::output::{Outputs, Screen};
use crate::report::{Document, Row, Status};

/// What is to be run, checked.
#[derive(Debug)]
pub struct Prepared {
    sections: Vec<(Section, usize)>,
    warnings: Vec<String>,
}

/// Checks everything that can be checked before any case runs: the environment's variables against every row, and
/// whether the sink can be reached.
///
/// # Errors
/// A variable or the sink is not usable.
pub fn prepare(config: &Config) -> Result<Prepared, Error> {
    let options = &config.options;
    let mut warnings: Vec<String> = Vec::new();
    let mut sections = Vec::new();
    for case in &config.cases {
        let iterations = options.iterations.unwrap_or(case.iterations);
        for section in case.sections(options) {
            for row in &section.rows {
                let (_, ignored) = configuration(row)?;
                let texts =
                    ignored.iter().map(|warning| format!("{} / {}: {warning}", section.case, row.name));
                warnings.extend(texts.filter(|text| !warnings.contains(text)).collect::<Vec<_>>());
                if let Some(threads) =
                    options.threads.filter(|&n| n != row.threads && section.extra != Extra::Scale)
                {
                    let text = format!("{}: --threads {threads} has no effect here", section.case);
                    if !warnings.contains(&text) {
                        warnings.push(text);
                    }
                }
            }
            sections.push((section, iterations));
        }
    }
    options.sink.check()?;
    Ok(Prepared { sections, warnings })
}

/// Runs everything. Prints tables as they come.
///
/// # Errors
/// Only what keeps the report from being written; what goes wrong in a row is in the report.
pub fn run(
    config: &Config,
    prepared: Prepared,
    inspector: &mut dyn Inspector,
    outputs: Outputs,
) -> Result<ExitCode, Error> {
    let mut document = Document::new(Environment::read(config.profile), request(config));
    document.warnings = prepared.warnings;
    let mut screen = outputs.screen();
    screen.print(&human::environment(&document.environment, document.request.logger, &document.request.sink));
    let progress = Progress::new(&prepared.sections, config.options.messages.is_none());
    for (section, iterations) in &prepared.sections {
        let first = document.rows.len();
        for spec in &section.rows {
            if must_end(&screen, &outputs) || !document.errors.is_empty() {
                break;
            }
            progress.begin(section.case, spec);
            match measure(section.case, spec, &config.options, *iterations, inspector) {
                Ok(row) => document.rows.extend(row),
                Err(error) => document.errors.push(format!("{} / {}: {error}", section.case, spec.name)),
            }
            progress.end(spec, *iterations);
        }
        if document.rows.len() > first {
            let report = conclude(section, &mut document.rows[first..]);
            let text = human::tables(&section.title, &document.rows[first..], section.extra);
            progress.bar.suspend(|| screen.print(&(text + &lines(&report.conclusions))));
            document.cases.push(report);
        }
    }
    progress.bar.finish_and_clear();
    warn_about_figures(&mut document);
    document.interrupted = interrupt::requested();
    let (audit, verdict) = inspector.finish();
    document.audit = audit;
    let code = document.finish(verdict);
    screen.print(&inspector.closing());
    screen.print(&human::closing(&document));
    let files = outputs.write(&document)?;
    for file in files {
        screen.print(&format!("report    {}\n", file.display()));
    }
    Ok(code)
}

fn must_end(screen: &Screen, outputs: &Outputs) -> bool {
    // With nobody left to read and no file to write, the rest would be measured for nothing.
    interrupt::requested() || (screen.is_closed() && !outputs.has_files())
}

fn lines(conclusions: &[String]) -> String {
    conclusions.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// Fills in what compares rows with each other, and says what follows.
fn conclude(section: &Section, rows: &mut [Row]) -> CaseReport {
    if section.extra == Extra::Scale {
        compare_with_one_thread(rows);
    }
    CaseReport {
        name: section.case.to_owned(),
        title: section.title.clone(),
        conclusions: (section.conclude)(rows),
    }
}

fn compare_with_one_thread(rows: &mut [Row]) {
    let one = rows.iter().find(|row| row.threads == 1).map(|row| row.throughput_msgs_per_s as f64);
    let Some(one) = one.filter(|&rate| rate > 0.0) else { return };
    for row in rows {
        let speed_up = row.throughput_msgs_per_s as f64 / one;
        row.speed_up = Some((speed_up * 1e3).round() / 1e3);
        row.efficiency = Some((speed_up / row.threads.min(cores()) as f64 * 1e3).round() / 1e3);
        row.null_because.remove("speed_up");
        row.null_because.remove("efficiency");
    }
}

/// What makes figures doubtful, and what to do about it.
fn warn_about_figures(document: &mut Document) {
    let env = &document.environment;
    let mut warnings = Vec::new();
    if let Some(load) = env.load_before.filter(|&load| load > env.cores as f64 / 2.0) {
        warnings.push(format!(
            "the machine was busy before the run (load {load:.2} on {} cores): figures are lower than they could be; \
             end what else runs and repeat",
            env.cores
        ));
    }
    if !env.build_profile.starts_with("release") {
        warnings
            .push("built without optimisation: build with `cargo build --release` for figures".to_owned());
    }
    if let Some(governor) = env.governor.as_ref().filter(|governor| *governor != "performance") {
        warnings.push(format!(
            "the frequency governor is `{governor}`: for figures that repeat, `cpupower frequency-set -g performance`"
        ));
    }
    let spread = document.rows.iter().filter(|row| {
        let [least, most] = row.throughput_range_msgs_per_s;
        row.status == Status::Ok && most as f64 > least as f64 * 1.3
    });
    let names: Vec<_> = spread.map(|row| format!("{} / {}", row.case, row.name)).collect();
    if !names.is_empty() {
        warnings.push(format!(
            "rates differ by more than 30 % between the repetitions of {}: repeat with more --iterations",
            names.join(", ")
        ));
    }
    for warning in warnings {
        document.warn(warning);
    }
}

fn request(config: &Config) -> Request {
    let options = &config.options;
    Request {
        cases: config.cases.iter().map(|case| case.name.to_owned()).collect(),
        logger: options.logger.name(),
        sink: options.sink.name(),
        messages: options.messages,
        threads: options.threads,
        iterations: options.iterations,
        profile: config.profile,
    }
}

/// Progress on a terminal, in the time that rows take by plan.
struct Progress {
    bar: ProgressBar,
    /// False where rows count messages: nobody knows how long these take.
    is_timed: bool,
}

impl Progress {
    fn new(sections: &[(Section, usize)], is_timed: bool) -> Self {
        let planned = sections
            .iter()
            .flat_map(|(section, iterations)| section.rows.iter().map(|row| row.planned(*iterations)));
        let whole_ms = planned.sum::<Duration>().as_millis() as u64;
        let bar = if Screen::shows_progress() {
            ProgressBar::with_draw_target(Some(whole_ms), ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{bar:30} {msg}");
        Self { bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())), is_timed }
    }

    fn begin(&self, case: &str, spec: &RowSpec) {
        let left_s = self.bar.length().unwrap_or_default().saturating_sub(self.bar.position()).div_ceil(1000);
        let left = if self.is_timed { format!(", about {left_s} s left") } else { String::new() };
        self.bar.set_message(format!("{case} / {}{left}", spec.name));
    }

    fn end(&self, spec: &RowSpec, iterations: usize) {
        self.bar.inc(spec.planned(iterations).as_millis() as u64);
    }
}
