//! The machine code of this very program, as it lies in memory.
//!
//! A process under test is a fork without exec of this process: it has the same code at the same addresses, so nothing of
//! it needs to be asked for.

mod coverage;
mod image;
mod instruction;
mod symbols;

pub use coverage::{Because, Coverage, FunctionCoverage, Uncovered, cover};
pub use image::{Callee, FunctionCode, Image};
pub use instruction::{Access, Flow, Instruction, Memory};
pub use symbols::{Function, Place, Symbols};
