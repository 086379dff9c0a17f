//! When a window is measured again, and what is said about that.
//!
//! Only evidence that did not suffice for a reason that passes is gathered again: a host that stole time, too few
//! preemptions. A wait is a wait, and evidence that was lost or counted wrong would be no better the second time.

use super::judge::{Cause, Judgement, Verdict};

/// Windows of one row at most.
pub const MOST: usize = 3;

/// True if the window that was judged last is to be measured again. `judged` are all of the row so far, in order; `passing` are
/// the causes that a new window can settle.
pub fn is_due(judged: &[Judgement], passing: &[Cause]) -> bool {
    let Some(last) = judged.last() else { return false };
    judged.len() < MOST
        && judged.iter().all(|judgement| judgement.verdict == Verdict::Inconclusive)
        && !last.causes.is_empty()
        && last.causes.iter().all(|cause| passing.contains(cause))
}

/// What there is to say of the windows before the last one; `None` if there was only one.
pub fn words(judged: &[Judgement]) -> Option<String> {
    let (_, earlier) = judged.split_last()?;
    if earlier.is_empty() {
        return None;
    }
    let times = match judged.len() {
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    };
    let each = earlier.iter().map(|judgement| {
        let Judgement { verdict, reasons, causes: _ } = judgement;
        format!("{} · {}", verdict.name(), reasons.join("; "))
    });
    Some(format!("measured {times}: before this {}", each.collect::<Vec<_>>().join(" | ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSING: [Cause; 1] = [Cause::Passing];

    fn inconclusive(causes: &[Cause]) -> Judgement {
        let reasons = causes.iter().map(|cause| format!("{cause:?}")).collect();
        Judgement { verdict: Verdict::Inconclusive, reasons, causes: causes.to_vec() }
    }

    fn of(verdict: Verdict) -> Judgement {
        Judgement { verdict, reasons: vec!["words".into()], causes: Vec::new() }
    }

    #[test]
    fn a_window_is_measured_three_times_at_most() {
        let doubt = inconclusive(&[Cause::Passing, Cause::Passing]);
        assert!(!is_due(&[], &PASSING));
        assert!(is_due(std::slice::from_ref(&doubt), &PASSING));
        assert!(is_due(&[doubt.clone(), doubt.clone()], &PASSING));
        assert!(!is_due(&[doubt.clone(), doubt.clone(), doubt], &PASSING));
    }

    #[test]
    fn nothing_but_inconclusive_is_measured_again() {
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::NotJudged] {
            assert!(!is_due(&[of(verdict)], &PASSING), "{verdict:?}");
        }
        // Nor can a later window make up for a wait in an earlier one.
        assert!(!is_due(&[of(Verdict::Fail), inconclusive(&[Cause::Passing])], &PASSING));
    }

    #[test]
    fn one_reason_that_stays_is_enough_to_leave_it() {
        assert!(!is_due(&[inconclusive(&[Cause::Passing, Cause::Lasting])], &PASSING));
        assert!(!is_due(&[inconclusive(&[Cause::Lasting])], &PASSING));
        assert!(!is_due(&[inconclusive(&[Cause::NoCanary, Cause::Passing])], &PASSING));
        // No canary sings in a control's window.
        assert!(is_due(
            &[inconclusive(&[Cause::NoCanary, Cause::Passing])],
            &[Cause::Passing, Cause::NoCanary]
        ));
    }

    #[test]
    fn earlier_windows_are_told() {
        let doubt = inconclusive(&[Cause::Passing]);
        assert_eq!(words(&[of(Verdict::Pass)]), None);
        assert_eq!(
            words(&[doubt.clone(), of(Verdict::Pass)]).unwrap(),
            "measured twice: before this INCONCLUSIVE · Passing"
        );
        assert_eq!(
            words(&[doubt.clone(), doubt, of(Verdict::Fail)]).unwrap(),
            "measured 3 times: before this INCONCLUSIVE · Passing | INCONCLUSIVE · Passing"
        );
    }
}
