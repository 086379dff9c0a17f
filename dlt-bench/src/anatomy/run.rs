//! All calls that were asked for, and their bounds.

use std::sync::atomic::Ordering::{Acquire, Relaxed};

use super::child::{Process, outcome_name};
use super::reader::Reader;
use super::report::{self, Document, Row};
use super::subject::Subject;
use super::summary::Summary;
use super::trace::trace;
use super::{Bounds, Options};
use crate::code::Image;
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::interrupt;
use crate::report::environment::Environment;
use crate::report::human;
use crate::report::output::Outputs;

/// How often each call is traced.
const TRACES: u32 = 3;

pub(super) fn run(options: &Options, outputs: Outputs) -> Result<ExitCode, Error> {
    let image = Image::of_this_process()?;
    let mut document = Document::new(Environment::read(false), options);
    let mut screen = outputs.screen();
    screen.print(&human::environment(&document.environment, options.logger.name(), "null"));
    for subject in Subject::all(options.logger, options.mode) {
        if interrupt::requested() {
            document.interrupted = true;
            break;
        }
        document.rows.push(row(subject, options.bounds, &image)?);
    }
    if options.annotate {
        document.rows.iter().for_each(|row| screen.print(&report::listing(row)));
    }
    screen.print(&report::summary(&document));
    let is_violated = document.rows.iter().any(|row| !row.violations.is_empty());
    let of_bounds = if is_violated { ExitCode::Violation } else { ExitCode::Pass };
    let code = if document.interrupted { ExitCode::Interrupted } else { of_bounds };
    document.environment.finish();
    document.exit_code = code as u8;
    outputs.write(&document)?;
    Ok(code)
}

fn row(subject: Subject, bounds: Bounds, image: &Image) -> Result<Row, Error> {
    let mut process = Process::start(subject)?;
    let mut tracee = process.child.seize(process.words.tid.load(Acquire))?;
    let traces = (1..=TRACES)
        .map(|order| trace(&mut process, &mut tracee, image, order))
        .collect::<Result<Vec<_>, _>>()?;
    let maps = format!("/proc/{}/maps", process.child.pid());
    let maps = std::fs::read_to_string(&maps)
        .map_err(|error| Error::cannot_run(format!("failed to read {maps}: {error}")))?;
    let reader = Reader::new(image, &maps);
    let summaries = traces.iter().map(|trace| reader.summary(trace)).collect::<Result<Vec<_>, _>>()?;
    let (Some(first), Some(summary)) = (traces.first(), summaries.first()) else {
        return Err(Error::failed("nothing was traced"));
    };
    let name = subject.name();
    let mut violations: Vec<String> = Vec::new();
    for violation in
        summaries.iter().flat_map(|summary| violations_of(&name, bounds.most(subject.state), bounds, summary))
    {
        if !violations.contains(&violation) {
            violations.push(violation);
        }
    }
    Ok(Row {
        overflow_mode: subject.mode.to_string(),
        state: subject.state.name(),
        outcome: outcome_name(process.words.outcome.load(Relaxed)),
        traces: TRACES,
        traces_are_equal: traces.iter().all(|trace| trace.addresses().eq(first.addresses())),
        summary: summary.clone(),
        violations,
        listing: reader.listing(first)?,
        name,
    })
}

/// The bounds that a call exceeds, each with its figure.
fn violations_of(name: &str, most: Option<(usize, &str)>, bounds: Bounds, summary: &Summary) -> Vec<String> {
    let mut violations = Vec::new();
    if let Some((most, option)) = most
        && summary.instructions > most
    {
        violations.push(format!("{name}: {} instructions, and {option} allows {most}", summary.instructions));
    }
    if bounds.no_locked && summary.locked_instructions > 0 {
        violations.push(format!(
            "{name}: {} locked instruction(s), and --no-locked allows none",
            summary.locked_instructions
        ));
    }
    let calls: usize = summary.calls_out.values().sum();
    if bounds.no_calls_out && calls + summary.system_calls > 0 {
        let names: Vec<_> = summary.calls_out.keys().map(String::as_str).collect();
        violations.push(format!(
            "{name}: {calls} call(s) out ({}) and {} system call(s), and --no-calls-out allows none",
            names.join(", "),
            summary.system_calls
        ));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::subject::State;
    use super::*;

    fn summary() -> Summary {
        Summary { instructions: 50, repetitions: 50, ..Summary::default() }
    }

    #[test]
    fn bounds_are_inclusive_and_name_the_figure() {
        let bounds = Bounds { max_when_full: Some(50), ..Bounds::default() };
        let of = |bounds: Bounds, state| violations_of("x", bounds.most(state), bounds, &summary());
        assert!(of(bounds, State::Full).is_empty());
        let bounds = Bounds { max_instructions: Some(49), max_when_off: Some(7), ..bounds };
        assert!(of(bounds, State::Full).is_empty());
        assert_eq!(of(bounds, State::LevelOff), ["x: 50 instructions, and --max-when-off allows 7"]);
        let violations = of(bounds, State::Empty);
        assert_eq!(violations, ["x: 50 instructions, and --max-instructions allows 49"]);
    }

    #[test]
    fn a_system_call_is_a_call_out() {
        let bounds = Bounds { no_locked: true, no_calls_out: true, ..Bounds::default() };
        let bad = Summary { system_calls: 1, locked_instructions: 2, ..summary() };
        let violations = violations_of("x", None, bounds, &bad);
        assert_eq!(violations.len(), 2, "{violations:?}");
        assert!(violations_of("x", None, Bounds::default(), &bad).is_empty());
    }
}
