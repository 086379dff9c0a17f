//! Stops a thread at every machine instruction of a call, for real, and requires the others to go on.
//!
//! # What it does
//!
//! The process that sweeps forks the process under test, in which two threads are victims, two the crowd, one does
//! chores and registers newcomers, and one delivers. Per state of the ring ([`Subject::STATES`]):
//!
//! 1. The state is put in place, delivery is held, and a victim's call is single-stepped: its way. That is done several
//!    times; equal states must give equal ways ([`StateReport::unequal`]), else something is not under control. The kernel's
//!    clock code (vDSO) is not compared: its branches depend on what time it is. The call into it is.
//! 2. For each instruction of the way the state is put in place anew, and the victim runs to a hardware breakpoint there
//!    and stands. The ring must look as it did at this instruction of the recorded way ([`Subject::look`]).
//! 3. Delivery is released. Within [`Options::watchdog`] the crowd must finish its calls and have them delivered, and
//!    every chore must end.
//! 4. The victim goes on, and the books must balance: every message arrived once, whole and in order, or is counted.
//!
//! [`sweep_worker`] does this with the subject's own worker as the victim.
//!
//! # What it needs
//!
//! Linux on x86-64 with hardware breakpoints (some virtual machines have none), ptrace of one's own child (no
//! privileges; some containers forbid it), and a calling process with one thread, since only the thread that forks is
//! there in the child. The usual test harness starts threads: a test needs `harness = false`. Symbols and lines need
//! `debug = "line-tables-only"`.
//!
//! # What an outcome means
//!
//! | [`Outcome`] | |
//! |---|---|
//! | `Fine` | everybody went on while the victim stood, and the books balanced afterwards |
//! | `Stalled` | within the watchdog's time calls of the crowd did not return, or their messages did not arrive, or a chore did not end: somebody waits for the victim (or is slower than that) |
//! | `Broken` | afterwards a message was missing, twice, torn or out of order, or somebody did not go on; it outweighs `Stalled`, and the next stop is made in a new process |
//! | `NotReached` | the victim returned without coming to the stop, also when tried again: nothing is shown |
//! | `OtherState` | it stood there, but the ring was in another state, also when tried again: nothing is shown |
//!
//! Nothing was found only if, besides, every planned stop was made and no way was unequal.
//!
//! # What it does not show
//!
//! Weak memory: each stop drains the store buffer, so that what the victim wrote is seen in program order. That is what
//! model checkers and ThreadSanitizer are for. Other instructions: those of another build, of states that are not in
//! [`Subject::STATES`], and turns of a loop between the third and the last ([`Options::every_occurrence`]). And where
//! the kernel puts a thread that is within a system call.
//!
//! # Example
//!
//! A queue behind a mutex. `examples/sweep_queue.rs` has one without, and prints what was found with its source lines.
//!
//! ```no_run
//! use std::collections::VecDeque;
//! use std::sync::{Arc, Mutex, PoisonError};
//!
//! use dlt_bench::sweep::{Books, Options, Subject, sweep_calls};
//!
//! struct Locked(Mutex<VecDeque<(usize, u64)>>);
//!
//! #[inline(never)]
//! fn push(queue: &Locked, message: (usize, u64)) {
//!     queue.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(message);
//! }
//!
//! impl Subject for Locked {
//!     type Producer = (Arc<Self>, usize);
//!     const STATES: &'static [&'static str] = &["empty"];
//!     const CROWD_CALLS: u64 = 100;
//!
//!     fn producer(self: &Arc<Self>, index: usize) -> Self::Producer {
//!         (Arc::clone(self), index)
//!     }
//!     fn log((queue, index): &mut Self::Producer, id: u64) {
//!         push(queue, (*index, id));
//!     }
//!     fn entry() -> usize {
//!         push as *const () as usize
//!     }
//!     fn counted(&self) -> u64 {
//!         0 // It has no bound: nothing is lost.
//!     }
//!     fn deliver(&self, books: &Books) -> bool {
//!         let first = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
//!         first.map(|(producer, id)| books.deliver(producer, id, true)).is_some()
//!     }
//! }
//!
//! # fn main() -> Result<(), dlt_bench::error::Error> {
//! let make = |_: &'static Books| Locked(Mutex::default());
//! let report = sweep_calls("locked", &make, &Options::default(), &mut |_, _, _| {})?;
//! let stalled: usize = report.states.iter().map(|state| state.stalled_calls).sum();
//! assert!(stalled > 0, "whoever stands with the lock stops everybody");
//! # Ok(())
//! # }
//! ```

pub mod driver;
mod finding;
mod human;
mod jobs;
mod memory;
mod outcome;
pub mod plot;
mod process;
pub mod report;
mod run;
mod session;
pub mod steps;
mod subject;
pub mod subjects;
mod trace;
mod walk;

pub use self::{
    finding::{Finding, StateReport, SubjectReport},
    memory::{Books, LOOK_WORDS, PRODUCERS},
    outcome::{Outcome, Stalled},
    run::{Options, sweep_calls, sweep_worker},
    subject::{Caller, Subject},
    trace::{Target, Trace},
};
