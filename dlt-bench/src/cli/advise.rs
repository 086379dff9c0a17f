//! The command line of `advise`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{RunArgs, refuse, target};
use crate::advise;
use crate::advise::load::{Load, Source};
use crate::advise::model::AllowLoss;
use crate::config::SweepOptions;
use crate::error::Error;
use crate::load::message::PAYLOAD_BYTES;
use crate::load::plan::LoggerKind;
use crate::load::sink::SinkChoice;
use crate::report::output::JsonTarget;

pub(super) const HELP: &str = "\
A lane must hold what its thread logs while nobody copies: needed = burst + rate × (stall + the first look of an idle
worker + how late it runs). How fast calls and workers are, and how late sleepers, is measured here first. Advised is a
quarter more than needed, or what comes in 50 ms if that is more. Then the load is run with the advised settings and with
half of the capacity, against a receiver that stalls as told, and every message is accounted for.

The last lines are the variables to set, also when the exit code is not 0.

Examples:
  dlt-bench advise --rate 100000                              a steady load
  dlt-bench advise --burst 50000                              50,000 messages at once, every second
  dlt-bench advise --rate 100000 --stall 200ms --threads 4    a sink that takes nothing for 200 ms, every second
  dlt-bench advise --rate 20000 --stall 1s --every 5s --memory 4M --allow-loss newest
  dlt-bench advise --from report.json --case concurrency-burst    the load of a report's row
  export $(dlt-bench advise --rate 100000 | grep ^DLT_USER_)

Exit codes: 0 the advised settings lost nothing (or --no-measure), 1 they did, or the budget or the sink is too small,
2 usage, 130 Ctrl-C";

#[derive(Debug, Clone, Args)]
pub(super) struct AdviseArgs {
    /// Messages per second of all threads together, evenly
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Messages of all threads together that come at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    burst: Option<u64>,
    /// How often bursts and stalls come, as 500ms or 2s
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "1s")]
    every: Duration,
    /// How long the sink takes nothing each time
    #[arg(long, value_name = "TIME", value_parser = time)]
    stall: Option<Duration>,
    /// Memory for all lanes, in bytes or with suffix k, M or G
    #[arg(long, value_name = "BYTES", value_parser = memory, default_value = "256M")]
    memory: u64,
    /// Bytes of a message's encoded arguments
    #[arg(long, value_name = "BYTES", default_value_t = PAYLOAD_BYTES as u64, value_parser = clap::value_parser!(u64).range(16..=60_000))]
    message: u64,
    /// What may be lost if more comes than told; with none, calls wait
    #[arg(long, value_name = "WHAT", default_value = "oldest")]
    allow_loss: Allowed,
    /// Takes rate, threads and bursts from a row of this report
    #[arg(long, value_name = "REPORT", conflicts_with_all = ["rate", "burst"])]
    from: Option<PathBuf>,
    /// Rows of this case only
    #[arg(long, value_name = "CASE")]
    case: Option<String>,
    /// The row with this name; without it the one that lost most
    #[arg(long, value_name = "ROW")]
    row: Option<String>,
    /// Does not run the load
    #[arg(long)]
    no_measure: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Allowed {
    None,
    Oldest,
    Newest,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.001..=1e9).contains(rate));
    rate.ok_or_else(|| "a number of messages per second is, 0.001 to 1000000000".to_owned())
}

/// A whole number of `us`, `ms` or `s`.
fn time(text: &str) -> Result<Duration, String> {
    let at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number = number.parse::<u32>().ok();
    let time = match unit {
        "us" => number.map(|number| Duration::from_micros(number.into())),
        "ms" => number.map(|number| Duration::from_millis(number.into())),
        "s" => number.map(|number| Duration::from_secs(number.into())),
        _ => None,
    };
    let accepted = Duration::from_millis(1)..=Duration::from_secs(60);
    time.filter(|time| accepted.contains(time))
        .ok_or_else(|| "a time of 1ms to 60s is, such as 200ms".to_owned())
}

fn memory(text: &str) -> Result<u64, String> {
    // As the library reads it, so that the line that is printed means the same.
    let config = dlt_logger::Config::from_vars([("DLT_USER_MEMORY_LIMIT", text)]);
    config
        .map(|config| config.memory_limit_bytes)
        .map_err(|_| "bytes are, with suffix k, M or G, such as 64M".to_owned())
}

pub(super) fn request(
    args: AdviseArgs,
    options: RunArgs,
) -> Result<(advise::Options, Option<JsonTarget>, Option<PathBuf>), Error> {
    let sweep = options.sweep();
    let RunArgs { json, messages, threads, iterations, logger, sink, stop_ms, out, profile, .. } = options;
    refuse(
        "advise",
        "it makes its own load",
        &[
            ("--messages", messages.is_some()),
            ("--iterations", iterations.is_some()),
            ("--logger", LoggerKind::from(logger) != LoggerKind::Dlt),
            ("--sink", sink != SinkChoice::Collector),
            ("--stop-ms", stop_ms.is_some()),
            ("--profile", profile),
            ("an option of sweeps", sweep != SweepOptions::default()),
            // Not left to clap: it drops the requirement, since --rate rules --from out.
            ("--case without --from", args.case.is_some() && args.from.is_none()),
            ("--row without --from", args.row.is_some() && args.from.is_none()),
            ("--threads beside --from", threads.is_some() && args.from.is_some()),
        ],
    )?;
    let AdviseArgs { rate, burst, every, stall, memory, message, allow_loss, from, case, row, no_measure } =
        args;
    let load = Load {
        rate_per_s: rate.unwrap_or_default(),
        burst_msgs: burst.unwrap_or_default(),
        every,
        stall: stall.unwrap_or_default(),
        threads: threads.unwrap_or(1) as usize,
        payload_bytes: message as usize,
    };
    let source = from.map(|path| Source { path, case, row });
    if source.is_none() {
        load.check()?;
    }
    let allow_loss = match allow_loss {
        Allowed::None => AllowLoss::None,
        Allowed::Oldest => AllowLoss::Oldest,
        Allowed::Newest => AllowLoss::Newest,
    };
    let options = advise::Options { load, source, allow_loss, memory_bytes: memory, measure: !no_measure };
    Ok((options, json.map(target), out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_units() {
        assert_eq!(time("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(time("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(time("1500us"), Ok(Duration::from_micros(1500)));
        for bad in ["", "5", "s", "0ms", "61s", "1h", "-1s", "1.5s", "999us"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn memory_with_suffixes() {
        assert_eq!(memory("64M"), Ok(64 << 20));
        assert_eq!(memory("4096"), Ok(4096));
        assert!(memory("1T").is_err() && memory("0").is_err());
    }
}
