//! The judgement on lock contention, with its evidence.
//!
//! | module | what |
//! |---|---|
//! | [`session`] | loads the probe, follows the threads of each row, takes the edges of their windows |
//! | `choir` | the canaries of its windows |
//! | [`evidence`] | what was seen in one window |
//! | [`judge`] | evidence to verdict: a function without side effects |
//! | [`repeat`] | when a window is measured again |
//! | [`controls`] | loggers that must fail, and the canary that must be counted exactly |
//! | [`overhead`] | what the probe costs |
//! | [`report`] | what is said about it |
//! | [`inspector`] | the whole run: rows, controls, cost, files, closing words |

mod choir;
pub mod controls;
pub mod evidence;
pub mod inspector;
pub mod judge;
pub mod overhead;
pub mod repeat;
pub mod report;
pub mod session;

pub use inspector::Audit;
