//! The coarser sweep for loggers that nobody has control of: a call is stopped after a sample of numbers of steps.
//!
//! What such a call executes depends on allocators, clocks and on what its worker does meanwhile, so that equal states do
//! not give equal ways and an instruction of one is not found in the next. What is certain is that the victim stands
//! within its call, so many instructions after its beginning.

use std::time::{Duration, Instant};

use super::memory::Books;
use super::outcome::Outcome;
use super::session::{CALL, Role, Session};
use super::subject::Subject;
use crate::error::Error;
use crate::interrupt;
use crate::stop::Stop;

/// Calls of which the last one's length is taken: the first ones bind symbols and fill caches of allocators.
const RECORDED: usize = 3;
/// Coprime to the usual samples: stops are made in an order in which what has been made is spread over the call at any time.
const STRIDE: usize = 61;

/// How to sweep.
#[derive(Debug, Clone, Copy)]
pub struct StepOptions {
    /// Stops at most.
    pub sample: usize,
    /// The others have to go on within this time.
    pub watchdog: Duration,
    /// No stop is begun after this.
    pub budget: Duration,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepReport {
    /// Instructions of the call.
    pub instructions: usize,
    /// Stops that were to be made.
    pub planned: usize,
    /// Stops that were made within the call.
    pub made: usize,
    /// Those at which calls of others did not return.
    pub stalled_calls: usize,
    /// Those at which they did, but their messages did not arrive.
    pub stalled_delivery: usize,
    /// Those after which a message was missing, twice or out of order, or somebody did not go on.
    pub broken: usize,
    /// The first of these, in words.
    pub reason: Option<String>,
}

/// Sweeps a subject's call in its first state. `make` is called in the process under test, which is a fork of this one:
/// this process must have one thread. `progress` is told of each stop: stops done, stops planned.
///
/// # Errors
/// ptrace is refused, there are no debug registers, or the process under test cannot be controlled.
pub fn sweep_by_steps<S: Subject>(
    make: &dyn Fn(&'static Books) -> S,
    options: StepOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<StepReport, Error> {
    let begin = Instant::now();
    let start = || Session::start(make, Role::Caller, options.watchdog);
    let mut session = start()?;
    let mut report = StepReport::default();
    for _ in 0..RECORDED {
        session.place(&[0], 0)?;
        report.instructions = session.record(0, false)?.trace.addresses.len();
        session.finish(&[0])?;
    }
    report.planned = options.sample.min(report.instructions);
    for done in 0..report.planned {
        if interrupt::requested() || begin.elapsed() > options.budget {
            break;
        }
        progress(done, report.planned);
        let stop = if report.planned.is_multiple_of(STRIDE) { done } else { done * STRIDE % report.planned };
        let steps = stop * report.instructions / report.planned;
        let outcome = session.stop_after(steps)?;
        let is_balanced = session.finish(&[0]);
        if outcome == Outcome::NotReached && is_balanced.is_ok() {
            continue;
        }
        report.made += 1;
        if let Outcome::Stalled(stalled) = outcome {
            report.stalled_calls += usize::from(stalled.calls);
            report.stalled_delivery += usize::from(stalled.delivery && !stalled.calls);
        }
        if let Err(error) = is_balanced {
            report.broken += 1;
            report.reason.get_or_insert(error.to_string());
            // Whatever state the process is in, a new one is in a known one.
            drop(session);
            session = start()?;
        }
    }
    Ok(report)
}

impl Session {
    /// Brings the victim so many steps into its call, and judges how the others go on.
    fn stop_after(&mut self, steps: usize) -> Result<Outcome, Error> {
        self.place(&[0], 0)?;
        self.enter(0)?;
        let tracee = self.tracee(0)?;
        let stack = tracee.registers()?.rsp;
        // At the first instruction of a function its return address lies on top of the stack.
        let back = tracee.read_word(stack)?;
        tracee.set_breakpoints(&[])?;
        for _ in 0..steps {
            match tracee.step(CALL)? {
                Stop::Trap => {}
                other => return Err(Error::failed(format!("a single step ended with {other:?}"))),
            }
            let registers = tracee.registers()?;
            if registers.rip == back && registers.rsp > stack {
                return Ok(Outcome::NotReached);
            }
        }
        Ok(self.judge()?.0)
    }
}
