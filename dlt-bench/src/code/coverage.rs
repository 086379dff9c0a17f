//! Which instructions of a function were executed, and why the others were not.
//!
//! The denominator is the static code: the function, and the functions that it calls directly. What was not executed is
//! explained by the code itself, so that nobody has to take it on trust.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::fmt;

use super::image::{FunctionCode, Image};
use super::instruction::{Flow, Instruction};
use super::symbols::Place;
use crate::error::Error;

/// Why an instruction was not executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// Every way from it ends in a panic, an abort or a trap: it is named.
    LeadsOnlyTo(String),
    /// The function was never called. The calls stand at these addresses.
    NeverCalled(Vec<u64>),
    /// It lies behind a branch that always went the other way.
    BranchNotTaken {
        /// Address of the branch.
        branch: u64,
        /// Where it comes from.
        place: Place,
    },
    /// No branch leads to it: a jump table, or the clean-up after a panic that can be caught.
    OnlyIndirectly,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeadsOnlyTo(end) => write!(f, "leads only to {end}"),
            Self::NeverCalled(calls) => {
                let calls: Vec<_> = calls.iter().map(|call| format!("{call:#x}")).collect();
                write!(f, "never called (from {})", calls.join(", "))
            }
            Self::BranchNotTaken { branch, place } => {
                write!(f, "behind the branch at {branch:#x} in {place}, which never went there")
            }
            Self::OnlyIndirectly => {
                f.write_str("no branch leads there: a jump table, or the clean-up of a panic")
            }
        }
    }
}

/// Instructions in a row that were not executed, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncovered {
    /// Address of the first one.
    pub start: u64,
    /// Address behind the last one.
    pub end: u64,
    /// How many there are.
    pub instructions: usize,
    /// Where the first one comes from.
    pub place: Place,
    /// Why they were not executed.
    pub because: Because,
}

/// The coverage of one function.
#[derive(Debug, Clone)]
pub struct FunctionCoverage {
    /// Its name.
    pub name: String,
    /// Address of its first instruction.
    pub start: u64,
    /// Instructions that were executed.
    pub covered: usize,
    /// Instructions that it has.
    pub total: usize,
    /// Those that were not executed.
    pub uncovered: Vec<Uncovered>,
    /// Calls whose target the instruction does not hold: name or text, and address of the call.
    pub indirect: Vec<(String, u64)>,
}

/// The coverage of a function and of what it calls directly.
#[derive(Debug, Clone)]
pub struct Coverage {
    /// The function first, then its direct callees by address.
    pub functions: Vec<FunctionCoverage>,
    /// Direct callees that are not counted because they never return: panics.
    pub never_return: Vec<String>,
    /// Direct callees that are not counted because they are a library's.
    pub of_libraries: Vec<String>,
}

impl Coverage {
    /// Instructions that were executed.
    pub fn covered(&self) -> usize {
        self.functions.iter().map(|function| function.covered).sum()
    }

    /// Instructions that there are.
    pub fn total(&self) -> usize {
        self.functions.iter().map(|function| function.total).sum()
    }
}

/// Compares the code of the function at `entry` and of its direct callees with the addresses that were executed.
///
/// # Errors
/// The code cannot be read.
pub fn cover(image: &Image, entry: u64, executed: &BTreeSet<u64>) -> Result<Coverage, Error> {
    let code = image.function(entry)?;
    let mut callees: Vec<(u64, Vec<u64>)> = Vec::new();
    let (mut never_return, mut of_libraries) = (Vec::new(), Vec::new());
    for callee in code.callees.iter().filter(|callee| !callee.is_indirect) {
        let Some(target) = callee.target else { continue };
        let list = if !callee.returns {
            &mut never_return
        } else if let Some(function) =
            image.symbols().function_at(target).filter(|_| image.symbols().is_own(target))
        {
            let start = function.start;
            match callees.iter_mut().find(|(known, _)| *known == start) {
                Some((_, calls)) => calls.push(callee.from),
                None if start != code.function.start => callees.push((start, vec![callee.from])),
                None => {}
            }
            continue;
        } else {
            &mut of_libraries
        };
        if !list.contains(&callee.name) {
            list.push(callee.name.clone());
        }
    }
    callees.sort_unstable();
    let mut functions = vec![of_function(image, &code, &[], executed)];
    for (start, calls) in &callees {
        functions.push(of_function(image, &image.function(*start)?, calls, executed));
    }
    Ok(Coverage { functions, never_return, of_libraries })
}

fn of_function(
    image: &Image,
    code: &FunctionCode,
    calls: &[u64],
    executed: &BTreeSet<u64>,
) -> FunctionCoverage {
    let is_executed = |index: usize| {
        code.instructions.get(index).is_some_and(|instruction| executed.contains(&instruction.address()))
    };
    let total = code.instructions.len();
    let covered = (0..total).filter(|&index| is_executed(index)).count();
    let reasons = Reasons::new(image, code);
    let mut uncovered: Vec<Uncovered> = Vec::new();
    for (index, instruction) in code.instructions.iter().enumerate().filter(|(index, _)| !is_executed(*index))
    {
        let because =
            if covered == 0 { Because::NeverCalled(calls.to_vec()) } else { reasons.of(index, &is_executed) };
        match uncovered.last_mut() {
            // Padding may lie between two blocks.
            Some(last) if last.because == because && !(index > 0 && is_executed(index - 1)) => {
                last.end = instruction.end();
                last.instructions += 1;
            }
            _ => uncovered.push(Uncovered {
                start: instruction.address(),
                end: instruction.end(),
                instructions: 1,
                place: image.symbols().place(instruction.address()),
                because,
            }),
        }
    }
    let indirect = code.callees.iter().filter(|callee| callee.is_indirect);
    FunctionCoverage {
        name: code.function.name.clone(),
        start: code.function.start,
        covered,
        total,
        uncovered,
        indirect: indirect.map(|callee| (callee.name.clone(), callee.from)).collect(),
    }
}

/// The ways through a function.
struct Reasons<'a> {
    image: &'a Image,
    code: &'a FunctionCode,
    next: Vec<Vec<usize>>,
    before: Vec<Vec<usize>>,
    /// From here the function can be left in an orderly way.
    is_returning: Vec<bool>,
}

impl<'a> Reasons<'a> {
    fn new(image: &'a Image, code: &'a FunctionCode) -> Self {
        let total = code.instructions.len();
        let next: Vec<_> = (0..total).map(|index| code.next(index)).collect();
        let mut before = vec![Vec::new(); total];
        for (index, following) in next.iter().enumerate() {
            for &to in following {
                before[to].push(index);
            }
        }
        let mut is_returning = vec![false; total];
        let mut open: Vec<usize> = (0..total).filter(|&index| code.leaves(index)).collect();
        while let Some(index) = open.pop() {
            if !std::mem::replace(&mut is_returning[index], true) {
                open.extend(&before[index]);
            }
        }
        Self { image, code, next, before, is_returning }
    }

    fn of(&self, index: usize, is_executed: &impl Fn(usize) -> bool) -> Because {
        if !self.is_returning[index] {
            return Because::LeadsOnlyTo(self.end(index));
        }
        // The nearest branch that was executed and leads here through nothing that was.
        let found = search(index, &self.before, |at| is_executed(at) && at != index, |at| !is_executed(at));
        match found.and_then(|at| self.code.instructions.get(at)) {
            Some(branch) if matches!(branch.flow(), Flow::Branch(_)) => Because::BranchNotTaken {
                branch: branch.address(),
                place: self.image.symbols().place(branch.address()),
            },
            _ => Because::OnlyIndirectly,
        }
    }

    /// What stands at the nearest end that is no return.
    fn end(&self, index: usize) -> String {
        let is_end = |at: usize| self.next[at].is_empty();
        let found = search(index, &self.next, is_end, |at| !is_end(at));
        let name = |instruction: &Instruction| match self.code.callee(instruction.address()) {
            Some(callee) => callee.name.clone(),
            None => format!("a trap ({})", instruction.text()),
        };
        found.and_then(|at| self.code.instructions.get(at)).map_or_else(|| "an endless loop".to_owned(), name)
    }
}

/// Breadth-first along `edges` from `index`; goes on from where `is_open`.
fn search(
    index: usize,
    edges: &[Vec<usize>],
    is_found: impl Fn(usize) -> bool,
    is_open: impl Fn(usize) -> bool,
) -> Option<usize> {
    let (mut seen, mut queue) = (HashSet::from([index]), VecDeque::from([index]));
    while let Some(at) = queue.pop_front() {
        if is_found(at) {
            return Some(at);
        }
        if is_open(at) {
            queue.extend(edges[at].iter().filter(|&&to| seen.insert(to)));
        }
    }
    None
}

#[cfg(test)]
mod tests;
