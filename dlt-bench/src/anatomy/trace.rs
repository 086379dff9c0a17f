//! One call, instruction by instruction.

use std::ops::Range;
use std::sync::atomic::Ordering::Release;
use std::time::Duration;

use super::child::Process;
use crate::code::{Image, Memory};
use crate::error::Error;
use crate::stop::registers::Registers;
use crate::stop::{Stop, Tracee};

/// A call that has not come to its end after so many steps never will: a spinlock that somebody holds.
const MOST_STEPS: usize = 200_000;
/// For one step: microseconds, unless it is a system call that waits.
const LIMIT: Duration = Duration::from_secs(10);
/// The caller's frame ends at most this far above the callee's.
const LONGEST_FRAME_BYTES: u64 = 1 << 16;
/// What is taken for the caller's frame if the frame pointer does not tell.
const USUAL_FRAME_BYTES: u64 = 512;

/// One executed instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) address: u64,
    /// Address of the instruction that came next.
    pub(super) next: u64,
    /// What it read and wrote.
    pub(super) memory: Vec<Memory>,
    /// How often it was executed in a row: more than once only for repeated string instructions.
    pub(super) repetitions: usize,
}

/// One call, from its first instruction to its return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trace {
    pub(super) steps: Vec<Step>,
    /// The part of the thread's stack that was in use, with the caller's frame.
    pub(super) stack: Range<u64>,
}

impl Trace {
    /// The addresses in their order.
    pub(super) fn addresses(&self) -> impl Iterator<Item = u64> {
        self.steps.iter().map(|step| step.address)
    }
}

/// Has the thread make call number `order`, and steps through it.
pub(super) fn trace(
    process: &mut Process,
    tracee: &mut Tracee,
    image: &Image,
    order: u32,
) -> Result<Trace, Error> {
    process.await_word("bring its ring into the state", |words| {
        words.ready.load(std::sync::atomic::Ordering::Acquire) == order
    })?;
    // Only now: the calls that bring the state about go through the same function.
    tracee.interrupt()?;
    tracee.set_breakpoints(&[process.entry])?;
    tracee.resume()?;
    process.words.go.store(order, Release);
    if tracee.wait(LIMIT)? != Stop::Trap || tracee.position()? != process.entry {
        return Err(Error::failed("the thread under test did not stop at the entry of the call"));
    }
    tracee.set_breakpoints(&[])?;
    let trace = to_return(tracee, image)?;
    tracee.resume()?;
    process.await_word("return from the call", |words| {
        words.done.load(std::sync::atomic::Ordering::Acquire) == order
    })?;
    Ok(trace)
}

fn to_return(tracee: &mut Tracee, image: &Image) -> Result<Trace, Error> {
    let mut registers = tracee.registers()?;
    let entry = registers;
    // At the first instruction the stack's top is the return address.
    let back = tracee.read_word(entry.rsp)?;
    let mut steps: Vec<Step> = Vec::new();
    let mut lowest = entry.rsp;
    for _ in 0..MOST_STEPS {
        let address = registers.rip;
        let instruction = image.instruction(address)?;
        let memory = instruction.memory(&registers);
        if tracee.step(LIMIT)? != Stop::Trap {
            return Err(Error::failed(format!("the thread under test did not come past {address:#x}")));
        }
        registers = tracee.registers()?;
        lowest = lowest.min(registers.rsp);
        match steps.last_mut() {
            Some(last) if instruction.is_repeated() && last.address == address && last.next == address => {
                last.repetitions += 1;
                last.next = registers.rip;
                last.memory.extend(memory);
            }
            _ => steps.push(Step { address, next: registers.rip, memory, repetitions: 1 }),
        }
        if registers.rip == back && registers.rsp > entry.rsp {
            return Ok(Trace { steps, stack: lowest.saturating_sub(RED_ZONE_BYTES)..frame_end(&entry) });
        }
    }
    Err(Error::failed(format!("the call has not returned after {MOST_STEPS} instructions")))
}

/// What a function may use below its stack pointer (System V ABI for x86-64, section 3.2.2).
const RED_ZONE_BYTES: u64 = 128;

/// End of the caller's frame: its frame pointer, behind which lie the saved one and the return address.
fn frame_end(entry: &Registers) -> u64 {
    if (entry.rsp..entry.rsp + LONGEST_FRAME_BYTES).contains(&entry.rbp) {
        entry.rbp + 16
    } else {
        entry.rsp + USUAL_FRAME_BYTES
    }
}
