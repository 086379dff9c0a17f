//! A victim on its way: recorded step by step, and brought to one of its instructions.

use std::ops::Range;

use super::memory::LOOK_WORDS;
use super::process::after_call;
use super::session::{CALL, Role, Session};
use super::trace::{Target, Trace};
use crate::error::Error;
use crate::stop::Stop;

/// Longer than any way that makes sense to be swept.
const MOST_INSTRUCTIONS: usize = 2_000_000;

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

impl Recorded {
    /// If `at` occurs at or after `begin`, what follows it there was in vain.
    fn forget_turn(&mut self, begin: usize, at: u64) {
        if let Some(turn) = self.trace.addresses[begin..].iter().position(|&known| known == at) {
            self.trace.addresses.truncate(begin + turn);
            self.looks.truncate(begin + turn);
        }
    }
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
        let mut clock_page = None;
        self.tracee(victim)?.set_breakpoints(&[])?;
        let mut at = entry;
        loop {
            if self.clock_page.contains(&at) {
                // The kernel's clock code begins anew when the clock was updated meanwhile, which a step makes likely.
                let begin = *clock_page.get_or_insert(recorded.trace.addresses.len());
                recorded.forget_turn(begin, at);
            } else {
                clock_page = None;
            }
            recorded.trace.addresses.push(at);
            if recorded.trace.addresses.len() > MOST_INSTRUCTIONS {
                return Err(Error::failed(format!("a call of more than {MOST_INSTRUCTIONS} instructions")));
            }
            if look {
                recorded.looks.push(self.look()?);
            }
            let tracee = self.tracee(victim)?;
            match tracee.step(CALL)? {
                Stop::Trap => {}
                other => return Err(Error::failed(format!("a single step ended with {other:?}"))),
            }
            let registers = tracee.registers()?;
            at = registers.rip;
            let has_left = match role {
                Role::Caller => at == back && registers.rsp > stack,
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
        tracee.set_breakpoints(&[target.address, left])?;
        for turn in 0..hits + target.steps {
            let stop = if turn < hits { tracee.run(limit)? } else { tracee.step(limit)? };
            if stop == Stop::Late {
                return Ok(Reached::Waits);
            }
            if stop != Stop::Trap || tracee.position()? != target.address {
                return Ok(Reached::Left);
            }
        }
        Ok(Reached::There)
    }
}
