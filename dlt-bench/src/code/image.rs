//! The program's code in memory: instructions, functions, and what they call.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::instruction::{Flow, Instruction, LONGEST_BYTES};
use super::symbols::{Function, Symbols};
use crate::error::Error;

/// Calls are followed this deep to find out whether a function can return.
const FOLLOWED_CALLS: usize = 4;

/// The code of this process.
#[derive(Debug)]
pub struct Image {
    /// Reading through the file needs no pointers, and an address that is not mapped is an error instead of a fault.
    memory: File,
    symbols: Symbols,
    /// Functions by their start: can they return?
    returns: RefCell<HashMap<u64, bool>>,
}

/// A call out of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callee {
    /// Address of the call, or of the jump that ends the function.
    pub from: u64,
    /// The function, if it can be known without executing anything.
    pub target: Option<u64>,
    /// Its name, or the text of the instruction.
    pub name: String,
    /// A jump: the callee returns to the caller's caller.
    pub is_tail: bool,
    /// The address comes from memory or a register.
    pub is_indirect: bool,
    /// It can return.
    pub returns: bool,
}

/// The code of a function.
#[derive(Debug, Clone)]
pub struct FunctionCode {
    /// The function.
    pub function: Function,
    /// Its instructions in their order, without padding.
    pub instructions: Vec<Instruction>,
    /// What it calls.
    pub callees: Vec<Callee>,
}

impl Image {
    /// The code of this process, and of every child that is forked from it.
    ///
    /// # Errors
    /// The symbols or the memory cannot be read.
    pub fn of_this_process() -> Result<Self, Error> {
        let memory = File::open("/proc/self/mem").map_err(|error| {
            Error::cannot_run(format!("failed to open this process's memory in /proc: {error}"))
        })?;
        Ok(Self { memory, symbols: Symbols::of_this_process()?, returns: RefCell::default() })
    }

    /// The functions' names and places.
    pub const fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The instruction at this address.
    ///
    /// # Errors
    /// Nothing is mapped there, or it is no code.
    pub fn instruction(&self, address: u64) -> Result<Instruction, Error> {
        let mut bytes = [0; LONGEST_BYTES];
        // At the end of a mapping there are fewer.
        let read = self.memory.read_at(&mut bytes, address).unwrap_or_default();
        Instruction::decode(address, &bytes[..read])
            .ok_or_else(|| Error::failed(format!("no instruction can be read at {address:#x}")))
    }

    /// The code of the function that has this address.
    ///
    /// # Errors
    /// No symbol table names it, or its code cannot be read.
    pub fn function(&self, address: u64) -> Result<FunctionCode, Error> {
        self.function_seen(address, &mut Vec::new())
    }

    /// Can the function at this address return? One that always panics, aborts or unwinds further cannot.
    pub fn returns(&self, address: u64) -> bool {
        self.returns_seen(address, &mut Vec::new())
    }

    fn raw(&self, function: &Function) -> Result<Vec<Instruction>, Error> {
        let mut bytes = vec![0; function.bytes as usize];
        self.memory.read_exact_at(&mut bytes, function.start).map_err(|error| {
            Error::failed(format!("failed to read the code of `{}`: {error}", function.name))
        })?;
        let mut instructions = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let address = function.start + at as u64;
            let instruction = Instruction::decode(address, &bytes[at..]).ok_or_else(|| {
                Error::failed(format!("`{}` has no instruction at {address:#x}", function.name))
            })?;
            at += instruction.bytes() as usize;
            instructions.push(instruction);
        }
        Ok(instructions)
    }

    /// `seen`: functions whose calls are being followed.
    fn function_seen(&self, address: u64, seen: &mut Vec<u64>) -> Result<FunctionCode, Error> {
        let function = self.symbols.function_at(address).cloned().ok_or_else(|| {
            Error::failed(format!(
                "no function is known at {address:#x} in {}",
                self.symbols.module_at(address)
            ))
        })?;
        let raw = self.raw(&function)?;
        let targets: HashSet<u64> = raw
            .iter()
            .filter_map(|instruction| match instruction.flow() {
                Flow::Jump(target) | Flow::Branch(target) => Some(target),
                _ => None,
            })
            .collect();
        let (mut instructions, mut callees) = (Vec::new(), Vec::new());
        let mut is_reached = true;
        for instruction in raw {
            is_reached |= targets.contains(&instruction.address());
            if !is_reached && instruction.is_filler() {
                continue;
            }
            let callee = self.callee(&function, &instruction, seen);
            is_reached = instruction.falls_through()
                && callee.as_ref().is_none_or(|callee| callee.is_tail || callee.returns);
            callees.extend(callee);
            instructions.push(instruction);
        }
        Ok(FunctionCode { function, instructions, callees })
    }

    /// What this instruction of `function` calls.
    fn callee(&self, function: &Function, instruction: &Instruction, seen: &mut Vec<u64>) -> Option<Callee> {
        let flow = instruction.flow();
        let target = match flow {
            Flow::Call(target) => Some(target),
            Flow::Jump(target) | Flow::Branch(target) if !function.contains(target) => Some(target),
            Flow::IndirectCall | Flow::IndirectJump => {
                instruction.slot().and_then(|slot| self.word(slot)).filter(|&to| self.symbols.is_code(to))
            }
            _ => return None,
        };
        let target = target.map(|target| self.behind_stub(target).unwrap_or(target));
        let is_indirect = matches!(flow, Flow::IndirectCall | Flow::IndirectJump);
        Some(Callee {
            from: instruction.address(),
            target,
            name: target.map_or_else(|| instruction.text(), |target| self.symbols.label(target)),
            is_tail: !matches!(flow, Flow::Call(_) | Flow::IndirectCall),
            is_indirect,
            returns: target.is_none_or(|target| self.returns_seen(target, seen)),
        })
    }

    /// Where a stub of the procedure linkage table leads: a jump through a slot, which no symbol names.
    fn behind_stub(&self, address: u64) -> Option<u64> {
        const LONGEST_STUB: usize = 3;
        if self.symbols.function_at(address).is_some() {
            return None;
        }
        let mut at = address;
        for _ in 0..LONGEST_STUB {
            let instruction = self.instruction(at).ok()?;
            if instruction.flow() == Flow::IndirectJump {
                return self.word(instruction.slot()?).filter(|&to| self.symbols.is_code(to));
            }
            at = instruction.end();
        }
        None
    }

    fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.memory.read_exact_at(&mut bytes, address).ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    fn returns_seen(&self, address: u64, seen: &mut Vec<u64>) -> bool {
        let Some(function) = self.symbols.function_at(address) else { return true };
        if never_returns(&function.name) {
            return false;
        }
        let start = function.start;
        if let Some(&known) = self.returns.borrow().get(&start) {
            return known;
        }
        // What is not followed to its end is taken to return.
        if seen.len() >= FOLLOWED_CALLS || seen.contains(&start) {
            return true;
        }
        seen.push(start);
        let returns = self.function_seen(address, seen).map_or(true, |code| code.leaves_from(start));
        seen.pop();
        // Deeper down less was followed.
        if seen.is_empty() || !returns {
            self.returns.borrow_mut().insert(start, returns);
        }
        returns
    }
}

impl FunctionCode {
    /// Index of the instruction at this address.
    pub fn index(&self, address: u64) -> Option<usize> {
        self.instructions.binary_search_by_key(&address, Instruction::address).ok()
    }

    /// What the instruction at this address calls.
    pub fn callee(&self, address: u64) -> Option<&Callee> {
        let at = self.callees.binary_search_by_key(&address, |callee| callee.from).ok()?;
        self.callees.get(at)
    }

    /// Indices of the instructions of this function that may come next. Empty behind a jump table.
    pub(super) fn next(&self, index: usize) -> Vec<usize> {
        let Some(instruction) = self.instructions.get(index) else { return Vec::new() };
        let callee = self.callee(instruction.address());
        let goes_on =
            instruction.falls_through() && callee.is_none_or(|callee| callee.is_tail || callee.returns);
        let behind = goes_on.then(|| instruction.end());
        let target = match instruction.flow() {
            Flow::Jump(target) | Flow::Branch(target) => Some(target),
            _ => None,
        };
        behind.into_iter().chain(target).filter_map(|address| self.index(address)).collect()
    }

    /// Does the instruction leave the function in an orderly way: a return, a jump to a function that returns, a jump whose
    /// target is not known?
    pub(super) fn leaves(&self, index: usize) -> bool {
        let Some(instruction) = self.instructions.get(index) else { return false };
        let callee = self.callee(instruction.address());
        instruction.flow() == Flow::Return || callee.is_some_and(|callee| callee.is_tail && callee.returns)
    }

    /// Can the function be left in an orderly way from this address on?
    fn leaves_from(&self, address: u64) -> bool {
        let mut seen = HashSet::new();
        let mut open: Vec<usize> = self.index(address).into_iter().collect();
        while let Some(index) = open.pop() {
            if seen.insert(index) {
                if self.leaves(index) {
                    return true;
                }
                open.extend(self.next(index));
            }
        }
        false
    }
}

/// Functions whose own code does not show that they never return: it ends in a system call, or far down.
fn never_returns(name: &str) -> bool {
    name.starts_with("core::panicking::")
        || matches!(
            name,
            "std::process::abort"
                | "std::process::exit"
                | "std::panicking::panic_with_hook"
                | "std::panicking::rust_panic_with_hook"
                | "_Unwind_Resume"
                | "__stack_chk_fail"
                | "abort"
                | "exit"
                | "_exit"
        )
}
