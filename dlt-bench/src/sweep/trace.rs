//! The way of a call, and how to reach each of its instructions.

use std::collections::HashMap;
use std::ops::Range;

/// Occurrences of an instruction that are stopped at unless all are asked for: the first ones, and the last.
const FIRST: usize = 3;

/// Addresses of the instructions that a call executes, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// One for each instruction; a `rep` instruction has one for each iteration.
    pub addresses: Vec<u64>,
}

/// One stop: how to reach instruction number `index` of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Position in the trace: the victim has executed this many instructions.
    pub index: usize,
    /// The instruction that it is about to execute.
    pub address: u64,
    /// Times that it has to come to a breakpoint there.
    pub hits: usize,
    /// Single steps after that: within a `rep` instruction, which meets a breakpoint only once.
    pub steps: usize,
    /// It comes there by single steps all the way, not with a breakpoint.
    pub by_steps: bool,
}

impl Trace {
    /// All stops, or those at the first three and the last occurrence of each instruction: the turns of a loop between
    /// them differ in nothing but their number.
    pub fn targets(&self, every_occurrence: bool) -> Vec<Target> {
        let mut total: HashMap<u64, usize> = HashMap::new();
        for &address in &self.addresses {
            *total.entry(address).or_default() += 1;
        }
        let mut seen: HashMap<u64, Seen> = HashMap::new();
        let mut targets = Vec::new();
        for (index, &address) in self.addresses.iter().enumerate() {
            let is_iteration = index > 0 && self.addresses[index - 1] == address;
            let seen = seen.entry(address).or_default();
            seen.occurrences += 1;
            if is_iteration {
                seen.steps += 1;
            } else {
                seen.hits += 1;
                seen.steps = 0;
            }
            let is_last = seen.occurrences == total[&address];
            if every_occurrence || seen.occurrences <= FIRST || is_last {
                targets.push(Target { index, address, hits: seen.hits, steps: seen.steps, by_steps: false });
            }
        }
        targets
    }

    /// Where this way and another one part; what lies within `apart` is not compared.
    pub fn differs_at(&self, other: &Self, apart: &Range<u64>) -> Option<usize> {
        let mut mine = self.addresses.iter().enumerate().filter(|(_, address)| !apart.contains(address));
        let mut others = other.addresses.iter().filter(|address| !apart.contains(address));
        loop {
            match (mine.next(), others.next()) {
                (None, None) => return None,
                (Some((_, a)), Some(b)) if a == b => {}
                (at, _) => return Some(at.map_or(self.addresses.len(), |(index, _)| index)),
            }
        }
    }
}

#[derive(Debug, Default)]
struct Seen {
    occurrences: usize,
    hits: usize,
    steps: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(addresses: &[u64]) -> Trace {
        Trace { addresses: addresses.to_vec() }
    }

    #[test]
    fn a_loop_is_reached_by_counting_hits() {
        let targets = trace(&[1, 2, 3, 2, 3, 4]).targets(true);
        let hits: Vec<_> = targets.iter().map(|t| (t.index, t.hits, t.steps)).collect();
        assert_eq!(hits, [(0, 1, 0), (1, 1, 0), (2, 1, 0), (3, 2, 0), (4, 2, 0), (5, 1, 0)]);
    }

    #[test]
    fn iterations_of_a_rep_instruction_are_stepped() {
        let targets = trace(&[7, 8, 8, 8, 9, 8, 8]).targets(true);
        let way: Vec<_> = targets.iter().filter(|t| t.address == 8).map(|t| (t.hits, t.steps)).collect();
        assert_eq!(way, [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]);
    }

    #[test]
    fn turns_in_the_middle_of_a_loop_are_left_out() {
        let turns = trace(&[5, 6].repeat(100));
        let kept: Vec<_> = turns.targets(false).iter().map(|t| t.index).collect();
        assert_eq!(kept, [0, 1, 2, 3, 4, 5, 198, 199]);
        assert_eq!(turns.targets(true).len(), 200);
    }

    #[test]
    fn ways_part_where_they_first_differ() {
        let differs = |a: &[u64], b: &[u64]| trace(a).differs_at(&trace(b), &(10..20));
        assert_eq!(differs(&[1, 2, 3], &[1, 2, 3]), None);
        assert_eq!(differs(&[1, 2, 3], &[1, 4, 3]), Some(1));
        assert_eq!(differs(&[1, 2], &[1, 2, 3]), Some(2));
        assert_eq!(differs(&[1, 2, 3], &[1, 2]), Some(2));
        // What is not compared: other ways through it, none, more.
        assert_eq!(differs(&[1, 10, 11, 2], &[1, 10, 12, 13, 2]), None);
        assert_eq!(differs(&[1, 10, 11, 2], &[1, 2]), None);
        assert_eq!(differs(&[1, 10, 11, 2], &[1, 10, 3]), Some(3));
    }
}
