//! The command line.

mod advise;
mod anatomy;
mod diff;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::case::registry::{self, CASES, Case};
use crate::compare::job::Job;
use crate::config::{Config, Options, SweepOptions};
use crate::error::Error;
use crate::load::plan::{LoggerKind, MAX_PRODUCERS};
use crate::load::sink::SinkChoice;
use crate::report::output::JsonTarget;

const AFTER_HELP: &str = "\
Examples:
  dlt-bench -c overflow-all                       what each overflow mode does under overload
  dlt-bench quick                                 the most important figures in half a minute
  dlt-bench -c buffer-all --json report.json      tables for you, JSON for a program
  dlt-bench -c floor                              what the machine allows, each figure a multiple of a log call's floor
  dlt-bench -c concurrency-single --sink null     the log call beside the floor of this machine
  dlt-bench -c concurrency-mpsc --logger mutex    the same load on a logger that waits for a lock
  dlt-bench -c overflow-all --profile --out run   the same under the kernel probe, with flamegraphs (root)
  dlt-bench advise --rate 100000 --stall 200ms    which settings a load needs, and what they lose
  dlt-bench -c suspend-sweep --only Overwrite     a thread stopped at every instruction of its log call
  dlt-bench -c compare-all --out run              other loggers with the same work: table, picture, ratios
  dlt-bench -c compare-latency --only tracing     dlt-logger beside the loggers with this in their name
  dlt-bench diff --ab './old -c concurrency-call --json -' './new -c concurrency-call --json -'   which build is slower
  dlt-bench -c concurrency-single | grep \"Throughput\" | awk '{print $4}'

Sinks:
  collector      receives on Unix socket pairs, takes every frame apart, checks sequence numbers (default)
  null           /dev/null: accepted by the kernel, not verified
  file:PATH      a .dlt file, begun anew for every row (2 GiB at most) and checked afterwards
  unix:PATH      a Unix stream socket that somebody listens on
  daemon[:ADDR]  dlt-daemon: its default socket, a socket's absolute path, or IP:PORT

Comparisons (compare-*):
  Every logger logs the same message, a number and a 16-byte string, to a file in memory, with room for 8,192 messages per
  producer, and waits for room where it can. Each measurement runs in a process of its own; rounds are interleaved, their
  order is shuffled; the messages in the file are counted. Loggers that are not installed have a row that says how to get them.

Environment (cases honour it, and say so where a case sets a value itself):
  DLT_USER_NUM_BUFFERS (4), DLT_USER_BUFFER_SIZE_<n> (2048 messages per lane), DLT_USER_BATCH_SIZE (16),
  DLT_USER_OVERFLOW_MODE (0 Overwrite, 1 DropNewest, 2 BlockWithTimeout), DLT_USER_TIMEOUT_MS (100),
  DLT_USER_MEMORY_LIMIT (256M)

Exit codes:
  0    everything that ran is in order
  1    accounts that do not agree, an audit that failed, a sink that failed
  2    usage, or an output that cannot be written; found before any case runs
  3    inconclusive: the probe lost something, a control failed, or another logger failed in a comparison
  4    cannot run here; the message says what is missing and how to get it
  130  Ctrl-C, with the report of what was done; a second Ctrl-C ends at once";

/// Benchmark cases for dlt-logger: throughput, latency and an exact account of every message.
#[derive(Debug, Parser)]
#[command(name = "dlt-bench", version, about, after_long_help = AFTER_HELP, after_help = "More with --help.", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Runs this case; can be given several times
    #[arg(short = 'c', long = "case", value_name = "CASE")]
    cases: Vec<String>,
    /// Runs all cases; the same as `full`
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    options: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Names all cases
    List,
    /// Runs cases by name
    Case {
        /// Names, as `list` gives them
        #[arg(required = true, value_name = "CASE")]
        names: Vec<String>,
    },
    /// Runs the most important rows in about 30 s
    Quick,
    /// Runs all cases in about 5 min
    Full,
    /// Loads the kernel probe and shows that it counts exactly on this kernel
    Selftest,
    /// Lists every instruction that one log call executes, with what it touches
    #[command(after_long_help = anatomy::HELP)]
    Anatomy(anatomy::AnatomyArgs),
    /// One measurement of a compare case
    #[command(hide = true)]
    Contender(Job),
    /// Says which settings a load needs, and runs the load with them
    #[command(after_long_help = advise::HELP)]
    Advise(advise::AdviseArgs),
    /// Compares two runs, or two builds in turn, and says what is worse beyond chance
    #[command(after_long_help = diff::HELP)]
    Diff(diff::DiffArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Writes the report as JSON to a file, or with `-` to standard output (text then goes to standard error)
    #[arg(long, value_name = "FILE|-", global = true)]
    json: Option<PathBuf>,
    /// Messages per row, instead of whole rounds for about 2 s
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u64).range(1..=4_000_000_000))]
    messages: Option<u64>,
    /// Producers, instead of the case's
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u64).range(1..=MAX_PRODUCERS as u64))]
    threads: Option<u64>,
    /// How often each row is measured; the median counts
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u64).range(1..=1000))]
    iterations: Option<u64>,
    /// What is called: dlt-logger, or a negative control
    #[arg(long, value_name = "LOGGER", global = true, default_value = "dlt")]
    logger: Logger,
    /// Where frames go: collector, null, file:PATH, unix:PATH, daemon or daemon:ADDR
    #[arg(long, value_name = "SINK", global = true, default_value = "collector", value_parser = SinkChoice::parse)]
    sink: SinkChoice,
    /// How long the suspend cases stop threads, in ms, instead of the case's time
    #[arg(long, value_name = "MS", global = true, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    stop_ms: Option<u64>,
    /// Stops per state of a sweep, instead of every instruction (suspend-sweep) or 25 (suspend-all)
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    sample: Option<u64>,
    /// Chooses the sample of a sweep and its pairs of stops, and the order of loggers in each round of a comparison, or of
    /// commands in `diff --ab`
    #[arg(long, value_name = "N", global = true)]
    seed: Option<u64>,
    /// Sweeps only subjects, or compares only loggers, with this in their name; `diff`: only figures
    #[arg(long, value_name = "TEXT", global = true)]
    only: Option<String>,
    /// Has a sweep stop in every turn of a loop, not only in the first three and the last
    #[arg(long, global = true)]
    every_turn: bool,
    /// Writes report.json, with --profile flamegraphs, the picture of a sweep or comparison, and the runs of `diff --ab`, to
    /// this folder
    #[arg(long, value_name = "DIR", global = true)]
    out: Option<PathBuf>,
    /// Watches from inside the kernel and judges whether a producer ever waited
    #[arg(long, global = true)]
    profile: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Logger {
    Dlt,
    Mutex,
    Spin,
    SpinYield,
}

impl RunArgs {
    fn sweep(&self) -> SweepOptions {
        SweepOptions {
            sample: self.sample.map(|n| n as usize),
            seed: self.seed,
            only: self.only.clone(),
            every_turn: self.every_turn,
        }
    }
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Request {
    /// Names of all cases.
    List,
    /// The probe's self-test.
    Selftest,
    /// The anatomy of a log call, and where its report goes.
    Anatomy(crate::anatomy::Options, Option<JsonTarget>, Option<PathBuf>),
    /// One measurement of one contender, for a compare case in another process.
    Contender(Box<Job>),
    /// Advice for a load, and where its report goes.
    Advise(crate::advise::Options, Option<JsonTarget>, Option<PathBuf>),
    /// A comparison, where its report goes, and the folder that keeps it.
    Diff(crate::diff::Options, Option<JsonTarget>, Option<PathBuf>),
    /// A run.
    Run(Box<Config>),
}

/// Reads the command line.
///
/// # Errors
/// A case that does not exist.
///
/// # Panics
/// Never returns if the command line is not accepted, or asks for help: that is printed, and the process ends.
pub fn parse() -> Result<Request, Error> {
    request(Cli::parse())
}

fn request(cli: Cli) -> Result<Request, Error> {
    let Cli { command, mut cases, all, options } = cli;
    match command {
        Some(Command::List) => return Ok(Request::List),
        Some(Command::Selftest) => return Ok(Request::Selftest),
        Some(Command::Anatomy(args)) => {
            let (options, json, out) = anatomy::request(args, options)?;
            return Ok(Request::Anatomy(options, json, out));
        }
        Some(Command::Contender(job)) => return Ok(Request::Contender(Box::new(job))),
        Some(Command::Advise(args)) => {
            let (options, json, out) = advise::request(args, options)?;
            return Ok(Request::Advise(options, json, out));
        }
        Some(Command::Diff(args)) => return diff::request(args, options),
        Some(Command::Case { names }) => cases.extend(names),
        Some(Command::Quick) => cases.push("quick".to_owned()),
        Some(Command::Full) => cases.push("full".to_owned()),
        None => {}
    }
    if all {
        cases.push("full".to_owned());
    }
    let sweep = options.sweep();
    let RunArgs { json, messages, threads, iterations, logger, sink, stop_ms, out, profile, .. } = options;
    if cases.is_empty() && profile {
        cases.extend(registry::PROFILED.map(str::to_owned));
    }
    if cases.is_empty() {
        return Err(Error::usage("no case is named").with_hint("name one with -c, or see `dlt-bench list`"));
    }
    let cases = cases.iter().map(|name| registry::find(name)).collect::<Result<_, _>>()?;
    let (json, logger) = (json.map(target), logger.into());
    let options = Options {
        logger,
        sink,
        messages,
        threads: threads.map(|n| n as usize),
        iterations: iterations.map(|n| n as usize),
        stop_ms,
        sweep,
    };
    Ok(Request::Run(Box::new(Config { cases, options, json, out, profile })))
}

/// Refuses options that are given and would have no effect.
fn refuse(command: &str, why: &str, options: &[(&str, bool)]) -> Result<(), Error> {
    match options.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(Error::usage(format!("{option} has no effect on `{command}`"))
            .with_hint(format!("{why}; see `dlt-bench {command} --help`"))),
        None => Ok(()),
    }
}

fn target(path: PathBuf) -> JsonTarget {
    if path.as_os_str() == "-" { JsonTarget::Stdout } else { JsonTarget::File(path) }
}

impl From<Logger> for LoggerKind {
    fn from(logger: Logger) -> Self {
        match logger {
            Logger::Dlt => Self::Dlt,
            Logger::Mutex => Self::Mutex,
            Logger::Spin => Self::Spin,
            Logger::SpinYield => Self::SpinYield,
        }
    }
}

/// The text of `list`: a name and what it shows on each line.
pub fn list() -> String {
    let width = CASES.iter().map(|case| case.name.len()).max().unwrap_or_default();
    let line = |case: &Case| format!("{:width$}  {}\n", case.name, case.summary);
    CASES.iter().map(line).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn run(args: &[&str]) -> Config {
        let cli = Cli::try_parse_from([&["dlt-bench"], args].concat()).unwrap();
        match request(cli).unwrap() {
            Request::Run(config) => *config,
            other => panic!("a run was asked for, not {other:?}"),
        }
    }

    fn names(config: &Config) -> Vec<&str> {
        config.cases.iter().map(|case| case.name).collect()
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_ways_to_name_a_case() {
        assert_eq!(names(&run(&["-c", "buffer-all", "-c", "quick"])), ["buffer-all", "quick"]);
        assert_eq!(names(&run(&["case", "buffer-all"])), ["buffer-all"]);
        assert_eq!(names(&run(&["quick", "--sink", "null"])), ["quick"]);
        assert_eq!(names(&run(&["-a"])), names(&run(&["full"])));
        assert_eq!(names(&run(&["--profile"])), registry::PROFILED);
    }

    #[test]
    fn options_reach_the_config() {
        let config = run(&[
            "-c",
            "quick",
            "--json",
            "-",
            "--messages",
            "7",
            "--threads",
            "3",
            "--iterations",
            "2",
            "--logger",
            "spin-yield",
            "--sink",
            "null",
            "--out",
            "d",
        ]);
        assert_eq!(config.json, Some(JsonTarget::Stdout));
        assert_eq!(config.out, Some("d".into()));
        let expected = Options {
            logger: LoggerKind::SpinYield,
            sink: SinkChoice::Null,
            messages: Some(7),
            threads: Some(3),
            iterations: Some(2),
            stop_ms: None,
            sweep: SweepOptions::default(),
        };
        assert_eq!(config.options, expected);
    }

    #[test]
    fn every_case_is_listed() {
        let list = list();
        assert_eq!(list.lines().count(), CASES.len());
        assert!(CASES.iter().all(|case| list.contains(case.name)));
    }
}
