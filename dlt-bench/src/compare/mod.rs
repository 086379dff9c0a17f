//! dlt-logger beside other loggers: the same work, the same machine, the same run.
//!
//! Each measurement of each contender is made in a process of its own ([`process`]), because several of them keep their
//! state in the process and one that hangs must not end the others. Rounds are interleaved, and the order of contenders is
//! shuffled in each ([`run`]).
//!
//! | module | what |
//! |---|---|
//! | [`plan`] | what is measured, and which table shows it |
//! | [`job`], [`answer`] | what a child is asked, and what it says |
//! | `child` | the child (feature `peers`) |
//! | [`process`] | starting one, waiting, ending it |
//! | [`run`] | all rounds |
//! | [`row`] | medians with spread; who is first |
//! | [`stops`] | threads that are stopped within their calls |
//! | [`driver`], [`document`], [`human`], [`plot`] | the case, its report, tables, picture |

pub mod answer;
#[cfg(feature = "peers")]
pub mod child;
pub mod document;
pub mod driver;
pub mod human;
pub mod job;
pub mod plan;
pub mod plot;
pub mod process;
pub mod row;
pub mod run;
mod sink;
pub mod stops;
