//! What the steps of a trace are: counts, and the listing.

use std::collections::BTreeSet;

use super::summary::{Line, Lines, Summary, Touched};
use super::trace::{Step, Trace};
use crate::code::{Access, Flow, Image, Instruction, Memory};
use crate::error::Error;

/// Bytes of a cache line.
const LINE_BYTES: u64 = 64;

/// Generics of the standard library that the optimiser may leave as functions of their own in the program: the access to a
/// thread-local, and what lies behind its function pointer. What these call is the library's affair.
const GLUE: [&str; 2] = ["std::thread::local::LocalKey", "core::ops::function::FnOnce::call_once"];

/// A stub that leads to a library has at most two instructions; one behind it is the library's.
const LONGEST_STUB: usize = 3;

/// Reads a trace.
pub(super) struct Reader<'a> {
    image: &'a Image,
    /// Anonymous mappings of the process under test.
    mapped: Vec<std::ops::Range<u64>>,
}

impl<'a> Reader<'a> {
    /// `maps` is the process's /proc/PID/maps.
    pub(super) fn new(image: &'a Image, maps: &str) -> Self {
        let anonymous = |line: &str| {
            let mut fields = line.split_ascii_whitespace();
            let (start, end) = fields.next()?.split_once('-')?;
            let address = |text| u64::from_str_radix(text, 16).ok();
            fields.nth(4).is_none().then_some(address(start)?..address(end)?)
        };
        Self { image, mapped: maps.lines().filter_map(anonymous).collect() }
    }

    /// Counts.
    pub(super) fn summary(&self, trace: &Trace) -> Result<Summary, Error> {
        let mut summary = Summary { instructions: trace.steps.len(), ..Summary::default() };
        let (mut read, mut written) = (BTreeSet::new(), BTreeSet::new());
        for (index, step) in trace.steps.iter().enumerate() {
            let instruction = self.image.instruction(step.address)?;
            let file = self.image.symbols().module_at(step.address);
            *summary.instructions_in.entry(file).or_default() += 1;
            summary.repetitions += step.repetitions;
            summary.locked_instructions += usize::from(instruction.is_locked());
            summary.fences += usize::from(instruction.is_fence());
            summary.system_calls += usize::from(instruction.is_system_call());
            if let Some(name) = self.calls_out(&instruction, trace, index) {
                *summary.calls_out.entry(name).or_default() += 1;
            }
            if let Some(is_taken) = is_taken(&instruction, step) {
                summary.branches += 1;
                summary.branches_taken += usize::from(is_taken);
            }
            for memory in &step.memory {
                if memory.access.is_read() {
                    summary.loads += 1;
                    summary.loaded_bytes += memory.bytes;
                    read.extend(lines(memory));
                }
                if memory.access.is_write() {
                    summary.stores += 1;
                    summary.stored_bytes += memory.bytes;
                    written.extend(lines(memory));
                }
            }
        }
        summary.cache_lines_read = self.sorted(&read, trace);
        summary.cache_lines_written = self.sorted(&written, trace);
        Ok(summary)
    }

    /// The listing.
    pub(super) fn listing(&self, trace: &Trace) -> Result<Vec<Line>, Error> {
        let line = |(index, step): (usize, &Step)| {
            let instruction = self.image.instruction(step.address)?;
            let place = self.image.symbols().place(step.address);
            let touched = |memory: &Memory| Touched {
                address: format!("{:#x}", memory.address),
                bytes: memory.bytes,
                access: match memory.access {
                    Access::Read => "read",
                    Access::Write => "write",
                    Access::ReadWrite => "read-write",
                },
                on: self.region(memory.address, trace).name(),
            };
            Ok(Line {
                address: format!("{:#x}", step.address),
                text: instruction.text(),
                function: place.function,
                place: place.file_line,
                is_locked: instruction.is_locked(),
                is_system_call: instruction.is_system_call(),
                calls_out: self.calls_out(&instruction, trace, index),
                is_taken: is_taken(&instruction, step),
                repetitions: step.repetitions,
                memory: step.memory.iter().map(touched).collect(),
            })
        };
        trace.steps.iter().enumerate().map(line).collect()
    }

    /// The function that this step enters, if it is none of the project's and the step's own is. What that calls in turn is
    /// its own affair.
    fn calls_out(&self, instruction: &Instruction, trace: &Trace, index: usize) -> Option<String> {
        let symbols = self.image.symbols();
        let step = trace.steps.get(index)?;
        let may_leave = match instruction.flow() {
            Flow::Call(_) | Flow::IndirectCall => true,
            Flow::Jump(_) | Flow::IndirectJump | Flow::Branch(_) => {
                let function = symbols.function_at(step.address);
                function.is_none_or(|function| !function.contains(step.next))
            }
            _ => false,
        };
        // A stub of the procedure linkage table has no symbol: what it jumps to is called.
        let mut entered = trace.steps.iter().skip(index + 1).take(LONGEST_STUB).map(|step| step.address);
        let entered = entered.find(|&at| symbols.function_at(at).is_some()).unwrap_or(step.next);
        let leaves = may_leave && self.is_of_project(step.address) && !self.is_of_project(entered);
        leaves.then(|| symbols.label(entered))
    }

    /// Is the function that has this address one of the project's? Its source file tells; what is inlined into it counts as
    /// a part of it.
    fn is_of_project(&self, address: u64) -> bool {
        let symbols = self.image.symbols();
        let Some(function) = symbols.function_at(address).filter(|_| symbols.is_own(address)) else {
            return false;
        };
        if GLUE.iter().any(|name| function.name.starts_with(name)) {
            return true;
        }
        let frames = symbols.frames(function.start);
        let file = frames.first().and_then(|frame| frame.place.as_deref());
        file.is_some_and(|file| file.starts_with("dlt-logger/") || file.starts_with("dlt-bench/"))
    }

    fn sorted(&self, lines: &BTreeSet<u64>, trace: &Trace) -> Lines {
        let mut sorted = Lines::default();
        for line in lines {
            match self.region(line * LINE_BYTES, trace) {
                Region::Stack => sorted.stack += 1,
                Region::Mapped => sorted.mapped += 1,
                Region::Other => sorted.other += 1,
            }
        }
        sorted
    }

    fn region(&self, address: u64, trace: &Trace) -> Region {
        let line = address / LINE_BYTES;
        if (trace.stack.start / LINE_BYTES..=(trace.stack.end - 1) / LINE_BYTES).contains(&line) {
            Region::Stack
        } else if self.mapped.iter().any(|mapping| mapping.contains(&address)) {
            Region::Mapped
        } else {
            Region::Other
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Region {
    Stack,
    Mapped,
    Other,
}

impl Region {
    const fn name(self) -> &'static str {
        match self {
            Self::Stack => "stack",
            Self::Mapped => "mapped",
            Self::Other => "other",
        }
    }
}

/// Of a conditional branch: did it go another way than to the next instruction?
fn is_taken(instruction: &Instruction, step: &Step) -> Option<bool> {
    matches!(instruction.flow(), Flow::Branch(_)).then(|| step.next != instruction.end())
}

/// Numbers of the cache lines that the memory lies on.
fn lines(memory: &Memory) -> std::ops::RangeInclusive<u64> {
    memory.address / LINE_BYTES..=(memory.address + memory.bytes.max(1) - 1) / LINE_BYTES
}
