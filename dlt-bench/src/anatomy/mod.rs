//! The anatomy of a log call: every instruction that it executes, with what it touches.
//!
//! A process under test is forked and one thread of it makes single calls, with the workers held back and the ring in a
//! known state. From the entry of the call to its return it is single-stepped. Each call is traced several times: equal
//! states must give equal traces.

#[cfg(target_arch = "x86_64")]
pub mod call;
#[cfg(target_arch = "x86_64")]
mod child;
#[cfg(target_arch = "x86_64")]
mod reader;
pub mod report;
#[cfg(target_arch = "x86_64")]
mod run;
pub mod subject;
pub mod summary;
#[cfg(target_arch = "x86_64")]
mod trace;

use dlt_logger::OverflowMode;

use self::subject::State;

use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::load::plan::LoggerKind;
use crate::report::output::Outputs;

/// What a call may execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// Instructions, where no other bound is named.
    pub max_instructions: Option<usize>,
    /// Instructions of a call that finds its ring full.
    pub max_when_full: Option<usize>,
    /// Instructions of a call whose level is off.
    pub max_when_off: Option<usize>,
    /// No locked instruction.
    pub no_locked: bool,
    /// No call out of the library, to the kernel neither.
    pub no_calls_out: bool,
}

impl Bounds {
    /// The bound of instructions in this state, with the option that it is from.
    pub fn most(&self, state: State) -> Option<(usize, &'static str)> {
        let own = match state {
            State::Empty => None,
            State::Full => self.max_when_full.map(|most| (most, "--max-when-full")),
            State::LevelOff => self.max_when_off.map(|most| (most, "--max-when-off")),
        };
        own.or(self.max_instructions.map(|most| (most, "--max-instructions")))
    }
}

/// What is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Which logger.
    pub logger: LoggerKind,
    /// The overflow mode; `None`: all.
    pub mode: Option<OverflowMode>,
    /// Print the instructions.
    pub annotate: bool,
    /// What a call may execute.
    pub bounds: Bounds,
}

/// Looks at the calls, and reports.
///
/// # Errors
/// Single-stepping is not possible here, or the process under test does not do as it is told.
pub fn run(options: &Options, outputs: Outputs) -> Result<ExitCode, Error> {
    #[cfg(target_arch = "x86_64")]
    return run::run(options, outputs);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (options, outputs);
        Err(Error::cannot_run(format!(
            "the anatomy reads x86-64 machine code, and this is {}",
            std::env::consts::ARCH
        )))
    }
}
