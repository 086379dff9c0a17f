//! What the audit says: words for people, a structure for programs.

use std::fmt::Write as _;
use std::path::PathBuf;

use comfy_table::modifiers::UTF8_ROUND_CORNERS;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::controls::ControlResult;
use super::evidence::{CanaryEvidence, Evidence, ThreadEvidence};
use super::judge::{Judgement, Verdict};
use super::overhead::Overhead;
use super::repeat;
use crate::measure::perf::Counts;

/// One row as it was judged.
#[derive(Debug)]
pub struct Judged {
    /// `CASE / ROW`.
    pub row: String,
    /// The overflow mode, or which control was run.
    pub label: String,
    /// The verdict.
    pub judgement: Judgement,
    /// All windows that were measured, in order; the last one is `judgement`.
    pub attempts: Vec<Judgement>,
    /// What the verdict rests on.
    pub evidence: Evidence,
    /// Calls in the windows before the last one.
    pub earlier_calls: u64,
    /// perf counters of the window.
    pub counts: Option<Counts>,
}

/// A row's part of the JSON report.
#[derive(Debug, Serialize)]
pub struct RowAudit<'a> {
    /// The verdict.
    #[serde(flatten)]
    pub judgement: &'a Judgement,
    /// All windows that were measured, in order.
    pub attempts: &'a [Judgement],
    /// What the verdict rests on.
    pub evidence: &'a Evidence,
}

/// The audit's account of the whole run.
#[derive(Debug, Serialize)]
pub struct Account {
    /// The verdict on the run.
    pub verdict: &'static str,
    /// The three negative controls.
    pub controls: Vec<ControlResult>,
    /// All canaries of the run.
    pub canary: CanaryEvidence,
    /// The probe's own cost.
    pub overhead: Option<Overhead>,
    /// Why there is no figure for it.
    pub overhead_missing_because: Option<String>,
    /// Flamegraphs and folded stacks that were written.
    pub files: Vec<PathBuf>,
    /// Those that could not be written, with the reason.
    pub files_missing_because: Vec<String>,
}

/// Everything for people, behind the tables of the cases.
pub fn text(rows: &[Judged], account: &Account) -> String {
    let mut text = format!("\n{}", counters_table(rows));
    for row in rows {
        let Judgement { verdict, reasons, causes: _ } = &row.judgement;
        let _ = writeln!(text, "audit     {}: {} · {}", row.row, verdict.name(), reasons.join("; "));
        let _ = writeln!(text, "            window {}", window_words(&row.evidence));
        if let Some(words) = repeat::words(&row.attempts) {
            let _ = writeln!(text, "            {words}");
        }
        for wait in &row.evidence.waits {
            let _ = writeln!(text, "            waited {wait}");
        }
    }
    for control in &account.controls {
        let expected = if control.is_found { "FAIL, as it must" } else { "NOT FOUND" };
        let _ = writeln!(text, "control   {}: {expected} · {}", control.logger, control.found_by);
        if let Some(words) = repeat::words(&control.attempts) {
            let _ = writeln!(text, "            {words}");
        }
        if let Some(wait) = control.waits.first() {
            let _ = writeln!(text, "            waited {wait}");
        }
    }
    let CanaryEvidence { runs, lines, wrong, no_stops } = &account.canary;
    let exact =
        if wrong.is_empty() { "all exact".to_owned() } else { format!("WRONG: {}", wrong.join("; ")) };
    let stops = no_stops.as_ref().map_or_else(String::new, |reason| format!(" (no ptrace stops: {reason})"));
    let _ = writeln!(text, "canary    {runs} runs, {lines} numbers, {exact}{stops}");
    let _ = writeln!(text, "ledger    {}", ledger_text(rows));
    text += &overhead_text(account);
    for file in account.files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "svg")) {
        let _ = writeln!(text, "picture   {}", file.display());
    }
    for problem in &account.files_missing_because {
        let _ = writeln!(text, "picture   MISSING: {problem}");
    }
    let _ = writeln!(text, "verdict   {} {}", account.verdict, verdict_words(rows, account));
    text
}

/// How the work of a window was spread, and what happened in it that is no wait.
fn window_words(evidence: &Evidence) -> String {
    let longest_ns = evidence.producers.iter().map(|p| p.window_ns).max().unwrap_or(0);
    let mut text = format!(
        "{:.2} s, all producers at once in {:.2} s; {} preemptions and {} page faults inside calls",
        longest_ns as f64 / 1e9,
        evidence.overlap_ns as f64 / 1e9,
        evidence.sum(|p| p.preempted_in_call),
        evidence.sum(|p| p.page_faults_in_call),
    );
    if evidence.stolen_ns > 0 {
        let _ = write!(text, "; stolen by the hypervisor {:.0} ms", evidence.stolen_ns as f64 / 1e6);
    }
    text
}

fn ledger_text(rows: &[Judged]) -> String {
    let dirty: Vec<_> = rows.iter().filter(|row| !row.evidence.ledger.is_clean()).collect();
    if dirty.is_empty() {
        let misses = rows.iter().any(|row| row.evidence.ledger.recursion_misses.is_none());
        let unknown =
            if misses { " (this kernel does not say how many program runs it skipped)" } else { "" };
        return format!("all zero: nothing was lost{unknown}");
    }
    dirty.iter().map(|row| format!("{}: {:?}", row.row, row.evidence.ledger)).collect::<Vec<_>>().join("; ")
}

fn overhead_text(account: &Account) -> String {
    let Some(overhead) = &account.overhead else {
        let reason = account.overhead_missing_because.as_deref().unwrap_or("unknown");
        return format!("cost      not measured: {reason}\n");
    };
    let mut text = String::new();
    for ratio in &overhead.ratios {
        let _ = writeln!(
            text,
            "cost      batch {}: {:.3} of the rate without the probe, {:.3} to {:.3} with 95 % confidence (median of {} pairs; \
             single pairs: quartiles {:.3} and {:.3}); {:.0} / {:.0} messages/s, {:.1} / {:.1} ns of processor time per \
             message of workers and collector",
            ratio.batch_size_msgs,
            ratio.ratio,
            ratio.ratio_interval[0],
            ratio.ratio_interval[1],
            ratio.pairs,
            ratio.ratio_quartiles[0],
            ratio.ratio_quartiles[1],
            ratio.with_msgs_per_s,
            ratio.without_msgs_per_s,
            ratio.with_cpu_ns_per_msg,
            ratio.without_cpu_ns_per_msg,
        );
    }
    let programs =
        overhead.programs.iter().filter_map(|p| Some(format!("{} {:.0} ns", p.name, p.ns_per_run?)));
    let programs: Vec<_> = programs.collect();
    if !programs.is_empty() {
        let _ = writeln!(text, "cost      per run of a program: {}", programs.join(", "));
    }
    text
}

fn verdict_words(rows: &[Judged], account: &Account) -> String {
    let judged: Vec<_> = rows.iter().filter(|row| row.judgement.verdict != Verdict::NotJudged).collect();
    if judged.is_empty() {
        return "(no row with two or more unpaced producers in Overwrite or DropNewest was run)".into();
    }
    let sum = |of: &dyn Fn(&ThreadEvidence) -> u64| judged.iter().map(|r| r.evidence.sum(of)).sum::<u64>();
    let mut words = format!(
        "({} waits and {} system calls in {} calls; {} preemptions of 1 ms and more inside a call, others went on in {})",
        sum(&|p| p.blocked_in_call + p.yielded_in_call + p.long_slices),
        sum(&|p| p.syscalls_in_call),
        sum(&|p| p.calls),
        sum(&|p| p.held_up),
        sum(&|p| p.held_up_others_went_on)
    );
    let not_found: Vec<_> = account.controls.iter().filter(|c| !c.is_found).map(|c| c.logger).collect();
    if !not_found.is_empty() {
        let _ = write!(words, "; negative controls that were not found: {}", not_found.join(", "));
    }
    words
}

fn counters_table(rows: &[Judged]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).apply_modifier(UTF8_ROUND_CORNERS);
    table.set_header([
        "Counters",
        "Mode",
        "CPU s",
        "CPU s/M calls",
        "Switches",
        "Migrations",
        "Page faults",
        "Cycles",
        "Instructions",
    ]);
    for row in rows {
        let Some(counts) = &row.counts else { continue };
        let calls = row.evidence.sum(|p| p.calls).max(1) as f64;
        table.add_row([
            row.row.clone(),
            row.label.clone(),
            counts.task_clock_ns.text(1e-9, 3),
            counts.task_clock_ns.text(1e-3 / calls, 3),
            counts.context_switches.text(1.0, 0),
            counts.migrations.text(1.0, 0),
            counts.page_faults.text(1.0, 0),
            counts.cycles.text(1.0, 0),
            counts.instructions.text(1.0, 0),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}
