//! Each fault is found, at the stops at which it makes a difference and at no other.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use dlt_bench::code::{Image, Instruction};
use dlt_bench::error::Error;
use dlt_bench::sweep::{Options, Outcome, Stalled, StateReport, Subject, SubjectReport, sweep_calls};

use crate::broken::Broken;
use crate::broken::ring::{self, EARLY, LOCKED, SHARED, SOUND, WAITS};
use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    ("faults::a_sound_ring_is_clean", a_sound_ring_is_clean),
    ("faults::a_message_that_can_be_taken_too_early", a_message_that_can_be_taken_too_early),
    ("faults::callers_that_wait_for_a_claimed_slot", callers_that_wait_for_a_claimed_slot),
    ("faults::delivery_that_waits_for_a_writer", delivery_that_waits_for_a_writer),
    ("faults::registration_under_a_lock", registration_under_a_lock),
];

/// Where nobody has to wait.
const WATCHDOG: Duration = Duration::from_secs(1);
/// Those who wait wait for ever: longer only makes the test longer. Those who go on take 1 ms.
const SHORT_WATCHDOG: Duration = Duration::from_millis(60);
/// On a busy machine they may take longer, then and now, but not again and again at the same stop.
const TRIES: usize = 4;

fn sweep<const FAULT: u8>(watchdog: Duration) -> Result<SubjectReport, Error> {
    let options = Options { watchdog, ..Options::default() };
    let report = sweep_calls("rings", &|_| Broken::<FAULT>::new(), &options, &mut |_, _, _| {})?;
    assert!(report.is_complete);
    let names: Vec<_> = report.states.iter().map(|state| state.state).collect();
    assert_eq!(names, Broken::<FAULT>::STATES);
    for state in &report.states {
        assert_eq!(state.made, state.planned, "{}: {:?}", state.state, state.findings);
        // Nothing in these rings runs more than three times, so that every instruction is stopped at.
        assert_eq!(state.planned, state.way.len(), "{}", state.state);
        assert_eq!(state.unequal, [0; 0], "{}", state.state);
    }
    Ok(report)
}

/// Where the victim stood when something was found.
fn found_at(state: &StateReport) -> BTreeSet<usize> {
    state.findings.iter().map(|finding| finding.indices[0]).collect()
}

fn a_sound_ring_is_clean() -> Result<(), Error> {
    for state in &sweep::<SOUND>(WATCHDOG)?.states {
        assert_eq!(state.findings.len(), 0, "{}: {:?}", state.state, state.findings);
        assert!(state.made > 10, "{}: {}", state.state, state.made);
    }
    Ok(())
}

/// Positions in a way, by what the instructions are.
struct Way<'a> {
    image: Image,
    state: &'a StateReport,
}

impl<'a> Way<'a> {
    fn of(state: &'a StateReport) -> Result<Self, Error> {
        Ok(Self { image: Image::of_this_process()?, state })
    }

    fn position(&self, last: bool, is_it: impl Fn(&Instruction) -> bool) -> usize {
        let mut positions = (0..self.state.way.len()).filter(|&index| {
            let instruction = self.image.instruction(self.state.way[index]);
            instruction.is_ok_and(|instruction| is_it(&instruction))
        });
        let found = if last { positions.next_back() } else { positions.next() };
        found.unwrap_or_else(|| panic!("{}: no such instruction in its way", self.state.state))
    }

    /// The store in one of the functions that do nothing but a store through their first argument.
    fn store(&self, last: bool, function: usize) -> usize {
        let code = self.image.function(function as u64).unwrap();
        let is_store = |instruction: &&Instruction| {
            instruction.text().split_once(',').is_some_and(|(target, _)| target.ends_with("[rdi]"))
        };
        let stores: Vec<_> = code.instructions.iter().filter(is_store).map(Instruction::address).collect();
        assert_eq!(stores.len(), 1, "{}", code.function.name);
        self.position(last, |instruction| instruction.address() == stores[0])
    }

    /// At every finding this thread was in the function with this name.
    fn stacks_have(&self, who: &str, function: &str) -> bool {
        self.state.findings.iter().all(|finding| {
            let stack = finding.stacks.iter().find(|(thread, _)| *thread == who);
            let mut addresses = stack.into_iter().flat_map(|(_, addresses)| addresses);
            addresses.any(|&address| self.image.symbols().label(address).contains(function))
        })
    }

    /// At all these stops something was found. False: elsewhere as well, or something else.
    fn is_found(&self, stops: RangeInclusive<usize>, is_outcome: impl Fn(&Outcome) -> bool) -> bool {
        let Self { state, .. } = self;
        let (found, expected) = (found_at(state), stops.collect());
        assert!(found.is_superset(&expected), "{}: not {expected:?}: {:?}", state.state, state.findings);
        let is_exact = found == expected && state.findings.iter().all(|finding| is_outcome(&finding.outcome));
        if !is_exact {
            eprintln!("{}: not {expected:?}: {:?}", state.state, state.findings);
        }
        is_exact
    }
}

/// Sweeps until exactly what is expected was found.
fn expect_found<const FAULT: u8>(
    is_found: impl Fn(&[StateReport]) -> Result<bool, Error>,
) -> Result<(), Error> {
    for _ in 0..TRIES {
        if is_found(&sweep::<FAULT>(SHORT_WATCHDOG)?.states)? {
            return Ok(());
        }
    }
    panic!("other things than expected were found {TRIES} times");
}

fn a_message_that_can_be_taken_too_early() -> Result<(), Error> {
    let (publish, last) = (ring::publish as *const () as usize, ring::write_last as *const () as usize);
    assert_ne!(publish, last, "functions with equal bodies have become one");
    let report = sweep::<EARLY>(WATCHDOG)?;
    for state in &report.states {
        if state.state == "full" {
            // It is refused: nothing becomes visible.
            assert_eq!(state.findings.len(), 0, "{:?}", state.findings);
            continue;
        }
        let way = Way::of(state)?;
        // The store that publishes has been executed, the one that completes the message has not. The books stay wrong:
        // that the next stops are fine means that each had a new process.
        let (from, to) = (way.store(false, publish) + 1, way.store(false, last));
        assert!(from < to, "{from}..={to}");
        way.is_found(
            from..=to,
            |outcome| matches!(outcome, Outcome::Broken(why) if why.contains(" 0 out of order, 1 torn")),
        );
        assert_eq!(state.broken, to - from + 1, "{}", state.state);
    }
    Ok(())
}

fn callers_that_wait_for_a_claimed_slot() -> Result<(), Error> {
    expect_found::<SHARED>(|states| {
        let [state] = states else { panic!("{} states", states.len()) };
        let way = Way::of(state)?;
        // The slot is claimed, and not yet published.
        let claim = way.position(false, Instruction::is_locked);
        let publish = way.store(false, ring::publish as *const () as usize);
        assert!(claim < publish, "{claim}..={publish}");
        assert!(state.stalled_calls >= publish - claim, "{}", state.stalled_calls);
        let stalled = Outcome::Stalled(Stalled { calls: true, delivery: false, chore: Some(0) });
        Ok(way.is_found(claim + 1..=publish, |outcome| *outcome == stalled)
            && way.stacks_have("a caller", "process::member"))
    })
}

fn delivery_that_waits_for_a_writer() -> Result<(), Error> {
    expect_found::<WAITS>(|states| {
        let [state] = states else { panic!("{} states", states.len()) };
        let way = Way::of(state)?;
        // From the mark to its end.
        let mark = ring::mark as *const () as usize;
        let (begin, end) = (way.store(false, mark), way.store(true, mark));
        assert!(begin < end, "{begin}..={end}");
        assert!(state.stalled_delivery >= end - begin, "{}", state.stalled_delivery);
        let stalled = Outcome::Stalled(Stalled { calls: false, delivery: true, chore: None });
        Ok(way.is_found(begin + 1..=end, |outcome| *outcome == stalled)
            && way.stacks_have("delivery", "Rings::take"))
    })
}

fn registration_under_a_lock() -> Result<(), Error> {
    expect_found::<LOCKED>(|states| {
        let (first, others) = states.split_last().unwrap();
        let way = Way::of(first)?;
        // The mutex is taken by the first locked instruction, and given back by the only exchange.
        let lock = way.position(false, Instruction::is_locked);
        let unlock = way
            .position(false, |instruction| instruction.is_locked() && instruction.text().starts_with("xchg"));
        assert!(lock < unlock, "{lock}..={unlock}");
        assert!(first.stalled_chores >= unlock - lock, "{}", first.stalled_chores);
        let stalled = Outcome::Stalled(Stalled { calls: false, delivery: false, chore: Some(0) });
        Ok(way.is_found(lock + 1..=unlock, |outcome| *outcome == stalled)
            && others.iter().all(|state| state.findings.is_empty()))
    })
}
