//! DLT (AUTOSAR Diagnostic Log and Trace) logging that never makes a thread wait.
//!
//! ```
//! use dlt_logger::{Config, Logger, dlt_info};
//!
//! let logger = Logger::builder("APP1").config(Config::from_env()?).build()?;
//! let ctx = logger.context("CTX1")?;
//! dlt_info!(ctx, "speed", 42u32);
//! logger.flush(std::time::Duration::from_secs(1))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is guaranteed
//!
//! - A thread that is stopped at any instruction of a log call, of its first one too, stops no other thread's calls and
//!   no other thread's delivery. At most its own unpublished message is missing. A stopped worker holds up the delivery
//!   of its own buffers; nothing else.
//! - Every message is delivered once, whole and in order within its thread and buffer, or counted in exactly one term of
//!   [`BufferStats`]. Losses are said in the log as well.
//! - After a thread's first call for a buffer ([`Logger::prepare_thread`] does it ahead) a call makes no system call and
//!   allocates nothing, except for the wait of [`OverflowMode::BlockWithTimeout`] while its lane is full.
//!
//! What is not: messages that are in a lane or in a worker's hands when the process is killed are gone; messages of
//! different threads, or of one thread in different buffers, may be delivered in another order than they were logged.
//!
//! # Map
//!
//! | module | what |
//! |---|---|
//! | `call` | the log call |
//! | `ring` | one lane's ring: publish, overwrite, copy-then-validate; its orderings by name; its models |
//! | `lane`, `thread`, `core` | where lanes live, who owns them, how a thread finds its own |
//! | `worker` | draining, frames, batches, loss notes, pace |
//! | `sink` | where frames go |
//! | [`mod@format`] | the wire format |
//! | [`config`] | configuration and its environment variables |
//! | `logger`, `context`, `stats` | the public handles |
//! | `sys` | every system call |
//!
//! The design and its reasons are in `docs/LOCKLESS_DESIGN.md`.
#![deny(unsafe_code)]
#![cfg_attr(loom, allow(dead_code, unused_imports, reason = "only the ring is modelled"))]

#[cfg(not(loom))]
mod call;
#[cfg(not(loom))]
mod clock;
pub mod config;
#[cfg(not(loom))]
mod context;
#[cfg(not(loom))]
mod core;
pub mod error;
pub mod format;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod hooks;
#[cfg(not(loom))]
mod lane;
#[cfg(not(loom))]
mod logger;
mod macros;
#[cfg(not(loom))]
mod observer;
mod outcome;
mod primitives;
mod ring;
#[cfg(not(loom))]
mod sink;
#[cfg(not(loom))]
mod stats;
#[cfg(not(loom))]
mod sys;
#[cfg(not(loom))]
mod thread;
#[cfg(not(loom))]
mod worker;

pub use config::{Config, ConfigError, OverflowMode};
#[cfg(not(loom))]
pub use context::Context;
pub use error::Error;
pub use format::{Id4, Level, Raw};
#[cfg(not(loom))]
pub use logger::{Builder, FlushTimeout, Logger, ShutdownReport};
#[cfg(not(loom))]
pub use observer::{Loss, Observer};
pub use outcome::Outcome;
#[cfg(not(loom))]
pub use sink::Sink;
#[cfg(not(loom))]
pub use stats::{BufferStats, Stats, WorkerStats};
