//! Build, run, and say where everything is.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::shell::{self, cargo, say};

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Writes report.json to a folder of its own under runs/, with --profile also flamegraphs (oncpu-MODE.svg, offcpu.svg, futex.svg)
and the folded stacks behind them. The exit code is that of dlt-bench.

Examples:
  cargo xtask bench                                             the most important figures in half a minute
  cargo xtask bench --profile                                   the overflow modes and concurrency cases under the probe
  cargo xtask bench -c overflow-all -c batch-size               two cases
  cargo xtask bench --profile -c concurrency-mpsc -- --logger mutex   a negative control: must FAIL with its stack")]
pub(crate) struct Options {
    /// Watch with the kernel probe: verdict on lock contention, perf counters, flamegraphs. Needs root.
    #[arg(long)]
    profile: bool,
    /// Case to run; may be given several times. Default: `quick`, or what dlt-bench chooses for --profile.
    #[arg(short, long = "case", value_name = "CASE")]
    case: Vec<String>,
    /// Folder for what is written. Default: runs/DATE-TIME.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// More arguments for dlt-bench, after `--`.
    #[arg(last = true, value_name = "ARGS")]
    more: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    shell::run(cargo().args(["build", "--release", "--package", "dlt-bench"]))?;
    let program = shell::target_folder()?.join("release/dlt-bench");
    let out = match &options.out {
        Some(out) => out.clone(),
        None => shell::new_run_folder()?,
    };
    let mut command = Command::new(&program);
    command.args(arguments(options)).arg("--out").arg(&out).args(&options.more);
    let leave_nothing = || {
        // Only what was made here, and only if nothing was written to it.
        if options.out.is_none() {
            let _ = std::fs::remove_dir(&out);
        }
    };
    if options.profile && !shell::is_root() {
        if !shell::exists("sudo") {
            say(&format!(
                "error: the kernel probe needs privileges, and there is no sudo here.\nGrant them to the benchmark as root, \
                 then run it yourself:\n  setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep {}\n  {}",
                program.display(),
                shell::shown(&command)
            ));
            leave_nothing();
            return Ok(shell::CANNOT_RUN.into());
        }
        command = raised(&command, std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()));
        say(&format!(
            "the kernel probe needs privileges; running only the benchmark with them:\n  {}",
            shell::shown(&command)
        ));
    }
    // Ctrl-C reaches the benchmark as well, which then reports what was done; wait for that.
    shell::note_interrupts()?;
    let status = command.status().with_context(|| format!("failed to start `{}`", shell::shown(&command)))?;
    let mut files: Vec<_> =
        std::fs::read_dir(&out).into_iter().flatten().flatten().map(|file| file.path()).collect();
    files.sort();
    if files.is_empty() {
        leave_nothing();
    } else {
        let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        say(&format!("files of this run:\n  {}", files.join("\n  ")));
    }
    Ok(shell::exit_code(status).into())
}

/// What dlt-bench is to do.
fn arguments(options: &Options) -> Vec<String> {
    let mut arguments: Vec<String> =
        options.case.iter().flat_map(|case| ["-c".into(), case.clone()]).collect();
    if options.profile {
        arguments.push("--profile".into());
    } else if options.case.is_empty() {
        arguments.push("quick".into());
    }
    arguments
}

/// The command under sudo, which keeps the configuration of the logger and nothing else of the caller's environment.
fn raised(command: &Command, environment: impl Iterator<Item = String>) -> Command {
    let mut kept: Vec<_> = environment.filter(|name| name.starts_with("DLT_USER_")).collect();
    kept.sort();
    let mut raised = Command::new("sudo");
    if !kept.is_empty() {
        raised.arg(format!("--preserve-env={}", kept.join(",")));
    }
    raised.arg(command.get_program()).args(command.get_args());
    raised
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{Options, arguments, raised};
    use crate::shell::shown;

    fn options(profile: bool, case: &[&str]) -> Options {
        Options { profile, case: case.iter().map(ToString::to_string).collect(), out: None, more: Vec::new() }
    }

    #[test]
    fn cases_are_passed_on() {
        assert_eq!(arguments(&options(false, &[])), ["quick"]);
        assert_eq!(arguments(&options(true, &[])), ["--profile"]);
        assert_eq!(arguments(&options(true, &["a", "b"])), ["-c", "a", "-c", "b", "--profile"]);
    }

    #[test]
    fn only_the_benchmark_is_raised_and_keeps_its_configuration() {
        let mut command = Command::new("/build/dlt-bench");
        command.arg("--profile");
        let environment = ["PATH", "DLT_USER_NUM_BUFFERS", "DLT_USER_BUFFER_SIZE_3"].map(str::to_owned);
        assert_eq!(
            shown(&raised(&command, environment.into_iter())),
            "sudo --preserve-env=DLT_USER_BUFFER_SIZE_3,DLT_USER_NUM_BUFFERS /build/dlt-bench --profile"
        );
        assert_eq!(shown(&raised(&command, std::iter::empty())), "sudo /build/dlt-bench --profile");
    }
}
