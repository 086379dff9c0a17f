//! Stops a thread at every machine instruction of a call, for real, and requires the others to go on.

pub mod driver;
mod human;
mod jobs;
mod memory;
mod outcome;
pub mod plot;
mod process;
pub mod report;
mod run;
mod session;
mod subject;
pub mod subjects;
mod trace;

pub use self::{
    memory::{Books, LOOK_WORDS, PRODUCERS},
    outcome::{Outcome, Stalled},
    run::{Finding, Options, StateReport, SubjectReport, sweep_calls, sweep_worker},
    subject::{Caller, Subject},
    trace::{Target, Trace},
};
