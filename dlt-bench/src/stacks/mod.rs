//! Stacks: gathered while the cases run, named afterwards, written as folded lines and flamegraphs.

pub mod gather;
pub mod names;
pub mod svg;

pub use gather::{Gathered, Sample};
