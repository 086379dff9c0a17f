//! The audit of a whole run.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use comfy_table::modifiers::UTF8_ROUND_CORNERS;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use dlt_logger::OverflowMode;
use dlt_probe_ebpf::{Error as ProbeError, Role, StackKind};
use serde::Serialize;

use super::controls::{self, ControlResult};
use super::evidence::{CanaryEvidence, Evidence};
use super::judge::{self, Judgement, Verdict};
use super::overhead::{self, Overhead};
use super::session::{OPTIONS, Session};
use crate::case::measure::Inspector;
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::interrupt;
use crate::load::plan::{LoggerKind, Plan, Shape};
use crate::measure::perf::Counts;
use crate::report::Row;
use crate::report::environment::cores;
use crate::stacks::names::{Name, Names};
use crate::stacks::svg;
use crate::watch::Watcher;

/// Stacks that explain a wait.
const EXPLAINED: usize = 3;
/// Frames of each.
const FRAMES: usize = 7;

/// One row as it was judged.
#[derive(Debug)]
struct Judged {
    row: String,
    label: String,
    judgement: Judgement,
    evidence: Evidence,
    counts: Option<Counts>,
}

/// The audit's account of the whole run, for the report.
#[derive(Debug, Serialize)]
struct Account {
    verdict: &'static str,
    controls: Vec<ControlResult>,
    canary: CanaryEvidence,
    overhead: Option<Overhead>,
    overhead_missing_because: Option<String>,
    files: Vec<PathBuf>,
}

/// Watches a run with the kernel probe and judges it.
#[derive(Debug)]
pub struct Audit {
    /// `None` once the cost is measured, for which it must be unloaded.
    session: Option<Session>,
    config: dlt_logger::Config,
    out: Option<PathBuf>,
    names: Names,
    label: String,
    not_judged: Option<&'static str>,
    rows: Vec<Judged>,
    canary: CanaryEvidence,
    account: Option<Account>,
}

impl Audit {
    /// Loads the probe, and lets a canary sing before anything else.
    ///
    /// # Errors
    /// The probe cannot run here; the error says what is missing and how to get it.
    pub fn start(config: dlt_logger::Config, out: Option<PathBuf>) -> Result<Self, Error> {
        let session = Session::start(OPTIONS).map_err(refused)?;
        let canary = session.sing();
        Ok(Self {
            session: Some(session),
            config,
            out,
            names: Names::new(),
            label: String::new(),
            not_judged: None,
            rows: Vec::new(),
            canary,
            account: None,
        })
    }

    /// Everything but the rows: controls, the last canary, cost, files.
    fn conclude(&mut self) -> ExitCode {
        let mut controls = Vec::new();
        if let Some(session) = self.session.as_ref().filter(|_| !interrupt::requested()) {
            controls = controls::run(session, &self.config, &mut self.names);
            self.canary.add(session.sing());
        }
        let files = self.write_pictures();
        let programs = self.session.as_ref().map(|session| overhead::programs(&session.probe().costs()));
        // The legs without a probe must really be without one.
        self.session = None;
        let ratios = if interrupt::requested() {
            Err("interrupted".to_owned())
        } else {
            overhead::measure(&self.config)
        };
        let (overhead, overhead_missing_because) = match ratios {
            Ok(ratios) => (Some(Overhead { ratios, programs: programs.unwrap_or_default() }), None),
            Err(reason) => (None, Some(reason)),
        };
        let verdict = self.verdict(&controls);
        let canary = std::mem::take(&mut self.canary);
        self.account = Some(Account {
            verdict: verdict.name(),
            controls,
            canary,
            overhead,
            overhead_missing_because,
            files,
        });
        verdict.exit_code()
    }

    /// FAIL if any judged row failed, else INCONCLUSIVE if any was or a control was not found, else PASS.
    fn verdict(&self, controls: &[ControlResult]) -> Verdict {
        let has = |verdict| self.rows.iter().any(|row| row.judgement.verdict == verdict);
        let is_sound =
            controls.len() == 3 && controls.iter().all(|c| c.is_found) && self.canary.wrong.is_empty();
        if has(Verdict::Fail) {
            Verdict::Fail
        } else if has(Verdict::Inconclusive) || !is_sound {
            Verdict::Inconclusive
        } else if has(Verdict::Pass) {
            Verdict::Pass
        } else {
            Verdict::NotJudged
        }
    }

    fn write_pictures(&mut self) -> Vec<PathBuf> {
        let (Some(session), Some(out)) = (&self.session, &self.out) else { return Vec::new() };
        let calls = self.rows.iter().map(|row| row.evidence.sum(|p| p.calls)).sum();
        let gathered = session.gathered();
        let mut files = Vec::new();
        for picture in svg::pictures(&gathered, calls) {
            if let Ok(written) = svg::write(out, &picture, &mut self.names) {
                files.extend(written);
            }
        }
        files
    }
}

/// Processors for this many producers: half as many, so that they are preempted inside calls. `None`: there are not more.
pub fn confinement(producers: usize) -> Option<Vec<usize>> {
    let wanted = (producers / 2).max(1);
    (producers > 1 && wanted < cores()).then(|| (0..wanted).collect())
}

/// The heaviest stacks at which producers waited inside calls; of a spinner, where it spun.
pub fn explain_waits(session: &Session, label: &str, names: &mut Names) -> Vec<String> {
    let gathered = session.gathered();
    let in_call = |s: &crate::stacks::Sample| s.label == label && s.in_call && s.role == Some(Role::Producer);
    let mut samples = gathered.select(|s| in_call(s) && s.kind != StackKind::OnCpu);
    if samples.is_empty() {
        samples = gathered.select(|s| in_call(s) && s.kind == StackKind::OnCpu);
    }
    let words = |(sample, weight): &(&crate::stacks::Sample, crate::stacks::gather::Weight)| {
        let user = crate::stacks::Sample { kernel: Vec::new(), ..(*sample).clone() };
        let frames = names.frames(&user);
        let inner = frames.iter().rev().take(FRAMES).map(frame_text).collect::<Vec<_>>();
        format!("{:.1} ms in {} samples: {}", weight.ns as f64 / 1e6, weight.count, inner.join(" < "))
    };
    samples.iter().take(EXPLAINED).map(words).collect()
}

fn frame_text(name: &Name) -> String {
    match &name.place {
        Some(place) => format!("{} ({place})", name.function),
        None => name.function.clone(),
    }
}

/// What keeps a row from being judged.
fn not_judged(plan: &Plan) -> Option<&'static str> {
    if plan.producers < 2 {
        Some("one producer has nobody to wait for")
    } else if plan.shape != Shape::Continuous {
        Some("producers that pause are rarely preempted inside a call")
    } else if plan.logger == LoggerKind::Dlt && plan.config.overflow_mode == OverflowMode::BlockWithTimeout {
        Some("BlockWithTimeout waits when its lane is full, as it should")
    } else {
        None
    }
}

fn refused(error: ProbeError) -> Error {
    match error {
        ProbeError::CannotRun(reason) => {
            Error::cannot_run(format!("CANNOT RUN: {}", reason.missing)).with_hint(reason.remedy)
        }
        error => Error::cannot_run(format!("CANNOT RUN: {:#}", anyhow::Error::new(error))),
    }
}

impl Inspector for Audit {
    fn watcher(&self) -> &dyn Watcher {
        self.session.as_ref().expect("rows are measured before the audit concludes")
    }

    fn producer_cpus(&self, producers: usize) -> Option<Vec<usize>> {
        confinement(producers)
    }

    fn begin_row(&mut self, plan: &Plan) {
        self.not_judged = not_judged(plan);
        self.label = match plan.logger {
            LoggerKind::Dlt => plan.config.overflow_mode.to_string(),
            control => svg::control_label(control.name()),
        };
        if let Some(session) = &self.session {
            // A canary in windows that are judged; a failure shows as missing evidence.
            let _ = session.begin(&self.label, self.not_judged.is_none());
        }
    }

    fn end_row(&mut self, row: &mut Row) {
        let Some(session) = &self.session else { return };
        let (mut evidence, counts) = match session.finish() {
            Ok(seen) => seen,
            Err(error) => {
                row.null_because.insert("audit", error.to_string());
                row.null_because.insert("counters", error.to_string());
                return;
            }
        };
        let judgement = match self.not_judged {
            Some(reason) => {
                Judgement { verdict: Verdict::NotJudged, reasons: vec![expected_waits(reason, &evidence)] }
            }
            None => judge::judge(&evidence),
        };
        if judgement.verdict == Verdict::Fail {
            evidence.waits = explain_waits(session, &self.label, &mut self.names);
        }
        self.canary.add(evidence.canary.clone());
        if row.iterations == 1 && evidence.worker_writevs() > 0 {
            row.writev_calls = evidence.worker_writevs();
            row.msgs_per_writev = Some(row.delivered as f64 / row.writev_calls as f64);
            row.writev_counted_by = "kernel";
        }
        row.audit = serde_json::to_value(RowAudit { judgement: &judgement, evidence: &evidence }).ok();
        row.counters = counts.as_ref().and_then(|counts| serde_json::to_value(counts).ok());
        self.rows.push(Judged {
            row: format!("{} / {}", row.case, row.name),
            label: self.label.clone(),
            judgement,
            evidence,
            counts,
        });
    }

    fn finish(&mut self) -> (Option<serde_json::Value>, ExitCode) {
        let code = self.conclude();
        (self.account.as_ref().and_then(|account| serde_json::to_value(account).ok()), code)
    }

    fn closing(&self) -> String {
        let Some(account) = &self.account else { return String::new() };
        let mut text = String::from("\n");
        text += &counters_table(&self.rows);
        for row in &self.rows {
            let Judgement { verdict, reasons } = &row.judgement;
            let _ = writeln!(text, "audit     {}: {} · {}", row.row, verdict.name(), reasons.join("; "));
            for wait in &row.evidence.waits {
                let _ = writeln!(text, "            waited {wait}");
            }
        }
        for control in &account.controls {
            let expected = if control.is_found { "FAIL, as it must" } else { "NOT FOUND" };
            let _ = writeln!(text, "control   {}: {expected} · {}", control.logger, control.found_by);
            if let Some(wait) = control.waits.first() {
                let _ = writeln!(text, "            waited {wait}");
            }
        }
        let CanaryEvidence { runs, lines, wrong, no_stops } = &account.canary;
        let exact =
            if wrong.is_empty() { "all exact".to_owned() } else { format!("WRONG: {}", wrong.join("; ")) };
        let stops =
            no_stops.as_ref().map_or_else(String::new, |reason| format!(" (no ptrace stops: {reason})"));
        let _ = writeln!(text, "canary    {runs} runs, {lines} numbers, {exact}{stops}");
        let _ = writeln!(text, "ledger    {}", ledger_text(&self.rows));
        text += &overhead_text(account);
        for file in account.files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "svg"))
        {
            let _ = writeln!(text, "picture   {}", file.display());
        }
        let _ = writeln!(text, "verdict   {} {}", account.verdict, verdict_words(&self.rows, account));
        text
    }
}

#[derive(Debug, Serialize)]
struct RowAudit<'a> {
    #[serde(flatten)]
    judgement: &'a Judgement,
    evidence: &'a Evidence,
}

/// Why a row is not judged, and the waits that were expected.
fn expected_waits(reason: &str, evidence: &Evidence) -> String {
    let blocked = evidence.sum(|p| p.blocked_in_call);
    if blocked == 0 {
        return reason.to_owned();
    }
    let ms = evidence.sum(|p| p.blocked_in_call_ns) as f64 / 1e6;
    format!("{reason}: {blocked} waits inside {} calls, {ms:.1} ms", evidence.sum(|p| p.calls))
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
            "cost      batch {}: {:.3} of the rate without the probe ({:.0} / {:.0} messages/s, medians in alternation)",
            ratio.batch_size_msgs, ratio.ratio, ratio.with_msgs_per_s, ratio.without_msgs_per_s
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
    let not_found: Vec<_> = account.controls.iter().filter(|c| !c.is_found).map(|c| c.logger).collect();
    if !not_found.is_empty() {
        return format!("(negative controls that were not found: {})", not_found.join(", "));
    }
    let sum = |of: &dyn Fn(&super::evidence::ThreadEvidence) -> u64| {
        judged.iter().map(|r| r.evidence.sum(of)).sum::<u64>()
    };
    let waits = sum(&|p| p.blocked_in_call + p.yielded_in_call + p.long_slices);
    format!(
        "({waits} waits in {} calls; {} preemptions of 1 ms and more inside a call, others went on in {})",
        sum(&|p| p.calls),
        sum(&|p| p.held_up),
        sum(&|p| p.held_up_others_went_on)
    )
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

/// Gives what was written to the user who raised the benchmark with sudo.
pub fn give_back(folder: &Path) {
    let id = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let (Some(uid), Some(gid)) = (id("SUDO_UID"), id("SUDO_GID")) else { return };
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in files.chain([folder.to_owned()]) {
        // A file that cannot be given back still lies where it was asked for.
        let _ = std::os::unix::fs::chown(path, Some(uid), Some(gid));
    }
}
