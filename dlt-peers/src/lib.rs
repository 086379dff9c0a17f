//! The loggers that dlt-logger is compared with, and dlt-logger itself, each behind [`Contender`].
//!
//! All do the same work: one integer and one 16-byte string a message, from any number of threads, into one file. Several
//! keep their state in the process (a global logger, a C library): a process starts at most one.
//!
//! | module | what |
//! |---|---|
//! | [`dispatch`] | from a name to a type, so that the log call is not dispatched at run time |
//! | [`ours`] | dlt-logger, in each of its modes |
//! | [`home`] | one small worker behind four queues: a mutex, `std::sync::mpsc`, `ArrayQueue`, … |
//! | [`text`] | loggers of others that write text |
//! | [`libdlt`] | the C library, with its daemon |
//! | [`count`] | messages that are in the file |
#![deny(unsafe_code)]

pub mod count;
pub mod dispatch;
pub mod home;
pub mod libdlt;
pub mod ours;
pub mod text;

use std::fmt;
use std::path::{Path, PathBuf};

pub use dispatch::{NAMES, Visit, with};

/// The string of a message has this many bytes.
pub const TEXT_BYTES: usize = 16;

/// What a contender is set up with, the same for all.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// A file, or `/dev/null`. A file that is there is appended to.
    pub sink: &'a Path,
    /// Room for this many messages per producer. A queue that all producers share has room for all of it; one that
    /// counts bytes, for as many bytes as these messages take.
    pub capacity: usize,
    /// Threads that log.
    pub producers: usize,
    /// A call waits for room, where the logger can do that; else a message is lost when there is none.
    pub lossless: bool,
    /// A message is to be in the file soon, where the logger would else keep it until its buffer is full or a second over.
    pub prompt: bool,
}

impl Setup<'_> {
    /// Room in a queue that all producers share.
    pub fn shared_capacity(&self) -> usize {
        (self.capacity * self.producers).max(1)
    }
}

/// What is in the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One line a message.
    Text,
    /// DLT frames with storage headers.
    Dlt,
}

/// One logger, started in a process of its own.
pub trait Contender: Sized + Send + Sync + 'static {
    /// Its name on the command line and in tables.
    const NAME: &'static str;
    /// What it writes.
    const FORMAT: Format = Format::Text;
    /// What a thread logs through. Made in that thread.
    type Producer;

    /// Starts it. Called while the process has one thread.
    fn start(setup: &Setup<'_>) -> Result<Self, Unavailable>;

    /// Version, queue, what happens when it is full, what is written: for who reads the figures.
    fn configuration(&self) -> String;

    /// The file that grows while it logs, if it is not the sink yet.
    fn file(&self) -> Option<PathBuf> {
        None
    }

    /// The calling thread's handle, for producer `index`, below [`Setup::producers`]. What the logger has to set up for a
    /// thread, it does here and not in the first call, if it offers a way.
    fn producer(&self, index: usize) -> Self::Producer;

    /// Logs a message of level "info": this number and a text of [`TEXT_BYTES`] bytes.
    fn log(producer: &mut Self::Producer, number: u32, text: &str);

    /// Returns when everything that was logged is written, or lost. No thread logs any more, and all producers are gone.
    fn finish(self) -> Finished;
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Finished {
    /// Messages that were logged and are not written, as far as the logger says.
    pub dropped: u64,
    /// It counts every message that it drops.
    pub is_exact: bool,
}

impl Finished {
    /// Counted, each one.
    pub const fn exactly(dropped: u64) -> Self {
        Self { dropped, is_exact: true }
    }

    /// It does not count them; at least this many.
    pub const fn at_least(dropped: u64) -> Self {
        Self { dropped, is_exact: false }
    }
}

/// Why a contender cannot take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unavailable {
    /// What it needs is not installed: what to do.
    NotInstalled(String),
    /// It cannot be started: why.
    Failed(String),
}

impl Unavailable {
    /// It cannot be started.
    pub fn failed(why: impl fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled(what) => write!(f, "not installed: {what}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

impl std::error::Error for Unavailable {}
