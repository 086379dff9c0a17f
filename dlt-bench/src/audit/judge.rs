//! Evidence to verdict.
//!
//! Judged is only what happens with the in-call word set. A verdict of PASS needs all of: no system call, no blocking switch, no yield
//! inside a call; no time slice of more than 0.5 ms within one call; enough preemptions inside a call during which others
//! went on; a clean ledger; an exact canary; switches as `getrusage` has them.

use serde::Serialize;

use super::evidence::{Evidence, ThreadEvidence};
use crate::exit_code::ExitCode;

/// Preemptions of 1 ms and more inside a call that a window must have: the kernel's own random stops.
pub const LEAST_HELD_UP: u64 = 20;
/// In at most this share of them (1/n) nobody may have gone on: on a busy machine the others may all be off the
/// processors. Whoever waits for the one that is held up blocks or spins, and fails by that.
const STANDSTILLS: u64 = 2;

/// A judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// Producers never waited, and the evidence is complete.
    Pass,
    /// A producer waited inside a log call.
    Fail,
    /// The evidence does not suffice.
    Inconclusive,
    /// Not a row to be judged.
    NotJudged,
}

impl Verdict {
    /// How it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::NotJudged => "not judged",
        }
    }

    /// Its part of the exit code.
    pub const fn exit_code(self) -> ExitCode {
        match self {
            Self::Pass | Self::NotJudged => ExitCode::Pass,
            Self::Fail => ExitCode::Violation,
            Self::Inconclusive => ExitCode::Inconclusive,
        }
    }
}

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why; for PASS, what was seen in how much work.
    pub reasons: Vec<String>,
    /// Of INCONCLUSIVE: what each of the reasons comes from.
    #[serde(skip)]
    pub causes: Vec<Cause>,
}

impl Judgement {
    /// A verdict that rests on no doubt.
    pub const fn new(verdict: Verdict, reasons: Vec<String>) -> Self {
        Self { verdict, reasons, causes: Vec::new() }
    }
}

/// What a doubt comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// What the machine did in this window; another one may be without it.
    Passing,
    /// No canary was asked to sing.
    NoCanary,
    /// The evidence itself: lost, counted wrong, or of too few threads.
    Lasting,
}

/// From this run time within one call on, a slice is long (as the probe has it).
const LONG_SLICE_NS: u64 = 500_000;

/// Judges a window.
pub fn judge(evidence: &Evidence) -> Judgement {
    let waits = waits(evidence);
    if !waits.is_empty() {
        return Judgement::new(Verdict::Fail, waits);
    }
    let doubts = doubts(evidence);
    if !doubts.is_empty() {
        let (causes, reasons) = doubts.into_iter().unzip();
        return Judgement { verdict: Verdict::Inconclusive, reasons, causes };
    }
    Judgement::new(Verdict::Pass, vec![seen(evidence)])
}

/// What was seen in how much work.
pub fn seen(evidence: &Evidence) -> String {
    format!(
        "0 waits in {} calls by {} producers; {} preemptions of 1 ms and more inside a call, others went on in {}",
        evidence.sum(|p| p.calls),
        // A repeated row has each of them several times.
        evidence.producers.iter().map(|p| &p.name).collect::<std::collections::BTreeSet<_>>().len(),
        evidence.sum(|p| p.held_up),
        evidence.sum(|p| p.held_up_others_went_on)
    )
}

/// Waits inside a log call.
fn waits(evidence: &Evidence) -> Vec<String> {
    let calls = evidence.sum(|p| p.calls);
    let mut reasons = Vec::new();
    let mut say = |count: u64, what: &str| {
        if count > 0 {
            reasons.push(format!("{count} {what} in {calls} calls"));
        }
    };
    let blocked_ms = evidence.sum(|p| p.blocked_in_call_ns) as f64 / 1e6;
    say(
        evidence.sum(|p| p.blocked_in_call),
        &format!("blocking switches inside a log call ({blocked_ms:.1} ms)"),
    );
    say(evidence.sum(|p| p.yielded_in_call), "yields inside a log call");
    let numbers: std::collections::BTreeSet<u64> =
        evidence.producers.iter().flat_map(|p| p.first_syscalls_in_call.iter().copied()).collect();
    let numbers: Vec<String> = numbers.into_iter().map(syscall_name).collect();
    say(
        evidence.sum(|p| p.syscalls_in_call),
        &format!("system calls inside a log call ({})", numbers.join(", ")),
    );
    let longest_ms = evidence.producers.iter().map(|p| p.longest_slice_ns).max().unwrap_or(0) as f64 / 1e6;
    say(
        if slices_may_be_stolen(evidence) { 0 } else { evidence.sum(|p| p.long_slices) },
        &format!(
            "time slices of more than 0.5 ms within one log call (longest {longest_ms:.1} ms: spinning)"
        ),
    );
    reasons
}

/// What the hypervisor stole would do to make every long slice long. Kernels that account it have it out of the run time
/// already; not all do.
fn slices_may_be_stolen(evidence: &Evidence) -> bool {
    evidence.sum(|p| p.long_slices) <= evidence.stolen_ns / LONG_SLICE_NS
}

/// What keeps from a judgement.
fn doubts(evidence: &Evidence) -> Vec<(Cause, String)> {
    use Cause::{Lasting, NoCanary, Passing};
    let mut doubts = Vec::new();
    let mut doubt = |is_one: bool, cause: Cause, text: String| {
        if is_one {
            doubts.push((cause, text));
        }
    };
    let (held_up, went_on) = (evidence.sum(|p| p.held_up), evidence.sum(|p| p.held_up_others_went_on));
    doubt(evidence.producers.len() < 2, Lasting, "fewer than two producers were seen".into());
    doubt(
        evidence.lost_producers > 0,
        Lasting,
        format!("the edges of {} producers' windows could not be read", evidence.lost_producers),
    );
    doubt(
        went_on < LEAST_HELD_UP,
        Passing,
        format!(
            "others went on in only {went_on} of {held_up} preemptions of 1 ms and more inside a call; {LEAST_HELD_UP} are needed"
        ),
    );
    let standstills = held_up - went_on.min(held_up);
    doubt(
        went_on >= LEAST_HELD_UP && standstills * STANDSTILLS > held_up,
        Passing,
        format!(
            "in {standstills} of {held_up} preemptions inside a call no other producer finished a call: repeat on a machine \
             that is less busy"
        ),
    );
    let long = evidence.sum(|p| p.long_slices);
    doubt(
        long > 0 && slices_may_be_stolen(evidence),
        Passing,
        format!(
            "{long} time slices of more than 0.5 ms within one log call, but the hypervisor stole {:.0} ms, which may be \
             them: repeat when the host is quiet",
            evidence.stolen_ns as f64 / 1e6
        ),
    );
    doubt(evidence.overlap_ns == 0, Passing, "the producers' windows do not overlap".into());
    doubt(!evidence.ledger.is_clean(), Lasting, format!("evidence was lost: {:?}", evidence.ledger));
    doubt(evidence.canary.runs == 0, NoCanary, "no canary ran".into());
    doubt(
        !evidence.canary.wrong.is_empty(),
        Lasting,
        format!("the canary was not counted exactly: {}", evidence.canary.wrong.join("; ")),
    );
    for producer in &evidence.producers {
        let ThreadEvidence {
            name, switches_probe, switches_rusage, strangers, returns_without_entry, ..
        } = producer;
        doubt(
            switches_probe != switches_rusage,
            Passing,
            format!("{name}: the probe saw {switches_probe:?} switches, getrusage {switches_rusage:?}"),
        );
        doubt(*strangers > 0, Lasting, format!("{name}: its thread id was used by another thread"));
        doubt(
            *returns_without_entry > 0,
            Lasting,
            format!(
                "{name}: {returns_without_entry} returns from system calls that were not seen to be entered"
            ),
        );
    }
    doubts
}

/// Names of the calls that a waiting logger makes.
fn syscall_name(number: u64) -> String {
    let known = [
        (libc::SYS_futex, "futex"),
        (libc::SYS_sched_yield, "sched_yield"),
        (libc::SYS_nanosleep, "nanosleep"),
        (libc::SYS_clock_nanosleep, "clock_nanosleep"),
        (libc::SYS_writev, "writev"),
        (libc::SYS_write, "write"),
        (libc::SYS_mmap, "mmap"),
        (libc::SYS_madvise, "madvise"),
        (libc::SYS_clock_gettime, "clock_gettime"),
    ];
    let name = known.iter().find(|(known, _)| *known as u64 == number).map(|(_, name)| *name);
    name.map_or_else(|| format!("number {number}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::evidence::{CanaryEvidence, LedgerEvidence};
    use super::*;

    fn producer(name: &str) -> ThreadEvidence {
        ThreadEvidence {
            name: name.to_owned(),
            calls: 1_000_000,
            preempted_in_call: 40,
            held_up: 30,
            held_up_others_went_on: 30,
            switches_probe: [0, 40],
            switches_rusage: [0, 40],
            ..ThreadEvidence::default()
        }
    }

    fn clean() -> Evidence {
        Evidence {
            producers: vec![producer("P000"), producer("P001")],
            overlap_ns: 2_000_000_000,
            canary: CanaryEvidence { runs: 2, lines: 42, ..CanaryEvidence::default() },
            ..Evidence::default()
        }
    }

    /// The verdict on clean evidence with one change, and its first reason.
    fn changed(change: impl Fn(&mut Evidence)) -> (Verdict, String) {
        let mut evidence = clean();
        change(&mut evidence);
        let judgement = judge(&evidence);
        (judgement.verdict, judgement.reasons.into_iter().next().unwrap_or_default())
    }

    #[test]
    fn clean_evidence_passes_in_exact_words() {
        let (verdict, reason) = changed(|_| {});
        assert_eq!(verdict, Verdict::Pass);
        assert_eq!(
            reason,
            "0 waits in 2000000 calls by 2 producers; 60 preemptions of 1 ms and more inside a call, others went on in 60"
        );
    }

    #[test]
    fn each_way_to_wait_fails() {
        let blocked = changed(|e| e.producers[0].blocked_in_call = 1);
        assert_eq!(blocked.0, Verdict::Fail);
        assert!(blocked.1.contains("1 blocking switches"), "{}", blocked.1);
        assert_eq!(changed(|e| e.producers[1].yielded_in_call = 1).0, Verdict::Fail);
        let syscall = changed(|e| {
            e.producers[1].syscalls_in_call = 3;
            e.producers[1].first_syscalls_in_call = vec![libc::SYS_futex as u64, 999];
        });
        assert_eq!(
            syscall,
            (Verdict::Fail, "3 system calls inside a log call (futex, number 999) in 2000000 calls".into())
        );
        assert_eq!(changed(|e| e.producers[0].long_slices = 1).0, Verdict::Fail);
    }

    /// Time that the hypervisor stole is no spinning, as far as it goes.
    #[test]
    fn stolen_time_may_make_slices_long() {
        let slices = |long, stolen_ns| {
            changed(|e| {
                e.producers[0].long_slices = long;
                e.stolen_ns = stolen_ns;
            })
        };
        let (verdict, reason) = slices(20, 10_000_000);
        assert_eq!(verdict, Verdict::Inconclusive);
        assert!(reason.contains("hypervisor stole 10 ms"), "{reason}");
        assert_eq!(slices(21, 10_000_000).0, Verdict::Fail);
        assert_eq!(slices(0, 10_000_000).0, Verdict::Pass);
    }

    /// A wait is a wait, however doubtful the rest of the evidence is.
    #[test]
    fn a_wait_outweighs_doubts() {
        let verdict = changed(|e| {
            e.producers[0].blocked_in_call = 1;
            e.ledger.map_full = 1;
        });
        assert_eq!(verdict.0, Verdict::Fail);
    }

    #[test]
    fn what_happens_outside_calls_is_innocent() {
        let verdict = changed(|e| {
            e.producers[0].blocked_outside = 1_000;
            e.producers[0].futex_slept = 1_000;
            e.producers[0].page_faults_in_call = 3;
        });
        assert_eq!(verdict.0, Verdict::Pass);
    }

    #[test]
    fn each_doubt_is_inconclusive_with_its_cause() {
        let caused = |cause: Cause, change: &dyn Fn(&mut Evidence)| {
            let mut evidence = clean();
            change(&mut evidence);
            let judgement = judge(&evidence);
            assert_eq!(judgement.verdict, Verdict::Inconclusive);
            assert_eq!(judgement.causes, [cause], "{:?}", judgement.reasons);
        };
        let passing = |change: &dyn Fn(&mut Evidence)| caused(Cause::Passing, change);
        let lasting = |change: &dyn Fn(&mut Evidence)| caused(Cause::Lasting, change);
        lasting(&|e| e.producers.truncate(1));
        passing(&|e| {
            for p in &mut e.producers {
                (p.held_up, p.held_up_others_went_on) = (9, 9);
            }
        });
        // 19 of 60, 28 of 60.
        for each in [[10, 9], [14, 14]] {
            passing(&|e| {
                for (producer, went_on) in e.producers.iter_mut().zip(each) {
                    producer.held_up_others_went_on = went_on;
                }
            });
        }
        // On a busy machine the others may all be off the processors at times.
        assert_eq!(changed(|e| e.producers[0].held_up_others_went_on = 10).0, Verdict::Pass);
        passing(&|e| e.overlap_ns = 0);
        passing(&|e| (e.producers[0].long_slices, e.stolen_ns) = (20, 10_000_000));
        lasting(&|e| e.lost_producers = 1);
        for ledger in [
            LedgerEvidence { ring_full: 1, ..LedgerEvidence::default() },
            LedgerEvidence { map_full: 1, ..LedgerEvidence::default() },
            LedgerEvidence { kernel_reads: 1, ..LedgerEvidence::default() },
            LedgerEvidence { recursion_misses: Some(1), ..LedgerEvidence::default() },
            LedgerEvidence { unwatched_producers: 1, ..LedgerEvidence::default() },
        ] {
            lasting(&|e| e.ledger = ledger);
        }
        caused(Cause::NoCanary, &|e| e.canary.runs = 0);
        lasting(&|e| e.canary.wrong = vec!["yields 50, seen 49".into()]);
        passing(&|e| e.producers[0].switches_rusage = [0, 41]);
        passing(&|e| e.producers[0].switches_probe = [1, 40]);
        lasting(&|e| e.producers[0].strangers = 1);
        lasting(&|e| e.producers[0].returns_without_entry = 1);
    }

    /// The kernel of that age does not say how many runs it skipped: unknown is no loss.
    #[test]
    fn unknown_recursion_misses_are_no_loss() {
        assert_eq!(changed(|e| e.ledger.recursion_misses = None).0, Verdict::Pass);
    }

    #[test]
    fn exit_codes() {
        assert_eq!(Verdict::Pass.exit_code(), ExitCode::Pass);
        assert_eq!(Verdict::Fail.exit_code(), ExitCode::Violation);
        assert_eq!(Verdict::Inconclusive.exit_code(), ExitCode::Inconclusive);
        assert_eq!(Verdict::NotJudged.exit_code(), ExitCode::Pass);
    }
}
