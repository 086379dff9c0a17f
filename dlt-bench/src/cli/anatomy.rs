//! The command line of `anatomy`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dlt_logger::OverflowMode;

use super::{RunArgs, refuse, target};
use crate::anatomy;
use crate::config::SweepOptions;
use crate::error::Error;
use crate::load::sink::SinkChoice;
use crate::report::output::JsonTarget;

pub(super) const HELP: &str = "\
One thread of a forked process makes single log calls (a u32 and a 16-byte string) with the worker held back, and
is single-stepped from the entry of the call to its return. Looked at are, per overflow mode, a ring that is empty
after a warm-up; in Overwrite also a full one; and a call whose level is off. Each is traced 3 times: equal states
must give equal traces, and it is said if they do not.

  locked         `lock` prefix, or `xchg` with memory: these wait for other processors' cache lines
  calls out      functions that are neither dlt-logger's nor the measuring one's: memcpy, an allocator, a lock
  lines          distinct cache lines of 64 bytes: anonymous mappings (lane, thread) + others + stack

It needs x86-64 and ptrace on one's own child, no privileges. Not shown: the first call of a thread, a full ring in
the other modes, and how long anything takes.

Examples:
  dlt-bench anatomy                                     the table
  dlt-bench anatomy --mode drop-newest --annotate       each instruction with its source line
  dlt-bench anatomy --no-locked --no-calls-out          for CI: fails if somebody introduces a lock
  dlt-bench anatomy --max-instructions 160 --max-when-full 275 --json -     figures and listing for a program
  dlt-bench anatomy --logger mutex                      the control: locked instructions are found

Exit codes: 0 in order, 1 a bound is exceeded (it is named with the figure), 2 usage, 4 cannot run here";

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct AnatomyArgs {
    /// Looks at this mode only
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// Prints the instructions, with their source lines, the way that branches took, and the memory that they touch
    #[arg(long)]
    annotate: bool,
    /// Exit code 1 if a call executes more instructions
    #[arg(long, value_name = "N")]
    max_instructions: Option<usize>,
    /// The same for a call that finds its ring full
    #[arg(long, value_name = "N")]
    max_when_full: Option<usize>,
    /// The same for a call whose level is off
    #[arg(long, value_name = "N")]
    max_when_off: Option<usize>,
    /// Exit code 1 if a call executes a locked instruction
    #[arg(long)]
    no_locked: bool,
    /// Exit code 1 if a call calls another library or enters the kernel
    #[arg(long)]
    no_calls_out: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    Overwrite,
    DropNewest,
    Block,
}

pub(super) fn request(
    args: AnatomyArgs,
    options: RunArgs,
) -> Result<(anatomy::Options, Option<JsonTarget>, Option<PathBuf>), Error> {
    let sweep = options.sweep();
    let RunArgs { json, messages, threads, iterations, logger, sink, stop_ms, out, profile, .. } = options;
    refuse(
        "anatomy",
        "it looks at single calls of one thread",
        &[
            ("--messages", messages.is_some()),
            ("--threads", threads.is_some()),
            ("--iterations", iterations.is_some()),
            ("--sink", sink != SinkChoice::Collector),
            ("--stop-ms", stop_ms.is_some()),
            ("--profile", profile),
            ("an option of sweeps", sweep != SweepOptions::default()),
        ],
    )?;
    let AnatomyArgs {
        mode,
        annotate,
        max_instructions,
        max_when_full,
        max_when_off,
        no_locked,
        no_calls_out,
    } = args;
    let mode = mode.map(|mode| match mode {
        Mode::Overwrite => OverflowMode::Overwrite,
        Mode::DropNewest => OverflowMode::DropNewest,
        Mode::Block => OverflowMode::BlockWithTimeout,
    });
    let bounds = anatomy::Bounds { max_instructions, max_when_full, max_when_off, no_locked, no_calls_out };
    let options = anatomy::Options { logger: logger.into(), mode, annotate, bounds };
    Ok((options, json.map(target), out))
}
