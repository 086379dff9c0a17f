//! What can go wrong outside the log call.

use crate::config::ConfigError;
use crate::format::IdError;
use std::io;

/// Why a logger could not be built, or could not do what it was asked for.
///
/// The system's reason is the error's `source()`: print the whole chain (`{:#}` of anyhow). The log call itself has no
/// errors: what became of a message is an outcome and is counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configured value is not accepted.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An application, context or ECU id is not accepted.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The logger has as many contexts as it can number.
    #[error(
        "context `{ctid}` is one too many: a logger has at most {max} contexts, register fewer or share them"
    )]
    TooManyContexts {
        /// The refused context's id.
        ctid: String,
        /// Limit.
        max: usize,
    },
    /// A sink cannot be opened.
    #[error("failed to open sink {what}")]
    Sink {
        /// Kind and address of the sink, e.g. `` file `/tmp/a.dlt` ``.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The system refused memory.
    #[error("failed to map {bytes} bytes for {what}")]
    Memory {
        /// What the memory was for.
        what: &'static str,
        /// How much.
        bytes: usize,
        /// The system's reason.
        source: io::Error,
    },
    /// The system refused a thread.
    #[error("failed to start thread `{name}`")]
    Thread {
        /// The thread's name.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
}
