//! Tables and lines of a sweep for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::report::{FindingRow, StateRow, Status, SubjectRow, Sweep};
use crate::report::human::{add, dash, table};

/// Places that are listed per subject; the report has all.
const LISTED: usize = 8;
/// Parts of a function that were not covered; likewise.
const UNCOVERED: usize = 12;
/// Frames of a stack that are listed.
const FRAMES: usize = 5;

/// A subject's table, and what was found.
pub(super) fn subject(subject: &SubjectRow) -> String {
    let kind = if subject.is_control { ", a control: somebody must be found to wait" } else { "" };
    let how = subject.sample.map_or_else(
        || "at every instruction".to_owned(),
        |most| format!("at {most} instructions a state at most"),
    );
    let mut text = format!(
        "\n{}: the {} is stopped {how}; {} calls of each of 2 others, {} chores, in {:.0} ms{kind}\n",
        subject.name,
        subject.victim,
        subject.calls_of_each_other,
        subject.chores.len(),
        subject.watchdog_ms
    );
    let mut rows = table(&[
        "State of the ring",
        "Instructions",
        "Locked",
        "Stops",
        "Calls stalled",
        "Delivery",
        "Chores",
        "Unbalanced",
        "Not made",
        "Pairs",
        "Longest ms",
        "Status",
    ]);
    for state in &subject.states {
        let not_made = state.stops_planned - state.stops_made;
        add(
            &mut rows,
            vec![
                state.state.to_owned(),
                state.instructions.to_string(),
                state.locked_instructions.to_string(),
                state.stops_made.to_string(),
                state.calls_stalled.to_string(),
                state.delivery_stalled.to_string(),
                state.chores_stalled.to_string(),
                state.unbalanced.to_string(),
                not_made.to_string(),
                if state.pairs_stalled > 0 {
                    format!("{} ({} stalled)", state.pairs, state.pairs_stalled)
                } else {
                    state.pairs.to_string()
                },
                state.longest_ms.map_or_else(dash, |ms| format!("{ms:.1}")),
                name(state.status).to_owned(),
            ],
        );
    }
    let _ = writeln!(text, "{rows}");
    findings(&mut text, subject);
    for state in subject.states.iter().filter(|state| state.status == Status::Inconclusive) {
        let _ = writeln!(text, "! {}: {}", state.state, doubt(state));
    }
    text
}

fn doubt(state: &StateRow) -> String {
    if state.ways_part_at.is_empty() {
        format!(
            "{} of {} stops were made: {} not reached, {} in another state",
            state.stops_made, state.stops_planned, state.not_reached, state.other_state
        )
    } else {
        format!(
            "equal states did not give equal ways: they part at {:?}; something is not under control",
            state.ways_part_at
        )
    }
}

const fn name(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Violation => "VIOLATION",
        Status::Found => "found",
        Status::Inconclusive => "INCONCLUSIVE",
    }
}

/// Stops that were not fine, those of one place together.
fn findings(text: &mut String, subject: &SubjectRow) {
    let mut places: BTreeMap<(&str, &str), Vec<&FindingRow>> = BTreeMap::new();
    for finding in &subject.findings {
        let place = finding.at.first().map_or("", |at| at.place.as_str());
        places.entry((place, &finding.outcome)).or_default().push(finding);
    }
    let mut places: Vec<_> = places.into_iter().collect();
    places.sort_by_key(|(_, findings)| std::cmp::Reverse(findings.len()));
    for ((place, outcome), findings) in places.iter().take(LISTED) {
        let Some(first) = findings.first() else { continue };
        let at = first.at.first().map_or("", |at| at.instruction.as_str());
        let mark = if first.is_violation && !subject.is_control { "✗" } else { "·" };
        let _ = writeln!(
            text,
            "{mark} {} stop(s) in {place}, e.g. {} {:?} before `{at}`: {outcome}",
            findings.len(),
            first.state,
            first.instructions_executed
        );
        for stack in &first.stacks {
            let frames: Vec<_> = stack.frames.iter().take(FRAMES).map(String::as_str).collect();
            let _ = writeln!(text, "    {}: {}", stack.thread, frames.join(" < "));
        }
    }
    if places.len() > LISTED {
        let _ = writeln!(text, "· {} more places: see the report (--json)", places.len() - LISTED);
    }
}

/// Coverage and the sum.
pub(super) fn closing(sweep: &Sweep) -> String {
    let mut text = String::from("\nCoverage against the static code: stopped at / instructions\n");
    for row in &sweep.coverage {
        let _ = writeln!(text, "· {}: {} {} / {}", row.code, row.function, row.covered, row.total);
        for part in row.uncovered.iter().take(UNCOVERED) {
            let _ = writeln!(
                text,
                "    {} {} instruction(s), {}: {}",
                part.address, part.instructions, part.place, part.because
            );
        }
        if row.uncovered.len() > UNCOVERED {
            let _ = writeln!(text, "    {} more: see the report (--json)", row.uncovered.len() - UNCOVERED);
        }
    }
    if !sweep.callees_not_counted.is_empty() {
        let _ = writeln!(
            text,
            "· callees that are not counted (panics, libraries): {}",
            sweep.callees_not_counted.join(", ")
        );
    }
    let own = sweep.subjects.iter().filter(|subject| !subject.is_control);
    let bad: usize = own.flat_map(|subject| &subject.states).map(|state| state.violations).sum();
    let controls = sweep.subjects.iter().filter(|subject| subject.is_control);
    let controls: Vec<_> = controls
        .map(|control| {
            let stalled = control.findings.iter().filter(|finding| finding.is_violation).count();
            format!("{}: {stalled} blocking stops", control.name)
        })
        .collect();
    if !sweep.is_complete {
        text.push_str("! interrupted: states and subjects are missing\n");
    }
    let how = sweep.sample.map_or_else(
        || "every instruction".to_owned(),
        |n| format!("a sample of {n} stops a state, seed {}", sweep.seed),
    );
    let _ = writeln!(
        text,
        "{} {} stops ({how}), {bad} of them blocking in dlt-logger; {} ({})",
        if sweep.status == Status::Ok { "✓" } else { "✗" },
        sweep.stops,
        if controls.is_empty() { "no control was swept".to_owned() } else { controls.join(", ") },
        name(sweep.status)
    );
    let _ = writeln!(text, "· single-stepping drains the store buffer: weak memory is not shown by this");
    text
}
