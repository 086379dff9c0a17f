//! The sweep as part of a run of suspend cases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::finding::{Finding, StateReport, SubjectReport};
use super::jobs::{Expected, JOBS, Job, Victim};
use super::outcome::{Outcome, Stalled};
use super::plot::{self, Panel};
use super::report::{Sweep, stopped_at};
use super::run::Options;
use super::{human, subjects};
use crate::code::Image;
use crate::config::SweepOptions;
use crate::error::Error;
use crate::interrupt;
use crate::report::output::Screen;

/// Stops per state in a sampled sweep.
const SAMPLE: usize = 25;
/// Pairs of stops of two victims per state.
const PAIRS: usize = 20;
/// The same in a sampled sweep.
const SAMPLED_PAIRS: usize = 2;
/// Name of the plot in the folder of `--out`.
const PLOT_NAME: &str = "sweep.svg";

fn jobs(request: &SweepOptions) -> Vec<&'static Job> {
    let only = request.only.as_deref().unwrap_or_default().to_lowercase();
    JOBS.iter().filter(|job| job.name.to_lowercase().contains(&only)).collect()
}

/// Checks what can be checked before anything runs.
///
/// # Errors
/// No subject has such a name.
pub fn check(request: &SweepOptions) -> Result<(), Error> {
    if jobs(request).is_empty() {
        let names: Vec<_> = JOBS.iter().map(|job| job.name).collect();
        let only = request.only.as_deref().unwrap_or_default();
        return Err(Error::usage(format!("no subject of the sweep has `{only}` in its name"))
            .with_hint(format!("there are: {}", names.join("; "))));
    }
    Ok(())
}

/// Sweeps everything, a sample or all. Prints tables as they come, and leaves a plot in `out`.
///
/// # Errors
/// ptrace is refused, or a process under test cannot be controlled.
pub fn run(
    request: &SweepOptions,
    is_sampled: bool,
    out: Option<&Path>,
    screen: &mut Screen,
) -> Result<Sweep, Error> {
    let begin = Instant::now();
    let sample = request.sample.or(is_sampled.then_some(SAMPLE));
    let options = Options {
        sample,
        every_occurrence: request.every_turn,
        seed: request.seed.unwrap_or(1),
        pairs: if sample.is_some() { SAMPLED_PAIRS } else { PAIRS },
        ..Options::default()
    };
    let image = Image::of_this_process()?;
    let mut sweep = Sweep::new(sample, options.seed);
    let mut stopped: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    let mut panels = Vec::new();
    for job in jobs(request) {
        if interrupt::requested() {
            break;
        }
        let bar = progress_bar();
        let report = job.run(&options, &mut |state, done, planned| {
            bar.set_length(planned as u64);
            bar.set_position(done as u64);
            bar.set_message(format!("{}, {state}", job.name));
        })?;
        bar.finish_and_clear();
        sweep.add(job, &report, &image)?;
        sweep.subjects.last().into_iter().for_each(|row| screen.print(&human::subject(row)));
        stopped.entry(job.code).or_default().extend(stopped_at(&report));
        panels.extend(panel(job, &report));
    }
    for (code, entry) in [("log call", subjects::log_call_address()), ("worker's round", worker_round())] {
        if let Some(stopped) = stopped.get(code) {
            sweep.cover(code, entry, stopped, &image)?;
        }
    }
    sweep.is_complete = !interrupt::requested();
    sweep.duration_s = begin.elapsed().as_secs_f64();
    screen.print(&human::closing(&sweep));
    if let Some(folder) = out {
        let path = folder.join(PLOT_NAME);
        let watchdog = JOBS.iter().filter(|job| job.expected == Expected::Stalls).map(Job::watchdog).max();
        let title = "A thread stopped at every instruction of its call: how long the others took";
        let svg = plot::svg(title, watchdog.unwrap_or_default().as_nanos() as u64, &panels);
        std::fs::write(&path, svg)
            .map_err(|error| Error::failed(format!("failed to write `{}`: {error}", path.display())))?;
        screen.print(&format!("plot      {}\n", path.display()));
    }
    Ok(sweep)
}

fn worker_round() -> u64 {
    dlt_logger::hooks::worker_round() as u64
}

fn progress_bar() -> ProgressBar {
    let bar = if Screen::shows_progress() {
        // No thread of its own draws it: this process has to have one thread.
        ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr())
    } else {
        ProgressBar::hidden()
    };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} stops, {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The stops of a subject's calls in a picture: the states with ordinary ways, beside which the rest is of another scale.
fn panel(job: &Job, report: &SubjectReport) -> Option<Panel> {
    let shortest = report.states.iter().map(|state| state.way.len()).min()?;
    let ordinary = report.states.iter().filter(|state| state.way.len() <= 2 * shortest);
    let stops: Vec<_> = ordinary.flat_map(stops).collect();
    (job.victim == Victim::Caller && !stops.is_empty()).then(|| Panel { title: report.name.clone(), stops })
}

fn stops(state: &StateReport) -> impl Iterator<Item = (usize, u64, plot::Outcome)> + use<'_> {
    let outcomes: BTreeMap<usize, &Outcome> = state
        .findings
        .iter()
        .filter(|finding| finding.indices.len() == 1)
        .map(|finding| (finding.indices[0], &finding.outcome))
        .collect();
    let made = state.times_ns.iter().map(move |&(index, ns)| {
        let outcome = match outcomes.get(&index) {
            Some(Outcome::Stalled(Stalled { calls: true, .. })) => plot::Outcome::CallsStuck,
            Some(Outcome::Stalled(_)) => plot::Outcome::DeliveryStuck,
            Some(_) => plot::Outcome::NotControlled,
            None => plot::Outcome::WentOn,
        };
        (index, ns, outcome)
    });
    let is_unmade = |finding: &&Finding| finding.indices.len() == 1 && !finding.outcome.is_made();
    let unmade = state.findings.iter().filter(is_unmade);
    made.chain(
        unmade.filter_map(|finding| Some((*finding.indices.first()?, 0, plot::Outcome::NotControlled))),
    )
}
