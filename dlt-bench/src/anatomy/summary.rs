//! What a call executes, counted.

use std::collections::BTreeMap;

use serde::Serialize;

/// Cache lines by what lies on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Lines {
    /// The thread's stack.
    pub stack: usize,
    /// Anonymous mappings: lanes, the thread's block, thread-locals.
    pub mapped: usize,
    /// The heap, the program's constants and variables.
    pub other: usize,
}

/// What a call executes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// Instructions; a repeated string instruction counts once.
    pub instructions: usize,
    /// Instructions by the file that they lie in: the program, or a library.
    pub instructions_in: BTreeMap<String, usize>,
    /// With each repetition of a string instruction, if there are any.
    pub repetitions: usize,
    /// Instructions that lock a cache line.
    pub locked_instructions: usize,
    /// Fences.
    pub fences: usize,
    /// System calls.
    pub system_calls: usize,
    /// Calls out of the library, by name.
    pub calls_out: BTreeMap<String, usize>,
    /// Conditional branches.
    pub branches: usize,
    /// Those that were taken.
    pub branches_taken: usize,
    /// Reads of memory.
    pub loads: usize,
    /// Writes to memory.
    pub stores: usize,
    /// Bytes that were read.
    pub loaded_bytes: u64,
    /// Bytes that were written.
    pub stored_bytes: u64,
    /// Distinct cache lines that were read.
    pub cache_lines_read: Lines,
    /// Distinct cache lines that were written.
    pub cache_lines_written: Lines,
}

/// Memory that an instruction of the listing touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Touched {
    /// Its address.
    pub address: String,
    /// Its size.
    pub bytes: u64,
    /// `read`, `write` or `read-write`.
    pub access: &'static str,
    /// `stack`, `mapped` or `other`.
    pub on: &'static str,
}

/// An instruction of the listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its address.
    pub address: String,
    /// Intel syntax.
    pub text: String,
    /// The innermost function of the project.
    pub function: String,
    /// `file:line` in it.
    pub place: Option<String>,
    /// Locks a cache line.
    pub is_locked: bool,
    /// Enters the kernel.
    pub is_system_call: bool,
    /// The function outside of the library that it calls.
    pub calls_out: Option<String>,
    /// Of a conditional branch: was it taken?
    pub is_taken: Option<bool>,
    /// How often in a row.
    pub repetitions: usize,
    /// What it touches.
    pub memory: Vec<Touched>,
}
