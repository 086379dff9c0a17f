//! The sweep: a thread is stopped at every instruction of a log call, and the others are required to go on.

pub mod plot;
