//! Loggers of others that write text: one line with time, level, number and string.
//!
//! As their documentation recommends for speed: a thread that writes, a bounded queue, no colours, no names of modules or
//! files, UTC (no time zone is looked up for a line), a buffered writer where the logger leaves that to its user.

mod with_fast_log;
mod with_ftlog;
mod with_slog;
mod with_tracing;

use std::fs::{File, OpenOptions};
use std::io::BufWriter;

use crate::{Setup, Unavailable};

pub use with_fast_log::FastLog;
pub use with_ftlog::Ftlog;
pub use with_slog::SlogAsync;
pub use with_tracing::TracingAppender;

/// Bytes that are written at once, where that is for the user to choose.
const BUFFER_BYTES: usize = 64 << 10;

fn open(setup: &Setup<'_>) -> Result<BufWriter<File>, Unavailable> {
    let file = OpenOptions::new().append(true).create(true).open(setup.sink).map_err(Unavailable::failed)?;
    Ok(BufWriter::with_capacity(BUFFER_BYTES, file))
}

/// For loggers that want a path as text.
fn path<'a>(setup: &Setup<'a>) -> Result<&'a str, Unavailable> {
    setup.sink.to_str().ok_or_else(|| Unavailable::failed("the path of the sink is not UTF-8"))
}
