//! What a sweep shows.

use std::time::Duration;

use super::outcome::Outcome;

/// A stop that was not fine.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Instructions that the victims had executed.
    pub indices: Vec<usize>,
    /// What they were about to execute.
    pub addresses: Vec<u64>,
    /// What became of it.
    pub outcome: Outcome,
    /// How long the others took, in ns; as long as they were waited for, if they did not go on.
    pub time_ns: u64,
    /// The threads that stood still, with their stacks, innermost first.
    pub stacks: Vec<(&'static str, Vec<u64>)>,
}

/// What the sweep of one state of the ring showed.
#[derive(Debug, Clone, Default)]
pub struct StateReport {
    /// Its name.
    pub state: &'static str,
    /// The way: addresses of the instructions of the call, in order.
    pub way: Vec<u64>,
    /// Stops that were to be made.
    pub planned: usize,
    /// Stops that were made as they were meant.
    pub made: usize,
    /// Those at which calls of others did not return.
    pub stalled_calls: usize,
    /// Those at which messages of others did not arrive.
    pub stalled_delivery: usize,
    /// Those at which a chore did not end.
    pub stalled_chores: usize,
    /// Those after which the books did not balance, or somebody did not recover.
    pub broken: usize,
    /// Stops that the victim did not come to.
    pub not_reached: usize,
    /// Stops at which the ring was not in the recorded state.
    pub other_state: usize,
    /// Repetitions of the way that differed, with the position at which they did.
    pub unequal: Vec<usize>,
    /// For each stop that was made: position in the way, and how long the others took, in ns.
    pub times_ns: Vec<(usize, u64)>,
    /// What was not fine.
    pub findings: Vec<Finding>,
    /// Pairs of stops of two victims that were made.
    pub pairs: usize,
    /// Those at which somebody waited, or after which something was lost.
    pub stalled_pairs: usize,
    /// How long it took.
    pub duration: Duration,
}

impl StateReport {
    /// Stops at which somebody waited, or after which something was lost.
    pub fn violations(&self) -> usize {
        self.findings.iter().filter(|finding| finding.outcome.is_violation()).count()
    }

    /// Adds a pair of stops.
    pub(super) fn book_pair(&mut self, pair: Finding) {
        self.pairs += usize::from(pair.outcome.is_made());
        self.stalled_pairs += usize::from(pair.outcome.is_violation());
        if pair.outcome != Outcome::Fine {
            self.findings.push(pair);
        }
    }

    /// Adds a stop.
    pub(super) fn book(&mut self, stop: Finding) {
        match &stop.outcome {
            Outcome::Fine => {}
            Outcome::Stalled(stalled) => {
                self.stalled_calls += usize::from(stalled.calls);
                self.stalled_delivery += usize::from(stalled.delivery);
                self.stalled_chores += usize::from(stalled.chore.is_some());
            }
            Outcome::Broken(_) => self.broken += 1,
            Outcome::NotReached => self.not_reached += 1,
            Outcome::OtherState => self.other_state += 1,
        }
        if stop.outcome.is_made() {
            self.made += 1;
            self.times_ns.push((stop.indices[0], stop.time_ns));
        }
        if stop.outcome != Outcome::Fine {
            self.findings.push(stop);
        }
    }
}

/// What the sweep of a subject showed.
#[derive(Debug, Clone)]
pub struct SubjectReport {
    /// Its name.
    pub name: String,
    /// Its states.
    pub states: Vec<StateReport>,
    /// Calls of each member of the crowd at each stop.
    pub crowd_calls: u64,
    /// What the others did besides.
    pub chores: &'static [&'static str],
    /// How long the others had.
    pub watchdog: Duration,
    /// Stops per state at most; `None`: every instruction.
    pub sample: Option<usize>,
    /// False if it was interrupted.
    pub is_complete: bool,
}
