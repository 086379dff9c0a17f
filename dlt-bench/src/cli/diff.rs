//! The command line of `diff`.

use std::path::PathBuf;

use clap::Args;

use super::{Request, RunArgs, refuse, target};
use crate::diff::{Commands, Input, Options};
use crate::error::Error;
use crate::load::sink::SinkChoice;

/// Rounds unless the user says so: 2 to the power of -20, times 12 figures of thousands of rows, is still below 5 %.
const ROUNDS: u64 = 20;

pub(super) const HELP: &str = "\
A and B are reports that `--json` of load cases wrote. A file may hold one report, an array of them, or several after
each other (`cat a1.json a2.json a3.json > A.json`): then each is a sample. `--ab` makes the runs itself, A and B in
turn and in random order, and compares them in pairs, so that what the machine does meanwhile meets both. That is what to
use on a machine that others use as well.

A figure is a REGRESSION if three things come together: its 95 % interval lies beyond the threshold; the probability of
that with a difference of no more than the threshold is below 5 %, corrected for the number of figures (Wilcoxon's or
Mann and Whitney's test, exact up to 60 samples; Holm's correction); and Cliff's delta is 0.474 or more. Worse is: longer
times, more CPU, lower rates. Losses are compared in points of the messages attempted; where A never lost any, any loss
that comes time and again counts.

If each side is one report, the repetitions in it (`--iterations 10`) are the samples of rates, CPU and losses; times are
shown and not judged. Rows that one side lacks, or that ran with another configuration, are said and not compared. Another
machine, kernel, build or option is said.

The finest figure is `undisturbed call` of `-c concurrency-call`: it resolves 1 % of a log call of 10 ns.

Examples:
  dlt-bench diff A.json B.json                        exit code 1 if B is worse by more than 5 %
  dlt-bench diff --ab 'old/dlt-bench -c concurrency-call --json -' 'new/dlt-bench -c concurrency-call --json -'
  dlt-bench diff --ab './a.sh {json}' './b.sh {json}' --rounds 20 --out d     keeps d/a.json, d/b.json and d/report.json
  dlt-bench diff d/a.json d/b.json --threshold 3      the same runs once more
  dlt-bench diff A.json B.json --only 'CPU' --json -  for a program

Exit codes:
  0    no regression found, and at least one figure is known to be no worse than the threshold
  1    a regression, or a row whose accounts agree in A and not in B
  2    usage; a file that is no report, with the place in it; a command that gives no report in the first round
  3    inconclusive: too few samples, nothing in common, or all figures too noisy
  130  Ctrl-C; the command that runs is ended, and what was collected is compared and kept";

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// Reports: A, B
    #[arg(value_name = "FILE", num_args = 2, required_unless_present = "ab")]
    files: Vec<PathBuf>,
    /// Runs two shell commands in turn; each prints its report, or writes it to the file that `{json}` in it stands for
    #[arg(long, num_args = 2, value_names = ["CMD A", "CMD B"], conflicts_with = "files")]
    ab: Option<Vec<String>>,
    /// How often each command of --ab runs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: Option<u64>,
    /// Per cent by which a figure may be worse
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = percent)]
    threshold: f64,
}

fn percent(text: &str) -> Result<f64, String> {
    let number: f64 =
        text.trim_end_matches('%').trim().parse().map_err(|_| "no number of per cent".to_owned())?;
    if (0.0..100.0).contains(&number) {
        Ok(number)
    } else {
        Err("accepted are 0 to less than 100".to_owned())
    }
}

pub(super) fn request(args: DiffArgs, options: RunArgs) -> Result<Request, Error> {
    let DiffArgs { files, ab, rounds, threshold } = args;
    let RunArgs {
        json,
        messages,
        threads,
        iterations,
        logger,
        sink,
        stop_ms,
        sample,
        seed,
        only,
        every_turn,
        out,
        profile,
    } = options;
    refuse(
        "diff",
        "give it to the commands that make the reports",
        &[
            ("--messages", messages.is_some()),
            ("--threads", threads.is_some()),
            ("--iterations", iterations.is_some()),
            ("--logger", !matches!(logger, super::Logger::Dlt)),
            ("--sink", sink != SinkChoice::Collector),
            ("--stop-ms", stop_ms.is_some()),
            ("--sample", sample.is_some()),
            ("--every-turn", every_turn),
            ("--profile", profile),
            ("--rounds without --ab", rounds.is_some() && ab.is_none()),
            ("--seed without --ab", seed.is_some() && ab.is_none()),
        ],
    )?;
    let input = match (ab, <[PathBuf; 2]>::try_from(files)) {
        (Some(commands), _) => {
            let commands = <[String; 2]>::try_from(commands)
                .map_err(|given| Error::usage(format!("--ab takes two commands, not {}", given.len())))?;
            Input::Commands(Commands { commands, rounds: rounds.unwrap_or(ROUNDS) as usize, seed })
        }
        (None, Ok(files)) => Input::Files(files),
        (None, Err(given)) => {
            return Err(Error::usage(format!("two reports are compared, not {}", given.len())));
        }
    };
    let options = Options { input, threshold_percent: threshold, only, keep: out.clone() };
    Ok(Request::Diff(options, json.map(target), out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        assert_eq!(percent("5"), Ok(5.0));
        assert_eq!(percent("2.5 %"), Ok(2.5));
        assert_eq!(percent("0"), Ok(0.0));
        for bad in ["", "x", "-1", "100", "NaN", "inf", "5 per cent"] {
            assert!(percent(bad).is_err(), "{bad}");
        }
    }
}
