//! A victim on its way: recorded step by step, and brought to one of its instructions.

use std::ops::Range;

use super::memory::LOOK_WORDS;
use super::process::after_call;
use super::session::{CALL, Role, Session};
use super::trace::{Target, Trace};
use crate::code::{Flow, Instruction};
use crate::error::Error;
use crate::stop::{Stop, Tracee};

/// Longer than any way that makes sense to be swept.
const MOST_INSTRUCTIONS: usize = 2_000_000;
/// Turns of the kernel's clock code that are stepped through before it is run to its end.
const MOST_CLOCK_TURNS: usize = 3;

/// Where a victim got to on its way to a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// It stands there.
    There,
    /// It left without coming there.
    Left,
    /// It waits for somebody on its way, and still runs.
    Waits,
}

/// A way with the state of the ring at each of its instructions.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) trace: Trace,
    pub(super) looks: Vec<[u64; LOOK_WORDS]>,
}

/// A way through the kernel's clock code, which begins anew when the clock was updated meanwhile: at each tick.
#[derive(Debug)]
struct ClockCode {
    /// Position of its first instruction in the way.
    begin: usize,
    /// Where it returns to.
    back: u64,
    /// How often it began anew.
    turns: usize,
}

impl ClockCode {
    /// The victim is at `at`: if it was there before, what followed was in vain and is forgotten. True if steps are too slow for
    /// this code to end by them: then the last turn is kept, as the one that will do.
    fn begins_for_ever(&mut self, recorded: &mut Recorded, at: u64) -> bool {
        let addresses = &mut recorded.trace.addresses;
        let Some(turn) = addresses[self.begin..].iter().position(|&known| known == at) else { return false };
        self.turns += 1;
        if self.turns < MOST_CLOCK_TURNS {
            addresses.truncate(self.begin + turn);
            recorded.looks.truncate(self.begin + turn);
        }
        self.turns >= MOST_CLOCK_TURNS
    }
}

/// Where the victim gets if it does not take the conditional branch at `address`; `None` if there is none.
fn behind_branch(tracee: &Tracee, address: u64) -> Result<Option<u64>, Error> {
    let instruction = Instruction::decode(address, &tracee.read_word(address)?.to_le_bytes());
    Ok(instruction.filter(|found| matches!(found.flow(), Flow::Branch(_))).map(|branch| branch.end()))
}

/// Where the kernel maps the code that reads clocks without a system call; nothing if it does not.
pub(super) fn clock_page() -> Range<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).unwrap_or_default();
    let range = line.split(' ').next().and_then(|range| range.split_once('-'));
    let number = |text| u64::from_str_radix(text, 16).unwrap_or_default();
    range.map_or(0..0, |(begin, end)| number(begin)..number(end))
}

impl Session {
    /// From where [`Self::place`] leaves the victim to the first instruction of what is swept.
    pub(super) fn enter(&mut self, victim: usize) -> Result<(), Error> {
        if self.role == Role::Caller {
            let entry = self.entry;
            let tracee = self.tracee(victim)?;
            tracee.set_breakpoints(&[entry])?;
            tracee.resume()?;
            self.expect_at(victim, entry)?;
        }
        Ok(())
    }

    /// Steps through what is swept. `state` has been put in place. With `look` the ring is read at each instruction.
    pub(super) fn record(&mut self, victim: usize, look: bool) -> Result<Recorded, Error> {
        self.enter(victim)?;
        let (role, entry) = (self.role, self.entry);
        let (stack, back) = {
            let tracee = self.tracee(victim)?;
            let stack = tracee.registers()?.rsp;
            // At the first instruction of a function its return address lies on top of the stack.
            (stack, tracee.read_word(stack)?)
        };
        let mut recorded = Recorded::default();
        let mut clock: Option<ClockCode> = None;
        self.tracee(victim)?.set_breakpoints(&[])?;
        let (mut at, mut top) = (entry, stack);
        loop {
            if self.clock_page.contains(&at) {
                if clock.is_none() {
                    let back = self.tracee(victim)?.read_word(top)?;
                    clock = Some(ClockCode { begin: recorded.trace.addresses.len(), back, turns: 0 });
                }
            } else {
                clock = None;
            }
            if let Some(clock) = &mut clock
                && clock.begins_for_ever(&mut recorded, at)
            {
                let last = recorded.trace.addresses.last().copied().unwrap_or(at);
                let tracee = self.tracee(victim)?;
                let behind = behind_branch(tracee, last)?.unwrap_or(clock.back);
                tracee.set_breakpoints(&[behind, clock.back])?;
                let stop = tracee.run(CALL)?;
                tracee.set_breakpoints(&[])?;
                if stop != Stop::Trap {
                    return Err(Error::failed(format!("the clock's code ended with {stop:?}")));
                }
                let registers = tracee.registers()?;
                (at, top) = (registers.rip, registers.rsp);
                continue;
            }
            recorded.trace.addresses.push(at);
            if recorded.trace.addresses.len() > MOST_INSTRUCTIONS {
                return Err(Error::failed(format!("a call of more than {MOST_INSTRUCTIONS} instructions")));
            }
            if look {
                // The clock's code does not touch the ring, and steps that take long do not let it end.
                let seen = recorded.looks.last().filter(|_| clock.is_some()).copied();
                recorded.looks.push(seen.map_or_else(|| self.look(), Ok)?);
            }
            let tracee = self.tracee(victim)?;
            let stop = tracee.step(CALL)?;
            if stop != Stop::Trap {
                return Err(Error::failed(format!("a single step ended with {stop:?}")));
            }
            let registers = tracee.registers()?;
            (at, top) = (registers.rip, registers.rsp);
            let has_left = match role {
                Role::Caller => at == back && top > stack,
                // A worker's loop is closed: until its next round.
                Role::Worker(_) => at == entry,
            };
            if has_left {
                return Ok(recorded);
            }
        }
    }

    /// Brings the victim to a stop.
    pub(super) fn reach(&mut self, victim: usize, target: Target) -> Result<Reached, Error> {
        self.enter(victim)?;
        let left = match self.role {
            Role::Caller => after_call as *const () as u64,
            Role::Worker(entry) => entry,
        };
        // While another victim stands nobody has to wait for it.
        let limit = if victim == 0 { CALL } else { self.watchdog };
        let mut hits = target.hits;
        if target.address == self.entry {
            // It stands there.
            hits -= 1;
        }
        let tracee = self.tracee(victim)?;
        if target.by_steps {
            tracee.set_breakpoints(&[])?;
            return step_to(tracee, target, hits, left);
        }
        tracee.set_breakpoints(&[target.address, left])?;
        for turn in 0..hits + target.steps {
            let stop = if turn < hits { tracee.run(limit)? } else { tracee.step(limit)? };
            if stop == Stop::Late {
                return Ok(Reached::Waits);
            }
            if stop != Stop::Trap || tracee.position()? != target.address {
                let met = Target {
                    hits: target.hits - hits + turn.min(hits),
                    steps: turn.saturating_sub(hits),
                    ..target
                };
                self.came_to = (met.hits > 0).then_some(met);
                return Ok(Reached::Left);
            }
        }
        Ok(Reached::There)
    }
}

/// The same by single steps; the target's address is still to be met `hits` times.
fn step_to(tracee: &mut Tracee, target: Target, mut hits: usize, left: u64) -> Result<Reached, Error> {
    let mut last = tracee.position()?;
    while hits > 0 {
        if tracee.step(CALL)? != Stop::Trap {
            return Ok(Reached::Left);
        }
        let at = tracee.position()?;
        if at == left {
            return Ok(Reached::Left);
        }
        // Iterations of one instruction meet a breakpoint once.
        hits -= usize::from(at == target.address && last != at);
        last = at;
    }
    for _ in 0..target.steps {
        if tracee.step(CALL)? != Stop::Trap || tracee.position()? != target.address {
            return Ok(Reached::Left);
        }
    }
    Ok(Reached::There)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vain_turn_of_the_clock_code_is_forgotten_and_endless_ones_are_left() {
        let mut recorded = Recorded::default();
        recorded.trace.addresses = vec![1, 2];
        let mut clock = ClockCode { begin: 2, back: 0, turns: 0 };
        let mut came_back = 0;
        while came_back < MOST_CLOCK_TURNS {
            for at in [7, 8, 9] {
                assert!(!clock.begins_for_ever(&mut recorded, at), "{at} after {came_back} turns");
                recorded.trace.addresses.push(at);
            }
            came_back += 1;
            if came_back < MOST_CLOCK_TURNS {
                assert!(!clock.begins_for_ever(&mut recorded, 7));
                assert_eq!(recorded.trace.addresses, [1, 2]);
            }
        }
        assert!(clock.begins_for_ever(&mut recorded, 7));
        assert_eq!(recorded.trace.addresses, [1, 2, 7, 8, 9], "the last turn stands for the one that ends");
    }
}
