//! The audit of a whole run.

use std::path::{Path, PathBuf};

use dlt_logger::OverflowMode;
use dlt_probe_ebpf::{Error as ProbeError, Role, StackKind};

use super::controls::{self, ControlResult};
use super::evidence::{CanaryEvidence, Evidence};
use super::judge::{self, Cause, Judgement, Verdict};
use super::overhead::{self, Overhead};
use super::repeat;
use super::report::{self, Account, Judged, RowAudit};
use super::session::{OPTIONS, Session, processors};
use crate::case::measure::Inspector;
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::interrupt;
use crate::load::plan::{LoggerKind, Plan, Shape};
use crate::measure::perf::Counts;
use crate::report::Row;
use crate::stacks::names::{Name, Names};
use crate::stacks::svg;
use crate::watch::Watcher;

/// Stacks that explain a wait.
const EXPLAINED: usize = 3;
/// Frames of each.
const FRAMES: usize = 7;
/// The same of the kernel: enough to tell a system call's wait from a page fault's.
const KERNEL_FRAMES: usize = 12;

/// One window of a row, judged.
#[derive(Debug)]
struct Window {
    judgement: Judgement,
    evidence: Evidence,
    counts: Option<Counts>,
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
    /// The windows of the row that is measured.
    windows: Vec<Window>,
    /// Why the last of them could not be read.
    unread: Option<String>,
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
            windows: Vec::new(),
            unread: None,
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
        let (files, files_missing_because) = self.write_pictures();
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
        let is_complete = files_missing_because.is_empty();
        let canary = std::mem::take(&mut self.canary);
        self.account = Some(Account {
            verdict: verdict.name(),
            controls,
            canary,
            overhead,
            overhead_missing_because,
            files,
            files_missing_because,
        });
        let of_files = if is_complete { ExitCode::Pass } else { ExitCode::Violation };
        verdict.exit_code().and(of_files)
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

    fn judgements(&self) -> Vec<Judgement> {
        self.windows.iter().map(|window| window.judgement.clone()).collect()
    }

    /// The files that were written, and why others were not.
    fn write_pictures(&mut self) -> (Vec<PathBuf>, Vec<String>) {
        let (mut files, mut problems) = (Vec::new(), Vec::new());
        let (Some(session), Some(out)) = (&self.session, &self.out) else { return (files, problems) };
        let calls = self.rows.iter().map(|row| row.earlier_calls + row.evidence.sum(|p| p.calls)).sum();
        let gathered = session.gathered();
        for picture in svg::pictures(&gathered, calls) {
            match svg::write(out, &picture, &mut self.names) {
                Ok(written) => files.extend(written),
                Err(error) => problems.push(format!(
                    "failed to write `{}` to `{}`: {error}",
                    picture.name,
                    out.display()
                )),
            }
        }
        (files, problems)
    }

    /// Gives what this run wrote to the user who raised the benchmark with sudo: its files, and the folder of `--out` if
    /// nothing else is in it.
    pub fn give_back(&self, json: Option<&Path>) {
        let id = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
        let (Some(uid), Some(gid)) = (id("SUDO_UID"), id("SUDO_GID")) else { return };
        let report = self.out.as_ref().map(|out| out.join("report.json"));
        let pictures = self.account.iter().flat_map(|account| &account.files).map(PathBuf::as_path);
        let own: Vec<&Path> = pictures.chain(report.as_deref()).chain(json).collect();
        // A file that cannot be given back still lies where it was asked for.
        let give = |path: &Path| drop(std::os::unix::fs::lchown(path, Some(uid), Some(gid)));
        own.iter()
            .filter(|path| path.symlink_metadata().is_ok_and(|meta| meta.is_file()))
            .for_each(|p| give(p));
        if let Some(out) = &self.out
            && let Ok(mut entries) = std::fs::read_dir(out)
            && entries.all(|entry| entry.is_ok_and(|entry| own.contains(&entry.path().as_path())))
        {
            give(out);
        }
    }
}

/// Processors for this many producers: half as many, so that they are preempted inside calls. `None`: there are not more.
pub fn confinement(producers: usize) -> Option<Vec<usize>> {
    let wanted = (producers / 2).max(1);
    let processors = processors();
    (producers > 1 && wanted < processors.len()).then(|| processors[..wanted].to_vec())
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
        let mut inner = |user: &[u64], kernel: &[u64], frames: usize| {
            let part =
                crate::stacks::Sample { user: user.to_vec(), kernel: kernel.to_vec(), ..(*sample).clone() };
            let names = names.frames(&part);
            names.iter().rev().take(frames).map(frame_text).collect::<Vec<_>>().join(" < ")
        };
        let (user, kernel) = (inner(&sample.user, &[], FRAMES), inner(&[], &sample.kernel, KERNEL_FRAMES));
        let kernel = if kernel.is_empty() { kernel } else { format!("; in the kernel {kernel}") };
        format!("{:.1} ms in {} samples: {user}{kernel}", weight.ns as f64 / 1e6, weight.count)
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
        self.windows.clear();
        self.unread = None;
        self.not_judged = not_judged(plan);
        self.label = match plan.logger {
            LoggerKind::Dlt => plan.config.overflow_mode.to_string(),
            // Not the label of the audit's own controls: what this row did is the run's.
            control => control.name().to_owned(),
        };
    }

    fn begin_window(&mut self) {
        if let Some(session) = &self.session {
            // A canary in windows that are judged; a failure shows as missing evidence.
            let _ = session.begin(&self.label, self.not_judged.is_none());
        }
    }

    fn end_window(&mut self) -> bool {
        let Some(session) = &self.session else { return false };
        let (mut evidence, counts) = match session.finish() {
            Ok(seen) => seen,
            Err(error) => {
                self.unread = Some(error.to_string());
                return false;
            }
        };
        let judgement = match self.not_judged {
            Some(reason) => Judgement::new(Verdict::NotJudged, vec![expected_waits(reason, &evidence)]),
            None => judge::judge(&evidence),
        };
        if judgement.verdict == Verdict::Fail {
            evidence.waits = explain_waits(session, &self.label, &mut self.names);
        }
        self.canary.add(evidence.canary.clone());
        self.windows.push(Window { judgement, evidence, counts });
        repeat::is_due(&self.judgements(), &[Cause::Passing])
    }

    fn end_row(&mut self, row: &mut Row) {
        if let Some(error) = &self.unread {
            row.null_because.insert("audit", error.clone());
            row.null_because.insert("counters", error.clone());
            return;
        }
        let attempts = self.judgements();
        let earlier_calls = self.windows.iter().rev().skip(1).map(|w| w.evidence.sum(|p| p.calls)).sum();
        let Some(Window { judgement, evidence, counts }) = self.windows.pop() else { return };
        if row.iterations == 1 && evidence.worker_writevs() > 0 {
            row.writev_calls = evidence.worker_writevs();
            row.msgs_per_writev = Some(row.delivered as f64 / row.writev_calls as f64);
            row.writev_counted_by = "kernel";
        }
        let audit = RowAudit { judgement: &judgement, attempts: &attempts, evidence: &evidence };
        row.audit = serde_json::to_value(audit).ok();
        row.counters = counts.as_ref().and_then(|counts| serde_json::to_value(counts).ok());
        self.rows.push(Judged {
            row: format!("{} / {}", row.case, row.name),
            label: self.label.clone(),
            judgement,
            attempts,
            evidence,
            earlier_calls,
            counts,
        });
    }

    fn finish(&mut self) -> (Option<serde_json::Value>, ExitCode) {
        let code = self.conclude();
        (self.account.as_ref().and_then(|account| serde_json::to_value(account).ok()), code)
    }

    fn closing(&self) -> String {
        self.account.as_ref().map_or_else(String::new, |account| report::text(&self.rows, account))
    }
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
