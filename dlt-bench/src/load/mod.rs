//! The load engine: producers that log as a [`Plan`] says, and an account of what became of every message.
//!
//! | module | what |
//! |---|---|
//! | [`plan`] | what is to be run |
//! | [`engine`] | one run: sink, logger, producers, drain, account |
//! | [`producer`] | the loops that call the logger |
//! | [`target`] | what is called: dlt-logger or one of the negative controls |
//! | [`message`] | the message, and how it is recognised at the other end |
//! | [`sink`] | where frames go, and whether that can be reached |
//! | [`terms`] | the logger's own account |
//! | [`accounting`] | all accounts compared |
//!
//! A run has one barrier at its start, behind which nobody waits for anybody: producers overlap and are preempted
//! inside calls as they come. A round is a unit of accounting only.

pub mod accounting;
pub mod engine;
pub mod message;
pub mod plan;
pub mod producer;
pub mod sink;
pub mod target;
pub mod terms;

pub use engine::{Run, run};
pub use plan::{LoggerKind, Pass, Plan, Shape, Volume};
