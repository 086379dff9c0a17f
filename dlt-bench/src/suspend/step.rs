//! A producer at a chosen instruction of its log call.

use std::time::Duration;

use super::stage::{Stage, Victim};
use crate::code::Symbols;
use crate::error::Error;
use crate::stop::{Stop, Tracee};

/// Longest wait for a producer's next call, and for a step.
const LIMIT: Duration = Duration::from_secs(5);

/// The beginning of a log call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    /// The stack pointer at its first instruction. It is above this again once the call has returned.
    stack: u64,
}

/// Stops a producer in front of the first instruction of its next log call. Opens its gate if it is held back.
pub(super) fn to_call(stage: &mut Stage<'_>, producer: usize) -> Result<Call, Error> {
    let victim = Victim::Producer(producer);
    let entry = stage.call_address();
    let tracee = stage.seize(victim)?;
    tracee.interrupt()?;
    tracee.set_breakpoints(&[entry])?;
    stage.release(producer);
    let tracee = stage.seize(victim)?;
    let stop = tracee.run(LIMIT)?;
    expect(stop, "reach its log call", producer)?;
    let registers = tracee.registers()?;
    if registers.rip != entry {
        return Err(Error::failed(format!(
            "producer {producer} stopped at {:#x} and not at its log call",
            registers.rip
        )));
    }
    tracee.set_breakpoints(&[])?;
    Ok(Call { stack: registers.rsp })
}

/// Has it execute so many instructions of the call. The number that it did execute is smaller if the call returned.
pub(super) fn into_call(
    stage: &mut Stage<'_>,
    producer: usize,
    call: Call,
    instructions: usize,
) -> Result<usize, Error> {
    let tracee = stage.seize(Victim::Producer(producer))?;
    for done in 0..instructions {
        let stop = tracee.step(LIMIT)?;
        expect(stop, "execute an instruction", producer)?;
        if has_returned(tracee, call)? {
            return Ok(done);
        }
    }
    Ok(instructions)
}

fn has_returned(tracee: &Tracee, call: Call) -> Result<bool, Error> {
    Ok(tracee.registers()?.rsp > call.stack)
}

fn expect(stop: Stop, what: &str, producer: usize) -> Result<(), Error> {
    match stop {
        Stop::Trap => Ok(()),
        other => Err(Error::failed(format!("producer {producer} did not {what}: {other:?}"))),
    }
}

/// Address of the instruction in front of which a producer stands.
pub(super) fn position(stage: &mut Stage<'_>, producer: usize) -> Result<u64, Error> {
    stage.seize(Victim::Producer(producer))?.position()
}

/// What is at this address of the process under test. Reading the symbols takes most of a second: nobody should stand
/// meanwhile.
pub(super) fn place(address: u64) -> String {
    // The child is a fork: it has this process's code at the same addresses.
    Symbols::of_this_process()
        .map_or_else(|_| format!("{address:#x}"), |symbols| symbols.place(address).to_string())
}
