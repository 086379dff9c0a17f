//! A comparison for people, and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::common::Difference;
use super::compare::{Compared, Comparison, SideSamples};
use super::judge::{CONFIDENCE, ERROR, Verdict};
use super::read::Side;
use crate::exit_code::ExitCode;
use crate::report::human::{add, count, dash, table, time};

/// Version of the form. `schemas/diff.v1.json` describes it.
pub(super) const SCHEMA_VERSION: u32 = 1;
/// Figures without a finding that a table shows.
const SHOWN: usize = 30;

/// Where the runs of a side come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Source {
    /// A file or a command.
    source: String,
    runs: usize,
}

/// What makes two machines of one.
const MACHINE: [&str; 4] = ["kernel", "architecture", "processor", "cores"];

/// The whole comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Document {
    schema_version: u32,
    a: Source,
    b: Source,
    /// In per cent.
    threshold_percent: f64,
    /// Confidence of the intervals.
    confidence: f64,
    /// Probability of finding a regression among all figures where there is none.
    family_error: f64,
    /// Rounds in which runs belong together in pairs; null: they do not.
    pairs: Option<usize>,
    /// Order of the commands of `--ab`; null: the runs come from files.
    seed: Option<u64>,
    judged: usize,
    regressions: usize,
    figures: Vec<Compared>,
    differences: Vec<Difference>,
    broken: Vec<String>,
    remarks: Vec<String>,
    /// What follows, in words.
    conclusions: Vec<String>,
    interrupted: bool,
    exit_code: u8,
}

impl Document {
    pub(super) fn new(
        [a, b]: [&Side; 2],
        threshold: f64,
        comparison: Comparison,
        seed: Option<u64>,
        interrupted: bool,
    ) -> (Self, ExitCode) {
        let source = |side: &Side| Source { source: side.source.clone(), runs: side.runs.len() };
        let (code, conclusions) = conclude(&comparison, threshold, interrupted);
        let Comparison { figures, judged, pairs, differences, broken, remarks, .. } = comparison;
        let document = Self {
            schema_version: SCHEMA_VERSION,
            a: source(a),
            b: source(b),
            threshold_percent: rounded(threshold * 100.0),
            confidence: CONFIDENCE,
            family_error: ERROR,
            pairs,
            seed,
            judged,
            regressions: figures.iter().filter(|figure| figure.verdict == Verdict::Regression).count(),
            figures,
            differences,
            broken,
            remarks,
            conclusions,
            interrupted,
            exit_code: code as u8,
        };
        (document, code)
    }
}

/// A number without the noise of binary fractions.
fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

/// Exit code and sentences.
fn conclude(comparison: &Comparison, threshold: f64, interrupted: bool) -> (ExitCode, Vec<String>) {
    let Comparison { figures, judged, broken, least_p, is_same, .. } = comparison;
    let percent = format!("{} %", rounded(threshold * 100.0));
    let with = |verdict: Verdict| figures.iter().filter(move |figure| figure.verdict == verdict);
    let mut lines: Vec<String> = broken
        .iter()
        .map(|row| format!("REGRESSION: {row}: its accounts do not agree in B, or its sink failed"))
        .collect();
    lines.extend(with(Verdict::Regression).map(|figure| format!("REGRESSION: {}", sentence(figure))));
    let mut code = if lines.is_empty() { ExitCode::Pass } else { ExitCode::Violation };
    let names = |verdict| with(verdict).map(named).collect::<Vec<_>>();
    let (suspected, unclear) = (names(Verdict::Suspected), names(Verdict::Unclear));
    if !suspected.is_empty() {
        lines.push(format!(
            "suspected, but perhaps chance among {judged} figures; more rounds tell: {}",
            listed(&suspected)
        ));
    }
    let settled = with(Verdict::Within).count() + with(Verdict::Improvement).count();
    let improved = with(Verdict::Improvement).map(|figure| format!("improvement: {}", sentence(figure)));
    lines.extend(improved);
    let regressions = with(Verdict::Regression).count();
    lines.push(format!(
        "{judged} figures judged at {percent}: {regressions} regression(s), {settled} no worse than that, {} that cannot be told",
        suspected.len() + unclear.len()
    ));
    if !unclear.is_empty() {
        lines.push(format!(
            "too noisy to exclude {percent} with these samples: {}; more rounds, or an idle machine, tell",
            listed(&unclear)
        ));
    }
    let inconclusive = match least_p {
        None if figures.is_empty() => Some("inconclusive: the two sides have no figure in common".to_owned()),
        _ if *is_same => None,
        None => Some(
            "inconclusive: too few samples for statistics; take several runs a side, best by `dlt-bench diff --ab`, or \
             in one file (`cat a1.json a2.json … > A.json`)"
                .to_owned(),
        ),
        Some(least) if *least > ERROR => Some(format!(
            "inconclusive: so few samples cannot tell a regression from chance among {judged} figures; --ab needs at \
             least {} rounds for that, or --only for fewer figures",
            rounds_needed(*judged)
        )),
        Some(_) if settled == 0 => Some(format!("inconclusive: no figure is known to {percent}")),
        Some(_) => None,
    };
    if code == ExitCode::Pass {
        match inconclusive {
            Some(reason) => {
                lines.push(reason);
                code = ExitCode::Inconclusive;
            }
            None if *is_same => {
                lines.push("A and B have the same figures, one by one: the same report?".to_owned());
            }
            None => lines.push(format!("no regression beyond {percent} found")),
        }
    }
    if interrupted {
        lines.push("interrupted: this is what was done until then".to_owned());
        code = code.and(ExitCode::Interrupted);
    }
    (code, lines)
}

/// Pairs of which the least p-value, as one of so many figures, is small enough.
fn rounds_needed(figures: usize) -> usize {
    (1..64).find(|rounds| figures as f64 * 0.5f64.powi(*rounds) <= ERROR).unwrap_or(64) as usize
}

fn named(figure: &Compared) -> String {
    format!("{} / {}: {}", figure.case, figure.row, figure.figure)
}

/// Names in a sentence.
fn listed(names: &[String]) -> String {
    const MOST: usize = 6;
    let more = names.len().saturating_sub(MOST);
    let first = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first}, and {more} more") } else { first }
}

/// What has become of a figure.
fn sentence(figure: &Compared) -> String {
    let of = |side: &SideSamples| side.median.map_or_else(dash, |median| value(figure.unit, median));
    let change = match (figure.ratio, figure.interval, figure.difference) {
        (Some(ratio), Some([low, high]), _) => {
            format!("{ratio:.3} × (95 % interval {low:.3} to {high:.3})")
        }
        (None, Some([low, high]), Some(difference)) => {
            format!("{} points (95 % interval {} to {})", points(difference), points(low), points(high))
        }
        _ => "there are zeros: no ratio".to_owned(),
    };
    format!("{} {} → {}, {change}", named(figure), of(&figure.a), of(&figure.b))
}

fn points(share: f64) -> String {
    format!("{:+.3}", share * 100.0)
}

fn value(unit: &str, value: f64) -> String {
    match unit {
        "ns" if value < 1000.0 => format!("{value:.2} ns"),
        "ns" => time(value),
        "per_s" => count(value.round() as u64) + "/s",
        "share" => format!("{:.3} %", value * 100.0),
        _ => format!("{value:.3}"),
    }
}

/// The lines before the table.
pub(super) fn head(document: &Document) -> String {
    let mut text = format!("threshold {} %", document.threshold_percent);
    match document.pairs {
        Some(pairs) => {
            let _ = writeln!(
                text,
                " · {pairs} rounds, compared in pairs (the undisturbed call: each run with all)"
            );
        }
        None => text.push_str(" · runs that do not belong in pairs\n"),
    }
    for (name, side) in [("A", &document.a), ("B", &document.b)] {
        let _ = writeln!(text, "{name}  {} ({} run(s))", side.source, side.runs);
    }
    for Difference { what, a, b } in &document.differences {
        let _ = writeln!(text, "! {what} differs: {} in A, {} in B", a.join(" and "), b.join(" and "));
    }
    if document.differences.iter().any(|difference| MACHINE.contains(&difference.what)) {
        text.push_str("! the machines are not the same: a difference may be theirs, and not the program's\n");
    }
    text
}

/// The table, the worst first.
pub(super) fn figures(document: &Document) -> String {
    if document.figures.is_empty() {
        return String::new();
    }
    let header = ["Row", "Figure", "A", "B", "B/A", "95 % interval", "Worse in", "p", "Verdict"];
    let mut table = table(&header);
    let (mut shown, mut left_out) = (0, 0);
    for figure in &document.figures {
        if matches!(figure.verdict, Verdict::Within | Verdict::NotJudged) {
            shown += 1;
            if shown > SHOWN {
                left_out += 1;
                continue;
            }
        }
        add(&mut table, cells(figure));
    }
    let mut text = format!("{table}\n");
    let mut say = |line: &str| {
        let _ = writeln!(text, "{line}");
    };
    if left_out > 0 {
        say(&format!("· {left_out} more without a finding are in the JSON"));
    }
    say(
        "· A, B: medians. B/A: Hodges and Lehmann's estimate. Worse in: Cliff's delta, +1.00 is always. p: that B is not worse \
         by more than the threshold, as one of all figures (Holm)",
    );
    text
}

fn cells(figure: &Compared) -> Vec<String> {
    let of = |side: &SideSamples, name: &str| match side.median {
        Some(median) => value(figure.unit, median),
        None => figure.null_because.get(name).map_or_else(dash, |_| "missing".to_owned()),
    };
    let change = match (figure.ratio, figure.difference) {
        (Some(ratio), _) => format!("{ratio:.3}"),
        (None, Some(difference)) if figure.unit == "share" => points(difference) + " points",
        (None, Some(difference)) => {
            format!("{}{}", if difference < 0.0 { "-" } else { "+" }, value(figure.unit, difference.abs()))
        }
        (None, None) => dash(),
    };
    let interval = figure.interval.map_or_else(dash, |[low, high]| {
        if figure.unit == "share" {
            format!("{} to {}", points(low), points(high))
        } else {
            format!("{low:.3} to {high:.3}")
        }
    });
    vec![
        format!("{} / {}", figure.case, figure.row),
        figure.figure.to_owned(),
        of(&figure.a, "a"),
        of(&figure.b, "b"),
        change,
        interval,
        figure.delta_worse.map_or_else(dash, |delta| format!("{delta:+.2}")),
        figure.p_worse.map_or_else(dash, |p| if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }),
        figure.verdict.name().to_owned(),
    ]
}

/// The lines after the table.
pub(super) fn closing(document: &Document) -> String {
    let mut text = String::new();
    for figure in &document.figures {
        if let Some(remark) = &figure.remark {
            let _ = writeln!(text, "· {}: {remark}", named(figure));
        }
        for side in ["a", "b"] {
            if let Some(reason) = figure.null_because.get(side) {
                let _ = writeln!(text, "! {}: missing in {}: {reason}", named(figure), side.to_uppercase());
            }
        }
    }
    for remark in &document.remarks {
        let _ = writeln!(text, "! {remark}");
    }
    for line in &document.conclusions {
        let _ = writeln!(text, "{line}");
    }
    text
}
